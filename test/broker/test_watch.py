"""What modules send, and which clients they see, with the module of test/modules/watch.c."""
import json
import time

from harness import TIMEOUT, BrokerTest, ask, broker_version, error_of, main, result_of
from mqtt import CONTENT_TYPE, CORRELATION_DATA, MESSAGE_EXPIRY, RESPONSE_TOPIC, USER_PROPERTY, property_of


class Sending(BrokerTest):

    def test_one_client_gets_it_without_a_subscription(self):
        broker = self.start()
        caller = self.client(broker, 5)
        for version in (4, 5):
            lamp, other = self.client(broker, version, client_id=f"lamp{version}"), self.client(broker, version)
            other.subscribe("cmd/#")
            result_of(ask(caller, "watch.send", {
                "client": f"lamp{version}", "topic": "cmd/lamp/req", "text": "on", "qos": 1, "expiry": 30,
                "response_topic": "cmd/lamp/resp", "correlation": "k7", "content_type": "text/plain"}))
            message = lamp.receive()
            self.assertEqual((message.topic, message.payload, message.qos), ("cmd/lamp/req", b"on", 1))
            if version == 5:
                self.assertEqual(property_of(message, RESPONSE_TOPIC), "cmd/lamp/resp")
                self.assertEqual(property_of(message, CORRELATION_DATA), b"k7")
                self.assertEqual(property_of(message, CONTENT_TYPE), "text/plain")
                self.assertLessEqual(property_of(message, MESSAGE_EXPIRY), 30)
            other.expect_nothing()

    def test_user_properties_and_typed_payloads(self):
        broker = self.start()
        caller = self.client(broker, 5)
        properties = [("seq", "12"), ("seq", ""), ("b\u00e4r +#", "/")]
        for qos in (0, 1, 2):
            for version in (3, 4, 5):
                lamp, other = self.client(broker, version, client_id="lamp"), self.client(broker, version)
                other.subscribe("cmd/#", qos=qos)
                for client in ({"client": "lamp"}, {}):
                    result_of(ask(caller, "watch.send", {
                        **client, "topic": "cmd/lamp/req", "word": "on", "any": 9007199254740993, "qos": qos,
                        "properties": [{"name": name, "value": value} for name, value in properties]}))
                    message = (lamp if client else other).receive()
                    self.assertEqual((message.payload, message.qos), (b'{"word":"on","any":9007199254740993}', qos))
                    self.assertEqual([value for kind, value in message.properties or [] if kind == USER_PROPERTY],
                                     properties if version == 5 else [])
                lamp.close()
                other.close()

    def test_user_properties_outlive_a_restart(self):
        broker = self.start(persistence=True)
        caller, session = self.client(broker, 5), self.client(broker, 5, client_id="s", clean=False)
        session.subscribe("plant/#", qos=1)
        session.disconnect()
        result_of(ask(caller, "watch.send", {"topic": "plant/a", "qos": 1, "retain": True,
                                             "properties": [{"name": "a", "value": ""}, {"name": "b", "value": "c"}]}))
        broker.stop()
        broker.start()
        session = self.client(broker, 5, client_id="s", clean=False)
        message = session.receive()
        self.assertEqual([value for kind, value in message.properties if kind == USER_PROPERTY],
                         [("a", ""), ("b", "c")])

    def test_subscribers_get_it(self):
        broker = self.start()
        caller, subscriber = self.client(broker, 5), self.client(broker, 4)
        subscriber.subscribe("plant/#")
        result_of(ask(caller, "watch.send", {"topic": "plant/a", "text": "1", "qos": 1, "retain": True}))
        self.assertEqual(subscriber.receive().payload, b"1")
        late = self.client(broker, 4)
        late.subscribe("plant/#")
        self.assertEqual(late.receive().payload, b"1")
        result_of(ask(caller, "watch.send", {"topic": "plant/a", "retain": True}))
        self.assertEqual(subscriber.receive().payload, b"")
        later = self.client(broker, 4)
        later.subscribe("plant/#")
        later.expect_nothing()

    def test_topics_of_the_engine_are_not_for_modules(self):
        caller = self.client(self.start(), 5)
        for topic in ("rpc/event/a", "$SYS/a", "a/#"):
            self.assert_error(error_of(ask(caller, "watch.send", {"topic": topic})), "not_sent")


class Presence(BrokerTest):

    def signs(self, caller, client):
        return [(sign["sign"], sign.get("filter")) for sign in result_of(ask(caller, "watch.signs"))["signs"]
                if sign["client"] == client]

    def test_the_life_of_a_client(self):
        broker = self.start()
        caller = self.client(broker, 5)
        lamp = self.client(broker, 4, client_id="lamp1")
        lamp.subscribe("cmd/lamp1/req")
        lamp.publish("anything/at/all", b"x", qos=1)
        lamp.disconnect()
        expected = [("seen", None), ("gone", None)]
        if broker_version() >= (2, 1):
            expected = [("connected", None), ("subscribed", "cmd/lamp1/req"), *expected]
        until = time.monotonic() + TIMEOUT
        while self.signs(caller, "lamp1") != expected and time.monotonic() < until:
            time.sleep(0.1)
        self.assertEqual(self.signs(caller, "lamp1"), expected)

    def test_messages_need_not_be_seen(self):
        broker = self.start()
        caller = self.client(broker, 5)
        result_of(ask(caller, "watch.look", {"at_messages": False}))
        for client_id, seen in (("lamp1", []), ("lamp2", [("seen", None)])):
            lamp = self.client(broker, 4, client_id=client_id)
            lamp.publish("anything/at/all", b"x", qos=1)
            lamp.disconnect()
            connected = [("connected", None)] if broker_version() >= (2, 1) else []
            expected = [*connected, *seen, ("gone", None)]
            until = time.monotonic() + TIMEOUT
            while self.signs(caller, client_id) != expected and time.monotonic() < until:
                time.sleep(0.1)
            self.assertEqual(self.signs(caller, client_id), expected)
            result_of(ask(caller, "watch.look"))


if __name__ == "__main__":
    main()
