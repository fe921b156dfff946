"""Databases that cannot be used: the broker runs on, calls get an error with the cause, the log has it, other calls are
served, and all works again when the trouble is over, without a restart.

Some trouble can only be made by root, who may mount; who may not gets as much of it as can be had otherwise.
"""
import contextlib
import functools
import json
import os
import pathlib
import resource
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time
import unittest

from harness import (PLUGIN, SLOW, TIMEOUT, Broker, BrokerTest, ask, error_of, eventually, main, new_identity,
                     payload_of, result_of)
from mqtt import CORRELATION_DATA, RESPONSE_TOPIC, property_of, user_property_of

LONGEST_REST = 5  # seconds between two attempts to open the database, and between two loads
LOCK = 3          # seconds that another program holds a lock in these tests; the module waits for two
PROMPT = 1 * SLOW  # seconds that the others' calls may take meanwhile; they take a millisecond, and a lock takes two
LOG = ("error", "warning", "notice", "information")


def mount(*arguments):
    return subprocess.run(["mount", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


def unmount(folder):
    return subprocess.run(["umount", folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


@functools.lru_cache(maxsize=None)
def may_mount():
    folder = tempfile.mkdtemp(prefix="rpc-mount-")
    try:
        return os.geteuid() == 0 and mount("-t", "tmpfs", "-o", "size=64k", "none", folder) and unmount(folder)
    finally:
        os.rmdir(folder)


needs_mount = unittest.skipUnless(may_mount(), "only root can mount, and not in every container")


class PatientBroker(Broker):
    """Ignores SIGXFSZ, so that a limit of file sizes is an error of write(), as a quota is."""

    def command(self):
        return ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh", *super().command()]

    def limit_files(self, size):
        _, hard = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, hard))


class Trouble(BrokerTest):

    def setUp(self):
        self.count = 0
        self.stored = {}  # successful reports: value -> sensor
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="rpc-sensor-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.path = self.folder / "sensors.db"

    def run_broker(self, path=None, kind=Broker):
        self.path = path or self.path
        self.broker = kind([f"sensor_db {self.path}", "sensor_interval 0", "duplicate_window 0",
                            "sensor_max_per_client 200"], plugin=PLUGIN,
                           log_types=LOG)
        self.addCleanup(self.broker.clean_up)
        self.addCleanup(self.broker.stop)
        self.addCleanup(self._show_log, self.broker)
        self.broker.start()
        self.connect()

    def connect(self):
        self.connection, self.bystander = self.client(self.broker, 5), self.client(self.broker, 5)

    def restart(self):
        self.broker.stop()
        self.broker.start()
        self.connect()

    # -- calls

    def ask(self, method, params=b""):
        return ask(self.connection, method, params, qos=0)

    def update(self, sensor="a"):
        """Reports a reading with a new value; returns the reply."""
        self.count += 1
        reply = self.ask("updateSensor", {"sensor_id": sensor, "value": self.count})
        if user_property_of(reply, "status") == "ok":
            self.stored[self.count] = sensor
        return reply

    def store(self, count=1, sensor="a"):
        for _ in range(count):
            result_of(self.update(sensor))

    def history(self, sensor="a"):
        return [reading["value"] for reading in
                result_of(self.ask("sensorHistory", {"sensor_id": sensor, "limit": 900}))["readings"]]

    def assert_failed(self, reply, *causes):
        error = error_of(reply)
        self.assertEqual(error["err"], "storage_failed", error)
        self.assertIn(error["cause"], causes, error)
        self.assertRegex(error["msg"], r": \S+")
        return error

    def assert_others_served(self):
        """One of three calls in a row is prompt: a busy machine delays some."""
        taken = []
        while not taken or taken[-1] >= PROMPT:
            self.assertLess(len(taken), 3, taken)
            before = time.monotonic()
            self.assertIs(result_of(ask(self.bystander, "ping", qos=0))["ok"], True)
            taken.append(time.monotonic() - before)

    def assert_told(self, *causes):
        """Checks that readings fail with this cause in reply, event and log, and that other calls are served."""
        error = self.assert_failed(self.update(), *causes)
        listener = self.client(self.broker)
        listener.subscribe("rpc/event/sensorUpdated", "rpc/event/sensorUpdateFailed")
        self.connection.publish("rpc/call/updateSensor", '{"sensor_id":"a","value":0}')
        event = listener.receive()
        listener.disconnect()
        self.assertEqual(event.topic, "rpc/event/sensorUpdateFailed")
        self.assert_error(event, "storage_failed", cause=error["cause"])
        reason = error["msg"].split(": ", 1)[1]
        log = self.broker.log()
        lines = [line for line in log.splitlines() if str(self.path) in line and reason in line]
        self.assertTrue([line for line in lines if "plugin_opt_sensor_db" in line and f"uid {os.geteuid()}" in line], log)
        texts = [problem["text"] for problem in self.troubles()]
        self.assertEqual(len(texts), 1)
        self.assertRegex(texts[0], r"^sensor: .* \(sensor_db\): ")
        self.assertTrue(texts[0].endswith(reason), (texts, reason))
        self.assertNotIn(str(self.folder), texts[0])
        self.assert_others_served()
        return error

    def troubles(self):
        """What rpc.health tells of databases."""
        problems = result_of(ask(self.bystander, "rpc.health"))["problems"]
        return [problem for problem in problems if problem["what"] == "database"]

    def assert_nothing_read(self, *causes):
        """Checks that getSensor and listSensors fail if the sensors could not be loaded."""
        for method, params in (("listSensors", b""), ("getSensor", {"sensor_id": "a"}),
                               ("sensorHistory", {"sensor_id": "a"})):
            with self.subTest(method=method):
                self.assert_failed(self.ask(method, params), *causes)

    def assert_mended(self):
        """Checks that readings are stored again, and sensors are listed."""
        patience = TIMEOUT + 2 * LONGEST_REST
        eventually(lambda: user_property_of(self.update(), "status") == "ok", patience, 0.1)
        eventually(lambda: user_property_of(self.ask("listSensors"), "status") == "ok", patience, 0.1)
        eventually(lambda: user_property_of(self.ask("sensorHistory", {"sensor_id": "a"}), "status") == "ok")
        self.assertIn(max(value for value, of in self.stored.items() if of == "a"), self.history())
        self.assertEqual(self.troubles(), [])
        self.assert_others_served()

    def assert_all_kept(self):
        """Checks that all successful reports are stored, after a restart, too."""
        for _ in range(2):
            for sensor in set(self.stored.values()):
                values = [value for value, of in self.stored.items() if of == sensor]
                self.assertEqual(sorted(set(values) - set(self.history(sensor))), [])
            self.restart()


class NoDatabase(Trouble):
    """Paths at which there is no database, and cannot be one."""

    def test_no_folder(self):
        self.run_broker(self.folder / "none" / "sensors.db")
        self.assert_told("cannot_open")
        self.assert_nothing_read("cannot_open")
        self.path.parent.mkdir()
        self.assert_mended()
        self.assert_all_kept()

    def test_a_folder(self):
        self.path.mkdir()
        self.run_broker()
        self.assert_told("cannot_open")
        self.assert_nothing_read("cannot_open")
        self.path.rmdir()
        self.assert_mended()

    def test_a_pipe(self):
        """Opening a pipe does not block the module."""
        os.mkfifo(self.path)
        self.run_broker()
        self.assert_told("io", "cannot_open", "locked")
        self.path.unlink()
        self.assert_mended()

    def test_the_folder_goes_and_comes_back(self):
        self.run_broker()
        self.store(3)
        aside = self.folder.with_name(self.folder.name + "-aside")
        self.addCleanup(shutil.rmtree, aside, ignore_errors=True)
        self.folder.rename(aside)
        self.assert_told("cannot_open", "replaced")
        self.assert_failed(self.ask("sensorHistory", {"sensor_id": "a"}), "cannot_open", "replaced")
        self.assertEqual(result_of(self.ask("getSensor", {"sensor_id": "a"}))["value"], 3)
        aside.rename(self.folder)
        self.assert_mended()
        self.assert_all_kept()


class Contents(Trouble):
    """Files that are not a database, or not one of ours. The module does not change them."""

    def make_foreign(self, *statements):
        with contextlib.closing(sqlite3.connect(self.path)) as database:
            for statement in statements:
                database.execute(statement)
            database.commit()

    def check_left_alone(self, cause):
        before = self.path.read_bytes()
        self.run_broker()
        self.assert_told(cause)
        self.assert_nothing_read(cause)
        self.assertEqual(self.path.read_bytes(), before)
        self.path.unlink()
        self.assert_mended()
        self.assert_all_kept()

    def test_no_database(self):
        self.path.write_bytes(os.urandom(50000))
        self.check_left_alone("corrupt")

    def test_a_foreign_database(self):
        self.make_foreign("CREATE TABLE readings (a)", "INSERT INTO readings VALUES (1)")
        self.check_left_alone("foreign")

    def test_a_newer_one(self):
        self.run_broker()
        self.store()
        self.broker.stop()
        self.make_foreign("PRAGMA user_version = 1000")
        self.stored.clear()
        self.check_left_alone("newer")

    def fill(self):
        self.run_broker()
        for _ in range(20):
            params = [{"sensor_id": f"s{number}", "value": number} for number in range(100)]
            self.connection.publish("rpc/batch/updateSensor", json.dumps(params), properties=[(RESPONSE_TOPIC, "r")])
            self.assertEqual(len(payload_of(self.connection.receive())), 100)
        self.store(3)

    def spoil(self):
        """Damages everything but the first page, which SQLite has in memory."""
        with open(self.path, "r+b") as file:
            size = file.seek(0, os.SEEK_END)
            self.assertGreater(size, 65536)
            file.seek(4096)
            file.write(os.urandom(size - 4096))

    def test_damaged_while_the_broker_is_away(self):
        self.fill()
        self.broker.stop()
        good = self.path.with_name("good")
        shutil.copy(self.path, good)
        self.spoil()
        self.broker.start()
        self.connect()
        self.assert_told("corrupt")
        self.assert_nothing_read("corrupt")
        os.replace(good, self.path)
        self.assert_mended()
        self.assert_all_kept()

    def test_damaged_while_the_broker_runs(self):
        """The cache of SQLite may hide the damage for a while, so that another reader has to find it."""
        self.fill()
        self.restart()
        good = self.path.with_name("good")
        shutil.copy(self.path, good)
        self.spoil()
        self.assert_failed(self.ask("sensorHistory", {"sensor_id": "s1"}), "corrupt")
        self.assert_told("corrupt")
        os.replace(good, self.path)
        self.assert_mended()
        self.assert_all_kept()

    def test_deleted_while_the_broker_runs(self):
        self.run_broker()
        self.store(3)
        self.path.unlink()
        self.stored.clear()
        self.assert_mended()
        self.assertTrue(self.path.exists())
        self.assert_all_kept()

    def test_deleted_with_its_companions(self):
        self.run_broker()
        self.store(3)
        for path in self.folder.iterdir():
            path.unlink()
        self.stored.clear()
        self.assert_mended()
        self.assert_all_kept()

    def test_replaced_while_the_broker_runs(self):
        """By an older copy of itself, as when a backup is restored."""
        self.run_broker()
        self.store(3)
        backup = self.folder / "backup"
        with contextlib.closing(sqlite3.connect(self.path)) as source, \
                contextlib.closing(sqlite3.connect(backup)) as copy:
            source.backup(copy)
        kept = dict(self.stored)
        self.store(3)
        os.replace(backup, self.path)
        self.stored = kept
        self.assert_mended()
        self.assertEqual(sorted(set(self.history()) - set(self.stored)), [])
        self.assert_all_kept()


class Locked(Trouble):
    """Another program, such as a backup or the sqlite3 shell, has the database locked."""

    def lock(self, *statements):
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        for statement in statements:
            other.execute(statement)
        return other

    def report_many(self, count):
        """Ten clients report without waiting for replies; returns the clients."""
        clients = [self.client(self.broker, 5) for _ in range(10)]
        for number in range(count):
            value = 1000 + number
            clients[number % 10].publish(
                "rpc/call/updateSensor", json.dumps({"sensor_id": "many", "value": value}),
                properties=[(RESPONSE_TOPIC, "r"), (CORRELATION_DATA, f"{value:08d}-{new_identity()}")])
        return clients

    def outcomes(self, clients, count):
        """The outcomes of the readings: value -> "ok" or the cause."""
        found = {}
        for number in range(count):
            reply = clients[number % 10].receive(TIMEOUT + 2 * LOCK)
            value = int(property_of(reply, CORRELATION_DATA)[:8])
            error = payload_of(reply)
            if user_property_of(reply, "status") == "ok":
                found[value] = "ok"
            else:
                found[value] = self.assert_failed(reply, "locked")["cause"] if "cause" in error else error["err"]
        self.assertEqual(len(found), count)
        return found

    def watch_others_for(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.assert_others_served()
            time.sleep(0.01)

    def check_outcomes(self, found):
        """Checks that a reading is stored if and only if its reply says so."""
        stored = {value for value, outcome in found.items() if outcome == "ok"}
        if not stored:
            error = error_of(self.ask("getSensor", {"sensor_id": "many"}))
            self.assertEqual(error["err"], "unknown_sensor")
            return
        self.assertEqual(set(self.history("many")), stored)

    def test_for_a_moment(self):
        """A lock that is released in time causes no error."""
        self.run_broker()
        self.store()
        other = self.lock("BEGIN EXCLUSIVE")
        clients = self.report_many(50)
        self.watch_others_for(0.5)
        other.execute("ROLLBACK")
        found = self.outcomes(clients, 50)
        self.assertEqual(set(found.values()), {"ok"})
        self.check_outcomes(found)

    def test_for_long(self):
        self.run_broker()
        self.store()
        other = self.lock("BEGIN EXCLUSIVE")
        clients = self.report_many(600)
        self.watch_others_for(LOCK)
        self.assertEqual(self.history(), [1], "the history does not wait for writers")
        self.assertEqual(result_of(self.ask("getSensor", {"sensor_id": "a"}))["value"], 1)
        other.execute("ROLLBACK")
        found = self.outcomes(clients, 600)
        self.assertIn("locked", found.values())
        self.check_outcomes(found)
        self.broker.wait_log(r"a reading was not stored in .*: database is locked")
        self.assert_mended()
        self.assert_all_kept()

    def test_at_the_start(self):
        """Even from being read."""
        self.run_broker()
        self.store(3)
        self.broker.stop()
        other = self.lock("PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE")
        self.broker.start()
        self.connect()
        self.assert_told("locked")
        self.assert_nothing_read("locked")
        other.close()
        self.assert_mended()
        self.assert_all_kept()

    def test_before_there_is_one(self):
        other = self.lock("BEGIN EXCLUSIVE")
        self.run_broker()
        self.assert_told("locked")
        other.close()
        self.assert_mended()
        self.assert_all_kept()

    def test_one_that_reads(self):
        """A long reader delays the checkpoint of the log, but no calls."""
        self.run_broker()
        self.store()
        other = self.lock("BEGIN", "SELECT count(*) FROM readings")
        found = self.outcomes(self.report_many(500), 500)
        self.assertEqual(set(found.values()), {"ok"})
        other.close()
        self.store()
        self.check_outcomes(found)

    def test_the_broker_ends_meanwhile(self):
        """Waiting calls get an error, and stopping takes no longer than waiting for the lock and the usual stop."""
        self.run_broker()
        self.store()
        other = self.lock("BEGIN EXCLUSIVE")
        self.report_many(50)
        before = time.monotonic()
        self.broker.stop()
        self.assertLess(time.monotonic() - before, TIMEOUT)
        other.close()
        self.broker.start()
        self.connect()
        self.assert_mended()
        self.assert_all_kept()


class Full(Trouble):

    def store_until_full(self):
        """Reports until there is no room any more. Closing a full log may free some."""
        refused = 0
        for _ in range(10000):
            reply = self.update(f"s{self.count % 7}")
            if user_property_of(reply, "status") == "ok":
                refused = 0
                continue
            self.assert_failed(reply, "full")
            refused += 1
            if refused == 10:
                return
        self.fail("there is always room")

    def check_full(self, make_room):
        self.store_until_full()
        self.assert_told("full")
        known = set(self.stored.values())
        self.assertEqual({reading["sensor_id"] for reading in result_of(self.ask("listSensors"))["sensors"]}, known)
        for sensor in known:
            self.assertGreater(len(self.history(sensor)), 0)
        make_room()
        self.assert_mended()
        self.store(300)
        self.assert_all_kept()

    def test_files_that_may_not_grow(self):
        self.run_broker(kind=PatientBroker)
        self.store(1, "s0")
        self.broker.limit_files(100000)
        self.check_full(lambda: self.broker.limit_files(resource.RLIM_INFINITY))

    def test_files_that_may_not_grow_at_the_start(self):
        self.run_broker(self.folder / "none" / "sensors.db", kind=PatientBroker)
        self.broker.limit_files(6000)
        self.path.parent.mkdir()
        eventually(lambda: self.assert_failed(self.update(), "full", "cannot_open")["cause"] == "full")
        self.assert_told("full")
        self.broker.limit_files(resource.RLIM_INFINITY)
        self.assert_mended()
        self.assert_all_kept()

    def mount_disk(self, kilobytes):
        self.assertTrue(mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "none", self.folder))
        self.addCleanup(unmount, self.folder)

    def fill_disk(self):
        ballast = self.folder / "ballast"
        with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        return ballast

    @needs_mount
    def test_a_disk_without_room_for_a_file(self):
        """Its inodes are used up: the file cannot even be created."""
        self.assertTrue(mount("-t", "tmpfs", "-o", "nr_inodes=2", "none", self.folder))
        self.addCleanup(unmount, self.folder)
        ballast = self.folder / "ballast"
        ballast.touch()
        self.run_broker()
        self.assertIn("No space left", self.assert_told("full")["msg"])
        self.assertTrue(mount("-o", "remount,nr_inodes=100", self.folder))
        self.assert_mended()
        self.broker.stop()

    @needs_mount
    def test_a_disk(self):
        self.mount_disk(16384)
        self.run_broker()
        self.store(1, "s0")
        ballast = self.fill_disk()
        self.check_full(ballast.unlink)
        self.broker.stop()

    @needs_mount
    def test_a_disk_at_the_start(self):
        self.mount_disk(4096)
        ballast = self.fill_disk()
        self.run_broker()
        self.assert_told("full")
        ballast.unlink()
        self.assert_mended()
        self.assert_all_kept()
        self.broker.stop()

    @needs_mount
    def test_the_end_on_a_full_disk(self):
        """The checkpoint at the end fails, but no reading is lost."""
        self.mount_disk(4096)
        self.run_broker()
        self.store(1, "s0")
        ballast = self.fill_disk()
        self.store_until_full()
        self.restart()
        self.assert_others_served()
        ballast.unlink()
        self.assert_mended()
        self.assert_all_kept()
        self.broker.stop()


class ReadOnly(Trouble):

    @needs_mount
    def test_a_file_system(self):
        self.assertTrue(mount("-t", "tmpfs", "none", self.folder))
        self.addCleanup(unmount, self.folder)
        self.run_broker()
        self.store(3)
        self.broker.stop()
        self.assertTrue(mount("-o", "remount,ro", self.folder))
        self.broker.start()
        self.connect()
        self.assertIn("Read-only file system", self.assert_told("read_only", "cannot_open")["msg"])
        self.assertTrue(mount("-o", "remount,rw", self.folder))
        self.assert_mended()
        self.assertEqual(self.history()[:3], [1, 2, 3])
        self.assert_all_kept()
        self.broker.stop()

    @needs_mount
    def test_a_disk_that_goes_and_comes_back(self):
        """A read-only file system is mounted over it for a while."""
        self.run_broker()
        self.store(3)
        self.assertTrue(mount("-t", "tmpfs", "-o", "ro", "none", self.folder))
        self.addCleanup(unmount, self.folder)
        self.assert_told("cannot_open", "read_only", "replaced")
        self.assertTrue(unmount(self.folder))
        self.assert_mended()
        self.assert_all_kept()

    @unittest.skipIf(os.geteuid() == 0, "root may write what it wants")
    def test_a_file_and_its_folder(self):
        self.run_broker()
        self.store(3)
        self.broker.stop()
        self.path.chmod(0o444)
        self.folder.chmod(0o555)
        self.addCleanup(self.folder.chmod, 0o755)
        self.broker.start()
        self.connect()
        self.assert_told("read_only", "cannot_open")
        self.folder.chmod(0o755)
        self.path.chmod(0o644)
        self.assert_mended()
        self.assert_all_kept()


if __name__ == "__main__":
    main()
