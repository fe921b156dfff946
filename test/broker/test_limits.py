"""Sizes, rates, memory, slow handlers, and the counters that show them."""
import json
import math
import socket
import struct
import time

from harness import (INSTRUMENTED, SLOW, TIMEOUT, BrokerTest, Client, ask, ask_by_id, encode, error_of,
                     eventually, main, payload_of, result_of)
from mqtt import (CORRELATION_DATA, KEEPALIVE, MAXIMUM_PACKET_SIZE, RESPONSE_TOPIC, TOPIC_ALIAS_MAXIMUM, Silence,
                  user_property_of)


class Memory(BrokerTest):
    """Replies must not change the broker's count of its memory."""

    def test_memory_limit(self):
        broker = self.start(lines=["memory_limit 50000000", "sys_interval 1"], log_types=("notice", "information"))
        client = self.client(broker)  # with MQTT 5, some brokers miscount in the other direction
        payload = json.dumps({"request_id": "r", "a": "x" * 200})
        for number in range(3_000 if INSTRUMENTED else 30_000):
            client.publish("rpc/call/echo", payload)
            if number % 100 == 99:
                while len(client.inbox) < 100:
                    client.handle(client.read())
                client.inbox.clear()
        watcher = self.client(broker, 4)
        watcher.subscribe("$SYS/broker/heap/current")
        self.assertEqual(ask_by_id(client, "echo"), {"result": {}})
        for _ in range(2):
            try:
                self.assertIn(int(watcher.receive(5 * SLOW).payload), range(1, 2**26))
            except Silence:
                return  # the broker does not count its memory, or its figure stays the same

    def test_replies_larger_than_the_client_takes(self):
        """The broker drops them; other messages must still arrive."""
        broker = self.start()
        small = self.client(broker, 5, properties=[(MAXIMUM_PACKET_SIZE, 200)])
        small.subscribe("news", "rpc/event/#", qos=1)
        for _ in range(30):
            small.publish("rpc/call/probe.big", '{"size":1000}', properties=[(RESPONSE_TOPIC, "r")])
        small.ping()
        self.assertFalse(small.inbox)
        other = self.client(broker)
        for number in range(5):
            other.publish("news", str(number), qos=1)
            self.assertEqual(small.receive().payload, str(number).encode())
        ask(small, "probe.big", {"size": 1}, qos=0, correlation=b"1", topic="r")

    def test_topic_aliases_of_a_client_with_a_limit(self):
        """With max_reply below the client's limit, as the manual says. A broker of 2.1 that drops a message has given its
        topic an alias that the client never sees."""
        broker = self.start(["max_reply 128"])
        for qos in (0, 1):
            client = self.client(broker, 5, properties=[(MAXIMUM_PACKET_SIZE, 400), (TOPIC_ALIAS_MAXIMUM, 5)])
            for number in range(30):
                reply = ask(client, "probe.big", {"size": 1000}, qos=qos, topic=f"r{number % 7}")
                self.assert_error(error_of(reply), "reply_too_large")
            for number in range(14):
                self.assertEqual(result_of(ask(client, "echo", "1", qos=qos, topic=f"r{number % 7}")), 1)


class Bounds(BrokerTest):
    """The memory for calls and clients is bounded."""

    def assert_growth(self, broker, before, most):
        """Sanitizers and valgrind keep freed memory for a while."""
        if not INSTRUMENTED:
            self.assertLess(self.resident(broker) - before, most)

    def resident(self, broker):
        """The broker's resident memory, bytes."""
        with open(f"/proc/{broker.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))

    def start_quiet(self, options):
        return self.start([*options, "sys_interval 0"], log_types=("information",), lines=["set_tcp_nodelay true"])

    def call_with_identities(self, client, numbers):
        """Makes so many different calls."""
        for start in range(numbers.start, numbers.stop, 500):
            client.send(b"".join(
                client.publish_packet("rpc/call/probe.count", b"{}",
                                      entries=[(RESPONSE_TOPIC, "r"), (CORRELATION_DATA, f"identity-{number:020d}")])
                for number in range(start, start + 500)))
            while len(client.inbox) < 500:
                client.handle(client.read())
            client.inbox.clear()

    def test_identities(self):
        """200,000 identities; no more than duplicate_entries are kept."""
        count = 20_000 if INSTRUMENTED else 200_000
        broker = self.start_quiet(["duplicate_entries 5000"])
        client = self.client(broker, 5)
        self.call_with_identities(client, range(10_000))
        before = self.resident(broker)
        self.call_with_identities(client, range(10_000, count))
        self.assert_growth(broker, before, 1_000_000)
        for number, again in ((count - 4_999, False), (count - 5_500, True)):
            runs = result_of(ask(client, "probe.runs"))["runs"]
            self.ask_numbered(client, number)
            self.assertEqual(result_of(ask(client, "probe.runs"))["runs"] - runs, int(again))

    def test_duplicate_entries(self):
        broker = self.start_quiet(["duplicate_entries 100"])
        client = self.client(broker, 5)
        for first in (0, 1):
            self.assertEqual([self.ask_numbered(client, number) for number in range(first, 100 + first)],
                             list(range(1, 101)) if not first else [*range(2, 101), 101])
        self.assertEqual(self.ask_numbered(client, 0), 102)  # was evicted for number 100

    def ask_numbered(self, client, number):
        """The number of runs in the reply to the call with this identity."""
        reply = ask(client, "probe.count", b"{}", correlation=f"identity-{number:020d}".encode(), topic="r")
        return result_of(reply)["runs"]

    def test_duplicate_bytes(self):
        """Replies count, and the oldest are evicted first."""
        broker = self.start_quiet(["duplicate_bytes 100k", "max_reply 64k"])
        client = self.client(broker, 5)
        self.assertEqual(self.ask_numbered(client, 1), 1)
        for number in (2, 3):
            ask(client, "probe.big", {"size": 60_000}, correlation=f"identity-{number:020d}".encode())
        self.assertEqual(self.ask_numbered(client, 1), 2)
        self.assertEqual(self.ask_numbered(client, 1), 2)

    def test_clients(self):
        """20,000 client ids, each with a call of every kind that is recorded, whose connections end."""
        count = 4_000 if INSTRUMENTED else 20_000
        broker = self.start_quiet(["duplicate_entries 100", "rate_limit 100"])
        self.visit(broker, range(count // 10))
        before = self.resident(broker)
        self.visit(broker, range(count // 10, count))
        self.assert_growth(broker, before, 1_000_000)
        self.assertEqual(result_of(ask(self.client(broker, 5), "echo", "1")), 1)

    def visit(self, broker, numbers):
        """Connections that call at QoS 2 without an identity and with a short one, and are reset."""
        maker = Client(broker.port, 5)
        calls = maker.publish_packet("rpc/call/probe.count", b"{}", qos=2, mid=1)
        calls += maker.publish_packet("rpc/call/probe.count", b"{}", qos=1, mid=2,
                                      entries=[(RESPONSE_TOPIC, "r"), (CORRELATION_DATA, "short")])
        maker.close()
        for number in numbers:
            maker.client_id = f"visitor-{number}"
            with socket.create_connection(("127.0.0.1", broker.port), TIMEOUT) as visitor:
                visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                visitor.sendall(maker._connect_packet(True, None, None, KEEPALIVE, ()) + calls)
                seen = b""
                while b"\x50\x02\x00\x01" not in seen and b"\x50\x03\x00\x01" not in seen:  # PUBREC
                    seen += visitor.recv(4096)
                    self.assertTrue(seen)

    def test_waiting_calls(self):
        """A call that waits holds no parsed payload, and copies of it share their Correlation Data."""
        junk = '{"name":"none","junk":[' + ",".join(32_000 * ["0"]) + "]}"
        for name, payload, correlation, copies in (("junk", junk, "", 1), ("copies", '{"name":"none"}', 60_000 * "c", 17)):
            with self.subTest(name):
                broker = self.start_quiet([])
                client = self.client(broker, 5)
                before = self.resident(broker)
                for number in range(100):
                    for _ in range(copies):
                        client.publish("rpc/call/slow.wait", payload, properties=[
                            (RESPONSE_TOPIC, "r"), (CORRELATION_DATA, f"{number:020d}{correlation}".encode())])
                client.ping()
                self.assertFalse(client.inbox)
                self.assert_growth(broker, before, 100 * (300_000 if copies > 1 else 100_000))

    def test_max_pending_bytes(self):
        """One client that holds all bytes gets no more, and loses its newest call to another one."""
        broker = self.start_quiet(["max_pending_bytes 1m"])
        client, other = self.client(broker, 5), self.client(broker, 5)
        for number in range(20):
            client.publish("rpc/call/slow.wait", '{"name":"none"}', properties=[
                (RESPONSE_TOPIC, "r"), (CORRELATION_DATA, f"{number:020d}{60_000 * 'c'}".encode())])
        refused = self.replies_so_far(client)
        self.assertIn(len(refused), range(3, 10))
        error = error_of(refused[0])
        self.assert_error(error, "overloaded")
        self.assertIn("max_pending_bytes", error["msg"])
        other.publish("rpc/call/slow.wait", '{"name":"none"}', properties=[
            (RESPONSE_TOPIC, "r"), (CORRELATION_DATA, 60_000 * b"o")])
        self.assertEqual(self.replies_so_far(other), [])
        self.assertEqual(len(self.replies_so_far(client)), 1)

    def replies_so_far(self, client):
        """The replies that came before that to a call which is made now; brokers of 2.1 send some behind a PINGRESP."""
        client.publish("rpc/call/echo", "1", properties=[(RESPONSE_TOPIC, "end")])
        found = [client.receive()]
        while found[-1].topic != "end":
            found.append(client.receive())
        return found[:-1]


class Rates(BrokerTest):

    def flood(self, client, count, method="echo", batch=0):
        """Calls at once; returns the status of each reply that came."""
        kind, payload = ("batch", encode(batch * [1])) if batch else ("call", "1")
        self.began = getattr(self, "began", time.monotonic())
        for number in range(count):
            client.publish(f"rpc/{kind}/{method}", payload, properties=[(RESPONSE_TOPIC, "r")])
        client.ping()
        time.sleep(0.1)
        client.ping()
        statuses = [user_property_of(reply, "status") for reply in client.inbox]
        client.inbox.clear()
        return statuses

    def so_far(self, burst, rate):
        """How many there may have been since the first flood: all at once, and those that came free meanwhile."""
        return range(burst, burst + math.ceil(rate * (time.monotonic() - self.began)) + 2)

    def test_rate_limit(self):
        """First the burst, then a hundred errors, then no replies; after a while the same again."""
        broker = self.start(["rate_limit 10", "rate_burst 30"])
        client, other = self.client(broker, 5), self.client(broker, 5)
        statuses = self.flood(client, 1000)
        self.assertIn(statuses.count("ok"), self.so_far(30, 10))
        self.assertIn(statuses.count("rate_limited"), self.so_far(100, 100))
        self.assertEqual(set(statuses), {"ok", "rate_limited"})
        self.assertEqual(self.flood(other, 30), 30 * ["ok"])
        broker.wait_log("called echo: rate_limited: more calls than rate_limit allows")
        time.sleep(1.5)
        self.assertEqual(self.flood(client, 10), 10 * ["ok"])

    def test_the_burst_is_twice_the_rate(self):
        client = self.client(self.start(["rate_limit 20"]), 5)
        self.assertIn(self.flood(client, 200).count("ok"), self.so_far(40, 20))

    def test_off_by_default(self):
        self.assertEqual(self.flood(self.client(self.start(), 5), 1000), 1000 * ["ok"])

    def test_batches_count_by_the_item(self):
        """A batch of more calls than tokens are left runs, and leaves a debt."""
        client = self.client(self.start(["rate_limit 1", "rate_burst 25"]), 5)
        statuses = self.flood(client, 6, batch=10)
        self.assertEqual(statuses, sorted(statuses))
        self.assertIn(10 * statuses.count("ok"), range(30, 40 + math.ceil(time.monotonic() - self.began)))

    def test_coming_back_is_no_way_out(self):
        broker = self.start(["rate_limit 1", "rate_burst 10"])
        for version, clean in ((5, True), (5, False)):
            with self.subTest(clean=clean):
                total = 0
                for _ in range(5):
                    client = self.client(broker, version, client_id=f"same-{clean}", clean=clean)
                    total += self.flood(client, 10).count("ok")
                    client.reset()
                self.assertIn(total, self.so_far(10, 1))
                del self.began

    def test_fresh_ids_are_no_way_out(self):
        """With rate_limit_by address, and for anonymous clients with rate_limit_by user."""
        for who in ("client", "address", "user"):
            with self.subTest(who):
                broker = self.start(["rate_limit 1", "rate_burst 10", f"rate_limit_by {who}"])
                total = sum(self.flood(self.client(broker, 5), 10).count("ok") for _ in range(5))
                self.assertIn(total, range(50, 51) if who == "client" else self.so_far(10, 1))
                del self.began

    def test_rate_bytes(self):
        """Large calls are refused when their client has sent twice the bytes; others are not."""
        broker = self.start(["rate_bytes 100k"])
        client, other = self.client(broker, 5), self.client(broker, 5)
        payload, began = "[" + ",".join(25_000 * ["0"]) + "]", time.monotonic()
        for _ in range(20):
            client.publish("rpc/call/echo", payload, properties=[(RESPONSE_TOPIC, "r")])
        client.ping()
        statuses = [user_property_of(reply, "status") for reply in client.inbox]
        self.assertIn(statuses.count("ok"), range(5, 8 + math.ceil(2 * (time.monotonic() - began))))
        self.assertEqual(set(statuses), {"ok", "rate_limited"})
        self.assertIn("rate_bytes", error_of(client.inbox[-1])["msg"])
        self.assertEqual(self.flood(other, 30), 30 * ["ok"])

    def test_what_was_refused_was_not_carried_out(self):
        """The same call is then a new attempt."""
        broker = self.start(["rate_limit 2", "rate_burst 2"])
        client, watcher = self.client(broker, 5), self.client(broker)
        watcher.subscribe("rpc/event/probeCounted")
        self.flood(client, 2)
        how = {"correlation": b"0123456789abcdef", "topic": "r"}
        self.assert_error(error_of(ask(client, "probe.count", **how)), "rate_limited", method="probe.count")
        watcher.expect_nothing(0)
        time.sleep(1.5)
        self.assertEqual(result_of(ask(client, "probe.count", **how)), {"runs": 1})
        self.assertEqual(payload_of(watcher.receive()), {"runs": 1})

    def test_error_rate(self):
        """error_rate is for all clients and methods together; replies are not affected."""
        broker = self.start(["error_rate 5"])
        watcher = self.client(broker)
        watcher.subscribe("rpc/event/#")
        clients, began = [self.client(broker, version) for version in (4, 5)], time.monotonic()
        for number in range(100):
            topic, payload = ("rpc/call/echo", "{") if number % 4 < 2 else ("rpc/call/probe.fail", "")
            clients[number % 2].publish(topic, payload)
        for client in clients:
            client.ping()
        watcher.ping()
        self.assertIn(len(watcher.inbox), range(5, 12 + math.ceil(5 * (time.monotonic() - began))))
        self.assert_error(error_of(ask(clients[1], "probe.fail")), "internal_error")
        time.sleep(1.2)
        watcher.ping()
        watcher.inbox.clear()
        clients[0].publish("rpc/call/probe.fail")
        self.assert_error(watcher.receive(), "internal_error")

    def test_error_rate_is_shared_out(self):
        """One client alone does not suppress the errors of others."""
        broker = self.start(["error_rate 4"])
        watcher, client, other = self.client(broker), self.client(broker), self.client(broker)
        watcher.subscribe("rpc/event/error")
        for _ in range(200):
            client.publish("rpc/call/echo", "{")
        client.ping()
        other.publish("rpc/call/probe.fail", "[")
        other.ping()
        watcher.ping()
        methods = [payload_of(message)["method"] for message in watcher.inbox]
        self.assertIn("probe.fail", methods)

    def test_error_rate_off(self):
        broker = self.start(["error_rate 0"])
        client, watcher = self.client(broker), self.client(broker)
        watcher.subscribe("rpc/event/error")
        for _ in range(200):
            client.publish("rpc/call/echo", "{")
        for _ in range(200):
            self.assert_error(watcher.receive(), "parse_error")


class Subscribed(BrokerTest):
    """reply_delivery subscribed: replies are ordinary messages below {prefix}/reply/{client id}/."""

    ACL = ("pattern read rpc/reply/%c/#\ntopic write rpc/call/#\ntopic write rpc/batch/#\ntopic write rpc/jsonrpc\n"
           "topic read $SYS/#\ntopic read rpc/event/#\n")

    def begin(self, options=(), **how):
        return self.start(["reply_delivery subscribed", *options], acl=self.ACL, **how)

    def test_clients_get_their_replies(self):
        broker = self.begin(["jsonrpc_methods *"])
        client = self.client(broker, 5, client_id="one")
        client.subscribe("rpc/reply/one/#")
        for qos in (0, 1, 2):
            reply = ask(client, "echo", '"mine"', qos=qos, topic="rpc/reply/one/to/me")
            self.assertEqual((result_of(reply), reply.qos), ("mine", qos))
        for version in (3, 4):
            old = self.client(broker, version, client_id=f"old-{version}")
            old.subscribe(f"rpc/reply/old-{version}/#")
            for topic, payload in (("rpc/call/echo", {"request_id": "7", "a": 1}),
                                   ("rpc/call/echo", {"jsonrpc": "2.0", "method": "echo", "params": [1], "id": "7:8"}),
                                   ("rpc/jsonrpc", {"jsonrpc": "2.0", "method": "echo", "params": [1], "id": "7:8"}),
                                   ("rpc/batch/echo", {"request_id": "7", "calls": [1]})):
                old.publish(topic, json.dumps(payload), qos=1)
                self.assertEqual(old.receive().topic, f"rpc/reply/old-{version}/7")

    def test_only_subscribers_get_them(self):
        broker = self.begin()
        client = self.client(broker, 5, client_id="one")
        client.publish("rpc/call/echo", "1", qos=1, properties=[(RESPONSE_TOPIC, "rpc/reply/one/x")])
        client.expect_nothing()

    def test_others_cannot_read_them(self):
        """Such replies need the read ACL; replies to a client by its id do not."""
        broker = self.begin()
        client, spy = self.client(broker, 5, client_id="one"), self.client(broker, 5, client_id="spy")
        client.subscribe("rpc/reply/one/#")
        spy.subscribe("rpc/reply/#", "rpc/reply/one/#", "#", "rpc/reply/+/x", check=False)
        ask(client, "echo", "1", topic="rpc/reply/one/x")
        spy.expect_nothing()

    def test_replies_cannot_be_sent_to_others(self):
        broker = self.begin()
        victim, client = self.client(broker, 5, client_id="one"), self.client(broker, 5, client_id="on")
        watcher = self.client(broker, client_id="watcher")
        victim.subscribe("rpc/reply/one/#")
        watcher.subscribe("rpc/event/error")
        for topic in ("rpc/reply/one/x", "rpc/reply/one", "rpc/reply/on", "rpc/reply/onx/y", "rpc/reply/", "rpc/reply",
                      "reply/to/me", "rpc/event/probeCounted", "rpc/call/probe.count", "other/reply/on/x"):
            with self.subTest(topic=topic):
                client.publish("rpc/call/probe.count", qos=1, properties=[(RESPONSE_TOPIC, topic)])
                self.assert_error(watcher.receive(), "invalid_request", method="probe.count")
        victim.expect_nothing()
        client.subscribe("rpc/reply/on/#")
        self.assertEqual(result_of(ask(client, "probe.runs", topic="rpc/reply/on/x")), {"runs": 0})

    def test_client_ids_that_are_no_level(self):
        broker = self.begin()
        watcher = self.client(broker, client_id="watcher")
        watcher.subscribe("rpc/event/error")
        for client_id in ("one/two", "a+b", "#", "/"):
            with self.subTest(client_id=client_id):
                client = self.client(broker, 5, client_id=client_id)
                topic = f"rpc/reply/{client_id}/x".replace("+", "p").replace("#", "h")
                client.publish("rpc/call/probe.count", qos=1, properties=[(RESPONSE_TOPIC, topic)])
                self.assert_error(watcher.receive(), "invalid_request")

    def test_replies_cannot_be_forged(self):
        """Even if no ACL forbids it."""
        broker = self.start(["reply_delivery subscribed"])
        client, forger = self.client(broker, 5, client_id="one"), self.client(broker, 5)
        client.subscribe("rpc/reply/one/#")
        for topic in ("rpc/reply/one/x", "rpc/reply/one", "rpc/reply"):
            self.assertEqual(forger.publish(topic, "forged", qos=1), 0x87)
            forger.publish(topic, "forged", qos=0, retain=True)
        client.expect_nothing()

    def test_otherwise_they_are_no_matter(self):
        """With reply_delivery client, the plugin does not guard {prefix}/reply."""
        broker = self.start()
        client, other = self.client(broker), self.client(broker)
        client.subscribe("rpc/reply/#")
        other.publish("rpc/reply/one/x", "hello", qos=1)
        self.assertEqual(client.receive().payload, b"hello")

    def test_duplicates(self):
        broker = self.begin()
        client = self.client(broker, 5, client_id="one")
        client.subscribe("rpc/reply/one/#")
        how = {"topic": "rpc/reply/one/x", "correlation": b"0123456789abcdef"}
        replies = [ask(client, "probe.count", **how) for _ in range(2)]
        self.assertEqual(replies[0].payload, replies[1].payload)

    def test_a_client_that_never_reads_takes_no_memory(self):
        """The broker never frees a message to a client by its id that it has dropped."""
        broker = self.begin(lines=["sys_interval 1", "max_queued_messages 20"], log_types=("information",))
        deaf = self.client(broker, version=5, client_id="deaf", auto_ack=False)
        deaf.stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.subscribe("rpc/reply/deaf/#")
        deaf.timeout = 2 * SLOW
        try:
            for number in range(1500):
                deaf.publish("rpc/call/probe.big", '{"size":20000}', qos=number % 2, wait=False,
                             properties=[(RESPONSE_TOPIC, "rpc/reply/deaf/x")])
        except OSError:
            pass  # the broker stopped reading from it, which is as good
        other = self.client(broker, 5, client_id="other")
        other.subscribe("rpc/reply/other/#")
        self.assertEqual(result_of(ask(other, "echo", "1", topic="rpc/reply/other/x")), 1)
        deaf.close()
        eventually(lambda: self.stored_messages(broker) < 150)


class Sizes(BrokerTest):

    def test_max_payload(self):
        broker = self.start(["max_payload 1k"])
        client, watcher = self.client(broker, 5), self.client(broker)
        watcher.subscribe("rpc/event/error")
        for size, fits in ((1024, True), (1025, False), (300_000, False)):
            with self.subTest(size=size):
                reply = ask(client, "echo", '"' + "x" * (size - 2) + '"')
                if fits:
                    self.assertEqual(len(result_of(reply)), size - 2)
                else:
                    self.assert_error(error_of(reply), "payload_too_large", method="echo")
        self.assertEqual(result_of(ask(client, "probe.bytes", b"\x00" * 1024)), {"size": 1024})
        self.assert_error(error_of(ask(client, "probe.bytes", b"\x00" * 1025)), "payload_too_large")
        watcher.expect_nothing()
        client.publish("rpc/call/echo", json.dumps({"request_id": "r", "a": "x" * 2000}), qos=1)
        reply = client.receive()
        self.assertEqual(reply.topic, "rpc/call/echo/response/r")
        self.assert_error(payload_of(reply)["error"], "payload_too_large", method="echo")
        client.publish("rpc/call/echo", json.dumps({"a": "x" * 2000}), qos=1)
        self.assert_error(watcher.receive(), "payload_too_large", method="echo", client=client.client_id)

    def test_max_reply(self):
        broker = self.start(["max_reply 2k"])
        client = self.client(broker, 5)
        self.assertEqual(len(result_of(ask(client, "probe.big", {"size": 2000}))["text"]), 2000)
        for size in (2100, 1_000_000):
            self.assert_error(error_of(ask(client, "probe.big", {"size": size})), "reply_too_large")
        self.assert_error(ask_by_id(client, "probe.big", {"size": 3000})["error"], "reply_too_large")
        self.assertLess(len(ask(client, "probe.big", {"size": 3000}).payload), 2048)

    def test_max_reply_of_events(self):
        broker = self.start(["max_reply 2k"])
        client, watcher = self.client(broker, 5), self.client(broker)
        watcher.subscribe("rpc/event/#")
        self.assert_error(error_of(ask(client, "probe.announce", {"text": "x" * 3000})), "reply_too_large")
        watcher.expect_nothing()

    def test_large_ones_within_raised_limits(self):
        client = self.client(self.start(["max_payload 2m", "max_reply 2m"]), 5)
        text = "x" * 1_000_000
        self.assertEqual(result_of(ask(client, "echo", json.dumps(text))), text)


class Counters(BrokerTest):
    """$SYS/broker/rpc/{prefix}/…: retained, by prefix."""

    NAMES = ("calls", "errors", "unknown", "replies", "events", "refused", "limited", "suppressed",
             "duplicates", "dropped", "slow")

    def read_counters(self, client, prefix, until):
        """Receives counters until the condition holds."""
        found = {}
        while not (set(found) >= set(self.NAMES) and until(found)):
            message = client.receive(TIMEOUT)
            name = message.topic.removeprefix(f"$SYS/broker/rpc/{prefix}/")
            if name in self.NAMES:
                found[name] = int(message.payload)
        return found

    def test_without_ticks(self):
        """Before 2.0.15 the broker sends no TICK with per_listener_settings; then calls take its place."""
        broker = self.start(["sys_interval 1s"], first=["per_listener_settings true"])
        watcher, client = self.client(broker), self.client(broker)
        watcher.subscribe("$SYS/broker/rpc/rpc/#")
        client.publish("rpc/call/echo", "1", qos=1)
        self.read_counters(watcher, "rpc", lambda found: found["calls"] == 1)

    def test_values(self):
        broker = self.start(["sys_interval 1s", "prefix a b/c", "slow_call 50ms"])
        watcher, client = self.client(broker), self.client(broker, 5)
        watcher.subscribe("$SYS/broker/rpc/b/c/#")
        for _ in range(3):
            ask(client, "echo", "1", prefix="b/c")
        ask(client, "echo", "{", prefix="b/c")
        client.publish("b/c/call/echo", "{", qos=1)
        ask(client, "nothing", prefix="b/c")
        ask(client, "probe.count", prefix="b/c")
        ask(client, "probe.sleep", {"ms": 200}, prefix="b/c")
        client.publish("b/c/event/x", "forged", qos=1)
        client.publish("b/c/call/echo/response/x", "forged", qos=1)
        found = self.read_counters(watcher, "b/c", lambda found: found["refused"] >= 2 and found["slow"])
        self.assertGreaterEqual(found["calls"], 7)
        self.assertEqual(found["unknown"], 1)
        self.assertGreaterEqual(found["errors"], 2)
        self.assertEqual(found["replies"], 7)
        self.assertEqual(found["events"], 2)
        self.assertEqual(found["refused"], 2)
        other = self.client(broker)
        other.subscribe("$SYS/broker/rpc/a/#")
        self.assertEqual(set(self.read_counters(other, "a", lambda found: True).values()), {0})

    def test_results_over_max_reply(self):
        """Each call counts once, and as an error, whether the reply that is too large is a call's or a batch's."""
        broker = self.start(["sys_interval 1s", "max_reply 128"])
        watcher, client = self.client(broker), self.client(broker, 5)
        watcher.subscribe("$SYS/broker/rpc/rpc/#")
        client.publish("rpc/batch/ping", "[{},{},{},{},{}]", qos=1, properties=[(RESPONSE_TOPIC, "reply/to/me")])
        self.assert_error(error_of(client.receive()), "reply_too_large")
        for _ in range(5):
            self.assert_error(error_of(ask(client, "echo", json.dumps("x" * 200))), "reply_too_large")
        found = self.read_counters(watcher, "rpc", lambda found: found["replies"] == 6)  # published after errors
        self.assertEqual((found["calls"], found["errors"]), (10, 10))

    def test_retained(self):
        broker = self.start(["sys_interval 1s"])
        first = self.client(broker)
        first.subscribe("$SYS/broker/rpc/rpc/calls")
        self.assertEqual(int(first.receive(TIMEOUT).payload), 0)
        late = self.client(broker)
        late.subscribe("$SYS/broker/rpc/rpc/calls")
        self.assertTrue(late.receive().retain)

    def test_they_follow(self):
        broker = self.start(["sys_interval 1s"])
        watcher, client = self.client(broker), self.client(broker, 5)
        watcher.subscribe("$SYS/broker/rpc/rpc/calls")
        for wanted in (2, 4):
            ask(client, "echo", "1")
            ask(client, "echo", "1")
            eventually(lambda: int(watcher.receive(TIMEOUT).payload) == wanted)

    def test_off(self):
        broker = self.start(["sys_interval 0"])
        watcher, client = self.client(broker), self.client(broker, 5)
        watcher.subscribe("$SYS/broker/rpc/#")
        ask(client, "echo", "1")
        watcher.expect_nothing(2)

    def test_clients_cannot_write_them(self):
        broker = self.start(["sys_interval 1s"])
        watcher = self.client(broker)
        watcher.subscribe("$SYS/broker/rpc/rpc/calls")
        self.client(broker).publish("$SYS/broker/rpc/rpc/calls", "99", qos=0, retain=True)
        self.assertEqual(int(watcher.receive(TIMEOUT).payload), 0)


class SlowCalls(BrokerTest):

    def test_logged(self):
        broker = self.start(["slow_call 100ms"])
        client = self.client(broker, 5)
        ask(client, "probe.sleep", {"ms": 300})
        self.assertIn("probe.sleep", broker.wait_log(r"(?m)^.* took \d+ ms.*$").group())

    def test_the_log_is_not_filled(self):
        broker = self.start(["slow_call 1ms"])
        client, began = self.client(broker, 5), time.monotonic()
        for _ in range(200):
            client.publish("rpc/call/probe.sleep", '{"ms":3}')
        ask(client, "echo", "1")
        lines = [line for line in broker.log().splitlines() if "probe.sleep" in line and "Received" not in line]
        self.assertLess(len(lines), 100 + 2 * (time.monotonic() - began))


if __name__ == "__main__":
    main()
