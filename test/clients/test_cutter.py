# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""cutter.py itself: it cuts where it says, and it notices clients that lose calls or double them."""
import json
import sys
import time

from cutter import AFTER, BEFORE, IN, MIDDLE, OUT, Cutter, Moment, Program, prove_once, settle
from harness import BrokerTest, eventually, main, new_identity
from mqtt import (CONNACK, CONNECT, CORRELATION_DATA, PINGREQ, PUBACK, PUBLISH, RESPONSE_TOPIC, SUBACK, Client, Closed,
                  Silence, property_of)


class Caller:
    """The smallest client that keeps the promise: it sends a call again, with its identity, until the reply comes."""

    def __init__(self, port, version=5):
        self.port, self.version, self.client = port, version, None
        self.client_id = "caller-" + new_identity()

    def connect(self):
        self.client = Client(self.port, self.version, client_id=self.client_id)
        self.client.subscribe(f"rpc/reply/{self.client_id}/#")

    def identity(self):
        return new_identity() + "-of-a-call"

    def attempt(self, method, params, identity):
        if self.client is None:
            self.connect()
        if self.version == 5:
            entries = [(RESPONSE_TOPIC, f"rpc/reply/{self.client_id}/rpc"), (CORRELATION_DATA, identity)]
            self.client.publish(f"rpc/call/{method}", json.dumps(params), qos=1, properties=entries)
        else:
            self.client.publish(f"rpc/call/{method}", json.dumps({**params, "request_id": identity}), qos=1)
        while True:
            reply = self.client.receive()
            content = json.loads(reply.payload)
            if self.version == 5 and property_of(reply, CORRELATION_DATA) == identity.encode():
                return content
            if self.version == 4 and content["request_id"] == identity:
                return content["result"]

    def call(self, method, params):
        identity = self.identity()
        for _ in range(5):
            try:
                return self.attempt(method, params, identity)
            except (Closed, OSError):
                self.drop()
        raise RuntimeError("no connection")

    def pending(self):
        return 0

    def drop(self):
        if self.client:
            self.client.close()
        self.client = None

    close = drop


class Forgetful(Caller):
    """Takes a new identity whenever it sends a call again."""

    def attempt(self, method, params, identity):
        return super().attempt(method, params, self.identity())


class Faint(Caller):
    """Does not send a call again."""

    def call(self, method, params):
        try:
            return self.attempt(method, params, self.identity())
        except (Closed, OSError):
            self.drop()
            raise


class Changing(Caller):
    """Sends a call again with other bytes: the plugin takes it for another call."""

    def attempt(self, method, params, identity):
        return super().attempt(method, {**params, "attempt": new_identity()}, identity)


class Doubling(Caller):
    """Calls twice where it should once."""

    def call(self, method, params):
        super().call(method, params)
        return super().call(method, params)


class Hoarder(Caller):
    def pending(self):
        return 1


class Places(BrokerTest):

    def setUp(self):
        self.broker = self.start(["sys_interval 0"])
        self.cutter = Cutter(self.broker.port)
        self.addCleanup(self.cutter.close)

    def test_passes_everything(self):
        caller = Caller(self.cutter.port)
        self.assertEqual(caller.call("probe.count", {}), {"runs": 1})
        settle(self.cutter)
        for packet in ((OUT, CONNECT), (IN, CONNACK), (IN, SUBACK), (OUT, PUBLISH), (IN, PUBLISH)):
            self.assertEqual(self.cutter.count(*packet), 1)
        self.assertEqual(self.cutter.messages(OUT)[0].topic, "rpc/call/probe.count")
        self.assertEqual(self.cutter.messages(IN)[0].topic, f"rpc/reply/{caller.client_id}/rpc")
        caller.close()

    def test_large_packets(self):
        """Packets that come in many pieces are passed on whole."""
        client = self.client(self.broker, port=self.cutter.port)
        client.subscribe("large")
        content = bytes(range(256)) * 4000
        client.publish("large", content, qos=1)
        self.assertEqual(client.receive().payload, content)

    def test_places(self):
        """What the broker gets of a message: nothing, a part, all of it; and the client is told of the end."""
        watcher = self.client(self.broker)
        watcher.subscribe("news")
        for at, comes in ((BEFORE, False), (MIDDLE, False), (7, False), (AFTER, True)):
            with self.subTest(at=at):
                client = self.client(self.broker, port=self.cutter.port)
                self.cutter.arm(Moment(OUT, PUBLISH, at, nth=2))
                client.publish("news", "first", qos=0)
                client.publish("news", "second", qos=0)
                self.assertRaises((Closed, OSError), client.wait_for, PUBACK)
                self.assertEqual(self.cutter.fired, 1)
                self.assertEqual(watcher.receive().payload, b"first")
                if comes:
                    self.assertEqual(watcher.receive().payload, b"second")
                else:
                    watcher.expect_nothing()

    def test_from_the_broker(self):
        """Before an acknowledgement and after it."""
        for at, comes in ((BEFORE, False), (1, False), (AFTER, True)):
            for self.cutter.reset in (False, True):
                with self.subTest(at=at, reset=self.cutter.reset):
                    client = self.client(self.broker, port=self.cutter.port)
                    self.cutter.arm(Moment(IN, PUBACK, at))
                    if comes and not self.cutter.reset:
                        client.publish("news", "x", qos=1)
                    else:
                        client.publish("news", "x", qos=1, wait=False)
                    self.assertRaises((Closed, OSError), self.to_the_end, client)

    def to_the_end(self, client):
        while True:
            client.read()

    def test_in_turn(self):
        """Two moments: the second is looked for after the first."""
        self.cutter.arm(Moment(OUT, CONNECT, AFTER), Moment(OUT, CONNECT, BEFORE))
        for fired in (1, 2):
            self.assertRaises((Closed, OSError), Client, self.cutter.port)
            self.assertEqual(self.cutter.fired, fired)
        self.client(self.broker, port=self.cutter.port)

    def test_any_packet(self):
        client = self.client(self.broker, port=self.cutter.port)
        self.cutter.arm(Moment(OUT, None))
        self.assertRaises((Closed, OSError), client.ping)
        self.assertEqual(self.cutter.count(OUT, PINGREQ), 1)

    def test_silence(self):
        """The connection stays, and nothing passes it."""
        client = self.client(self.broker, port=self.cutter.port)
        self.cutter.silent = True
        self.cutter.arm(Moment(OUT, PINGREQ, AFTER))
        client.send(b"\xc0\0")
        self.assertRaises(Silence, client.read, timeout=0.2)
        eventually(lambda: self.cutter.fired == 1)
        self.cutter.silent = False
        client.send(b"\xc0\0")
        self.assertRaises(Silence, client.read, timeout=0.2)
        self.cutter.cut()
        self.assertRaises((Closed, OSError), client.read)

    def test_refusing_and_delay(self):
        self.cutter.refusing = True
        self.assertRaises((Closed, OSError), Client, self.cutter.port)
        self.cutter.refusing, self.cutter.delay = False, 0.1
        begin = time.monotonic()
        Client(self.cutter.port).disconnect()
        self.assertGreaterEqual(time.monotonic() - begin, 0.2)


class Once(BrokerTest):

    def prove(self, kind, **how):
        broker = self.start(["sys_interval 0"])
        return prove_once(broker, kind, **how)

    def test_a_good_client(self):
        for version, reset, twice in ((4, False, False), (5, True, True)):
            with self.subTest(version=version):
                moments = self.prove(lambda port: Caller(port, version), reset=reset, twice=twice)
                named = {str(moment[-1]) for moment in moments}
                packets = ["PUBLISH 1 to", "PUBACK 1 from", "PUBLISH 1 from"]
                packets += ["CONNECT 1 to", "SUBACK 1 from"] if twice else []
                for place in (BEFORE, MIDDLE, AFTER):
                    for packet in packets:
                        self.assertIn(f"{place} {packet} the broker", named)

    def test_bad_clients(self):
        for kind, complaint in ((Forgetful, "other contents"), (Faint, "failed"), (Changing, "other contents"),
                                (Doubling, "doubled"), (Hoarder, "remembers")):
            with self.subTest(kind=kind.__name__), self.assertRaisesRegex(AssertionError, complaint):
                self.prove(kind, twice=False)

    def test_a_program(self):
        """The same over the lines of Program."""
        moments = self.prove(lambda port: Program([sys.executable, __file__, "--program"], port), twice=False)
        self.assertTrue(moments)


def program(port):
    caller = Caller(port)
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "pending":
            print("pending 0", flush=True)
            continue
        method, _, params = rest.partition(" ")
        try:
            print("result", json.dumps(caller.call(method, json.loads(params))), flush=True)
        except Exception as error:  # pylint: disable=broad-except
            print("error", type(error).__name__, error, flush=True)
    caller.close()


if __name__ == "__main__":
    if "--program" in sys.argv:
        program(int(sys.argv[-1]))
    else:
        main()
