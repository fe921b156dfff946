"""A thousand devices, of which a hundred lose their power in mid-command: every command has a verdict, and no device
that remembers one id carries a command out twice."""
import collections
import json
import resource

from crowd import Crowd
from devices import GRACE, QUIET, DeviceTest
from harness import SLOW, eventually, main
from mqtt import user_property_of

DEVICES, CUT = 1000, 100
PATIENCE = 300 * SLOW  # seconds
VERDICTS = {"ok", "outcome_unknown", "device_timeout", "device_offline", "expired"}


class Thousand(DeviceTest):

    def setUp(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 3 * DEVICES
        if soft < wanted and hard != resource.RLIM_INFINITY and hard < wanted:
            self.skipTest(f"only {hard} files may be open")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))  # the broker inherits it
        self.begin("max_pending 5000", log_types=QUIET,
                   lines=["max_queued_messages 20000"])
        self.names = [f"d{number:04}" for number in range(DEVICES)]
        self.crowd = Crowd(self.broker.port, self.names)
        self.addCleanup(self.crowd.close)
        self.once = [self.crowd.members[name] for name in self.names[::2]]
        self.others = [self.crowd.members[name] for name in self.names[1::2]]
        self.crowd.arrive(self.once, b'{"once":true}', PATIENCE)
        self.crowd.arrive(self.others, b"", PATIENCE)
        self.caller = self.app()

    def verdicts(self, calls):
        """The outcome of each call, while the crowd is served."""
        found = {}
        def is_complete():
            self.caller.client.ping()
            while self.caller.client.inbox:
                self.caller._take(0)
            for name, call in calls.items():
                if name not in found and self.caller.replies.get(call):
                    found[name] = user_property_of(self.caller.reply(call), "status")
            return len(found) == len(calls)
        try:
            self.crowd.until(is_complete, PATIENCE)
        except AssertionError:
            self.fail(f"without a verdict: {sorted(set(calls) - set(found))[:20]}")
        self.assertLessEqual(set(found.values()), VERDICTS)
        return found

    def call_all(self, command, **options):
        return {name: self.caller.call(name, command, b'{"far":1}', qos=0, **options) for name in self.names}

    def check_done(self, most):
        for member in self.crowd.members.values():
            self.assertEqual(len(member.done), len(set(member.done)), f"{member.name} did one command twice")
            self.assertLessEqual(len(member.done), most, member.name)
        for member in self.others:
            self.assertEqual(len(member.received), len(set(member.received)), f"{member.name} got one command twice")

    def test_a_hundred_are_cut(self):
        """Some before and some after they have acted; half of them remember ids."""
        doomed = set(self.names[:CUT])
        cut = []

        def commanded(member, command):
            if member.name in doomed:
                doomed.discard(member.name)
                if len(doomed) % 4 < 2:
                    member.carry_out(command)
                cut.append(member)
                member.cut()
            else:
                Crowd.obey(member, command)

        self.crowd.commanded = commanded
        calls = self.call_all("go", timeout_ms=60000)
        self.crowd.until(lambda: len(cut) == CUT, PATIENCE)
        self.crowd.settle(GRACE / 1000 * 2)
        self.crowd.arrive([member for member in cut if member in set(self.once)], b'{"once":true}', PATIENCE)
        self.crowd.arrive([member for member in cut if member in set(self.others)], b"", PATIENCE)
        found = self.verdicts(calls)
        for member in self.once:
            self.assertEqual((found[member.name], len(member.done)), ("ok", 1), member.name)
        for member in self.others:
            expected = "outcome_unknown" if member in cut else "ok"
            self.assertEqual(found[member.name], expected, member.name)
        self.check_done(1)
        # All are as they were before.
        self.assertEqual(collections.Counter(self.verdicts(self.call_all("on")).values()), {"ok": DEVICES})
        self.check_done(2)

    def test_a_group_of_all(self):
        """One call for all of them; a hundred are cut and do not come back. Each has its verdict, by name."""
        doomed = set(self.names[:CUT])

        def commanded(member, command):
            if member.name in doomed:
                member.cut()
            else:
                Crowd.obey(member, command)

        self.crowd.commanded = commanded
        call = self.caller.group("*", "go", b'{"far":1}', timeout_ms=60000)
        def has_reply():
            return not self.caller.is_waiting(call)
        self.crowd.until(has_reply, PATIENCE)
        result = self.caller.result(call)
        self.assertEqual((result["total"], result["ok"]), (DEVICES, DEVICES - CUT))
        named = {row["device"]: row["status"] for row in result["results"]}
        self.assertEqual({name for name in named if named[name] != "ok"}, set(self.names[:CUT]))
        self.check_done(1)

    def test_all_leave_at_once(self):
        """The table is the truth, whatever became of the notices."""
        watcher = self.watch("cmd/+/status")
        watcher.settle()
        watcher.seen.clear()
        for member in self.crowd.members.values():
            member.cut()

        def states():
            found, after = {}, None
            while True:
                page = self.caller.rows("device.list", {"limit": 100, **({"after": after} if after else {})})
                if not page:
                    return found
                found.update((row["device"], row["state"]) for row in page)
                after = page[-1]["device"]

        eventually(lambda: set(states().values()) == {"offline"}, PATIENCE, 0.3)
        self.assertEqual(len(states()), DEVICES)
        told = collections.Counter()
        def all_told():
            for message in watcher.settle().seen:
                told[message.topic] += json.loads(message.payload)["state"] == "offline"
            watcher.seen.clear()
            return sum(told.values()) >= DEVICES
        eventually(all_told, PATIENCE)
        self.assertEqual(set(told.values()), {1})
        for name in self.names[::100]:
            self.assert_error(self.caller.error(self.caller.call(name, "go")), "device_offline")


if __name__ == "__main__":
    main()
