# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""mosquitto_rpc workers: which workers are attached."""
import pathlib
import sys

from harness import main, result_of
from tooltest import ERROR, FAILED, OK, ToolTest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "workers"))
from worker import AttachedClient, allowed  # noqa: E402


class Workers(ToolTest):
    def begin(self):
        return self.start(**allowed(options=["placement_ping remote", "placement_echo remote"]))

    def attach(self, broker, name, methods, **how):
        worker = AttachedClient(broker.port, name, methods, **how)
        self.addCleanup(worker.close)
        return worker

    def table(self, broker, *words):
        run = self.on_terminal(broker, "workers", *words)
        self.assertEqual(run.status, OK, run)
        return [line.split() for line in run.output.splitlines()]

    def test_the_list(self):
        broker = self.begin()
        self.assertEqual(self.call(broker, "workers"), {"count": 0, "workers": []})
        self.attach(broker, "w1", ["ping"], window=3, version="2.5")
        leaving = self.attach(broker, "w2", ["ping", "echo"])
        self.assertEqual(result_of(leaving.call("rpc.detach", {"worker": "w2"})), {"outstanding": 0})
        self.assertEqual([row["id"] for row in self.call(broker, "workers")["workers"]], ["w1", "w2"])
        headings, first, second = self.table(broker)
        self.assertEqual(headings[:5], ["WORKER", "STATE", "FOR", "BUSY", "CALLS"])
        self.assertEqual(first[:2] + first[4:], ["w1", "here", "0", "of", "3", "0", "0", "0", "0", "2.5", "127.0.0.1"])
        self.assertEqual(second[:2] + second[4:7], ["w2", "leaving", "0", "of", "8"])

    def test_who_carries_a_method_out(self):
        broker = self.start(["placement_ping remote", "placement_slow.sleep spill"])
        for method, said in (("ping", ". Workers carry it out."), ("slow.sleep", ". Workers carry it out when the plugin"),
                             ("echo", "")):
            with self.subTest(method):
                run = self.run_tool(broker, "--plain", "describe", method)
                self.assertEqual(run.status, OK, run)
                self.assertIn(said, run.output)
                self.assertEqual(bool(said), "Workers" in run.output)

    def test_durations(self):
        broker = self.begin()
        worker = self.attach(broker, "w1", ["ping"])
        with self.running(broker, "call", "ping") as tool:
            worker.job().done({"ok": True, "time": 1.5})
            self.assertEqual(tool.wait(), OK)
        row = self.call(broker, "workers", "w1")["workers"][0]
        self.assertEqual((row["calls"], row["errors"]), (1, 0))
        self.assertIn("p50_s", row)
        self.assertRegex(" ".join(self.table(broker)[1]), r" 1 0 0 0 [\d.]+ \w+ [\d.]+ \w+ 1 127\.0\.0\.1$")

    def test_one_worker(self):
        broker = self.begin()
        self.attach(broker, "w1", ["ping", "echo"])
        self.attach(broker, "w2", ["ping"])
        self.assertEqual([row["id"] for row in self.call(broker, "workers", "w2")["workers"]], ["w2"])
        lines = self.table(broker, "w1")
        self.assertEqual(lines[2:4], [[], ["METHOD"]])
        self.assertEqual(sorted(lines[4:]), [["echo"], ["ping"]])
        run = self.run_tool(broker, "workers", "w3")
        self.assertEqual((run.status, run.output), (ERROR, ""), run)
        self.assertIn("no worker w3 is attached", run.errors)

    def test_a_service_without_workers(self):
        run = self.run_tool(self.start(["modules rpc echo"]), "workers")
        self.assertEqual(run.status, ERROR, run)
        self.assertIn("method_not_found", run.errors)

    def test_more_than_a_reply_holds(self):
        broker = self.start(plugins=[])
        answers = {"rpc.workers": {"count": 7, "workers": [{"id": "w1"}, {"id": "w2"}]}}
        self.serve(broker, answers)
        self.assertIn("5 more are attached", self.run_tool(broker, "--plain", "workers").output)
        answers["rpc.workers"]["count"] = 2
        self.assertNotIn("more", self.run_tool(broker, "--plain", "workers").output)

    def test_strange_answers(self):
        broker = self.start(plugins=[])
        answers = {}
        self.serve(broker, answers)
        evil = "\x1b[2J\u202e"
        for document in ({}, [], 5, "x", None, {"workers": "x"}, {"workers": {"a": 1}},
                         {"count": 1e300, "workers": [5, None, {"id": 3, "since": -1e300, "window": 1e300, "p50_s": "x"},
                                                      {"id": evil, "version": evil, "address": evil,
                                                       "methods": [5, evil]}]}):
            answers["rpc.workers"] = document
            for words in (["workers"], ["--plain", "workers"], ["workers", "a"], ["--plain", "workers", "a"]):
                run = self.run_tool(broker, *words)
                self.assertIn(run.status, (OK, ERROR, FAILED), (document, words))
                self.assertNotIn("\x1b", run.output)


if __name__ == "__main__":
    main()
