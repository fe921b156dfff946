"""Calls over WebSockets, and how long their replies take.

On 2.0.x the broker serves WebSockets once per round of its loop, and a round waits up to 100 ms: a reply that is
published within a round is delayed unless the loop is woken once more.
"""
import itertools
import time
import unittest

from harness import (INSTRUMENTED, BrokerTest, ask, ask_by_id, error_of, has_websockets, main, patient, payload_of,
                     result_of)


@unittest.skipUnless(has_websockets(), "this broker has no WebSockets")
class WebSockets(BrokerTest):

    def setUp(self):
        self.running = self.start(websockets=True)

    def connect(self, version=5, **how):
        return self.client(self.running, version, port=self.running.websockets_port, websocket=True, **how)

    def test_calls(self):
        for version, qos in itertools.product((3, 4, 5), (0, 1, 2)):
            with self.subTest(version=version, qos=qos):
                self.assertEqual(ask_by_id(self.connect(version), "echo", {"a": 1}, qos=qos), {"result": {"a": 1}})

    def test_response_topic(self):
        client = self.connect()
        for qos in (0, 1, 2):
            self.assertEqual(result_of(ask(client, "echo", "1", qos=qos)), 1)
        self.assert_error(error_of(ask(client, "echo", "{")), "parse_error")

    def test_large_replies(self):
        self.assertEqual(len(result_of(ask(self.connect(), "probe.big", {"size": 60000}))["text"]), 60000)

    def test_events(self):
        watcher = self.connect(4)
        watcher.subscribe("rpc/event/#")
        self.connect(4).publish("rpc/call/probe.count", qos=1)
        self.assertEqual(payload_of(watcher.receive()), {"runs": 1})

    def test_connections_that_end_at_once(self):
        for _ in range(20):
            client = self.connect()
            client.publish("rpc/call/echo", '{"request_id":"r"}')
            client.close()
        self.assertEqual(result_of(ask(self.connect(), "echo", "1")), 1)

    @unittest.skipIf(INSTRUMENTED, "measures time")
    @patient
    def test_replies_are_not_delayed(self):
        """Without a wake-up, each would take the 100 ms of the broker's round. A busy machine delays some, and some of
        those over TCP as well."""
        clients = self.connect(), self.client(self.running, 5)
        took = [], []
        for _ in range(30):
            for client, times in zip(clients, took):
                start = time.monotonic()
                ask(client, "echo", "1", qos=0)
                times.append(time.monotonic() - start)
                time.sleep(0.01)
        self.assert_prompt(*took, limit=0.060, share=0.3)


if __name__ == "__main__":
    main()
