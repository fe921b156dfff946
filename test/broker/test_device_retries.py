"""Commands that are sent again (section 4 of the contract): only while unanswered, with the same id, and only what may
be carried out twice."""
import collections
import time

from devices import DeviceTest, lamp
from harness import TIMEOUT, main
from mqtt import Silence

Case = collections.namedtuple("Case", "why app device call count")


class Retries(DeviceTest):

    def test_how_often(self):
        """Mute devices, all at once. Of four attempts the last is sent within 14 s, and a fifth would be within 16 s
        after it."""
        cases = []
        for why, options, command, hello, count in (
                ("three times by default", (), "light", {}, 4),
                ("as often as allowed", ["device_retries 1"], "light", {}, 2),
                ("never", ["device_retries 0"], "light", {}, 1), ("not idempotent", (), "go", {}, 1),
                ("not idempotent, declared", (), "blink", {}, 1), ("remembers", (), "go", {"once": True}, 4)):
            self.begin(*options)
            app, device = self.app(), self.ready(version=5, hello=hello)
            params = {"light": {"on": True}, "blink": {"times": 1, "interval": 50}, "go": {}}[command]
            cases.append(Case(why, app, device, app.call("lamp1", command, params, timeout_ms=22000), count))
        deadline = time.monotonic() + 22 + TIMEOUT
        waiting = list(cases)
        while waiting and time.monotonic() < deadline:
            for case in list(waiting):
                try:
                    case.device.take(0.02)
                except Silence:
                    if not case.app.is_waiting(case.call):
                        waiting.remove(case)
        for case in cases:
            with self.subTest(case.why):
                self.assert_error(case.app.error(case.call), "device_timeout")
                self.assertEqual(len(case.device.taken), case.count)
                same = {(command.id, command.seq) for command in case.device.taken}
                self.assertEqual(len(same), 1, "another id or seq")

    def test_the_second_attempt_is_answered(self):
        self.begin()
        app, device, watcher = self.app(), self.ready(work=lamp), self.watch()
        call = app.call("lamp1", "light", {"on": True}, timeout_ms=30000)
        command = device.take()
        again = device.take()
        self.assertEqual(again.body, command.body)
        device.answer(again)
        self.assertEqual(app.result(call), {"on": True, "brightness": 100})
        self.assertEqual(watcher.command(id=command.id, state="succeeded")["attempt"], 2)
        self.assertEqual(device.count(command.id), (2, 1))

    def test_a_device_that_remembers_carries_out_once(self):
        self.begin()
        app, device = self.app(), self.ready(version=5, hello={"once": True})
        call = app.call("lamp1", "go", timeout_ms=30000)
        command = device.take()
        device.carry_out(command)  # its answer is lost
        device.answer(device.take())
        self.assertEqual(app.result(call), {"did": "go"})
        self.assertEqual(device.count(command.id), (2, 1))

    def test_nothing_is_sent_again_after_the_answer(self):
        self.begin()
        app, device = self.app(), self.ready(work=lamp)
        for _ in range(3):
            call = app.call("lamp1", "light", {"on": True}, timeout_ms=30000)
            device.serve()
            app.result(call)
        device.expect_nothing(4)

    def test_nothing_is_sent_to_a_device_that_is_gone(self):
        """It is sent again when the device is back, while its time lasts."""
        self.begin()
        app, watcher = self.app(), self.watch()
        device = self.ready(work=lamp, clean=False)
        call = app.call("lamp1", "light", {"on": True}, timeout_ms=30000)
        command = device.take()
        self.leave(device, watcher)
        spy = self.client(self.broker)
        spy.subscribe("cmd/lamp1/req")
        spy.expect_nothing(4)
        device.come()
        again = device.take()
        self.assertEqual((again.id, again.cmd), (command.id, "light"))
        device.answer(again)
        self.assertEqual(app.result(call), {"on": True, "brightness": 100})


if __name__ == "__main__":
    main()
