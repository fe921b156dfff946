# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""clients/shell, in every shell that is here, at a real broker, and with its connection cut."""
import json
import os
import shutil
import subprocess
import time

from cutter import AFTER, IN, MIDDLE, OUT, Cutter, Moment, prove_once
from harness import PLUGIN, ROOT, SLOW, TEST_PLUGIN, TIMEOUT, BrokerTest, ask, eventually, main, running
from mqtt import CONNECT, CORRELATION_DATA, PUBACK, PUBLISH, USER_PROPERTY
from pages import blocks, here, run

SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]
FOLDER = ROOT / "clients/shell"
SCRIPT = '. "$0"; "$@"'


def shell_command(shell, *words):
    interpreter = [shell, "sh"] if shell == "busybox" else [shell]
    return [*interpreter, "-c", SCRIPT, str(FOLDER / "mosquitto_rpc.sh"), *words]


class Shell:
    """For prove_once(): each call is a process, and connects anew."""

    def __init__(self, port, shell="sh"):
        self.port, self.shell = port, shell

    def run(self, *words, **environment):
        environment.setdefault("RPC_TIMEOUT", str(60 * SLOW))
        return subprocess.run(shell_command(self.shell, *words, "-h", "127.0.0.1", "-p", str(self.port)),
                              capture_output=True, text=True, check=False, timeout=12 * TIMEOUT,
                              env={**os.environ, **environment})

    def call(self, method, params):
        done = self.run("rpc_call", method, json.dumps(params))
        assert done.returncode == 0, done
        return json.loads(done.stdout)

    def close(self):
        pass


class ShellTest(BrokerTest):

    def setUp(self):
        self.broker = self.start(["sys_interval 0"], first=["set_tcp_nodelay true"])

    def outcome(self, *words, port=None, shell="sh", **environment):
        """Exit status, output, and complaint."""
        done = Shell(port or self.broker.port, shell).run(*words, **environment)
        return done.returncode, done.stdout, done.stderr


class Calls(ShellTest):

    def test_results_and_errors(self):
        for shell in SHELLS:
            with self.subTest(shell=shell):
                self.assertEqual(self.outcome("rpc_call", "echo", '{"a":[1,"b  c"]}', shell=shell),
                                 (0, '{"a":[1,"b  c"]}\n', ""))
                self.assertEqual(self.outcome("rpc_call", "echo", '"%s\\n*"', shell=shell), (0, '"%s\\n*"\n', ""))
                status, output, complaint = self.outcome("rpc_call", "getSensor", "{}", shell=shell)
                self.assertEqual((status, output, json.loads(complaint)["err"]), (1, "", "invalid_params"))
                status, output, _ = self.outcome("rpc_batch", "echo", '[1,{"a":2}]', shell=shell)
                self.assertEqual((status, json.loads(output)), (0, [{"result": 1}, {"result": {"a": 2}}]))

    def test_what_is_not_the_reply(self):
        """What others send to the topic of replies, and what was kept there, is none."""
        stranger = self.client(self.broker, 5)
        said = [(USER_PROPERTY, ("status", "ok")), (CORRELATION_DATA, b"0" * 32)]
        stranger.publish("rpc/reply/mine/rpc", '"kept"', qos=1, retain=True, properties=said)
        self.assertEqual(self.outcome("rpc_call", "echo", "1", RPC_CLIENT_ID="mine"), (0, "1\n", ""))
        call = subprocess.Popen(shell_command("sh", "rpc_call", "slow.wait", '{"name":"here"}', "-h", "127.0.0.1", "-p",
                                              str(self.broker.port)), stdout=subprocess.PIPE, text=True,
                                env={**os.environ, "RPC_CLIENT_ID": "other", "RPC_TIMEOUT": "60"})
        with call:
            eventually(lambda: ask(stranger, "rpc.stats") and "Sending SUBACK to other" in self.broker.log())
            for properties in ([], said[:1], said):
                stranger.publish("rpc/reply/other/rpc", '"said"', qos=1, properties=properties)
            ask(stranger, "slow.tell", {"name": "here", "text": "now"})
            self.assertNotIn("said", call.communicate(timeout=TIMEOUT)[0])
        self.assertEqual(call.returncode, 0)

    def test_large_ones(self):
        """As large as the plugin takes by default."""
        text = json.dumps("x" * 60000)
        self.assertEqual(self.outcome("rpc_call", "echo", text), (0, text + "\n", ""))

    def test_a_timeout(self):
        status, output, complaint = self.outcome("rpc_call", "slow.sleep", '{"ms":30000}', RPC_TIMEOUT="1")
        self.assertEqual((status, output, json.loads(complaint)["err"]), (1, "", "timeout"))  # the plugin's own

    def test_no_reply(self):
        silent = self.start(plugins=[])
        status, output, complaint = self.outcome("rpc_call", "echo", port=silent.port, RPC_TIMEOUT="1")
        self.assertEqual((status, output), (4, ""))
        self.assertIn("no reply came", complaint)

    def test_no_broker(self):
        self.broker.stop()
        status, output, complaint = self.outcome("rpc_call", "echo", RPC_TIMEOUT="1")
        self.assertEqual((status, output), (3, ""))
        self.assertIn("refused", complaint)

    def test_a_broker_that_refuses(self):
        locked = self.start(anonymous=False, users={"app": "secret"})
        status, output, complaint = self.outcome("rpc_call", "echo", port=locked.port)
        self.assertEqual((status, output), (3, ""))
        self.assertRegex(complaint, "(?i)not authorized")
        home = self.broker.directory / "home"
        (home / ".config").mkdir(parents=True)
        (home / ".config/mosquitto_rr").write_text("-u app\n-P secret\n")
        self.assertEqual(self.outcome("rpc_call", "echo", "1", port=locked.port, HOME=str(home)), (0, "1\n", ""))

    def test_wrong_usage(self):
        self.assertEqual(self.outcome("rpc_call", "echo", "1", "--nonsense")[0], 2)
        for function in ("rpc_call METHOD", "rpc_batch METHOD", "rpc_events EVENT"):
            done = subprocess.run(shell_command("sh", function.split()[0]), capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn(f"usage: {function}", done.stderr)
        for shell in SHELLS:
            for timeout in ("1.5", "x", "-1", "0", "08", "a[$(touch ran)]", "9" * 20):
                with self.subTest(shell=shell, timeout=timeout):
                    status, output, complaint = self.outcome("rpc_call", "echo", shell=shell, RPC_TIMEOUT=timeout)
                    self.assertEqual((status, output), (2, ""))
                    self.assertIn("RPC_TIMEOUT must be whole seconds", complaint)
        self.assertFalse(os.path.exists("ran"))

    def test_prefix_and_client_id(self):
        other = self.start(["prefix other"])
        self.assertEqual(self.outcome("rpc_call", "probe.caller", port=other.port, RPC_PREFIX="other",
                                      RPC_CLIENT_ID="me")[1].count('"me"'), 1)

    def test_events(self):
        command = shell_command("sh", "rpc_events", "probeCounted", "-h", "127.0.0.1", "-C", "1",
                                "-p", self.broker.port)
        with running(command) as watcher:
            self.broker.wait_log("rpc/event/probeCounted")
            Shell(self.broker.port).call("probe.count", {})
            self.assertEqual(watcher.stdout.read(), 'rpc/event/probeCounted {"runs":1}\n')


class Once(ShellTest):

    def test_cuts(self):
        moments = prove_once(self.broker, Shell, twice=False, places=(MIDDLE, AFTER))
        for moment in (Moment(OUT, CONNECT, MIDDLE), Moment(OUT, PUBLISH, AFTER), Moment(IN, PUBACK, MIDDLE),
                       Moment(IN, PUBLISH, MIDDLE)):
            self.assertIn((moment,), moments)

    def test_no_connection_for_a_while(self):
        with Cutter(self.broker.port) as cutter:
            cutter.arm(Moment(OUT, PUBLISH, AFTER))
            done = subprocess.Popen(shell_command("sh", "rpc_call", "probe.count", "{}", "-h", "127.0.0.1", "-p",
                                                  str(cutter.port)), stdout=subprocess.PIPE, text=True,
                                    env={**os.environ, "RPC_TIMEOUT": "60"})
            eventually(lambda: cutter.fired)
            cutter.refusing = True
            time.sleep(0.5)
            cutter.refusing = False
            self.assertEqual(done.communicate(timeout=TIMEOUT)[0], '{"runs":1}\n')


class Page(BrokerTest):

    def test_its_listings(self):
        broker = self.start(plugin=PLUGIN)
        page = (FOLDER / "README.md").read_text()
        shown = blocks(page, "text")
        self.assertEqual(len(shown), 2)
        for listing, output in zip(blocks(page), shown):
            self.assertEqual(run(here(listing, broker), cwd=FOLDER), output)


if __name__ == "__main__":
    assert TEST_PLUGIN
    main()
