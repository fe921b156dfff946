"""The files of the sensors' databases: who may read them, which prefix has which, and what a wrong clock and a flood
of new sensors do to what is in them."""
import contextlib
import json
import pathlib
import shutil
import sqlite3
import tempfile
import threading
import time
import unittest

from clocks import DAYS_60, ClockTest
from harness import PLUGIN, Broker, BrokerTest, ask, error_of, eventually, main, patient, payload_of, result_of
from mqtt import RESPONSE_TOPIC

LOG = ("error", "warning", "notice", "information")


class UmaskBroker(Broker):
    """The broker begins with another umask."""

    umask = "0"

    def command(self):
        return ["sh", "-c", f"umask {self.umask}; exec \"$@\"", "sh", *super().command()]


class Files(BrokerTest):

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="rpc-sensor-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.path = self.folder / "sensors.db"

    def run_broker(self, *options, kind=Broker, **how):
        broker = kind([f"sensor_db {self.path}", "sensor_interval 0", *options], plugin=PLUGIN, log_types=LOG, **how)
        self.addCleanup(broker.clean_up)
        self.addCleanup(broker.stop)
        self.addCleanup(self._show_log, broker)
        return broker.start()

    def store(self, client, sensor, value=1, prefix="rpc"):
        result_of(ask(client, "updateSensor", {"sensor_id": sensor, "value": value}, qos=0, prefix=prefix))

    def values(self, client, sensor, prefix="rpc", **limits):
        found = result_of(ask(client, "sensorHistory", {"sensor_id": sensor, **limits}, qos=0, prefix=prefix))
        return [reading["value"] for reading in found["readings"]]

    def listed(self, client, prefix="rpc"):
        found = result_of(ask(client, "listSensors", qos=0, prefix=prefix))["sensors"]
        return [reading["sensor_id"] for reading in found]

    def modes(self):
        return {entry.name: oct(entry.stat().st_mode & 0o7777) for entry in self.folder.iterdir()}


class Rights(Files):

    def check_umask(self, umask):
        kind = type("Kind", (UmaskBroker,), {"umask": umask})
        broker = self.run_broker("prefix rpc dev/rpc", kind=kind)
        client = self.client(broker, 5)
        self.store(client, "a")
        self.store(client, "a", prefix="dev/rpc")
        self.assertEqual(set(self.modes().values()), {"0o600"}, self.modes())
        self.assertEqual(len(self.modes()), 6)
        broker.kill()
        self.assertEqual(set(self.modes().values()), {"0o600"}, self.modes())
        for path in self.folder.iterdir():
            path.chmod(0o644)
        broker.start()
        client = self.client(broker, 5)
        self.assertEqual(self.values(client, "a"), [1])
        self.store(client, "a", 2)
        self.store(client, "a", 2, prefix="dev/rpc")
        self.assertEqual(set(self.modes().values()), {"0o600"}, self.modes())
        broker.stop()
        self.assertEqual(set(self.modes().values()), {"0o600"}, self.modes())

    def test_no_umask(self):
        self.check_umask("0")

    def test_the_usual_umask(self):
        self.check_umask("022")

    def test_a_narrow_umask(self):
        self.check_umask("077")


class Prefixes(Files):

    def test_one_prefix_keeps_its_file(self):
        broker = self.run_broker("prefix home/rpc")
        self.store(self.client(broker, 5), "a", prefix="home/rpc")
        broker.stop()
        self.assertEqual(list(self.modes()), ["sensors.db"])

    def test_a_file_for_each_prefix(self):
        broker = self.run_broker("prefix a/b a_b")
        client = self.client(broker, 5)
        for prefix in ("a/b", "a_b"):
            self.store(client, prefix, prefix=prefix)
        self.assertEqual((self.listed(client, "a/b"), self.listed(client, "a_b")), (["a/b"], ["a_b"]))
        broker.wait_log(r"a_b: sensor: the readings are in \S+/sensors.db.a_b, since another prefix has taken")
        broker.stop()
        self.assertEqual(set(self.modes()), {"sensors.db", "sensors.db.a_b"})
        with contextlib.closing(sqlite3.connect(self.path)) as database:
            self.assertEqual(database.execute("SELECT prefix FROM home").fetchall(), [("a/b",)])

    def test_a_lock_on_one_file(self):
        """What holds one prefix's file does not hold up another prefix."""
        broker = self.run_broker("prefix one two")
        client = self.client(broker, 5)
        self.store(client, "a", prefix="one")
        self.store(client, "a", prefix="two")
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            reply = error_of(ask(client, "updateSensor", {"sensor_id": "a", "value": 2}, qos=0, prefix="one"))
            self.assertEqual(reply["cause"], "locked")
            for value in range(100):
                self.store(client, "a", value, prefix="two")
            other.execute("ROLLBACK")

    def test_a_flood_on_another_prefix(self):
        broker = self.run_broker("prefix prod/rpc dev/rpc")
        stop = threading.Event()
        calls = [{"sensor_id": f"s{number % 20}", "value": 1} for number in range(100)]
        clients = [self.client(broker, 5) for _ in range(3)]

        def flood(client):
            while not stop.is_set():
                client.publish("dev/rpc/batch/updateSensor", json.dumps(calls), properties=[(RESPONSE_TOPIC, "r")])
                client.receive()

        threads = [threading.Thread(target=flood, args=[client]) for client in clients]
        client = self.client(broker, 5)
        for thread in threads:
            thread.start()
        try:
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline:
                self.store(client, "boiler", prefix="prod/rpc")
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def test_two_plugin_lines(self):
        """Each listener has a plugin line of its own, and both name the same file."""
        copy = self.folder / "copy.so"
        shutil.copy(PLUGIN, copy)
        lines = ["listener {second_port} 127.0.0.1", "allow_anonymous true", f"plugin {copy}", "plugin_opt_prefix two",
                 f"plugin_opt_sensor_db {self.path}"]
        broker = self.run_broker("prefix one", first=["per_listener_settings true"], lines=lines)
        one, two = self.client(broker, 5), self.client(broker, 5, port=broker.second_port)
        for _ in range(2):
            self.store(one, "a", prefix="one")
            self.store(two, "b", prefix="two")
            self.assertEqual((self.listed(one, "one"), self.listed(two, "two")), (["a"], ["b"]))
            broker.stop()
            broker.start()
            one, two = self.client(broker, 5), self.client(broker, 5, port=broker.second_port)

    def test_two_brokers(self):
        """Brokers with different prefixes have different files, and brokers with the same prefix share one."""
        first, second, third = (self.run_broker(f"prefix {prefix}") for prefix in ("one", "two", "one"))
        clients = [self.client(broker, 5) for broker in (first, second, third)]
        for number in range(20):
            self.store(clients[0], "a", number, prefix="one")
            self.store(clients[1], "b", number, prefix="two")
            self.store(clients[2], "c", number, prefix="one")
        self.assertEqual(self.values(clients[1], "b", "two"), list(range(20)))
        self.assertEqual(self.listed(clients[1], "two"), ["b"])
        first.stop()
        first.start()
        self.assertEqual(self.listed(self.client(first, 5), "one"), ["a", "c"])

    def test_the_shared_file_of_an_earlier_version(self):
        """Readings of all prefixes survive, those of prefixes that are not served now, too."""
        with contextlib.closing(sqlite3.connect(self.path)) as database:
            database.executescript(
                "PRAGMA application_id = 1919968115; PRAGMA user_version = 2;"
                "CREATE TABLE sensors (id INTEGER PRIMARY KEY AUTOINCREMENT, prefix TEXT NOT NULL, name TEXT NOT NULL,"
                " value REAL NOT NULL, unit INTEGER NOT NULL, time REAL NOT NULL,"
                " kept INTEGER NOT NULL DEFAULT 0, UNIQUE (prefix, name));"
                "CREATE TABLE readings (id INTEGER PRIMARY KEY, sensor INTEGER NOT NULL, time REAL NOT NULL,"
                " value REAL NOT NULL, unit INTEGER NOT NULL);"
                "CREATE TRIGGER reading_came AFTER INSERT ON readings BEGIN"
                " UPDATE sensors SET kept = kept + 1 WHERE id = new.sensor; END;"
                "CREATE TRIGGER reading_went AFTER DELETE ON readings BEGIN"
                " UPDATE sensors SET kept = kept - 1 WHERE id = old.sensor; END;"
                "CREATE INDEX readings_by_time ON readings (sensor, time);")
            now = time.time()
            for number, prefix in enumerate(("one", "two", "later")):
                database.execute("INSERT INTO sensors (prefix, name, value, unit, time) VALUES (?, 'a', 2, 0, ?)",
                                 (prefix, now))
                for value in (1, 2):
                    database.execute("INSERT INTO readings (sensor, time, value, unit) VALUES (?, ?, ?, 0)",
                                     (number + 1, now - 3 + value, 10 * number + value))
            database.commit()
        for served in ("two one", "one two", "one two later"):
            broker = self.run_broker(f"prefix {served}")
            client = self.client(broker, 5)
            for number, prefix in enumerate(("one", "two", "later")):
                if prefix in served:
                    self.assertEqual(self.values(client, "a", prefix), [10 * number + 1, 10 * number + 2])
            broker.stop()


class Places(Files):

    def fill(self, client, names):
        names = list(names)
        for at in range(0, len(names), 100):
            calls = [{"sensor_id": name, "value": 1} for name in names[at:at + 100]]
            client.publish("rpc/batch/updateSensor", json.dumps(calls), properties=[(RESPONSE_TOPIC, "r")])
            client.receive()

    def test_one_stranger(self):
        """Four messages of one client leave room for others, also after a restart."""
        broker = self.run_broker()
        self.fill(self.client(broker, 5, client_id="stranger"), (f"junk{number}" for number in range(400)))
        self.store(self.client(broker, 5), "boiler")
        broker.stop()
        broker.start()
        self.store(self.client(broker, 5), "pump")
        stranger = self.client(broker, 5, client_id="stranger")
        error = error_of(ask(stranger, "updateSensor", {"sensor_id": "more", "value": 1}))
        self.assert_error(error, "too_many_sensors", sensor_id="more")
        self.assertIn("sensor_max_per_client", error["msg"])

    def test_many_strangers(self):
        """Whoever comes with new names pushes out no sensor that reports, and learns why."""
        broker = self.run_broker("sensor_max_sensors 100")
        plant = self.client(broker, 5)
        for number in range(10):
            self.store(plant, f"plant{number}")
        for number in range(30):
            self.fill(self.client(broker, 5), (f"junk{number}-{item}" for item in range(20)))
        error = error_of(ask(self.client(broker, 5), "updateSensor", {"sensor_id": "more", "value": 1}))
        self.assertIn("sensor_max_silence", error["msg"])
        for number in range(10):
            self.store(plant, f"plant{number}", 2)
            self.assertEqual(self.values(plant, f"plant{number}"), [1, 2])
        self.assertEqual(len(self.listed(plant)), 100)

    def test_the_silent_make_room(self):
        broker = self.run_broker("sensor_max_sensors 2", "sensor_max_silence 5s", "sensor_keep_age 20s")
        client, watcher = self.client(broker, 5), self.client(broker)
        watcher.subscribe("rpc/event/sensorForgotten")
        self.store(client, "silent")

        def gets_in():
            self.store(client, "busy")
            return b"too_many" not in ask(client, "updateSensor", {"sensor_id": "new", "value": 1}, qos=0).payload

        self.store(client, "busy")
        self.assertFalse(gets_in())
        eventually(gets_in, pause=0.5)
        self.assertEqual(payload_of(watcher.receive()), {"sensor_id": "silent"})
        self.assertEqual(self.listed(client), ["busy", "new"])


class Forgetting(Files):

    def test_forgotten_for_good(self):
        broker = self.run_broker()
        client, watcher = self.client(broker, 5), self.client(broker)
        watcher.subscribe("rpc/event/sensorUpdated", "rpc/event/sensorForgotten")
        for value in range(5):
            self.store(client, "a", value)
            watcher.receive()
        forgotten = result_of(ask(client, "forgetSensor", {"sensor_id": "a"}))
        self.assertEqual(forgotten, {"sensor_id": "a", "forgotten": True})
        event = watcher.receive()
        self.assertEqual((event.topic, payload_of(event)), ("rpc/event/sensorForgotten", {"sensor_id": "a"}))
        forgotten = result_of(ask(client, "forgetSensor", {"sensor_id": "a"}))
        self.assertEqual(forgotten, {"sensor_id": "a", "forgotten": False})
        for method in ("getSensor", "sensorHistory"):
            self.assert_error(error_of(ask(client, method, {"sensor_id": "a"})), "unknown_sensor")
        broker.kill()
        with contextlib.closing(sqlite3.connect(self.path)) as database:
            self.assertEqual(database.execute("SELECT count(*) FROM readings").fetchone(), (0,))
        broker.start()
        self.assertEqual(self.listed(self.client(broker, 5)), [])

    @unittest.skipUnless(shutil.which("mosquitto_passwd"), "mosquitto_passwd is needed for users")
    def test_who_may_forget(self):
        """The broker's ACL decides, as the manual says."""
        acl = ("user operator\ntopic write rpc/call/#\n"
               "user device\ntopic write rpc/call/updateSensor\ntopic write rpc/call/getSensor\n")
        broker = self.run_broker(users={"operator": "o", "device": "d"}, acl=acl, anonymous=False)
        device = self.client(broker, 5, username="device", password="d")
        operator = self.client(broker, 5, username="operator", password="o")
        self.store(device, "a")
        device.publish("rpc/call/forgetSensor", '{"sensor_id":"a"}', qos=1)
        self.assertEqual(result_of(ask(device, "getSensor", {"sensor_id": "a"}))["value"], 1)
        self.assertIs(result_of(ask(operator, "forgetSensor", {"sensor_id": "a"}))["forgotten"], True)


class WrongClocks(ClockTest, Files):

    def run_with_clock(self, *options):
        return self.run_broker(*options, **self.clock_in(self.folder))

    def check_wrong_for_a_while(self, seconds, restart):
        """Pruning runs six times while the clock is wrong, and again when it is right."""
        broker = self.run_with_clock(f"sensor_keep_age {60 * self.pace}s")
        client = self.client(broker, 5)
        for value in range(5):
            self.store(client, "a", value)
        self.store(client, "quiet")
        if restart:
            broker.stop()
        self.set_clock(seconds)
        if restart:
            broker.start()
            client = self.client(broker, 5)
        shown = result_of(ask(client, "getTime", qos=0))["unix"]
        self.assertAlmostEqual(shown, time.time() + seconds, delta=60, msg="the clock is right")
        self.store(client, "a", 5)
        time.sleep(13 * self.pace)
        self.assertEqual(self.values(client, "a"), list(range(6)))
        self.set_clock(0)
        self.store(client, "a", 6)
        time.sleep(7 * self.pace)
        self.assertEqual(self.values(client, "a"), list(range(7)))
        self.assertEqual(self.values(client, "a", limit=1), [6])
        self.assertEqual(self.listed(client), ["a", "quiet"])
        broker.stop()
        broker.start()
        client = self.client(broker, 5)
        self.assertEqual(self.listed(client), ["a", "quiet"])
        self.assertEqual(result_of(ask(client, "getSensor", {"sensor_id": "a"}))["value"], 6)

    @patient
    def test_ahead(self):
        self.check_wrong_for_a_while(DAYS_60, False)

    @patient
    def test_ahead_at_the_start(self):
        self.check_wrong_for_a_while(DAYS_60, True)

    @patient
    def test_ahead_over_another_start(self):
        """A reading that the wrong clock has stored is no proof of it at the next start."""
        broker = self.run_with_clock(f"sensor_keep_age {60 * self.pace}s")
        client = self.client(broker, 5)
        for value in range(5):
            self.store(client, "a", value)
        self.store(client, "quiet")
        self.set_clock(DAYS_60)
        self.store(client, "a", 5)
        broker.stop()
        broker.start()
        client = self.client(broker, 5)
        time.sleep(13 * self.pace)
        self.assertEqual(self.values(client, "a"), list(range(6)))
        self.set_clock(0)
        self.store(client, "a", 6)
        broker.stop()
        broker.start()
        client = self.client(broker, 5)
        time.sleep(7 * self.pace)
        self.assertEqual(self.values(client, "a"), list(range(7)))
        self.assertEqual(self.listed(client), ["a", "quiet"])

    @patient
    def test_behind(self):
        self.check_wrong_for_a_while(-DAYS_60, False)

    @patient
    def test_behind_at_the_start(self):
        self.check_wrong_for_a_while(-DAYS_60, True)


if __name__ == "__main__":
    main()
