"""The delay between a result or a deadline and its reply.

The tests print what they measure. The shortest wait of a loop that is not woken is 100 ms; limits are half of it. A
busy machine delays some replies by any time, so that the limits hold for most of them, and for fewer if inline calls
and sleeps of the same run are late as well.
"""
import threading
import time
import unittest

from harness import SLOW, SLOW_EPOLL, has_websockets, main, patient
from slow_calls import SlowTest, show
from test_wake import Traffic

IN_TIME = 0.050 * SLOW  # seconds
SOME = 0.1  # the share that may be later on an idle machine

PER_LISTENER = ["per_listener_settings true"]


class LatencyTest(SlowTest):

    def plain(self, client, count=60):
        """How long inline calls take, and how late sleeps end: they say how busy the machine is."""
        times = [self.timed(client, "echo", 1, qos=0)[2] for _ in range(count)]
        for _ in range(count // 2):
            began = time.monotonic()
            time.sleep(0.01)
            times.append(time.monotonic() - began - 0.01)
        return times

    def assert_in_time(self, what, taken, control, share=SOME):
        show(what, taken)
        show("inline calls and sleeps", control)
        self.assert_prompt(taken, control, IN_TIME, share)

    def start_quiet(self, options=(), **how):
        """Only calls make the loop go round."""
        return self.start(["sys_interval 0", *options], lines=["sys_interval 0"],
                          log_types=("information",), **how)


class Deadlines(LatencyTest):
    """Deadlines fire in time."""

    def lateness(self, client, ms, method, params):
        began = time.monotonic()
        self.assertEqual(self.outcome(client, method, params, qos=0, timeout=ms)[0], "timeout")
        return time.monotonic() - began - ms / 1000

    def check(self, traffic=False, **how):
        """traffic: another client publishes 10 ms before, which begins a new round of the loop."""
        broker = self.start_quiet(**how)
        client = self.client(broker, 5)
        other = self.client(broker) if traffic else None
        for method, params in (("slow.sleep", {"ms": 60000, "polite": True}), ("slow.wait", {"name": "unused"})):
            late, control = [], self.plain(client)
            for number in range(10):
                timer = threading.Timer((90 + number) / 1000, other.publish, ("other", "x")) if traffic else None
                if timer:
                    timer.start()
                late.append(self.lateness(client, 100 + number, method, params))
                if timer:
                    timer.join()
            self.assertGreaterEqual(min(late), -0.001)
            self.assert_in_time(f"deadline of {method} late by", late, control + self.plain(client))

    @patient
    def test_idle(self):
        self.check()

    @patient
    def test_traffic_just_before(self):
        self.check(traffic=True)

    @patient
    def test_slow_epoll(self):
        self.check(preload=SLOW_EPOLL)

    @patient
    def test_per_listener_settings(self):
        self.check(first=PER_LISTENER)
        self.check(first=PER_LISTENER, traffic=True)

    @patient
    def test_per_listener_settings_with_slow_epoll(self):
        self.check(first=PER_LISTENER, preload=SLOW_EPOLL)

    @patient
    def test_many_at_once(self):
        """Deadlines in all orders, each on its own time."""
        client = self.client(self.start_quiet(), 5)
        due, late = {}, []
        for number in range(200):
            ms = (200 + number * 7919 % 997) * self.pace
            began = time.monotonic()
            due[self.call(client, "slow.wait", {"name": "unused"}, qos=0, timeout=ms)] = began + ms / 1000
        for _ in range(200):
            identity, status, _ = self.reply(client)
            self.assertEqual(status, "timeout")
            late.append(time.monotonic() - due.pop(identity))
        self.assertGreaterEqual(min(late), -0.001)
        self.assert_in_time("200 deadlines late by", late, self.plain(client), 0.5)

    @unittest.skipUnless(has_websockets(), "this broker has no WebSockets")
    @patient
    def test_websockets(self):
        broker = self.start_quiet(websockets=True)
        client = self.client(broker, 5, port=broker.websockets_port, websocket=True)
        late = [self.lateness(client, 100 + number, "slow.wait", {"name": "unused"}) for number in range(10)]
        self.assert_in_time("deadline late by", late, self.plain(client))

    @patient
    def test_alarms(self):
        """Timers of modules are as exact."""
        client = self.client(self.start_quiet(), 5)
        late = []
        for number in range(10):
            status, _, took = self.timed(client, "slow.alarm", {"ms": 100 + number}, qos=0)
            self.assertEqual(status, "ok")
            late.append(took - (100 + number) / 1000)
        self.assertGreaterEqual(min(late), -0.001)
        self.assert_in_time("alarm late by", late, self.plain(client))


class Results(LatencyTest):
    """Results of work reach the caller in time."""

    def check(self, client, count=300, pause=0):
        """Without a wake-up, few delays would be below 90 ms. Inline and worker's calls take turns."""
        inline, worked = [], []
        for _ in range(count):
            for times, method, params in ((inline, "echo", 1), (worked, "slow.sleep", None)):
                time.sleep(pause)
                status, _, seconds = self.timed(client, method, params, qos=0)
                self.assertEqual(status, "ok")
                times.append(seconds)
        self.assert_in_time("worker", worked, inline)

    @patient
    def test_idle(self):
        self.check(self.client(self.start_quiet(), 5))

    @patient
    def test_seldom(self):
        """The loop has come to rest in between."""
        self.check(self.client(self.start_quiet(), 5), 60, pause=0.02)

    @patient
    def test_loaded(self):
        broker = self.start_quiet()
        with Traffic([self.client(broker) for _ in range(3)]):
            self.check(self.client(broker, 5))

    @patient
    def test_slow_epoll(self):
        self.check(self.client(self.start_quiet(preload=SLOW_EPOLL), 5))

    @patient
    def test_beside_work_that_takes_long(self):
        broker = self.start_quiet(["workers 3"])
        for _ in range(2):
            self.call(self.client(broker, 5), "slow.sleep", {"ms": 60000, "polite": True}, timeout=60000)
        self.check(self.client(broker, 5))

    @patient
    def test_per_listener_settings(self):
        self.check(self.client(self.start_quiet(first=PER_LISTENER), 5))

    @patient
    def test_per_listener_settings_loaded(self):
        """A loop that is too busy to reach the safe point sends replies after OUTBOX_PATIENCE, 20 ms."""
        broker = self.start_quiet(first=PER_LISTENER)
        with Traffic([self.client(broker) for _ in range(3)]):
            self.check(self.client(broker, 5))

    def web(self, broker, version=5):
        return self.client(broker, version, port=broker.websockets_port, websocket=True)

    @unittest.skipUnless(has_websockets(), "this broker has no WebSockets")
    @patient
    def test_websockets(self):
        broker = self.start_quiet(websockets=True)
        self.check(self.web(broker))
        self.check(self.web(broker), 30, pause=0.02)

    @unittest.skipUnless(has_websockets(), "this broker has no WebSockets")
    @patient
    def test_resumed_on_websockets(self):
        """A call over TCP resumes a deferred call over WebSockets."""
        broker = self.start_quiet(websockets=True)
        waiting, teller = self.web(broker), self.client(broker, 5)
        took = []
        for _ in range(30):
            self.call(waiting, "slow.wait", {"name": "a"})
            began = time.monotonic()
            self.outcome(teller, "slow.tell", {"name": "a", "text": "x"}, qos=0)
            self.reply(waiting)
            took.append(time.monotonic() - began)
        self.assert_in_time("resumed over WebSockets", took, self.plain(teller))


if __name__ == "__main__":
    main()
