# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Tests that run the tool again and again with a home of their own, while it goes on, and with a service of the test's
own. tool.py runs it."""
import contextlib
import json
import pathlib
import signal
import subprocess
import tempfile
import threading

from harness import TIMEOUT, BrokerTest
from mqtt import CONTENT_TYPE, CORRELATION_DATA, RESPONSE_TOPIC, USER_PROPERTY, Closed, Silence, property_of
from tool import TOOL, environment, on_terminal, tool

OK, ERROR, USAGE, DISCONNECTED, TIMED_OUT, REFUSED, FAILED = range(7)  # exit statuses


class Run:
    """How a run of the tool has ended: its exit status, its output, and what it printed on standard error."""

    def __init__(self, status, output, errors):
        self.status, self.output, self.errors = status, output, errors

    def __repr__(self):
        return f"exit {self.status}\n{self.output}\n{self.errors}"

    @property
    def json(self):
        return json.loads(self.output)

    @property
    def lines(self):
        """Lines of JSON."""
        return [json.loads(line) for line in self.output.splitlines()]


class ToolTest(BrokerTest):

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="rpc-home-")
        self.addCleanup(folder.cleanup)
        self.home = pathlib.Path(folder.name)

    def environment(self, **changes):
        return environment(HOME=str(self.home), XDG_CACHE_HOME="", **changes)

    def run_tool(self, broker, *words):
        return Run(*tool(broker, *words, env={"HOME": str(self.home), "XDG_CACHE_HOME": ""}))

    def call(self, broker, *words):
        """The result of a run that has to succeed."""
        run = self.run_tool(broker, *words)
        self.assertEqual((run.status, run.errors), (OK, ""), run)
        return run.json

    @contextlib.contextmanager
    def running(self, broker, *words):
        """The tool while it runs, with its output as a pipe."""
        with subprocess.Popen([TOOL, "-h", "127.0.0.1", "-p", str(broker.port), *words], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=self.environment()) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()

    def end(self, process, number=signal.SIGINT):
        """Ends it with a signal. Returns its exit status and the rest of its output."""
        process.send_signal(number)
        output, errors = process.communicate(timeout=TIMEOUT)
        return Run(process.returncode, output, errors)

    def on_terminal(self, broker, *words):
        """What the tool prints on a wide terminal, without colours."""
        code, content = on_terminal(broker, *words, columns=140, env={"NO_COLOR": "1"})
        return Run(code, content.decode().replace("\r\n", "\n"), "")

    def serve(self, broker, answers):
        """A service of the test's own, at a broker without the plugin: answers has the result of each method."""
        client = self.client(broker, 5)
        client.subscribe("rpc/call/#", qos=1)

        def answer():
            with contextlib.suppress(Closed, Silence, OSError):  # the end of the test
                while True:
                    call = client.receive()
                    client.publish(property_of(call, RESPONSE_TOPIC), json.dumps(answers[call.topic[len("rpc/call/"):]]),
                                   properties=[(CORRELATION_DATA, property_of(call, CORRELATION_DATA)),
                                               (CONTENT_TYPE, "application/json"), (USER_PROPERTY, ("status", "ok"))])
        threading.Thread(target=answer, daemon=True).start()
