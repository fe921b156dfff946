# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Runs the listings of docs/clients.md, each in its language, and compares what they print with what the page shows. Those in
JavaScript of docs/moving.md are run here, too.

RPC_TOOL is the command-line tool, RPC_CLIENT_LIBRARY the library in C, RPC_PAHO_PYTHON a Python that has paho-mqtt.
RPC_OWN_JAVASCRIPT is the folder of own_javascript.py. Listings for which something is missing are left out.
"""
import os
import pathlib
import re
import signal
import subprocess
import tempfile

from harness import PLUGIN, ROOT, TIMEOUT, BrokerTest, ask_by_id, has_websockets, main, running
from pages import blocks, here, section

PAGE = (ROOT / "docs/clients.md").read_text()
TOOL, LIBRARY = os.environ.get("RPC_TOOL"), os.environ.get("RPC_CLIENT_LIBRARY")
PYTHON = os.environ.get("RPC_PAHO_PYTHON")
JAVASCRIPT = os.environ.get("RPC_OWN_JAVASCRIPT")
SKETCHES = os.environ.get("RPC_ARDUINO_DRIVER")  # there is a compiler for C++
DOUBLES = ROOT / "test/broker/arduino"
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("LD_PRELOAD", "PYTHONPATH")}


def listings(heading):
    """The listings of a section: language, text, and the output that is shown below it."""
    text = section(PAGE, heading)
    found = re.findall(r"^```(\w+)\n(.*?)^```\n\n```text\n(.*?)^```", text, re.M | re.S)
    assert 2 * len(found) == text.count("\n```") // 2, "a listing without its output"
    return found


class Listing(BrokerTest):

    def setUp(self):
        self.broker = self.start(plugin=PLUGIN)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def for_this_broker(self, text):
        return text.replace("localhost", "127.0.0.1").replace("1884", str(self.broker.port))

    def output(self, command, **how):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=6 * TIMEOUT,
                              **{"env": ENVIRONMENT, **how})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def run_sh(self, text):
        if "mosquitto_rpc call" in text and not TOOL:
            self.skipTest("there is no tool")
        path = os.pathsep.join([os.path.dirname(TOOL or ""), os.environ["PATH"]])
        return self.output(["sh", "-c", here(text, self.broker)], cwd=ROOT / "clients/shell",
                           env={**ENVIRONMENT, "PATH": path})

    def run_python(self, text):
        if not PYTHON:
            self.skipTest("there is no paho-mqtt")
        version = self.output([PYTHON, "-c", "import paho.mqtt; print(paho.mqtt.__version__)"])
        if "mqtt.Client()" in text and version >= "2":
            self.skipTest(f"this is paho-mqtt {version}")
        path = self.folder / "listing.py"
        path.write_text(self.for_this_broker(text))
        return self.output([PYTHON, path], env={**ENVIRONMENT, "PYTHONPATH": str(ROOT / "clients/python")})

    def javascript(self, text):
        """The command that runs it."""
        if not JAVASCRIPT:
            self.skipTest("there is no npm")
        from own_javascript import NODE, installed  # pylint: disable=import-outside-toplevel
        path = installed().home / "page_of_clients.mjs"
        path.write_text(self.for_this_broker(text))
        return [NODE, path]

    def run_js(self, text):
        return self.output(self.javascript(text))

    def run_c(self, text):
        if not LIBRARY:
            self.skipTest("there is no library in C")
        path = self.folder / "listing.c"
        path.write_text(self.for_this_broker(text))
        flags = self.output(["pkg-config", "--cflags", "--libs", "libmosquitto", "libcjson"]).split()
        sanitizer = os.environ.get("RPC_SANITIZE")
        flags += [f"-fsanitize={sanitizer}"] if sanitizer else []
        self.output(["cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{ROOT}/clients/c", path,
                     LIBRARY, *flags, "-o", self.folder / "listing"])
        return self.output([self.folder / "listing"])

    def run_cpp(self, text):
        """A sketch never ends: it is stopped when it has printed something."""
        if not SKETCHES:
            self.skipTest("there is no C++ compiler")
        path = self.folder / "listing.cpp"
        path.write_text(text)
        self.output(["c++", "-std=c++11", "-Wall", "-Wextra", "-Werror", f"-I{DOUBLES}",
                     f"-I{ROOT}/clients/arduino/src", path, DOUBLES / "board.cpp", "-lcjson",
                     "-o", self.folder / "listing"])
        with running([self.folder / "listing"], env={**ENVIRONMENT, "BROKER_PORT": str(self.broker.port)}) as board:
            printed = board.stdout.readline()
            board.send_signal(signal.SIGTERM)
            self.assertEqual(board.stdout.read(), "heap 0\n")
        return printed

    def check(self, heading, count):
        found = listings(heading)
        self.assertEqual(len(found), count)
        for language, text, output in found:
            with self.subTest(language=language, begins=text.splitlines()[0]):
                if re.search(r"events\(|rpc/event", text):
                    self.check_watcher(text, output)
                else:
                    self.assertEqual(getattr(self, "run_" + language)(text), output)

    def check_watcher(self, text, output):
        """A listing that prints events for ever. The broker keeps those of the sensor for those who come later."""
        ask_by_id(self.client(self.broker), "updateSensor", {"sensor_id": "cellar", "value": 13})
        with running(self.javascript(text), env=ENVIRONMENT) as watcher:
            self.assertEqual(watcher.stdout.readline(), output)

    def test_side_by_side(self):
        self.check("## The same call in each client", 6)

    def test_what_people_write_by_hand(self):
        self.check("## What people write by hand, and what becomes of it", 4)

    def test_moving_from_a_websocket(self):
        """What stands there before is code, and what stands there afterwards works."""
        before, after = blocks((ROOT / "docs/moving.md").read_text(), "js")
        node, path = self.javascript(before)
        self.output([node, "--check", path])
        if not has_websockets():
            self.skipTest("this broker has no WebSockets")
        self.broker = self.start(plugin=PLUGIN, websockets=True)
        ask_by_id(self.client(self.broker), "updateSensor", {"sensor_id": "temp1", "value": 25.5})
        self.assertIn("value: 25.5", self.run_js(after.replace("9001", str(self.broker.websockets_port))))


if __name__ == "__main__":
    main()
