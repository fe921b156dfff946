"""A small MQTT client for tests: every byte it sends is under the test's control.

Real client libraries refuse to send what a hostile or broken device sends: a wildcard as Response Topic,
a DUP flag out of order, a property with bad UTF-8. This one encodes what the test gives it, for MQTT 3.1 (3),
3.1.1 (4) and 5, over TCP, a Unix socket or a hand-made WebSocket, and reads packets with a deadline.
"""
import base64
import collections
import os
import socket
import ssl
import struct
import time

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, \
    PINGREQ, PINGRESP, DISCONNECT, AUTH = range(1, 16)

PAYLOAD_FORMAT, MESSAGE_EXPIRY, CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION_DATA = 1, 2, 3, 8, 9
SESSION_EXPIRY, TOPIC_ALIAS_MAXIMUM, TOPIC_ALIAS, USER_PROPERTY, MAXIMUM_PACKET_SIZE = 17, 34, 35, 38, 39

# Seconds. No client of a test is idle for so long; 2.0.15 refuses MQTT 3 clients without a keep alive.
KEEPALIVE = 3600

NOT_AUTHORIZED = 0x87
NO_MATCHING_SUBSCRIBERS = 0x10

PROPERTY_TYPES = {
    1: "byte", 2: "u32", 3: "text", 8: "text", 9: "data", 11: "varint", 17: "u32", 18: "text", 19: "u16",
    21: "text", 22: "data", 23: "byte", 24: "u32", 25: "byte", 26: "text", 28: "text", 31: "text",
    33: "u16", 34: "u16", 35: "u16", 36: "byte", 37: "byte", 38: "pair", 39: "u32", 40: "byte", 41: "byte",
    42: "byte",
}


class Closed(AssertionError):
    """The broker ended the connection; `reason` is that of its DISCONNECT packet, if it sent one."""

    def __init__(self, reason=None):
        super().__init__(f"the broker closed the connection, reason {reason}")
        self.reason = reason


class Silence(AssertionError):
    """Nothing came before the deadline."""


# ---- Codec -------------------------------------------------------------------------------------

def as_bytes(value):
    return value.encode() if isinstance(value, str) else bytes(value)


def varint(number):
    out = bytearray()
    while True:
        number, digit = number >> 7, number & 0x7F
        out.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(out)


def data(value):
    """A length in two bytes, then the value: MQTT's strings and binary data."""
    value = as_bytes(value)
    return struct.pack("!H", len(value)) + value


ENCODERS = {
    "byte": lambda value: struct.pack("!B", value),
    "u16": lambda value: struct.pack("!H", value),
    "u32": lambda value: struct.pack("!I", value),
    "varint": varint,
    "text": data,
    "data": data,
    "pair": lambda value: data(value[0]) + data(value[1]),
}


def properties(entries):
    """Encodes (id, value) pairs; an entry that is bytes goes out as it is; so does all, if all is bytes."""
    if isinstance(entries, bytes):
        return entries
    out = b"".join(entry if isinstance(entry, bytes) else
                   bytes([entry[0]]) + ENCODERS[PROPERTY_TYPES[entry[0]]](entry[1]) for entry in entries)
    return varint(len(out)) + out


def packet(kind, flags, body):
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


class Reader:
    """Takes an encoded packet apart."""

    def __init__(self, body):
        self.body, self.at = body, 0

    def take(self, count):
        assert self.at + count <= len(self.body), f"the packet ends too early: {self.body!r}"
        self.at += count
        return self.body[self.at - count:self.at]

    def rest(self):
        return self.take(len(self.body) - self.at)

    def more(self):
        return self.at < len(self.body)

    def byte(self):
        return self.take(1)[0]

    def u16(self):
        return struct.unpack("!H", self.take(2))[0]

    def u32(self):
        return struct.unpack("!I", self.take(4))[0]

    def varint(self):
        number, shift = 0, 0
        while True:
            digit = self.byte()
            number |= (digit & 0x7F) << shift
            shift += 7
            if not digit & 0x80:
                return number

    def data(self):
        return self.take(self.u16())

    def text(self):
        return self.data().decode()

    def pair(self):
        return self.text(), self.text()

    def properties(self):
        inner = Reader(self.take(self.varint()))
        found = []
        while inner.more():
            identifier = inner.byte()
            found.append((identifier, getattr(inner, PROPERTY_TYPES[identifier])()))
        return found


Packet = collections.namedtuple("Packet", "kind flags body")
Message = collections.namedtuple("Message", "topic payload qos retain dup mid properties")
Ack = collections.namedtuple("Ack", "kind mid reason properties")


def property_of(message, identifier, default=None):
    return next((value for key, value in message.properties if key == identifier), default)


def user_property_of(message, name, default=None):
    return next((value for key, (label, value) in
                 ((key, value) for key, value in message.properties if key == USER_PROPERTY)
                 if label == name), default)


def decode_publish(received, version):
    reader = Reader(received.body)
    topic = reader.text()
    qos = received.flags >> 1 & 3
    mid = reader.u16() if qos else 0
    found = reader.properties() if version == 5 else []
    return Message(topic, reader.rest(), qos, bool(received.flags & 1), bool(received.flags & 8), mid, found)


def decode_ack(received):
    """PUBACK, PUBREC, PUBREL, PUBCOMP: in MQTT 5 the reason and the properties may be left out."""
    reader = Reader(received.body)
    mid = reader.u16()
    reason = reader.byte() if reader.more() else 0
    return Ack(received.kind, mid, reason, reader.properties() if reader.more() else [])


# ---- Streams -----------------------------------------------------------------------------------

class SocketStream:
    """The bytes of a TCP or Unix connection."""

    def __init__(self, sock):
        self.sock = sock

    def send(self, content, timeout):
        self.sock.settimeout(timeout)
        self.sock.sendall(content)

    def receive(self, timeout):
        """Some bytes; b"" when the other side has closed. Raises socket.timeout."""
        self.sock.settimeout(max(timeout, 0.001))
        try:
            return self.sock.recv(65536)
        except ConnectionError:
            return b""

    def close(self):
        self.sock.close()


class WebSocketStream(SocketStream):
    """The same bytes inside binary WebSocket frames (RFC 6455), masked as a client must."""

    def __init__(self, sock, timeout, path="/mqtt", host="127.0.0.1"):
        super().__init__(sock)
        self.raw = b""
        self._upgrade(path, host, timeout)

    def _upgrade(self, path, host, timeout):
        key = base64.b64encode(os.urandom(16)).decode()
        super().send((f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
                      "Sec-WebSocket-Protocol: mqtt\r\n\r\n").encode(), timeout)
        while b"\r\n\r\n" not in self.raw:
            self._more(timeout)
        head, self.raw = self.raw.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 101"), head

    def _more(self, timeout):
        content = super().receive(timeout)
        if not content:
            raise Closed()
        self.raw += content

    def send(self, content, timeout, opcode=2):
        size = len(content)
        head = bytes([0x80 | opcode])
        if size < 126:
            head += bytes([0x80 | size])
        elif size < 65536:
            head += struct.pack("!BH", 0x80 | 126, size)
        else:
            head += struct.pack("!BQ", 0x80 | 127, size)
        mask = os.urandom(4)
        pad = (mask * (size // 4 + 1))[:size]
        masked = int.from_bytes(content, "big") ^ int.from_bytes(pad, "big")
        super().send(head + mask + masked.to_bytes(size, "big"), timeout)

    def receive(self, timeout):
        deadline = time.monotonic() + timeout
        while True:
            frame = self._frame()
            if frame is None:
                try:
                    self._more(deadline - time.monotonic())
                except Closed:
                    return b""
                continue
            opcode, content = frame
            if opcode == 8:
                return b""
            if opcode == 9:
                self.send(content, timeout, opcode=10)
            elif opcode in (0, 2) and content:
                return content

    def _frame(self):
        """Takes one whole frame out of what was read; None if it is not complete yet."""
        if len(self.raw) < 2:
            return None
        opcode, size, at = self.raw[0] & 0x0F, self.raw[1] & 0x7F, 2
        extra = {126: 2, 127: 8}.get(size, 0)
        if len(self.raw) < at + extra:
            return None
        if extra:
            size, at = int.from_bytes(self.raw[at:at + extra], "big"), at + extra
        if len(self.raw) < at + size:
            return None
        content, self.raw = self.raw[at:at + size], self.raw[at + size:]
        return opcode, content


# ---- Client ------------------------------------------------------------------------------------

class Client:
    """One connection. Messages that arrive while it waits for something else are kept for receive()."""

    def __init__(self, address, version=4, client_id=None, clean=True, username=None, password=None,
                 keepalive=KEEPALIVE, properties=(), websocket=False, tls=False, timeout=10, auto_ack=True, check=True,
                 connect=True, will=None):
        """address: a port of 127.0.0.1, or the path of a Unix socket. websocket: True, or the path of its address. tls: the
        broker's certificate is not checked. check: a refusal raises. will: topic, payload, QoS, whether it is retained, and
        properties."""
        self.will = will
        self.version, self.timeout, self.auto_ack = version, timeout, auto_ack
        self.client_id = f"c{os.urandom(6).hex()}" if client_id is None else client_id
        self.buffer, self.inbox, self.aliases, self.last_mid = b"", collections.deque(), {}, 0
        self.disconnect_reason = None
        self.stream = self._open(address, websocket, tls)
        if connect:
            self.connect(clean, username, password, keepalive, properties, check)

    def connect(self, clean=True, username=None, password=None, keepalive=KEEPALIVE, properties=(), check=True):
        """The MQTT part of connecting, for those who made the object with connect=False."""
        self.send(self._connect_packet(clean, username, password, keepalive, properties))
        self._read_connack(check)

    def _open(self, address, websocket, tls):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(self.timeout)
        sock.connect(address if isinstance(address, str) else ("127.0.0.1", address))
        if family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            sock = context.wrap_socket(sock)
        if websocket:
            return WebSocketStream(sock, self.timeout, *([] if websocket is True else [websocket]))
        return SocketStream(sock)

    def _connect_packet(self, clean, username, password, keepalive, entries):
        flags = (2 if clean else 0) | (0x80 if username is not None else 0) | (
            0x40 if password is not None else 0)
        name = "MQIsdp" if self.version == 3 else "MQTT"
        if self.version == 5 and not clean and not any(entry[0] == SESSION_EXPIRY for entry in entries):
            entries = [*entries, (SESSION_EXPIRY, 3600)]
        if self.will:
            topic, payload, qos, retain, will_entries = self.will
            flags |= 4 | qos << 3 | int(retain) << 5
        body = data(name) + struct.pack("!BBH", self.version, flags, keepalive)
        body += properties(entries) if self.version == 5 else b""
        body += data(self.client_id)
        if self.will:
            body += (properties(will_entries) if self.version == 5 else b"") + data(topic) + data(payload)
        body += b"".join(data(field) for field in (username, password) if field is not None)
        return packet(CONNECT, 0, body)

    def _read_connack(self, check):
        reader = Reader(self.wait_for(CONNACK).body)
        self.session_present = bool(reader.byte() & 1)
        self.connack = reader.byte()
        self.connack_properties = reader.properties() if self.version == 5 and reader.more() else []
        if check and self.connack:
            raise AssertionError(f"connection refused with reason {self.connack:#x}")

    # -- sending

    def send(self, content):
        self.stream.send(content, self.timeout)

    def next_mid(self):
        self.last_mid = self.last_mid % 65535 + 1
        return self.last_mid

    def publish(self, topic, payload=b"", qos=0, retain=False, dup=False, mid=None, properties=(), wait=True):
        """Publishes; with wait, finishes the handshake too. Returns the broker's reason code."""
        mid = (self.next_mid() if mid is None else mid) if qos else 0
        self.send(self.publish_packet(topic, payload, qos, retain, dup, mid, properties))
        if not qos or not wait:
            return 0
        if qos == 1:
            return self.wait_ack(PUBACK, mid).reason
        reason = self.wait_ack(PUBREC, mid).reason
        return reason if reason >= 0x80 else self.release(mid) or reason

    def publish_packet(self, topic, payload=b"", qos=0, retain=False, dup=False, mid=0, entries=()):
        body = data(topic) + (struct.pack("!H", mid) if qos else b"")
        body += properties(entries) if self.version == 5 else b""
        return packet(PUBLISH, int(dup) << 3 | qos << 1 | int(retain), body + as_bytes(payload))

    def release(self, mid):
        """The second half of QoS 2. Returns PUBCOMP's reason code."""
        self.send(packet(PUBREL, 2, struct.pack("!H", mid)))
        return self.wait_ack(PUBCOMP, mid).reason

    def acknowledge(self, kind, mid):
        self.send(packet(kind, 2 if kind == PUBREL else 0, struct.pack("!H", mid)))

    def subscribe(self, *filters, qos=2, check=True):
        """Subscribes; returns the reason code of each filter."""
        mid = self.next_mid()
        body = struct.pack("!H", mid) + (properties(()) if self.version == 5 else b"")
        body += b"".join(data(entry) + bytes([qos]) for entry in filters)
        self.send(packet(SUBSCRIBE, 2, body))
        reader = Reader(self.wait_for(SUBACK).body)
        reader.u16()
        if self.version == 5:
            reader.properties()
        codes = list(reader.rest())
        if check and any(code >= 0x80 for code in codes):
            raise AssertionError(f"subscription refused: {dict(zip(filters, codes))}")
        return codes

    def ping(self):
        """A round trip: all earlier messages for this client have arrived after it."""
        self.send(packet(PINGREQ, 0, b""))
        self.wait_for(PINGRESP)

    def disconnect(self):
        self.send(packet(DISCONNECT, 0, b""))
        self.close()

    def reset(self):
        """Drops the connection so that the other side sees an error, and no end of the stream."""
        self.stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        """Closes the connection without DISCONNECT."""
        self.stream.close()

    # -- receiving

    def read(self, timeout=None):
        """The next packet of any kind. Raises Silence at the deadline, Closed at the end."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            found = self._complete_packet()
            if found:
                return found
            try:
                content = self.stream.receive(deadline - time.monotonic())
            except (socket.timeout, BlockingIOError):
                raise Silence("nothing came in time") from None
            if not content:
                raise Closed(self.disconnect_reason)
            self.buffer += content

    def _complete_packet(self):
        size, shift = 0, 0
        for index, digit in enumerate(self.buffer[1:5], start=2):
            size |= (digit & 0x7F) << shift
            shift += 7
            if not digit & 0x80:
                break
        else:
            return None
        if len(self.buffer) < index + size:
            return None
        first, body = self.buffer[0], self.buffer[index:index + size]
        self.buffer = self.buffer[index + size:]
        return Packet(first >> 4, first & 15, body)

    def wait_for(self, kind, matches=lambda found: True, timeout=None):
        """The next packet of this kind for which matches() holds; everything else is handled as usual."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            found = self.read(deadline - time.monotonic())
            if found.kind == kind and matches(found):
                return found
            self.handle(found)

    def wait_ack(self, kind, mid):
        return decode_ack(self.wait_for(kind, lambda found: found.body[:2] == struct.pack("!H", mid)))

    def handle(self, found):
        """What a client does on its own: keep messages, acknowledge them, note the reason of an end."""
        if found.kind == PUBLISH:
            message = self._resolve_alias(decode_publish(found, self.version))
            self.inbox.append(message)
            if self.auto_ack and message.qos:
                self.acknowledge(PUBACK if message.qos == 1 else PUBREC, message.mid)
        elif found.kind == PUBREL and self.auto_ack:
            self.acknowledge(PUBCOMP, decode_ack(found).mid)
        elif found.kind == DISCONNECT:
            self.disconnect_reason = found.body[0] if found.body else 0

    def _resolve_alias(self, message):
        alias = property_of(message, TOPIC_ALIAS)
        if alias is None:
            return message
        if message.topic:
            self.aliases[alias] = message.topic
        assert alias in self.aliases, f"topic alias {alias} was never introduced"
        return message._replace(topic=self.aliases[alias])

    def receive(self, timeout=None):
        """The next message."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while not self.inbox:
            self.handle(self.read(deadline - time.monotonic()))
        return self.inbox.popleft()

    def expect_nothing(self, seconds=0.2):
        """Asserts that no message is here, none was under way, and none comes for some time."""
        self.ping()
        deadline = time.monotonic() + seconds
        try:
            while not self.inbox:
                self.handle(self.read(deadline - time.monotonic()))
        except Silence:
            return
        raise AssertionError(f"unexpected message: {self.inbox[0]}")

    def expect_end(self, timeout=None):
        """Asserts that the broker ends this connection; returns the reason it gave."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        try:
            while True:
                self.handle(self.read(deadline - time.monotonic()))
        except Closed:
            return self.disconnect_reason
