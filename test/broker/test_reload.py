"""Settings that change while the broker runs: plugin_opt_config_file, read at start and at each SIGHUP."""
import os
import re
import signal
import unittest

from harness import (PLUGIN, ROOT, SECOND_PLUGIN, TEST_PLUGIN, BrokerTest, ask, broker_version, error_of, eventually, main,
                     payload_of, result_of)
from mqtt import CORRELATION_DATA, RESPONSE_TOPIC, property_of
from pages import section

PAGE = section((ROOT / "docs/operation.md").read_text(), "## Changing settings while the broker runs")

KEPT = "; all settings stay as they were"


class ReloadTest(BrokerTest):
    """A broker with a config_file."""

    def start_with(self, settings, options=(), **how):
        broker = self.make(["config_file {directory}/settings", *options], **how)
        self.write(broker, settings)
        return broker.start()

    def write(self, broker, settings):
        (broker.directory / "settings").write_text(settings)

    def hang_up(self, broker, settings=None, lines=1):
        """Sends SIGHUP, after writing the file, and returns the plugin's lines about it."""
        if settings is not None:
            self.write(broker, settings)
        found = self.lines(broker)
        broker.signal(signal.SIGHUP)
        eventually(lambda: len(self.lines(broker)) >= len(found) + lines)
        return self.lines(broker)[len(found):]

    @staticmethod
    def lines(broker):
        return re.findall(r"mosquitto-rpc: (config_file .*)\n", broker.log())

    def off(self, name):
        return {"method": name, "err": "method_not_found", "msg": f"method {name} is switched off: see methods_off"}


class Start(ReloadTest):
    def test_in_force_from_the_start(self):
        broker = self.start_with("# what may change\nplugin_opt_methods_off echo\nmax_payload 100\n")
        broker.wait_log("read: 2 settings")
        client = self.client(broker, 5)
        self.assertEqual(error_of(ask(client, "echo", "1")), self.off("echo"))
        self.assertEqual(error_of(ask(client, "ping", "x" * 101))["err"], "payload_too_large")

    def test_a_mistake_stops_the_start(self):
        for settings, why in (("\nmax_payload little\n", "line 2: max_payload: 'little' is not accepted, it takes a size"),
                              ("workers 3\n", "line 1: workers: '3' is not accepted, it does not change while"),
                              ("methods_off nope\n", "line 1: methods_off: 'nope' is not accepted, it takes names"),
                              ("device_groups a\n", "device_groups: 'a'"),
                              (None, "No such file or directory")):
            with self.subTest(settings=settings):
                broker = self.make(["config_file {directory}/settings", "device_db :memory:"])
                if settings is not None:
                    self.write(broker, settings)
                self.assertNotEqual(broker.run_to_exit(), 0)
                self.assertIn(why, broker.log())


class Hangup(ReloadTest):
    def test_what_is_logged(self):
        broker = self.start_with("max_batch 3\n")
        path = broker.directory / "settings"
        self.assertEqual(self.hang_up(broker), [f"config_file {path} read: 1 settings"])
        self.assertEqual(self.hang_up(broker, "max_batch 4\nslow_call 1s\n"),
                         [f"config_file {path} read: 2 settings, 2 changed"])
        self.assertEqual(self.hang_up(broker, "max_batch 5\nslow_cal 2s\n"),
                         [f"config_file {path}, line 2: slow_cal: '2s' is not accepted, there is no such option, "
                          f"did you mean slow_call?{KEPT}"])
        path.unlink()
        self.assertEqual(self.hang_up(broker), [f"config_file {path}: No such file or directory{KEPT}"])
        os.mkfifo(path)
        self.assertEqual(self.hang_up(broker), [f"config_file {path}: it is no regular file{KEPT}"])
        path.unlink()
        self.assertEqual(self.hang_up(broker, "max_batch 4\nslow_call 1s\n"),
                         [f"config_file {path} read: 2 settings"])

    def test_all_or_nothing(self):
        broker = self.start_with("", ["prefix rpc other/rpc", "device_db :memory:"])
        client = self.client(broker, 5)
        for bad in ("qos 0", "prefix x", "max_batch 0", "methods_off ping nope", "device_groups a=x a=y", "max_batch"):
            self.hang_up(broker, f"methods_off echo\ndevice_groups hall=l1\n{bad}\n")
            for prefix in ("rpc", "other/rpc"):
                self.assertEqual(result_of(ask(client, "echo", "1", prefix=prefix)), 1)
                groups = result_of(ask(client, "device.group.list", prefix=prefix))
                self.assertEqual(groups, {"groups": []})
        self.hang_up(broker, "methods_off echo\ndevice_groups hall=l1\n")
        for prefix in ("rpc", "other/rpc"):
            self.assertEqual(error_of(ask(client, "echo", "1", prefix=prefix)), self.off("echo"))
            groups = result_of(ask(client, "device.group.list", prefix=prefix))
            self.assertEqual(groups, {"groups": [{"group": "hall", "devices": ["l1"], "configured": True}]})

    def test_a_setting_that_leaves_the_file(self):
        broker = self.start_with("max_batch 1\nmax_payload 64\n", ["max_batch 2", "max_reply 256k"])
        client = self.client(broker, 5)

        def limits():
            found = result_of(ask(client, "rpc.discover", ""))["x-limits"]
            return found["maxBatch"], found["maxPayload"]
        self.assertEqual(limits(), (1, 64))
        self.hang_up(broker, "")
        self.assertEqual(limits(), (2, 65536))

    def test_a_busy_broker(self):
        """Calls that wait, and calls that come meanwhile, are answered once each, and in their order."""
        broker = self.start_with("", ["max_pending 5000", "duplicate_window 60s"])
        clients = [self.client(broker, 5) for _ in range(4)]
        waiting = self.client(broker, 5)
        waiting.publish("rpc/call/slow.sleep", '{"ms":1500}', qos=1,
                        properties=[(RESPONSE_TOPIC, "r"), (CORRELATION_DATA, b"w")])
        for number in range(300):
            for client in clients:
                client.publish("rpc/call/echo", str(number), qos=0,
                               properties=[(RESPONSE_TOPIC, "r"), (CORRELATION_DATA, str(number).encode())])
            if number % 30 == 0:
                self.hang_up(broker, f"max_batch {number + 1}\nmax_pending {number + 1}\nrate_limit {number % 60 * 1000}\n"
                                     f"duplicate_entries {number + 1}\n")
        for client in clients:
            self.assertEqual([payload_of(client.receive()) for _ in range(300)], list(range(300)))
            client.expect_nothing()
        self.assertEqual(property_of(waiting.receive(), CORRELATION_DATA), b"w")
        waiting.expect_nothing()

    def test_rates(self):
        broker = self.start_with("")
        client = self.client(broker, 5)
        self.hang_up(broker, "rate_limit 1\nrate_burst 3\n")
        replies = [payload_of(ask(client, "echo", "1")) for _ in range(30)]
        self.assertIn("rate_limited", [reply["err"] for reply in replies if reply != 1])
        self.hang_up(broker, "")
        self.assertEqual([payload_of(ask(client, "echo", "1")) for _ in range(30)], [1] * 30)

    def test_guards(self):
        broker = self.start_with("", users={"alice": "a", "bob": "b"}, anonymous=False)
        watcher = self.client(broker, username="alice", password="a")
        watcher.subscribe("rpc/event/x")
        bob = self.client(broker, username="bob", password="b")
        for settings, passes in (("", False), ("event_publishers bob\n", True), ("event_publishers mary\n", False),
                                 ("guard_events false\n", True), ("guard_events true\n", False)):
            self.hang_up(broker, settings)
            bob.publish("rpc/event/x", settings or "x", qos=1)
            if passes:
                self.assertEqual(watcher.receive().payload, settings.encode())
            watcher.expect_nothing()


class Others(ReloadTest):
    """The broker reads its own files again at the same signal, and other plugins hear of it, whatever is wrong."""

    def check(self, plugins_of):
        broker = self.make(plugins=[], users={"alice": "old"}, anonymous=False)
        broker.plugins = plugins_of(["config_file {directory}/settings"])
        self.write(broker, "max_batch 2\n")
        broker.start()
        for count, settings in enumerate(("max_batch 3\n", "nonsense\n", "max_batch 4\n"), 1):
            word = f"word{count}"
            broker._write_passwords({"alice": word})  # pylint: disable=protected-access
            self.hang_up(broker, settings)
            eventually(lambda: broker.log().count("second: RELOAD") == count)
            client = self.client(broker, 5, username="alice", password=word)
            self.assertEqual(result_of(ask(client, "echo", "3")), 3)
            refused = self.client(broker, 5, username="alice", password="old", check=False)
            self.assertNotEqual(refused.connack, 0)

    def test_before_another_plugin(self):
        self.check(lambda options: [(PLUGIN, options), (SECOND_PLUGIN, [])])

    def test_after_another_plugin(self):
        self.check(lambda options: [(SECOND_PLUGIN, []), (PLUGIN, options)])

    def test_two_lines_with_files_of_their_own(self):
        broker = self.make(plugins=[], first=["per_listener_settings true"])
        broker.plugins = [(TEST_PLUGIN, ["config_file {directory}/settings"])]
        broker.lines = ["listener {second_port} 127.0.0.1", "allow_anonymous true", f"plugin {TEST_PLUGIN}",
                        "plugin_opt_config_file {directory}/others"]
        self.write(broker, "methods_off echo\n")
        (broker.directory / "others").write_text("methods_off ping\n")
        broker.start()
        one, other = self.client(broker, 5), self.client(broker, 5, port=broker.second_port)
        self.assertEqual(error_of(ask(one, "echo", "1"))["err"], "method_not_found")
        self.assertEqual(result_of(ask(other, "echo", "1")), 1)
        (broker.directory / "others").write_text("methods_off echo\n")
        self.hang_up(broker, "methods_off ping\n", lines=2)
        self.assertEqual(result_of(ask(one, "echo", "1")), 1)
        self.assertEqual(error_of(ask(other, "echo", "1"))["err"], "method_not_found")

    @unittest.skipIf(broker_version() < (2, 1), "plugin_load came with 2.1")
    def test_one_plugin_for_two_listeners(self):
        broker = self.make(plugins=[], first=["per_listener_settings true", f"plugin_load ours {TEST_PLUGIN}",
                                              "plugin_opt_config_file {directory}/settings"])
        broker.lines = ["plugin_use ours", "listener {second_port} 127.0.0.1", "allow_anonymous true", "plugin_use ours"]
        self.write(broker, "")
        broker.start()
        self.hang_up(broker, "methods_off echo\n")
        for port in (broker.port, broker.second_port):
            client = self.client(broker, 5, port=port)
            self.assertEqual(error_of(ask(client, "echo", "1"))["err"], "method_not_found")


class Devices(ReloadTest):
    def test_groups(self):
        broker = self.start_with("device_groups hall=l1,l2\n", ["device_db :memory:"])
        client = self.client(broker, 5)
        for _ in range(2):
            listed = result_of(ask(client, "device.list", {"group": "hall"}))
            self.assertEqual([device["device"] for device in listed["devices"]], ["l1", "l2"])
            self.hang_up(broker, "device_groups hall=l1,l2 roof=l3\n")
        listed = result_of(ask(client, "device.list", {"group": "roof"}))
        self.assertEqual([device["device"] for device in listed["devices"]], ["l3"])


class Page(ReloadTest):
    """What docs/operation.md shows."""

    SETTINGS = re.sub("^    ", "", re.search(r"(?:^    (?!plugin_opt|mosquitto).*\n)+", PAGE, re.MULTILINE).group(0),
                      flags=re.MULTILINE)
    OPTION, CHANGED, REFUSED = re.findall(r"^    (?:plugin_opt_|mosquitto-rpc: )(.*)\n", PAGE, re.MULTILINE)

    def test_its_file_and_its_lines(self):
        path = self.OPTION.split()[1]
        broker = self.start_with(self.SETTINGS.replace("500", "400").replace("20ms", "10ms"),
                                 ["sensor_db :memory:", "device_db :memory:"], plugin=PLUGIN)

        def here(line):
            return line.replace(path, str(broker.directory / "settings"))
        self.assertEqual(self.hang_up(broker, self.SETTINGS), [here(self.CHANGED)])
        client = self.client(broker, 5)
        error = error_of(ask(client, "forgetSensor", {"sensor_id": "t"}))
        self.assertIn(f"`{error['msg']}`", PAGE)
        self.assertIn('"off":true', ask(client, "rpc.describe", {"method": "forgetSensor"}).payload.decode())
        self.assertEqual(self.hang_up(broker, self.SETTINGS.replace("500", "many")), [here(self.REFUSED)])

    def test_its_table_names_options_that_reload(self):
        reference = (ROOT / "docs/reference.md").read_text()
        reloads = set(re.findall(r"^\| `plugin_opt_(\w+)` .*\(\*reloads\*\) \|$", reference, re.MULTILINE))
        self.assertIn("device_groups", reloads)
        named = set(re.findall(r"`(\w+)`", "".join(line.split(" | ")[0] for line in PAGE.splitlines()
                                                 if line.startswith("| `") or line.startswith("| smaller"))))
        self.assertGreater(len(named), 8)
        self.assertLessEqual(named, reloads)
        self.assertLessEqual({line.split()[0] for line in self.SETTINGS.splitlines() if not line.startswith("#")}, reloads)


if __name__ == "__main__":
    main()
