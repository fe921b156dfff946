"""{prefix}/batch/{method}: one method, many times, in one message."""
import json

from harness import BrokerTest, encode, error_of, main, new_identity, payload_of, ask, result_of
from mqtt import CORRELATION_DATA, RESPONSE_TOPIC, property_of, user_property_of


class BatchTest(BrokerTest):

    def send(self, client, method, payload, qos=1, correlation=None, reply=True, prefix="rpc"):
        properties = [(RESPONSE_TOPIC, "r"), (CORRELATION_DATA, correlation or new_identity())] if reply else []
        return client.publish(f"{prefix}/batch/{method}", encode(payload), qos=qos, properties=properties)

    def batch(self, client, method, payload, **how):
        """The reply to a batch with a Response Topic."""
        self.send(client, method, payload, **how)
        reply = client.receive()
        self.assertEqual(reply.topic, "r")
        return reply

    def by_id(self, client, method, calls, request_id=None, qos=1):
        """The outcomes of a batch with a request_id."""
        request_id = request_id or new_identity()
        client.publish(f"rpc/batch/{method}", encode({"request_id": request_id, "calls": calls}), qos=qos)
        reply = client.receive()
        self.assertEqual(reply.topic, f"rpc/call/{method}/response/{request_id}")
        content = payload_of(reply)
        self.assertEqual(content.pop("request_id"), request_id)
        return content

    def runs(self, broker):
        return result_of(ask(self.client(broker, 5), "probe.runs"))["runs"]


class Outcomes(BatchTest):

    def test_in_order(self):
        client = self.client(self.start(), 5)
        for qos in (0, 1, 2):
            reply = self.batch(client, "probe.value", list(range(100)), qos=qos)
            self.assertEqual(payload_of(reply), [{"result": number + 1} for number in range(100)])
            self.assertEqual((user_property_of(reply, "status"), reply.qos), ("ok", qos))
        reply = self.batch(client, "probe.count", [{}, {}, {}])
        self.assertEqual(payload_of(reply), [{"result": {"runs": runs}} for runs in (1, 2, 3)])

    def test_errors_stand_in_their_places(self):
        client = self.client(self.start(), 5)
        reply = self.batch(client, "probe.value", [1, "two", 3, 1001, None, [5]])
        outcomes = payload_of(reply)
        self.assertEqual([list(outcome) for outcome in outcomes],
                         [["result"], ["error"], ["result"], ["error"], ["error"], ["error"]])
        self.assertEqual((outcomes[0]["result"], outcomes[2]["result"]), (2, 4))
        for outcome in outcomes:
            if "error" in outcome:
                self.assert_error(outcome["error"], "invalid_params", method="probe.value")
        self.assertEqual(user_property_of(reply, "status"), "ok")
        raised = payload_of(self.batch(client, "probe.raise", [{"code": "probe_trouble", "with_data": True}, {}]))
        self.assert_error(raised[0]["error"], "probe_trouble", number=42)
        self.assert_error(raised[1]["error"], "invalid_params")

    def test_by_request_id(self):
        broker = self.start()
        for version in (3, 4, 5):
            with self.subTest(version=version):
                client = self.client(broker, version)
                self.assertEqual(self.by_id(client, "probe.value", [1, 2]), {"result": [{"result": 2}, {"result": 3}]})
                self.assertEqual(self.by_id(client, "echo", []), {"result": []})
                self.assert_error(self.by_id(client, "nothing", [1])["error"], "method_not_found")
                self.assert_error(self.by_id(client, "echo", {"a": 1})["error"], "invalid_request")
                self.assert_error(self.by_id(client, "echo", 101 * [1])["error"], "invalid_request")

    def test_items_are_parameters_and_nothing_else(self):
        """No request_id, no JSON-RPC in an item."""
        client = self.client(self.start(), 5)
        items = [{"request_id": "x", "a": 1}, {"jsonrpc": "2.0", "method": "probe.count", "id": 1}, [], None, "", -0.5]
        self.assertEqual(payload_of(self.batch(client, "echo", items)), [{"result": item} for item in items])

    def test_nobody_asked(self):
        broker = self.start()
        client, watcher = self.client(broker), self.client(broker)
        watcher.subscribe("rpc/event/#")
        self.send(client, "probe.count", [{}, {}], reply=False)
        self.assertEqual([payload_of(watcher.receive()) for _ in range(2)], [{"runs": 1}, {"runs": 2}])
        self.send(client, "probe.value", [1, "x", 2, "y"], reply=False)
        for _ in range(2):
            self.assert_error(watcher.receive(), "invalid_params", method="probe.value")
        self.send(client, "nothing", [1], reply=False)
        watcher.expect_nothing()
        client.expect_nothing(0)

    def test_events(self):
        """Each item's result is announced as for a single call."""
        broker = self.start()
        client, watcher = self.client(broker, 5), self.client(broker)
        watcher.subscribe("rpc/event/#")
        self.batch(client, "probe.count", [{}, {}, {}])
        self.assertEqual([payload_of(watcher.receive()) for _ in range(3)], [{"runs": runs} for runs in (1, 2, 3)])
        self.batch(client, "probe/deep/name", [{}, {}])  # announced only where nobody asked
        self.batch(client, "probe.raise", [{"code": "probe_plain"}])
        watcher.expect_nothing()

    def test_several_levels_and_prefixes(self):
        client = self.client(self.start(["prefix rpc site/two"]), 5)
        reply = self.batch(client, "probe/deep/name", [{}, {}], prefix="site/two")
        self.assertEqual([outcome["result"]["method"] for outcome in payload_of(reply)], 2 * ["probe/deep/name"])


class Limits(BatchTest):

    def test_max_batch(self):
        broker = self.start(["max_batch 3", "jsonrpc_methods *"])
        client = self.client(broker, 5)
        self.assertEqual(len(payload_of(self.batch(client, "probe.count", [{}, {}, {}]))), 3)
        self.assert_error(error_of(self.batch(client, "probe.count", 4 * [{}])), "invalid_request",
                          method="probe.count")
        requests = [{"jsonrpc": "2.0", "method": "probe.count", "id": number} for number in range(4)]
        for topic in ("rpc/jsonrpc", "rpc/call/probe.count"):
            client.publish(topic, encode(requests), qos=1, properties=[(RESPONSE_TOPIC, "r")])
            self.assertEqual(payload_of(client.receive())["error"]["code"], -32600)
        self.assertEqual(self.runs(broker), 3)

    def test_what_is_no_batch(self):
        broker = self.start()
        client, watcher = self.client(broker, 5), self.client(broker)
        watcher.subscribe("rpc/event/error")
        for payload, err in (({"a": 1}, "invalid_request"), ("1", "invalid_request"), ("", "invalid_request"),
                             ("[1", "parse_error"), ("[1],", "parse_error"), ("nonsense", "parse_error"),
                             ({"request_id": "x", "calls": [1]}, "invalid_request")):
            with self.subTest(payload=payload):
                self.assert_error(error_of(self.batch(client, "probe.count", payload)), err, method="probe.count")
                if "request_id" not in payload:
                    self.send(client, "probe.count", payload, reply=False)
                    self.assert_error(watcher.receive(), err, method="probe.count")
        self.assertEqual(self.runs(broker), 0)

    def test_unknown_method(self):
        client = self.client(self.start(), 5)
        for payload in ([1], [], {"a": 1}, "["):
            self.assert_error(error_of(self.batch(client, "nothing", payload)), "method_not_found", method="nothing")

    def test_max_payload(self):
        client = self.client(self.start(["max_payload 1k"]), 5)
        self.assert_error(error_of(self.batch(client, "echo", ["x" * 500] * 3)), "payload_too_large")

    def test_max_reply(self):
        """Then the reply as a whole is the error; the calls were carried out, and are announced."""
        broker = self.start(["max_reply 2k"])
        client, watcher = self.client(broker, 5), self.client(broker)
        watcher.subscribe("rpc/event/probeCounted")
        outcomes = payload_of(self.batch(client, "probe.big", [{"size": 900}] * 2))
        self.assertEqual([len(outcome["result"]["text"]) for outcome in outcomes], [900, 900])
        self.assert_error(error_of(self.batch(client, "probe.big", [{"size": 900}] * 3)), "reply_too_large")
        self.assert_error(error_of(self.batch(client, "probe.count", [{}] * 100)), "reply_too_large")
        self.assertEqual([payload_of(watcher.receive())["runs"] for _ in range(100)], list(range(1, 101)))
        self.assert_error(self.by_id(client, "probe.big", [{"size": 900}] * 3)["error"], "reply_too_large")

    def test_methods_that_take_bytes(self):
        client = self.client(self.start(), 5)
        outcome, = payload_of(self.batch(client, "probe.bytes", ["x"]))
        self.assert_error(outcome["error"], "invalid_params")

    def test_what_is_wrong_with_one_item_is_no_matter_for_the_others(self):
        client = self.client(self.start(), 5)
        first, second = payload_of(self.batch(client, "echo", '[{"a":1,"a":2},{"b":3}]'))
        self.assert_error(first["error"], "invalid_params")
        self.assertEqual(second, {"result": {"b": 3}})

    def test_acl(self):
        """A batch has a topic of its own, and who may write there may call."""
        acl = "user one\ntopic write rpc/batch/echo\n\nuser two\ntopic write rpc/call/echo\n"
        broker = self.start(users={"one": "1", "two": "2"}, acl=acl, anonymous=False)
        one = self.client(broker, 5, username="one", password="1")
        two = self.client(broker, 5, username="two", password="2")
        self.assertEqual(payload_of(self.batch(one, "echo", [1])), [{"result": 1}])
        one.publish("rpc/batch/probe.count", "[{}]", qos=0, properties=[(RESPONSE_TOPIC, "r")])
        self.send(two, "echo", [1], qos=0)
        one.expect_nothing()
        two.expect_nothing()


class Once(BatchTest):
    """A batch has one identity."""

    def test_duplicates(self):
        broker = self.start()
        client = self.client(broker, 5)
        first, second = (self.batch(client, "probe.count", [{}, {}], correlation="0123456789abcdef") for _ in range(2))
        self.assertEqual(first.payload, second.payload)
        self.assertEqual(property_of(second, CORRELATION_DATA), b"0123456789abcdef")
        self.assertEqual(self.runs(broker), 2)
        old = self.client(broker, 4)
        one, two = (self.by_id(old, "probe.count", [{}], request_id="fedcba9876543210") for _ in range(2))
        self.assertEqual(one, two)
        self.assertEqual(self.runs(broker), 3)

    def test_calls_and_batches_are_not_the_same(self):
        broker = self.start()
        client = self.client(broker, 5)
        payload = json.dumps([{}])
        self.batch(client, "probe.count", payload, correlation="0123456789abcdef")
        ask(client, "probe.count", payload, correlation=b"0123456789abcdef", topic="r")
        self.assertEqual(self.runs(broker), 1)
        ask(client, "probe.count", "{}", correlation=b"0123456789abcdef", topic="r")
        self.assertEqual(self.runs(broker), 2)


if __name__ == "__main__":
    main()
