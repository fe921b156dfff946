"""Runs a broker with mosquitto.conf.example and acl.example and checks what their comments say.

The test replaces only the port and the paths: of the plugin, the database, and the password and ACL files.
"""
import subprocess

import harness
from harness import PLUGIN, ROOT, BrokerTest, ask, main, result_of
from mqtt import NOT_AUTHORIZED

PLACES = ("1883", "/etc/mosquitto/rpc.passwd", "/etc/mosquitto/rpc.acl",
          "/usr/lib/x86_64-linux-gnu/mosquitto_rpc.so", "/var/lib/mosquitto/")
USERS = {"device": "d", "thermometer": "t", "stranger": "s"}


class ExampleBroker(harness.Broker):
    """A broker that runs mosquitto.conf.example."""

    def config(self):
        text = (ROOT / "mosquitto.conf.example").read_text()
        settings = [line for line in text.splitlines() if line and not line.startswith("#")]
        for place, here in zip(PLACES, (str(self.port), str(self.password_path), str(self.acl_path), PLUGIN,
                                       f"{self.directory}/")):
            assert sum(place in line for line in settings) == 1, place
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

    def test_a_device_may_call_every_method_but_one_and_receive_every_event(self):
        device, other = self.user("device"), self.user("device")
        other.subscribe("rpc/event/#", qos=1)
        for value, sensor in ((20.5, "a"), (21, "b")):
            result_of(ask(device, "updateSensor", {"sensor_id": sensor, "value": value}))
            self.assertEqual(other.receive().topic, "rpc/event/sensorUpdated")
        for topic in ("rpc/call/forgetSensor", "rpc/call/forgetSensor/request", "rpc/batch/forgetSensor"):
            self.assertEqual(device.publish(topic, '{"sensor_id":"a"}', qos=1), NOT_AUTHORIZED)
        self.assertEqual(len(result_of(ask(device, "listSensors"))["sensors"]), 2)

    def test_a_thermometer_may_only_report(self):
        thermometer, device = self.user("thermometer"), self.user("device")
        thermometer.subscribe("rpc/#", qos=1)
        result_of(ask(thermometer, "updateSensor", {"sensor_id": "t", "value": 1}))
        for topic in ("rpc/call/getSensor", "rpc/call/ping", "rpc/call/updateSensor/x", "rpc/event/sensorUpdated"):
            self.assertEqual(thermometer.publish(topic, '{"sensor_id":"t"}', qos=1), NOT_AUTHORIZED)
        thermometer.expect_nothing()
        self.assertEqual(len(result_of(ask(device, "listSensors"))["sensors"]), 1)

    def test_a_user_without_a_section_may_do_nothing(self):
        stranger, device = self.user("stranger"), self.user("device")
        stranger.subscribe("rpc/#", qos=1)
        self.assertEqual(stranger.publish("rpc/call/updateSensor", '{"sensor_id":"s","value":1}', qos=1), NOT_AUTHORIZED)
        device.publish("rpc/call/ping", qos=1)
        stranger.expect_nothing()
        self.assertEqual(result_of(ask(device, "listSensors"))["sensors"], [])

    def test_an_anonymous_client_may_not_connect(self):
        done = subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.broker.port), "-t", "rpc/call/ping", "-n"],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertNotEqual(done.returncode, 0)


if __name__ == "__main__":
    main()
