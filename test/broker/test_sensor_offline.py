"""Readings that devices have taken while they were offline, the states of sensors, and pages, over the wire.

A device sends the readings of a day in a batch, and again, for as long as it gets no reply: to the same broker, after
a restart, and after the broker was killed in between.
"""
import json
import pathlib
import shutil
import sqlite3
import tempfile
import time

from harness import PLUGIN, BrokerTest, ask, error_of, eventually, main, new_identity, payload_of, result_of
from mqtt import CORRELATION_DATA, RESPONSE_TOPIC


class Offline(BrokerTest):

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="rpc-sensor-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.path = self.folder / "sensors.db"
        self.now = float(int(time.time()))

    def open(self, *options, **how):
        self.broker = self.start([f"sensor_db {self.path}", "sensor_interval 0", *options], plugin=PLUGIN, **how)
        self.connect()

    def connect(self):
        self.device = self.client(self.broker, 5)
        self.watcher = self.client(self.broker)
        self.watcher.subscribe("rpc/event/sensorUpdated")

    def day(self, count=100, sensor="a"):
        """Readings of the day before, one every 864 s."""
        return [{"sensor_id": sensor, "value": number, "time": self.now - 86400 + 864 * number}
                for number in range(count)]

    def send(self, readings):
        """Sends a batch as a new message, which the engine does not recognise."""
        self.device.publish("rpc/batch/updateSensor", json.dumps(readings), qos=1, wait=False,
                            properties=[(RESPONSE_TOPIC, "r"), (CORRELATION_DATA, new_identity())])

    def store(self, readings):
        self.send(readings)
        return payload_of(self.device.receive())

    def confirmed(self, readings):
        return [{"result": {"sensor_id": reading["sensor_id"], "value": reading["value"], "ok": True,
                            "time": reading["time"]}} for reading in readings]

    def history(self, sensor="a"):
        found = result_of(ask(self.device, "sensorHistory", {"sensor_id": sensor, "limit": 1000}, qos=0))["readings"]
        return [(reading["time"], reading["value"]) for reading in found]

    def expect_day(self, readings):
        self.assertEqual(self.history(), [(reading["time"], reading["value"]) for reading in readings])
        last = readings[-1]
        self.assertEqual(result_of(ask(self.device, "getSensor", {"sensor_id": "a"}, qos=0)),
                         {"sensor_id": "a", "value": last["value"], "unit": "C", "time": last["time"]})


class Batches(Offline):

    def announced(self, count):
        return [payload_of(self.watcher.receive())["value"] for _ in range(count)]

    def test_a_day(self):
        """In order, once, and announced once: at once, again, after a restart and after a kill."""
        self.open()
        readings = self.day()
        self.assertEqual(self.store(readings), self.confirmed(readings))
        self.assertEqual(self.announced(100), list(range(100)))
        for end in (None, self.broker.stop, self.broker.kill):
            if end:
                end()
                self.broker.start()
                self.connect()
            self.assertEqual(self.store(readings), self.confirmed(readings))
            self.expect_day(readings)
            self.watcher.ping()
            self.assertEqual(list(self.watcher.inbox), [])

    def test_the_same_message_again(self):
        """The reply cache gives the same reply to the same message, and the database to a new one."""
        self.open()
        readings = self.day(10)
        identity = new_identity()
        for _ in range(2):
            self.device.publish("rpc/batch/updateSensor", json.dumps(readings), qos=1,
                                properties=[(RESPONSE_TOPIC, "r"), (CORRELATION_DATA, identity)])
            self.assertEqual(payload_of(self.device.receive()), self.confirmed(readings))
        self.assertEqual(self.store(readings), self.confirmed(readings))
        self.expect_day(readings)

    def test_killed_while_it_stores(self):
        """The device sends until it is answered; the broker is killed at different moments before that."""
        self.open()
        sent = []
        for round_number in range(8):
            readings = [{"sensor_id": "a", "value": 100 * round_number + item,
                         "time": self.now - 86400 + 100 * round_number + item} for item in range(100)]
            sent += readings
            for attempt in range(3):
                self.send(readings)
                if attempt == 2:
                    break
                time.sleep(0.003 * round_number * attempt)
                self.broker.kill()
                self.broker.start()
                self.connect()
            self.assertEqual(payload_of(self.device.receive()), self.confirmed(readings))
        self.expect_day(sent)
        self.broker.stop()
        database = sqlite3.connect(self.path)
        self.addCleanup(database.close)
        self.assertEqual(database.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        self.assertEqual(database.execute("SELECT kept, (SELECT count(*) FROM taken) FROM sensors").fetchall(),
                         [(800, 800)])

    def test_other_values(self):
        """Another value for the same time is an error of its item alone."""
        self.open()
        readings = self.day(3)
        self.store(readings)
        readings[1]["value"] = 77
        first, second, third = self.store(readings)
        self.assertEqual([first, third], [self.confirmed(readings)[0], self.confirmed(readings)[2]])
        self.assert_error(second["error"], "already_stored", sensor_id="a", value=1, unit="C",
                          time=readings[1]["time"])
        self.assertEqual([value for _, value in self.history()], [0, 1, 2])

    def test_live_readings_between(self):
        """A sensor that reports while its older readings come keeps its last one, also after a restart."""
        self.open()
        result_of(ask(self.device, "updateSensor", {"sensor_id": "a", "value": 1000}))
        self.store(self.day())
        for _ in range(2):
            self.assertEqual(result_of(ask(self.device, "getSensor", {"sensor_id": "a"}, qos=0))["value"], 1000)
            self.assertEqual([value for _, value in self.history()], [1000, *range(100)])
            self.broker.kill()
            self.broker.start()
            self.connect()

    def test_old_readings_are_kept(self):
        """Pruning runs each second; what was taken long ago stays as long as what was taken now."""
        self.open("sensor_keep_age 10s")
        self.store([{"sensor_id": "a", "value": 1, "time": time.time() - 9}])
        time.sleep(4)
        self.assertEqual([value for _, value in self.history()], [1])
        eventually(lambda: b"unknown_sensor" in ask(self.device, "getSensor", {"sensor_id": "a"}, qos=0).payload, 60, 0.5)
        for age in (11, -70):
            error = error_of(ask(self.device, "updateSensor", {"sensor_id": "a", "value": 1, "time": time.time() - age}))
            self.assert_error(error, "out_of_range", sensor_id="a")

    def test_undeclared_members(self):
        self.open()
        for member, near in (("units", "unit"), ("times", "time"), ("sensorid", "sensor_id")):
            error = error_of(ask(self.device, "updateSensor", {"sensor_id": "a", "value": 1, member: 5}))
            self.assert_error(error, "invalid_params")
            self.assertIn(f"{member} is not declared, did you mean {near}?", error["msg"])


class States(Offline):

    def states(self, topic="rpc/event/sensor/+"):
        """What a client that comes later learns."""
        late = self.client(self.broker)
        late.subscribe(topic, qos=0)
        late.ping()
        found = {message.topic.rsplit("/", 1)[1]: payload_of(message) for message in late.inbox if message.retain}
        late.disconnect()
        return found

    def values(self):
        return {sensor: state["value"] for sensor, state in self.states().items()}

    def test_the_last_reading(self):
        self.open()
        result_of(ask(self.device, "updateSensor", {"sensor_id": "a", "value": 1, "unit": "K"}))
        self.store(self.day(3, "b"))
        self.store([{"sensor_id": "b", "value": 9, "time": self.now - 80000}, {"sensor_id": "x/y", "value": 5}])
        states = self.states()
        self.assertEqual(states["b"], {"sensor_id": "b", "value": 9, "unit": "C", "time": self.now - 80000})
        self.assertEqual(states["a"], result_of(ask(self.device, "getSensor", {"sensor_id": "a"})))
        self.assertEqual(set(states), {"a", "b"})
        self.store(self.day(3, "b"))
        self.assertEqual(self.states(), states)

    def test_forgotten(self):
        self.open()
        self.store([{"sensor_id": "a", "value": 1}, {"sensor_id": "b", "value": 2}])
        watcher = self.client(self.broker)
        watcher.subscribe("rpc/event/sensor/a")
        self.assertEqual(payload_of(watcher.receive())["value"], 1)
        result_of(ask(self.device, "forgetSensor", {"sensor_id": "a"}))
        self.assertEqual(watcher.receive().payload, b"")
        self.assertEqual(self.values(), {"b": 2})

    def check_after(self, end, persistence):
        self.open(persistence=persistence)
        self.store([{"sensor_id": f"s{number:03}", "value": number} for number in range(50)])
        getattr(self.broker, end)()
        self.broker.start()
        self.connect()
        eventually(lambda: self.values() == {f"s{number:03}": number for number in range(50)})

    def test_after_a_restart(self):
        self.check_after("stop", False)

    def test_after_a_restart_with_persistence(self):
        self.check_after("stop", True)

    def test_after_a_kill(self):
        self.check_after("kill", False)

    def test_what_a_broker_has_kept(self):
        """The database was deleted while the broker was away; forgetSensor removes what the broker has retained."""
        self.open(persistence=True)
        self.store([{"sensor_id": "a", "value": 1}])
        self.broker.stop()
        self.path.unlink()
        self.broker.start()
        self.connect()
        self.assertEqual(self.values(), {"a": 1})
        self.assertIs(result_of(ask(self.device, "forgetSensor", {"sensor_id": "a"}))["forgotten"], False)
        self.assertEqual(self.values(), {})

    def test_pruned(self):
        self.open("sensor_keep_age 5s")
        self.store([{"sensor_id": "a", "value": 1}])
        self.assertEqual(self.values(), {"a": 1})
        eventually(lambda: self.values() == {}, 60, 0.5)

    def test_the_silent_one(self):
        self.open("sensor_max_sensors 1", "sensor_max_silence 1s", "sensor_keep_age 20s")
        self.store([{"sensor_id": "a", "value": 1}])
        eventually(lambda: "result" in self.store([{"sensor_id": "b", "value": 2}])[0], 60, 0.5)
        self.assertEqual(self.values(), {"b": 2})


class Pages(Offline):

    def test_many_sensors(self):
        """Ten thousand, in pages of a hundred, while sensors come and go."""
        count = 10000
        self.open(f"sensor_max_sensors {count}", f"sensor_max_per_client {count}", "max_pending 4000")
        for at in range(0, count - 50, 50):
            self.store([{"sensor_id": f"s{(number * 7919) % count:05}", "value": number} for number in range(at, at + 50)])
        found, after, pages = [], None, 0
        while True:
            page = result_of(ask(self.device, "listSensors", {"limit": 100, "after": after}, qos=0))
            found += [reading["sensor_id"] for reading in page["sensors"]]
            self.assertLessEqual(len(page["sensors"]), 100)
            after, pages = page["next"], pages + 1
            if after is None:
                break
            self.assertEqual(after, found[-1])
            if pages == 10:
                result_of(ask(self.device, "forgetSensor", {"sensor_id": after}, qos=0))
                result_of(ask(self.device, "updateSensor", {"sensor_id": "s00000a", "value": 0}, qos=0))
        self.assertEqual(len(found), count - 50)
        self.assertEqual(found, sorted(set(found)))
        self.assertEqual(error_of(ask(self.device, "listSensors", qos=0))["err"], "reply_too_large")

    def test_a_history_that_moves(self):
        """Others report, and old readings are pruned, between two pages."""
        self.open("sensor_keep_count 300", "sensor_keep_age 10s")
        self.store([{"sensor_id": "a", "value": number} for number in range(100)])
        found, after = [], None
        for page_number in range(10):
            page = result_of(ask(self.device, "sensorHistory", {"sensor_id": "a", "limit": 10, "after": after}, qos=0))
            found = [reading["value"] for reading in page["readings"]] + found
            self.assertEqual(page["more"], page["next"] is not None)
            after = page["next"]
            self.store([{"sensor_id": "a", "value": 1000 + page_number}] * 3)
        self.assertEqual(found, list(range(100)))
        self.assertIsNone(after)


if __name__ == "__main__":
    main()
