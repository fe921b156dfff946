"""The shipped modules, over the wire."""
import calendar
import json
import time

from harness import PLUGIN, BrokerTest, ask, ask_by_id, error_of, main, payload_of, result_of


class Shipped(BrokerTest):

    def setUp(self):
        self.running = self.start(plugin=PLUGIN)
        self.connection = self.client(self.running, 5)
        self.watcher = self.client(self.running)
        self.watcher.subscribe("rpc/event/#")

    def result(self, method, params=b""):
        return result_of(ask(self.connection, method, params))

    def error(self, method, params=b""):
        return error_of(ask(self.connection, method, params))

    def expect_event(self, name):
        """The next event, but for the states of sensors."""
        event = self.watcher.receive()
        while event.topic.startswith("rpc/event/sensor/"):
            event = self.watcher.receive()
        self.assertEqual(event.topic, f"rpc/event/{name}")
        return payload_of(event)


class Ping(Shipped):

    def test_answered(self):
        pong = self.result("ping")
        self.assertEqual(set(pong), {"ok", "time"})
        self.assertIs(pong["ok"], True)
        self.assertAlmostEqual(pong["time"], time.time(), delta=60)
        self.assertIsInstance(pong["time"], float)
        self.watcher.expect_nothing()

    def test_unanswered(self):
        self.connection.publish("rpc/call/ping")
        self.assertIs(self.expect_event("pong")["ok"], True)
        self.connection.expect_nothing()


class Echo(Shipped):

    def test_any_value(self):
        for value in (None, True, 0, -1.5, "", "ü", [], {}, {"a": [1, {"b": None}]}, "x" * 60000):
            self.assertEqual(self.result("echo", json.dumps(value)), value)
        self.watcher.expect_nothing()

    def test_unanswered(self):
        self.connection.publish("rpc/call/echo", "1", qos=1)
        self.watcher.expect_nothing()


class GetTime(Shipped):

    def test_both_forms_agree(self):
        found = self.result("getTime")
        self.assertAlmostEqual(found["unix"], time.time(), delta=60)
        self.assertTrue(found["iso"].endswith("Z"), found)
        seconds = calendar.timegm(time.strptime(found["iso"][:19], "%Y-%m-%dT%H:%M:%S"))
        self.assertAlmostEqual(found["unix"], seconds, delta=1)


class Sensor(Shipped):

    def test_update(self):
        self.assertEqual(self.result("updateSensor", {"sensor_id": "temp1", "value": 25.5}),
                         {"sensor_id": "temp1", "value": 25.5, "ok": True})
        self.assertEqual(self.expect_event("sensorUpdated"), {"sensor_id": "temp1", "value": 25.5, "ok": True})

    def test_update_without_asking_for_a_reply(self):
        self.connection.publish("rpc/call/updateSensor", '{"sensor_id":"a","value":-3,"unit":"F"}', retain=True)
        self.assertEqual(self.expect_event("sensorUpdated"), {"sensor_id": "a", "value": -3, "ok": True})
        self.connection.expect_nothing()

    def test_get(self):
        self.result("updateSensor", {"sensor_id": "k", "value": 300, "unit": "K"})
        self.result("updateSensor", {"sensor_id": "c", "value": 1})
        found = self.result("getSensor", {"sensor_id": "k"})
        self.assertEqual((found["sensor_id"], found["value"], found["unit"]), ("k", 300, "K"))
        self.assertAlmostEqual(found["time"], time.time(), delta=60)
        self.assertEqual(self.result("getSensor", {"sensor_id": "c"})["unit"], "C")

    def test_get_unknown(self):
        self.assert_error(self.error("getSensor", {"sensor_id": "nowhere"}), "unknown_sensor", method="getSensor")

    def test_list(self):
        self.assertEqual(self.result("listSensors"), {"sensors": [], "next": None})
        for name in ("b", "a", "b"):
            self.result("updateSensor", {"sensor_id": name, "value": 1})
        sensors = self.result("listSensors")["sensors"]
        self.assertEqual(len(sensors), 2)

    def test_below_absolute_zero(self):
        for value, unit in ((-273.16, "C"), (-459.68, "F"), (-0.1, "K")):
            with self.subTest(unit=unit):
                params = {"sensor_id": "cold", "value": value, "unit": unit}
                self.assert_error(self.error("updateSensor", params), "out_of_range", sensor_id="cold")
                self.watcher.expect_nothing(0)
                self.connection.publish("rpc/call/updateSensor", json.dumps(params))
                self.assert_error(self.expect_event("sensorUpdateFailed"), "out_of_range", sensor_id="cold",
                                  method="updateSensor")
        self.assert_error(self.error("getSensor", {"sensor_id": "cold"}), "unknown_sensor")

    def test_at_absolute_zero(self):
        for value, unit in ((-273.15, "C"), (-459.67, "F"), (0, "K")):
            self.result("updateSensor", {"sensor_id": "cold", "value": value, "unit": unit})

    def test_wrong_parameters(self):
        for params in ({}, {"sensor_id": "a"}, {"value": 1}, {"sensor_id": "", "value": 1},
                       {"sensor_id": "x" * 65, "value": 1}, {"sensor_id": 5, "value": 1},
                       {"sensor_id": "a", "value": "1"}, {"sensor_id": "a", "value": None},
                       {"sensor_id": "a", "value": 1, "unit": "c"}, {"sensor_id": "a", "value": 1, "unit": 1}):
            with self.subTest(params=params):
                self.assert_error(self.error("updateSensor", params), "invalid_params")
        self.connection.publish("rpc/call/updateSensor", "{}")
        self.assertIn("sensor_id", self.expect_event("error")["msg"])

    def test_lengths_are_of_characters(self):
        self.result("updateSensor", {"sensor_id": "ü" * 64, "value": 1})
        self.assert_error(self.error("updateSensor", {"sensor_id": "ü" * 65, "value": 1}), "invalid_params")

    def test_the_number_of_sensors_is_bounded(self):
        """With max_sensors sensors, known ones can still be updated."""
        for number in range(20000):
            self.connection.publish("rpc/call/updateSensor", f'{{"sensor_id":"s{number}","value":1}}')
            if number % 500 == 499 and "error" in ask_by_id(self.connection, "updateSensor",
                                                            {"sensor_id": f"t{number}", "value": 1}):
                break
        else:
            self.fail("there seems to be no bound")
        self.result("updateSensor", {"sensor_id": "s0", "value": 2})
        self.assertEqual(self.result("getSensor", {"sensor_id": "s0"})["value"], 2)


if __name__ == "__main__":
    main()
