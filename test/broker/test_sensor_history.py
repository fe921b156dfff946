"""Readings, averages and pruning, over the wire and across restarts of the broker."""
import contextlib
import json
import pathlib
import shutil
import sqlite3
import tempfile
import threading
import time

from harness import (INSTRUMENTED, PLUGIN, SLOW, TIMEOUT, BrokerTest, ask, error_of, eventually, main, new_identity,
                     patient, payload_of, result_of)
from mqtt import CORRELATION_DATA, RESPONSE_TOPIC, user_property_of


class Sensors(BrokerTest):

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="rpc-sensor-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.path = self.folder / "sensors.db"

    def open(self, *options, db=None, **how):
        """A broker whose database is at the path, and a client of it."""
        self.broker = self.start([f"sensor_db {db or self.path}", *options], plugin=PLUGIN, **how)
        self.connection = self.client(self.broker, 5)

    def reopen(self):
        self.broker.stop()
        self.broker.start()
        self.connection = self.client(self.broker, 5)

    def ask(self, method, params=b"", prefix="rpc"):
        return ask(self.connection, method, params, qos=0, prefix=prefix)

    def result(self, method, params=b"", prefix="rpc"):
        return result_of(self.ask(method, params, prefix))

    def update(self, sensor, value, unit="C", prefix="rpc"):
        return self.result("updateSensor", {"sensor_id": sensor, "value": value, "unit": unit}, prefix)

    def history(self, sensor, prefix="rpc", **limits):
        return self.result("sensorHistory", {"sensor_id": sensor, **limits}, prefix)

    def values(self, sensor, prefix="rpc", **limits):
        return [reading["value"] for reading in self.history(sensor, prefix, **limits)["readings"]]

    def query(self, sql):
        with contextlib.closing(sqlite3.connect(self.path)) as database:
            return database.execute(sql).fetchone()[0]


class History(Sensors):

    def test_limits(self):
        self.open()
        for value in range(1, 11):
            self.update("a", value, "CFK"[value % 3])
        answer = self.history("a")
        readings = answer["readings"]
        self.assertEqual(set(answer), {"sensor_id", "readings", "more", "next"})
        self.assertEqual([reading["value"] for reading in readings], list(range(1, 11)))
        self.assertEqual([reading["unit"] for reading in readings], ["CFK"[value % 3] for value in range(1, 11)])
        times = [reading["time"] for reading in readings]
        self.assertEqual(times, sorted(set(times)))
        self.assertAlmostEqual(times[-1], time.time(), delta=60)
        self.assertEqual(times[-1], self.result("getSensor", {"sensor_id": "a"})["time"])
        self.assertIs(answer["more"], False)
        self.assertEqual(self.values("a", **{"from": times[3], "to": times[5]}), [4, 5, 6])
        part = self.history("a", to=times[8], limit=3)
        self.assertEqual([reading["value"] for reading in part["readings"]], [7, 8, 9])
        self.assertIs(part["more"], True)

    def test_page_by_page(self):
        """Reads the whole history: `after` becomes the `next` of each page."""
        self.open("max_batch 1000", "max_payload 1m", "max_reply 1m")
        expected = []
        for number in range(25):
            params = [{"sensor_id": "a", "value": 100 * number + item} for item in range(100)]
            expected += [reading["value"] for reading in params]
            self.connection.publish("rpc/batch/updateSensor", json.dumps(params), properties=[(RESPONSE_TOPIC, "r")])
            self.assertEqual({tuple(item) for item in payload_of(self.connection.receive())}, {("result",)})
        found, limits = [], {"limit": 1000}
        while True:
            answer = self.history("a", **limits)
            found = [reading["value"] for reading in answer["readings"]] + found
            self.assertEqual(answer["more"], answer["next"] is not None)
            if not answer["more"]:
                break
            limits["after"] = answer["next"]
        self.assertEqual(found, expected)

    def test_the_longest_answer(self):
        """The longest result fits the default max_reply, with values of most digits."""
        self.open("max_batch 1000", "max_payload 1m")
        params = [{"sensor_id": "a", "value": number / 7} for number in range(1000)]
        self.connection.publish("rpc/batch/updateSensor", json.dumps(params), properties=[(RESPONSE_TOPIC, "r")])
        self.connection.receive()
        self.assertEqual(len(self.values("a", limit=1000)), 1000)

    def test_other_ways_to_ask(self):
        self.open("jsonrpc_methods *")
        self.update("a", 1)
        connection = self.client(self.broker)
        connection.publish("rpc/jsonrpc", json.dumps({"jsonrpc": "2.0", "id": "x", "method": "sensorHistory",
                                                  "params": {"sensor_id": "a"}}))
        self.assertEqual(payload_of(connection.receive())["result"]["readings"][0]["value"], 1)
        connection.publish("rpc/batch/sensorHistory", json.dumps(
            {"request_id": new_identity(), "calls": [{"sensor_id": "a"}, {"sensor_id": "b"}, {}]}))
        first, second, third = payload_of(connection.receive())["result"]
        self.assertEqual(first["result"]["readings"][0]["value"], 1)
        self.assertEqual((second["error"]["err"], third["error"]["err"]), ("unknown_sensor", "invalid_params"))


class Average(Sensors):

    def test_retained_for_each_prefix(self):
        self.open("prefix one two", "sensor_interval 1s", "sensor_window 1h")
        self.update("c", 10, prefix="one")
        self.update("f", 86, "F", prefix="one")
        self.update("k", 300.15, "K", prefix="two")
        expected = {"one/event/temperature": (20, 2), "two/event/temperature": (27, 1)}
        seen = {}

        def all_seen():
            late = self.client(self.broker)
            late.subscribe("+/event/temperature")
            late.ping()
            for message in late.inbox:
                self.assertTrue(message.retain)
                seen[message.topic] = payload_of(message)
            late.disconnect()
            return {topic: average["sensors"] for topic, average in seen.items()} == {
                topic: count for topic, (_, count) in expected.items()}

        eventually(all_seen)
        for topic, (temperature, _) in expected.items():
            self.assertAlmostEqual(seen[topic]["temp"], temperature, places=9)
            self.assertEqual((seen[topic]["unit"], seen[topic]["source"]), ("C", "all_sensors"))

    @patient
    def test_silence(self):
        """Repeats the average as long as sensors report; then announces once that there is none."""
        self.open("sensor_interval 1s", f"sensor_window {3 * self.pace}s")
        watcher = self.client(self.broker)
        watcher.subscribe("rpc/event/temperature")
        self.update("a", 5)
        announced = [payload_of(watcher.receive())]
        while announced[-1]["sensors"] or announced[-1] == announced[0]:
            announced.append(payload_of(watcher.receive()))
        self.assertIn({"temp": 5, "unit": "C", "source": "all_sensors", "sensors": 1}, announced)
        self.assertEqual(announced[-1], {"temp": None, "unit": "C", "source": "all_sensors", "sensors": 0})
        watcher.expect_nothing(2)

    @patient
    def test_an_average_of_an_earlier_broker(self):
        self.open("sensor_interval 1s", f"sensor_window {4 * self.pace}s", persistence=True)
        watcher = self.client(self.broker)
        watcher.subscribe("rpc/event/temperature")
        self.update("a", 5)
        while not payload_of(watcher.receive())["sensors"]:
            pass
        self.broker.stop()
        time.sleep(4.5 * self.pace)
        self.broker.start()
        watcher = self.client(self.broker)
        watcher.subscribe("rpc/event/temperature")
        while payload_of(watcher.receive())["sensors"]:
            pass


class Paths(Sensors):

    def test_default(self):
        """The default is in the working directory of the broker, which the harness creates."""
        broker = self.start(plugin=PLUGIN)
        result_of(ask(self.client(broker, 5), "updateSensor", {"sensor_id": "a", "value": 1}))
        self.assertTrue((broker.directory / "sensors.db").exists())

    def test_relative(self):
        self.open(db="mine.db")
        self.update("a", 1)
        self.assertTrue((self.broker.directory / "mine.db").exists())

    def test_in_memory(self):
        self.open(db=":memory:")
        self.update("a", 1)
        self.assertEqual(self.values("a"), [1])
        self.assertEqual(list(self.broker.directory.glob("*memory*")) + list(self.broker.directory.glob("*.db")), [])
        self.reopen()
        self.assertEqual(error_of(self.ask("getSensor", {"sensor_id": "a"}))["err"], "unknown_sensor")

    def test_prefixes_of_one_option(self):
        self.open("prefix one two")
        for _ in range(2):
            self.update("a", 1, prefix="one")
            self.update("a", 2, prefix="two")
            self.update("b", 3, prefix="two")
            self.assertEqual(set(self.values("a", "one")), {1})
            self.assertEqual(set(self.values("a", "two")), {2})
            self.assertEqual(error_of(self.ask("sensorHistory", {"sensor_id": "b"}, "one"))["err"], "unknown_sensor")
            self.reopen()
        self.assertEqual(len(self.result("listSensors", prefix="one")["sensors"]), 1)
        self.assertEqual(len(self.result("listSensors", prefix="two")["sensors"]), 2)

    def test_prefixes_at_full_speed(self):
        """The stores of the prefixes do not wait for each other, so that no reading is refused."""
        self.open("prefix one two", "max_pending 10000")
        count = 2000 // SLOW
        clients = {prefix: [self.client(self.broker, 5) for _ in range(4)] for prefix in ("one", "two")}
        for number in range(count):
            for prefix, group in clients.items():
                group[number % 4].publish(
                    f"{prefix}/call/updateSensor", json.dumps({"sensor_id": f"s{number % 4}", "value": number}),
                    properties=[(RESPONSE_TOPIC, "r"), (CORRELATION_DATA, new_identity())])
        for number in range(count):
            for group in clients.values():
                result_of(group[number % 4].receive())
        for path in (self.path, f"{self.path}.two"):
            with contextlib.closing(sqlite3.connect(path)) as database:
                self.assertEqual(database.execute("SELECT count(*) FROM readings").fetchone(), (count,))

    def test_the_order_is_that_of_the_ids(self):
        self.open()
        for sensor in ("z", "a", "m", "a"):
            self.update(sensor, 1, "K")
        before = self.result("listSensors")["sensors"]
        self.reopen()
        self.assertEqual(self.result("listSensors")["sensors"], before)
        self.assertEqual([reading["sensor_id"] for reading in before], ["a", "m", "z"])


class Storing(Sensors):

    def test_waiting_readings_are_stored_together(self):
        """A thousand readings of a hundred clients take far fewer commits.

        A commit leaves its mark in the log: its last page says how large the database is then.
        """
        count, many = (1000, 100) if not INSTRUMENTED else (200, 20)
        self.open("sensor_interval 0", "max_pending 2000")
        clients = [self.client(self.broker, 5) for _ in range(many)]
        self.update("s0", 0)
        commits = self.commits()
        for number in range(count):
            clients[number % many].publish(
                "rpc/call/updateSensor", json.dumps({"sensor_id": f"s{number % 10}", "value": number}),
                properties=[(RESPONSE_TOPIC, "r"), (CORRELATION_DATA, new_identity())])
        for number in range(count):
            result_of(clients[number % many].receive())
        commits = self.commits() - commits
        self.assertEqual(self.query("SELECT count(*) FROM readings"), count + 1)
        self.assertGreaterEqual(commits, count // 256)
        self.assertLess(commits, count // 5, "readings are stored one by one")

    def commits(self):
        """The number of transactions in the log, which has not been restarted yet."""
        log = pathlib.Path(f"{self.path}-wal").read_bytes()
        salt, size = log[16:24], int.from_bytes(log[8:12], "big")
        count = 0
        for at in range(32, len(log), 24 + size):
            if log[at + 8:at + 16] != salt:
                break
            count += int.from_bytes(log[at + 4:at + 8], "big") != 0
        self.assertLess(len(log), 1000 * size, "the log is so long that it may have begun anew")
        return count

    def test_connections_that_end(self):
        """A reading is stored and announced even if its connection ends at once."""
        self.open()
        watcher = self.client(self.broker)
        watcher.subscribe("rpc/event/sensorUpdated")
        for number in range(50):
            connection = self.client(self.broker, 5)
            connection.publish("rpc/call/updateSensor", json.dumps({"sensor_id": "a", "value": number}),
                           properties=[(RESPONSE_TOPIC, "r"), (CORRELATION_DATA, new_identity())])
            (connection.disconnect if number % 2 else connection.close)()
        announced = sorted(payload_of(watcher.receive())["value"] for _ in range(50))
        self.assertEqual(announced, list(range(50)))
        self.assertEqual(sorted(self.values("a")), announced)

    def test_events_come_in_the_order_of_the_readings(self):
        self.open()
        watcher = self.client(self.broker)
        watcher.subscribe("rpc/event/sensorUpdated")
        for number in range(300):
            self.connection.publish("rpc/call/updateSensor", json.dumps({"sensor_id": "a", "value": number}))
        announced = [payload_of(watcher.receive())["value"] for _ in range(300)]
        self.assertEqual(announced, list(range(300)))
        self.assertEqual(self.values("a", limit=1000), announced)
        self.assertEqual(self.result("getSensor", {"sensor_id": "a"})["value"], 299)

    def test_too_many_new_sensors(self):
        """Many clients report new sensors at the same time; no more than max_sensors are accepted."""
        self.open("sensor_max_sensors 20")
        clients = [self.client(self.broker, 5) for _ in range(10)]
        for number in range(400):
            clients[number % 10].publish(
                "rpc/call/updateSensor", json.dumps({"sensor_id": f"s{number % 40}", "value": number}),
                properties=[(RESPONSE_TOPIC, "r"), (CORRELATION_DATA, new_identity())])
        outcomes = [user_property_of(clients[number % 10].receive(), "status") for number in range(400)]
        self.assertEqual((outcomes.count("ok"), outcomes.count("too_many_sensors")), (200, 200))
        self.assertEqual(len(self.result("listSensors")["sensors"]), 20)
        self.assertEqual(self.query("SELECT count(*) FROM sensors"), 20)

    def test_readers_beside_writers(self):
        """Histories that are read while others report are consistent and fast."""
        self.open()
        self.update("a", 0)
        writer = self.client(self.broker, 5)
        stop = threading.Event()

        def write():
            number = 0
            while not stop.is_set():
                number += 1
                result_of(ask(writer, "updateSensor", {"sensor_id": "a", "value": number}, qos=0))

        thread = threading.Thread(target=write)
        thread.start()
        try:
            for _ in range(200 // SLOW):
                values = self.values("a", limit=50)
                self.assertEqual(values, list(range(values[0], values[0] + len(values))))
        finally:
            stop.set()
            thread.join()


class Kept(Sensors):

    def test_few_and_short(self):
        """A short keep_age makes pruning run more often than once a minute."""
        self.open("sensor_keep_count 3", "sensor_keep_age 10s", "sensor_interval 0")
        self.update("gone", 1)
        for number in range(10):
            self.update("busy", number)
        deadline = time.monotonic() + 10 + TIMEOUT
        while len(self.result("listSensors")["sensors"]) > 1:
            self.assertLess(time.monotonic(), deadline)
            self.update("busy", 99)
            time.sleep(2)
        self.assertEqual(error_of(self.ask("getSensor", {"sensor_id": "gone"}))["err"], "unknown_sensor")
        self.assertEqual(error_of(self.ask("sensorHistory", {"sensor_id": "gone"}))["err"], "unknown_sensor")
        self.assertLessEqual(len(self.values("busy")), 4)
        self.assertEqual(set(self.values("busy")), {99})
        self.assertEqual(self.query("SELECT count(*) FROM sensors"), 1)
        self.assertLessEqual(self.query("SELECT count(*) FROM readings"), 4)
        self.reopen()
        self.assertEqual([reading["sensor_id"] for reading in self.result("listSensors")["sensors"]], ["busy"])


if __name__ == "__main__":
    main()
