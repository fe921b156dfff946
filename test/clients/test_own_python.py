# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""clients/python: the package mosquitto_rpc at real brokers, with its connection cut at the worst moments.

    RPC_MYPY   mypy; without it the types are not checked
"""
import asyncio
import contextlib
import gc
import importlib.util
import logging
import os
import pathlib
import pickle
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import unittest
import unittest.mock
import zipfile

from cutter import AFTER, BEFORE, OUT, Cutter, Moment, moments_of, prove_once, settle, whole_packets
from devices import FakeDevice
from harness import (PLUGIN, ROOT, TIMEOUT, BrokerTest, ask, broker_version, eventually, has_websockets, main, payload_of,
                     result_of)
from mqtt import (CONNECT, CORRELATION_DATA, PUBLISH, RESPONSE_TOPIC, SUBSCRIBE, UNSUBSCRIBE, USER_PROPERTY,
                  property_of)

PACKAGE = ROOT / "clients/python"
sys.path.insert(0, str(PACKAGE))

import mosquitto_rpc  # noqa: E402 pylint: disable=wrong-import-position
from mosquitto_rpc import RpcError, sync  # noqa: E402 pylint: disable=wrong-import-position
from mosquitto_rpc import _paho  # noqa: E402 pylint: disable=wrong-import-position

CERTIFICATE = ROOT / "test/broker/certificate.pem"
HOST = "127.0.0.1"
MYPY = os.environ.get("RPC_MYPY")
VERSIONS = (5, 311)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

logging.getLogger("mosquitto_rpc").addHandler(logging.NullHandler())


class AsyncCaller:
    """The client for asyncio with functions that block: its loop is a thread."""

    def __init__(self, port, **how):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.client = mosquitto_rpc.Client(HOST, port, **how)
        self.wait(self.client.open())

    def wait(self, coroutine):
        """The result of a function of the client."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(TIMEOUT)

    def call(self, method, *params, **members):
        return self.wait(self.client.call(method, *params, timeout=TIMEOUT, **members))

    def pending(self):
        return self.client.pending

    def close(self):
        self.wait(self.client.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


class SyncCaller:
    def __init__(self, port, **how):
        self.client = sync.Client(HOST, port, **how).open()
        self.close = self.client.close

    @staticmethod
    def wait(result):
        return result

    def call(self, method, *params, **members):
        return self.client.call(method, *params, timeout=TIMEOUT, **members)

    def pending(self):
        return self.client.pending


CALLERS = {"asyncio": AsyncCaller, "threads": SyncCaller}


class ClientTest(BrokerTest):
    """Tests with clients that end with them, and leave nothing behind."""

    def setUp(self):
        gc.collect()
        self.threads = threading.active_count()
        self.addCleanup(self.check_threads)

    def check_threads(self):
        eventually(lambda: threading.active_count() <= self.threads)

    def begin(self, *options, **how):
        how.setdefault("first", ("set_tcp_nodelay true",))
        self.broker = self.start(options, **how)
        return self.broker

    def cutter(self):
        cutter = Cutter(self.broker.port)
        self.addCleanup(lambda: (setattr(self, "threads", TIMEOUT), cutter.close()))  # its threads take their time
        return cutter

    def connect(self, port=None, **how):
        client = sync.Client(HOST, port or self.broker.port, **{"timeout": TIMEOUT, **how})
        self.addCleanup(client.close)
        return client.open()

    def asynchronous(self, port=None, **how):
        return mosquitto_rpc.Client(HOST, port or self.broker.port, **{"timeout": TIMEOUT, **how})

    @staticmethod
    def call_in_time(call):
        """call(timeout), with more time if a busy machine has not sent the call in it."""
        for timeout in (0.1, 1, 4, TIMEOUT):
            try:
                return call(timeout)
            except RpcError as error:
                if "not sent" not in error.msg or timeout == TIMEOUT:
                    raise

    @contextlib.contextmanager
    def fails(self, err, text="."):
        with self.assertRaises(RpcError) as raised:
            yield raised
        self.assertEqual(raised.exception.err, err, raised.exception)
        self.assertRegex(raised.exception.msg, text)
        self.assertEqual(raised.exception.data["err"], err)

    def assert_many(self, client, threads=4, calls=50):
        """Calls from several threads at a time: each gets its own result."""
        found = []

        def run(first):
            found.extend((number, client.call("echo", {"n": number})) for number in range(first, first + calls))

        running = [threading.Thread(target=run, args=(number * calls,)) for number in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        self.assertEqual(len(found), threads * calls)
        self.assertEqual([(number, result) for number, result in found if result != {"n": number}], [])
        self.assertEqual(client.pending, 0)

    def callers(self):
        """Each kind of client with each version of MQTT."""
        for version in VERSIONS:
            for name, kind in CALLERS.items():
                caller = kind(self.broker.port, version=version)
                try:
                    yield caller
                    self.assertEqual(caller.pending(), 0, (version, name))
                finally:
                    caller.close()


# ---- Calls -------------------------------------------------------------------------------------

class Calls(ClientTest):

    def test_results_and_errors(self):
        self.begin()
        for caller in self.callers():
            reading = {"sensor_id": "a", "value": 2.5, "ok": True}
            self.assertEqual(caller.call("updateSensor", sensor_id="a", value=2.5), reading)
            self.assertEqual(caller.call("updateSensor", {"sensor_id": "a"}, value=2.5), reading)
            with self.fails("method_not_found", "did you mean updateSensor"):
                caller.call("updateSensr")
            with self.fails("unknown_sensor") as raised:
                caller.call("getSensor", sensor_id="nowhere")
            self.assertEqual(raised.exception.method, "getSensor")
            self.assertEqual(raised.exception.data["sensor_id"], "nowhere")
            again = pickle.loads(pickle.dumps(raised.exception))
            self.assertEqual((again.err, again.data), (raised.exception.err, raised.exception.data))
            with self.fails("invalid_params", "value"):
                caller.call("updateSensor", sensor_id="ä", value="\u2028")

    def test_any_value_is_a_parameter_with_mqtt_5(self):
        self.begin()
        client = self.connect()
        for value in (None, True, "ä", 1.5, [1, {"a": None}], {"timeout": 3, "method": "x"}):
            self.assertEqual(client.call("echo", value), value)
        self.assertEqual(client.call("echo", method="x", params=[1]), {"method": "x", "params": [1]})
        self.assertEqual(client.call("probe.bytes", b"\0\xff{"), {"size": 3})

    def test_batches(self):
        self.begin()
        for caller in self.callers():
            items = [{"sensor_id": "a", "value": 1}, {"sensor_id": "b"}, {"sensor_id": "c", "value": 3}]
            outcomes = caller.wait(caller.client.call_batch("updateSensor", items))
            self.assertEqual([outcome["value"] for outcome in outcomes[::2]], [1, 3])
            self.assertIsInstance(outcomes[1], RpcError)
            self.assertEqual(outcomes[1].err, "invalid_params")
            with self.fails("invalid_request", "max_batch"):
                caller.wait(caller.client.call_batch("updateSensor", items * 100))

    def test_what_is_sent(self):
        self.begin()
        for version in VERSIONS:
            cutter = self.cutter()
            cutter.arm()
            client = self.connect(cutter.port, version=version)
            for value in (1, 2):
                client.call("updateSensor", sensor_id="a", value=value, timeout=7.5, traceparent=TRACE)
            self.assertEqual([seen.kind for seen in cutter.seen if seen.direction == OUT][:3],
                             [CONNECT, SUBSCRIBE, PUBLISH])
            self.assertEqual(cutter.count(OUT, SUBSCRIBE), 1)
            calls = cutter.messages(OUT)
            self.assertEqual([call.topic for call in calls], ["rpc/call/updateSensor"] * 2)
            self.assertEqual({call.qos for call in calls}, {1})
            identities = [self.check_call(client, call, version, value) for value, call in enumerate(calls, 1)]
            self.assertEqual(len(set(identities)), 2)

    def check_call(self, client, call, version, value):
        params = payload_of(call)
        if version == 5:
            self.assertEqual(property_of(call, RESPONSE_TOPIC), f"rpc/reply/{client.client_id}/rpc")
            self.assertEqual([entry for name, entry in call.properties if name == USER_PROPERTY],
                             [("timeout-ms", "7500"), ("traceparent", TRACE)])
            identity = property_of(call, CORRELATION_DATA).decode()
        else:
            identity = params.pop("request_id")
            self.assertEqual((params.pop("timeout_ms"), params.pop("traceparent")), (7500, TRACE))
        self.assertEqual(params, {"sensor_id": "a", "value": value})
        self.assertRegex(identity, "^[0-9a-f]{32}$")
        self.assertRegex(client.client_id, "^rpc-[0-9a-f]{16}$")
        return identity

    def test_what_cannot_be_sent(self):
        self.begin()
        client, old = self.connect(), self.connect(version=311)
        for who, method, params, how in (
                (client, "a/+", {}, {}), (client, "#", {}, {}), (client, "", {}, {}), (client, "a\n", {}, {}),
                (client, "x" * 65000, {}, {}), (client, "echo", float("nan"), {}), (client, "echo", "\ud800", {}),
                (client, "echo", {}, {"timeout": 0}), (client, "echo", {}, {"timeout": 86401}), (client, "echo", {}, {"timeout": float("nan")}),
                (old, "echo", [1], {}), (old, "echo", {"request_id": 1}, {}),
                (client, "a\ufffe", {}, {}), (client, "echo", {}, {"properties": {"a": "\0"}}),
                (client, "echo", {}, {"properties": {"a\ud800": ""}}),
                (client, "echo", {}, {"properties": {"a": "\U0001ffff"}}),
                (client, "echo", {}, {"traceparent": "x" * 70000}),
                (old, "echo", {}, {"properties": {"offline": "queue"}})):
            with self.subTest(method=method[:9], params=params, how=how), self.assertRaises(ValueError):
                who.call(method, params, **how)
        with self.assertRaises(TypeError):
            client.call("echo", [1], sensor_id="a")
        with self.assertRaises(TypeError):
            client.call("echo", {1, 2})
        with self.assertRaisesRegex(TypeError, "user property.*5"):
            client.call("echo", properties={"a": 5})
        for name in ("", "a/b", "+", "#", "a\n", "\ufdd0"):
            for address in (client.device, client.group):
                with self.subTest(name=name), self.assertRaises(ValueError):
                    address(name)
        for event in ("", "a/#/b", "a+", "#/", "a\0"):
            with self.subTest(event=event), self.assertRaises(ValueError):
                client.events(event)
        for how in ({"version": 4}, {"client_id": "a/b"}, {"client_id": "a+"}, {"prefix": "#"}, {"max_pending": 0},
                    {"qos": 3}, {"host": ""}, {"host": "mqtt://localhost"}, {"host": "localhost:1883"}, {"port": "1883"},
                    {"port": 0}, {"port": 65536}, {"keepalive": -1}):
            with self.subTest(how=how), self.assertRaises(ValueError):
                sync.Client(**how)
        self.assertEqual((client.pending, old.pending), (0, 0))
        self.assertEqual(client.call("echo", 1), 1)

    def test_every_qos_and_delivery(self):
        self.begin("reply_delivery subscribed", lines=("max_inflight_messages 5",))
        for version in VERSIONS:
            for qos in (0, 1, 2):
                with self.subTest(version=version, qos=qos):
                    self.assert_many(self.connect(version=version, qos=qos))

    def test_threads_and_loops_share_a_client(self):
        """One client in several event loops and their tasks."""
        self.begin()
        caller = AsyncCaller(self.broker.port)
        self.addCleanup(caller.close)
        failed = []

        async def many(first):
            numbers = range(first, first + 200)
            results = await asyncio.gather(*(caller.client.call("echo", [number], timeout=TIMEOUT)
                                             for number in numbers))
            failed.extend(pair for pair in zip(numbers, results) if pair[1] != [pair[0]])
            failed.append(None)

        threads = [threading.Thread(target=lambda first=first: asyncio.run(many(first))) for first in (0, 200, 400)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failed, [None] * 3)
        self.assertEqual(caller.pending(), 0)

    def test_a_forged_reply_is_dropped(self):
        self.begin()
        client = self.connect()
        forger = self.client(self.broker, 5)
        topic = f"rpc/reply/{client.client_id}/rpc"
        held = threading.Thread(target=client.call, args=("slow.wait",), kwargs={"name": "here"})
        held.start()
        eventually(lambda: client.pending)
        for entries in ((), [(CORRELATION_DATA, b"\xff\0")], [(CORRELATION_DATA, b"0" * 32)]):
            forger.publish(topic, b"{", qos=1, properties=entries)
        self.assertEqual(client.call("echo", 1), 1)
        self.assertEqual(client.pending, 1)
        eventually(lambda: self.told(client))
        held.join()

    def test_replies_that_are_none(self):
        """Whatever comes, the call ends at once, and so do those after it."""
        self.broker = self.start(plugins=[])
        service = self.client(self.broker, 5)
        service.subscribe("rpc/call/#")
        deep = b"[" * 100000 + b"]" * 100000
        for version in VERSIONS:
            client = self.connect(version=version, client_id=f"c{version}")
            for payload, status in ((deep, "ok"), (b'{"err":"x","d":' + deep + b"}", "e"), (b"", "ok"), (b"{", "ok"),
                                    (b"{}\0", "ok"), (b'"\xff\xfe"', "ok"), (b"NaN", "ok"), (b"1" * 6000, "ok"),
                                    ("1".encode("utf-16"), "ok"), (b"5", "e"), (b'"result"', "e"), (b"true", "e"), (b"null", "e"),
                                    (b'["result"]', "e"), (b"{}", "e"), (b'{"error":5}', "e"), (b'{"err":5}', "e")):
                with self.subTest(version=version, payload=payload[:20]):
                    answer = threading.Thread(target=self.answer, args=(service, payload, status))
                    answer.start()
                    with self.fails("bad_reply"):
                        client.call("m", timeout=TIMEOUT)
                    answer.join()
            self.assertEqual(client.pending, 0)

    @staticmethod
    def answer(service, payload, status):
        call = service.receive()
        topic = property_of(call, RESPONSE_TOPIC)
        if topic:
            service.publish(topic, payload, properties=[(CORRELATION_DATA, property_of(call, CORRELATION_DATA)),
                                                        (USER_PROPERTY, ("status", status))])
        else:
            service.publish(f"rpc/reply/c311/{payload_of(call)['request_id']}", payload)

    @staticmethod
    def told(client):
        try:
            return client.call("slow.tell", name="here", text="now") is not None or not client.pending
        except RpcError:
            return False


class Ends(ClientTest):
    """Calls that end otherwise than with a reply."""

    def test_nobody_answers(self):
        self.begin(plugins=[])
        for caller in self.callers():
            began = time.monotonic()
            with self.fails("timeout", "is the plugin loaded"):
                self.call_in_time(lambda timeout, caller=caller: caller.wait(caller.client.call("ping", timeout=timeout)))
            self.assertGreater(time.monotonic() - began, 1)  # the grace

    def test_the_plugin_ends_it_in_time(self):
        self.begin()
        for version in VERSIONS:
            client = self.connect(version=version)
            with self.fails("timeout", "deadline|passed|time") as raised:
                self.call_in_time(lambda timeout, client=client: client.call("slow.sleep", ms=10000, polite=True,
                                                                             timeout=timeout))
            self.assertNotIn("no reply", raised.exception.msg)

    def test_a_mute_broker(self):
        self.begin()
        client = self.connect(keepalive=60)
        client.call("ping")
        self.broker.pause()
        try:
            with self.fails("timeout"):
                client.call("ping", timeout=0.1)
        finally:
            self.broker.signal(signal.SIGCONT)
        self.assertEqual(client.pending, 0)
        client.call("ping")

    def test_too_many(self):
        self.begin()

        async def run():
            async with self.asynchronous(max_pending=3) as client:
                tasks = [asyncio.create_task(client.call("slow.wait", name="x")) for _ in range(3)]
                while client.pending < 3:
                    await asyncio.sleep(0.01)
                with self.fails("overloaded", "max_pending"):
                    await client.call("ping")
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                self.assertEqual(client.pending, 0)
                await client.call("ping")

        asyncio.run(run())

    def test_close_ends_all(self):
        self.begin()

        async def run():
            client = self.asynchronous()
            await client.open()
            calls = [asyncio.create_task(client.call("slow.wait", name="x")) for _ in range(3)]
            events = [asyncio.create_task(client.events("sensor").__anext__()) for _ in range(2)]
            while client.pending < 3:
                await asyncio.sleep(0.01)
            await client.close()
            for outcome in await asyncio.gather(*calls, return_exceptions=True):
                self.assertEqual(outcome.err, "closed")
            for outcome in await asyncio.gather(*events, return_exceptions=True):
                self.assertIsInstance(outcome, StopAsyncIteration)
            await client.close()
            with self.fails("closed"):
                await client.call("ping")
            with self.fails("closed"):
                client.events("sensor")
            with self.assertRaises(RuntimeError):
                await client.open()

        asyncio.run(run())
        self.broker.wait_log(r"Client rpc-\w+ disconnected\.")  # in order

    def test_a_call_before_open(self):
        with self.assertRaisesRegex(RuntimeError, "opened"):
            sync.Client().call("ping")

    def test_a_client_that_nobody_closes(self):
        self.begin()
        client = sync.Client(HOST, self.broker.port).open()
        client.call("ping")
        del client
        gc.collect()
        self.check_threads()

    def test_cancellation_leaves_nothing(self):
        """At any moment of a call; the reply that comes afterwards is dropped."""
        self.begin()

        async def run():
            async with self.asynchronous() as client:
                for number in range(100):
                    task = asyncio.create_task(client.call("echo", number))
                    await asyncio.sleep(number / 20000)
                    task.cancel()
                    outcome = (await asyncio.gather(task, return_exceptions=True))[0]
                    self.assertTrue(outcome == number or isinstance(outcome, asyncio.CancelledError), outcome)
                    self.assertEqual(client.pending, 0)
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(client.call("slow.wait", name="x"), 0.05)
                self.assertEqual(client.pending, 0)
                self.assertEqual(await client.call("echo", 1), 1)

        asyncio.run(run(), debug=True)

    def test_what_the_connection_is_refused_for(self):
        self.begin(users={"me": "secret"}, anonymous=False)
        for version in VERSIONS:
            with self.assertRaisesRegex(ConnectionError, "refuses it: .*[Nn]ot authori[sz]ed"):
                self.connect(version=version, username="me", password="wrong")
            self.assertEqual(self.connect(version=version, username="me", password="secret").call("echo", a=1),
                             {"a": 1})
        with self.assertRaisesRegex(ConnectionError, "no connection to 127.0.0.1:1: .*refused"):
            sync.Client(HOST, 1).open()

    def test_a_method_that_the_client_may_not_call(self):
        """paho 1.6 does not tell what the broker says to that."""
        self.begin(acl="topic readwrite rpc/call/echo\ntopic read rpc/#\n")
        client = self.connect()
        self.assertEqual(client.call("echo", 1), 1)
        with self.fails("refused" if _paho.KINDS else "timeout", "may .*call"):
            client.call("ping", timeout=TIMEOUT if _paho.KINDS else 0.1)

    def test_a_message_that_the_broker_does_not_take(self):
        self.begin(first=("max_packet_size 5000",))
        client = self.connect()
        self.assertEqual(client.call("echo", "x" * 4000), "x" * 4000)
        with self.fails("payload_too_large", "5000"):
            client.call("echo", "x" * 5000)
        largest = 0
        for size in range(4700, 5000, 3):  # to the byte
            with contextlib.suppress(RpcError):
                largest = max(largest, len(client.call("echo", "x" * size)))
        self.assertGreater(largest, 4780)
        self.assertEqual(self.broker.log().count("New client connected"), 1)

    def test_a_call_on_the_own_thread_of_the_client(self):
        """It would wait for itself."""
        self.begin()
        device = FakeDevice(self, self.broker).come()
        client, errors = self.connect(), []

        def progress(_):
            try:
                client.call("ping")
            except RuntimeError as error:
                errors.append(str(error))

        task = threading.Thread(target=client.device("lamp1").call, args=("go",), kwargs={"progress": progress})
        task.start()
        command = device.take()
        device.answer(command, progress=1)
        device.answer(command, result=True)
        task.join()
        self.assertRegex(str(errors), "must not wait")


# ---- The connection is cut -----------------------------------------------------------------------

class Cut(ClientTest):

    def test_once_with_asyncio(self):
        self.begin()
        moments = prove_once(self.broker, AsyncCaller)
        self.assertGreater(len(moments), 10)

    def test_once_with_threads_and_mqtt_3(self):
        self.begin()
        moments = prove_once(self.broker, lambda port: SyncCaller(port, version=311), twice=False, reset=False)
        self.assertGreater(len(moments), 10)

    def test_many_calls_while_it_is_cut(self):
        """Each is carried out once, and each gets the result of its own run."""
        self.begin()
        cutter = self.cutter()
        client, found, ended = self.connect(cutter.port, reconnect_delay=(0.01, 0.1)), [], []

        def call_again():
            calls = 0
            while calls < 50 or cutter.accepted < 4:
                found.append(client.call("probe.count")["runs"])
                calls += 1
            ended.append(calls)
        threads = [threading.Thread(target=call_again) for _ in range(8)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.05)
            cutter.cut()
        self.assertEqual(len(ended), 8)  # each of their calls has a result
        self.assertEqual(sorted(found), list(range(1, sum(ended) + 1)))
        self.assertEqual(client.pending, 0)

    def test_readings_are_stored_once(self):
        """A method that takes time, since it stores, at each moment."""
        self.begin("sensor_db {directory}/sensors.db", "sensor_interval 0", plugin=PLUGIN)
        cutter = self.cutter()
        client, first, count = self.connect(cutter.port, reconnect_delay=(0.01, 0.1)), time.time() - 3600, 0
        moments = [None, None]  # two calls that are not cut, of which the second one shows what passes
        while count < len(moments):
            cutter.arm(*([moments[count]] if moments[count] else []))
            client.call("updateSensor", sensor_id="a", value=count, time=first + count)
            settle(cutter, 0.05)
            count += 1
            if count == 2:
                moments += moments_of(cutter.seen)
        stored = client.call("sensorHistory", sensor_id="a", limit=1000)
        values = [reading["value"] for reading in stored["readings"]]
        self.assertEqual(sorted(values), list(range(count)))
        self.assertGreater(count, 10)

    def test_the_order_of_what_is_sent_again(self):
        self.begin()
        cutter = self.cutter()
        cutter.arm(Moment(OUT, PUBLISH, BEFORE))

        async def run():
            async with self.asynchronous(cutter.port) as client:
                await asyncio.gather(*(client.call("echo", [number]) for number in range(50)))

        asyncio.run(run())
        first = cutter.seen[0].connection
        again = [payload_of(message)[0] for seen, message in zip(
            [seen for seen in cutter.seen if (seen.direction, seen.kind) == (OUT, PUBLISH)], cutter.messages(OUT))
                 if seen.connection > first]
        self.assertEqual(again, list(range(50)))

    def away(self):
        """A client whose broker cannot be reached until cutter.refusing is False."""
        cutter = self.cutter()
        client = self.connect(cutter.port, reconnect_delay=(0.01, 0.05))
        cutter.refusing = True
        cutter.cut()
        eventually(lambda: not client.connected)
        return cutter, client

    def runs(self):
        return result_of(ask(self.client(self.broker, 5), "probe.runs"))["runs"]

    def test_a_call_waits_for_the_connection(self):
        self.begin()
        cutter, client = self.away()
        threading.Timer(0.3, setattr, (cutter, "refusing", False)).start()
        self.assertEqual(client.call("probe.count"), {"runs": 1})

    def test_what_has_ended_is_not_sent(self):
        """Neither a call whose time was over before the connection was back, nor one that was cancelled."""
        self.begin()
        cutter, client = self.away()
        with self.fails("timeout", "connection to the broker is broken"):
            client.call("probe.count", timeout=0.2)

        async def cancelled():
            async with self.asynchronous(cutter.port, reconnect_delay=(0.01, 0.05)) as other:
                cutter.refusing = True
                cutter.cut()
                while other.connected:
                    await asyncio.sleep(0.01)
                task = asyncio.create_task(other.call("probe.count"))
                while not other.pending:
                    await asyncio.sleep(0.01)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                cutter.refusing = False
                await other.call("ping")

        cutter.refusing = False
        client.call("ping")
        asyncio.run(cancelled())
        self.assertEqual(self.runs(), 0)

    def test_the_connection_comes_back_too_late(self):
        """While the caller still waits for a reply that was on its way when the time passed."""
        self.begin()
        cutter, client = self.away()
        threading.Timer(0.5, setattr, (cutter, "refusing", False)).start()
        with self.fails("timeout"):
            client.call("probe.count", timeout=0.2)
        client.call("ping")
        self.assertEqual(self.runs(), 0)

    def test_a_call_that_was_sent_and_has_ended_is_not_sent_again(self):
        self.begin()
        cutter = self.cutter()
        client = self.connect(cutter.port, reconnect_delay=(0.01, 0.05))
        client.call("ping")
        cutter.arm(Moment(OUT, PUBLISH, BEFORE))
        cutter.refusing = True
        with self.fails("timeout", "broken"):
            client.call("probe.count", timeout=0.1)
        cutter.refusing = False
        client.call("ping")
        self.assertEqual(self.runs(), 0)

    def test_without_keepalive(self):
        """The client waits, and takes no processor meanwhile."""
        self.begin()
        client = self.connect(keepalive=0)
        self.assertEqual(client.call("echo", 1), 1)
        looks = 0
        real = selectors.DefaultSelector.select

        def look(*how):
            nonlocal looks
            looks += threading.current_thread().name == client.client_id
            return real(*how)
        with unittest.mock.patch.object(selectors.DefaultSelector, "select", look):
            time.sleep(0.5)
        self.assertLess(looks, 20)

    def test_a_silent_end(self):
        """Nothing passes any more, and nobody says so: the keep-alive finds it."""
        self.begin()
        cutter = self.cutter()
        client = self.connect(cutter.port, keepalive=1)
        cutter.silent = True
        cutter.arm(Moment(OUT, PUBLISH, AFTER))
        self.assertEqual(client.call("probe.count"), {"runs": 1})

    def test_a_broker_that_does_not_answer(self):
        listener = socket.create_server((HOST, 0))
        self.addCleanup(listener.close)
        with self.assertRaisesRegex(ConnectionError, "does not answer"):
            sync.Client(HOST, listener.getsockname()[1], connect_timeout=0.2, keepalive=1).open()

    def test_the_broker_starts_again(self):
        self.begin()
        client = self.connect(reconnect_delay=(0.05, 0.5))
        events = client.events("probeCounted")
        for _ in range(3):
            self.assertEqual(client.call("probe.count"), {"runs": 1})
            self.assertIsNotNone(events.get(TIMEOUT))
            self.broker.stop()
            eventually(lambda: not client.connected)
            self.broker.start()

    def test_a_broker_with_persistence_that_starts_again(self):
        """A call that is made meanwhile runs once, and retained events come again."""
        self.begin("sensor_db {directory}/sensors.db", persistence=True)
        for version in VERSIONS:
            client = self.connect(version=version, reconnect_delay=(0.05, 0.5))
            self.assertTrue(client.call("updateSensor", sensor_id="attic", value=21.5)["ok"])
            with client.events("sensor/attic") as events:
                self.assertEqual(events.get(TIMEOUT).data["value"], 21.5)
                self.broker.stop()
                eventually(lambda client=client: not client.connected)
                starter = threading.Timer(0.5, self.broker.start)
                starter.start()
                self.assertEqual(client.call("probe.count"), {"runs": 1})
                starter.join()
                self.assertEqual(events.get(TIMEOUT).data["value"], 21.5)

    def test_a_listener_with_a_mount_point(self):
        self.begin("mount_point m/", mount_point="m/")
        for version in VERSIONS:
            client = self.connect(self.broker.mounted_port, version=version)
            self.assertEqual(client.call("echo", a=1), {"a": 1})
            with self.fails("method_not_found"):
                client.call("no.such")
            self.assert_many(client)
            with client.events("probeCounted") as events:
                self.assertEqual(client.call("probe.count")["runs"], VERSIONS.index(version) + 1)
                if broker_version() >= (2, 0, 12):  # from then on the broker cuts the mount point off
                    self.assertIsNotNone(events.get(TIMEOUT))

    def test_nothing_is_left_of_connections(self):
        self.begin()
        cutter = self.cutter()
        client = self.connect(cutter.port, reconnect_delay=(0.001, 0.01))
        client.call("ping")
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        before = self.descriptors()
        for _ in range(30):
            cutter.cut()
            client.call("ping")
        self.assertEqual(sum(isinstance(thing, _paho.Link) for thing in gc.get_objects()), 1)
        cutter.close()
        eventually(lambda: not client.connected)
        eventually(lambda: self.descriptors() <= before)

    @staticmethod
    def descriptors():
        return len(os.listdir("/proc/self/fd"))

    def test_nothing_is_left_of_clients(self):
        self.begin()
        self.connect().close()
        gc.collect()
        before, closed = self.descriptors(), []
        for _ in range(10):
            for version in VERSIONS:
                client = sync.Client(HOST, self.broker.port, version=version).open()
                client.events("sensor")
                client.call("ping")
                client.close()
                closed.append(client)
        self.assertEqual(self.descriptors(), before)
        self.check_threads()

    def test_two_clients_of_one_id(self):
        """They do not take the connection from each other as fast as they can."""
        self.begin()
        self.connect().call("updateSensor", sensor_id="a", value=1)
        clients = [self.connect(client_id="same", keepalive=5) for _ in range(2)]
        events = [client.events("sensor") for client in clients]  # what is retained comes to each connection
        eventually(lambda: not clients[0].connected)
        time.sleep(3)
        self.assertLess(len(re.findall("New client connected .* as same", self.broker.log())), 20)
        self.assertTrue(any(one.get() for one in events))

    def test_over_tls(self):
        self.begin(tls=True, users={"me": "secret"}, anonymous=False)
        for version in VERSIONS:
            client = self.connect(self.broker.tls_port, version=version, cafile=str(CERTIFICATE), username="me",
                                  password="secret")
            self.assertEqual(client.call("probe.big", size=100000), {"text": "x" * 100000})
            self.assert_many(client)
        with self.assertRaisesRegex(ConnectionError, "(?i)certificate"):
            self.connect(self.broker.tls_port, tls=True)

    @unittest.skipUnless(has_websockets(), "the broker has no WebSockets")
    def test_over_websockets(self):
        self.begin(websockets=True)
        self.assert_many(self.connect(self.broker.websockets_port, transport="websockets"), 2, 10)


# ---- Events --------------------------------------------------------------------------------------

class Events(ClientTest):

    def test_events_of_each_kind_of_client(self):
        self.begin()
        for caller in self.callers():
            if isinstance(caller, SyncCaller):
                with caller.client.events("probeNoted") as events:
                    caller.call("probe.announce", text="hello")
                    self.check(next(events))
            else:
                self.check(caller.wait(self.first(caller.client)))

    @staticmethod
    async def first(client):
        async with client.events("probeNoted") as events:
            await client.call("probe.announce", text="hello")
            async for event in events:
                return event

    def check(self, event):
        self.assertEqual((event.topic, event.event, event.key, event.data, event.retained, event.gone),
                         ("rpc/event/probeNoted", "probeNoted", None, {"text": "hello"}, False, False))

    def test_keys_and_wildcards(self):
        self.begin()
        for version in VERSIONS:
            client, name = self.connect(version=version), f"s{version}"
            with client.events("sensor") as keyed, client.events("sensor/+") as wild, client.events("#") as every:
                for value in (1, 2):
                    client.call("updateSensor", sensor_id=name, value=value)
                for events, event, key in ((keyed, "sensor", name), (wild, f"sensor/{name}", None),
                                           (every, f"sensor/{name}", None)):
                    found = self.of_key(events, name, 2)
                    self.assertEqual([(one.event, one.key, one.data["value"]) for one in found],
                                     [(event, key, 1), (event, key, 2)])

    def of_key(self, events, name, count):
        """The next news of a sensor; each must come once."""
        found = []
        while len(found) < count:
            event = events.get(TIMEOUT)
            if event.topic.endswith(f"/{name}") and not event.retained:
                found.append(event)
        while (event := events.get(0.2)) is not None:
            self.assertTrue(event.retained or not event.topic.endswith(f"/{name}"), event)
        return found

    def test_iterators_share_a_subscription(self):
        self.begin()
        cutter = self.cutter()
        client = self.connect(cutter.port)
        client.call("updateSensor", sensor_id="a", value=1)
        cutter.arm()
        with client.events("sensor") as first:
            self.assertTrue(first.get(TIMEOUT).retained)
            with client.events("sensor") as second:
                self.assertTrue(second.get(TIMEOUT).retained)
                client.call("updateSensor", sensor_id="a", value=2)
                self.assertEqual(self.of_key(first, "a", 1)[0].data["value"], 2)
            client.call("updateSensor", sensor_id="a", value=3)
            self.assertEqual(self.of_key(first, "a", 1)[0].data["value"], 3)
            self.assertEqual(cutter.count(OUT, UNSUBSCRIBE), 0)
        with self.assertRaises(StopIteration):
            second.get()
            second.get()
        eventually(lambda: cutter.count(OUT, UNSUBSCRIBE) == 1)
        self.assertEqual(client._connection._subscriptions, {})

    def test_an_iterator_that_is_dropped(self):
        self.begin()
        cutter = self.cutter()
        client = self.connect(cutter.port)

        async def run():
            async with self.asynchronous(cutter.port) as other:
                events = other.events("probeNoted")
                await other.call("probe.announce", text="1")
                async for _ in events:
                    break
                del events
                await other.call("probe.announce", text="2")
                while other._connection._subscriptions:
                    await asyncio.sleep(0.01)

        asyncio.run(run())
        client.call("ping")
        self.assertEqual(cutter.count(OUT, UNSUBSCRIBE), 1)

    def test_a_full_queue(self):
        self.begin()
        client = self.connect(max_events=3)
        with client.events("probeNoted") as events:
            for number in range(5):
                client.call("probe.announce", text=str(number))
            eventually(lambda: events.dropped == 2)
            self.assertEqual([next(events).data["text"] for _ in range(3)], ["2", "3", "4"])

    def test_events_that_are_no_json(self):
        """They are counted, the others come, and the log is not filled."""
        self.begin(plugins=[])
        client, other = self.connect(), self.client(self.broker, 5)
        with client.events("any") as events, self.assertNoLogs("mosquitto_rpc", "WARNING"):
            for payload in (b"{", b"[" * 100000, b'"\xff"', b"NaN", b"1"):
                other.publish("rpc/event/any", payload, qos=1)
            self.assertEqual((events.get(TIMEOUT).data, events.dropped), (1, 4))

    def test_cancelled_waiting_loses_nothing(self):
        self.begin()

        async def run():
            async with self.asynchronous() as client, client.events("probeNoted") as events:
                found, number = [], 0
                while len(found) < 50:
                    call = asyncio.create_task(client.call("probe.announce", text=str(number)))
                    number += 1
                    with contextlib.suppress(asyncio.TimeoutError):
                        while True:
                            found.append((await asyncio.wait_for(events.__anext__(), 0.001)).data["text"])
                    await call
                self.assertEqual(found, [str(one) for one in range(len(found))])

        asyncio.run(run())

    def test_something_is_gone(self):
        self.begin()
        client = self.connect()
        client.call("updateSensor", sensor_id="a", value=1)
        with client.events("sensor") as events:
            client.call("forgetSensor", sensor_id="a")
            while not (event := events.get(TIMEOUT)).gone:
                pass
            self.assertEqual((event.event, event.key, event.data), ("sensor", "a", None))

    def test_events_after_a_cut(self):
        self.begin()
        cutter = self.cutter()
        client = self.connect(cutter.port, reconnect_delay=(0.01, 0.1))
        with client.events("probeNoted") as events:
            for number in range(5):
                cutter.cut()
                client.call("probe.announce", text=str(number))
                self.assertEqual(events.get(TIMEOUT).data["text"], str(number))


# ---- Devices -------------------------------------------------------------------------------------

class Devices(ClientTest):

    def test_commands(self):
        self.begin()
        device = FakeDevice(self, self.broker).come().run()
        for caller in self.callers():
            lamp1 = caller.client.device("lamp1")
            self.assertEqual(caller.wait(lamp1.call("go", far=7)), {"did": "go"})
            self.assertEqual(device.taken[-1].params, {"far": 7})
            with self.fails("device_unknown"):
                caller.wait(caller.client.device("nobody").call("go", far=7))
            verdict = caller.wait(caller.client.group("*").call("go", {"offline": 1}))
            self.assertEqual((verdict["ended"], verdict["ok"]), ("all", 1))
            self.assertEqual(device.taken[-1].params, {"offline": 1})

    def test_options(self):
        self.begin("device_grace 0s")
        client = self.connect()
        queued = client.device("late").call("go", offline="queue", ttl=60, stale=30)
        self.assertTrue(queued["queued"])
        with self.fails("expired"):
            client.device("late2").call("go", offline="wait", timeout=0.2)
        verdict = client.group("*").call("go", want="all", stall=0.2, abort=90)
        self.assertIn(verdict["ended"], ("stall", "deadline"))
        with self.assertRaisesRegex(ValueError, "offline.* MQTT 5"):
            self.connect(version=311).device("late").call("go", offline="queue")

    def test_progress(self):
        self.begin()
        device = FakeDevice(self, self.broker).come()

        async def run():
            async with self.asynchronous() as client:
                said = []
                task = asyncio.create_task(client.device("lamp1").call("go", progress=said.append))
                await asyncio.to_thread(self.answer_with_progress, device)
                self.assertEqual(await task, {"did": "go"})
                self.assertEqual(said, [10, {"n": 20}])
                task = asyncio.create_task(client.device("lamp1").call("go"))
                await asyncio.to_thread(self.answer_with_progress, device)
                self.assertEqual(await task, {"did": "go"})

        asyncio.run(run())

    @staticmethod
    def answer_with_progress(device):
        command = device.take()
        for said in (10, {"n": 20}):
            device.answer(command, progress=said)
        device.answer(command)


# ---- A broker that refuses -----------------------------------------------------------------------

class Stub:
    """A broker for MQTT 5 that takes one connection after another, says what it is told to, and answers no call.

    subacks   the reason code of its answers to subscriptions; None: it gives none
    """

    def __init__(self, connack=b"\x20\x03\0\0\0", subacks=0):
        self.connack, self.subacks, self.packets = connack, subacks, []
        self.listener = socket.create_server((HOST, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                self.client, buffer = self.listener.accept()[0], bytearray()
                with self.client:
                    while content := self.client.recv(4096):
                        buffer += content
                        for packet in whole_packets(buffer):
                            self.packets.append(packet)
                            self.client.sendall(self.answer(packet))

    def answer(self, packet):
        kind = packet[0] >> 4
        if kind == CONNECT:
            return self.connack
        if kind == SUBSCRIBE and self.subacks is not None:
            return b"\x90\x04" + packet[2:4] + bytes([0, self.subacks])
        return b""

    def acknowledge(self):
        """The first two messages."""
        self.client.sendall(b"\x40\x02\0\x02\x40\x02\0\x03")

    def count(self, kind):
        return sum(packet[0] >> 4 == kind for packet in self.packets)


class Refusals(ClientTest):

    def stub(self, *how):
        stub = Stub(*how)
        self.addCleanup(lambda: (setattr(self, "threads", TIMEOUT), stub.listener.close()))
        return stub

    def test_a_subscription(self):
        """Those to events fail; without that to replies the client goes on."""
        stub = self.stub(b"\x20\x03\0\0\0", 0x87)
        client = self.connect(stub.port)
        with self.fails("refused", "rpc/event/sensor/#"), client.events("sensor"):
            self.fail("it began")
        with self.fails("refused"):
            next(client.events("sensor"))
        self.assertTrue(client.connected)
        self.assertEqual(client._connection._subscriptions, {})

    def test_a_subscription_that_is_not_answered(self):
        stub = self.stub()
        stub.subacks = None
        client = self.connect(stub.port, timeout=0.1)
        with self.fails("timeout", "subscription"), client.events("sensor"):
            self.fail("it began")
        client.close()

        async def run():
            async with self.asynchronous(stub.port, timeout=0.1) as other:
                with self.fails("timeout", "subscription"):
                    await other.events("sensor").__aenter__()
                self.assertEqual(other._connection._subscriptions, {})

        asyncio.run(run())

    def test_the_receive_maximum(self):
        """No more than that is on its way, and what waits can still be taken back."""
        stub = self.stub(b"\x20\x06\0\0\x03\x21\0\x02")
        client = self.connect(stub.port)

        def call():
            with self.fails("timeout"):
                client.call("ping", timeout=2)

        threads = [threading.Thread(target=call) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(stub.count(PUBLISH), 2)
        with self.fails("timeout", "not sent .* acknowledge"):
            client.call("ping", timeout=0.1)
        self.assertEqual(client.pending, 0)

    def test_what_was_cancelled_before_it_was_sent(self):
        """It is not sent when its turn comes."""
        stub = self.stub(b"\x20\x06\0\0\x03\x21\0\x02")

        async def run():
            async with self.asynchronous(stub.port) as client:
                tasks = [asyncio.create_task(client.call("ping")) for _ in range(5)]
                while stub.count(PUBLISH) < 2:
                    await asyncio.sleep(0.01)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                last = asyncio.create_task(client.call("last"))
                stub.acknowledge()
                while stub.count(PUBLISH) < 3:
                    await asyncio.sleep(0.01)
                last.cancel()
                self.assertIn(b"rpc/call/last", stub.packets[-1])

        asyncio.run(run())


# ---- What belongs to it --------------------------------------------------------------------------

class Package(ClientTest):

    def test_the_version(self):
        project = re.search(r"project\(mosquitto-rpc VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text()).group(1)
        self.assertEqual(mosquitto_rpc.__version__, project)

    @unittest.skipUnless(all(map(importlib.util.find_spec, ("pip", "setuptools", "wheel"))), "there is no pip")
    def test_the_wheel(self):
        """Without the network; the package is used from it."""
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(PACKAGE, pathlib.Path(folder, "source"), ignore=shutil.ignore_patterns("__pycache__"))
            subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-build-isolation",
                            "--no-deps", "--no-cache-dir", "--wheel-dir", folder, str(pathlib.Path(folder, "source"))],
                           check=True, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wheel, = pathlib.Path(folder).glob("mosquitto_rpc-*.whl")
            self.assertTrue(wheel.name.startswith(f"mosquitto_rpc-{mosquitto_rpc.__version__}-"), wheel)
            with zipfile.ZipFile(wheel) as archive:
                self.assertIn("mosquitto_rpc/py.typed", archive.namelist())
            code = "import mosquitto_rpc.sync; print(mosquitto_rpc.__version__, mosquitto_rpc.__file__)"
            environment = {**os.environ,
                           "PYTHONPATH": os.pathsep.join([str(wheel), os.environ.get("PYTHONPATH", "")])}
            said = subprocess.run([sys.executable, "-c", code], check=True, text=True, stdout=subprocess.PIPE,
                                  cwd=folder, env=environment).stdout
            self.assertIn(f"{mosquitto_rpc.__version__} {wheel}", said)

    @unittest.skipUnless(MYPY, "there is no mypy")
    def test_types(self):
        """Of the package, and of a program that uses it rightly and wrongly."""
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder, "program.py")
            program.write_text(textwrap.dedent("""
                import mosquitto_rpc
                from mosquitto_rpc import sync
                async def right() -> None:
                    async with mosquitto_rpc.Client("localhost", timeout=5) as client:
                        await client.call("ping", progress=print)
                        await client.device("lamp1").call("light", {"a": 1}, on=True, offline="queue")
                        async for event in client.events("sensor"):
                            key: str = event.key or ""
                with sync.Client() as client:
                    for event in client.events("sensor"):
                        print(event.key)
                client.call("ping", timeout="soon")  # wrong
                client.events(5)  # wrong
                sync.Client(port="1883")  # wrong
                """))
            common = [MYPY, "--config-file", str(PACKAGE / "pyproject.toml"), "--cache-dir", folder,
                      "--no-error-summary"]
            environment = {**os.environ, "MYPYPATH": str(PACKAGE)}
            package = subprocess.run([*common, str(PACKAGE / "mosquitto_rpc")], text=True, capture_output=True,
                                     check=False, env=environment)
            self.assertEqual((package.returncode, package.stdout), (0, ""), package.stderr)
            use = subprocess.run([*common, str(program)], text=True, capture_output=True, check=False, env=environment)
            wrong = [number for number, line in enumerate(program.read_text().splitlines(), 1) if "# wrong" in line]
            self.assertEqual([int(number) for number in re.findall(r"program.py:(\d+): error", use.stdout)], wrong,
                             use.stdout + use.stderr)

    def test_the_listings_of_the_page(self):
        """They run as they stand, but for the address, and print what the page says."""
        page = (PACKAGE / "README.md").read_text()
        listings = re.findall(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", page, re.S)
        self.assertGreater(len(listings), 3)
        self.begin(plugin=PLUGIN)
        device = FakeDevice(self, self.broker, work=lambda command: {"on": True, "brightness": 100}).come().run()
        for code, output in listings:
            with self.subTest(code=code[:60]):
                code = code.replace('"localhost"', f'"127.0.0.1", {self.broker.port}')
                ended = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, timeout=TIMEOUT,
                                       check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(
                                           [str(PACKAGE), os.environ.get("PYTHONPATH", "")])})
                self.assertEqual((ended.returncode, ended.stderr), (0, ""))
                self.assertEqual(ended.stdout, output)
        device.go()


if __name__ == "__main__":
    main()
