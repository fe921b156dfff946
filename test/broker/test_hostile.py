"""Messages of broken or hostile clients, none of which may end a connection or the broker.

Payloads, properties, topics and ids are made from a fixed seed, so that a failure can be repeated.
"""
import json
import random
import re
import time

from harness import (INSTRUMENTED, BrokerTest, Closed, ask, ask_by_id, checks_response_topics, error_of, main,
                     payload_of, result_of)
from mqtt import (CONTENT_TYPE, CORRELATION_DATA, NOT_AUTHORIZED, PAYLOAD_FORMAT, RESPONSE_TOPIC, USER_PROPERTY)

ROUNDS = 300 if INSTRUMENTED else 1500

METHODS = ("echo", "ping", "getTime", "updateSensor", "getSensor", "listSensors", "forgetSensor", "probe.fields", "probe.nested",
           "probe.bytes", "probe.value", "probe.raise", "probe/deep/name", "probe.announce", "nothing", "", "/", "//",
           "echo/", "response/x", "echo/request", "x" * 200)

PARSE_ERRORS = (
    "{", "[", '"', "nul", "{}x", "{}{}", "{} ,", '{"a":1,}', "[1,]", "{'a':1}", '{"a" 1}', "01", "-", "+1", "1.", ".5",
    "1e", "0x10", "NaN", "Infinity", "tru", "True", "[1 2]", '"\\x"', '"\\u12"', '"a\nb"', "\ufeff{}", "{}\x00",
    "\x00", " ", "//c\n{}", "[" * 33 + "]" * 33, '{"a":' * 33 + "1" + "}" * 33, "[" * 60000, '{"a":' * 10000,
    b"\xff", b'"\xff"', b'"\xc0\x80"', b'"\xed\xa0\x80"', b'"\xf5\x80\x80\x80"', b'{"\xe2\x82":1}', '"\\ud800"',
    '"\\udc00\\ud800"',
)
DEEP_ENOUGH = ("[" * 32 + "]" * 32, '{"a":' * 32 + "1" + "}" * 32)


WILDCARDS = () if checks_response_topics() else ("", "+", "a/#")
RESPONSE_TOPICS = ("r", "$SYS/x", "x" * 300, *WILDCARDS)


def random_text(dice, size):
    """Never empty and without wildcards: some brokers end a connection that has such a Response Topic."""
    letters = (chr(dice.choice((dice.randrange(32, 127), dice.randrange(0xA0, 0xD7FF))))
               for _ in range(dice.randrange(1, size)))
    return "".join("-" if letter in "+#" else letter for letter in letters)


def random_value(dice, depth=0):
    kind = dice.randrange(9 if depth < 6 else 6)
    return (None, True, dice.randrange(-2**70, 2**70), dice.uniform(-1e300, 1e300), random_text(dice, 40), "",
            [random_value(dice, depth + 1) for _ in range(dice.randrange(4))] if kind == 6 else None,
            {dice.choice(("request_id", "text", "code", "a", "sensor_id", "value")): random_value(dice, depth + 1)
             for _ in range(dice.randrange(4))} if kind >= 7 else None)[min(kind, 7)]


def random_payload(dice):
    """JSON, JSON with a few bytes changed, or noise."""
    kind = dice.randrange(4)
    if kind == 0:
        return dice.randbytes(dice.randrange(200))
    content = bytearray(json.dumps(random_value(dice), ensure_ascii=dice.random() < 0.5).encode())
    for _ in range(dice.randrange(4) if kind == 1 else 0):
        if content:
            content[dice.randrange(len(content))] = dice.randrange(256)
    return bytes(content[:dice.randrange(len(content) + 1)] if kind == 2 else content)


def random_properties(dice):
    """Properties that the broker itself lets pass, of every kind that reaches a plugin."""
    choices = (
        lambda: (RESPONSE_TOPIC, dice.choice(RESPONSE_TOPICS + (random_text(dice, 30),))),
        lambda: (CORRELATION_DATA, dice.randbytes(dice.randrange(64))),
        lambda: (CONTENT_TYPE, random_text(dice, 20)),
        lambda: (USER_PROPERTY, (random_text(dice, 10), random_text(dice, 10))),
        lambda: (USER_PROPERTY, ("timeout-ms", random_text(dice, 6))),
        lambda: (PAYLOAD_FORMAT, dice.randrange(2)),
    )
    entries = [dice.choice(choices)() for _ in range(dice.randrange(5))]
    seen = set()
    return [entry for entry in entries if entry[0] == USER_PROPERTY or not (entry[0] in seen or seen.add(entry[0]))]


class Fuzz(BrokerTest):
    """Random calls. None of them may end a connection."""

    def batter(self, broker, seed, methods=METHODS):
        dice = random.Random(seed)
        for version in (4, 5):
            client = self.client(broker, version)
            for number in range(ROUNDS):
                topic = "rpc/call/" + dice.choice(methods)
                payload, qos = random_payload(dice), dice.randrange(3)
                entries = random_properties(dice) if version == 5 else ()
                try:
                    client.publish(topic, payload, qos=qos, retain=dice.random() < 0.3, properties=entries)
                    client.inbox.clear()
                except Closed as closed:
                    self.fail(f"v{version} #{number} {topic} qos {qos} {payload!r} {entries}: {closed}")
            client.ping()
        self.assertIn("result", ask_by_id(self.client(broker), "ping"))

    def test_random_calls(self):
        self.batter(self.start(), seed=20260101)

    def test_random_calls_with_two_prefixes(self):
        self.batter(self.start(["prefix other rpc"]), seed=3)

    def test_random_calls_without_a_queue(self):
        """With max_queued_messages 0 some brokers close a connection whose message a plugin refuses."""
        methods = [name for name in METHODS if "response" not in name]
        self.batter(self.start(lines=["max_queued_messages 0"]), seed=7, methods=methods)

    def test_random_calls_that_are_forwarded(self):
        broker = self.start(["forward_calls true", "unknown_methods forward"])
        self.client(broker, 5).subscribe("nowhere")
        self.batter(broker, seed=11, methods=[name for name in METHODS if name])

    def test_random_topics(self):
        """Topics of all kinds below the prefix, guarded or not."""
        broker = self.start()
        dice = random.Random(13)
        levels = ("rpc", "call", "event", "batch", "jsonrpc", "dead", "work", "done", "response", "request", "echo", "error", "", "ü",
                  "a b", "$SYS", "x" * 140)
        client = self.client(broker, 5)
        for _ in range(ROUNDS):
            topic = "rpc/" + "/".join(dice.choice(levels) for _ in range(dice.randrange(1, 6)))
            reason = client.publish(topic, random_payload(dice), qos=dice.randrange(3), retain=dice.random() < 0.5)
            self.assertIn(reason, (0, 0x10, NOT_AUTHORIZED))
            client.inbox.clear()
        self.assertEqual(result_of(ask(self.client(broker, 5), "echo", "1")), 1)

    def test_malformed_properties(self):
        """The broker ends these connections; the plugin must not fail on what it gets of them."""
        broker = self.start()
        dice = random.Random(17)
        for _ in range(60):
            client = self.client(broker, 5)
            noise = dice.randbytes(dice.randrange(1, 30))
            try:
                client.publish("rpc/call/echo", b"1", qos=1, properties=[(RESPONSE_TOPIC, "r"), noise])
            except AssertionError:
                client.close()
        self.assertEqual(result_of(ask(self.client(broker, 5), "echo", "1")), 1)


class Json(BrokerTest):
    """The strict parser, over the wire."""

    def setUp(self):
        self.running = self.start()
        self.connection = self.client(self.running, 5)

    def test_parse_errors(self):
        for payload in PARSE_ERRORS:
            with self.subTest(payload=payload[:40]):
                self.assert_error(error_of(ask(self.connection, "echo", payload)), "parse_error", method="echo")

    def test_parse_errors_are_announced_as_errors(self):
        watcher = self.client(self.running)
        watcher.subscribe("rpc/#")
        for payload in PARSE_ERRORS[:15]:
            self.connection.publish("rpc/call/echo", payload, qos=1)
            self.assert_error(watcher.receive(), "parse_error", method="echo")

    def test_the_deepest_allowed(self):
        for payload in DEEP_ENOUGH:
            self.assertEqual(result_of(ask(self.connection, "echo", payload)), json.loads(payload))

    def test_white_space_around(self):
        self.assertEqual(result_of(ask(self.connection, "echo", " \t\r\n{ \"a\" : [ 1 , 2 ] } \n\n")), {"a": [1, 2]})

    def test_values_of_every_kind(self):
        for payload in ("null", "true", "0", "-0", "1e3", "-1.5e-10", '""', '"\\u00fc\\ud83d\\ude00"', "[]", "{}",
                        '"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\u2028\U0001f600"', "[[],{},[{}]]", "9223372036854775807"):
            with self.subTest(payload=payload):
                self.assertEqual(result_of(ask(self.connection, "echo", payload)), json.loads(payload))

    def test_members_given_twice(self):
        for payload in ('{"text":"a","text":"b"}', '{"text":"a","any":{"x":1,"x":2}}', '{"x":1,"x":2,"text":"a"}',
                        '{"text":"a","\\u0074ext":"b"}'):
            with self.subTest(payload=payload):
                self.assert_error(error_of(ask(self.connection, "probe.fields", payload)), "invalid_params")

    def test_numbers_that_are_not_finite(self):
        for payload in ('{"text":"a","ratio":1e999}', '{"text":"a","ratio":-1e999}', '{"text":"a","any":[1e400]}'):
            with self.subTest(payload=payload):
                self.assert_error(error_of(ask(self.connection, "probe.fields", payload)), "invalid_params")

    def test_nul_in_a_string(self):
        for payload in ('{"text":"a\\u0000"}', '{"text":"a","any":"\\u0000"}', '{"text":"a","\\u0000":1}'):
            with self.subTest(payload=payload):
                self.assert_error(error_of(ask(self.connection, "probe.fields", payload)), "invalid_params")

    def test_long_numbers(self):
        for payload in ("9" * 5000, "0." + "1" * 5000, "-" + "1" * 300):
            with self.subTest(size=len(payload)):
                reply = ask(self.connection, "echo", payload)
                self.assertTrue(payload_of(reply) is not None)

    def test_not_an_object(self):
        for payload in ("1", "null", '"text"', "[]", "[1]", "true"):
            with self.subTest(payload=payload):
                self.assert_error(error_of(ask(self.connection, "probe.fields", payload)), "invalid_params")


class Log(BrokerTest):
    """The log may have data of clients, which can neither forge a line nor fill the disk."""

    def test_lines_are_printable(self):
        broker = self.start()
        client = self.client(broker, 5, client_id='evil\u2028" \\ name')
        for method in ("no\u202eway", "x" * 60000, "ü" * 100):
            client.publish(f"rpc/call/{method}", "{", qos=1)
        client.publish("rpc/call/echo", '{"request_id":"\\n0: forged line"}', qos=1)
        client.publish("rpc/call/echo", b"\x1b[31m\xff\n1: forged too", qos=1)
        ask(client, "probe.log", {"text": "one\ntwo\u001b[0m \u00fc"})
        broker.wait_log("probe says")
        self.assertIsNone(re.search(r"(?m)^(?:\d+: )?(?:0: forged|1: forged|two)", broker.log()))
        own = [line for line in broker.log_path.read_bytes().split(b"\n") if b"rpc" in line.lower() and
               not re.search(rb"(Received|Sending|No will|New client|Client) ", line)]
        for line in own:
            self.assertIsNone(re.search(rb"[^\x20-\x7e\t]", line), line)
            self.assertLessEqual(len(line), 1000)

    def test_lines_are_limited(self):
        broker = self.start(lines=[])
        client = self.client(broker, 5)
        count, began = 5000, time.monotonic()
        for number in range(count):
            client.publish("rpc/call/nothing" if number % 2 else "rpc/call/echo", "{",
                           properties=[(RESPONSE_TOPIC, "$a")] if number % 4 == 0 else ())
        client.ping()
        ask(client, "ping")
        own = [line for line in broker.log().splitlines()
               if not re.search(r"(Received|Sending|No will|New client|New connection|Client) ", line)]
        self.assertLess(len(own), count / 20 + 5 * (time.monotonic() - began), own[:20])

    def test_announced_errors_leave_room_for_others(self):
        """A flood of bad calls must not stop good ones."""
        broker = self.start()
        noisy, quiet = self.client(broker), self.client(broker, 5)
        for _ in range(2000):
            noisy.publish("rpc/call/echo", "{")
        self.assertEqual(result_of(ask(quiet, "echo", "1")), 1)


if __name__ == "__main__":
    main()
