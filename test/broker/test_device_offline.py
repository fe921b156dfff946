"""Commands to devices that are not there (section 5 of the contract)."""
import sqlite3
import time

from devices import SHORT, DeviceTest
from harness import SLOW, ask_by_id, main, new_identity, payload_of

HOUR = 3600000


class Fail(DeviceTest):

    def test_the_default(self):
        self.begin()
        app, watcher = self.app(), self.watch()
        before = time.time()
        device = self.offline(watcher=watcher)
        after = time.time()
        for options in ({}, {"offline": "fail"}):
            began = time.monotonic()
            error = app.error(app.call("lamp1", "go", timeout_ms=50000, **options))
            self.assert_error(error, "device_offline", device="lamp1")
            self.assertTrue(before - 1 <= error["seen"] <= after + 1, error)
            self.assertLess(time.monotonic() - began, 50, "it came at the deadline")
        error = ask_by_id(self.client(self.broker, 4), "device/lamp1/go")["error"]
        self.assert_error(error, "device_offline", device="lamp1")
        device.come().expect_nothing()

    def test_a_device_that_was_never_seen(self):
        self.begin()
        app = self.app()
        self.assert_error(app.error(app.call("lamp1", "go")), "device_unknown", device="lamp1")
        self.ready("lamp1")
        self.assert_error(app.error(app.call("lamp2", "go")), "device_unknown", device="lamp2")

    def test_a_device_that_was_never_seen_may_be_tried(self):
        """It is commanded like one that is online: on brokers before 2.1 it may well listen."""
        self.begin("device_known_only false")
        app, device = self.app(), self.device().connect().listen()
        call = app.call("lamp1", "go")
        device.serve()
        self.assertEqual(app.result(call), {"did": "go"})
        self.assert_error(app.error(app.call("lamp2", "go", timeout_ms=SHORT)), "device_timeout", device="lamp2")

    def test_a_device_that_leaves_in_mid_command(self):
        """After the grace nobody can know; the caller hears it then, and not at its deadline."""
        self.begin()
        app, watcher, device = self.app(), self.watch(), self.ready()
        call = app.call("lamp1", "go", timeout_ms=50000)
        command = device.take()
        self.leave(device, watcher)
        self.assert_error(app.error(call), "outcome_unknown", device="lamp1", id=command.id)
        watcher.command(id=command.id, state="unknown", err="outcome_unknown")
        device.come().expect_nothing()
        device.answer(command)  # it is final
        self.assertNotIn("succeeded", watcher.states(command.id))

    def test_a_device_that_remembers_and_leaves_in_mid_command(self):
        self.begin()
        app, watcher, device = self.app(), self.watch(), self.ready(hello={"once": True})
        call = app.call("lamp1", "go", timeout_ms=50000)
        command = device.take()
        device.carry_out(command)
        self.leave(device, watcher)
        self.assertTrue(app.is_waiting(call))
        device.come(once=True).serve()
        self.assertEqual(app.result(call), {"did": "go"})
        self.assertEqual(device.count(command.id), (2, 1))

    def test_within_the_grace_nothing_fails(self):
        """A device that reconnects gets what came meanwhile; what it had is not sent again unless it may be."""
        self.begin("device_grace 20s")
        app, device = self.app(), self.ready()
        flying = app.call("lamp1", "go")
        command = device.take()
        device.vanish()
        self.broker.wait_log("Socket error on client lamp1|Client lamp1 .*disconnected|lamp1 closed its connection")
        waiting = app.call("lamp1", "on")
        self.assertTrue(app.is_waiting(waiting))
        device.come()
        device.answer(command)
        self.assertEqual(app.result(flying), {"did": "go"})
        self.assertEqual(device.serve().cmd, "on")
        self.assertEqual(app.result(waiting), {"did": "on"})
        self.assertEqual(device.count(command.id), (1, 1))


class Wait(DeviceTest):

    def test_it_is_sent_when_the_device_comes(self):
        self.begin()
        app, device = self.app(), self.offline()
        calls = [app.call("lamp1", f"go{number}", offline="wait", timeout_ms=50000) for number in range(3)]
        self.assertTrue(app.is_waiting(calls[0]))
        device.come()
        for number, call in enumerate(calls):
            self.assertEqual(device.serve().cmd, f"go{number}")
            self.assertEqual(app.result(call), {"did": f"go{number}"})

    def test_the_deadline(self):
        self.begin()
        app, device, watcher = self.app(), self.offline(), self.watch()
        call = app.call("lamp1", "go", offline="wait", timeout_ms=SHORT)
        self.assertIn(app.error(call)["err"], ("expired", "device_offline"))
        watcher.command(command="go", state="expired")
        device.come().expect_nothing()

    def test_a_caller_that_leaves(self):
        self.begin()
        other, device, watcher = self.app(), self.offline(), self.watch()
        other.call("lamp1", "go", offline="wait", timeout_ms=50000)
        other.client.close()
        watcher.command(command="go", state="cancelled")
        device.come().expect_nothing()

    def test_a_repeated_call(self):
        self.begin()
        app, device, identity = self.app(), self.offline(), new_identity()
        for _ in range(3):
            app.call("lamp1", "go", identity=identity, offline="wait", timeout_ms=50000)
        device.come()
        command = device.serve()
        for _ in range(3):
            self.assertEqual(app.result(identity), {"did": "go"})
        device.expect_nothing()
        self.assertEqual(device.count(command.id), (1, 1))


class Queue(DeviceTest):

    def queue(self, app, device, command, params=b"", **options):
        """Queues; returns the id."""
        answer = app.result(app.call(device, command, params, **{"offline": "queue", "ttl_ms": HOUR, **options}))
        self.assertIs(answer["queued"], True, answer)
        self.assertIsInstance(answer["id"], str)
        return answer["id"]

    def test_it_is_sent_in_order_when_the_device_comes(self):
        for version in (3, 4, 5):
            with self.subTest(version=version):
                self.begin()
                app, device, watcher = self.app(), self.offline(version=version), self.watch()
                ids = [self.queue(app, "lamp1", f"go{number}") for number in range(5)]
                self.assertEqual(len(set(ids)), 5)
                self.assertEqual([app.history("lamp1")[name]["state"] for name in ids], ["queued"] * 5)
                device.come()
                for number, name in enumerate(ids):
                    command = device.take()
                    self.assertEqual((command.id, command.cmd), (name, f"go{number}"))
                    device.client.ping()
                    self.assertFalse(device.client.inbox)
                    device.answer(command)
                    watcher.command(id=name, state="succeeded")
                    self.assertEqual(watcher.states(name), ["queued", "sent", "succeeded"])
                seqs = [watcher.events(id=name)[-1]["seq"] for name in ids]
                self.assertEqual(seqs, list(range(seqs[0], seqs[0] + 5)))

    def test_the_message_says_what_is_left(self):
        self.begin()
        app, device = self.app(), self.offline(version=5)
        self.queue(app, "lamp1", "go", ttl_ms=600000)
        self.assertTrue(0 < device.come().serve().expiry <= 600)

    def test_callers_without_mqtt_5_wait_or_fail_only(self):
        """They have no way to ask for the queue; their calls are those of `fail`."""
        self.begin()
        self.offline()
        answer = ask_by_id(self.client(self.broker, 4), "device/lamp1/go", {"offline": "queue"})
        self.assert_error(answer["error"], "device_offline")

    def test_its_time_to_live(self):
        self.begin()
        app, device, watcher = self.app(), self.offline(), self.watch()
        name = self.queue(app, "lamp1", "go", ttl_ms=SHORT)
        kept = self.queue(app, "lamp1", "on")
        watcher.command(id=name, state="expired", err="expired")
        self.assertEqual(watcher.states(name), ["queued", "expired"])
        self.assertEqual(app.history("lamp1")[name]["state"], "expired")
        self.assertEqual(device.come().serve().id, kept)
        device.expect_nothing()

    def test_the_longest_time_to_live(self):
        """A caller that asks for more gets an error, or that."""
        self.begin(f"device_ttl_max {2 * SLOW}s")
        app, watcher = self.app(), self.watch()
        self.offline()
        reply = payload_of(app.reply(app.call("lamp1", "go", offline="queue", ttl_ms=HOUR)))
        if "err" in reply:
            self.assertIn(reply["err"], ("invalid_request", "invalid_params"))
        else:
            watcher.command(id=reply["id"], state="expired")

    def test_a_full_queue(self):
        self.begin("device_queue 3")
        app, device = self.app(), self.offline()
        self.offline("lamp2")
        ids = [self.queue(app, "lamp1", f"go{number}") for number in range(3)]
        for offline in ("queue", "wait"):
            self.assert_error(app.error(app.call("lamp1", "go3", offline=offline)), "device_busy", device="lamp1")
        self.queue(app, "lamp2", "go")
        device.come()
        self.assertEqual([device.serve().id for _ in ids], ids)
        self.leave(device)
        self.queue(app, "lamp1", "go4")

    def test_a_full_lane(self):
        """The bound holds for a device that is there, too."""
        self.begin("device_queue 3")
        app, device = self.app(), self.ready()
        calls = [app.call("lamp1", f"go{number}") for number in range(4)]
        self.assertEqual(device.take().cmd, "go0")
        self.assertTrue(app.is_waiting(calls[3]))
        self.assert_error(app.error(app.call("lamp1", "go4")), "device_busy", device="lamp1")

    def test_a_door_is_not_opened_an_hour_late(self):
        self.begin()
        app, device, watcher = self.app(), self.offline(), self.watch()
        stale = self.queue(app, "lamp1", "open", stale_ms=SHORT)
        fresh = self.queue(app, "lamp1", "close", stale_ms=HOUR)
        time.sleep(1.2 * SHORT / 1000)
        device.come()
        self.assertEqual(device.serve().id, fresh)
        watcher.command(id=stale, state="expired", err="expired")
        self.assertNotIn("sent", watcher.states(stale))

    def test_stale_while_another_command_runs(self):
        self.begin()
        app, device = self.app(), self.ready()
        first = app.call("lamp1", "go")
        call = app.call("lamp1", "open", stale_ms=SHORT)
        command = device.take()
        time.sleep(1.2 * SHORT / 1000)
        device.answer(command)
        app.result(first)
        self.assert_error(app.error(call), "expired", device="lamp1")
        device.expect_nothing()

    def test_cancelling(self):
        self.begin()
        app, device, watcher = self.app(), self.offline(), self.watch()
        first, second, third = (self.queue(app, "lamp1", f"go{number}") for number in range(3))
        waits = app.call("lamp1", "go3", offline="wait", timeout_ms=50000)
        app.method("device.cancel", {"id": second})
        watcher.command(id=second, state="cancelled")
        app.method("device.cancel", {"id": watcher.command(command="go3", state="queued")["id"]})
        self.assert_error(app.error(waits), "cancelled")
        app.error(app.send("device.cancel", {"id": "nonesuch"}))
        app.reply(app.send("device.cancel", {"id": second}))
        self.assertEqual(watcher.states(second), ["queued", "cancelled"])
        self.assertEqual(device.come().take().id, first)
        reply = payload_of(app.reply(app.send("device.cancel", {"id": first})))  # it was sent, and stays so
        self.assertTrue("err" in reply or reply["cancelled"] is False, reply)
        device.answer(device.taken[-1])
        watcher.command(id=first, state="succeeded")
        self.assertEqual(device.serve().id, third)
        device.expect_nothing()
        self.assertEqual(app.history("lamp1")[second]["state"], "cancelled")

    def test_the_broker_keeps_none_of_it_for_a_session(self):
        """A device with a persistent session gets each command once: from the plugin."""
        for version in (4, 5):
            self.begin()
            app, device = self.app(), self.offline(version=version, clean=False)
            name = self.queue(app, "lamp1", "go")
            call = app.call("lamp1", "on", offline="wait", timeout_ms=50000)
            device.come()
            self.assertTrue(device.client.session_present)
            self.assertEqual(device.serve().id, name)
            device.serve()
            self.assertEqual(app.result(call), {"did": "on"})
            device.expect_nothing()

    def test_a_command_to_a_device_that_is_there(self):
        """`queue` says what happens when the device is not there: here it is carried out once."""
        self.begin()
        app, device, watcher = self.app(), self.ready(), self.watch()
        call = app.call("lamp1", "go", offline="queue", ttl_ms=HOUR)
        name = device.serve().id
        self.assertIn(app.result(call), ({"queued": True, "id": name}, {"did": "go"}))
        watcher.command(id=name, state="succeeded")
        device.expect_nothing()

    def test_a_device_that_was_never_seen(self):
        """Only `fail` says device_unknown."""
        self.begin()
        name = self.queue(self.app(), "lamp1", "go")
        self.assertEqual(self.ready().serve().id, name)

    def test_a_mute_device_ends_its_queued_command_too(self):
        """Nothing is without a deadline."""
        self.begin()
        app, device, watcher = self.app(), self.offline(), self.watch()
        name = self.queue(app, "lamp1", "go", ttl_ms=HOUR, timeout_ms=SHORT)
        after = self.queue(app, "lamp1", "on")
        self.assertEqual(device.come().take().id, name)
        watcher.command(id=name, state="timeout")
        self.assertEqual(device.serve().id, after)

    def test_leaving_in_mid_queue(self):
        """What was sent and not answered is unknown; the rest stays for the next time."""
        self.begin()
        app, device, watcher = self.app(), self.offline(), self.watch()
        first, second = self.queue(app, "lamp1", "go"), self.queue(app, "lamp1", "on")
        self.assertEqual(device.come().take().id, first)
        self.leave(device, watcher)
        self.assertEqual(app.history("lamp1")[first]["state"], "unknown")
        self.assertEqual(device.come().serve().id, second)

    def test_after_a_restart(self):
        for kill in (True, False):
            with self.subTest(kill=kill):
                self.begin()
                app, device = self.app(), self.offline()
                ids = [self.queue(app, "lamp1", f"go{number}") for number in range(3)]
                self.restart(kill)
                self.assertEqual([self.app().history("lamp1")[name]["state"] for name in ids], ["queued"] * 3)
                device.come()
                self.assertEqual([device.serve().id for _ in ids], ids)
                device.expect_nothing()
                self.broker.stop()

    def test_a_disk_that_fails(self):
        """The caller of `queue` hears why; all others are served."""
        self.begin("device_db {directory}")
        app, device = self.app(), self.ready()
        call = app.call("lamp1", "go")
        device.serve()
        self.assertEqual(app.result(call), {"did": "go"})
        self.leave(device)
        error = app.error(app.call("lamp1", "go", offline="queue"))
        self.assert_error(error, "storage_failed")
        self.assertTrue(error["cause"], error)
        call = app.call("lamp1", "on", offline="wait", timeout_ms=50000)
        self.assertEqual(device.come().serve().cmd, "on")
        app.result(call)
        device.expect_nothing()

    def test_what_is_undone_while_the_disk_is_slow(self):
        """Callers of device.cancel and device.forget hear of it when it is on the disk: it outlives a crash."""
        for method, undone in (("device.cancel", "cancelled"), ("device.forget", "forgotten")):
            with self.subTest(method=method):
                self.begin()
                app, device = self.app(), self.offline()
                name = self.queue(app, "lamp1", "go")
                other = sqlite3.connect(self.broker.directory / "devices.db", isolation_level=None)
                self.addCleanup(other.close)
                other.execute("BEGIN IMMEDIATE")
                call = app.send(method, {"id": name} if method == "device.cancel" else {"device": "lamp1"})
                self.assertTrue(app.is_waiting(call))
                other.execute("ROLLBACK")
                self.assertIs(app.result(call)[undone], True)
                self.restart()
                device.come().expect_nothing()
                self.broker.stop()


if __name__ == "__main__":
    main()
