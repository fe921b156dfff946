"""Sizes, memory, slow handlers, and the counters that tell an operator of them."""
import json

from harness import (INSTRUMENTED, SLOW, TIMEOUT, BrokerTest, ask, ask_by_id, error_of, eventually, main,
                     result_of)
from mqtt import MAXIMUM_PACKET_SIZE, RESPONSE_TOPIC, Silence


class Memory(BrokerTest):
    """T6: replies must not upset the broker's own count of its memory."""

    def test_memory_limit(self):
        broker = self.start(lines=["memory_limit 50000000", "sys_interval 1"], log_types=("notice", "information"))
        client = self.client(broker)  # with MQTT 5, some brokers themselves count wrong in the other direction
        payload = json.dumps({"request_id": "r", "a": "x" * 200})
        for number in range(3_000 if INSTRUMENTED else 30_000):
            client.publish("rpc/call/echo", payload)
            if number % 100 == 99:
                while len(client.inbox) < 100:
                    client.handle(client.read())
                client.inbox.clear()
        watcher = self.client(broker, 4)
        watcher.subscribe("$SYS/broker/heap/current")
        self.assertEqual(ask_by_id(client, "echo"), {"result": {}})
        for _ in range(2):
            try:
                self.assertIn(int(watcher.receive(5 * SLOW).payload), range(1, 2**26))
            except Silence:
                return  # a broker that does not count its memory, or whose figure stays the same

    def test_replies_larger_than_the_client_takes(self):
        """T8: the broker drops them; other messages must still arrive."""
        broker = self.start()
        small = self.client(broker, 5, properties=[(MAXIMUM_PACKET_SIZE, 200)])
        small.subscribe("news", "rpc/event/#", qos=1)
        for _ in range(30):
            small.publish("rpc/call/probe.big", '{"size":1000}', properties=[(RESPONSE_TOPIC, "r")])
        small.ping()
        self.assertFalse(small.inbox)
        other = self.client(broker)
        for number in range(5):
            other.publish("news", str(number), qos=1)
            self.assertEqual(small.receive().payload, str(number).encode())
        ask(small, "probe.big", {"size": 1}, qos=0, correlation=b"1", topic="r")


class Sizes(BrokerTest):

    def test_max_payload(self):
        broker = self.start(["max_payload 1k"])
        client, watcher = self.client(broker, 5), self.client(broker)
        watcher.subscribe("rpc/event/error")
        for size, fits in ((1024, True), (1025, False), (300_000, False)):
            with self.subTest(size=size):
                reply = ask(client, "echo", '"' + "x" * (size - 2) + '"')
                if fits:
                    self.assertEqual(len(result_of(reply)), size - 2)
                else:
                    self.assert_error(error_of(reply), "payload_too_large", method="echo")
        self.assertEqual(result_of(ask(client, "probe.bytes", b"\x00" * 1024)), {"size": 1024})
        self.assert_error(error_of(ask(client, "probe.bytes", b"\x00" * 1025)), "payload_too_large")
        watcher.expect_nothing()
        client.publish("rpc/call/echo", json.dumps({"request_id": "r", "a": "x" * 2000}), qos=1)
        watched = watcher.receive() if not client.inbox else client.receive()
        self.assertIn(b"payload_too_large", watched.payload)

    def test_max_reply(self):
        broker = self.start(["max_reply 2k"])
        client = self.client(broker, 5)
        self.assertEqual(len(result_of(ask(client, "probe.big", {"size": 2000}))["text"]), 2000)
        for size in (2100, 1_000_000):
            self.assert_error(error_of(ask(client, "probe.big", {"size": size})), "reply_too_large")
        self.assert_error(ask_by_id(client, "probe.big", {"size": 3000})["error"], "reply_too_large")
        self.assertLess(len(ask(client, "probe.big", {"size": 3000}).payload), 2048)

    def test_max_reply_of_events(self):
        broker = self.start(["max_reply 2k"])
        client, watcher = self.client(broker, 5), self.client(broker)
        watcher.subscribe("rpc/event/#")
        self.assert_error(error_of(ask(client, "probe.announce", {"text": "x" * 3000})), "reply_too_large")
        watcher.expect_nothing()

    def test_large_ones_within_raised_limits(self):
        client = self.client(self.start(["max_payload 2m", "max_reply 2m"]), 5)
        text = "x" * 1_000_000
        self.assertEqual(result_of(ask(client, "echo", json.dumps(text))), text)


class Counters(BrokerTest):
    """$SYS/broker/rpc/{prefix}/…: retained, by prefix."""

    NAMES = ("calls", "errors", "unknown", "replies", "events", "refused", "dropped", "slow")

    def read_counters(self, client, prefix, until):
        """Takes the counters as they come, until the condition holds."""
        found = {}
        while not (set(found) >= set(self.NAMES) and until(found)):
            message = client.receive(3 * TIMEOUT)
            name = message.topic.removeprefix(f"$SYS/broker/rpc/{prefix}/")
            if name in self.NAMES:
                found[name] = int(message.payload)
        return found

    def test_without_ticks(self):
        """Before 2.0.15 the broker sends no TICK with per_listener_settings; then calls take its place."""
        broker = self.start(["sys_interval 1s"], first=["per_listener_settings true"])
        watcher, client = self.client(broker), self.client(broker)
        watcher.subscribe("$SYS/broker/rpc/rpc/#")
        client.publish("rpc/call/echo", "1", qos=1)
        self.read_counters(watcher, "rpc", lambda found: found["calls"] == 1)

    def test_values(self):
        broker = self.start(["sys_interval 1s", "prefix a b/c", "slow_call 50ms"])
        watcher, client = self.client(broker), self.client(broker, 5)
        watcher.subscribe("$SYS/broker/rpc/b/c/#")
        for _ in range(3):
            ask(client, "echo", "1", prefix="b/c")
        ask(client, "echo", "{", prefix="b/c")
        client.publish("b/c/call/echo", "{", qos=1)
        ask(client, "nothing", prefix="b/c")
        ask(client, "probe.count", prefix="b/c")
        ask(client, "probe.sleep", {"ms": 200}, prefix="b/c")
        client.publish("b/c/event/x", "forged", qos=1)
        client.publish("b/c/call/echo/response/x", "forged", qos=1)
        found = self.read_counters(watcher, "b/c", lambda found: found["refused"] >= 2 and found["slow"])
        self.assertGreaterEqual(found["calls"], 7)
        self.assertEqual(found["unknown"], 1)
        self.assertGreaterEqual(found["errors"], 2)
        self.assertEqual(found["replies"], 7)
        self.assertEqual(found["events"], 2)
        self.assertEqual(found["refused"], 2)
        other = self.client(broker)
        other.subscribe("$SYS/broker/rpc/a/#")
        self.assertEqual(set(self.read_counters(other, "a", lambda found: True).values()), {0})

    def test_retained(self):
        broker = self.start(["sys_interval 1s"])
        first = self.client(broker)
        first.subscribe("$SYS/broker/rpc/rpc/calls")
        self.assertEqual(int(first.receive(3 * TIMEOUT).payload), 0)
        late = self.client(broker)
        late.subscribe("$SYS/broker/rpc/rpc/calls")
        self.assertTrue(late.receive().retain)

    def test_they_follow(self):
        broker = self.start(["sys_interval 1s"])
        watcher, client = self.client(broker), self.client(broker, 5)
        watcher.subscribe("$SYS/broker/rpc/rpc/calls")
        for wanted in (2, 4):
            ask(client, "echo", "1")
            ask(client, "echo", "1")
            eventually(lambda: int(watcher.receive(3 * TIMEOUT).payload) == wanted)

    def test_off(self):
        broker = self.start(["sys_interval 0"])
        watcher, client = self.client(broker), self.client(broker, 5)
        watcher.subscribe("$SYS/broker/rpc/#")
        ask(client, "echo", "1")
        watcher.expect_nothing(2)

    def test_clients_cannot_write_them(self):
        broker = self.start(["sys_interval 1s"])
        watcher = self.client(broker)
        watcher.subscribe("$SYS/broker/rpc/rpc/calls")
        self.client(broker).publish("$SYS/broker/rpc/rpc/calls", "99", qos=0, retain=True)
        self.assertEqual(int(watcher.receive(3 * TIMEOUT).payload), 0)


class SlowCalls(BrokerTest):

    def test_logged(self):
        broker = self.start(["slow_call 100ms"])
        client = self.client(broker, 5)
        ask(client, "probe.sleep", {"ms": 300})
        self.assertIn("probe.sleep", broker.wait_log("(?i)(?m)^.*(slow|took).*$").group())

    def test_the_log_is_not_filled(self):
        broker = self.start(["slow_call 1ms"])
        client = self.client(broker, 5)
        for _ in range(200):
            client.publish("rpc/call/probe.sleep", '{"ms":3}')
        ask(client, "echo", "1")
        lines = [line for line in broker.log().splitlines() if "probe.sleep" in line and "Received" not in line]
        self.assertLess(len(lines), 100)


if __name__ == "__main__":
    main()
