"""Follows docs/deploy.md as an operator would: does the steps of each section as they stand, and then tries what the
section says of the broker that it has made."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import unittest

from harness import (ROOT, TIMEOUT, BrokerExited, BrokerTest, ask, broker_version, eventually, has_websockets, main,
                     payload_of, result_of)
from machine import PLAIN, Machine, library, steps
from mqtt import CONTENT_TYPE, CORRELATION_DATA, NOT_AUTHORIZED, RESPONSE_TOPIC, USER_PROPERTY, Closed
from pages import blocks, section
from test_observe import Exporter

PAHO = os.environ.get("RPC_PAHO_PYTHON")
PAGE = (ROOT / "docs/deploy.md").read_text()


def part(heading):
    return section(PAGE, heading)


class DeployTest(BrokerTest):
    def machine(self, hosts=None):
        machine = Machine(hosts)
        self.addCleanup(machine.clean_up)
        self.addCleanup(machine.stop)
        self.addCleanup(self._show_log, machine)
        return machine

    def after(self, *headings):
        """A machine on which all steps of these sections are done."""
        machine = self.machine()
        for heading in headings:
            machine.follow(part(heading))
        return machine

    def user(self, machine, name, version=5, **how):
        return self.client(machine, version, username=name, password=machine.password(name), **how)


class ThePage(unittest.TestCase):
    def test_every_block_is_tried(self):
        """The tests name each section that has blocks; scripts/container does those of the container."""
        source = "".join(path.read_text() for path in pathlib.Path(__file__).parent.glob("test_deploy*.py"))
        parts, above = re.split(r"^(###? .*)$", PAGE, flags=re.MULTILINE), ""
        for heading, text in zip(parts[1::2], parts[2::2]):
            above = heading if heading.startswith("## ") else above
            if steps(text):
                self.assertTrue(f'part("{heading}")' in source or f'part("{above}")' in source, heading)

    def test_every_block_is_known(self):
        for language, content in steps(PAGE):
            self.assertIn(language, {"sh", "conf", "acl", "ini", "json", "text", "python", "docker"})
            if language in ("conf", "acl", "ini"):
                self.assertRegex(content, r"^# ~?/\S+(, more at its end)?\n")
        self.assertEqual(len(re.findall(r"^```", PAGE, re.MULTILINE)), 2 * len(steps(PAGE)))


class Users(DeployTest):
    def setUp(self):
        self.broker = self.machine()
        text = part("## A user for each device")
        self.broker.follow(text[:text.index("### Users who come and go")])

    def test_no_warning_but_the_one_that_the_page_names(self):
        warnings = re.findall(r"Warning: (.*)|Error: (.*)", self.broker.log())
        self.assertTrue(all("does not contain" in first for first, _ in warnings), warnings)

    def test_users_who_come_and_go(self):
        gone, stays = self.user(self.broker, "lamp2"), self.user(self.broker, "panel")
        self.broker.follow(part("### Users who come and go"))
        with self.assertRaises((Closed, AssertionError)):
            self.user(self.broker, "lamp2")
        with self.assertRaises(Closed):
            while True:
                gone.receive()
        self.assertIn("ok", result_of(ask(stays, "ping", topic="rpc/reply/panel/1")))

    OPERATORS = ("dead.list", "dead.get", "dead.replay", "dead.drop", "rpc.recent", "rpc.running", "rpc.stats")

    def test_what_operators_alone_see(self):
        """The page names their methods. What a client has sent, and who it is, nobody else learns."""
        text = part("### Who may call what")
        for name in self.OPERATORS:
            self.assertIn(f"`{name}`", text)
        admin, *others = (self.user(self.broker, name) for name in ("admin", "panel", "desk", "monitor", "lamp2"))
        topics = ("rpc/dead/#", "$SYS/broker/rpc/rpc/span", "$SYS/broker/rpc/rpc/method/#", "$SYS/broker/rpc/#", "#")
        for client in others:
            client.subscribe(*topics, check=False)
            client.ping()
            client.inbox.clear()
        admin.subscribe("rpc/dead/#", "$SYS/broker/rpc/rpc/span")
        sampled = (USER_PROPERTY, ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
        lamp = self.user(self.broker, "lamp1")
        lamp.publish("rpc/call/updateSensor", '{"sensor_id":"secret"}', qos=1, properties=[sampled])
        found = {message.topic: message.payload for message in (admin.receive(), admin.receive())}
        self.assertIn(b"secret", found["rpc/dead/updateSensor"])
        self.assertIn(b"lamp1", found["$SYS/broker/rpc/rpc/span"])
        for client in others:
            client.ping()
            self.assertFalse([message for message in client.inbox
                              if b"secret" in message.payload or b"lamp1" in message.payload])

    def test_a_monitor(self):
        monitor = self.user(self.broker, "monitor")
        monitor.subscribe("$SYS/broker/rpc/rpc/health")
        self.assertTrue(payload_of(monitor.receive())["ok"])
        for method in ("rpc.health", "rpc.metrics"):
            result_of(ask(monitor, method, topic="rpc/reply/monitor/1"))

    @unittest.skipUnless(PAHO, "there is no paho-mqtt")
    def test_the_exporter_of_a_monitor(self):
        """With the options that the page names; another client id is none of the user's."""
        [options] = re.findall(r"`(--user monitor --id\s+monitor)`", part("### Who may call what"))
        for words, is_up in ((options.split(), 1), (["--user", "monitor", "--id", "other", "--timeout", "1"], 0)):
            exporter = Exporter(self.broker, *words, password=self.broker.password("monitor"))
            self.addCleanup(exporter.stop)
            exporter.fetch_when(f'mosquitto_rpc_up{{prefix="rpc"}} {is_up}')

    def test_what_the_rules_allow(self):
        """Each user tries each topic."""
        everybody = {"rpc/call/updateSensor", "rpc/batch/updateSensor"}
        allowed = {"lamp1": {"cmd/lamp1/hello", "cmd/lamp1/resp"}, "lamp2": set(),
                   "panel": {"rpc/call/ping", "rpc/call/getSensor", "rpc/call/listSensors"},
                   "desk": {"rpc/call/device/lamp1/light", "rpc/call/device/lamp1/getStatus"},
                   "monitor": {"rpc/call/rpc.health", "rpc/call/rpc.metrics"}}
        topics = everybody.union({"rpc/call/forgetSensor", "rpc/call/device.forget", "rpc/call/device/lamp1/other",
                                  "rpc/batch/getSensor", "rpc/jsonrpc", "rpc/event/sensor/hall", "cmd/lamp1/req",
                                  "cmd/lamp1/status", "rpc/dead/ping", "$SYS/broker/rpc/rpc/health"},
                                 {f"rpc/call/{name}" for name in self.OPERATORS}, *allowed.values())
        allowed["admin"] = {topic for topic in topics if topic.startswith("rpc/call/")}
        for name, rules in allowed.items():
            client = self.user(self.broker, name)
            for topic in sorted(topics):
                with self.subTest(user=name, topic=topic):
                    denied = client.publish(topic, "{}", qos=1) == NOT_AUTHORIZED
                    self.assertEqual(denied, topic not in rules | everybody)

    def test_a_device_and_a_desk(self):
        """A command reaches its device alone, and its answer the desk alone."""
        lamp, other, desk = (self.user(self.broker, name) for name in ("lamp1", "lamp2", "desk"))
        other.subscribe("cmd/#", "rpc/#")
        lamp.subscribe("cmd/lamp1/req", qos=1)
        lamp.publish("cmd/lamp1/hello", qos=1)
        desk.publish("rpc/call/device/lamp1/light", '{"on":true}', qos=1, properties=[(RESPONSE_TOPIC, "rpc/reply/desk/1")])
        command = payload_of(lamp.receive())
        lamp.publish("cmd/lamp1/resp", json.dumps({"id": command["id"], "result": {"on": True, "brightness": 9}}), qos=1)
        self.assertEqual(payload_of(desk.receive()), {"on": True, "brightness": 9})
        other.expect_nothing()

    def waiting_reply(self):
        """A reply that waits in the session of the user panel."""
        panel = self.user(self.broker, "panel", clean=False, auto_ack=False)
        panel.publish("rpc/call/ping", qos=1, properties=[(RESPONSE_TOPIC, "rpc/reply/panel/late")])
        panel.receive()
        panel.close()

    def test_only_the_owner_gets_what_waited_for_it(self):
        """Another user that says it were the panel is not, and has a session of its own."""
        self.waiting_reply()
        thief = self.user(self.broker, "lamp1", client_id="panel", clean=False)
        thief.subscribe("rpc/reply/panel/#", "#")
        self.assertFalse(thief.session_present)
        thief.expect_nothing()
        panel = self.user(self.broker, "panel", clean=False)
        self.assertTrue(panel.session_present)
        self.assertEqual(panel.receive().topic, "rpc/reply/panel/late")

    def test_a_reply_goes_to_no_topic_of_others(self):
        panel, admin = self.user(self.broker, "panel"), self.user(self.broker, "admin")
        admin.subscribe("rpc/event/error")
        for topic in ("rpc/reply/desk/1", "my/replies", "cmd/lamp1/req"):
            panel.publish("rpc/call/ping", qos=1, properties=[(RESPONSE_TOPIC, topic)])
            self.assert_error(admin.receive(), "invalid_request")
        panel.expect_nothing()

    def test_a_wrong_password(self):
        for name, password in (("panel", "x"), ("nobody", "x"), (None, None)):
            with self.assertRaises((AssertionError, Closed)):
                self.client(self.broker, username=name, password=password)


class Settings(DeployTest):
    def setUp(self):
        self.broker = self.machine()
        text = part("## A user for each device")
        self.broker.follow(text[:text.index("### Users who come and go")])
        self.broker.follow(part("## Changing settings"))
        self.admin = self.user(self.broker, "admin")

    def ask(self, method):
        return result_of(ask(self.admin, method, topic="rpc/reply/admin/1"))

    def test_a_mistake(self):
        """All settings stay as they were, and rpc.health says so; who calls notices nothing."""
        path = self.broker.directory / "etc/mosquitto/rpc.settings"
        self.assertTrue(self.ask("rpc.health")["config"]["ok"])
        groups = self.ask("device.group.list")
        self.assertEqual([group["group"] for group in groups["groups"]], ["hall"])
        kept = path.read_text()
        path.write_text("methods_off ping\nrate_limit many\n")
        self.broker.reload()
        config = self.ask("rpc.health")["config"]
        self.assertFalse(config["ok"])
        self.assertIn("line 2: rate_limit: 'many' is not accepted", config["error"])
        self.assertTrue(self.ask("ping")["ok"])
        self.assertEqual(self.ask("device.group.list"), groups)
        path.write_text(kept)
        self.broker.reload()
        self.assertTrue(self.ask("rpc.health")["config"]["ok"])


class TlsTest(DeployTest):
    """With the users, the rules and TLS."""

    def setUp(self):
        text = part("## A user for each device")
        self.broker = self.machine()
        self.broker.follow(text[:text.index("### Users who come and go")])
        self.broker.follow(part("## TLS with passwords"))


class Tls(TlsTest):
    def certificates(self):
        text = part("## TLS with client certificates")
        self.broker.follow(text[:text.index("### A device that was stolen")])

    def call(self, options, port=8883, response="rpc/reply/panel/1"):
        return self.broker.run(f"mosquitto_rr -h broker.example -p {port} {options} -W 5 -V 5 -t rpc/call/ping "
                               f"-e {response} -n", check=False)

    def test_a_client_that_knows_another_authority(self):
        self.broker.run("cd ~/rpc-ca; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 9 "
                        "-subj '/CN=Somebody' -keyout other.key -out other.crt")
        user = f"-u panel -P {self.broker.password('panel')}"
        self.assertNotIn("ok", self.call(f"--cafile ~/rpc-ca/other.crt {user}"))
        self.assertNotIn("ok", self.call("--cafile ~/rpc-ca/ca.crt -u panel -P wrong"))
        self.assertNotIn("ok", self.call(user))
        self.assertIn('"ok":true', self.call(f"--cafile ~/rpc-ca/ca.crt {user}"))

    def test_old_versions_of_tls(self):
        new = self.broker.run(f"openssl s_client -connect localhost:{self.broker.tls_port} -tls1_2 </dev/null 2>&1 || true")
        self.assertIn("TLSv1.2", new)
        old = self.broker.run(f"openssl s_client -connect localhost:{self.broker.tls_port} -tls1_1 "
                              "-cipher DEFAULT@SECLEVEL=0 </dev/null 2>&1 || true")
        self.assertRegex(old, r"SSL alert number \d+")  # the broker's word, not that of this client

    def test_a_new_certificate_without_a_restart(self):
        client = self.user(self.broker, "panel", port=self.broker.tls_port, tls=True)
        shown = (f"openssl s_client -connect localhost:{self.broker.tls_port} </dev/null 2>/dev/null | "
                 "openssl x509 -noout -serial")
        before = self.broker.run(shown)
        self.broker.do("cd ~/rpc-ca\nopenssl ca -batch -notext -config ca.cnf -in server.csr -out server.crt\n"
                       "sudo install -m 644 server.crt /etc/mosquitto/certs\nsudo systemctl reload mosquitto\n")
        self.assertNotEqual(self.broker.run(shown), before)
        self.assertTrue(result_of(ask(client, "ping", topic="rpc/reply/panel/1"))["ok"])

    def test_the_key_is_the_brokers_alone(self):
        self.assertEqual((self.broker.directory / "etc/mosquitto/certs/server.key").stat().st_mode & 0o777, 0o600)

    def test_client_certificates(self):
        """The name in the certificate is user and client id, whatever the client says."""
        self.certificates()
        own = "--cafile ~/rpc-ca/ca.crt --cert ~/rpc-ca/lamp4.crt --key ~/rpc-ca/lamp4.key"
        denied = self.broker.run(f"mosquitto_pub -h broker.example -p 8884 {own} -u admin -P x -i admin -V 5 -q 1 "
                                 "-t rpc/call/forgetSensor -m '{\"sensor_id\":\"roof\"}'", check=False)
        self.assertIn("Not authorized", denied)
        self.assertRegex(self.broker.log(), r"connected from [0-9.:]+ as lamp4 \(p5, c1, k60, u'lamp4'\)")
        self.assertNotIn("as admin ", self.broker.log())
        seen = len(self.broker.log())
        taken = self.broker.run(f"mosquitto_pub -h broker.example -p 8884 --cafile ~/rpc-ca/ca.crt -u panel "
                                f"-P {self.broker.password('panel')} -V 5 -q 1 -t rpc/call/ping -n 2>&1; true", check=False)
        self.assertNotEqual(taken, "")
        self.assertNotIn("as panel ", self.broker.log()[seen:])

    def test_a_stolen_device(self):
        self.certificates()
        own = "-h broker.example -p 8884 --cafile ~/rpc-ca/ca.crt --cert ~/rpc-ca/lamp4.crt --key ~/rpc-ca/lamp4.key"
        publish = f"mosquitto_pub {own} -V 5 -q 1 -t cmd/lamp4/hello -n && echo published; true"
        self.assertIn("published", self.broker.run(publish))
        self.broker.follow(part("### A device that was stolen"))
        self.assertNotIn("published", self.broker.run(publish))


class WebSockets(TlsTest):
    """Beside the listener with TLS."""

    def setUp(self):
        if not has_websockets():
            self.skipTest("this broker has no WebSockets")
        super().setUp()
        self.broker.follow(part("## WebSockets"))

    @unittest.skipUnless(PAHO, "there is no paho-mqtt")
    def test_the_program_in_python(self):
        """It runs as it stands, but for the broker's name and port."""
        [program] = blocks(part("## WebSockets"), "python")
        program = program.replace('"broker.example", 9001', f'"localhost", {self.broker.websockets_port}')
        done = subprocess.run([PAHO, "-c", program], capture_output=True, text=True, timeout=TIMEOUT, check=False,
                              env={**self.broker.operator(), "PASSWORD": self.broker.password("panel")})
        self.assertIn('"ok":true', done.stdout, done.stderr)

    def test_a_browsers_client(self):
        panel = self.user(self.broker, "panel", port=self.broker.websockets_port, tls=True, websocket=True)
        self.assertTrue(result_of(ask(panel, "ping", topic="rpc/reply/panel/1"))["ok"])
        self.assertEqual(panel.publish("rpc/call/forgetSensor", "{}", qos=1), NOT_AUTHORIZED)


class PerListenerSettings(TlsTest):
    def setUp(self):
        super().setUp()
        self.broker.follow(part("## per_listener_settings"))

    def test_those_who_only_watch(self):
        watcher = self.client(self.broker, 5)
        lamp = self.user(self.broker, "lamp1", port=self.broker.tls_port, tls=True)
        watcher.subscribe("#")
        for topic in ("rpc/call/ping", "rpc/event/sensor/hall", "cmd/lamp1/hello", "rpc/call/ping/response/1"):
            self.assertEqual(watcher.publish(topic, "{}", qos=1), NOT_AUTHORIZED)
        watcher.receive()  # the retained state of the sensor
        ask(lamp, "updateSensor", {"sensor_id": "yard", "value": 1}, topic="rpc/reply/lamp1/1")
        self.assertEqual({watcher.receive().topic for _ in range(2)}, {"rpc/event/sensor/yard", "rpc/event/sensorUpdated"})

    def test_a_plugin_line_in_the_wrong_place(self):
        """Above the first listener it serves nobody, and calls are ordinary messages; later brokers do not start."""
        path = self.broker.directory / "etc/mosquitto/conf.d/rpc.conf"
        lines = path.read_text().splitlines()
        ours = [line for line in lines if line.startswith("plugin")]
        others = [line for line in lines[2:] if line not in ours]
        path.write_text("\n".join(["per_listener_settings true", *ours, *others]) + "\n")
        if broker_version() >= (2, 1):
            with self.assertRaises(BrokerExited):
                self.broker.restart()
            return
        self.broker.restart()
        lamp = self.user(self.broker, "lamp1", port=self.broker.tls_port, tls=True)
        lamp.publish("rpc/call/updateSensor", "{}", qos=1, properties=[(RESPONSE_TOPIC, "rpc/reply/lamp1/1")])
        lamp.expect_nothing()


class TwoPrefixes(DeployTest):
    def setUp(self):
        text = part("## A user for each device")
        self.broker = self.machine()
        self.broker.follow(text[:text.index("### Users who come and go")])
        self.broker.follow(part("## Two prefixes for two environments"))

    def test_they_share_nothing(self):
        panel, desk = self.user(self.broker, "panel"), self.user(self.broker, "desk")
        desk.subscribe("dev/rpc/event/#", "prod/rpc/event/#")
        desk.receive()  # the retained state of the sensor
        self.assertEqual(desk.publish("prod/rpc/call/ping", qos=1), NOT_AUTHORIZED)
        self.assertEqual(panel.publish("dev/rpc/call/ping", qos=1), NOT_AUTHORIZED)
        result_of(ask(panel, "updateSensor", {"sensor_id": "hall", "value": 5}, prefix="prod/rpc", topic="r"))
        desk.expect_nothing()
        result_of(ask(self.user(self.broker, "desk"), "forgetSensor", {"sensor_id": "hall"}, prefix="dev/rpc", topic="r"))
        self.assertEqual(result_of(ask(panel, "getSensor", {"sensor_id": "hall"}, prefix="prod/rpc", topic="r"))["value"], 5)


@unittest.skipUnless(os.path.isabs(library("mosquitto_dynamic_security.so")) and shutil.which("mosquitto_ctrl"),
                     "there is no dynamic-security plugin, or no mosquitto_ctrl")
class DynamicSecurity(DeployTest):
    def setUp(self):
        self.broker = self.after("## The dynamic-security plugin")
        left = (self.broker.home / ".left").read_text()
        self.passwords = {user: re.search(rf'{name}="(\w+)"', left)[1] for user, name in
                          (("operator", "admin"), ("panel1", "panel"), ("lamp1", "lamp"))}

    def user(self, name, version=5, **how):
        return self.client(self.broker, version, username=name, password=self.passwords[name], **{"client_id": name, **how})

    def test_roles(self):
        panel, lamp = self.user("panel1"), self.user("lamp1")
        panel.subscribe("rpc/event/#")
        result_of(ask(lamp, "updateSensor", {"sensor_id": "a", "value": 1}, topic="rpc/reply/lamp1/1"))
        self.assertEqual({panel.receive().topic for _ in range(2)}, {"rpc/event/sensor/a", "rpc/event/sensorUpdated"})
        self.assertEqual(result_of(ask(panel, "getSensor", {"sensor_id": "a"}, topic="rpc/reply/panel1/1"))["value"], 1)
        for client, topic in ((panel, "rpc/call/forgetSensor"), (panel, "cmd/lamp1/req"), (lamp, "rpc/call/getSensor"),
                              (lamp, "cmd/lamp2/hello"), (self.user("operator"), "rpc/call/ping")):
            self.assertEqual(client.publish(topic, '{"sensor_id":"a"}', qos=1), NOT_AUTHORIZED)

    def test_a_client_has_its_client_id(self):
        for name, other in (("lamp1", "panel1"), ("panel1", "lamp1")):
            with self.assertRaises((AssertionError, Closed)):
                self.user(name, client_id=other)

    def test_a_client_that_is_disabled(self):
        lamp = self.user("lamp1")
        [command] = re.findall(r"`(control disableClient lamp1)`", part("## The dynamic-security plugin"))
        self.broker.run(command)
        with self.assertRaises(Closed):
            lamp.receive()
        with self.assertRaises((AssertionError, Closed)):
            self.user("lamp1")


class Bridges(TlsTest):
    """self.broker is the centre."""

    def setUp(self):
        super().setUp()
        self.broker.follow(part("### At the centre"))

    def open_bridge(self, change=None):
        """The site, whose bridge is connected. change: of the text of its configuration."""
        site = self.machine({"centre.example": self.broker})
        shutil.copy(self.broker.home / "rpc-ca/ca.crt", site.home)
        site.write(PLAIN)
        site.start()
        text = part("### At the site").replace("SECRET", self.broker.password("site1"))
        site.follow(change(text) if change else text)
        self.connected(site)
        return site

    def connected(self, site):
        """Waits until the bridge works in both directions."""
        state = self.client(site)
        state.subscribe("$SYS/broker/connection/#")
        eventually(lambda: state.receive().payload == b"1")
        state.disconnect()

    def watch(self, *topics):
        """The events that a client sees at the centre; the rules of the page give it to no user."""
        rules = self.broker.directory / "etc/mosquitto/rpc.acl"
        more = "".join(f"topic read {topic}\n" for topic in topics)
        rules.write_text(rules.read_text().replace("user admin\n", f"user admin\n{more}"))
        self.broker.reload()
        admin = self.user(self.broker, "admin")
        admin.subscribe(*topics, qos=2)
        while "#" in topics and admin.receive().topic != "rpc/event/sensor/hall":
            pass  # what the centre has retained
        return admin

    def test_calls_stay_local_and_events_cross_once(self):
        """Even where a line of the bridge names calls."""
        site = self.open_bridge(lambda text: text.replace("topic event", "topic rpc/call/# out 2\ntopic event"))
        admin, client, at_site = self.watch("#"), self.client(site, 5), self.client(site)
        at_site.subscribe("#")
        result_of(ask(client, "updateSensor", {"sensor_id": "a", "value": 1}, topic="r"))
        client.publish("rpc/call/ping", qos=1)
        topics = ["rpc/event/sensor/a", "rpc/event/sensorUpdated", "rpc/event/pong"]
        self.assertEqual([at_site.receive().topic for _ in topics], topics)
        self.assertEqual([admin.receive().topic for _ in topics], [f"site1/{topic}" for topic in topics])
        admin.expect_nothing()
        at_site.expect_nothing()
        self.assertIn("PUBLISH from site1", self.broker.log())
        self.assertNotRegex(self.broker.log(), "PUBLISH from site1 .*rpc/call")

    def test_events_of_a_time_without_a_link(self):
        site = self.open_bridge()
        self.watch("site1/rpc/event/sensorUpdated").disconnect()
        admin, client = self.user(self.broker, "admin", clean=False), self.client(site, 5)
        admin.subscribe("site1/rpc/event/sensorUpdated", qos=2)
        admin.disconnect()
        self.broker.stop()
        for value in range(20):
            result_of(ask(client, "updateSensor", {"sensor_id": "a", "value": value}, topic="r"))
        self.broker.start()
        admin = self.user(self.broker, "admin", clean=False)
        self.assertEqual([payload_of(admin.receive())["value"] for _ in range(20)], list(range(20)))
        admin.expect_nothing()

    def test_retained_events(self):
        site = self.open_bridge()
        result_of(ask(self.client(site, 5), "updateSensor", {"sensor_id": "a", "value": 1}, topic="r"))
        self.watch("site1/rpc/event/sensor/a").receive()
        again = self.user(self.broker, "admin")
        again.subscribe("site1/rpc/event/sensor/a")
        self.assertTrue(again.receive().retain)

    def test_what_a_bridge_of_mqtt_3_loses(self):
        """The page names traceparent, too: an event of a call that has one."""
        sent = [(CONTENT_TYPE, "text/plain"), (RESPONSE_TOPIC, "r"), (CORRELATION_DATA, b"1"), (USER_PROPERTY, ("a", "b"))]
        traced = (USER_PROPERTY, ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"))
        more = '\ntopic note/# out 1 "" site1/rpc/event/\n'
        for protocol, kept in (("mqttv50", sent), ("mqttv311", [])):
            with self.subTest(protocol=protocol):
                site = self.open_bridge(lambda text, to=protocol: text.replace("mqttv50", to).replace(
                    "site1/rpc/\n", f"site1/rpc/{more}"))
                admin = self.watch("site1/rpc/event/#")
                self.client(site, 5).publish("note/1", "x", qos=1, properties=sent)
                note = admin.receive()
                self.assertEqual((note.payload, sorted(note.properties)), (b"x", sorted(kept)))
                self.client(site, 5).publish("rpc/call/ping", qos=1, properties=[traced])
                pong = admin.receive()
                self.assertTrue(payload_of(pong)["ok"])
                names = [value[0] for name, value in pong.properties if name == USER_PROPERTY]
                self.assertEqual(names, ["traceparent"] if kept else [])
                site.stop()

    def test_the_centre_lets_no_other_events_in(self):
        site = self.open_bridge(lambda text: text.replace("topic event/# out 2 rpc/ site1/rpc/", "topic # out 2"))
        admin, client = self.watch("#"), self.client(site)
        for topic in ("rpc/event/sensorUpdated", "rpc/call/forgetSensor", "cmd/lamp1/resp", "cmd/lamp1/req"):
            client.publish(topic, "{}", qos=2)
        client.publish("site1/rpc/event/marker", "x", qos=2)
        self.assertEqual(admin.receive().topic, "site1/rpc/event/marker")

    def test_events_as_the_centres_own(self):
        """Without the option the plugin refuses them, although the rules allow them."""
        blocks_of = {language: content for language, content in steps(part("### Events of sites as events of the centre"))}
        self.broker.write(blocks_of["acl"])
        self.broker.restart()
        line = re.search(r"At the site the line is `([^`]*)`", PAGE)[1]
        site = self.open_bridge(lambda text: text.replace("topic event/# out 2 rpc/ site1/rpc/", line))
        admin = self.watch("rpc/event/pong")
        self.client(site).publish("rpc/call/ping", qos=1)
        self.broker.wait_log(r"mosquitto-rpc: .*refused.*|Received PUBLISH from site1 .*rpc/event/pong")
        admin.expect_nothing()
        self.broker.write(blocks_of["conf"])
        self.broker.restart()
        self.connected(site)
        admin = self.user(self.broker, "admin")
        admin.subscribe("rpc/event/pong")
        self.client(site).publish("rpc/call/ping", qos=1)
        self.assertTrue(payload_of(admin.receive())["ok"])
        self.assertEqual(self.user(self.broker, "lamp1").publish("rpc/event/pong", "{}", qos=1), NOT_AUTHORIZED)


if __name__ == "__main__":
    main()
