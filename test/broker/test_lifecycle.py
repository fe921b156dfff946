"""Loading, reloading and unloading the plugin, and other plugins in the same broker."""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import unittest

from harness import (PLUGIN, SECOND_PLUGIN, TEST_PLUGIN, TIMEOUT, BrokerExited, BrokerTest,
                     ask, ask_by_id, broker_version, eventually, main, payload_of, result_of)
from mqtt import RESPONSE_TOPIC

USERS = {"alice": "right"}


class Stop(BrokerTest):
    """The broker ends at SIGTERM, idle and with busy workers."""

    def test_idle(self):
        self.start().stop()

    def test_after_calls(self):
        broker = self.start()
        clients = [self.client(broker, version) for version in (3, 4, 5)]
        for client in clients:
            for _ in range(100):
                client.publish("rpc/call/echo", '{"request_id":"r"}', qos=0)
        broker.stop()

    def test_never_connected_to(self):
        self.start(plugin=PLUGIN).stop()


class Reload(BrokerTest):
    """Debian's logrotate sends SIGHUP every day."""

    def check_reload(self, plugins):
        broker = self.start(plugins=plugins, users=USERS, anonymous=False)
        early = self.client(broker, 5, username="alice", password="right")
        self.assertEqual(result_of(ask(early, "echo", "1")), 1)
        for count in (1, 2, 3):
            broker.signal(signal.SIGHUP)
            eventually(lambda: broker.log().count("Reloading config") >= count)
            if any(path == SECOND_PLUGIN for path, _ in plugins):
                eventually(lambda: broker.log().count("second: RELOAD") == count)
            late = self.client(broker, 5, username="alice", password="right")
            self.assertEqual(result_of(ask(late, "echo", "2")), 2)
            refused = self.client(broker, 5, username="alice", password="wrong", check=False)
            self.assertNotEqual(refused.connack, 0)
        self.assertEqual(result_of(ask(early, "echo", "3")), 3)

    def test_alone(self):
        self.check_reload([(PLUGIN, ["qos 1"])])

    def test_before_another_plugin(self):
        self.check_reload([(PLUGIN, []), (SECOND_PLUGIN, [])])

    def test_after_another_plugin(self):
        self.check_reload([(SECOND_PLUGIN, []), (PLUGIN, [])])

    def test_state_survives(self):
        broker = self.start()
        client = self.client(broker, 5)
        ask(client, "probe.count")
        broker.signal(signal.SIGHUP)
        broker.wait_log("Reloading config")
        self.assertEqual(result_of(ask(client, "probe.count")), {"runs": 2})


class OtherPlugins(BrokerTest):
    """Other plugins, and ACLs: the plugin does not change what clients may do."""

    RULES = "topic read open/#\nuser bob\ntopic readwrite bobs/#\n"

    def what_happens(self, plugins, acl):
        """The reactions of the broker to a client, with and without the plugin."""
        broker = self.start(plugins=plugins, acl=acl)
        answers = []
        for version in (4, 5):
            for how in ({}, {"username": "bob"}, {"username": "bob", "password": "x"}):
                client = self.client(broker, version, check=False, **how)
                answers.append(client.connack)
                answers.append(client.subscribe("open/a", "bobs/a", "other", check=False))
                answers += [client.publish(topic, "x", qos=qos) for topic in ("open/a", "bobs/a", "other")
                            for qos in (1, 2)]
        return answers

    def test_nothing_changes(self):
        for acl in (None, self.RULES):
            with self.subTest(acl=bool(acl)):
                alone = self.what_happens([], acl)
                self.assertEqual(self.what_happens([(PLUGIN, [])], acl), alone)

    def test_other_plugins_see_every_message(self):
        for plugins in ([(TEST_PLUGIN, []), (SECOND_PLUGIN, [])], [(SECOND_PLUGIN, []), (TEST_PLUGIN, [])]):
            broker = self.start(plugins=plugins)
            client = self.client(broker, 5)
            client.publish("elsewhere", "x", qos=1)
            ask(client, "echo", "1")
            self.assertEqual(broker.log().count("second: MESSAGE"), 2)

    def test_per_listener_settings(self):
        broker = self.start(first=["per_listener_settings true"])
        client, watcher = self.client(broker, 5), self.client(broker)
        watcher.subscribe("rpc/event/#")
        self.assertEqual(result_of(ask(client, "probe.count")), {"runs": 1})
        self.assertEqual(payload_of(watcher.receive()), {"runs": 1})


class Listeners(BrokerTest):
    """With per_listener_settings, a plugin belongs to the listener above it; from 2.1 on several may use one."""

    SECOND = ["listener {second_port} 127.0.0.1", "allow_anonymous true"]

    def check(self, **how):
        broker = self.start(first=["per_listener_settings true", *how.pop("first", ())], **how)
        for port in (broker.port, broker.second_port):
            client = self.client(broker, 5, port=port)
            client.subscribe("rpc/event/#")
            self.assertEqual(result_of(ask(client, "echo", "1")), 1)
            client.publish("rpc/call/ping", qos=1)
            self.assertEqual(client.receive().topic, "rpc/event/pong")
            client.expect_nothing()

    def test_one_plugin_line_for_each(self):
        self.check(lines=[*self.SECOND, f"plugin {TEST_PLUGIN}"])

    @unittest.skipIf(broker_version() < (2, 1), "plugin_load came with 2.1")
    def test_one_plugin_for_all(self):
        self.check(plugins=[], first=[f"plugin_load ours {TEST_PLUGIN}"],
                   lines=["plugin_use ours", *self.SECOND, "plugin_use ours"])


class Twice(BrokerTest):
    """The same plugin on two lines either works, or is refused with a clear line."""

    def links(self, kind):
        """A copy of the plugin's file, a link to it, or the file itself."""
        if kind == "same":
            return TEST_PLUGIN
        folder = pathlib.Path(self.make().directory)
        path = folder / "another.so"
        shutil.copy(TEST_PLUGIN, path) if kind == "copy" else path.symlink_to(TEST_PLUGIN)
        return str(path)

    def check(self, kind, prefixes):
        broker = self.make(plugins=[(TEST_PLUGIN, [f"prefix {prefixes[0]}"]),
                                    (self.links(kind), [f"prefix {prefixes[1]}"])])
        try:
            broker.start()
        except BrokerExited as exited:
            self.assertGreater(exited.code, 0, exited.log)
            self.assertRegex(exited.log, r"(?i)error.*(rpc|plugin).*\n")
            return
        for version in (4, 5):
            client = self.client(broker, version)
            client.subscribe("+/event/#")
            for prefix in prefixes:
                self.assertIn("result", ask_by_id(client, "probe/deep/name", prefix=prefix))
                client.expect_nothing()
                client.publish(f"{prefix}/call/ping", qos=1)
                self.assertEqual(client.receive().topic, f"{prefix}/event/pong")
                client.expect_nothing()

    def test_different_prefixes(self):
        for kind in ("same", "copy", "link"):
            with self.subTest(kind=kind):
                self.check(kind, ["one", "two"])

    def test_the_same_prefix(self):
        for kind in ("same", "copy", "link"):
            with self.subTest(kind=kind):
                self.check(kind, ["one", "one"])


class FailingStart(BrokerTest):
    """No crash, whichever part fails."""

    def assert_exits(self, broker, leaks=True):
        self.assertGreater(broker.run_to_exit(leaks=leaks), 0)

    def test_bad_option(self):
        self.assert_exits(self.make(["nonsense 1"]))

    def test_another_plugin_fails(self):
        """Brokers before 2.1 do not clean up then, so that the plugin cannot free its memory."""
        failing = (SECOND_PLUGIN, ["fail true"])
        self.assert_exits(self.make(plugins=[(TEST_PLUGIN, []), failing]), leaks=False)
        self.assert_exits(self.make(plugins=[failing, (TEST_PLUGIN, [])]))

    def test_we_fail_beside_another(self):
        self.assert_exits(self.make(plugins=[(SECOND_PLUGIN, []), (TEST_PLUGIN, ["qos 7"])]))
        self.assert_exits(self.make(plugins=[(TEST_PLUGIN, ["prefix a b", "probe_fail true"]), (SECOND_PLUGIN, [])]))

    def test_port_busy(self):
        first = self.start(plugins=[])
        second = self.make()
        second.pick_ports()
        second.port = first.port
        self.assert_exits(second, leaks=False)


class Daemon(BrokerTest):
    """The broker forks before it loads plugins."""

    def test_calls_are_answered(self):
        broker = self.make(log=["file {directory}/log"], lines=["pid_file {directory}/pid"], arguments=["-d"])
        broker.pick_ports()
        self.addCleanup(self.end_daemon, broker)
        broker.launch()
        self.assertEqual(broker.process.wait(TIMEOUT), 0)
        broker.process = None
        broker.wait_log(r"version \S+ running", TIMEOUT)
        pid = self.daemon_of(broker)
        client = self.client(broker, 5)
        self.assertEqual(result_of(ask(client, "echo", "1")), 1)
        self.assertTrue(result_of(ask(client, "slow.sleep", {"ms": 100}))["wanted"])
        os.kill(pid, signal.SIGTERM)
        broker.wait_log("terminating")
        eventually(lambda: self.ended(pid))
        broker.check_reports()

    @staticmethod
    def ended(pid):
        try:
            return "State:\tZ" in pathlib.Path(f"/proc/{pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True

    @staticmethod
    def daemon_of(broker):
        """The process that was started with this broker's own configuration; None: it has ended, or never was."""
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if str(broker.config_path).encode() in path.read_bytes():
                    return int(path.parent.name)
        return None

    def end_daemon(self, broker):
        pid = self.daemon_of(broker)
        if pid and not self.ended(pid):
            os.kill(pid, signal.SIGKILL)


class Kicked(BrokerTest):
    """A plugin before ours ends the connection of a client, whose message then has no client id."""

    def test_no_client_gets_the_reply(self):
        for first in ([], ["per_listener_settings true"]):
            with self.subTest(first=first):
                broker = self.start(plugins=[(SECOND_PLUGIN, ["kick true"]), (TEST_PLUGIN, [])], first=first)
                watcher = self.client(broker)
                watcher.subscribe("#")
                connection = self.client(broker, 5)
                connection.publish("rpc/call/echo", '{"evil":true}', properties=[(RESPONSE_TOPIC, "door/open")])
                connection.expect_end()
                watcher.expect_nothing()


class LogTopic(BrokerTest):
    """The log as messages: a log line of the plugin becomes a publication by the broker, within one of the plugin."""

    def test_calls_and_warnings(self):
        broker = self.start(log=["stderr", "topic"])
        watcher, client = self.client(broker, 4), self.client(broker, 5)
        watcher.subscribe("$SYS/broker/log/#")
        for number in range(200):
            client.publish("rpc/call/nothing" if number % 2 else "rpc/call/echo", "{", qos=number % 3,
                           properties=[(RESPONSE_TOPIC, "$r")] if number % 5 == 0 else ())
        self.assertEqual(result_of(ask(client, "echo", "1")), 1)
        ask(client, "probe.log", {"text": "as a message"})
        message = watcher.receive()
        while b"probe says as a message" not in message.payload:
            message = watcher.receive()
        self.assertTrue(message.topic.startswith("$SYS/broker/log/"))


if __name__ == "__main__":
    main()
