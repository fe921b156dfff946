# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""docs/moving.md: what it shows after moving works as it stands, and what it shows before is code, too."""
import os
import re
import subprocess
import unittest

from harness import PLUGIN, ROOT, BrokerTest, main
from pages import blocks, here, run
from test_pages import fits, read, without_times

PAGE = (ROOT / "docs/moving.md").read_text()
PYTHON = os.environ.get("RPC_PAHO_PYTHON")
OPTIONS = re.findall(r"^ {4}plugin_opt_(.*)$", PAGE, re.MULTILINE)


class Moving(BrokerTest):

    def start_page(self):
        self.broker = self.start([*OPTIONS, "sensor_db :memory:"], plugin=PLUGIN)
        caller = self.client(self.broker)
        caller.publish("rpc/call/updateSensor", '{"sensor_id":"temp1","value":25.5}', qos=1)
        caller.ping()

    def test_commands(self):
        self.start_page()
        commands = [command for command in blocks(PAGE) if not command.startswith("curl")]
        shown = blocks(PAGE, "json")
        self.assertEqual(len(commands), len(shown))
        for command, answer in zip(commands, shown):
            with self.subTest(command=command):
                got = read(run(here(command, self.broker)))
                self.assertTrue(fits(self.timeless(read(answer)), self.timeless(got)), got)

    def timeless(self, answer):
        """Without the values of times, also of those in a response."""
        return without_times({name: without_times(value) for name, value in answer.items()})

    def test_python(self):
        before, after = blocks(PAGE, "py")
        compile(before, "before", "exec")
        if not PYTHON:
            raise unittest.SkipTest("there is no Python with paho-mqtt")
        self.start_page()
        code = after.replace('Client("localhost")', f'Client("127.0.0.1", {self.broker.port})')
        self.assertNotEqual(code, after)
        done = subprocess.run([PYTHON, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT / "clients/python")},
                              stdout=subprocess.PIPE, text=True, check=True, timeout=300)
        self.assertIn("'value': 25.5", done.stdout)


if __name__ == "__main__":
    main()
