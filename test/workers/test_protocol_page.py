"""Holds docs/worker-protocol.md to what it says: its session is played with its ACL, its tables are those of the plugin, and
its limits hold."""
import json
import re
import time

from worker import PASSWORD, USER, AttachedClient, workers_of  # first: it says where harness.py is
from harness import PLUGIN, ROOT, TIMEOUT, BrokerTest, ask, error_of, main, payload_of, result_of
from mqtt import (CORRELATION_DATA, MESSAGE_EXPIRY, NOT_AUTHORIZED, RESPONSE_TOPIC, USER_PROPERTY, property_of,
                  user_property_of)
from pages import blocks, rows, section

PAGE = (ROOT / "docs/worker-protocol.md").read_text()
PROPERTIES = {"Response Topic": RESPONSE_TOPIC, "Correlation Data": CORRELATION_DATA}
ANY = "…"


def names(heading, column=0):
    """What stands in backquotes in a column of the first table of a section."""
    return [name for row in rows(section(PAGE, heading)) for name in re.findall(r"`(\w+)`", row[column])]


def read_session():
    """The steps of the session: who, > or <, topic, properties, payload."""
    [text] = blocks(PAGE, "session")
    for who, way, topic, below in re.findall(r"^(\w+)([><]) (\S+)\n((?: +.*\n)*)", text, re.MULTILINE):
        lines = below.splitlines()
        properties = dict(line.strip().split(": ", 1) for line in lines if line.strip()[0] not in '{"')
        payload = "\n".join(line for line in lines if line.strip()[0] in '{"')
        yield who, way, topic, properties, json.loads(payload)


class Page(BrokerTest):
    def begin(self, *options, acl=None):
        self.broker = self.start([f"workers_users {USER}", *options], plugin=PLUGIN, users={USER: PASSWORD}, acl=acl)

    def worker(self, name="w1", **how):
        worker = AttachedClient(self.broker.port, name, attach=False, timeout=TIMEOUT, client_id=name, **how)
        self.addCleanup(worker.close)
        return worker

    def entries(self, properties, seen):
        return [(PROPERTIES[name], seen.get(value, value)) if name in PROPERTIES else (USER_PROPERTY, (name, value))
                for name, value in properties.items()]

    def assert_message(self, message, topic, properties, payload, seen):
        self.assertEqual((message.topic, message.qos), (topic, 1))
        self.assertEqual(payload_of(message), payload)
        for name, shown in properties.items():
            value = property_of(message, PROPERTIES[name]) if name in PROPERTIES else user_property_of(message, name)
            value = value.decode() if isinstance(value, bytes) else value
            if shown.startswith(ANY):
                self.assertTrue(value)
                self.assertEqual(seen.setdefault(shown, value) if shown != ANY else value, value)
            else:
                self.assertEqual(value, shown, name)

    def test_session(self):
        [acl] = blocks(PAGE, "acl")
        self.begin("timeout 10s", acl=f"topic readwrite rpc/call/text.count\n{acl}")
        clients = {"worker": self.worker(), "caller": self.client(self.broker, version=5, client_id="me")}
        seen, steps = {}, list(read_session())
        self.assertEqual(len(steps), 12)
        for who, way, topic, properties, payload in steps:
            with self.subTest(step=f"{who}{way} {topic}"):
                if way == ">":
                    code = clients[who].publish(topic, json.dumps(payload), qos=1, properties=self.entries(properties, seen))
                    self.assertLess(code or 0, 128)
                else:
                    self.assert_message(clients[who].receive(), topic, properties, payload, seen)
        self.assertEqual(len(seen), 2)

    def test_parameters(self):
        self.begin()
        described = result_of(ask(self.client(self.broker, version=5), "rpc.describe", {"method": "rpc.attach"}))["method"]
        params = {param["name"]: param["schema"] for param in described["params"]}
        self.assertEqual(set(names("## rpc.attach")) & set(params), set(params))
        declared = set(names("## What a worker declares"))
        self.assertEqual(declared, set(params["declares"]["items"]["properties"]) | set(params["events"]["items"]["properties"]))
        result = described["result"]["schema"]["properties"]
        for name in result:
            self.assertIn(f"`{name}`" if name != "ignored" and name != "window" else name, section(PAGE, "## rpc.attach"))
        errors = [error["err"] for error in described["x-errors"]]
        self.assertLess(set(errors), set(names("## rpc.attach")))

    def test_properties_of_a_call(self):
        self.begin()
        worker, caller = self.worker(), self.client(self.broker, version=5, client_id="me", username=USER, password=PASSWORD)
        worker.attach((), declares=[{"name": "door/{door}/open"}])
        parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        caller.publish("rpc/call/door/front/open", b"", qos=1, properties=[
            (RESPONSE_TOPIC, "reply/me"), (CORRELATION_DATA, b"1"), (USER_PROPERTY, ("progress", "1")),
            (USER_PROPERTY, ("traceparent", parent)), (USER_PROPERTY, ("timeout-ms", "2500"))])
        message = worker.receive()
        told = {name: user_property_of(message, name) for name in re.findall(r"^\| `([\w-]+)` ", section(PAGE, "## A call"), re.MULTILINE)}
        self.assertEqual(told.pop("traceparent").split("-")[1], parent.split("-")[1])
        self.assertLessEqual(int(told.pop("deadline-ms")), 2500)
        self.assertEqual(told, {"method": "door/front/open", "caller": "me", "caller-user": USER, "caller-version": "5",
                                "progress": "1"})
        self.assertEqual(message.payload, b"")
        self.assertEqual(len(property_of(message, CORRELATION_DATA)), 32)
        self.assertEqual(property_of(message, MESSAGE_EXPIRY), 3)

    def test_limits(self):
        self.begin("max_payload 4m")
        worker = self.worker()
        [methods, families, events] = map(int, re.search(
            r"Limits: (\d+) declared methods of all workers, (\d+) of them families, and (\d+) events", PAGE).groups())
        for declares, said in (([{"name": f"m{n}/{{a}}"} for n in range(families + 1)], f"at most {families} "),
                               ([{"name": f"m{n}", "doc": "x"} for n in range(methods + 1)], f"to {methods} ")):
            self.assertIn(said, worker.attach_error(declares=declares)["msg"])
        self.assertIn(str(events), worker.attach_error(events=[{"name": f"e{n}"} for n in range(events + 1)])["msg"])
        worker.attach((), declares=[{"name": f"m{n}", "doc": "x"} for n in range(methods)],
                      events=[{"name": f"e{n}"} for n in range(events)])

    def test_guards(self):
        self.begin()
        worker, other = self.worker(), self.client(self.broker, version=5)
        worker.attach((), declares=[{"name": "m"}])
        for topic in ("rpc/work/w1", "rpc/work/w1/done", "rpc/work/w1/cancel", "rpc/work/w1/event/e", "rpc/work/w2/done"):
            with self.subTest(topic=topic):
                self.assertEqual(other.publish(topic, b"{}", qos=1), NOT_AUTHORIZED)
        self.assertEqual(worker.publish("rpc/work/w2/done", b"{}", qos=1), NOT_AUTHORIZED)

    def test_refusals(self):
        self.begin()
        worker, caller = self.worker(), self.client(self.broker, version=5, client_id="me")
        worker.attach((), declares=[{"name": "m"}])
        count = int(re.search(r"after (\d+) refusals", PAGE).group(1))
        caller.publish("rpc/call/m", b"{}", qos=1, properties=[(RESPONSE_TOPIC, "reply/me"), (CORRELATION_DATA, b"1")])
        for _ in range(count):
            worker.job().refuse()
        self.assert_error(error_of(caller.receive()), "overloaded")

    def test_cancel(self):
        self.begin()
        worker, caller = self.worker(), self.client(self.broker, version=5, client_id="me")
        worker.attach((), declares=[{"name": "m"}], window=1)
        begun = time.monotonic()
        caller.publish("rpc/call/m", b"{}", qos=1, properties=[
            (RESPONSE_TOPIC, "reply/me"), (CORRELATION_DATA, b"1"), (USER_PROPERTY, ("timeout-ms", "200"))])
        job = worker.job()
        self.assertEqual(worker.cancelled(), job.id)
        self.assertGreaterEqual(time.monotonic() - begun, 0.2)
        self.assert_error(error_of(caller.receive()), "timeout")
        self.assertEqual(workers_of(caller)["w1"]["outstanding"], 1)
        job.done("too late")
        self.assertEqual(workers_of(caller)["w1"]["outstanding"], 0)

    def test_events(self):
        self.begin()
        worker, other = self.worker(), self.worker("w2")
        worker.attach((), events=[{"name": "seen", "key": "who"}])
        other.attach((), declares=[{"name": "m"}])
        watcher = self.client(self.broker, version=5)
        watcher.subscribe("rpc/event/#", qos=1)
        self.assertLess(worker.announce("seen", {"who": "ann", "n": 1}) or 0, 128)
        event = watcher.receive()
        self.assertEqual((event.topic, payload_of(event)), ("rpc/event/seen/ann", {"who": "ann", "n": 1}))
        self.assertEqual(other.announce("seen", {"who": "bob"}), NOT_AUTHORIZED)
        self.assertEqual(worker.announce("unheard", {}), NOT_AUTHORIZED)
        worker.announce("seen", b"{broken")
        self.broker.wait_log("worker w1: the data of event seen")
        watcher.expect_nothing()


if __name__ == "__main__":
    main()
