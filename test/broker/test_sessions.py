"""Connections that end, are made again, or are taken over before the reply is delivered."""
import itertools
import signal
import time

from harness import SLOW, BrokerTest, ask, has_websockets, main, payload_of, result_of
from mqtt import CORRELATION_DATA, KEEPALIVE, RESPONSE_TOPIC, SESSION_EXPIRY, property_of


class Offline(BrokerTest):
    """The connection has ended before the reply can be delivered."""

    def call_and_vanish(self, broker, version, qos, clean=False):
        client = self.client(broker, version, client_id="traveller", clean=clean, auto_ack=False)
        client.publish("rpc/call/echo", '{"request_id":"r","a":1}', qos=qos, wait=False)
        client.close()
        broker.wait_log("(?s)Received PUBLISH from traveller.*(Socket error on client|Client|client) <?traveller")

    def test_persistent_session_gets_the_reply_later(self):
        for version, qos in itertools.product((3, 4, 5), (1, 2)):
            with self.subTest(version=version, qos=qos):
                broker = self.start()
                self.call_and_vanish(broker, version, qos)
                client = self.client(broker, version, client_id="traveller", clean=False)
                self.assertEqual(payload_of(client.receive()), {"request_id": "r", "result": {"a": 1}})
                client.expect_nothing()

    def test_qos_0_is_dropped(self):
        for version in (3, 4, 5):
            with self.subTest(version=version):
                broker = self.start()
                self.call_and_vanish(broker, version, 0)
                self.client(broker, version, client_id="traveller", clean=False).expect_nothing()

    def test_clean_session_gets_nothing(self):
        for version, qos in itertools.product((4, 5), (0, 1, 2)):
            with self.subTest(version=version, qos=qos):
                broker = self.start()
                self.call_and_vanish(broker, version, qos, clean=True)
                self.client(broker, version, client_id="traveller", clean=False).expect_nothing()

    def test_no_replies_are_kept(self):
        """The broker would keep replies for ever that are published after the end of the connection."""
        broker = self.start(lines=["sys_interval 1"])
        for number in range(150):
            client = self.client(broker, 4 + number % 2, client_id="traveller", clean=False)
            for _ in range(5):
                client.publish("rpc/call/echo", "{}" if number % 3 else '{"request_id":"r"}')
            client.close()
        self.client(broker, 4, client_id="traveller").disconnect()
        self.assertLess(self.stored_messages(broker), 120)


class TakenOver(BrokerTest):
    """Another connection with the same client id."""

    def test_the_new_connection_is_served(self):
        broker = self.start()
        for version, clean in itertools.product((4, 5), (False, True)):
            with self.subTest(version=version, clean=clean):
                old = self.client(broker, version, client_id="same", clean=clean)
                old.publish("rpc/call/echo", '{"request_id":"old"}', qos=1)
                old.receive()
                new = self.client(broker, version, client_id="same", clean=clean)
                new.publish("rpc/call/echo", '{"request_id":"new"}', qos=1)
                self.assertEqual(payload_of(new.receive())["request_id"], "new")
                new.expect_nothing()
                old.expect_end()
                new.disconnect()

    def test_a_reply_never_goes_to_the_successor(self):
        """Call and takeover reach the broker at the same time, while it is busy with a third client."""
        broker = self.start()
        for version, qos in itertools.product((4, 5), (0, 1, 2)):
            with self.subTest(version=version, qos=qos):
                busy, old = self.client(broker), self.client(broker, version, client_id="same")
                new = self.client(broker, version, client_id="same", connect=False)
                busy.ping()
                busy.publish("rpc/call/probe.sleep", '{"ms":300}')
                old.publish("rpc/call/echo", '{"request_id":"secret"}', qos=qos, wait=False)
                new.connect()
                new.expect_nothing()
                old.close()

    def test_a_reply_never_goes_to_a_stranger(self):
        """The call, the end of its connection, and another connection with the same id meet in one round of the
        broker's loop. The test stops the process for that time."""
        broker = self.start()
        for version, clean, expiry, qos in ((4, True, None, 1), (4, False, None, 1), (5, True, 0, 2), (5, False, 0, 1),
                                            (5, False, 0, 2), (5, False, 3600, 1)):
            with self.subTest(version=version, clean=clean, expiry=expiry, qos=qos):
                properties = [] if expiry is None else [(SESSION_EXPIRY, expiry)]
                old = self.client(broker, version, client_id="same", clean=clean, properties=properties)
                new = self.client(broker, 4, client_id="same", connect=False)
                old.ping()
                broker.pause()
                old.publish("rpc/call/echo", '{"request_id":"secret"}', qos=qos, wait=False)
                old.reset()
                new.send(new._connect_packet(True, None, None, KEEPALIVE, ()))
                time.sleep(0.1)
                broker.signal(signal.SIGCONT)
                new._read_connack(True)
                new.expect_nothing()
                new.disconnect()

    def test_reconnecting_again_and_again(self):
        broker = self.start()
        for number in range(60):
            client = self.client(broker, 4 + number % 2, client_id="same", clean=bool(number % 3))
            client.publish("rpc/call/echo", f'{{"request_id":"{number}"}}')
            self.assertEqual(payload_of(client.receive())["request_id"], str(number))
            if number % 2:
                client.disconnect()

    def test_a_stalled_websocket_is_taken_over(self):
        """On 2.0.x the broker reports the old connection's end after the new one's first message."""
        if not has_websockets():
            self.skipTest("this broker has no WebSockets")
        broker = self.start(["max_reply 2m"], websockets=True)
        for round_ in range(3):
            old = self.client(broker, 5, port=broker.websockets_port, websocket=True, client_id="same")
            for _ in range(8):
                old.publish("rpc/call/probe.big", '{"size":1000000}', properties=[(RESPONSE_TOPIC, "r")])
            new = self.client(broker, 5, client_id="same")
            for number in range(10):
                correlation = f"{round_}-{number}".encode()
                new.publish("rpc/call/echo", "1", qos=1,
                            properties=[(RESPONSE_TOPIC, "mine"), (CORRELATION_DATA, correlation)])
                reply = new.receive()
                self.assertEqual((reply.topic, property_of(reply, CORRELATION_DATA)), ("mine", correlation))
            new.disconnect()
            old.close()

    def test_a_stalled_socket_is_taken_over(self):
        broker = self.start(["max_reply 2m"])
        old = self.client(broker, 4, client_id="same")
        for number in range(8):
            old.publish("rpc/call/probe.big", f'{{"size":1000000,"request_id":"{number}"}}')
        new = self.client(broker, 5, client_id="same")
        self.assertEqual(result_of(ask(new, "echo", "1")), 1)


class NeverReading(BrokerTest):
    """A client that does not read its replies must not harm others."""

    def test_others_are_served(self):
        broker = self.start(lines=["max_queued_messages 100"])
        deaf = self.client(broker, version=5)
        deaf.timeout = 2 * SLOW
        try:
            for _ in range(400):
                deaf.publish("rpc/call/probe.big", '{"size":60000}', qos=1, wait=False,
                             properties=[(RESPONSE_TOPIC, "r")])
        except OSError:
            pass  # the broker stopped reading from it, which is as good
        self.assertEqual(result_of(ask(self.client(broker, 5), "echo", "1")), 1)


if __name__ == "__main__":
    main()
