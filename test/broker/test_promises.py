"""How often a call runs when the connection is cut at any packet of its handshake.

That depends on the call's QoS, on its identity (none, under 16 bytes, or longer) and on the session. The table
PROMISES has a row for each. The test tries every row with MQTT 3.1.1 and 5, and cuts the connection after every packet
in three ways: the client resets the connection, closes it, or takes it over with another one. Then the client does
what MQTT demands, and the test counts the runs.
"""
import itertools
import json
import os
import random
import re
import time

from harness import (ROOT, SLOW, TIMEOUT, BrokerTest, ask, broker_version, eventually, has_websockets, main,
                     patient, result_of)
from mqtt import (CONTENT_TYPE, CORRELATION_DATA, PUBACK, PUBCOMP, PUBREC, PUBREL, RESPONSE_TOPIC, SESSION_EXPIRY,
                  packet, property_of, user_property_of)

IDENTITIES = {"none": "", "short": "counter-1", "long": "0123456789abcdef"}

# The number of runs, after the call has arrived a second time:
#   sent again  the connection was cut before the client read the broker's acknowledgement, and the client sends the
#               PUBLISH again: with DUP and the same packet id in a kept session, as a new message in a new one
#   repeated    the handshake is complete, but the client has no reply, and its application makes the same call again
# None: that does not happen (QoS 0 is never sent again), or is a new call (without an identity at QoS 1 and 2).
# docs/clients.md has the same table, and a test compares them.
PROMISES = (
    # QoS, identity, session, sent again, repeated
    (0, "none", "clean", None, 2),
    (0, "none", "persistent", None, 2),
    (0, "short", "clean", None, 2),
    (0, "short", "persistent", None, 1),
    (0, "long", "clean", None, 1),
    (0, "long", "persistent", None, 1),
    (1, "none", "clean", 2, None),
    (1, "none", "persistent", 2, None),
    (1, "short", "clean", 2, 2),
    (1, "short", "persistent", 1, 1),
    (1, "long", "clean", 1, 1),
    (1, "long", "persistent", 1, 1),
    (2, "none", "clean", 2, None),
    (2, "none", "persistent", 1, None),
    (2, "short", "clean", 2, 2),
    (2, "short", "persistent", 1, 1),
    (2, "long", "clean", 1, 1),
    (2, "long", "persistent", 1, 1),
)

# The packet after which the connection is cut.
POINTS = {0: ("PUBLISH",), 1: ("PUBLISH", "PUBACK"), 2: ("PUBLISH", "PUBREC", "PUBREL", "PUBCOMP")}

CUTS = ("reset", "close", "takeover")


class Device:
    """A client id that makes one call, over several connections."""

    def __init__(self, test, broker, version, qos=2, identity="none", session="persistent", method="probe.count"):
        self.test, self.broker, self.version, self.qos = test, broker, version, qos
        self.identity, self.clean, self.method = IDENTITIES[identity], session == "clean", method
        self.id, self.connection = f"device-{os.urandom(6).hex()}", None

    def connect(self, auto_ack=True, **how):
        how.setdefault("clean", self.clean)
        self.connection = self.test.client(self.broker, self.version, client_id=self.id, auto_ack=auto_ack, **how)
        return self.connection

    def message(self, params=None):
        """Payload and properties of the call. Without an identity MQTT 3 has no way to ask for a reply."""
        if self.version == 5:
            correlation = [(CORRELATION_DATA, self.identity)] if self.identity else []
            return json.dumps(params or {}), [(RESPONSE_TOPIC, "reply/to/me"), *correlation]
        return json.dumps({**(params or {}), **({"request_id": self.identity} if self.identity else {})}), []

    def send(self, params=None, mid=None):
        """Sends the call, or with a packet id sends it again. Returns the packet id."""
        payload, entries = self.message(params)
        self.connection.publish(f"rpc/call/{self.method}", payload, qos=self.qos, dup=mid is not None, mid=mid,
                                properties=entries, wait=False)
        return mid or self.connection.last_mid

    def send_release(self, mid):
        self.connection.send(packet(PUBREL, 2, mid.to_bytes(2, "big")))

    def finish(self, mid):
        """The rest of the handshake after PUBLISH."""
        if self.qos == 1:
            self.connection.wait_ack(PUBACK, mid)
        if self.qos == 2:
            self.connection.wait_ack(PUBREC, mid)
            self.connection.release(mid)

    def go_until(self, point, mid):
        """The handshake up to and including the packet after which the connection is cut."""
        if point == "PUBACK":
            self.connection.wait_ack(PUBACK, mid)
        if point in ("PUBREC", "PUBREL", "PUBCOMP"):
            self.connection.wait_ack(PUBREC, mid)
        if point in ("PUBREL", "PUBCOMP"):
            self.send_release(mid)
        if point == "PUBCOMP":
            self.connection.wait_ack(PUBCOMP, mid)

    def cut(self, how="reset"):
        """Ends the connection. A takeover happens when the next one begins."""
        if how == "reset":
            self.connection.reset()
        if how == "close":
            self.connection.close()

    def cut_and_wait(self, how="reset"):
        """Ends the connection, and waits until the broker has seen that."""
        line = re.compile(rf"[Cc]lient <?{self.id}\b.*(closed its|disconnect)")
        seen = len(line.findall(self.broker.log()))
        self.cut(how)
        if how != "takeover":
            eventually(lambda: len(line.findall(self.broker.log())) > seen, pause=0.005)

    def answers(self, at_least=0):
        """The replies on this connection so far, with their properties."""
        found = [self.connection.receive() for _ in range(at_least)]
        self.connection.ping()
        found += self.connection.inbox
        self.connection.inbox.clear()
        return [(reply.topic, reply.payload, property_of(reply, CORRELATION_DATA), property_of(reply, CONTENT_TYPE),
                 user_property_of(reply, "status")) if self.version == 5 else (reply.topic, reply.payload)
                for reply in found]


def runs_in(answer):
    content = json.loads(answer[1])
    return content["result"]["runs"] if "request_id" in content else content["runs"]


class PromiseTest(BrokerTest):
    """Counts the runs of probe.count."""

    def begin(self, options=(), lines=(), **how):
        self.broker = self.start(options, lines=["set_tcp_nodelay true", *lines], **how)
        self.watcher = self.client(self.broker, 5)
        return self.broker

    def runs(self):
        return result_of(ask(self.watcher, "probe.runs"))["runs"]

    def wait_for_runs(self, count):
        eventually(lambda: self.runs() >= count, pause=0.005)
        self.assertEqual(self.runs(), count)

    def device(self, version=4, **how):
        return Device(self, self.broker, version, **how)


class EveryRow(PromiseTest):

    def test_table_is_whole(self):
        self.assertEqual([row[:3] for row in PROMISES],
                         list(itertools.product((0, 1, 2), IDENTITIES, ("clean", "persistent"))))

    def test_the_manual_has_the_same_table(self):
        rows = re.findall(r"^\| ([012]) \| (none|short|long) \| (again|once) \| (again|once) \|$",
                          (ROOT / "docs/clients.md").read_text(), re.MULTILINE)
        shown = {(int(qos), identity, session): word for qos, identity, *words in rows
                for session, word in zip(("clean", "persistent"), words)}
        runs = {row[:3]: {count for count in row[3:] if count} for row in PROMISES}
        self.assertEqual(runs, {cell: {1 if word == "once" else 2} for cell, word in shown.items()})

    def try_row(self, version):
        self.begin()
        for (qos, identity, session, sent_again, repeated), cut in itertools.product(PROMISES, CUTS):
            for point in POINTS[qos]:
                with self.subTest(version=version, qos=qos, identity=identity, session=session, cut=cut, point=point):
                    device = self.device(version, qos=qos, identity=identity, session=session)
                    self.try_cell(device, point, cut, sent_again, repeated)
                    device.connection.disconnect()
        self.assertNotIn("Reused message ID", self.broker.log())

    def test_mqtt_3(self):
        self.try_row(4)

    def test_mqtt_5(self):
        self.try_row(5)

    def try_cell(self, device, point, cut, sent_again, repeated):
        before = self.runs()
        device.connect(auto_ack=False)
        mid = device.send()
        device.go_until(point, mid)
        if cut == "close":
            device.cut(cut)
        self.wait_for_runs(before + 1)
        if cut == "reset":
            device.cut(cut)
        device.connect()
        came_again = self.do_what_mqtt_demands(device, point, mid)
        expected = sent_again if came_again else 1
        self.check(device, before, expected, came_again)
        if repeated and not came_again:
            device.finish(device.send())
            self.check(device, before, repeated, True)

    def do_what_mqtt_demands(self, device, point, mid):
        """Returns whether MQTT made the client send the call again."""
        self.assertEqual(device.connection.session_present, not device.clean)
        if device.qos > 0 and point == "PUBLISH":
            device.finish(device.send(mid=None if device.clean else mid))
            return True
        if point in ("PUBREC", "PUBREL") and not device.clean:
            device.connection.release(mid)
        return False

    def check(self, device, before, expected, asked):
        answered = device.version == 5 or device.identity
        answers = device.answers(at_least=1 if asked and answered else 0)
        self.assertEqual(self.runs() - before, expected)
        if asked and answered:
            self.assertEqual(runs_in(answers[-1]), before + expected)
        if expected == 1:
            self.assertLessEqual(len(set(answers)), 1, "not the same answer")


class Sessions(PromiseTest):
    """MQTT 5: a client may ask for one kind of session when it connects, and for another when it reconnects."""

    def come_back(self, device, first, second, cut="reset"):
        """The number of runs after a call on a connection of the first kind was sent again on one of the second."""
        before = self.runs()
        device.connect(**first)
        mid = device.send()
        self.wait_for_runs(before + 1)
        device.cut_and_wait(cut)
        device.connect(**second)
        device.finish(device.send(mid=mid))
        device.answers()
        return self.runs() - before

    def test_begun_clean_and_kept(self):
        """What most clients do: a new session at first, the same one after each reconnect."""
        self.begin()
        kept = [(SESSION_EXPIRY, 3600)]
        for identity, cut in itertools.product(("none", "short", "long"), CUTS):
            with self.subTest(identity=identity, cut=cut):
                device = self.device(5, identity=identity)
                self.assertEqual(self.come_back(device, {"clean": True, "properties": kept}, {"clean": False}, cut), 1)

    def test_ends_with_its_connection(self):
        """Without Clean Start, but with a Session Expiry Interval of 0."""
        self.begin()
        for identity, runs in (("none", 2), ("short", 2), ("long", 1)):
            with self.subTest(identity=identity):
                device = self.device(5, identity=identity)
                over = {"clean": False, "properties": [(SESSION_EXPIRY, 0)]}
                self.assertEqual(self.come_back(device, over, over), runs)

    def test_a_new_one_afterwards(self):
        self.begin()
        for version, (identity, runs) in itertools.product((4, 5), (("none", 2), ("short", 2), ("long", 1))):
            with self.subTest(version=version, identity=identity):
                device = self.device(version, identity=identity)
                self.assertEqual(self.come_back(device, {}, {"clean": True}), runs)

    def test_a_new_one_in_between(self):
        """The session that had the calls is replaced by one without calls."""
        self.begin()
        for version, identity in itertools.product((4, 5), ("none", "short")):
            with self.subTest(version=version, identity=identity):
                before, kept = self.runs(), [(SESSION_EXPIRY, 3600)]
                device = self.device(version, identity=identity)
                device.connect()
                device.send()
                self.wait_for_runs(before + 1)
                device.cut()
                device.connect(clean=True, properties=kept if version == 5 else ())
                device.connection.ping()
                device.cut_and_wait()
                device.connect(clean=False)
                device.finish(device.send())
                device.answers()
                self.assertEqual(self.runs() - before, 2)

    def test_disconnect(self):
        """A client that sends DISCONNECT has nothing to send again: its next call is a new one. Brokers before 2.1 do
        not report whether a connection was cut, so that every end counts as a cut for half a minute."""
        self.begin()
        for version in (4, 5):
            with self.subTest(version=version):
                before, device = self.runs(), self.device(version)
                device.connect()
                device.finish(device.send())
                device.connection.disconnect()
                self.wait_for_runs(before + 1)
                device.connect()
                device.finish(device.send())
                device.answers()
                self.assertEqual(self.runs() - before, 2 if broker_version() >= (2, 1) else 1)


class Order(PromiseTest):
    """The redelivery guard: calls at QoS 2 without an identity are recognised by their order."""

    def begin_flight(self, count=3, version=4, params=lambda number: {"n": number}):
        """Returns a device with so many calls in flight, and their packet ids."""
        self.before = self.runs()
        device = self.device(version)
        device.connect()
        mids = [device.send(params(number)) for number in range(count)]
        self.wait_for_runs(self.before + count)
        return device, mids

    def assert_runs(self, device, expected):
        device.answers()
        self.assertEqual(self.runs() - self.before, expected)

    def test_several_in_flight(self):
        self.begin()
        for version, cut in itertools.product((4, 5), CUTS):
            with self.subTest(version=version, cut=cut):
                device, mids = self.begin_flight(version=version)
                device.cut(cut)
                device.connect()
                for number, mid in enumerate(mids):
                    device.finish(device.send({"n": number}, mid=mid))
                self.assert_runs(device, 3)
                device.finish(device.send({"n": 3}))
                self.assert_runs(device, 4)

    def test_all_the_same(self):
        self.begin()
        device, mids = self.begin_flight(params=lambda number: {})
        device.cut()
        device.connect()
        for mid in mids:
            device.finish(device.send({}, mid=mid))
        self.assert_runs(device, 3)
        device.finish(device.send({}))
        self.assert_runs(device, 4)

    def test_the_first_are_acknowledged(self):
        self.begin()
        for acknowledged, version in itertools.product((1, 2), (4, 5)):
            with self.subTest(acknowledged=acknowledged, version=version):
                device, mids = self.begin_flight(version=version)
                for mid in mids[:acknowledged]:
                    device.connection.wait_ack(PUBREC, mid)
                device.cut()
                device.connect()
                for mid in mids[:acknowledged]:
                    device.connection.release(mid)
                for number in range(acknowledged, 3):
                    device.finish(device.send({"n": number}, mid=mids[number]))
                self.assert_runs(device, 3)

    def test_a_call_that_does_not_match_ends_it(self):
        self.begin()
        for version in (4, 5):
            with self.subTest(version=version):
                device, mids = self.begin_flight(version=version)
                device.cut()
                device.connect()
                device.finish(device.send({"n": "new"}))
                self.assert_runs(device, 4)
                device.finish(device.send({"n": 0}, mid=mids[0]))
                self.assert_runs(device, 5)

    def test_a_call_at_qos_0_ends_it(self):
        self.begin()
        device, mids = self.begin_flight()
        device.cut()
        device.connect()
        device.connection.publish("rpc/call/echo", "{}")
        device.finish(device.send({"n": 0}, mid=mids[0]))
        self.assert_runs(device, 4)

    def test_other_calls_are_in_the_order(self):
        """Redelivered calls that have an identity, or may run again, do not end the guard."""
        self.begin()
        for version in (4, 5):
            with self.subTest(version=version):
                self.before = self.runs()
                device = self.device(version)
                others = [self.device(version, qos=1), self.device(version, qos=2, identity="long"),
                          self.device(version, qos=2, identity="short"), self.device(version, method="probe.runs")]
                calls = [call for other in others for call in (other, device)]

                def connect():
                    device.connect()
                    for other in others:
                        other.connection = device.connection

                connect()
                mids = [call.send({"n": number}) for number, call in enumerate(calls)]
                self.wait_for_runs(self.before + 7)
                device.cut()
                connect()
                for number, (call, mid) in enumerate(zip(calls, mids)):
                    call.finish(call.send({"n": number}, mid=mid))
                self.assert_runs(device, 8)  # that at QoS 1 without an identity ran again

    def test_cut_twice(self):
        self.begin()
        for version, sent in itertools.product((4, 5), (0, 1, 2, 3)):
            with self.subTest(version=version, sent=sent):
                device, mids = self.begin_flight(version=version)
                device.cut()
                device.connect()
                for number, mid in enumerate(mids[:sent]):
                    device.send({"n": number}, mid=mid)
                device.connection.ping()
                device.cut()
                device.connect()
                for number, mid in enumerate(mids):
                    device.finish(device.send({"n": number}, mid=mid))
                self.assert_runs(device, 3)

    def test_connections_that_never_call(self):
        """The client reconnects and is cut again before it calls. Before 2.1 a connection that is taken over looks
        like one that had asked for a new session."""
        self.begin()
        cuts = CUTS if broker_version() >= (2, 1) else ("reset", "close")
        for version, identity, cut in itertools.product((4, 5), ("none", "short"), cuts):
            with self.subTest(version=version, identity=identity, cut=cut):
                before, device = self.runs(), self.device(version, identity=identity)
                device.connect()
                mid = device.send()
                self.wait_for_runs(before + 1)
                device.cut()
                for _ in range(3):
                    device.connect()
                    device.connection.ping()
                    device.cut_and_wait(cut)
                device.connect()
                device.finish(device.send(mid=mid))
                device.answers()
                self.assertEqual(self.runs() - before, 1)

    def test_cut_twice_with_new_calls(self):
        self.begin()
        device, mids = self.begin_flight(2)
        device.cut()
        device.connect()
        for number, mid in enumerate(mids):
            device.send({"n": number}, mid=mid)
        device.connection.last_mid = max(mids)
        mids.append(device.send({"n": 2}))
        self.wait_for_runs(self.before + 3)
        device.cut()
        device.connect()
        for number, mid in enumerate(mids):
            device.finish(device.send({"n": number}, mid=mid))
        self.assert_runs(device, 3)

    def test_the_end_is_reported_late(self):
        """On 2.0.x the end of a stalled WebSocket is reported after the first message of the next connection."""
        if not has_websockets():
            self.skipTest("this broker has no WebSockets")
        self.begin(["max_reply 2m"], websockets=True)
        device, before = self.device(5), self.runs()
        old = device.connect(port=self.broker.websockets_port, websocket=True)
        for _ in range(8):
            old.publish("rpc/call/probe.big", '{"size":1000000}', properties=[(RESPONSE_TOPIC, "r")])
        mid = device.send()
        self.wait_for_runs(before + 1)
        device.connect()
        device.send(mid=mid)
        device.connection.ping()
        old.close()
        device.connection.ping()
        device.cut()
        device.connect()
        device.finish(device.send(mid=mid))
        device.answers()
        self.assertEqual(self.runs() - before, 1)

    @patient
    def test_how_long(self):
        """The time counts back from the end of the connection; the time between the connections does not matter."""
        self.begin([f"redelivery_guard {2 * self.pace}s"])
        for in_time in (True, False):
            device, mids = self.begin_flight(1)
            if not in_time:
                time.sleep(3 * self.pace)
            device.cut()
            if in_time:
                time.sleep(3 * self.pace)
            device.connect()
            device.finish(device.send({"n": 0}, mid=mids[0]))
            self.assert_runs(device, 1 if in_time else 2)

    def test_off(self):
        self.begin(["redelivery_guard 0"])
        for version in (4, 5):
            with self.subTest(version=version):
                device, mids = self.begin_flight(2, version=version)
                device.cut()
                device.connect()
                for number, mid in enumerate(mids):
                    device.finish(device.send({"n": number}, mid=mid))
                self.assert_runs(device, 4)

    def test_many_in_flight(self):
        """As many calls as the guard records for one client; older ones run again."""
        self.begin(lines=["max_inflight_messages 1000"])  # 2.1.0 ends every publisher where it is 0
        device, mids = self.begin_flight(100)
        device.cut()
        device.connect()
        for number, mid in enumerate(mids):
            device.finish(device.send({"n": number}, mid=mid))
        self.assert_runs(device, 100)

    def test_a_new_call_that_equals_the_first(self):
        """A new call that equals the first one before the cut is taken for its redelivery."""
        self.begin()
        device, mids = self.begin_flight(2, params=lambda number: {})
        device.connection.wait_ack(PUBREC, mids[0])
        device.cut()
        device.connect()
        device.connection.release(mids[0])
        device.finish(device.send({}, mid=mids[1]))
        self.assert_runs(device, 2)
        device.connection.last_mid = mids[1]
        device.finish(device.send({}))
        self.assert_runs(device, 2)
        device.finish(device.send({}))
        self.assert_runs(device, 3)

    @patient
    def test_a_refused_call_is_in_the_order(self):
        """A call over the rate is in the order, too: its redelivery does not end the guard."""
        self.begin(["rate_limit 2", "rate_burst 1"])
        before, device = self.runs(), self.device()
        device.connect()
        mids = [device.send({"n": 0}), device.send({"n": 1})]
        time.sleep(0.7)
        mids.append(device.send({"n": 2}))
        device.connection.ping()
        self.assertEqual(self.wait_and_count(before), 2)
        device.cut()
        device.connect()
        for number, mid in enumerate(mids):
            time.sleep(0.7)
            device.finish(device.send({"n": number}, mid=mid))
        self.assertEqual(self.wait_and_count(before), 3)

    def wait_and_count(self, before):
        """The number of runs, when the rate lets a call of probe.runs through."""
        time.sleep(0.7)
        return self.runs() - before

    def test_one_client_among_many(self):
        """Each client has its own guard."""
        self.begin()
        before = self.runs()
        devices = [self.device(4 + number % 2) for number in range(10)]
        mids = []
        for device in devices:
            device.connect()
            mids.append(device.send())
        self.wait_for_runs(before + 10)
        for device in devices:
            device.cut()
        stranger = self.device()
        stranger.connect()
        stranger.finish(stranger.send())
        for device, mid in reversed(list(zip(devices, mids))):
            device.connect()
            device.finish(device.send(mid=mid))
            device.answers()
        self.assertEqual(self.runs() - before, 11)


class Journey(PromiseTest):
    """A client that does what MQTT demands and calls again and again, cut at random moments. Before 2.1 each
    connection calls before it is cut; see test_connections_that_never_call."""

    def test_exactly_once(self):
        self.begin()
        for version, seed in itertools.product((4, 5), range(15 // SLOW)):
            with self.subTest(version=version, seed=seed):
                before, chance = self.runs(), random.Random(seed)
                calls = self.travel(version, chance)
                self.assertEqual(self.runs() - before, calls)

    def travel(self, version, chance):
        """Returns the number of calls."""
        device = self.device(version)
        device.connect()
        calls, unacknowledged, unreleased = 0, [], []
        for _ in range(12):
            for _ in range(chance.randrange(4)):
                device.connection.last_mid = calls + 1
                unacknowledged.append((calls, device.send({"n": calls})))
                calls += 1
            self.read_some(device, chance, unacknowledged, unreleased)
            if chance.random() < 0.6:
                self.come_back(device, chance, unacknowledged, unreleased)
        self.come_back(device, chance, unacknowledged, unreleased, whole=True)
        for _, mid in unacknowledged:
            device.connection.wait_ack(PUBREC, mid)
        for _, mid in unacknowledged:
            device.connection.release(mid)
        device.connection.disconnect()
        return calls

    def read_some(self, device, chance, unacknowledged, unreleased):
        """Handles some packets of the broker, in order."""
        for _ in range(chance.randint(0, len(unacknowledged))):
            number, mid = unacknowledged.pop(0)
            device.connection.wait_ack(PUBREC, mid)
            unreleased.append(mid)
            if chance.random() < 0.5:
                device.send_release(mid)

    def come_back(self, device, chance, unacknowledged, unreleased, whole=False):
        """Reconnects until one connection lasts until all is sent again."""
        while True:
            if broker_version() < (2, 1) or chance.random() < 0.7:
                device.connection.ping()  # so that the broker has read what was sent
            device.cut(chance.choice(CUTS))
            device.connect()
            lasts = whole or chance.random() < 0.5
            least = 0 if broker_version() >= (2, 1) else min(1, len(unacknowledged))
            for mid in unreleased:
                device.connection.release(mid)
            unreleased.clear()
            some = len(unacknowledged) if lasts else chance.randint(least, len(unacknowledged))
            for number, mid in unacknowledged[:some]:
                device.send({"n": number}, mid=mid)
            if lasts:
                return


class Identities(PromiseTest):
    """Duplicates by identity, where no connection is cut."""

    def call(self, client, correlation="0123456789abcdef", params="{}", method="probe.count", topic="r", qos=1):
        return ask(client, method, params, correlation=correlation.encode(), topic=topic, qos=qos)

    def test_what_makes_a_call_the_same(self):
        self.begin()
        client, other = self.client(self.broker, 5), self.client(self.broker, 5)
        first = self.call(client)
        for what, repeated, how in (
            ("the same", True, {}), ("at another QoS", True, {"qos": 2}), ("at QoS 0", True, {"qos": 0}),
            ("another Response Topic", True, {"topic": "elsewhere"}), ("another payload", False, {"params": "{ }"}),
            ("another identity", False, {"correlation": "0123456789abcdeg"}),
            ("a longer one", False, {"correlation": "0123456789abcdef0"}),
        ):
            with self.subTest(what=what):
                before = self.runs()
                reply = self.call(client, **how)
                self.assertEqual(self.runs() - before, 0 if repeated else 1)
                self.assertEqual(reply.payload == first.payload, repeated)
        before = self.runs()
        self.call(other)
        self.assertEqual(self.runs() - before, 1, "two clients share an identity")

    def test_short_ones_on_one_connection(self):
        self.begin()
        for version, identity in itertools.product((4, 5), ("short", "long")):
            with self.subTest(version=version, identity=identity):
                before, device = self.runs(), self.device(version, qos=1, identity=identity, session="clean")
                device.connect()
                for _ in range(3):
                    device.finish(device.send())
                self.assertEqual(len(set(device.answers(at_least=3))), 1)
                self.assertEqual(self.runs() - before, 1)

    def test_errors_are_cached(self):
        self.begin()
        client = self.client(self.broker, 5)
        replies = [self.call(client, method="probe.raise", params='{"code":"probe_plain"}') for _ in range(2)]
        self.assertEqual(replies[0].payload, replies[1].payload)
        self.assertEqual([user_property_of(reply, "status") for reply in replies], 2 * ["probe_plain"])

    def test_methods_that_change_nothing_run_again(self):
        self.begin()
        for version, identity in itertools.product((4, 5), IDENTITIES):
            with self.subTest(version=version, identity=identity):
                before, device = self.runs(), self.device(version, identity=identity, method="probe.recount")
                device.connect()
                mid = device.send()
                self.wait_for_runs(before + 1)
                device.cut()
                device.connect()
                device.finish(device.send(mid=mid))
                device.finish(device.send())
                device.answers()
                self.assertEqual(self.runs() - before, 3)

    def test_without_a_reply_there_is_no_identity(self):
        self.begin()
        client, before = self.client(self.broker, 5), self.runs()
        for _ in range(2):
            client.publish("rpc/call/probe.count", "{}", qos=1, properties=[(CORRELATION_DATA, "0123456789abcdef")])
        self.assertEqual(self.runs() - before, 2)

    def test_the_window(self):
        self.begin([f"duplicate_window {2 * SLOW}s"])
        client, before = self.client(self.broker, 5), self.runs()
        first = self.call(client)
        self.assertEqual(self.call(client).payload, first.payload)
        time.sleep(3 * SLOW)
        self.assertNotEqual(self.call(client).payload, first.payload)
        self.assertEqual(self.runs() - before, 2)

    def test_off(self):
        """Without a window, calls with an identity are guarded like those without: at QoS 2 in a kept session."""
        self.begin(["duplicate_window 0"])
        client, before = self.client(self.broker, 5), self.runs()
        self.assertNotEqual(self.call(client).payload, self.call(client).payload)
        self.assertEqual(self.runs() - before, 2)
        device = self.device(identity="long")
        device.connect()
        mid = device.send()
        self.wait_for_runs(before + 3)
        device.cut()
        device.connect()
        device.finish(device.send(mid=mid))
        self.assertEqual(set(map(runs_in, device.answers(at_least=1))), {before + 3})
        self.assertEqual(self.runs() - before, 3)

    def test_prefixes_share_nothing(self):
        self.begin(["prefix rpc other"])
        client = self.client(self.broker, 5)
        for prefix in ("rpc", "other"):
            for _ in range(2):
                reply = ask(client, "probe.count", correlation=b"0123456789abcdef", prefix=prefix)
                self.assertEqual(result_of(reply), {"runs": 1})


class Restart(PromiseTest):
    """The plugin keeps no calls across a restart of the broker."""

    def test_a_call_that_was_not_released(self):
        for version in (4, 5):
            with self.subTest(version=version):
                broker = self.begin(persistence=True)
                device = self.device(version)
                device.connect()
                mid = device.send()
                device.connection.wait_ack(PUBREC, mid)
                broker.stop()
                broker.start()
                self.watcher = self.client(broker, 5)
                self.assertEqual(self.runs(), 0)
                device.connect()
                self.assertTrue(device.connection.session_present)
                device.finish(device.send(mid=mid))
                device.answers()
                self.assertEqual(self.runs(), 1)
                self.assertNotIn("Reused message ID", broker.log())
                broker.stop()


if __name__ == "__main__":
    main()
