# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Cuts the connections of a client at chosen moments, and proves that its calls are carried out once all the same.

Cutter is a TCP proxy in front of a broker. It knows where MQTT's packets begin and end, counts them, keeps them, and
ends a connection at a chosen Moment: before a packet, in the middle of it, or after it.

prove_once() gives a client the port of such a proxy and lets it call probe.count of the test plugin, again and again,
with its connection cut at another moment each time. The result of that method is how often it has been run: the
calls of a client that loses none and doubles none get 1, 2, 3 and so on, without a gap.

A client of another language takes part as a program, see Program.
"""
import collections
import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import threading
import time

from harness import SLOW, TIMEOUT, eventually
from mqtt import CONNECT, PINGREQ, PINGRESP, PUBLISH, Packet, decode_publish

OUT, IN = "out", "in"  # from the client to the broker, and back
NAMES = ("?", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE", "SUBACK",
         "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH")
BEFORE, MIDDLE, AFTER = "before", "middle", "after"


class Moment(collections.namedtuple("Moment", "direction kind at nth", defaults=(BEFORE, 1))):
    """When to cut: at the packet number `nth` of this kind (None: of any) in this direction, counted from arm() on.

    at   BEFORE, MIDDLE or AFTER the packet; or the number of its bytes that still pass
    """

    def __str__(self):
        kind = "packet" if self.kind is None else NAMES[self.kind]
        return f"{self.at} {kind} {self.nth} {'to' if self.direction == OUT else 'from'} the broker"

    def bytes_of(self, packet):
        sizes = {BEFORE: 0, MIDDLE: len(packet) // 2, AFTER: len(packet)}
        return min(sizes.get(self.at, self.at), len(packet))


Seen = collections.namedtuple("Seen", "connection direction kind raw version")


def whole_packets(buffer):
    """Takes the packets that are complete out of a bytearray."""
    while True:
        size, shift, at = 0, 0, 1
        while at < len(buffer):
            size |= (buffer[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if not buffer[at - 1] & 0x80:
                break
        else:
            return
        if len(buffer) < at + size:
            return
        packet = bytes(buffer[:at + size])
        del buffer[:at + size]
        yield packet


def message_in(seen):
    """A PUBLISH as mqtt.Message."""
    at = 1
    while seen.raw[at] & 0x80:
        at += 1
    return decode_publish(Packet(PUBLISH, seen.raw[0] & 15, seen.raw[at + 1:]), seen.version)


class Connection:
    """A client's connection, the one to the broker, and a thread for each direction."""

    def __init__(self, cutter, number, client):
        self.cutter, self.number, self.version = cutter, number, 4
        self.is_due, self.is_muted = False, False
        self.sockets = {OUT: client, IN: socket.create_connection(("127.0.0.1", cutter.broker_port))}
        for sock in self.sockets.values():
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for direction in (OUT, IN):
            threading.Thread(target=self.pump, args=(direction,), daemon=True).start()

    def pump(self, direction):
        """Passes on what comes from one side; each packet at once and whole, unless the cutter decides otherwise."""
        source, buffer = self.sockets[direction], bytearray()
        target = self.sockets[IN if direction == OUT else OUT]
        with contextlib.suppress(OSError):
            while True:
                content = source.recv(65536)
                if not content:
                    break
                buffer += content
                for packet in whole_packets(buffer):
                    passed = self.cutter.decide(self, direction, packet)
                    if not self.is_due:
                        target.sendall(packet[:passed])
                        continue
                    with self.cutter.standstill():
                        target.sendall(packet[:passed])
                        self.end(self.cutter.reset)
                    return
        self.end(False)

    def note_version(self, packet):
        at = 1
        while packet[at] & 0x80:
            at += 1
        name = struct.unpack_from("!H", packet, at + 1)[0]
        self.version = packet[at + 3 + name]

    def end(self, reset):
        """Closes both sides. The broker still reads what it was sent; the client sees an error if reset is true."""
        with self.cutter.lock:
            sockets, self.sockets = self.sockets, {}
            self.cutter.connections.discard(self)
        if not sockets:
            return
        if reset:
            sockets[OUT].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for side, sock in sockets.items():
            with contextlib.suppress(OSError):  # the other thread may wait for it: this wakes it
                sock.shutdown(socket.SHUT_RD if reset and side == OUT else socket.SHUT_RDWR)
            sock.close()


class Cutter:
    """A proxy of a broker on a port of its own: .port.

    arm()      says when connections are cut; each of several moments in turn, each of them once
    fired      how many of them have come
    seen       every packet, as Seen
    silent     if true, an armed moment does not end the connection: nothing passes it any more, in either direction
    refusing   if true, every new connection is closed at once
    delay      seconds that every packet takes to pass
    reset      whether a cut is an error to the client (RST) or the end of its stream (FIN)
    stops      a process of ours that stands still while its connection is cut: it finds what came last and the end at
               once, and its answer to that finds no connection
    """

    def __init__(self, broker_port, reset=True):
        self.broker_port, self.reset = broker_port, reset
        self.silent, self.refusing, self.delay, self.stops = False, False, 0, None
        self.lock = threading.RLock()
        self.moments, self.counts, self.fired, self.seen = [], collections.Counter(), 0, []
        self.connections, self.accepted = set(), 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()

    def cut(self):
        """Ends all connections now."""
        with self.lock:
            connections = list(self.connections)
        for connection in connections:
            connection.end(self.reset)

    def arm(self, *moments):
        with self.lock:
            self.moments, self.fired, self.seen = list(moments), 0, []
            self.counts.clear()

    @contextlib.contextmanager
    def standstill(self):
        if not self.stops:
            yield
            return
        with self.lock:  # the other direction of the connection is cut, too
            os.kill(self.stops, signal.SIGSTOP)
            try:
                os.waitid(os.P_PID, self.stops, os.WSTOPPED)
                yield
            finally:
                os.kill(self.stops, signal.SIGCONT)

    def count(self, direction, kind):
        """How many packets of the kind have come since arm(), those that a cut kept from passing included."""
        with self.lock:
            return sum(seen.direction == direction and seen.kind == kind for seen in self.seen)

    def messages(self, direction):
        """What was published since arm(), as mqtt.Message."""
        with self.lock:
            return [message_in(seen) for seen in self.seen if (seen.direction, seen.kind) == (direction, PUBLISH)]

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                if self.refusing:
                    client.close()
                    continue
                with self.lock:
                    self.accepted += 1
                    try:
                        self.connections.add(Connection(self, self.accepted, client))
                    except OSError:
                        client.close()  # the broker is away

    def decide(self, connection, direction, packet):
        """How many bytes of the packet pass. If the connection is due then, it is to be ended."""
        if self.delay:
            time.sleep(self.delay)
        kind = packet[0] >> 4
        with self.lock:
            if kind == CONNECT and direction == OUT:
                connection.note_version(packet)
            if connection.is_due:
                return 0  # the other direction has just been cut
            self.seen.append(Seen(connection.number, direction, kind, packet, connection.version))
            if connection.is_muted:
                return 0
            if not self.moments or not self._is_now(self.moments[0], direction, kind):
                return len(packet)
            moment = self.moments.pop(0)
            self.counts.clear()
            self.fired += 1
            connection.is_due, connection.is_muted = not self.silent, self.silent
            return moment.bytes_of(packet)

    def _is_now(self, moment, direction, kind):
        """Counts the packet, if it is one of those that the moment is about."""
        if moment.direction != direction or moment.kind not in (None, kind):
            return False
        self.counts[moment] += 1
        return self.counts[moment] == moment.nth


# ---- Once ----------------------------------------------------------------------------------------

class Program:
    """A client that is a program of its own. It is given the port as its last argument, and is spoken to in lines:

        call METHOD JSON        result JSON, or: error ERR MESSAGE
        pending                 pending NUMBER: how many calls it still remembers

    At the end of its input it disconnects and exits with 0. `command` may hold {port} instead of a last argument.
    """

    def __init__(self, command, port, **how):
        words = [word.replace("{port}", str(port)) for word in command]
        words += [] if any("{port}" in word for word in command) else [str(port)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                                        **how)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"{self.process.args} ended at {line!r} with {self.process.wait()}"
        word, _, rest = answer.strip().partition(" ")
        return word, rest

    def call(self, method, params):
        word, rest = self.ask(f"call {method} {json.dumps(params)}")
        assert word == "result", f"{method} failed: {word} {rest}"
        return json.loads(rest)

    def pending(self):
        word, rest = self.ask("pending")
        assert word == "pending", (word, rest)
        return int(rest)

    def close(self):
        self.process.stdin.close()
        try:
            code = self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.process.stdout.close()
        assert code == 0, f"it ended with {code}"


def settle(cutter, quiet=0.1):
    """Waits until nothing has passed for a while: what belongs to a call may follow its reply."""
    deadline = time.monotonic() + TIMEOUT
    count, since = len(cutter.seen), time.monotonic()
    while time.monotonic() - since < quiet * SLOW:
        assert time.monotonic() < deadline, "it does not come to rest"
        time.sleep(0.01)
        if len(cutter.seen) != count:
            count, since = len(cutter.seen), time.monotonic()


def moments_of(seen, places=(BEFORE, MIDDLE, AFTER)):
    """All moments at which these packets can be cut."""
    numbers, found = collections.Counter(), []
    for packet in seen:
        if packet.kind in (PINGREQ, PINGRESP):
            continue
        numbers[packet.direction, packet.kind] += 1
        found += [Moment(packet.direction, packet.kind, place, numbers[packet.direction, packet.kind])
                  for place in places]
    return found


class Prover:
    """Lets one client call while its connection is cut, and compares its results with the number of its calls."""

    def __init__(self, cutter, client, method="probe.count"):
        self.cutter, self.client, self.method, self.calls = cutter, client, method, 0

    def call(self, why):
        self.calls += 1
        try:
            result = self.client.call(self.method, {})
        except Exception as error:
            raise AssertionError(f"cut {why}: the call failed: {error}") from error
        assert result == {"runs": self.calls}, f"cut {why}: call {self.calls} got {result}: lost or doubled"

    def record(self):
        """The packets of a call whose connection is not cut."""
        self.cutter.arm()
        self.call("never")
        settle(self.cutter)
        return list(self.cutter.seen)

    def cut(self, *moments):
        """A call with its connection cut at these moments, in turn, and a call after that. Returns what came."""
        why = " and ".join(map(str, moments))
        self.cutter.arm(*moments)
        self.call(why)
        eventually(lambda: self.cutter.fired == len(moments), pause=0.01)
        settle(self.cutter)
        passed = list(self.cutter.seen)
        self.check_copies(passed, why)
        self.call(f"{why}, before this one")
        settle(self.cutter)
        return passed

    def check_copies(self, passed, why):
        """The copies of the call differ in nothing that the plugin compares."""
        copies = {(message.topic, message.payload, tuple(message.properties)) for message in map(message_in, (
            seen for seen in passed if (seen.direction, seen.kind) == (OUT, PUBLISH)))
                  if message.topic.endswith("/call/" + self.method)}
        assert len(copies) == 1, f"cut {why}: it was sent again with other contents: {copies}"


def recovery_in(passed):
    """Of the packets of a call that was cut: those of the connection that came after the first one."""
    first = passed[0].connection
    return [packet for packet in passed if packet.connection > first]


def prove_once(broker, connect, method="probe.count", twice=True, reset=True, stops=False,
               places=(BEFORE, MIDDLE, AFTER)):
    """Cuts the connection of a client at every packet of a call, then at every packet of the recovery from that.

    broker    runs the test plugin; nobody else calls the method there
    connect   makes a client: connect(port). It has call(method, params), which returns the result or raises; close();
              and pending(), how many calls it remembers (a client that can tell)
    twice     whether the connection is cut again while the client recovers
    reset     whether a cut is an error to the client, see Cutter
    stops     whether the client, a Program, stands still meanwhile, see Cutter
    places    where packets are cut
    Returns the moments at which it was cut.
    """
    with Cutter(broker.port, reset) as cutter:
        client = connect(cutter.port)
        cutter.stops = client.process.pid if stops else None
        try:
            prover = Prover(cutter, client, method)
            prover.record()  # its first call may do more
            moments = [(moment,) for moment in moments_of(prover.record(), places)]
            assert moments, "the call did not go through the proxy"
            for moment in moments:
                prover.cut(*moment)
            if twice:
                first = Moment(OUT, PUBLISH, AFTER)
                again = [(first, moment) for moment in moments_of(recovery_in(prover.cut(first)), places)]
                for pair in again:
                    prover.cut(*pair)
                moments += again
            if hasattr(client, "pending"):
                assert client.pending() == 0, f"it remembers {client.pending()} calls that have ended"
        finally:
            client.close()
    return moments
