"""Follows docs/deploy.md as an operator would: does the steps of each section as they stand, and then tries what the
section says of the broker that it has made."""
import json
import re
import unittest

from harness import ROOT, BrokerTest, ask, eventually, main, payload_of, result_of
from machine import Machine
from mqtt import NOT_AUTHORIZED, RESPONSE_TOPIC, Closed
from pages import section

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

    def test_what_the_rules_allow(self):
        lamp, other, panel, desk = (self.user(self.broker, name) for name in ("lamp1", "lamp2", "panel", "desk"))
        allowed = {lamp: ["cmd/lamp1/hello", "cmd/lamp1/resp", "rpc/call/updateSensor", "rpc/batch/updateSensor"],
                   panel: ["rpc/call/ping", "rpc/call/getSensor", "rpc/call/listSensors"],
                   desk: ["rpc/call/device/lamp1/light", "rpc/call/device/lamp1/getStatus"],
                   self.user(self.broker, "admin"): ["rpc/call/forgetSensor", "rpc/call/device.forget"]}
        topics = [topic for rules in allowed.values() for topic in rules] + ["cmd/lamp1/req", "rpc/event/sensor/hall", "rpc/jsonrpc"]
        everybody = ["rpc/call/updateSensor", "rpc/batch/updateSensor"]
        for client, rules in allowed.items():
            for topic in topics:
                with self.subTest(client=client.client_id, topic=topic):
                    admin = client.connack_properties is not None and topic.startswith("rpc/call/") and "forgetSensor" in rules[0]
                    denied = client.publish(topic, "{}", qos=1) == NOT_AUTHORIZED
                    self.assertEqual(denied, not (topic in rules + everybody or admin))
        self.assertEqual(other.publish("cmd/lamp1/resp", "{}", qos=1), NOT_AUTHORIZED)

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


class Tls(DeployTest):
    def setUp(self):
        text = part("## A user for each device")
        self.broker = self.machine()
        self.broker.follow(text[:text.index("### Users who come and go")])
        self.broker.follow(part("## TLS with passwords"))

    def certificates(self):
        text = part("## TLS with client certificates")
        self.broker.follow(text[:text.index("### A device that was stolen")])

    def call(self, options, port=8883, response="rpc/reply/panel/1"):
        return self.broker.run(f"mosquitto_rr -h broker.example -p {port} {options} -W 5 -V 5 -t rpc/call/ping -e {response} -n",
                               check=False)

    def test_a_client_that_knows_another_authority(self):
        self.broker.run("cd ~/rpc-ca; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 9 "
                        "-subj '/CN=Somebody' -keyout other.key -out other.crt")
        user = f"-u panel -P {self.broker.password('panel')}"
        self.assertNotIn("ok", self.call(f"--cafile ~/rpc-ca/other.crt {user}"))
        self.assertNotIn("ok", self.call(f"--cafile ~/rpc-ca/ca.crt -u panel -P wrong"))
        self.assertNotIn("ok", self.call(user))
        self.assertIn('"ok":true', self.call(f"--cafile ~/rpc-ca/ca.crt {user}"))

    def test_old_versions_of_tls(self):
        self.assertIn("TLSv1.2", self.broker.run("openssl s_client -connect localhost:$PORT -tls1_2 </dev/null 2>&1 || true"
                                                 .replace("$PORT", str(self.broker.tls_port))))
        old = self.broker.run(f"openssl s_client -connect localhost:{self.broker.tls_port} -tls1_1 -cipher DEFAULT@SECLEVEL=0 "
                              "</dev/null 2>&1 || true")
        self.assertRegex(old, r"Cipher is \(NONE\)|no protocols|alert")

    def test_a_new_certificate_without_a_restart(self):
        client = self.user(self.broker, "panel", port=self.broker.tls_port, tls=True)
        shown = f"openssl s_client -connect localhost:{self.broker.tls_port} </dev/null 2>/dev/null | openssl x509 -noout -serial"
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


if __name__ == "__main__":
    main()
