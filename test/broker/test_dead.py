"""Dead letters: calls that failed with nobody to tell, and commands that devices did not carry out."""
import base64
import json
import time

from devices import QUIET, SHORT, Application, DeviceTest
from harness import BrokerTest, ask, error_of, eventually, main, payload_of, result_of
from mqtt import NOT_AUTHORIZED, RESPONSE_TOPIC

VERSIONS = (3, 4, 5)


class DeadTest(BrokerTest):

    def begin(self, options=(), **how):
        self.broker = self.start(options, **how)
        self.operator = self.client(self.broker, 5, client_id="operator")
        self.watcher = self.watch()

    def watch(self, version=5, prefix="rpc", **how):
        watcher = self.client(self.broker, version, **how)
        watcher.subscribe(f"{prefix}/dead/#")
        return watcher

    def letters(self, operator=None, prefix="rpc", **params):
        return result_of(ask(operator or self.operator, "dead.list", params, prefix=prefix))

    def method(self, name, **params):
        return result_of(ask(self.operator, f"dead.{name}", params))

    def tell(self, method, params, version=4, qos=1, **how):
        """A call that asks for no reply."""
        client = self.client(self.broker, version, **how)
        client.publish(f"rpc/call/{method}", params if isinstance(params, bytes) else json.dumps(params), qos=qos)
        return client


class Letters(DeadTest):

    def test_every_version(self):
        """Of callers, and of who subscribes."""
        self.begin()
        watchers = [self.watch(version) for version in VERSIONS]
        for version in VERSIONS:
            for qos in (0, 1, 2):
                with self.subTest(version=version, qos=qos):
                    before = time.time()
                    self.tell("probe.value", 2000 + qos, version, qos, client_id=f"caller{version}{qos}")
                    for watcher in watchers:
                        message = watcher.receive()
                        self.assertEqual((message.topic, message.qos, message.retain), ("rpc/dead/probe.value", 1, False))
                        letter = payload_of(message)
                        self.assertTrue(before - 1 <= letter.pop("arrived") <= time.time() + 1)
                        self.assertEqual(letter, {
                            "id": letter["id"], "method": "probe.value", "params": 2000 + qos,
                            "caller": f"caller{version}{qos}", "err": "invalid_params",
                            "msg": f"value: {2000 + qos} is outside 0..1000"})
        self.assertEqual(self.letters()["total"], 9)
        self.watch().expect_nothing()  # none is retained

    def test_users(self):
        self.begin(users={"ann": "secret", "op": "secret"},
                   acl="user ann\ntopic write rpc/call/probe.value\nuser op\ntopic readwrite #\n", anonymous=True)
        watcher = self.watch(username="op", password="secret")
        operator = self.client(self.broker, 5, username="op", password="secret")
        ann = self.tell("probe.value", 2000, 5, username="ann", password="secret")
        letter = payload_of(watcher.receive())
        self.assertEqual(letter["user"], "ann")
        for method in ("list", "get", "replay", "drop"):
            self.assertEqual(ann.publish(f"rpc/call/dead.{method}", json.dumps({"id": letter["id"]}), qos=1),
                             NOT_AUTHORIZED)
        self.assertEqual(self.letters(operator)["total"], 1)

    def test_what_is_no_json(self):
        self.begin()
        self.tell("probe.value", b"\x00\xff{")
        letter = payload_of(self.watcher.receive())
        self.assertEqual((letter["err"], base64.b64decode(letter["payload"])), ("parse_error", b"\x00\xff{"))
        self.assertNotIn("params", letter)
        self.assertEqual(self.method("get", id=letter["id"]), letter)
        self.assert_error(error_of(ask(self.operator, "dead.replay", {"id": letter["id"]})), "not_replayable")

    def test_who_is_told(self):
        """A reply, or an event of the method's own, is enough. Unknown methods make no letters."""
        self.begin()
        caller = self.client(self.broker, 5)
        self.assert_error(ask(caller, "probe.value", 2000), "invalid_params")
        self.tell("probe.value", {"request_id": "1"}).receive()
        self.tell("probe.fail", {})
        self.tell("nope", {})
        self.operator.ping()
        self.watcher.expect_nothing()
        self.assertEqual(self.letters(), {"letters": [], "total": 0})

    def test_forgeries(self):
        """Nobody but the plugin publishes there, whatever event_publishers says."""
        self.begin(["event_publishers ann"], users={"ann": "secret"})
        for version, how in ((3, {}), (4, {}), (5, {}), (5, {"username": "ann", "password": "secret"})):
            client = self.client(self.broker, version, **how)
            for topic in ("rpc/dead/probe.value", "rpc/dead/x/y", "rpc/dead"):
                code = client.publish(topic, b"{}", qos=1, retain=True)
                if version == 5:
                    self.assertEqual(code, NOT_AUTHORIZED)
        self.watcher.expect_nothing()
        self.watch().expect_nothing()

    def test_a_reply_that_reaches_nobody(self):
        """The caller leaves; its call must finish, and fails."""
        for version in VERSIONS:
            with self.subTest(version=version):
                self.begin()
                caller = self.client(self.broker, version, client_id="leaver")
                caller.publish("rpc/call/slow.firm", json.dumps({"ms": 300, "fail": True, "request_id": "1"}), qos=1)
                caller.disconnect()
                letter = payload_of(self.watcher.receive())
                self.assertEqual((letter["method"], letter["err"], letter["params"], letter["caller"]),
                                 ("slow.firm", "bad_dream", {"ms": 300, "fail": True}, "leaver"))
                self.assertEqual(self.letters()["total"], 1)

    def test_a_session_that_waits(self):
        """It gets the reply: then there is no letter."""
        self.begin()
        caller = self.client(self.broker, 4, client_id="sleeper", clean=False)
        caller.publish("rpc/call/slow.firm", json.dumps({"ms": 300, "fail": True, "request_id": "1"}), qos=1)
        caller.disconnect()
        eventually(lambda: result_of(ask(self.operator, "slow.stats"))["dones"] == 1)
        self.assertEqual(self.letters()["total"], 0)
        back = self.client(self.broker, 4, client_id="sleeper", clean=False)
        self.assertEqual(payload_of(back.receive())["error"]["err"], "bad_dream")
        self.watcher.expect_nothing()

    def test_a_call_that_nobody_wants(self):
        """What has not begun when its caller leaves is none, what has begun is one."""
        self.begin(["workers 1"])
        caller = self.client(self.broker, 4, client_id="leaver")
        caller.publish("rpc/call/slow.sleep", json.dumps({"ms": 1000, "polite": True}), qos=1)
        eventually(lambda: result_of(ask(self.operator, "slow.stats"))["begun"] == 1)
        caller.publish("rpc/call/slow.sleep", json.dumps({"ms": 1}), qos=1)
        caller.disconnect()
        letter = payload_of(self.watcher.receive())
        self.assertEqual((letter["err"], letter["params"]), ("cancelled", {"ms": 1000, "polite": True}))
        self.watcher.expect_nothing()

    def test_two_prefixes(self):
        self.begin(["prefix prod/rpc dev/rpc"])
        watchers = {prefix: self.watch(prefix=prefix) for prefix in ("prod/rpc", "dev/rpc")}
        self.client(self.broker).publish("dev/rpc/call/probe.value", b"2000", qos=1)
        self.assertEqual(watchers["dev/rpc"].receive().topic, "dev/rpc/dead/probe.value")
        watchers["prod/rpc"].expect_nothing()
        self.assertEqual([self.letters(prefix=prefix)["total"] for prefix in watchers], [0, 1])

    def test_a_flood(self):
        """The table has the last thousand, error_rate holds for what is published, and the broker goes on."""
        self.begin(["error_rate 20"], log_types=QUIET)
        flood = self.client(self.broker, 4, client_id="flood")
        began = time.monotonic()
        for number in range(3000):
            flood.publish("rpc/call/probe.value", str(2000 + number), qos=0)
        flood.ping()
        taken = time.monotonic() - began
        page = self.letters(limit=2)
        self.assertEqual(page["total"], 1000)
        self.assertEqual(self.method("get", id=page["letters"][0]["id"])["params"], 4999)
        self.operator.ping()
        self.watcher.ping()
        self.assertLessEqual(len(self.watcher.inbox), 20 + 20 * (taken + 5))
        self.assertLess(len(self.watcher.inbox), 1500)
        seen, after = [], None
        while True:
            page = self.letters(limit=300, **({"after": after} if after else {}))
            seen += [letter["id"] for letter in page["letters"]]
            after = page.get("next")
            if not after:
                break
        self.assertEqual((len(seen), len(set(seen))), (1000, 1000))
        self.assertEqual(self.method("drop"), {"dropped": 1000})

    def test_options(self):
        self.begin(["dead_letters false"])
        self.tell("probe.value", 2000)
        self.operator.ping()
        self.assertEqual(self.letters()["total"], 0)
        self.watcher.expect_nothing()
        self.begin(["dead_payload false"])
        self.tell("probe.value", {"secret": 1})
        letter = payload_of(self.watcher.receive())
        self.assertNotIn("secret", json.dumps(letter))
        self.assertEqual(self.method("get", id=letter["id"]), letter)
        self.assert_error(error_of(ask(self.operator, "dead.replay", {"id": letter["id"]})), "not_replayable")

    def test_without_the_module(self):
        """Letters are published, too, if the module that shows them is not started."""
        self.begin(["modules probe"])
        self.tell("probe.value", 2000)
        self.assertEqual(payload_of(self.watcher.receive())["method"], "probe.value")
        self.assert_error(ask(self.operator, "dead.list"), "method_not_found")


class Replays(DeadTest):

    def test_a_success(self):
        """The call runs again as its caller's, and its event follows; the letter is gone."""
        self.begin(["workers 1"])
        caller = self.client(self.broker, 4, client_id="meter7")
        caller.publish("rpc/call/slow.single", json.dumps({"ms": 800}), qos=1)
        eventually(lambda: result_of(ask(self.operator, "slow.stats"))["begun"] == 1)
        caller.publish("rpc/call/slow.single", json.dumps({"ms": 5}), qos=1)  # one at a time
        letter = payload_of(self.watcher.receive())
        self.assertEqual((letter["err"], letter["params"]), ("overloaded", {"ms": 5}))
        eventually(lambda: result_of(ask(self.operator, "slow.stats"))["dones"] == 1)
        self.assertEqual(self.method("replay", id=letter["id"]), {"id": letter["id"], "status": "ok", "replays": 0})
        self.assertEqual(self.letters()["total"], 0)
        self.assert_error(error_of(ask(self.operator, "dead.replay", {"id": letter["id"]})), "letter_unknown")
        caller.ping()
        self.assertFalse(caller.inbox)

    def test_a_failure(self):
        self.begin()
        self.tell("probe.value", 2000)
        letter = payload_of(self.watcher.receive())
        for replays in (1, 2):
            result = self.method("replay", id=letter["id"])
            self.assertEqual((result["status"], result["replays"]), ("invalid_params", replays))
        self.assertEqual(self.letters()["letters"][0]["replays"], 2)
        self.watcher.expect_nothing()

    def test_a_client_that_replays_everything(self):
        """It asks for no reply, as automatic clients do: one letter is all that there ever is."""
        self.begin()
        for options in ([], ["dead_payload false"]):
            self.begin(options)
            self.tell("probe.value", 2000)
            letter = payload_of(self.watcher.receive())
            for _ in range(10):
                self.operator.publish("rpc/call/dead.replay", json.dumps({"id": letter["id"]}), qos=1)
                self.operator.publish("rpc/call/dead.replay", json.dumps({"id": "none"}), qos=1)
                self.operator.publish("rpc/call/dead.replay", b"{", qos=1)
            self.operator.ping()
            self.watcher.expect_nothing()
            self.assertEqual(self.letters()["total"], 1)

    def test_the_operator_leaves(self):
        self.begin(["timeout 60s"])
        caller = self.client(self.broker, 4)
        caller.publish("rpc/call/slow.brief", json.dumps({"ms": 1500}), qos=1)
        letter = payload_of(self.watcher.receive())
        self.assertEqual(letter["err"], "timeout")
        other = self.client(self.broker, 5, client_id="other")
        other.publish("rpc/call/dead.replay", json.dumps({"id": letter["id"]}), qos=1,
                      properties=[(RESPONSE_TOPIC, "reply/to/me")])
        other.disconnect()
        eventually(lambda: self.letters()["letters"][0]["replays"] == 1)
        self.watcher.expect_nothing()

    def test_a_restart(self):
        """The table lives as long as the broker; ids of the former run are none of the next."""
        self.begin()
        self.tell("probe.value", 2000)
        letter = payload_of(self.watcher.receive())
        self.broker.stop()
        self.broker.start()
        self.operator = self.client(self.broker, 5)
        self.assertEqual(self.letters()["total"], 0)
        self.tell("probe.value", 2000)
        eventually(lambda: self.letters()["total"] == 1)
        self.assertNotEqual(self.letters()["letters"][0]["id"], letter["id"])


class Devices(DeviceTest):

    def dead(self):
        watcher = self.client(self.broker, 5)
        watcher.subscribe("rpc/dead/#")
        return watcher

    def test_a_queued_command_that_expires(self):
        """Its caller has heard that it is queued. The operator sends it again when the device is there."""
        self.begin()
        app, device, dead = self.app(client_id="shop"), self.offline(), self.dead()
        queued = app.result(app.call("lamp1", "go", {"far": 1}, offline="queue", ttl_ms=SHORT))
        self.assertTrue(queued["queued"])
        message = dead.receive()
        letter = payload_of(message)
        self.assertEqual(message.topic, "rpc/dead/device/lamp1/go")
        self.assertEqual((letter["method"], letter["params"], letter["caller"], letter["err"]),
                         ("device/lamp1/go", {"far": 1}, "shop", "expired"))
        replay = app.send("dead.replay", {"id": letter["id"]})
        self.assertEqual(app.result(replay)["status"], "device_offline")
        device.come()
        replay = app.send("dead.replay", {"id": letter["id"]})
        command = device.serve()
        self.assertEqual((command.cmd, command.params), ("go", {"far": 1}))
        self.assertEqual(app.result(replay)["status"], "ok")
        self.assertEqual(app.method("dead.list"), {"letters": [], "total": 0})
        dead.expect_nothing()

    def test_a_command_whose_outcome_is_unknown(self):
        """With and without a reply: one letter each."""
        self.begin()
        app, watcher, dead = self.app(), self.watch(), self.dead()
        for is_asked in (True, False):
            with self.subTest(is_asked=is_asked):
                device = self.ready("lamp1")
                if is_asked:
                    call = app.call("lamp1", "go")
                else:
                    app.client.publish("rpc/call/device/lamp1/go", b"{}", qos=1)
                device.take()
                self.leave(device, watcher)
                if is_asked:
                    self.assert_error(app.error(call), "outcome_unknown")
                letter = payload_of(dead.receive())
                self.assertEqual((letter["method"], letter["err"]), ("device/lamp1/go", "outcome_unknown"))
                dead.expect_nothing()

    def test_after_a_restart(self):
        """A command of a former run expires."""
        self.begin()
        app, _ = self.app(client_id="shop"), self.offline()
        app.result(app.call("lamp1", "go", {"far": 1}, offline="queue", ttl_ms=4 * SHORT))
        self.restart(kill=True)
        dead = self.dead()
        app = Application(self, self.broker)
        eventually(lambda: app.method("dead.list")["total"] == 1)
        letter = app.method("dead.get", {"id": app.method("dead.list")["letters"][0]["id"]})
        self.assertEqual((letter["method"], letter["params"], letter["caller"], letter["err"]),
                         ("device/lamp1/go", {"far": 1}, "shop", "expired"))
        dead.close()


if __name__ == "__main__":
    main()
