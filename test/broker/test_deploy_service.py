"""The parts of docs/deploy.md about the service: its unit, its log, backup, upgrade. The steps are done as they stand."""
import ctypes.util
import pathlib
import pwd
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import unittest

import harness
from harness import (INSTRUMENTED, MOSQUITTO, PLUGIN, ROOT, TEST_PLUGIN, BrokerTest, ask, error_of, eventually, main,
                     payload_of, result_of)
from machine import PLAIN, SERVICE_USER, Machine, steps
from mqtt import RESPONSE_TOPIC, USER_PROPERTY
from pages import run, section

PAGE = (ROOT / "docs/deploy.md").read_text()
UNIT = pathlib.Path("/lib/systemd/system/mosquitto.service")


def part(heading):
    return section(PAGE, heading)


def drop_in():
    [text] = [content for language, content in steps(part("## systemd: sandbox and limits")) if language == "ini"]
    return text


def may_sandbox():
    """Whether this process may do what sandbox.py needs: mounts and filters."""
    return (SERVICE_USER and shutil.which("systemd-analyze") and ctypes.util.find_library("seccomp") and not INSTRUMENTED and
            subprocess.run(["unshare", "--mount", "--ipc", "mount", "--make-rprivate", "/"], check=False,
                           capture_output=True).returncode == 0)


class ServiceTest(BrokerTest):
    def machine(self, plugin=PLUGIN, **how):
        machine = Machine(plugin=plugin, **how)
        self.addCleanup(machine.clean_up)
        self.addCleanup(machine.stop)
        self.addCleanup(self._show_log, machine)
        machine.write(PLAIN)
        return machine

    def store(self, machine, count, sensor="a"):
        client = self.client(machine, 5)
        for value in range(count):
            result_of(ask(client, "updateSensor", {"sensor_id": sensor, "value": value}))

    def values(self, machine, sensor="a"):
        reply = result_of(ask(self.client(machine, 5), "sensorHistory", {"sensor_id": sensor}))
        return [reading["value"] for reading in reply["readings"]]


@unittest.skipUnless(shutil.which("systemd-analyze") and UNIT.exists(), "there is no systemd-analyze, or no unit")
class Unit(ServiceTest):
    """The drop-in beside Debian's unit, as systemd reads them."""

    def setUp(self):
        self.folder = self.machine().directory / "units"
        (self.folder / "mosquitto.service.d").mkdir(parents=True)
        shutil.copy(UNIT, self.folder)

    def analyze(self, *words):
        done = subprocess.run(["systemd-analyze", *words, str(self.folder / "mosquitto.service")], capture_output=True,
                              text=True, check=False, timeout=harness.TIMEOUT)
        return done.stdout + done.stderr

    def exposure(self):
        shown = self.analyze("security", "--offline=true", "--no-pager")
        found = re.search(r"Overall exposure level.*: ([\d.]+)", shown)
        if not found:
            self.skipTest("this systemd does not analyze units offline")
        return float(found[1])

    def test_it_is_understood(self):
        """systemd says nothing of it; a setting that it does not know it names."""
        path = self.folder / "mosquitto.service.d/rpc.conf"
        path.write_text(drop_in())
        self.assertNotIn("rpc.conf", self.analyze("verify", "--man=no"))
        path.write_text(drop_in() + "ProtectEverything=yes\n")
        self.assertIn("rpc.conf", self.analyze("verify", "--man=no"))

    def test_the_figures(self):
        least, most = 9, 2
        self.assertIn(f"{least} or more for Debian's unit, below {most} with the drop-in",
                      part("## systemd: sandbox and limits").replace("\n", " "))
        self.assertGreaterEqual(self.exposure(), least)
        (self.folder / "mosquitto.service.d/rpc.conf").write_text(drop_in())
        self.assertLess(self.exposure(), most)


class SandboxedMachine(Machine):
    """Its broker runs as the drop-in says."""

    def __init__(self, plugin=PLUGIN):
        super().__init__(plugin=plugin)
        shutil.copyfile(plugin, self.directory / "etc/mosquitto/mosquitto_rpc.so")
        self.plugin = "/etc/mosquitto/mosquitto_rpc.so"

    def here(self, text):
        """In its mounts the system's folders are this machine's."""
        return super().here(text).replace(f"{self.directory}/", "/")

    def config(self):
        return super().config().replace("user root\n", "")

    def command(self):
        (self.directory / "drop-in").write_text(drop_in())
        sandbox = pathlib.Path(__file__).with_name("sandbox.py")
        return [sys.executable, str(sandbox), str(self.directory / "drop-in"), str(self.directory), MOSQUITTO, "-c",
                "/etc/mosquitto/mosquitto.conf"]


@unittest.skipUnless(may_sandbox(), "it needs root, mounts, systemd-analyze, libseccomp and a user mosquitto")
class Sandbox(ServiceTest):
    def start_sandboxed(self, plugin=PLUGIN):
        machine = SandboxedMachine(plugin)
        self.addCleanup(machine.clean_up)
        self.addCleanup(machine.stop)
        self.addCleanup(self._show_log, machine)
        machine.write(PLAIN)
        return machine.start()

    def test_the_broker_is_confined(self):
        machine = self.start_sandboxed()
        status = pathlib.Path(f"/proc/{machine.process.pid}/status").read_text()
        user = pwd.getpwnam("mosquitto")
        for line in (f"Uid:\t{user.pw_uid}\t{user.pw_uid}\t{user.pw_uid}\t{user.pw_uid}", "NoNewPrivs:\t1", "Seccomp:\t2",
                     "CapBnd:\t0000000000000000", "CapEff:\t0000000000000000", "Umask:\t0077"):
            self.assertIn(line, status)

    def test_it_works(self):
        """Calls, work, late replies, databases, a restart: the whole of what the plugin needs of the system."""
        machine = self.start_sandboxed(TEST_PLUGIN)
        client = self.client(machine, 5)
        self.assertEqual(result_of(ask(client, "echo", "1")), 1)
        self.assertIn("order", result_of(ask(client, "slow.sleep", {"ms": 50})))
        self.store(machine, 5)
        lamp = self.client(machine, client_id="lamp1")
        lamp.subscribe("cmd/lamp1/req", qos=1)
        lamp.publish("cmd/lamp1/hello", qos=1)
        eventually((machine.directory / "var/lib/mosquitto/devices.db").exists)
        machine.signal(harness.signal.SIGHUP)
        machine.wait_log("Reloading config")
        self.assertEqual(result_of(ask(client, "echo", "2")), 2)
        machine.stop()
        machine.start()
        self.assertEqual(sorted(self.values(machine)), [0, 1, 2, 3, 4])
        for path in (machine.directory / "var/lib/mosquitto").iterdir():
            self.assertEqual((path.name, stat.S_IMODE(path.stat().st_mode)), (path.name, 0o600))
        self.assertNotRegex(machine.log(), r"(?i)error|permission|not permitted|safe point")

    def test_a_bridge_to_a_name(self):
        """Names are looked up without a netlink socket."""
        centre = self.machine()
        centre.start()
        machine = self.start_sandboxed()
        machine.stop()
        machine.write(f"# /etc/mosquitto/conf.d/centre.conf\nconnection centre\naddress localhost:{centre.port}\n"
                      "remote_clientid site1\ntopic event/# out 1 rpc/ site1/rpc/\nrestart_timeout 1\n")
        machine.start()
        watcher = self.client(centre)
        watcher.subscribe("site1/#")
        centre.wait_log("Sending CONNACK to site1")
        self.client(machine).publish("rpc/call/ping", qos=1)
        self.assertEqual(watcher.receive().topic, "site1/rpc/event/pong")

    def test_others_are_refused(self):
        """A check of sandbox.py itself: what is forbidden fails there, and works outside."""
        machine = self.start_sandboxed()
        tries = ("touch /etc/mosquitto/x", "touch /usr/x", "mount -t tmpfs tmpfs /tmp", "ls /home/", "test -e /proc/cpuinfo",
                 "test -e /proc/1/status", "chown root /tmp")
        for command in (*tries, "touch /var/lib/mosquitto/x"):
            with self.subTest(command=command):
                words = [*machine.command()[:4], "/bin/sh", "-c", command]
                code = subprocess.run(words, check=False, capture_output=True).returncode
                self.assertEqual(code == 0, command not in tries)


class Logs(ServiceTest):
    def test_rotation(self):
        """The broker writes a new log, and a call that runs meanwhile is answered."""
        machine = self.machine(TEST_PLUGIN)
        machine.start()
        client = self.client(machine, 5)
        client.publish("rpc/call/slow.sleep", '{"ms":1500}', qos=1, properties=[(RESPONSE_TOPIC, "r")])
        machine.follow(part("## Logs"))
        folder = machine.directory / "var/log/mosquitto"
        self.client(machine, client_id="later")
        eventually(lambda: (folder / "mosquitto.log").exists() and "later" in (folder / "mosquitto.log").read_text())
        self.assertNotIn("later", (folder / "mosquitto.log.1").read_text())
        self.assertEqual(client.receive().topic, "r")


@unittest.skipUnless(shutil.which("sqlite3"), "there is no sqlite3")
class Backup(ServiceTest):
    def split(self):
        """The steps that back up, and those that restore."""
        text = part("## Backup")
        at = text.index("To restore")
        return text[:at], text[at:]

    def test_under_load_and_back(self):
        """What was answered before the backup is in it, the broker does not wait, and the copies are whole."""
        backup, restore = self.split()
        machine = self.machine()
        machine.start()
        session = self.client(machine, client_id="lamp1", clean=False)
        session.subscribe("cmd/lamp1/req", qos=1)
        session.publish("cmd/lamp1/hello", qos=1)
        session.disconnect()
        client = self.client(machine, 5)
        eventually(lambda: [row["state"] for row in result_of(ask(client, "device.list"))["devices"]] == ["offline"])
        queued = ask(client, "device/lamp1/go", {"n": 1}, entries=[(USER_PROPERTY, ("offline", "queue"))])
        self.assertEqual(result_of(queued)["queued"], True)
        self.store(machine, 20)
        stop, stored = threading.Event(), []

        def go_on():
            client, value = self.client(machine, 5), 20
            while not stop.is_set():
                result_of(ask(client, "updateSensor", {"sensor_id": "a", "value": value}))
                stored.append(value)
                value += 1
        writer = threading.Thread(target=go_on)
        writer.start()
        machine.follow(backup)
        stop.set()
        writer.join()
        self.assertTrue(stored)  # calls were answered meanwhile
        copies = machine.directory / "var/backups/mosquitto"
        self.assertEqual({path.name for path in copies.iterdir()}, {"sensors.db", "devices.db", "mosquitto.db"})
        self.assertEqual({stat.S_IMODE(path.stat().st_mode) for path in copies.iterdir()}, {0o600})
        for name in ("sensors.db", "devices.db"):
            with sqlite3.connect(copies / name) as copy:
                self.assertEqual(copy.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        result_of(ask(self.client(machine, 5), "forgetSensor", {"sensor_id": "a"}))
        machine.follow(restore)
        values = sorted(self.values(machine))
        self.assertEqual(values[:20], list(range(20)))
        self.assertEqual(values, list(range(len(values))))
        lamp = self.client(machine, client_id="lamp1", clean=False)
        self.assertTrue(lamp.session_present)
        lamp.publish("cmd/lamp1/hello", qos=1)
        self.assertEqual(payload_of(lamp.receive())["params"], {"n": 1})


class Upgrade(ServiceTest):
    def setUp(self):
        self.machine_ = self.machine()
        shutil.copyfile(TEST_PLUGIN, self.machine_.home / "mosquitto_rpc.so")

    def steps_of(self):
        text = part("## Upgrade and rollback")
        at = text.index("To go back")
        return text[:at], text[at:]

    @unittest.skipUnless(shutil.which("sqlite3"), "there is no sqlite3")
    def test_there_and_back(self):
        """The new version is one that changes the database, which the old one refuses."""
        machine, (upgrade, rollback) = self.machine_, self.steps_of()
        backup, restore = Backup.split(None)
        machine.start()
        self.store(machine, 3)
        machine.follow(backup)
        machine.follow(upgrade)
        self.assertIn("order", result_of(ask(self.client(machine, 5), "slow.sleep", {"ms": 1})))
        self.assertEqual(sorted(self.values(machine)), [0, 1, 2])
        self.store(machine, 1, "new")
        machine.stop()
        with sqlite3.connect(machine.directory / "var/lib/mosquitto/sensors.db") as database:
            [version] = database.execute("PRAGMA user_version").fetchone()
            database.execute(f"PRAGMA user_version = {version + 100}")
        machine.start()
        machine.follow(rollback)
        machine.start()
        client = self.client(machine, 5)
        self.assert_error(error_of(ask(client, "slow.sleep", {"ms": 1})), "method_not_found")
        self.assert_error(error_of(ask(client, "sensorHistory", {"sensor_id": "a"})), "storage_failed")
        machine.follow(restore)
        self.assertEqual(sorted(self.values(machine)), [0, 1, 2])

    def test_the_running_broker_keeps_its_plugin(self):
        """Until it is started again, when `install` has put another file in its place."""
        machine = self.machine_
        machine.start()
        [content] = [content for _, content in steps(self.steps_of()[0])]
        machine.do(content.replace("sudo systemctl restart mosquitto\n", ""))
        client = self.client(machine, 5)
        self.store(machine, 3)
        self.assert_error(error_of(ask(client, "slow.sleep", {"ms": 1})), "method_not_found")
        machine.restart()
        self.assertIn("order", result_of(ask(self.client(machine, 5), "slow.sleep", {"ms": 1})))


class Container(unittest.TestCase):
    """scripts/container builds and tries it, which takes minutes."""

    DOCKERFILE = (ROOT / "examples/container/Dockerfile").read_text()

    def test_the_packages(self):
        """What the build takes is what scripts/demo installs, without the broker and its clients."""
        joined = self.DOCKERFILE.replace("\\\n", " ")
        named = set(re.findall(r"--no-install-recommends ([\w .+-]+)$", joined, re.MULTILINE)[0].split())
        wanted = set(run(f"source '{ROOT}/scripts/common.sh'; echo \"${{build_packages[@]}}\"").split())
        self.assertEqual(named, wanted - {"mosquitto", "mosquitto-clients"})

    def test_the_command_is_that_of_the_page(self):
        [build, _] = [content for language, content in steps(part("## A container")) if language == "docker"]
        self.assertIn(f"#   {build}", self.DOCKERFILE)


class Sizing(ServiceTest):
    def test_the_command(self):
        machine = self.machine()
        machine.start()
        [content] = [content for _, content in steps(part("## Sizing"))]
        self.assertRegex(machine.run(content).strip(), r"^\d+ +\d+$")

    def test_the_figures(self):
        """The table's figures are those of the defaults."""
        reference, text = (ROOT / "docs/reference.md").read_text(), part("## Sizing")
        for option, default, shown in (("max_pending_bytes", "64m", "64 MB"), ("duplicate_bytes", "16m", "32 MB"),
                                       ("device_max", "10000", "4 MB")):
            self.assertRegex(reference, rf"\| `plugin_opt_{option}` \|.*\| `{default}` \|")
            [row] = [line for line in text.splitlines() if line.startswith("|") and f"`plugin_opt_{option}`" in line]
            self.assertIn(shown, row)


if __name__ == "__main__":
    main()
