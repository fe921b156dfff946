"""Workers and brokers that are killed under load: no call is lost, none that may not run twice runs twice, and each of
which nobody can know is named with its worker."""
import random
import time

from crew import LONG, UNKNOWN, CrewTest, eventually, size
from harness import INSTRUMENTED, main
from judge import GOOD
from load import ABANDONED, LANE, ONCE, READ, SAME, STEPS, TOLD

SECONDS = size(12, 90)
SLOW = {"ms": 250 if INSTRUMENTED else 40}  # so that a worker that is killed has some of them
KINDS = tuple(kind._replace(params={**kind.params, **SLOW}) for kind in (READ, SAME, ONCE, TOLD, STEPS)) + (
    LANE._replace(lanes=4), ONCE._replace(params={"us": 200}))


class Killed(CrewTest):

    def test_one_each_second(self):
        self.crew()
        load = self.load(*KINDS)
        self.kill_each_second(SECONDS)
        verdict = self.judge(load)
        self.assertGreater(verdict.again, 0, "no call was under way when its worker was killed")
        self.assertGreater(verdict.statuses[UNKNOWN], 0, "no call was under way when its worker was killed")
        self.assertEqual({name for name in verdict.by if verdict.by[name]}, set(self.names))

    def test_with_windows(self):
        """The least and the largest window: with 1 a worker has one call when it is killed."""
        for window in (1, 16):
            self.gone.clear()
            self.runs_path = self.broker.directory / f"runs-{window}"
            self.crew(f"window {window}")
            self.assertEqual({worker["window"] for worker in self.listed().values()}, {window})
            load = self.load(*KINDS, rate=200)
            self.kill_each_second(size(4, 30))
            verdict = self.judge(load)
            if window == 1:
                self.assertLessEqual(len(verdict.unknown), len(self.gone))
            for member in self.members.values():
                member.drain()

    def test_all_at_once(self):
        """Calls that may run twice wait for the workers that come back, unless they have been sent to three that went."""
        self.crew()
        load = self.load(*KINDS, rate=200)
        for _ in range(size(2, 20)):
            time.sleep(0.5)
            for name in self.names:
                self.lose(name).kill()
            time.sleep(random.uniform(0, 1))
            for name in self.names:
                self.members[name].start()
            self.wait_for(*self.names)
        self.judge(load)


class Broker(CrewTest):

    def test_killed(self):
        """Workers attach again, and callers send again what may run twice; what may not, they give up."""
        self.crew()
        load = self.load(*KINDS, rate=200)
        for _ in range(size(3, 8)):  # workers wait longer each time
            time.sleep(random.uniform(1, 2))
            self.broker.kill()
            time.sleep(random.uniform(0, 0.5))
            self.broker.start()
            self.wait_for(*self.names)
            seen = len(load.calls)
            eventually(lambda seen=seen: len(load.calls) > seen + 50)
        # Callers do not wait for runs that they gave up. Workers wait longer and longer for a broker that ends each time.
        verdict = self.judge(load, GOOD | {ABANDONED} | ({"overloaded"} if LONG else set()), lanes=False)
        self.assertGreater(verdict.statuses[ABANDONED], 0)
        for member in self.members.values():
            self.assertIsNone(member.process.poll(), f"{member.name} has ended:\n{member.log()[-2000:]}")


if __name__ == "__main__":
    main()
