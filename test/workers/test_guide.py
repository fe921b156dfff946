# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The module of docs/guide.md, as it stands there, in all places where modules run: in a test without a broker, in the
plugin, in a worker that is attached to a plugin, and in a worker that serves a broker without the plugin.

The same calls are made everywhere. Their replies and the module's events are compared byte for byte, but for times. What
may differ is in ALLOWED, with the reason.
"""
import collections
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "broker"))
from harness import PLUGIN, TIMEOUT, BrokerTest, eventually, main  # noqa: E402
from mqtt import (CONTENT_TYPE, RESPONSE_TOPIC, USER_PROPERTY, Silence, property_of, user_property_of)  # noqa: E402

BUILD = pathlib.Path(PLUGIN).parent
GUIDE_PLUGIN = os.environ.get("RPC_GUIDE_PLUGIN") or str(BUILD / "mosquitto_rpc_guide.so")
GUIDE_WORKER = os.environ.get("RPC_GUIDE_WORKER") or str(BUILD / "mosquitto_rpc_guide_worker")
GUIDE_KIT = os.environ.get("RPC_GUIDE_KIT") or str(BUILD / "guide_kit")
METHODS = ("openDoor", "listDoors", "doors/{door}", "measureDoor", "awaitClosed", "countCalls")

# A step: its name, what is published to rpc/{topic}, with which payload, where the reply goes ("": to nobody), and which
# deadline in ms the caller sets. "": the reply comes with the next step.
Step = collections.namedtuple("Step", "name topic payload reply timeout", defaults=("reply/to/me", ""))
STEPS = [
    Step("a call", "call/openDoor", '{"door":"yard","seconds":60}'),
    Step("the same once more, with all parameters", "call/openDoor", '{"door":"yard","seconds":50,"reason":"f\u00fcr \\u00e9lan"}'),
    Step("a parameter that nobody knows", "call/openDoor", '{"door":"yard","seconds":60,"colour":"red"}'),
    Step("a wrong parameter", "call/openDoor", '{"door":"roof"}'),
    Step("the same without a reply: the engine's event", "call/openDoor", '{"door":"roof"}', ""),
    Step("one too large", "call/openDoor", '{"door":"yard","seconds":100000}'),
    Step("null", "call/openDoor", '{"door":null}'),
    Step("no parameters", "call/openDoor", ""),
    Step("no object", "call/openDoor", '["yard"]'),
    Step("no JSON", "call/openDoor", '{"door":'),
    Step("an error of the method, with members", "call/openDoor", '{"door":"yard","seconds":3000}'),
    Step("the same without a reply: its event", "call/openDoor", '{"door":"yard","seconds":3000}', ""),
    Step("a result without a reply: its event", "call/openDoor", '{"door":"front","seconds":60}', ""),
    Step("a request_id", "call/openDoor", '{"request_id":"x1","door":"front","seconds":60}', ""),
    Step("arrays and null", "call/listDoors", '{"doors":["front","cellar","yard"]}'),
    Step("all doors", "call/listDoors", ""),
    Step("a wrong element", "call/listDoors", '{"doors":["front","roof"]}'),
    Step("a family", "call/doors/cellar", "{}"),
    Step("an error in a family", "call/doors/roof", "{}"),
    Step("work on a thread", "call/measureDoor", '{"door":"cellar"}'),
    Step("a deadline that passes", "call/measureDoor", '{"door":"cellar"}', timeout="100"),
    Step("what waits for nothing", "call/awaitClosed", '{"door":"cellar"}'),
    Step("a batch", "batch/openDoor", '[{"door":"front","seconds":60},{"door":"roof"},{"door":"yard","seconds":3000}]'),
    Step("a batch of work", "batch/measureDoor", '[{"door":"cellar"},{"door":"yard"}]'),
    Step("no such method", "call/openWindow", "{}"),
    Step("a door that closes soon", "call/openDoor", '{"door":"back","seconds":1}'),
    Step("what waits for that", "call/awaitClosed", '{"door":"back"}'),
    Step("how many calls", "call/countCalls", ""),
]
EVENTS = ("doorOpened", "doorNotOpened", "doorClosed", "error", "door/front", "door/back", "door/yard", "door/cellar")

# (place, step or event), and why its payloads are not compared, but their number and the statuses of replies are.
ALLOWED = {
    ("attached", "how many calls"): "a module in a worker observes the calls that the worker got: the plugin has refused others",
    ("share", "error"): "the event names the caller, which nobody but the broker knows",
}

Said = collections.namedtuple("Said", "topic status content_type payload")


def timeless(payload):
    return re.sub(r'("(?:until|time)":)[0-9.]+', r"\1T", payload)


class Kit:
    """A test without a broker."""

    def __init__(self):
        self.process = subprocess.Popen([GUIDE_KIT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")

    def ask(self, *words):
        self.process.stdin.write("\t".join(words) + "\n")
        self.process.stdin.flush()
        found = []
        while (line := self.process.stdout.readline().rstrip("\n")) != "done":
            assert line, "it has ended"
            kind, *rest = line.split("\t")
            found.append((kind, Said(*rest[:3], timeless(rest[3]))))
        return found

    def carry_out(self, step):
        """Returns the replies."""
        hurries, waits = step.timeout, step.name == "what waits for that"
        if hurries:
            self.ask("patience", "0")
        found = self.ask("publish", f"rpc/{step.topic}", step.reply, step.timeout, step.payload)
        found += self.ask("pass", "1500" if waits else step.timeout) if hurries or waits else []
        if hurries:
            self.ask("patience", "10000")
        return [said for _, said in found]

    def events(self, _=None):
        return {event: [said.payload for _, said in self.ask("show", f"rpc/event/{event}")] for event in EVENTS}

    def close(self):
        with self.process:
            self.process.stdin.close()
        assert self.process.returncode == 0


class Live:
    """A service at a broker."""

    def __init__(self, client):
        self.client, self.seen = client, collections.defaultdict(list)
        client.subscribe("reply/#", "rpc/call/+/response/+", "rpc/event/#")

    def take(self, timeout=None):
        """The next message; None: it was an event."""
        message = self.client.receive(timeout)
        payload = timeless(message.payload.decode())
        if message.topic.startswith("rpc/event/"):
            self.seen[message.topic[len("rpc/event/"):]].append(payload)
            return None
        return Said(message.topic, user_property_of(message, "status", ""), property_of(message, CONTENT_TYPE, ""), payload)

    def carry_out(self, step):
        entries = [(RESPONSE_TOPIC, step.reply)] if step.reply else []
        entries += [(USER_PROPERTY, ("timeout-ms", step.timeout))] if step.timeout else []
        self.client.publish(f"rpc/{step.topic}", step.payload.encode(), qos=1, properties=entries)
        if not step.reply and "request_id" not in step.payload:
            return []
        while not (said := self.take()):
            pass
        return [said]

    def events(self, expected):
        """As many as are expected, or those that come before nothing comes any more."""
        try:
            while any(len(self.seen[event]) < len(payloads) for event, payloads in expected.items()):
                self.take(TIMEOUT / 6)
            self.client.expect_nothing()
        except Silence:
            pass
        return {event: self.seen[event] for event in EVENTS}

    def close(self):
        self.client.disconnect()


class Guide(BrokerTest):
    maxDiff = None

    def start_worker(self, broker, *options):
        """The guide's worker. It ends with the test, in order."""
        log_path = broker.directory / "worker.log"
        with open(log_path, "wb") as log:
            process = subprocess.Popen([GUIDE_WORKER, "--broker", f"127.0.0.1:{broker.port}", "--name", "guide", *options],
                                       stdout=log, stderr=log, cwd=broker.directory)

        def stop():
            process.terminate()
            self.assertEqual(process.wait(TIMEOUT), 0, log_path.read_text())

        self.addCleanup(stop)
        return process

    def make_tester(self, broker):
        """The client, as it is called in the test without a broker."""
        return self.client(broker, version=5, client_id="tester")

    def in_the_plugin(self):
        return Live(self.make_tester(self.start(["error_rate 0"], plugin=GUIDE_PLUGIN)))

    def in_a_worker_that_is_attached(self):
        placed = [f"placement_{method} remote" for method in METHODS]
        broker = self.start(["error_rate 0", "workers_users builder", *placed], plugin=GUIDE_PLUGIN)
        self.start_worker(broker, "--attach", "--user", "builder")
        asking = self.client(broker, version=5)
        eventually(lambda: self.attached(asking))
        return Live(self.make_tester(broker))

    @staticmethod
    def attached(client):
        client.publish("rpc/call/rpc.workers", b"{}", qos=1, properties=[(RESPONSE_TOPIC, "reply/to/me")])
        return b'"id":"guide"' in client.receive().payload

    def in_a_worker_on_its_own(self):
        broker = self.start(plugins=[])
        self.start_worker(broker, "--share", "builders", "--error_rate", "0")
        eventually(lambda: broker.log().count("Sending SUBACK to guide") >= 2)
        return Live(self.make_tester(broker))

    def compare(self, name, place):
        kit = Kit()
        self.addCleanup(kit.close)
        differ = []
        for step in STEPS:
            wanted, found = kit.carry_out(step), place.carry_out(step)
            if (name, step.name) in ALLOWED:
                wanted, found = ([said._replace(payload="") for said in replies] for replies in (wanted, found))
            if wanted != found:
                differ.append(f"{step.name}: {found}, not {wanted}")
        wanted = kit.events()
        found = place.events(wanted)
        for events in (wanted, found):
            events.update({event: [""] * len(events[event]) for event in EVENTS if (name, event) in ALLOWED})
        differ += [f"event {event}: {found[event]}, not {wanted[event]}" for event in EVENTS if found[event] != wanted[event]]
        self.assertEqual("\n".join(differ), "")
        self.assertGreater(min(map(len, wanted.values())), 0, wanted)
        place.close()

    def test_in_the_plugin(self):
        self.compare("plugin", self.in_the_plugin())

    def test_in_a_worker_that_is_attached(self):
        self.compare("attached", self.in_a_worker_that_is_attached())

    def test_in_a_worker_on_its_own(self):
        self.compare("share", self.in_a_worker_on_its_own())


if __name__ == "__main__":
    main()
