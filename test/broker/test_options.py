"""Options do what they say, and a wrong one stops the broker with a line that helps."""
import json
import re
import unittest

from harness import (PLUGIN, BrokerExited, BrokerTest, ask, ask_by_id, broker_version, error_of, main, payload_of,
                     result_of)
from mqtt import RESPONSE_TOPIC
from slow_calls import SlowTest

PER_LISTENER = ["per_listener_settings true"]
NO_TICK = broker_version() < (2, 0, 15)  # with PER_LISTENER

WRONG = (
    "nonsense 1", "Prefix rpc", "qos 3", "qos -1", "qos two", "qos 1.5", "qos 0x1", "qos 99999999999999999999",
    "forward_calls maybe", "forward_calls truely", "guard_events 2x", "bridge_calls -",
    "unknown_methods ignore", "max_payload 5x", "max_payload -1", "max_payload k",
    "max_payload 99999999999999999999", "max_payload 1.5k", "max_payload 10s", "max_reply none",
    "reply_expiry 5d", "reply_expiry -1s", "reply_expiry s", "reply_expiry 1kb", "slow_call fast",
    "sys_interval 1week", "prefix +", "prefix rpc/#", "prefix a/+/b", "prefix $SYS/rpc", "prefix rpc rpc",
    "prefix a a/call", "prefix a/event a", "modules nothing", "modules ping nothing",
    "response_topic_filter a/#/b", "response_topic_filter a+", "mount_point m/#", "probe_nothing 1",
)
WRONG_OF_A_MODULE = ("probe_limit 0", "probe_limit 101", "probe_limit x", "probe_loud perhaps", "probe_colour purple",
                     "probe_ratio 1.5", "probe_period 1x", "probe_room 5q", "probe_label " + "x" * 17,
                     "probe_nothing 1")


class Refusals(BrokerTest):
    """The broker exits, neither with 0 nor by a signal, after one line with the option and its value."""

    def assert_refused(self, *options, plugin=None, names=None):
        broker = self.make(options, **({"plugin": plugin} if plugin else {}))
        self.assertGreater(broker.run_to_exit(), 0)
        name, value = (names or options[-1]).split(" ", 1)
        value = re.sub(r"[\x00-\x1f]", "", value)
        lines = [line for line in broker.log().splitlines()
                 if name in line and all(part in line for part in value.split(" ")[-1:])]
        # "Loading plugin", options echoed by the broker and the like do not count.
        lines = [line for line in lines if "mosquitto.conf" not in line]
        self.assertEqual(len(lines), 1, broker.log())
        self.assertGreater(len(lines[0]), len(name) + len(value) + 10, "it should say what is accepted")

    def test_wrong_values(self):
        for option in WRONG:
            with self.subTest(option=option):
                self.assert_refused(option, plugin=PLUGIN)

    def test_control_characters(self):
        broker = self.make(["prefix a/\x01b"], plugin=PLUGIN)
        self.assertGreater(broker.run_to_exit(), 0)
        self.assertNotIn("\x01", broker.log())

    def test_wrong_values_of_a_module(self):
        for option in WRONG_OF_A_MODULE:
            with self.subTest(option=option):
                self.assert_refused(option)

    def test_given_twice(self):
        self.assert_refused("qos 1", "qos 2")
        self.assert_refused("qos 1", "qos 1")
        self.assert_refused("probe_limit 4", "probe_limit 5")
        self.assert_refused("prefix a", "prefix b")

    def test_a_wrong_one_among_right_ones(self):
        self.assert_refused("qos 1", "prefix a b", "modules ping", "max_payload 1k", "nonsense 5", names="nonsense 5")

    def test_a_module_that_refuses_to_start(self):
        broker = self.make(["probe_fail true"])
        self.assertGreater(broker.run_to_exit(), 0)
        self.assertIn("failing as configured", broker.log())

    def test_comments_are_part_of_a_value(self):
        """Mosquitto passes the rest of the line, so that "rpc # x" must not be taken for three prefixes."""
        self.assert_refused("qos 1 # low")
        self.assert_refused("prefix rpc # main", names="prefix #")
        self.assert_refused("forward_calls true # yes")

    def test_options_in_another_file_than_their_plugin(self):
        """Mosquitto refuses that itself; the manual says so."""
        broker = self.make(plugins=[], lines=["include_dir {directory}/conf.d"])
        folder = broker.directory / "conf.d"
        folder.mkdir()
        (folder / "10.conf").write_text(f"plugin {PLUGIN}\n")
        (folder / "20.conf").write_text("plugin_opt_prefix other\n")
        self.assertGreater(broker.run_to_exit(), 0)


class Acceptance(BrokerTest):
    """Careful and careless configurations."""

    def probe_options(self, *options):
        return result_of(ask(self.client(self.start(options), 5), "probe.options"))

    def test_defaults_of_a_module(self):
        self.assertEqual(self.probe_options(), {
            "loud": False, "fail": False, "limit": 3, "period": 1500, "room": 4096, "ratio": 0.5, "label": "none",
            "colour": "red"})

    def test_options_of_a_module(self):
        found = self.probe_options("probe_loud true", "probe_limit 100", "probe_ratio 0.25", "probe_label two words",
                                   "probe_colour blue")
        self.assertEqual((found["loud"], found["limit"], found["ratio"], found["label"], found["colour"]),
                         (True, 100, 0.25, "two words", "blue"))

    def test_durations_and_sizes(self):
        for duration, size, period, room in (("250ms", "100", 250, 100), ("10s", "64k", 10_000, 65_536),
                                             ("5m", "2m", 300_000, 2_097_152), ("2h", "0", 7_200_000, 0)):
            with self.subTest(duration=duration, size=size):
                found = self.probe_options(f"probe_period {duration}", f"probe_room {size}")
                self.assertEqual((found["period"], found["room"]), (period, room))

    def test_every_option_at_once(self):
        broker = self.start(["prefix a b", "qos 1", "modules ping echo", "forward_calls false",
                             "unknown_methods reject",
                             "response_topic_filter #", "guard_events true", "event_publishers x y",
                             "bridge_calls false", "mount_point m/", "max_payload 64k", "max_reply 64k",
                             "reply_expiry 60s", "sys_interval 10s", "slow_call 50ms"], plugin=PLUGIN)
        self.assertEqual(result_of(ask(self.client(broker, 5), "echo", "1", prefix="b")), 1)

    def test_trailing_blanks(self):
        """Mosquitto keeps them. The option either ignores them, or is refused with a line that says why."""
        for option in ("qos 1 ", "prefix rpc ", "prefix rpc  ", "forward_calls false  ", "max_payload 1k "):
            with self.subTest(option=option):
                broker = self.make([option])
                try:
                    broker.start()
                except BrokerExited as exited:
                    self.assertIn(option.split(" ")[0], exited.log)
                    continue
                self.assertEqual(result_of(ask(self.client(broker, 5), "echo", "1")), 1)

    def test_options_beside_their_plugin_in_an_included_file(self):
        broker = self.make(plugins=[], lines=["include_dir {directory}/conf.d"])
        folder = broker.directory / "conf.d"
        folder.mkdir()
        (folder / "10.conf").write_text(f"plugin {PLUGIN}\nplugin_opt_prefix other\n")
        broker.start()
        self.assertEqual(result_of(ask(self.client(broker, 5), "echo", "1", prefix="other")), 1)

    def test_modules(self):
        client = self.client(self.start(["modules ping probe"]), 5)
        self.assertTrue(result_of(ask(client, "ping"))["ok"])
        self.assertEqual(result_of(ask(client, "probe.count")), {"runs": 1})
        for method in ("echo", "getTime", "updateSensor"):
            self.assert_error(error_of(ask(client, method)), "method_not_found")

    def test_line_ends_of_another_system(self):
        broker = self.make(["qos 1\r", "prefix other\r"])
        broker.start()
        self.assertEqual(ask(self.client(broker, 5), "echo", "1", prefix="other", qos=2).qos, 1)


class Prefixes(BrokerTest):
    """Several prefixes share code and nothing else."""

    def test_state_and_events_are_apart(self):
        broker = self.start(["prefix prod/rpc dev/rpc rpc"])
        client, watcher = self.client(broker, 5), self.client(broker, 5)
        watcher.subscribe("#")
        for expected in (1, 2):
            for prefix in ("prod/rpc", "dev/rpc", "rpc"):
                self.assertEqual(result_of(ask(client, "probe.count", prefix=prefix)), {"runs": expected})
                self.assertEqual(watcher.receive().topic, f"{prefix}/event/probeCounted")
        watcher.expect_nothing()

    def test_sensors_are_apart(self):
        client = self.client(self.start(["prefix a b"], plugin=PLUGIN), 5)
        ask(client, "updateSensor", {"sensor_id": "s", "value": 1}, prefix="a")
        self.assert_error(error_of(ask(client, "getSensor", {"sensor_id": "s"}, prefix="b")), "unknown_sensor")

    def test_only_the_configured_ones(self):
        broker = self.start(["prefix a/b/c"])
        watcher, client = self.client(broker, 5), self.client(broker, 5)
        watcher.subscribe("#")
        for topic in ("rpc/call/echo", "a/b/call/echo", "a/b/c/d/call/echo", "b/c/call/echo"):
            client.publish(topic, "1", qos=1)
            self.assertEqual(watcher.receive().topic, topic)
        self.assertEqual(result_of(ask(client, "echo", "1", prefix="a/b/c")), 1)

    def test_neighbours(self):
        client = self.client(self.start(["prefix a a/b ab"]), 5)
        for prefix in ("a", "a/b", "ab"):
            self.assertEqual(result_of(ask(client, "probe.count", prefix=prefix)), {"runs": 1})

    def test_a_prefix_that_begins_with_a_slash(self):
        broker = self.start(["prefix /rpc/v1 rpc"], lines=["sys_interval 1"])
        for version in (4, 5):
            client = self.client(broker, version)
            client.subscribe("/rpc/v1/call/+/response/+", "/rpc/v1/event/#", f"/rpc/cmd/lamp{version}/status")
            client.publish("/rpc/v1/call/echo", '{"request_id":"7"}', qos=1)
            self.assertEqual(client.receive().topic, "/rpc/v1/call/echo/response/7")
            client.publish("/rpc/v1/event/error", "forged", qos=0)
            device = self.client(broker, version, client_id=f"lamp{version}")
            device.publish(f"/rpc/cmd/lamp{version}/hello", qos=1)
            self.assertEqual(client.receive().topic, f"/rpc/cmd/lamp{version}/status")

    def test_undeclared_members(self):
        """Refused by all methods with the option, whatever the way to call, and ignored without."""
        for option, refuses in (("undeclared refuse", True), ("undeclared ignore", False)):
            client = self.client(self.start([option]), 5)
            given = {"gate": "a", "open": True, "opens": False}
            reply = ask(client, "setGate", given)
            message = "opens is not declared, did you mean open?"
            if refuses:
                self.assert_error(error_of(reply), "invalid_params", msg=message)
                self.assertEqual(ask_by_id(client, "setGate", given)["error"]["msg"], message)
            else:
                self.assertEqual(result_of(reply), {"gate": "a", "open": True})
                self.assertEqual(ask_by_id(client, "setGate", given)["result"], {"gate": "a", "open": True})
            client.publish("rpc/batch/setGate", json.dumps([given]), qos=1, properties=[(RESPONSE_TOPIC, "r")])
            outcome, = payload_of(client.receive())
            self.assertEqual(outcome.get("error", {}).get("msg"), message if refuses else None)

    def test_a_prefix_that_hash_does_not_match(self):
        broker = self.start(["prefix $rpc"])
        client, watcher = self.client(broker, 5), self.client(broker, 5)
        watcher.subscribe("#", "$rpc/event/#")
        self.assertEqual(result_of(ask(client, "probe.count", prefix="$rpc")), {"runs": 1})
        self.assertEqual(payload_of(watcher.receive()), {"runs": 1})

    def test_many(self):
        names = [f"site/{number}" for number in range(40)]
        client = self.client(self.start(["prefix " + " ".join(names)]), 5)
        for name in (names[0], names[20], names[39]):
            self.assertEqual(result_of(ask(client, "probe.count", prefix=name)), {"runs": 1})


class SafePoint(SlowTest):
    """Brokers before 2.0.15 send no TICK with per_listener_settings: there the safe point takes its place."""

    IN_USE = "the safe point is in use"

    def start_quiet(self, *options, **how):
        """Nothing but calls makes the loop go round."""
        return self.start(["sys_interval 0", *options], lines=["sys_interval 0"], **how)

    def test_the_log_says_that_it_is_in_use(self):
        for first in ([], PER_LISTENER):
            broker = self.start_quiet(first=first)
            client = self.client(broker, 5)
            for _ in range(3):
                self.assertEqual(self.outcome(client, "slow.sleep", {"ms": 20})[0], "ok")
            self.assertEqual(broker.log().count(self.IN_USE), bool(first) and NO_TICK)

    @unittest.skipUnless(NO_TICK, "this broker always sends TICK")
    def test_switched_off(self):
        broker = self.start_quiet("safe_point false", first=PER_LISTENER)
        client = self.client(broker, 5)
        identity = self.call(client, "slow.sleep", {"ms": 20})
        client.expect_nothing(1)
        self.client(broker).publish("rpc/call/echo", "1", qos=1)
        self.assertEqual(self.reply(client)[:2], (identity, "ok"))
        self.assertNotIn(self.IN_USE, broker.log())


if __name__ == "__main__":
    main()
