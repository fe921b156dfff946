"""Runs a broker with mosquitto.conf.example and acl.example and checks what their comments say.

The test replaces only the port and the paths: of the plugin, the databases, and the password and ACL files.
"""
import json
import subprocess

import harness
from harness import PLUGIN, ROOT, BrokerTest, ask, main, payload_of, result_of
from mqtt import NOT_AUTHORIZED, RESPONSE_TOPIC

PLACES = ("1883", "/etc/mosquitto/rpc.passwd", "/etc/mosquitto/rpc.acl",
          "/usr/lib/x86_64-linux-gnu/mosquitto_rpc.so", "/var/lib/mosquitto/")
USERS = {"panel": "p", "thermometer": "t", "stranger": "s", "lamp1": "l"}


class ExampleBroker(harness.Broker):
    """A broker that runs mosquitto.conf.example."""

    def config(self):
        text = (ROOT / "mosquitto.conf.example").read_text()
        settings = [line for line in text.splitlines() if line and not line.startswith("#")]
        for place, here in zip(PLACES, (str(self.port), str(self.password_path), str(self.acl_path), PLUGIN,
                                       f"{self.directory}/")):
            assert any(place in line for line in settings), place
            settings = [line.replace(place, here) for line in settings]
        return "\n".join([*settings, "user root", "log_type all"]) + "\n"


class Examples(BrokerTest):
    def setUp(self):
        self.broker = ExampleBroker(plugin=PLUGIN, users=USERS, acl=(ROOT / "acl.example").read_text())
        self.addCleanup(self.broker.clean_up)
        self.addCleanup(self.broker.stop)
        self.broker.start()

    def user(self, name, version=5):
        return self.client(self.broker, version, username=name, password=USERS[name])

    def test_a_panel_may_call_nearly_every_method_and_receive_every_event(self):
        panel, other = self.user("panel"), self.user("panel")
        other.subscribe("rpc/event/#", qos=1)
        for value, sensor in ((20.5, "a"), (21, "b")):
            result_of(ask(panel, "updateSensor", {"sensor_id": sensor, "value": value}))
            self.assertEqual(other.receive().topic, f"rpc/event/sensor/{sensor}")
            self.assertEqual(other.receive().topic, "rpc/event/sensorUpdated")
        for method in ("forgetSensor", "device.forget", "device.group.set", "device.group.delete"):
            for topic in (f"rpc/call/{method}", f"rpc/call/{method}/request", f"rpc/batch/{method}"):
                self.assertEqual(panel.publish(topic, '{"sensor_id":"a"}', qos=1), NOT_AUTHORIZED)
        self.assertEqual(len(result_of(ask(panel, "listSensors"))["sensors"]), 2)

    def test_a_device_takes_commands_of_the_panel(self):
        """Under its user's name, whatever its client id is."""
        panel, lamp, watcher = self.user("panel"), self.user("lamp1", 4), self.user("panel")
        lamp.subscribe("cmd/lamp1/req", qos=1)
        lamp.publish("cmd/lamp1/hello", "", qos=1)
        watcher.subscribe("cmd/+/status")
        self.assertEqual(payload_of(watcher.receive())["state"], "ready")
        panel.publish("rpc/call/device/lamp1/go", qos=1, properties=[(RESPONSE_TOPIC, "r")])
        command = payload_of(lamp.receive())
        lamp.publish("cmd/lamp1/resp", json.dumps({"id": command["id"], "result": 7}), qos=1)
        self.assertEqual(payload_of(panel.receive()), 7)
        for topic in ("cmd/lamp1/req", "cmd/lamp1/resp", "cmd/lamp1/hello", "cmd/lamp1/status"):
            self.assertEqual(panel.publish(topic, "{}", qos=1), NOT_AUTHORIZED)
        self.assertEqual(self.user("lamp1").publish("rpc/call/device/lamp1/go", qos=1), NOT_AUTHORIZED)

    def test_a_thermometer_may_only_report(self):
        thermometer, panel = self.user("thermometer"), self.user("panel")
        thermometer.subscribe("rpc/#", qos=1)
        result_of(ask(thermometer, "updateSensor", {"sensor_id": "t", "value": 1}))
        for topic in ("rpc/call/getSensor", "rpc/call/ping", "rpc/call/updateSensor/x", "rpc/event/sensorUpdated"):
            self.assertEqual(thermometer.publish(topic, '{"sensor_id":"t"}', qos=1), NOT_AUTHORIZED)
        thermometer.expect_nothing()
        self.assertEqual(len(result_of(ask(panel, "listSensors"))["sensors"]), 1)

    def test_a_user_without_a_section_may_only_be_a_device(self):
        stranger, panel = self.user("stranger"), self.user("panel")
        stranger.subscribe("rpc/#", "cmd/lamp1/#", qos=1)
        self.assertNotEqual(stranger.publish("cmd/stranger/hello", qos=1), NOT_AUTHORIZED)
        for topic in ("cmd/lamp1/hello", "cmd/stranger/req", "rpc/call/device/stranger/go"):
            self.assertEqual(stranger.publish(topic, qos=1), NOT_AUTHORIZED)
        self.assertEqual(stranger.publish("rpc/call/updateSensor", '{"sensor_id":"s","value":1}', qos=1), NOT_AUTHORIZED)
        panel.publish("rpc/call/ping", qos=1)
        stranger.expect_nothing()
        self.assertEqual(result_of(ask(panel, "listSensors"))["sensors"], [])

    def test_an_anonymous_client_may_not_connect(self):
        done = subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.broker.port), "-t", "rpc/call/ping", "-n"],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertNotEqual(done.returncode, 0)


if __name__ == "__main__":
    main()
