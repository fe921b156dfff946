"""Methods and events that workers declare: what callers and discovery see of them, and hostile declarations."""
import json
import os
import subprocess
import sys
import tempfile

from worker import AttachedClient, allowed, workers_of  # first: it says where harness.py is
from harness import PLUGIN, TIMEOUT, BrokerTest, ask, error_of, eventually, main, new_identity, payload_of, result_of
from mqtt import CORRELATION_DATA, RESPONSE_TOPIC, USER_PROPERTY, property_of, user_property_of

TOOL = os.environ.get("RPC_TOOL")
EVIL = "\x1b]0;x\x07*/ int evil; /*\"\"\"`${process.exit(3)}`\u2028"


def method(name, **more):
    return {"name": name, **more}


class DeclaresTest(BrokerTest):
    def begin(self, *options, **how):
        self.broker = self.start(**allowed(plugin=PLUGIN, options=list(options), **how))
        self.caller = self.client(self.broker, version=5, client_id="asker")

    def attach(self, name="w1", declares=(), events=(), **more):
        worker = AttachedClient(self.broker.port, name, more=None, timeout=TIMEOUT, attach=False, client_id=f"client-{name}")
        self.addCleanup(worker.close)
        worker.attach((), declares=list(declares), events=list(events), **more)
        return worker

    def call(self, name, params, entries=(), topic=None):
        identity = new_identity().encode()
        self.caller.publish(topic or f"rpc/call/{name}", json.dumps(params), qos=1,
                            properties=[(RESPONSE_TOPIC, "reply/later"), (CORRELATION_DATA, identity), *entries])
        return identity

    def reply(self):
        return self.caller.receive()


class Calls(DeclaresTest):
    def test_result_comes_as_it_is(self):
        self.begin()
        worker = self.attach(declares=[method("m")])
        for sent in (b'{ "a" : 1.0 , "a":2}', b"null", b'"text"', b"[1, 2]", b"17", b"", '"\u00e4\\u00e4"'.encode()):
            with self.subTest(sent=sent):
                self.call("m", {"x": 1})
                job = worker.job()
                self.assertEqual((job.method, job.payload, job.caller, job.user), ("m", b'{"x": 1}', "asker", None))
                job.answer("ok", sent)
                reply = self.reply()
                self.assertEqual((user_property_of(reply, "status"), reply.payload), ("ok", sent or b"{}"))

    def test_results_that_are_no_json(self):
        self.begin("max_reply 1k")
        worker = self.attach(declares=[method("m")])
        for sent, code in ((b"nul", "internal_error"), (b'"\xff"', "internal_error"), (b"{}{}", "internal_error"),
                           (b"[" * 40 + b"]" * 40, "internal_error"), (b'"' + b"x" * 1100 + b'"', "reply_too_large")):
            with self.subTest(sent=sent[:20]):
                self.call("m", {})
                worker.job().answer("ok", sent)
                self.assert_error(error_of(self.reply()), code)

    def test_errors(self):
        self.begin()
        worker = self.attach(declares=[method("m")])
        self.call("m", {})
        worker.job().fail("door_stuck", "it is stuck", force=[1, 2], door="front")
        self.assertEqual(error_of(self.reply()), {"method": "m", "err": "door_stuck", "msg": "it is stuck",
                                                  "force": [1, 2], "door": "front"})
        self.call("m", {"jsonrpc": "2.0", "id": 7, "method": "m"})
        worker.job().fail("door_stuck", "it is stuck", door="front")
        error = payload_of(self.reply())["error"]
        self.assertEqual((error["code"], error["data"]["err"], error["data"]["door"]), (-32010, "door_stuck", "front"))
        for code in ("Not-A-Code", "raised", "x" * 70, "", None):
            with self.subTest(code=code):
                self.call("m", {})
                worker.job().answer(code, {})
                self.assert_error(error_of(self.reply()), "internal_error")
        stats = result_of(ask(self.caller, "rpc.stats", {"method": "m"}))["methods"][0]
        self.assertEqual(stats["errors"], {"door_stuck": 2, "internal_error": 5})

    def test_parameters_are_objects(self):
        self.begin()
        worker = self.attach(declares=[method("m", params={"type": "object", "required": ["a"]})])
        for payload in ([1], "text", 17, None, {"jsonrpc": "2.0", "id": 1, "method": "m", "params": [1]}):
            with self.subTest(payload=payload):
                self.call("m", payload)
                reply = payload_of(self.reply())
                self.assert_error(reply.get("error", {}).get("data") or reply, "invalid_params")
        self.call("m", {})  # schemas are for readers
        worker.job().done(1)
        self.assertEqual(result_of(self.reply()), 1)

    def test_batch_and_progress(self):
        self.begin()
        worker = self.attach(declares=[method("m")])
        self.call("m", [{"n": 1}, {"n": 2}, 3], topic="rpc/batch/m")
        for _ in range(2):
            job = worker.job()
            job.done(job.params["n"] * 10)
        replies = payload_of(self.reply())
        self.assertEqual([item.get("result") for item in replies], [10, 20, None])
        self.assert_error(replies[2]["error"], "invalid_params")
        self.call("m", {}, [(USER_PROPERTY, ("progress", "1"))])
        job = worker.job()
        job.progress({"any": ["thing"]})
        job.done({})
        self.assertEqual([(user_property_of(reply, "status"), payload_of(reply)) for reply in (self.reply(), self.reply())],
                         [("progress", {"any": ["thing"]}), ("ok", {})])

    def test_family_and_lane(self):
        """Calls of one door go to one worker, in their order, by whichever method; the others to the one that is free."""
        self.begin()
        declares = [method("door/{door}/open", lane="door"), method("door.close", lane="door"), method("free")]
        workers = {name: self.attach(name, declares) for name in ("w1", "w2")}
        identities = [self.call(name, {"door": 7, "n": n}) for n, name in
                      enumerate(["door/7/open", "door.close", "door/8/open", "door.close"])]
        eventually(lambda: sum(row["outstanding"] for row in workers_of(self.caller).values()) == 4)
        [has] = [name for name, row in workers_of(self.caller).items() if row["outstanding"]]
        self.call("free", {})
        workers["w1" if has == "w2" else "w2"].job().done(None)
        self.reply()
        for n, identity in enumerate(identities):
            job = workers[has].job()
            self.assertEqual(job.params, {"door": 7, "n": n})
            job.done(n)
            reply = self.reply()
            self.assertEqual((property_of(reply, CORRELATION_DATA), result_of(reply)), (identity, n))

    def test_events(self):
        self.begin()
        worker = self.attach(declares=[method("m", event="done"), method("quiet", event="done", announce="unanswered")],
                             events=[{"name": "done", "key": "who", "retained": True}])
        watcher = self.client(self.broker, version=5)
        watcher.subscribe("rpc/event/#", qos=1)
        self.call("m", {})
        worker.job().done({"who": "ann"})
        self.reply()
        event = watcher.receive()
        self.assertEqual((event.topic, event.payload), ("rpc/event/done/ann", b'{"who": "ann"}'))
        self.call("quiet", {})
        worker.job().done({"who": "ann"})
        self.reply()
        self.caller.publish("rpc/call/quiet", b"{}", qos=1)
        worker.job().done({"who": "bob"})
        self.assertEqual(watcher.receive().topic, "rpc/event/done/bob")
        late = self.client(self.broker, version=5)
        late.subscribe("rpc/event/done/+", qos=1)
        self.assertEqual({late.receive().topic, late.receive().topic}, {"rpc/event/done/ann", "rpc/event/done/bob"})


class Declarations(DeclaresTest):
    def test_upgrade(self):
        """What was declared last holds, also when the worker of before has gone."""
        self.begin()
        old = self.attach("w1", [method("m", doc="old"), method("gone")])
        new = self.attach("w2", [method("m", doc="new", read_only=True)])
        described = result_of(ask(self.caller, "rpc.describe", {"method": "m"}))["method"]
        self.assertEqual((described["summary"], described["x-mqtt"]["readOnly"], described["x-workers"]),
                         ("new", True, ["w1", "w2"]))
        old.disconnect()
        eventually(lambda: result_of(ask(self.caller, "rpc.describe", {"method": "m"}))["method"]["x-workers"] == ["w2"])
        self.call("m", {})
        new.job().done(1)
        self.assertEqual(result_of(self.reply()), 1)
        # gone is known for a while, so that its worker may start again
        self.assert_error(error_of(ask(self.caller, "gone", {}, entries=[(USER_PROPERTY, ("timeout-ms", "500"))])), "timeout")

    def test_offered_by_name(self):
        """A worker may offer what another one declares."""
        self.begin()
        self.attach("w1", [method("m", doc="the first's")])
        second = AttachedClient(self.broker.port, "w2", ["m", "unheard.of", "rpc.list"], timeout=TIMEOUT)
        self.addCleanup(second.close)
        self.assertEqual(second.attached["ignored"], ["unheard.of", "rpc.list"])
        described = result_of(ask(self.caller, "rpc.describe", {"method": "m"}))["method"]
        self.assertEqual((described["summary"], described["x-workers"]), ("the first's", ["w1", "w2"]))

    def test_refused_name_declares_nothing(self):
        self.begin()
        self.attach("w1", [method("m", doc="the first's")])
        other = AttachedClient(self.broker.port, "w1", timeout=TIMEOUT, attach=False)
        self.addCleanup(other.close)
        self.assert_error(other.attach_error(declares=[method("m", doc="another's"), method("n")]), "name_in_use")
        described = result_of(ask(self.caller, "rpc.describe", {"method": "m"}))["method"]
        self.assertEqual(described["summary"], "the first's")
        self.assert_error(error_of(ask(self.caller, "n", {})), "method_not_found")

    def test_hostile(self):
        """What is refused costs nothing, says what is wrong, and leaves what was declared before."""
        self.begin("max_payload 4m")
        worker = self.attach(declares=[method("m", doc="mine")])
        deep = {}
        for _ in range(9):
            deep = {"properties": {"a": deep}}
        hostile = [
            ({"declares": [method("getTime")]}, "module clock has the method getTime"),
            ({"declares": [method("rpc.list")]}, "belong to the plugin"),
            ({"declares": [method("rpc.mine")]}, "belong to the plugin"),
            ({"declares": [method("device/lamp1/light")]}, "module device has the method device/{device}/{command}"),
            ({"declares": [method("device/{d}/{c}")]}, "module device"),
            ({"declares": [method("{everything}")]}, "but not the first one"),
            ({"declares": [method("a/+/#")]}, "a name has levels"),
            ({"declares": [method("a/response")]}, "a name has levels"),
            ({"declares": [method("x" * 200)]}, "declares[0].name"),
            ({"declares": [method("a"), method("a")]}, "declares[1], a: declared twice"),
            ({"declares": [method("a", doc=EVIL)]}, "control character"),
            ({"declares": [method("a", params="string")]}, "JSON Schema, which is an object"),
            ({"declares": [method("a", result=[])]}, "JSON Schema, which is an object"),
            ({"declares": [method("a", params=deep)]}, "levels of arrays and objects"),
            ({"declares": [method("a", result={"a": "x" * 20000})]}, "bytes: at most 16384"),
            ({"declares": [method(f"m{n}") for n in range(10000)]}, "declares"),
            ({"declares": [method(f"m{n}/{{a}}") for n in range(200)]}, "at most 100 method families"),
            ({"events": [{"name": "error"}]}, "belongs to the plugin"),
            ({"events": [{"name": f"e{n}"} for n in range(10000)]}, "events"),
            ({"declares": method("a")}, "declares"),
            ({"declares": [method("a", event="elsewhere")]}, "elsewhere"),
        ]
        for params, why in hostile:
            with self.subTest(why=why):
                error = worker.attach_error(**params)
                self.assertIn(error["err"], ("invalid_params", "overloaded"))
                self.assertIn(why, error["msg"])
        names = [entry["name"] for entry in result_of(ask(self.caller, "rpc.list"))["methods"]]
        self.assertIn("m", names)
        self.assertFalse({"a", "m0", "m0/{a}"} & set(names))
        self.call("m", {})
        worker.job().done(1)
        self.assertEqual(result_of(self.reply()), 1)

    def test_many(self):
        """A thousand methods, which a reply of discovery need not hold."""
        self.begin("max_payload 4m")
        self.attach(declares=[method(f"m{n}") for n in range(1000)])
        other = AttachedClient(self.broker.port, "w2", timeout=TIMEOUT, attach=False)
        self.addCleanup(other.close)
        self.assert_error(other.attach_error(declares=[method("more")]), "overloaded")
        self.assert_error(error_of(ask(self.caller, "rpc.discover")), "reply_too_large")
        table = next(row for row in result_of(ask(self.caller, "rpc.stats"))["tables"] if row["name"] == "declared")
        self.assertEqual(table["entries"], 1000)

    def test_tool_with_hostile_schemas(self):
        """Schemas are shown as they are; what generates clients of them makes code, and nothing else."""
        if not TOOL:
            self.skipTest("there is no mosquitto_rpc")
        self.begin("max_reply 1m")
        schema = {"type": "object", "title": EVIL, "description": EVIL, "$ref": "#",
                  "properties": {EVIL: {"enum": [EVIL, 1, None], "default": {EVIL: 1}}, "": {}, "a" * 500: {"$ref": "#/methods"},
                                 "class": {"type": ["string", EVIL]}, "n": 17, "list": {"type": "array", "items": {"$ref": "#"}}},
                  "required": [EVIL, 17]}
        self.attach(declares=[method("hostile.schemas", params=schema, result=schema, event="seen"), method("plain")],
                    events=[{"name": "seen", "data": schema}])
        found = result_of(ask(self.caller, "rpc.describe", {"method": "hostile.schemas"}))
        self.assertEqual(found["method"]["x-params"], schema)
        self.assertEqual(found["events"][0]["schema"], schema)
        broker = ["--host", "127.0.0.1", "--port", str(self.broker.port)]
        for command in (["list"], ["describe", "hostile.schemas"]):
            shown = subprocess.run([TOOL, *broker, "--plain", *command], stdout=subprocess.PIPE, check=True, timeout=TIMEOUT)
            self.assertNotIn(b"\x1b", shown.stdout)
            self.assertIn(b"hostile.schemas", shown.stdout)
        with tempfile.TemporaryDirectory() as folder:
            for language, name in (("python", "x.py"), ("typescript", "x.ts"), ("c", "")):
                subprocess.run([TOOL, *broker, "generate", "--language", language, "--output", os.path.join(folder, name)],
                               check=True, timeout=TIMEOUT)
            subprocess.run([sys.executable, "-m", "py_compile", os.path.join(folder, "x.py")], check=True, timeout=TIMEOUT)


if __name__ == "__main__":
    main()
