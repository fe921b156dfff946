"""A load of many callers on one selector, which keeps the outcome of every call.

The calls are those of test/modules/tally.c, whose methods write down their runs; judge.py compares the two. Each call
has an identity of its own, its Correlation Data, which is a parameter as well. Some calls are sent twice, as by a
client that has waited too long: they are one call for the service. When the broker goes, callers connect again and send
those of their open calls again that may run twice; of the others nobody can know any more, and they are abandoned.
"""
import collections
import json
import os
import pathlib
import random
import selectors
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "broker"))
from harness import TIMEOUT  # noqa: E402
from mqtt import (CONNACK, CONNECT, CORRELATION_DATA, KEEPALIVE, PUBACK, PUBLISH, RESPONSE_TOPIC, SUBACK, SUBSCRIBE,  # noqa: E402
                  USER_PROPERTY, Packet, data, decode_publish, packet, properties, property_of, user_property_of)

ABANDONED = "abandoned"  # the outcome of a call whose caller cannot know it
EVENT = "rpc/event/tallied"

# Of which methods the load makes calls. lanes: over how many lanes of each caller. share: of all calls, in weights.
# again: whether the call may run twice.
Kind = collections.namedtuple("Kind", "method params again lanes share", defaults=({}, False, 0, 1))

READ = Kind("tally.read", {"ms": 5}, again=True)
SAME = Kind("tally.same", {"ms": 5}, again=True)
ONCE = Kind("tally.once", {"ms": 5}, share=2)
BUSY = Kind("tally.once", {"us": 200}, share=2)
FAILS = Kind("tally.once", {"fail": True})
TOLD = Kind("tally.told", {"ms": 2})
STEPS = Kind("tally.steps", {"ms": 10})
LANE = Kind("tally.lane", {"ms": 3}, lanes=2, share=3)
ALL = (READ, SAME, ONCE, BUSY, FAILS, TOLD, STEPS, LANE)

BATCH = 5  # calls of a batch

Outcome = collections.namedtuple("Outcome", "status payload at")


class Call:
    """One call and what has come of it. Times are nanoseconds of the clock of all processes."""

    def __init__(self, kind, caller, lane, order):
        self.kind, self.caller, self.lane, self.order = kind, caller, lane, order
        self.identity = os.urandom(16).hex()
        self.sent, self.sends, self.outcomes, self.interim = time.monotonic_ns(), 0, [], []

    @property
    def status(self):
        return self.outcomes[0].status if self.outcomes else None

    def params(self):
        own = {"lane": self.lane} if self.lane else {}
        return json.dumps({"id": self.identity, **self.kind.params, **own}).encode()


class Caller:
    """One connection and its open calls, which outlive it."""

    def __init__(self, load, number):
        self.load, self.name, self.number = load, f"caller-{number}", number
        self.reply_topic = f"r/{self.name}" if load.subscribes else "r"
        self.open, self.batches, self.lane_orders, self.mid = {}, {}, collections.Counter(), 0
        self.sock, self.out, self.buffer, self.is_ready, self.retry_at = None, b"", b"", False, 0

    # -- the connection

    def connect(self):
        self.retry_at = time.monotonic() + 0.1
        try:
            self.sock = socket.create_connection(("127.0.0.1", self.load.port), 5)
        except OSError:
            return
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer, self.is_ready = b"", False
        self.load.selector.register(self.sock, selectors.EVENT_READ, self)
        user = self.load.user
        self.out = packet(CONNECT, 0, data("MQTT") + struct.pack("!BBH", 5, 0xC2 if user else 2, KEEPALIVE) +
                          properties(()) + data(self.name) + (data(user) + data("any") if user else b""))
        filters = ([EVENT] if self.number == 0 else []) + ([self.reply_topic] if self.load.subscribes else [])
        if filters:
            self.out += packet(SUBSCRIBE, 2, struct.pack("!H", 65535) + properties(()) +
                               b"".join(data(filter) + b"\x01" for filter in filters))
        self.flush()

    def cut(self):
        """The connection is over. If the broker went, nobody will know of open calls that may not run twice."""
        if not self.sock:
            return
        self.load.selector.unregister(self.sock)
        self.sock.close()
        self.sock, self.is_ready = None, False
        self.batches.clear()
        for call in [call for call in self.open.values() if not call.kind.again and not self.load.vanish]:
            self.end(call, Outcome(ABANDONED, b"", time.monotonic_ns()))

    def reset(self):
        """The connection ends as that of a device does that loses its network."""
        if self.sock:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.cut()
            self.retry_at = 0

    def flush(self):
        try:
            while self.out:
                self.out = self.out[self.sock.send(self.out):]
        except BlockingIOError:
            pass
        except OSError:
            self.cut()
            return
        self.load.selector.modify(self.sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if self.out else 0), self)

    # -- sending

    def call(self, kind):
        """One call, or a batch of them."""
        if kind.method != STEPS.method and random.random() < self.load.batches:
            calls = [self.make(kind) for _ in range(BATCH)]
            identity = os.urandom(16).hex()
            self.batches[identity] = calls
            for call in calls:
                call.sends += 1
            self.publish(f"rpc/batch/{kind.method}", identity, b"[" + b",".join(call.params() for call in calls) + b"]")
        else:
            call = self.make(kind)
            self.send(call)
            if kind.method != READ.method and random.random() < self.load.doubles:
                self.send(call)  # a method that changes nothing would run again
        self.flush()

    def make(self, kind):
        lane, order = "", 0
        if kind.lanes:
            lane = f"{self.name}/{random.randrange(kind.lanes)}"
            self.lane_orders[lane] += 1
            order = self.lane_orders[lane]
        call = Call(kind, self.name, lane, order)
        self.load.calls[call.identity] = self.open[call.identity] = call
        return call

    def send(self, call):
        call.sends += 1
        self.publish(f"rpc/call/{call.kind.method}", call.identity, call.params(),
                     [(USER_PROPERTY, ("progress", "1"))] if call.kind.method == STEPS.method else [])

    def publish(self, topic, identity, payload, more=()):
        entries = [(RESPONSE_TOPIC, self.reply_topic), (CORRELATION_DATA, identity),
                   (USER_PROPERTY, ("timeout-ms", str(self.load.timeout))), *more]
        self.mid = self.mid % 60000 + 1
        self.out += packet(PUBLISH, 2, data(topic) + struct.pack("!H", self.mid) + properties(entries) + payload)

    # -- receiving

    def read(self):
        try:
            content = self.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            content = b""
        if not content:
            self.cut()
            return
        self.buffer += content
        while self.sock and (found := self.take_packet()):
            self.handle(found)
        if self.sock and self.out:
            self.flush()

    def take_packet(self):
        size, at = 0, 1
        while at < len(self.buffer):
            size |= (self.buffer[at] & 127) << 7 * (at - 1)
            at += 1
            if self.buffer[at - 1] < 128:
                break
        else:
            return None
        if len(self.buffer) < at + size:
            return None
        found = Packet(self.buffer[0] >> 4, self.buffer[0] & 15, self.buffer[at:at + size])
        self.buffer = self.buffer[at + size:]
        return found

    def handle(self, found):
        if found.kind == CONNACK:
            assert found.body[1] == 0, f"{self.name} was refused with {found.body[1]}"
        if found.kind == (SUBACK if self.load.subscribes else CONNACK):
            self.is_ready = True
            for call in self.open.values():
                self.send(call)
        elif found.kind == PUBLISH:
            message = decode_publish(found, 5)
            if message.qos:
                self.out += packet(PUBACK, 0, struct.pack("!H", message.mid))
            if message.topic == EVENT:
                self.load.events[json.loads(message.payload)["id"]] += 1
            else:
                self.take_reply(message)

    def take_reply(self, message):
        identity, status = property_of(message, CORRELATION_DATA).decode(), user_property_of(message, "status")
        at = time.monotonic_ns()
        if identity in self.batches:
            self.take_batch(self.batches.pop(identity), status, message.payload, at)
            return
        call = self.load.calls[identity]
        if status == "progress":
            call.interim.append(at)
        else:
            self.end(call, Outcome(status, message.payload, at))

    def take_batch(self, calls, status, payload, at):
        """What has befallen all of them is no array."""
        items = json.loads(payload) if status == "ok" else [{"error": {**json.loads(payload), "err": status}}] * BATCH
        for call, item in zip(calls, items):
            error = item.get("error")
            self.end(call, Outcome(error["err"] if error else "ok", json.dumps(error or item["result"]).encode(), at))

    def end(self, call, outcome):
        call.outcomes.append(outcome)
        self.open.pop(call.identity, None)


class Load(threading.Thread):
    """Calls from start() to finish(). What it knows then: `calls` by identity, and `events`, how many there were of each
    identity.

    kinds        of which calls
    callers, outstanding   how many callers, and how many calls of one may be open
    rate         calls a second, at most
    timeout      the deadline of each call, milliseconds
    patience     how long finish() waits for what is open, seconds, beyond the deadlines
    doubles      the share of calls that are sent twice
    batches      the share of messages that are batches of five calls
    vanish       seconds after which one caller loses its connection, and then sends all its open calls again: the plugin
                 knows them by their identities, also those that may not run twice; 0: never
    subscribes   callers subscribe to their replies, which a broker without the plugin publishes
    user         they have this name and any password
    """

    def __init__(self, port, kinds=ALL, callers=8, outstanding=8, rate=400, timeout=20000, doubles=0.02, batches=0.0, vanish=0,
                 subscribes=False, user=None, patience=TIMEOUT):
        super().__init__(daemon=True)
        self.port, self.kinds, self.outstanding, self.rate = port, kinds, outstanding, rate
        self.timeout, self.doubles, self.batches, self.vanish = timeout, doubles, batches, vanish
        self.subscribes, self.user, self.patience = subscribes, user, patience
        self.calls, self.events, self.error = {}, collections.Counter(), None
        self.selector, self.over = selectors.DefaultSelector(), threading.Event()
        self.callers = [Caller(self, number) for number in range(callers)]

    def run(self):
        try:
            self.go_on()
        except Exception as error:  # pylint: disable=broad-except
            self.error = error
        for caller in self.callers:
            if caller.sock:
                caller.sock.close()
        self.selector.close()

    def go_on(self):
        due, last_end, vanished = time.monotonic(), None, time.monotonic()
        while not last_end or (time.monotonic() < last_end and any(caller.open for caller in self.callers)):
            self.turn()
            if self.over.is_set():
                last_end = last_end or time.monotonic() + self.timeout / 1000 + self.patience
                continue
            now = time.monotonic()
            if self.vanish and now > vanished + self.vanish:
                vanished = now
                random.choice(self.callers).reset()
            due = max(due, now - 0.1)
            free = [caller for caller in self.callers if caller.is_ready and len(caller.open) < self.outstanding]
            while due < now and free:
                self.call(free)
                due += 1 / self.rate
        for _ in range(20):  # what comes although nothing more is waited for
            self.turn()

    def call(self, free):
        caller = random.choice(free)
        caller.call(random.choices(self.kinds, [kind.share for kind in self.kinds])[0])
        if not caller.is_ready or len(caller.open) >= self.outstanding:
            free.remove(caller)

    def turn(self):
        for caller in self.callers:
            if not caller.sock and time.monotonic() > caller.retry_at:
                caller.connect()
        for key, events in self.selector.select(0.005):
            if events & selectors.EVENT_WRITE and key.data.sock:
                key.data.flush()
            if events & selectors.EVENT_READ and key.data.sock:
                key.data.read()

    def begin(self):
        """Starts, and returns when calls are answered."""
        self.start()
        deadline = time.monotonic() + TIMEOUT
        while not any(call.outcomes for call in list(self.calls.values())):
            assert time.monotonic() < deadline and not self.error, f"the load did not start: {self.error}"
            time.sleep(0.02)
        return self

    def finish(self):
        """Makes no further call, and returns when all have an outcome or nothing comes any more."""
        self.over.set()
        self.join()
        if self.error:
            raise self.error
        return self
