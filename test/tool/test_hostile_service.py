# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""mosquitto_rpc and a service that is not the plugin: whatever it describes, the tool ends by itself, and nothing of it
reaches a terminal that commands it."""
import contextlib
import copy
import itertools
import json
import threading

from harness import BrokerTest, ask, main, result_of
from mqtt import CORRELATION_DATA, RESPONSE_TOPIC, CONTENT_TYPE, USER_PROPERTY, property_of
from tool import on_terminal

EVIL = "\x1b]0;x\x07\x1b[2J\x9b1m\u202eabc\u2066\r\n\x00\x7f"
NESTED = {"type": "object"}
for depth in range(200):
    NESTED = {"type": "object", "properties": {"a": NESTED}, "required": ["a"], "items": NESTED if depth < 3 else {}}
VALUES = (None, True, -1, 1e308, "", EVIL, "x" * 5000, [], {}, [[]], [None, EVIL, 5], {EVIL: EVIL}, NESTED)


def places(document, path=()):
    """The paths of all nodes of a document."""
    yield path
    items = document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    for key, value in items:
        yield from places(value, (*path, key))


def replaced(document, path, value):
    if not path:
        return value
    document = copy.deepcopy(document)
    node = document
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return document


class Service:
    """Answers each call with the next of its documents; rpc.list, rpc.describe or a method's own, by the topic."""

    def __init__(self, client):
        self.client, self.answers = client, {}
        client.subscribe("rpc/call/#")
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                call = self.client.receive()
            except (AssertionError, OSError):
                return
            answer = self.answers.get(call.topic.partition("/call/")[2], 5)
            status = answer["err"] if isinstance(answer, dict) and isinstance(answer.get("err"), str) else "ok"
            properties = [(CORRELATION_DATA, property_of(call, CORRELATION_DATA)), (CONTENT_TYPE, "application/json"),
                          (USER_PROPERTY, ("status", status if status.isprintable() else "e"))]
            self.client.publish(property_of(call, RESPONSE_TOPIC), json.dumps(answer), properties=properties, qos=0)


class Hostile(BrokerTest):

    def setUp(self):
        super().setUp()
        with_plugin = self.client(self.start(), 5)
        self.real = {"updateSensor": result_of(ask(with_plugin, "rpc.describe", {"method": "updateSensor"})),
                     "device/x/light": result_of(ask(with_plugin, "rpc.describe", {"method": "device/x/light"})),
                     "list": result_of(ask(with_plugin, "rpc.list")),
                     "stats": result_of(ask(with_plugin, "rpc.stats"))}
        self.broker = self.start(plugins=[])
        self.service = Service(self.client(self.broker, 5))

    def run_tool(self, *words):
        code, shown = on_terminal(self.broker, *words, columns=80, env={"NO_COLOR": "1"})
        self.assertIn(code, range(7), (words, shown))
        text = shown.decode()
        bad = [ch for ch in text if (ord(ch) < 32 and ch != "\n") or 127 <= ord(ch) < 160 or ch in "\u202e\u2066"]
        self.assertEqual(bad, [], (words, self.service.answers))

    def mutate(self, method, document, limit, *words):
        values = itertools.cycle(VALUES)
        paths = list(places(document))
        for path in paths[::max(1, len(paths) // limit)]:
            self.service.answers[method] = replaced(document, path, next(values))
            self.run_tool(*words)
        for value in VALUES:
            self.service.answers[method] = value
            self.run_tool(*words)

    def test_list(self):
        self.mutate("rpc.list", self.real["list"], 30, "list")

    def test_describe(self):
        self.mutate("rpc.describe", self.real["updateSensor"], 120, "describe", "updateSensor")
        self.mutate("rpc.describe", self.real["device/x/light"], 40, "describe", "device/x/light")

    def test_call(self):
        self.service.answers["updateSensor"] = {"err": EVIL, "msg": EVIL, EVIL: [EVIL]}
        self.mutate("rpc.describe", self.real["updateSensor"], 40, "call", "updateSensor", "sensor_id=a", "value=1",
                    "unit=C")

    def test_tables(self):
        device = {"device": "a", "state": "ready", "kind": "lamp", "since": 1, "seen": 1, "waiting": 0, "flying": 0, "managed": True}
        worker = {"id": "w", "state": "here", "since": 1, "leaving": False, "outstanding": 0, "window": 8, "calls": 1, "errors": 0, "refused": 0,
                  "lost": 0, "version": "1", "address": "127.0.0.1"}
        for method, document, command in (("rpc.stats", self.real["stats"], "stats"),
                                          ("device.list", {"total": 1, "devices": [device], "next": None}, "devices"),
                                          ("rpc.workers", {"workers": [worker]}, "workers")):
            self.mutate(method, document, 40, command)

    def test_events(self):
        self.service.answers["rpc.list"] = self.real["list"]
        for topic, payload in ((EVIL.replace("\x00", "").replace("\r\n", ""), json.dumps(EVIL)), ("x", EVIL), ("y", b"\xff\x9b\x1b")):
            publisher = self.client(self.broker, 5)
            with contextlib.suppress(AssertionError, OSError):  # the broker takes no such topic
                publisher.publish(f"rpc/event/{topic}", payload, qos=1, retain=True)
        self.run_tool("events", "#", "-C", "2", "-W", "5")

    def test_results(self):
        self.service.answers["rpc.describe"] = {"err": "unknown_method"}
        for value in VALUES:
            self.service.answers["m"] = value
            self.run_tool("call", "m")
            self.service.answers["m"] = {"err": "e", "msg": value, "more": value}
            self.run_tool("call", "m")
            self.service.answers["m"] = {"err": value}
            self.run_tool("call", "m")


if __name__ == "__main__":
    main()
