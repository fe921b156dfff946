"""docs/console.md and the files of examples/console: how the page is served, behind nginx, too, and the rights of a viewer
and an operator, of whom each right is tried by clients that have it and by clients that lack it.

RPC_NGINX is nginx, or a folder in which Debian's package and what it needs is unpacked."""
import json
import os
import pathlib
import re
import shutil
import ssl
import subprocess
import unittest
import urllib.error
import urllib.request

from harness import (PLUGIN, ROOT, TIMEOUT, BrokerTest, ask, broker_version, encode, eventually, free_port, has_websockets, main,
                     release_port, result_of)
from machine import SERVICE_USER, Machine
from mqtt import NOT_AUTHORIZED, RESPONSE_TOPIC
from pages import blocks, rows, run_with_passwords, section

PAGE = (ROOT / "docs/console.md").read_text()
EXAMPLES = ROOT / "examples/console"
NGINX = os.environ.get("RPC_NGINX") or shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
NGINX_LIBRARIES = ""
if NGINX and os.path.isdir(NGINX):
    NGINX_LIBRARIES = ":".join(str(place) for place in pathlib.Path(NGINX).glob("usr/lib/*-linux-gnu*"))
    NGINX = f"{NGINX}/usr/sbin/nginx"
IS_21 = broker_version() >= (2, 1, 0)
CERTIFICATE = ROOT / "test/broker/certificate.pem"
PASSWORD = "a password of this test"
DOCUMENT = "<!doctype html><title>console</title>"
UNCHECKED = ssl.create_default_context()
UNCHECKED.check_hostname, UNCHECKED.verify_mode = False, ssl.CERT_NONE


def fetch(address):
    with urllib.request.urlopen(address, timeout=TIMEOUT, context=UNCHECKED) as answer:
        return answer.headers, answer.read().decode()


class ConsoleMachine(Machine):
    """It has the page where the Debian package has it, and an nginx of its own."""

    def __init__(self):
        super().__init__()
        self.web = self.directory / "usr/share/mosquitto-rpc/console"
        self.web.mkdir(parents=True)
        (self.web / "console.html").write_text(DOCUMENT)
        for place in (self.web, *self.web.parents):
            if self.directory in place.parents:
                place.chmod(0o755)

    def port_of(self, usual):
        return self.second_port if usual == "9002" else super().port_of(usual)

    def here(self, text):
        text = text.replace("examples/console/", f"{EXAMPLES}/").replace("/usr/share/mosquitto-rpc", f"{self.directory}/usr/share/"
                                                                         "mosquitto-rpc")
        text = re.sub(r"(127\.0\.0\.1)?:(900\d)\b", lambda found: f"{found[1] or ''}:{self.port_of(found[2])}", text)
        return super().here(text)

    def config(self):
        """What the page has copied are files for this machine now."""
        for path in (*self.directory.glob("etc/mosquitto/conf.d/*"), self.web / "console.json"):
            if path.exists() and str(self.directory) not in path.read_text():
                path.write_text(self.here(path.read_text()))
        return super().config()


@unittest.skipUnless(has_websockets(), "this broker has no WebSockets")
class Served(BrokerTest):
    """As the page says, with the section for this broker."""

    def setUp(self):
        self.machine = ConsoleMachine()
        self.addCleanup(self.machine.clean_up)
        self.addCleanup(self.machine.stop)
        self.addCleanup(self._show_log, self.machine)
        setting_up, = blocks(section(PAGE, "## Serving it").split("\n### ")[0])
        code, output = run_with_passwords(self.machine_script(setting_up), PASSWORD, env=self.machine.operator())
        self.assertEqual(code, 0, output)
        self.text = section(PAGE, "### Mosquitto 2.1" if IS_21 else "### Mosquitto 2.0")
        commands, = blocks(self.text)
        self.machine.do(commands)

    def machine_script(self, commands):
        script = self.machine.here(commands).replace("sudo ", "")
        if not SERVICE_USER:
            script = re.sub(r" -o mosquitto -g mosquitto", "", script)
            script = re.sub(r"\bchown ", "true ", script)
        return f"set -e\n{script}"

    def connect(self, port, user, password=PASSWORD, **how):
        return self.client(self.machine, 5, port=port, websocket="/", username=user, password=password, **how)

    def test_page_and_connections(self):
        address, = re.findall(r"The page is at `(http:\S+)`", self.text)
        headers, page = fetch(self.machine.here(address))
        self.assertEqual(page, DOCUMENT)
        self.assertIsNone(headers["Content-Type"])  # so that scripts must stand in the page
        socket = self.machine.websockets_port
        told = json.loads(fetch(self.machine.here(address).replace(".html", ".json"))[1])
        self.assertEqual(told, {"ws": f":{socket}"})
        if not IS_21:  # it is not needed
            self.assertEqual(self.machine.here(address), f"http://127.0.0.1:{socket}/console.html")
        self.assertEqual(result_of(ask(self.connect(socket, "viewer"), "ping"))["ok"], True)
        for user, password in (("viewer", "wrong"), ("nobody", PASSWORD), (None, None)):
            self.assertNotEqual(self.connect(socket, user, password, check=False).connack, 0)

    def test_what_the_page_says_of_this_version(self):
        """A listener for WebSockets alone is too little for 2.0.11; such a one of 2.1 serves no files."""
        socket = self.machine.websockets_port
        if IS_21:
            with self.assertRaises(OSError):
                fetch(f"http://127.0.0.1:{socket}/console.html")
            port = self.machine.second_port
            self.assert_refused(401, f"http://127.0.0.1:{port}/api/v1/version")
            self.change("mosquitto/console.acl", r"topic read /console\.html", "")
            self.assert_refused(401, f"http://127.0.0.1:{port}/console.html")
            fetch(f"http://127.0.0.1:{port}/console.json")
            self.change("mosquitto/conf.d/rpc.conf", "listener_allow_anonymous true", "")
            self.assert_refused(401, f"http://127.0.0.1:{port}/console.json")
            self.change("mosquitto/conf.d/rpc.conf", f"listener {port} 127.0.0.1", r"\g<0>\nlistener_allow_anonymous true")
            self.change("mosquitto/conf.d/rpc.conf", "acl_file .*", "")
            fetch(f"http://127.0.0.1:{port}/api/v1/version")
            return
        for nothing in ("none", "../../mosquitto-rpc/console/../../../../etc/mosquitto/rpc.passwd"):
            self.assert_refused(404, f"http://127.0.0.1:{socket}/{nothing}")
        if broker_version() != (2, 0, 11):
            return
        self.machine.stop()
        self.edit("mosquitto/conf.d/rpc.conf", f"listener {self.machine.port} 127.0.0.1", "")
        self.machine.run_to_exit()
        self.assertIn("Unable to start any listening sockets", self.machine.log())

    def assert_refused(self, code, address):
        with self.assertRaises(urllib.error.HTTPError) as refused:
            fetch(address)
        self.assertEqual(refused.exception.code, code)

    def edit(self, file, pattern, text):
        path = self.machine.directory / "etc" / file
        changed, count = re.subn(rf"^{pattern}$", text, path.read_text(), flags=re.MULTILINE)
        self.assertEqual(count, 1, pattern)
        path.write_text(changed)

    def change(self, file, pattern, text):
        self.edit(file, pattern, text)
        self.machine.restart()

    @unittest.skipUnless(NGINX, "there is no nginx")
    def test_nginx(self):
        port, folder = free_port(), self.machine.directory / "nginx"
        self.addCleanup(release_port, port)
        folder.mkdir()
        text = self.machine.here((EXAMPLES / "nginx.conf").read_text())
        text = re.sub(r"(ssl_certificate(?:_key)?) .*;", rf"\1 {CERTIFICATE};", text)
        text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
        self.assertIn(f"listen 127.0.0.1:{port} ssl", text)
        places = "".join(f"{what}_temp_path {folder}/{what};" for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (folder / "nginx.conf").write_text(f"daemon off; pid {folder}/pid; error_log {folder}/log; worker_processes 1;"
                                           f"{'user root;' if os.geteuid() == 0 else ''}"
                                           f"events {{}} http {{ access_log off; {places}\n{text}\n}}")
        log = folder / "log"
        with open(log, "ab") as output:
            nginx = subprocess.Popen([NGINX, "-p", folder, "-e", log, "-c", folder / "nginx.conf"], stdout=output,
                                     stderr=output, env={**os.environ, "LD_LIBRARY_PATH": NGINX_LIBRARIES})
        self.addCleanup(nginx.wait)
        self.addCleanup(nginx.terminate)

        def page():
            self.assertIsNone(nginx.poll(), log.read_text())
            try:
                return fetch(f"https://127.0.0.1:{port}/console.html")
            except urllib.error.URLError:  # it does not listen yet
                return None
        headers, content = eventually(page)
        self.assertEqual((content, headers["X-Frame-Options"]), (DOCUMENT, "DENY"))
        self.assertEqual(json.loads(fetch(f"https://127.0.0.1:{port}/console.json")[1]), {})
        client = self.connect(port, "viewer", tls=True)
        self.assertEqual(result_of(ask(client, "ping"))["ok"], True)
        self.assert_refused(404, f"https://127.0.0.1:{port}/etc/passwd")


def acl():
    """The lines of the file: those for all, and those of each user."""
    users, lines = {}, []
    for line in (EXAMPLES / "acl").read_text().splitlines():
        if line.startswith("user "):
            lines = users.setdefault(line.split()[1], [])
        elif line and not line.startswith("#"):
            lines.append(line)
            if not users:
                users[""] = lines
    return users


ACL = acl()
DEVICE = ["topic write cmd/lamp1/#", "topic read cmd/lamp1/#"]
PARAMS = {"rpc.describe": {"method": "ping"}, "device.status": {"device": "lamp1"}, "device.history": {"device": "lamp1"},
          "getSensor": {"sensor_id": "s"}, "sensorHistory": {"sensor_id": "s"}, "dead.get": {"id": 1}}


class Rights(BrokerTest):
    """Users of one broker: viewer, operator, and `without-{n}`, the viewer without its n-th line."""

    OPTIONS = ["sensor_db :memory:", "device_db :memory:", "sys_interval 1s"]

    def start_with(self, users, options=(), common=()):
        text = "\n".join([*common, *(f"user {name}\n" + "\n".join(lines) for name, lines in users.items())]) + "\n"
        broker = self.start([*self.OPTIONS, *options], plugin=PLUGIN, acl=text, anonymous=False,
                            users={name: "secret" for name in users})
        self.others = {name: self.user(broker, name) for name in ("operator", "lamp1") if name in users}
        return broker

    def user(self, broker, name):
        client = self.client(broker, 5, username=name, password="secret", client_id=name if name == "lamp1" else None)
        client.broker = broker
        return client

    def call(self, client, topic, params):
        """Whether the broker lets the client publish there, and then whether a reply has come."""
        reason = client.publish(topic, encode(params), qos=1, properties=[(RESPONSE_TOPIC, f"rpc/reply/{client.client_id}/1")])
        if reason != NOT_AUTHORIZED:
            client.receive()
        return reason != NOT_AUTHORIZED

    def read(self, client, filter):
        """Whether something comes that the filter is for."""
        client.subscribe(filter)
        if filter.startswith("rpc/event"):
            self.assertTrue(self.call(self.others["operator"], "rpc/call/updateSensor", {"sensor_id": "s", "value": 20}))
        elif filter.startswith("$SYS"):
            operator = self.user(client.broker, "operator")
            operator.subscribe("$SYS/broker/rpc/rpc/health", "$SYS/broker/rpc/rpc/calls")
            operator.receive()
            operator.receive()
        client.ping()
        found, client.inbox = list(client.inbox), type(client.inbox)()
        return bool(found)

    def may(self, broker, name, line):
        """Whether the user can do what the line is for."""
        _, access, topic = line.split()
        client = self.user(broker, name)
        try:
            if access == "read":
                return self.read(client, topic)
            method = topic.rpartition("/")[2]
            params = PARAMS.get(method, {})
            return self.call(client, topic, [params] if "/batch/" in topic else params)
        finally:
            client.close()

    def ready(self, broker):
        """There is a device, a reading, and a state of health."""
        self.others["lamp1"].publish("cmd/lamp1/hello", "{}", qos=1)
        watcher = self.user(broker, "operator")
        watcher.subscribe("cmd/+/status", "$SYS/broker/rpc/rpc/health")
        watcher.receive()
        watcher.receive()
        self.call(self.others["operator"], "rpc/call/updateSensor", {"sensor_id": "s", "value": 20})

    def test_the_table_is_the_file(self):
        viewer, operator = rows(section(PAGE, "## Rights"))[:-3], rows(section(PAGE, "## Rights"))[-3:]
        rights = [right for row in viewer[:-2] for right in re.findall(r"`(\w+ \S+)`", row[0])]
        self.assertEqual(sorted(f"topic {right}" for right in rights), sorted(ACL["viewer"]))
        self.assertEqual([right for row in viewer[-2:] for right in re.findall(r"`(\w+ \S+)`", row[0])],
                         [line.split(" ", 1)[1] for line in ACL[""]])
        self.assertEqual(sorted(f"topic {right}" for row in operator for right in re.findall(r"`(\w+ \S+)`", row[0])),
                         sorted(ACL["operator"]))

    def test_each_right_of_the_viewer_is_needed_and_enough(self):
        lines = ACL["viewer"]
        users = {"viewer": lines, "operator": ACL["operator"], "lamp1": DEVICE,
                 **{f"without-{at}": lines[:at] + lines[at + 1:] for at in range(len(lines))}}
        broker = self.start_with(users, common=ACL[""])
        self.ready(broker)
        for at, line in enumerate(lines):
            with self.subTest(line):
                self.assertTrue(self.may(broker, "viewer", line))
                self.assertTrue(self.may(broker, "operator", line))
                self.assertFalse(self.may(broker, f"without-{at}", line))

    def test_each_right_of_the_operator_is_needed(self):
        lines = ACL["operator"]
        users = {"operator": lines, "lamp1": DEVICE,
                 **{f"without-{at}": lines[:at] + lines[at + 1:] for at in range(len(lines))}}
        broker = self.start_with(users, common=ACL[""])
        self.ready(broker)
        for at, line in enumerate(lines):
            example = line.replace("call/#", "call/ping").replace("batch/#", "batch/ping")
            with self.subTest(line):
                self.assertTrue(self.may(broker, "operator", example))
                self.assertFalse(self.may(broker, f"without-{at}", example))

    def test_a_viewer_may_call_what_only_reads(self):
        """All of it, of the modules that are shipped, and nothing else; no command."""
        broker = self.start_with({"viewer": ACL["viewer"], "operator": ACL["operator"], "lamp1": DEVICE}, common=ACL[""])
        self.ready(broker)
        methods = result_of(ask(self.others["operator"], "rpc.discover"))["methods"]
        self.assertGreater(len(methods), 30)
        viewer = self.user(broker, "viewer")
        for method in methods:
            name = re.sub(r"\{(device|group)\}", "lamp1", method["name"]).replace("{command}", "light")
            with self.subTest(name):
                reads = method["x-mqtt"].get("readOnly", False) and name == method["name"]
                self.assertEqual(self.call(viewer, f"rpc/call/{name}", PARAMS.get(name, {})), reads)

    def test_replies_that_have_to_be_read(self):
        """With reply_delivery subscribed."""
        for common in (ACL[""], []):
            broker = self.start_with({"viewer": ACL["viewer"]}, ["reply_delivery subscribed"], common)
            viewer = self.user(broker, "viewer")
            viewer.subscribe(f"rpc/reply/{viewer.client_id}/#")
            viewer.publish("rpc/call/ping", qos=1, properties=[(RESPONSE_TOPIC, f"rpc/reply/{viewer.client_id}/1")])
            if common:
                viewer.receive()
            else:
                viewer.expect_nothing()

    def test_the_console_calls_nothing_else(self):
        """Each method that the sources of the console name, is one that a viewer may call or that changes something."""
        sources = "".join(path.read_text() for path in (ROOT / "console/src").rglob("*.js*"))
        named = set(re.findall(r'"((?:rpc|device|dead)\.[a-z.]+)"', sources))
        reading = {method["name"] for method in json.loads((ROOT / "docs/openrpc.json").read_text())["methods"]
                   if method["x-mqtt"].get("readOnly")}
        allowed = {line.split("rpc/call/")[1] for line in ACL["viewer"] if "rpc/call/" in line}
        self.assertEqual(named & reading - allowed, set())


if __name__ == "__main__":
    main()
