"""The end of a connection while its call is pending.

The plugin cancels the call, unless its method must finish. The reply reaches a waiting session, but no other
connection. test_slow_vanishing.py tests what the broker keeps in memory.
"""
import itertools
import unittest

from harness import broker_version, has_websockets, main, patient, payload_of
from mqtt import SESSION_EXPIRY
from slow_calls import SlowTest, with_id


class Ended(SlowTest):
    """The connection ends while its call is pending."""

    POLITE = {"ms": 60000, "polite": True}

    def leave(self, broker, client, how):
        """Ends the connection; returns the one that took it over, if there is one."""
        if how == "takeover":
            return self.client(broker, client.version, client_id=client.client_id)
        getattr(client, how)()
        return None

    WAYS = tuple(itertools.product((4, 5), (True, False), (0, 1, 2), ("disconnect", "reset", "close", "takeover")))

    def call_by_id(self, client, method, params, qos):
        client.publish(f"rpc/call/{method}", with_id(params), qos=qos)
        client.ping()

    def test_running_work_is_cancelled(self):
        """rpc_is_wanted() is false, and the thread is free again."""
        broker = self.start(["workers 1", "timeout 60s", "sys_interval 1s"])
        for count, (version, clean, qos, how) in enumerate(self.WAYS, 1):
            connection = self.client(broker, version, client_id=f"client-{count}", clean=clean)
            self.call_by_id(connection, "slow.sleep", self.POLITE, qos)
            self.wait_for_stats(broker, begun=count)
            successor = self.leave(broker, connection, how)
            self.wait_for_stats(broker, started=count, finished=count, dones=count, in_time=0)
            if successor:
                successor.ping()
                self.assertFalse(successor.inbox)
        self.counter(broker, "cancelled", count)

    def test_waiting_work_does_not_begin(self):
        broker = self.start(["workers 1", "timeout 60s"])
        blocker = self.client(broker, 5)
        self.call(blocker, "slow.sleep", self.POLITE)
        self.wait_for_stats(broker, begun=1)
        for count, (version, clean, qos, how) in enumerate(self.WAYS, 1):
            connection = self.client(broker, version, client_id=f"client-{count}", clean=clean)
            for method, params in (("slow.sleep", {"ms": 1}), ("slow.sleep", {"ms": 1, "lane": "a"}),
                                   ("slow.wait", {"name": "a"}), ("slow.alarm", {"ms": 60000})):
                self.call_by_id(connection, method, params, qos)
            successor = self.leave(broker, connection, how)
            self.wait_for_stats(broker, started=4 * count + 1, begun=1, dones=4 * count)
            if successor:
                successor.ping()
                self.assertFalse(successor.inbox)

    @patient
    def test_other_connections_are_not_affected(self):
        broker = self.start(["workers 4"])
        going, staying = self.client(broker, 5), self.client(broker, 5)
        for client in (going, staying, going, staying):
            self.call(client, "slow.sleep", {"ms": 500 * self.pace})
        going.reset()
        self.assertEqual({status for status, _ in self.replies(staying, 2).values()}, {"ok"})
        self.wait_for_stats(broker, dones=4, in_time=2)

    def test_batches(self):
        """Each item is cancelled; none is left over."""
        broker = self.start(["workers 1"])
        client = self.client(broker, 5)
        self.call(client, "slow.sleep", 50 * [{"ms": 100}], kind="batch")
        self.wait_for_stats(broker, begun=1)
        client.reset()
        found = self.wait_for_stats(broker, started=50, dones=50)
        self.assertLess(found["begun"], 50)

    def test_must_finish(self):
        broker = self.start(["workers 4", "timeout 60s", "sys_interval 1s"])
        successors = []
        for count, (version, clean, qos, how) in enumerate(self.WAYS, 1):
            connection = self.client(broker, version, client_id=f"client-{count}", clean=clean)
            self.call_by_id(connection, "slow.firm", {"ms": 100}, qos)
            successors.append(self.leave(broker, connection, how))
        self.wait_for_stats(broker, started=count, begun=count, finished=count, dones=count, in_time=count)
        for successor in filter(None, successors):
            successor.ping()
            self.assertFalse(successor.inbox)

    @patient
    def test_the_session_gets_the_reply(self):
        """At QoS 1 and 2, if it is taken up after the reply. Older brokers do not report MQTT 5 sessions."""
        broker = self.start(["workers 4"])
        versions = (4, 5) if broker_version() >= (2, 1) else (4,)
        for version, qos, method in itertools.product(versions, (0, 1, 2), ("slow.firm", "slow.sleep")):
            for how in ("disconnect", "reset"):
                before = self.stats(broker)["dones"]
                name = f"session-{version}-{qos}-{method}-{how}"
                connection = self.client(broker, version, client_id=name, clean=False)
                self.call_by_id(connection, method, {"ms": 150 * self.pace}, qos)
                self.leave(broker, connection, how)
                self.wait_for_stats(broker, dones=before + 1)
                back = self.client(broker, version, client_id=name, clean=False)
                self.assertTrue(back.session_present, name)
                if qos:
                    back.ping()
                    self.assertTrue(back.inbox, f"{name} got no reply")
                    message = back.receive()
                    self.assertEqual(message.qos, qos)
                    content = payload_of(message)
                    outcome = content["error"]["err"] if "error" in content else "ok"
                    self.assertEqual(outcome, "ok" if method == "slow.firm" else "cancelled", name)
                back.expect_nothing(0.05)
                back.disconnect()

    def test_no_other_connection_gets_the_reply(self):
        """Another connection of any kind has the id when the reply is ready, and the first one ended in any way."""
        broker = self.start(["workers 16", "timeout 60s"])
        others, count = [], 0
        for version, clean, how, theirs, kind in itertools.product(
                (4, 5), (True, False), ("disconnect", "reset", "takeover"), (4, 5), (True, False)):
            count += 1
            connection = self.client(broker, version, client_id=f"id-{count}", clean=clean)
            for qos in (0, 1):
                self.call_by_id(connection, "slow.firm", {"ms": 1000, "lane": f"{count}-{qos}"}, qos)
            if how != "takeover":
                getattr(connection, how)()
            others.append(self.client(broker, theirs, client_id=f"id-{count}", clean=kind))
        self.wait_for_stats(broker, dones=2 * count, in_time=2 * count)
        for other in others:
            other.ping()
            self.assertFalse(other.inbox)
            self.assertEqual(ask_quickly(other), {})

    @unittest.skipUnless(has_websockets(), "this broker has no WebSockets")
    def test_over_websockets(self):
        """There the broker may report the end of a connection after the first message of the next one."""
        broker = self.start(["workers 16", "timeout 60s"], websockets=True)
        others, count = [], 0
        for how, clean in itertools.product(("disconnect", "reset", "takeover"), (True, False)):
            count += 1
            connection = self.client(broker, 5, port=broker.websockets_port, websocket=True, client_id=f"id-{count}",
                                 clean=clean)
            self.call(connection, "slow.firm", {"ms": 500})
            self.call(connection, "slow.sleep", {"ms": 60000, "polite": True})
            if how != "takeover":
                getattr(connection, how)()
            others.append(self.client(broker, 5, client_id=f"id-{count}", clean=clean))
            self.assertEqual(ask_quickly(others[-1], waiting=how != "takeover" and not clean), {})
        self.wait_for_stats(broker, started=2 * count, dones=2 * count, in_time=count)
        for other in others:
            other.ping()
            self.assertFalse(other.inbox)

    def test_session_that_expires(self):
        """MQTT 5: no session waits for the reply, and none is sent."""
        broker = self.start(["workers 2"])
        connection = self.client(broker, 5, client_id="short", clean=False, properties=[(SESSION_EXPIRY, 0)])
        self.call(connection, "slow.firm", {"ms": 300})
        connection.reset()
        self.wait_for_stats(broker, dones=1)
        self.client(broker, 5, client_id="short", clean=False).expect_nothing(0.1)


def ask_quickly(client, waiting=False):
    """waiting: what was cancelled may have waited in the session, where the broker reports sessions (from 2.1 on)."""
    client.publish("rpc/call/echo", '{"request_id":"q"}', qos=1)
    reply = payload_of(client.receive())
    if waiting and reply.get("err") == "cancelled":
        reply = payload_of(client.receive())
    return reply["result"]


if __name__ == "__main__":
    main()
