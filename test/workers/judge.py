"""Judges a load by what its callers got and by the runs that the processes have written down.

lost      a call without an outcome; a result of a call that never ran to its end
doubled   a call that may not run twice and did; more replies than the call was sent, or different ones; two events.
          Each call counts once, whatever it shows by
wrong     an error that says that the call did not run, and it did; a result that names another process than those that
          ran the call; an `outcome_unknown` that names a worker that was not gone, or of a call that could have been run
          again; an interim reply after the outcome; two runs of a lane at once, or in another order than the calls
unknown   an `outcome_unknown`, and the worker that it names: none of the above, but each must have a name
late      a run that began when its caller had an outcome already: of a worker that was silent and was given up. Lanes do not
          wait for it
"""
import collections
import json
import re

from load import ABANDONED

Run = collections.namedtuple("Run", "begin end by method identity lane")  # end None: it never came to its end
Unknown = collections.namedtuple("Unknown", "identity method worker ran")

NOT_RUN = {"overloaded", "rate_limited", "method_not_found", "invalid_request", "invalid_params", "parse_error",
           "payload_too_large", "not_allowed"}
UNKNOWN = "outcome_unknown"
ATTEMPTS = 3  # a call that may run twice is sent to so many workers, if they go one after the other
NOTICED = 15 * 10 ** 9  # nanoseconds after which the broker has noticed that a worker is gone
GOOD = {"ok", "miscounted"}


def read_runs(path):
    """The runs of a file of tally.c, in the order of their beginnings."""
    begun, runs = collections.defaultdict(list), []
    for line in path.read_text().splitlines():
        what, at, by, method, identity, lane = line.split()
        key = (by, identity)
        if what == "begin":
            begun[key].append(Run(int(at), None, by, method, identity, lane.replace("-", "") and lane))
        else:
            runs.append(begun[key].pop(0)._replace(end=int(at)))
    runs += [run for left in begun.values() for run in left]
    return sorted(runs)


class Verdict:
    """What has become of the calls of a load.

    runs    of read_runs()
    gone    times at which workers were killed, stopped or cut off, as (name, nanoseconds)
    lanes   whether lanes are judged
    """

    def __init__(self, load, runs, gone=(), lanes=True):
        self.lost, self.doubled, self.wrong, self.unknown, self.late = [], [], [], [], set()
        self.statuses, self.by, self.again = collections.Counter(), collections.Counter(run.by for run in runs), 0
        self.gone, self.calls = gone, load.calls
        ran = collections.defaultdict(list)
        for run in runs:
            ran[run.identity].append(run)
        for identity in set(ran) - set(load.calls):
            self.wrong.append(f"{identity} ran, and nobody has called it")
        for call in load.calls.values():
            self.judge_call(call, ran[call.identity], load.events[call.identity])
        if lanes:
            self.judge_lanes([run for run in runs if run not in self.late])

    def judge_call(self, call, runs, events):
        what = f"{call.kind.method} {call.identity} of {call.caller}"
        self.statuses[call.status] += 1
        if not call.outcomes:
            self.lost.append(f"{what}: no outcome; runs: {runs}")
            return
        self.late.update(run for run in runs if run.begin > call.outcomes[0].at)
        contents = {outcome[:2] for outcome in call.outcomes}
        signs = []
        if len(call.outcomes) > call.sends or len(contents) > 1:
            signs.append(f"sent {call.sends} times, its outcomes: {call.outcomes}")
        if len(runs) > 1 and not call.kind.again:
            signs.append(f"{call.status}, and ran {runs}")
        if events > 1:
            signs.append(f"{events} events")
        if len(call.interim) > max(len(runs), 1):
            signs.append(f"{len(call.interim)} interim replies of {len(runs)} runs")
        if signs:
            self.doubled.append(f"{what}: {'; '.join(signs)}")
        self.again += len(runs) > 1
        self.judge_interim(what, call, runs)
        self.judge_outcome(what, call, runs)

    def judge_interim(self, what, call, _runs):
        if any(at > call.outcomes[0].at for at in call.interim):
            self.wrong.append(f"{what}: an interim reply after the outcome")

    def judge_outcome(self, what, call, runs):
        status, payload, at = call.outcomes[0]
        if status in GOOD and not any(run.end and run.end <= at for run in runs):
            self.lost.append(f"{what}: {status}, and did not run to its end: {runs}")
        elif status == "ok" and json.loads(payload)["by"] not in {run.by for run in runs}:
            self.wrong.append(f"{what}: {payload} of {runs}")
        elif status in NOT_RUN and runs and not call.kind.again:
            self.wrong.append(f"{what}: {payload}, and ran {runs}")
        elif status == UNKNOWN:
            self.judge_unknown(what, call, runs)
        elif status not in GOOD | NOT_RUN | {"timeout", "cancelled", ABANDONED}:
            self.wrong.append(f"{what}: {status} {payload}")

    def judge_unknown(self, what, call, runs):
        _, payload, at = call.outcomes[0]
        names = {name for name, when in self.gone if call.sent - NOTICED <= when <= at}
        named = [name for name in names if re.search(rf"\b{re.escape(name)}\b", json.loads(payload)["msg"])]
        if len(named) != 1:
            self.wrong.append(f"{what}: {payload} names none of {names}")
            return
        self.unknown.append(Unknown(call.identity, call.kind.method, named[0], bool(runs)))
        if runs and not call.kind.again and named[0] not in {run.by for run in runs}:
            self.wrong.append(f"{what}: {payload}, and ran {runs}")
        if call.kind.again and sum(call.sent <= when <= at for _, when in self.gone) < ATTEMPTS:
            self.wrong.append(f"{what}: {payload}, although it could have been run again")

    def judge_lanes(self, runs):
        """A run goes on until its end, or until its worker goes: one that is stopped goes on later with what it has begun."""
        lanes = collections.defaultdict(list)
        for run in runs:
            if run.lane:
                lanes[run.lane].append(run)
        for lane, own in lanes.items():
            for run, following in zip(own, own[1:]):
                ends = [at for name, at in self.gone if name == run.by and at > run.begin] + [run.end] * bool(run.end)
                end = min(ends, default=run.begin)
                if following.begin < end:
                    self.wrong.append(f"two runs of the lane {lane} at once: {run}, {following}")
                if self.calls[following.identity].order <= self.calls[run.identity].order:
                    self.wrong.append(f"the order of the lane {lane}: {run}, {following}")

    # -- in the end

    def figures(self):
        """Everything, by name."""
        errors = {name: count for name, count in self.statuses.items() if name not in GOOD | {UNKNOWN}}
        named = collections.Counter(f"{unknown.worker} {'ran' if unknown.ran else 'had'} {unknown.method}"
                                    for unknown in self.unknown)
        return {"calls": len(self.calls), "ok": sum(self.statuses[status] for status in GOOD), **errors,
                "lost": len(self.lost), "doubled": len(self.doubled), "wrong": len(self.wrong),
                "unknown": self.statuses[UNKNOWN], **{f"unknown: {name}": count for name, count in sorted(named.items())},
                "run again": self.again, "begun late": len(self.late),
                **{f"by {name}": count for name, count in sorted(self.by.items())}}

    def faults(self):
        return [f"{what}: {fault}" for what in ("lost", "doubled", "wrong") for fault in getattr(self, what)]
