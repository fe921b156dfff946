"""The device that all this began with: a heartbeat every two seconds, a last will, TLS, a password, reconnects."""
import json
import time

from devices import DeviceTest, FakeDevice, lamp
from harness import main, patient
from mqtt import CONNECT, data, packet


class Seed(DeviceTest):

    def arrive(self):
        """With a will, which FakeDevice cannot have."""
        client = self.client(self.broker, 4, client_id="seed", port=self.broker.tls_port, tls=True, connect=False)
        flags = 0x80 | 0x40 | 0x04 | 0x08 | 0x02  # user, password, will at QoS 1, clean
        client.send(packet(CONNECT, 0, data("MQTT") + bytes([4, flags, 0, 5]) + data("seed") +
                           data("seed/state") + data("dead") + data("seed") + data("secret")))
        client._read_connack(True)
        device = FakeDevice(self, self.broker, "seed", work=lamp)
        device.client = client
        return device.listen().hello()

    def beat(self, device, seconds):
        """Heartbeats for so long, commanded in between; what it says does not matter."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            device.client.publish("seed/heartbeat", json.dumps({"up": time.monotonic()}))
            call = self.caller.call("seed", "light", {"on": True, "brightness": 50})
            device.serve()
            self.assertEqual(self.caller.result(call), {"on": True, "brightness": 50})
            time.sleep(min(2, max(end - time.monotonic(), 0)))

    @patient
    def test_a_heartbeat_every_two_seconds(self):
        self.begin(f"device_heartbeat {2 * self.pace}s", tls=True, users={"seed": "secret"})
        self.caller, watcher = self.app(), self.watch()
        will = self.client(self.broker)
        will.subscribe("seed/state")
        refused = self.client(self.broker, 4, client_id="seed", port=self.broker.tls_port, tls=True, username="seed",
                              password="wrong", check=False)
        self.assertNotEqual(refused.connack, 0)
        device = self.arrive()
        self.beat(device, 7 * self.pace)
        self.assertEqual(set(watcher.statuses("seed")) & {"silent", "offline"}, set())
        old = device
        device = self.arrive()  # it reconnects before the broker has noticed its end
        old.client.expect_end()
        self.beat(device, 2)
        self.assertNotIn("offline", watcher.statuses("seed"))
        self.assertEqual(will.receive().payload, b"dead")
        device.vanish()
        watcher.status("seed", "offline")
        self.assertEqual(will.receive().payload, b"dead")
        self.assert_error(self.caller.error(self.caller.call("seed", "getStatus")), "device_offline")
        device = self.arrive()
        watcher.status("seed", "ready")
        self.beat(device, 2)


if __name__ == "__main__":
    main()
