"""The package of clients/javascript as its users get it: packed by npm, and installed by npm in a clean folder.

    RPC_OWN_JAVASCRIPT   a folder whose node_modules has what own_javascript/package.json names

The folder lies below that one, so that MQTT.js is found there as well.
"""
import functools
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from harness import ROOT, TIMEOUT

HERE = pathlib.Path(__file__).resolve().parent / "own_javascript"
PACKAGES = pathlib.Path(os.environ.get("RPC_OWN_JAVASCRIPT") or ROOT / "build/npm/own_javascript_packages")
NODE = os.environ.get("RPC_NODE") or "node"
NPM = os.environ.get("RPC_NPM") or "npm"
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("LD_PRELOAD", "NODE_PATH")}


def complete(folder, *command, timeout=6 * TIMEOUT):
    """Runs a program in a folder to its end, which must be 0; returns what it wrote."""
    ended = subprocess.run(list(map(str, command)), cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False, env=ENVIRONMENT)
    assert ended.returncode == 0, f"{command} ended with {ended.returncode}:\n{ended.stdout}"
    return ended.stdout


def tool(name):
    """The path of a program that comes with the packages."""
    return PACKAGES / "node_modules/.bin" / name


def npm(folder, command, *arguments):
    return complete(folder, NPM, command, "--offline", "--no-audit", "--no-fund", "--loglevel=error", *arguments)


def pack(folder):
    """Packs the package, from a copy of its sources; returns the path of the archive."""
    sources = folder / "tree/clients/javascript"
    shutil.copytree(ROOT / "clients/javascript", sources,
                    ignore=shutil.ignore_patterns("node_modules", "*.cjs", "*.d.cts", "LICENSE*"))
    shutil.copy(ROOT / "LICENSE", folder / "tree")
    shutil.copytree(ROOT / "LICENSES", folder / "tree/LICENSES")
    packed = json.loads(npm(sources, "pack", "--json", "--foreground-scripts=false", "--pack-destination", folder))
    return folder / packed[0]["filename"], [file["path"] for file in packed[0]["files"]]


class Installed:
    """A clean folder with the package, .home, which has the scripts of own_javascript/ as well."""

    def __init__(self):
        self.keeper = tempfile.TemporaryDirectory(prefix="clean-", dir=PACKAGES)
        folder = pathlib.Path(self.keeper.name)
        self.archive, self.files = pack(folder)
        self.home = folder / "home"
        self.home.mkdir()
        (self.home / "package.json").write_text('{"private": true}')
        npm(self.home, "install", "--legacy-peer-deps", "--ignore-scripts", self.archive)  # MQTT.js is a level up
        for script in (*HERE.glob("*.mjs"), *HERE.glob("*.ts")):
            shutil.copy(script, self.home)


@functools.lru_cache(maxsize=None)
def installed():
    """One for all tests of this process, and goes with it."""
    return Installed()
