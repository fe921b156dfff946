# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The manual pages of the tool and of the worker: that formatters find no fault in them, and that they have all that --help
has. docs_man and docs_worker_man compare the pages with the tables of options."""
import os
import pathlib
import re
import shutil
import subprocess
import unittest

from harness import PLUGIN, ROOT, main
from tool import tool

PAGE = ROOT / "docs/mosquitto_rpc.1"
WORKER_PAGE = ROOT / "docs/mosquitto_rpc_worker.1"
WORKER = os.environ.get("RPC_WORKER") or str(pathlib.Path(PLUGIN).parent / "mosquitto_rpc_worker")


class Man(unittest.TestCase):
    maxDiff = None

    def lint(self, *command):
        if not shutil.which(command[0]):
            self.skipTest(f"there is no {command[0]}")
        run = subprocess.run([*command, str(PAGE), str(WORKER_PAGE)], capture_output=True, text=True, check=False)
        # A date would have to be changed by hand.
        return [line for line in (run.stdout + run.stderr).splitlines() if "missing date" not in line]

    def test_groff(self):
        self.assertEqual(self.lint("groff", "-man", "-Tutf8", "-ww", "-z", "-k"), [])

    def test_mandoc(self):
        self.assertEqual(self.lint("mandoc", "-T", "lint"), [])

    def test_a_fault_is_found(self):
        """By the formatters, so that these tests can fail."""
        for command in (["groff", "-man", "-Tutf8", "-ww", "-z"], ["mandoc", "-T", "lint"]):
            if shutil.which(command[0]):
                run = subprocess.run(command, input=".TH A 1\n.SH NAME\n.XX y\n.RE\n", capture_output=True, text=True,
                                     check=False)
                self.assertTrue(run.stdout + run.stderr, command)

    def read(self, page):
        """The page as it is read."""
        if not shutil.which("groff"):
            self.skipTest("there is no groff")
        return subprocess.run(["groff", "-man", "-Tutf8", "-P-cbou", "-k", "-rLL=200n", str(page)], capture_output=True,
                              text=True, check=True).stdout

    def test_the_worker(self):
        """All options, those of the service and of the modules included."""
        shown = self.read(WORKER_PAGE)
        helped = subprocess.run([WORKER, "--help"], capture_output=True, text=True, check=True).stdout
        options = set(re.findall(r"^ +(--\w+)", helped, re.MULTILINE)) - {"--help", "--version"}
        self.assertLessEqual({"--attach", "--max_pending", "--sensor_db"}, options)
        self.assertEqual(options - set(re.findall(r"^ +(--\w+)", shown, re.MULTILINE)), set())

    def test_it_is_complete(self):
        """All commands with their synopses, all options and all exit statuses, as they are read."""
        shown = self.read(PAGE)
        text = " ".join(shown.split())
        helped = tool(None, "--help").out
        commands = re.findall(r"^  (\w+) {2,}\S", re.search(r"Commands:\n(.*?)\n\n", helped, re.DOTALL).group(1), re.MULTILINE)
        self.assertGreaterEqual(len(commands), 8)
        for command in commands:
            synopsis = re.match(r"Usage: mosquitto_rpc \[options\] (.*)", tool(None, command, "--help").out).group(1)
            self.assertIn(f" {synopsis} ", text)
            helped += tool(None, command, "--help").out
        for option in set(re.findall(r"^ .*?(--[\w-]+)", helped, re.MULTILINE)):
            self.assertIn(option, text)
        for hidden in ("complete LINE", "   man\n"):
            self.assertNotIn(hidden, shown)


if __name__ == "__main__":
    main()
