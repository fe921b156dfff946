# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The program mosquitto_rpc_worker as a client of a plain broker: its options, its connection, its end, and the calls
that it shares with others of its group. What it does attached is in test_worker_attached.py."""
import contextlib
import json
import os
import pathlib
import signal
import socket
import threading
import time
import unittest

from program import CERTIFICATE, WorkerTest, run  # first: it finds the others
from harness import TIMEOUT, ask, ask_by_id, error_of, eventually, main, new_identity, payload_of, result_of
from mqtt import (CONNACK, CORRELATION_DATA, MAXIMUM_PACKET_SIZE, RESPONSE_TOPIC, Reader, Silence, packet, properties,
                  property_of, user_property_of)


class Options(unittest.TestCase):
    def test_help_is_made_of_the_tables(self):
        shown = run("--help")
        self.assertEqual((shown.returncode, shown.stderr), (0, ""))
        for option in ("--broker", "--password_file", "--max_pending", "--probe_", "--keepalive"):
            self.assertIn(option, shown.stdout)
        self.assertLessEqual(max(map(len, shown.stdout.splitlines())), 100)

    def test_version(self):
        shown = run("--version")
        self.assertRegex(shown.stdout, r"^mosquitto_rpc_\w*worker \d+\.\d+\.\d+\n$")
        self.assertEqual(shown.returncode, 0)

    def test_wrong_options(self):
        for arguments, why in (
                (["--max_pendin", "3"],
                 "--max_pendin: '3' is not accepted, there is no such option, did you mean max_pending?"),
                (["--brokr", "x"], "did you mean broker?"),
                (["--nonsense", "1"], "there is no such option; the manual"),
                (["--max_pending", "many"], "--max_pending: 'many' is not accepted, it takes a whole number"),
                (["--max_pending"], "--max_pending has no value"),
                (["--max_pending", "--share", "g"], "--max_pending has no value"),
                (["max_pending", "3"], "'max_pending' is no option"),
                (["--share", "a/b"], "--share: 'a/b' is not accepted, a group is one level"),
                (["--name", "a+b"], "--name: 'a\\+b' is not accepted, a name is one level"),
                (["--client_id", "a#b"], "--client_id: 'a#b' is not accepted, a client id has no"),
                (["--attach", "--client_id", "a+b"], "--client_id: 'a\\+b' is not accepted, a client id has no"),
                (["--broker", "host:0"], "--broker: 'host:0' is not accepted, it takes HOST"),
                (["--broker", "host:99999"], "it takes HOST"),
                (["--broker", "[::1"], "it takes HOST"),
                (["--cert", "x", "--cafile", "y"], "--cert: 'x' is not accepted, a certificate and its key"),
                (["--password_file", "x"], "--password_file: 'x' is not accepted, it needs a user"),
                (["--attach", "--share", "g"], "a worker has one of the modes"),
                (["--attach", "--rendezvous"], "a worker has one of the modes"),
                (["--config", "/nowhere"], "config_file /nowhere: No such file"),
                (["--share", "a", "--share", "b"], "the option is given twice"),
                (["--methods", "nope", "--attach"],
                 "--methods: 'nope' is not accepted, no module that is started has")):
            with self.subTest(arguments):
                shown = run(*arguments)
                self.assertRegex(shown.stderr, "^mosquitto_rpc_worker: ")
                self.assertRegex(shown.stderr, why.replace("?", r"\?"))
                self.assertEqual(len(shown.stderr.splitlines()), 1, shown.stderr)
                self.assertEqual(shown.stdout, "")
                self.assertIn(shown.returncode, (1, 2) if "--methods" in arguments else (2,))

    def test_files_of_tls_that_are_not_there(self):
        """The one that cannot be read is named."""
        for missing in ("cafile", "cert", "key"):
            with self.subTest(missing):
                files = {**dict.fromkeys(("cafile", "cert", "key"), CERTIFICATE), missing: "/nowhere"}
                shown = run("--share", "g", *(word for name, path in files.items() for word in (f"--{name}", path)))
                self.assertEqual(shown.returncode, 1)
                self.assertRegex(shown.stderr, f"^mosquitto_rpc_worker: {missing} /nowhere: No such file or directory\n$")


class File(WorkerTest):
    def test_options_of_the_command_line_come_first(self):
        broker = self.plain_broker()
        worker = self.make_worker(broker, "share crew", "max_batch 7", "name from-file", in_file=True)
        worker.arguments += ["--max-batch=5", "--name", "from-line"]
        worker.start()
        worker.wait_log("worker from-line:")
        worker.wait_log(rf"config_file {worker.path} read: 6 settings")
        worker.wait_log("connected to")

    def test_reload(self):
        broker = self.plain_broker()
        lines = [f"broker 127.0.0.1:{broker.port}", "modules ping probe rpc", "share crew"]
        worker = self.make_worker(broker, in_file=True)
        worker.rewrite(*lines, "max_payload 100")
        worker.start()
        worker.wait_log("connected to")
        caller = self.client(broker, 5)
        caller.subscribe("reply/to/me")
        long = json.dumps({"text": "x" * 200})
        self.assertEqual(error_of(self.asked(caller, long))["err"], "payload_too_large")
        worker.rewrite(*lines, "max_payload 1000")
        worker.signal(signal.SIGHUP)
        worker.wait_log("read: 4 settings, 1 changed")
        self.assertNotEqual(payload_of(self.asked(caller, long)).get("err"), "payload_too_large")
        worker.rewrite(*lines, "max_payload 1000", "workers 7")
        worker.signal(signal.SIGHUP)
        worker.wait_log(rf"error: .*config_file {worker.path}, line 5: workers has changed, which takes a new start; "
                        "all settings stay")
        worker.rewrite(*lines[:-1], "share other", "max_payload 1000")
        worker.signal(signal.SIGHUP)
        worker.wait_log("share has changed")
        worker.rewrite(*lines, "max_payload soon")
        worker.signal(signal.SIGHUP)
        worker.wait_log("line 4: max_payload: 'soon' is not accepted.*all settings stay as they were")
        worker.stop()

    def asked(self, caller, payload):
        """The reply, as soon as the worker's subscription is there."""
        while True:
            caller.publish("rpc/call/ping", payload, qos=1,
                           properties=[(RESPONSE_TOPIC, "reply/to/me"), (CORRELATION_DATA, new_identity().encode())])
            try:
                return caller.receive(1)
            except AssertionError:
                continue


class Connection(WorkerTest):
    def test_a_broker_that_is_away_at_start_and_goes_again(self):
        broker = self.make(plugins=[])
        broker.pick_ports()
        worker = self.make_worker(broker, "share crew").start()
        worker.wait_log("Connection refused; the next attempt is in 0\\.[2-5] s")
        broker.start()
        worker.wait_log("connected to")
        self.answers(broker)
        broker.stop()
        worker.wait_log("the next attempt is in", count=2)
        broker.start()
        worker.wait_log("connected to", count=2)
        self.answers(broker)
        worker.stop()

    def answers(self, broker):
        broker.wait_log("Sending SUBACK")
        caller = self.client(broker, 5)
        caller.subscribe("reply/to/me")
        eventually(lambda: self.is_answered(caller))

    @staticmethod
    def is_answered(caller):
        caller.publish("rpc/call/ping", b"", qos=1, properties=[(RESPONSE_TOPIC, "reply/to/me")])
        try:
            return caller.receive(1)
        except AssertionError:
            return None

    def test_a_wrong_password_ends_it_at_start(self):
        broker = self.plain_broker(users={"crew": "right"}, anonymous=False)
        path = broker.directory / "password"
        for word, code in (("wrong\n", 1), ("right\n", None)):
            path.write_text(word)
            worker = self.make_worker(broker, "share crew", "user crew", f"password_file {path}").start()
            if code:
                self.assertEqual(worker.wait(), code)
                self.assertRegex(worker.log(), "error: .*broker 127.0.0.1:\\d+: Not authorized")
            else:
                worker.wait_log("connected to")

    def test_a_password_file_that_is_missing_is_named(self):
        broker = self.plain_broker()
        worker = self.make_worker(broker, "share crew", "user crew", "password_file /nowhere").start()
        worker.wait_log("password_file /nowhere: No such file")
        worker.stop()

    def test_tls(self):
        broker = self.plain_broker(tls=True)
        worker = self.worker(broker, "share crew", f"cafile {CERTIFICATE}", address=f"localhost:{broker.tls_port}")
        self.answers(broker)
        worker.stop()

    def test_tls_with_a_certificate(self):
        lines = ["listener {second_port} 127.0.0.1", f"certfile {CERTIFICATE}", f"keyfile {CERTIFICATE}",
                 f"cafile {CERTIFICATE}", "require_certificate true", "use_identity_as_username true"]
        broker = self.plain_broker(lines=lines)
        address = f"localhost:{broker.second_port}"
        own = [f"cert {CERTIFICATE}", f"key {CERTIFICATE}"]
        self.worker(broker, "share crew", f"cafile {CERTIFICATE}", *own, address=address)
        broker.wait_log("u'localhost'")
        stranger = self.make_worker(broker, "share crew", f"cafile {CERTIFICATE}", address=address).start()
        stranger.wait_log("the next attempt is in")
        self.assertNotIn("connected to", stranger.log())
        stranger.stop()

    def test_tls_with_another_name(self):
        broker = self.plain_broker(tls=True)
        worker = self.make_worker(broker, "share crew", f"cafile {CERTIFICATE}",
                                  address=f"127.0.0.2:{broker.tls_port}").start()
        worker.wait_log("the next attempt is in")
        self.assertNotIn("connected to", worker.log())

    @unittest.skipUnless(pathlib.Path("/proc/net/if_inet6").exists(), "there is no IPv6")
    def test_ipv6(self):
        broker = self.plain_broker(lines=["listener {second_port} ::1"])
        self.worker(broker, "share crew", address=f"[::1]:{broker.second_port}")

    def test_a_unix_socket(self):
        broker = self.plain_broker(unix=True)
        self.worker(broker, "share crew", address=f"unix:{broker.unix_path}")

    def test_names(self):
        broker = self.plain_broker()
        self.worker(broker, "share crew", "name w-1")
        self.assertRegex(broker.log(), r"as w-1-[0-9a-f]{8} \(p5, c1, k5\)")
        self.worker(broker, "share crew", "client_id just-this")
        self.assertRegex(broker.log(), r"as just-this \(p5, c1, k5\)")

    def test_the_service_manager_is_told(self):
        """Once, and again at the end: that the worker gets calls."""
        for mode in ("share crew", "rendezvous true", "auto true"):
            with self.subTest(mode=mode):
                broker = self.plain_broker()
                manager, environment = self.service_manager(broker.directory)
                worker = self.worker(broker, mode, environment=environment)
                self.assertEqual(manager.recv(100), b"READY=1")
                worker.stop()
                self.assertEqual(manager.recv(100), b"STOPPING=1")


class StrangeBroker:
    """Takes one connection after the other, and answers each CONNECT with the same bytes."""

    def __init__(self, test, connack, then=b""):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connack, self.then, self.connects = connack, then, []
        test.addCleanup(self.listener.close)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(sock,), daemon=True).start()

    def talk(self, sock):
        with sock:
            self.connects.append(sock.recv(65536))
            sock.sendall(self.connack)
            try:
                for part in self.then if isinstance(self.then, list) else [self.then]:
                    sock.sendall(part)
                while sock.recv(65536):
                    pass
            except OSError:
                pass


def connack(reason=0, entries=()):
    return packet(CONNACK, 0, bytes([0, reason]) + properties(entries))


class Strange(WorkerTest):
    def strange_worker(self, reply, *options, then=b""):
        broker = StrangeBroker(self, reply, then)
        directory = self.make(plugins=[])
        worker = self.make_worker(directory, *(options or ["share crew"]), address=f"127.0.0.1:{broker.port}").start()
        return broker, worker

    def test_no_shared_subscriptions(self):
        _, worker = self.strange_worker(connack(0, [(42, 0)]))
        self.assertEqual(worker.wait(), 1)
        self.assertIn("it has no shared subscriptions", worker.log())

    def test_a_refused_subscription(self):
        suback = packet(9, 0, b"\x00\x01" + properties(()) + bytes([0x9E]))
        _, worker = self.strange_worker(connack(), then=suback)
        self.assertEqual(worker.wait(), 1)
        self.assertIn("a subscription to calls was refused: ", worker.log())

    def test_a_broker_of_mqtt_3(self):
        """Some versions of libmosquitto cannot tell its CONNACK from nonsense: then the worker tries again."""
        _, worker = self.strange_worker(bytes([0x20, 2, 0, 1]))
        eventually(lambda: worker.process.poll() is not None or "the next attempt is in" in worker.log())
        if worker.process.poll() is not None:
            self.assertEqual(worker.wait(), 1)
        self.assertRegex(worker.log(), "it (does|may) not speak MQTT 5")

    def test_a_broker_that_is_busy_is_asked_again(self):
        broker, worker = self.strange_worker(connack(0x89))
        worker.wait_log("the next attempt is in", count=2)
        self.assertGreaterEqual(len(broker.connects), 2)
        worker.stop()

    def test_what_is_sent_to_the_broker(self):
        broker, worker = self.strange_worker(connack(0x89), "share crew", "max_payload 1000")
        worker.wait_log("the next attempt")
        reader = Reader(broker.connects[0])
        reader.byte()
        reader.varint()
        self.assertEqual(reader.text(), "MQTT")
        version, flags, keepalive = reader.byte(), reader.byte(), reader.u16()
        self.assertEqual((version, flags, keepalive), (5, 2, 5))
        self.assertEqual(dict(reader.properties()).get(MAXIMUM_PACKET_SIZE), 1000 + 262144)

    def test_nonsense(self):
        """Whatever comes, the worker tries again, and can be ended."""
        workers = [self.strange_worker(nonsense)[1] for nonsense in (
            b"\x00" * 100, b"\xff" * 100, b"HTTP/1.1 200 OK\r\n\r\n", b"\x20\x00", b"\x20\xff\xff\xff\x7f",
            connack() + b"\x30\x02\x00\x00", connack() + b"\x32\x07\x00\x05ab\x00\x00",
            connack() + b"\x30\xff\xff\xff\xff\x7f", connack() + packet(14, 0, b"\x8e"))]
        for worker in workers:
            worker.wait_log("the next attempt is in")
            worker.stop()

    def test_silence(self):
        _, worker = self.strange_worker(b"")
        time.sleep(0.3)
        worker.stop()


class Share(WorkerTest):
    def setUp(self):
        self.broker = self.plain_broker()

    def caller(self, version=5, **how):
        caller = self.client(self.broker, version, **how)
        caller.subscribe("reply/to/me", "rpc/call/+/response/#")
        return caller

    def test_callers_of_all_versions(self):
        self.sharing(self.broker)
        self.assertTrue(result_of(ask(self.caller(), "ping"))["ok"])
        for version in (3, 4, 5):
            self.assertTrue(ask_by_id(self.caller(version), "ping")["result"]["ok"])
        caller = self.caller(4)
        caller.publish("rpc/call/ping", json.dumps({"jsonrpc": "2.0", "id": "x:1", "method": "ping"}), qos=1)
        reply = caller.receive()
        self.assertEqual((reply.topic, payload_of(reply)["id"]), ("rpc/call/ping/response/x", "x:1"))
        caller = self.caller()
        caller.publish("rpc/batch/ping", "[{},{}]", qos=1, properties=[(RESPONSE_TOPIC, "reply/to/me")])
        self.assertEqual(len(payload_of(caller.receive())), 2)

    def test_the_caller_is_not_known(self):
        worker = self.sharing(self.broker)
        found = result_of(ask(self.caller(), "probe.caller"))
        self.assertNotIn("id", found)
        self.assertNotIn("user", found)
        worker.wait_log("callers are not known: rate limits and guards are off")

    def test_each_call_is_answered_once(self):
        for _ in range(3):
            self.sharing(self.broker)
        caller = self.caller()
        sent = [new_identity().encode() for _ in range(100)]
        for identity in sent:
            caller.publish("rpc/call/ping", b"", qos=1,
                           properties=[(RESPONSE_TOPIC, "reply/to/me"), (CORRELATION_DATA, identity)])
        got = [property_of(caller.receive(), CORRELATION_DATA) for _ in sent]
        self.assertEqual(sorted(got), sorted(sent))
        caller.expect_nothing()

    def test_two_callers_with_the_same_correlation(self):
        self.sharing(self.broker)
        counts = []
        for topic in ("reply/one", "reply/two", "reply/one"):
            caller = self.client(self.broker, 5)
            caller.subscribe(topic)
            reply = ask(caller, "probe.count", topic=topic, correlation=b"0123456789abcdef")
            counts.append((user_property_of(reply, "repeated"), result_of(reply)))
        self.assertEqual([repeated for repeated, _ in counts], [None, None, "1"])
        self.assertEqual(counts[2][1], counts[0][1])
        self.assertNotEqual(counts[1][1], counts[0][1])

    def test_no_reply_goes_where_no_client_may_publish(self):
        worker = self.sharing(self.broker)
        watcher = self.client(self.broker, 5)
        watcher.subscribe("rpc/event/+", "$SYS/x", "rpc/dead/#")
        caller = self.caller()
        for topic in ("rpc/event/lamp", "rpc/call/echo", "rpc/dead/x", "rpc/event/error"):
            caller.publish("rpc/call/ping", b"", qos=1, properties=[(RESPONSE_TOPIC, topic)])
            found = payload_of(watcher.receive())
            self.assertEqual((found["err"], found["msg"]),
                             ("invalid_request", "the call has a Response Topic to which no client may publish"))
        caller.publish("rpc/call/ping", b"", qos=1, properties=[(RESPONSE_TOPIC, "$SYS/x")])
        self.assertEqual(payload_of(watcher.receive())["err"], "invalid_request")
        self.assertTrue(result_of(ask(caller, "ping"))["ok"])
        worker.stop()

    def test_events_are_ordinary_publications(self):
        self.sharing(self.broker)
        watcher = self.client(self.broker, 5)
        watcher.subscribe("rpc/event/#")
        caller = self.caller()
        caller.publish("rpc/call/ping", b"[", qos=1)
        self.assertEqual(payload_of(watcher.receive())["err"], "parse_error")

    def test_draining_finishes_calls_and_takes_no_more(self):
        worker = self.sharing(self.broker)
        caller = self.caller()
        begun = time.monotonic()
        caller.publish("rpc/call/slow.sleep", json.dumps({"ms": 700}), qos=1,
                       properties=[(RESPONSE_TOPIC, "reply/to/me"), (CORRELATION_DATA, b"1")])
        self.assertTrue(result_of(ask(caller, "ping"))["ok"])
        worker.signal(signal.SIGTERM)
        worker.wait_log("calls that have begun are finished first")
        self.broker.wait_log("Sending UNSUBACK")
        caller.publish("rpc/call/ping", b"", qos=1, properties=[(RESPONSE_TOPIC, "reply/to/me")])
        self.assertEqual(property_of(caller.receive(), CORRELATION_DATA), b"1")
        self.assertGreater(time.monotonic() - begun, 0.7)
        self.assertEqual(worker.wait(), 0)
        caller.expect_nothing()
        self.assertNotIn("has exceeded timeout", self.broker.log())

    def test_draining_has_a_limit(self):
        worker = self.sharing(self.broker, "drain 200ms")
        caller = self.caller()
        caller.publish("rpc/call/slow.sleep", json.dumps({"ms": 1500}), qos=1,
                       properties=[(RESPONSE_TOPIC, "reply/to/me")])
        self.assertTrue(result_of(ask(caller, "ping"))["ok"])
        worker.signal(signal.SIGTERM)
        self.assertEqual(worker.wait(), 0)
        self.assertIn("calls are given up", worker.log())

    def test_a_second_signal_ends_it_at_once(self):
        worker = self.sharing(self.broker)
        caller = self.caller()
        caller.publish("rpc/call/slow.sleep", json.dumps({"ms": 60000, "polite": True}), qos=1,
                       properties=[(RESPONSE_TOPIC, "reply/to/me")])
        self.assertTrue(result_of(ask(caller, "ping"))["ok"])
        worker.signal(signal.SIGINT)
        worker.wait_log("finished first")
        worker.signal(signal.SIGTERM)
        self.assertEqual(worker.wait(), 0)

    def test_too_many_calls_are_told_so(self):
        self.sharing(self.broker, "max_pending 2", "workers 1")
        caller = self.caller()
        for number in range(8):
            caller.publish("rpc/call/slow.sleep", json.dumps({"ms": 100}), qos=1,
                           properties=[(RESPONSE_TOPIC, "reply/to/me"), (CORRELATION_DATA, bytes([number]))])
        statuses = [user_property_of(caller.receive(), "status") for _ in range(8)]
        self.assertGreaterEqual(statuses.count("overloaded"), 5)
        self.assertGreaterEqual(statuses.count("ok"), 1)

    def test_large_and_strange_messages(self):
        worker = self.sharing(self.broker, "max_payload 1000")
        caller = self.caller()
        self.assertEqual(error_of(ask(caller, "ping", b"x" * 100000))["err"], "payload_too_large")
        caller.publish("rpc/call/ping", b"x" * 2000000, qos=1, properties=[(RESPONSE_TOPIC, "reply/to/me")])
        for topic in ("rpc/call/", "rpc/call//", "rpc/call/a/b/c/d", "rpc/call/ping/response/x", "rpc/call/\u00e4",
                      "rpc/call/" + "x" * 60000, "rpc/call/request", "rpc/batch/"):
            caller.publish(topic, b"{}", qos=1)
        caller.inbox.clear()
        self.assertTrue(result_of(ask(self.caller(), "ping"))["ok"])
        worker.stop()

    def test_retained_and_qos_0_and_2(self):
        self.sharing(self.broker)
        for qos in (0, 1, 2):
            self.assertTrue(result_of(ask(self.caller(), "ping", qos=qos))["ok"])


def seconds_of(worker):
    """The time of processors that a worker has had."""
    stat = pathlib.Path(f"/proc/{worker.process.pid}/stat").read_text(encoding="utf-8")
    return sum(map(int, stat.rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")


class Presence(WorkerTest):

    def expect_sleep(self, worker):
        """The worker has nothing to do for a while, and takes no time of a processor for that."""
        before = seconds_of(worker)
        time.sleep(2)
        self.assertLess(seconds_of(worker) - before, 0.1)

    def test_a_worker_that_joins_others_sleeps(self):
        broker = self.plain_broker()
        watcher = self.client(broker, 5)
        watcher.subscribe("rpc/worker/+", qos=1)

        def wait_for(state):
            while json.loads(watcher.receive().payload)["state"] != state:
                pass
        self.worker(broker, "rendezvous true")
        wait_for("here")
        worker = self.worker(broker, "rendezvous true")
        wait_for("joining")
        time.sleep(1.5)  # until then it might be the only one
        self.expect_sleep(worker)

    def test_a_worker_that_drains_sleeps(self):
        broker = self.plain_broker()
        worker = self.worker(broker, "rendezvous true")
        caller = self.client(broker, 5)
        caller.subscribe("reply/to/me", qos=1)
        caller.publish("rpc/call/slow.sleep", json.dumps({"ms": 6000}), qos=1,
                       properties=[(RESPONSE_TOPIC, "reply/to/me")])
        eventually(lambda: len(os.listdir(f"/proc/{worker.process.pid}/task")) > 1)  # a thread carries it out
        worker.signal(signal.SIGTERM)
        worker.wait_log("finished first")
        time.sleep(1.5)  # while others learn of it
        self.expect_sleep(worker)
        self.assertEqual(user_property_of(caller.receive(), "status"), "ok")
        self.assertEqual(worker.wait(), 0)

    def test_workers_that_are_none_do_not_fill_the_log(self):
        """A client tells of many workers, each of which is silent from then on."""
        broker = self.plain_broker()
        worker = self.worker(broker, "rendezvous true")
        forger = self.client(broker, 5)
        forger.subscribe("reply/to/me", qos=1)

        def answers():
            with contextlib.suppress(Silence):
                forger.publish("rpc/worker/all/rpc.ping", b"", qos=1, properties=[(RESPONSE_TOPIC, "reply/to/me")])
                return user_property_of(forger.receive(1), "status") == "ok"
            return False
        eventually(answers)
        began = time.monotonic()
        for number in range(400):
            forger.publish(f"rpc/worker/w{number}", json.dumps({"every_ms": 1, "state": "here"}), qos=1)
        for _ in range(3):  # the worker has had a round since the last one
            eventually(answers)
            time.sleep(0.1)
        lines = worker.log().count("is silent, and is taken for gone")
        self.assertGreater(lines, 0)
        self.assertLess(lines, 22 + (time.monotonic() - began))


if __name__ == "__main__":
    main()
