"""Thousands of connections that end, or never read, while their calls are pending.

A reply that the broker cannot deliver stays in its memory for good, so that the plugin must not publish such a reply.
"""
import socket
import struct
import time

from harness import INSTRUMENTED, TIMEOUT, eventually, main, new_identity
from mqtt import CORRELATION_DATA, KEEPALIVE, RESPONSE_TOPIC
from slow_calls import SlowTest, resident, with_id


class Vanishing(SlowTest):
    """Ten thousand connections that end while their work runs leave no memory in use."""

    COUNT = 1_000 if INSTRUMENTED else 10_000
    CALLS = (("slow.sleep", {"ms": 300, "polite": True}), ("slow.firm", {"ms": 2}), ("slow.wait", {"name": "a"}),
             ("slow.sleep", {"ms": 1}), ("slow.alarm", {"ms": 100000}), ("slow.group", {"ms": 1, "lane": "g"}))

    def start_counted(self, options=(), **how):
        return self.start(["workers 4", "timeout 30s", "duplicate_entries 100", *options], lines=["sys_interval 1"],
                          log_types=("information",), **how)

    def visit(self, broker, number, version, clean, qos, reset=True):
        """A connection that calls, sees its call acknowledged, and ends. qos None: it only ends a session."""
        maker = self.maker(broker, version)
        maker.client_id = f"visitor-{number % 500}"
        sent = maker._connect_packet(clean, None, None, KEEPALIVE, ())
        end = b"\x20\x02" if version < 5 else b"\x20"
        if qos is not None:
            method, params = self.CALLS[number % len(self.CALLS)]
            entries = [(RESPONSE_TOPIC, "r"), (CORRELATION_DATA, new_identity())] if version == 5 else []
            sent += maker.publish_packet(f"rpc/call/{method}", with_id(params), qos=qos, mid=1, entries=entries)
            sent += b"\xc0\x00"
            end = b"\xd0\x00"
        with socket.create_connection(("127.0.0.1", broker.port), TIMEOUT) as visitor:
            if reset:
                visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            visitor.sendall(sent)
            seen = b""
            while end not in seen:
                content = visitor.recv(4096)
                self.assertTrue(content)
                seen += content

    def maker(self, broker, version):
        made = self.__dict__.setdefault("makers", {})
        if version not in made:
            made[version] = self.client(broker, version)
        return made[version]

    def check_flat(self, broker, visit, growth, count=COUNT):
        """The first tenth fills bounded tables. Some connections end just when the broker has a reply in its hands, which
        stays; on a busy machine there may be one in a hundred of them."""
        for number in range(count // 10):
            visit(number)
        eventually(lambda: self.stats(broker)["started"] == self.stats(broker)["dones"])
        stored, memory = self.stored_messages(broker), resident(broker)
        began = time.monotonic()
        for number in range(count // 10, count):
            visit(number)
        took = time.monotonic() - began
        eventually(lambda: self.stats(broker)["started"] == self.stats(broker)["dones"])
        stored_then, memory_then = self.stored_messages(broker), resident(broker)
        print(f"    stored {stored} then {stored_then}, resident {memory >> 10} then {memory_then >> 10} kB, "
              f"{count - count // 10} connections in {took:.1f} s", flush=True)
        self.assertLess(stored_then - stored, max(50, count // 20))
        if not INSTRUMENTED:
            self.assertLess(memory_then - memory, growth)
        self.assertEqual(self.outcome(self.client(broker, 5), "echo", 1), ("ok", 1))

    def test_without_sessions(self):
        broker = self.start_counted()
        self.check_flat(broker, lambda number: self.visit(broker, number, 4 + number % 2, True, number // 2 % 2,
                                                          reset=number % 5), 2_000_000)

    def test_per_listener_settings(self):
        """Older brokers send no TICK with this option."""
        broker = self.start_counted(first=["per_listener_settings true"])
        self.check_flat(broker, lambda number: self.visit(broker, number, 4 + number % 2, number % 3, 0), 2_000_000,
                        self.COUNT // 4)

    def test_with_sessions_at_qos_0(self):
        """The broker never frees a message for such a session, so that the plugin must not send one."""
        broker = self.start_counted()
        self.check_flat(broker, lambda number: self.visit(broker, number, 4 + number % 2, False, 0), 2_000_000)

    def test_with_sessions_at_qos_1(self):
        """Replies wait in the session until it ends."""
        broker = self.start_counted()

        def visit(number):
            self.visit(broker, number, 4 + number % 2, False, 1)
            if number % 10 == 9:
                for earlier in range(number - 9, number + 1):
                    self.visit(broker, earlier, 4, True, None)
        self.check_flat(broker, visit, 3_000_000, self.COUNT // 4)

    def test_client_that_never_reads(self):
        """With replies to subscribers, the broker drops what the client does not read. Other clients are served."""
        for options, is_flat in ((["reply_delivery subscribed"], True), ([], False)):
            with self.subTest(options=options):
                broker = self.start(["workers 4", "max_pending 200", *options],
                                    lines=["sys_interval 1", "max_queued_messages 20"], log_types=("information",))
                before = self.stored_messages(broker)
                deaf = self.client(broker, 5, client_id="deaf")
                deaf.subscribe("rpc/reply/deaf/#")
                for number in range(400):
                    self.call(deaf, "slow.sleep", {"ms": 1}, qos=0, identity=(f"{number}-" * 20000)[:60000],
                              topic="rpc/reply/deaf/x")
                    time.sleep(0.002)
                other = self.client(broker, 5)
                if is_flat:
                    other.subscribe(f"rpc/reply/{other.client_id}/#")
                    status, _ = self.outcome(other, "slow.sleep", {"ms": 1}, topic=f"rpc/reply/{other.client_id}/x")
                else:
                    status, _ = self.outcome(other, "slow.sleep", {"ms": 1})
                self.assertEqual(status, "ok")
                self.assert_settled(broker)
                if is_flat:
                    self.assertLess(self.stored_messages(broker) - before, 100)
                deaf.reset()


if __name__ == "__main__":
    main()
