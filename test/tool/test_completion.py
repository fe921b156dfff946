# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Completion of mosquitto_rpc in bash: what a shell puts on its command line at the tab key, with a running broker, and
without one."""
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

from harness import PLUGIN, ROOT, TIMEOUT, free_port, main
from tooltest import TOOL, ToolTest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "workers"))
from worker import AttachedClient  # noqa: E402

SCRIPT = ROOT / "tool/mosquitto_rpc.bash"
BASH = shutil.which("bash")
SHOW = "\x07"  # Ctrl-G: the shell prints its command line


class Shell:
    """An interactive bash on a terminal, with the completion of the tool, which is on its PATH."""

    def __init__(self, test, **changes):
        folder = test.home / "bin"
        folder.mkdir(exist_ok=True)
        if not (folder / "mosquitto_rpc").exists():
            (folder / "mosquitto_rpc").symlink_to(TOOL)
        self.ours, theirs = pty.openpty()
        environment = test.environment(PATH=f"{folder}:{os.environ['PATH']}", PS1="", PS2="", **changes)
        self.process = subprocess.Popen([BASH, "--noprofile", "--norc", "-i"], stdin=theirs, stdout=theirs, stderr=theirs,
                                        env=environment, cwd=test.home, start_new_session=True)
        os.close(theirs)
        test.addCleanup(self.close)
        self.write(f"source {SCRIPT}; bind 'set bell-style none'; bind -x '\"\\C-g\": printf \"<%s>\" \"$READLINE_LINE\"'; "
                   "echo re''ady\r")
        self.read_to("ready\r\n")

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.ours)

    def write(self, text):
        os.write(self.ours, text.encode())

    def read_to(self, end):
        read, deadline = "", time.monotonic() + TIMEOUT
        while not re.search(end, read):
            assert time.monotonic() < deadline, read
            read += os.read(self.ours, 4096).decode(errors="replace")
        return read

    def complete(self, line):
        """The command line after the tab key."""
        self.write(f"{line}\t{SHOW}")
        shown = re.search("<(.*)>", self.read_to("<.*>"), re.DOTALL).group(1)
        self.write("\x15")  # the line is gone
        return shown


@unittest.skipUnless(BASH, "there is no bash")
class Completion(ToolTest):
    def setUp(self):
        super().setUp()
        self.broker = self.start(["sensor_db :memory:", "device_db :memory:", "device_managed lamp1",
                                  "device_groups hall=lamp1", "workers_users crew"], plugin=PLUGIN)
        self.configure(self.broker.port)

    def configure(self, port):
        folder = self.home / ".config"
        folder.mkdir(exist_ok=True)
        (folder / "mosquitto_rpc").write_text(f"-h 127.0.0.1\n-p {port}\n")

    def offers(self, line):
        """All that the tool offers for the last word of a line."""
        return set(self.run_tool(None, "complete", "--", line).output.splitlines())

    def test_in_a_shell(self):
        self.addCleanup(AttachedClient(self.broker.port, "packer", password=None).close)
        shell = Shell(self)
        for line, completed in (
                ("mosquitto_rpc desc", "mosquitto_rpc describe "),
                ("mosquitto_rpc bench --conc", "mosquitto_rpc bench --concurrency "),
                ("mosquitto_rpc call upd", "mosquitto_rpc call updateSensor "),
                ("~/bin/mosquitto_rpc call upd", "~/bin/mosquitto_rpc call updateSensor "),
                ("mosquitto_rpc call updateSensor sens", "mosquitto_rpc call updateSensor sensor_id="),
                ("mosquitto_rpc call updateSensor sensor_id=a u", "mosquitto_rpc call updateSensor sensor_id=a unit="),
                ("mosquitto_rpc call updateSensor 'sensor_id=a b' u", "mosquitto_rpc call updateSensor 'sensor_id=a b' unit="),
                ("mosquitto_rpc -q 0 call updateSensor u", "mosquitto_rpc -q 0 call updateSensor unit="),
                ("mosquitto_rpc call devi", "mosquitto_rpc call device"),
                ("mosquitto_rpc call device/l", "mosquitto_rpc call device/lamp1/"),
                ("mosquitto_rpc call device/lamp1/li", "mosquitto_rpc call device/lamp1/light "),
                ("mosquitto_rpc call device/lamp1/light br", "mosquitto_rpc call device/lamp1/light brightness="),
                ("mosquitto_rpc command l", "mosquitto_rpc command lamp1 "),
                ("mosquitto_rpc command @h", "mosquitto_rpc command @hall "),
                ("mosquitto_rpc command lamp1 bl", "mosquitto_rpc command lamp1 blink "),
                ("mosquitto_rpc command lamp1 light on=t", "mosquitto_rpc command lamp1 light on=true "),
                ("mosquitto_rpc command --offline qu", "mosquitto_rpc command --offline queue "),
                ("mosquitto_rpc generate --language py", "mosquitto_rpc generate --language python "),
                ("mosquitto_rpc devices --state read", "mosquitto_rpc devices --state ready "),
                ("mosquitto_rpc devices --group h", "mosquitto_rpc devices --group hall "),
                ("mosquitto_rpc workers pa", "mosquitto_rpc workers packer "),
                ("mosquitto_rpc events sensorF", "mosquitto_rpc events sensorForgotten "),
                ("mosquitto_rpc nothing sens", "mosquitto_rpc nothing sens"),
                ("mosquitto_rpc call updateSensor x=", "mosquitto_rpc call updateSensor x=")):
            with self.subTest(line=line):
                self.assertEqual(shell.complete(line), completed)

    def test_names_of_files(self):
        """Only where an option takes one."""
        (self.home / "certificate.pem").touch()
        shell = Shell(self)
        self.assertEqual(shell.complete("mosquitto_rpc --cafile cert"), "mosquitto_rpc --cafile certificate.pem ")
        self.assertEqual(shell.complete("mosquitto_rpc call cert"), "mosquitto_rpc call cert")

    def test_what_is_offered(self):
        self.assertLessEqual({"list", "describe", "call", "events", "stats", "devices", "workers", "command", "bench"},
                             self.offers("mosquitto_rpc "))
        self.assertFalse({"complete", "man"} & self.offers("mosquitto_rpc "))
        self.assertEqual(self.offers("mosquitto_rpc call updateSensor "), {"sensor_id=", "value=", "unit=", "time="})
        self.assertEqual(self.offers("mosquitto_rpc call updateSensor time=3 sensor_id=a "), {"value=", "unit="})
        self.assertEqual(self.offers("mosquitto_rpc call updateSensor unit="), {"unit=C", "unit=F", "unit=K"})
        self.assertEqual(self.offers("mosquitto_rpc command lamp1 light on="), {"on=true", "on=false"})
        self.assertEqual(self.offers("mosquitto_rpc command lamp1 "), {"light", "blink", "getStatus"})
        self.assertIn("--concurrency", self.offers("mosquitto_rpc bench ping --"))
        self.assertNotIn("--concurrency", self.offers("mosquitto_rpc call ping --"))
        self.assertIn("device/", self.offers("mosquitto_rpc call dev"))

    def test_the_cache(self):
        """What was asked a moment ago is not asked again; nobody else may read it."""
        offered = self.offers("mosquitto_rpc call updateSensor ")
        self.broker.stop()
        self.assertEqual(self.offers("mosquitto_rpc call updateSensor "), offered)
        self.assertEqual(self.offers("mosquitto_rpc call ping "), set())
        folder = self.home / ".cache/mosquitto_rpc"
        files = list(folder.iterdir())
        self.assertTrue(files)
        self.assertEqual({path.stat().st_mode & 0o077 for path in [folder, *files]}, {0})

    def test_the_cache_is_of_one_broker(self):
        self.assertTrue(self.offers("mosquitto_rpc call "))
        self.configure(free_port())
        self.assertEqual(self.offers("mosquitto_rpc call "), set())

    def test_the_cache_is_bounded(self):
        for number in range(70):
            self.offers(f"mosquitto_rpc call nothing{number} ")
        self.assertLessEqual(len(list((self.home / ".cache/mosquitto_rpc").iterdir())), 64)

    def test_without_a_broker(self):
        """It takes no long time, and says nothing on the command line."""
        self.configure(free_port())
        shell = Shell(self)
        self.assertEqual(shell.complete("mosquitto_rpc call upd"), "mosquitto_rpc call upd")
        self.assertEqual(shell.complete("mosquitto_rpc desc"), "mosquitto_rpc describe ")

    def test_a_broker_that_does_not_answer(self):
        self.broker.pause()
        began = time.monotonic()
        self.assertEqual(self.offers("mosquitto_rpc call "), set())
        took = time.monotonic() - began
        self.broker.signal(signal.SIGCONT)
        self.assertLess(took, 30)

    def test_hostile_names(self):
        """What means something to a shell or a terminal is not offered: enter would run it."""
        evil = ["$(touch pwned)", "`touch pwned`", "a;touch pwned", "a b", "a\nb", "-rf", "~root", "a*", "a'b", 'a"b', "a\\b",
                "\x1b[2J", "é", "a&b", "a|b", "a>b", "a!b", "{a,b}", "#a", ":files", ""]
        broker = self.start(plugins=[])
        self.configure(broker.port)
        self.serve(broker, {
            "rpc.list": {"methods": [{"name": name} for name in [*evil, "good"]], "events": [{"name": name} for name in evil],
                         "devices": [{"name": "kind", "commands": [{"name": name} for name in evil]}]},
            "rpc.describe": {"method": {"x-mqtt": {"payload": "object"}, "params": [
                {"name": name, "schema": {"type": "string", "enum": evil}} for name in [*evil, "good"]]}},
            "device.list": {"devices": [{"device": name} for name in evil]},
            "device.group.list": {"groups": [{"group": name} for name in evil]},
            "rpc.workers": {"workers": [{"id": name} for name in evil]}})
        self.assertEqual(self.offers("mosquitto_rpc call "), {"good"})
        self.assertEqual(self.offers("mosquitto_rpc call good "), {"good="})
        for line in ("call good good=", "events ", "command ", "command @", "command a ", "call device/", "devices --group ",
                     "workers "):
            self.assertEqual(self.offers(f"mosquitto_rpc {line}"), set(), line)

    def test_odd_lines(self):
        """Nothing but the tool's own end comes of them."""
        for line in ("", " ", "mosquitto_rpc", "mosquitto_rpc 'call", "mosquitto_rpc call \\", "mosquitto_rpc -", "a " * 5000,
                     "mosquitto_rpc -p", "mosquitto_rpc -p x call ", "mosquitto_rpc --unknown call ", "mosquitto_rpc complete ",
                     "mosquitto_rpc call " + "x" * 70000, "mosquitto_rpc call 'a\nb' ", "mosquitto_rpc call updateSensor =",
                     "mosquitto_rpc call device/" + "/" * 3000, "mosquitto_rpc -L mqtt://x@ call "):
            run = self.run_tool(None, "complete", "--", line)
            self.assertEqual((run.status, run.errors), (0, ""), (line[:100], run))
        for part in ("", "x", "mosquitto_rpc", "x" * 100):
            self.assertEqual(self.run_tool(None, "complete", "--", "mosquitto_rpc call upd", part).status, 0)


if __name__ == "__main__":
    main()
