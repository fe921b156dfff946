"""What hangs, what has happened, and what is wrong, as a running broker tells it: rpc.running, rpc.recent, rpc.health
with its retained document, and log_calls."""
import json
import re
import signal

from devices import DeviceTest
from harness import PLUGIN, ROOT, TEST_PLUGIN, ask, ask_by_id, error_of, eventually, main, payload_of, result_of
from mqtt import USER_PROPERTY
from pages import here, rows, run, section
from slow_calls import SlowTest

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACED = (USER_PROPERTY, ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-00"))


class Health(SlowTest):

    @staticmethod
    def kinds(document):
        return [problem["what"] for problem in document["problems"]]

    def problem(self, broker, what):
        """Waits until the retained document has a problem, beside which a busy machine may have late ticks."""
        found = self.document(broker, lambda found: what in self.kinds(found))
        self.assertFalse(found["ok"])
        return found["problems"][self.kinds(found).index(what)]

    def document(self, broker, wanted=lambda found: True, prefix="rpc"):
        """Waits until the retained document is as wanted, as a client sees it that subscribes now."""
        found = {}

        def as_wanted():
            client = self.client(broker)
            client.subscribe(f"$SYS/broker/rpc/{prefix}/health")
            message = client.receive()
            client.disconnect()
            self.assertTrue(message.retain)
            found.update(payload_of(message))
            return wanted(found)
        eventually(as_wanted)
        return found

    def test_a_service_that_is_well(self):
        """The document is there soon after the start, also of a prefix that nobody calls."""
        broker = self.start(["prefix rpc site/two"], plugin=PLUGIN)
        for prefix in ("rpc", "site/two"):
            self.assertEqual(self.document(broker, prefix=prefix), {"ok": True, "problems": [], "config": None})
        client = self.client(broker, 5)
        self.assertEqual(result_of(ask(client, "rpc.health")), {"ok": True, "problems": [], "config": None})
        self.assertEqual(ask_by_id(self.client(broker, 4), "rpc.health")["result"]["ok"], True)

    def test_the_config_file(self):
        """When it was last read, and what was wrong with it; the document follows."""
        broker = self.make(["config_file {directory}/settings"], plugin=PLUGIN)
        path = broker.directory / "settings"
        path.write_text("timeout 20s\n")
        broker.start()
        config = self.document(broker, lambda found: found["config"])["config"]
        self.assertEqual((config["ok"], config["settings"], config["file"]), (True, 1, str(path)))
        path.write_text("timeout 20s\nmax_batch none\n")
        broker.signal(signal.SIGHUP)
        found = self.document(broker, lambda found: not found["config"]["ok"])
        self.assertTrue(found["ok"])
        self.assertIn("max_batch", found["config"]["error"])
        self.assertGreaterEqual(found["config"]["read_at"], config["read_at"])
        path.write_text("log_calls true\n")
        broker.signal(signal.SIGHUP)
        self.document(broker, lambda found: found["config"]["ok"])
        ask(self.client(broker, 5), "ping")
        broker.wait_log("called ping: ok, waited")

    def test_no_counters_no_document(self):
        broker = self.start(["sys_interval 0"], plugin=PLUGIN)
        client = self.client(broker, 5)
        self.assertTrue(result_of(ask(client, "rpc.health"))["ok"])
        listener = self.client(broker)
        listener.subscribe("$SYS/broker/rpc/#", "done")
        ask(client, "ping")
        listener.publish("done", b"")
        self.assertEqual(listener.receive().topic, "done")

    def test_a_stuck_worker(self):
        """What hangs is shown while it hangs, and the document follows, though nobody calls."""
        broker = self.start(["workers 1"])
        client, caller = self.client(broker, 5), self.client(broker, 5)
        self.call(caller, "slow.brief", {"ms": 6000, "lane": "pump"})
        self.assertEqual(self.reply(caller)[1], "timeout")
        running = result_of(ask(client, "rpc.running", {"caller": caller.client_id}))
        self.assertEqual(running["count"], 1)
        hanging = running["calls"][0]
        self.assertEqual((hanging["method"], hanging["state"], hanging["lane"], hanging["answered"]),
                         ("slow.brief", "worker", "pump", "timeout"))
        self.assertEqual(self.problem(broker, "stuck_worker")["text"],
                         "the work of slow.brief runs on, though its caller got timeout")
        self.document(broker, lambda found: "stuck_worker" not in self.kinds(found))
        self.assertEqual(result_of(ask(client, "rpc.running"))["calls"], [])

    def test_late_ticks(self):
        """A handler blocks the broker's thread while a deadline passes."""
        broker = self.start()
        caller, blocker = self.client(broker, 5), self.client(broker)
        self.call(caller, "slow.wait", {"name": "never"}, timeout=1500)
        blocker.publish("rpc/call/probe.sleep", '{"ms":5000}')
        self.assertEqual(self.reply(caller)[1], "timeout")
        self.problem(broker, "late_ticks")

    def test_a_full_table(self):
        broker = self.start(["max_pending 10"])
        client, caller = self.client(broker, 5), self.client(broker, 5)
        for _ in range(9):
            self.call(caller, "slow.wait", {"name": "one"}, timeout=60000)
        self.assertIn("max_pending", self.problem(broker, "full_table")["text"])
        result_of(ask(client, "slow.tell", {"name": "one", "text": "go"}))
        self.replies(caller, 9)
        self.document(broker, lambda found: "full_table" not in self.kinds(found))

    def test_open_calls(self):
        broker = self.start(["workers 1"])
        client, caller = self.client(broker, 5), self.client(broker, 5, client_id='m"é')
        self.call(caller, "slow.wait", {"name": "one"}, timeout=50000)
        self.call(caller, "slow.sleep", {"ms": 5000, "lane": "east"}, timeout=50000)
        self.call(caller, "slow.sleep", {"ms": 1, "lane": "east"}, timeout=50000)
        states = []

        def are_seen():
            running = result_of(ask(client, "rpc.running"))
            states[:] = [(call["method"], call["state"]) for call in running["calls"]]
            self.assertEqual((running["count"], {call["caller"] for call in running["calls"]}), (3, {'m"é'}))
            for call in running["calls"]:
                self.assertTrue(0 <= call["age_s"] <= call["age_s"] + call["deadline_s"] <= 50.001)
            return ("slow.sleep", "worker") in states
        eventually(are_seen)
        self.assertEqual(states, [("slow.wait", "deferred"), ("slow.sleep", "worker"), ("slow.sleep", "waiting")])
        only = result_of(ask(client, "rpc.running", {"method": "slow.sleep", "limit": 1}))
        self.assertEqual((only["count"], len(only["calls"]), only["calls"][0]["lane"]), (2, 1, "east"))
        result_of(ask(client, "slow.tell", {"name": "one", "text": "go"}))
        self.replies(caller, 3)
        self.assertEqual(result_of(ask(client, "rpc.running"))["count"], 0)

    def test_recent_calls(self):
        """Of clients of both versions, of batches and of JSON-RPC, with their outcomes, the newest first."""
        broker = self.start(["jsonrpc_methods *"])
        asker, five, four = self.client(broker, 5), self.client(broker, 5), self.client(broker, 4)
        ask(five, "echo", '"é"', entries=[TRACED])
        self.assert_error(error_of(ask(five, "none")), "method_not_found")
        ask_by_id(four, "ping")
        self.call(five, "ping", [{}, {}], kind="batch")
        self.reply(five)
        four.publish("rpc/jsonrpc", '{"jsonrpc":"2.0","id":"a:1","method":"probe.raise","params":{"code":"odd"}}')
        four.receive()
        self.assertEqual(self.outcome(five, "slow.sleep", {"ms": 50})[0], "ok")
        recent = result_of(ask(asker, "rpc.recent"))
        self.assertFalse(recent["more"])
        calls = recent["calls"]
        self.assertEqual([(call["method"], call["caller"]) for call in calls],
                         [("slow.sleep", five.client_id), ("probe.raise", four.client_id), ("ping", five.client_id),
                          ("ping", five.client_id), ("ping", four.client_id), ("none", five.client_id),
                          ("echo", five.client_id)])
        self.assertGreaterEqual(calls[0]["ran_s"] + calls[0]["waited_s"], 0.05)
        self.assertNotEqual(calls[1]["status"], "ok")
        self.assertEqual(calls[5]["status"], "method_not_found")
        self.assertEqual((calls[6]["status"], calls[6]["bytes"], calls[6]["trace"]), ("ok", 4, TRACE))
        self.assertTrue(all("payload" not in call for call in calls))
        self.assertEqual(sorted((call["at"] for call in calls[1:]), reverse=True), [call["at"] for call in calls[1:]])
        slow = result_of(ask(asker, "rpc.recent", {"slower_than": 0.04, "caller": five.client_id}))
        self.assertIn("slow.sleep", [call["method"] for call in slow["calls"]])
        failed = result_of(ask(asker, "rpc.recent", {"err": "*"}))
        self.assertEqual([call["method"] for call in failed["calls"]], ["probe.raise", "none"])

    def test_payloads(self):
        broker = self.start(["recorder_payloads true"])
        client = self.client(broker, 5)
        ask(client, "echo", '{"a":"é"}')
        self.outcome(client, "slow.sleep", {"ms": 1})
        ask(client, "probe.bytes", b"\x00\xff")
        calls = result_of(ask(client, "rpc.recent"))["calls"]
        self.assertEqual([call["payload"] for call in calls], ["\\x00\\xFF", json.dumps({"ms": 1}), '{"a":"é"}'])

    def test_a_full_ring_fits_into_a_reply(self):
        """The largest answer there can be with the options' defaults is one, and says that it is not all."""
        broker = self.start(["recorder_payloads true"], plugin=PLUGIN)
        client = self.client(broker, 5)
        for _ in range(260):
            client.publish("rpc/call/echo", json.dumps("\n" * 600))
        recent = result_of(ask(client, "rpc.recent", {"limit": 256}))
        self.assertTrue(recent["more"])
        self.assertGreater(len(recent["calls"]), 40)

    def test_each_call_is_logged(self):
        broker = self.start(["log_calls true"], plugin=TEST_PLUGIN)
        client = self.client(broker, 5, client_id="meter é")
        for _ in range(50):
            ask(client, "ping")
        ask(client, "none")
        self.outcome(client, "slow.sleep", {"ms": 20})
        line = r"rpc: client meter \\xC3\\xA9 called {}: {}, waited \d+ us, ran (\d+) us"
        broker.wait_log(line.format("none", "method_not_found"))
        broker.wait_log(line.format("slow.sleep", "ok"))
        self.assertEqual(len(re.findall(line.format("ping", "ok"), broker.log())), 50)

    def test_calls_are_not_logged_by_default(self):
        broker = self.start(plugin=PLUGIN)
        ask(self.client(broker, 5), "ping")
        self.assertNotIn("called ping", broker.log())


class Page(SlowTest):
    """docs/operation.md"""

    def test_the_commands(self):
        text = section((ROOT / "docs/operation.md").read_text(), "## Looking at a running service")
        commands = re.findall(r"^    \$ (.*)\n(    \{.*\n)?", text, re.MULTILINE)
        self.assertEqual(len(commands), 4)
        broker = self.start(plugin=PLUGIN)
        for command, shown in commands:
            with self.subTest(command=command):
                answer = json.loads(run(here(command, broker)))
                self.assertEqual(answer, json.loads(shown or commands[0][1]))

    def test_the_problems(self):
        """Each kind of problem has its row, and each row is a kind."""
        page = section((ROOT / "docs/operation.md").read_text(), "## Looking at a running service")
        kinds = {row[0].strip("`") for row in rows(page)}
        code = (ROOT / "core/observe/health.c").read_text()
        told = set(re.findall(r'health_add\(\s*look,\s*"(\w+)"', code))
        self.assertEqual(kinds, told | {"database"})

    def test_the_line(self):
        page = section((ROOT / "docs/operation.md").read_text(), "## Looking at a running service")
        shown, = re.findall(r"^    (rpc: client .*)", page, re.MULTILINE)
        broker = self.start(["log_calls true"], plugin=PLUGIN)
        ask(self.client(broker, 5, client_id="meter7"), "updateSensor", {"sensor_id": "a", "value": 1})
        broker.wait_log(re.sub(r"\d+ us", r"\\d+ us", re.escape(shown).replace("\\ ", " ")))


class Devices(DeviceTest):

    def test_a_command_that_is_not_answered(self):
        """rpc.running says that a device is what a call waits for, which one, and in which trace."""
        self.begin()
        device, app = self.ready(), self.app()
        identity = app.call("lamp1", "go", traceparent=TRACED[1][1])
        command = device.take()
        calls = result_of(ask(self.client(self.broker, 5), "rpc.running"))["calls"]
        self.assertEqual([(call["method"], call["state"], call["trace"]) for call in calls],
                         [("device/lamp1/go", "device", TRACE)])
        calls = result_of(ask(self.client(self.broker, 5), "rpc.running",
                              {"method": "device/{device}/{command}"}))["calls"]
        self.assertEqual(len(calls), 1)
        device.answer(command)
        app.result(identity)
        recent = result_of(ask(self.client(self.broker, 5), "rpc.recent", {"method": "device/lamp1/go"}))
        self.assertEqual([(call["status"], call["trace"]) for call in recent["calls"]], [("ok", TRACE)])


if __name__ == "__main__":
    main()
