"""Runs every command of docs/troubleshooting.md twice: where the row's cause is, it says what the row says, and where
the cause is not, it does not."""
import contextlib
import pathlib
import re
import shutil
import signal
import sqlite3
import threading
import unittest

from harness import (MOSQUITTO, PLUGIN, ROOT, TEST_PLUGIN, BrokerTest, ask, broker_version, eventually, has_websockets,
                     main, new_identity, payload_of, result_of)
from mqtt import CORRELATION_DATA, PUBLISH, PUBREC, RESPONSE_TOPIC, decode_ack
from pages import here, rows, run

PAGE = (ROOT / "docs/troubleshooting.md").read_text()
ROWS = rows(PAGE)
NOTHING = {"plugins": []}  # a broker without the plugin
QUOTA_EXCEEDED = 151


def row_of(symptom):
    """The one row whose first cell begins with this text."""
    found = [row for row in ROWS if row[0].startswith(symptom)]
    assert len(found) == 1, f"{symptom}: {len(found)} rows"
    return found[0]


class Troubleshooting(BrokerTest):
    def start(self, *options, **how):
        how.setdefault("plugin", PLUGIN)
        return super().start(["sys_interval 200ms", *options], **how)

    def as_said(self, symptom, broker):
        """Whether the row's command says what the row says, and what it printed."""
        _, command, said, _ = row_of(symptom)
        command = here(command.strip("`"), broker)
        if not broker.plugins:
            command = re.sub(r"-W \d+", "-W 2", command)  # no answer will come
        output = run(command, cwd=broker.directory)
        said = re.findall(r"`([^`]+)`", said)
        return (all(text in output for text in said) if said else not output), output

    def check(self, symptom, broker, other):
        """The command tells the broker that has the row's cause from the other one."""
        found, output = self.as_said(symptom, broker)
        self.assertTrue(found, f"{symptom}: {output}")
        found, output = self.as_said(symptom, other)
        self.assertFalse(found, f"{symptom}, without the cause: {output}")

    # -- Nothing comes

    def test_a_broker_without_the_plugin(self):
        self.check("every call waits for ever", self.start(**NOTHING), self.start())

    @unittest.skipUnless(shutil.which("ps") and MOSQUITTO.endswith("/mosquitto"), "there is no ps, or another name")
    def test_the_list_of_brokers(self):
        command = re.search(r"`(ps [^`]*)`", row_of("every call waits for ever")[3]).group(1)
        self.assertIn(f"-c {self.start().config_path}", run(command))

    @unittest.skipUnless(shutil.which("ss"), "there is no ss, of Debian's iproute2")
    def test_no_broker(self):
        broker = self.make(plugin=PLUGIN)
        broker.pick_ports()
        self.check("`Connection refused`", broker, self.start())

    def test_a_password_is_wanted(self):
        broker = self.start(users={"panel": "p"}, anonymous=False)
        self.assertIn("efused", run(f"mosquitto_pub -h 127.0.0.1 -p {broker.port} -t rpc/call/ping -n"))
        self.check("`Not authorized`", broker, self.start())

    def test_two_terminals(self):
        broker = self.start()
        subscriber = self.client(broker, 4)
        subscriber.subscribe("my/replies")
        run(f"mosquitto_pub -h 127.0.0.1 -p {broker.port} -V 5 -t rpc/call/ping -n -D publish response-topic my/replies")
        subscriber.expect_nothing()
        self.check("`mosquitto_sub -t my/replies` shows nothing", broker, self.start(**NOTHING))

    def test_a_caller_on_mqtt_3(self):
        broker = self.start()
        self.assertIn("Timed out", run(f"mosquitto_rr -h 127.0.0.1 -p {broker.port} -W 2 -V 311 -t rpc/call/ping -e r -n"))
        self.check("`mosquitto_rr -V 311`", broker, self.start(**NOTHING))

    def test_a_subscriber_to_calls(self):
        broker = self.start()
        subscriber = self.client(broker)
        subscriber.subscribe("rpc/call/#")
        self.client(broker).publish("rpc/call/ping", qos=1)
        subscriber.expect_nothing()
        self.check("`mosquitto_sub -t 'rpc/call/#'` shows no calls", broker, self.start(**NOTHING))

    def test_a_denied_call(self):
        denied = {"acl": "topic deny rpc/call/#\ntopic readwrite #\n"}
        broker = self.start(**denied)
        self.assertEqual(self.client(broker, 4).publish("rpc/call/ping", qos=1), 0)  # it is not told
        self.check("a client's calls do nothing", broker, self.start())

    def test_no_matching_subscribers(self):
        self.check("an acknowledgement says 16", self.start(), self.start(**NOTHING))

    def test_no_events(self):
        broker, other = self.start(), self.start()
        result_of(ask(self.client(broker, 5), "ping"))
        result_of(ask(self.client(other, 5), "updateSensor", {"sensor_id": "a", "value": 1}))
        watcher = self.client(other)
        watcher.subscribe("$SYS/broker/rpc/rpc/events")
        eventually(lambda: int(watcher.receive().payload) > 0)
        self.check("no events come", broker, other)

    def test_listeners_of_their_own(self):
        line = ["per_listener_settings true"]
        self.check("calls are answered on one listener", self.start(first=line), self.start())

    def test_the_closed_endpoint(self):
        broker = self.start()
        client = self.client(broker, 5)
        client.publish("rpc/jsonrpc", '{"jsonrpc":"2.0","method":"ping","id":1}', properties=[(RESPONSE_TOPIC, "r")])
        self.assertEqual(payload_of(client.receive())["error"]["data"]["err"], "method_not_found")
        self.check("a program at `rpc/jsonrpc`", broker, self.start("jsonrpc_methods *"))

    # -- The broker does not start

    def test_the_path(self):
        self.assertIn("mosquitto version", run(here(row_of("`mosquitto: command not found`")[1].strip("`"), self.start())))

    def fail(self, *options, **how):
        """A broker that does not start."""
        broker = self.make(options, **{"plugin": PLUGIN, **how})
        broker.run_to_exit(leaks=False)
        return broker

    def test_a_missing_plugin(self):
        self.check("the broker stops at once: its plugin", self.fail(lines=["plugin mosquitto_nowhere.so"]), self.start())

    def test_a_wrong_option(self):
        for option in ("qos 3", "quos 2", "qos 1 # once", "device_window 0"):
            with self.subTest(option=option):
                self.check("the broker stops at once: an option", self.fail(option), self.start())

    def test_a_port_in_use(self):
        other = self.start()
        self.check("the broker stops at once: its port", self.fail(lines=[f"listener {other.port} 127.0.0.1"]), other)

    def test_unreadable_passwords(self):
        broker = self.fail(lines=["allow_anonymous false", "password_file {directory}/rpc.passwd"])
        self.check("the broker stops at once: its passwords", broker, self.start())

    def test_a_configuration_that_is_not_understood(self):
        for lines in (["persistence_location /tmp/"] * 2, ["plugin_op_qos 1"]):
            with self.subTest(lines=lines):
                other = self.make(plugin=PLUGIN, lines=["plugin mosquitto_nowhere.so"])
                other.pick_ports()
                other.config_path.write_text(other.config())  # it ends at once, too, but for another cause
                self.check("the broker stops at once, and its log is empty", self.fail(lines=lines), other)

    def test_changed_options(self):
        broker = self.start("max_payload 64k", lines=["sys_interval 1"])
        broker.config_path.write_text(broker.config_path.read_text().replace("max_payload 64k", "max_payload 1"))
        broker.signal(signal.SIGHUP)
        broker.wait_log("Reloading config")
        result_of(ask(self.client(broker, 5), "echo", {"more": "than one byte"}))
        broker.stop()
        self.assertNotIn("seconds", self.as_said("an option was changed", broker)[1])
        broker.start()
        self.assertTrue(self.as_said("an option was changed", broker)[0])

    @unittest.skipUnless(shutil.which("ss") and has_websockets(), "no ss, or a broker without WebSockets")
    def test_an_open_listener(self):
        """The cause is not made here, since it opens a port to others: what a stranger's listener looks like is."""
        self.assertFalse(self.as_said("a WebSockets listener", self.start(websockets=True))[0])
        self.assertIn("socket_domain ipv4", row_of("a WebSockets listener")[3])

    # -- Errors

    def test_storage_failed(self):
        broker = self.start("sensor_db /nowhere/sensors.db")
        self.assert_error(ask(self.client(broker, 5), "updateSensor", {"sensor_id": "a", "value": 1}), "storage_failed")
        self.check("`storage_failed`", broker, self.start())

    def test_method_not_found(self):
        broker = self.start("modules ping")
        self.assert_error(ask(self.client(broker, 5), "updateSensor"), "method_not_found")
        self.assertNotIn("updateSensor", self.as_said("`method_not_found`", broker)[1])
        other = self.start()
        self.assertIn("updateSensor", self.as_said("`method_not_found`", other)[1])
        self.check("`method_not_found`", other, self.start(**NOTHING))

    def test_timeout(self):
        """The database is locked for longer than the deadline; then for longer than SQLite waits."""
        for seconds, slow in ((1, True), (6, False)):
            broker = self.start("timeout 200ms")
            client = self.client(broker, 5)
            eventually((broker.directory / "sensors.db").exists)
            with contextlib.closing(sqlite3.connect(broker.directory / "sensors.db", check_same_thread=False)) as lock:
                lock.isolation_level = None
                lock.execute("BEGIN IMMEDIATE")
                self.assert_error(ask(client, "updateSensor", {"sensor_id": "temp1", "value": 1}), "timeout")
                timer = threading.Timer(seconds, lambda lock=lock: lock.execute("ROLLBACK"))
                timer.start()
                found, output = self.as_said("`timeout`", broker)
                timer.join()
            self.assertEqual(found, slow, output)
            self.assertEqual("storage_failed" in output, not slow)

    def test_calls_that_hang(self):
        broker = self.start(plugin=TEST_PLUGIN)
        client = self.client(broker, 5)
        client.publish("rpc/call/slow.wait", '{"name":"never"}', qos=1, properties=[(RESPONSE_TOPIC, "r")])
        self.check("calls hang", broker, self.start())

    def test_calls_that_failed(self):
        broker, other = self.start(), self.start()
        self.assert_error(ask(self.client(broker, 5), "echo", "{"), "parse_error")
        ask(self.client(other, 5), "echo", "{}")
        self.check("calls failed a moment ago", broker, other)

    def test_a_service_that_is_not_well(self):
        broker = self.start("sensor_db /nowhere/sensors.db")
        self.assert_error(ask(self.client(broker, 5), "updateSensor", {"sensor_id": "a", "value": 1}), "storage_failed")
        eventually(lambda: self.as_said("monitoring says", broker)[0])
        self.check("monitoring says", broker, self.start())

    def test_rate_limited(self):
        broker = self.start("rate_limit 1", "rate_burst 1")
        client = self.client(broker, 5)
        ask(client, "ping")
        self.assert_error(ask(client, "ping"), "rate_limited")
        self.check("`rate_limited`", broker, self.start())

    def test_overloaded(self):
        broker = self.start("workers 1", "max_pending 1", plugin=TEST_PLUGIN)
        client = self.client(broker, 5)
        for _ in range(4):
            client.publish("rpc/call/slow.sleep", '{"ms":500}', qos=1, properties=[(RESPONSE_TOPIC, "r")])
        self.assert_error(client.receive(), "overloaded")
        self.check("`overloaded`", broker, self.start())

    def test_device_unknown(self):
        broker, other = self.start(), self.start()
        self.assert_error(ask(self.client(broker, 5), "device/lamp1/light"), "device_unknown")
        self.client(other, client_id="lamp1").publish("cmd/lamp1/hello", qos=1)
        self.check("`device_unknown`", broker, other)

    def pipeline(self, broker, count):
        """So many QoS 2 calls at once from one client, which are all answered: the reason codes of its acknowledgements."""
        client, reasons, replies = self.client(broker, 5), [], 0
        for _ in range(count):
            client.publish("rpc/call/ping", qos=2, wait=False, properties=[
                (RESPONSE_TOPIC, "r"), (CORRELATION_DATA, new_identity().encode())])
        while len(reasons) < count or replies < count:
            found = client.read()
            if found.kind == PUBREC:
                reasons.append(decode_ack(found).reason)
            replies += found.kind == PUBLISH
            client.handle(found)
        return reasons

    @unittest.skipIf(broker_version() in ((2, 1, 0), (2, 0, 15)), "this broker closes the connection, or takes all")
    def test_quota_exceeded(self):
        broker, other = self.start(), self.start(lines=["max_inflight_messages 1000"])
        self.assertIn(QUOTA_EXCEEDED, self.pipeline(broker, 40))
        self.assertNotIn(QUOTA_EXCEEDED, self.pipeline(other, 40))
        self.check("Quota exceeded", broker, other)

    # -- Slow, old and lost replies

    def test_a_slow_call(self):
        self.check("each call at QoS 1 or 2 takes", self.start(), self.start(lines=["set_tcp_nodelay true"]))

    def test_an_old_call(self):
        broker = self.make(persistence=True, **NOTHING)
        broker.start()
        client = self.client(broker)
        client.publish("rpc/call/ping", "old", qos=1, retain=True)
        client.disconnect()
        broker.stop()
        broker.plugins = [(PLUGIN, [])]
        broker.start()
        self.client(broker).publish("rpc/call/echo", "new", qos=1, retain=True)
        self.check("a subscriber of `rpc/call/#` gets an old call", broker, self.start())
        cure = re.search(r"`(mosquitto_sub [^`]*--remove-retained[^`]*)`", row_of("a subscriber of")[3]).group(1)
        for plugins in ([], [(PLUGIN, [])]):
            broker.stop()
            broker.plugins = plugins
            broker.start()
            run(here(cure, broker))
        self.assertFalse(self.as_said("a subscriber of `rpc/call/#` gets an old call", broker)[0])

    def test_old_replies(self):
        """A reply that came too late for its connection waits in the session."""
        broker, other = self.start(plugin=TEST_PLUGIN), self.start()
        client = self.client(broker, 4, client_id="lamp1", clean=False)
        client.publish("rpc/call/slow.sleep", '{"request_id":"7","ms":300}', qos=1)
        client.close()
        broker.wait_log("called slow.sleep: cancelled")
        self.check("a client gets old replies", broker, other)

    def test_a_lost_reply(self):
        broker = self.start()
        found, output = self.as_said("the reply to a call is lost", broker)
        self.assertFalse(found, output)
        self.assertTrue(self.as_said("the reply to a call is lost", broker)[0])


class TheTable(unittest.TestCase):
    def test_rows(self):
        for row in ROWS:
            self.assertEqual(len(row), 4, row)
            self.assertRegex(row[1], r"^`[^`]+`$")
        self.assertEqual(len({row[0] for row in ROWS}), len(ROWS))

    def test_every_row_is_tried(self):
        """By a test above, which names a part of its symptom."""
        source = pathlib.Path(__file__).read_text()
        named = re.findall(r"""(?:check|as_said|row_of)\("([^"]+)\"""", source)
        for row in ROWS:
            with self.subTest(row=row[0]):
                self.assertTrue(any(row[0].startswith(name) for name in named))


if __name__ == "__main__":
    main()
