# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""mosquitto_rpc events: what it prints of events, for programs and for people, and how it ends."""
import json
import os
import re
import signal
import unittest

from harness import PLUGIN, eventually, main
from machine import library
from tooltest import OK, REFUSED, USAGE, ToolTest

OPEN = ["guard_events false", "sensor_db :memory:", "device_db :memory:"]  # the test may publish any event
NUMBER = "12345678901234567890.5000"  # no double has all of its digits


class Events(ToolTest):
    def setUp(self):
        super().setUp()
        self.broker = self.start(OPEN, plugin=PLUGIN)
        self.publisher = self.client(self.broker, 5)

    def publish(self, event, payload, retain=False):
        self.publisher.publish(f"rpc/event/{event}", payload, qos=1, retain=retain)

    def watch(self, *words):
        """Events of the tool, which is subscribed when this returns: it has printed a retained one of each word."""
        process = self.enter(self.running(self.broker, "events", *words))
        return process, lambda: json.loads(process.stdout.readline())

    def enter(self, context):
        value = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return value

    def begin(self, *words):
        self.publish("begin", "0", retain=True)
        process, line = self.watch("begin", *words)
        eventually(lambda: line()["event"] == "begin")
        return process, line

    def test_lines_of_json(self):
        _, line = self.begin("sensor", "x/#")
        self.publish("sensor/attic", f' {{"value" : {NUMBER},\n "unit":"C"}} ')
        first = line()
        self.assertEqual({name: first[name] for name in ("event", "retained", "data")},
                         {"event": "sensor/attic", "retained": False, "data": json.loads(f'{{"value":{NUMBER},"unit":"C"}}')})
        self.assertGreater(first["time"], 1.7e9)
        self.publish("other", "1")
        self.publish("x/y/z", "[1]")
        self.assertEqual(line()["event"], "x/y/z")

    def test_numbers_keep_their_digits(self):
        process, _ = self.begin("x")
        self.publish("x", f'{{"value": {NUMBER}}}')
        self.assertIn(f'"data":{{"value":{NUMBER}}}', process.stdout.readline())

    def test_what_is_no_json(self):
        _, line = self.begin("x")
        for payload, member, value in (("hi there", "text", "hi there"), ("", "data", None), (b"\xff\x1b[2J", "text", None)):
            self.publish("x", payload)
            seen = line()
            self.assertIn(member, seen)
            if value or member == "data":
                self.assertEqual(seen[member], value)

    def test_retained_ones(self):
        self.publish("x", "1", retain=True)
        self.assertEqual([line["retained"] for line in self.run_tool(self.broker, "events", "x", "-C", "1").lines], [True])
        run = self.run_tool(self.broker, "events", "x", "-R", "--duration", "0.5")
        self.assertEqual((run.status, run.output), (OK, ""), run)

    def test_the_count(self):
        for number in range(3):
            self.publish(f"x/{number}", "1", retain=True)
        self.assertEqual(len(self.run_tool(self.broker, "events", "x", "-C", "2").lines), 2)

    def test_a_signal_is_the_end(self):
        """In order: the tool disconnects."""
        for number in (signal.SIGINT, signal.SIGTERM):
            process, _ = self.begin("x")
            self.assertEqual(self.end(process, number).status, OK)
        eventually(lambda: len(re.findall(r"Client rpc-\w+ disconnected", self.broker.log())) == 2)
        self.assertNotIn("closed its connection", self.broker.log())

    def test_a_misspelt_event(self):
        run = self.run_tool(self.broker, "events", "sensr", "sensor", "sensor/attic", "sensor/+", "error", "device",
                            "--duration", "1")
        self.assertEqual(run.status, OK)
        self.assertEqual(run.errors.count("declares no event"), 1, run)
        self.assertIn("no event sensr, did you mean sensor?", run.errors)

    @unittest.skipUnless(os.path.isabs(library("mosquitto_dynamic_security.so")), "there is no dynamic security")
    def test_a_subscription_that_the_broker_refuses(self):
        """The tool says so, with MQTT 3.1.1, too."""
        access = {"publishClientSend": True, "publishClientReceive": True, "subscribe": False, "unsubscribe": True}
        broker = self.make(plugins=[(str(library("mosquitto_dynamic_security.so")), ["config_file {directory}/acl.json"]),
                                    (PLUGIN, ["sensor_db :memory:", "device_db :memory:"])])
        (broker.directory / "acl.json").write_text(json.dumps({"defaultACLAccess": access, "clients": [], "groups": [
            {"groupname": "all", "roles": []}], "roles": [], "anonymousGroup": "all"}))
        broker.start()
        for version in ("5", "311"):
            run = self.run_tool(broker, "-V", version, "events", "sensor")
            self.assertEqual((run.status, run.output), (REFUSED, ""), run)
            self.assertIn("the broker has refused the subscription to rpc/event/sensor/#", run.errors)

    def test_no_filter(self):
        for word in ("a/#/b", "a+", ""):
            run = self.run_tool(self.broker, "events", word)
            self.assertEqual(run.status, USAGE, run)

    def test_on_a_terminal(self):
        """A line each, and nothing that the terminal would obey."""
        self.publish("x\u202ey", '"\x1b[2J\x07 \u202e"', retain=True)
        self.publish("z", '{"a":\n1}', retain=True)
        run = self.on_terminal(self.broker, "events", "z", "x\u202ey", "-C", "2")
        self.assertNotIn("\x1b", run.output)
        self.assertNotIn("\x07", run.output)
        self.assertNotIn("\u202e", run.output)
        self.assertRegex(run.output, r'(?m)^\d\d:\d\d:\d\d\.\d\d\d z +\{"a":1\} \(retained\)$')
        self.assertRegex(run.output, r'(?m)^\S+ x\\u\{202e\}y +"\\x1b\[2J\\x07 \\u\{202e\}"')

    def test_a_broker_that_restarts(self):
        process, line = self.begin("x")
        self.broker.stop()
        self.broker.start()
        again = self.client(self.broker, 5)
        again.publish("rpc/event/begin", "1", qos=1, retain=True)
        self.assertEqual(eventually(line)["event"], "begin")
        again.publish("rpc/event/x", "2", qos=1)
        self.assertEqual(line()["data"], 2)
        run = self.end(process)
        self.assertEqual(run.status, OK)
        self.assertRegex(run.errors, r"(?s); trying again\n.*connected again\n")


if __name__ == "__main__":
    main()
