# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A great number of workers that are attached, each with a connection of its own: they answer what they get, at once."""
import contextlib
import json
import selectors
import socket
import struct
import threading

from common import CONFIRMATION, PATIENCE, Failure
from mqtt import (CONNACK, CONNECT, CORRELATION_DATA, KEEPALIVE, PUBACK, PUBLISH, RESPONSE_TOPIC, USER_PROPERTY, data,
                  decode_publish, packet, properties, property_of, Packet)

USER = "bench-worker"
LINES = (f"workers_users {USER}",)
RESULT = ("{" + CONFIRMATION + "}").encode()


class Attached:
    """One worker."""

    def __init__(self, port, name, methods, window):
        self.name, self.buffer = name, b""
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A user name, and a clean start.
        self.sock.sendall(packet(CONNECT, 0, data("MQTT") + struct.pack("!BBH", 5, 0x82, KEEPALIVE) + properties(()) +
                                 data(name) + data(USER)))
        if self.take(CONNACK).body[1]:
            raise Failure(f"{name} was refused")
        self.publish("rpc/call/rpc.attach", json.dumps({"worker": name, "methods": methods, "window": window}).encode(),
                     [(RESPONSE_TOPIC, "r"), (CORRELATION_DATA, name)])
        reply = decode_publish(self.take(PUBLISH), 5)
        if b'"work"' not in reply.payload:
            raise Failure(f"{name} was not attached: {reply}")

    def publish(self, topic, payload, entries):
        self.sock.sendall(packet(PUBLISH, 2, data(topic) + struct.pack("!H", 1) + properties(entries) + payload))

    def take(self, kind):
        """The next packet of a kind."""
        while True:
            for found in self.packets():
                if found.kind == kind:
                    return found
            self.read()

    def read(self):
        content = self.sock.recv(65536)
        if not content:
            raise Failure(f"the broker has ended the connection of {self.name}")
        self.buffer += content

    def packets(self):
        """Those that are there."""
        while len(self.buffer) > 1:
            size, at = 0, 1
            while at < len(self.buffer) and self.buffer[at] > 127:
                size |= (self.buffer[at] & 127) << 7 * (at - 1)
                at += 1
            if at == len(self.buffer):
                return
            size |= self.buffer[at] << 7 * (at - 1)
            if len(self.buffer) < at + 1 + size:
                return
            found = Packet(self.buffer[0] >> 4, self.buffer[0] & 15, self.buffer[at + 1:at + 1 + size])
            self.buffer = self.buffer[at + 1 + size:]
            yield found

    def serve(self):
        self.read()
        for found in self.packets():
            if found.kind == PUBLISH:
                self.answer(decode_publish(found, 5))

    def answer(self, message):
        if message.qos:
            self.sock.sendall(packet(PUBACK, 0, struct.pack("!H", message.mid)))
        if message.topic.endswith(f"/work/{self.name}"):
            self.publish(message.topic + "/done", RESULT,
                         [(CORRELATION_DATA, property_of(message, CORRELATION_DATA)), (USER_PROPERTY, ("status", "ok"))])


def serve(selector, over):
    while not over.is_set():
        for key, _ in selector.select(0.1):
            key.data.serve()


@contextlib.contextmanager
def attached(port, count, methods=("by.worker",), window=8, answers=True):
    """So many workers within. answers: whether they do."""
    over, selector = threading.Event(), selectors.DefaultSelector()
    workers = [Attached(port, f"many-{number}", list(methods), window) for number in range(count)]
    for worker in workers:
        selector.register(worker.sock, selectors.EVENT_READ, worker)
    thread = threading.Thread(target=serve, args=(selector, over), daemon=True)
    if answers:
        thread.start()
    try:
        yield workers
    finally:
        over.set()
        if answers:
            thread.join()
        for worker in workers:
            worker.sock.close()
        selector.close()
