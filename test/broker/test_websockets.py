"""Calls over WebSockets, and how long their replies take.

On 2.0.x, and on 2.1 if it was built with libwebsockets, the broker serves WebSockets once per round of its loop, and a
round waits up to 100 ms: a reply that is published within a round is delayed unless the loop is woken once more.

Such brokers also ignore the address of a WebSockets listener, and listen on all, unless `socket_domain ipv4` stands
beside it.
"""
import itertools
import re
import socket
import time
import unittest

from harness import (INSTRUMENTED, ROOT, TEST_PLUGIN, BrokerTest, ask, ask_by_id, error_of, has_websockets,
                     listening, main, patient, payload_of, result_of)


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


@unittest.skipUnless(has_websockets(), "this broker has no WebSockets")
class LargeReplies(BrokerTest):
    """Many brokers of 2.0 write 4 kB of a message in a round."""

    LISTENER = ["listener {second_port} 127.0.0.1", "protocol websockets", "socket_domain ipv4",
                "allow_anonymous true", f"plugin {TEST_PLUGIN}", "plugin_opt_max_reply 300000"]
    SIZE = 250000
    UNWOKEN = SIZE / 4096 * 0.1  # s

    def check(self, *first):
        """A busy machine delays one reply more than another; unwoken, none of them would be in time."""
        broker = self.start(plugins=[], first=first, lines=self.LISTENER)
        client, took = self.client(broker, 5, port=broker.second_port, websocket=True), []
        for _ in range(3):
            start = time.monotonic()
            self.assertEqual(len(result_of(ask(client, "probe.big", {"size": self.SIZE}))["text"]), self.SIZE)
            took.append(time.monotonic() - start)
        print(f"    took {' '.join(f'{1000 * seconds:.0f}' for seconds in took)} ms")
        self.assertLess(min(took), self.UNWOKEN / 2)

    def test_one_setting(self):
        self.check()

    def test_per_listener_settings(self):
        self.check("per_listener_settings true")


# A line of a configuration, or a string of a program that writes one.
LISTENER = re.compile(r"""(?m)(?:^[ \t]*|["'])listener\b""")
WEBSOCKETS = re.compile(r"""(?m)(?:^[ \t]*|["'])protocol +websockets\b""")


def open_listeners(text):
    """The lines of listeners for WebSockets without `socket_domain ipv4`."""
    starts = [found.start() for found in LISTENER.finditer(text)]
    listeners = [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)])]
    return [listener for listener in listeners if WEBSOCKETS.search(listener) and "socket_domain ipv4" not in listener]


class Addresses(BrokerTest):
    """No WebSockets listener of a test, an example or a page is open to other machines."""

    def test_configurations(self):
        folders = ("test", "examples", "docs", "scripts", ".ci")
        paths = [path for folder in folders for path in (ROOT / folder).rglob("*")
                 if "node_modules" not in path.parts]
        paths += [*ROOT.glob("*.md"), *ROOT.glob("*.example"), *ROOT.glob("*.conf")]
        seen = 0
        for path in filter(lambda path: path.is_file() and path.name != "test_websockets.py", paths):
            text = path.read_text(errors="replace")
            seen += len(WEBSOCKETS.findall(text))
            self.assertEqual(open_listeners(text), [], path)
        self.assertGreater(seen, 2, "that of the harness, of the waking of the loop, and of the manual")

    def test_the_check_itself(self):
        good = "listener 1 ::1\n\n    listener 2 127.0.0.1\n    protocol websockets\n    socket_domain ipv4\n"
        self.assertEqual(open_listeners(good), [])
        self.assertEqual(len(open_listeners(good.replace("socket_domain ipv4", "allow_anonymous true"))), 1)
        self.assertEqual(len(open_listeners('["listener 1 ::1", "protocol websockets", "listener 2 ::1", "x"]')), 1)
        self.assertEqual(len(open_listeners("listener 1\nprotocol websockets\nlistener 2\nsocket_domain ipv4\n")), 1)

    @unittest.skipUnless(has_websockets(), "this broker has no WebSockets")
    def test_sockets(self):
        """start() checks every broker; here it is shown what it looks at."""
        broker = self.start(websockets=True, tls=True, mount_point="m/", lines=["listener {second_port} 127.0.0.1"])
        found = {port: str(address.ipv4_mapped) for address, port in listening() if port in broker.ports}
        self.assertEqual(found, {port: "127.0.0.1" for port in broker.ports})

    def test_an_open_socket_is_seen(self):
        broker = self.make(plugins=[])
        broker.pick_ports()
        for address, is_open in (("0.0.0.0", True), ("127.0.0.2", False)):
            with socket.socket() as server:
                server.bind((address, broker.second_port))
                server.listen()
                self.assertEqual(bool(broker.exposed()), is_open, address)


if __name__ == "__main__":
    main()
