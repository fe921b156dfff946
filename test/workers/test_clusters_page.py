# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Holds docs/clusters.md to what it says on one broker without the plugin: its commands, its ACL file, and what keeps
strangers out; then workers by rendezvous among hostile clients that no ACL keeps out, and all kinds of callers."""
import json
import pathlib
import shlex
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "broker"))
from harness import INSTRUMENTED, ROOT, TIMEOUT, ask, ask_by_id, error_of, eventually, main, result_of  # noqa: E402
from mqtt import (CORRELATION_DATA, NOT_AUTHORIZED, RESPONSE_TOPIC, Silence, property_of,  # noqa: E402
                  user_property_of)
from pages import section  # noqa: E402
from test_page import GUIDE_WORKER, WORKER, WorkerTest, indented  # noqa: E402

PAGE = (ROOT / "docs/clusters.md").read_text()
MODES = (("--rendezvous",), ("--share", "g"))


class PlainWorkers(WorkerTest):

    def plain(self, **how):
        return self.start(plugins=[], **how)

    def join(self, broker, name, *options):
        """A worker that answers."""
        worker = self.worker(broker, name, *options)
        worker.says("connected to")
        return worker


class Page(PlainWorkers):

    RULES = section(PAGE, "## Users and ACLs")

    def acl(self, without=""):
        return "\n".join(line for line in indented(self.RULES) if line != without)

    def guarded(self, **how):
        return self.plain(users={"worker": "any", "caller": "c"}, anonymous=False, acl=self.acl(**how))

    def launch_user(self, broker, mode):
        path = broker.directory / "password"
        path.write_text("any\n")
        worker = self.launch(broker, "one", GUIDE_WORKER, "--broker", f"127.0.0.1:{broker.port}", "--name", "one", *mode,
                             "--user", "worker", "--password_file", str(path))
        worker.says("connected to")
        return worker

    def test_the_modes_as_shown(self):
        broker = self.plain()
        commands = [line for line in indented(section(PAGE, "## Which mode")) if line.startswith("mosquitto_rpc_worker")]
        self.assertEqual(len(commands), 2)
        for number, command in enumerate(commands):
            words = shlex.split(command.replace(f"node{number + 1}.example:1883", f"127.0.0.1:{broker.port}"))
            self.launch(broker, f"w{number}", WORKER, *words[1:]).says("connected to")
        caller = self.client(broker, version=5)
        caller.subscribe("reply/to/me")
        result_of(ask(caller, "ping"))

    def test_asking_all(self):
        broker = self.plain()
        self.join(broker, "one", "--rendezvous")
        self.join(broker, "two", "--rendezvous")
        subscribe, publish = indented(section(PAGE, "## Asking all workers"))
        self.assertTrue(subscribe.endswith(" &"))
        with subprocess.Popen([*shlex.split(subscribe[:-2]), "-p", str(broker.port), "-C", "2", "-W", "60"],
                              stdout=subprocess.PIPE, text=True) as shown:
            eventually(lambda: "reply/me" in broker.log() or shown.poll() is not None)
            subprocess.run([*shlex.split(publish), "-p", str(broker.port)], check=True)
            lines = shown.communicate()[0].splitlines()
        self.assertEqual({json.loads(line[line.index("{"):])["worker"] for line in lines}, {"one", "two"})
        self.assertTrue(all("worker:" in line for line in lines), lines)

    def test_the_acl(self):
        """With its lines a worker works in each mode, and nothing is denied."""
        for mode in MODES:
            with self.subTest(mode):
                broker = self.guarded()
                worker = self.launch_user(broker, mode)
                caller = self.client(broker, version=5, username="caller", password="c")
                caller.subscribe("reply/caller/#")
                caller.subscribe("rpc/event/#")
                while True:  # the group may be without a member when the first call comes
                    try:
                        self.assertTrue(self.open_door(caller))
                        break
                    except Silence:
                        pass
                self.assertEqual(worker.stop(), 0)
                self.assertNotIn("Denied", broker.log())

    def open_door(self, caller):
        """Returns once there were a reply and an event."""
        caller.publish("rpc/call/openDoor", json.dumps({"door": "yard"}), qos=1,
                       properties=[(RESPONSE_TOPIC, "reply/caller/1"), (CORRELATION_DATA, b"1")])
        found = set()
        while not {"reply/caller/1", "rpc/event/door/yard"} <= found:
            found.add(caller.receive(5).topic)
        return found

    def test_strangers_are_kept_out(self):
        """A caller can neither tell workers anything nor read what they tell."""
        broker = self.guarded()
        self.launch_user(broker, ("--rendezvous",))
        caller = self.client(broker, version=5, username="caller", password="c")
        caller.subscribe("rpc/worker/#", check=False)
        caller.subscribe("rpc/call/#", check=False)
        caller.subscribe("reply/#", check=False)
        for topic in ("x", "one", "one/done", "one/pass", "one/doubt", "all/rpc.ping"):
            self.assertEqual(caller.publish(f"rpc/worker/{topic}", b"{}", qos=1, retain="/" not in topic), NOT_AUTHORIZED, topic)
        for topic in ("reply/caller/1", "rpc/event/door/yard", "rpc/call/x/response/y"):
            caller.publish(topic, b"{}", qos=1)  # the last one is of a caller's tree
        with self.assertRaises(Silence):
            caller.receive(1)


UNUSABLE = ("-1", "0", "1e-300", "1e9", "1e308", "1e999", '"x"', "null", "{}")  # as every_ms
PRESENCE = '{{"name":"f","since":1,"version":"9","every_ms":{},"state":"{}","leaving":false}}'


class Hostile(PlainWorkers):
    """Whoever may publish below rpc/worker can make calls late, but no worker ends, grows without bound, or stays out."""

    def test_forged(self):
        broker = self.plain()
        workers = [self.join(broker, name, "--rendezvous", "--max_pending_bytes", "4m") for name in ("one", "two")]
        stranger, caller = self.client(broker, version=5), self.client(broker, version=5)
        caller.subscribe("reply/to/me")
        result_of(ask(caller, "ping"))
        ids = self.ids(broker)
        before = [self.memory(worker) for worker in workers]
        self.forge_presences(stranger, ids)
        self.forge_notes(stranger, ids)
        for number in range(50):  # of which most are of workers that are not there
            caller.publish("rpc/call/ping", b"", qos=1, properties=[(RESPONSE_TOPIC, "reply/to/late"),
                                                                    (CORRELATION_DATA, b"%d" % number)])
        eventually(lambda: self.have_read(broker, len(workers)))
        self.call_many(broker)
        caller.inbox.clear()
        for worker, size in zip(workers, before):
            self.assertIsNone(worker.process.poll(), worker.log())
            if not INSTRUMENTED:
                self.assertLess(self.memory(worker), size + 64 * 1024)
            self.assertLess(len(worker.log()), 512 * 1024)
        for _ in range(20):
            result_of(ask(caller, "ping"))
        caller.expect_nothing()

    def test_nobody_is_there_for_ever(self):
        """A worker that is never taken back, and does not say how often it is to be heard of, makes calls late."""
        broker = self.plain()
        for name in ("one", "two"):
            self.join(broker, name, "--rendezvous")
        self.client(broker, version=5).publish("rpc/worker/unsaid", b"{}", qos=1)
        for number, every in enumerate(UNUSABLE):
            for state in ("here", "joining"):
                self.client(broker, version=5).publish(f"rpc/worker/{state}{number}", PRESENCE.format(every, state), qos=1)
        self.call_many(broker)

    def have_read(self, broker, count):
        """Whether so many workers have read all that came before. The broker drops what it has too much of for one."""
        client = self.client(broker, version=5)
        client.subscribe("reply/all")
        client.publish("rpc/worker/all/rpc.ping", b"", qos=1, properties=[(RESPONSE_TOPIC, "reply/all")])
        found = set()
        try:
            while len(found) < count:
                found.add(user_property_of(client.receive(3), "worker"))
        except Silence:
            return False
        client.disconnect()
        return True

    def call_many(self, broker):
        """Makes so many calls that every worker is the first in rank for some, and waits until each is answered, which
        is when those that are not there are silent, and gone."""
        client, missing = self.client(broker, version=5), {b"%d" % number for number in range(300)}
        client.subscribe("reply/many")
        for correlation in missing:
            client.publish("rpc/call/ping", b"", qos=1, wait=False,
                           properties=[(RESPONSE_TOPIC, "reply/many"), (CORRELATION_DATA, correlation)])
        while missing:
            missing.discard(property_of(client.receive(), CORRELATION_DATA))

    def test_workers_do_not_tell_what_a_caller_wants(self):
        """A reply is published with the rights of the worker, and goes neither to the other workers nor to $ topics."""
        broker = self.plain()
        for mode in MODES:
            worker = self.join(broker, mode[0].strip("-"), *mode)
            caller = self.client(broker, version=5)
            caller.subscribe("reply/#")
            while True:
                caller.publish("rpc/call/ping", b"", qos=1, properties=[(RESPONSE_TOPIC, "reply/a"), (CORRELATION_DATA, b"a")])
                try:
                    caller.receive(3)
                    break
                except Silence:
                    pass
            caller.subscribe("rpc/worker/+/done")
            caller.subscribe("rpc/worker/x")
            caller.inbox.clear()
            for topic in ("rpc/worker/x/done", "rpc/worker/x", "$SYS/x"):
                for called in ("rpc/call/ping", "rpc/call/nothing", "rpc/worker/all/rpc.ping", "rpc/worker/all/rpc.list"):
                    caller.publish(called, b"", qos=1, properties=[(RESPONSE_TOPIC, topic), (CORRELATION_DATA, b"x" * 16)])
            deadline = time.monotonic() + 2
            while time.monotonic() < deadline:
                try:
                    found = caller.receive(0.5)
                except Silence:
                    continue
                self.assertNotIn(found.topic, ("rpc/worker/x/done", "rpc/worker/x"))
            self.assertIsNone(worker.process.poll(), worker.log())
            self.assertEqual(worker.log().count("connected to"), 1)
            self.assertEqual(worker.stop(), 0)

    def ids(self, broker):
        watcher = self.client(broker, version=5)
        watcher.subscribe("rpc/worker/+", qos=1)
        found = set()
        while len(found) < 2:
            found.add(watcher.receive().topic.rpartition("/")[2])
        return sorted(found)

    def memory(self, worker):
        """Kilobytes."""
        status = pathlib.Path(f"/proc/{worker.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def forge_presences(self, stranger, ids):
        for number in range(1200):
            stranger.publish(f"rpc/worker/f{number}", PRESENCE.format(1000, "here"), qos=1, wait=False)
        names = ["", " ", "%s%n%s", "x" * 64, "x" * 65, "x" * 5000, "é", "a\\\"b", "all", "$SYS", *ids]
        texts = ["[", "{}", "[]", "null", '"x"', "x" * 100000, "[1," * 60000, "[" * 100000, "{" * 5000, "\xff",
                 *(PRESENCE.format(every, "joining") for every in UNUSABLE),
                 *(PRESENCE.format(1000, state) for state in ("", "settling", "leaving", "dead")), ""]
        for name in names:
            for text in texts:
                if name in ids and "{" in text and "state" in text:
                    continue  # a worker that says that it is another one: what keeps that out is the ACL
                stranger.publish(f"rpc/worker/{name}", text.encode("latin-1"), qos=1, wait=False)

    def forge_notes(self, stranger, ids):
        for number in range(3000):
            for what in ("done", "pass", "doubt"):
                stranger.publish(f"rpc/worker/f/{what}", ids[0], qos=0, properties=[(CORRELATION_DATA, b"%016d" % number)])
        for what in ("done", "pass", "doubt", "", "x/y", "done/x"):
            for correlation in (b"", b"x" * 15, b"x" * 16, b"x" * 17, b"x" * 60000, None):
                for payload in (b"", ids[0].encode(), ids[1].encode(), b"\0", b"x" * 65536):
                    for name in ("f", "", "x" * 65, *ids):
                        stranger.publish(f"rpc/worker/{name}/{what}", payload, qos=0, properties=[] if correlation is None else [
                            (CORRELATION_DATA, correlation)])
        stranger.publish("rpc/worker/f/done", b"", qos=1)


class Callers(PlainWorkers):
    """All kinds of callers, in both modes."""

    def test_callers(self):
        for mode in MODES:
            with self.subTest(mode):
                broker = self.plain()
                workers = [self.join(broker, name, *mode, "--max_payload", "100k") for name in ("one", "two")]
                watcher = self.client(broker, version=5)
                watcher.subscribe("reply/#")
                eventually(lambda: self.answers(watcher), pause=0.2)
                for qos in (0, 1, 2):
                    self.assertTrue(result_of(ask(watcher, "ping", qos=qos))["ok"])
                self.assertEqual(error_of(ask(watcher, "ping", b" " * 150000))["err"], "payload_too_large")
                self.assertEqual(error_of(ask(watcher, "nothing"))["err"], "method_not_found")
                old = self.client(broker, version=4)
                old.subscribe("rpc/call/ping/response/#", qos=1)
                ask_by_id(old, "ping")
                for topic in ("$SYS/x", "a/#", "+", "rpc/call/ping", "rpc/worker/all/rpc.ping", "rpc/worker/one"):
                    watcher.publish("rpc/call/ping", b"", qos=1, properties=[(RESPONSE_TOPIC, topic)] if "#" not in topic
                                    and "+" not in topic else [(RESPONSE_TOPIC, "$share/x/y")])
                watcher.publish("rpc/call/ping", b"", qos=1, retain=True)
                watcher.publish("rpc/call/ping", b"", qos=1, retain=True,
                                properties=[(RESPONSE_TOPIC, "reply/kept"), (CORRELATION_DATA, b"kept")])
                time.sleep(1)
                watcher.inbox.clear()
                self.assertTrue(self.answers(watcher, TIMEOUT))
                self.join(broker, "three", *mode)  # a retained call comes again
                for worker in workers:
                    self.assertIsNone(worker.process.poll(), worker.log())

    def answers(self, client, patience=2):
        """Whether a call is answered within so many seconds, by whatever comes at last."""
        client.publish("rpc/call/ping", b"", qos=1, properties=[(RESPONSE_TOPIC, "reply/a"), (CORRELATION_DATA, b"a")])
        try:
            while True:
                found = client.receive(patience)
                if found.topic == "reply/a" and property_of(found, CORRELATION_DATA) == b"a":
                    break
        except Silence:
            return False
        try:
            while True:
                client.receive(0.3)
        except Silence:
            return user_property_of(found, "status") == "ok"


if __name__ == "__main__":
    main()
