"""A call, from PUBLISH to its reply and its events: sections 1 to 5 of the protocol.

The tests use every protocol version, QoS and retain flag of clients, since each takes another way through the broker.
"""
import itertools
import json

from harness import (BrokerTest, Closed, ask, ask_by_id, broker_version, checks_response_topics, error_of,
                     has_websockets, main, new_identity, payload_of, result_of)
from mqtt import (CONTENT_TYPE, CORRELATION_DATA, MESSAGE_EXPIRY, NO_MATCHING_SUBSCRIBERS, PAYLOAD_FORMAT,
                  PUBREC, RESPONSE_TOPIC, TOPIC_ALIAS, USER_PROPERTY, property_of, user_property_of)

VERSIONS, QUALITIES, RETAIN = (3, 4, 5), (0, 1, 2), (False, True)


class Replies(BrokerTest):
    """The ways to ask for a reply."""

    def test_response_topic(self):
        client = self.client(self.start(), 5)
        everything = bytes(range(256))
        for qos, retain in itertools.product(QUALITIES, RETAIN):
            with self.subTest(qos=qos, retain=retain):
                reply = ask(client, "echo", {"a": [1, "ü", None]}, qos=qos, retain=retain,
                            correlation=everything + bytes([qos, retain]))
                self.assertEqual(payload_of(reply), {"a": [1, "ü", None]})
                self.assertEqual((reply.qos, reply.retain, reply.dup), (qos, False, False))
                self.assertEqual(property_of(reply, CONTENT_TYPE), "application/json")
                self.assertEqual(property_of(reply, PAYLOAD_FORMAT), 1)
                self.assertEqual(user_property_of(reply, "status"), "ok")
                self.assertIn(property_of(reply, MESSAGE_EXPIRY), range(40, 61))
        client.expect_nothing()

    def test_response_topic_without_correlation_data(self):
        client = self.client(self.start(), 5)
        client.publish("rpc/call/echo", "1", properties=[(RESPONSE_TOPIC, "a/b")])
        reply = client.receive()
        self.assertEqual((reply.topic, reply.payload), ("a/b", b"1"))
        self.assertIsNone(property_of(reply, CORRELATION_DATA))

    def test_correlation_data_comes_back_byte_for_byte(self):
        client = self.client(self.start(), 5)
        for correlation in (b"\x00", b"\x00\x00\x00", b"\xff\xfe", b"+/#$", b"x" * 5000, b"y" * 65535):
            with self.subTest(size=len(correlation)):
                ask(client, "ping", correlation=correlation)

    def test_empty_correlation_data(self):
        client = self.client(self.start(), 5)
        ask(client, "ping", correlation=b"")

    def test_request_id_beside_a_response_topic_is_an_ordinary_member(self):
        client = self.client(self.start(), 5)
        self.assertEqual(result_of(ask(client, "echo", {"request_id": "r", "b": 2})), {"request_id": "r", "b": 2})

    def test_request_id(self):
        broker = self.start()
        for version in VERSIONS:
            client = self.client(broker, version)
            for qos, retain in itertools.product(QUALITIES, RETAIN):
                with self.subTest(version=version, qos=qos, retain=retain):
                    payload = json.dumps({"request_id": f"id-{qos}{retain}", "text": "hi"})
                    client.publish("rpc/call/probe.fields", payload, qos=qos, retain=retain)
                    reply = client.receive()
                    self.assertEqual(reply.topic, f"rpc/call/probe.fields/response/id-{qos}{retain}")
                    self.assertEqual((reply.qos, reply.retain), (qos, False))
                    self.assertEqual(payload_of(reply), {
                        "request_id": f"id-{qos}{retain}",
                        "result": {"text": "hi", "colour": "green", "count": 7}})
                    if version == 5:
                        self.assertEqual(user_property_of(reply, "status"), "ok")
                        self.assertEqual(property_of(reply, CONTENT_TYPE), "application/json")
            client.expect_nothing()

    def test_request_id_is_taken_out_of_the_parameters(self):
        client = self.client(self.start())
        self.assertEqual(ask_by_id(client, "echo", {"a": 1}), {"result": {"a": 1}})
        self.assertEqual(ask_by_id(client, "echo"), {"result": {}})

    def test_request_id_with_many_characters(self):
        client = self.client(self.start())
        for request_id in ("ü/ö", 'quote"back\\slash', "x" * 256, " ", "a/b/c", "$SYS"):
            with self.subTest(request_id=request_id):
                self.assertEqual(ask_by_id(client, "echo", request_id=request_id), {"result": {}})

    def test_request_ids_that_are_numbers(self):
        """They come back as they are written, and without a plus in the topic."""
        client = self.client(self.start())
        for number in ("7", "0", "-0", "1.50", "1e3", "1E+3", "12345678901234567890"):
            for topic, payload, result in (("rpc/call/echo", '{"request_id":%s,"a":1}', '{"a":1}'),
                                           ("rpc/batch/echo", '{"request_id":%s,"calls":[1]}', '[{"result":1}]')):
                with self.subTest(number=number, topic=topic):
                    client.publish(topic, payload % number, qos=1)
                    reply = client.receive()
                    self.assertEqual(reply.topic, "rpc/call/echo/response/" + number.replace("+", ""))
                    self.assertEqual(reply.payload.decode(), '{"request_id":%s,"result":%s}' % (number, result))

    def test_request_ids_of_other_types(self):
        broker = self.start()
        client, watcher = self.client(broker), self.client(broker)
        watcher.subscribe("rpc/event/#")
        for value in (None, True, ["a"], {"b": 1}):
            for topic in ("rpc/call/probe.count", "rpc/batch/probe.count", "rpc/call/nope"):
                with self.subTest(value=value, topic=topic):
                    client.publish(topic, json.dumps({"request_id": value, "calls": [{}]}), qos=1)
                    event = watcher.receive()
                    self.assertEqual(event.topic, "rpc/event/error")
                    self.assert_error(event, "invalid_request", method=topic.split("/")[-1], client=client.client_id)
                    broker.wait_log(f"client {client.client_id} called {topic.split('/')[-1]}: invalid_request: ")
        client.expect_nothing()
        self.assertEqual(ask_by_id(client, "probe.count"), {"result": {"runs": 1}})

    def test_errors_of_payloads_that_cannot_be_read(self):
        """The caller is told by what can be read of its payload; else everybody is, and whose call it was."""
        broker = self.start(["max_payload 10k"])
        client, watcher = self.client(broker), self.client(broker)
        watcher.subscribe("rpc/event/error")
        for broken in (b'{"request_id":"7","a":', b'{"request_id":"7"}\0', b'{"request_id":"7"} x', b'{"request_id":"7",}',
                       b'{"a":tru,"request_id":"7"}', b'{"request_id":"7","a":"' + 20_000 * b"x" + b'"}',
                       b'{"a":"' + 20_000 * b"x" + b'","request_id":"7"}'):
            with self.subTest(broken=broken[:40]):
                client.publish("rpc/call/echo", broken, qos=1)
                reply = client.receive()
                self.assertEqual(reply.topic, "rpc/call/echo/response/7")
                content = payload_of(reply)
                self.assertEqual(content["request_id"], "7")
                self.assertIn(content["error"]["err"], ("parse_error", "payload_too_large"))
        watcher.expect_nothing(0.05)
        for broken in (b'{"request_id":"7', b'{"a":1,', b"\xff"):
            with self.subTest(broken=broken):
                client.publish("rpc/call/echo", broken, qos=1)
                self.assert_error(watcher.receive(), "parse_error", method="echo", client=client.client_id)
        client.expect_nothing()

    def test_a_deadline_beside_a_request_id(self):
        client = self.client(self.start())
        for value in (0, -1, 1.5, 60001, "100", None):
            with self.subTest(value=value):
                error = ask_by_id(client, "sensorHistory", {"sensor_id": "a", "timeout_ms": value})["error"]
                self.assertEqual((error["err"], error["msg"]), (
                    "invalid_request", "timeout_ms must be a whole number of 1 to 60000 (timeout_max)"))
        content = ask_by_id(client, "sensorHistory", {"sensor_id": "a", "timeout_ms": 5000})
        self.assertNotEqual(content.get("error", {}).get("err"), "invalid_request")

    def test_hostile_request_ids(self):
        broker = self.start()
        client, watcher = self.client(broker), self.client(broker)
        watcher.subscribe("rpc/event/error")
        for request_id in ("+", "a/#", "a+b", "\n", "\x7f", "\u0080", "x" * 257, "ü" * 129):
            with self.subTest(request_id=request_id):
                client.publish("rpc/call/probe.count", json.dumps({"request_id": request_id}), qos=1)
                self.assert_error(watcher.receive(), "invalid_request", method="probe.count")
        client.expect_nothing()
        self.assertEqual(ask_by_id(client, "probe.count"), {"result": {"runs": 1}})

    def test_qos_of_replies_and_events_is_capped(self):
        for limit in (0, 1):
            client = self.client(self.start([f"qos {limit}"]), 5)
            client.subscribe("rpc/event/#")
            for qos in QUALITIES:
                with self.subTest(limit=limit, qos=qos):
                    self.assertEqual(ask(client, "ping", qos=qos).qos, min(qos, limit))
                    client.publish("rpc/call/ping", qos=qos)
                    self.assertEqual(client.receive().qos, limit)

    def test_reply_expiry(self):
        for value, expected in (("0", [None]), ("5m", range(280, 301))):
            with self.subTest(value=value):
                reply = ask(self.client(self.start([f"reply_expiry {value}"]), 5), "ping")
                self.assertIn(property_of(reply, MESSAGE_EXPIRY), expected)

    def test_reply_goes_to_the_client_alone(self):
        broker = self.start()
        connection, other = self.client(broker, 5), self.client(broker, 5)
        other.subscribe("#")
        connection.subscribe("#")
        ask(connection, "echo", "1")
        ask_by_id(connection, "echo")
        connection.expect_nothing()
        other.expect_nothing()

    def test_a_client_cannot_publish_through_the_plugin(self):
        broker = self.start(users={"device": "x", "victim": "x"}, anonymous=False,
                            acl="user device\ntopic write rpc/call/#\nuser victim\ntopic read #\n")
        victim = self.client(broker, 5, username="victim", password="x")
        device = self.client(broker, 5, username="device", password="x")
        victim.subscribe("#")
        ask(device, "echo", '"open"', topic="door/command")
        victim.expect_nothing()

    def test_a_repeated_reply_is_marked(self):
        """The same call again, at once and on another connection; payload and other properties do not change."""
        broker = self.start()
        identity, seen = new_identity().encode(), []
        for _ in range(2):
            client = self.client(broker, 5, client_id="same")
            seen += [ask(client, "probe.count", correlation=identity) for _ in range(2)]
        marks = [user_property_of(reply, "repeated") for reply in seen]
        self.assertEqual(marks, [None, "1", "1", "1"])
        self.assertEqual([(reply.payload, property_of(reply, CORRELATION_DATA), user_property_of(reply, "status"))
                          for reply in seen], 4 * [(b'{"runs":1}', identity, "ok")])

    def test_response_topics_of_the_caller(self):
        """%c and %u are one level each; a name that cannot be one has no Response Topics at all."""
        users = {"bob": "secret", "b+b": "secret"}
        broker = self.start(["response_topic_filter to/%c/%u/#"], users=users)
        for client_id, user, topic, fine in (
                ("c1", "bob", "to/c1/bob/x", True), ("c1", "bob", "to/c1/bob", True), ("c1", "bob", "to/c2/bob/x", False),
                ("c1", "bob", "to/c1/eve/x", False), ("c1", "b+b", "to/c1/bob/x", False), ("c1", None, "to/c1//x", False),
                ("+", "bob", "to/c2/bob/x", False), ("#", "bob", "to/c2/bob/x", False), ("a/bob", "bob", "to/a/bob/bob/x", False),
                ("%u", "bob", "to/%u/bob/x", True), ("%u", "bob", "to/bob/bob/x", False)):
            with self.subTest(client_id=client_id, user=user, topic=topic):
                how = {"username": user, "password": "secret"} if user else {}
                client, watcher = self.client(broker, 5, client_id=client_id, **how), self.client(broker, 5)
                watcher.subscribe("rpc/event/error")
                client.publish("rpc/call/echo", "1", qos=1, properties=[(RESPONSE_TOPIC, topic)])
                if fine:
                    self.assertEqual(client.receive().topic, topic)
                else:
                    self.assert_error(watcher.receive(), "invalid_request", client=client_id)
                client.expect_nothing(0.05)
                client.close()

    def test_response_topic_filter(self):
        broker = self.start(["response_topic_filter clients/+/in"])
        client, watcher = self.client(broker, 5), self.client(broker)
        watcher.subscribe("rpc/event/error")
        ask(client, "probe.count", topic="clients/a/in")
        client.publish("rpc/call/probe.count", qos=1, properties=[(RESPONSE_TOPIC, "clients/a/out")])
        self.assert_error(watcher.receive(), "invalid_request")
        self.assertEqual(result_of(ask(client, "probe.count", topic="clients/b/in")), {"runs": 2})

    def test_many_calls_at_once_are_answered_in_order(self):
        client = self.client(self.start(), 5)
        for number in range(300):
            client.publish("rpc/call/echo", str(number), properties=[(RESPONSE_TOPIC, "r")])
        self.assertEqual([payload_of(client.receive()) for _ in range(300)], list(range(300)))

    def test_topic_alias(self):
        client = self.client(self.start(), 5)
        entries = [(RESPONSE_TOPIC, "r"), (TOPIC_ALIAS, 1)]
        client.publish("rpc/call/echo", "1", properties=entries)
        client.publish("", "2", properties=entries)
        self.assertEqual([client.receive().payload, client.receive().payload], [b"1", b"2"])


class HostileResponseTopics(BrokerTest):
    """Such a call is not executed, nothing is published where it says, and the error is announced."""

    CHECKED_BY_SOME_BROKERS = ("a/+", "#", "a/#/b", "")
    TOPICS = ("$SYS/x", "$CONTROL/x/v1", "$share/g/t", "$", "x" * 257, "y" * 65535)
    CHECKED_BY_ALL_BROKERS = (b"line\nfeed", b"\x7f", b"\xff", b"a\xc0\x80", b"\xed\xa0\x80", b"a\x00b")

    def setUp(self):
        self.running = self.start()
        self.watcher = self.client(self.running)
        self.watcher.subscribe("#", "$SYS/x", "$CONTROL/#", "$")

    def test_topics(self):
        mine = self.TOPICS + (() if checks_response_topics() else self.CHECKED_BY_SOME_BROKERS)
        for number, topic in enumerate(mine):
            for qos in QUALITIES:
                with self.subTest(topic=topic[:20], qos=qos):
                    connection = self.client(self.running, 5)
                    properties = [(RESPONSE_TOPIC, topic), (CORRELATION_DATA, bytes([number]))]
                    try:
                        connection.publish("rpc/call/probe.count", qos=qos, properties=properties)
                        connection.expect_nothing(0.05)
                    except Closed:
                        self.fail("the connection ended")
                    event = self.watcher.receive()
                    self.assertEqual(event.topic, "rpc/event/error")
                    self.assert_error(event, "invalid_request", method="probe.count")
                    self.assertEqual(self.watcher.receive().topic, "rpc/dead/probe.count")
        self.watcher.expect_nothing()
        self.assertEqual(result_of(ask(self.client(self.running, 5), "probe.count")), {"runs": 1})

    def test_topics_that_end_the_connection(self):
        """If the broker lets one of them pass, the plugin does not."""
        for topic in self.CHECKED_BY_SOME_BROKERS + self.CHECKED_BY_ALL_BROKERS:
            with self.subTest(topic=topic):
                connection = self.client(self.running, 5)
                try:
                    connection.publish("rpc/call/probe.count", qos=1, properties=[(RESPONSE_TOPIC, topic)])
                except Closed:
                    continue
                connection.expect_nothing(0.05)
                self.assert_error(self.watcher.receive(), "invalid_request")
                self.assertEqual(self.watcher.receive().topic, "rpc/dead/probe.count")
        self.watcher.expect_nothing()
        self.assertEqual(result_of(ask(self.client(self.running, 5), "probe.count")), {"runs": 1})


class Consumed(BrokerTest):
    """No subscriber gets a call, the broker keeps nothing of it, and it is acknowledged correctly."""

    FILTERS = ("#", "+/+", "+/+/+", "rpc/#", "rpc/call/echo", "$/#", "$", "$share/g/#", "$share/h/rpc/call/#")

    # Success, or that there are no subscribers, which upstream does not report up to 2.0.18.
    REASONS = (0, NO_MATCHING_SUBSCRIBERS)

    def publish_all(self, broker):
        for version, qos, retain in itertools.product(VERSIONS, QUALITIES, RETAIN):
            with self.subTest(version=version, qos=qos, retain=retain):
                client = self.client(broker, version)
                reason = client.publish("rpc/call/echo", "{}", qos=qos, retain=retain)
                self.assertIn(reason, self.REASONS if version == 5 and qos == 1 else (0,))
                client.ping()

    def test_no_subscriber_gets_it(self):
        broker = self.start()
        watchers = [self.client(broker, 5) for _ in self.FILTERS]
        for watcher, topic in zip(watchers, self.FILTERS):
            watcher.subscribe(topic)
        self.publish_all(broker)
        for watcher in watchers:
            watcher.expect_nothing(0.05)
        late = self.client(broker, 5)
        late.subscribe("#", "$/#", "$", "rpc/call/#")
        late.expect_nothing()

    def test_forward_calls(self):
        broker = self.start(["forward_calls true"])
        watcher, client = self.client(broker, 5), self.client(broker, 5)
        watcher.subscribe("rpc/call/#")
        for qos, retain in itertools.product(QUALITIES, RETAIN):
            with self.subTest(qos=qos, retain=retain):
                ask(client, "echo", '"seen"', qos=qos, retain=retain)
                seen = watcher.receive()
                self.assertEqual((seen.topic, seen.payload, seen.retain), ("rpc/call/echo", b'"seen"', False))
        watcher.expect_nothing()
        late = self.client(broker)
        late.subscribe("#")
        late.expect_nothing()

    def test_similar_topics_are_left_alone(self):
        broker = self.start()
        watcher, client = self.client(broker), self.client(broker)
        watcher.subscribe("#")
        for topic in ("rpc", "rpc/cal/echo", "rpc/calls/echo", "xrpc/call/echo", "RPC/call/echo", "/rpc/call/echo",
                      "a/rpc/call/echo", "rpc/batch", "rpcx/call/echo", "rpc//call/echo", "rpc/events/x"):
            with self.subTest(topic=topic):
                client.publish(topic, "x", qos=1)
                self.assertEqual(watcher.receive().topic, topic)

    def test_retained_messages_elsewhere_still_work(self):
        broker = self.start()
        self.client(broker).publish("house/light", "on", qos=1, retain=True)
        late = self.client(broker)
        late.subscribe("house/#")
        self.assertTrue(late.receive().retain)


class UnknownMethods(BrokerTest):
    """Methods that no module registered: rejected, or left to other servers."""

    NAMES = ("nothing", "probe", "probe.count/x", "probe/deep", "Echo", "echo/", "a b", "ü", "x" * 129)

    def test_rejected(self):
        broker = self.start()
        watcher, client = self.client(broker), self.client(broker, 5, client_id="the-one-who-asks")
        watcher.subscribe("rpc/#")
        for name in self.NAMES:
            with self.subTest(name=name):
                self.assert_error(error_of(ask(client, name)), "method_not_found")
                client.publish(f"rpc/call/{name}", qos=1, retain=True)
                reply = ask_by_id(client, name)
                self.assert_error(reply["error"], "method_not_found")
        watcher.expect_nothing()
        late = self.client(broker)
        late.subscribe("#")
        late.expect_nothing()
        line = broker.wait_log("(?m)^.*the-one-who-asks.*nothing.*|^.*nothing.*the-one-who-asks.*").group()
        self.assertIn("rpc", line)

    def test_forwarded(self):
        broker = self.start(["unknown_methods forward"])
        watcher, client = self.client(broker, 5), self.client(broker, 5)
        watcher.subscribe("rpc/#")
        properties = [(RESPONSE_TOPIC, "r"), (CORRELATION_DATA, b"1")]
        client.publish("rpc/call/nothing", "not JSON", qos=1, retain=True, properties=properties)
        seen = watcher.receive()
        self.assertEqual((seen.topic, seen.payload), ("rpc/call/nothing", b"not JSON"))
        self.assertEqual(property_of(seen, RESPONSE_TOPIC), "r")
        client.expect_nothing()
        late = self.client(broker)
        late.subscribe("rpc/#")
        self.assertTrue(late.receive().retain, "it is untouched, its retain flag too")
        self.assertEqual(result_of(ask(client, "echo", "5")), 5)


class Events(BrokerTest):
    """Section 4: what is announced."""

    def setUp(self):
        self.running = self.start()
        self.watcher = self.client(self.running, 5)
        self.watcher.subscribe("rpc/event/#")
        self.connection = self.client(self.running, 5)

    def expect_event(self, name):
        event = self.watcher.receive()
        self.assertEqual(event.topic, f"rpc/event/{name}")
        self.assertEqual((event.qos, event.retain), (2, False))
        return event

    def test_always_announced(self):
        self.assertEqual(result_of(ask(self.connection, "probe.count")), {"runs": 1})
        self.assertEqual(payload_of(self.expect_event("probeCounted")), {"runs": 1})
        self.connection.publish("rpc/call/probe.count")
        self.assertEqual(payload_of(self.expect_event("probeCounted")), {"runs": 2})
        self.watcher.expect_nothing()

    def test_announced_when_unanswered(self):
        ask(self.connection, "probe/deep/name")
        ask_by_id(self.connection, "probe/deep/name")
        self.watcher.expect_nothing()
        self.connection.publish("rpc/call/probe/deep/name", qos=1)
        self.assertEqual(payload_of(self.expect_event("probeNamed"))["method"], "probe/deep/name")
        self.connection.expect_nothing()

    def test_every_way_of_asking_for_nothing(self):
        for version, qos, retain in itertools.product(VERSIONS, QUALITIES, RETAIN):
            with self.subTest(version=version, qos=qos, retain=retain):
                self.client(self.running, version).publish("rpc/call/probe.count", qos=qos, retain=retain)
                self.expect_event("probeCounted")
        self.watcher.expect_nothing()

    def test_errors_of_the_engine(self):
        self.connection.publish("rpc/call/probe.raise", '{"code": 5}')
        self.assert_error(self.expect_event("error"), "invalid_params", method="probe.raise")
        self.connection.publish("rpc/call/probe.raise", "{")
        self.assert_error(self.expect_event("error"), "parse_error", method="probe.raise")
        self.connection.publish("rpc/call/nothing", "{")
        self.watcher.expect_nothing()

    def test_errors_of_the_handler(self):
        self.connection.publish("rpc/call/probe.raise", '{"code": "probe_plain", "text": "no way"}')
        self.assertEqual(payload_of(self.expect_event("probeFailed")),
                         {"method": "probe.raise", "err": "probe_plain", "msg": "no way"})
        self.connection.publish("rpc/call/probe.raise_common", '{"code": "probe_trouble", "with_data": true}')
        self.assertEqual(payload_of(self.expect_event("error")), {
            "method": "probe.raise_common", "err": "probe_trouble", "msg": "as you wish",
            "detail": 'the "probe"', "number": 42})

    def test_an_answered_error_is_not_announced(self):
        error = error_of(ask(self.connection, "probe.raise", {"code": "probe_trouble", "with_data": True}))
        self.assertEqual((error["detail"], error["number"]), ('the "probe"', 42))
        self.assert_error(error_of(ask(self.connection, "probe.raise", "[")), "parse_error")
        self.assert_error(ask_by_id(self.connection, "probe.raise", {"code": "probe_plain"})["error"], "probe_plain")
        self.watcher.expect_nothing()

    def test_own_announcements(self):
        ask(self.connection, "probe.announce", {"text": "hello"})
        self.assertEqual(payload_of(self.expect_event("probeNoted")), {"text": "hello"})
        self.assertEqual(payload_of(self.expect_event("probe/last")), {"text": "hello"})
        late = self.client(self.running)
        late.subscribe("rpc/event/#")
        kept = late.receive()
        self.assertEqual((kept.topic, kept.retain), ("rpc/event/probe/last", True))
        late.expect_nothing()


class Errors(BrokerTest):
    """Section 5: the error object, and the codes that a handler may raise."""

    def setUp(self):
        self.running = self.start()
        self.connection = self.client(self.running, 5)

    def raised(self, **params):
        return error_of(ask(self.connection, "probe.raise", params))

    def test_declared_codes(self):
        self.assertEqual(self.raised(code="probe_plain", text="why"),
                         {"method": "probe.raise", "err": "probe_plain", "msg": "why"})
        self.assert_error(self.raised(code="probe_trouble", with_data=True), "probe_trouble", number=42)

    def test_codes_of_the_engine(self):
        for code in ("invalid_params", "timeout", "internal_error", "overloaded"):
            self.assert_error(self.raised(code=code), code, msg="as you wish")

    def test_undeclared_codes(self):
        for code in ("", "ok", "raised", "never_declared", "Bad Code", "probe_trouble "):
            with self.subTest(code=code):
                self.assert_error(self.raised(code=code), "internal_error")

    def test_handlers_at_fault(self):
        self.assert_error(error_of(ask(self.connection, "probe.fail")), "internal_error")
        self.assert_error(error_of(ask(self.connection, "probe.bad_result")), "internal_error")
        self.running.wait_log("probe.bad_result")

    def test_messages_are_cut(self):
        message = self.raised(code="probe_plain", text="ü" * 1000)["msg"]
        self.assertLessEqual(len(message.encode()), 512)
        self.assertGreater(len(message), 200)

    def test_status_of_way_3(self):
        self.connection.publish("rpc/call/probe.fail", '{"request_id":"a"}')
        reply = self.connection.receive()
        self.assertEqual(user_property_of(reply, "status"), "internal_error")
        self.assertEqual(payload_of(reply)["request_id"], "a")


class CallingClients(BrokerTest):
    """The client as a handler sees it."""

    def test_versions(self):
        broker = self.start()
        for version in VERSIONS:
            with self.subTest(version=version):
                client = self.client(broker, version, client_id=f'me "{version}" +/#')
                seen = ask_by_id(client, "probe.caller")["result"]
                self.assertEqual(seen["id"], f'me "{version}" +/#')
                self.assertEqual(seen["address"], "127.0.0.1")
                self.assertEqual(seen["version"], version)
                self.assertEqual(seen["method"], "probe.caller")
                self.assertNotIn("user", seen)

    def test_user(self):
        broker = self.start(users={"jürgen": "secret"}, anonymous=False)
        client = self.client(broker, 5, username="jürgen", password="secret")
        self.assertEqual(result_of(ask(client, "probe.caller"))["user"], "jürgen")

    def test_long_client_id(self):
        client = self.client(self.start(), 4, client_id="x" * 3000)
        self.assertEqual(ask_by_id(client, "probe.caller")["result"]["id"], "x" * 3000)

    def test_unix_socket(self):
        broker = self.start(unix=True)
        client = self.client(broker, 5, port=broker.unix_path)
        self.assertEqual(result_of(ask(client, "probe.caller"))["id"], client.client_id)

    def test_websocket(self):
        if not has_websockets():
            self.skipTest("this broker has no WebSockets")
        broker = self.start(websockets=True)
        client = self.client(broker, 5, port=broker.websockets_port, websocket=True)
        self.assertIn(result_of(ask(client, "probe.caller"))["address"], ("127.0.0.1", "::ffff:127.0.0.1"))

    def test_no_client_id(self):
        broker = self.start()
        for version in (4, 5):
            client = self.client(broker, version, client_id="")
            self.assertTrue(ask_by_id(client, "probe.caller")["result"]["id"])

    def test_connections_without_connect(self):
        broker = self.start()
        for start in (b"", b"\x10", b"\x10\x0c\x00\x04MQTT", b"\x30\x05\x00\x01axx", b"GET / HTTP/1.0\r\n\r\n"):
            lost = self.client(broker, connect=False)
            lost.send(start)
            lost.close()
        self.assertEqual(ask_by_id(self.client(broker), "echo"), {"result": {}})


class Payloads(BrokerTest):
    """Empty payloads, and packets that arrive twice."""

    def test_empty_payload(self):
        broker = self.start()
        client = self.client(broker, 5)
        for qos in QUALITIES:
            self.assertIn("unix", result_of(ask(client, "getTime", b"", qos=qos)))
            self.assertEqual(result_of(ask(client, "probe.bytes", b"", qos=qos)), {"size": 0})
        self.assert_error(error_of(ask(client, "probe.fields", b"")), "invalid_params")

    def test_bytes(self):
        client = self.client(self.start(), 5)
        for payload in (b"\x00", b"\xff\x00\xff", b"{not json", bytes(range(256)) * 64):
            self.assertEqual(result_of(ask(client, "probe.bytes", payload)), {"size": len(payload)})

    def test_bytes_that_look_like_a_request(self):
        """Raw bytes are never read as JSON: there is no request_id in them."""
        broker = self.start()
        client = self.client(broker)
        client.publish("rpc/call/probe.bytes", b'{"request_id":"x"}\x00', qos=1)
        client.ping()

    def test_resent_with_dup(self):
        broker = self.start()
        client = self.client(broker, 5)
        for qos in (1, 2):
            with self.subTest(qos=qos):
                mid = client.next_mid()
                client.publish("rpc/call/echo", "1", qos=qos, mid=mid, wait=False)
                if qos == 2:
                    client.wait_ack(PUBREC, mid)
                client.publish("rpc/call/echo", "1", qos=qos, mid=mid, dup=True)
                client.ping()
        self.assertNotIn("Reused message ID", broker.log())

    def test_dup_on_a_first_receipt(self):
        broker = self.start()
        for version, qos in itertools.product(VERSIONS, (1, 2)):
            with self.subTest(version=version, qos=qos):
                client = self.client(broker, version)
                client.publish("rpc/call/echo", '{"request_id":"d"}', qos=qos, dup=True)
                self.assertEqual(payload_of(client.receive()), {"request_id": "d", "result": {}})

    def test_dup_at_qos_0(self):
        if broker_version() >= (2, 0, 12):
            self.skipTest("the broker closes such a connection before the plugin sees it")
        client = self.client(self.start())
        client.publish("rpc/call/echo", '{"request_id":"d"}', dup=True)
        self.assertEqual(payload_of(client.receive())["result"], {})

    def test_other_properties_are_ignored(self):
        client = self.client(self.start(), 5)
        entries = [(PAYLOAD_FORMAT, 0), (CONTENT_TYPE, "text/plain"), (MESSAGE_EXPIRY, 1),
                   *[(USER_PROPERTY, ("status", f"{number}")) for number in range(50)]]
        self.assertEqual(result_of(ask(client, "echo", "1", entries=entries)), 1)


if __name__ == "__main__":
    main()
