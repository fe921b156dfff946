"""Waking the broker's loop, with a plugin that does nothing else.

Times are of CLOCK_MONOTONIC, which is the same for the broker and for us. Limits are far from what is measured and
near enough to what an unwoken loop would take. A busy machine delays some results, as it delays the answers to pings
before and after them; and in one run, and not in the next, while a defect shows in each run.
"""
import contextlib
import pathlib
import re
import statistics
import threading
import time
import unittest

from harness import (INSTRUMENTED, SLOW, SLOW_EPOLL, WAKE_PROBE, BrokerTest, eventually, has_websockets, late, main,
                     patient)
from mqtt import Closed

NATURAL = 100  # ms: the shortest wait of a loop that is not woken
DEADLINE = 50 * SLOW  # ms: within this time of its moment an alarm has to be seen
PER_LISTENER = ["per_listener_settings true"]


def percentile(values, part):
    return sorted(values)[min(int(len(values) * part), len(values) - 1)]


class Traffic:
    """Clients that publish all the time to topics that the plugin does not serve."""

    def __init__(self, clients):
        self.stopping = False
        self.threads = [threading.Thread(target=self._publish, args=(client,)) for client in clients]

    def _publish(self, client):
        with contextlib.suppress(Closed, OSError):
            while not self.stopping:
                client.publish("other/topic", b"x" * 100)
                client.ping()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        for thread in self.threads:
            thread.join()


class WakeTest(BrokerTest):

    def start_probe(self, options=(), first=(), lines=(), **how):
        """Without set_tcp_nodelay the client's delayed acknowledgements would hold results back, up to 40 ms."""
        return self.start(plugins=[(WAKE_PROBE, options)], first=["set_tcp_nodelay true", *first],
                          lines=["sys_interval 0", *lines], **how)

    def run_threads(self, broker, count, pause=2000, threads=1, **how):
        """Results of threads; returns the times in ms until each was collected, and until it was received here."""
        client = self.client(broker, 4, **how)
        client.subscribe("wake/result")
        for _ in range(threads):
            client.publish("wake/run", f"{count} {pause}")
        collected, received = [], []
        for _ in range(count * threads):
            made, taken = (int(number) for number in client.receive().payload.split())
            received.append((time.monotonic_ns() - made) / 1e6)
            collected.append((taken - made) / 1e6)
        print(f"    collected p50 {percentile(collected, .5):.3f} p99 {percentile(collected, .99):.3f} "
              f"max {max(collected):.3f} ms; received p50 {percentile(received, .5):.3f} "
              f"p99 {percentile(received, .99):.3f} max {max(received):.3f} ms")
        return received

    def pings(self, broker, count=100, **how):
        """How long, in ms, the broker takes for an answer; what arrives wakes it."""
        client, taken = self.client(broker, **how), []
        for _ in range(count):
            began = time.monotonic()
            client.ping()
            taken.append((time.monotonic() - began) * 1000)
        client.disconnect()
        return taken

    def check(self, broker, count, **how):
        """Without a wake-up, few would be below 20 ms; with instrumentation some are not. Returns all times, and those
        of pings."""
        connection = {name: how[name] for name in ("port", "websocket") if name in how}
        control = self.pings(broker, **connection)
        received = self.run_threads(broker, count, **how)
        control += self.pings(broker, **connection)
        self.assert_prompt(received, control, 20 * SLOW, 0.5 if INSTRUMENTED else 0.1)
        return received, control


class Results(WakeTest):

    @patient
    def test_idle(self):
        self.check(self.start_probe(), 600)

    @patient
    def test_seldom(self):
        """The loop has come to rest in between."""
        self.check(self.start_probe(), 100, pause=20000)

    @patient
    def test_many_threads(self):
        self.check(self.start_probe(), 300, threads=8, pause=1000)

    @patient
    def test_loaded(self):
        broker = self.start_probe()
        with Traffic([self.client(broker) for _ in range(3)]):
            self.check(broker, 600)

    def check_lost(self, **how):
        """
        A wake-up that was lost would take the loop's natural time, or for ever. The same holds for SIGTERM,
        about which the broker does nothing: it must not come just after the client's end.
        """
        broker = self.start_probe(preload=SLOW_EPOLL, **how)
        self.addCleanup(time.sleep, 0.2)
        received, control = self.check(broker, 600)
        self.assertLessEqual(late(received, NATURAL - 10),
                             (0.05 if INSTRUMENTED else 0.01) + 3 * late(control, NATURAL / 2))

    @patient
    def test_none_is_lost(self):
        self.check_lost()

    @patient
    def test_per_listener_settings(self):
        self.check(self.start_probe(first=PER_LISTENER), 600)

    @patient
    def test_per_listener_settings_loaded(self):
        broker = self.start_probe(first=PER_LISTENER)
        with Traffic([self.client(broker) for _ in range(3)]):
            self.check(broker, 600)

    @patient
    def test_per_listener_settings_none_is_lost(self):
        self.check_lost(first=PER_LISTENER)


@unittest.skipUnless(has_websockets(), "this broker has no WebSockets")
class WebSockets(WakeTest):

    LISTENER = ["listener {second_port} 127.0.0.1", "protocol websockets", "socket_domain ipv4",
                "allow_anonymous true", f"plugin {WAKE_PROBE}", "plugin_opt_websockets true"]

    def check_settings(self, first):
        broker = self.start(plugins=[], first=["set_tcp_nodelay true", *first], lines=self.LISTENER)
        self.check(broker, 300, port=broker.second_port, websocket=True)

    @patient
    def test_one_setting(self):
        self.check_settings([])

    @patient
    def test_per_listener_settings(self):
        self.check_settings(PER_LISTENER)


class Alarms(WakeTest):
    """Alarms go off in time."""

    def lateness(self, client, delay):
        """The delay in ms with which an alarm in that many ms was received here."""
        client.publish("wake/alarm", str(delay * 1000))
        due, _ = (int(number) for number in client.receive().payload.split())
        return (time.monotonic_ns() - due) / 1e6

    def check_alarms(self, traffic=None, **how):
        broker = self.start_probe(**how)
        self.addCleanup(time.sleep, 0.2)  # see check_lost()
        client, other = self.client(broker), self.client(broker)
        client.subscribe("wake/alarmed")
        lateness, control = [], self.pings(broker)
        for number in range(10):
            timer = threading.Timer((90 + number) / 1000, other.publish, ("other", "x"))
            if traffic:
                timer.start()
            lateness.append(self.lateness(client, 100 + number))
            timer.cancel()
        print(f"    late p50 {percentile(lateness, .5):.3f} max {max(lateness):.3f} ms")
        self.assertGreater(min(lateness), 0)
        self.assertLess(statistics.median(lateness), DEADLINE + 5 * statistics.median(control))

    @patient
    def test_idle(self):
        self.check_alarms()

    @patient
    def test_traffic_just_before(self):
        self.check_alarms(traffic=True)

    @patient
    def test_slow_epoll(self):
        self.check_alarms(preload=SLOW_EPOLL)

    @patient
    def test_per_listener_settings(self):
        self.check_alarms(first=PER_LISTENER)
        self.check_alarms(first=PER_LISTENER, traffic=True)
        self.check_alarms(first=PER_LISTENER, preload=SLOW_EPOLL)

    def check_alone(self, **how):
        """No client ever connects."""
        broker = self.start_probe(["alarm 3000000"], **how)
        lateness = int(broker.wait_log(r"probe: alarm after (\d+) us")[1]) / 1000
        print(f"    late {lateness:.3f} ms")
        self.assertLess(lateness, DEADLINE)

    @patient
    def test_no_clients(self):
        self.check_alone()

    @patient
    def test_no_clients_with_per_listener_settings(self):
        self.check_alone(first=PER_LISTENER)


class Quiet(WakeTest):

    @staticmethod
    def switches(broker):
        """The number of times that the loop has slept, which it does after every signal."""
        status = pathlib.Path(f"/proc/{broker.process.pid}/status").read_text()
        return int(re.search(r"(?m)^voluntary_ctxt_switches:\s*(\d+)", status)[1])

    def check_rest(self, **how):
        """A second has ten rounds of 100 ms; signals that do not stop would make thousands."""
        broker = self.start_probe(**how)
        self.run_threads(broker, 20)
        time.sleep(0.1)
        before, began = self.switches(broker), time.monotonic()
        time.sleep(2)
        self.assertLess(self.switches(broker) - before, 50 * (time.monotonic() - began))

    @unittest.skipIf(INSTRUMENTED, "counts what the instrument does, too")
    def test_no_signals_while_nothing_is_pending(self):
        self.check_rest()
        self.check_rest(first=PER_LISTENER)


class End(WakeTest):
    """The broker ends at SIGTERM, idle and with busy workers."""

    def check_end(self, broker):
        """A broker logs that it runs before it does; it loses a SIGTERM that arrives in between."""
        self.client(broker).close()
        broker.stop()
        self.assertRegex(broker.log(), r"probe: signal \d+ is as before")

    def test_idle(self):
        self.check_end(self.start_probe())
        self.check_end(self.start_probe(first=PER_LISTENER))

    def test_with_an_alarm_ahead(self):
        self.check_end(self.start_probe(["alarm 60000000"]))

    def test_busy(self):
        for first in ([], PER_LISTENER):
            broker = self.start_probe(first=first)
            client = self.client(broker)
            for _ in range(8):
                client.publish("wake/run", "1000000 100")
            eventually(lambda: client.ping() or True)
            time.sleep(0.2)
            self.check_end(broker)


if __name__ == "__main__":
    main()
