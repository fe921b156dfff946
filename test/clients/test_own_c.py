# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The client in C: calls, events, and what it does when brokers, connections and replies are bad.

The environment of harness.py, and:

    RPC_OWN_C    the program of own_c.c
"""
import contextlib
import json
import os
import pathlib
import socket
import struct
import threading
import time

from cutter import AFTER, BEFORE, OUT, Cutter, Moment, Program, Seen, message_in, prove_once, whole_packets
from harness import SLOW, BrokerTest, ask, broker_version, eventually, main, result_of
from mqtt import (CONNACK, CONNECT, CONTENT_TYPE, CORRELATION_DATA, PUBLISH, RESPONSE_TOPIC, SUBACK, SUBSCRIBE,
                  USER_PROPERTY, data, packet, properties, property_of)

OWN_C = os.environ["RPC_OWN_C"]
CERTIFICATE = str(pathlib.Path(__file__).resolve().parents[1] / "broker/certificate.pem")


class OwnProgram(Program):
    """The program; ask_all() reads lines until one that begins with the word."""

    def __init__(self, port, **options):
        super().__init__([OWN_C, *(f"{name}={value}" for name, value in options.items())], port)

    def ask_all(self, line, last):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        lines = []
        while not lines or not lines[-1].startswith(last):
            lines.append(self.process.stdout.readline().rstrip("\n"))
            assert lines[-1], lines
        return lines


class Relay:
    """A proxy that knows no MQTT, for TLS: .port. cut() ends all connections, with an error if reset is true."""

    def __init__(self, target):
        self.target, self.sockets = target, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                one, _ = self.listener.accept()
                other = socket.create_connection(("127.0.0.1", self.target))
                self.sockets += [one, other]
                for source, target in ((one, other), (other, one)):
                    threading.Thread(target=self.pump, args=(source, target), daemon=True).start()

    @staticmethod
    def pump(source, target):
        with contextlib.suppress(OSError):
            while content := source.recv(65536):
                target.sendall(content)

    def cut(self, reset=True):
        sockets, self.sockets = self.sockets, []
        for sock in sockets:
            if reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)  # which wakes the thread that reads
            sock.close()


class OwnTest(BrokerTest):

    def program(self, port, **options):
        program = OwnProgram(port, **options)
        self.addCleanup(program.close)
        return program


class Calls(OwnTest):

    def test_results_and_errors(self):
        port = self.start().port
        for protocol in (5, 311):
            program = self.program(port, protocol=protocol)
            self.assertEqual(program.call("echo", {"a": [1, 2.5, "\u00e9"]}), {"a": [1, 2.5, "\u00e9"]})
            self.assertEqual(program.ask("call echo {\"big\":12345678901234567}"),
                             ("result", '{"big":12345678901234567}'))
            self.assertEqual(program.ask("call updateSensor {}"), ("error", "invalid_params sensor_id is required"))
            self.assertEqual(program.ask("call no.such {}")[1].split()[0], "method_not_found")
            self.assertEqual(program.ask("call bad+name {}")[1].split()[0], "invalid")
            self.assertEqual(program.ask("call echo/response/x {}")[1].split()[0], "invalid")
            self.assertEqual(program.pending(), 0)

    def test_batches(self):
        port = self.start().port
        for protocol in (5, 311):
            program = self.program(port, protocol=protocol)
            word, rest = program.ask('batch echo [{"a":1},{"a":2}]')
            self.assertEqual((word, json.loads(rest)), ("result", [{"result": {"a": 1}}, {"result": {"a": 2}}]))
            word, rest = program.ask('batch updateSensor [{}]')
            self.assertEqual(json.loads(rest)[0]["error"]["err"], "invalid_params")

    def test_calls_that_are_too_large(self):
        """With MQTT 3.1.1 the broker says nothing, and ends the connection. Other calls are not disturbed."""
        broker = self.start(first=("max_packet_size 5000",))
        for protocol, qos in ((5, 1), (311, 0), (311, 1), (311, 2)):
            with self.subTest(protocol=protocol, qos=qos):
                program = self.program(broker.port, protocol=protocol, qos=qos, timeout_ms=60000)
                self.assertEqual(program.call("echo", {"x": "y" * 4000}), {"x": "y" * 4000})
                begun = time.monotonic()
                word, rest = program.ask("call echo " + json.dumps({"x": "y" * 6000}))
                self.assertEqual((word, rest.split()[0]), ("error", "payload_too_large"), rest)
                self.assertLess(time.monotonic() - begun, 30)
                self.assertEqual(program.call("echo", {"a": 1}), {"a": 1})
                self.assertEqual(program.pending(), 0)

    def test_only_objects_with_3_1_1(self):
        program = self.program(self.start().port, protocol=311)
        self.assertEqual(program.ask("call echo 5")[1].split()[0], "invalid")
        self.assertEqual(program.ask("batch echo {}")[1].split()[0], "invalid")
        self.assertEqual(program.ask("call echo {}"), ("result", "{}"))
        self.assertEqual(program.ask("call echo { }"), ("result", "{}"))

    def test_many_at_once(self):
        port = self.start().port
        for protocol in (5, 311):
            program = self.program(port, protocol=protocol, timeout_ms=60000)  # on a busy machine, too
            self.assertEqual(program.ask('many 1000 echo {"a":1}'), ("many", "1000 0"))
            self.assertEqual(program.pending(), 0)

    def test_no_delay(self):
        """A broker without set_tcp_nodelay waits for acknowledgements, which may take 40 ms: 12 seconds here."""
        program = self.program(self.start().port)
        begun = time.monotonic()
        self.assertEqual(program.ask("turns 300 echo {}"), ("turns", "300"))
        self.assertLess(time.monotonic() - begun, 6 * SLOW)

    def test_a_full_table(self):
        program = self.program(self.start().port, max_pending=10, timeout_ms=60000)
        self.assertEqual(program.ask('many 30 echo {"a":1}'), ("many", "10 20"))
        self.assertEqual(program.ask('many 10 echo {"a":1}'), ("many", "10 0"))

    def test_a_cancelled_call(self):
        program = self.program(self.start().port)
        self.assertEqual(program.ask('cancel echo {}'), ("cancelled", "1 0"))
        self.assertEqual(program.pending(), 0)

    def test_a_client_that_is_destroyed(self):
        self.assertEqual(self.program(self.start().port).ask("leave echo {}"), ("left", "closed 1"))

    def test_interim_replies(self):
        broker = self.start()
        helper = self.client(broker, 5)

        def work():
            for done in (50, 75):
                eventually(lambda done=done: result_of(ask(helper, "relay.step", {"box": "b", "done": done}))["calls"])
            ask(helper, "relay.end", {"box": "b"})

        worker = threading.Thread(target=work)
        worker.start()
        lines = self.program(broker.port).ask_all("progress relay/b/keep {}", ("result", "error"))
        worker.join()
        self.assertEqual([json.loads(line.partition(" ")[2]).get("done") for line in lines], [50, 75, None], lines)
        self.assertTrue(lines[-1].startswith("result"), lines)

    def test_time_limits(self):
        """The plugin's own answer comes first; where nobody answers, the client's."""
        program = self.program(self.start().port, timeout_ms=500)
        self.assertEqual(program.ask('call slow.wait {"name":"n"}')[1].split()[0], "timeout")
        begun = time.monotonic()
        lonely = self.program(self.start(plugins=[]).port, timeout_ms=500)
        self.assertEqual(lonely.ask("call echo {}"), ("error", "timeout no reply has come in time"))
        self.assertGreater(time.monotonic() - begun, 1.4)
        self.assertEqual(lonely.pending(), 0)


class Connections(OwnTest):

    def test_no_broker(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        program = self.program(port, timeout_ms=300)
        word, rest = program.ask("connect")
        self.assertEqual((word, rest), ("disconnected", f"127.0.0.1 port {port}: Connection refused"))
        word, rest = program.ask("call echo {}")
        self.assertIn("timeout there was no connection in time: 127.0.0.1", rest)

    def test_localhost(self):
        """It is two addresses, of which the broker listens on the second one."""
        self.assertEqual(self.program(self.start().port, host="localhost").call("echo", {}), {})

    def test_a_broker_that_comes_late(self):
        broker = self.make()
        broker.start()
        port = broker.port
        broker.stop()
        program = self.program(port, timeout_ms=30000)
        self.assertEqual(program.ask("connect")[0], "disconnected")
        starter = threading.Timer(0.5, broker.start)
        starter.start()
        self.assertEqual(program.call("echo", {"late": 1}), {"late": 1})
        starter.join()

    def test_a_name_that_is_unknown(self):
        word, rest = self.program(1883, host="no.such.host.invalid").ask("connect")
        self.assertEqual(word, "disconnected")
        self.assertIn("no.such.host.invalid port 1883", rest)

    def test_a_server_that_says_nothing(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            program = self.program(server.getsockname()[1], connect_timeout_ms=300)
            word, rest = program.ask("connect")
            self.assertEqual(word, "disconnected")
            self.assertIn("it does not answer", rest)

    def test_a_listener_with_a_mount_point(self):
        broker = self.start(["mount_point m/", "sensor_db :memory:"], mount_point="m/")
        for protocol in (5, 311):
            program = self.program(broker.mounted_port, protocol=protocol)
            self.assertEqual(program.call("echo", {"a": 1}), {"a": 1})
            self.assertEqual(program.ask("call no.such {}")[1].split()[0], "method_not_found")
            self.assertEqual(program.ask('batch echo [{"a":1}]'), ("result", '[{"result":{"a":1}}]'))
            self.assertEqual(program.ask("many 50 echo {}"), ("many", "50 0"))
            watcher = self.program(broker.mounted_port, protocol=protocol)
            watcher.ask("subscribe sensorUpdated")
            program.call("updateSensor", {"sensor_id": f"s{protocol}", "value": 1})
            if broker_version() >= (2, 0, 12):  # from then on the broker cuts the mount point off
                eventually(lambda watcher=watcher: any(
                    line.startswith("event sensorUpdated {") for line in watcher.ask_all("events 200", "events")))

    def test_a_broker_with_persistence_that_restarts(self):
        """A call that is made meanwhile runs once, and retained events come again."""
        broker = self.start(["sensor_db {directory}/sensors.db"], persistence=True)
        callers = [self.program(broker.port, timeout_ms=60000, protocol=protocol) for protocol in (5, 311)]
        watcher = self.program(broker.port)
        watcher.ask("subscribe sensor/#")

        def has_event():
            return any(line.startswith("event sensor/attic ") for line in watcher.ask_all("events 200", "events"))

        self.assertTrue(callers[0].call("updateSensor", {"sensor_id": "attic", "value": 21.5})["ok"])
        eventually(has_event)
        for _ in range(2):
            broker.stop()
            starter = threading.Timer(0.5, broker.start)
            starter.start()
            self.assertEqual([caller.call("probe.count", {}) for caller in callers], [{"runs": 1}, {"runs": 2}])
            starter.join()
            eventually(has_event)
            for caller in callers:
                self.assertEqual(len(caller.call("sensorHistory", {"sensor_id": "attic"})["readings"]), 1)

    def test_refused(self):
        broker = self.start(users={"me": "secret"}, anonymous=False)
        for protocol in (5, 311):
            word, rest = self.program(broker.port, protocol=protocol, username="me", password="wrong").ask("connect")
            self.assertEqual(word, "refused", rest)
            self.assertEqual(self.program(broker.port, protocol=protocol, username="me",
                                          password="secret").call("echo", {}), {})

    def test_refused_by_acl(self):
        broker = self.start(acl="topic read rpc/#\ntopic write rpc/call/echo\n")
        program = self.program(broker.port, timeout_ms=20000)
        self.assertEqual(program.call("echo", {}), {})
        begun = time.monotonic()
        self.assertEqual(program.ask("call ping {}"), ("error", "refused Not authorized"))
        self.assertLess(time.monotonic() - begun, 10)

    def test_no_subscription(self):
        """With reply_delivery client the plugin needs none."""
        broker = self.start(acl="topic write rpc/call/#\n")
        for protocol in (5, 311):
            self.assertEqual(self.program(broker.port, protocol=protocol).call("echo", {}), {})

    def test_subscribed_delivery(self):
        broker = self.start(["reply_delivery subscribed"])
        for protocol in (5, 311):
            self.assertEqual(self.program(broker.port, protocol=protocol).call("echo", {}), {})

    def test_tls(self):
        broker = self.start(tls=True)
        program = self.program(broker.tls_port, host="localhost", cafile=CERTIFICATE, insecure=1)
        self.assertEqual(program.call("echo", {}), {})
        self.assertEqual(program.ask("many 200 echo {}"), ("many", "200 0"))
        # Newer versions of libmosquitto begin TLS at once, and tell no other cause when there is no connection for it.
        refused = "Connection refused" if broker_version() < (2, 0, 21) else "Connection refused|TLS error"
        for host, why in (("127.1", "certificate verify failed"), ("127.0.0.2", refused)):
            word, rest = self.program(broker.tls_port, host=host, cafile=CERTIFICATE).ask("connect")
            self.assertEqual(word, "disconnected", rest)
            self.assertRegex(rest, why)

    def test_tls_that_is_cut(self):
        """What it writes to a connection that is no more does not end the program (SIGPIPE)."""
        broker = self.start(tls=True)
        with Relay(broker.tls_port) as relay:
            program = self.program(relay.port, host="localhost", cafile=CERTIFICATE, timeout_ms=60000)
            self.assertEqual(program.call("probe.count", {}), {"runs": 1})
            for runs in range(4, 20, 4):
                program.process.stdin.write("sleep 200\nmany 3 probe.count {}\n")
                time.sleep(0.05)
                relay.cut(runs % 8 == 0)
                self.assertEqual(program.ask("call probe.count {}"), ("ok", ""))
                self.assertEqual(program.process.stdout.readline(), "many 3 0\n")
                self.assertEqual(json.loads(program.process.stdout.readline().split(" ", 1)[1]), {"runs": runs + 1})

    def test_a_broker_that_starts_again(self):
        broker = self.start()
        program = self.program(broker.port)
        self.assertEqual(program.call("echo", {"a": 1}), {"a": 1})
        self.assertEqual(program.ask("subscribe pong"), ("ok", ""))
        broker.stop()
        broker.start()
        self.assertEqual(program.call("echo", {"a": 2}), {"a": 2})
        caller = self.client(broker)
        program.ask_all("events 100", "events")
        caller.publish("rpc/call/ping", "{}", qos=1)
        lines = program.ask_all("events 2000", "events")
        self.assertEqual(lines[-1], "events 1", lines)


class Events(OwnTest):

    def test_events(self):
        broker = self.start()
        program = self.program(broker.port)
        for name in ("pong", "pong", "sensor/#"):
            self.assertEqual(program.ask(f"subscribe {name}"), ("ok", ""))
        self.assertEqual(program.ask("subscribe a/#/b"), ("invalid", ""))
        program.ask_all("events 300", "events")
        caller = self.client(broker)
        caller.publish("rpc/call/ping", "{}", qos=1)
        lines = program.ask_all("events 1000", "events")
        self.assertEqual(lines[-1], "events 2", lines)
        self.assertTrue(lines[0].startswith("event pong {"), lines)
        self.assertEqual(program.ask("unsubscribe"), ("ok", ""))
        self.assertEqual(program.ask("unsubscribe"), ("none", ""))

    def test_refused(self):
        broker = self.start(acl="topic write rpc/#\n")
        program = self.program(broker.port)
        program.ask("subscribe pong")
        lines = program.ask_all("events 1000", "events")
        self.assertIn(lines[0], ("event pong refused", "events 0"), lines)


class Cuts(OwnTest):
    """Its connection is cut at every packet of a call, and of the recovery from that."""

    def prove(self, options, **how):
        broker = self.start()
        prove_once(broker, lambda port: OwnProgram(port, timeout_ms=60000, **options), **how)

    def test_mqtt_5(self):
        self.prove({})

    def test_mqtt_5_qos_0(self):
        self.prove({"qos": 0}, twice=False)

    def test_mqtt_5_qos_2(self):
        self.prove({"qos": 2}, twice=False)

    def test_mqtt_3_1_1(self):
        self.prove({"protocol": 311}, twice=False)

    def test_an_answer_that_finds_no_connection(self):
        """What it reads last counts all the same, and leaks nothing."""
        for qos in (1, 2):
            with self.subTest(qos=qos):
                self.prove({"qos": qos}, twice=False, stops=True, places=(AFTER,))

    def test_many(self):
        """Many calls at once: none is lost or doubled, whatever is cut."""
        broker = self.start()
        with Cutter(broker.port) as cutter:
            program = OwnProgram(cutter.port, timeout_ms=60000)
            self.addCleanup(program.close)
            self.assertEqual(program.call("probe.count", {}), {"runs": 1})
            cutter.arm(Moment(OUT, PUBLISH, BEFORE, 30), Moment(OUT, PUBLISH, BEFORE, 90))
            self.assertEqual(program.ask("many 200 probe.count {}"), ("many", "200 0"))
            eventually(lambda: cutter.fired == 2)
            self.assertEqual(program.call("probe.count", {}), {"runs": 202})
            self.assertEqual(program.pending(), 0)


class Hostile(OwnTest):
    """A broker that answers whatever it likes."""

    def answer(self, replies, command="call echo {}", **options):
        """What the program says of a call whose replies are these payloads, or functions that make packets."""
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        threading.Thread(target=self.serve, args=(server, replies), daemon=True).start()
        program = self.program(server.getsockname()[1], timeout_ms=1500, **options)
        return program.ask(command)

    @staticmethod
    def serve(server, replies):
        try:
            while True:
                sock, _ = server.accept()
                with sock:
                    buffer = bytearray()
                    while content := sock.recv(65536):
                        buffer += content
                        for raw in whole_packets(buffer):
                            sock.sendall(b"".join(Hostile.answers(raw, replies)))
        except OSError:
            pass

    @staticmethod
    def answers(raw, replies):
        """The packets that are the answer to one of the client's."""
        kind = raw[0] >> 4
        if kind == CONNECT:
            yield packet(CONNACK, 0, b"\0\0\0")
        elif kind == SUBSCRIBE:
            yield packet(SUBACK, 0, raw[2:4] + b"\0\0")
        elif kind == PUBLISH:
            call = message_in(Seen(1, OUT, PUBLISH, raw, 5))
            for payload, status in replies:
                entries = [(CORRELATION_DATA, property_of(call, CORRELATION_DATA)), (CONTENT_TYPE, "application/json")]
                entries += [(USER_PROPERTY, ("status", status))] if status else []
                yield packet(PUBLISH, 0, data(property_of(call, RESPONSE_TOPIC)) + properties(entries) + payload)

    def test_replies(self):
        deep = b"[" * 100000
        for payload, status, expected in (
                (b"{", "ok", "bad_reply"), (b"", "ok", "bad_reply"), (b"{} x", "ok", "bad_reply"),
                (b"{}\0", "ok", "bad_reply"), (deep, "ok", "bad_reply"), (b"[1]", "some_error", "bad_reply"),
                (b'{"err":5}', "e", "bad_reply"), (b"\xff\xfe", None, "bad_reply"),
                (b'"' + b"x" * 200000 + b'"', "ok", "bad_reply"),
                (b'{"err":"a\\u001b[31m","msg":7}', "e", "a\x1b[31m")):
            with self.subTest(payload=payload[:20]):
                word, rest = self.answer([(payload, status)], max_reply=100000)
                self.assertEqual((word, rest.split(" ")[0]), ("error", expected))

    def test_strangers_before_the_reply(self):
        many = [(b"{}", "progress")] * 1000 + [(b'{"a":1}', "ok")] * 5
        self.assertEqual(self.answer(many), ("result", '{"a":1}'))


if __name__ == "__main__":
    main()
