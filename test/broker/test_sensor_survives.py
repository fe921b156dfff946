"""Readings that updateSensor has confirmed survive the end of the broker at any moment.

One database file lives through a hundred brokers, each of which is killed with SIGKILL: while it starts, right
after the first answer, or at any moment of clients reporting as fast as they can. Each sensor belongs to one
client, which reports 1, 2, 3 and so on, so that a value identifies its reading.

    RPC_ROUNDS   how many brokers instead of 100, or of 10 where the broker is instrumented
"""
import json
import os
import random
import sqlite3
import threading
import time

from harness import (INSTRUMENTED, PLUGIN, SLOW, BrokerTest, Closed, ask, error_of, main, new_identity, payload_of,
                     result_of)
from mqtt import CORRELATION_DATA, RESPONSE_TOPIC, property_of

ROUNDS = int(os.environ.get("RPC_ROUNDS") or (10 if INSTRUMENTED else 100))
BURST = 20      # messages in flight at once
IN_A_BATCH = 10
HISTORY_MAX = 1000     # readings in one answer of sensorHistory
CLOCKS = 0.001  # seconds: how far this process's clock and the broker's may be apart


class Sensor:
    """The readings that were sent, with their times, and those that were confirmed."""

    def __init__(self, name):
        self.name, self.sent, self.stored = name, {}, {}

    def next(self):
        """The parameters of its next reading."""
        number = len(self.sent) + 1
        self.sent[number] = time.time()
        return {"sensor_id": self.name, "value": number}

    def confirm(self, result):
        assert result["ok"] is True and result["value"] in self.sent, result
        self.stored[result["value"]] = time.time()


class Reporter:
    """One client, on a thread of its own, until the broker is gone."""

    version = 5

    def __init__(self, number):
        self.sensors = {name: Sensor(name) for name in (f"{number}-{letter}" for letter in "ab")}
        self.waiting, self.answered = set(), threading.Event()
        self.error = None

    def run(self, client):
        try:
            while True:
                for qos in [number % 2 for number in range(BURST)]:
                    self.report(client, new_identity(), qos)
                while self.waiting:
                    self.take(client.receive())
        except (Closed, OSError):
            pass  # the broker has been killed
        except Exception as error:  # pylint: disable=broad-except
            self.error = error
        finally:
            client.close()
            self.waiting.clear()
            self.answered.set()

    def next(self):
        return random.choice(list(self.sensors.values())).next()

    def confirm(self, results):
        for result in results:
            self.sensors[result["sensor_id"]].confirm(result)
        self.answered.set()

    def report(self, client, identity, qos):
        """Sends, and does not wait."""
        topic, payload, properties = self.message(identity)
        self.waiting.add(identity)
        client.publish(topic, json.dumps(payload), qos=qos, properties=properties, wait=False)

    def take(self, message):
        self.waiting.remove(self.identity_of(message))
        self.confirm(self.results_in(payload_of(message)))


class Single(Reporter):

    def message(self, identity):
        return "rpc/call/updateSensor", self.next(), [(RESPONSE_TOPIC, "r"), (CORRELATION_DATA, identity)]

    @staticmethod
    def identity_of(message):
        return property_of(message, CORRELATION_DATA).decode()

    @staticmethod
    def results_in(payload):
        return [payload]


class SingleById(Single):

    version = 4

    def message(self, identity):
        return "rpc/call/updateSensor", {**self.next(), "request_id": identity}, ()

    @staticmethod
    def identity_of(message):
        return payload_of(message)["request_id"]

    @staticmethod
    def results_in(payload):
        return [payload["result"]]


class Batch(Single):

    def message(self, identity):
        return ("rpc/batch/updateSensor", [self.next() for _ in range(IN_A_BATCH)],
                [(RESPONSE_TOPIC, "r"), (CORRELATION_DATA, identity)])

    @staticmethod
    def results_in(payload):
        return [item["result"] for item in payload]


class BatchById(SingleById):

    def message(self, identity):
        calls = [self.next() for _ in range(IN_A_BATCH)]
        return "rpc/batch/updateSensor", {"request_id": identity, "calls": calls}, ()

    @staticmethod
    def results_in(payload):
        return [item["result"] for item in payload["result"]]


class Survives(BrokerTest):

    def setUp(self):
        self.round = 0
        self.reporters = [kind(number) for number, kind in enumerate((Single, SingleById, Batch, BatchById))]
        self.broker = self.make(["sensor_db {directory}/kept.db", "sensor_keep_count 10000000", "max_reply 1m"],
                                plugin=PLUGIN, log_types=("error", "warning", "notice", "information"))
        self.broker.pick_ports()

    def sensors(self):
        return [sensor for reporter in self.reporters for sensor in reporter.sensors.values()]

    # -- ending brokers

    def kill_while_it_starts(self):
        self.broker.launch()
        time.sleep(random.uniform(0, self.start_takes))
        self.broker.kill()

    def start_reporting(self):
        threads = []
        for reporter in self.reporters:
            reporter.answered.clear()
            client = self.client(self.broker, reporter.version)
            threads.append(threading.Thread(target=reporter.run, args=[client]))
        for thread in threads:
            thread.start()
        return threads

    def kill_while_it_stores(self):
        self.broker.start()
        self.check()
        threads = self.start_reporting()
        random.choice(self.reporters).answered.wait()
        time.sleep(random.choice([0, random.uniform(0, 0.1 * SLOW)]))
        self.broker.kill()
        for thread in threads:
            thread.join()
        self.assertEqual([reporter.error for reporter in self.reporters if reporter.error], [])

    # -- checking what is stored

    def history(self, client, sensor, since):
        """All readings since then as (time, value), in their order."""
        params, found = {"sensor_id": sensor.name, "from": since, "limit": HISTORY_MAX}, []
        while True:
            answer = result_of(ask(client, "sensorHistory", params, qos=0))
            found = [(reading["time"], reading["value"]) for reading in answer["readings"]] + found
            if not answer["more"]:
                return found
            params["after"] = answer["next"]

    def check_sensor(self, client, sensor, since):
        missing = [number for number, moment in sensor.stored.items() if moment >= since]
        last = max(sensor.stored, default=0)
        found = ask(client, "getSensor", {"sensor_id": sensor.name}, qos=0)
        if not last and b"unknown_sensor" in found.payload:
            self.assertEqual(error_of(found)["err"], "unknown_sensor")
            return 0
        found = result_of(found)
        self.assertGreaterEqual(found["value"], last)
        history = self.history(client, sensor, since - CLOCKS)
        values = [value for _, value in history]
        self.assertEqual(sorted(set(missing) - set(values)), [],
                         f"{sensor.name} has lost readings in round {self.round}")
        self.assertEqual(values, sorted(set(values)), "readings came twice, or in another order")
        for moment, value in history:
            self.assertGreaterEqual(moment, sensor.sent[value] - CLOCKS)
            self.assertLessEqual(moment, sensor.stored.get(value, time.time()) + CLOCKS)
        if history:
            self.assertEqual((found["time"], found["value"]), history[-1])
        return len(missing)

    def check(self, since=None):
        """Checks that the readings that were confirmed since the last check are stored. Returns their number."""
        client = self.client(self.broker, 5)
        count = sum(self.check_sensor(client, sensor, self.looked if since is None else since)
                    for sensor in self.sensors())
        self.looked = time.time()
        client.disconnect()
        return count

    def check_file(self):
        database = sqlite3.connect(self.broker.directory / "kept.db")
        self.assertEqual(database.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        kept, counted = database.execute("SELECT sum(kept), (SELECT count(*) FROM readings) FROM sensors").fetchone()
        self.assertEqual(kept, counted)
        database.close()

    def test_a_hundred_kills(self):
        self.looked = 0
        before = time.monotonic()
        self.broker.start()
        self.start_takes = 1.2 * (time.monotonic() - before)
        self.broker.kill()
        for number in range(ROUNDS):
            self.round = number
            if number % 4 == 3:
                self.kill_while_it_starts()
            else:
                self.kill_while_it_stores()
        self.broker.start()
        self.check()
        count = self.check(since=0)
        self.assertGreater(count, 20 * ROUNDS, "too few readings to prove anything")
        for sensor in self.sensors():
            self.assertTrue(sensor.stored, f"{sensor.name} has none")
        self.broker.stop()
        self.check_file()


if __name__ == "__main__":
    main()
