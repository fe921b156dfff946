"""What users of other systems report (section 11 of the contract): each test is one row, and is named by it."""
import collections
import json
import time

from crowd import Crowd
from devices import GRACE, QUIET, SHORT, DeviceTest
from harness import SLOW, TIMEOUT, eventually, has_websockets, main, patient

HEARTBEAT = 300 * SLOW  # ms
HOUR = 3600000


class Reports(DeviceTest):

    def check_served(self, app, device):
        """The device carries out a command."""
        call = app.call(device.name, "check")
        command = device.serve()
        self.assertEqual((command.cmd, app.result(call)), ("check", {"did": "check"}))

    def test_delivered_although_offline(self):
        """thingsboard 7123: a device whose connection stalls, or has just gone, has been sent a command and no more. No
        state says that it arrived."""
        self.begin()
        app, watcher = self.app(), self.watch()
        device = self.ready(auto_ack=False)
        call = app.call("lamp1", "go", timeout_ms=SHORT)
        command = device.take()
        self.assert_error(app.error(call), "device_timeout", device="lamp1")
        device.vanish()
        watcher.status("lamp1", "offline")
        call = app.call("lamp1", "go")
        self.assert_error(app.error(call), "device_offline", device="lamp1")
        states = {event["state"] for event in watcher.events()}
        self.assertEqual(states - {"queued"}, {"sent", "timeout"}, command)

    def test_an_answer_before_puback_blocks_the_queue(self):
        """thingsboard 8712: any answer ends the command, acknowledged or not."""
        self.begin()
        app = self.app()
        device = self.ready(auto_ack=False)
        calls = [app.call("lamp1", f"go{number}") for number in range(5)]
        for number, call in enumerate(calls):
            self.assertEqual(device.serve().cmd, f"go{number}")  # it never acknowledges
            self.assertEqual(app.result(call), {"did": f"go{number}"})

    def test_stuck_in_timeout_after_a_restart(self):
        """thingsboard 11642: states are judged again at the start, and nothing is without a deadline."""
        self.begin()
        app, watcher, device = self.app(), self.watch(), self.ready()
        self.leave(device, watcher)
        sent = app.result(app.call("lamp1", "go", offline="queue", ttl_ms=HOUR))["id"]
        late = app.result(app.call("lamp1", "late", offline="queue", ttl_ms=2 * SHORT))["id"]
        kept = app.result(app.call("lamp1", "kept", offline="queue", ttl_ms=HOUR))["id"]
        self.assertEqual(device.come().take().id, sent)
        watcher.command(id=sent, state="sent")
        self.broker.kill()
        time.sleep(2 * SHORT / 1000)
        self.broker.start()
        app = self.app()

        def states():
            rows = app.history("lamp1")
            return [rows[name]["state"] for name in (sent, late, kept)]

        eventually(lambda: states() == ["unknown", "expired", "queued"])
        self.assertEqual(device.come().serve().id, kept)
        self.check_served(app, device)
        self.assertEqual(states(), ["unknown", "expired", "succeeded"])

    def test_no_active_connection_while_telemetry_flows(self):
        """thingsboard 11518, 3297, 4734: presence is read from the connection that delivers, in every order of
        reconnects, restarts and takeovers."""
        self.begin()
        app, device = self.app(), self.ready()
        for number in range(8):
            if number == 4:
                self.wait_for_disk("lamp1")
                self.restart()
                app = self.app()
            if number % 2 == 0:  # a takeover, or the first after a restart
                device.connect().listen()
            else:
                device.vanish()
                device.connect().listen()
            device.client.publish("telemetry/lamp1", "21.5", qos=1)
            self.check_served(app, device)

    def test_the_servers_own_messages_count_as_activity(self):
        """thingsboard 7846: only what the device sends counts."""
        self.begin(f"device_heartbeat {HEARTBEAT}ms", "timeout 200ms")
        app, watcher, device = self.app(), self.watch(), self.ready()
        seen = app.status("lamp1")["seen"]
        watcher.forget()
        end = time.monotonic() + TIMEOUT
        while "silent" not in watcher.statuses("lamp1"):  # all the time it is sent commands, and it says nothing
            self.assertLess(time.monotonic(), end, "it is not silent")
            app.call("lamp1", "go")
            device.take()
            app.client.publish("lamp1/news", "x")
            time.sleep(HEARTBEAT / 1000 / 4)
        self.assertEqual(app.status("lamp1")["seen"], seen)

    def test_silent_for_ten_minutes_is_unreachable(self):
        """thingsboard 9519: silent is not offline while the connection stands."""
        self.begin(f"device_heartbeat {HEARTBEAT}ms")
        app, watcher, device = self.app(), self.watch(), self.ready()
        watcher.status("lamp1", "silent")
        time.sleep(10 * HEARTBEAT / 1000)
        self.check_served(app, device)
        self.assertNotIn("offline", watcher.statuses("lamp1"))

    @patient
    def test_sleepy_devices_get_nothing(self):
        """thingsboard 10444: hello with `ttd` opens the window, and the queue is flushed in order."""
        self.begin()
        app, watcher, device = self.app(), self.watch(), self.ready(hello={"ttd": 1})
        for _ in range(3):
            watcher.status("lamp1", "sleeping")
            ids = [app.result(app.call("lamp1", "go", offline="queue", ttl_ms=HOUR))["id"] for _ in range(4)]
            device.expect_nothing(0.1)
            device.hello(ttd=2 * self.pace)
            self.assertEqual([device.serve().id for _ in ids], ids)

    def test_sleepy_devices_that_disconnect(self):
        """thingsboard 10444, for those that sleep with the radio off: they connect, get their queue, and leave."""
        self.begin()
        app, watcher, device = self.app(), self.watch(), self.ready(hello={"ttd": 30})
        for _ in range(3):
            self.leave(device, watcher)
            ids = [app.result(app.call("lamp1", "go", offline="queue", ttl_ms=HOUR))["id"] for _ in range(4)]
            device.come(ttd=30)
            self.assertEqual([device.serve().id for _ in ids], ids)

    def test_the_old_connections_end_comes_after_the_new_ones_start(self):
        """emqx 7569, aedes 8, MQTTnet 373: connections are compared; a takeover is no event. Brokers before 2.1 tell
        the end of a stalled WebSockets client late."""
        self.begin(websockets=has_websockets())
        app, watcher = self.app(), self.watch()
        other = self.client(self.broker)
        for transport in ("tcp", "websockets") if has_websockets() else ("tcp",):
            old = self.ready(transport=transport)
            old.client.subscribe("flood")
            for _ in range(40):  # it does not read
                other.publish("flood", "x" * 100000)
            other.ping()
            new = self.ready(transport=transport)
            self.check_served(app, new)
            old.client.close()
        time.sleep(2 * GRACE / 1000)
        self.assertNotIn("offline", watcher.statuses("lamp1"))
        self.check_served(app, new)

    def test_notices_lost_when_a_hundred_leave_together(self):
        """hono 3655: the table first, events second."""
        self.begin(log_types=QUIET)
        crowd = Crowd(self.broker.port, [f"d{number:03}" for number in range(100)])
        self.addCleanup(crowd.close)
        crowd.arrive()
        app, watcher = self.app(), self.watch("cmd/+/status")
        watcher.forget()
        for member in crowd.members.values():
            member.cut()
        told = collections.Counter()
        for _ in crowd.members:
            status = watcher.until(lambda message: json.loads(message.payload)["state"] == "offline")
            told[status.topic] += 1
            if len(told) == 1:
                self.assertTrue(app.rows("device.list", {"state": "offline", "limit": 100}))
        self.assertEqual(set(told.values()), {1})
        self.assertEqual(len(app.rows("device.list", {"state": "offline", "limit": 100})), 100)

    def test_one_failed_ping_makes_a_device_uncontrollable(self):
        """zigbee2mqtt 5299: presence informs; a device that is silent, or has not answered, is still commanded."""
        self.begin(f"device_heartbeat {HEARTBEAT}ms")
        app, watcher, device = self.app(), self.watch(), self.ready()
        watcher.status("lamp1", "silent")
        for _ in range(3):
            call = app.call("lamp1", "ping", timeout_ms=SHORT)
            device.take()
            self.assert_error(app.error(call), "device_timeout")
        self.assertEqual(app.status("lamp1")["state"], "silent")
        self.check_served(app, device)

    def test_a_group_command_answered_by_lamps_without_power(self):
        """zigbee2mqtt 20906, 30679: a verdict for each member, from the member."""
        self.begin("device_groups hall=l1,l2,l3")
        app, watcher = self.app(), self.watch()
        lamps = {name: self.ready(name) for name in ("l1", "l2", "l3")}
        self.leave(lamps["l2"], watcher)
        call = app.group("hall", "on", timeout_ms=50000)
        lamps["l1"].serve()
        lamps["l3"].take()
        lamps["l3"].vanish()  # it loses its power
        result = app.result(call)
        self.assertEqual({row["device"]: row["status"] for row in result["results"]},
                         {"l1": "ok", "l2": "offline", "l3": "unknown"})
        self.assertEqual((result["total"], result["ok"]), (3, 1))

    def test_relays_toggle_after_a_reconnect(self):
        """Tasmota 2053, nuki_hub 233: by retained or queued old commands. None is retained, all expire, `stale-ms`
        holds when they are sent; a session of the broker keeps none that was not sent to a device that was there."""
        for version in (4, 5):
            self.begin()
            app, watcher = self.app(), self.watch()
            device = self.ready(version=version, clean=False)
            self.client(self.broker, 5).publish("rpc/call/device/lamp1/toggle", "{}", qos=1, retain=True)
            self.assertEqual(device.serve().cmd, "toggle")
            self.leave(device, watcher)
            for options in ({}, {"offline": "wait", "timeout_ms": SHORT}, {"offline": "queue", "ttl_ms": SHORT},
                            {"offline": "queue", "ttl_ms": HOUR, "stale_ms": SHORT}):
                app.reply(app.call("lamp1", "toggle", **options))
            time.sleep(1.2 * SHORT / 1000)
            device.come()
            self.assertTrue(device.client.session_present)
            device.expect_nothing()
            self.check_served(app, device)
            self.broker.stop()

    @patient
    def test_which_of_my_devices_did_not_answer(self):
        """nats-architecture 215, natscli 220: by name, also in a crowd."""
        self.begin("device_fanout_rate 1000", log_types=QUIET)
        names = [f"d{number:03}" for number in range(100)]
        crowd = Crowd(self.broker.port, names)
        self.addCleanup(crowd.close)
        crowd.arrive()
        mute = set(names[::9])
        crowd.commanded = lambda member, command: None if member.name in mute else crowd.obey(member, command)
        app = self.app()
        call = app.group("*", "go", timeout_ms=min(4 * SHORT * self.pace, 60000))
        crowd.until(lambda: not app.is_waiting(call), 60 + TIMEOUT)
        result = app.result(call)
        self.assertEqual((result["total"], result["ok"], result["ended"]), (100, 100 - len(mute), "deadline"))
        self.assertEqual({row["device"] for row in result["results"] if row["status"] != "ok"}, mute)


if __name__ == "__main__":
    main()
