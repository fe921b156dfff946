"""Common parts of the tests of calls that take time: concurrent calls and their outcomes.

The methods are those of test/modules/slow.c.
"""
import json
import pathlib
import re
import time

from harness import SLOW, TIMEOUT, BrokerTest, encode, eventually, new_identity, payload_of
from mqtt import CORRELATION_DATA, RESPONSE_TOPIC, USER_PROPERTY, property_of, user_property_of
from test_wake import percentile

AT_ONCE = 1.0 * SLOW  # seconds, times self.pace: less than the work takes


class Range:
    """The numbers from one to another."""

    def __init__(self, first, last):
        self.first, self.last = first, last

    def __contains__(self, value):
        return self.first <= value <= self.last

    def __repr__(self):
        return f"{self.first} to {self.last}"


def show(what, seconds):
    """Prints measured times."""
    print(f"    {what}: p50 {percentile(seconds, .5) * 1000:.3f} p99 {percentile(seconds, .99) * 1000:.3f} "
          f"max {max(seconds) * 1000:.3f} ms", flush=True)


def resident(broker):
    """The broker's resident memory, bytes."""
    status = pathlib.Path(f"/proc/{broker.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s*(\d+)", status)[1]) * 1024


def threads(pid):
    """The status of each thread of a process, by name."""
    found = []
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        text = path.read_text()
        found.append((re.search(r"Name:\s*(\S+)", text)[1], text))
    return found


def workers(pid):
    return [text for name, text in threads(pid) if name == "rpc-worker"]


def with_id(params):
    """The payload of a call with a request_id that no other has."""
    return json.dumps({**params, "request_id": new_identity()})


class SlowTest(BrokerTest):

    def make(self, options=(), lines=(), **how):
        """Without set_tcp_nodelay the client's delayed acknowledgements would hold replies back, up to 40 ms."""
        return super().make(options, lines=["set_tcp_nodelay true", *lines], **how)

    def call(self, client, method, params=None, qos=1, identity=None, timeout=None, topic="r", prefix="rpc",
             kind="call"):
        """An MQTT 5 call whose reply is not waited for; returns its identity. timeout: what timeout-ms is to be."""
        identity = new_identity() if identity is None else identity
        entries = [(RESPONSE_TOPIC, topic), (CORRELATION_DATA, identity)]
        entries += [] if timeout is None else [(USER_PROPERTY, ("timeout-ms", str(timeout)))]
        client.publish(f"{prefix}/{kind}/{method}", encode({} if params is None else params), qos=qos,
                       properties=entries)
        return identity

    def reply(self, client, timeout=None):
        """The next reply: its identity, its status, its content."""
        message = client.receive(timeout)
        return (property_of(message, CORRELATION_DATA).decode(), user_property_of(message, "status"),
                payload_of(message))

    def replies(self, client, count, timeout=None):
        """Of so many replies: status and content by identity, in the order of their arrival."""
        found = {}
        for _ in range(count):
            identity, status, content = self.reply(client, timeout)
            self.assertNotIn(identity, found)
            found[identity] = (status, content)
        return found

    def outcome(self, client, *args, **how):
        """Status and content of the reply to one call."""
        identity = self.call(client, *args, **how)
        found, status, content = self.reply(client)
        self.assertEqual(found, identity)
        return status, content

    def timed(self, client, *args, **how):
        began = time.monotonic()
        status, content = self.outcome(client, *args, **how)
        return status, content, time.monotonic() - began

    # -- outcomes

    def stats(self, broker, prefix="rpc"):
        """The counters of slow.stats, asked for by a client that gets nothing else."""
        client = self.client(broker)
        client.subscribe(f"{prefix}/reply/{client.client_id}/#")
        client.publish(f"{prefix}/call/slow.stats", '{"request_id":"s"}', qos=0)
        found = payload_of(client.receive())["result"]
        client.disconnect()
        return found

    def wait_for_stats(self, broker, prefix="rpc", timeout=TIMEOUT, **wanted):
        """Waits until slow.stats has these counters."""
        last = {}

        def as_wanted():
            last.update(self.stats(broker, prefix))
            return wanted.items() <= last.items()
        try:
            eventually(as_wanted, timeout)
        except AssertionError:
            self.assertEqual(last, {**last, **wanted})
        return last

    def assert_settled(self, broker, prefix="rpc"):
        """Waits until done has run exactly once for each call that became pending."""
        def settled():
            found = self.stats(broker, prefix)
            return found["started"] == found["dones"]
        eventually(settled)

    def retained(self, broker, topic, wanted=lambda value: True, timeout=TIMEOUT):
        """Waits until the retained number of the topic is as wanted, and returns it. Only changes are published."""
        client = self.client(broker, 4)
        client.subscribe(topic)
        deadline = time.monotonic() + timeout
        while True:
            value = int(client.receive(deadline - time.monotonic()).payload)
            if wanted(value):
                client.disconnect()
                return value

    def counter(self, broker, name, wanted, prefix="rpc"):
        """Waits until the counter has this value. The broker needs the option sys_interval."""
        self.assertEqual(self.retained(broker, f"$SYS/broker/rpc/{prefix}/{name}", lambda value: value >= wanted),
                         wanted)

    def assert_quick(self, client, count=5):
        """Checks that another client is served at once; for tests that are patient."""
        for _ in range(count):
            began = time.monotonic()
            self.assertEqual(self.outcome(client, "echo", 1), ("ok", 1))
            self.assertLess(time.monotonic() - began, AT_ONCE * self.pace)
