"""The end of a caller's connection while its call is open.

T7 of what brokers do to a plugin. Whoever vanishes has his call given up, unless the method must finish; the
reply reaches a session that waits, but nobody else, and nothing of it stays behind in the broker.
"""
import itertools
import socket
import struct
import time

from harness import INSTRUMENTED, SLOW, TIMEOUT, Client, broker_version, eventually, main, new_identity, payload_of
from mqtt import CORRELATION_DATA, RESPONSE_TOPIC, SESSION_EXPIRY
from slow_calls import SlowTest, resident


class Gone(SlowTest):
    """The caller's connection ends while its call is open."""

    POLITE = {"ms": 60000, "polite": True}

    def leave(self, broker, client, how):
        """Ends the connection; returns the one that took it over, if there is one."""
        if how == "takeover":
            return self.client(broker, client.version, client_id=client.client_id)
        getattr(client, how)()
        return None

    WAYS = tuple(itertools.product((4, 5), (True, False), (0, 1, 2), ("disconnect", "reset", "close", "takeover")))

    def call_by_id(self, client, method, params, qos):
        client.publish(f"rpc/call/{method}", self.with_id(params), qos=qos)
        client.ping()

    @staticmethod
    def with_id(params):
        return str({**params, "request_id": new_identity()}).replace("'", '"').replace("True", "true")

    def test_running_work_is_given_up(self):
        """It is told so, and its thread is free again."""
        broker = self.start(["workers 1", "timeout 60s", "sys_interval 1s"])
        for count, (version, clean, qos, how) in enumerate(self.WAYS, 1):
            caller = self.client(broker, version, client_id=f"caller-{count}", clean=clean)
            self.call_by_id(caller, "slow.sleep", self.POLITE, qos)
            self.wait_for_stats(broker, begun=count)
            successor = self.leave(broker, caller, how)
            self.wait_for_stats(broker, started=count, finished=count, dones=count, in_time=0)
            if successor:
                successor.ping()
                self.assertFalse(successor.inbox)
        self.counter(broker, "cancelled", count)

    def test_waiting_work_is_never_begun(self):
        broker = self.start(["workers 1", "timeout 60s"])
        blocker = self.client(broker, 5)
        self.call(blocker, "slow.sleep", self.POLITE)
        self.wait_for_stats(broker, begun=1)
        for count, (version, clean, qos, how) in enumerate(self.WAYS, 1):
            caller = self.client(broker, version, client_id=f"caller-{count}", clean=clean)
            for method, params in (("slow.sleep", {"ms": 1}), ("slow.sleep", {"ms": 1, "lane": "a"}),
                                   ("slow.wait", {"name": "a"}), ("slow.alarm", {"ms": 60000})):
                self.call_by_id(caller, method, params, qos)
            successor = self.leave(broker, caller, how)
            self.wait_for_stats(broker, started=4 * count + 1, begun=1, dones=4 * count)
            if successor:
                successor.ping()
                self.assertFalse(successor.inbox)

    def test_only_of_who_has_gone(self):
        broker = self.start(["workers 4"])
        going, staying = self.client(broker, 5), self.client(broker, 5)
        for client in (going, staying, going, staying):
            self.call(client, "slow.sleep", {"ms": 500})
        going.reset()
        self.assertEqual({status for status, _ in self.replies(staying, 2).values()}, {"ok"})
        self.wait_for_stats(broker, dones=4, in_time=2)

    def test_batches(self):
        """Each item for itself; nothing is left of them."""
        broker = self.start(["workers 1"])
        client = self.client(broker, 5)
        self.call(client, "slow.sleep", 50 * [{"ms": 100}], kind="batch")
        self.wait_for_stats(broker, begun=1)
        client.reset()
        found = self.wait_for_stats(broker, started=50, dones=50)
        self.assertLess(found["begun"], 50)

    def test_what_must_finish(self):
        broker = self.start(["workers 4", "timeout 60s", "sys_interval 1s"])
        successors = []
        for count, (version, clean, qos, how) in enumerate(self.WAYS, 1):
            caller = self.client(broker, version, client_id=f"caller-{count}", clean=clean)
            self.call_by_id(caller, "slow.firm", {"ms": 100}, qos)
            successors.append(self.leave(broker, caller, how))
        self.wait_for_stats(broker, started=count, begun=count, finished=count, dones=count, in_time=count)
        for successor in filter(None, successors):
            successor.ping()
            self.assertFalse(successor.inbox)

    def test_the_session_gets_the_reply(self):
        """At QoS 1 and 2, when it is taken up after the reply was made; of MQTT 5 sessions older brokers tell nothing."""
        broker = self.start(["workers 4"])
        versions = (4, 5) if broker_version() >= (2, 1) else (4,)
        for version, qos, method in itertools.product(versions, (0, 1, 2), ("slow.firm", "slow.sleep")):
            for how in ("disconnect", "reset"):
                with self.subTest(version=version, qos=qos, method=method, how=how):
                    before = self.stats(broker)["dones"]
                    name = f"session-{version}-{qos}-{method}-{how}"
                    caller = self.client(broker, version, client_id=name, clean=False)
                    self.call_by_id(caller, method, {"ms": 150}, qos)
                    self.leave(broker, caller, how)
                    self.wait_for_stats(broker, dones=before + 1)
                    back = self.client(broker, version, client_id=name, clean=False)
                    self.assertTrue(back.session_present)
                    if qos:
                        message = back.receive()
                        self.assertEqual(message.qos, qos)
                        content = payload_of(message)
                        outcome = content["error"]["err"] if "error" in content else "ok"
                        self.assertEqual(outcome, "ok" if method == "slow.firm" else "cancelled")
                    back.expect_nothing(0.05)
                    back.disconnect()

    def test_nobody_else_gets_the_reply(self):
        """Another connection has the id when the reply is made, whatever it asked for, and however the first one went."""
        broker = self.start(["workers 16", "timeout 60s"])
        others, count = [], 0
        for version, clean, how, theirs, kind in itertools.product(
                (4, 5), (True, False), ("disconnect", "reset", "takeover"), (4, 5), (True, False)):
            count += 1
            caller = self.client(broker, version, client_id=f"id-{count}", clean=clean)
            for qos in (0, 1):
                self.call_by_id(caller, "slow.firm", {"ms": 1000, "lane": f"{count}-{qos}"}, qos)
            if how != "takeover":
                getattr(caller, how)()
            others.append(self.client(broker, theirs, client_id=f"id-{count}", clean=kind))
        self.wait_for_stats(broker, dones=2 * count, in_time=2 * count)
        for other in others:
            other.ping()
            self.assertFalse(other.inbox)
            self.assertEqual(ask_quickly(other), {})

    def test_session_that_expires(self):
        """MQTT 5: nothing waits for the reply, and nothing is sent."""
        broker = self.start(["workers 2"])
        caller = self.client(broker, 5, client_id="short", clean=False, properties=[(SESSION_EXPIRY, 0)])
        self.call(caller, "slow.firm", {"ms": 300})
        caller.reset()
        self.wait_for_stats(broker, dones=1)
        self.client(broker, 5, client_id="short", clean=False).expect_nothing(0.1)


def ask_quickly(client):
    client.publish("rpc/call/echo", '{"request_id":"q"}', qos=1)
    return payload_of(client.receive())["result"]


class Vanishing(SlowTest):
    """T7: ten thousand callers that vanish while their work runs leave nothing behind."""

    COUNT = 1_000 if INSTRUMENTED else 10_000
    CALLS = (("slow.sleep", {"ms": 300, "polite": True}), ("slow.firm", {"ms": 2}), ("slow.wait", {"name": "a"}),
             ("slow.sleep", {"ms": 1}), ("slow.alarm", {"ms": 100000}), ("slow.group", {"ms": 1, "lane": "g"}))

    def start_counted(self, options=(), **how):
        return self.start(["workers 4", "timeout 30s", "duplicate_entries 100", *options], lines=["sys_interval 1"],
                          log_types=("information",), **how)

    def stored(self, broker):
        """How many messages the broker stores, when that has come to rest."""
        time.sleep(2.5)
        return self.retained(broker, "$SYS/broker/store/messages/count")

    def visit(self, broker, number, version, clean, qos, reset=True):
        """One connection that calls, sees its call accepted, and is gone. Without version: it only throws a session away."""
        maker = self.maker(broker, version)
        maker.client_id = f"visitor-{number % 500}"
        sent = maker._connect_packet(clean, None, None, 0, ())
        end = b"\x20\x02" if version < 5 else b"\x20"
        if not (clean and qos is None):
            method, params = self.CALLS[number % len(self.CALLS)]
            entries = [(RESPONSE_TOPIC, "r"), (CORRELATION_DATA, new_identity())] if version == 5 else []
            sent += maker.publish_packet(f"rpc/call/{method}", Gone.with_id(params), qos=qos, mid=1, entries=entries)
            sent += b"\xc0\x00"
            end = b"\xd0\x00"
        with socket.create_connection(("127.0.0.1", broker.port), TIMEOUT) as visitor:
            if reset:
                visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            visitor.sendall(sent)
            seen = b""
            while end not in seen:
                content = visitor.recv(4096)
                self.assertTrue(content)
                seen += content

    def maker(self, broker, version):
        made = self.__dict__.setdefault("makers", {})
        if version not in made:
            made[version] = self.client(broker, version)
        return made[version]

    def check_flat(self, broker, visit, growth):
        """The first tenth fills what is kept and bounded."""
        for number in range(self.COUNT // 10):
            visit(number)
        eventually(lambda: self.stats(broker)["started"] == self.stats(broker)["dones"])
        stored, memory = self.stored(broker), resident(broker)
        began = time.monotonic()
        for number in range(self.COUNT // 10, self.COUNT):
            visit(number)
        took = time.monotonic() - began
        eventually(lambda: self.stats(broker)["started"] == self.stats(broker)["dones"])
        stored_then, memory_then = self.stored(broker), resident(broker)
        print(f"    stored {stored} then {stored_then}, resident {memory >> 10} then {memory_then >> 10} kB, "
              f"{self.COUNT} callers in {took:.1f} s", flush=True)
        self.assertLess(stored_then - stored, 50)
        if not INSTRUMENTED:
            self.assertLess(memory_then - memory, growth)
        self.assert_quick(self.client(broker, 5))

    def test_without_sessions(self):
        broker = self.start_counted()
        self.check_flat(broker, lambda number: self.visit(broker, number, 4 + number % 2, True, number // 2 % 2,
                                                          reset=number % 5), 2_000_000)

    def test_with_sessions_at_qos_0(self):
        """What is sent to a session then is never freed: nothing may be."""
        broker = self.start_counted()
        self.check_flat(broker, lambda number: self.visit(broker, number, 4 + number % 2, False, 0), 2_000_000)

    def test_with_sessions_at_qos_1(self):
        """Replies wait in the session until somebody throws it away."""
        broker = self.start_counted()

        def visit(number):
            self.visit(broker, number, 4 + number % 2, False, 1)
            if number % 10 == 9:
                for earlier in range(number - 9, number + 1):
                    self.visit(broker, earlier, 4, True, None)
        self.check_flat(broker, visit, 3_000_000)

    def test_caller_that_never_reads(self):
        """With replies to subscribers, what it does not take is thrown away; others are served in any case."""
        for options, is_flat in ((["reply_delivery subscribed"], True), ([], False)):
            with self.subTest(options=options):
                broker = self.start(["workers 4", "max_pending 200", *options],
                                    lines=["sys_interval 1", "max_queued_messages 20"], log_types=("information",))
                before = self.stored(broker)
                deaf = Client(broker.port, 5, client_id="deaf", timeout=2 * SLOW)
                self.addCleanup(deaf.close)
                deaf.subscribe("rpc/reply/deaf/#")
                for number in range(400):
                    self.call(deaf, "slow.sleep", {"ms": 1}, qos=0, identity=(f"{number}-" * 20000)[:60000],
                              topic="rpc/reply/deaf/x")
                    time.sleep(0.002)
                other = self.client(broker, 5)
                if is_flat:
                    other.subscribe(f"rpc/reply/{other.client_id}/#")
                    status, _ = self.outcome(other, "slow.sleep", {"ms": 1}, topic=f"rpc/reply/{other.client_id}/x")
                else:
                    status, _ = self.outcome(other, "slow.sleep", {"ms": 1})
                self.assertEqual(status, "ok")
                self.assert_settled(broker)
                if is_flat:
                    self.assertLess(self.stored(broker) - before, 100)
                deaf.reset()


if __name__ == "__main__":
    main()
