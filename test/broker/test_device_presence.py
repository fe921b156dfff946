"""Which devices are there (section 7 of the contract)."""
import collections
import contextlib
import json
import signal
import sqlite3
import time

from crowd import Crowd
from devices import GRACE, QUIET, SHORT, DeviceTest
from harness import SLOW, broker_version, eventually, has_websockets, main, patient
from mqtt import KEEPALIVE

TELLS_CONNECTIONS = broker_version() >= (2, 1)  # CONNECT and SUBSCRIBE
HEARTBEAT = 300 * SLOW  # ms
SILENCE = 2.5 * HEARTBEAT / 1000  # seconds


class States(DeviceTest):

    def test_after_a_start(self):
        """A device that only subscribes is unknown to brokers before 2.1, and is commanded all the same."""
        self.begin("device_managed lamp1 lamp2")
        app, watcher = self.app(), self.watch()
        watcher.status("lamp1", "unknown")
        device = self.device().connect()
        if TELLS_CONNECTIONS:
            watcher.status("lamp1", "online")
        device.listen()
        if TELLS_CONNECTIONS:
            watcher.status("lamp1", "ready")
        self.assertEqual(app.status("lamp1")["state"], "ready" if TELLS_CONNECTIONS else "unknown")
        self.assertEqual(app.status("lamp2")["state"], "unknown")
        call = app.call("lamp1", "go")
        device.serve()
        self.assertEqual(app.result(call), {"did": "go"})
        self.assertIn(app.status("lamp1")["state"], ("online", "ready"))
        self.assert_error(app.error(app.call("lamp2", "go", timeout_ms=SHORT)), "device_timeout")

    def test_any_message_is_a_sign(self):
        """Anywhere, of any kind; and only what the device itself sends."""
        self.begin("device_managed lamp1 lamp2 lamp3")
        watcher, other = self.watch(), self.client(self.broker, 5, client_id="other")
        for name, topic, qos in (("lamp1", "elsewhere/x", 0), ("lamp2", "rpc/call/echo", 1), ("lamp3", "cmd/x/req", 2)):
            other.publish(f"about/{name}", "x", qos=1)
            self.assertNotIn("online", watcher.statuses(name))
            device = self.device(name).connect()
            device.client.publish(topic, "{}", qos=qos)
            watcher.status(name, "online")

    def test_hello_and_the_retained_status(self):
        self.begin()
        before = time.time()
        self.ready()
        for watcher in (self.watch(), self.watch()):
            status = watcher.status("lamp1", "ready")
            self.assertEqual(set(status) & {"device", "state", "since", "seen", "why"},
                             {"device", "state", "since", "seen", "why"})
            self.assertEqual(status["device"], "lamp1")
            for moment in (status["since"], status["seen"]):
                self.assertTrue(before - 1 <= moment <= time.time() + 1, status)
            self.assertTrue(watcher.seen[-1].retain)

    def test_the_end_of_a_connection(self):
        for version, transport, leave in (
                (3, "tcp", "go"), (4, "tcp", "vanish"), (5, "tcp", "go"), (5, "tls", "vanish"), (4, "tls", "go"),
                *([(4, "websockets", "go"), (5, "websockets", "vanish")] if has_websockets() else [])):
            for clean in (True, False):
                with self.subTest(version=version, transport=transport, leave=leave, clean=clean):
                    self.begin(tls=True, websockets=has_websockets())
                    watcher = self.watch()
                    device = self.ready(version=version, transport=transport, clean=clean)
                    watcher.status("lamp1", "ready")
                    getattr(device, leave)()
                    status = watcher.status("lamp1", "offline")
                    self.assertTrue(status["why"])
                    self.assertEqual(self.app().status("lamp1")["state"], "offline")
                    device.come()
                    watcher.status("lamp1", "ready")
                    self.broker.stop()

    def test_a_keepalive_that_runs_out(self):
        self.begin()
        watcher, device = self.watch(), self.ready(keepalive=1)
        watcher.status("lamp1", "offline")
        device.client.expect_end()

    def test_silence_is_not_absence(self):
        self.begin(f"device_heartbeat {HEARTBEAT}ms")
        app, watcher, device = self.app(), self.watch(), self.ready()
        watcher.status("lamp1", "silent")
        call = app.call("lamp1", "go")
        command = device.take()
        device.client.ping()
        self.assertEqual(app.status("lamp1")["state"], "silent")  # what is sent to it is no sign of life
        device.answer(command)
        self.assertEqual(app.result(call), {"did": "go"})
        eventually(lambda: watcher.statuses("lamp1")[-1] in ("online", "ready"))
        watcher.forget()
        watcher.status("lamp1", "silent")
        self.assertNotIn("offline", watcher.statuses("lamp1"))

    @patient
    def test_heartbeats_keep_a_device_from_being_silent(self):
        self.begin(f"device_heartbeat {HEARTBEAT * self.pace}ms")
        watcher, device = self.watch(), self.ready()
        end = time.monotonic() + 2.5 * SILENCE * self.pace
        while time.monotonic() < end:
            device.client.publish("telemetry/lamp1", "what it says does not matter")
            time.sleep(HEARTBEAT * self.pace / 1000 / 3)
        self.assertNotIn("silent", watcher.statuses("lamp1"))
        watcher.status("lamp1", "silent")

    def test_no_heartbeat_is_asked_for_by_default(self):
        self.begin()
        watcher, _ = self.watch(), self.ready()
        time.sleep(1)
        self.assertEqual(watcher.statuses("lamp1")[-1], "ready")

    @patient
    def test_sleepers(self):
        """Within the window of its hello a device gets everything, in order; after it nothing, until the next hello."""
        self.begin()
        app, watcher, device = self.app(), self.watch(), self.ready(hello={"ttd": self.pace})
        watcher.status("lamp1", "ready")
        call = app.call("lamp1", "go")
        device.serve()
        app.result(call)
        watcher.status("lamp1", "sleeping")
        self.assertEqual(app.status("lamp1")["state"], "sleeping")
        ids = [app.result(app.call("lamp1", f"go{number}", offline="queue"))["id"] for number in range(3)]
        waits = app.call("lamp1", "on", offline="wait", timeout_ms=50000)
        self.assert_error(app.error(app.call("lamp1", "off")), "device_offline")
        device.client.publish("telemetry/lamp1", "still asleep", qos=1)
        device.expect_nothing()
        device.hello(ttd=30)
        self.assertEqual([device.serve().id for _ in ids], ids)
        self.assertEqual(device.serve().cmd, "on")
        self.assertEqual(app.result(waits), {"did": "on"})

    def test_only_what_a_device_sends_counts(self):
        self.begin()
        app, device = self.app(), self.ready()
        device.client.publish("telemetry/lamp1", "x", qos=1)
        seen = app.status("lamp1")["seen"]
        time.sleep(1.1)  # should times be whole seconds
        call = app.call("lamp1", "go", timeout_ms=SHORT)
        device.take()
        self.client(self.broker).publish("cmd/lamp1/req", "{}", qos=1)
        self.assert_error(app.error(call), "device_timeout")
        self.assertEqual(app.status("lamp1")["seen"], seen)
        device.client.publish("telemetry/lamp1", "x", qos=1)
        self.assertGreater(app.status("lamp1")["seen"], seen)


class Reconnects(DeviceTest):

    def never_offline(self, watcher):
        """No device was told to be offline, also not a grace later."""
        time.sleep(2 * GRACE / 1000)
        self.assertNotIn("offline", watcher.statuses("lamp1"))
        self.assertEqual(self.app().status("lamp1")["state"], "ready")

    def test_takeovers_are_no_events(self):
        self.begin(tls=True)
        app, watcher, device = self.app(), self.watch(), self.ready()
        for number in range(12):
            before = device.client
            device.version, device.transport = (3, 4, 5)[number % 3], ("tcp", "tls")[number % 2]
            device.come()
            before.expect_end()
            call = app.call("lamp1", "go")
            device.serve()
            self.assertEqual(app.result(call), {"did": "go"})
        self.never_offline(watcher)

    def test_a_takeover_in_mid_command(self):
        """The new connection is the device as well, and may answer; the old one is not asked again."""
        self.begin()
        app, device = self.app(), self.ready()
        call = app.call("lamp1", "go")
        command = device.take()
        device.come()
        device.answer(command)
        self.assertEqual(app.result(call), {"did": "go"})

    def test_a_stalled_websocket_is_taken_over(self):
        """Brokers before 2.1 tell of the old connection's end after the new one's first message."""
        if not has_websockets():
            self.skipTest("this broker has no WebSockets")
        self.begin(websockets=True)
        app, watcher = self.app(), self.watch()
        other = self.client(self.broker)
        for _ in range(3):
            device = self.ready(transport="websockets")
            device.client.subscribe("flood")
            for _ in range(40):  # it does not read
                other.publish("flood", "x" * 100000)
            other.ping()
            new = self.ready(version=5, transport="websockets")
            call = app.call("lamp1", "go")
            new.serve()
            self.assertEqual(app.result(call), {"did": "go"})
            device.client.close()
        self.never_offline(watcher)

    @patient
    def test_reconnects_within_the_grace(self):
        self.begin(f"device_grace {4 * self.pace}s")
        app, watcher, device = self.app(), self.watch(), self.ready()
        for number in range(20):
            device.go() if number % 2 else device.vanish()
            device.version = (4, 5)[number % 2]
            device.come()
        call = app.call("lamp1", "go")
        device.serve()
        self.assertEqual(app.result(call), {"did": "go"})
        time.sleep(5 * self.pace)
        self.assertNotIn("offline", watcher.statuses("lamp1"))

    def test_end_and_return_in_one_round_of_the_loop(self):
        """The broker hears of both at once."""
        self.begin()
        app, watcher, device = self.app(), self.watch(), self.ready()
        for how in 3 * ("reset", "close", "disconnect"):
            new = self.device(version=4)
            new.client = self.client(self.broker, 4, client_id="lamp1", connect=False)
            device.client.ping()
            self.broker.pause()
            getattr(device.client, how)()
            new.client.send(new.client._connect_packet(True, None, None, KEEPALIVE, ()))
            new.client.send(new.client.publish_packet("cmd/lamp1/hello"))
            self.broker.signal(signal.SIGCONT)
            new.client._read_connack(True)
            device = new.listen().hello()
        self.never_offline(watcher)
        call = app.call("lamp1", "go")
        device.serve()
        self.assertEqual(app.result(call), {"did": "go"})

    def test_a_stranger_that_connects_and_leaves(self):
        """Other connections' ends are nothing to the device."""
        self.begin()
        watcher, _ = self.watch(), self.ready()
        for _ in range(20):
            self.client(self.broker, client_id="other").reset()
        self.never_offline(watcher)

    def is_on_disk(self, name):
        """A hello is written at once, but nobody waits for it."""
        path = self.broker.directory / "devices.db"
        if not path.exists():
            return False
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            try:
                return bool(database.execute("SELECT 1 FROM devices WHERE name = ?", (name,)).fetchall())
            except sqlite3.OperationalError:  # it is being made
                return False

    def test_presence_survives_a_restart_as_unknown(self):
        """A device that was there before may be there again: nothing is known until it says so."""
        self.begin()
        device = self.ready()
        self.wait_for_disk("lamp1")
        self.restart()
        app, watcher = self.app(), self.watch()
        watcher.status("lamp1", "unknown")
        self.assertEqual(app.status("lamp1")["state"], "unknown")
        device.come()
        watcher.status("lamp1", "ready")


    def test_states_that_the_broker_has_kept(self):
        """A broker with persistence keeps retained messages: what they say is put right at the start."""
        self.begin(persistence=True)
        self.ready()
        self.ready("lamp2")
        self.watch().status("lamp2", "ready")
        self.wait_for_disk("lamp2")
        self.restart(kill=False)
        watcher = self.watch()
        for name in ("lamp1", "lamp2"):
            watcher.status(name, "unknown")
        self.app().method("device.forget", {"device": "lamp1"})
        self.restart(kill=False)
        watcher = self.watch()
        watcher.status("lamp2", "unknown")
        self.assertEqual(watcher.statuses("lamp1"), [])


class Table(DeviceTest):

    def names(self, app, limit=9, **params):
        """The sorted names of all pages of a list."""
        names, page = [], app.rows("device.list", {"limit": limit, **params})
        while page:
            self.assertLessEqual(len(page), limit)
            names += [row["device"] for row in page]
            page = app.rows("device.list", {"limit": limit, "after": names[-1], **params})
        return sorted(names)

    def test_the_methods(self):
        self.begin("device_groups hall=b,d")
        app, watcher = self.app(), self.watch()
        devices = {name: self.ready(name) for name in "abcde"}
        self.leave(devices["d"], watcher)
        self.assertEqual(self.names(app), list("abcde"))
        self.assertEqual(self.names(app, limit=2), list("abcde"))
        self.assertEqual(self.names(app, state="offline"), ["d"])
        self.assertEqual(self.names(app, group="hall"), ["b", "d"])
        self.assertEqual(self.names(app, group="hall", limit=1), ["b", "d"])
        found = app.rows("device.list", {"group": "hall", "state": "ready", "limit": 9})
        self.assertEqual([(row["device"], row["state"]) for row in found], [("b", "ready")])
        self.assert_error(app.error(app.send("device.list", {"state": "asleep", "limit": 9})), "invalid_params")
        self.assertEqual(app.status("d")["state"], "offline")
        self.assert_error(app.error(app.send("device.status", {"device": "x"})), "device_unknown", device="x")
        self.assert_error(app.error(app.send("device.history", {"device": "x", "limit": 1})), "device_unknown")

    def test_history(self):
        self.begin()
        app, device = self.app(), self.ready()
        for number in range(5):
            call = app.call("lamp1", f"go{number}")
            device.serve()
            app.result(call)
        rows = app.rows("device.history", {"device": "lamp1", "limit": 3})
        self.assertEqual({row["command"] for row in rows}, {"go2", "go3", "go4"})
        self.assertEqual({row["state"] for row in rows}, {"succeeded"})
        self.assertEqual({row["id"] for row in rows}, set(device.done[2:]))

    def test_forgetting(self):
        self.begin()
        app, device, watcher = self.app(), self.ready(), self.watch()
        app.call("lamp1", "go")
        device.take()
        waits = app.call("lamp1", "on", timeout_ms=50000)
        self.leave(device, watcher)
        call = app.call("lamp1", "off", offline="wait", timeout_ms=50000)
        app.method("device.forget", {"device": "lamp1"})
        for name in (waits, call):
            app.error(name)
        watcher.until(lambda message: message.topic == "cmd/lamp1/status" and not message.payload)
        self.assert_error(app.error(app.send("device.status", {"device": "lamp1"})), "device_unknown")
        self.assert_error(app.error(app.call("lamp1", "go")), "device_unknown")
        late = self.watch()
        self.assertEqual(late.statuses("lamp1"), [])
        self.restart()
        self.assertEqual(self.app().rows("device.list", {"limit": 9}), [])
        self.assertEqual(self.watch().statuses("lamp1"), [])
        device.come().expect_nothing()  # it may come again

    def test_the_longest_offline_go_first(self):
        self.begin("device_max 4", f"device_grace {GRACE}ms")
        app, watcher = self.app(), self.watch()
        devices = {name: self.ready(name) for name in "abcd"}
        for name in "ca":
            self.leave(devices[name], watcher)
        self.ready("e")
        self.assertEqual(self.names(app), list("abde"))
        self.ready("f")
        self.assertEqual(self.names(app), list("bdef"))
        self.assertEqual([status for status in self.watch().statuses("c") if status != "offline"], [])
        # All are here now: a further one finds no place, and loses nothing but that.
        further = self.device("g").connect().listen()
        further.publish("hello", b"")
        further.client.ping()
        self.assertEqual(self.names(app), list("bdef"))
        self.assert_error(app.error(app.call("a", "go")), "device_unknown")
        for name in "bd":
            call = app.call(name, "go")
            devices[name].serve()
            self.assertEqual(app.result(call), {"did": "go"})

    def test_hundreds_at_once(self):
        """They come, leave, and come back in one moment: one notice each, and the list is right at every time."""
        self.begin(log_types=QUIET, lines=["max_queued_messages 10000"])
        names = [f"d{number:03}" for number in range(300)]
        crowd = Crowd(self.broker.port, names)
        self.addCleanup(crowd.close)
        app, watcher = self.app(), self.watch("cmd/+/status")
        for state in ("ready", "offline", "ready"):
            if state == "ready":
                crowd.arrive(at_once=300)
            else:
                for member in crowd.members.values():
                    member.cut()
            told = collections.Counter()

            def is_told(state=state, told=told):
                for message in watcher.settle().seen:
                    told[message.topic] += json.loads(message.payload)["state"] == state
                watcher.seen.clear()
                return sum(told.values()) >= len(names)

            eventually(is_told)
            self.assertEqual(set(told.values()), {1}, state)
            self.assertEqual(self.names(app, limit=100, state=state), names)


class Lists(DeviceTest):

    def test_a_page_that_is_larger_than_a_reply(self):
        """It is shorter than its caller allows; no device is missing, and none is there twice."""
        names = [f"lamp{number}" for number in range(1000)]
        self.begin(f"device_managed {' '.join(names)}")
        app, found, after = self.app(), [], {}
        while after is not None:
            page = app.method("device.list", {"limit": 1000, **after})
            self.assertEqual(page["total"], len(names))
            found += [row["device"] for row in page["devices"]]
            after = {"after": page["next"]} if "next" in page else None
        self.assertEqual(found, names)

    def test_a_history_that_is_larger_than_a_reply(self):
        """The newest commands are in it."""
        self.begin("device_queue 1000")
        app, device = self.app(), self.offline()
        for number in range(500):
            app.call("lamp1", f"go{number}-{'x' * 100}", offline="wait", timeout_ms=50000)
        rows = app.rows("device.history", {"device": "lamp1", "limit": 1000})
        self.assertGreater(len(rows), 100)
        self.assertEqual([row["command"].split("-")[0] for row in rows],
                         [f"go{499 - number}" for number in range(len(rows))])
        device.come()


if __name__ == "__main__":
    main()
