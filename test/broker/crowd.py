"""Very many devices on one selector: MQTT 3.1.1 over plain sockets, at QoS 1, with as little work as possible."""
import json
import selectors
import socket
import struct
import time

from harness import TIMEOUT
from mqtt import CONNACK, CONNECT, KEEPALIVE, PUBACK, PUBLISH, SUBSCRIBE, data, packet


class Member:
    """One device: what it remembers outlives its connections."""

    def __init__(self, crowd, name):
        self.crowd, self.name, self.sock, self.buffer, self.out = crowd, name, None, b"", b""
        self.last, self.received, self.done, self.mid = None, [], [], 0

    # -- the connection

    def connect(self, hello=b""):
        self.sock, self.buffer = socket.create_connection(("127.0.0.1", self.crowd.port)), b""
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.crowd.selector.register(self.sock, selectors.EVENT_READ, self)
        self.out = packet(CONNECT, 0, data("MQTT") + struct.pack("!BBH", 4, 2, KEEPALIVE) + data(self.name))
        self.out += packet(SUBSCRIBE, 2, struct.pack("!H", 65535) + data(f"cmd/{self.name}/req") + b"\x01")
        self.publish("hello", hello)

    def cut(self):
        """Ends the connection as a loss of power would: with an error, and no DISCONNECT."""
        if self.sock:
            self.crowd.selector.unregister(self.sock)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.sock.close()
            self.sock = None

    def publish(self, level, payload):
        self.mid = self.mid % 60000 + 1
        self.out += packet(PUBLISH, 2, data(f"cmd/{self.name}/{level}") + struct.pack("!H", self.mid) + payload)
        self.flush()

    def flush(self):
        try:
            while self.out:
                self.out = self.out[self.sock.send(self.out):]
        except BlockingIOError:
            pass
        self.crowd.selector.modify(self.sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if self.out else 0), self)

    def read(self):
        try:
            content = self.sock.recv(65536)
        except BlockingIOError:
            return
        assert content, f"the broker ended the connection of {self.name}"
        self.buffer += content
        while self.sock and len(self.buffer) >= 2:
            size, at = self.buffer[1], 2
            if size >= 128:
                if len(self.buffer) < 3:
                    return
                size, at = size - 128 + self.buffer[2] * 128, 3
            if len(self.buffer) < at + size:
                return
            kind, body = self.buffer[0] >> 4, self.buffer[at:at + size]
            qos, self.buffer = self.buffer[0] >> 1 & 3, self.buffer[at + size:]
            self.handle(kind, qos, body)

    def handle(self, kind, qos, body):
        if kind == CONNACK:
            assert body[1] == 0, f"{self.name} was refused with {body[1]}"
        elif kind == PUBACK and self.crowd.acknowledged:
            self.crowd.acknowledged(self)
        elif kind == PUBLISH:
            size = struct.unpack("!H", body[:2])[0] + 2
            if qos:
                self.out += packet(PUBACK, 0, body[size:size + 2])
                size += 2
            command = json.loads(body[size:])
            self.received.append(command["id"])
            self.crowd.commanded(self, command)
            if self.sock and self.out:
                self.flush()

    # -- a device that remembers one id

    def carry_out(self, command):
        if self.last != command["id"]:
            self.last = command["id"]
            self.done.append(command["id"])

    def answer(self, command, result=True):
        self.publish("resp", json.dumps({"id": command["id"], "result": result}).encode())


class Crowd:
    """commanded(member, command) decides what a member does; acknowledged(member) hears of each PUBACK."""

    def __init__(self, port, names):
        self.port, self.selector = port, selectors.DefaultSelector()
        self.members = {name: Member(self, name) for name in names}
        self.acknowledged, self.commanded = None, self.obey

    @staticmethod
    def obey(member, command):
        member.carry_out(command)
        member.answer(command)

    def turn(self, timeout):
        """Serves those who have something to read or write."""
        for key, events in self.selector.select(timeout):
            if events & selectors.EVENT_WRITE and key.data.sock:
                key.data.flush()
            if events & selectors.EVENT_READ and key.data.sock:
                key.data.read()

    def until(self, condition, timeout):
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, "it did not come true in time"
            self.turn(0.05)

    def settle(self, seconds):
        """Serves until nothing has come for so long."""
        while self.selector.select(seconds):
            self.turn(0)

    def arrive(self, members=None, hello=b"", timeout=TIMEOUT, at_once=100):
        """Connects members, so many at a time, and waits until the broker has taken their hellos."""
        members, greeted = list(members or self.members.values()), set()
        self.acknowledged = greeted.add
        for first in range(0, len(members), at_once):
            some = members[first:first + at_once]
            for member in some:
                member.connect(hello)
            self.until(lambda some=some: greeted.issuperset(some), timeout)
        self.acknowledged = None
        return self

    def close(self):
        for member in self.members.values():
            member.cut()
        self.selector.close()
