"""Applications that publish to cmd/{device}/req themselves (section 8 of the contract)."""
import itertools
import json

from devices import SHORT, DeviceTest
from harness import main, new_identity, payload_of
from mqtt import CORRELATION_DATA, RESPONSE_TOPIC, USER_PROPERTY, property_of

LABELS = ("id", "tid", "request_id", "transaction")


class Adopted(DeviceTest):

    def begin_plant(self, *options, version=4, **how):
        """A managed device, and an application that has never heard of the plugin."""
        self.begin(*options, **how)
        self.lamp = self.ready()
        self.app_ = self.client(self.broker, version, client_id="panel")
        return self.app_

    def request(self, label="id", identity="a1", **members):
        return json.dumps({label: identity, "cmd": "go", "params": {"far": 7}, **members})

    def test_it_works_as_before(self):
        """The device gets the payload as it is; its answer goes to all subscribers, and nothing else comes."""
        app = self.begin_plant()
        watcher = self.watch("rpc/event/device/command")
        other = self.client(self.broker)
        for client in (app, other):
            client.subscribe("cmd/lamp1/resp")
        for label, (number, identity) in itertools.product(LABELS, enumerate(("a1", "x" * 36, 17))):
            with self.subTest(label=label, identity=identity):
                payload = f'{{ "{label}": {json.dumps(identity)}, "cmd":"go" ,"n":{number} }}'
                app.publish("cmd/lamp1/req", payload, qos=number)
                message = self.lamp.client.receive()
                self.assertEqual((message.topic, message.payload.decode()), ("cmd/lamp1/req", payload))
                answer = json.dumps({label: identity, "result": {"far": number}})
                self.lamp.publish("resp", answer)
                for client in (app, other):
                    message = client.receive()
                    self.assertEqual((message.topic, message.payload.decode()), ("cmd/lamp1/resp", answer))
                watcher.command(device="lamp1", state="succeeded")
        app.expect_nothing()

    def test_applications_of_every_version(self):
        self.begin_plant()
        for version, qos in itertools.product((3, 4, 5), (0, 1, 2)):
            app = self.client(self.broker, version)
            app.subscribe("cmd/lamp1/resp")
            app.publish("cmd/lamp1/req", self.request(identity=f"{version}{qos}"), qos=qos)
            self.lamp.serve()
            self.assertEqual(json.loads(app.receive().payload), {"id": f"{version}{qos}", "result": {"did": "go"}})
            app.disconnect()

    def test_a_response_topic(self):
        """The answer comes where the application waits for it: with its own Correlation Data."""
        for topic in ("cmd/lamp1/resp", "panel/answers"):
            app = self.begin_plant(version=5)
            app.subscribe(topic)
            app.publish("cmd/lamp1/req", '{"cmd":"go"}', qos=1,
                        properties=[(RESPONSE_TOPIC, topic), (CORRELATION_DATA, b"\0binary")])
            message = self.lamp.client.receive()
            self.assertEqual(message.payload, b'{"cmd":"go"}')
            self.lamp.publish("resp", '{"result":{"far":7}}')
            answer = app.receive()
            self.assertEqual(answer.topic, topic)
            self.assertIn('"far":7', answer.payload.decode())
            if topic != "cmd/lamp1/resp":
                self.assertEqual(property_of(answer, CORRELATION_DATA), b"\0binary")
            self.broker.stop()

    def test_an_mqtt_5_device_answers_where_it_is_told_to(self):
        """The Response Topic that it gets is one on which the plugin hears it."""
        app = self.begin_plant(version=5)
        app.subscribe("panel/answers")
        device = self.ready("lamp5", version=5)
        app.publish("cmd/lamp5/req", '{"cmd":"go"}', qos=1,
                    properties=[(RESPONSE_TOPIC, "panel/answers"), (CORRELATION_DATA, b"c1")])
        message = device.client.receive()
        self.assertEqual(property_of(message, RESPONSE_TOPIC), "cmd/lamp5/resp")
        device.client.publish(property_of(message, RESPONSE_TOPIC), '{"far":7}', qos=1, properties=[
            (CORRELATION_DATA, property_of(message, CORRELATION_DATA))])
        answer = app.receive()
        self.assertEqual((answer.topic, property_of(answer, CORRELATION_DATA)), ("panel/answers", b"c1"))
        self.assertIn('"far":7', answer.payload.decode())

    def test_held_until_its_turn(self):
        app = self.begin_plant()
        caller = self.app()
        call = caller.call("lamp1", "first")
        first = self.lamp.take()
        for number in range(3):
            app.publish("cmd/lamp1/req", self.request(identity=f"a{number}"), qos=1)
        self.lamp.expect_nothing()
        self.lamp.answer(first)
        caller.result(call)
        for number in range(3):
            command = self.lamp.take()
            self.lamp.client.ping()
            self.assertEqual((command.id, len(self.lamp.client.inbox)), (f"a{number}", 0))
            self.lamp.answer(command)

    def test_repeated_requests(self):
        """The device hears of it once, while it runs and afterwards."""
        for label, identity in itertools.product(LABELS, ("a1", 17, new_identity())):
            app = self.begin_plant()
            for _ in range(3):
                app.publish("cmd/lamp1/req", self.request(label, identity), qos=1)
            self.lamp.client.receive()
            self.lamp.expect_nothing(0.1)
            self.lamp.publish("resp", json.dumps({label: identity, "result": True}))
            app.publish("cmd/lamp1/req", self.request(label, identity), qos=1)
            self.lamp.expect_nothing(0.1)
            self.broker.stop()

    def test_two_applications_with_the_same_ids(self):
        """Both count from 1: both are carried out, one after the other, and each answer is for its own."""
        app = self.begin_plant()
        other = self.client(self.broker, 4, client_id="panel2")
        watcher = self.watch()
        for number in (1, 2):
            for client in (app, other):
                client.publish("cmd/lamp1/req", self.request(identity=number), qos=1)
        got = []
        for _ in range(4):
            command = self.lamp.take()
            self.lamp.client.ping()
            self.assertEqual(len(self.lamp.client.inbox), 0)
            got.append(command.id)
            self.lamp.answer(command, result=True)
        self.assertEqual(sorted(got), [1, 1, 2, 2])
        for _ in range(4):
            watcher.command(device="lamp1", state="succeeded")

    def test_a_timeout(self):
        """To the caller alone, which needs no subscription for it."""
        for version, label in itertools.product((3, 4, 5), LABELS):
            with self.subTest(version=version, label=label):
                app = self.begin_plant(f"timeout {SHORT}ms", version=version)
                spy = self.client(self.broker)
                spy.subscribe("cmd/lamp1/resp/#", "cmd/lamp1/resp")
                app.publish("cmd/lamp1/req", self.request(label), qos=1)
                self.lamp.client.receive()
                reply = app.receive()
                self.assertEqual(reply.topic, "cmd/lamp1/resp/a1")
                self.assertIn(b"timeout", reply.payload)
                self.assertIn('"device_timeout"', reply.payload.decode())
                spy.expect_nothing()
                self.broker.stop()

    def test_a_timeout_on_the_response_topic(self):
        app = self.begin_plant(version=5)
        spy = self.client(self.broker)
        spy.subscribe("panel/#")
        app.publish("cmd/lamp1/req", '{"cmd":"go"}', qos=1, properties=[
            (RESPONSE_TOPIC, "panel/answers"), (CORRELATION_DATA, b"c1"), (USER_PROPERTY, ("timeout-ms", str(SHORT)))])
        self.lamp.client.receive()
        reply = app.receive()
        self.assertEqual((reply.topic, property_of(reply, CORRELATION_DATA)), ("panel/answers", b"c1"))
        self.assert_error(payload_of(reply), "device_timeout", device="lamp1")
        spy.expect_nothing()

    def test_a_device_that_is_offline(self):
        for version in (3, 4, 5):
            app = self.begin_plant(version=version)
            self.leave(self.lamp)
            app.publish("cmd/lamp1/req", self.request(), qos=1)
            reply = app.receive()
            self.assertEqual(reply.topic, "cmd/lamp1/resp/a1")
            self.assertIn('"device_offline"', reply.payload.decode())
            self.lamp.come().expect_nothing()
            self.broker.stop()

    def test_options_of_a_call(self):
        """User properties say the same as for any call."""
        app = self.begin_plant(version=5)
        self.leave(self.lamp)
        app.publish("cmd/lamp1/req", self.request(), qos=1, properties=[
            (USER_PROPERTY, ("offline", "wait")), (USER_PROPERTY, ("timeout-ms", "50000"))])
        app.expect_nothing()
        self.assertEqual(self.lamp.come().serve().id, "a1")

    def test_it_is_tracked(self):
        app = self.begin_plant()
        app.publish("cmd/lamp1/req", self.request(), qos=1)
        watcher, caller = self.watch(), self.app()
        command = self.lamp.take()
        self.assertEqual(caller.history("lamp1")["a1"]["state"], "sent")
        self.lamp.answer(command)
        event = watcher.command(device="lamp1", id="a1", state="succeeded")
        self.assertEqual(event["command"], "go")
        self.assertEqual(caller.history("lamp1")["a1"]["state"], "succeeded")

    def test_errors_of_the_device(self):
        """Subscribers of resp see the device's own answer; the application hears of it there."""
        app = self.begin_plant()
        app.subscribe("cmd/lamp1/resp")
        app.publish("cmd/lamp1/req", self.request(), qos=1)
        self.lamp.answer(self.lamp.take(), error={"err": "stuck"})
        message = app.receive()
        self.assertEqual((message.topic, json.loads(message.payload)),
                         ("cmd/lamp1/resp", {"id": "a1", "error": {"err": "stuck"}}))

    def test_it_is_not_retained(self):
        app = self.begin_plant()
        app.publish("cmd/lamp1/req", self.request(), qos=1, retain=True)
        self.assertFalse(self.lamp.serve().message.retain)
        late = self.client(self.broker)
        late.subscribe("cmd/#")
        late.ping()
        self.assertEqual([message.topic for message in late.inbox if message.topic != "cmd/lamp1/status"], [])

    def test_a_request_that_is_not_delivered_to_the_device_alone(self):
        """Others that subscribed to req see it once, when it is sent."""
        app = self.begin_plant()
        spy = self.client(self.broker)
        spy.subscribe("cmd/lamp1/req")
        app.publish("cmd/lamp1/req", self.request(), qos=1)
        self.lamp.serve()
        self.assertEqual(json.loads(spy.receive().payload)["id"], "a1")
        spy.expect_nothing()

    def test_a_payload_that_is_no_json_but_has_a_response_topic(self):
        """The device gets it as it is."""
        app = self.begin_plant(version=5)
        app.publish("cmd/lamp1/req", b"ON\xff", qos=1, properties=[(RESPONSE_TOPIC, "cmd/lamp1/resp")])
        self.assertEqual(self.lamp.client.receive().payload, b"ON\xff")


class Untouched(DeviceTest):
    """What is not adopted passes as if there were no plugin: at once, in its order, as often as it is sent."""

    def passes(self, app, device, *payloads, properties=()):
        for payload in payloads:
            for _ in range(2):
                app.publish("cmd/lamp1/req", payload, qos=1, properties=properties)
        for payload in payloads:
            for _ in range(2):
                message = device.client.receive()
                self.assertEqual((message.topic, message.payload), ("cmd/lamp1/req", payload))
        app.expect_nothing(0.1)

    def test_without_an_identity(self):
        self.begin()
        for version in (3, 4, 5):
            self.passes(self.client(self.broker, version), self.ready(),
                        b"", b"ON", b"5", b"[1]", b'{"cmd":"go"}', b'{"cmd":{"id":5}}', b"{", b"\xff\0", b'["id"]')

    def test_to_a_device_that_is_not_managed(self):
        self.begin()
        self.passes(self.client(self.broker, 5), self.device().connect().listen(), b'{"id":"a1","cmd":"go"}', b"x",
                    properties=[(RESPONSE_TOPIC, "panel/answers")])

    def test_with_adoption_turned_off(self):
        self.begin("device_adopt false", f"timeout {SHORT}ms")
        app = self.client(self.broker, 5)
        self.passes(app, self.ready(), b'{"id":"a1","cmd":"go"}', b"x", properties=[(RESPONSE_TOPIC, "panel/answers")])
        app.expect_nothing(1.2 * SHORT / 1000)

    def test_retained_messages_without_an_identity(self):
        """A plant that works so goes on to."""
        self.begin()
        self.ready()
        self.client(self.broker).publish("cmd/lamp1/req", "ON", qos=1, retain=True)
        late = self.client(self.broker)
        late.subscribe("cmd/lamp1/req")
        self.assertEqual(late.receive().payload, b"ON")

    def test_what_a_device_publishes_to_its_own_topic(self):
        """It is a caller like all others."""
        self.begin()
        device = self.ready()
        device.publish("req", '{"id":"a1","cmd":"go"}')
        self.assertEqual(device.serve().id, "a1")


if __name__ == "__main__":
    main()
