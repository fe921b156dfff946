"""JSON-RPC 2.0 over the wire: the topics, where replies go, ids, batches, the endpoint, and other programs.

The vectors follow the examples of the specification, with the methods that the plugin has.
"""
import json
import shutil
import subprocess

from harness import INSTRUMENTED, TIMEOUT, BrokerTest, ask, encode, main, payload_of, result_of
from mqtt import CONTENT_TYPE, CORRELATION_DATA, NO_MATCHING_SUBSCRIBERS, RESPONSE_TOPIC, property_of, \
    user_property_of


def request(method, params=None, **members):
    """A request; without id= it is a notification."""
    return {"jsonrpc": "2.0", "method": method, **({} if params is None else {"params": params}), **members}


def response(identity, result):
    return {"jsonrpc": "2.0", "id": identity, "result": result}


class JsonRpcTest(BrokerTest):

    def send(self, client, payload, topic, qos=1, reply_to=None):
        properties = [(RESPONSE_TOPIC, reply_to), (CORRELATION_DATA, "c")] if reply_to else []
        return client.publish(topic, encode(payload), qos=qos, properties=properties)

    def exchange(self, client, payload, topic, qos=1, reply_to=None):
        self.send(client, payload, topic, qos, reply_to)
        return client.receive()

    def assert_failed(self, content, identity, code, err):
        """A response that is an error."""
        self.assertEqual(set(content), {"jsonrpc", "id", "error"}, content)
        found = (content["jsonrpc"], content["id"], content["error"]["code"])
        self.assertEqual(found, ("2.0", identity, code), content)
        self.assertEqual(set(content["error"]), {"code", "message", "data"}, content)
        self.assert_error(content["error"]["data"], err, msg=content["error"]["message"])


class Vectors(JsonRpcTest):
    """Requests and their responses at the endpoint, where a payload may call any open method."""

    # A tuple stands for a response that is an error: its id, the code, the name.
    PAIRS = (
        # positional and named parameters
        (request("probe.value", [41], id=1), response(1, 42)),
        (request("probe.fields", ["eight"], id=2), None),
        (request("echo", [[1, 2]], id=3), response(3, [1, 2])),
        (request("echo", {"a": 1}, id=4), response(4, {"a": 1})),
        (request("probe.raise", {"text": "named", "code": "probe_plain"}, id=5), (5, -32010, "probe_plain")),
        (request("probe.raise", ["probe_plain", "positional"], id=6), (6, -32010, "probe_plain")),
        # ids of every kind are echoed
        (request("echo", [0], id="text"), response("text", 0)),
        (request("echo", [0], id=""), response("", 0)),
        (request("echo", [0], id=None), response(None, 0)),
        (request("echo", [0], id=-7), response(-7, 0)),
        (request("echo", [0], id=1.5), response(1.5, 0)),
        (request("echo", [0], id=9007199254740993), response(9007199254740993, 0)),
        (request("echo", [0], id="ü/+#\"\\"), response("ü/+#\"\\", 0)),
        # no such method
        (request("foobar", id="1"), ("1", -32601, "method_not_found")),
        (request("rpc/call/echo", [0], id=1), (1, -32601, "method_not_found")),
        (request("", id=1), (1, -32601, "method_not_found")),
        # invalid JSON
        ('{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', (None, -32700, "parse_error")),
        ("", (None, -32700, "parse_error")),
        ("[1", (None, -32700, "parse_error")),
        ('{"jsonrpc":"2.0","method":"echo","id":1} x', (None, -32700, "parse_error")),
        # no request
        ({"jsonrpc": "2.0", "method": 1, "params": "bar"}, (None, -32600, "invalid_request")),
        ({"jsonrpc": "2.0", "method": 1, "id": 8}, (8, -32600, "invalid_request")),
        ({"jsonrpc": "2.0", "id": 8}, (8, -32600, "invalid_request")),
        ({"jsonrpc": "1.0", "method": "echo", "id": 8}, (8, -32600, "invalid_request")),
        ({"method": "echo", "id": 8}, (8, -32600, "invalid_request")),
        (request("echo", "bar", id=8), (8, -32600, "invalid_request")),
        (request("echo", [0], id={}), (None, -32600, "invalid_request")),
        (request("echo", [0], id=[]), (None, -32600, "invalid_request")),
        (request("echo", [0], id=True), (None, -32600, "invalid_request")),
        (request("echo", [0], id="x" * 257), (None, -32600, "invalid_request")),
        (1, (None, -32600, "invalid_request")),
        ("null", (None, -32600, "invalid_request")),
        # parameters that do not fit
        (request("probe.value", ["one"], id=1), (1, -32602, "invalid_params")),
        (request("probe.value", [1, 2], id=1), (1, -32602, "invalid_params")),
        (request("probe.fields", id=1), (1, -32602, "invalid_params")),
        (request("probe.fields", {"text": "far too long"}, id=1), (1, -32602, "invalid_params")),
        (request("probe.count", [1], id=1), (1, -32602, "invalid_params")),
        # the handler's own errors
        (request("probe.fail", id=1), (1, -32603, "internal_error")),
        # batches
        ([], (None, -32600, "invalid_request")),
        ([1], [(None, -32600, "invalid_request")]),
        ([1, 2, 3], 3 * [(None, -32600, "invalid_request")]),
        ([request("echo", [1], id="1"), request("echo", [2]), request("echo", [3], id="2"), {"foo": "boo"},
          request("foo.get", {"name": "myself"}, id="5"), request("probe.value", [8], id="9")],
         [response("1", 1), response("2", 3), (None, -32600, "invalid_request"), ("5", -32601, "method_not_found"),
          response("9", 9)]),
        ([request("echo", [1]), 2], [(None, -32600, "invalid_request")]),
        ([request("echo", [1], id=7), request("echo", [2], id=7)], [response(7, 1), response(7, 2)]),
        ('[{"jsonrpc":"2.0","method":"echo","params":[1],"id":"1"},{"jsonrpc":"2.0","method"]',
         (None, -32700, "parse_error")),
        (101 * [request("echo", [1], id=7)], (None, -32600, "invalid_request")),
    )

    SILENT = (
        request("echo", [1, 2, 3, 4, 5]),
        request("probe.count"),
        request("foobar"),
        request("foobar", [1]),
        [request("echo", [1, 2, 4]), request("foobar", [7])],
        [request("probe.count")],
    )

    def assert_response(self, content, expected):
        if isinstance(expected, list):
            self.assertEqual(len(content), len(expected), content)
            for one, wanted in zip(content, expected):
                self.assert_response(one, wanted)
        elif isinstance(expected, tuple):
            self.assert_failed(content, *expected)
        elif expected is not None:
            self.assertEqual(content, expected)

    def try_vectors(self, version):
        """In MQTT 3 a reply whose id makes no topic goes where that of the id null goes."""
        broker = self.start(["jsonrpc_methods *"])
        client, reply_to = self.client(broker, version), "reply/to/me" if version == 5 else None
        for payload, expected in self.PAIRS:
            with self.subTest(version=version, payload=payload):
                reply = self.exchange(client, payload, "rpc/jsonrpc", reply_to=reply_to)
                if version != 5 and isinstance(payload, str):
                    self.assert_unparsed(payload_of(reply), expected)
                elif version != 5 and not self.has_token(payload):
                    self.assertEqual(reply.topic, "rpc/jsonrpc/response/null")
                    self.assertIn("invalid_request", reply.payload.decode())
                else:
                    self.assert_response(payload_of(reply), expected)
        for payload in self.SILENT:
            with self.subTest(version=version, payload=payload):
                self.send(client, payload, "rpc/jsonrpc", reply_to=reply_to)
                client.expect_nothing(0.05)

    def assert_unparsed(self, content, expected):
        """A text that is no JSON: without a Response Topic its id comes back if it can be read."""
        if content["id"] is not None:
            self.assertEqual(content["id"], 1)
        self.assert_response({**content, "id": None}, expected)

    @staticmethod
    def has_token(payload):
        """Whether a topic can be made of the first id."""
        items = payload if isinstance(payload, list) else [payload]
        ids = [item["id"] for item in items if isinstance(item, dict) and "id" in item]
        if not ids:
            return False
        if isinstance(ids[0], str):
            return len(ids[0]) <= 256 and not set(ids[0]) & set("+#")
        return ids[0] is None or isinstance(ids[0], (int, float)) and not isinstance(ids[0], bool)

    def test_mqtt_3(self):
        self.try_vectors(4)

    def test_mqtt_5(self):
        self.try_vectors(5)

    def test_at_the_topic_of_the_method(self):
        """The same requests, as far as they name a method."""
        broker = self.start()
        client = self.client(broker, 5)
        for payload, expected in self.PAIRS:
            if not isinstance(payload, dict) or not isinstance(payload.get("method"), str):
                continue
            if isinstance(expected, tuple) and expected[2] == "method_not_found":
                continue
            if payload.get("jsonrpc") != "2.0":
                continue
            for topic in (f"rpc/call/{payload['method']}", f"rpc/call/{payload['method']}/request"):
                with self.subTest(topic=topic, payload=payload):
                    reply = self.exchange(client, payload, topic, reply_to="reply/to/me")
                    self.assert_response(payload_of(reply), expected)


class Topics(JsonRpcTest):

    def test_tokens(self):
        """Where a reply goes that has no Response Topic."""
        client = self.client(self.start(["jsonrpc_methods echo"]))
        for identity, token in (("abc", "abc"), ("a:b", "a"), ("a:b:c", "a:b"), (":x", ""), ("a:", "a"), (7, "7"),
                                (1.5, "1.5"), (None, "null"), ("deep/er:1", "deep/er")):
            for topic in ("rpc/call/echo", "rpc/call/echo/request", "rpc/jsonrpc"):
                with self.subTest(identity=identity, topic=topic):
                    reply = self.exchange(client, request("echo", [1], id=identity), topic)
                    self.assertEqual(reply.topic, f"{topic.removesuffix('/request')}/response/{token}")
                    self.assertEqual(payload_of(reply), response(identity, 1))

    def test_tokens_that_no_topic_can_have(self):
        broker = self.start(["jsonrpc_methods echo probe.count"])
        client, watcher = self.client(broker), self.client(broker, 5)
        watcher.subscribe("rpc/event/error")
        for identity in ("a+b:1", "#", "a\u0001b", "x" * 300):
            for topic in ("rpc/call/probe.count", "rpc/call/probe.count/request", "rpc/jsonrpc"):
                with self.subTest(identity=identity, topic=topic):
                    reply = self.exchange(client, request("probe.count", id=identity), topic)
                    self.assertEqual(reply.topic, topic.removesuffix("/request") + "/response/null")
                    shown = None if len(identity) > 256 else identity
                    self.assert_failed(payload_of(reply), shown, -32600, "invalid_request")
        watcher.expect_nothing(0.05)
        self.assertEqual(result_of(ask(watcher, "probe.runs")), {"runs": 0})

    def test_what_cannot_be_read(self):
        """JSON-RPC is answered on the topic of the id that can be read, else on that of the id null."""
        broker = self.start(["jsonrpc_methods echo", "max_payload 10k"])
        client, watcher = self.client(broker), self.client(broker, 5)
        watcher.subscribe("rpc/event/error")
        head = b'{"jsonrpc":"2.0","method":"echo",'
        for payload, identity, token in (
                (b"{", None, "null"), (b"nonsense", None, "null"), (b"", None, "null"), (b"\0", None, "null"),
                (head + b'"id":"a:7"', "a:7", "a"), (head + b'"id":7}\0', 7, "7"), (head + b'"id":"cut o', None, "null"),
                (head + b'"id":1.5,"params":[' + 20_000 * b"1" + b"]}", 1.5, "1.5"),
                (head + b'"params":["' + 20_000 * b"x" + b'"],"id":"last:1"}', "last:1", "last"),
                (head + b'"params":["' + 20_000 * b"x" + b'"],"id":1,"z":2}', None, "null"),
                (b"[" + head + b'"id":"a:7"},', None, "a")):
            for topic in ("rpc/jsonrpc", "rpc/call/echo/request", "rpc/call/echo"):
                if topic == "rpc/call/echo" and b"jsonrpc" not in payload:
                    continue
                with self.subTest(payload=payload[:60], topic=topic):
                    reply = self.exchange(client, payload, topic)
                    self.assertEqual(reply.topic, f"{topic.removesuffix('/request')}/response/{token}")
                    content = payload_of(reply)
                    self.assertEqual((content["jsonrpc"], content["id"]), ("2.0", identity))
                    self.assertIn(content["error"]["code"], (-32700, -32004))
        watcher.expect_nothing(0.05)

    def test_a_batch_goes_where_its_first_id_says(self):
        client = self.client(self.start(["jsonrpc_methods *"]))
        batch = [request("echo", [1]), request("echo", [2], id="me:1"), request("echo", [3], id="you:2")]
        for topic in ("rpc/call/echo", "rpc/call/echo/request", "rpc/jsonrpc"):
            with self.subTest(topic=topic):
                reply = self.exchange(client, batch, topic)
                self.assertEqual(reply.topic, f"{topic.removesuffix('/request')}/response/me")
                self.assertEqual(payload_of(reply), [response("me:1", 2), response("you:2", 3)])

    def test_a_response_topic_goes_first(self):
        client = self.client(self.start(), 5)
        reply = self.exchange(client, request("echo", [1], id="a:b"), "rpc/call/echo", reply_to="mine")
        self.assertEqual((reply.topic, payload_of(reply)), ("mine", response("a:b", 1)))
        self.assertEqual(property_of(reply, CORRELATION_DATA), b"c")
        self.assertEqual(property_of(reply, CONTENT_TYPE), "application/json")
        self.assertEqual(user_property_of(reply, "status"), "ok")
        reply = self.exchange(client, request("probe.fail", id="a:b"), "rpc/call/probe.fail", reply_to="mine")
        self.assertEqual(user_property_of(reply, "status"), "internal_error")

    def test_which_method(self):
        """A payload cannot select another method than that of the topic."""
        broker = self.start()
        client = self.client(broker, 5)
        for topic in ("rpc/call/echo", "rpc/call/echo/request"):
            for method, right in (("echo", True), ("rpc/call/echo", True), ("probe.count", False), ("Echo", False),
                                  ("rpc/call/probe.count", False), ("call/echo", False), ("", False),
                                  ("rpc/call/echo/request", False), ("rpc/call/echo/", False)):
                with self.subTest(topic=topic, method=method):
                    content = payload_of(self.exchange(client, request(method, [1], id=1), topic, reply_to="r"))
                    if right:
                        self.assertEqual(content, response(1, 1))
                    else:
                        self.assert_failed(content, 1, -32600, "invalid_request")
        batch = [request("echo", [1], id=1), request("probe.count", id=2), request("rpc/call/echo", [3], id=3)]
        first, second, third = payload_of(self.exchange(client, batch, "rpc/call/echo", reply_to="r"))
        self.assertEqual((first, third), (response(1, 1), response(3, 3)))
        self.assert_failed(second, 2, -32600, "invalid_request")
        self.assertEqual(result_of(ask(client, "probe.runs")), {"runs": 0})

    def test_names_of_several_levels(self):
        client = self.client(self.start(["prefix site/two"]), 5)
        for topic in ("site/two/call/probe/deep/name", "site/two/call/probe/deep/name/request"):
            for method in ("probe/deep/name", "site/two/call/probe/deep/name"):
                content = payload_of(self.exchange(client, request(method, id=1), topic, reply_to="r"))
                self.assertEqual(content["result"]["method"], "probe/deep/name")

    def test_at_request_everything_is_json_rpc(self):
        client = self.client(self.start(), 5)
        for payload in ("1", '{"a":1}', '"x"', "", "{"):
            with self.subTest(payload=payload):
                reply = self.exchange(client, payload, "rpc/call/echo/request", reply_to="r")
                self.assertEqual(set(payload_of(reply)), {"jsonrpc", "id", "error"})

    def test_what_is_no_json_rpc(self):
        """At the plain topic only a payload with a member jsonrpc is a request; others are parameters."""
        client = self.client(self.start(), 5)
        for payload in ({"jsonrpc": "1.0"}, {"jsonrpc": 2.0}, {"method": "echo", "id": 1}, [], [1], [[request("echo")]],
                        [1, request("echo", id=1)], "2.0"):
            with self.subTest(payload=payload):
                self.assertEqual(result_of(ask(client, "echo", json.dumps(payload))), payload)

    def test_unknown_methods(self):
        client = self.client(self.start(), 5)
        for topic in ("rpc/call/nothing", "rpc/call/nothing/request"):
            content = payload_of(self.exchange(client, request("nothing", id="1"), topic, reply_to="r"))
            self.assert_failed(content, "1", -32601, "method_not_found")

    def test_acknowledgements(self):
        """Consumed like any call."""
        broker = self.start(["jsonrpc_methods *"])
        client, watcher = self.client(broker, 5), self.client(broker)
        watcher.subscribe("#")
        for topic in ("rpc/call/echo/request", "rpc/jsonrpc", "rpc/call/echo"):
            for qos in (0, 1, 2):
                reason = self.send(client, request("echo", [1]), topic, qos=qos)
                self.assertIn(reason, (0, NO_MATCHING_SUBSCRIBERS))
        watcher.expect_nothing()


class Endpoint(JsonRpcTest):
    """{prefix}/jsonrpc and jsonrpc_methods."""

    def call(self, client, method):
        return payload_of(self.exchange(client, request(method, id=1), "rpc/jsonrpc", reply_to="r"))

    def test_closed_by_default(self):
        broker = self.start()
        client = self.client(broker, 5)
        self.assert_failed(self.call(client, "probe.count"), 1, -32601, "method_not_found")
        self.assertEqual(result_of(ask(client, "probe.runs")), {"runs": 0})

    def test_some(self):
        broker = self.start(["jsonrpc_methods probe.count probe/deep/name"])
        client = self.client(broker, 5)
        self.assertEqual(self.call(client, "probe.count"), response(1, {"runs": 1}))
        self.assertEqual(self.call(client, "probe/deep/name")["result"]["method"], "probe/deep/name")
        for method in ("echo", "probe.runs", "probe", "probe.coun", "*"):
            self.assert_failed(self.call(client, method), 1, -32601, "method_not_found")
        batch = [request("probe.count", id=1), request("echo", id=2)]
        first, second = payload_of(self.exchange(client, batch, "rpc/jsonrpc", reply_to="r"))
        self.assertEqual(first, response(1, {"runs": 2}))
        self.assert_failed(second, 2, -32601, "method_not_found")

    def test_its_own_topics(self):
        """Only the topic itself is an endpoint; replies cannot be forged; the plugin serves no topic below it."""
        broker = self.start(["jsonrpc_methods *"])
        client, watcher = self.client(broker, 5), self.client(broker)
        watcher.subscribe("rpc/jsonrpc/#")
        client.publish("rpc/jsonrpc/response/x", "forged", qos=1)
        client.publish("rpc/jsonrpc/response", "forged", qos=1)
        watcher.expect_nothing()
        client.publish("rpc/jsonrpc/other", "seen", qos=1)
        self.assertEqual(watcher.receive().payload, b"seen")

    def test_events(self):
        """Results are announced as for plain calls; errors, if no reply is asked for."""
        broker = self.start(["jsonrpc_methods *"])
        client, watcher = self.client(broker, 5), self.client(broker)
        watcher.subscribe("rpc/event/#")
        self.call(client, "probe.count")
        self.send(client, request("probe.count"), "rpc/jsonrpc")
        self.send(client, [request("probe.count"), request("probe.count", id=1)], "rpc/jsonrpc")
        for runs in range(1, 5):
            event = watcher.receive()
            self.assertEqual((event.topic, payload_of(event)), ("rpc/event/probeCounted", {"runs": runs}))
        self.send(client, request("probe.raise", {"code": "probe_plain"}), "rpc/jsonrpc")
        event = watcher.receive()
        self.assertEqual(event.topic, "rpc/event/probeFailed")
        self.assert_error(event, "probe_plain", method="probe.raise")
        self.send(client, request("probe.value", ["x"]), "rpc/jsonrpc")
        self.assert_error(watcher.receive(), "invalid_params", method="probe.value")
        self.send(client, request("nothing"), "rpc/jsonrpc")
        watcher.expect_nothing()

    def test_identities(self):
        """An id of 16 bytes or more: the call runs once; for a batch the first id counts."""
        broker = self.start(["jsonrpc_methods *"])
        for version in (4, 5):
            client, before = self.client(broker, version), self.runs(broker)
            identity = "client:0123456789abcdef"
            for payload in (request("probe.count", id=identity), [request("probe.count", id=identity)]):
                first, second = (self.exchange(client, payload, "rpc/jsonrpc", reply_to="r" if version == 5 else None)
                                 for _ in range(2))
                self.assertEqual(first.payload, second.payload)
            self.assertEqual(self.runs(broker) - before, 2)
            self.send(client, request("probe.count"), "rpc/jsonrpc")
            self.send(client, request("probe.count"), "rpc/jsonrpc")
            self.assertEqual(self.runs(broker) - before, 4)

    def runs(self, broker):
        return result_of(ask(self.client(broker, 5), "probe.runs"))["runs"]


class Programs(JsonRpcTest):
    """mosquitto_rr and mosquitto_pub from a shell."""

    def run_program(self, broker, name, *arguments):
        program = shutil.which(name)
        self.assertTrue(program, f"{name} is needed (Debian's mosquitto-clients)")
        return subprocess.run([program, "-h", "127.0.0.1", "-p", str(broker.port), *arguments], check=True,
                              stdout=subprocess.PIPE, timeout=TIMEOUT, text=True).stdout

    def test_mosquitto_rr(self):
        broker = self.start(["jsonrpc_methods *"])
        payload = json.dumps(request("probe.value", [41], id=1))
        for topic in ("rpc/jsonrpc", "rpc/call/probe.value", "rpc/call/probe.value/request"):
            for qos in ("0", "1", "2"):
                with self.subTest(topic=topic, qos=qos):
                    out = self.run_program(broker, "mosquitto_rr", "-q", qos, "-t", topic, "-e", "reply/to/me", "-m",
                                           payload, "-W", str(TIMEOUT))
                    self.assertEqual(json.loads(out), response(1, 42))

    def test_mosquitto_pub(self):
        broker = self.start(["jsonrpc_methods *"])
        watcher = self.client(broker)
        watcher.subscribe("rpc/event/probeCounted")
        for count, version in enumerate(("mqttv31", "mqttv311", "mqttv5"), start=1):
            self.run_program(broker, "mosquitto_pub", "-V", version, "-q", "2", "-t", "rpc/jsonrpc", "-m",
                             json.dumps(request("probe.count")))
            self.assertEqual(payload_of(watcher.receive()), {"runs": count})


class Hostile(JsonRpcTest):
    """No payload ends the connection, and the next call is answered."""

    def test_the_connection_survives(self):
        broker = self.start(["jsonrpc_methods *", "max_payload 256k"])
        client = self.client(broker, 5)
        payloads = [b"", b"\0", b"[", b"[" * 1000, b"{" * 1000, b"[]" * 1000, b"[" * 33 + b"]" * 33, b"\xff\xfe",
                    b'{"jsonrpc":"2.0"', b'{"jsonrpc":"2.0","jsonrpc":"2.0","method":"echo","id":1}',
                    b'{"jsonrpc":"2.0","method":"echo","id":1,"id":2}',
                    b'{"jsonrpc":"2.0","method":"ec\\u0000ho","id":1}',
                    b'{"jsonrpc":"2.0","method":"echo","id":1e999}',
                    b'{"jsonrpc":"2.0","method":"echo","id":"\\u0000"}',
                    b'{"jsonrpc":"2.0","method":"' + b"x" * 60000 + b'","id":1}',
                    b'{"jsonrpc":"2.0","method":"echo","id":' + b"9" * 60 + b"}",
                    b'{"jsonrpc":"2.0","method":"echo","id":' + b"9" * 70 + b"}",
                    b'{"jsonrpc":"2.0","method":"echo","id":"' + b"\\u00e9" * 128 + b'"}',
                    b"[" + b",".join([b"1"] * 100) + b"]", b"[" + b",".join([b"{}"] * 50000) + b"]"]
        for payload in payloads:
            for topic in ("rpc/jsonrpc", "rpc/call/echo", "rpc/call/echo/request", "rpc/batch/echo"):
                for reply_to in (None, "r"):
                    self.send(client, payload, topic, reply_to=reply_to)
        client.ping()
        client.inbox.clear()
        self.assertEqual(result_of(ask(client, "echo", "1")), 1)

    def test_what_is_wrong_with_one_item_is_no_matter_for_the_others(self):
        client = self.client(self.start(["jsonrpc_methods *"]), 5)
        batch = ('[{"jsonrpc":"2.0","method":"echo","params":{"a":1,"a":2},"id":1},'
                 '{"jsonrpc":"2.0","method":"echo","params":[5],"id":2}]')
        first, second = payload_of(self.exchange(client, batch, "rpc/jsonrpc", reply_to="r"))
        self.assert_failed(first, 1, -32602, "invalid_params")
        self.assertEqual(second, response(2, 5))

    def test_a_reply_that_does_not_fit(self):
        client = self.client(self.start(["jsonrpc_methods *", "max_reply 4k"]), 5)
        single = payload_of(self.exchange(client, request("probe.big", [5000], id="me"), "rpc/jsonrpc", reply_to="r"))
        self.assert_failed(single, "me", -32005, "reply_too_large")
        batch = [request("probe.big", [1500], id=number) for number in range(4)]
        self.assert_failed(payload_of(self.exchange(client, batch, "rpc/jsonrpc", reply_to="r")), None, -32005,
                           "reply_too_large")
        count = 20 if INSTRUMENTED else 200
        for number in range(count):
            self.send(client, batch[0], "rpc/jsonrpc", qos=0, reply_to="r")
        for number in range(count):
            self.assertEqual(len(payload_of(client.receive())["result"]["text"]), 1500)


if __name__ == "__main__":
    main()
