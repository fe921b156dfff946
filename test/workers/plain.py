# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Workers without the plugin under a load: what test_share.py, test_bridged.py and test_cluster_*.py share."""
import collections
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time
import unittest

from crew import KEEPALIVE, Member
from judge import GOOD, Verdict, read_runs
from load import BUSY, FAILS, ONCE, READ, SAME, STEPS, TOLD, Load

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "broker"))
from harness import INSTRUMENTED, TIMEOUT, eventually  # noqa: E402
from mqtt import CORRELATION_DATA, RESPONSE_TOPIC, Client, Silence, property_of, user_property_of  # noqa: E402

KINDS = (READ, SAME, ONCE, BUSY, FAILS, TOLD, STEPS)
WINDOW = 2  # seconds of duplicate_window


class PlainVerdict(Verdict):
    """A verdict for workers of which nobody keeps their calls: a call that a worker had when it went is run again by
    another one, and counts in `after_gone`. All else that ran twice is doubled."""

    def __init__(self, *arguments, **how):
        self.after_gone = 0
        super().__init__(*arguments, lanes=False, **how)

    def had(self, call, run):
        """Whether a worker had a call when it went, and had not told of the reply. One that is stopped may begin it when
        it goes on, if the call waited for one of its threads."""
        return any(name == run.by and (run.begin <= at or call.sent <= at) for name, at in self.gone)

    def judge_call(self, call, runs, events):
        left = [run for run in runs if not self.had(call, run)]
        if len(runs) > 1 and len(left) <= 1 and call.outcomes:
            self.after_gone += 1
            self.statuses[call.status] += 1
            return
        super().judge_call(call, runs, events)

    def judge_interim(self, what, call, runs):
        """Of two workers that run a call, one may be at its middle when the other one has answered."""
        if len({run.by for run in runs}) <= 1:
            super().judge_interim(what, call, runs)

    def figures(self):
        return {**super().figures(), "after a worker went": self.after_gone}


class PlainTest(unittest.TestCase):
    """cluster: a class of clusters.py. mode: the options of the workers."""

    cluster, mode, rate = None, ("rendezvous true",), 150

    @classmethod
    def setUpClass(cls):
        if cls.cluster.missing:
            raise unittest.SkipTest(cls.cluster.missing)
        cls.nodes = cls.cluster()
        cls.nodes.__enter__()
        cls.addClassCleanup(cls.nodes.end)

    def setUp(self):
        eventually(lambda: not self.present())  # of the test before
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="rpc-workers-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.members, self.gone, self.began = {}, [], time.monotonic()
        self.runs_path = self.directory / "runs"
        self.runs_path.touch()
        (self.directory / "password").write_text("any\n")

    # -- workers

    def options(self, name, node):
        user = [f"user {self.nodes.user}", f"password_file {self.directory}/password"] if self.nodes.user else []
        return [f"broker 127.0.0.1:{self.nodes.ports[node]}", f"name {name}", *user, f"keepalive {KEEPALIVE}s",
                f"tally_name {name}", f"tally_file {self.runs_path}", "workers 4", "timeout_max 60s",
                f"duplicate_window {WINDOW}s", "qos 1", *self.mode]

    def member(self, name, node=0, *more):
        """Starts a worker at a node, which ends with the test, and waits until it is connected. more: its options beside
        those of all."""
        member = self.members[name] = Member(self.directory, name, [*self.options(name, node), *more])
        self.addCleanup(member.end, self)
        before = member.log().count("connected to")
        member.start()

        def is_connected():
            self.assertIsNone(member.process.poll(), member.log())
            return member.log().count("connected to") > before
        eventually(is_connected, pause=0.05)
        return member

    def lose(self, name):
        self.gone.append((name, time.monotonic_ns()))
        return self.members[name]

    # -- clients

    def client(self, node=0, **how):
        user = {"username": self.nodes.user, "password": "any"} if self.nodes.user else {}
        client = Client(self.nodes.ports[node], 5, timeout=TIMEOUT, **user, **how)
        self.addCleanup(client.close)
        return client

    def present(self, node=0):
        """The workers that are there, by name, as a new client sees them."""
        watcher, found = self.client(node), {}
        watcher.subscribe("rpc/worker/+", qos=1)
        try:
            while True:
                message = watcher.receive(0.5)
                if message.payload:
                    presence = json.loads(message.payload)
                    found[presence["name"]] = presence
        except Silence:
            watcher.close()
            return found

    def wait_here(self, *names, joining=False, node=0):
        """Until these workers are there, and no others, none of which is joining, unless they may be. Not every node gives
        a new client what others have retained, but workers tell that they are there again and again."""
        watcher, found = self.client(node), {}
        watcher.subscribe("rpc/worker/+", qos=1)
        while set(found) != set(names) or (any(one["state"] != "here" for one in found.values()) and not joining):
            message = watcher.receive()
            presence = json.loads(message.payload or b"{}")
            found = {name: one for name, one in found.items() if one["topic"] != message.topic}
            if presence:
                found[presence["name"]] = {"topic": message.topic, **presence}
        watcher.close()

    def ask_all(self, verb, count, node=0):
        """The replies of all workers, by name."""
        client = self.client(node)
        client.subscribe("r/all", qos=1)
        client.publish(f"rpc/worker/all/{verb}", b"", qos=1, properties=[(RESPONSE_TOPIC, "r/all"), (CORRELATION_DATA, b"x")])
        found = {}
        while len(found) < count:
            reply = client.receive()
            self.assertEqual(property_of(reply, CORRELATION_DATA), b"x")
            self.assertEqual(user_property_of(reply, "status"), "ok", reply)
            found[user_property_of(reply, "worker")] = json.loads(reply.payload)
        client.expect_nothing()
        return found

    # -- the load

    def load(self, kinds=KINDS, node=0, **how):
        how = {"rate": 40 if INSTRUMENTED else self.rate, "timeout": 40000, **how}
        return Load(self.nodes.ports[node], kinds, subscribes=True, user=self.nodes.user, **how).begin()

    def judge(self, load, **how):
        load.finish()
        verdict = PlainVerdict(load, read_runs(self.runs_path), self.gone, **how)
        figures = {**verdict.figures(), "seconds": round(time.monotonic() - self.began, 1)}
        print(f"    {self.id().partition('.')[2]}: " + ", ".join(f"{name} {value}" for name, value in figures.items()),
              flush=True)
        return verdict

    def check(self, verdict, lost=0, doubled=0):
        self.assertEqual(verdict.wrong[:5], [], f"{len(verdict.wrong)} faults")
        self.assertLessEqual(len(verdict.doubled), doubled, (verdict.doubled[:5], self.gone))
        self.assertLessEqual(len(verdict.lost), lost, verdict.lost[:5])
        self.assertLessEqual(verdict.statuses.keys(), GOOD | ({None} if lost else set()))


class RendezvousTests:
    """What holds of --rendezvous on every cluster: mixed into a PlainTest."""

    def test_one_after_the_other(self):
        """A worker joins, one is killed, one stops for a while, one drains, and one comes back."""
        self.member("w1", 0)
        self.wait_here("w1")
        self.member("w2", 1)
        self.member("w3", 1)
        self.wait_here("w1", "w2", "w3")
        load = self.load()
        time.sleep(1)
        self.member("w4", 1)
        self.wait_here("w1", "w2", "w3", "w4")
        self.lose("w2").kill()
        time.sleep(1)
        self.lose("w3").signal(signal.SIGSTOP)
        time.sleep(1.5 * KEEPALIVE + 3)
        self.members["w3"].signal(signal.SIGCONT)
        self.members["w1"].drain()
        self.member("w2", 0)
        self.wait_here("w2", "w3", "w4")
        time.sleep(1)
        verdict = self.judge(load)
        self.check(verdict, doubled=2)  # calls that come while a change is on its way
        self.assertEqual(set(verdict.by), {"w1", "w2", "w3", "w4"})
        self.assertIn("has not heard of itself for", self.members["w3"].log())

    def test_one_stops_while_it_is_busy(self):
        """It stops between two messages, and when it goes on, what has come in the meantime is to be read at once. It is
        others' by then."""
        self.member("w1", 0)
        self.wait_here("w1")
        self.member("w2", 1)
        self.wait_here("w1", "w2")
        client = self.client(0)
        client.subscribe("r/same", qos=1)
        for topic, payload in (("call/probe.sleep", b'{"ms":3000}'), ("worker/all/rpc.ping", b"")):
            client.publish(f"rpc/{topic}", payload, qos=1, properties=[(RESPONSE_TOPIC, "r/same"), (CORRELATION_DATA, b"x")])
        busy, = {"w1", "w2"} - {user_property_of(client.receive(), "worker")}
        self.lose(busy).signal(signal.SIGSTOP)
        calls = [os.urandom(16) for _ in range(30)]
        for identity in calls:
            client.publish("rpc/call/tally.once", json.dumps({"id": identity.hex()}), qos=1,
                           properties=[(RESPONSE_TOPIC, "r/same"), (CORRELATION_DATA, identity)])
        replies = {property_of(client.receive(), CORRELATION_DATA) for _ in [b"x", *calls]}
        self.assertEqual(replies, {b"x", *calls})
        self.members[busy].signal(signal.SIGCONT)
        eventually(lambda: "the next attempt is in" in self.members[busy].log())
        client.expect_nothing(2)
        runs = collections.Counter(run.identity for run in read_runs(self.runs_path))
        self.assertEqual(set(runs.values()), {1}, runs)

    def test_repetitions_reach_the_same_worker(self):
        """Also after others have joined, who would be the first in rank of some of them."""
        self.member("w1", 0, "duplicate_window 60s")
        self.wait_here("w1")
        self.member("w2", 1, "duplicate_window 60s")
        self.wait_here("w1", "w2", joining=True)
        client = self.client(0)
        client.subscribe("r/same", qos=1)
        calls = [os.urandom(16) for _ in range(30)]
        first = {identity: self.ask(client, identity) for identity in calls}
        self.assertEqual(set(first.values()), {"w1", "w2"})
        self.member("w3", 1, "duplicate_window 60s")
        self.member("w4", 0, "duplicate_window 60s")
        self.wait_here("w1", "w2", "w3", "w4", joining=True)
        for identity in calls:
            self.assertEqual(self.ask(client, identity), first[identity])
        client.expect_nothing()
        runs = collections.Counter(run.identity for run in read_runs(self.runs_path))
        self.assertEqual(set(runs.values()), {1})
        self.assertEqual(len(runs), len(calls))

    def ask(self, client, identity):
        """Calls tally.once, and returns who ran it."""
        client.publish("rpc/call/tally.once", json.dumps({"id": identity.hex()}), qos=1,
                       properties=[(RESPONSE_TOPIC, "r/same"), (CORRELATION_DATA, identity)])
        reply = client.receive()
        self.assertEqual(property_of(reply, CORRELATION_DATA), identity)
        return json.loads(reply.payload)["by"]

    def test_calls_to_all(self):
        self.member("w1", 0)
        self.member("w2", 1)
        self.wait_here("w1", "w2")
        self.assertEqual({name: reply["worker"] for name, reply in self.ask_all("rpc.ping", 2).items()},
                         {"w1": "w1", "w2": "w2"})
        self.assertEqual(set(self.ask_all("rpc.list", 2)), {"w1", "w2"})
        self.assertEqual(set(self.ask_all("rpc.stats", 2)), {"w1", "w2"})


class AutoTests:
    """What --auto does on a cluster without shared subscriptions: mixed into a PlainTest."""

    def test_auto_is_rendezvous(self):
        self.mode = ("auto true",)
        self.member("w1", 0)
        self.member("w2", 1)
        self.wait_here("w1", "w2")
        self.assertIn("the broker has no shared subscriptions: mode rendezvous", self.members["w2"].log())
