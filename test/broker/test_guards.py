"""Section 9: clients cannot forge replies or events, and a call that an ACL denies never reaches a handler."""
import itertools

from harness import BrokerTest, ask, ask_by_id, main, payload_of, result_of
from mqtt import NOT_AUTHORIZED, NO_MATCHING_SUBSCRIBERS

REPLY_TOPICS = ("rpc/call/echo/response/abc", "rpc/call/echo/response", "rpc/call/response", "rpc/call/response/x",
                "rpc/call/a/response/b/c", "rpc/call/echo/response/", "rpc/jsonrpc/response/abc")
EVENT_TOPICS = ("rpc/event/probeCounted", "rpc/event/error", "rpc/event/a/b/c", "rpc/event", "rpc/event/")


class Guards(BrokerTest):
    """Refused means: not delivered, not stored, and the connection stays."""

    def assert_refused(self, broker, topics, **connection):
        watcher = self.client(broker, 5, **connection)
        watcher.subscribe("rpc/#")
        for version, qos, retain in itertools.product((3, 4, 5), (0, 1, 2), (False, True)):
            client = self.client(broker, version, **connection)
            for topic in topics:
                with self.subTest(topic=topic, version=version, qos=qos, retain=retain):
                    reason = client.publish(topic, '{"forged":true}', qos=qos, retain=retain)
                    self.assertEqual(reason, NOT_AUTHORIZED if version == 5 and qos else 0)
                    client.ping()
        watcher.expect_nothing()
        late = self.client(broker, 5, **connection)
        late.subscribe("rpc/#")
        late.expect_nothing()

    def assert_delivered(self, broker, client, topics):
        watcher = self.client(broker, 5)
        watcher.subscribe("#")
        for topic in topics:
            with self.subTest(topic=topic):
                self.assertIn(client.publish(topic, "x", qos=1), (0, NO_MATCHING_SUBSCRIBERS))
                self.assertEqual(watcher.receive().topic, topic)

    def test_replies(self):
        self.assert_refused(self.start(), REPLY_TOPICS)

    def test_replies_of_every_prefix(self):
        broker = self.start(["prefix a/b c"])
        self.assert_refused(broker, ["a/b/call/x/response/y", "c/call/x/response/y"])

    def test_replies_when_unknown_methods_are_forwarded(self):
        """Other servers may answer what is left to them; nobody may answer for the plugin's own methods."""
        options = ["unknown_methods forward", "forward_calls true"]
        own = [topic for topic in REPLY_TOPICS if topic.startswith("rpc/call/echo/")]
        self.assert_refused(self.start(options), [*own, "rpc/call/probe/deep/name/response/x"])
        self.assert_refused(self.start([*options, "jsonrpc_methods echo"]), [*own, "rpc/jsonrpc/response/abc"])
        broker = self.start(options)
        self.assert_delivered(broker, self.client(broker, 5), [topic for topic in REPLY_TOPICS if topic not in own])

    def test_another_server_answers(self):
        """A caller with a request_id gets the other server's reply, by an ordinary subscription."""
        broker = self.start(["unknown_methods forward"])
        caller, server = self.client(broker), self.client(broker)
        caller.subscribe("rpc/call/theirs/response/#")
        server.subscribe("rpc/call/theirs")
        caller.publish("rpc/call/theirs", '{"request_id":7}', qos=1)
        self.assertEqual(payload_of(server.receive()), {"request_id": 7})
        server.publish("rpc/call/theirs/response/7", '{"request_id":7,"result":1}', qos=1)
        self.assertEqual(payload_of(caller.receive()), {"request_id": 7, "result": 1})

    def test_a_forged_reply_never_reaches_a_waiting_client(self):
        broker = self.start()
        client, forger = self.client(broker), self.client(broker)
        client.subscribe("rpc/call/echo/response/#")
        forger.publish("rpc/call/echo/response/1", '{"request_id":"1","result":{"forged":true}}', qos=1)
        client.publish("rpc/call/echo", '{"request_id":"1"}', qos=1)
        self.assertEqual(payload_of(client.receive()), {"request_id": "1", "result": {}})
        client.expect_nothing()

    def test_events(self):
        self.assert_refused(self.start(), EVENT_TOPICS)

    def test_guard_events_off(self):
        broker = self.start(["guard_events false"])
        self.assert_delivered(broker, self.client(broker, 5), EVENT_TOPICS)
        self.assertEqual(self.client(broker, 5).publish(REPLY_TOPICS[0], "x", qos=1), NOT_AUTHORIZED)

    def test_event_publishers(self):
        broker = self.start(["event_publishers gateway bridge"], users={"gateway": "x", "other": "x"})
        self.assert_delivered(broker, self.client(broker, 5, username="gateway", password="x"), EVENT_TOPICS[:3])
        self.assert_refused(broker, EVENT_TOPICS, username="other", password="x")
        self.assert_refused(broker, EVENT_TOPICS)

    def test_a_forged_event_does_not_replace_a_retained_one(self):
        broker = self.start()
        client = self.client(broker, 5)
        ask(client, "probe.announce", {"text": "true"})
        client.publish("rpc/event/probe/last", "", qos=1, retain=True)
        client.publish("rpc/event/probe/last", "forged", qos=1, retain=True)
        late = self.client(broker)
        late.subscribe("rpc/event/probe/last")
        self.assertEqual(payload_of(late.receive()), {"text": "true"})

    def test_topics_beside_the_guards(self):
        broker = self.start()
        topics = ("other/event/x", "rpc/eventual", "rpc/events/x", "rpc/x/response/y", "other/call/x/response/y")
        self.assert_delivered(broker, self.client(broker, 5), topics)

    def test_refusals_are_not_warnings(self):
        """Refusals are logged at debug only, so that a client cannot fill a log without it."""
        broker = self.start()
        client = self.client(broker, 5)
        client.publish(EVENT_TOPICS[0], "x", qos=1)
        self.assertNotRegex(broker.log(), r"(?i)warning.*rpc/event")


class Acl(BrokerTest):
    """The method is in the topic, so the broker's own ACLs decide who may call what."""

    RULES = "user one\ntopic write rpc/call/probe.count\nuser all\ntopic write rpc/call/#\ntopic read rpc/event/#\n"

    def setUp(self):
        self.running = self.start(users={"one": "x", "all": "x"}, acl=self.RULES, anonymous=False)

    def connect(self, name, version=5):
        return self.client(self.running, version, username=name, password="x")

    def test_a_denied_call_never_reaches_a_handler(self):
        one, everyone = self.connect("one"), self.connect("all")
        everyone.subscribe("rpc/event/#")
        for qos in (0, 1, 2):
            self.assertEqual(one.publish("rpc/call/probe.announce", '{"text":"a"}', qos=qos),
                             NOT_AUTHORIZED if qos else 0)
            self.assertEqual(one.publish("rpc/call/updateSensor", "{", qos=qos), NOT_AUTHORIZED if qos else 0)
        one.ping()
        everyone.expect_nothing()

    def test_an_allowed_call_is_answered_without_a_right_to_read(self):
        for version in (4, 5):
            self.assertIn("result", ask_by_id(self.connect("one", version), "probe.count"))
        self.assertEqual(result_of(ask(self.connect("one"), "probe.count")), {"runs": 3})

    def test_the_payload_selects_no_method(self):
        one, everyone = self.connect("one"), self.connect("all")
        everyone.subscribe("rpc/event/probeNoted")
        one.publish("rpc/call/probe.count", '{"method":"probe.announce","text":"a","params":{"text":"a"}}', qos=1)
        one.publish("rpc/call/probe.count",
                    '{"jsonrpc":"2.0","method":"probe.announce","params":{"text":"a"},"id":"x:1"}', qos=1)
        one.ping()
        everyone.expect_nothing()

    def test_events_are_read_by_those_who_may(self):
        one, everyone = self.connect("one"), self.connect("all")
        one.subscribe("rpc/event/#", check=False)
        everyone.subscribe("rpc/event/#")
        ask(one, "probe.count")
        self.assertEqual(everyone.receive().topic, "rpc/event/probeCounted")
        one.expect_nothing()


if __name__ == "__main__":
    main()
