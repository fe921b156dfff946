# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The program mosquitto_rpc_worker that attaches, with a double of broker and plugin in one, which sends what it likes
when it likes: what it offers, calls, cancels, refusals, events, draining, connections that are lost."""
import collections
import json
import pathlib
import select
import signal
import socket

from program import WorkerTest  # first: it finds the others
from harness import INSTRUMENTED, TIMEOUT, ask, ask_by_id, broker_version, error_of, main, new_identity, result_of
from mqtt import (CONNACK, CONNECT, CORRELATION_DATA, DISCONNECT, PINGREQ, PINGRESP, RESPONSE_TOPIC,
                  SUBACK, SUBSCRIBE, USER_PROPERTY, Client, SocketStream, packet, properties,
                  property_of, user_property_of)


class Plugin(Client):
    """The broker's end of one connection of a worker. Messages of the worker are kept for receive()."""

    def __init__(self, sock):
        self.version, self.timeout, self.auto_ack = 5, TIMEOUT, True
        self.inbox, self.aliases, self.buffer = collections.deque(), {}, b""
        self.last_mid, self.disconnect_reason = 0, None
        self.client_id, self.will = "plugin", None
        self.stream = SocketStream(sock)
        self.connect_packet = self.wait_for(CONNECT)
        self.send(packet(CONNACK, 0, b"\x00\x00" + properties(())))

    def handle(self, found):
        super().handle(found)
        if found.kind == SUBSCRIBE:
            self.send(packet(SUBACK, 0, found.body[:2] + properties(()) + b"\x01"))
        elif found.kind == PINGREQ:
            self.send(packet(PINGRESP, 0, b""))

    def take(self, topic):
        """The next message, which must be to this topic."""
        found = self.receive()
        assert found.topic == topic, (topic, found)
        assert found.qos == 1, found
        return found

    def reply(self, request, status, content):
        """Replies to a call of the worker."""
        self.publish(property_of(request, RESPONSE_TOPIC), json.dumps(content), qos=1,
                     properties=[(CORRELATION_DATA, property_of(request, CORRELATION_DATA)),
                                 (USER_PROPERTY, ("status", status))])

    def accept(self, prefix="rpc", **members):
        """Attaches the worker that is going to ask; returns its parameters."""
        request = self.take(f"{prefix}/call/rpc.attach")
        params = json.loads(request.payload)
        self.work = f"{prefix}/work/{params['worker']}"
        self.reply(request, "ok", {"work": self.work, "window": params["window"], "max_payload": 65536,
                                   "max_reply": 131072, "ignored": [], **members})
        return params

    def hand_out(self, method, params=b"{}", identity=None, caller="c1", entries=(), **words):
        """Sends a call; returns its id."""
        identity = identity or new_identity().encode()
        words = {"method": method, "caller": caller, "caller_version": "5", "deadline_ms": "60000", **words}
        self.publish(self.work, params if isinstance(params, bytes) else json.dumps(params), qos=1, wait=False,
                     properties=[(RESPONSE_TOPIC, f"{self.work}/done"), (CORRELATION_DATA, identity), *entries,
                                 *((USER_PROPERTY, (name.replace("_", "-"), value))
                                   for name, value in words.items() if value is not None)])
        return identity

    def cancel(self, identity):
        self.publish(f"{self.work}/cancel", b"", qos=1, properties=[(CORRELATION_DATA, identity)], wait=False)

    def answer(self, identity=None):
        """The next answer: its id, its status and its payload."""
        found = self.take(f"{self.work}/done")
        status = user_property_of(found, "status")
        if identity is not None:
            assert property_of(found, CORRELATION_DATA) == identity, found
        return property_of(found, CORRELATION_DATA), status, json.loads(found.payload or b"null")

    def run(self, method, params=b"{}", **how):
        """Has a call carried out; returns status and payload."""
        return self.answer(self.hand_out(method, params, **how))[1:]


def said(manager):
    """What the service manager has been told and has not read."""
    texts = []
    while select.select([manager], [], [], 0)[0]:
        texts.append(manager.recv(100))
    return texts


class AttachedTest(WorkerTest):
    def setUp(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(TIMEOUT)
        self.addCleanup(self.listener.close)
        self.place = self.make(plugins=[])  # for its directory

    def beginning(self, *options, **how):
        """A worker that is about to connect."""
        return self.make_worker(self.place, "attach", "name w1", *options,
                                address=f"127.0.0.1:{self.listener.getsockname()[1]}", **how).start()

    def attached(self, *options, **members):
        """A worker and its plugin."""
        worker = self.beginning(*options)
        plugin = self.plugin()
        self.params = plugin.accept(**members)
        worker.wait_log("attached as w1")
        return worker, plugin

    def plugin(self):
        sock, _ = self.listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plugin = Plugin(sock)
        self.addCleanup(plugin.close)
        return plugin


class Attaching(AttachedTest):
    def test_what_is_offered(self):
        self.attached("window 5")
        params = dict(self.params)
        methods = params.pop("methods")
        self.assertEqual(params.pop("worker"), "w1")
        self.assertRegex(params.pop("version"), r"^\d+\.\d+\.\d+$")
        self.assertEqual(params, {"window": 5})
        self.assertIn("probe.caller", methods)
        self.assertIn("slow.sleep", methods)
        self.assertFalse([name for name in methods if name.startswith(("rpc.", "dead.", "device"))])

    def test_the_option_methods(self):
        self.attached("methods slow.sleep ping")
        self.assertEqual(sorted(self.params["methods"]), ["ping", "slow.sleep"])

    def test_a_refusal_is_logged_and_tried_again(self):
        worker = self.beginning()
        plugin = self.plugin()
        plugin.reply(plugin.take("rpc/call/rpc.attach"), "not_allowed",
                     {"err": "not_allowed", "msg": "see workers_users"})
        worker.wait_log("rpc.attach was refused: not_allowed: see workers_users; the next attempt is in 0.5 s")
        plugin.accept()
        worker.wait_log("attached as w1, window 8")

    def test_results_that_lie(self):
        """The worker knows its topics itself; figures of any size are no longer in the log than others."""
        worker, plugin = self.attached(work="other/#", window=-5, max_payload=1e300, ignored=[1, None, "x" * 100000])
        worker.wait_log(r"max_payload, 1e\+300 bytes, is larger")
        plugin.work = "rpc/work/w1"
        self.assertEqual(plugin.run("ping")[0], "ok")
        self.assertLess(max(map(len, worker.log().splitlines())), 600)

    def test_dispatches_that_are_none(self):
        """Whatever comes to the work topic, the worker goes on, and answers what has an id that can be answered."""
        worker, plugin = self.attached()
        done, deadline = (RESPONSE_TOPIC, f"{plugin.work}/done"), ("deadline-ms", "5000")
        caller, ping = (USER_PROPERTY, ("caller", "c")), (USER_PROPERTY, ("method", "ping"))
        forms = [(), (done,), (done, ping, caller)]
        if broker_version() <= (2, 0, 11):  # later brokers close the connection of who publishes that
            forms.append((ping, caller, (RESPONSE_TOPIC, "#")))
        methods = ("", "nope", "rpc.attach", "#", "+/ping", "ping/", "/ping", "ping/response", "x" * 65535)
        deadlines = ("", "0", "-1", "x", "1e9", "18446744073709551616", "9" * 1000)
        forms += [(done, caller, (USER_PROPERTY, ("method", method)), (USER_PROPERTY, deadline)) for method in methods]
        forms += [(done, caller, ping, (USER_PROPERTY, ("deadline-ms", text))) for text in deadlines]
        asked = set()
        for i, form in enumerate(forms):
            for size in (None, 0, 32, 65535):
                identity = None if size is None else f"{i:032}".encode().ljust(size, b"x")[:size]
                asked |= {identity} if size == 32 else set()
                entries = form if identity is None else (*form, (CORRELATION_DATA, identity))
                for payload in (b"{}", b"\xff", b"[" * 3000):
                    plugin.publish(plugin.work, payload, qos=1, properties=entries, wait=False)
                plugin.cancel(b"never heard of it")
        asked.add(plugin.hand_out("ping", identity=b"last"))
        answered = set()
        while b"last" not in answered:
            answered.add(plugin.answer()[0])
        self.assertEqual(answered, asked)

    def test_odd_replies(self):
        worker = self.beginning()
        plugin = self.plugin()
        request = plugin.take("rpc/call/rpc.attach")
        topic, identity = property_of(request, RESPONSE_TOPIC), property_of(request, CORRELATION_DATA)
        plugin.publish(topic, b"{}", qos=1)
        plugin.publish(topic, b"{}", qos=1,
                       properties=[(CORRELATION_DATA, identity + b"x"), (USER_PROPERTY, ("status", "ok"))])
        plugin.publish(topic, b"\xff{[", qos=1, properties=[(CORRELATION_DATA, identity)])
        worker.wait_log("rpc.attach was refused: : no reason was given")
        request = plugin.take("rpc/call/rpc.attach")
        plugin.publish(topic, b"[1]", qos=1, properties=[(CORRELATION_DATA, property_of(request, CORRELATION_DATA)),
                                                         (USER_PROPERTY, ("status", "ok"))])
        worker.wait_log("attached as w1")

    def test_several_prefixes(self):
        worker = self.beginning("prefix a b/c")
        plugin = self.plugin()
        plugin.accept("a")
        plugin.accept("b/c")
        for prefix in ("a", "b/c"):
            worker.wait_log(f"{prefix}: attached as w1")
            plugin.work = f"{prefix}/work/w1"
            self.assertEqual(plugin.run("ping")[0], "ok")
            self.assertEqual(plugin.run("ping", identity=b"same")[0], "ok")

    def test_the_service_manager_is_told_when_it_is_attached(self):
        """To all prefixes, and once, so that an upgrade can wait for it."""
        manager, environment = self.service_manager(self.place.directory)
        worker = self.beginning("prefix a b", environment=environment)
        plugin = self.plugin()
        plugin.accept("a")
        refused = plugin.take("b/call/rpc.attach")
        worker.wait_log("a: attached as w1")
        plugin.reply(refused, "name_in_use", {"err": "name_in_use", "msg": "it is in use"})
        worker.wait_log("b: rpc.attach was refused")
        self.assertEqual(said(manager), [])
        plugin.accept("b")
        worker.wait_log("b: attached as w1")
        self.assertEqual(manager.recv(100), b"READY=1")
        plugin.close()
        again = self.plugin()
        again.accept("a")
        again.accept("b")
        worker.wait_log("b: attached as w1", count=2)
        self.assertEqual(said(manager), [])
        worker.signal(signal.SIGTERM)
        self.assertEqual(manager.recv(100), b"STOPPING=1")

    def test_what_the_plugin_does_not_hand_out_is_named(self):
        worker, _ = self.attached(ignored=["ping", "e\x00cho"], max_payload=70000)
        worker.wait_log(r"attached as w1, window 8; methods that the plugin runs itself or does not have: ping e")
        worker.wait_log(r"the plugin's max_payload, 70000 bytes, is larger than this worker's, 65536")


class Calls(AttachedTest):
    def test_a_call_in_the_name_of_its_caller(self):
        _, plugin = self.attached()
        status, found = plugin.run("probe.caller", caller="k\u00f6hler", caller_user="me", caller_version="4")
        self.assertEqual((status, found["id"], found["user"], found["version"]), ("ok", "k\u00f6hler", "me", 4))
        self.assertNotIn("address", found)
        self.assertNotIn("user", plugin.run("probe.caller")[1])

    def test_errors(self):
        _, plugin = self.attached()
        for method, params, status in (("nope", b"{}", "method_not_found"), ("ping", b"[", "parse_error"),
                                       ("slow.sleep", {"ms": "x"}, "invalid_params"),
                                       ("slow.sleep", {"ms": 1, "fail": True}, None)):
            found, error = plugin.run(method, params)
            self.assertEqual(error["err"], found)
            self.assertIn(found, [status] if status else [found])
            self.assertNotEqual(found, "ok")

    def test_work_and_many_at_once(self):
        _, plugin = self.attached("workers 4")
        sent = {plugin.hand_out("slow.sleep", {"ms": 50}, caller="same") for _ in range(8)}
        answers = [plugin.answer() for _ in sent]
        self.assertEqual({identity for identity, _, _ in answers}, sent)
        self.assertEqual({status for _, status, _ in answers}, {"ok"})

    def test_payloads_are_parameters_and_nothing_around_them(self):
        _, plugin = self.attached()
        payload = {"jsonrpc": "2.0", "id": "1", "method": "ping", "request_id": "x"}
        status, found = plugin.run("echo", payload)
        self.assertEqual((status, found), plugin.run("echo", payload))
        self.assertEqual(status, "ok")
        self.assertNotIn("result", found)

    def test_the_deadline_is_that_of_the_plugin(self):
        _, plugin = self.attached("timeout_max 60s")
        self.assertEqual(plugin.run("slow.sleep", {"ms": 3000, "polite": True}, deadline_ms="100")[0], "timeout")
        self.assertEqual(plugin.run("slow.sleep", {"ms": 1}, deadline_ms="86400000")[0], "ok")

    def test_interim_replies(self):
        _, plugin = self.attached()
        identity = plugin.hand_out("slow.twice", {"ms": 1}, progress="1")
        statuses = []
        while not statuses or statuses[-1] == "progress":
            statuses.append(plugin.answer(identity)[1])
        self.assertEqual(statuses[-1], "ok")

    def test_a_call_that_comes_again_runs_once(self):
        _, plugin = self.attached()
        first = plugin.run("probe.count", identity=b"0123456789abcdef0123456789abcdef")
        self.assertEqual(plugin.run("probe.count", identity=b"0123456789abcdef0123456789abcdef"), first)
        self.assertNotEqual(plugin.run("probe.count"), first)

    def test_a_call_that_comes_again_while_it_runs(self):
        _, plugin = self.attached()
        identity = plugin.hand_out("slow.sleep", {"ms": 300})
        plugin.hand_out("slow.sleep", {"ms": 300}, identity=identity)
        self.assertEqual(plugin.answer(identity)[1], "ok")
        self.assertEqual(plugin.run("ping")[0], "ok")

    def test_cancel(self):
        _, plugin = self.attached("workers 1")
        begun = plugin.hand_out("slow.sleep", {"ms": 2000, "polite": True}, caller="same")
        waits = plugin.hand_out("slow.sleep", {"ms": 1}, caller="same")
        other = plugin.hand_out("slow.sleep", {"ms": 2}, caller="same")
        for identity in (waits, begun):
            plugin.cancel(identity)
            self.assertEqual(plugin.answer(identity)[1], "cancelled")
        self.assertEqual(plugin.answer(other)[1], "ok")
        for identity in (waits, other, b"unknown", b"x" * 1000, b""):
            plugin.cancel(identity)
        self.assertEqual(plugin.run("ping")[0], "ok")

    def test_strange_dispatches(self):
        worker, plugin = self.attached()
        for method in (None, "", "a/response/b", "ping/request", "x" * 2000, "a+b", "#", "a//b", "\u00e4"):
            status = plugin.run(method)[0]
            self.assertIn(status, ("refused", "method_not_found"), method)
        self.assertEqual(plugin.run("ping", caller=None)[0], "refused")
        for identity in (b"x" * 65, b"x" * 60000):
            plugin.hand_out("ping", identity=identity)
        for version in ("", "nine", "99"):
            self.assertEqual(plugin.run("ping", caller_version=version)[0], "ok")
        for deadline in ("", "-1", "soon", "0", "9" * 30):
            status, _ = plugin.run("slow.sleep", {"ms": 1}, deadline_ms=deadline)
            self.assertIn(status, ("ok", "invalid_request"), deadline)
        for topic in ("rpc/call/ping", "rpc/work/w2", "rpc/event/x", "x", "rpc/work/w1/done"):
            plugin.publish(topic, b"{}", qos=1, properties=[(RESPONSE_TOPIC, "a"), (CORRELATION_DATA, b"1")])
        self.assertEqual(plugin.run("ping")[0], "ok")
        self.assertFalse(plugin.inbox)

    def test_a_flood_is_bounded(self):
        worker, plugin = self.attached("max_pending 10", "workers 1")
        sent = [plugin.hand_out("slow.sleep", {"ms": 20}) for _ in range(200)]
        answers = {identity: status for identity, status, _ in (plugin.answer() for _ in sent)}
        self.assertEqual(answers.keys(), set(sent))
        self.assertIn("overloaded", answers.values())

    def test_a_broker_that_takes_nothing(self):
        """What waits for it is bounded; and when it goes on, so does the worker."""
        worker, plugin = self.attached("max_pending_bytes 65536", "max_reply 100000")
        for _ in range(300):
            plugin.hand_out("probe.big", {"size": 60000})
        worker.wait_log("a reply to rpc/work/w1/done was dropped: no memory, or too many messages are on their way")
        resident = int((pathlib.Path("/proc") / str(worker.process.pid) / "statm").read_text().split()[1]) * 4096
        self.assertLess(resident, 1000e6 if INSTRUMENTED else 100e6)
        statuses = [plugin.answer()[1]]
        identity = plugin.hand_out("ping")
        while True:
            found, status, _ = plugin.answer()
            statuses.append(status)
            if found == identity:
                break
        self.assertEqual(set(statuses), {"ok", "internal_error"})
        self.assertLess(len(statuses), 300)

    def test_events(self):
        """Those that a handler publishes; the one of its result is the plugin's business."""
        _, plugin = self.attached()
        identity = plugin.hand_out("probe.announce", {"text": "a"})
        messages = [plugin.receive() for _ in range(3)]
        self.assertEqual([message.topic for message in messages],
                         ["rpc/work/w1/event/probeNoted", "rpc/work/w1/event/probe/last", "rpc/work/w1/done"])
        self.assertEqual([(message.qos, message.retain) for message in messages], [(1, False)] * 3)
        self.assertEqual(json.loads(messages[0].payload), {"text": "a"})
        self.assertEqual(property_of(messages[2], CORRELATION_DATA), identity)
        self.assertEqual(plugin.run("probe.count")[0], "ok")
        self.assertFalse(plugin.inbox)


class Ends(AttachedTest):
    def drain(self, worker, plugin):
        worker.signal(signal.SIGTERM)
        request = plugin.take("rpc/call/rpc.detach")
        self.assertEqual(json.loads(request.payload), {"worker": "w1"})
        return request

    def test_draining(self):
        worker, plugin = self.attached()
        begun = plugin.hand_out("slow.sleep", {"ms": 400})
        self.assertEqual(plugin.run("ping")[0], "ok")
        request = self.drain(worker, plugin)
        late = plugin.hand_out("ping")
        self.assertEqual(plugin.answer(late)[1], "refused")
        plugin.reply(request, "ok", {"outstanding": 1})
        self.assertEqual(plugin.answer(begun)[1], "ok")
        plugin.wait_for(DISCONNECT)
        self.assertEqual(worker.wait(), 0)

    def test_nothing_to_drain(self):
        worker, plugin = self.attached()
        request = self.drain(worker, plugin)
        plugin.reply(request, "ok", {"outstanding": 0})
        plugin.wait_for(DISCONNECT)
        self.assertEqual(worker.wait(), 0)

    def test_draining_before_it_is_attached(self):
        worker = self.beginning()
        plugin = self.plugin()
        plugin.take("rpc/call/rpc.attach")
        worker.signal(signal.SIGTERM)
        plugin.reply(plugin.take("rpc/call/rpc.detach"), "internal_error", {})
        self.assertEqual(worker.wait(), 0)

    def test_a_lost_connection_ends_its_calls(self):
        worker, plugin = self.attached()
        identity = plugin.hand_out("slow.sleep", {"ms": 500, "polite": True})
        self.assertEqual(plugin.run("ping")[0], "ok")
        plugin.close()
        worker.wait_log("the next attempt is in")
        again = self.plugin()
        again.accept()
        self.assertEqual(again.run("slow.sleep", {"ms": 600})[0], "ok")
        self.assertFalse(again.inbox)
        self.assertNotEqual(identity, None)
        worker.wait_log("attached as w1", count=2)
        again.reply(self.drain(worker, again), "ok", {"outstanding": 0})
        self.assertEqual(worker.wait(), 0)

    def test_a_broker_that_is_gone_without_a_word(self):
        """It is noticed by the keep alive."""
        worker, plugin = self.attached()
        plugin.handle = lambda found: None
        again = self.plugin()
        again.accept()
        self.assertEqual(again.run("ping")[0], "ok")
        worker.wait_log("attached as w1", count=2)


class Real(WorkerTest):
    """Beside the plugin itself."""

    placed = [f"placement_{method} remote"
              for method in ("probe.caller", "probe.announce", "probe.count", "slow.sleep")]

    def setUp(self):
        self.begin()

    def begin(self, **how):
        self.broker = self.start(["workers_users crew", "prefix rpc other", *self.placed], users={"crew": "secret"}, **how)
        (self.broker.directory / "password").write_text("secret\n")

    def attached(self, name="w1", count=1):
        worker = self.make_worker(self.broker, "attach", f"name {name}", "prefix rpc other", "user crew",
                                  f"password_file {self.broker.directory / 'password'}", name=name).start()
        worker.wait_log("rpc: attached as", count)
        worker.wait_log("other: attached as", count)
        return worker

    def test_a_caller_sees_no_difference(self):
        worker = self.attached()
        caller = self.client(self.broker, 5, client_id="c1")
        watcher = self.client(self.broker, 5)
        watcher.subscribe("#")
        self.assertEqual(result_of(ask(caller, "probe.caller"))["id"], "c1")
        self.assertEqual(result_of(ask(caller, "probe.caller", prefix="other"))["id"], "c1")
        old = self.client(self.broker, 4, client_id="c2")
        self.assertEqual(ask_by_id(old, "probe.caller")["result"]["id"], "c2")
        result_of(ask(caller, "probe.announce", {"text": "a"}))
        topics = [watcher.receive().topic for _ in range(2)]
        self.assertEqual(topics, ["rpc/event/probeNoted", "rpc/event/probe/last"])
        result_of(ask(caller, "probe.count"))
        self.assertEqual(watcher.receive().topic, "rpc/event/probeCounted")
        watcher.expect_nothing()
        worker.stop()

    def test_a_reply_larger_than_the_broker_takes(self):
        """The caller is told at once, and the worker has its window back."""
        self.broker.stop()
        self.placed = ["placement_probe.big remote"]
        self.begin(lines=["max_packet_size 20000"])
        worker = self.attached()
        caller = self.client(self.broker, 5)
        for _ in range(40):
            error = error_of(ask(caller, "probe.big", {"size": 30000}))
            self.assertEqual(error["err"], "internal_error")
            self.assertIn("larger than the broker takes", error["msg"])
        self.assertEqual(len(result_of(ask(caller, "probe.big", {"size": 10000}))["text"]), 10000)
        worker.stop()

    def test_draining_and_another_one(self):
        first, second = self.attached("w1"), self.attached("w2")
        caller = self.client(self.broker, 5)
        for number in range(4):
            caller.publish("rpc/call/slow.sleep", json.dumps({"ms": 400}), qos=1,
                           properties=[(RESPONSE_TOPIC, "reply/to/me"), (CORRELATION_DATA, bytes([number]))])
        first.stop()
        for number in range(4, 8):
            caller.publish("rpc/call/slow.sleep", json.dumps({"ms": 1}), qos=1,
                           properties=[(RESPONSE_TOPIC, "reply/to/me"), (CORRELATION_DATA, bytes([number]))])
        found = [caller.receive() for _ in range(8)]
        self.assertEqual(sorted(property_of(message, CORRELATION_DATA)[0] for message in found), list(range(8)))
        self.assertEqual({user_property_of(message, "status") for message in found}, {"ok"})
        second.stop()

    def test_the_broker_goes_and_comes_back(self):
        worker = self.attached()
        self.broker.stop()
        worker.wait_log("the next attempt is in")
        self.broker.start()
        worker.wait_log("other: attached as", count=2)
        worker.wait_log("rpc: attached as", count=2)
        self.assertIn("id", result_of(ask(self.client(self.broker, 5), "probe.caller")))
        worker.stop()

    def test_replies_to_subscribers(self):
        self.broker = self.start(["workers_users crew", "prefix rpc other", "reply_delivery subscribed", *self.placed],
                                 users={"crew": "secret"})
        (self.broker.directory / "password").write_text("secret\n")
        worker = self.attached()
        caller = self.client(self.broker, 5, client_id="c1")
        caller.subscribe("rpc/reply/c1/#")
        self.assertEqual(result_of(ask(caller, "probe.caller", topic="rpc/reply/c1/x"))["id"], "c1")
        worker.stop()

    def test_a_rule_is_in_the_way(self):
        """Of attaching, and of replies: the log has the broker's reason, once a connection."""
        broker = self.start(["workers_users crew"], users={"crew": "secret"}, acl="user crew\ntopic read #\n")
        (broker.directory / "password").write_text("secret\n")
        crew = "user crew", f"password_file {broker.directory / 'password'}"
        worker = self.make_worker(broker, "attach", *crew).start()
        worker.wait_log("it refuses a message: Not authorized")
        plain = self.plain_broker(users={"crew": "secret"}, acl="topic readwrite #\nuser crew\ntopic read #\n")
        worker = self.sharing(plain, *crew[:1], f"password_file {broker.directory / 'password'}")
        caller = self.client(plain, 5)
        for _ in range(2):
            caller.publish("rpc/call/ping", qos=1, properties=[(RESPONSE_TOPIC, "reply/to/me")])
        worker.wait_log("it refuses a message: Not authorized")
        caller.publish("rpc/call/ping", qos=1, properties=[(RESPONSE_TOPIC, "reply/to/me")])
        worker.stop()
        self.assertEqual(worker.log().count("it refuses a message"), 1)

    def test_who_may_not_attach(self):
        worker = self.make_worker(self.broker, "attach", "name w1").start()
        worker.wait_log("rpc.attach was refused: not_allowed: ")
        worker.wait_log("the next attempt is in 1.0 s")
        worker.stop()


if __name__ == "__main__":
    main()
