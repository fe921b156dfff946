"""A broker and its attached workers under a load: what test_killed.py, test_upgrade.py and test_cut.py share."""
import itertools
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "broker"))
from harness import (INSTRUMENTED, SANITIZER_REPORT, TEST_PLUGIN, BrokerTest, Closed, ask, eventually,  # noqa: E402
                     result_of)
from judge import GOOD, UNKNOWN, Verdict, read_runs  # noqa: E402
from load import ALL, Load  # noqa: E402
from program import Worker  # noqa: E402

USER, PASSWORD = "crew", "of workers"
LONG = os.environ.get("RPC_SOAK") == "long"
KEEPALIVE = 5  # seconds: the least that a worker takes
NOTICED = 1.5 * KEEPALIVE + 6  # seconds after which the broker has noticed that a worker is silent: it looks every 5


def size(short, long):
    return long if LONG else short


class Member(Worker):
    """One worker with a file of options, which is started and ended again and again. Of options that are given twice the
    last one counts. around: a command that the program is an argument of."""

    def __init__(self, directory, name, options, around=()):
        merged = dict(line.split(" ", 1) for line in options)
        super().__init__(directory, *(" ".join(option) for option in merged.items()), in_file=True, name=name, around=around)
        self.name = name

    def drain(self):
        """Ends it as an upgrade would; it has to finish what it has."""
        self.stop()

    def end(self, test):
        """The cleanup of a test that has started it."""
        if not getattr(getattr(test, "_outcome", None), "success", True):
            print(f"--- the end of the log of {self.name} in {test.id()}\n{self.log()[-2000:]}", file=sys.stderr)
        self.kill()
        found = SANITIZER_REPORT.search(self.log())
        test.assertFalse(found, f"sanitizer report of {self.name}:\n{self.log()[-6000:]}")


class CrewTest(BrokerTest):
    """A test of a broker, three workers and a load."""

    names = ("w1", "w2", "w3")
    placement = "remote"
    options = ()

    def setUp(self):
        self.began, self.gone, self.members = time.monotonic(), [], {}
        self.broker = self.make_broker()
        self.runs_path = self.broker.directory / "runs"
        self.broker.start()
        self.asking = None

    def make_broker(self, **how):
        """Everything that the load calls is placed, if it can be."""
        placed = [f"placement_{method} {self.placement}" for method in sorted({kind.method for kind in ALL})]
        if self.placement == "spill":  # methods without work cannot be
            placed = [line for line in placed if "steps" not in line and "here" not in line]
        lines = ["max_inflight_messages 1000", "set_tcp_nodelay true", *how.pop("lines", ())]
        how.setdefault("users", {USER: PASSWORD})
        return self.make([f"workers_users {USER}", "tally_file {directory}/runs", "max_pending 10000", *placed,
                          *self.options], plugin=TEST_PLUGIN, lines=lines, **how)

    # -- workers

    def member_options(self, name):
        """A file of options for a worker."""
        return [f"broker 127.0.0.1:{self.broker.port}", "attach true", f"name {name}", f"user {USER}",
                f"password_file {self.password_file()}", f"keepalive {KEEPALIVE}s", f"tally_name {name}",
                f"tally_file {self.runs_path}", "workers 8", "timeout_max 60s"]

    def password_file(self):
        path = self.broker.directory / "password"
        path.write_text(PASSWORD + "\n")
        return path

    def member(self, name, *more, around=()):
        """Starts a worker, which ends with the test. more: options that replace others."""
        member = self.members[name] = Member(self.broker.directory, name, [*self.member_options(name), *more], around)
        self.addCleanup(member.end, self)
        return member.start()

    def crew(self, *more):
        """Starts all workers, and waits for them."""
        for name in self.names:
            self.member(name, *more)
        self.wait_for(*self.names)

    def listed(self):
        """What rpc.workers says, by name; {} while there is no broker."""
        try:
            self.asking = self.asking or self.client(self.broker, 5)
            found = result_of(ask(self.asking, "rpc.workers"))
        except (Closed, OSError):
            self.asking = None
            return {}
        return {worker["id"]: worker for worker in found["workers"]}

    def wait_for(self, *names, absent=()):
        """Until these workers are there and get calls, and those are not."""
        def is_so():
            for name in names:
                member = self.members.get(name)
                assert not member or member.process.poll() is None, f"{name} has ended:\n{member.log()[-2000:]}"
            there = {name for name, worker in self.listed().items() if not worker["leaving"]}
            return there >= set(names) and not there & set(absent)
        eventually(is_so, pause=0.02)

    def lose(self, name):
        """Notes that a worker goes now."""
        self.gone.append((name, time.monotonic_ns()))
        return self.members[name]

    def kill_each_second(self, seconds):
        """kill -9 of one worker each second, which is then started again."""
        for _, name in zip(range(seconds), itertools.cycle(self.names)):
            time.sleep(1)
            self.lose(name).kill()
            self.members[name].start()
        self.wait_for(*self.names)

    # -- the load

    def load(self, *kinds, **how):
        how.setdefault("rate", 60 if INSTRUMENTED else 400)
        how.setdefault("batches", 0.05)
        return Load(self.broker.port, kinds or ALL, **how).begin()

    def judge(self, load, allowed=GOOD | {UNKNOWN}, **how):
        """Ends the load, prints what came of it, and checks that nothing was lost, doubled or wrong and that there
        were no other outcomes than those that are allowed."""
        load.finish()
        verdict = Verdict(load, read_runs(self.runs_path), self.gone, **how)
        figures = {**verdict.figures(), "seconds": round(time.monotonic() - self.began, 1)}
        print(f"    {self.id().partition('.')[2]}: " + ", ".join(f"{name} {value}" for name, value in figures.items()),
              flush=True)
        faults = verdict.faults()
        self.assertEqual(faults[:10], [], f"{len(faults)} faults")
        self.assertLessEqual(verdict.statuses.keys(), set(allowed))
        self.assertEqual(len(verdict.unknown), verdict.statuses[UNKNOWN])
        return verdict
