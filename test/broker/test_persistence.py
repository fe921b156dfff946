"""Calls and replies across a restart of the broker, and queued replies under ACLs."""
import itertools

from harness import BrokerTest, ask, main, payload_of, result_of
from mqtt import PUBREC, property_of, CORRELATION_DATA, RESPONSE_TOPIC


class Restart(BrokerTest):
    """The broker writes a consumed QoS 2 call to its database, under a topic that no client can read."""

    def test_unreleased_call(self):
        for version in (4, 5):
            with self.subTest(version=version):
                broker = self.start(persistence=True)
                client = self.client(broker, version, client_id="keeps", clean=False)
                client.publish("rpc/call/echo", '{"a":1}', qos=2, mid=7, retain=True, wait=False)
                self.assertLess(client.wait_ack(PUBREC, 7).reason, 0x80)
                client.close()
                broker.stop()
                broker.start()
                watcher = self.client(broker, 5)
                watcher.subscribe("#", "$/#", "$")
                client = self.client(broker, version, client_id="keeps", clean=False)
                self.assertTrue(client.session_present)
                client.publish("rpc/call/echo", '{"a":1}', qos=2, mid=7, dup=True, retain=True, wait=False)
                self.assertLess(client.wait_ack(PUBREC, 7).reason, 0x80)
                self.assertEqual(client.release(7), 0)
                client.ping()
                watcher.expect_nothing()
                self.assertNotIn("Reused message ID", broker.log())

    def test_released_without_being_sent_again(self):
        broker = self.start(persistence=True)
        client = self.client(broker, 4, client_id="keeps", clean=False)
        client.publish("rpc/call/echo", '{"a":1}', qos=2, mid=7, wait=False)
        client.wait_ack(PUBREC, 7)
        client.close()
        broker.stop()
        broker.start()
        client = self.client(broker, 4, client_id="keeps", clean=False)
        self.assertEqual(client.release(7), 0)
        client.expect_nothing()

    def test_a_reply_outlives_the_broker(self):
        """Unacknowledged, at QoS 1 and 2, in a persistent session."""
        broker = self.start(persistence=True)
        for version, qos in itertools.product((4, 5), (1, 2)):
            with self.subTest(version=version, qos=qos):
                name = f"keeps-{version}{qos}"
                client = self.client(broker, version, client_id=name, clean=False, auto_ack=False)
                client.publish("rpc/call/echo", '{"request_id":"later","a":1}', qos=qos)
                client.receive()
                client.close()
                broker.stop()
                broker.start()
                client = self.client(broker, version, client_id=name, clean=False)
                self.assertEqual(payload_of(client.receive()), {"request_id": "later", "result": {"a": 1}})

    def test_retained_events_outlive_the_broker(self):
        broker = self.start(persistence=True)
        ask(self.client(broker, 5), "probe.announce", {"text": "kept"})
        broker.stop()
        broker.start()
        client = self.client(broker)
        client.subscribe("rpc/event/probe/last")
        self.assertEqual(payload_of(client.receive()), {"text": "kept"})


class NothingIsKept(BrokerTest):
    """The broker keeps nothing of a consumed call, not even at a topic that no subscriber can read."""

    def test_a_call_with_the_retain_flag(self):
        broker = self.start(persistence=True)
        for version, qos in itertools.product((4, 5), (0, 1, 2)):
            self.client(broker, version).publish("rpc/call/echo", '"left behind"', qos=qos, retain=True)
        client = self.client(broker, 4)
        client.publish("kept/for/sure", "to be found", qos=1, retain=True)
        broker.stop()
        database = (broker.directory / "mosquitto.db").read_bytes()
        self.assertIn(b"to be found", database)
        self.assertNotIn(b"left behind", database)


class QueuedUnderAcl(BrokerTest):
    """Replies need no right to read, until they are queued: then the broker checks at reconnect."""

    RULES = "user blind\ntopic write rpc/call/#\nuser seeing\ntopic write rpc/call/#\ntopic read mine/#\n"

    def reconnected(self, user):
        broker = self.start(users={"blind": "x", "seeing": "x"}, acl=self.RULES, anonymous=False)
        how = {"client_id": "same", "clean": False, "username": user, "password": "x"}
        client = self.client(broker, 5, auto_ack=False, **how)
        client.publish("rpc/call/echo", "1", qos=1, properties=[(RESPONSE_TOPIC, "mine/1"), (CORRELATION_DATA, b"a")])
        client.receive()
        client.close()
        return self.client(broker, 5, **how)

    def test_with_the_right_to_read(self):
        reply = self.reconnected("seeing").receive()
        self.assertEqual((reply.topic, reply.payload, property_of(reply, CORRELATION_DATA)), ("mine/1", b"1", b"a"))

    def test_without(self):
        client = self.reconnected("blind")
        client.expect_nothing()
        self.assertEqual(result_of(ask(client, "echo", "2")), 2)


if __name__ == "__main__":
    main()
