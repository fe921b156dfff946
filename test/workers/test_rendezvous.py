# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A worker by rendezvous, and a broker that a test plays: moments that no real broker shows on demand."""
import json
import os
import signal
import socket
import struct
import time

from program import WorkerTest  # first: it finds the others
from harness import TIMEOUT, main
from mqtt import (CONNACK, CONNECT, CORRELATION_DATA, PUBACK, PUBLISH, RESPONSE_TOPIC, SUBACK, SUBSCRIBE, Packet, data,
                  decode_publish, packet, properties)

OWN, OTHER = "rpc/worker/own", "rpc/worker/other"
HERE = {"name": "other", "every_ms": 3600000, "state": "here", "leaving": False}


def is_gone(message):
    return message and (message.topic, message.payload) == (OWN, b"")


class PlayedBroker:
    """The worker's broker, which knows no other client. What the worker tells of itself comes back to it while `echoes`.
    All is acknowledged but its word that it is gone, whose packet identifier is `held`: until then it does not leave. What
    has `holds` in it does not come back, but is `kept`."""

    def __init__(self, test):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(TIMEOUT)
        test.addCleanup(self.listener.close)
        self.port = self.listener.getsockname()[1]
        self.test, self.echoes, self.mid, self.held, self.holds, self.kept = test, True, 0, None, None, []

    def accept(self):
        self.sock, _ = self.listener.accept()
        self.test.addCleanup(self.sock.close)
        self.sock.settimeout(TIMEOUT)
        self.stream = self.sock.makefile("rb")

    def publish(self, topic, payload, entries=()):
        self.mid += 1
        self.sock.sendall(packet(PUBLISH, 2, data(topic) + struct.pack("!H", self.mid) + properties(entries) + payload))

    def acknowledge(self, mid):
        self.sock.sendall(packet(PUBACK, 0, struct.pack("!H", mid)))

    def read(self):
        """The worker's next packet; None: its connection has ended."""
        head = self.stream.read(1)
        if not head:
            return None
        size = shift = 0
        while True:
            digit = self.stream.read(1)[0]
            size |= (digit & 127) << shift
            shift += 7
            if digit < 128:
                return Packet(head[0] >> 4, head[0] & 15, self.stream.read(size))

    def serve(self, until=lambda found, message: False):
        """Answers the worker until a packet is the one that is waited for, or the connection ends. Returns what the worker
        has published, as (topic, payload)."""
        published, deadline = [], time.monotonic() + TIMEOUT
        while found := self.read():
            self.test.assertLess(time.monotonic(), deadline, "what is waited for did not come")
            message = decode_publish(found, 5) if found.kind == PUBLISH else None
            if found.kind == CONNECT:
                self.sock.sendall(packet(CONNACK, 0, b"\0\0" + properties(())))
            elif found.kind == SUBSCRIBE:
                self.sock.sendall(packet(SUBACK, 0, found.body[:2] + properties(()) + b"\1"))
            elif message:
                self.take(message)
                published.append((message.topic, message.payload))
            if until(found, message):
                return published
        return published

    def take(self, message):
        if is_gone(message):
            self.held = message.mid
        else:
            self.acknowledge(message.mid)
        if self.holds and self.holds in message.payload:
            self.kept.append((message.topic, message.payload))
        elif self.echoes and message.topic.startswith(OWN):
            self.publish(message.topic, message.payload)


class Rendezvous(WorkerTest):
    def begin(self, keepalive=5):
        """A worker that has told that it is joining."""
        self.broker = PlayedBroker(self)
        self.worker = self.make_worker(self.make(plugins=[]), "rendezvous true", "client_id own", f"keepalive {keepalive}s",
                                       "duplicate_window 1s", address=f"127.0.0.1:{self.broker.port}").start()
        self.broker.accept()
        self.serve_until("joining")

    def begin_here(self):
        """A worker that is here, and knows another one that is."""
        self.begin()
        self.serve_until("here")
        self.broker.publish(OTHER, json.dumps(HERE).encode())

    def serve_until(self, state):
        self.broker.serve(lambda _, message: message and f'"state":"{state}"'.encode() in message.payload)

    def answered(self, count):
        """Sends calls; returns what the worker has published until it has acknowledged the last one."""
        self.call(count)
        return self.serve_last()

    def serve_last(self):
        """Until the worker has acknowledged what was sent last."""
        last = struct.pack("!H", self.broker.mid)
        return self.broker.serve(lambda found, _: found.kind == PUBACK and found.body[:2] == last)

    def call(self, count, method="echo", params=b"{}"):
        for _ in range(count):
            self.broker.publish(f"rpc/call/{method}", params, [(RESPONSE_TOPIC, "r"), (CORRELATION_DATA, os.urandom(16))])

    def test_one_that_is_gone_passes_nothing_on(self):
        """Calls that cross its word that it is gone are shared out by the others, who have them, too."""
        self.begin_here()
        self.worker.signal(signal.SIGTERM)
        self.broker.serve(lambda _, message: is_gone(message))
        published = self.answered(30)
        self.broker.acknowledge(self.broker.held)
        self.assertEqual(published + self.broker.serve(), [])
        self.assertEqual(self.worker.wait(), 0)

    def test_one_settles_when_the_others_have_heard_of_it(self):
        """The broker keeps its word that it is settling for longer than it takes to settle, and calls come behind it."""
        self.begin(keepalive=10)
        self.broker.publish(OTHER, json.dumps(HERE).encode())
        self.broker.holds = b'"settling"'
        self.serve_until("settling")
        time.sleep(3)
        for topic, payload in self.broker.kept:
            self.broker.publish(topic, payload)
        self.serve_last()
        self.assertEqual([topic for topic, _ in self.answered(30) if topic == "r"], [])

    def test_one_that_is_alone_keeps_its_calls(self):
        """A handler that keeps it from hearing of itself loses no reply, and no call that comes in the meantime."""
        self.begin()
        self.serve_until("here")
        self.call(1, "probe.sleep", b'{"ms":7000}')
        self.call(5)
        left = iter(range(5, -1, -1))
        self.broker.serve(lambda _, message: message and message.topic == "r" and next(left) == 0)
        self.assertEqual(list(left), [])

    def test_one_that_does_not_hear_of_itself_connects_anew(self):
        """The others do not hear of it either, and run its calls."""
        self.begin_here()
        self.broker.echoes = False
        self.broker.serve()
        self.assertIn("has not heard of itself for", self.worker.log())
        self.broker.accept()
        self.assertEqual(self.broker.read().kind, CONNECT)


if __name__ == "__main__":
    main()
