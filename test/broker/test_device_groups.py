"""Commands to groups, with a verdict for each member (section 6 of the contract)."""
import json
import time

from devices import SHORT, DeviceTest
from harness import main, new_identity, patient, payload_of
from mqtt import NOT_AUTHORIZED


def statuses(result):
    return {row["device"]: row["status"] for row in result["results"]}


class Groups(DeviceTest):

    def begin_hall(self, *options, members=("l1", "l2", "l3"), away=(), **how):
        """A broker with the group `hall`; those in `away` have been there and are offline."""
        self.begin(f"device_groups hall={','.join(members)}", *options, **how)
        self.lamps = {name: self.ready(name) for name in members}
        watcher = self.watch()
        for name in away:
            self.leave(self.lamps[name], watcher)
        return self.app()

    def serve(self, *names, **members):
        for name in names:
            command = self.lamps[name].take()
            self.lamps[name].answer(command, **members)

    # -- verdicts and ends

    def test_all_answer(self):
        app = self.begin_hall()
        call = app.group("hall", "go", {"far": 7})
        self.serve("l3", "l1")
        self.assertTrue(app.is_waiting(call))
        self.serve("l2")
        result = app.result(call)
        self.assertEqual((result["total"], result["ok"], result["ended"]), (3, 3, "all"))
        self.assertEqual(sorted(row["device"] for row in result["results"]), ["l1", "l2", "l3"])
        for row in result["results"]:
            self.assertEqual((row["status"], row["result"]), ("ok", {"did": "go"}))
        for lamp in self.lamps.values():
            self.assertEqual(lamp.taken[0].params, {"far": 7})
            self.assertEqual(len(lamp.taken), 1)

    @patient
    def test_one_is_offline_and_one_is_mute(self):
        """The example of the contract."""
        app = self.begin_hall(away=["l2"])
        call = app.group("hall", "go", timeout_ms=2 * SHORT * self.pace)
        self.serve("l1")
        self.lamps["l3"].take()
        result = app.result(call)
        self.assertEqual((result["total"], result["ok"], result["ended"]), (3, 1, "deadline"))
        self.assertEqual(statuses(result), {"l1": "ok", "l2": "offline", "l3": "timeout"})
        rows = {row["device"]: row for row in result["results"]}
        self.assertLess(abs(rows["l2"]["seen"] - time.time()), 600)
        self.assertNotIn("result", rows["l2"])

    def test_those_known_to_be_gone_are_not_waited_for(self):
        app = self.begin_hall(away=["l2"])
        for options in ({}, {"want": "present"}):
            call = app.group("hall", "go", timeout_ms=50000, **options)
            self.serve("l1", "l3")
            result = app.result(call)
            self.assertEqual((result["total"], result["ok"], result["ended"]), (3, 2, "all"))
            self.assertEqual(statuses(result), {"l1": "ok", "l2": "offline", "l3": "ok"})

    @patient
    def test_want_all(self):
        """It waits for those that are gone: one comes, one does not."""
        app = self.begin_hall(away=["l2", "l3"])
        call = app.group("hall", "go", want="all", timeout_ms=min(4 * SHORT * self.pace, 60000))
        self.serve("l1")
        self.assertTrue(app.is_waiting(call))
        self.lamps["l2"].come()
        self.serve("l2")
        result = app.result(call)
        self.assertEqual((result["total"], result["ok"], result["ended"]), (3, 2, "deadline"))
        self.assertEqual({name: status for name, status in statuses(result).items() if name != "l3"},
                         {"l1": "ok", "l2": "ok"})
        self.assertIn(statuses(result)["l3"], ("offline", "expired"))
        self.lamps["l3"].come().expect_nothing()

    def test_want_a_number(self):
        app = self.begin_hall()
        call = app.group("hall", "go", want=2, timeout_ms=50000)
        self.serve("l1")
        self.assertTrue(app.is_waiting(call))
        self.serve("l2")
        result = app.result(call)
        self.assertEqual((result["total"], result["ok"], result["ended"]), (3, 2, "enough"))
        self.assertEqual(set(statuses(result)), {"l1", "l2", "l3"})
        self.assertNotEqual(statuses(result)["l3"], "ok")

    @patient
    def test_stall(self):
        app = self.begin_hall()
        call = app.group("hall", "go", stall_ms=SHORT * self.pace, timeout_ms=50000)
        self.serve("l1")
        result = app.result(call)
        self.assertEqual((result["total"], result["ok"], result["ended"]), (3, 1, "stall"))
        self.assertEqual(set(statuses(result)), {"l1", "l2", "l3"})

    def test_failures_have_their_own_verdict(self):
        app = self.begin_hall()
        call = app.group("hall", "go")
        self.serve("l1")
        self.serve("l2", error={"err": "stuck", "msg": "it is stuck"})
        self.serve("l3", error={"err": "rejected"})
        result = app.result(call)
        self.assertEqual((result["total"], result["ok"], result["ended"]), (3, 1, "all"))
        found = statuses(result)
        self.assertEqual((found["l1"], found["l2"], found["l3"]), ("ok", "failed", "rejected"))
        self.assertIn("stuck", json.dumps([row for row in result["results"] if row["device"] == "l2"]))

    def test_a_member_that_leaves_in_mid_command(self):
        app = self.begin_hall()
        call = app.group("hall", "go", timeout_ms=50000)
        self.serve("l1", "l2")
        self.lamps["l3"].take()
        self.lamps["l3"].vanish()
        result = app.result(call)
        self.assertEqual((result["ok"], statuses(result)["l3"]), (2, "unknown"))

    def test_abort(self):
        """Every member fails: after five verdicts no more are sent, and all have a verdict."""
        names = [f"l{number}" for number in range(12)]
        app = self.begin_hall("device_fanout_rate 5", members=names)
        for lamp in self.lamps.values():
            lamp.fails = {"err": "stuck"}
            lamp.run()
        result = app.result(app.group("hall", "go", abort=50, timeout_ms=50000))
        for lamp in self.lamps.values():
            lamp.stop()
        self.assertEqual((result["total"], result["ok"], result["ended"]), (12, 0, "aborted"))
        self.assertEqual(set(statuses(result)), set(names))
        sent = sum(len(lamp.taken) for lamp in self.lamps.values())
        self.assertTrue(5 <= sent < 12, sent)
        self.assertLessEqual(list(statuses(result).values()).count("failed"), sent)

    def test_abort_needs_five(self):
        app = self.begin_hall()
        call = app.group("hall", "go", abort=1)
        self.serve("l1", error={"err": "stuck"})
        self.serve("l2", "l3")
        self.assertEqual(app.result(call)["ended"], "all")

    def test_no_more_than_so_many_a_second(self):
        names = [f"l{number}" for number in range(16)]
        app = self.begin_hall("device_fanout_rate 5", members=names)
        for lamp in self.lamps.values():
            lamp.run()
        began = time.monotonic()
        result = app.result(app.group("hall", "go", timeout_ms=50000))
        self.assertEqual((result["ok"], result["ended"]), (16, "all"))
        self.assertGreater(time.monotonic() - began, 1.5)  # 11 after a burst of 5

    # -- who is a member

    def test_members_are_fixed_when_the_call_starts(self):
        app = self.begin_hall()
        self.ready("l4")
        app.method("device.group.set", {"group": "room", "devices": ["l1", "l2"]})
        call = app.group("room", "go")
        self.lamps["l1"].take()
        app.method("device.group.set", {"group": "room", "devices": ["l3", "l4"]})
        self.serve("l2")
        self.lamps["l1"].answer(self.lamps["l1"].taken[0])
        self.assertEqual(statuses(app.result(call)), {"l1": "ok", "l2": "ok"})
        self.lamps["l3"].expect_nothing(0)

    def test_the_methods(self):
        app = self.begin_hall()
        app.method("device.group.set", {"group": "room", "devices": ["l1", "l2"]})
        groups = {row["group"]: sorted(row["devices"]) for row in app.rows("device.group.list")}
        self.assertEqual(groups, {"hall": ["l1", "l2", "l3"], "room": ["l1", "l2"]})
        listed = app.rows("device.list", {"group": "room", "limit": 10})
        self.assertEqual(sorted(row["device"] for row in listed), ["l1", "l2"])
        self.restart()
        app = self.app()
        self.assertIn("room", {row["group"] for row in app.rows("device.group.list")})
        app.method("device.group.delete", {"group": "room"})
        self.assertEqual({row["group"] for row in app.rows("device.group.list")}, {"hall"})
        for group in ("room", "nonesuch"):
            self.assert_error(app.error(app.group(group, "go")), "not_a_member")

    def test_a_device_claims_no_membership(self):
        app = self.begin_hall()
        self.ready("l9", hello={"groups": ["hall"], "group": "hall"})
        call = app.group("hall", "go")
        self.serve("l1", "l2", "l3")
        self.assertEqual(set(statuses(app.result(call))), {"l1", "l2", "l3"})

    @patient
    def test_a_member_that_was_never_seen(self):
        """It is in the table, and has a verdict like all others."""
        self.begin("device_groups hall=l1,l2")
        app, self.lamps = self.app(), {"l1": self.ready("l1")}
        call = app.group("hall", "go", timeout_ms=2 * SHORT * self.pace)
        self.serve("l1")
        result = app.result(call)
        self.assertEqual((result["total"], result["ok"]), (2, 1))
        self.assertIn(statuses(result)["l2"], ("timeout", "offline"))

    def test_all_known_devices(self):
        self.begin()
        app, watcher = self.app(), self.watch()
        self.lamps = {name: self.ready(name) for name in ("l1", "l2", "l3")}
        self.leave(self.lamps["l2"], watcher)
        call = app.group("*", "go")
        self.serve("l1", "l3")
        self.assertEqual(statuses(app.result(call)), {"l1": "ok", "l2": "offline", "l3": "ok"})

    # -- as for any call

    def test_the_address_is_in_the_topic(self):
        rules = "user ann\ntopic write rpc/call/devices/hall/+\nuser l1\ntopic readwrite cmd/l1/#\n"
        self.begin("device_groups hall=l1 cellar=l1", users={"ann": "a", "l1": "b"}, acl=rules, anonymous=False)
        self.lamps = {"l1": self.ready("l1", username="l1", password="b")}
        ann = self.app(username="ann", password="a")
        call = ann.group("hall", "go")
        self.serve("l1")
        self.assertEqual(ann.result(call)["ok"], 1)
        for group in ("cellar", "*"):
            ann.group(group, "go")
            self.assertEqual(ann.code, NOT_AUTHORIZED)
        self.lamps["l1"].expect_nothing()

    def test_callers_of_other_versions(self):
        self.begin_hall()
        for version in (3, 4):
            client, identity = self.client(self.broker, version), new_identity()
            client.publish("rpc/call/devices/hall/go", json.dumps({"request_id": identity, "far": 7}), qos=1)
            self.serve("l1", "l2", "l3")
            reply = payload_of(client.receive())
            self.assertEqual((reply["request_id"], reply["result"]["ok"]), (identity, 3))

    def test_repeated_calls(self):
        app = self.begin_hall()
        identity = new_identity()
        for _ in range(2):
            app.group("hall", "go", identity=identity)
        self.serve("l1", "l2", "l3")
        first, second = app.result(identity), app.result(identity)
        self.assertEqual(first, second)
        for lamp in self.lamps.values():
            lamp.expect_nothing(0)

    def test_declared_commands_are_checked(self):
        app = self.begin_hall()
        self.assert_error(app.error(app.group("hall", "light", {"on": 1})), "invalid_params")
        for lamp in self.lamps.values():
            lamp.expect_nothing(0)

    def test_a_caller_that_leaves(self):
        """Nothing is left behind, and the members serve others."""
        self.begin_hall()
        other = self.app()
        other.group("hall", "go")
        taken = {name: lamp.take() for name, lamp in self.lamps.items()}
        other.client.close()
        for name, command in taken.items():
            self.lamps[name].answer(command)
        app = self.app()
        call = app.group("hall", "on")
        self.serve("l1", "l2", "l3")
        self.assertEqual(app.result(call)["ok"], 3)

    def test_options_that_make_no_sense(self):
        app = self.begin_hall()
        for options in ({"want": "some"}, {"want": -1}, {"stall_ms": "x"}, {"abort": "many"}, {"abort": 101}):
            self.assertIn(app.error(app.group("hall", "go", **options))["err"], ("invalid_request", "invalid_params"))
        for lamp in self.lamps.values():
            lamp.expect_nothing(0)

    @patient
    def test_more_results_than_fit(self):
        """First the results are left out, and never who did not answer."""
        names = [f"l{number}" for number in range(20)]
        app = self.begin_hall("max_reply 2k", members=names)
        for name, lamp in self.lamps.items():
            lamp.work = lambda command: "x" * 500
            if name != "l7":
                lamp.run()
        result = app.result(app.group("hall", "go", timeout_ms=min(4 * SHORT * self.pace, 60000)))
        self.assertEqual((result["total"], result["ok"], result["ended"]), (20, 19, "deadline"))
        self.assertEqual(statuses(result)["l7"], "timeout")


if __name__ == "__main__":
    main()
