"""docs/security.md: each line of its tables names a test that there is, and what no other test says is tried here."""
import ast
import functools
import json
import re
import stat
import unittest

import test_deploy
from harness import PLUGIN, ROOT, TEST_PLUGIN, BrokerTest, ask, eventually, main, payload_of, result_of
from mqtt import CONNECT, RESPONSE_TOPIC, USER_PROPERTY, Closed, data, packet
from pages import rows, section
from test_sensor_files import UmaskBroker

PAGE = (ROOT / "docs/security.md").read_text()
ATTACKERS = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
TEST = re.compile(r"`(test/(?:broker|workers)/test_\w+\.py) (\w+)\.(test_\w+)`")


@functools.lru_cache(maxsize=None)
def classes(path):
    """The classes of a file of tests, each with its methods; a method is its node."""
    tree = ast.parse((ROOT / path).read_text())
    return {node.name: {method.name: method for method in node.body if isinstance(method, ast.FunctionDef)}
            for node in tree.body if isinstance(node, ast.ClassDef)}


class ThePage(unittest.TestCase):
    def test_the_attackers(self):
        self.assertEqual(ATTACKERS, ["A stranger", "A device", "A stolen device", "A curious neighbour",
                                     "A rogue application", "A rogue worker", "A rogue module author", "A remote bridge",
                                     "Whoever reads the disk"])
        for name in ATTACKERS:
            found = {row[0] for row in rows(section(PAGE, f"## {name}"))}
            self.assertEqual(found, {"can", "cannot"}, name)

    def test_each_line_has_tests_that_there_are(self):
        for row in rows(PAGE):
            with self.subTest(line=row[1]):
                self.assertEqual(len(row), 3)
                named = TEST.findall(row[2])
                self.assertEqual(", ".join(f"`{path} {case}.{name}`" for path, case, name in named), row[2])
                for path, case, name in named:
                    self.assertIn(name, classes(path).get(case, {}), f"{path} has no {case}.{name}")
                    skips = [ast.unparse(decorator) for decorator in classes(path)[case][name].decorator_list]
                    self.assertFalse([skip for skip in skips if skip.startswith("unittest.skip(")], f"{name} is never run")

    def test_no_line_stands_twice(self):
        lines = [row[1] for row in rows(PAGE)]
        self.assertEqual(len(lines), len(set(lines)))


class Stranger(BrokerTest):
    def test_a_broker_without_rules_is_open(self):
        broker = self.start(plugin=PLUGIN)
        watcher, stranger = self.client(broker), self.client(broker, 5)
        watcher.subscribe("#")
        result_of(ask(stranger, "updateSensor", {"sensor_id": "a", "value": 1}))
        result_of(ask(stranger, "forgetSensor", {"sensor_id": "a"}))
        self.assertIn("rpc/event/sensorForgotten", [watcher.receive().topic for _ in range(4)])

    def test_connections_are_bounded_by_the_broker(self):
        """Clients that are there are served while all connections are taken."""
        broker = self.start(lines=["max_connections 3"], plugin=PLUGIN)
        clients = [self.client(broker, 5) for _ in range(3)]
        with self.assertRaises((AssertionError, Closed, OSError)):
            self.client(broker, 5)
        self.assertTrue(result_of(ask(clients[0], "ping"))["ok"])
        clients[2].disconnect()
        eventually(lambda: self.connects(broker))

    def connects(self, broker):
        try:
            self.client(broker, 5)
            return True
        except (AssertionError, Closed, OSError):
            return False


class WillTest(BrokerTest):
    def leave_will(self, port, topic, payload, username=None, password=None):
        """A client that vanishes, so that the broker publishes its will."""
        client = self.client(None, 4, port=port, connect=False)
        fields = [client.client_id, topic, payload] + ([username, password] if username else [])
        flags = 0x04 | 0x08 | 0x02 | (0xC0 if username else 0)  # a will at QoS 1, clean
        client.send(packet(CONNECT, 0, data("MQTT") + bytes([4, flags, 0, 60]) + b"".join(data(field) for field in fields)))
        client._read_connack(True)
        client.close()


class Wills(WillTest):
    def test_a_will_is_no_call(self):
        broker = self.start(plugin=TEST_PLUGIN)
        watcher = self.client(broker, 5)
        watcher.subscribe("rpc/#", "marker")
        self.leave_will(broker.port, "rpc/call/probe.count", '{"request_id":"1"}')
        self.assertEqual(watcher.receive().topic, "rpc/call/probe.count")  # it passes as any message
        self.assertEqual(result_of(ask(self.client(broker, 5), "probe.count"))["runs"], 1)

    def test_without_rules_a_will_is_an_event(self):
        broker = self.start(plugin=PLUGIN)
        watcher = self.client(broker)
        watcher.subscribe("rpc/event/#")
        self.leave_will(broker.port, "rpc/event/sensorUpdated", '{"sensor_id":"a","value":99}')
        self.assertEqual(payload_of(watcher.receive())["value"], 99)

    def test_the_rules_keep_wills_out(self):
        """With those of docs/deploy.md no will of a device reaches the topic of an event, a reply, or another device."""
        case = test_deploy.Users()
        case.setUp()
        self.addCleanup(case.doCleanups)
        admin = case.user(case.broker, "admin")
        admin.subscribe("rpc/event/#", "rpc/dead/#", "cmd/+/status")
        admin.receive()  # what is retained
        for topic in ("rpc/event/sensorUpdated", "rpc/event/error", "rpc/dead/ping", "cmd/lamp2/status"):
            self.leave_will(case.broker.port, topic, "forged", "lamp1", case.broker.password("lamp1"))
        case.user(case.broker, "lamp1")  # which ends the connection before it, if the broker has not noticed its end
        admin.publish("rpc/call/updateSensor", '{"sensor_id":"hall","value":1}', qos=1)
        self.assertEqual(admin.receive().topic, "rpc/event/sensor/hall")


class Device(BrokerTest):
    def setUp(self):
        self.case = test_deploy.Users()
        self.case.setUp()
        self.addCleanup(self.case.doCleanups)

    def test_any_sensor_can_be_updated(self):
        """The page says so: what one device has reported, another one may report."""
        broker = self.case.broker
        lamp, panel = self.case.user(broker, "lamp2"), self.case.user(broker, "panel")
        result_of(ask(lamp, "updateSensor", {"sensor_id": "hall", "value": 99}, topic="rpc/reply/lamp2/1"))
        self.assertEqual(result_of(ask(panel, "getSensor", {"sensor_id": "hall"}, topic="rpc/reply/panel/1"))["value"], 99)

    def test_one_password_opens_one_account(self):
        broker = self.case.broker
        users = ["admin", "desk", "panel", "monitor", "lamp1", "lamp2"]
        for name in users:
            for other in users:
                client = self.client(broker, 4, username=name, password=broker.password(other), connect=False)
                client.connect(username=name, password=broker.password(other), check=False)
                self.assertEqual(client.connack == 0, name == other)


class Neighbour(BrokerTest):
    def test_an_unbound_client_id_can_be_taken(self):
        """Without use_username_as_clientid: the reason why deploy.md has that line."""
        broker = self.start(users={"panel": "p", "thief": "t"}, anonymous=False, plugin=PLUGIN)
        how = {"client_id": "panel", "clean": False}
        panel = self.client(broker, 5, username="panel", password="p", auto_ack=False, **how)
        panel.publish("rpc/call/ping", qos=1, properties=[(RESPONSE_TOPIC, "mine/1")])
        panel.receive()
        panel.close()
        self.assertEqual(self.client(broker, 5, username="thief", password="t", **how).receive().topic, "mine/1")


    def test_what_topics_of_counters_tell(self):
        """The page says so: spans name callers, and the documents of methods quote what was sent."""
        broker = self.start(["sys_interval 1s"], plugin=PLUGIN)
        watcher = self.client(broker)
        watcher.subscribe("$SYS/broker/rpc/rpc/span", "$SYS/broker/rpc/rpc/method/#")
        caller = self.client(broker, 5, client_id="caller")
        sampled = (USER_PROPERTY, ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
        caller.publish("rpc/call/updateSensor", '{"sensor_id":"a","value":1,"secret":1}', qos=1, properties=[sampled])
        found = {message.topic: message.payload for message in (watcher.receive(), watcher.receive())}
        self.assertIn(b"caller", found["$SYS/broker/rpc/rpc/span"])
        self.assertIn("secret", json.loads(found["$SYS/broker/rpc/rpc/method/updateSensor"])["last_error"]["msg"])


class Application(BrokerTest):
    def test_a_method_that_is_off(self):
        """By none of its topics, nor in a batch or by JSON-RPC."""
        broker = self.start(["methods_off probe.count", "jsonrpc_methods *"], plugin=TEST_PLUGIN)
        client, watcher = self.client(broker, 5), self.client(broker)
        watcher.subscribe("rpc/event/probeCounted")
        call = {"jsonrpc": "2.0", "id": 1, "method": "probe.count"}
        for topic, payload in (("call/probe.count", b""), ("call/probe.count/request", b""), ("call/probe.count", b'{"request_id":1}'),
                               ("batch/probe.count", b"[{},{}]"), ("jsonrpc", json.dumps(call).encode()),
                               ("jsonrpc", json.dumps([call, call]).encode()), ("call/probe.count", json.dumps(call).encode())):
            with self.subTest(topic=topic, payload=payload):
                client.publish(f"rpc/{topic}", payload, qos=1, properties=[(RESPONSE_TOPIC, "reply/to/me")])
                self.assertIn(b"switched off", client.receive().payload)
        watcher.expect_nothing()

    def test_names_make_no_series(self):
        """Of methods that there are not, nothing is kept but the ring of the last calls."""
        broker = self.start(["sys_interval 1s"], plugin=PLUGIN)
        client, watcher = self.client(broker, 5), self.client(broker)
        for number in range(300):
            client.publish(f"rpc/call/made.up{number}", qos=0)
        self.assertNotIn(b"made.up", ask(client, "rpc.stats").payload)
        self.assertNotIn(b"made.up", ask(client, "rpc.metrics").payload)
        ask(client, "ping")
        watcher.subscribe("$SYS/broker/rpc/rpc/method/#")
        self.assertNotIn("made.up", watcher.receive().topic)
        self.assertEqual(result_of(ask(client, "dead.list"))["total"], 0)


class Disk(BrokerTest):
    SECRET = "the secret word"

    def found_in(self, broker):
        """The names of the files of the broker, its log included, that have the secret."""
        files = [path for path in broker.directory.iterdir() if path.is_file()]
        return sorted(path.name for path in files if self.SECRET.encode() in path.read_bytes())

    def test_calls_leave_nothing(self):
        """Of calls of every kind that were answered, of those that were refused, and of dead letters, although the plugin
        has payloads in memory. The log is that of the usual types."""
        broker = self.start(["recorder_payloads true"], plugin=TEST_PLUGIN, persistence=True, log_types=("error", "warning", "notice", "information"))
        client = self.client(broker, 5)
        params = json.dumps(self.SECRET)
        for qos in (0, 1, 2):
            self.assertEqual(result_of(ask(client, "echo", params, qos=qos, retain=True)), self.SECRET)
        for method, refused in (("echo", f'{{"a":{params}'), ("ping", f'{{"request_id":1,"x":{params}}}'),
                                ("getSensor", f'{{"sensor_id":{params}}}'), ("updateSensor", f'{{"sensor_id":"a","value":{params}}}'), ("nothing", params)):
            client.publish(f"rpc/call/{method}", refused, qos=1)
        self.assertIn(self.SECRET.encode(), ask(self.client(broker, 5), "rpc.recent").payload)
        letters = result_of(ask(self.client(broker, 5), "dead.list"))["letters"]
        self.assertIn(self.SECRET.encode(), ask(self.client(broker, 5), "dead.get", {"id": letters[0]["id"]}).payload)
        broker.stop()
        self.assertEqual(self.found_in(broker), [])

    def test_waiting_letters_can_be_read(self):
        """Of a subscriber that is away, in the broker's own file."""
        broker = self.start(plugin=PLUGIN, persistence=True)
        operator = self.client(broker, 5, clean=False)
        operator.subscribe("rpc/dead/#", qos=1)
        operator.disconnect()
        self.client(broker).publish("rpc/call/updateSensor", json.dumps({"sensor_id": self.SECRET}), qos=1)
        ask(self.client(broker, 5), "ping")
        broker.stop()
        self.assertEqual(self.found_in(broker), ["mosquitto.db"])

    def test_waiting_replies_can_be_read(self):
        broker = self.start(plugin=TEST_PLUGIN, persistence=True)
        client = self.client(broker, 5, clean=False, auto_ack=False)
        client.publish("rpc/call/echo", json.dumps(self.SECRET), qos=1, properties=[(RESPONSE_TOPIC, "r")])
        client.receive()
        client.close()
        broker.stop()
        self.assertEqual(self.found_in(broker), ["mosquitto.db"])

    def queue(self, broker):
        """A command with the secret waits for a device that is away."""
        device, client = self.client(broker, client_id="lamp1"), self.client(broker, 5, client_id="who-has-called")
        device.publish("cmd/lamp1/hello", qos=1)
        device.disconnect()
        eventually(lambda: [row["state"] for row in result_of(ask(client, "device.list"))["devices"]] == ["offline"])
        reply = ask(client, "device/lamp1/go", {"word": self.SECRET}, entries=[(USER_PROPERTY, ("offline", "queue"))])
        self.assertTrue(result_of(reply)["queued"])

    def test_queued_commands_can_be_read(self):
        broker = self.start(["device_grace 0"], plugin=PLUGIN)
        self.queue(broker)
        broker.stop()
        self.assertEqual(self.found_in(broker), ["devices.db"])
        self.assertIn(b"who-has-called", (broker.directory / "devices.db").read_bytes())

    def test_the_devices_database_is_the_brokers_alone(self):
        """With its companions, while the broker runs and after it was killed, with a umask that would let all read."""
        broker = UmaskBroker(["device_grace 0"], plugin=PLUGIN)
        self.addCleanup(broker.clean_up)
        broker.start()
        self.queue(broker)
        for _ in range(2):
            files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in broker.directory.glob("devices.db*")}
            self.assertEqual(files, {"devices.db": 0o600, "devices.db-wal": 0o600, "devices.db-shm": 0o600})
            broker.kill()


if __name__ == "__main__":
    main()
