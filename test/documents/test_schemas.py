# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What a schema accepts the method accepts, and what it refuses is invalid_params: over generated cases, with a
validator that is not ours on one side and the engine on the other."""
import copy
import json
import math
import random
import unittest

from jsonschema import Draft7Validator

from cases import DEPTH_MAX, Cases
from documents import (BASE, ROOT, ask, ask_at, brief, check, difference, expect_none, misfit, params_schema, reference,
                       resolve, walk)

SEED = 20260131

OPENRPC = reference("openrpc")
ASYNCAPI = reference("asyncapi")
METHODS = {method["name"]: method for method in OPENRPC["methods"]}
DEVICE = "device/{device}/"
COMMANDS = {(kind, command["name"].removeprefix(DEVICE)): command
            for kind, devices in OPENRPC["x-devices"].items() for command in devices["commands"]}
PARAMS, RESULT, PROGRESS = range(3)  # rpc_command_part


def waits(name):
    """Whether the method takes its time, which many calls of it would add up."""
    return name in ("probe.sleep", "later/{box}") or name.startswith(("slow.", "tally.", "relay/", "firm/"))


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
        judge = Draft7Validator(Draft7Validator.META_SCHEMA)
        faults = [f"{path}: {misfit(judge, schema)}" for path, schema in found if not judge.is_valid(schema)]
        expect_none(faults, len(found))

    def test_no_schema_lets_a_nul_through(self):
        strings = [value for _, value in walk([OPENRPC, ASYNCAPI]) if isinstance(value, dict) and "maxLength" in value]
        self.assertGreater(len(strings), 10)
        for schema in strings:
            least = schema.get("minLength", 0)
            self.assertIsNone(misfit(Draft7Validator(schema), "\n" * least))
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
        self.assertEqual({event["name"] for event in OPENRPC["x-events"] if "keyedTopic" in event},
                         {"gate", "gateFailed", "sensor"})

    def test_the_document_fits_into_a_reply(self):
        """rpc.discover answers with the document of the shipped modules, and leaves some room for more."""
        kept = json.loads((ROOT / "docs/openrpc.json").read_text())
        size = len(json.dumps(kept, separators=(",", ":"), ensure_ascii=False).encode())
        self.assertLess(size, kept["x-limits"]["maxReply"] - 2048)

    def test_both_documents_say_the_same(self):
        faults = []
        for name, method in METHODS.items():
            if method["x-mqtt"]["payload"] == "bytes":
                continue
            key = name.replace("-", "--").replace("/", "-.").replace("{", "-_").replace("}", "")
            payload = resolve(ASYNCAPI, f"#/components/messages/call.{key}")["payload"]
            composed, payload = untitled(params_schema(method)), untitled(payload)
            composed.pop("additionalProperties", None)  # which OpenRPC says, and AsyncAPI does not
            if "properties" in composed:
                composed = {**composed, "required": payload.get("required", [])}
                payload = {"properties": {}, "required": [], **payload}
            if composed != payload:
                faults.append(f"{name}: {difference(composed, payload)}")
        expect_none(faults, len(METHODS))

    def test_both_documents_say_the_same_of_commands(self):
        self.assertGreater(len(COMMANDS), 5)
        for (kind, name), command in COMMANDS.items():
            key = f"{kind}-.{name.replace('-', '--')}"
            messages = ASYNCAPI["components"]["messages"]
            payload = messages[f"command.{key}"]["payload"]
            composed, payload = untitled(params_schema(command)), untitled(payload)
            composed.pop("additionalProperties", None)  # which OpenRPC says, and AsyncAPI does not
            if "properties" in composed:
                payload = {"properties": {}, "required": [], **payload}
            self.assertIsNone(difference(composed, payload), key)
            self.assertIsNone(difference(untitled(messages[f"commandResult.{key}"]["payload"]),
                                         untitled(command["result"]["schema"])), key)
            self.assertIsNone(difference(untitled(messages.get(f"commandProgress.{key}", {}).get("payload")),
                                         untitled(command.get("x-progress", {}).get("schema"))), key)
            channel = resolve(ASYNCAPI, ASYNCAPI["operations"][f"command.{key}"]["channel"]["$ref"])
            self.assertEqual(channel["address"], command["x-mqtt"]["topic"])
            self.assertEqual(channel["address"], f"rpc/call/{DEVICE}{name}")
            kinds = [declares for declares, declared in COMMANDS if declared == name]
            self.assertEqual(list(channel["messages"]), kinds, key)

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
            self.assertIsNone(misfit(Draft7Validator({**BASE, **schema}), schema["default"]), schema)


class Agreement(unittest.TestCase):
    """Faults are gathered as lines, of which a failure shows a few: see expect_none()."""

    def make_cases(self, name, schema):
        """Values and their texts, each text once: about as many by chance as by the system."""
        cases = Cases(random.Random(f"{SEED} {name}"))
        values = {text_of(value): value for value in cases.systematic(schema)}
        for number in range(len(values)):
            cases.wild = (0, 0.1, 0.3)[number % 3]
            value = cases.make(schema)
            values.setdefault(text_of(value), value)
        return values

    def judge_value(self, validator, value, accepts, faults, said):
        """Whether schema and rules let a value in, which the engine must do then, and only then."""
        fits = validator.is_valid(value) and not breaks_a_rule_of_the_text(value)
        if accepts != fits:
            faults.append(f"{said}: {brief(text_of(value))} {'fits' if fits else 'does not fit'} the schema")
        return fits

    def expect_both_kinds(self, name, schema, accepted, cases):
        """A test of values that are all refused, or all accepted, would tell little."""
        self.assertGreater(accepted, 0 if schema.get("properties") == {} else cases / 10, name)
        if "type" in schema:
            self.assertGreater(cases - accepted, cases / 100, name)

    def reply_validators(self, method):
        """What the document says of replies: a validator for each status, but for those that all methods share."""
        method = self.with_own_schemas(method)
        schemas = {error["err"]: error["schema"] for error in method.get("x-errors", [])}
        return {status: Draft7Validator({**BASE, **schema})
                for status, schema in {**schemas, "ok": method["result"]["schema"]}.items()}

    def judge_replies(self, method, replies):
        """What is wrong with what came back; a reply that comes again is not judged again."""
        name, validators = method["name"], self.reply_validators(method)
        for status, reply in {(status, json.dumps(reply)): (status, reply) for status, reply in replies}.values():
            if status in validators:
                why = misfit(validators[status], reply)
                if why:
                    yield f"{name}: the reply {status} does not fit its schema: {why}"
            elif status not in OPENRPC["components"]["errors"]:
                yield f"{name}: {status} is no declared error"

    def check_method(self, method, faults):
        name, schema = method["name"], params_schema(method)
        validator = Draft7Validator({**BASE, **schema})
        cases = self.make_cases(name, schema)
        replies = ask([(name, text) for text in cases])
        accepted = 0
        for (text, value), (status, reply) in zip(cases.items(), replies):
            if status == "payload_too_large":
                self.assertGreater(len(text), 1000000)  # what ask.c configures
                continue
            accepts = status not in ("invalid_params", "parse_error")
            accepted += self.judge_value(validator, value, accepts, faults, f"{name}: {status}")
        faults += self.judge_replies(method, replies)
        self.expect_both_kinds(name, schema, accepted, len(cases))
        return len(cases)

    def test_every_method(self):
        methods = [method for name, method in METHODS.items()
                   if method["x-mqtt"]["payload"] != "bytes" and not waits(name)]
        self.assertGreater(len(methods), 15)
        faults = []
        count = sum(self.check_method(method, faults) for method in methods)
        expect_none(faults, count)

    def judge_checked(self, validator, schema, part, value, checked):
        """What is wrong with a value of a command as the engine has checked it."""
        if part == PARAMS or not isinstance(value, float):
            why = misfit(validator, checked)
            if why:
                yield f"what was checked does not fit: {why}"
        if part == PARAMS and schema.get("type") == "object":
            defaults = {name for name, field in schema["properties"].items() if "default" in field}
            if not defaults <= set(checked) <= set(schema["properties"]):
                yield f"the members are {', '.join(checked)}, undeclared ones or without the defaults"

    def check_part(self, key, part, schema, faults):
        """The schema of a part of a command, and what the engine says of generated values; see check_method()."""
        validator = Draft7Validator({**BASE, **schema})
        cases = self.make_cases(f"{key} {part}", schema)
        accepted = 0
        for value, (status, checked) in zip(cases.values(), check(*key, part, cases)):
            accepted += self.judge_value(validator, value, status == "ok", faults, f"{key} {part}: {status}")
            if status == "ok":
                faults += [f"{key} {part}: {why}" for why in self.judge_checked(validator, schema, part, value, checked)]
            elif status not in ("invalid_params", "parse_error"):
                faults.append(f"{key} {part}: the status {status}")
        self.expect_both_kinds(key, schema, accepted, len(cases))
        return len(cases)

    def test_every_command(self):
        faults, count = [], 0
        for key, command in COMMANDS.items():
            for part, schema in ((PARAMS, params_schema(command)), (RESULT, command["result"]["schema"]),
                                 (PROGRESS, command.get("x-progress", {"schema": {}})["schema"])):
                count += self.check_part(key, part, schema, faults)
        expect_none(faults, count)

    def message_schema(self, key):
        """That of a message's payload in the AsyncAPI document, whose references lead into the document."""
        return {**BASE, "components": ASYNCAPI["components"], **ASYNCAPI["components"]["messages"][key]["payload"]}

    def check_by_id(self, kind, payload, message, sends=True):
        """A call without a Response Topic, and the kind of reply that the document promises for it."""
        call, schema = f"{kind}.updateSensor", self.message_schema(message)
        if sends:
            self.assertIsNone(misfit(Draft7Validator(self.message_schema(call)), payload))
        (_, reply, topic), = ask_at([(f"rpc/{kind}/updateSensor", json.dumps(payload))])
        channel = resolve(ASYNCAPI, ASYNCAPI["operations"][f"{kind}ById.updateSensor"]["reply"]["channel"]["$ref"])
        self.assertEqual(topic, channel["address"].replace("{request_id}", "7"))
        self.assertIn({"$ref": f"#/components/messages/{message}"}, channel["messages"].values())
        self.assertIsNone(misfit(Draft7Validator(schema), reply))
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
        self.assertIsNone(difference(document, {name: value for name, value in OPENRPC.items() if name != "x-limits"}))

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
        events = self.with_own_schemas(OPENRPC["x-events"])
        for method, (status, description) in zip(METHODS.values(), replies):
            self.assertEqual(status, "ok")
            self.assertIsNone(difference(description["method"], self.with_own_schemas(method)))
            for event in description["events"]:
                self.assertIn(event, events)

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
