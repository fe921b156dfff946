# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Attached workers on a real broker: who may be one, what it gets, what becomes of its answers, and of its calls when
it goes. The worker is the tests' own (worker.py)."""
import json
import signal
import time

from worker import PASSWORD, AttachedClient, allowed, workers_of
from harness import (CORRELATION_DATA, RESPONSE_TOPIC, BrokerTest, ask, error_of, eventually, has_websockets, main,
                     new_identity, payload_of, result_of)
from mqtt import NOT_AUTHORIZED, SESSION_EXPIRY, USER_PROPERTY, Closed, property_of, user_property_of

PLACED = ("placement_echo remote", "placement_probe.count remote", "placement_setGate remote",
          "placement_probe.raise remote", "placement_slow.sleep spill")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ALL = ("echo", "probe.count", "setGate", "probe.raise", "slow.sleep")


def send(client, method, params=b"", qos=1, entries=()):
    """A call whose reply is read later; returns its Correlation Data."""
    identity = new_identity().encode()
    client.publish(f"rpc/call/{method}", params if isinstance(params, bytes) else json.dumps(params), qos=qos,
                   properties=[(RESPONSE_TOPIC, "reply/to/me"), (CORRELATION_DATA, identity), *entries])
    return identity


class Attached(BrokerTest):

    def broker_with(self, *options, **how):
        return self.start(**allowed(options=[*PLACED, *options], **how))

    def worker(self, broker, name="w1", methods=ALL, **how):
        how.setdefault("timeout", 60)
        worker = AttachedClient(how.pop("port", broker.port), name, methods, **how)
        self.addCleanup(worker.close)
        return worker


class Calls(Attached):

    def test_there_and_back(self):
        """By MQTT 5 and 3.1.1; the parameters reach the worker as they came, and nobody else sees anything."""
        broker = self.broker_with()
        watcher = self.client(broker)
        watcher.subscribe("#", "rpc/work/#", "$share/g/rpc/#")
        worker = self.worker(broker)
        self.assertEqual(worker.attached, {"work": "rpc/work/w1", "window": 8, "max_payload": 65536, "max_reply": 131072,
                                           "ignored": []})
        caller = self.client(broker, 5, client_id="me")
        identity = send(caller, "echo", b'{ "a" : 1.50 }',
                        entries=[(USER_PROPERTY, ("timeout-ms", "30000")),
                                 (USER_PROPERTY, ("traceparent", TRACE))])
        job = worker.job()
        self.assertEqual((job.method, job.caller, job.user, job.version, job.payload),
                         ("echo", "me", None, "5", b'{ "a" : 1.50 }'))
        self.assertEqual(len(job.id), 32)
        self.assertTrue(29000 < job.deadline_ms <= 30000 and job.expiry == 30, (job.deadline_ms, job.expiry))
        self.assertRegex(job.traceparent, "^00-0af7651916cd43dd8448eb211c80319c-")
        job.done({"b": 2})
        reply = caller.receive()
        self.assertEqual((reply.topic, property_of(reply, CORRELATION_DATA), result_of(reply)),
                         ("reply/to/me", identity, {"b": 2}))
        old = self.client(broker, 4)
        old.publish("rpc/call/echo", json.dumps({"request_id": "x", "c": 3}), qos=1)
        job = worker.job()
        self.assertEqual((job.version, job.params), ("4", {"c": 3}))
        job.done([1])
        self.assertEqual(payload_of(old.receive()), {"request_id": "x", "result": [1]})
        watcher.expect_nothing()

    def test_events_errors_and_counters(self):
        broker = self.broker_with("sys_interval 1s")
        watcher = self.client(broker)
        watcher.subscribe("rpc/event/#")
        worker, caller = self.worker(broker), self.client(broker, 5)
        send(caller, "probe.count")
        worker.job().done({"runs": 7})
        self.assertEqual(result_of(caller.receive()), {"runs": 7})
        self.assertEqual((lambda m: (m.topic, payload_of(m)))(watcher.receive()),
                         ("rpc/event/probeCounted", {"runs": 7}))
        send(caller, "setGate", {"gate": "north", "open": True})
        worker.job().done({"gate": "north", "open": True})
        result_of(caller.receive())
        self.assertEqual(watcher.receive().topic, "rpc/event/gate/north")
        late = self.client(broker)
        late.subscribe("rpc/event/gate/+")
        self.assertTrue(late.receive().retain)
        send(caller, "probe.count")
        worker.job().done({"wrong": 7})
        self.assert_error(caller.receive(), "internal_error")
        self.assertRegex(broker.log(), r"worker w1: the result of probe\.count: runs is required")
        send(caller, "probe.count")
        worker.job().fail("never_declared")
        self.assert_error(caller.receive(), "internal_error")
        stats = result_of(ask(caller, "rpc.stats"))
        self.assertEqual((stats["counters"]["dispatched"], stats["counters"]["lost"]), (4, 0))
        row = workers_of(caller)["w1"]
        self.assertEqual((row["client"], row["user"], row["calls"], row["errors"], row["outstanding"], row["methods"]),
                         (worker.client_id, "crew", 4, 2, 0, list(ALL)))

    def test_the_last_calls_name_their_workers(self):
        """Also those that have timed out at one, or were at one that has gone; not those that ran here, or waited."""
        broker = self.broker_with("workers_wait 100ms", "jsonrpc_methods *")
        caller = self.client(broker, 5)
        first = self.worker(broker, "w1", methods=["echo", "probe.count"])
        second = self.worker(broker, "w" * 64, ["setGate"])
        ask(caller, "slow.sleep", {"ms": 1})
        send(caller, "echo", {})
        first.job().done({})
        caller.receive()
        caller.publish("rpc/jsonrpc", json.dumps([
            {"jsonrpc": "2.0", "id": 1, "method": "setGate", "params": {"gate": "a", "open": True}},
            {"jsonrpc": "2.0", "id": 2, "method": "ping"}]), qos=1, properties=[(RESPONSE_TOPIC, "batch")])
        second.job().done({"gate": "a", "open": True})
        caller.receive()
        send(caller, "echo", {}, entries=[(USER_PROPERTY, ("timeout-ms", "200"))])
        self.assertEqual(error_of(caller.receive())["err"], "timeout")
        send(caller, "probe.count")
        first.job(), first.job()
        first.reset()
        self.assertEqual(error_of(caller.receive())["err"], "outcome_unknown")
        self.assertEqual(error_of(ask(caller, "echo", {}))["err"], "overloaded")
        calls = [call for call in result_of(ask(caller, "rpc.recent"))["calls"] if not call["method"].startswith("rpc.")]
        self.assertEqual([(call["method"], call["status"], call.get("worker")) for call in reversed(calls)],
                         [("slow.sleep", "ok", None), ("echo", "ok", "w1"), ("ping", "ok", None),
                          ("setGate", "ok", "w" * 64), ("echo", "timeout", "w1"), ("probe.count", "outcome_unknown", "w1"),
                          ("echo", "overloaded", None)])

    def test_a_success_that_changes_nothing(self):
        """It is not announced. Any other value than 1 means nothing."""
        broker = self.broker_with()
        watcher, caller = self.client(broker), self.client(broker, 5)
        watcher.subscribe("rpc/event/probeCounted")
        worker = self.worker(broker)
        for value, runs in (("1", 1), ("0", 2), ("", 3), ("1" * 1000, 4), (None, 5)):
            send(caller, "probe.count")
            worker.answer(worker.job().id, "ok", json.dumps({"runs": runs}),
                          entries=[(USER_PROPERTY, ("unchanged", value))] if value is not None else [])
            self.assertEqual(result_of(caller.receive()), {"runs": runs})
        self.assertEqual([payload_of(watcher.receive())["runs"] for _ in range(4)], [2, 3, 4, 5])
        watcher.expect_nothing()

    def test_traces_and_sizes_of_events(self):
        broker = self.broker_with("max_reply 1k")
        watcher, worker = self.client(broker, 5), self.worker(broker)
        watcher.subscribe("rpc/event/#")
        for parent, is_one in ((TRACE, True), (TRACE.upper(), False), (TRACE + "-00", False)):
            worker.announce("probeNoted", {"text": "a"}, entries=[(USER_PROPERTY, ("traceparent", parent))])
            self.assertEqual(user_property_of(watcher.receive(), "traceparent"), TRACE if is_one else None)
        worker.announce("probeNoted", {"text": "a" * 2000})
        broker.wait_log("which is over max_reply, 1024")
        worker.announce("probeNoted", {"text": "b"})
        self.assertEqual(payload_of(watcher.receive()), {"text": "b"})

    def test_events_of_the_worker(self):
        broker = self.broker_with()
        watcher = self.client(broker)
        watcher.subscribe("rpc/event/#")
        worker = self.worker(broker)
        worker.announce("probeNoted", {"text": "hello"})
        self.assertEqual(watcher.receive().topic, "rpc/event/probeNoted")
        worker.announce("gate", {"gate": "east", "open": True})
        self.assertEqual(watcher.receive().topic, "rpc/event/gate/east")
        worker.announce("gate/east", b"")
        self.assertEqual(watcher.receive().payload, b"")
        self.assertEqual(worker.announce("sensorUpdated", {"sensor_id": "x"}), NOT_AUTHORIZED)  # of no module of its own
        self.assertEqual(worker.announce("no.such", {}), NOT_AUTHORIZED)
        watcher.expect_nothing()

    def test_a_window_and_two_workers(self):
        """100 calls from ten clients, at most 2 at a worker; each is answered once."""
        broker = self.broker_with()
        workers = [self.worker(broker, name, window=2) for name in ("w1", "w2")]
        callers, observer = [self.client(broker, 5) for _ in range(10)], self.client(broker, 5)
        sent = {send(caller, "probe.count", qos=2) for caller in callers for _ in range(10)}
        runs = 0
        while runs < 100:
            for worker in workers:
                if runs < 100:
                    job = worker.job()
                    row = workers_of(observer, worker=worker.name)[worker.name] if runs % 25 == 0 else None
                    self.assertTrue(row is None or row["outstanding"] <= 2, row)
                    runs += 1
                    job.done({"runs": runs})
        seen = [caller.receive() for caller in callers for _ in range(10)]
        self.assertEqual({property_of(reply, CORRELATION_DATA) for reply in seen}, sent)
        self.assertEqual(sorted(result_of(reply)["runs"] for reply in seen), list(range(1, 101)))
        for worker in workers:
            worker.expect_nothing()

    def test_spill(self):
        """Two threads sleep: the third call goes to the worker, since it would wait too long here."""
        broker = self.broker_with("workers 2")
        worker, caller = self.worker(broker), self.client(broker, 5)
        self.assertEqual(result_of(ask(caller, "slow.sleep", {"ms": 1}))["order"], 1)  # here
        for _ in range(2):
            send(caller, "slow.sleep", {"ms": 5000})
        eventually(lambda: result_of(ask(self.client(broker, 5), "rpc.stats"))["pool"]["busy"] == 2)
        time.sleep(1)  # so long they have run, as far as the pool can tell how long they take
        send(caller, "slow.sleep", {"ms": 2}, entries=[(USER_PROPERTY, ("timeout-ms", "1000"))])
        job = worker.job()
        self.assertEqual(job.params, {"ms": 2})
        job.done({"order": 77, "group": 1, "wanted": True})
        self.assertEqual(result_of(caller.receive())["order"], 77)


class Ends(Attached):

    def test_a_worker_that_is_cut_off(self):
        """What may run twice goes to another worker; of the rest the caller is told at once, and not by a timeout."""
        broker = self.broker_with()
        first, caller = self.worker(broker), self.client(broker, 5)
        send(caller, "echo", {"n": 1})
        send(caller, "probe.count")
        jobs = [first.job(), first.job()]
        other = self.worker(broker, "w2")
        first.reset()
        error = error_of(caller.receive())
        self.assertEqual((error["err"], "worker w1 has gone" in error["msg"]), ("outcome_unknown", True))
        job = other.job()
        self.assertEqual((job.method, job.params, job.id), ("echo", {"n": 1}, jobs[0].id))
        job.done({"n": 1})
        self.assertEqual(result_of(caller.receive()), {"n": 1})
        self.assertEqual(list(workers_of(caller)), ["w2"])
        self.assertRegex(broker.log(), "worker w1 has gone: 1 of its calls go to another one, 1 have an unknown outcome")
        self.worker(broker, "w1", methods=[])  # it is back, and what was counted of it with it
        row = workers_of(caller)["w1"]
        self.assertEqual((row["again"], row["unknown"]), (1, 1))
        counters = result_of(ask(caller, "rpc.stats"))["counters"]
        self.assertEqual((counters["dispatched"], counters["redispatched"]), (3, 1))

    def test_a_worker_comes_back_under_its_client_id(self):
        """The broker ends the first connection. The second one gets the call again, with the same id."""
        broker = self.broker_with()
        first, caller = self.worker(broker, client_id="the worker"), self.client(broker, 5)
        send(caller, "echo", {"n": 1})
        job = first.job()
        second = self.worker(broker, client_id="the worker")
        with self.assertRaises(Closed):
            first.receive()
        again = second.job()
        self.assertEqual(again.id, job.id)
        again.done({"n": 1})
        result_of(caller.receive())

    def test_a_session_that_waits_is_no_worker(self):
        """A worker that leaves a session behind has gone all the same, and the session gets nothing more."""
        broker = self.broker_with()
        worker = self.worker(broker, client_id="stays", clean=False, properties=[(SESSION_EXPIRY, 3600)])
        caller = self.client(broker, 5)
        worker.reset()
        eventually(lambda: not workers_of(caller))
        send(caller, "echo", {"n": 1}, entries=[(USER_PROPERTY, ("timeout-ms", "500"))])
        self.assertEqual(error_of(caller.receive())["err"], "timeout")
        back = self.worker(broker, client_id="stays", clean=False, attach=False)
        back.expect_nothing()

    def test_drain(self):
        broker = self.broker_with()
        worker, caller = self.worker(broker), self.client(broker, 5)
        send(caller, "probe.count")
        job = worker.job()
        self.assertEqual(worker.detach(), {"outstanding": 1})
        send(caller, "probe.count")
        worker.expect_nothing()
        job.done({"runs": 1})
        self.assertEqual(result_of(caller.receive()), {"runs": 1})
        other = self.worker(broker, "w2")
        other.job().done({"runs": 2})
        self.assertEqual(result_of(caller.receive()), {"runs": 2})
        worker.disconnect()
        eventually(lambda: list(workers_of(caller)) == ["w2"])

    def test_refused(self):
        broker = self.broker_with()
        worker, other = self.worker(broker), self.worker(broker, "w2", methods=["echo"])
        caller = self.client(broker, 5)
        send(caller, "probe.count")
        job = worker.job()
        third = self.worker(broker, "w3", methods=["probe.count"])
        job.refuse()
        third.job().done({"runs": 1})
        result_of(caller.receive())
        other.expect_nothing()

    def test_deadlines_and_callers_that_go(self):
        broker = self.broker_with()
        worker, caller = self.worker(broker, window=1), self.client(broker, 5)
        send(caller, "echo", {}, entries=[(USER_PROPERTY, ("timeout-ms", "300"))])
        job = worker.job()
        self.assertEqual(error_of(caller.receive())["err"], "timeout")
        self.assertEqual(worker.cancelled(), job.id)
        send(caller, "echo", {"n": 2})
        worker.expect_nothing()  # its credit is taken until it answers
        job.done({})
        job = worker.job()
        caller.reset()
        self.assertEqual(worker.cancelled(), job.id)
        job.done({})
        eventually(lambda: workers_of(self.client(broker, 5))["w1"]["outstanding"] == 0)

    def test_no_worker(self):
        broker = self.broker_with("workers_wait 500ms")
        caller = self.client(broker, 5)
        began = time.monotonic()
        error = error_of(ask(caller, "echo", {}))
        self.assertEqual((error["err"], error["msg"]), ("overloaded", "no worker offers echo"))
        self.assertGreater(time.monotonic() - began, 0.4)
        health = eventually(lambda: (lambda found: found["problems"] and found)(result_of(ask(caller, "rpc.health"))))
        self.assertIn({"no_worker"}, [{problem["what"] for problem in health["problems"]}])
        send(caller, "echo", {"n": 1})
        worker = self.worker(broker)
        worker.job().done({"n": 1})
        result_of(caller.receive())

    def test_no_worker_for_many_methods(self):
        """The first are named, and the others counted."""
        listed = result_of(ask(self.client(self.start(), 5), "rpc.list"))["methods"]
        names = [name for name in (row["name"] for row in listed) if name.startswith(("probe.", "slow."))][:20]
        began = time.time()
        broker = self.start(**allowed(options=["workers_wait 100ms", *(f"placement_{name} remote" for name in names)]))
        problems = eventually(lambda: result_of(ask(self.client(broker, 5), "rpc.health"))["problems"])
        told = [problem["text"] for problem in problems if problem["what"] == "no_worker"]
        self.assertEqual((len(told), told[-1]), (17, "no worker offers 4 more methods"))
        self.assertGreater(min(problem["since"] for problem in problems), began - 1)


class Settings(Attached):

    def test_users_and_the_wait_change_while_the_broker_runs(self):
        """Workers that are attached stay so, whoever may be one from now on."""
        broker = self.make(["config_file {directory}/settings", *PLACED], users={"crew": PASSWORD, "bob": "builder"})
        settings = broker.directory / "settings"
        settings.write_text("workers_users crew\nworkers_wait 24h\n")
        broker.start()
        first, caller = self.worker(broker), self.client(broker, 5)
        settings.write_text("workers_users bob\nworkers_wait 100ms\n")
        broker.signal(signal.SIGHUP)
        broker.wait_log("2 settings, 2 changed")
        send(caller, "echo", {"n": 1})
        first.job().done({"n": 1})
        result_of(caller.receive())
        self.assertEqual(self.worker(broker, "w2", attach=False).attach_error()["err"], "not_allowed")
        self.worker(broker, "w3", ["probe.count"], username="bob", password="builder")
        first.detach()
        self.assertEqual(error_of(ask(caller, "echo", {}))["err"], "overloaded")


class Guards(Attached):

    def test_who_may_attach(self):
        broker = self.broker_with(users={"bob": "builder"})
        with self.assertRaisesRegex(AssertionError, "not_allowed"):
            bob = AttachedClient(broker.port, "w1", username="bob", password="builder", attach=False)
            self.addCleanup(bob.close)
            bob.attach(["echo"])
        nobody = AttachedClient(broker.port, "w1", username=None, password=None, attach=False)
        self.addCleanup(nobody.close)
        self.assertIn("workers_users", nobody.attach_error()["msg"])
        worker = self.worker(broker)
        self.assertEqual(self.worker(broker, attach=False).attach_error()["err"], "name_in_use")
        self.assertEqual(nobody.answer(b"0" * 32, "ok", "{}"), NOT_AUTHORIZED)
        for topic in ("rpc/work/w1", "rpc/work/w1/cancel", "rpc/work/w1/x"):
            self.assertEqual(worker.publish(topic, b"{}", qos=1), NOT_AUTHORIZED, topic)
        for topic in ("rpc/work/w1", "rpc/work/w1/done", "rpc/work/w1/cancel", "rpc/work/w1/event/gate"):
            self.assertEqual(nobody.publish(topic, b"{}", qos=1), NOT_AUTHORIZED, topic)
        nobody.expect_nothing()

    def test_default_is_nobody(self):
        broker = self.start(users={"crew": "of workers"})
        worker = self.worker(broker, attach=False)
        self.assertEqual(worker.attach_error()["err"], "not_allowed")

    def test_forged_answers(self):
        """Another worker's answers, unknown ids, answers twice, garbage: none of them does anything."""
        broker = self.broker_with()
        worker, caller = self.worker(broker, methods=["probe.count"]), self.client(broker, 5)
        other = self.worker(broker, "w2", methods=["echo"])
        send(caller, "probe.count")
        job = worker.job()
        self.assertEqual(other.answer(job.id, "ok", '{"runs":1}', work=worker.work), NOT_AUTHORIZED)
        for identity in (job.id, b"", None, b"x" * 32, b"0" * 65535):
            self.assertLess(other.answer(identity, "ok", '{"runs":1}'), 0x80)
        for identity in (b"", None, b"x" * 32, job.id[:31], job.id + b"0", b"0" * 65535):
            for status in ("ok", "refused", "progress", "x" * 65535, None):
                self.assertLess(worker.answer(identity, status, b"\xff\x00"), 0x80)
        caller.expect_nothing()
        job.done({"runs": 1})
        job.done({"runs": 2})
        job.progress({})
        self.assertEqual(result_of(caller.receive()), {"runs": 1})
        caller.expect_nothing()

    def test_over_websockets(self):
        if not has_websockets():
            self.skipTest("the broker was built without WebSockets")
        broker = self.broker_with(websockets=True)
        caller = self.client(broker, 5)
        worker = self.worker(broker, port=broker.websockets_port, websocket=True, client_id="the worker")
        send(caller, "echo", {"n": 1})
        worker.job()
        again = self.worker(broker, port=broker.websockets_port, websocket=True, client_id="the worker")
        again.job().done({"n": 1})  # before 2.1 the end of the first connection may not have been told yet
        self.assertEqual(result_of(caller.receive()), {"n": 1})

    def test_over_a_mount_point(self):
        broker = self.broker_with("mount_point site/", mount_point="site/")
        caller = self.client(broker, 5)
        worker = self.worker(broker, port=broker.mounted_port)
        send(caller, "probe.count")
        worker.job().done({"runs": 3})
        self.assertEqual(result_of(caller.receive()), {"runs": 3})

    def test_two_prefixes(self):
        """A worker serves each prefix on its own."""
        broker = self.start(**allowed(options=["prefix rpc dev/rpc", *PLACED]))
        worker, caller = self.worker(broker, prefix="dev/rpc"), self.client(broker, 5)
        identity = new_identity().encode()
        caller.publish("dev/rpc/call/probe.count", b"", qos=1,
                       properties=[(RESPONSE_TOPIC, "r"), (CORRELATION_DATA, identity)])
        worker.job().done({"runs": 3})
        self.assertEqual(user_property_of(caller.receive(), "status"), "ok")
        self.assertEqual(workers_of(caller), {})


if __name__ == "__main__":
    main()
