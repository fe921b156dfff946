"""The errors of device commands, and the smallest device (sections 9 and 10 of the contract)."""
import json
import time

from devices import SHORT, DeviceTest
from harness import ask_by_id, main, patient, payload_of


class Errors(DeviceTest):

    @patient
    def test_each_in_all_forms(self):
        """An error is the same to MQTT 5 callers, by request_id, and as JSON-RPC, and names the device."""
        self.begin(f"timeout {min(2 * SHORT * self.pace, 60000)}ms")
        mute, gone, good = self.ready("mute"), self.offline("gone"), self.ready("good", version=5)
        good.run()
        cases = [("device_unknown", "never", "go", set()), ("device_offline", "gone", "go", {"seen"}),
                 ("device_failed", "good", "go", {"id", "cause"}), ("device_rejected", "good", "go", {"id"}),
                 ("out_of_order", "good", "go", {"id"}), ("device_timeout", "mute", "go", {"id"})]
        errors = {"device_failed": {"err": "stuck", "msg": "it is stuck", "angle": 45},
                  "device_rejected": {"err": "rejected", "msg": "not now"},
                  "out_of_order": {"err": "out_of_order", "expected": 99}}
        client = self.client(self.broker, 5)
        for err, device, command, members in cases:
            good.fails = errors.get(err)
            app = self.app()
            one = app.error(app.call(device, command))
            two = ask_by_id(client, f"device/{device}/{command}", {"far": 7})["error"]
            client.publish(f"rpc/call/device/{device}/{command}", json.dumps(
                {"jsonrpc": "2.0", "id": err, "method": f"device/{device}/{command}", "params": {}}), qos=1)
            reply = payload_of(client.receive())["error"]
            self.assertEqual(reply["code"], -32010, err)
            for error in (one, two, reply["data"]):
                self.assert_error(error, err, device=device, method=f"device/{device}/{command}")
                self.assertLessEqual(members, set(error), error)
                if err == "device_failed":
                    self.assertEqual(error["cause"], errors[err])
        good.stop()
        mute.go()
        self.assertEqual(gone.taken, [])

    def test_device_busy(self):
        self.begin("device_queue 1")
        app, device = self.app(), self.ready()
        for _ in range(2):
            app.call("lamp1", "go")
        error = app.error(app.call("lamp1", "go"))
        self.assert_error(error, "device_busy", device="lamp1")
        device.serve(2)

    def test_expired(self):
        self.begin()
        app, device = self.app(), self.ready()
        app.call("lamp1", "go")
        self.assert_error(app.error(app.call("lamp1", "on", timeout_ms=SHORT)), "expired", device="lamp1")
        device.take()

    def test_outcome_unknown(self):
        self.begin()
        watcher, device = self.watch(), self.ready()
        client = self.client(self.broker, 5)
        client.publish("rpc/call/device/lamp1/go", json.dumps(
            {"jsonrpc": "2.0", "id": "t:1", "method": "device/lamp1/go", "params": {}}), qos=1)
        command = device.take()
        self.leave(device, watcher)
        error = payload_of(client.receive())["error"]
        self.assertEqual(error["code"], -32006)
        self.assert_error(error["data"], "outcome_unknown", device="lamp1", id=command.id)

    def test_not_a_member(self):
        self.begin()
        app = self.app()
        self.assert_error(app.error(app.group("nonesuch", "go")), "not_a_member")

    def test_too_many_commands_in_all(self):
        self.begin("device_commands_max 3")
        app = self.app()
        devices = [self.ready(f"lamp{number}") for number in range(4)]
        for device in devices[:3]:
            app.call(device.name, "go")
        self.assert_error(app.error(app.call("lamp3", "go")), "device_busy", device="lamp3")
        for device in devices[:3]:
            device.serve()
        call = app.call("lamp3", "go")
        devices[3].serve()
        self.assertEqual(app.result(call), {"did": "go"})

    def test_a_result_that_is_too_large(self):
        self.begin("max_reply 1k")
        app, device = self.app(), self.ready()
        call = app.call("lamp1", "go")
        device.answer(device.take(), result="x" * 5000)
        app.error(call)
        call = app.call("lamp1", "on")
        device.serve()
        self.assertEqual(app.result(call), {"did": "on"})

    def test_an_error_object_of_any_kind(self):
        """What a device says about its failure is its own; a caller gets it as it is, or none of it."""
        self.begin()
        app, device = self.app(), self.ready()
        for error in ({}, {"err": ""}, {"err": "x" * 300}, {"err": 5}, {"msg": "no"}, "text", 7, [],
                      {"err": "ok"}, {"err": "timeout"}, {"err": "a b\n"}, {"err": "x", "device": "other", "id": "y"}):
            with self.subTest(error=error):
                call = app.call("lamp1", "go")
                command = device.take()
                device.answer(command, error=error)
                self.assert_error(app.error(call), "device_failed", device="lamp1", id=command.id)

    def test_the_engines_own_errors_come_first(self):
        """Payload, rate, parse: nothing of it reaches the device, and none is about devices."""
        self.begin("max_payload 1k", "rate_limit 1", "rate_burst 2")
        device = self.ready(client_id="lamp1")
        for payload, err in ((b"{", "parse_error"), (b'{"text":"' + b"x" * 2000 + b'"}', "payload_too_large")):
            app = self.app()
            self.assert_error(app.error(app.call("lamp1", "go", payload)), err)
        app = self.app()
        calls = [app.call("never", "go") for _ in range(4)]
        self.assertIn("rate_limited", [app.error(call)["err"] for call in calls])
        device.expect_nothing(0)

    def test_errors_that_nobody_asked_for(self):
        """A call without a reply: its error is announced."""
        self.begin()
        watcher = self.client(self.broker)
        watcher.subscribe("rpc/event/error")
        self.client(self.broker).publish("rpc/call/device/never/go", "{}", qos=1)
        self.assert_error(watcher.receive(), "device_unknown", device="never")


class Smallest(DeviceTest):
    """Ten lines: they remember nothing but the last id, or not even that."""

    def test_the_example_of_the_contract(self):
        self.begin()
        app = self.app()
        for version, qos in ((3, 0), (4, 0), (4, 1), (5, 0)):
            with self.subTest(version=version, qos=qos):
                name, acted = f"lamp{version}{qos}", []
                client = self.client(self.broker, version, client_id=name)
                client.subscribe(f"cmd/{name}/req", qos=qos)
                client.publish(f"cmd/{name}/hello")
                client.ping()
                last = None
                for number in range(3):
                    call = app.call(name, "go", {"far": number})
                    command = json.loads(client.receive().payload)
                    if command["id"] != last:
                        acted.append(command["params"])
                    last = command["id"]
                    client.publish(f"cmd/{name}/resp", json.dumps({"id": last, "result": True}))
                    self.assertIs(app.result(call), True)
                self.assertEqual(acted, [{"far": 0}, {"far": 1}, {"far": 2}])

    def test_an_answer_without_an_id(self):
        self.begin()
        app = self.app()
        for version in (3, 4, 5):
            device = self.ready(f"lamp{version}", version=version)
            for _ in range(3):
                call = app.call(device.name, "go")
                device.answer(device.take(), "none")
                self.assertEqual(app.result(call), {"did": "go"})

    def test_none_is_in_flight(self):
        self.begin()
        app, device, watcher = self.app(), self.ready(), self.watch()
        device.publish("resp", '{"result":1}')
        call = app.call("lamp1", "go")
        device.serve()
        self.assertEqual(app.result(call), {"did": "go"})
        self.assertEqual(len(watcher.events(state="succeeded")), 1)

    def test_two_are_in_flight(self):
        """Nobody knows which one is meant."""
        self.begin("device_window 2")
        app, device = self.app(), self.ready()
        calls = [app.call("lamp1", name) for name in ("go", "on")]
        commands = [device.take(), device.take()]
        device.publish("resp", '{"result":"which?"}')
        self.assertTrue(app.is_waiting(calls[0]) and app.is_waiting(calls[1]))
        device.answer(commands[0])
        self.assertEqual(app.result(calls[0]), {"did": "go"})
        device.answer(commands[1], "none")  # it is alone now
        self.assertEqual(app.result(calls[1]), {"did": "on"})

    def test_one_has_timed_out(self):
        """Within twice its timeout the answer may be the late one."""
        self.begin()
        app, device = self.app(), self.ready()
        first = app.call("lamp1", "go", timeout_ms=2 * SHORT)
        device.take()
        self.assert_error(app.error(first), "device_timeout")
        ended = time.monotonic()
        second = app.call("lamp1", "on", timeout_ms=50000)
        command = device.take()
        device.publish("resp", '{"result":"late"}')
        if time.monotonic() - ended < 2 * SHORT / 1000:  # else this machine was too slow to show it
            self.assertTrue(app.is_waiting(second))
        device.answer(command)
        app.reply(second)
        time.sleep(max(ended + 5 * SHORT / 1000 - time.monotonic(), 0))
        third = app.call("lamp1", "on")
        device.answer(device.take(), "none")
        self.assertEqual(app.result(third), {"did": "on"})

    def test_a_device_without_a_hello(self):
        """It answers, and so is known; from its first answer on it is not `device_unknown`."""
        self.begin("device_known_only false")
        app, device = self.app(), self.device().connect().listen()
        for _ in range(2):
            call = app.call("lamp1", "go")
            device.serve()
            self.assertEqual(app.result(call), {"did": "go"})
        self.assertEqual([row["device"] for row in app.rows("device.list", {"limit": 9})], ["lamp1"])

    def test_any_device_that_has_answered_once_is_known(self):
        """A plant's devices publish to their resp already: no hello is needed to command them."""
        self.begin()
        app, device = self.app(), self.device().connect().listen()
        device.publish("resp", '{"id":"boot","result":true}')
        call = app.call("lamp1", "go")
        device.serve()
        self.assertEqual(app.result(call), {"did": "go"})


if __name__ == "__main__":
    main()
