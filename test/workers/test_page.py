# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Holds docs/workers.md to what it says: its commands run as they stand, its rules are tried line by line, its TLS has a
certificate for each worker, and each symptom that it lists is made. The example of the Debian package is a configuration.
"""
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "broker"))
from harness import PLUGIN, ROOT, TIMEOUT, Broker, BrokerTest, ask, error_of, eventually, main, result_of  # noqa: E402
from mqtt import NOT_AUTHORIZED, RESPONSE_TOPIC  # noqa: E402
from pages import blocks, here, rows, run, section  # noqa: E402
from test_pages import fits, read, without_times  # noqa: E402
from test_upgrade import OPENSSL, make_certificates

PAGE = (ROOT / "docs/workers.md").read_text()
PACKAGING = ROOT / "packaging/worker"
BUILD = pathlib.Path(PLUGIN).parent
WORKER = os.environ.get("RPC_WORKER") or str(BUILD / "mosquitto_rpc_worker")
TOOL = os.environ.get("RPC_TOOL") or str(BUILD / "tool/mosquitto_rpc")
GUIDE_PLUGIN = os.environ.get("RPC_GUIDE_PLUGIN") or str(BUILD / "mosquitto_rpc_guide.so")
GUIDE_WORKER = os.environ.get("RPC_GUIDE_WORKER") or str(BUILD / "mosquitto_rpc_guide_worker")
YARD = {"door": "yard"}
MEMORY = ["sensor_db :memory:", "device_db :memory:"]


def indented(text):
    """The lines of a text that are indented by four, without that."""
    return re.findall(r"^    (\S.*)$", text, re.MULTILINE)


class Process:
    """A worker, with its log."""

    def __init__(self, directory, name, *arguments):
        self.directory, self.log_path = directory, directory / f"{name}.log"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory)

    def log(self):
        return self.log_path.read_text()

    def says(self, pattern):
        """Waits for such a line of its log."""
        return eventually(lambda: re.search(pattern, self.log()) or self.process.poll() and self.fail())

    def fail(self):
        raise AssertionError(f"it has ended with {self.process.returncode}:\n{self.log()}")

    def stop(self):
        """Ends it, and returns the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(TIMEOUT)


class WorkerTest(BrokerTest):

    def worker(self, broker, name, *options):
        """A worker on the usual listener, with these options."""
        return self.launch(broker, name, WORKER, "--broker", f"127.0.0.1:{broker.port}", "--name", name, "--sensor_db",
                           ":memory:", "--device_db", ":memory:", *options)

    def launch(self, broker, name, *words):
        process = Process(broker.directory, name, *words)
        self.addCleanup(process.stop)
        return process


class Steps(WorkerTest):
    """The first steps."""

    def test_first_steps(self):
        text = section(PAGE, "## First steps")
        options = [line.removeprefix("plugin_opt_") for line in indented(text)]
        self.assertEqual(len(options), 2)
        start, call, listed = blocks(text)
        broker = self.start([*MEMORY, *options], plugin=PLUGIN)
        for place, program in (("build/mosquitto_rpc_worker", WORKER), ("build/tool/mosquitto_rpc", TOOL)):
            self.assertIn(place, text)
            start, call, listed = (word.replace(f"{place} ", f"{program} ") for word in (start, call, listed))
        self.launch(broker, "one", *shlex.split(start.replace("127.0.0.1:1884", f"127.0.0.1:{broker.port}"))).says("attached")
        answer = read(run(here(call, broker)))
        shown, = blocks(text, "json")
        self.assertTrue(fits(read(shown), without_times(answer)), answer)
        row, = json.loads(run(here(listed, broker)))["workers"]
        self.assertEqual((row["id"], row["calls"], row["methods"]), ("one", 1, ["ping"]))
        self.assertEqual([*broker.directory.glob("*.db")], [])

    def test_what_cannot_be_placed(self):
        """The broker does not start, and the log names the option."""
        for method, placement in (("rpc.ping", "remote"), ("dead.list", "remote"), ("device.status", "remote"),
                                  ("device/{device}/{command}", "remote"), ("ping", "spill"), ("pong", "remote")):
            with self.subTest(method):
                broker = Broker([*MEMORY, f"placement_{method} {placement}"], plugin=PLUGIN)
                self.addCleanup(broker.clean_up)
                self.assertNotEqual(broker.run_to_exit(), 0)
                self.assertIn(f"placement_{method}", broker.log())

    def test_the_modes(self):
        """The options that the page names are there, and so is every option of its configuration."""
        helped = subprocess.run([WORKER, "--help"], capture_output=True, text=True, check=True).stdout
        options = set(re.findall(r"^ +--(\w+)", helped, re.MULTILINE))
        named = set(re.findall(r"`--(\w+)", PAGE)) - {"help", "json"}
        self.assertGreater(len(named), 5)
        self.assertEqual(named - options, set())
        lines = indented(section(PAGE, "## Options"))
        self.assertGreaterEqual(len(lines), 6)
        self.assertEqual({line.split()[0] for line in lines} - options, set())
        defaults = re.findall(r"`(\w+)`, (\d+) s by default", PAGE.replace("\n", " "))
        self.assertGreaterEqual(len(defaults), 2)
        for name, default in defaults:
            shown = re.search(rf"^  --{name}\n(.*?)(?=^  --|\Z)", helped, re.MULTILINE | re.DOTALL)
            self.assertIn(f"default {default}s", " ".join(shown[1].split()), name)


class Rules(WorkerTest):
    """Users, and what they may. The guide's module announces an event at each call of openDoor."""

    ACL = section(PAGE, "## Users and rules")

    def broker(self, acl=None, **how):
        acl, = [acl] if acl else blocks(self.ACL, "acl")
        more = "user caller\ntopic write rpc/call/#\ntopic read rpc/event/#\ntopic write rpc/work/#\n"
        return self.start(["workers_users worker", "placement_openDoor remote", "workers_wait 500ms"], plugin=GUIDE_PLUGIN,
                          users={"worker": "w", "caller": "c"}, anonymous=False, acl=f"{acl}\n{more}", **how)

    def password(self, broker):
        path = broker.directory / "worker.password"
        path.write_text("w\n")
        return path

    def attach(self, broker, name="one", user="worker"):
        return self.launch(broker, name, GUIDE_WORKER, "--broker", f"127.0.0.1:{broker.port}", "--name", name, "--attach",
                           "--user", user, "--password_file", str(self.password(broker)))

    def caller(self, broker, **how):
        return self.client(broker, version=5, username="caller", password="c", **how)

    def test_the_lines(self):
        broker = self.broker()
        worker = self.attach(broker)
        worker.says("attached")
        caller, watcher = self.caller(broker), self.caller(broker)
        watcher.subscribe("rpc/event/door/yard")
        self.assertEqual(json.loads(watcher.receive().payload)["until"], None)
        result_of(ask(caller, "openDoor", YARD))
        self.assertGreater(json.loads(watcher.receive().payload)["until"], 0)
        self.assertEqual(worker.stop(), 0)
        self.assertNotIn("Denied", broker.log())
        self.assertEqual(error_of(ask(caller, "openDoor", YARD))["err"], "overloaded")

    def test_each_line_is_needed(self):
        """Without it the broker denies what the worker has to publish."""
        acl, = blocks(self.ACL, "acl")
        user, *lines = acl.strip().splitlines()
        self.assertEqual(len(lines), 4)
        for line in lines:
            with self.subTest(line):
                broker = self.broker("\n".join([user, *(other for other in lines if other != line)]))
                worker = self.attach(broker)
                topic = line.split()[-1]
                worker.says("connected" if topic.endswith("attach") else "attached")
                self.caller(broker).publish("rpc/call/openDoor", json.dumps(YARD), qos=1)
                if topic.endswith("detach"):
                    worker.process.terminate()
                denied = broker.wait_log(r"Denied PUBLISH from \S+ \(.*'(\S+?)'")[1]
                self.assertRegex(denied, topic.replace("+", "[^/]+").replace("#", ".*"))
                worker.process.kill()

    def test_what_the_rules_leave_out(self):
        """A client with the worker's password may call no method, and read and publish nothing."""
        broker = self.broker()
        client = self.client(broker, version=5, username="worker", password="w")
        for topic in ("rpc/call/listDoors", "rpc/call/rpc.workers", "rpc/event/door/yard", "rpc/dead/x", "else/where"):
            self.assertEqual(client.publish(topic, b"{}", qos=1), NOT_AUTHORIZED, topic)
        client.subscribe("#", check=False)
        self.caller(broker).publish("rpc/call/listDoors", b"{}", qos=1, properties=[(RESPONSE_TOPIC, "rpc/reply")])
        client.expect_nothing()

    def test_nobody_else_publishes_there(self):
        """Not even where an ACL allows it."""
        broker = self.broker()
        self.attach(broker).says("attached")
        client = self.caller(broker)
        for topic in ("rpc/work/one", "rpc/work/one/done", "rpc/work/one/cancel", "rpc/work/two/done", "rpc/work/one/event/x"):
            self.assertEqual(client.publish(topic, b"{}", qos=1), NOT_AUTHORIZED, topic)

    def test_a_user_who_is_no_worker(self):
        broker = self.broker()
        path = self.password(broker)
        path.write_text("c\n")
        self.worker(broker, "one", "--attach", "--user", "caller", "--password_file", str(path)).says("not_allowed")

    def test_a_new_password(self):
        """It is read at each connection."""
        broker = self.broker()
        self.password(broker)
        worker = self.attach(broker)
        worker.says("attached")
        broker.stop()
        broker.password_path = broker._write_passwords({"worker": "new", "caller": "c"})
        (broker.directory / "worker.password").write_text("new\n")
        broker.start()
        eventually(lambda: worker.log().count("attached as one") == 2)


@unittest.skipUnless(OPENSSL, "there is no openssl (Debian's openssl)")
class Certificates(WorkerTest):

    def test_a_certificate_for_each_worker(self):
        """With the configuration of the page, and a worker that has the page's file."""
        text = section(PAGE, "## TLS, and a certificate for each worker")
        conf, = blocks(text, "conf")
        *lines, users = conf.strip().splitlines()
        lines = [re.sub(r"/etc/mosquitto/certs/(\w+)\.\w+$", lambda found: "{directory}/" + (
            "ca.pem" if found[1] == "ca" else f"server.{'key' if 'keyfile' in found.string else 'pem'}"), line)
            for line in lines]
        self.assertEqual(lines.pop(0), "listener 8883")
        broker = self.make([*MEMORY, "placement_ping remote", users.removeprefix("plugin_opt_")], plugin=PLUGIN,
                           lines=["listener {second_port} 127.0.0.1", *lines])
        make_certificates(broker.directory, "server", "worker-one", "stranger")
        broker.start()
        worker = self.configured(broker, "worker-one")
        worker.says("attached")
        client = self.client(broker, version=5)
        result_of(ask(client, "ping"))
        row, = result_of(ask(client, "rpc.workers"))["workers"]
        self.assertEqual(row["user"], "worker-one")
        self.configured(broker, "stranger").says("not_allowed")
        command, = blocks(text)
        words = shlex.split(command)
        self.assertEqual(words[0], "mosquitto_rpc_worker")
        words = [WORKER, *(word.replace("broker.example:8883", f"localhost:{broker.second_port}").replace("ca.crt", "ca.pem")
                           .replace("worker-one.crt", "worker-one.pem") for word in words[1:])]
        worker.stop()
        self.launch(broker, "command", *words, "--sensor_db", ":memory:", "--device_db", ":memory:").says("attached as one")

    def configured(self, broker, name):
        """A worker with the page's configuration, in which certificates are this test's."""
        path = broker.directory / f"{name}.conf"
        lines = "\n".join(indented(section(PAGE, "## Options")))
        lines = lines.replace("broker.example:8883", f"localhost:{broker.second_port}")
        lines = re.sub(r"/etc/mosquitto-rpc/([\w-]+)\.crt", lambda found: f"{broker.directory}/{found[1]}.pem", lines)
        lines = lines.replace("/etc/mosquitto-rpc", str(broker.directory)).replace("worker-one", name)
        path.write_text(f"{lines}\nsensor_db :memory:\ndevice_db :memory:\n")
        return self.launch(broker, name, WORKER, "--config", str(path))


class Symptoms(WorkerTest):
    """The table of what may be wrong. Each row is made."""

    def setUp(self):
        self.cells = {cells[0]: cells for cells in rows(section(PAGE, "## When something is wrong"))}
        self.assertGreaterEqual(len(self.cells), 8)

    def row(self, part):
        """There is a row about this."""
        self.assertEqual(sum(part in seen for seen in self.cells), 1, part)

    def test_names(self):
        self.row("`name_in_use`")
        broker = self.start([*MEMORY, "workers_users worker", "placement_ping remote"], plugin=PLUGIN)
        first = self.worker(broker, "one", "--attach", "--user", "worker")
        first.says("attached")
        second = self.launch(broker, "second", WORKER, "--broker", f"127.0.0.1:{broker.port}", "--name", "one", "--attach",
                             "--user", "worker", "--sensor_db", ":memory:", "--device_db", ":memory:")
        second.says("name_in_use")
        first.stop()
        second.says("attached as one")

    def test_nobody_may(self):
        self.row("`not_allowed`")
        broker = self.start(MEMORY, plugin=PLUGIN)
        self.worker(broker, "one", "--attach", "--user", "worker").says("not_allowed.*workers_users")
        self.worker(broker, "two", "--attach").says("not_allowed.*anonymous")

    def test_the_plugin_does_not_answer(self):
        """It is not there, serves another prefix, or a rule is in the way. All three at once, since it takes ten seconds."""
        self.row("`rpc.attach is not answered`")
        self.row("`it refuses a message: Not authorized`")
        other = self.start([*MEMORY, "workers_users worker", "prefix plant"], plugin=PLUGIN)
        ruled = self.start([*MEMORY, "workers_users worker"], plugin=PLUGIN, acl="user worker\ntopic read #\n")
        workers = [self.worker(broker, "one", "--attach", "--user", "worker")
                   for broker in (self.start(plugins=[]), other, ruled)]
        workers[2].says("it refuses a message: Not authorized")
        for worker in workers:
            worker.says("rpc.attach is not answered")
            worker.process.kill()

    def test_no_broker(self):
        self.row("`Connection refused`")
        place = self.start(MEMORY, plugin=PLUGIN)
        place.stop()
        self.worker(place, "one", "--attach").says("Connection refused")

    def test_the_method_is_not_there(self):
        self.row("`rpc.attach was refused: method_not_found`")
        for option in ("modules rpc ping", "methods_off rpc.attach"):
            broker = self.start([*([] if "modules" in option else MEMORY), option], plugin=PLUGIN)
            self.worker(broker, "one", "--attach").says("rpc.attach was refused: method_not_found")

    def test_methods_that_are_not_placed(self):
        self.row("runs itself or does not have")
        broker = self.start([*MEMORY, "workers_users worker"], plugin=PLUGIN)
        self.worker(broker, "one", "--attach", "--user", "worker").says("runs itself or does not have: .*ping")

    def test_no_worker(self):
        self.row("`no worker offers …`")
        broker = self.start([*MEMORY, "workers_users worker", "placement_ping remote", "workers_wait 100ms"], plugin=PLUGIN)
        error = error_of(ask(self.client(broker, version=5), "ping"))
        self.assertEqual((error["err"], "no worker offers ping" in error["msg"]), ("overloaded", True), error)

    def test_an_option_is_wrong(self):
        self.row("exit status 2")
        broker = self.start(MEMORY, plugin=PLUGIN)
        worker = self.worker(broker, "one", "--windows", "8")
        self.assertEqual(worker.process.wait(TIMEOUT), 2)
        self.assertIn("windows", worker.log())

    def test_the_broker_refuses(self):
        self.row("exit status 1")
        broker = self.start(MEMORY, plugin=PLUGIN, users={"worker": "w"}, anonymous=False)
        worker = self.worker(broker, "one", "--attach")
        self.assertEqual(worker.process.wait(TIMEOUT), 1)
        self.assertRegex(worker.log().strip().splitlines()[-1], "(?i)not authori[sz]ed")


class Package(WorkerTest):
    """What the Debian package has beside the program."""

    UNIT = (PACKAGING / "mosquitto-rpc-worker@.service").read_text()

    def test_the_example(self):
        """It is a configuration, with the lines for TLS as well."""
        text = (PACKAGING / "worker-example.conf").read_text()
        broker = self.start([*MEMORY, "workers_users worker", "placement_ping remote"], plugin=PLUGIN)
        (broker.directory / "worker.password").write_text("any\n")
        here_ = text.replace("localhost:1883", f"127.0.0.1:{broker.port}").replace("/etc/mosquitto-rpc", str(broker.directory))
        path = broker.directory / "worker-one.conf"
        path.write_text(f"{here_}\nsensor_db :memory:\ndevice_db :memory:\n")
        self.launch(broker, "one", WORKER, "--config", str(path)).says("attached")
        options = re.findall(r"^#?([a-z_]+) \S+$", text, re.MULTILINE)
        helped = subprocess.run([WORKER, "--help"], capture_output=True, text=True, check=True).stdout
        self.assertLessEqual({"cafile", "cert", "key", "window"}, set(options))
        self.assertEqual(set(options) - set(re.findall(r"^ +--(\w+)", helped, re.MULTILINE)), set())

    def test_the_pages_that_are_named(self):
        """They are in the package itself: there need be no other one on the machine."""
        installed = (ROOT / "cmake/Package.cmake").read_text()
        named = re.findall(r"/usr/share/doc/([\w-]+)/(\S+\.md)", self.UNIT + (PACKAGING / "worker-example.conf").read_text())
        self.assertGreaterEqual(len(named), 2)
        for package, page in named:
            self.assertEqual(package, "mosquitto-rpc-worker")
            self.assertRegex(installed, rf"install\(FILES [^)]*docs/{re.escape(page)} [^)]*COMPONENT worker\)")

    def test_the_unit(self):
        """It has more patience than the worker by default, and systemd finds nothing wrong with it."""
        helped = subprocess.run([WORKER, "--help"], capture_output=True, text=True, check=True).stdout
        drain = int(re.search(r"--drain\n.*?default (\d+)s", helped, re.DOTALL)[1])
        stop = int(re.search(r"^TimeoutStopSec=(\d+)$", self.UNIT, re.MULTILINE)[1])
        self.assertGreater(stop, drain)
        self.assertIn(f"`TimeoutStopSec` of the unit, {stop} s", PAGE.replace("\n", " "))
        if not shutil.which("systemd-analyze"):
            self.skipTest("there is no systemd-analyze (Debian's systemd)")
        broker = self.start(MEMORY, plugin=PLUGIN)
        path = broker.directory / "mosquitto-rpc-worker@one.service"
        path.write_text(self.UNIT.replace("/usr/bin/mosquitto_rpc_worker", WORKER))
        shown = subprocess.run(["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True, check=False)
        own = [line for line in (shown.stdout + shown.stderr).splitlines() if "mosquitto-rpc-worker" in line]
        self.assertEqual(own, [])
        figure = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager", str(path)], capture_output=True,
                                text=True, check=False).stdout
        found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", figure)
        if found:  # an older systemd does not know --offline
            self.assertLess(float(found[1]), 2)


if __name__ == "__main__":
    main()
