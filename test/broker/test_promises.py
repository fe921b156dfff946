"""What a call is promised: how often it runs when the connection is cut at any packet of its handshake.

The promise depends on the call's QoS, on its identity (none, under 16 bytes, or longer) and on the session.
The table PROMISES has a row for each; every row is tried with MQTT 3.1.1 and 5, cut after every packet, in
three ways: the client resets the connection, closes it without a word, or takes it over from itself. Then it
does what a client has to do, and the runs are counted.
"""
import itertools
import json
import os
import random
import re
import time

from harness import (ROOT, SLOW, TIMEOUT, BrokerTest, ask, broker_version, eventually, has_websockets, main,
                     result_of)
from mqtt import (CONTENT_TYPE, CORRELATION_DATA, PUBACK, PUBCOMP, PUBREC, PUBREL, RESPONSE_TOPIC, SESSION_EXPIRY,
                  packet, property_of, user_property_of)

IDENTITIES = {"none": "", "short": "counter-1", "long": "0123456789abcdef"}

# The runs in total, after the call came a second time:
#   sent again  the connection was cut before the broker's answer was read, and MQTT sends the PUBLISH again:
#               with DUP and the same packet id in a session that was kept, as a new message in a new one
#   repeated    nothing is left for MQTT to do, but no reply was seen, and the application calls again in the
#               same words
# None: that never happens, as QoS 0 is never sent again, or is a new call for anybody, as without an identity at
# QoS 1 and 2. docs/clients.md has the same table for people, and a test compares them.
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

# After which packet the connection is cut.
POINTS = {0: ("PUBLISH",), 1: ("PUBLISH", "PUBACK"), 2: ("PUBLISH", "PUBREC", "PUBREL", "PUBCOMP")}

CUTS = ("reset", "close", "takeover")


class Caller:
    """A client id and one call of it, over as many connections as it takes."""

    def __init__(self, test, broker, version, qos=2, identity="none", session="persistent", method="probe.count"):
        self.test, self.broker, self.version, self.qos = test, broker, version, qos
        self.identity, self.clean, self.method = IDENTITIES[identity], session == "clean", method
        self.id, self.connection = f"caller-{os.urandom(6).hex()}", None

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
        """Ends the connection; a takeover happens when the next one begins."""
        if how == "reset":
            self.connection.reset()
        if how == "close":
            self.connection.close()

    def cut_and_seen(self, how="reset"):
        """The same, and the broker knows that the connection has ended before another one begins."""
        line = re.compile(rf"[Cc]lient <?{self.id}\b.*(closed its|disconnect)")
        seen = len(line.findall(self.broker.log()))
        self.cut(how)
        if how != "takeover":
            eventually(lambda: len(line.findall(self.broker.log())) > seen, pause=0.005)

    def answers(self, at_least=0):
        """The replies on this connection so far, with all that belongs to them."""
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

    def caller(self, version=4, **how):
        return Caller(self, self.broker, version, **how)


class EveryCell(PromiseTest):

    def test_table_is_whole(self):
        self.assertEqual([row[:3] for row in PROMISES],
                         list(itertools.product((0, 1, 2), IDENTITIES, ("clean", "persistent"))))

    def test_the_manual_has_the_same_table(self):
        rows = re.findall(r"^\| ([012]) \| (none|short|long) \| (again|once) \| (again|once) \|$",
                          (ROOT / "docs/clients.md").read_text(), re.MULTILINE)
        told = {(int(qos), identity, session): word for qos, identity, *words in rows
                for session, word in zip(("clean", "persistent"), words)}
        runs = {row[:3]: {count for count in row[3:] if count} for row in PROMISES}
        self.assertEqual(runs, {cell: {1 if word == "once" else 2} for cell, word in told.items()})

    def try_row(self, version):
        self.begin()
        for (qos, identity, session, sent_again, repeated), cut in itertools.product(PROMISES, CUTS):
            for point in POINTS[qos]:
                with self.subTest(version=version, qos=qos, identity=identity, session=session, cut=cut, point=point):
                    caller = self.caller(version, qos=qos, identity=identity, session=session)
                    self.try_cell(caller, point, cut, sent_again, repeated)
                    caller.connection.disconnect()
        self.assertNotIn("Reused message ID", self.broker.log())

    def test_mqtt_3(self):
        self.try_row(4)

    def test_mqtt_5(self):
        self.try_row(5)

    def try_cell(self, caller, point, cut, sent_again, repeated):
        before = self.runs()
        caller.connect(auto_ack=False)
        mid = caller.send()
        caller.go_until(point, mid)
        if cut == "close":
            caller.cut(cut)
        self.wait_for_runs(before + 1)
        if cut == "reset":
            caller.cut(cut)
        caller.connect()
        came_again = self.do_what_mqtt_demands(caller, point, mid)
        expected = sent_again if came_again else 1
        self.check(caller, before, expected, came_again)
        if repeated and not came_again:
            caller.finish(caller.send())
            self.check(caller, before, repeated, True)

    def do_what_mqtt_demands(self, caller, point, mid):
        """Returns whether the call was sent again."""
        self.assertEqual(caller.connection.session_present, not caller.clean)
        if caller.qos > 0 and point == "PUBLISH":
            caller.finish(caller.send(mid=None if caller.clean else mid))
            return True
        if point in ("PUBREC", "PUBREL") and not caller.clean:
            caller.connection.release(mid)
        return False

    def check(self, caller, before, expected, asked):
        answered = caller.version == 5 or caller.identity
        answers = caller.answers(at_least=1 if asked and answered else 0)
        self.assertEqual(self.runs() - before, expected)
        if asked and answered:
            self.assertEqual(runs_in(answers[-1]), before + expected)
        if expected == 1:
            self.assertLessEqual(len(set(answers)), 1, "not the same answer")


class Sessions(PromiseTest):
    """MQTT 5 lets a client ask for one thing when it connects, and for another when it comes back."""

    def come_back(self, caller, first, second, cut="reset"):
        """The runs after a call on a connection of the first kind came again on one of the second."""
        before = self.runs()
        caller.connect(**first)
        mid = caller.send()
        self.wait_for_runs(before + 1)
        caller.cut_and_seen(cut)
        caller.connect(**second)
        caller.finish(caller.send(mid=mid))
        caller.answers()
        return self.runs() - before

    def test_begun_clean_and_kept(self):
        """What most clients do: a new session at first, the same one whenever they come back."""
        self.begin()
        kept = [(SESSION_EXPIRY, 3600)]
        for identity, cut in itertools.product(("none", "short", "long"), CUTS):
            with self.subTest(identity=identity, cut=cut):
                caller = self.caller(5, identity=identity)
                self.assertEqual(self.come_back(caller, {"clean": True, "properties": kept}, {"clean": False}, cut), 1)

    def test_ends_with_its_connection(self):
        """Not asked for a new one, but kept for no time at all."""
        self.begin()
        for identity, runs in (("none", 2), ("short", 2), ("long", 1)):
            with self.subTest(identity=identity):
                caller = self.caller(5, identity=identity)
                over = {"clean": False, "properties": [(SESSION_EXPIRY, 0)]}
                self.assertEqual(self.come_back(caller, over, over), runs)

    def test_a_new_one_afterwards(self):
        self.begin()
        for version, (identity, runs) in itertools.product((4, 5), (("none", 2), ("short", 2), ("long", 1))):
            with self.subTest(version=version, identity=identity):
                caller = self.caller(version, identity=identity)
                self.assertEqual(self.come_back(caller, {}, {"clean": True}), runs)

    def test_a_new_one_in_between(self):
        """The session that had the calls is replaced by one whose connection never calls."""
        self.begin()
        for version, identity in itertools.product((4, 5), ("none", "short")):
            with self.subTest(version=version, identity=identity):
                before, kept = self.runs(), [(SESSION_EXPIRY, 3600)]
                caller = self.caller(version, identity=identity)
                caller.connect()
                caller.send()
                self.wait_for_runs(before + 1)
                caller.cut()
                caller.connect(clean=True, properties=kept if version == 5 else ())
                caller.connection.ping()
                caller.cut_and_seen()
                caller.connect(clean=False)
                caller.finish(caller.send())
                caller.answers()
                self.assertEqual(self.runs() - before, 2)

    def test_taken_down_in_order(self):
        """A client that disconnects has nothing to send again: what it calls next is a new call. Brokers before
        2.1 do not tell whether a connection was cut, and so every end counts as one for half a minute."""
        self.begin()
        for version in (4, 5):
            with self.subTest(version=version):
                before, caller = self.runs(), self.caller(version)
                caller.connect()
                caller.finish(caller.send())
                caller.connection.disconnect()
                self.wait_for_runs(before + 1)
                caller.connect()
                caller.finish(caller.send())
                caller.answers()
                self.assertEqual(self.runs() - before, 2 if broker_version() >= (2, 1) else 1)


class Order(PromiseTest):
    """The redelivery guard: calls at QoS 2 without an identity are known by their order."""

    def begin_flight(self, count=3, version=4, params=lambda number: {"n": number}):
        """A caller with so many calls under way; returns it and their packet ids."""
        self.before = self.runs()
        caller = self.caller(version)
        caller.connect()
        mids = [caller.send(params(number)) for number in range(count)]
        self.wait_for_runs(self.before + count)
        return caller, mids

    def assert_runs(self, caller, expected):
        caller.answers()
        self.assertEqual(self.runs() - self.before, expected)

    def test_several_in_flight(self):
        self.begin()
        for version, cut in itertools.product((4, 5), CUTS):
            with self.subTest(version=version, cut=cut):
                caller, mids = self.begin_flight(version=version)
                caller.cut(cut)
                caller.connect()
                for number, mid in enumerate(mids):
                    caller.finish(caller.send({"n": number}, mid=mid))
                self.assert_runs(caller, 3)
                caller.finish(caller.send({"n": 3}))
                self.assert_runs(caller, 4)

    def test_all_the_same(self):
        self.begin()
        caller, mids = self.begin_flight(params=lambda number: {})
        caller.cut()
        caller.connect()
        for mid in mids:
            caller.finish(caller.send({}, mid=mid))
        self.assert_runs(caller, 3)
        caller.finish(caller.send({}))
        self.assert_runs(caller, 4)

    def test_the_first_are_acknowledged(self):
        self.begin()
        for acknowledged, version in itertools.product((1, 2), (4, 5)):
            with self.subTest(acknowledged=acknowledged, version=version):
                caller, mids = self.begin_flight(version=version)
                for mid in mids[:acknowledged]:
                    caller.connection.wait_ack(PUBREC, mid)
                caller.cut()
                caller.connect()
                for mid in mids[:acknowledged]:
                    caller.connection.release(mid)
                for number in range(acknowledged, 3):
                    caller.finish(caller.send({"n": number}, mid=mids[number]))
                self.assert_runs(caller, 3)

    def test_a_call_that_does_not_match_ends_it(self):
        self.begin()
        for version in (4, 5):
            with self.subTest(version=version):
                caller, mids = self.begin_flight(version=version)
                caller.cut()
                caller.connect()
                caller.finish(caller.send({"n": "new"}))
                self.assert_runs(caller, 4)
                caller.finish(caller.send({"n": 0}, mid=mids[0]))
                self.assert_runs(caller, 5)

    def test_a_call_at_qos_0_ends_it(self):
        self.begin()
        caller, mids = self.begin_flight()
        caller.cut()
        caller.connect()
        caller.connection.publish("rpc/call/echo", "{}")
        caller.finish(caller.send({"n": 0}, mid=mids[0]))
        self.assert_runs(caller, 4)

    def test_other_calls_stand_in_the_order(self):
        """Calls that are known otherwise, or may run again, do not end the guard when they come again."""
        self.begin()
        for version in (4, 5):
            with self.subTest(version=version):
                self.before = self.runs()
                caller = self.caller(version)
                others = [self.caller(version, qos=1), self.caller(version, qos=2, identity="long"),
                          self.caller(version, qos=2, identity="short"), self.caller(version, method="probe.runs")]
                calls = [call for other in others for call in (other, caller)]

                def connect():
                    caller.connect()
                    for other in others:
                        other.connection = caller.connection

                connect()
                mids = [call.send({"n": number}) for number, call in enumerate(calls)]
                self.wait_for_runs(self.before + 7)
                caller.cut()
                connect()
                for number, (call, mid) in enumerate(zip(calls, mids)):
                    call.finish(call.send({"n": number}, mid=mid))
                self.assert_runs(caller, 8)  # that at QoS 1 without an identity ran again

    def test_cut_twice(self):
        self.begin()
        for version, sent in itertools.product((4, 5), (0, 1, 2, 3)):
            with self.subTest(version=version, sent=sent):
                caller, mids = self.begin_flight(version=version)
                caller.cut()
                caller.connect()
                for number, mid in enumerate(mids[:sent]):
                    caller.send({"n": number}, mid=mid)
                caller.connection.ping()
                caller.cut()
                caller.connect()
                for number, mid in enumerate(mids):
                    caller.finish(caller.send({"n": number}, mid=mid))
                self.assert_runs(caller, 3)

    def test_connections_that_never_call(self):
        """The client comes back and is cut again before it gets anywhere. Before 2.1 one that is taken over looks
        like one that had asked for a new session."""
        self.begin()
        cuts = CUTS if broker_version() >= (2, 1) else ("reset", "close")
        for version, identity, cut in itertools.product((4, 5), ("none", "short"), cuts):
            with self.subTest(version=version, identity=identity, cut=cut):
                before, caller = self.runs(), self.caller(version, identity=identity)
                caller.connect()
                mid = caller.send()
                self.wait_for_runs(before + 1)
                caller.cut()
                for _ in range(3):
                    caller.connect()
                    caller.connection.ping()
                    caller.cut_and_seen(cut)
                caller.connect()
                caller.finish(caller.send(mid=mid))
                caller.answers()
                self.assertEqual(self.runs() - before, 1)

    def test_cut_twice_with_new_calls(self):
        self.begin()
        caller, mids = self.begin_flight(2)
        caller.cut()
        caller.connect()
        for number, mid in enumerate(mids):
            caller.send({"n": number}, mid=mid)
        caller.connection.last_mid = max(mids)
        mids.append(caller.send({"n": 2}))
        self.wait_for_runs(self.before + 3)
        caller.cut()
        caller.connect()
        for number, mid in enumerate(mids):
            caller.finish(caller.send({"n": number}, mid=mid))
        self.assert_runs(caller, 3)

    def test_the_end_is_told_late(self):
        """On 2.0.x a stalled WebSocket's end is told after the first message of the connection that took over."""
        if not has_websockets():
            self.skipTest("this broker has no WebSockets")
        self.begin(["max_reply 2m"], websockets=True)
        caller, before = self.caller(5), self.runs()
        old = caller.connect(port=self.broker.websockets_port, websocket=True)
        for _ in range(8):
            old.publish("rpc/call/probe.big", '{"size":1000000}', properties=[(RESPONSE_TOPIC, "r")])
        mid = caller.send()
        self.wait_for_runs(before + 1)
        caller.connect()
        caller.send(mid=mid)
        caller.connection.ping()
        old.close()
        caller.connection.ping()
        caller.cut()
        caller.connect()
        caller.finish(caller.send(mid=mid))
        caller.answers()
        self.assertEqual(self.runs() - before, 1)

    def test_how_long(self):
        """Counted back from the end of the connection, however long the client stays away."""
        self.begin([f"redelivery_guard {2 * SLOW}s"])
        for in_time in (True, False):
            with self.subTest(in_time=in_time):
                caller, mids = self.begin_flight(1)
                if not in_time:
                    time.sleep(3 * SLOW)
                caller.cut()
                if in_time:
                    time.sleep(3 * SLOW)
                caller.connect()
                caller.finish(caller.send({"n": 0}, mid=mids[0]))
                self.assert_runs(caller, 1 if in_time else 2)

    def test_off(self):
        self.begin(["redelivery_guard 0"])
        for version in (4, 5):
            with self.subTest(version=version):
                caller, mids = self.begin_flight(2, version=version)
                caller.cut()
                caller.connect()
                for number, mid in enumerate(mids):
                    caller.finish(caller.send({"n": number}, mid=mid))
                self.assert_runs(caller, 4)

    def test_many_in_flight(self):
        """As many as the guard knows of one client; beyond that, calls run again."""
        self.begin(lines=["max_inflight_messages 0"])
        caller, mids = self.begin_flight(100)
        caller.cut()
        caller.connect()
        for number, mid in enumerate(mids):
            caller.finish(caller.send({"n": number}, mid=mid))
        self.assert_runs(caller, 100)

    def test_what_the_order_cannot_tell(self):
        """A call that looks like one before the cut, and comes first: taken for it, although it is a new one."""
        self.begin()
        caller, mids = self.begin_flight(2, params=lambda number: {})
        caller.connection.wait_ack(PUBREC, mids[0])
        caller.cut()
        caller.connect()
        caller.connection.release(mids[0])
        caller.finish(caller.send({}, mid=mids[1]))
        self.assert_runs(caller, 2)
        caller.connection.last_mid = mids[1]
        caller.finish(caller.send({}))
        self.assert_runs(caller, 2)
        caller.finish(caller.send({}))
        self.assert_runs(caller, 3)

    def test_a_call_that_was_refused_has_its_place(self):
        """One that was over the rate is in the order, too: when it comes again, the guard goes on."""
        self.begin(["rate_limit 2", "rate_burst 1"])
        before, caller = self.runs(), self.caller()
        caller.connect()
        mids = [caller.send({"n": 0}), caller.send({"n": 1})]
        time.sleep(0.7)
        mids.append(caller.send({"n": 2}))
        caller.connection.ping()
        self.assertEqual(self.wait_and_count(before), 2)
        caller.cut()
        caller.connect()
        for number, mid in enumerate(mids):
            time.sleep(0.7)
            caller.finish(caller.send({"n": number}, mid=mid))
        self.assertEqual(self.wait_and_count(before), 3)

    def wait_and_count(self, before):
        """The runs, once there is room for a call that asks for them."""
        time.sleep(0.7)
        return self.runs() - before

    def test_one_client_among_many(self):
        """The guard of one is not that of another, nor spoilt by it."""
        self.begin()
        before = self.runs()
        callers = [self.caller(4 + number % 2) for number in range(10)]
        mids = []
        for caller in callers:
            caller.connect()
            mids.append(caller.send())
        self.wait_for_runs(before + 10)
        for caller in callers:
            caller.cut()
        stranger = self.caller()
        stranger.connect()
        stranger.finish(stranger.send())
        for caller, mid in reversed(list(zip(callers, mids))):
            caller.connect()
            caller.finish(caller.send(mid=mid))
            caller.answers()
        self.assertEqual(self.runs() - before, 11)


class Journey(PromiseTest):
    """A client that does all that MQTT demands and calls on and on, cut wherever chance will have it. Before 2.1
    each connection calls before it is cut; see test_connections_that_never_call."""

    def test_exactly_once(self):
        self.begin()
        for version, seed in itertools.product((4, 5), range(15 // SLOW)):
            with self.subTest(version=version, seed=seed):
                before, chance = self.runs(), random.Random(seed)
                calls = self.travel(version, chance)
                self.assertEqual(self.runs() - before, calls)

    def travel(self, version, chance):
        """Returns how many calls were made."""
        caller = self.caller(version)
        caller.connect()
        calls, unacknowledged, unreleased = 0, [], []
        for _ in range(12):
            for _ in range(chance.randrange(4)):
                caller.connection.last_mid = calls + 1
                unacknowledged.append((calls, caller.send({"n": calls})))
                calls += 1
            self.read_some(caller, chance, unacknowledged, unreleased)
            if chance.random() < 0.6:
                self.come_back(caller, chance, unacknowledged, unreleased)
        self.come_back(caller, chance, unacknowledged, unreleased, whole=True)
        for _, mid in unacknowledged:
            caller.connection.wait_ack(PUBREC, mid)
        for _, mid in unacknowledged:
            caller.connection.release(mid)
        caller.connection.disconnect()
        return calls

    def read_some(self, caller, chance, unacknowledged, unreleased):
        """Some of the broker's answers, in order."""
        for _ in range(chance.randint(0, len(unacknowledged))):
            number, mid = unacknowledged.pop(0)
            caller.connection.wait_ack(PUBREC, mid)
            unreleased.append(mid)
            if chance.random() < 0.5:
                caller.send_release(mid)

    def come_back(self, caller, chance, unacknowledged, unreleased, whole=False):
        """Cuts the connection until one of them lasts for all that has to be sent again."""
        while True:
            if broker_version() < (2, 1) or chance.random() < 0.7:
                caller.connection.ping()  # so that the broker has read what was sent
            caller.cut(chance.choice(CUTS))
            caller.connect()
            lasts = whole or chance.random() < 0.5
            least = 0 if broker_version() >= (2, 1) else min(1, len(unacknowledged))
            for mid in unreleased:
                caller.connection.release(mid)
            unreleased.clear()
            some = len(unacknowledged) if lasts else chance.randint(least, len(unacknowledged))
            for number, mid in unacknowledged[:some]:
                caller.send({"n": number}, mid=mid)
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
                before, caller = self.runs(), self.caller(version, qos=1, identity=identity, session="clean")
                caller.connect()
                for _ in range(3):
                    caller.finish(caller.send())
                self.assertEqual(len(set(caller.answers(at_least=3))), 1)
                self.assertEqual(self.runs() - before, 1)

    def test_errors_are_remembered(self):
        self.begin()
        client = self.client(self.broker, 5)
        replies = [self.call(client, method="probe.raise", params='{"code":"probe_plain"}') for _ in range(2)]
        self.assertEqual(replies[0].payload, replies[1].payload)
        self.assertEqual([user_property_of(reply, "status") for reply in replies], 2 * ["probe_plain"])

    def test_methods_that_change_nothing_run_again(self):
        self.begin()
        for version, identity in itertools.product((4, 5), IDENTITIES):
            with self.subTest(version=version, identity=identity):
                before, caller = self.runs(), self.caller(version, identity=identity, method="probe.recount")
                caller.connect()
                mid = caller.send()
                self.wait_for_runs(before + 1)
                caller.cut()
                caller.connect()
                caller.finish(caller.send(mid=mid))
                caller.finish(caller.send())
                caller.answers()
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
        """Then calls with an identity are like those without: guarded at QoS 2 in a session that is kept."""
        self.begin(["duplicate_window 0"])
        client, before = self.client(self.broker, 5), self.runs()
        self.assertNotEqual(self.call(client).payload, self.call(client).payload)
        self.assertEqual(self.runs() - before, 2)
        caller = self.caller(identity="long")
        caller.connect()
        mid = caller.send()
        self.wait_for_runs(before + 3)
        caller.cut()
        caller.connect()
        caller.finish(caller.send(mid=mid))
        self.assertEqual(set(map(runs_in, caller.answers(at_least=1))), {before + 3})
        self.assertEqual(self.runs() - before, 3)

    def test_prefixes_share_nothing(self):
        self.begin(["prefix rpc other"])
        client = self.client(self.broker, 5)
        for prefix in ("rpc", "other"):
            for _ in range(2):
                reply = ask(client, "probe.count", correlation=b"0123456789abcdef", prefix=prefix)
                self.assertEqual(result_of(reply), {"runs": 1})


class Restart(PromiseTest):
    """T3: the plugin remembers nothing across a restart of the broker."""

    def test_a_call_that_was_not_released(self):
        for version in (4, 5):
            with self.subTest(version=version):
                broker = self.begin(persistence=True)
                caller = self.caller(version)
                caller.connect()
                mid = caller.send()
                caller.connection.wait_ack(PUBREC, mid)
                broker.stop()
                broker.start()
                self.watcher = self.client(broker, 5)
                self.assertEqual(self.runs(), 0)
                caller.connect()
                self.assertTrue(caller.connection.session_present)
                caller.finish(caller.send(mid=mid))
                caller.answers()
                self.assertEqual(self.runs(), 1)
                self.assertNotIn("Reused message ID", broker.log())
                broker.stop()


if __name__ == "__main__":
    main()
