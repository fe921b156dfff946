"""Commands to devices that are there: topics, types, and a command's life (sections 1, 3 and 4 of the contract)."""
import itertools
import json
import time

from devices import SHORT, DeviceTest, lamp
from harness import TIMEOUT, ask_by_id, eventually, has_websockets, main, new_identity, payload_of
from mqtt import CORRELATION_DATA, NOT_AUTHORIZED, RESPONSE_TOPIC, property_of, user_property_of

TRANSPORTS = ("tcp", "tls", "websockets") if has_websockets() else ("tcp", "tls")


class Topics(DeviceTest):

    def test_devices_of_every_version_and_transport(self):
        self.begin(websockets=has_websockets(), tls=True)
        app = self.app()
        for version, transport, qos in itertools.product((3, 4, 5), TRANSPORTS, (0, 1, 2)):
            with self.subTest(version=version, transport=transport, qos=qos):
                device = self.ready(f"{transport}{version}{qos}", version=version, transport=transport, qos=qos)
                call = app.call(device.name, "go", {"far": 7})
                command = device.take()
                self.assertEqual(command.body, {"id": command.id, "cmd": "go", "params": {"far": 7}})
                self.assertIsInstance(command.id, str)
                self.assertTrue(command.id)
                self.assertEqual((command.qos, command.message.retain), (min(qos, 1), False))
                device.answer(command)
                self.assertEqual(app.result(call), {"did": "go"})
                device.go()

    def test_what_an_mqtt_5_device_gets_beside_the_payload(self):
        self.begin()
        app, device = self.app(), self.ready(version=5)
        app.call("lamp1", "go", timeout_ms=20000)
        command = device.take()
        self.assertEqual(property_of(command.message, RESPONSE_TOPIC), "cmd/lamp1/resp")
        self.assertEqual(property_of(command.message, CORRELATION_DATA), command.id.encode())
        self.assertTrue(0 < command.expiry <= 20, command.expiry)
        self.assertTrue(command.seq.isdigit(), command.seq)

    def test_a_bare_result_with_correlation_data(self):
        self.begin()
        app, device = self.app(), self.ready(version=5)
        for result in (True, 5, "done", [1, 2], {"far": 7}):
            call = app.call("lamp1", "go")
            device.answer(device.take(), "correlation", result=result)
            self.assertEqual(app.result(call), result)

    def test_results_come_as_they_are(self):
        self.begin()
        app, device = self.app(), self.ready()
        for result in (True, False, None, 0, 9007199254740993, 1.25, "dön\n", [], [1, {"a": None}], {}, {"error": 1}):
            call = app.call("lamp1", "go")
            device.answer(device.take(), result=result)
            self.assertEqual(app.result(call), result)

    def test_params_come_as_they_are(self):
        self.begin()
        app, device = self.app(), self.ready()
        for params in ({}, {"n": 9007199254740993, "d": 1.25, "s": "dön\n", "x": None}, {"id": "a", "cmd": "b"},
                       {"device": "lamp2", "command": "other", "params": {"q": 1}}, [1, 2], 5, "text", True):
            with self.subTest(params=params):
                call = app.call("lamp1", "go", json.dumps(params))
                command = device.serve()
                self.assertEqual((command.cmd, command.params), ("go", params))
                app.result(call)

    def test_an_empty_payload_means_no_params(self):
        self.begin()
        app, device = self.app(), self.ready()
        call = app.call("lamp1", "go", b"")
        self.assertIn(device.serve().params, ({}, None))
        app.result(call)

    def test_callers_of_every_kind(self):
        self.begin()
        device = self.ready().run()
        for version, qos in itertools.product((3, 4, 5), (0, 1, 2)):
            with self.subTest(version=version, qos=qos):
                client = self.client(self.broker, version)
                self.assertEqual(ask_by_id(client, "device/lamp1/go", {"far": 7}, qos), {"result": {"did": "go"}})
        client = self.client(self.broker, 5)
        client.publish("rpc/call/device/lamp1/go", json.dumps(
            {"jsonrpc": "2.0", "id": "t:1", "method": "device/lamp1/go", "params": {"far": 7}}), qos=1)
        self.assertEqual(payload_of(client.receive()), {"jsonrpc": "2.0", "id": "t:1", "result": {"did": "go"}})
        client.publish("rpc/batch/device/lamp1/go", '[{"far":1},{"far":2}]', qos=1, properties=[(RESPONSE_TOPIC, "r")])
        self.assertEqual(payload_of(client.receive()), [{"result": {"did": "go"}}] * 2)
        client.publish("rpc/call/device/lamp1/go", '{"far":3}', qos=1)  # nobody asks for the reply
        eventually(lambda: len(device.done) == 13)
        device.stop()
        self.assertEqual([command.params for command in device.taken],
                         [{"far": 7}] * 10 + [{"far": 1}, {"far": 2}, {"far": 3}])

    def test_a_deadline_beside_a_request_id(self):
        """For callers without user properties; neither member reaches the device."""
        self.begin()
        device = self.ready()
        for version in (3, 4, 5):
            with self.subTest(version=version):
                client = self.client(self.broker, version)
                client.publish("rpc/call/device/lamp1/go", json.dumps({"request_id": "t", "timeout_ms": SHORT, "far": 7}), qos=1)
                self.assertEqual(device.take().params, {"far": 7})  # and no answer
                self.assertEqual(payload_of(client.receive())["error"]["err"], "device_timeout")
                for value in (0, 1.5, "1"):
                    error = ask_by_id(client, "device/lamp1/go", {"timeout_ms": value})["error"]
                    self.assertEqual(error["err"], "invalid_request")
                    self.assertIn("timeout_ms", error["msg"])

    def test_what_others_see(self):
        """The command and the device's answer are ordinary messages; call, reply and hello are not seen."""
        self.begin()
        other = self.client(self.broker, 5)
        other.subscribe("#")
        app, device = self.app(), self.ready()
        call = app.call("lamp1", "go", {"far": 7})
        command = device.serve()
        app.result(call)
        other.ping()
        seen = [(message.topic, message.payload) for message in other.inbox
                if not message.topic.startswith("rpc/event/") and not message.topic.endswith("/status")]
        self.assertEqual([topic for topic, _ in seen], ["cmd/lamp1/req", "cmd/lamp1/resp"])
        self.assertEqual(json.loads(seen[1][1]), {"id": command.id, "result": {"did": "go"}})
        app.client.expect_nothing()

    def test_names_of_devices(self):
        self.begin()
        app = self.app()
        for name in ("b 7", "b\u00e4r", "$x", "a:b.c-d_e", "x" * 128, "list", "status"):
            with self.subTest(name=name):
                device = self.ready(name)
                call = app.call(name, "go")
                device.serve()
                self.assertEqual(app.result(call), {"did": "go"})
        for name in ("x" * 129, "\u00e4" * 65):
            self.client(self.broker, 4, client_id=name).publish(f"cmd/{name}/hello", qos=1)
            self.assertNotEqual(user_property_of(app.reply(app.call(name, "go")), "status"), "ok")

    def test_names_of_commands(self):
        self.begin()
        app, device = self.app(), self.ready()
        for name in ("a", "get.Status", "x-y_z.1"):
            call = app.call("lamp1", name)
            self.assertEqual(device.serve().cmd, name)
            app.result(call)
        for name in ("b\u00e4r", "a b", "a$", "", "x" * 129):
            app.error(app.call("lamp1", name))
        device.expect_nothing()

    def test_payloads_that_are_no_json(self):
        self.begin()
        app, device = self.app(), self.ready()
        for payload in (b"{", b"{} x", b"\xff", b"on", b"[" * 40 + b"]" * 40):
            self.assert_error(app.error(app.call("lamp1", "go", payload)), "parse_error")
        device.expect_nothing()

    def test_acls_say_who_may_command_whom(self):
        rules = ("topic write rpc/call/device/+/getStatus\npattern write rpc/call/device/%u/#\n"
                 "user lamp1\ntopic readwrite cmd/lamp1/#\n")
        self.begin(users={"lamp1": "a", "eve": "b"}, acl=rules)
        device = self.ready(username="lamp1", password="a", work=lamp).run()
        for who, command, params, is_allowed in (
                ({}, "getStatus", b"", True), ({}, "light", {"on": True}, False),
                ({"username": "eve", "password": "b"}, "light", {"on": True, "device": "eve"}, False),
                ({"username": "lamp1", "password": "a"}, "light", {"on": True}, True)):
            app = self.app(**who)
            call = app.call("lamp1", command, params)
            if is_allowed:
                app.result(call)
            else:
                self.assertEqual(app.code, NOT_AUTHORIZED)
        device.stop()
        self.assertEqual([command.cmd for command in device.taken], ["getStatus", "light"])

    def test_device_call(self):
        params = {"device": "lamp1", "command": "go", "params": {"far": 7}}
        self.begin()
        app, device = self.app(), self.ready()
        app.error(app.send("device.call", params))
        device.expect_nothing()
        self.broker.stop()
        self.begin("device_call true")
        app, device, watcher = self.app(), self.ready(), self.watch()
        call = app.send("device.call", {**params, "timeout-ms": SHORT})
        self.assertEqual(device.serve().body["params"], {"far": 7})
        self.assertEqual(app.result(call), {"did": "go"})
        call = app.send("device.call", {**params, "timeout-ms": SHORT})
        device.take()
        self.assert_error(app.error(call), "device_timeout")
        self.leave(device, watcher)
        self.assert_error(app.error(app.send("device.call", params)), "device_offline")
        self.assertTrue(app.method("device.call", {**params, "offline": "queue", "ttl-ms": 60000})["queued"])
        device.come()
        self.assertEqual(device.take().params, {"far": 7})

    def test_the_root_follows_the_prefix(self):
        self.begin("prefix prod/rpc lab")
        for prefix, root in (("prod/rpc", "prod/cmd"), ("lab", "cmd")):
            app, device = self.app(prefix=prefix), self.ready("lamp1", root=root, client_id="lamp1")
            watcher = self.watch(prefix=prefix, root=root)
            call = app.call("lamp1", "go")
            device.serve()
            self.assertEqual(app.result(call), {"did": "go"})
            watcher.command(device="lamp1", command="go", state="succeeded")
            self.assertEqual(watcher.status("lamp1", "ready")["device"], "lamp1")
            device.go()

    def test_prefixes_share_no_devices(self):
        self.begin("prefix prod/rpc lab")
        self.ready("lamp1", root="prod/cmd")
        app = self.app(prefix="lab")
        self.assert_error(app.error(app.call("lamp1", "go")), "device_unknown")

    def test_another_root(self):
        self.begin("device_topic plant/7/machines")
        app, device = self.app(), self.ready(root="plant/7/machines")
        call = app.call("lamp1", "go")
        device.serve()
        self.assertEqual(app.result(call), {"did": "go"})
        other = self.client(self.broker, 5, client_id="other")
        other.subscribe("cmd/#")
        other.publish("cmd/other/hello", "as ever", qos=1)
        self.assertEqual(other.receive().payload, b"as ever")

    def test_no_root(self):
        self.begin("device_topic none")
        app, device = self.app(), self.device(version=5).connect().listen()
        device.client.subscribe("cmd/+/hello", "cmd/+/status", "cmd/+/resp")
        for topic in ("cmd/lamp1/hello", "cmd/lamp2/resp", "cmd/lamp2/status"):
            device.client.publish(topic, "{}", qos=1)
            self.assertEqual(device.client.receive().topic, topic)
        app.error(app.call("lamp1", "go"))
        device.expect_nothing()

    def test_options_of_a_call_that_make_no_sense(self):
        self.begin()
        app, device = self.app(), self.ready()
        for options in ({"offline": "maybe"}, {"offline": ""}, {"ttl_ms": "soon"}, {"ttl_ms": "-1"},
                        {"stale_ms": "1.5s"}, {"offline": "queue", "ttl_ms": "99999999999999999999"}):
            with self.subTest(options=options):
                self.assertIn(app.error(app.call("lamp1", "go", **options))["err"],
                              ("invalid_request", "invalid_params"))
        device.expect_nothing()

    def test_the_reply_is_the_callers_alone(self):
        self.begin()
        spy = self.client(self.broker, 5)
        spy.subscribe("reply/#", "rpc/call/#")
        app, device = self.app(), self.ready()
        call = app.call("lamp1", "go")
        device.serve()
        app.result(call)
        spy.expect_nothing()

    def test_too_large_for_the_device(self):
        """200 bytes of message for the device by default; the option sets another number."""
        for option, size in ((), 200), (("device_max_payload 1000",), 1000):
            self.begin(*option)
            app, device = self.app(), self.ready()
            empty = len(json.dumps({"id": "12345678", "cmd": "go", "params": {"text": ""}}, separators=(",", ":")))
            self.assert_error(app.error(app.call("lamp1", "go", {"text": "x" * size})), "payload_too_large")
            device.expect_nothing(0)
            call = app.call("lamp1", "go", {"text": "x" * (size - empty - 40)})
            self.assertLessEqual(len(device.take().message.payload), size)
            self.assertTrue(app.is_waiting(call))
            self.broker.stop()

    def test_delivery_to_the_client(self):
        """Private, and without a subscription."""
        self.begin("device_delivery client")
        spy = self.client(self.broker, 5)
        spy.subscribe("cmd/+/req")
        for version in (3, 4, 5):
            app, device = self.app(), self.device(f"lamp{version}", version=version).connect().hello()
            call = app.call(device.name, "go")
            device.serve()
            self.assertEqual(app.result(call), {"did": "go"})
        spy.expect_nothing()


class Types(DeviceTest):
    """The commands of the kind lamp are declared; go is not."""

    def start_lamp(self, *options, **hello):
        self.begin(*options)
        return self.app(), self.ready(work=lamp, hello=hello)

    def test_declared_params_are_checked_first(self):
        app, device = self.start_lamp()
        for params in ({}, {"on": 1}, {"on": True, "brightness": 101}, {"on": True, "brightness": "x"}, [], 5):
            self.assert_error(app.error(app.call("lamp1", "light", json.dumps(params))), "invalid_params")
        device.expect_nothing()
        call = app.call("lamp1", "light", {"on": True})
        self.assertEqual(device.serve().params, {"on": True, "brightness": 100})
        self.assertEqual(app.result(call), {"on": True, "brightness": 100})

    def test_results_are_checked(self):
        app, device = self.start_lamp()
        watcher = self.watch()
        for result in ({}, True, {"on": "yes", "brightness": 1}, {"on": True, "brightness": 101}):
            call = app.call("lamp1", "light", {"on": True})
            command = device.take()
            device.answer(command, result=result)
            self.assert_error(app.error(call), "device_failed", device="lamp1", id=command.id)
            watcher.command(id=command.id, state="failed", err="device_failed")

    def test_undeclared_commands(self):
        app, device = self.start_lamp("device_undeclared false")
        app.error(app.call("lamp1", "go"))
        device.expect_nothing()
        call = app.call("lamp1", "light", {"on": False})
        device.serve()
        self.assertEqual(app.result(call), {"on": False, "brightness": 100})

    def test_a_command_that_the_device_does_not_have(self):
        app, device = self.start_lamp(commands=["light"])
        self.assert_error(app.error(app.call("lamp1", "go")), "device_rejected", device="lamp1")
        device.expect_nothing()
        call = app.call("lamp1", "light", {"on": True})
        device.serve()
        app.result(call)

    def test_discovery(self):
        app, _ = self.start_lamp()
        kinds = {kind["name"]: kind for kind in app.method("rpc.list")["devices"]}
        self.assertEqual({"light", "blink", "getStatus"},
                         {command["name"] for command in kinds["lamp"]["commands"]})
        self.assertIn("brightness", json.dumps(app.method("rpc.describe", {"method": "device/lamp1/light"})))

    def test_progress(self):
        """Announced; answered to those who ask for it; and the deadline stays what it was."""
        app, device = self.start_lamp()
        watcher = self.watch()
        asks = app.call("lamp1", "blink", {"times": 2, "interval": 50}, progress=1)
        command = device.take()
        for done in (1, 2):
            device.answer(command, progress={"done": done, "times": 2})
        self.assertTrue(app.is_waiting(asks))
        self.assertEqual(app.progress[asks], [{"done": 1, "times": 2}, {"done": 2, "times": 2}])
        device.answer(command)
        self.assertEqual(app.result(asks), {"times": 2})
        watcher.command(id=command.id, state="running")
        watcher.command(id=command.id, state="succeeded")
        silent = app.call("lamp1", "blink", {"times": 1, "interval": 50}, timeout_ms=SHORT)
        command, begin = device.take(), time.monotonic()
        while app.is_waiting(silent):
            self.assertLess(time.monotonic() - begin, TIMEOUT)
            device.answer(command, progress={"done": 0, "times": 1})
            time.sleep(0.05)
        self.assert_error(app.error(silent), "device_timeout")
        self.assertEqual(app.progress[silent], [])

    def test_progress_of_undeclared_commands(self):
        app, device = self.start_lamp()
        call = app.call("lamp1", "go", progress=1)
        command = device.take()
        device.answer(command, progress="half way")
        device.answer(command)
        app.result(call)
        self.assertEqual(app.progress[call], ["half way"])


class Life(DeviceTest):

    def setUp(self):
        self.begin()
        self.running, self.watcher, self.lamp = self.app(), self.watch(), self.ready()

    def states(self, identity):
        """How a command went on after it was queued."""
        states = self.watcher.states(identity)
        return states[1:] if states[0] == "queued" else states

    def test_each_change_is_one_event(self):
        before = time.time()
        self.running.call("lamp1", "go")
        command = self.lamp.take()
        sent = self.watcher.command(id=command.id, state="sent")
        self.lamp.answer(command, progress=1)
        running = self.watcher.command(id=command.id, state="running")
        self.lamp.answer(command)
        done = self.watcher.command(id=command.id, state="succeeded")
        for event in (sent, running, done):
            self.assertEqual((event["device"], event["command"]), ("lamp1", "go"))
            self.assertEqual((event["seq"], event["attempt"]), (sent["seq"], 1))
            self.assertIsNone(event.get("err"))
            self.assertTrue(before - 1 <= event["time"] <= time.time() + 1, event)
        self.assertEqual(self.states(command.id), ["sent", "running", "succeeded"])

    def test_the_ends(self):
        """succeeded, failed, rejected, timeout: what the caller gets, what is announced, what the history keeps."""
        for answer, state, err in (({"result": 1}, "succeeded", None),
                                   ({"error": {"err": "stuck", "msg": "it is stuck"}}, "failed", "device_failed"),
                                   ({"error": {"err": "rejected", "msg": "not now"}}, "rejected", "device_rejected"),
                                   (None, "timeout", "device_timeout")):
            with self.subTest(state=state):
                call = self.running.call("lamp1", "go", timeout_ms=SHORT if answer is None else 20000)
                command = self.lamp.take()
                if answer:
                    self.lamp.answer(command, **answer)
                if err:
                    error = self.running.error(call)
                    self.assert_error(error, err, device="lamp1", id=command.id)
                    if answer:
                        self.assertEqual(error.get("cause", answer["error"]), answer["error"])
                else:
                    self.assertEqual(self.running.result(call), 1)
                event = self.watcher.command(id=command.id, state=state)
                self.assertEqual(event.get("err"), err)
                self.assertEqual(self.states(command.id), ["sent", state])
                row = self.running.history("lamp1")[command.id]
                self.assertEqual((row["state"], row["command"], row["seq"]), (state, "go", event["seq"]))

    def test_states_are_counted(self):
        before = self.running.method("device.counts")
        for members in ({"result": 1}, {"result": 2}, {"error": {"err": "stuck"}}, {"error": {"err": "rejected"}}):
            call = self.running.call("lamp1", "go")
            self.lamp.answer(self.lamp.take(), **members)
            self.running.reply(call)
        after = self.running.method("device.counts")
        for state, count in (("succeeded", 2), ("failed", 1), ("rejected", 1), ("sent", 4), ("timeout", 0)):
            self.assertEqual(after[state] - before[state], count, state)

    def test_an_acknowledgement_is_no_answer(self):
        """The device's PUBACK changes nothing."""
        call = self.running.call("lamp1", "go", timeout_ms=SHORT)
        command = self.lamp.take()  # the client has acknowledged it
        self.lamp.client.ping()
        self.assertEqual(self.states(command.id), ["sent"])
        self.assertTrue(self.running.is_waiting(call))
        self.assert_error(self.running.error(call), "device_timeout")

    def test_an_answer_after_the_deadline_is_kept(self):
        call = self.running.call("lamp1", "go", timeout_ms=SHORT)
        command = self.lamp.take()
        self.assert_error(self.running.error(call), "device_timeout")
        self.watcher.command(id=command.id, state="timeout")
        self.lamp.answer(command)
        self.assertIs(self.watcher.command(id=command.id, state="succeeded")["late"], True)
        self.lamp.answer(command, result="again")
        self.assertEqual(self.states(command.id), ["sent", "timeout", "succeeded"])
        self.assertEqual(self.running.history("lamp1")[command.id]["state"], "succeeded")
        self.running.client.expect_nothing()

    def test_every_other_end_is_final(self):
        for first in ({"result": 1}, {"error": {"err": "stuck"}}, {"error": {"err": "rejected"}}):
            call = self.running.call("lamp1", "go")
            command = self.lamp.take()
            self.lamp.answer(command, **first)
            self.running.reply(call)
            before = self.states(command.id)
            for second in ({"result": 2}, {"error": {"err": "other"}}, {"progress": 1}):
                self.lamp.answer(command, **second)
            self.assertEqual(self.states(command.id), before)
        self.running.client.expect_nothing()

    def test_answers_that_are_nonsense(self):
        """They end nothing, or end the command as failed; they never reach a caller as a success."""
        for payload in (b"", b"{", b'{"id":5}', b'{"id":"other","result":1}', b"\xff\xfe",
                        b'{"result"', b"[" * 100):
            with self.subTest(payload=payload):
                call = self.running.call("lamp1", "go")
                command = self.lamp.take()
                self.lamp.publish("resp", payload)
                if self.running.is_waiting(call):
                    self.lamp.answer(command)
                    self.running.result(call)
                else:
                    self.running.error(call)

    def test_one_command_at_a_time_in_their_order(self):
        calls = [self.running.call("lamp1", f"go{number}") for number in range(5)]
        seqs = []
        for number, call in enumerate(calls):
            command = self.lamp.take()
            self.lamp.client.ping()
            self.assertFalse(self.lamp.client.inbox, "more than one command in flight")
            self.lamp.answer(command)
            self.running.result(call)
            self.assertEqual(command.cmd, f"go{number}")
            seqs.append(self.watcher.command(id=command.id, state="succeeded")["seq"])
        self.assertEqual(seqs, list(range(seqs[0], seqs[0] + 5)))

    def test_seq_reaches_mqtt_5_devices(self):
        device = self.ready("five", version=5)
        for number in range(3):
            self.running.call("five", "go")
            command = device.serve()
            first = first if number else int(command.seq)
            self.assertEqual(int(command.seq), first + number)
            self.assertEqual(self.watcher.command(id=command.id, state="sent")["seq"], first + number)

    def test_a_mute_device_frees_its_lane_at_the_deadline(self):
        first = self.running.call("lamp1", "go", timeout_ms=SHORT)
        second = self.running.call("lamp1", "on")
        self.assertEqual(self.lamp.take().cmd, "go")
        self.assert_error(self.running.error(first), "device_timeout")
        self.assertEqual(self.lamp.serve().cmd, "on")
        self.assertEqual(self.running.result(second), {"did": "on"})

    def test_a_command_that_never_gets_its_turn_expires(self):
        self.running.call("lamp1", "go")
        second = self.running.call("lamp1", "on", timeout_ms=SHORT)
        command = self.lamp.take()
        self.assert_error(self.running.error(second), "expired", device="lamp1")
        self.watcher.command(command="on", state="expired", err="expired")
        self.lamp.answer(command)
        self.lamp.expect_nothing()

    def test_devices_do_not_wait_for_each_other(self):
        other = self.ready("lamp2")
        self.running.call("lamp1", "go")
        self.lamp.take()
        call = self.running.call("lamp2", "go")
        other.serve()
        self.assertEqual(self.running.result(call), {"did": "go"})

    def test_answers_out_of_order(self):
        """The device minds the order: the next command has the number that it expects."""
        device = self.ready("five", version=5)
        call = self.running.call("five", "go")
        command = device.take()
        device.answer(command, error={"err": "out_of_order", "expected": int(command.seq) + 11})
        self.assert_error(self.running.error(call), "out_of_order", device="five", id=command.id)
        call = self.running.call("five", "go")
        self.assertEqual(int(device.serve().seq), int(command.seq) + 11)
        self.running.result(call)

    def test_a_caller_that_leaves_takes_its_waiting_command_along(self):
        """What was sent goes on; what was not is cancelled."""
        first = self.running.call("lamp1", "go")
        other = self.app()
        other.call("lamp1", "on")
        command = self.lamp.take()
        other.client.close()
        self.watcher.command(command="on", state="cancelled")
        self.lamp.answer(command)
        self.assertEqual(self.running.result(first), {"did": "go"})
        self.lamp.expect_nothing()

    def test_a_command_without_its_caller_is_still_ended(self):
        other = self.app()
        other.call("lamp1", "go")
        command = self.lamp.take()
        other.client.close()
        self.lamp.answer(command)
        self.watcher.command(id=command.id, state="succeeded")

    def test_repeated_calls_are_one_command(self):
        identity = new_identity()
        for _ in range(2):
            self.running.call("lamp1", "go", identity=identity)
        command = self.lamp.serve()
        self.assertEqual([self.running.result(identity) for _ in range(2)], [{"did": "go"}] * 2)
        self.running.call("lamp1", "go", identity=identity)
        reply = self.running.reply(identity)
        self.assertEqual((payload_of(reply), user_property_of(reply, "repeated")), ({"did": "go"}, "1"))
        self.lamp.expect_nothing()
        self.assertEqual(self.lamp.count(command.id), (1, 1))

    def test_nothing_is_ever_retained(self):
        self.client(self.broker, 5).publish("rpc/call/device/lamp1/go", "{}", qos=1, retain=True)
        self.assertFalse(self.lamp.serve().message.retain)
        late = self.client(self.broker, 5)
        late.subscribe("cmd/+/req", "cmd/+/resp", "cmd/+/hello", "rpc/#")
        late.expect_nothing()


class Window(DeviceTest):

    def test_more_commands_in_flight(self):
        self.begin("device_window 3")
        app, device = self.app(), self.ready()
        calls = [app.call("lamp1", f"go{number}") for number in range(5)]
        flying = [device.take() for _ in range(3)]
        device.expect_nothing()
        for command in reversed(flying):
            device.answer(command)
        device.serve(2)
        self.assertEqual([app.result(call)["did"] for call in calls], [f"go{number}" for number in range(5)])

    def test_a_device_that_serves_out_of_order(self):
        self.begin("device_window 3")
        app, device = self.app(), self.device().come()
        device.reorder = 3
        device.run()
        calls = [app.call("lamp1", f"go{number}") for number in range(6)]
        self.assertEqual([app.result(call)["did"] for call in calls], [f"go{number}" for number in range(6)])

    def test_late_and_doubled_answers(self):
        self.begin()
        app, device, watcher = self.app(), self.ready(), self.watch()
        device.late, device.doubled = 0.1, True
        device.run()
        calls = [app.call("lamp1", f"go{number}") for number in range(6)]
        self.assertEqual([app.result(call)["did"] for call in calls], [f"go{number}" for number in range(6)])
        device.stop()
        self.assertEqual(len(watcher.events(state="succeeded")), 6)


if __name__ == "__main__":
    main()
