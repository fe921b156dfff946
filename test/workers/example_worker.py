"""What tests of the workers of examples/workers have in common: all of them declare and do the same."""
import json
import os
import pathlib
import signal
import subprocess

from worker import PASSWORD, USER, allowed, workers_of  # first: it says where harness.py is
from harness import PLUGIN, TIMEOUT, ask, error_of, eventually, new_identity, payload_of, result_of
from mqtt import CORRELATION_DATA, RESPONSE_TOPIC, USER_PROPERTY, property_of, user_property_of


class Program:
    """The worker as a process, which says on standard output what the plugin has answered it."""

    def __init__(self, command, broker, name, user=USER):
        self.path = broker.directory / f"{name}.out"
        with open(self.path, "ab") as output:
            self.process = subprocess.Popen([*map(str, command), "127.0.0.1", str(broker.port), name],
                                            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                            env={**os.environ, "MQTT_USER": user, "MQTT_PASSWORD": PASSWORD})

    def output(self):
        return self.path.read_text()

    def stop(self, number=signal.SIGTERM):
        """One that is paused does nothing more if it is killed."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            if number != signal.SIGKILL:
                self.process.send_signal(signal.SIGCONT)
        return self.process.wait(TIMEOUT)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)
        stat = pathlib.Path(f"/proc/{self.process.pid}/stat")
        eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")


class ExampleWorker:
    """The tests of one worker, which `command` runs."""

    command = ()

    def begin(self, **how):
        how.setdefault("options", ["workers_wait 60s"])
        self.broker = self.start(**allowed(plugin=PLUGIN, **how))
        self.caller = self.client(self.broker, version=5, client_id="asker")

    def work(self, name="worker1", wait=True, **how):
        program = Program(self.command, self.broker, name, **how)
        self.addCleanup(program.stop, signal.SIGKILL)
        if wait:
            eventually(lambda: name in workers_of(self.caller))
        return program

    def call(self, method, params, entries=()):
        """A call whose reply comes later; returns its identity."""
        identity = new_identity().encode()
        self.caller.publish(f"rpc/call/{method}", json.dumps(params), qos=1,
                            properties=[(RESPONSE_TOPIC, "reply/later"), (CORRELATION_DATA, identity), *entries])
        return identity

    def reply_to(self, identity):
        reply = self.caller.receive()
        self.assertEqual((reply.topic, property_of(reply, CORRELATION_DATA)), ("reply/later", identity), reply)
        return reply

    def outstanding(self, name, count):
        eventually(lambda: workers_of(self.caller)[name]["outstanding"] == count)

    def test_parameters_of_any_kind(self):
        """The plugin has checked no more than that they are an object; no call ends the worker."""
        self.begin()
        self.work()
        long, deep = "1" * 5000, "[" * 60 + "]" * 60
        for method in ("report.write", "text.count"):
            for value in ("{}", "[1]", "null", "true", "1e999", "-0", long, deep, '"\\ud800"', '{"__proto__":1}'):
                for member in ("name", "text", "other"):
                    params = f'{{"{member}":{value},"pages":0}}'
                    with self.subTest(method, params=params[:40]):
                        code = user_property_of(ask(self.caller, method, params.encode()), "status")
                        self.assertIn(code, ("invalid_params", "ok", "too_deep", "parse_error"))
        self.assertEqual(result_of(ask(self.caller, "text.count", {"text": "to be"})), {"words": 2})

    def test_calls(self):
        self.begin()
        self.work()
        self.assertEqual(result_of(ask(self.caller, "text.count", {"text": "to be or not"})), {"words": 4})
        self.assert_error(error_of(ask(self.caller, "text.count", {"text": 4})), "invalid_params",
                          method="text.count", msg="text is a string")
        self.assert_error(error_of(ask(self.caller, "text.count", "[1]")), "invalid_params",
                          msg="the parameters must be a JSON object")
        stats = result_of(ask(self.caller, "rpc.stats", {"method": "text.count"}))["methods"][0]
        self.assertEqual((stats["calls"], stats["errors"]), (3, {"invalid_params": 2}))
        recent = result_of(ask(self.caller, "rpc.recent", {"method": "text.count"}))["calls"]
        self.assertEqual([call["status"] for call in recent], ["invalid_params", "invalid_params", "ok"])

    def test_event_and_interim_replies(self):
        self.begin()
        self.work()
        subscriber = self.client(self.broker, version=5)
        subscriber.subscribe("rpc/event/#", qos=1)
        identity = self.call("report.write", {"name": "june", "pages": 3}, [(USER_PROPERTY, ("progress", "1"))])
        for page in (1, 2, 3):
            reply = self.reply_to(identity)
            self.assertEqual(user_property_of(reply, "status"), "progress")
            self.assertEqual(payload_of(reply), {"written": page, "pages": 3})
        self.assertEqual(result_of(self.reply_to(identity)), {"name": "june", "pages": 3})
        event = subscriber.receive()
        self.assertEqual((event.topic, payload_of(event)), ("rpc/event/report/written/june", {"name": "june", "pages": 3}))

    def test_discovery(self):
        self.begin()
        self.work()
        self.work("worker2")
        described = result_of(ask(self.caller, "rpc.describe", {"method": "report.write"}))
        method = described["method"]
        self.assertEqual(method["summary"], "Writes a report, page by page.")
        self.assertEqual(method["x-params"]["properties"]["pages"], {"type": "integer", "minimum": 1, "maximum": 20})
        self.assertEqual([(param["name"], param["required"]) for param in method["params"]],
                         [("name", True), ("pages", True)])
        self.assertEqual(method["result"]["schema"]["required"], ["name", "pages"])
        self.assertEqual(method["x-workers"], ["worker1", "worker2"])
        self.assertEqual(described["events"][0]["keyedTopic"], "rpc/event/report/written/{key}")
        document = result_of(ask(self.caller, "rpc.discover"))
        self.assertIn(method, document["methods"])
        self.assertIn("text.count", [entry["name"] for entry in result_of(ask(self.caller, "rpc.list"))["methods"]])

    def test_cancel(self):
        """A caller whose deadline passes: the worker stops, and its credit comes back."""
        self.begin()
        self.work()
        identity = self.call("report.write", {"name": "long", "pages": 20}, [(USER_PROPERTY, ("timeout-ms", "300"))])
        self.assert_error(error_of(self.reply_to(identity)), "timeout")
        self.outstanding("worker1", 0)

    def test_not_allowed(self):
        self.begin(users={"other": PASSWORD})
        program = self.work(user="other", wait=False)
        eventually(lambda: "not_allowed" in program.output())
        self.assert_error(error_of(ask(self.caller, "text.count", {"text": ""})), "method_not_found")

    def test_restart(self):
        """SIGTERM: the call that it has is ended; one that comes meanwhile waits for the next worker."""
        self.begin()
        program = self.work()
        first = self.call("report.write", {"name": "june", "pages": 5})
        self.outstanding("worker1", 1)
        program.process.send_signal(signal.SIGTERM)
        eventually(lambda: workers_of(self.caller)["worker1"]["leaving"])
        second = self.call("text.count", {"text": "one two"})
        self.assertEqual(result_of(self.reply_to(first)), {"name": "june", "pages": 5})
        self.assertEqual(program.process.wait(TIMEOUT), 0, program.output())
        self.work(wait=False)
        self.assertEqual(result_of(self.reply_to(second)), {"words": 2})

    def test_crash(self):
        """Killed with calls in its hands: those that may run again do, the others' outcome is unknown."""
        self.begin()
        program = self.work()
        program.pause()
        count = self.call("text.count", {"text": "one two three"})
        report = self.call("report.write", {"name": "june", "pages": 1})
        self.outstanding("worker1", 2)
        program.stop(signal.SIGKILL)
        self.assert_error(error_of(self.reply_to(report)), "outcome_unknown")
        self.work(wait=False)
        self.assertEqual(result_of(self.reply_to(count)), {"words": 3})

    def test_crash_beside_another(self):
        """Likewise, and another worker has them at once."""
        self.begin()
        first, second = self.work("worker1"), self.work("worker2")
        first.pause()
        second.pause()
        identities = [self.call("text.count", {"text": "one"}) for _ in range(4)]
        self.outstanding("worker1", 2)
        first.stop(signal.SIGKILL)
        second.process.send_signal(signal.SIGCONT)
        replies = {property_of(reply, CORRELATION_DATA): result_of(reply)
                   for reply in (self.caller.receive() for _ in identities)}
        self.assertEqual(replies, {identity: {"words": 1} for identity in identities})

    def test_broker_restarts(self):
        """The worker comes back by itself."""
        self.begin()
        self.work()
        self.broker.stop()
        self.broker.start()
        self.caller = self.client(self.broker, version=5)
        eventually(lambda: "worker1" in workers_of(self.caller))
        self.assertEqual(result_of(ask(self.caller, "text.count", {"text": "back"})), {"words": 1})
