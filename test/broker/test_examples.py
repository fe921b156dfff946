"""Installs the plugin, mosquitto.conf.example and acl.example with the commands that stand at the example's head and in
docs/first-call.md, runs a broker with them, and checks what their comments say.

The files are as they stand, below another root: the test replaces the paths of folders and the port.
"""
import json
import os
import pathlib
import pwd
import re
import stat
import subprocess

import harness
from harness import PLUGIN, ROOT, BrokerTest, ask, main, payload_of, result_of
from mqtt import NOT_AUTHORIZED, PUBLISH, PUBREC, RESPONSE_TOPIC, decode_ack
from pages import PORT, blocks, here, run, run_with_passwords, section

EXAMPLE = (ROOT / "mosquitto.conf.example").read_text()
COMMANDS = re.findall(r"^#   (.*)$", EXAMPLE, re.MULTILINE)
PAGE = section((ROOT / "docs/first-call.md").read_text(), "## In Debian's broker")
BUILD = pathlib.Path(PLUGIN).parent
IS_ROOT = os.geteuid() == 0
HAS_MOSQUITTO = any(user.pw_name == "mosquitto" for user in pwd.getpwall())
# A script that starts the broker may choose where libraries are looked for.
IS_PROGRAM = pathlib.Path(harness.MOSQUITTO).read_bytes()[:4] == b"\x7fELF"
PASSWORD = "secret"
DEBIAN = """persistence true
persistence_location {directory}/var/lib/mosquitto/
log_dest stderr
include_dir {directory}/etc/mosquitto/conf.d
"""


class ExampleBroker(harness.Broker):
    """A broker as on Debian, whose root is its directory: its user is mosquitto if root runs the test."""

    def __init__(self):
        super().__init__(plugin=PLUGIN)
        for folder in ("etc/mosquitto/conf.d", "var/lib/mosquitto"):
            (self.directory / folder).mkdir(parents=True)
        if IS_ROOT and HAS_MOSQUITTO:
            user = pwd.getpwnam("mosquitto")
            os.chown(self.directory / "var/lib/mosquitto", user.pw_uid, user.pw_gid)

    def below(self, text):
        """The text with our root's folders."""
        return re.sub(r"/(?=(?:etc|var/lib)/mosquitto)", f"{self.directory}/", text)

    def install(self):
        """Runs the commands of the example."""
        for command in COMMANDS:
            command = self.below(command).replace("sudo ", "").replace("install build ", f"install '{BUILD}' ")
            if not (IS_ROOT and HAS_MOSQUITTO):
                command = command.replace(" -o mosquitto -g mosquitto", "").replace("chown ", "true ")
            how = {"cwd": ROOT, "env": {**os.environ, "DESTDIR": str(self.directory)}}
            if "mosquitto_passwd" in command:
                code, output = run_with_passwords(command, PASSWORD, **how)
                assert code == 0, output
            elif "systemctl" not in command:
                subprocess.run(["bash", "-c", command], check=True, stdout=subprocess.DEVNULL, **how)

    def installed(self):
        [plugin] = self.directory.glob("usr/lib/**/mosquitto_rpc.so")
        return plugin

    def environment(self):
        """The system's loader finds plugins where they are installed."""
        return {**super().environment(), "LD_LIBRARY_PATH": str(self.installed().parent)}

    def config(self):
        ours = self.below(EXAMPLE).replace("listener 1883 ", f"listener {self.port} ")
        if not IS_PROGRAM:
            ours = ours.replace("plugin mosquitto_rpc.so", f"plugin {self.installed()}")
        (self.directory / "etc/mosquitto/conf.d/rpc.conf").write_text(ours)
        extra = "log_type all\n" + ("user root\n" if IS_ROOT and not HAS_MOSQUITTO else "")
        return DEBIAN.replace("{directory}", str(self.directory)) + extra


class Installation(BrokerTest):
    def setUp(self):
        self.broker = ExampleBroker()
        self.addCleanup(self.broker.clean_up)
        self.broker.install()

    def files(self, folder):
        """But for the console, which a build with npm may have made."""
        return [path for path in (self.broker.directory / folder).glob("**/*") if path.is_file() and path.name != "console.html"]

    def test_the_commands_of_the_readme_are_those_of_the_example(self):
        [install, users, start, _] = blocks(PAGE)
        self.assertEqual([*install.splitlines(), *users.splitlines(), *start.splitlines()], COMMANDS)

    def test_the_plugin(self):
        """It alone is installed, where the system looks for libraries."""
        triplet = run("${CC:-cc} -print-multiarch").strip()
        place = self.broker.directory / "usr/lib" / triplet / "mosquitto_rpc.so"
        if triplet:
            self.assertEqual(self.files("usr"), [place])
        [path] = self.files("usr")
        self.assertEqual(path.stat().st_mode & 0o777 & ~0o111, 0o644)
        self.assertEqual(path.read_bytes()[:4], b"\x7fELF")

    def test_another_prefix(self):
        how = {"env": {**os.environ, "DESTDIR": str(self.broker.directory / "other")}}
        run(f"cmake --install '{BUILD}' --prefix /opt/rpc --component plugin", **how)
        [path] = self.files("other")
        [usual] = self.files("usr")
        self.assertEqual(path.relative_to(self.broker.directory / "other/opt/rpc"),
                         usual.relative_to(self.broker.directory / "usr"))

    def test_the_files(self):
        """The broker can read them, and nobody else can read the passwords."""
        etc = self.broker.directory / "etc/mosquitto"
        self.assertEqual((etc / "conf.d/rpc.conf").read_text(), EXAMPLE)
        self.assertEqual((etc / "rpc.acl").read_text(), (ROOT / "acl.example").read_text())
        for name in ("rpc.passwd", "rpc.acl"):
            status = (etc / name).stat()
            self.assertEqual(stat.S_IMODE(status.st_mode), 0o600)
            if IS_ROOT and HAS_MOSQUITTO:
                self.assertEqual(pwd.getpwuid(status.st_uid).pw_name, "mosquitto")

    def test_the_users(self):
        """Every user of the ACL file has a password, and so has a device."""
        passwords = (self.broker.directory / "etc/mosquitto/rpc.passwd").read_text()
        named = re.findall(r"^user (\S+)$", (ROOT / "acl.example").read_text(), re.MULTILINE)
        self.assertEqual([line.split(":")[0] for line in passwords.splitlines()], [*named, "lamp1"])
        self.assertNotIn(PASSWORD, passwords)

    def test_a_call(self):
        """The last command of the page."""
        self.broker.start()
        self.addCleanup(self.broker.stop)
        command = here(blocks(PAGE)[-1].replace("mosquitto_rr ", f"mosquitto_rr -p {PORT} "), self.broker)
        self.assertIn('{"ok":true', run(f"password={PASSWORD}; {command}"))
        self.assertNotRegex(self.broker.log(), r"(?i)error|warning: file")

    def test_what_the_broker_sets(self):
        """No line of the example stands in Debian's own configuration, too; the broker refuses most of them twice."""
        names = [line.split()[0] for line in EXAMPLE.splitlines() if line and not line.startswith("#")]
        debian = {line.split()[0] for line in DEBIAN.splitlines()} | {"pid_file", "log_type"}
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual(debian & set(names), set())
        self.assertLessEqual({"set_tcp_nodelay", "max_inflight_messages"}, set(names))


class Examples(BrokerTest):
    def setUp(self):
        self.broker = ExampleBroker()
        self.addCleanup(self.broker.clean_up)
        self.broker.install()
        run(f"mosquitto_passwd -b {self.broker.directory}/etc/mosquitto/rpc.passwd stranger {PASSWORD}")
        self.addCleanup(self.broker.stop)
        self.broker.start()

    def user(self, name, version=5):
        return self.client(self.broker, version, username=name, password=PASSWORD)

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

    def test_the_databases(self):
        """Only the broker can read them. That of the devices is made when there is something to write."""
        result_of(ask(self.user("panel"), "updateSensor", {"sensor_id": "a", "value": 1}))
        database = self.broker.directory / "var/lib/mosquitto/sensors.db"
        self.assertEqual(stat.S_IMODE(database.stat().st_mode), 0o600)
        self.user("lamp1").publish("cmd/lamp1/hello", qos=1)
        harness.eventually((database.parent / "devices.db").exists)

    def test_many_calls_at_once(self):
        """More than the broker's usual limit of 20."""
        panel, count = self.user("panel"), 100
        for _ in range(count):
            panel.publish("rpc/call/ping", qos=2, wait=False, properties=[(RESPONSE_TOPIC, "r")])
        codes, replies = [], 0
        while len(codes) < count or replies < count:
            found = panel.read()
            if found.kind == PUBREC:
                codes.append(decode_ack(found).reason)
            replies += found.kind == PUBLISH
            panel.handle(found)
        self.assertTrue(all(code < 0x80 for code in codes), codes)

    def test_an_anonymous_client_may_not_connect(self):
        done = subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.broker.port), "-t", "rpc/call/ping", "-n"],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertNotEqual(done.returncode, 0)


if __name__ == "__main__":
    main()
