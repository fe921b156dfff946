"""Calls that take time, in all their forms, and their effect on other clients: none.

See test_slow_limits.py for deadlines and overload, test_slow_ends.py for connections that end, test_slow_stop.py for
brokers that stop, and test_slow_latency.py for times.
"""
import contextlib
import json
import signal
import time
import unittest

from harness import (INSTRUMENTED, SLOW, TIMEOUT, ask_by_id, encode, eventually, has_websockets, main, patient,
                     payload_of)
from mqtt import RESPONSE_TOPIC, Silence
from slow_calls import AT_ONCE, Range, SlowTest, show


class Others(SlowTest):
    """While work sleeps, calls of other clients are not delayed."""

    @patient
    def test_ten_seconds(self):
        """Pings, calls, other work, clients that come and go, and every kind of connection."""
        broker = self.start(["timeout_max 10m", "timeout 10m", "workers 3"], websockets=has_websockets())
        sleeper, other, second = (self.client(broker, 5) for _ in range(3))
        began, pings, calls, works = time.monotonic(), [], [], []
        sleeping = self.call(sleeper, "slow.sleep", {"ms": 10000 * self.pace})
        while time.monotonic() < began + 9 * self.pace:
            start = time.monotonic()
            other.ping()
            pings.append(time.monotonic() - start)
            calls.append(self.timed(other, "echo", 1)[2])
            works.append(self.timed(second, "slow.sleep", {"ms": 5})[2])
            visitor = self.client(broker, 4, **(
                {"port": broker.websockets_port, "websocket": True} if has_websockets() else {}))
            self.assertEqual(ask_by_id(visitor, "echo", {"a": 1}), {"result": {"a": 1}})
            visitor.disconnect()
        for what, times in (("ping", pings), ("inline call", calls), ("5 ms of work", works)):
            show(what, times)
            self.assertLess(max(times), AT_ONCE * self.pace)
        self.assertFalse(sleeper.inbox)
        self.assertEqual(self.reply(sleeper, TIMEOUT + 10 * self.pace)[:2], (sleeping, "ok"))
        self.assertGreaterEqual(time.monotonic() - began, 10 * self.pace)

    @patient
    def test_more_work_than_threads(self):
        """Work waits for a thread; calls that need none do not."""
        broker = self.start(["workers 2", "timeout 60s"])
        sleeper, other = self.client(broker, 5), self.client(broker, 5)
        began = time.monotonic()
        identities = [self.call(sleeper, "slow.sleep", {"ms": 1000 * self.pace}) for _ in range(6)]
        self.assert_quick(other)
        self.assertEqual(self.stats(broker)["finished"], 0)
        self.assertEqual(set(self.replies(sleeper, 6, TIMEOUT + 5 * self.pace)), set(identities))
        self.assertGreater(time.monotonic() - began, 2.9 * self.pace)
        self.assert_settled(broker)

    @patient
    def test_side_by_side(self):
        broker = self.start(["workers 8"])
        client = self.client(broker, 5)
        began = time.monotonic()
        for _ in range(8):
            self.call(client, "slow.sleep", {"ms": 1000 * self.pace}, qos=0)
        self.assertEqual({status for status, _ in self.replies(client, 8).values()}, {"ok"})
        self.assertLess(time.monotonic() - began, 7 * self.pace)

    @patient
    def test_quick_work_overtakes(self):
        client = self.client(self.start(["workers 2"]), 5)
        late = self.call(client, "slow.sleep", {"ms": 1000 * self.pace})
        soon = self.call(client, "slow.sleep", {"ms": 10})
        self.assertEqual(list(self.replies(client, 2)), [soon, late])


class Lanes(SlowTest):

    def orders(self, client, identities):
        """The position of each call among all that have begun."""
        found = self.replies(client, len(identities))
        return [found[identity][1]["order"] for identity in identities]

    def test_one_at_a_time_in_order(self):
        broker = self.start(["workers 4"])
        client = self.client(broker, 5)
        began = time.monotonic()
        identities = [self.call(client, "slow.sleep", {"ms": 100 - 10 * number, "lane": "a"}) for number in range(8)]
        found = self.replies(client, 8)
        self.assertEqual(list(found), identities)
        self.assertEqual([content["order"] for _, content in found.values()], list(range(1, 9)))
        self.assertGreaterEqual(time.monotonic() - began, sum(100 - 10 * number for number in range(8)) / 1000)

    def test_clients_share_a_lane(self):
        broker = self.start(["workers 4"])
        clients = [self.client(broker, 5) for _ in range(4)]
        began = time.monotonic()
        for client in clients:
            self.call(client, "slow.sleep", {"ms": 150, "lane": "a"})
        orders = [self.reply(client)[2]["order"] for client in clients]
        self.assertEqual(orders, [1, 2, 3, 4])
        self.assertGreaterEqual(time.monotonic() - began, 0.6)

    @patient
    def test_a_lane_keeps_no_thread(self):
        """Ten calls wait in one lane; there are two threads, and one of them is free."""
        broker = self.start(["workers 2", "timeout 60s"])
        client, other = self.client(broker, 5), self.client(broker, 5)
        for _ in range(10):
            self.call(client, "slow.sleep", {"ms": 300 * self.pace, "lane": "a"})
        for lane in ("b", None):
            params = {"ms": 10, **({"lane": lane} if lane else {})}
            status, _, took = self.timed(other, "slow.sleep", params)
            self.assertEqual(status, "ok")
            self.assertLess(took, 2 * self.pace)
        self.assertLess(self.stats(broker)["finished"], 10)
        self.replies(client, 10, TIMEOUT + 4 * self.pace)

    @patient
    def test_prefixes_share_no_lane(self):
        broker = self.start(["prefix one two", "workers 1"])
        client = self.client(broker, 5)
        first = self.call(client, "slow.sleep", {"ms": 1000 * self.pace, "lane": "a"}, prefix="one")
        second = self.call(client, "slow.sleep", {"ms": 10, "lane": "a"}, prefix="two")
        self.assertEqual(list(self.replies(client, 2)), [second, first])
        for prefix in ("one", "two"):
            self.assertEqual(self.stats(broker, prefix)["started"], 1)

    @patient
    def test_all_of_a_lane_at_once(self):
        """The first job runs alone, and the waiting ones of the lane then run together."""
        broker = self.start(["workers 4"])
        client = self.client(broker, 5)
        identities = [self.call(client, "slow.group", {"ms": 400 * self.pace, "lane": "db"}) for _ in range(20)]
        found = self.replies(client, 20)
        self.assertEqual(list(found), identities)
        groups = [content["group"] for _, content in found.values()]
        self.assertIn(groups[-1], range(10, 21))
        self.assert_settled(broker)


class Priorities(SlowTest):

    @patient
    def test_the_urgent_go_first(self):
        broker = self.start(["workers 1"])
        client = self.client(broker, 5)
        blocking = self.call(client, "slow.sleep", {"ms": 500 * self.pace})
        self.wait_for_stats(broker, begun=1)
        low, normal, high = (self.call(client, method) for method in ("slow.low", "slow.sleep", "slow.high"))
        self.assertEqual(list(self.replies(client, 4)), [blocking, high, normal, low])

    @patient
    def test_no_call_starves(self):
        """An endless series of urgent calls delays the others, but not for ever."""
        broker = self.start(["workers 1", "timeout 60s"])
        client = self.client(broker, 5)
        blocking = self.call(client, "slow.sleep", {"ms": 500 * self.pace})
        self.wait_for_stats(broker, begun=1)
        low, normal = self.call(client, "slow.low"), self.call(client, "slow.sleep")
        urgent = [self.call(client, "slow.high", {"ms": 1}) for _ in range(60)]
        order = list(self.replies(client, 63))
        self.assertEqual(order[:2], [blocking, urgent[0]])
        self.assertLess(order.index(normal), 15)
        self.assertLess(order.index(normal), order.index(low))
        self.assertLess(order.index(low), 40)


class Forms(SlowTest):
    """Every way to call."""

    def setUp(self):
        self.running = self.start(["workers 4", "jsonrpc_methods *"], websockets=has_websockets())

    def test_request_id(self):
        for version in (3, 4, 5):
            for qos in (0, 1, 2):
                with self.subTest(version=version, qos=qos):
                    content = ask_by_id(self.client(self.running, version), "slow.sleep", {"ms": 20}, qos=qos)
                    self.assertTrue(content["result"]["wanted"])
                    content = ask_by_id(self.client(self.running, version), "slow.sleep", {"fail": True}, qos=qos)
                    self.assert_error(content["error"], "bad_dream", method="slow.sleep")

    def test_response_topic(self):
        client = self.client(self.running, 5)
        for qos in (0, 1, 2):
            status, content = self.outcome(client, "slow.sleep", {"ms": 20}, qos=qos)
            self.assertEqual((status, content["group"]), ("ok", 1))
            status, content = self.outcome(client, "slow.sleep", {"ms": 1, "fail": True}, qos=qos)
            self.assertEqual(status, "bad_dream")
            self.assert_error(content, "bad_dream", msg="it slept 1 ms and had a bad dream")
        status, content = self.outcome(client, "slow.sleep", {"ms": -1})
        self.assertEqual(status, "invalid_params")

    def test_qos_of_the_reply(self):
        client = self.client(self.running, 5)
        for qos in (0, 1, 2):
            self.call(client, "slow.sleep", {"ms": 20}, qos=qos)
            self.assertEqual(client.receive().qos, qos)

    def test_twice(self):
        """A done starts a second job."""
        client = self.client(self.running, 5)
        self.assertEqual(self.outcome(client, "slow.twice", {"ms": 20})[0], "ok")
        self.wait_for_stats(self.running, started=2, dones=2, begun=2, finished=2)

    def test_raw_bytes(self):
        client = self.client(self.running, 5)
        for content in (b"", b"\0\1\2", bytes(range(256)) * 200):
            self.assertEqual(self.outcome(client, "slow.sum", content), ("ok", {"total": sum(content)}))

    def test_events(self):
        """A result is always announced; an error only if its caller asked for no reply."""
        watcher, client = self.client(self.running), self.client(self.running, 5)
        watcher.subscribe("rpc/event/#")
        self.outcome(client, "slow.sleep", {"ms": 20})
        self.assertEqual(watcher.receive().topic, "rpc/event/slept")
        self.outcome(client, "slow.sleep", {"ms": 20, "fail": True})
        client.publish("rpc/call/slow.sleep", '{"ms":20}', qos=1)
        self.assertEqual(watcher.receive().topic, "rpc/event/slept")
        client.publish("rpc/call/slow.sleep", '{"ms":20,"fail":true}', qos=1)
        message = watcher.receive()
        self.assertEqual(message.topic, "rpc/event/sleptBadly")
        self.assert_error(message, "bad_dream")
        client.publish("rpc/call/slow.brief", '{"ms":1000}', qos=1)
        message = watcher.receive()
        self.assertEqual(message.topic, "rpc/event/error")
        self.assert_error(message, "timeout", method="slow.brief")

    def test_batch(self):
        """Items end in any order; the reply has them in the order of the batch."""
        client = self.client(self.running, 5)
        items = [{"ms": 300}, {"ms": 1}, {"ms": -5}, {"ms": 100, "fail": True}, {"ms": 0}]
        status, content = self.outcome(client, "slow.sleep", items, kind="batch")
        self.assertEqual(status, "ok")
        self.assertEqual([next(iter(item)) for item in content], ["result", "result", "error", "error", "result"])
        self.assertEqual([item["error"]["err"] for item in content[2:4]], ["invalid_params", "bad_dream"])
        client.publish("rpc/batch/slow.sleep", json.dumps({"request_id": "b", "calls": items}), qos=1)
        message = client.receive()
        self.assertEqual(message.topic, "rpc/call/slow.sleep/response/b")
        self.assertEqual([next(iter(item)) for item in payload_of(message)["result"]],
                         ["result", "result", "error", "error", "result"])

    def test_full_batch(self):
        client = self.client(self.running, 5)
        status, content = self.outcome(client, "slow.sleep", 100 * [{"ms": 2}], kind="batch")
        self.assertEqual((status, len(content)), ("ok", 100))
        self.assertEqual(sorted(item["result"]["order"] for item in content), list(range(1, 101)))
        self.assert_settled(self.running)

    @patient
    def test_batch_with_a_late_item(self):
        """The whole batch waits for the late item until its deadline."""
        client = self.client(self.running, 5)
        status, content, took = self.timed(client, "slow.brief", [{"ms": 5}, {"ms": 2000 * self.pace}, {"ms": 10}], kind="batch",
                                           timeout=200 * self.pace)
        self.assertEqual(status, "ok")
        self.assertIn("result", content[0])
        self.assert_error(content[1]["error"], "timeout", method="slow.brief")
        self.assertIn("result", content[2])
        self.assertLess(took, 1.5 * self.pace)

    def request(self, number, params, method="slow.sleep"):
        return {"jsonrpc": "2.0", "method": method, "id": number, "params": params}

    def test_jsonrpc(self):
        for version in (4, 5):
            client = self.client(self.running, version)
            client.publish("rpc/call/slow.sleep", json.dumps(self.request("7:1", {"ms": 20})), qos=1)
            message = client.receive()
            self.assertEqual(message.topic, "rpc/call/slow.sleep/response/7")
            self.assertEqual(payload_of(message)["id"], "7:1")
            self.assertTrue(payload_of(message)["result"]["wanted"])
            client.publish("rpc/call/slow.brief", json.dumps(self.request("7:2", [1000], "slow.brief")), qos=1)
            error = payload_of(client.receive())["error"]
            self.assertEqual(error["code"], -32000)
            self.assert_error(error["data"], "timeout", method="slow.brief")

    def test_jsonrpc_batch(self):
        """Slow and quick requests, a notification and an invalid request."""
        client, watcher = self.client(self.running, 5), self.client(self.running)
        watcher.subscribe("rpc/event/slept")
        requests = [self.request(1, {"ms": 200}), self.request(2, [], "ping"), 5,
                    {"jsonrpc": "2.0", "method": "slow.sleep", "params": {"ms": 50}},
                    self.request(3, {"ms": 1, "fail": True}), self.request(4, {"ms": 1000}, "slow.brief"),
                    self.request(5, {"ms": 1})]
        client.publish("rpc/jsonrpc", json.dumps(requests), qos=1, properties=[(RESPONSE_TOPIC, "r")])
        found = payload_of(client.receive())
        self.assertEqual([item["id"] for item in found], [1, 2, None, 3, 4, 5])
        self.assertEqual([item.get("error", {}).get("code") for item in found],
                         [None, None, -32600, -32010, -32000, None])
        self.assertEqual([watcher.receive().topic for _ in range(3)], 3 * ["rpc/event/slept"])
        client.expect_nothing(0)

    def test_only_notifications(self):
        client, watcher = self.client(self.running, 5), self.client(self.running)
        watcher.subscribe("rpc/event/slept")
        notes = 3 * [{"jsonrpc": "2.0", "method": "slow.sleep", "params": {"ms": 5}}]
        client.publish("rpc/jsonrpc", json.dumps(notes), qos=1, properties=[(RESPONSE_TOPIC, "r")])
        for _ in notes:
            watcher.receive()
        client.expect_nothing(0.1)

    @unittest.skipUnless(has_websockets(), "this broker has no WebSockets")
    def test_websockets(self):
        for version in (4, 5):
            client = self.client(self.running, version, port=self.running.websockets_port, websocket=True)
            for qos in (0, 1, 2):
                self.assertIn("result", ask_by_id(client, "slow.sleep", {"ms": 20}, qos=qos))
        self.assertEqual(self.outcome(client, "slow.brief", {"ms": 2000})[0], "timeout")

    def test_large_reply_of_a_batch(self):
        """If the reply does not fit, one error replaces it."""
        broker = self.start(["max_reply 1k"])
        client = self.client(broker, 5)
        status, _ = self.outcome(client, "slow.sleep", 100 * [{"ms": 1}], kind="batch")
        self.assertEqual(status, "reply_too_large")
        self.assert_settled(broker)


class Deferred(SlowTest):
    """Deferred calls, which wait for an event and not for work."""

    def test_resumed_by_another_call(self):
        broker = self.start()
        clients = [self.client(broker, version) for version in (3, 4, 5)]
        teller = self.client(broker, 5)
        for number, client in enumerate(clients):
            client.publish("rpc/call/slow.wait", f'{{"name":"a","request_id":"{number}"}}', qos=number)
        self.wait_for_stats(broker, started=3)
        self.assertEqual(self.outcome(teller, "slow.tell", {"name": "b", "text": "x"}), ("ok", {"n": 0}))
        for client in clients:
            self.assertFalse(client.inbox)
        self.assertEqual(self.outcome(teller, "slow.tell", {"name": "a", "text": "hello"}), ("ok", {"n": 3}))
        for number, client in enumerate(clients):
            self.assertEqual(payload_of(client.receive()), {"request_id": str(number), "result": {"text": "hello"}})
        self.wait_for_stats(broker, dones=3, in_time=3, begun=0)

    @patient
    def test_no_worker_is_needed(self):
        broker = self.start(["workers 1"])
        client, other = self.client(broker, 5), self.client(broker, 5)
        self.call(client, "slow.sleep", {"ms": 2000 * self.pace})
        began = time.monotonic()
        self.assertEqual(self.outcome(other, "slow.alarm", {"ms": 200}), ("ok", {"text": "it rang"}))
        self.assertIn(time.monotonic() - began, Range(0.2, 0.2 + 1.5 * self.pace))

    @patient
    def test_alarms_in_their_order(self):
        client = self.client(self.start(), 5)
        identities = [self.call(client, "slow.alarm", {"ms": ms * self.pace}, qos=0) for ms in (900, 500, 100)]
        self.assertEqual(list(self.replies(client, 3)), identities[::-1])

    def test_in_a_batch(self):
        broker = self.start()
        client, teller = self.client(broker, 5), self.client(broker, 5)
        self.call(client, "slow.wait", [{"name": "a"}, {"name": "b"}, {"name": "a"}], kind="batch")
        self.wait_for_stats(broker, started=3)
        self.outcome(teller, "slow.tell", {"name": "b", "text": "two"})
        client.expect_nothing(0.1)
        self.outcome(teller, "slow.tell", {"name": "a", "text": "one"})
        self.assertEqual(self.reply(client)[2], [{"result": {"text": text}} for text in ("one", "two", "one")])

    def test_resumed_in_the_same_batch(self):
        """A call ends another one of its batch while the batch still runs."""
        client = self.client(self.start(["jsonrpc_methods *"]), 5)
        requests = [("slow.wait", {"name": "a"}), ("slow.tell", {"name": "a", "text": "x"}),
                    ("slow.wait", {"name": "c"}), ("slow.tell", {"name": "c", "text": "y"})]
        client.publish("rpc/jsonrpc", encode([{"jsonrpc": "2.0", "method": method, "params": params, "id": number}
                                              for number, (method, params) in enumerate(requests)]),
                       qos=1, properties=[(RESPONSE_TOPIC, "r")])
        self.assertEqual([item["result"] for item in payload_of(client.receive())],
                         [{"text": "x"}, {"n": 1}, {"text": "y"}, {"n": 1}])

    def test_timer(self):
        """The timer of a module runs without calls."""
        broker = self.start(["sys_interval 0"], lines=["sys_interval 0"])
        began = time.monotonic()
        self.outcome(self.client(broker, 5), "slow.tick", {"ms": 20})
        eventually(lambda: time.sleep(2) or self.stats(broker)["ticks"] > 20)
        ticks = self.stats(broker)["ticks"]
        self.assertLessEqual(ticks, (time.monotonic() - began) / 0.02)
        self.outcome(self.client(broker, 5), "slow.tick", {"ms": 0})
        ticks = self.stats(broker)["ticks"]
        time.sleep(0.3)
        self.assertEqual(self.stats(broker)["ticks"], ticks)

    def test_background_work(self):
        broker = self.start()
        client = self.client(broker, 5)
        for _ in range(10):
            self.assertEqual(self.outcome(client, "slow.background", {"ms": 50})[0], "ok")
        self.wait_for_stats(broker, backgrounds=10, started=0)


class Routes(SlowTest):
    """Replies with a mount point, to subscribers, and with two prefixes."""

    def test_mount_point(self):
        broker = self.start(["mount_point m/"], mount_point="m/")
        for version in (4, 5):
            client = self.client(broker, version, port=broker.mounted_port)
            for qos in (0, 1, 2):
                self.assertIn("result", ask_by_id(client, "slow.sleep", {"ms": 20}, qos=qos))
        for topic in ("r", "reply/to/me", "m/r"):
            self.call(client, "slow.sleep", {"ms": 20}, topic=topic)
            self.assertEqual(client.receive().topic, topic)
        self.call(client, "slow.brief", {"ms": 1000}, topic="reply/to/me")
        message = client.receive()
        self.assertEqual((message.topic, payload_of(message)["err"]), ("reply/to/me", "timeout"))
        outside = self.client(broker, 5)
        self.assertEqual(self.outcome(outside, "slow.sleep", {"ms": 20})[0], "ok")

    def test_subscribed(self):
        broker = self.start(["reply_delivery subscribed"])
        client, spy = self.client(broker, 5, client_id="me"), self.client(broker, 5, client_id="spy")
        client.subscribe("rpc/reply/me/#")
        topic = "rpc/reply/me/x"
        for qos in (0, 1, 2):
            self.call(client, "slow.sleep", {"ms": 20}, qos=qos, topic=topic)
            message = client.receive()
            self.assertEqual((message.topic, message.qos), (topic, qos))
        self.call(client, "slow.brief", {"ms": 1000}, topic=topic)
        self.assertEqual(self.reply(client)[1], "timeout")
        self.call(spy, "slow.sleep", {"ms": 20}, topic="rpc/reply/spy/x")
        spy.expect_nothing(0.2)

    @patient
    def test_two_prefixes(self):
        broker = self.start(["prefix prod/rpc dev/rpc", "workers 1", "max_pending 2"])
        client = self.client(broker, 5)
        for _ in range(3):
            self.call(client, "slow.sleep", {"ms": 1000 * self.pace}, prefix="prod/rpc")
            time.sleep(0.1)
        self.assertEqual(self.outcome(client, "slow.sleep", prefix="prod/rpc")[0], "overloaded")
        self.assertEqual(self.timed(client, "slow.sleep", {"ms": 10}, prefix="dev/rpc")[0], "ok")
        self.call(client, "slow.wait", {"name": "a"}, prefix="prod/rpc", timeout=400)
        self.assertEqual({status for status, _ in self.replies(client, 4).values()}, {"ok", "overloaded"})
        self.assertEqual(self.stats(broker, "dev/rpc")["started"], 1)
        self.assert_settled(broker, "prod/rpc")


class Meanwhile(SlowTest):
    """Other things that the broker does at the same time."""

    def test_memory_limit(self):
        """Ten thousand calls do not change the broker's count of its memory, and later clients can connect."""
        broker = self.start(["workers 4"], lines=["memory_limit 50000000", "sys_interval 1"],
                            log_types=("notice", "information"))
        client = self.client(broker)  # with MQTT 5, some brokers miscount in the other direction
        count = 1_000 if INSTRUMENTED else 10_000
        for number in range(count):
            client.publish("rpc/call/slow.sleep", f'{{"request_id":"{number}","ms":0}}')
            if number % 100 == 99:
                while len(client.inbox) < 100:
                    client.handle(client.read())
                client.inbox.clear()
        watcher = self.client(broker, 4)
        watcher.subscribe("$SYS/broker/heap/current")
        self.assertIn("result", ask_by_id(client, "slow.sleep"))
        with contextlib.suppress(Silence):  # the broker does not count its memory, or its figure stays the same
            for _ in range(2):
                self.assertIn(int(watcher.receive(3 * SLOW).payload), range(1, 2**26))
        self.assert_settled(broker)
        self.assertGreaterEqual(self.stats(broker)["in_time"], count)

    def test_reload(self):
        """Debian's logrotate sends SIGHUP every day."""
        broker = self.start(["workers 2"])
        client, other = self.client(broker, 5), self.client(broker, 5)
        for _ in range(4):
            self.call(client, "slow.sleep", {"ms": 200})
        waiting = self.call(client, "slow.wait", {"name": "a"})
        broker.signal(signal.SIGHUP)
        broker.wait_log("Reloading config")
        self.assertEqual(self.outcome(other, "slow.tell", {"name": "a", "text": "x"}), ("ok", {"n": 1}))
        found = self.replies(client, 5)
        self.assertEqual(found[waiting], ("ok", {"text": "x"}))
        self.assertEqual({status for status, _ in found.values()}, {"ok"})

    def test_log_as_messages(self):
        """Lines of the log are publications; those about work must not come from its threads."""
        broker = self.start(["workers 4", "timeout 100ms", "slow_call 1ms"], log=["stderr", "topic"])
        watcher, client, other = self.client(broker, 4), self.client(broker, 5), self.client(broker, 5)
        watcher.subscribe("$SYS/broker/log/#")
        for number in range(400):
            self.call(client, "slow.sleep", {"ms": 150 if number % 50 == 0 else 0}, qos=0)
            if number % 3 == 0:
                other.publish("rpc/call/nothing", "{")
            if number % 20 == 0:
                self.outcome(other, "probe.log", {"text": f"line {number}"})
        found = self.replies(client, 400)
        self.assertLessEqual({status for status, _ in found.values()}, {"ok", "timeout"})
        watcher.inbox.clear()
        time.sleep(2)  # lines beyond some a second are held back
        self.outcome(other, "probe.log", {"text": "the last one"})
        message = watcher.receive()
        while b"probe says the last one" not in message.payload:
            message = watcher.receive()
        self.assert_settled(broker)


class Many(SlowTest):

    def test_many_calls(self):
        """Five thousand calls, as fast as possible."""
        client = self.client(self.start(["workers 4", "max_pending 10000"]), 5)
        began = time.monotonic()
        for _ in range(50):
            for _ in range(100):
                self.call(client, "slow.sleep", qos=0)
            self.replies(client, 100)
        print(f"    5000 calls of no work in {time.monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
