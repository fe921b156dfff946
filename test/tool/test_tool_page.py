# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Holds docs/tool.md to what it says: its commands are run with a lamp of examples/devices/c, and print what is shown; its
tables are those of the tool. Numbers that differ from run to run, such as times, are compared as numbers."""
import os
import pathlib
import re
import subprocess
import sys
import unittest

from devices import DeviceTest
from harness import ROOT, TIMEOUT, main
from pages import PORT, rows, section
from tool import TOOL, tool
from tooltest import ToolTest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "workers"))
from worker import AttachedClient  # noqa: E402

PAGE = (ROOT / "docs/tool.md").read_text()
LAMP = os.environ.get("RPC_EXAMPLE_C")
REST = "…"


def examples(text):
    """The commands of a page, each with the lines that it shows below it."""
    return re.findall(r"^ {4}\$ (.*mosquitto_rpc -.*)\n((?: {4}[^$\n].*\n)*)", text, re.MULTILINE)


def plain(text):
    """Without what differs from run to run: ids, times, durations, and how columns are aligned for them."""
    text = re.sub(r'"id":"\w{8}"|^\w{8}(?= +light)', "ID", text, flags=re.MULTILINE)
    text = re.sub(r'"(time|seen|since)":[\d.]+', r'"\1":TIME', text)
    text = re.sub(r"\d\d:\d\d:\d\d\.\d{3}", "CLOCK", text)
    text = re.sub(r"\b\d+(\.\d+)? (us|ms|s)\b", "DURATION", text)
    text = re.sub(r"results  \d+, \d+ a second", "RESULTS", text)
    return re.sub(r"[ \t]+", " ", re.sub(r" +$", "", text, flags=re.MULTILINE))


@unittest.skipUnless(LAMP, "the lamp of examples/devices/c is not built")
class Page(DeviceTest, ToolTest):
    def setUp(self):
        super().setUp()
        self.begin("device_db :memory:", "workers_users worker")

    def start_lamp(self):
        lamp = subprocess.Popen([LAMP, "127.0.0.1", str(self.broker.port), "lamp1"], stdout=subprocess.DEVNULL)
        self.addCleanup(lamp.wait)
        self.addCleanup(lamp.kill)
        self.watch().status("lamp1", "ready")

    def attach_worker(self):
        """A worker like that of workers.md, which has answered a call."""
        declared = {"declares": [{"name": "work", "doc": "Answers.", "params": {"type": "object"}, "result": {}}]}
        worker = AttachedClient(self.broker.port, "one", username="worker", password=None, version="0.1.0", more=declared)
        self.addCleanup(worker.close)
        with self.running(self.broker, "call", "work") as caller:
            worker.job().done({})
            self.assertEqual(caller.wait(TIMEOUT), 0)

    def run_example(self, command):
        """As on a terminal, unless the command has a pipe in it."""
        command = command.replace(f"-p {PORT}", f"-p {self.broker.port} -h 127.0.0.1")
        piped = "|" in command or " -j" in command
        command = re.sub(r"\bmosquitto_rpc\b", TOOL if piped else f"{TOOL} --plain", command)
        return subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False, timeout=TIMEOUT, stdin=subprocess.DEVNULL, env=self.environment()).stdout

    def assert_shown(self, command, shown, printed):
        shown = plain(re.sub("^ {4}", "", shown, flags=re.MULTILINE)).splitlines()
        printed = plain(printed).splitlines()
        if shown[-1] == REST:
            shown, printed = shown[:-1], printed[:len(shown) - 1]
        if " events " in command:  # retained messages come in any order
            shown.sort(), printed.sort()
        self.assertEqual(printed, shown, command)

    def test_the_commands(self):
        self.assertEqual(len(examples(PAGE)), 18)
        for command, shown in examples(PAGE):
            if " devices" in command and not hasattr(self, "lamp_runs"):
                self.lamp_runs = True
                self.start_lamp()
            if command.endswith(" workers"):
                self.attach_worker()
            with self.subTest(command=command):
                self.assert_shown(command, shown, self.run_example(command))

    def test_the_port(self):
        """The commands are for the broker of README.md."""
        for line in re.findall(r"^ {4}\$ .*mosquitto_rpc .*", PAGE, re.MULTILINE):
            self.assertIn(f"mosquitto_rpc -p {PORT} ", line)

    def test_the_tables(self):
        """They name what --help does."""
        shown = tool(None, "--help").out
        commands = re.findall(r"^  (\w+) {2,}\S", re.search(r"Commands:\n(.*?)\n\n", shown, re.DOTALL).group(1), re.MULTILINE)
        listed = [re.match(r"`(\w+)", row[0]).group(1) for row in rows(PAGE[:PAGE.index("## Calling")])]
        self.assertEqual(listed, commands)
        statuses = [tuple(row) for row in rows(section(PAGE, "## Calling"))]
        self.assertEqual(statuses, re.findall(r"^  (\d)  (.*)", shown, re.MULTILINE))

    def test_the_configuration(self):
        """The lines of the page are options."""
        lines = re.search(r"    # ~/.config/mosquitto_rpc\n((?:    .*\n)+)", PAGE).group(1)
        (self.home / ".config").mkdir()
        (self.home / ".rpc-password").write_text("secret\n")
        (self.home / ".config/mosquitto_rpc").write_text(re.sub("^ +", "", lines, flags=re.MULTILINE).replace(
            "/home/me", str(self.home)).replace("broker.example", "127.0.0.1"))
        run = self.run_tool(None, "-p", "1", "list")
        self.assertIn("127.0.0.1 port 1: ", run.errors)


if __name__ == "__main__":
    main()
