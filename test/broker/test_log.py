"""What the log tells people who try the plugin for the first time."""
import re
import unittest

from harness import PLUGIN, BrokerTest, ask, ask_by_id, has_websockets, main, result_of

DELAY = "the line set_tcp_nodelay true"


class Start(BrokerTest):
    """The line that says what runs."""

    def line(self, options):
        broker = self.start(options, plugin=PLUGIN)
        return broker, broker.wait_log(r"mosquitto-rpc (\d+\.\d+\.\d+): (\d+) modules, (\d+) methods; (.*)\n").groups()

    def test_counts_and_databases(self):
        broker, (version, modules, methods, rest) = self.line(["sensor_db :memory:", "device_db some/devices.db"])
        described = result_of(ask(self.client(broker, 5), "rpc.list", {}))
        self.assertEqual(int(methods), len(described["methods"]))
        self.assertEqual(version, result_of(ask(self.client(broker, 5), "rpc.discover", {}))["info"]["version"])
        self.assertGreater(int(modules), 4)
        self.assertIn("sensor_db :memory:", rest)
        self.assertIn(f"device_db {broker.directory}/some/devices.db", rest)
        self.assertTrue(rest.endswith("; prefix rpc"), rest)

    def test_modules_that_are_off(self):
        _, (_, modules, methods, rest) = self.line(["modules ping", "prefix one two/rpc", "sensor_db /nowhere/s.db"])
        self.assertEqual((modules, methods), ("1", "1"))
        self.assertEqual(rest, "prefixes one two/rpc")


class PrivateReplies(BrokerTest):
    """People wait for a reply in another client than the one that called: the log says once that it is private."""

    def lines(self, broker, client_id=r"\S+"):
        return re.findall(rf"mosquitto-rpc: reply to {client_id} only: replies go to the client that called", broker.log())

    def test_once_for_each_client(self):
        broker = self.start()
        for name in ("first", "second"):
            for version in (5, 4, 5):
                client = self.client(broker, version, client_id=name)
                for _ in range(3):
                    if version == 5:
                        ask(client, "ping", {})
                    ask_by_id(client, "ping", {})
                client.disconnect()
            self.assertEqual(len(self.lines(broker, name)), 1)

    def test_calls_without_replies(self):
        broker = self.start()
        client = self.client(broker, 5)
        client.publish("rpc/call/ping", "{}", qos=1)
        ask(client, "ping", {})
        self.assertEqual(len(self.lines(broker)), 1)

    def test_many_clients(self):
        broker = self.start()
        for number in range(25):
            client = self.client(broker, 5, client_id=f"client{number}")
            ask(client, "ping", {})
            client.disconnect()
        self.assertEqual(len(self.lines(broker)), 20)

    def test_subscribed(self):
        broker = self.start(["reply_delivery subscribed"])
        client = self.client(broker, 5, client_id="me")
        client.subscribe("rpc/reply/me/#")
        ask(client, "ping", {}, topic="rpc/reply/me/1")
        self.assertEqual(self.lines(broker), [])

    def test_hostile_names(self):
        broker = self.start()
        ask(self.client(broker, 5, client_id="a#\"é%s" + 2000 * "x"), "ping", {})
        self.assertEqual(len(self.lines(broker)), 1)


class Delay(BrokerTest):
    """TCP delays replies unless the broker is told not to let it."""

    def check(self, expected, first=(), **how):
        broker = self.start(first=first, **how)
        port = broker.websockets_port if how else broker.port
        for _ in range(2):
            client = self.client(broker, 5, port=port, websocket=bool(how))
            self.assertTrue(result_of(ask(client, "ping", {}))["ok"])
        self.assertEqual(broker.log().count(DELAY), expected)

    def test_by_default(self):
        self.check(1)

    def test_switched_off(self):
        self.check(0, ["set_tcp_nodelay true"])

    @unittest.skipUnless(has_websockets(), "this broker has no WebSockets")
    def test_websockets(self):
        self.check(0, websockets=True)


if __name__ == "__main__":
    main()
