"""Messages of inboxes that are carried out as calls, and interim replies, with the module of test/modules/relay.c."""
import itertools
import json

from harness import BrokerTest, ask, error_of, eventually, main, new_identity, payload_of, result_of
from mqtt import CORRELATION_DATA, NOT_AUTHORIZED, RESPONSE_TOPIC, USER_PROPERTY, property_of, user_property_of

ASK_FOR_PROGRESS = (USER_PROPERTY, ("progress", "1"))


class RelayTest(BrokerTest):

    def start(self, options=(), **how):
        return super().start(["relay_root cmd", "device_topic none", *options], **how)

    def step(self, caller, box, done):
        """Sends an interim reply to the calls of a box. Returns how many there are."""
        return result_of(ask(caller, "relay.step", {"box": box, "done": done}))["calls"]

    def end(self, caller, box, **how):
        return result_of(ask(caller, "relay.end", {"box": box, **how}))["calls"]


class Adoption(RelayTest):

    def test_a_message_becomes_a_call_of_its_sender(self):
        broker = self.start()
        watcher = self.client(broker, 5)
        watcher.subscribe("cmd/#", "here/#")
        for version, qos, retain in itertools.product((3, 4, 5), (0, 1, 2), (False, True)):
            with self.subTest(version=version, qos=qos, retain=retain):
                sender = self.client(broker, version)
                properties = [(RESPONSE_TOPIC, "here/too"), (CORRELATION_DATA, b"c1")] if version == 5 else []
                sender.publish("cmd/a/ask/now/k7", '{"text":"x"}', qos=qos, retain=retain, properties=properties)
                reply = sender.receive()
                self.assertEqual(reply.topic, "here/too" if version == 5 else "cmd/a/resp/k7")
                self.assertEqual(reply.qos, qos)
                result = payload_of(reply)
                self.assertEqual((result["box"], result["action"], result["text"], result["adopted"]),
                                 ("a", "now", "x", True))
                if version == 5:
                    self.assertEqual(property_of(reply, CORRELATION_DATA), b"c1")
                    self.assertEqual(user_property_of(reply, "status"), "ok")
                sender.close()
        watcher.expect_nothing()
        late = self.client(broker, 5)
        late.subscribe("cmd/#")
        late.expect_nothing()

    def test_user_properties_of_the_message(self):
        broker = self.start(["timeout 10s"])
        sender, other = self.client(broker, 5), self.client(broker, 5)
        notes = [(USER_PROPERTY, ("other", "1")), (USER_PROPERTY, ("note", "x"))]
        sender.publish("cmd/a/ask/now/-", qos=1, properties=[(RESPONSE_TOPIC, "r"), *notes])
        self.assertEqual(payload_of(sender.receive())["note"], "x")
        sender.publish("cmd/a/ask/wait/-", qos=1, properties=[(RESPONSE_TOPIC, "r"), (USER_PROPERTY, ("note", "y"))])
        self.assertEqual(self.end(other, "a"), 1)
        result = payload_of(sender.receive())
        self.assertEqual((result["note"], result["is_gone"]), ("y", True))
        self.assertLessEqual(result["left"], 10000)
        sender.publish("cmd/a/ask/wait/-", qos=1,
                       properties=[(RESPONSE_TOPIC, "r"), (USER_PROPERTY, ("timeout-ms", "50"))])
        self.assert_error(error_of(sender.receive()), "timeout")

    def test_what_comes_again_runs_once(self):
        broker = self.start()
        other = self.client(broker, 5)
        for version, identity in ((4, "k7"), (5, new_identity().encode())):
            sender = self.client(broker, version)
            properties = [(RESPONSE_TOPIC, "r"), (CORRELATION_DATA, identity)] if version == 5 else []
            for _ in range(2):
                sender.publish("cmd/a/ask/wait/k7", qos=1, properties=properties)
            self.assertEqual(self.end(other, "a"), 1)
            first, second = sender.receive(), sender.receive()
            sender.publish("cmd/a/ask/wait/k7", qos=1, properties=properties)
            third = sender.receive()
            self.assertEqual(first.payload, second.payload)
            self.assertEqual(first.payload, third.payload)
            if version == 5:
                self.assertEqual([user_property_of(reply, "repeated") for reply in (first, second, third)],
                                 [None, "1", "1"])
        self.assertEqual(result_of(ask(other, "relay.stats"))["runs"], 2)

    def test_errors_only(self):
        broker = self.start()
        sender, other = self.client(broker, 4), self.client(broker, 5)
        sender.publish("cmd/a/quiet/now/k1", qos=1)
        sender.publish("cmd/a/quiet/now/k1", qos=1)
        sender.expect_nothing()
        for _ in range(2):
            sender.publish("cmd/a/quiet/lose/k2", qos=1)
            reply = sender.receive()
            self.assertEqual(reply.topic, "cmd/a/resp/k2")
            self.assert_error(payload_of(reply), "outcome_unknown", method="relay/a/lose", box="a")
        self.assertEqual(result_of(ask(other, "relay.stats"))["runs"], 2)

    def test_the_sender_goes_away(self):
        broker = self.start()
        sender, other = self.client(broker, 4), self.client(broker, 5)
        sender.publish("cmd/a/ask/wait/k1", qos=1)
        self.assertEqual(self.step(other, "a", 1), 1)
        sender.disconnect()
        eventually(lambda: self.step(other, "a", 1) == 0)

    def test_acls_of_the_inbox_decide(self):
        rules = "user bob\ntopic write cmd/bob/ask/+/+\n"
        broker = self.start(users={"bob": "x"}, acl=rules, anonymous=False)
        bob = self.client(broker, 5, username="bob", password="x")
        bob.publish("cmd/bob/ask/now/k1", qos=1)
        self.assertEqual(payload_of(bob.receive())["box"], "bob")
        self.assertEqual(bob.publish("cmd/eve/ask/now/k1", qos=1), NOT_AUTHORIZED)


class Progress(RelayTest):

    def test_interim_replies_come_before_the_reply(self):
        broker = self.start()
        caller, other, watcher = (self.client(broker, 5) for _ in range(3))
        watcher.subscribe("here")
        for topic, qos in itertools.product(("rpc/call/relay/a/wait", "cmd/a/ask/wait/-"), (0, 1, 2)):
            with self.subTest(topic=topic, qos=qos):
                identity = new_identity().encode()
                caller.publish(topic, qos=qos,
                               properties=[(RESPONSE_TOPIC, "here"), (CORRELATION_DATA, identity), ASK_FOR_PROGRESS])
                caller.ping()
                for done in (1, 2):
                    self.assertEqual(self.step(other, "a", done), 1)
                self.assertEqual(self.end(other, "a"), 1)
                replies = [caller.receive() for _ in range(3)]
                self.assertEqual([user_property_of(reply, "status") for reply in replies],
                                 ["progress", "progress", "ok"])
                self.assertEqual([json.loads(reply.payload) for reply in replies[:2]],
                                 [{"box": "a", "done": 1}, {"box": "a", "done": 2}])
                for reply in replies:
                    self.assertEqual((reply.topic, reply.qos), ("here", qos))
                    self.assertEqual(property_of(reply, CORRELATION_DATA), identity)
        watcher.expect_nothing()

    def test_a_caller_that_does_not_ask_gets_the_reply_alone(self):
        broker = self.start()
        caller, other = self.client(broker, 5), self.client(broker, 5)
        for asks in ([], [(USER_PROPERTY, ("progress", "0"))], [(USER_PROPERTY, ("other", "1"))]):
            caller.publish("rpc/call/relay/a/wait", qos=1, properties=[(RESPONSE_TOPIC, "here"), *asks])
            self.assertEqual(self.step(other, "a", 1), 1)
            self.assertEqual(self.end(other, "a"), 1)
            self.assertEqual(user_property_of(caller.receive(), "status"), "ok")
        caller.publish("rpc/batch/relay/a/wait", "[{},{}]", qos=1,
                       properties=[(RESPONSE_TOPIC, "here"), ASK_FOR_PROGRESS])
        self.assertEqual(self.step(other, "a", 1), 2)
        self.assertEqual(self.end(other, "a"), 2)
        self.assertEqual(user_property_of(caller.receive(), "status"), "ok")


if __name__ == "__main__":
    main()
