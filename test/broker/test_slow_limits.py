"""Deadlines, max_pending and eviction, and duplicates of pending calls."""
import itertools
import json
import time

from harness import ask_by_id, main, new_identity, patient, payload_of
from mqtt import CORRELATION_DATA, RESPONSE_TOPIC, USER_PROPERTY, Silence, property_of
from slow_calls import AT_ONCE, Range, SlowTest


class Deadlines(SlowTest):

    def check_timeout(self, client, seconds, *args, **how):
        """The error arrives at the deadline, and not before."""
        status, content, took = self.timed(client, *args, **how)
        self.assertEqual(status, "timeout")
        self.assert_error(content, "timeout", method=args[0])
        self.assertGreaterEqual(took, seconds - 0.001)
        self.assertLess(took, seconds + AT_ONCE * self.pace)

    @patient
    def test_who_sets_them(self):
        """A call's own deadline goes before that of its method, and that before the option."""
        client = self.client(self.start(["timeout 300ms", "workers 16"]), 5)
        long = {"ms": 5000 * self.pace, "polite": True}
        self.check_timeout(client, 0.3, "slow.sleep", long)
        self.check_timeout(client, 0.2, "slow.brief", long)
        self.check_timeout(client, 0.1, "slow.sleep", long, timeout=100)
        self.check_timeout(client, 0.1, "slow.brief", long, timeout=100)
        self.check_timeout(client, 0.6, "slow.brief", long, timeout=600)
        self.check_timeout(client, 0.3, "slow.wait", {"name": "unused"})
        self.check_timeout(client, 0.1, "slow.wait", {"name": "unused"}, timeout=100)
        self.check_timeout(client, 0.3, "slow.alarm", long)
        self.assertEqual(self.outcome(client, "slow.brief", {"ms": 400}, timeout=60000)[0], "ok")

    @patient
    def test_by_request_id(self):
        client = self.client(self.start(["timeout 300ms"]), 4)
        began = time.monotonic()
        error = ask_by_id(client, "slow.sleep", {"ms": 5000 * self.pace, "polite": True})["error"]
        self.assert_error(error, "timeout", method="slow.sleep")
        self.assertIn(time.monotonic() - began, Range(0.3, 0.3 + AT_ONCE * self.pace))

    def test_malformed(self):
        """Such a call does not run, and gets an error. Methods that take no time ignore the property."""
        broker = self.start(["timeout_max 30s"])
        client = self.client(broker, 5)
        for value in ("", "0", "-1", "+5", "1.5", "1e3", " 5", "5 ", "abc", "30001", "0x10", "4294967297",
                      "99999999999", "9" * 100, "1" * 65000):
            for params in ({"ms": 1}, {"name": "x"}):
                with self.subTest(value=value[:20]):
                    method = "slow.sleep" if "ms" in params else "slow.wait"
                    status, content = self.outcome(client, method, params, timeout=value)
                    self.assertEqual(status, "invalid_request")
                    self.assert_error(content, "invalid_request", method=method)
                    self.assertRegex(content["msg"], "timeout-ms.*30000")
        for value in (1000, 30000, "0030000"):
            self.assertEqual(self.outcome(client, "slow.sleep", {"ms": 1}, timeout=value)[0], "ok")
        self.assertEqual(self.outcome(client, "echo", 1, timeout="abc"), ("ok", 1))
        self.assertEqual(self.stats(broker)["started"], 3)
        status, content = self.outcome(client, "slow.sleep", 3 * [{"ms": 1}], timeout="x", kind="batch")
        self.assertEqual((status, [item["error"]["err"] for item in content]), ("ok", 3 * ["invalid_request"]))

    def test_others_properties(self):
        """Upper case, other properties, and a property that is given twice."""
        client = self.client(self.start(["workers 4"]), 5)
        for entries, expected in (([("Timeout-Ms", "x"), ("timeout", "x"), ("", "")], "ok"),
                                  ([("a", "b"), ("timeout-ms", "100"), ("timeout-ms", "x")], "timeout"),
                                  ([("timeout-ms", "x"), ("timeout-ms", "100")], "invalid_request")):
            client.publish("rpc/call/slow.sleep", '{"ms":1000}', qos=1, properties=[
                (RESPONSE_TOPIC, "r"), (CORRELATION_DATA, new_identity()),
                *((USER_PROPERTY, entry) for entry in entries)])
            self.assertEqual(self.reply(client)[1], expected)

    @patient
    def test_late_results(self):
        """Late results are discarded and counted, and later calls work."""
        broker = self.start(["timeout 150ms", "workers 4", "sys_interval 1s"])
        client, watcher = self.client(broker, 5), self.client(broker)
        watcher.subscribe("rpc/event/slept")
        for _ in range(4):
            self.call(client, "slow.sleep", {"ms": 700 * self.pace})
        self.assertEqual({status for status, _ in self.replies(client, 4).values()}, {"timeout"})
        self.assertEqual(self.stats(broker)["finished"], 0)
        self.wait_for_stats(broker, started=4, begun=4, finished=4, dones=4, in_time=0)
        client.expect_nothing(0.1)
        watcher.expect_nothing(0.1)
        self.assertEqual(self.outcome(client, "slow.sleep", {"ms": 1})[0], "ok")
        self.counter(broker, "late", 4)
        self.counter(broker, "timeouts", 4)

    @patient
    def test_waiting_work_does_not_begin(self):
        broker = self.start(["timeout 300ms", "workers 1", "sys_interval 1s"])
        client = self.client(broker, 5)
        busy = self.call(client, "slow.sleep", {"ms": 1500 * self.pace}, timeout=60000)
        self.wait_for_stats(broker, begun=1)
        for _ in range(4):
            self.call(client, "slow.sleep", {"ms": 1})
        self.assertEqual({status for status, _ in self.replies(client, 4).values()}, {"timeout"})
        self.assertEqual(self.reply(client)[:2], (busy, "ok"))
        self.wait_for_stats(broker, started=5, begun=1, finished=1, dones=5, in_time=1)
        self.counter(broker, "timeouts", 4)

    def test_work_can_ask(self):
        """Polite work ends when its call has ended, and its thread is free again."""
        broker = self.start(["timeout 200ms", "workers 1"])
        client = self.client(broker, 5)
        self.assertEqual(self.outcome(client, "slow.sleep", {"ms": 60000, "polite": True})[0], "timeout")
        self.assertEqual(self.outcome(client, "slow.sleep", {"ms": 1}, timeout=60000)[0], "ok")
        self.wait_for_stats(broker, started=2, begun=2, finished=2, dones=2, in_time=1)

    def test_work_that_never_returns(self):
        """Such work blocks its own lane, but no other work."""
        broker = self.start(["timeout 200ms", "workers 1"])
        client = self.client(broker, 5)
        for _ in range(2):
            self.assertEqual(self.outcome(client, "slow.forever", {"lane": "ever"})[0], "timeout")
        for _ in range(5):
            self.assertEqual(self.outcome(client, "slow.sleep", {"ms": 10}, timeout=60000)[0], "ok")
        self.wait_for_stats(broker, started=7, begun=6, finished=5, dones=6)


class Overload(SlowTest):

    @patient
    def test_max_pending(self):
        """A refused call gets its error at once; pending calls run."""
        broker = self.start(["max_pending 10", "workers 1", "sys_interval 1s"])
        client = self.client(broker, 5)
        self.call(client, "slow.sleep", {"ms": 1500 * self.pace, "lane": "a"})
        self.wait_for_stats(broker, begun=1)
        waiting = [self.call(client, "slow.sleep", {"ms": 1}) for _ in range(10)]
        began = time.monotonic()
        beyond = [self.call(client, "slow.sleep", {"ms": 1}) for _ in range(10)]
        found = self.replies(client, 10)
        self.assertLess(time.monotonic() - began, AT_ONCE * self.pace)
        self.assertEqual(list(found), beyond)
        for status, content in found.values():
            self.assertEqual(status, "overloaded")
            self.assert_error(content, "overloaded", method="slow.sleep")
        found = self.replies(client, 11)
        self.assertEqual({status for status, _ in found.values()}, {"ok"})
        self.assertLessEqual(set(waiting), set(found))
        self.wait_for_stats(broker, started=11, begun=11, dones=11, in_time=11)
        self.counter(broker, "overloaded", 10)

    def test_batches(self):
        """Each item needs a pending slot of its own."""
        client = self.client(self.start(["max_pending 3", "workers 1"]), 5)
        status, content = self.outcome(client, "slow.sleep", 20 * [{"ms": 100}], kind="batch")
        self.assertEqual(status, "ok")
        outcomes = ["ok" if "result" in item else item["error"]["err"] for item in content]
        self.assertIn(outcomes.count("ok"), (3, 4))  # the work of the first one may not have begun yet
        self.assertEqual(set(outcomes), {"ok", "overloaded"})

    @patient
    def test_refused_calls_may_come_again(self):
        """Refused calls did not run, so that the same call is a new attempt."""
        broker = self.start(["workers 2"])
        client = self.client(broker, 5)
        first = self.call(client, "slow.single", {"ms": 500 * self.pace})
        identity = self.call(client, "slow.single", {"ms": 1})
        found = self.replies(client, 2)
        self.assertEqual((found[first][0], found[identity][0]), ("ok", "overloaded"))
        self.call(client, "slow.single", {"ms": 1}, identity=identity)
        self.assertEqual(self.reply(client)[:2], (identity, "ok"))

    @patient
    def test_a_methods_own_limit(self):
        broker = self.start(["workers 4", "sys_interval 1s"])
        client, other = self.client(broker, 5), self.client(broker, 5)
        first = self.call(client, "slow.single", {"ms": 1000 * self.pace})
        for connection in (client, other):
            status, content, took = self.timed(connection, "slow.single", {"ms": 1})
            self.assertEqual(status, "overloaded")
            self.assertRegex(content["msg"], "^1 calls")
            self.assertLess(took, AT_ONCE * self.pace)
        self.assertEqual(self.outcome(other, "slow.sleep", {"ms": 1})[0], "ok")
        self.assertEqual(self.reply(client)[:2], (first, "ok"))
        self.assertEqual(self.outcome(other, "slow.single", {"ms": 1})[0], "ok")
        self.counter(broker, "overloaded", 2)

    @patient
    def test_a_late_call_counts(self):
        """max_pending of a method counts calls as long as their work runs."""
        broker = self.start(["workers 4"])
        client = self.client(broker, 5)
        self.assertEqual(self.outcome(client, "slow.single", {"ms": 1000 * self.pace}, timeout=100)[0], "timeout")
        self.assertEqual(self.outcome(client, "slow.single", {"ms": 1})[0], "overloaded")
        self.wait_for_stats(broker, finished=1, dones=1)
        self.assertEqual(self.outcome(client, "slow.single", {"ms": 1})[0], "ok")

    def test_deferred_calls_count(self):
        client = self.client(self.start(["max_pending 5"]), 5)
        waiting = [self.call(client, "slow.wait", {"name": "a"}) for _ in range(5)]
        for method, params in (("slow.wait", {"name": "a"}), ("slow.alarm", {"ms": 1})):
            self.assertEqual(self.outcome(client, method, params)[0], "overloaded")
        self.call(client, "slow.tell", {"name": "a", "text": "x"})
        found = self.replies(client, 6)
        self.assertEqual([found[identity] for identity in waiting], 5 * [("ok", {"text": "x"})])

    @patient
    def test_eviction(self):
        """A client has all pending slots: each call of another client evicts one of them, until both have as many."""
        broker = self.start(["max_pending 20", "workers 1", "sys_interval 1s"])
        greedy, modest = self.client(broker, 5), self.client(broker, 5)
        self.call(greedy, "slow.sleep", {"ms": 1500 * self.pace})
        self.wait_for_stats(broker, begun=1)
        waiting = [self.call(greedy, "slow.sleep", {"ms": 20}) for _ in range(20)]
        self.assertEqual(self.outcome(greedy, "slow.sleep", {"ms": 20})[0], "overloaded")
        mine = [self.call(modest, "slow.sleep", {"ms": 20}) for _ in range(5)]
        found = self.replies(greedy, 5)
        self.assertEqual(list(found), list(reversed(waiting[15:])))
        self.assertEqual({status for status, _ in found.values()}, {"overloaded"})
        found = self.replies(modest, 5)
        self.assertEqual(list(found), mine)
        self.assertEqual({status for status, _ in found.values()}, {"ok"})
        self.assertLess(max(content["order"] for _, content in found.values()), 14)  # both take turns
        found = self.replies(greedy, 16)
        self.assertEqual({status for status, _ in found.values()}, {"ok"})
        self.wait_for_stats(broker, started=26, begun=21, dones=26, in_time=21)
        self.counter(broker, "overloaded", 6)

    @patient
    def test_one_for_each_of_many(self):
        """All clients have one slot each, so that the next call is refused."""
        broker = self.start(["max_pending 10", "workers 1"])
        blocker = self.client(broker, 5)
        self.call(blocker, "slow.sleep", {"ms": 1000 * self.pace})
        self.wait_for_stats(broker, begun=1)
        clients = [self.client(broker, 5) for _ in range(10)]
        for client in clients:
            self.call(client, "slow.sleep", {"ms": 1})
        self.assertEqual(self.outcome(self.client(broker, 5), "slow.sleep")[0], "overloaded")
        self.assertEqual([self.reply(client)[1] for client in clients], 10 * ["ok"])


class Duplicates(SlowTest):
    """A duplicate of a pending call waits for it, and gets the same reply."""

    IDENTITY = "0123456789abcdef"

    def setUp(self):
        self.running = self.start(["workers 4", "sys_interval 1s"])

    @patient
    def test_all_get_the_same_reply(self):
        client = self.client(self.running, 5)
        for method in ("slow.sleep", "slow.alarm"):
            params = {"ms": 500 * self.pace}
            before = self.stats(self.running)["started"]
            identity = new_identity()
            for qos in (0, 1, 2, 1):
                self.call(client, method, params, qos=qos, identity=identity)
            client.expect_nothing(0)
            messages = [client.receive() for _ in range(4)]
            self.assertEqual({property_of(message, CORRELATION_DATA) for message in messages}, {identity.encode()})
            self.assertEqual(len({message.payload for message in messages}), 1)
            self.assertEqual(self.stats(self.running)["started"], before + 1, method)
            self.call(client, method, params, identity=identity)
            self.assertEqual(client.receive().payload, messages[0].payload)
        self.counter(self.running, "duplicates", 8)

    def test_by_request_id(self):
        client = self.client(self.running, 4)
        for _ in range(3):
            client.publish("rpc/call/slow.sleep", json.dumps({"ms": 300, "request_id": self.IDENTITY}), qos=1)
        self.assertEqual(len({client.receive().payload for _ in range(3)}), 1)
        self.wait_for_stats(self.running, started=1, begun=1, dones=1)

    def test_batch(self):
        client = self.client(self.running, 5)
        for _ in range(2):
            self.call(client, "slow.sleep", 3 * [{"ms": 200}], identity=self.IDENTITY, kind="batch")
        first, second = client.receive(), client.receive()
        self.assertEqual(first.payload, second.payload)
        self.wait_for_stats(self.running, started=3, begun=3)

    def test_timeouts_too(self):
        client = self.client(self.running, 5)
        for _ in range(2):
            self.call(client, "slow.brief", {"ms": 1000}, identity=self.IDENTITY)
        messages = [client.receive() for _ in range(2)]
        self.assertEqual([payload_of(message)["err"] for message in messages], 2 * ["timeout"])
        self.wait_for_stats(self.running, started=1)

    def test_other_clients_make_no_duplicates(self):
        clients = [self.client(self.running, 5) for _ in range(3)]
        for client in clients:
            self.call(client, "slow.sleep", {"ms": 200}, identity=self.IDENTITY)
        self.assertEqual({self.reply(client)[2]["order"] for client in clients}, {1, 2, 3})

    @patient
    def test_from_a_new_connection(self):
        """The connection is cut while must_finish work goes on; the client reconnects and sends the call again."""
        for clean, cut in itertools.product((True, False), ("reset", "disconnect", "takeover")):
            identity, name = new_identity(), f"again-{cut}-{clean}"
            params, before = {"ms": 800 * self.pace}, self.stats(self.running)
            old = self.client(self.running, 5, client_id=name, clean=clean)
            self.call(old, "slow.firm", params, identity=identity)
            self.wait_for_stats(self.running, started=before["started"] + 1)
            if cut != "takeover":
                getattr(old, cut)()
            new = self.client(self.running, 5, client_id=name, clean=clean)
            self.call(new, "slow.firm", params, identity=identity)
            self.assertEqual(self.reply(new)[:2], (identity, "ok"), name)
            new.expect_nothing(0.1)
            self.assertEqual(self.stats(self.running)["begun"], before["begun"] + 1, name)
            new.disconnect()

    def test_of_a_cancelled_call(self):
        """A cancelled call runs again only if its work had not begun."""
        running, waiting = new_identity(), new_identity()
        params = {"ms": 30000, "polite": True, "lane": "a"}
        old = self.client(self.running, 5, client_id="again")
        for identity in (running, waiting):
            self.call(old, "slow.sleep", {**params, "ms": 30000 if identity == running else 1}, identity=identity)
        self.wait_for_stats(self.running, begun=1)
        old.reset()
        self.wait_for_stats(self.running, started=2, begun=1, dones=2)
        new = self.client(self.running, 5, client_id="again")
        self.call(new, "slow.sleep", params, identity=running)
        self.assertEqual(self.reply(new)[:2], (running, "cancelled"))
        self.call(new, "slow.sleep", {**params, "ms": 1}, identity=waiting)
        self.assertEqual(self.reply(new)[:2], (waiting, "ok"))
        self.wait_for_stats(self.running, started=3, begun=2, dones=3)

    def test_a_waiting_duplicate_of_an_ended_connection(self):
        """Such a duplicate gets no reply, and takes no memory."""
        old = self.client(self.running, 5, client_id="gone")
        for _ in range(3):
            self.call(old, "slow.firm", {"ms": 500}, identity=self.IDENTITY)
        old.reset()
        stranger = self.client(self.running, 5, client_id="gone")
        self.wait_for_stats(self.running, started=1, dones=1)
        with self.assertRaises(Silence):
            stranger.receive(0.3)


if __name__ == "__main__":
    main()
