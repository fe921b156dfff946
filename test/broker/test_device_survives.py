"""Queued commands survive the end of the broker at any moment.

One database lives through a hundred brokers, each of which is killed with SIGKILL while a queued command is in one of
the states: ten times in each. After each start no command is in between: what was queued still is, what was sent and
not answered is unknown, or is sent again if that does no harm, and what has ended has ended. A fourth device gets
commands at the very moment of the kill.

    RPC_ROUNDS   how many brokers instead of 100, or of 10 where the broker is instrumented
"""
import os
import random
import time

from devices import FINAL, QUIET, SHORT, DeviceTest, lamp
from harness import INSTRUMENTED, SLOW, TIMEOUT, Closed, eventually, main
from mqtt import Silence

ROUNDS = int(os.environ.get("RPC_ROUNDS") or (10 if INSTRUMENTED else 100))
STATES = ("queued", "sent", "running", "succeeded", "failed", "rejected", "expired", "timeout", "cancelled", "unknown")
HOUR = 3600000
BURST = 5

# What an answer of the device leads to. The end of a command is written soon after it was announced.
ANSWERS = {"running": {"progress": 1}, "succeeded": {}, "failed": {"error": {"err": "stuck"}},
           "rejected": {"error": {"err": "rejected"}}}


class Subject:
    """A device, the one command that it is given in each round, and what was made of it."""

    def __init__(self, test, name, command, params=b"", may_repeat=True, **hello):
        self.test, self.command, self.params, self.hello, self.may_repeat = test, command, params, hello, may_repeat
        self.device = test.device(name, work=lamp if command == "light" else lambda command: True,
                                  remembers=may_repeat)
        self.id, self.state = None, None

    def drive(self, state):
        """Does what brings a command into this state. A command that may be repeated does not become unknown: it stays
        sent."""
        test, name = self.test, self.device.name
        test.leave(self.device if self.device.client else self.device.come(**self.hello), test.watcher)
        ttl = SHORT if state == "expired" else HOUR
        timeout = {"timeout_ms": SHORT} if state == "timeout" else {}
        call = test.caller.call(name, self.command, self.params, offline="queue", ttl_ms=ttl, **timeout)
        self.id = test.caller.result(call)["id"]
        self.state = "sent" if state == "unknown" and self.may_repeat else state
        if state == "cancelled":
            test.caller.method("device.cancel", {"id": self.id})
        elif state not in ("queued", "expired"):
            command = self.device.come(**self.hello).take()
            assert command.id == self.id, command
            if state in ANSWERS:
                self.device.answer(command, **ANSWERS[state])
            elif state == "unknown":
                self.device.vanish()

    def wait(self):
        """Waits until its state is announced."""
        if self.state != "queued":
            eventually(lambda: self.test.watcher.events(id=self.id, state=self.state))

    def expected(self):
        """The states that the command may be in after a start. Its end by an answer, or for want of one, may have been
        announced and not yet written."""
        again = {"queued", "sent", "running"} if self.may_repeat else {"unknown"}
        return {"queued": {"queued"}, "sent": again, "running": again, "expired": {"expired"},
                "cancelled": {"cancelled"}, "unknown": {"unknown"}}.get(self.state, {self.state} | again)

    def check(self, number):
        """After a start: the command is in a state that it may be in, and comes to its end."""
        test = self.test
        state = test.caller.history(self.device.name)[self.id]["state"]
        test.assertIn(state, self.expected(), f"{self.device.name} was {self.state} in round {number}")
        if state in FINAL:
            self.device.come(**self.hello)
            return
        command = self.device.come(**self.hello).serve()
        test.assertEqual(command.id, self.id)
        test.watcher.command(id=self.id, state="succeeded")

    def check_all(self):
        ids = [command.id for command in self.device.taken]
        if not self.may_repeat:
            self.test.assertEqual(len(ids), len(set(ids)), "a command came twice")
        self.test.assertEqual(len(self.device.done), len(set(self.device.done)), "a command was carried out twice")


class Survives(DeviceTest):

    def setUp(self):
        self.begin("device_grace 1ms", log_types=QUIET)
        self.subjects = [Subject(self, "plain", "go", may_repeat=False), Subject(self, "lamp", "light", '{"on":true}'),
                         Subject(self, "once", "go", once=True)]
        self.storm = self.device("storm", remembers=False)
        self.numbers, self.settled = iter(range(1000000)), set()

    def connect(self):
        self.caller, self.watcher, self.hurried = self.app(), self.watch(), self.app()

    def raise_storm(self, number):
        """Queues commands without waiting, some while the device is there, and kills the broker when from none to all
        of them are confirmed, however long that takes."""
        self.leave(self.storm if self.storm.client else self.storm.come(), self.watcher)
        calls = {self.hurried.call("storm", f"go{next(self.numbers):06}", offline="queue", ttl_ms=HOUR)
                 for _ in range(BURST)}
        if random.random() < 0.5:
            self.storm.connect().listen().client.publish("cmd/storm/hello", qos=1, wait=False)
            self.storm.run()
        while len(self.hurried.replies) < number % (BURST + 1):
            self.hurried._take(TIMEOUT)
        time.sleep(random.choice([0, random.uniform(0, 0.02 * SLOW)]))
        self.broker.kill()
        self.storm.stop()
        try:
            while True:
                self.hurried._take(1)
        except (Closed, Silence, OSError):
            pass
        for device in [self.storm, *(subject.device for subject in self.subjects)]:
            device.client.close()
            device.client = None
        for client in (self.caller, self.watcher, self.hurried):
            client.client.close()
        return [self.hurried.result(call)["id"] for call in calls if self.hurried.replies.get(call)]

    def check_storm(self, confirmed):
        """What was confirmed is there, is unknown if it was sent, and what is queued comes in order."""
        rows = self.caller.history("storm", 100)
        self.assertLessEqual(set(confirmed), set(rows), "confirmed, and lost")
        states = {rows[name]["state"] for name in rows if name not in self.settled}
        self.assertLessEqual(states, {"queued", "unknown", "succeeded"})
        queued = [name for name in rows if rows[name]["state"] == "queued"]
        self.storm.come()
        served = [self.storm.serve() for _ in queued]
        self.assertEqual({command.id for command in served}, set(queued))
        self.assertEqual([command.cmd for command in served], sorted(command.cmd for command in served))
        for command in served:
            self.watcher.command(id=command.id, state="succeeded")
        self.settled = set(rows)

    def test_a_hundred_kills(self):
        self.connect()
        self.storm.come()
        self.wait_for_disk("storm")  # else nothing may be known of it after a kill
        for number in range(ROUNDS):
            for subject in self.subjects:
                subject.drive(STATES[number % len(STATES)])
            for subject in self.subjects:
                subject.wait()
            confirmed = self.raise_storm(number)
            self.broker.start()
            self.connect()
            for subject in self.subjects:
                subject.check(number)
            self.check_storm(confirmed)
        for subject in self.subjects:
            subject.check_all()
        ids = [command.id for command in self.storm.taken]
        self.assertEqual(len(ids), len(set(ids)), "a command came twice")
        self.assertGreater(len(ids), ROUNDS, "too few commands to prove anything")

    def test_killed_right_after_it_was_cancelled(self):
        """What the caller was told is so: the command never comes to life again."""
        device = self.device()
        for number in range(max(ROUNDS // 5, 5)):
            self.connect()
            self.leave(device.come(), self.watcher)
            queued = self.caller.call("lamp1", f"go{number}", offline="queue", ttl_ms=HOUR)
            name = self.caller.result(queued)["id"]
            self.caller.method("device.cancel", {"id": name})
            self.broker.kill()
            self.broker.start()
            self.assertEqual(self.app().history("lamp1")[name]["state"], "cancelled", f"in round {number}")
            device.come().expect_nothing(0)
            device.client.close()

    def test_killed_right_after_its_device_was_forgotten(self):
        device = self.device()
        for number in range(max(ROUNDS // 5, 5)):
            self.connect()
            self.leave(device.come(), self.watcher)
            self.caller.result(self.caller.call("lamp1", f"go{number}", offline="queue", ttl_ms=HOUR))
            self.caller.method("device.forget", {"device": "lamp1"})
            self.broker.kill()
            self.broker.start()
            device.come().expect_nothing(0)
            device.client.close()

    def test_killed_before_anything_was_queued(self):
        """No database is no trouble; nor is a broker that is killed while it starts."""
        self.broker.kill()
        for _ in range(10):
            self.broker.launch()
            time.sleep(random.uniform(0, 0.2 * SLOW))
            self.broker.kill()
        self.broker.start()
        self.connect()
        device = self.ready()
        call = self.caller.call("lamp1", "go")
        device.serve()
        self.assertEqual(self.caller.result(call), {"did": "go"})


if __name__ == "__main__":
    main()
