# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What mkdocs does to the pages for the site: the files of the tree to which pages link become a part of it.

On a forge a page links to other folders as ../include/mosquitto_rpc.h. The site has these files at the same places below
its root, so there the links do without the ../ that leaves docs/.
"""
import pathlib
import re

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).resolve().parents[1]
LINK = re.compile(r"(?<=\]\()(?!https?:|#|mailto:)([^)#\s]+)")
PAGES = "docs"
MADE_OF = {path.name for path in (ROOT / PAGES).iterdir() if path.suffix in (".c", ".h", ".py", ".cmake", ".txt")}
START = pathlib.Path("docs/first-call.md")  # of the site, where README.md is that of the tree


def linked(folder, target):
    """The path from the root of the tree to which a link from a page in this folder leads: for a folder, the README that
    tells of it."""
    path = (ROOT / folder / target).resolve()
    while path.is_dir() and not (path / "README.md").exists():
        path = path.parent
    path = (path / "README.md" if path.is_dir() else path).relative_to(ROOT)
    return START if path == pathlib.Path("README.md") else path


def targets(path):
    return {linked(path.parent, target) for target in LINK.findall((ROOT / path).read_text())}


def on_files(files, config):
    """Adds the files that pages link to, and those that these link to."""
    known = {path.relative_to(ROOT) for path in (ROOT / PAGES).rglob("*.md")}
    for file in list(files):
        if file.src_uri in MADE_OF:
            files.remove(file)
    waiting = set.union(*map(targets, known))
    while waiting - known:
        path = (waiting - known).pop()
        known.add(path)
        if path.suffix == ".md":
            waiting |= targets(path)
        if PAGES not in path.parts[:1]:
            files.append(File(path.as_posix(), str(ROOT), config["site_dir"], config["use_directory_urls"]))
    return files


def on_page_markdown(markdown, page, **_):
    """Rewrites links between docs/ and the rest of the tree."""
    file = pathlib.PurePosixPath(page.file.src_uri)
    here = pathlib.Path(page.file.abs_src_path).parent.relative_to(ROOT)
    up = "../" * (len(file.parts) - 1)

    def rewrite(match):
        path = linked(here, match[1])
        return up + (path.relative_to(PAGES) if path.parts[0] == PAGES else path).as_posix()

    return LINK.sub(rewrite, markdown)
