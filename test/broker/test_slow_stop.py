"""The broker stops while calls are pending.

The broker ends soon, with exit code 0, and the plugin leaves its signals alone.
"""
import re
import signal
import time

from harness import SLOW, TIMEOUT, eventually, main, patient
from slow_calls import SlowTest, workers

STUCK = "some work has not returned"
PER_LISTENER = ["per_listener_settings true"]
BOUND = 5  # seconds that the plugin waits for work when it stops


class Stop(SlowTest):
    """SIGTERM in every state."""

    def ends(self, brokers, least, most, stuck=False):
        """Stops all brokers at once. Each ends within these seconds, with 0, and logs no work that is left behind. For
        tests that are patient."""
        began = time.monotonic()
        for broker in brokers:
            broker.signal(signal.SIGTERM)
        for broker in brokers:
            broker.process.wait(TIMEOUT)
            took = time.monotonic() - began
            broker.stop()
            self.assertGreaterEqual(took, least)
            self.assertLess(took, most + 3 * SLOW * self.pace)
            self.assertEqual(STUCK in broker.log(), stuck, broker.log()[-2000:])
        print(f"    ended after {took:.2f} s", flush=True)

    def busy(self, calls, options=("workers 2",), begun=0, **how):
        """A broker with these pending calls."""
        return self.all_busy((calls, options, begun, how))[0]

    def all_busy(self, *rows):
        """A broker for each row of calls, options, begun and more: first all brokers start, which takes long."""
        brokers = [self.start(["timeout 60s", *options], **how) for _, options, _, how in rows]
        clients = [self.client(broker, 5) for broker in brokers]
        for client, (calls, _, _, _) in zip(clients, rows):
            for method, params in calls:
                self.call(client, method, params)
        for broker, (_, _, begun, _) in zip(brokers, rows):
            self.wait_for_stats(broker, begun=begun)
        return brokers

    def background(self):
        broker = self.start()
        self.assertEqual(self.outcome(self.client(broker, 5), "slow.background", {"ms": 60000})[0], "ok")
        eventually(lambda: workers(broker.process.pid))
        time.sleep(0.1)
        return broker

    @patient
    def test_idle(self):
        brokers = [self.start(), self.start(lines=["sys_interval 0"])]
        for broker in brokers:
            self.client(broker).disconnect()
        self.ends(brokers, 0, 1)

    @patient
    def test_after_calls(self):
        broker = self.start(["workers 4"])
        client = self.client(broker, 5)
        for _ in range(20):
            self.assertEqual(self.outcome(client, "slow.sleep", {"ms": 1})[0], "ok")
        self.ends([broker], 0, 1)

    @patient
    def test_in_states_that_end_at_once(self):
        polite, waiting = ("slow.sleep", {"ms": 60000, "polite": True}), ("slow.wait", {"name": "a"})
        in_lane = ("slow.sleep", {"ms": 60000, "polite": True, "lane": "a"})
        batch = self.start(["workers 2"])
        client = self.client(batch, 5)
        self.call(client, "slow.sleep", 50 * [{"ms": 60000, "polite": True}], kind="batch")
        self.call(client, "slow.wait", 10 * [{"name": "a"}], kind="batch")
        gone = self.busy([polite, waiting], begun=1)
        client = self.client(gone, 5)
        self.call(client, "slow.wait", {"name": "a"})
        client.reset()
        self.ends([
            batch, gone,
            self.busy([polite, polite], begun=2),
            self.busy(10 * [polite], begun=2),
            self.busy(5 * [in_lane], begun=1),
            self.busy(5 * [waiting]),
            self.busy([("slow.alarm", {"ms": 60000})]),
            self.busy([("slow.tick", {"ms": 1}), ("slow.alarm", {"ms": 60000})]),
            self.busy([("slow.tick", {"ms": 50000}), *(5 * [polite]), *(5 * [waiting])], begun=2),
            self.busy([("slow.tick", {"ms": 1}), *(5 * [polite]), *(5 * [waiting])], begun=2, first=PER_LISTENER),
        ], 0, 1)

    @patient
    def test_work_that_ends_in_time(self):
        """The plugin waits for such work, whether or not it must finish."""
        took = min(1500 * self.pace, 1000 * BOUND - 1000)  # ms
        second, two = {"ms": took}, ["workers 2"]
        self.ends(self.all_busy(
            (2 * [("slow.sleep", second)], two, 2, {}),
            ([("slow.firm", second)], two, 1, {}),
            (3 * [("slow.firm", {"ms": took // 3})], ["workers 1"], 1, {}),
            ([("slow.brief", second)], two, 1, {}),
            ([("slow.background", second), ("slow.group", {"ms": took, "lane": "a"})], two, 1, {}),
        ), 0.3, 2)

    @patient
    def test_work_that_does_not_return(self):
        """The plugin leaves such work behind after a time that does not depend on the number of jobs or prefixes."""
        forever, long = ("slow.forever", {"lane": "ever"}), ("slow.sleep", {"ms": 60000})
        late = self.busy([("slow.brief", {"ms": 60000})], begun=1)
        time.sleep(0.4)
        two = self.start(["prefix a b", "workers 1"])
        client = self.client(two, 5)
        for prefix in ("a", "b"):
            self.call(client, *forever, prefix=prefix)
            self.call(client, *long, prefix=prefix)
            self.wait_for_stats(two, prefix=prefix, begun=1)
        self.ends([
            late, two,
            self.busy([forever], begun=1),
            self.busy([forever], begun=1, first=PER_LISTENER),
            self.busy(2 * [long], begun=2),
            self.busy([long, *(20 * [("slow.sleep", {"ms": 60000})]), ("slow.wait", {"name": "a"})], begun=2),
            self.busy([("slow.firm", {"ms": 60000}), *(5 * [("slow.firm", {"ms": 1})])], ["workers 1"], begun=1),
            self.background(),
        ], BOUND - 0.5, BOUND + 1, stuck=True)

    @patient
    def test_a_connection_that_ends_at_the_same_time(self):
        for _ in range(5):
            broker = self.busy([("slow.sleep", {"ms": 300}), ("slow.firm", {"ms": 300})], begun=2)
            client = self.client(broker, 5)
            for _ in range(20):
                self.call(client, "slow.sleep", {"ms": 300})
            client.reset()
            self.ends([broker], 0, 2)


class Threads(SlowTest):

    # Signals that no thread can block: SIGKILL, SIGSTOP, and two that the C library reserves.
    ALL = sum(1 << number - 1 for number in range(1, 65) if number not in (9, 19, 32, 33))

    @patient
    def test_none_before_the_first_slow_call(self):
        broker = self.start(["workers 4"])
        client = self.client(broker, 5)
        for method, params in (("echo", 1), ("slow.stats", {}), ("slow.tick", {"ms": 10}), ("slow.alarm", {"ms": 50})):
            self.assertEqual(self.outcome(client, method, params)[0], "ok")
            self.assertEqual(workers(broker.process.pid), [])
        self.assertEqual(self.outcome(client, "slow.sleep", {"ms": 1})[0], "ok")
        self.assertEqual(len(workers(broker.process.pid)), 1)
        for _ in range(12):
            self.call(client, "slow.sleep", {"ms": 100 * self.pace})
        self.replies(client, 12)
        self.assertEqual(len(workers(broker.process.pid)), 4)

    @patient
    def test_signals_are_blocked(self):
        broker = self.start(["workers 8", "prefix a b"])
        client = self.client(broker, 5)
        for number in range(16):
            self.call(client, "slow.sleep", {"ms": 300 * self.pace}, prefix="ab"[number % 2])
        eventually(lambda: len(workers(broker.process.pid)) == 16, 10 * self.pace)
        for status in workers(broker.process.pid):
            blocked = int(re.search(r"SigBlk:\s*(\w+)", status)[1], 16)
            self.assertEqual(blocked & self.ALL, self.ALL, status)
        self.replies(client, 16)


if __name__ == "__main__":
    main()
