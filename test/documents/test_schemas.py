# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What a schema accepts the method accepts, and what it refuses is invalid_params: over generated cases, with a
validator that is not ours on one side and the engine on the other."""
import copy
import json
import math
import random
import unittest

from jsonschema import Draft7Validator

from cases import Cases
from documents import BASE, ROOT, ask, ask_at, check, params_schema, reference, resolve, walk

CASES = 600  # for each method
SEED = 20260131
DEPTH_MAX = 32

OPENRPC = reference("openrpc")
ASYNCAPI = reference("asyncapi")
METHODS = {method["name"]: method for method in OPENRPC["methods"]}
DEVICE = "device/{device}/"
COMMANDS = {(kind, command["name"].removeprefix(DEVICE)): command
            for kind, devices in OPENRPC["x-devices"].items() for command in devices["commands"]}
PARAMS, RESULT, PROGRESS = range(3)  # rpc_command_part


def waits(name):
    """Whether the method takes its time, which many calls of it would add up."""
    return name in ("probe.sleep", "later/{box}") or name.startswith(("slow.", "relay/", "firm/"))


def text_of(value):
    """Its JSON text. What Python calls infinite is written as a number that is too large for a double."""
    return json.dumps(value).replace("-Infinity", "-1e400").replace("Infinity", "1e400")


def untitled(value):
    """Without the titles of schemas, which are unique within one document only."""
    if isinstance(value, list):
        return [untitled(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    return {name: untitled(inner) for name, inner in value.items() if name != "title" or not isinstance(inner, str)}


def is_of_objects(value, path):
    """Whether it is the schema of objects, and no member that is called so."""
    kinds = value.get("type", ()) if isinstance(value, dict) and path[-1:] != ("properties",) else ()
    return kinds == "object" or (isinstance(kinds, list) and "object" in kinds)


def referred(schema):
    """A schema of the document, or the one that it refers to."""
    return resolve(OPENRPC, schema["$ref"]) if "$ref" in schema else schema


def breaks_a_rule_of_the_text(value):
    """Whether it is refused wherever it stands: no schema speaks of members that nobody declared."""
    return any(len(path) > DEPTH_MAX or
               (isinstance(inner, float) and math.isinf(inner)) or
               (isinstance(inner, str) and "\0" in inner) or
               (isinstance(inner, dict) and any("\0" in name for name in inner))
               for path, inner in walk(value))


def schemas(document):
    """Everything in a document that stands where a schema does, by its path."""
    return [(path, value) for path, value in walk(document) if path and path[-1] in ("schema", "payload")
            and isinstance(value, dict)]


class Schemas(unittest.TestCase):
    def test_all_are_draft_7(self):
        found = schemas(OPENRPC) + schemas(ASYNCAPI)
        self.assertGreater(len(found), 50)
        for path, schema in found:
            with self.subTest(path=path):
                Draft7Validator.check_schema(schema)

    def test_no_schema_lets_a_nul_through(self):
        strings = [value for _, value in walk([OPENRPC, ASYNCAPI]) if isinstance(value, dict) and "maxLength" in value]
        self.assertGreater(len(strings), 10)
        for schema in strings:
            least = schema.get("minLength", 0)
            Draft7Validator(schema).validate("\n" * least)
            self.assertFalse(Draft7Validator({**schema, "maxLength": 10**9}).is_valid("x" * least + "\0"))
            self.assertFalse(Draft7Validator({**schema, "maxLength": 10**9}).is_valid("x" * least + "\0\n"))

    def test_titles(self):
        """Generators make the names of types of them: each object has one, and the same one means the same schema."""
        for document in (OPENRPC, ASYNCAPI):
            titled = {}
            for path, value in walk(document):
                if is_of_objects(value, path):
                    schema = {name: part for name, part in value.items() if name not in ("description", "default")}
                    self.assertEqual(titled.setdefault(value["title"], schema), schema)
                    self.assertRegex(value["title"], "^[A-Z][A-Za-z0-9]*$")
            self.assertGreater(len(titled), 90)

    def test_keyed_events(self):
        """The values have a channel of their own, whose parameter is a member of the payload."""
        channels, operations = ASYNCAPI["channels"], ASYNCAPI["operations"]
        keyed = channels["keyedEvent.gate"]
        self.assertEqual(keyed["address"], "rpc/event/gate/{key}")
        self.assertEqual(keyed["parameters"]["key"]["location"], "$message.payload#/gate")
        self.assertEqual(keyed["messages"], channels["event.gate"]["messages"])
        self.assertTrue(operations["keyedEvent.gate"]["bindings"]["mqtt"]["retain"])
        self.assertFalse(operations["event.gate"]["bindings"]["mqtt"]["retain"])
        self.assertFalse(operations["keyedEvent.gateFailed"]["bindings"]["mqtt"]["retain"])
        self.assertEqual({event["name"] for event in OPENRPC["x-events"] if "keyedTopic" in event}, {"gate", "gateFailed"})

    def test_the_document_fits_into_a_reply(self):
        """rpc.discover answers with the document of the shipped modules, and leaves some room for more."""
        kept = json.loads((ROOT / "docs/openrpc.json").read_text())
        size = len(json.dumps(kept, separators=(",", ":"), ensure_ascii=False).encode())
        self.assertLess(size, kept["x-limits"]["maxReply"] - 2048)

    def test_both_documents_say_the_same(self):
        for name, method in METHODS.items():
            if method["x-mqtt"]["payload"] == "bytes":
                continue
            with self.subTest(method=name):
                key = name.replace("-", "--").replace("/", "-.").replace("{", "-_").replace("}", "")
                payload = resolve(ASYNCAPI, f"#/components/messages/call.{key}")["payload"]
                composed, payload = untitled(params_schema(method)), untitled(payload)
                self.assertEqual({**composed, "required": payload.get("required", [])} if "properties" in composed
                                 else composed, {"properties": {}, "required": [], **payload}
                                 if "properties" in composed else payload)

    def test_both_documents_say_the_same_of_commands(self):
        self.assertGreater(len(COMMANDS), 5)
        for (kind, name), command in COMMANDS.items():
            with self.subTest(kind=kind, command=name):
                key = f"{kind}-.{name.replace('-', '--')}"
                messages = ASYNCAPI["components"]["messages"]
                payload = messages[f"command.{key}"]["payload"]
                composed, payload = untitled(params_schema(command)), untitled(payload)
                composed.pop("additionalProperties", None)  # which OpenRPC says, and AsyncAPI does not
                self.assertEqual(composed, {"properties": {}, "required": [], **payload} if "properties" in composed
                                 else payload)
                self.assertEqual(untitled(messages[f"commandResult.{key}"]["payload"]), untitled(command["result"]["schema"]))
                self.assertEqual(untitled(messages.get(f"commandProgress.{key}", {}).get("payload")),
                                 untitled(command.get("x-progress", {}).get("schema")))
                channel = resolve(ASYNCAPI, ASYNCAPI["operations"][f"command.{key}"]["channel"]["$ref"])
                self.assertEqual(channel["address"], command["x-mqtt"]["topic"])
                self.assertEqual(channel["address"], f"rpc/call/{DEVICE}{name}")
                kinds = [declares for declares, declared in COMMANDS if declared == name]
                self.assertEqual(list(channel["messages"]), kinds)

    def test_two_kinds_have_a_command_of_one_name(self):
        self.assertEqual([kind for kind, name in COMMANDS if name == "light"], ["bulb", "lamp"])

    def test_the_manual_names_every_limit(self):
        manual = (ROOT / "docs/discovery.md").read_text()
        row, = [line for line in manual.split("\n") if line.startswith("| `x-limits`")]
        for name in OPENRPC["x-limits"]:
            self.assertIn(f"`{name}`", row)

    def test_payloads_of_inboxes_are_described(self):
        messages = reference("asyncapi")["components"]["messages"]
        form = messages["inbox.post-.form"]
        self.assertEqual(sorted(form["payload"]["properties"]), ["id", "number", "value", "word"])
        self.assertEqual(form["payload"]["required"], ["number"])
        self.assertNotIn("contentType", form)
        self.assertEqual(messages["inbox.post-.closed"],
                         {"title": "Refuses everything", "contentType": "application/octet-stream"})

    def test_defaults_fit_their_schemas(self):
        defaults = [value for _, value in walk(OPENRPC) if isinstance(value, dict) and "default" in value]
        self.assertTrue(defaults)
        for schema in defaults:
            Draft7Validator({**BASE, **schema}).validate(schema["default"])


class Agreement(unittest.TestCase):
    def make_cases(self, name, schema):
        cases = Cases(random.Random(f"{SEED} {name}"))
        values = []
        for number in range(CASES):
            cases.wild = (0, 0.1, 0.3)[number % 3]
            values.append(cases.make(schema))
        return values

    def check_reply(self, method, status, reply):
        """What comes back fits what the document says of it."""
        own = {error["err"]: referred(error["schema"]) for error in method.get("x-errors", [])}
        if status == "ok":
            Draft7Validator({**BASE, **method["result"]["schema"]}).validate(reply)
        elif status in own:
            Draft7Validator({**BASE, "components": OPENRPC["components"], **own[status]}).validate(reply)
        else:
            self.assertIn(status, OPENRPC["components"]["errors"])

    def check_method(self, method):
        schema = params_schema(method)
        validator = Draft7Validator({**BASE, **schema})
        values = self.make_cases(method["name"], schema)
        replies = ask([(method["name"], text_of(value)) for value in values])
        accepted = 0
        for value, (status, reply) in zip(values, replies):
            if status == "payload_too_large":
                self.assertGreater(len(text_of(value)), 1000000)  # what ask.c configures
                continue
            expected = validator.is_valid(value) and not breaks_a_rule_of_the_text(value)
            self.assertEqual(status not in ("invalid_params", "parse_error"), expected,
                             f"{method['name']} {text_of(value)[:2000]}: {status} {reply}")
            self.check_reply(method, status, reply)
            accepted += expected
        self.assertGreater(accepted, CASES / 10)
        if "type" in schema:
            self.assertGreater(CASES - accepted, CASES / 100)

    def test_every_method(self):
        checked = 0
        for name, method in METHODS.items():
            if method["x-mqtt"]["payload"] == "bytes" or waits(name):
                continue
            with self.subTest(method=name):
                self.check_method(method)
                checked += 1
        self.assertGreater(checked, 15)

    def check_part(self, key, part, schema):
        """The schema of a part of a command, and what the engine says of generated values; see check_method()."""
        validator = Draft7Validator({**BASE, **schema})
        values = self.make_cases(f"{key} {part}", schema)
        accepted = 0
        for value, (status, checked) in zip(values, check(*key, part, map(text_of, values))):
            expected = validator.is_valid(value) and not breaks_a_rule_of_the_text(value)
            self.assertEqual(status == "ok", expected, f"{key} {part} {text_of(value)[:2000]}: {status}")
            self.assertIn(status, ("ok", "invalid_params", "parse_error"))
            if status == "ok" and (part == PARAMS or not isinstance(value, float)):
                validator.validate(checked)
            if status == "ok" and part == PARAMS and schema.get("type") == "object":
                self.assertLessEqual(set(checked), set(schema["properties"]))
                self.assertLessEqual({name for name, field in schema["properties"].items() if "default" in field}, set(checked))
            accepted += expected
        self.assertGreater(accepted, CASES / 10)
        if "type" in schema:
            self.assertGreater(CASES - accepted, CASES / 100)

    def test_every_command(self):
        for key, command in COMMANDS.items():
            for part, schema in ((PARAMS, params_schema(command)), (RESULT, command["result"]["schema"]),
                                 (PROGRESS, command.get("x-progress", {"schema": {}})["schema"])):
                with self.subTest(command=key, part=part):
                    self.check_part(key, part, schema)

    def message_schema(self, key):
        """That of a message's payload in the AsyncAPI document, whose references lead into the document."""
        return {**BASE, "components": ASYNCAPI["components"], **ASYNCAPI["components"]["messages"][key]["payload"]}

    def check_by_id(self, kind, payload, message, sends=True):
        """A call without a Response Topic, and the kind of reply that the document promises for it."""
        call, schema = f"{kind}.updateSensor", self.message_schema(message)
        if sends:
            Draft7Validator(self.message_schema(call)).validate(payload)
        (_, reply, topic), = ask_at([(f"rpc/{kind}/updateSensor", json.dumps(payload))])
        channel = resolve(ASYNCAPI, ASYNCAPI["operations"][f"{kind}ById.updateSensor"]["reply"]["channel"]["$ref"])
        self.assertEqual(topic, channel["address"].replace("{request_id}", "7"))
        self.assertIn({"$ref": f"#/components/messages/{message}"}, channel["messages"].values())
        Draft7Validator(schema).validate(reply)
        for other in ("wrappedResult", "wrappedError", "wrappedResults"):
            other += ".updateSensor"
            self.assertEqual(Draft7Validator(self.message_schema(other)).is_valid(reply), other == message, other)

    def test_replies_by_id_are_as_described(self):
        reading = {"sensor_id": "a", "value": 1}
        self.check_by_id("call", {"request_id": "7", **reading}, "wrappedResult.updateSensor")
        self.check_by_id("call", {"request_id": 7, **reading}, "wrappedResult.updateSensor")
        self.check_by_id("call", {"request_id": "7"}, "wrappedError.updateSensor", sends=False)
        self.check_by_id("batch", {"request_id": "7", "calls": [reading, {}]}, "wrappedResults.updateSensor", sends=False)
        self.check_by_id("batch", {"request_id": "7", "calls": [reading, reading]}, "wrappedResults.updateSensor")
        self.check_by_id("batch", {"request_id": "7", "calls": []}, "wrappedResults.updateSensor")
        self.check_by_id("batch", {"request_id": "7", "calls": [{}] * 101}, "wrappedError.updateSensor", sends=False)

    def test_batches_are_as_described(self):
        validator = Draft7Validator(self.message_schema("batch.updateSensor"))
        reading = {"sensor_id": "a", "value": 1}
        for fits in ([], [reading], {"request_id": "1", "calls": [reading]}, {"request_id": 1, "calls": [reading]}):
            self.assertTrue(validator.is_valid(fits), fits)
        for wrong in (reading, {"calls": [reading]}, {"request_id": "1"}, {"request_id": None, "calls": []},
                      {"request_id": True, "calls": []}, [reading] * 101,
                      {"request_id": "1", "calls": [reading] * 101}):
            self.assertFalse(validator.is_valid(wrong), wrong)

    def test_the_engine_tells_the_same_document(self):
        (status, document), = ask([("rpc.discover", "{}")])
        self.assertEqual(status, "ok")
        limits = document.pop("x-limits")
        self.assertEqual(set(limits), set(OPENRPC["x-limits"]))
        self.assertEqual(document, {name: value for name, value in OPENRPC.items() if name != "x-limits"})

    def with_own_schemas(self, value):
        """A part of the document in which nothing refers to a schema of the document."""
        if isinstance(value, list):
            return [self.with_own_schemas(inner) for inner in value]
        if not isinstance(value, dict):
            return value
        value = copy.deepcopy(referred(value))
        for shared in value.pop("allOf", []):
            value["properties"].update(referred(shared)["properties"])
        return {name: self.with_own_schemas(inner) for name, inner in value.items()}

    def test_each_method_is_described_as_in_the_document(self):
        replies = ask([("rpc.describe", json.dumps({"method": name})) for name in METHODS])
        for method, (status, description) in zip(METHODS.values(), replies):
            self.assertEqual(status, "ok")
            self.assertEqual(description["method"], self.with_own_schemas(method))
            for event in description["events"]:
                self.assertIn(event, self.with_own_schemas(OPENRPC["x-events"]))

    def test_the_list(self):
        (status, listed), = ask([("rpc.list", "{}")])
        self.assertEqual(status, "ok")
        self.assertEqual([method["name"] for method in listed["methods"]], list(METHODS))
        self.assertEqual(["error"] + [event["name"] for event in listed["events"]],
                         [event["name"] for event in OPENRPC["x-events"]])
        self.assertEqual([(kind["name"], command["name"]) for kind in listed["devices"] for command in kind["commands"]],
                         list(COMMANDS))


if __name__ == "__main__":
    unittest.main()
