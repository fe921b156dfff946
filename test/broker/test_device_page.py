"""Holds docs/devices.md to what it says: its commands run with the lamp of examples/devices/c, its script is a device, its
ACL is tried line by line, its tables are those of the plugin, and "Moving over" is done step by step. The bridge of
docs/operation.md brings a device of another broker.
"""
import json
import os
import re
import shutil
import signal
import subprocess

from devices import SHORT, DeviceTest
from harness import ROOT, eventually, main, new_identity, patient, payload_of
from mqtt import CORRELATION_DATA, NOT_AUTHORIZED, RESPONSE_TOPIC, property_of
from test_example_devices import C, Device
from pages import PORT
from test_pages import examples, fits, read, run_example

PAGE = (ROOT / "docs/devices.md").read_text()
OPERATION = (ROOT / "docs/operation.md").read_text()
DOCUMENT = json.loads((ROOT / "docs/openrpc.json").read_text())
METHODS = {method["name"]: method for method in DOCUMENT["methods"]}
CALL, GROUP_CALL = METHODS["device/{device}/{command}"], METHODS["devices/{group}/{command}"]


def section(title, page=PAGE):
    """The text below a heading, up to the next one that is not below it."""
    level, text = re.search(rf"^(#+) {re.escape(title)}\n(.*)", page, re.MULTILINE | re.DOTALL).groups()
    return re.split(rf"^#{{1,{len(level)}}} ", text, flags=re.MULTILINE)[0]


def blocks(text):
    """The indented blocks of a page, without their indentation; an empty line does not end one."""
    found = re.findall(r"(?:^ {4,}\S.*\n(?:\n(?= {4}))?)+", text, re.MULTILINE)
    return [re.sub(r"^ {4,6}", "", block, flags=re.MULTILINE) for block in found]


def rows(first_column, page=PAGE):
    """What stands in the first column of the table with this heading, without backticks."""
    table = re.search(rf"^\| {re.escape(first_column)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", page, re.MULTILINE).group(1)
    return [re.match(r"\| (.*?) \|", row).group(1).replace("`", "") for row in table.splitlines()]


def tables(first_column):
    """Likewise, of all tables with this heading."""
    parts = re.split(rf"(?=^\| {re.escape(first_column)} \|)", PAGE, flags=re.MULTILINE)[1:]
    return [rows(first_column, part) for part in parts]


def plain(text):
    """JSON as text, without the values that differ from run to run."""
    text = re.sub(r'"(seen|since|time)":[0-9.]+', r'"\1":1.5', text)
    text = text.replace('"why":"subscribed"', '"why":"hello"')  # from broker 2.1 on
    return re.sub(r'"id":"[a-z0-9]{8}"', '"id":"an id"', text)


class Commands(DeviceTest):
    """What the page shows, with real lamps."""

    def setUp(self):
        if not C:
            self.skipTest("the lamp of examples/devices/c is not built")
        self.begin("device_groups hall=lamp1,lamp2,lamp3", "device_adopt false", "device_retries 20")
        self.watcher = self.watch()

    def lamp(self, name="lamp1", command=None):
        lamp = Device(command or [C, "127.0.0.1", str(self.broker.port), name], self.broker.directory / name)
        self.addCleanup(lamp.stop)
        self.watcher.status(name, "ready")
        return lamp

    def lose(self, lamp, name="lamp1"):
        self.watcher.forget()
        lamp.stop(signal.SIGKILL)
        self.watcher.status(name, "offline")

    def run_section(self, title):
        """Runs the commands of a section, and compares what they print. Returns how many these were."""
        shown = examples(section(title))
        for command, expected in shown:
            with self.subTest(command=command):
                answer = run_example(self.broker, command)
                self.assertTrue(fits(read(plain(expected)), json.loads(plain(answer))),
                                f"the page shows {expected}, not {answer}")
        return len(shown)

    def test_every_command_is_tried(self):
        titles = ("A first command", "The smallest device", "A device that is not there", "Groups")
        self.assertEqual(sum(len(examples(section(title))) for title in titles), len(examples(PAGE)))
        self.assertEqual(len(examples(PAGE)), 10)

    def test_a_first_command(self):
        """With the lamp that the page builds. lamp1 alone is known: the list is short."""
        self.broker.stop()
        self.begin()
        self.watcher = self.watch()
        compiling, starting = [line[2:].split() for line in blocks(section("A first command"))[0].splitlines()]
        if not shutil.which(compiling[0]):
            self.skipTest("there is no cc")
        (self.broker.directory / "examples").symlink_to(ROOT / "examples")
        subprocess.run(compiling, cwd=self.broker.directory, check=True, timeout=60)
        self.assertEqual(starting, ["./lamp", "localhost", PORT, "lamp1"])
        (self.broker.directory / "lamp").rename(self.broker.directory / "lamp.bin")
        lamp = self.lamp(command=[str(self.broker.directory / "lamp.bin"), "127.0.0.1", str(self.broker.port), "lamp1"])
        self.assertEqual(self.run_section("A first command"), 5)
        self.assertEqual(lamp.shown(), [40])

    def test_the_script(self):
        """It is complete: it takes many commands one after the other, and acts once for each."""
        self.broker.stop()
        self.begin("device_grace 30s")  # it connects anew for each command
        self.watcher = self.watch()
        script = blocks(section("The smallest device"))[0].replace(f" -p {PORT}", "")
        self.assertTrue(script.startswith("last=\n") and script.endswith("done\n"), script)
        settings = self.broker.directory / "settings"
        settings.mkdir()
        for tool in ("mosquitto_rr", "mosquitto_pub"):
            (settings / tool).write_text(f"-h 127.0.0.1\n-p {self.broker.port}\n")
        output = self.broker.directory / "bell"
        with open(output, "wb") as file:
            bell = subprocess.Popen(["bash", "-c", script], stdout=file, stdin=subprocess.DEVNULL, start_new_session=True,
                                    env={**os.environ, "XDG_CONFIG_HOME": str(settings)})
        self.addCleanup(bell.wait)
        self.addCleanup(os.killpg, bell.pid, signal.SIGKILL)
        self.watcher.status("bell1", "ready")
        self.assertEqual(self.run_section("The smallest device"), 1)
        app = self.app()
        calls = [app.call("bell1", "ring", {"times": times}, timeout_ms=60000) for times in range(3)]
        self.assertEqual([app.result(call, 60) for call in calls], [True] * 3)
        rung = output.read_text().splitlines()
        shown = re.search(r"`(ring: \{.*?\}\})`", PAGE).group(1)
        self.assertEqual(plain(rung[0]), plain(shown))
        self.assertEqual(len(rung), 4)
        answers = self.client(self.broker)
        answers.subscribe("cmd/bell1/resp")

        def ring_again():  # the script may not have subscribed again just now
            self.client(self.broker).publish("cmd/bell1/req", '{"id":"same","cmd":"ring","params":{}}', qos=1)
            answers.ping()
            return len(answers.inbox) > 2
        eventually(ring_again, pause=0.2)
        self.assertEqual({payload_of(message)["id"] for message in answers.inbox}, {"same"})
        self.assertEqual(len(output.read_text().splitlines()), 5)

    def test_a_device_that_is_not_there(self):
        self.lose(self.lamp())
        self.assertEqual(self.run_section("A device that is not there"), 3)
        lamp = self.lamp()
        eventually(lambda: lamp.shown() == [20])
        self.assertIn("it shows `lamp 20`", section("A device that is not there"))

    def test_groups(self):
        self.lose(self.lamp("lamp3"), "lamp3")
        self.lamp("lamp1"), self.lamp("lamp2")
        self.assertEqual(self.run_section("Groups"), 1)


class Tables(DeviceTest):
    """What the page lists is what there is."""

    def parameter(self, method, name):
        return next(param["schema"] for param in METHODS[method]["params"] if param["name"] == name)

    def test_states(self):
        history = METHODS["device.history"]["result"]["schema"]["properties"]["commands"]["items"]["properties"]
        commands, devices = tables("state")
        self.assertEqual(commands, history["state"]["enum"])
        self.assertEqual(devices, self.parameter("device.list", "state")["enum"])

    def test_policies(self):
        self.assertEqual(rows("`offline`"), self.parameter("device.call", "offline")["enum"])

    def test_errors(self):
        own = {error["err"] for method in (CALL, GROUP_CALL) for error in method["x-errors"]}
        self.assertEqual(sorted(rows("err")), sorted(own))

    def test_members_of_errors(self):
        schemas = {f"#/components/schemas/{name}": schema for name, schema in DOCUMENT["components"]["schemas"].items()}
        for error in CALL["x-errors"]:
            schema = schemas[error["schema"]["$ref"]]
            parts = [schema, *(schemas[part["$ref"]] for part in schema.get("allOf", ()))]
            self.assertLessEqual({"device", "id", "seen"}, {name for part in parts for name in part["properties"]}, error)

    def test_verdicts_of_groups(self):
        properties = GROUP_CALL["result"]["schema"]["properties"]
        self.assertEqual(rows("`ended`"), properties["ended"]["enum"])
        members = properties["results"]["items"]["properties"]
        self.assertEqual(sorted(rows("`status`")), sorted(members["status"]["enum"]))

    def test_members_of_a_hello(self):
        messages = json.loads((ROOT / "docs/asyncapi.json").read_text())["components"]["messages"]
        (hello,) = [message for name, message in messages.items() if name.endswith(".hello")]
        self.assertEqual(rows("member")[0], "(empty)")
        self.assertEqual(sorted(rows("member")[1:]), sorted(hello["payload"]["properties"]))

    def test_user_properties(self):
        """Those of the page are the members of device.call, and progress, which is no member."""
        members = {param["name"] for param in METHODS["device.call"]["params"]} - {"device", "command", "params"}
        own, of_groups = tables("property")
        self.assertEqual(set(own), members | {"progress"})
        self.begin("device_groups hall=lamp1")
        self.ready()
        app = self.app()
        for name in ", ".join(of_groups).split(", "):
            error = app.error(app.group("hall", "go", **{name.replace("-", "_"): "x"}))
            self.assert_error(error, "invalid_params")
            self.assertIn(name, error["msg"])

    def test_options(self):
        """Every option of the module is on the page, and every name there is one of the plugin's."""
        reference = (ROOT / "docs/reference.md").read_text()
        options = set(re.findall(r"`plugin_opt_(device_\w+)`", reference))
        named = set(re.findall(r"(?:\b|plugin_opt_)(device_[a-z_]+)", PAGE + section("Devices", OPERATION)))
        self.assertEqual(options - named, set())
        self.assertEqual(named - options - set(rows("err")), set())

    def test_methods(self):
        named = set(re.findall(r"`(device\.[a-z.]+)`", PAGE))
        self.assertLessEqual(named, set(METHODS))
        self.assertEqual({name for name in METHODS if name.startswith("device.")} - named, {"device.group.list"})

    def test_numbers_in_the_text(self):
        """The history has as many commands as the page says."""
        self.begin()
        app, device = self.app(), self.ready()
        for _ in range(20):
            call = app.call("lamp1", "go")
            device.serve()
            app.result(call)
        kept = int(re.search(r"the last (\d+) commands", PAGE).group(1))
        self.assertEqual(len(app.history("lamp1", 100)), kept)
        self.assertIn(f"| {kept} of a device", PAGE)


class Acl(DeviceTest):
    """The ACL file as it stands. Each of its lines allows something, which is denied without it, and no more than
    that."""

    FILE, OPTIONS = blocks(section("Access control"))[:2]
    # user, topics that the line allows, topics that resemble them and that no line allows
    WRITES = {
        "pattern write cmd/%u/resp": ("lamp1", ["cmd/lamp1/resp"], ["cmd/lamp2/resp", "cmd/lamp1/resp/x"]),
        "pattern write cmd/%u/hello": ("lamp1", ["cmd/lamp1/hello"], ["cmd/lamp2/hello", "cmd/lamp1/status"]),
        "topic write rpc/call/device/+/light": (
            "desk", ["rpc/call/device/lamp1/light", "rpc/call/device/lamp2/light"],
            ["rpc/call/device/lamp1/blink", "rpc/call/device/lamp1/light/request", "cmd/lamp1/req"]),
        "topic write rpc/call/device/+/getStatus": (
            "desk", ["rpc/call/device/lamp1/getStatus"], ["rpc/batch/device/lamp1/getStatus", "rpc/call/device.call"]),
        "topic write rpc/call/devices/+/light": (
            "desk", ["rpc/call/devices/hall/light", "rpc/call/devices/*/light"],
            ["rpc/call/devices/hall/getStatus", "rpc/call/device.group.set", "rpc/call/device.forget"]),
        "topic write cmd/+/resp": ("gateway", ["cmd/lamp1/resp", "cmd/lamp7/resp"], ["cmd/lamp7/req"]),
        "topic write cmd/+/hello": ("gateway", ["cmd/lamp7/hello"], ["cmd/lamp7/status", "rpc/call/device/lamp7/light"]),
    }
    # user, the topic of the scene that the line lets it read, a user that reads it by no line
    READS = {
        "pattern read cmd/%u/req": ("lamp1", "cmd/lamp1/req", "lamp2"),
        "topic read cmd/+/status": ("desk", "cmd/lamp1/status", "gateway"),
        "topic read rpc/event/device/command": ("desk", "rpc/event/device/command", "lamp1"),
        "topic read cmd/+/req": ("gateway", "cmd/lamp1/req", "desk"),
    }
    USERS = ("lamp1", "lamp2", "desk", "gateway")

    def lines(self):
        return [line for line in self.FILE.splitlines() if line and not line.startswith(("#", "user "))]

    def begin_guarded(self, without=None, **how):
        rules = "".join(f"{line}\n" for line in self.FILE.splitlines() if line != without)
        options = [line.removeprefix("plugin_opt_") for line in self.OPTIONS.splitlines()]
        return self.begin(*options, acl=rules, anonymous=False, users={name: "x" for name in self.USERS}, **how)

    def as_user(self, name, version=5, **how):
        return self.client(self.broker, version, username=name, password="x", **how)

    def may_write(self, user, topic):
        client = self.as_user(user)
        code = client.publish(topic, "{}", qos=1)
        client.close()
        return code != NOT_AUTHORIZED

    def test_every_line_is_tried(self):
        self.assertEqual(sorted([*self.WRITES, *self.READS]), sorted(self.lines()))

    def test_publications(self):
        """Also without the plugin, which refuses some of these itself."""
        for how in ({}, {"plugins": []}):
            self.begin_guarded(**how)
            for line, (user, allowed, denied) in self.WRITES.items():
                for topic in allowed:
                    with self.subTest(line=line, topic=topic, **how):
                        self.assertTrue(self.may_write(user, topic))
                for topic in denied:
                    with self.subTest(line=line, topic=topic, **how):
                        self.assertFalse(self.may_write(user, topic))

    def test_publications_without_the_line(self):
        for line, (user, allowed, _) in self.WRITES.items():
            self.begin_guarded(without=line)
            for topic in allowed:
                with self.subTest(line=line, topic=topic):
                    self.assertFalse(self.may_write(user, topic))
            self.broker.stop()

    def play(self):
        """A scene: lamp1 comes, is commanded by the desk, and answers. Returns who has read what."""
        clients = {name: self.as_user(name) for name in self.USERS}
        for client in clients.values():
            client.subscribe(*{topic for _, topic, _ in self.READS.values()}, qos=1, check=False)
        lamp, desk = clients["lamp1"], self.as_user("desk")
        lamp.publish("cmd/lamp1/hello", "", qos=1)
        desk.publish("rpc/call/device/lamp1/light", '{"on":true}', qos=1, properties=[
            (RESPONSE_TOPIC, "r"), (CORRELATION_DATA, new_identity().encode())])
        desk.ping()
        for client in clients.values():
            client.ping()
        command = next((message for message in lamp.inbox if message.topic == "cmd/lamp1/req"), None)
        if command:
            identity = json.loads(command.payload)["id"]
            lamp.publish("cmd/lamp1/resp", json.dumps({"id": identity, "result": {"on": True, "brightness": 5}}), qos=1)
            self.assertEqual(payload_of(desk.receive()), {"on": True, "brightness": 5})
        for client in clients.values():
            client.ping()
        return {(name, message.topic) for name, client in clients.items() for message in client.inbox}

    def test_what_is_read(self):
        self.begin_guarded()
        self.assertEqual(self.play(), {(user, topic) for user, topic, _ in self.READS.values()})
        for _, topic, stranger in self.READS.values():
            self.assertNotIn((stranger, topic), self.play())

    def test_what_is_read_without_the_line(self):
        for line, (user, topic, _) in self.READS.items():
            self.begin_guarded(without=line)
            with self.subTest(line=line):
                self.assertNotIn((user, topic), self.play())
            self.broker.stop()

    def test_the_gateway(self):
        self.begin_guarded()
        gateway, desk = self.as_user("gateway"), self.app(username="desk", password="x")
        gateway.subscribe("cmd/+/req")
        gateway.publish("cmd/lamp7/hello", "", qos=1)
        call = desk.call("lamp7", "getStatus")
        identity = payload_of(gateway.receive())["id"]
        gateway.publish("cmd/lamp7/resp", json.dumps({"id": identity, "result": {"on": True, "brightness": 7}}), qos=1)
        self.assertEqual(desk.result(call)["brightness"], 7)

    def test_delivery_to_the_client(self):
        """Commands go to the connection alone, and need no subscription; those behind a gateway go to that."""
        self.begin("device_delivery client", "device_gateways gateway", users={"gateway": "x"})
        app, spy = self.app(), self.client(self.broker)
        spy.subscribe("cmd/#")
        lamp, gateway = self.client(self.broker, client_id="lamp1"), self.as_user("gateway")
        for name, client in (("lamp1", lamp), ("lamp7", gateway)):
            client.publish(f"cmd/{name}/hello", "", qos=1)
            call = app.call(name, "go")
            identity = payload_of(client.receive())["id"]
            client.publish(f"cmd/{name}/resp", json.dumps({"id": identity, "result": 7}), qos=1)
            self.assertEqual(app.result(call), 7)
        spy.ping()
        self.assertEqual({message.topic for message in spy.inbox},
                         {f"cmd/{name}/{level}" for name in ("lamp1", "lamp7") for level in ("resp", "status")})

    def test_a_client_id_that_somebody_takes(self):
        """With the options of the page it is nobody's name. Without them, and without use_username_as_clientid, a
        client that has the id passes for the device."""
        for identity, lines, state in (("user", [], "offline"), ("client", [], "online"),
                                       ("client", ["use_username_as_clientid true"], "offline")):
            with self.subTest(identity=identity, lines=lines):
                self.begin(f"device_identity {identity}", users={"lamp1": "x", "eve": "x"}, anonymous=False, lines=lines)
                lamp, watcher = self.as_user("lamp1", client_id="lamp1"), self.watch(username="eve", password="x")
                lamp.publish("cmd/lamp1/hello", "", qos=1)
                lamp.disconnect()
                watcher.status("lamp1", "offline")
                watcher.client.disconnect()
                self.as_user("eve", client_id="lamp1").publish("anything", "x", qos=1)
                app = self.app(username="eve", password="x", client_id="other")
                self.assertEqual(app.status("lamp1")["state"], state)
                self.broker.stop()


class MovingOver(DeviceTest):
    """A plant that has talked over cmd/{device}/req and cmd/{device}/resp, one step after the other."""

    def open_plant(self, *options, **how):
        self.begin(*options, **how)
        self.press = self.device("press1").connect().listen()
        self.panel, self.stranger = self.client(self.broker, 4), self.client(self.broker, 5)
        self.panel.subscribe("cmd/press1/resp", qos=1)

    def request(self, identity):
        return json.dumps({"id": identity, "cmd": "close", "force": 7})

    def talk(self, identity="a1"):
        """The panel commands the press as it always has, and both get what they always got."""
        request = self.request(identity)
        self.panel.publish("cmd/press1/req", request, qos=1)
        self.assertEqual(self.press.client.receive().payload.decode(), request)
        answer = json.dumps({"id": identity, "result": "closed"})
        self.press.publish("resp", answer)
        message = self.panel.receive()
        self.assertEqual((message.topic, message.payload.decode()), ("cmd/press1/resp", answer))

    def may_forge(self):
        code = self.stranger.publish("cmd/press1/resp", '{"id":"zz","result":"forged"}', qos=1)
        if code != NOT_AUTHORIZED:
            self.assertIn(b"forged", self.panel.receive().payload)
        return code != NOT_AUTHORIZED

    def call(self):
        app = self.app()
        call = app.call("press1", "close", {"force": 7})
        self.press.serve()
        self.assertEqual(app.result(call), {"did": "close"})
        self.panel.receive()

    def test_before(self):
        """Nothing changes: with the plugin it is as without."""
        for how in ({"plugins": []}, {}):
            self.open_plant(**how)
            self.talk()
            self.talk()
            self.assertTrue(self.may_forge())
            self.panel.publish("cmd/press1/req", "no identity", qos=1)
            self.assertEqual(self.press.client.receive().payload, b"no identity")

    def test_the_first_step_by_a_hello(self):
        self.open_plant()
        self.press.hello()
        self.assertFalse(self.may_forge())
        self.call()
        self.assertEqual(self.app().status("press1")["state"], "ready")

    def test_the_first_step_by_option(self):
        self.open_plant("device_managed press1")
        self.assertFalse(self.may_forge())
        self.call()

    def test_the_second_step(self):
        self.open_plant()
        self.press.hello()
        self.talk("a1")
        self.panel.publish("cmd/press1/req", self.request("a1"), qos=1)
        self.press.expect_nothing()
        self.panel.publish("cmd/press1/req", "no identity", qos=1)
        self.assertEqual(self.press.client.receive().payload, b"no identity")
        for label in ("id", "tid", "request_id", "transaction"):
            self.assertIn(f"`{label}`", section("Moving over"))
            self.panel.publish("cmd/press1/req", json.dumps({label: "b1", "cmd": "close"}), qos=1)
            self.press.client.receive()
            self.press.publish("resp", json.dumps({label: "b1", "result": 1}))
            self.panel.receive()
            self.assertEqual(self.app().history("press1")["b1"]["state"], "succeeded")

    def test_errors_of_the_second_step(self):
        """They go to the application, and to nobody else."""
        self.open_plant()
        self.press.hello()
        watcher = self.watch()
        spy, modern = self.client(self.broker), self.client(self.broker, 5)
        spy.subscribe("cmd/press1/resp", "cmd/press1/resp/#", "answers")
        self.leave(self.press, watcher)
        self.panel.publish("cmd/press1/req", '{"id":"c1","cmd":"close"}', qos=1)
        message = self.panel.receive()
        self.assertEqual(message.topic, "cmd/press1/resp/c1")
        self.assertIn(b'"device_offline"', message.payload)
        modern.publish("cmd/press1/req", "close", qos=1, properties=[(RESPONSE_TOPIC, "answers"), (CORRELATION_DATA, b"c")])
        message = modern.receive()
        self.assertEqual((message.topic, property_of(message, CORRELATION_DATA)), ("answers", b"c"))
        self.assert_error(message, "device_offline")
        spy.expect_nothing()

    def test_the_third_step(self):
        """Applications of both kinds at the same time."""
        self.open_plant()
        self.press.hello()
        self.talk("d1")
        self.call()
        self.talk("d2")

    def test_the_fourth_step(self):
        self.open_plant("device_guard_requests true")
        self.press.hello()
        for payload in ('{"id":"e1","cmd":"close"}', "no identity"):
            self.assertEqual(self.stranger.publish("cmd/press1/req", payload, qos=1), NOT_AUTHORIZED)
        self.press.expect_nothing()
        self.call()

    def test_without_adoption(self):
        self.open_plant("device_adopt false")
        self.press.hello()
        for _ in range(2):
            self.talk("f1")  # no duplicates are known

    def test_elsewhere(self):
        self.begin("device_topic plant/devices")
        device, app = self.ready(root="plant/devices"), self.app()
        call = app.call("lamp1", "go")
        device.serve()
        self.assertEqual(app.result(call), {"did": "go"})
        self.broker.stop()
        self.begin("device_topic none")
        self.device().come()
        app = self.app()
        self.assert_error(app.error(app.call("lamp1", "go")), "device_unknown")


class Operation(DeviceTest):
    """What docs/operation.md says about devices."""

    def test_the_bridge(self):
        """The lamp is connected to another broker, whose bridge is a gateway of this one."""
        shown = next(block for block in blocks(section("Devices", OPERATION)) if "connection" in block)
        self.begin("device_gateways site1", users={"site1": "secret"})
        bridge = [line for line in shown.splitlines() if not line.startswith("plugin_opt_")]
        self.assertIn("plugin_opt_device_gateways site1", OPERATION)
        bridge = [line.replace("centre.example:1883", f"127.0.0.1:{self.broker.port}") for line in bridge]
        site = self.start(plugins=[], lines=[*bridge, "restart_timeout 1"])
        self.broker.wait_log("CONNACK to")
        watcher, app = self.watch(), self.app()
        lamp = self.client(site, 4, client_id="lamp1")
        lamp.subscribe("cmd/lamp1/req", qos=1)

        def hello():
            lamp.publish("cmd/lamp1/hello", "", qos=1)
            return app.rows("device.list")
        eventually(hello)
        watcher.status("lamp1", "ready")
        call = app.call("lamp1", "go")
        identity = payload_of(lamp.receive())["id"]
        lamp.publish("cmd/lamp1/resp", json.dumps({"id": identity, "result": 7}), qos=1)
        self.assertEqual(app.result(call), 7)
        site.stop()
        watcher.status("lamp1", "offline")

    def test_a_bridge_of_this_broker(self):
        """What it brings counts for no device, unless its local_username is that of a gateway."""
        site = self.start(plugins=[])
        for name, counts in (("other", False), ("site1", True)):
            lines = ["connection site", f"address 127.0.0.1:{site.port}", f"local_username {name}", "restart_timeout 1",
                     "topic cmd/+/req out 1", "topic cmd/+/resp in 1", "topic cmd/+/hello in 1"]
            self.begin("device_gateways site1", lines=lines)
            self.broker.wait_log("SUBACK")
            app, watcher = self.app(), self.client(self.broker)
            watcher.subscribe("cmd/+/hello", "cmd/+/resp")
            lamp = self.client(site, client_id="lamp1")
            lamp.subscribe("cmd/lamp1/req", qos=1)
            lamp.publish("cmd/lamp1/hello", "", qos=1)
            lamp.publish("cmd/lamp1/resp", "{}", qos=1)
            topics = [watcher.receive().topic]
            self.assertEqual(topics, ["cmd/lamp1/resp" if counts else "cmd/lamp1/hello"])
            self.assertEqual([row["device"] for row in app.rows("device.list")], ["lamp1"] if counts else [])
            if counts:
                call = app.call("lamp1", "go")
                identity = payload_of(lamp.receive())["id"]
                lamp.publish("cmd/lamp1/resp", json.dumps({"id": identity, "result": 7}), qos=1)
                self.assertEqual(app.result(call), 7)
            lamp.close()
            self.broker.stop()

    @patient
    def test_response_topics_of_adopted_requests(self):
        """A filter that covers cmd/+/resp/# lets an MQTT 3 application have its errors."""
        self.assertIn("`cmd/+/resp/#`", section("Devices", OPERATION))
        for options in (["response_topic_filter cmd/+/resp/#"], []):
            self.begin(*options, f"timeout {SHORT * self.pace}ms")
            device, panel = self.ready(), self.client(self.broker, 4)
            panel.subscribe("cmd/lamp1/resp")
            panel.publish("cmd/lamp1/req", '{"id":"a1","cmd":"go"}', qos=1)
            device.serve()
            self.assertEqual(panel.receive().topic, "cmd/lamp1/resp")
            panel.publish("cmd/lamp1/req", '{"id":"a2","cmd":"go"}', qos=1)
            self.assertEqual(panel.receive().topic, "cmd/lamp1/resp/a2")
            self.broker.stop()

    def test_requests_that_may_get_no_reply(self):
        """They reach the device all the same."""
        for options in (["response_topic_filter answers/#"], ["reply_delivery subscribed"]):
            self.begin(*options)
            device = self.ready()
            for version in (4, 5):
                panel = self.client(self.broker, version)
                panel.subscribe("cmd/lamp1/resp")
                panel.publish("cmd/lamp1/req", f'{{"id":"b{version}","cmd":"go"}}', qos=1)
                device.serve()
                self.assertEqual(panel.receive().topic, "cmd/lamp1/resp")
            self.broker.stop()

    def test_the_database(self):
        """Its file appears when there is something to write, and belongs to the broker's user alone."""
        self.begin()
        path = self.broker.directory / "devices.db"
        self.app().method("device.list", {})
        self.assertFalse(path.exists())
        self.ready()
        eventually(path.exists)
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)


if __name__ == "__main__":
    main()
