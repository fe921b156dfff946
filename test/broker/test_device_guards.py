"""Whose answers count, and what the plugin guards (sections 1, 2 and 8 of the contract)."""
import itertools
import json

from devices import QUIET, DeviceTest
from harness import has_websockets, main
from mqtt import CORRELATION_DATA, NOT_AUTHORIZED

ANSWER = '{{"id":"{}","result":"forged"}}'


class Forged(DeviceTest):
    """An answer counts only if it comes from the device's own connection."""

    def neighbour(self, version=5, **how):
        return self.client(self.broker, version, client_id=how.pop("client_id", "neighbour"), **how)

    def test_answers_of_others(self):
        """They are refused: neither the caller nor a subscriber of resp gets them."""
        self.begin(tls=True, websockets=has_websockets())
        app, device, spy = self.app(), self.ready(), self.client(self.broker)
        spy.subscribe("cmd/+/resp")
        ports = [{}, {"port": self.broker.tls_port, "tls": True}]
        ports += [{"port": self.broker.websockets_port, "websocket": True}] if has_websockets() else []
        for version, qos, retain, how in itertools.product((3, 4, 5), (0, 1, 2), (False, True), ports):
            with self.subTest(version=version, qos=qos, retain=retain, how=how):
                call = app.call("lamp1", "go")
                command = device.take()
                forger = self.neighbour(version, **how)
                code = forger.publish("cmd/lamp1/resp", ANSWER.format(command.id), qos=qos, retain=retain)
                forger.ping()
                self.assertEqual(code, NOT_AUTHORIZED if version == 5 and qos else 0)
                self.assertTrue(app.is_waiting(call))
                device.answer(command)
                self.assertEqual(app.result(call), {"did": "go"})
                self.assertNotIn("forged", spy.receive().payload.decode())
                forger.close()
        spy.expect_nothing()

    def test_every_way_of_answering(self):
        self.begin()
        app, device, forger = self.app(), self.ready(version=5), self.neighbour()
        call = app.call("lamp1", "go", timeout_ms=30000)
        command = device.take()
        for payload, properties in (
                (b'"forged"', [(CORRELATION_DATA, command.id)]), (b'{"result":"forged"}', []), (b"", []),
                (json.dumps({"id": command.id, "error": {"err": "rejected"}}), []),
                (json.dumps({"id": command.id, "progress": 1}), [])):
            self.assertEqual(forger.publish("cmd/lamp1/resp", payload, qos=1, properties=properties), NOT_AUTHORIZED)
        self.assertTrue(app.is_waiting(call))
        device.answer(command)
        self.assertEqual(app.result(call), {"did": "go"})

    def test_an_answer_on_the_topic_of_another_device(self):
        """A device that lies: it answers for a neighbour on its own topic, and on the neighbour's."""
        self.begin()
        app, device, liar = self.app(), self.ready(), self.ready("lamp2", version=5)
        call = app.call("lamp1", "go")
        command = device.take()
        self.assertEqual(liar.client.publish("cmd/lamp1/resp", ANSWER.format(command.id), qos=1), NOT_AUTHORIZED)
        liar.publish("resp", ANSWER.format(command.id))
        self.assertTrue(app.is_waiting(call))
        device.answer(command)
        self.assertEqual(app.result(call), {"did": "go"})

    def test_a_device_without_a_hello(self):
        """It is not managed: what others publish passes untouched, and does not count."""
        self.begin("device_known_only false")
        app, device, other = self.app(), self.device().connect().listen(), self.neighbour()
        other.subscribe("cmd/lamp1/#")
        call = app.call("lamp1", "go")
        command = device.take()
        self.assertEqual(other.receive().topic, "cmd/lamp1/req")
        for topic in ("cmd/lamp1/resp", "cmd/lamp1/status"):
            self.assertNotEqual(other.publish(topic, ANSWER.format(command.id), qos=1), NOT_AUTHORIZED)
            self.assertEqual(other.receive().topic, topic)
        self.assertTrue(app.is_waiting(call))
        device.answer(command)
        self.assertEqual(app.result(call), {"did": "go"})

    def test_a_former_device_cannot_answer(self):
        """A connection with another client id that was a device before its hello, or its user, does not count."""
        self.begin()
        app, device = self.app(), self.ready(client_id="lamp1", username="someone")
        call = app.call("lamp1", "go")
        command = device.take()
        same_user = self.neighbour(username="lamp1")  # the user name is not the identity here
        self.assertEqual(same_user.publish("cmd/lamp1/resp", ANSWER.format(command.id), qos=1), NOT_AUTHORIZED)
        device.answer(command)
        self.assertEqual(app.result(call), {"did": "go"})

    def test_replies_to_callers_cannot_be_forged(self):
        """As for any method."""
        self.begin()
        forger = self.neighbour()
        self.ready()
        for topic in ("rpc/call/device/lamp1/go/response/x", "rpc/call/devices/hall/go/response/x",
                      "rpc/event/device/command"):
            self.assertEqual(forger.publish(topic, "{}", qos=1), NOT_AUTHORIZED)


class Managed(DeviceTest):

    def refused(self, client, device="lamp1", levels=("resp", "hello", "status"), qos=1):
        """Which of the device's topics a client may not publish to."""
        return {level for level in levels
                if client.publish(f"cmd/{device}/{level}", "{}", qos=qos) == NOT_AUTHORIZED}

    def stranger(self, **how):
        return self.client(self.broker, 5, client_id="stranger", **how)

    def test_from_the_first_hello_on(self):
        """A hello of a stranger is refused and manages nothing."""
        self.begin()
        stranger = self.stranger()
        self.assertEqual(self.refused(stranger), {"hello"})
        self.assertEqual(self.refused(stranger), {"hello"})
        self.ready()
        for _ in range(2):
            self.assertEqual(self.refused(stranger), {"resp", "hello", "status"})
        self.assertEqual(self.refused(stranger, "lamp2"), {"hello"})

    def test_by_option(self):
        self.begin("device_managed lamp1 lamp3")
        stranger = self.stranger()
        self.assertEqual([self.refused(stranger, name) for name in ("lamp1", "lamp2", "lamp3")],
                         [{"resp", "hello", "status"}, {"hello"}, {"resp", "hello", "status"}])

    def test_all(self):
        self.begin("device_managed *")
        self.assertEqual(self.refused(self.stranger(), "whoever"), {"resp", "hello", "status"})

    def test_it_is_remembered(self):
        for kill in (True, False):
            with self.subTest(kill=kill):
                self.begin()
                watcher = self.watch()
                self.ready()
                watcher.status("lamp1", "ready")
                self.wait_for_disk("lamp1")
                self.restart(kill)
                self.assertEqual(self.refused(self.stranger()), {"resp", "hello", "status"})
                self.assertEqual(self.watch().status("lamp1", "unknown")["device"], "lamp1")
                self.broker.stop()

    def test_the_status_is_the_plugins_alone(self):
        self.begin()
        device, watcher = self.ready(version=5), self.watch()
        watcher.status("lamp1", "ready")
        for client in (device.client, self.stranger()):
            self.assertEqual(client.publish("cmd/lamp1/status", '{"state":"forged"}', qos=1, retain=True),
                             NOT_AUTHORIZED)
        late = self.watch()
        self.assertEqual(late.status("lamp1", "ready")["device"], "lamp1")
        self.assertNotIn("forged", late.statuses("lamp1") + watcher.statuses("lamp1"))

    def test_requests_stay_open(self):
        """A message without an identity passes untouched."""
        self.begin()
        device = self.ready()
        self.stranger().publish("cmd/lamp1/req", "as ever", qos=1)
        self.assertEqual(device.client.receive().payload, b"as ever")

    def test_requests_may_be_guarded(self):
        self.begin("device_guard_requests true")
        app, device, stranger = self.app(), self.ready(), self.stranger()
        for payload in ("as ever", '{"id":"a","cmd":"go"}'):
            self.assertEqual(stranger.publish("cmd/lamp1/req", payload, qos=1), NOT_AUTHORIZED)
        device.expect_nothing()
        self.assertNotEqual(stranger.publish("cmd/lamp2/req", "not managed", qos=1), NOT_AUTHORIZED)
        call = app.call("lamp1", "go")
        device.serve()
        self.assertEqual(app.result(call), {"did": "go"})

    def test_a_plant_that_has_used_such_topics_for_years(self):
        """Everything passes as it is, retained messages and properties too; hellos of strangers excepted."""
        self.begin()
        watcher = self.client(self.broker, 5)
        watcher.subscribe("cmd/#")
        for version, qos, retain, level in itertools.product((3, 4, 5), (0, 1, 2), (False, True),
                                                             ("req", "resp", "status", "resp/7", "other", "req/x/y")):
            client = self.client(self.broker, version, client_id="old")
            payload = f'{{"id":"{version}{qos}{retain}","cmd":"go"}}'
            properties = [(CORRELATION_DATA, b"\0\1")] if version == 5 else []
            client.publish(f"cmd/machine/{level}", payload, qos=qos, retain=retain, properties=properties)
            message = watcher.receive()
            self.assertEqual((message.topic, message.payload.decode(), message.qos),
                             (f"cmd/machine/{level}", payload, qos))
            self.assertEqual([value for key, value in message.properties if key == CORRELATION_DATA],
                             [b"\0\1"] if version == 5 else [])
            client.close()
        late = self.client(self.broker)
        late.subscribe("cmd/machine/+")
        late.ping()
        self.assertEqual(sorted(message.topic for message in late.inbox),
                         ["cmd/machine/other", "cmd/machine/req", "cmd/machine/resp", "cmd/machine/status"])
        watcher.expect_nothing()

    def test_other_levels_of_a_managed_device(self):
        self.begin()
        self.ready()
        stranger = self.stranger()
        self.assertEqual(self.refused(stranger, levels=("other", "log", "resp/x/y")), set())


class Identity(DeviceTest):

    def test_the_user_name(self):
        self.begin("device_identity user", users={"lamp1": "a", "eve": "b"})
        app = self.app()
        device = self.ready(version=5, client_id="x7", username="lamp1", password="a")
        call = app.call("lamp1", "go")
        command = device.take()
        for how in ({"client_id": "lamp1"}, {"client_id": "lamp1", "username": "eve", "password": "b"}):
            forger = self.client(self.broker, 5, **how)
            self.assertEqual(forger.publish("cmd/lamp1/resp", ANSWER.format(command.id), qos=1), NOT_AUTHORIZED)
            self.assertEqual(forger.publish("cmd/lamp1/hello", "", qos=1), NOT_AUTHORIZED)
        self.assertTrue(app.is_waiting(call))
        device.answer(command)
        self.assertEqual(app.result(call), {"did": "go"})
        watcher = self.watch()
        device.vanish()
        watcher.status("lamp1", "offline")

    def test_the_user_name_and_delivery_to_the_client(self):
        self.begin("device_identity user", "device_delivery client", users={"lamp1": "a"})
        app = self.app()
        device = self.device(client_id="x7", username="lamp1", password="a").connect().hello()
        call = app.call("lamp1", "go")
        device.serve()
        self.assertEqual(app.result(call), {"did": "go"})


class Gateways(DeviceTest):
    """Users that answer, say hello and are present for others."""

    def begin_gateway(self, version=5):
        self.begin("device_gateways gate box", users={"gate": "a", "eve": "b"})
        gate = self.client(self.broker, version, client_id="g1", username="gate", password="a")
        gate.subscribe("cmd/+/req", qos=1)
        return gate

    def test_a_gateway(self):
        for version in (4, 5):
            gate = self.begin_gateway(version)
            app, watcher = self.app(), self.watch()
            for name in ("lamp1", "lamp2"):
                gate.publish(f"cmd/{name}/hello", b"", qos=1)
                watcher.status(name, "ready")
                call = app.call(name, "go")
                message = gate.receive()
                self.assertEqual(message.topic, f"cmd/{name}/req")
                gate.publish(f"cmd/{name}/resp", json.dumps({"id": json.loads(message.payload)["id"], "result": 7}),
                             qos=1)
                self.assertEqual(app.result(call), 7)
            gate.disconnect()
            for name in ("lamp1", "lamp2"):
                watcher.status(name, "offline")
                self.assert_error(app.error(app.call(name, "go")), "device_offline")
            self.broker.stop()

    def test_those_behind_it_are_guarded(self):
        gate = self.begin_gateway()
        gate.publish("cmd/lamp1/hello", b"", qos=1)
        for how in ({}, {"username": "eve", "password": "b"}):
            eve = self.client(self.broker, 5, client_id="g2", **how)
            for level in ("resp", "hello", "status"):
                self.assertEqual(eve.publish(f"cmd/lamp1/{level}", "{}", qos=1), NOT_AUTHORIZED)

    def test_a_client_id_is_no_gateway(self):
        self.begin_gateway()
        fake = self.client(self.broker, 5, client_id="gate")
        self.assertEqual(fake.publish("cmd/lamp1/hello", b"", qos=1), NOT_AUTHORIZED)


class Lies(DeviceTest):
    """A device that lies harms nobody but itself."""

    def setUp(self):
        self.begin("device_groups hall=lamp1,liar", log_types=QUIET)
        self.caller, self.lamp, self.liar = self.app(), self.ready(), self.ready("liar", version=5)

    def check(self):
        """The neighbour is served, and the liar, once it behaves."""
        for device in (self.lamp, self.liar):
            device.client.inbox.clear()
            call = self.caller.call(device.name, "check")
            while device.take().cmd != "check":
                pass
            device.answer(device.taken[-1])
            self.assertEqual(self.caller.result(call), {"did": "check"})

    def test_a_flood_of_progress(self):
        """To a caller that does not ask for it, and to one that does: the broker drops what is over
        max_queued_messages, 1000, until that one reads."""
        for options, count in (({}, 2000), ({"progress": 1}, 500)):
            call = self.caller.call("liar", "go", **options)
            command = self.liar.take()
            payload = json.dumps({"id": command.id, "progress": "x" * 100})
            for _ in range(count):
                self.liar.client.publish("cmd/liar/resp", payload)
            self.liar.answer(command, result=1)
            self.assertEqual(self.caller.result(call), 1)
        self.check()

    def test_two_answers(self):
        """The first one is the answer, whatever the second one says."""
        for first, second in (({"result": 1}, {"error": {"err": "stuck"}}), ({"result": 1}, {"result": 2})):
            call = self.caller.call("liar", "go")
            command = self.liar.take()
            for members in (first, second):
                self.liar.client.publish("cmd/liar/resp", json.dumps({"id": command.id, **members}))
            self.assertEqual(self.caller.result(call), 1)
            self.caller.client.expect_nothing(0)
        self.check()

    def test_several_things_in_one_answer(self):
        """The caller gets one verdict."""
        for members in ({"result": 1, "error": {"err": "stuck"}}, {"result": 1, "progress": 2},
                        {"error": {"err": "stuck"}, "progress": 2}, {"result": 1, "error": {"err": "rejected"}}):
            call = self.caller.call("liar", "go")
            command = self.liar.take()
            self.liar.answer(command, **members)
            if self.caller.is_waiting(call):  # it was progress
                self.liar.answer(command, result=1)
            self.caller.reply(call)
            self.caller.client.expect_nothing(0)
        self.check()

    def test_answers_for_all_ids(self):
        """Those that are not in flight, of others, and of no command."""
        done = self.caller.call("lamp1", "go")
        ended = self.lamp.serve()
        self.caller.result(done)
        flying = self.caller.call("lamp1", "go")
        command = self.lamp.take()
        for name in (ended.id, command.id, "", "x" * 10000, "nonesuch"):
            self.liar.publish("resp", json.dumps({"id": name, "result": "forged"}))
            self.liar.publish("resp", '"forged"', [(CORRELATION_DATA, name)])
        self.assertTrue(self.caller.is_waiting(flying))
        self.lamp.answer(command)
        self.assertEqual(self.caller.result(flying), {"did": "go"})
        self.check()

    def test_hellos_without_end(self):
        for number in range(2000):
            self.liar.client.publish("cmd/liar/hello", json.dumps(
                {"ttd": number % 3 + 1, "once": bool(number % 2), "kind": f"kind{number}", "commands": [f"c{number}"]}))
        self.liar.hello()
        self.check()

    def test_a_jump_of_seq(self):
        """`expected` may be anything."""
        for expected in (-5, 0, 1, 2**53, 2**63, 1e30, "7", None, [7]):
            call = self.caller.call("liar", "go")
            self.liar.answer(self.liar.take(), error={"err": "out_of_order", "expected": expected})
            self.assertIn(self.caller.error(call)["err"], ("out_of_order", "device_failed"))
        self.check()


class Limits(DeviceTest):

    def test_strangers_fill_no_table(self):
        """Names that are not theirs cost nothing."""
        self.begin("device_max 10", log_types=QUIET)
        stranger, app = self.client(self.broker, 5, client_id="stranger"), self.app()
        for number in range(100):
            stranger.publish(f"cmd/x{number}/hello", b"", qos=1)
            stranger.publish(f"cmd/x{number}/resp", b"{}", qos=1)
            app.error(app.call(f"y{number}", "go"))
        self.assertEqual(app.rows("device.list", {"limit": 100}), [])
        device = self.ready()
        call = app.call("lamp1", "go")
        device.serve()
        app.result(call)

    def test_hellos_that_are_nonsense(self):
        """Bad input costs nothing: the connection stands, and the next hello is fine."""
        self.begin()
        app, device = self.app(), self.device(version=5).connect().listen()
        for payload in (b"x", b"{", b"[]", b"5", b'{"ttd":-1}', b'{"ttd":"x"}', b'{"ttd":1e99}', b'{"commands":"x"}',
                        b'{"commands":[5]}', b'{"kind":5}', b'{"once":"maybe"}', b"\xff", b"{}" * 50000,
                        json.dumps({"commands": ["x" * 100] * 1000}).encode()):
            device.publish("hello", payload)
        device.client.inbox.clear()
        device.hello(unknown={"members": ["are", "ignored"]})
        call = app.call("lamp1", "go")
        device.serve()
        self.assertEqual(app.result(call), {"did": "go"})


if __name__ == "__main__":
    main()
