"""Clients of a listener with a mount_point.

The broker puts the mount point before every topic that such a client sends. From 2.0.12 on it also cuts
that many bytes off every topic it sends to one, whatever they are; before, it cut nothing. With
plugin_opt_mount_point a client there sees its Response Topic exactly as it gave it, on all versions.
"""
import json

from harness import BrokerTest, ask, ask_by_id, broker_version, error_of, main, payload_of, result_of
from mqtt import NOT_AUTHORIZED, RESPONSE_TOPIC

CUTS = broker_version() >= (2, 0, 12)


class MountPoint(BrokerTest):

    def setUp(self):
        self.running = self.start(["mount_point m/"], mount_point="m/")

    def mounted(self, version=5):
        return self.client(self.running, version, port=self.running.mounted_port)

    def test_response_topic(self):
        for topic in ("reply/to/me", "r", "m/r", "rpc/x", "ü" * 100):
            for qos in (0, 1, 2):
                with self.subTest(topic=topic, qos=qos):
                    self.assertEqual(result_of(ask(self.mounted(), "echo", "1", topic=topic, qos=qos)), 1)

    def test_request_id(self):
        for version in (3, 4, 5):
            with self.subTest(version=version):
                self.assertEqual(ask_by_id(self.mounted(version), "echo", {"a": 1}), {"result": {"a": 1}})

    def test_errors(self):
        self.assert_error(error_of(ask(self.mounted(), "echo", "{")), "parse_error", method="echo")
        self.assert_error(error_of(ask(self.mounted(), "nothing")), "method_not_found")

    def test_events(self):
        """Events reach the subscribers of the same listener."""
        inside, outside = self.mounted(), self.client(self.running)
        inside.subscribe("rpc/event/#")
        outside.subscribe("rpc/event/#")
        connection = self.mounted()
        ask(connection, "probe.count")
        connection.publish("rpc/call/echo", "{", qos=1)
        ask(connection, "probe.announce", {"text": "a"})
        for name in ("probeCounted", "error", "probeNoted", "probe/last"):
            self.assertEqual(inside.receive().topic, f"rpc/event/{name}" if CUTS else f"m/rpc/event/{name}")
        outside.expect_nothing()

    def test_calls_are_consumed(self):
        watchers = [self.mounted(), self.client(self.running)]
        for watcher in watchers:
            watcher.subscribe("#")
        connection = self.mounted()
        connection.publish("rpc/call/echo", "1", qos=1, retain=True)
        ask(connection, "echo", "1")
        for watcher in watchers:
            watcher.expect_nothing()

    def test_guards(self):
        watcher = self.mounted()
        watcher.subscribe("#")
        for topic in ("rpc/event/x", "rpc/call/echo/response/1"):
            self.assertEqual(self.mounted().publish(topic, "forged", qos=1, retain=True), NOT_AUTHORIZED)
        watcher.expect_nothing()

    def test_the_other_listener_is_still_served(self):
        client = self.client(self.running, 5)
        client.subscribe("rpc/event/#")
        self.assertEqual(result_of(ask(client, "echo", "1")), 1)
        self.assertEqual(ask_by_id(client, "echo"), {"result": {}})
        client.publish("rpc/call/ping", qos=1)
        self.assertEqual(client.receive().topic, "rpc/event/pong")

    def test_hostile_response_topics(self):
        connection, watcher = self.mounted(), self.mounted()
        watcher.subscribe("rpc/event/error")
        for topic in ("$SYS/x", "$share/g/t", "x" * 257):
            with self.subTest(topic=topic):
                connection.publish("rpc/call/probe.count", qos=1, properties=[(8, topic)])
                self.assert_error(watcher.receive(), "invalid_request")
        connection.expect_nothing()


class WithoutTheOption(BrokerTest):
    """Without plugin_opt_mount_point, the plugin does not serve calls of that listener, and other calls work."""

    def test_messages_pass(self):
        broker = self.start(mount_point="m/")
        connection, watcher = self.client(broker, 5, port=broker.mounted_port), self.client(broker)
        watcher.subscribe("m/#")
        connection.publish("rpc/call/echo", json.dumps({"request_id": "r"}), qos=1)
        self.assertEqual(watcher.receive().topic, "m/rpc/call/echo")
        connection.expect_nothing()
        self.assertEqual(payload_of(ask(self.client(broker, 5), "echo", "1")), 1)



class Subscribed(BrokerTest):
    """reply_delivery subscribed: replies lie below the mount point, like all that such a client subscribes to.
    2.0.11 shows it the topics whole, as it does those of events."""

    def test_replies(self):
        broker = self.start(["mount_point m/", "reply_delivery subscribed", "jsonrpc_methods *"], mount_point="m/")
        for version, mounted in ((4, True), (4, False), (5, True), (5, False)):
            with self.subTest(version=version, mounted=mounted):
                client = self.client(broker, version, port=broker.mounted_port if mounted else broker.port)
                own = f"rpc/reply/{client.client_id}/"
                client.subscribe(f"{own}#")
                for topic, payload, level in (
                    ("rpc/call/echo", '{"request_id":"7","a":1}', "7"),
                    ("rpc/jsonrpc", '{"jsonrpc":"2.0","method":"echo","params":[1],"id":"8:9"}', "8"),
                    ("rpc/batch/echo", '{"request_id":"9","calls":[1]}', "9"),
                ):
                    client.publish(topic, payload, qos=1)
                    self.assertEqual(client.receive().topic, ("m/" if mounted and not CUTS else "") + own + level)
                client.expect_nothing(0.05)

    def test_response_topics(self):
        broker = self.start(["mount_point m/", "reply_delivery subscribed"], mount_point="m/")
        client = self.client(broker, 5, port=broker.mounted_port)
        own = f"rpc/reply/{client.client_id}/mine"
        client.subscribe(own)
        client.publish("rpc/call/echo", "1", qos=1, properties=[(RESPONSE_TOPIC, own)])
        reply = client.receive()
        self.assertEqual((reply.topic, reply.payload), (own if CUTS else f"m/{own}", b"1"))


if __name__ == "__main__":
    main()
