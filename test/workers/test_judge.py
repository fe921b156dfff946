"""The judge of the other tests: it finds each fault that it is there for, and none where all is well; and a load of calls
that the plugin runs itself comes out without one."""
import collections
import json
import types

from judge import NOTICED, Run, Verdict, read_runs
from load import ABANDONED, ALL, EVENT, LANE, ONCE, SAME, STEPS, TOLD, Call, Load, Outcome
from harness import BrokerTest, eventually, main


class Judge(BrokerTest):

    def setUp(self):
        self.calls, self.runs, self.events, self.gone = [], [], collections.Counter(), []

    def call(self, kind=ONCE, status="ok", by="w1", runs=1, **content):
        """A call that was answered and ran so often."""
        number = len(self.calls)
        call = Call(kind, "c", "c/0" if kind.lanes else "", number)
        self.calls.append(call)
        call.sent, call.sends = number * 1000, 1
        for _ in range(runs):
            self.runs.append(Run(call.sent + 1, call.sent + 2, by, kind.method, call.identity, call.lane))
        call.outcomes.append(Outcome(status, json.dumps({"by": by, **content}).encode(), call.sent + 10))
        return call

    def verdict(self):
        load = types.SimpleNamespace(calls={call.identity: call for call in self.calls}, events=self.events)
        return Verdict(load, sorted(self.runs), self.gone)

    def assert_finds(self, what, count=1):
        verdict = self.verdict()
        found = {name: len(getattr(verdict, name)) for name in ("lost", "doubled", "wrong")}
        self.assertEqual(found, {"lost": 0, "doubled": 0, "wrong": 0, **({what: count} if what else {})},
                         verdict.faults())
        return verdict

    def test_all_is_well(self):
        for kind in ALL:
            self.call(kind)
        self.call(SAME, runs=2)
        self.call(status="miscounted")
        self.call(status="overloaded", runs=0)
        self.call(status="timeout", runs=0)
        self.call(status="timeout")
        self.call(status=ABANDONED)
        told = self.call(TOLD)
        self.events[told.identity] = 1
        self.assertEqual(self.assert_finds(None).again, 1)

    # -- lost

    def test_no_outcome(self):
        self.call().outcomes.clear()
        self.assert_finds("lost")

    def test_a_result_without_a_run(self):
        self.call(runs=0)
        self.call(status="miscounted", runs=0)
        self.assert_finds("lost", 2)

    def test_a_result_before_the_end_of_the_run(self):
        self.call()
        self.runs[-1] = self.runs[-1]._replace(end=None)
        self.call()
        self.runs[-1] = self.runs[-1]._replace(end=self.calls[-1].outcomes[0].at + 1)
        self.assert_finds("lost", 2)

    # -- doubled

    def test_two_runs(self):
        for status in ("ok", "timeout", "cancelled", ABANDONED):
            self.call(status=status, runs=2)
        self.assert_finds("doubled", 4)

    def test_a_call_counts_once(self):
        """Whether it shows by its runs, its replies or its events."""
        call = self.call(TOLD, runs=2)
        call.outcomes *= 2
        self.events[call.identity] = 2
        self.assert_finds("doubled")

    def test_two_replies(self):
        call = self.call()
        call.outcomes *= 2
        self.assert_finds("doubled")
        call.sends = 2  # the caller repeated it
        self.assert_finds(None)
        call.outcomes[1] = call.outcomes[1]._replace(status="timeout")
        self.assert_finds("doubled")

    def test_two_events(self):
        self.events[self.call(TOLD).identity] = 2
        self.assert_finds("doubled")

    def test_more_interim_replies_than_runs(self):
        call = self.call(STEPS)
        call.interim = [call.sent + 1] * 2
        self.assert_finds("doubled")

    # -- wrong

    def test_an_interim_reply_after_the_outcome(self):
        call = self.call(STEPS)
        call.interim = [call.outcomes[0].at + 1]
        self.assert_finds("wrong")

    def test_an_error_that_says_that_it_did_not_run(self):
        self.call(status="overloaded")
        self.call(status="method_not_found")
        self.assert_finds("wrong", 2)

    def test_an_error_that_nothing_explains(self):
        self.call(status="internal_error", runs=0)
        self.assert_finds("wrong")

    def test_another_process(self):
        self.call()
        self.runs[-1] = self.runs[-1]._replace(by="w2")
        self.assert_finds("wrong")

    def test_a_run_that_nobody_called(self):
        self.runs.append(Run(1, 2, "w1", ONCE.method, "0" * 32, ""))
        self.assert_finds("wrong")

    def test_lanes(self):
        self.call(LANE)
        self.call(LANE)
        self.assert_finds(None)
        self.runs[0] = self.runs[0]._replace(end=self.calls[0].outcomes[0].at)
        self.runs[1] = self.runs[1]._replace(begin=self.runs[0].end - 1)
        self.assert_finds("wrong")

    def test_the_order_of_lanes(self):
        self.call(LANE)
        self.call(LANE)
        self.calls[0].order = self.calls[1].order + 1
        self.assert_finds("wrong")

    def test_a_lane_goes_on_after_its_worker_was_killed(self):
        first = self.call(LANE, "outcome_unknown", msg="the worker w1 is gone")
        second = self.call(LANE, by="w2")
        self.runs[0] = self.runs[0]._replace(end=None)
        self.gone = [("w1", first.sent + 5)]
        self.assert_finds(None)
        self.runs[0] = self.runs[0]._replace(end=first.sent + 5000)  # it was stopped, and went on
        self.assert_finds(None)
        self.runs[1] = self.runs[1]._replace(begin=first.sent + 4)
        self.assert_finds("wrong")
        self.gone.clear()
        self.runs[1] = self.runs[1]._replace(begin=first.sent + 4999, end=first.sent + 5999)
        second.outcomes[0] = second.outcomes[0]._replace(at=first.sent + 6000)
        self.assert_finds("wrong", 2)  # and the worker was not gone

    def test_a_run_after_the_outcome(self):
        first = self.call(LANE, "outcome_unknown", msg="the worker w1 is gone")
        self.gone = [("w1", first.sent + 5)]
        self.call(LANE, by="w2")
        self.runs[0] = self.runs[0]._replace(begin=self.runs[1].begin, end=self.runs[1].end)
        self.assertEqual(len(self.assert_finds(None).late), 1)

    # -- unknown

    def test_an_unknown_is_named(self):
        call = self.call(status="outcome_unknown", msg="the worker w1 is gone")
        self.gone = [("w1", call.sent + 1), ("w10", call.sent + 1)]
        self.assertEqual(self.assert_finds(None).unknown, [(call.identity, ONCE.method, "w1", True)])

    def test_an_unknown_without_a_name(self):
        call = self.call(status="outcome_unknown", msg="a worker is gone")
        self.call(status="outcome_unknown", msg="the worker w2 is gone", by="w2")
        self.gone = [("w1", call.sent + 1)]
        self.assert_finds("wrong", 2)

    def test_an_unknown_that_names_the_wrong_worker(self):
        call = self.call(status="outcome_unknown", msg="the worker w2 is gone")
        self.gone = [("w1", call.sent + 1), ("w2", call.sent + 1)]
        self.assert_finds("wrong")

    def test_an_unknown_whose_worker_went_long_ago(self):
        call = self.call(status="outcome_unknown", msg="the worker w1 is gone")
        self.gone = [("w1", call.sent - NOTICED - 1)]
        self.assert_finds("wrong")

    def test_an_unknown_that_could_have_been_run_again(self):
        call = self.call(SAME, "outcome_unknown", msg="the worker w1 is gone")
        self.gone = [("w1", call.sent + 1), ("w2", call.sent + 1)]
        self.assert_finds("wrong")
        self.gone.append(("w3", call.sent + 2))
        self.assert_finds(None)


class Local(BrokerTest):

    def test_without_workers(self):
        broker = self.start(["tally_file {directory}/runs", "workers 4", "timeout 60s"],
                            lines=["set_tcp_nodelay true", "max_inflight_messages 1000"])
        load = Load(broker.port, batches=0.05).begin()
        eventually(lambda: len(load.calls) > 500)
        verdict = Verdict(load.finish(), read_runs(broker.directory / "runs"))
        print("   ", verdict.figures(), flush=True)
        self.assertEqual(verdict.faults(), [])
        self.assertEqual(verdict.statuses.keys(), {"ok", "miscounted"})
        told = [call for call in load.calls.values() if call.kind == TOLD]
        self.assertEqual({load.events[call.identity] for call in told}, {1}, EVENT)
        self.assertTrue(any(call.interim for call in load.calls.values()))
        self.assertTrue(any(len(call.outcomes) == 2 for call in load.calls.values()))


if __name__ == "__main__":
    main()
