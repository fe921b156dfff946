"""Traces: a caller's W3C Trace Context on replies, events and commands, and the spans of calls."""
import json
import re
import time

from devices import DeviceTest
from harness import BrokerTest, ask, ask_by_id, encode, error_of, main, new_identity, result_of
from mqtt import CORRELATION_DATA, RESPONSE_TOPIC, USER_PROPERTY, user_property_of

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{CALLER}-01"
UNSAMPLED = f"00-{TRACE}-{CALLER}-00"
STATE = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
SPANS = "$SYS/broker/rpc/rpc/span"


def context(parent=PARENT, state=None):
    """User properties."""
    return [(USER_PROPERTY, ("traceparent", parent)), *([(USER_PROPERTY, ("tracestate", state))] if state else [])]


def span_of(message, flags="01"):
    """The id of the span under which a message was sent; None: it has no context."""
    parent = user_property_of(message, "traceparent")
    if parent is None:
        assert user_property_of(message, "tracestate") is None, message
        return None
    found = re.fullmatch(rf"00-{TRACE}-([0-9a-f]{{16}})-{flags}", parent)
    assert found and found[1] not in (CALLER, "0" * 16), message
    return found[1]


def attributes_of(span):
    return {entry["key"]: entry["value"]["stringValue"] for entry in span["attributes"]}


class Contexts(BrokerTest):

    def test_a_reply_and_its_event_belong_to_the_trace_of_the_call(self):
        broker = self.start()
        client, watcher = self.client(broker, 5), self.client(broker, 5)
        watcher.subscribe("rpc/event/#")
        for qos in (0, 1, 2):
            reply = ask(client, "updateSensor", {"sensor_id": "a", "value": 20 + qos}, qos=qos,
                        entries=context(state=STATE))
            result_of(reply)
            span = span_of(reply)
            self.assertIsNotNone(span)
            self.assertEqual(user_property_of(reply, "tracestate"), STATE)
            while True:
                event = watcher.receive()
                if event.topic.startswith("rpc/event/sensorUpdated"):
                    break
            self.assertEqual(span_of(event), span)
            self.assertEqual(user_property_of(event, "tracestate"), STATE)

    def test_errors_have_the_context_too(self):
        broker = self.start()
        client, watcher = self.client(broker, 5), self.client(broker, 5)
        watcher.subscribe("rpc/event/error")
        for method, params in (("nobody", {}), ("ping", "{"), ("updateSensor", {})):
            reply = ask(client, method, params, entries=context())
            error_of(reply)
            self.assertIsNotNone(span_of(reply))
        client.publish("rpc/call/ping", "{", qos=1, properties=context())
        self.assertIsNotNone(span_of(watcher.receive()))

    def test_what_is_malformed_is_as_if_it_were_not_there(self):
        client = self.client(self.start(), 5)
        for parent in ("", "00", PARENT.upper(), PARENT[:-1], PARENT + "0", f"ff-{TRACE}-{CALLER}-01",
                       f"00-{'0' * 32}-{CALLER}-01", f"00-{TRACE}-{'0' * 16}-01", "x" * 60000):
            reply = ask(client, "ping", entries=context(parent, STATE))
            result_of(reply)
            self.assertIsNone(span_of(reply), parent)
        for state in ("x" * 513, "\u00e4=1", "x" * 60000):
            reply = ask(client, "ping", entries=context(PARENT, state))
            self.assertIsNotNone(span_of(reply))
            self.assertIsNone(user_property_of(reply, "tracestate"))

    def test_the_context_is_found_among_other_properties(self):
        client = self.client(self.start(), 5)
        others = [(USER_PROPERTY, (f"name{i}", "x" * i)) for i in range(50)]
        reply = ask(client, "ping", entries=[*others, (USER_PROPERTY, ("", "")), *context(state=STATE), *others])
        self.assertIsNotNone(span_of(reply))
        self.assertEqual(user_property_of(reply, "tracestate"), STATE)
        self.assertIsNone(span_of(ask(client, "ping", entries=others)))

    def test_old_clients_give_a_member_beside_request_id(self):
        broker = self.start(["slow_call 0"])
        watcher = self.client(broker, 5)
        watcher.subscribe("rpc/event/sensorUpdated", SPANS)
        for version in (3, 4, 5):
            with self.subTest(version=version):
                params = {"sensor_id": f"a{version}", "value": 20, "traceparent": PARENT}
                client = self.client(broker, version)
                self.assertIn("result", ask_by_id(client, "updateSensor", params))
                event, span = sorted((watcher.receive(), watcher.receive()), key=lambda one: one.topic == SPANS)
                self.assertIsNotNone(span_of(event))
                self.assertEqual(json.loads(span.payload)["spanId"], span_of(event))
                self.assertIn("result", ask_by_id(client, "ping", {"traceparent": "bad"}))

    def test_batches_and_jsonrpc(self):
        client = self.client(self.start(["jsonrpc_methods *"]), 5)
        request = {"jsonrpc": "2.0", "id": "a:1", "method": "ping"}
        for topic, payload in (("rpc/batch/ping", [{}, {}]), ("rpc/call/ping", request), ("rpc/jsonrpc", request),
                               ("rpc/call/ping/request", [request])):
            client.publish(topic, encode(payload), qos=1, properties=[
                (RESPONSE_TOPIC, "reply/to/me"), (CORRELATION_DATA, new_identity()), *context(UNSAMPLED)])
            self.assertIsNotNone(span_of(client.receive(), "00"), topic)

    def test_a_repetition_has_its_own_context(self):
        client = self.client(self.start(), 5)
        identity = new_identity().encode()
        params = {"sensor_id": "a", "value": 20}
        first = ask(client, "updateSensor", params, correlation=identity, entries=context())
        again = ask(client, "updateSensor", params, correlation=identity, entries=context(UNSAMPLED))
        without = ask(client, "updateSensor", params, correlation=identity)
        self.assertEqual((first.payload, user_property_of(again, "repeated")), (again.payload, "1"))
        self.assertNotEqual(span_of(first), span_of(again, "00"))
        self.assertIsNone(span_of(without))


class Spans(BrokerTest):

    def begin(self, options=()):
        """Without slow_call, so that a busy machine makes no span."""
        broker = self.start(["slow_call 0", *options])
        watcher = self.client(broker, 5)
        watcher.subscribe(SPANS, qos=2)
        return broker, watcher

    def test_a_sampled_call_leaves_a_span(self):
        broker, watcher = self.begin()
        client = self.client(broker, 5, client_id="caller")
        reply = ask(client, "ping", entries=context(state=STATE))
        message = watcher.receive()
        self.assertEqual((message.topic, message.retain, message.qos), (SPANS, False, 0))
        span = json.loads(message.payload)
        self.assertEqual((span["traceId"], span["spanId"], span["parentSpanId"], span["traceState"]),
                         (TRACE, span_of(reply), CALLER, STATE))
        self.assertEqual((span["name"], span["kind"], span["status"]), ("ping", 2, {}))
        start, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
        self.assertIsInstance(span["endTimeUnixNano"], str)
        self.assertLess(0, end - start + 1)
        self.assertEqual(attributes_of(span), {
            "rpc.system.name": "mosquitto_rpc", "rpc.method": "ping", "rpc.response.status_code": "ok",
            "messaging.client.id": "caller", "network.protocol.name": "mqtt", "network.protocol.version": "5.0"})
        ask(client, "ping", entries=context(UNSAMPLED))
        ask(client, "ping")
        ask(client, "nobody", entries=context())
        span = json.loads(watcher.receive().payload)
        self.assertEqual(span["status"], {"code": 2, "message": "method_not_found"})
        self.assertEqual(attributes_of(span)["error.type"], "method_not_found")

    def test_nothing_of_it_is_retained(self):
        broker, watcher = self.begin()
        ask(self.client(broker, 5), "ping", entries=context())
        watcher.receive()
        late = self.client(broker, 5)
        late.subscribe(SPANS)
        late.expect_nothing()

    def test_no_counters_no_spans(self):
        broker, watcher = self.begin(["sys_interval 0"])
        self.assertIsNotNone(span_of(ask(self.client(broker, 5), "ping", entries=context())))
        watcher.expect_nothing()

    def test_a_slow_call_leaves_one_without_being_asked(self):
        broker = self.start(["slow_call 50ms"])
        watcher, client = self.client(broker, 5), self.client(broker, 5)
        watcher.subscribe(SPANS)
        client.publish("rpc/call/relay/a/wait", "", qos=1)
        time.sleep(0.1)
        result_of(ask(client, "relay.end", {"box": "a"}))
        while True:
            span = json.loads(watcher.receive().payload)
            if span["name"] == "relay/{box}/{action}":
                break
        self.assertNotIn("parentSpanId", span)
        self.assertRegex(span["traceId"] + span["spanId"], "^[0-9a-f]{48}$")
        self.assertGreater(int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"]), 50_000_000)
        self.assertEqual(attributes_of(span)["rpc.method_original"], "relay/a/wait")

    def test_a_client_that_samples_everything_is_bounded(self):
        broker, watcher = self.begin(["sys_interval 1s"])
        watcher.subscribe("$SYS/broker/rpc/rpc/untraced")
        client = self.client(broker, 5)
        for _ in range(1000):
            client.publish("rpc/call/ping", "", qos=0, properties=context())
        spans, dropped = 0, 0
        while spans + dropped < 1000:
            message = watcher.receive()
            spans += message.topic == SPANS
            dropped = dropped if message.topic == SPANS else int(message.payload)
        self.assertEqual(spans + dropped, 1000)
        self.assertGreaterEqual(spans, 100)


class Devices(DeviceTest):

    def test_a_command_belongs_to_the_trace_of_its_call(self):
        self.begin()
        app, device, watcher = self.app(), self.ready(version=5), self.watch()
        call = app.call("lamp1", "go", traceparent=PARENT, tracestate=STATE)
        command = device.take()
        span = span_of(command.message)
        self.assertIsNotNone(span)
        self.assertEqual(user_property_of(command.message, "tracestate"), STATE)
        self.assertEqual(user_property_of(command.message, "seq"), command.seq)
        device.answer(command)
        self.assertEqual(span_of(app.reply(call)), span)
        for state in ("sent", "succeeded"):
            event = watcher.until(lambda message: message.topic == watcher.event and f'"{state}"'.encode() in message.payload)
            self.assertEqual((span_of(event), user_property_of(event, "tracestate")), (span, STATE))
        watcher.forget()
        app.call("lamp1", "go")
        self.assertIsNone(span_of(device.take().message))
        self.assertIsNone(span_of(watcher.until(lambda message: message.topic == watcher.event)))

    def test_a_command_that_an_application_publishes_itself(self):
        self.begin()
        device = self.ready(version=5)
        client = self.client(self.broker, 5)
        client.publish("cmd/lamp1/req", json.dumps({"id": "own1", "cmd": "go"}), qos=1,
                       properties=[(RESPONSE_TOPIC, "app/answers"), *context(state=STATE)])
        command = device.take()
        self.assertIsNotNone(span_of(command.message))
        device.answer(command)
        answer = client.receive()
        self.assertEqual((answer.topic, span_of(answer)), ("app/answers", span_of(command.message)))


if __name__ == "__main__":
    main()
