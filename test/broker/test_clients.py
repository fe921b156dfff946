"""Calls with the clients of Mosquitto: mosquitto_pub, mosquitto_sub, mosquitto_rr."""
import json
import shutil
import subprocess
import unittest

from harness import PLUGIN, TIMEOUT, BrokerTest, main

TOOLS = ("mosquitto_pub", "mosquitto_sub", "mosquitto_rr")


@unittest.skipUnless(all(map(shutil.which, TOOLS)), "Mosquitto's own clients are not installed")
class Clients(BrokerTest):

    def setUp(self):
        self.running = self.start(plugin=PLUGIN)

    def run_tool(self, *command):
        tool, *arguments = command
        done = subprocess.run([tool, "-h", "127.0.0.1", "-p", str(self.running.port), *arguments], stdout=subprocess.PIPE,
                              timeout=TIMEOUT, check=False)
        self.assertEqual(done.returncode, 0, command)
        return done.stdout.decode()

    def publish(self, *arguments):
        return self.run_tool("mosquitto_pub", *arguments)

    def request(self, *arguments):
        return self.run_tool("mosquitto_rr", "-W", str(TIMEOUT), "-e", "my/replies", *arguments)

    def watch(self, topic, count=1):
        """A mosquitto_sub that ends after so many messages; started when its subscription stands."""
        process = subprocess.Popen(["mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.running.port), "-i", f"watcher-{topic}",
                                    "-t", topic, "-v", "-C", str(count), "-W", str(TIMEOUT)],
                                   stdout=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.running.wait_log("Sending SUBACK to watcher-")
        return process

    def messages(self, process):
        output, _ = process.communicate(timeout=TIMEOUT)
        lines = (line.split(" ", 1) for line in output.decode().splitlines())
        return [(topic, json.loads(payload)) for topic, payload in lines]

    def test_a_device_that_retains_by_accident(self):
        watcher = self.watch("rpc/#", 2)
        self.publish("-t", "rpc/call/updateSensor", "-m", '{"sensor_id":"temp1","value":25.5}', "-q", "0", "-r")
        state, updated = self.messages(watcher)
        self.assertEqual((state[0], state[1]["value"]), ("rpc/event/sensor/temp1", 25.5))
        self.assertEqual(updated, ("rpc/event/sensorUpdated", {"sensor_id": "temp1", "value": 25.5, "ok": True}))
        shown = json.loads(self.request("-t", "rpc/call/getSensor", "-m", '{"sensor_id":"temp1"}'))
        self.assertEqual((shown["value"], shown["unit"]), (25.5, "C"))
        late = self.client(self.running)
        late.subscribe("#")
        self.assertEqual(late.receive().topic, "rpc/event/sensor/temp1")
        late.expect_nothing()

    def test_a_request_and_its_response(self):
        self.assertEqual(json.loads(self.request("-t", "rpc/call/echo", "-m", '{"a":[1,2]}')), {"a": [1, 2]})

    def test_an_error_as_response(self):
        error = json.loads(self.request("-t", "rpc/call/getSensor", "-m", '{"sensor_id":"nowhere"}'))
        self.assert_error(error, "unknown_sensor", method="getSensor")

    def test_a_request_without_payload(self):
        self.assertIn("iso", json.loads(self.request("-t", "rpc/call/getTime", "-n")))

    def test_a_request_at_every_qos(self):
        for qos in "012":
            self.assertTrue(json.loads(self.request("-t", "rpc/call/ping", "-n", "-q", qos))["ok"])

    def test_a_mistake_is_announced(self):
        watcher = self.watch("rpc/event/#", 2)
        self.publish("-t", "rpc/call/updateSensor", "-m", "{sensor_id: temp1}", "-V", "mqttv31")
        self.publish("-t", "rpc/call/updateSensor", "-m", '{"sensor_id":"temp1","value":-300}', "-V", "mqttv311")
        (first, parse), (second, range_) = self.messages(watcher)
        self.assertEqual((first, second), ("rpc/event/error", "rpc/event/sensorUpdateFailed"))
        self.assert_error(parse, "parse_error", method="updateSensor")
        self.assert_error(range_, "out_of_range", sensor_id="temp1")

    def test_a_ping_that_is_announced(self):
        watcher = self.watch("rpc/event/pong")
        self.publish("-t", "rpc/call/ping", "-n", "-q", "2")
        self.assertTrue(self.messages(watcher)[0][1]["ok"])

    def test_a_client_that_waits_on_its_own_response_topic(self):
        """As a Python client on 3.1.1 does: subscribe to …/response/{request_id}, then call."""
        client = self.client(self.running, 4)
        client.subscribe("rpc/call/getTime/response/7b0c")
        client.publish("rpc/call/getTime", json.dumps({"request_id": "7b0c"}), qos=1)
        reply = client.receive()
        self.assertEqual((reply.topic, json.loads(reply.payload)["request_id"]),
                         ("rpc/call/getTime/response/7b0c", "7b0c"))
        client.expect_nothing()

    def test_many_devices_at_once(self):
        watcher = self.watch("rpc/event/sensorUpdated", 20)
        devices = [subprocess.Popen(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.running.port), "-t", "rpc/call/updateSensor",
                                     "-m", f'{{"sensor_id":"s{number}","value":{number}}}', "-q", str(number % 3)])
                   for number in range(20)]
        self.assertEqual([device.wait(TIMEOUT) for device in devices], [0] * 20)
        self.assertEqual({data["sensor_id"] for _, data in self.messages(watcher)}, {f"s{n}" for n in range(20)})


if __name__ == "__main__":
    main()
