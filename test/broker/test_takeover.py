"""Nobody but the connection that called gets its reply, whoever takes over its client id.

unit_takeover goes through all cases on a fake broker. Here the broker is real: it is stopped while many callers send
their calls and many strangers, with the same ids, send what takes the ids over, so that both meet in one round of its
loop.
"""
import itertools
import signal
import time

from harness import BrokerTest, ask, broker_version, has_websockets, main, new_identity
from mqtt import CORRELATION_DATA, DISCONNECT, KEEPALIVE, RESPONSE_TOPIC, packet

VERSIONS, LEVELS, KINDS = (3, 4, 5), (0, 1, 2), ("inline", "batch", "open", "deferred", "copy")
STRANGERS = ("silent", "calls", "publishes", "leaves", "keeps a session")


class Victim:
    """One caller and the stranger that takes its id."""

    def __init__(self, test, broker, number, version, qos, clean, does, transport):
        self.kind_of_stranger, self.version, self.qos, self.name = does, version, qos, f"victim{number}"
        self.identity = new_identity()
        self.caller = test.client(broker, version, client_id=self.name, clean=clean, **transport)
        self.stranger = test.client(broker, version, client_id=self.name, connect=False, auto_ack=False, **transport)

    def call(self, method, members, tree="call"):
        if self.version == 5:
            self.caller.publish(f"rpc/{tree}/{method}", f"[{members}]" if tree == "batch" else members, self.qos,
                                wait=False, properties=[(RESPONSE_TOPIC, "secret"), (CORRELATION_DATA, self.identity)])
            return
        identity = self.identity.decode() if isinstance(self.identity, bytes) else self.identity
        payload = f'"calls":[{members}]}}' if tree == "batch" else members[1:]
        self.caller.publish(f"rpc/{tree}/{method}", f'{{"request_id":"{identity}",{payload}', self.qos, wait=False)

    def call_kind(self, kind):
        calls = {"inline": ("echo", '{"a":1}'), "batch": ("echo", '{"a":1}', "batch"),
                 "open": ("slow.sleep", '{"ms":1}'), "deferred": ("slow.wait", '{"name":"all"}'),
                 "copy": ("slow.wait", '{"name":"all"}')}
        for _ in range(2 if kind == "copy" else 1):
            self.call(*calls[kind])

    def take_over(self):
        stranger = self.stranger
        content = stranger._connect_packet(self.kind_of_stranger != "keeps a session", None, None, KEEPALIVE, ())
        if self.kind_of_stranger == "calls":
            content += stranger.publish_packet("rpc/call/echo", '{"request_id":"own"}')
        if self.kind_of_stranger == "publishes":
            content += stranger.publish_packet("elsewhere")
        if self.kind_of_stranger == "leaves":
            content += packet(DISCONNECT, 0, b"")
        stranger.send(content)

    def received(self):
        """The topics of messages that the stranger has got."""
        if self.kind_of_stranger == "leaves":
            self.stranger.expect_end()
        else:
            self.stranger._read_connack(True)
            self.stranger.ping()
        return [message.topic for message in self.stranger.inbox if not message.topic.endswith("/own")]


class Takeover(BrokerTest):

    def meet(self, broker, transport, kind, clean):
        """All calls and all takeovers reach the broker while it is stopped. Returns the victims."""
        ways = list(itertools.product(VERSIONS, LEVELS, STRANGERS))
        if "websocket" in transport and broker_version() < (2, 1):
            ways = ways[KINDS.index(kind)::7]  # each connection takes some 200 ms there
        victims = [Victim(self, broker, number, version, qos, clean, does, transport)
                   for number, (version, qos, does) in enumerate(ways)]
        other = self.client(broker)
        other.ping()
        broker.pause()
        for victim in victims:
            victim.call_kind(kind)
        for victim in victims:
            victim.take_over()
        time.sleep(0.05)
        broker.signal(signal.SIGCONT)
        other.publish("rpc/call/slow.tell", '{"name":"all","text":"secret"}', 1)
        ask(self.client(broker, 5), "slow.sleep", {"ms": 20})
        return victims

    def expect_nothing(self, broker, transport):
        for kind, clean in itertools.product(KINDS, (True, False)):
            with self.subTest(transport=transport, kind=kind, clean=clean):
                victims = self.meet(broker, transport, kind, clean)
                got = [(victim.version, victim.qos, victim.kind_of_stranger, victim.received()) for victim in victims]
                self.assertEqual([row for row in got if row[3]], [])
                for victim in victims:
                    victim.caller.close()
                    victim.stranger.close()

    def test_nobody_else_gets_a_reply(self):
        broker = self.start(["modules echo slow"], websockets=has_websockets(), tls=True)
        self.expect_nothing(broker, {})
        self.expect_nothing(broker, {"port": broker.tls_port, "tls": True})
        if has_websockets():
            self.expect_nothing(broker, {"port": broker.websockets_port, "websocket": True})

    def test_listeners_with_settings_of_their_own(self):
        """Brokers before 2.0.15 send no TICK then."""
        self.expect_nothing(self.start(["modules echo slow"], first=["per_listener_settings true"]), {})

    def test_replies_that_no_session_ever_gets(self):
        """A call at QoS 0 with the DISCONNECT behind it in one packet. The broker would keep for ever what is published
        for a session that has no connection any more."""
        broker = self.start(tls=True, lines=["sys_interval 1"])
        for number in range(150):
            client = self.client(broker, 4 + number % 2, port=broker.tls_port, tls=True, client_id="traveller",
                                 clean=False)
            call = client.publish_packet("rpc/call/echo", '{"request_id":"r"}')
            client.send(call + packet(DISCONNECT, 0, b""))
            client.expect_end()
        self.assertLess(self.stored_messages(broker), 120)

    def test_callers_that_close_at_once(self):
        """As above, without DISCONNECT: the end of the connection is noticed a round after the call."""
        broker = self.start(lines=["sys_interval 1"])
        for number in range(150):
            client = self.client(broker, 4 + number % 2, client_id="traveller", clean=False)
            client.send(client.publish_packet("rpc/call/echo", '{"request_id":"r"}'))
            client.close()
        self.assertLess(self.stored_messages(broker), 120)


if __name__ == "__main__":
    main()
