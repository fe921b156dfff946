#!/usr/bin/env python3
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Makes the manual's site as scripts/manual does, and follows each link in it.

Every page of docs/ is in the order of mkdocs.yml, every link has its file and its anchor, and nothing is loaded from
elsewhere. RPC_MKDOCS is mkdocs, RPC_ROOT the tree.
"""
import html.parser
import os
import pathlib
import re
import subprocess
import tempfile
import unittest
import urllib.parse

ROOT = pathlib.Path(os.environ.get("RPC_ROOT") or pathlib.Path(__file__).resolve().parents[2])
MKDOCS = os.environ.get("RPC_MKDOCS") or "mkdocs"
LOADS = {"script": "src", "img": "src", "link": "href", "iframe": "src", "object": "data"}


class Page(html.parser.HTMLParser):
    """The anchors of a page, where its links lead, and what it loads."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links, self.loaded = set(), set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.anchors |= {attributes[name] for name in ("id", "name") if attributes.get(name)}
        if tag == "a" and attributes.get("href"):
            self.links.add(attributes["href"])
        if attributes.get(LOADS.get(tag)) and attributes.get("rel") != "canonical":
            self.loaded.add(attributes[LOADS[tag]])


class Site(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="rpc-site-")
        cls.site = pathlib.Path(cls.folder.name).resolve()
        made = subprocess.run([MKDOCS, "build", "--strict", "--quiet", "-f", ROOT / "mkdocs.yml", "-d", cls.site], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if made.returncode:
            raise AssertionError(made.stdout)
        cls.pages = {path: Page(path.read_text()) for path in cls.site.rglob("*.html") if path.name != "404.html"}

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_every_link_leads_somewhere(self):
        lost = []
        for path, page in self.pages.items():
            for link in page.links | page.loaded:
                parts = urllib.parse.urlsplit(link)
                if parts.scheme or parts.netloc:
                    continue
                target = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
                if target.is_dir():
                    target /= "index.html"
                if not target.is_file():
                    lost.append(f"{path.relative_to(self.site)}: {link}")
                elif parts.fragment and target in self.pages and parts.fragment not in self.pages[target].anchors:
                    lost.append(f"{path.relative_to(self.site)}: {link}: there is no such heading")
        self.assertEqual(lost, [], "\n" + "\n".join(sorted(lost)))

    def test_nothing_is_loaded_from_elsewhere(self):
        for path, page in self.pages.items():
            with self.subTest(page=path.name):
                self.assertEqual({link for link in page.loaded if urllib.parse.urlsplit(link).netloc}, set())

    def test_every_page_is_in_the_order(self):
        named = set(re.findall(r"([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
        self.assertEqual(named, {path.name for path in (ROOT / "docs").glob("*.md")})

    def test_the_search_finds_options(self):
        self.assertIn("plugin_opt_duplicate_window", (self.site / "search" / "search_index.json").read_text())


if __name__ == "__main__":
    unittest.main(verbosity=2)
