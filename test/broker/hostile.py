"""A driver that sends a broker hostile messages: the structure is right, or nearly so, and the contents are not.

    python3 hostile.py [COUNT] [SEED]     prints figures; scripts/hostile builds and calls it

Several clients of every MQTT version send calls, batches, JSON-RPC, forged replies and events, hellos, answers and
requests of devices, messages to inboxes and to topics that are none, with wills, takeovers, resets and redeliveries,
and now and then malformed packets, whose connection the broker ends. All is made from the seed.

What must hold: the broker stays, ends the connection of nobody who keeps to MQTT, answers others all the time, and
keeps neither memory nor log lines for what it was sent.
"""
import json
import pathlib
import random
import re
import struct
import sys
import time

from harness import INSTRUMENTED, TEST_PLUGIN, TIMEOUT, Broker, ask, ask_by_id, checks_response_topics, result_of
from mqtt import (CONTENT_TYPE, CORRELATION_DATA, MESSAGE_EXPIRY, PAYLOAD_FORMAT, PUBLISH, PUBREL, RESPONSE_TOPIC,
                  USER_PROPERTY, Client, Closed, packet)

ROUND = 100            # messages that are sent before their answers are read
SECOND_HALVES = 8      # QoS 2 messages of a round, fewer than any broker's receive maximum
ATTACKERS = (3, 4, 4, 5, 5, 5)
CHANGED = 1 / 10       # how often an attacker connects anew before a round
MALFORMED = 1 / 4      # how often another connection sends a malformed packet before a round
QUIET = 2.5            # seconds without messages, before memory is measured: queues and deadlines pass

OPTIONS = ("jsonrpc_methods *", "post_root post", "relay_root relay", "max_payload 16k", "timeout 200ms",
           "timeout_max 1s", "duplicate_entries 2000", "duplicate_bytes 1m", "max_pending 100", "sensor_db :memory:",
           "sensor_max_sensors 100", "device_db :memory:", "device_max 50", "device_commands_max 200", "device_queue 5",
           "device_ttl 5s", "device_grace 500ms", "device_gateways gw", "device_groups all=d1,d2,d3 some=d1",
           "device_managed d1 d2")

# A method and parameters that it takes. Left out are those that sleep or block because they are told to, and
# watch.send,
# which sends anything anywhere.
CALLS = (
    ("ping", {}), ("echo", [1, {"a": None}]), ("getTime", {}), ("rpc.list", {}), ("rpc.describe", {"method": "echo"}),
    ("updateSensor", {"sensor_id": "s1", "value": 21.5, "unit": "C"}), ("getSensor", {"sensor_id": "s1"}),
    ("listSensors", {"limit": 5, "after": "s1"}), ("sensorHistory", {"sensor_id": "s1", "limit": 3}),
    ("forgetSensor", {"sensor_id": "s1"}), ("probe.fields", {"text": "a", "ratio": 0.5, "any": [1]}),
    ("probe.nested", {"inner": {"text": "a"}}), ("probe.value", 7), ("probe.raise", {"code": "x"}),
    ("probe.bytes", "abc"),
    ("probe.count", {}), ("probe.announce", {"text": "a"}), ("setGate", {"gate": "g1", "open": True}),
    ("moveGate", {"gate": "g1", "open": False}), ("removeGate", {"gate": "g1"}), ("slow.wait", {"name": "w"}),
    ("slow.tell", {"name": "w"}), ("slow.sum", "abcdef"), ("relay/b1/open", {"text": "a"}),
    ("firm/b1/open", {"text": "a"}),
    ("relay.end", {"box": "b1"}), ("relay.step", {"box": "b1", "text": "x"}), ("box/b1/shut", {}),
    ("a/box/b1/size", "xyz"),
    ("shapes/null", {"truth": None, "small": 1}), ("device/d1/open", {"a": 1}), ("device/d2/light", {"on": True}),
    ("devices/all/open", {}), ("device.list", {"limit": 2}), ("device.status", {"device": "d1"}),
    ("device.history", {"device": "d1"}), ("device.cancel", {"id": "x", "device": "d1"}),
    ("device.forget", {"device": "d9"}),
    ("device.group.set", {"group": "some", "devices": ["d1", "d2"]}), ("device.group.list", {}), ("device.counts", {}),
    ("device.group.delete", {"group": "gone"}), ("syncFunctionComplexData", {"arg1": {"a": 1}, "arg2": [2]}),
    ("nothing", {}),
)

# Topics that are no calls, with payloads: {id} stands for the id of a command that may exist.
OTHERS = (
    ("cmd/d1/hello", {}), ("cmd/d2/hello", {"kind": "lamp", "once": True, "ttd": 5}),
    ("cmd/d3/hello", {"commands": ["open"]}),
    ("cmd/d1/resp", {"id": "{id}", "result": 1}), ("cmd/d1/resp", {"id": "{id}", "error": {"err": "jam", "msg": "m"}}),
    ("cmd/d1/resp", {"id": "{id}", "progress": 50}), ("cmd/d1/req", {"id": "a1", "cmd": "open", "params": {}}),
    ("cmd/d1/bye", {}), ("dev/cmd/d1/hello", {}), ("post/x/in", {"a": 1}), ("post/a/to/b", "x"),
    ("post/form", {"name": "a"}),
    ("post/closed", {}), ("relay/b1/ask/open/1", {"text": "a"}), ("relay/b1/quiet/open/1", {"text": "a"}),
    ("rpc/event/pong", {}), ("rpc/event/device/state/d1", {}), ("rpc/call/ping/response/x", {"result": 1}),
    ("rpc/jsonrpc/response/x", {}), ("rpc/reply/quiet/x", {}), ("rpc/dead/ping", {}),
    ("$SYS/broker/rpc/rpc/calls", "7"),
    ("rpc", {}), ("rpc/", {}), ("rpc/call", {}), ("rpc//call/ping", {}), ("rpc/call/", {}), ("rpc/call//", {}),
)

LEVELS = ("rpc", "dev", "call", "event", "batch", "jsonrpc", "dead", "work", "done", "response", "request", "reply", "cmd", "req",
          "resp", "hello",
          "error", "", "ü", "a b", "$SYS", "x" * 140, "ping", "device", "d1", "\U0001f600", "%c", "{device}")
SCALARS = (None, True, False, 0, -1, 2**31, -2**31 - 1, 2**63, -2**63 - 1, 0.1, 1e308, -1e-308, "", "a", "ü",
           "\U0001f600",
           "x" * 300, "a/b", "+", "#", "$", "\u0001", "\u007f", "\ufffe", "null", "7", [], {}, [[]], [None] * 50)
NAMES = ("id", "request_id", "jsonrpc", "method", "params", "timeout_ms", "calls", "device", "sensor_id", "text",
         "value", "box",
         "result", "error", "\u0000", "", "a", "x" * 200)
CORRELATIONS = (b"", b"1", b"\x00" * 16, b"sixteen-bytes-id", b"\xff" * 64, b"x" * 3000)
RAW = ("{", "[", '"', "nul", '{"a":1,"a":2}', '{"a":1e999}', '"\\ud800"', "[" * 40, "{}x", "\ufeff{}", "01", " ",
       "\x00",
       "-", '{"a":"\\u0000"}', "9" * 500, "[" * 8000, '"' + "x" * 17000 + '"', b"\xff\xfe", b"\xc0\x80",
       b'{"a":"\xed\xa0\x80"}')
RESPONSE_TOPICS = ("r", "r", "r", "a/b", "$SYS/x", "x" * 257, "x" * 256, "rpc/call/ping/response/x", "rpc/event/pong",
                   "ü")
WILDCARDS = ("", "+", "a/#")
USER_PROPERTIES = ("timeout-ms", "progress", "offline", "ttl-ms", "stale-ms", "status", "traceparent", "note",
                   "x" * 1000)
USER_VALUES = ("1", "0", "-1", "50", "99999999999999999999", "queue", "wait", "fail", "", "ü", "x" * 1000,
               "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


class Maker:
    """Makes messages out of a seed."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.pick = self.dice.choice
        self.response_topics = RESPONSE_TOPICS + (() if checks_response_topics() else WILDCARDS)

    def chance(self, share):
        return self.dice.random() < share

    # -- payloads

    def twist(self, value, depth=0):
        """A value with something in it changed."""
        if depth > 4 or self.chance(0.3):
            return self.pick(SCALARS)
        if isinstance(value, dict):
            changed = dict(value)
            key = self.pick((*changed, *NAMES)) if changed else self.pick(NAMES)
            if key in changed and self.chance(0.3):
                del changed[key]
            else:
                changed[key] = self.twist(changed.get(key), depth + 1)
            return changed
        if isinstance(value, list) and value:
            changed = list(value)
            at = self.dice.randrange(len(changed))
            changed[at] = self.twist(changed[at], depth + 1)
            return changed * self.pick((1, 1, 1, 3, 120))
        return self.pick(SCALARS)

    def wrap(self, method, params):
        """The call as a request_id, a batch of one kind or the other, or JSON-RPC has it; the topic's level goes with
        it."""
        kind = self.dice.randrange(10)
        token = self.pick(("1", "a:1", 7, "sixteen-bytes-id", "+", "", None, "ü", 1.5))
        request = {"jsonrpc": "2.0", "method": self.pick((method, method, "rpc/call/" + method, "other", 7)),
                   "params": params}
        if self.chance(0.8):
            request["id"] = token
        if kind < 4 and isinstance(params, dict):
            return f"call/{method}", {**params, "request_id": token, **({"timeout_ms": 50} if self.chance(0.2) else {})}
        if kind < 6:
            return f"batch/{method}", self.pick(([params] * 3, {"request_id": token, "calls": [params, 1]}, []))
        if kind < 8:
            return self.pick(("jsonrpc", f"call/{method}", f"call/{method}/request")), request
        return self.pick(("jsonrpc", f"call/{method}")), [request, self.twist(request), {**request, "id": 2}]

    def encode(self, value):
        content = bytearray(json.dumps(value, ensure_ascii=self.chance(0.5)).encode("utf-8", "replace"))
        kind = self.dice.randrange(12)
        if kind == 0 and content:
            for _ in range(self.dice.randrange(1, 4)):
                content[self.dice.randrange(len(content))] = self.dice.randrange(256)
        elif kind == 1:
            del content[self.dice.randrange(len(content) + 1):]
        elif kind == 2:
            content += self.pick((b" ", b"\x00", b"{}", b"x"))
        return bytes(content)

    # -- messages

    def message(self):
        """A topic and a payload."""
        kind = self.dice.randrange(20)
        if kind == 0:
            topic = "/".join(self.pick(LEVELS) for _ in range(self.dice.randrange(1, 6)))
            return topic or "/", self.encode(self.pick(SCALARS))  # an empty one is malformed
        if kind < 6:
            topic, value = self.pick(OTHERS)
            return topic, self.encode(value if self.chance(0.5) else self.twist(value))
        method, params = self.pick(CALLS)
        prefix = self.pick(("rpc", "rpc", "rpc", "dev/rpc"))
        if self.chance(0.1):
            raw = self.pick(RAW)
            return f"{prefix}/call/{method}", raw if isinstance(raw, bytes) else raw.encode()
        params = params if self.chance(0.4) else self.twist(params)
        level, value = (f"call/{method}", params) if self.chance(0.6) else self.wrap(method, params)
        return f"{prefix}/{level}", self.encode(value)

    def properties(self):
        entries = []
        if self.chance(0.7):
            entries.append((RESPONSE_TOPIC, self.pick(self.response_topics)))
        if self.chance(0.6):
            entries.append((CORRELATION_DATA, self.pick(CORRELATIONS) if self.chance(0.5) else self.dice.randbytes(16)))
        for _ in range(self.pick((0, 0, 0, 1, 2, 9))):
            entries.append((USER_PROPERTY, (self.pick(USER_PROPERTIES), self.pick(USER_VALUES))))
        if self.chance(0.1):
            entries.append((CONTENT_TYPE, self.pick(("application/json", "", "x" * 500))))
        if self.chance(0.1):
            entries.append((MESSAGE_EXPIRY, self.pick((0, 1, 2**32 - 1))))
        if self.chance(0.1):
            entries.append((PAYLOAD_FORMAT, self.dice.randrange(2)))
        return entries

    def is_retained(self, topic):
        """The broker keeps what the engine leaves alone: only what the engine takes may be retained."""
        return topic.startswith(("rpc/call/", "rpc/batch/", "rpc/event/")) and "//" not in topic and self.chance(0.3)

    def malformed(self):
        """A packet that no broker takes."""
        noise = self.dice.randbytes(self.dice.randrange(1, 40))
        return self.pick((packet(PUBLISH, 6, noise), packet(PUBLISH, 2, b"\x00\x05rpc/" + noise), packet(15, 0, noise),
                          packet(PUBLISH, 0, b"\x00\x0erpc/call/ping/+" + noise), noise,
                          packet(PUBLISH, 0, b"\x00\x03r\xffc{}"), packet(PUBREL, 2, noise)))


class Attacker:
    """A client that is replaced now and then, by itself or by another of its name."""

    def __init__(self, driver, number, version):
        self.driver, self.maker, self.version = driver, driver.maker, version
        self.name = f"d{number}" if number < 3 else f"attacker {number} ü"
        self.client = None
        self.connect()

    def connect(self):
        make = self.maker
        topic, payload = make.message()
        will = (topic, payload, make.dice.randrange(3), make.is_retained(topic), make.properties()[:0])
        # Topics of the broker's own are refused with the connection by some brokers.
        will = will if make.chance(0.5) and topic and not topic.startswith("$") else None
        self.client = Client(self.driver.broker.port, self.version, client_id=self.name, timeout=TIMEOUT, will=will,
                             clean=self.version == 3 or make.chance(0.7), username=make.pick((None, "bob", "gw", "ü")))
        if make.chance(0.3):
            self.client.subscribe("rpc/event/device/#", f"cmd/{self.name}/req", qos=1)

    def change(self):
        """Ends the connection in one of the ways in which connections end."""
        old = self.client
        self.maker.pick((old.disconnect, old.reset, old.close, lambda: None))()  # the last one: a takeover
        self.connect()
        old.close()

    def attack(self, count):
        """Sends so many messages at once and reads what comes back."""
        make, client, out, halves = self.maker, self.client, [], 0
        for _ in range(count):
            topic, payload = make.message()
            payload = payload.replace(b"{id}", self.driver.command_id)
            qos = make.pick((0, 0, 1, 1, 2)) if halves < SECOND_HALVES else make.pick((0, 1))
            mid = client.next_mid() if qos else 0
            out.append(client.publish_packet(topic, payload, qos, make.is_retained(topic),
                                             bool(qos) and make.chance(0.05), mid,
                                             make.properties() if self.version == 5 else ()))
            if qos == 2:
                halves += 1
                if make.chance(0.1):  # sent again before it is released
                    out.append(client.publish_packet(topic, payload, qos, False, True, mid, ()))
                out.append(packet(PUBREL, 2, struct.pack("!H", mid)))
        client.send(b"".join(out))
        client.ping()
        for message in client.inbox:
            found = re.match(rb'\{"id":"([^"]{1,60})"', message.payload) if message.topic.endswith("/req") else None
            self.driver.command_id = found[1] if found else self.driver.command_id
        client.inbox.clear()


class Driver:
    """Attackers, and two clients that only want to call."""

    def __init__(self, broker, seed):
        self.broker, self.maker, self.command_id, self.sent, self.ended = broker, Maker(seed), b"none", 0, 0
        self.quiet = [Client(broker.port, version, client_id=f"quiet{version}", timeout=TIMEOUT) for version in (4, 5)]
        self.attackers = [Attacker(self, number, version) for number, version in enumerate(ATTACKERS)]

    def send_malformed(self):
        client = Client(self.broker.port, self.maker.pick((3, 4, 5)), timeout=TIMEOUT)
        client.send(self.maker.malformed())
        client.reset()
        self.ended += 1

    def check_quiet(self):
        """The others are served."""
        assert "result" in ask_by_id(self.quiet[0], "ping")
        assert result_of(ask(self.quiet[1], "echo", "1")) == 1

    def run(self, count):
        while count > 0:
            attacker = self.maker.pick(self.attackers)
            number = min(count, ROUND)
            try:
                if self.maker.chance(CHANGED):
                    attacker.change()
                attacker.attack(number)
            except (Closed, ConnectionError) as ended:
                raise AssertionError(f"the broker ended the connection of {attacker.name}: {ended}") from ended
            if self.maker.chance(MALFORMED):
                self.send_malformed()
            count -= number
            self.sent += number
            self.check_quiet()

    def memory(self):
        """The broker's resident memory when nothing is pending, in bytes."""
        time.sleep(QUIET)
        self.check_quiet()
        status = pathlib.Path(f"/proc/{self.broker.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s*(\d+)", status)[1]) * 1024

    def own_lines(self):
        """The lines of the log that are not the broker's own."""
        return [line for line in self.broker.log().splitlines() if "rpc" in line]

    def close(self):
        for client in (*self.quiet, *(attacker.client for attacker in self.attackers)):
            client.close()


GROWTH_MAX = 8 << 20  # bytes, from a quarter of the messages on
LINES, LINES_A_SECOND = 400, 40


def make_broker():
    return Broker(OPTIONS, plugin=TEST_PLUGIN, lines=["set_tcp_nodelay true"],
                  log_types=("error", "warning", "notice", "information"))


def drive(broker, count, seed):
    """Sends so many messages to a broker that runs; returns figures."""
    began = time.monotonic()
    driver = Driver(broker, seed)
    try:
        driver.run(count // 4)
        before = driver.memory()
        driver.run(count - count // 4)
        growth = driver.memory() - before
    except AssertionError as error:
        raise AssertionError(f"seed {seed}, after {driver.sent} messages: {error}") from error
    finally:
        driver.close()
    seconds, lines = time.monotonic() - began, driver.own_lines()
    assert INSTRUMENTED or growth <= GROWTH_MAX, f"seed {seed}: the broker has grown from {before} by {growth} bytes"
    allowed = LINES + LINES_A_SECOND * seconds
    assert len(lines) <= allowed, f"seed {seed}: {len(lines)} lines in the log in {seconds:.0f} s: {lines[-5:]}"
    longest = max(map(len, lines), default=0)
    assert longest <= 1000, f"seed {seed}: a line of {longest} characters"
    return {"messages": driver.sent, "malformed packets": driver.ended, "seconds": round(seconds, 1),
            "bytes before": before, "growth": growth, "log lines": len(lines)}


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2**32)
    print(f"{count} messages, seed {seed}", flush=True)
    broker = make_broker()
    try:
        broker.start()
        for name, figure in drive(broker, count, seed).items():
            print(f"    {name}: {figure}")
        broker.stop()
    finally:
        broker.clean_up()


if __name__ == "__main__":
    main()
