# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The documents are what OpenRPC and AsyncAPI say such documents are, by the schemas that they publish."""
import copy
import json
import os
import re
import subprocess
import unittest
from pathlib import Path

from jsonschema import Draft7Validator, ValidationError

try:
    from referencing import Registry
    from referencing.jsonschema import DRAFT7
except ImportError:  # what jsonschema resolves with before 4.18: Debian 12's
    from jsonschema import RefResolver
    Registry = None

from documents import ROOT, misfit, reference, resolve, walk

PACKAGES = Path(os.environ["RPC_PACKAGES"])


def exported(package):
    """What a package of npm exports as its default, which is code and has to be run."""
    script = f"console.log(JSON.stringify(require({json.dumps(str(PACKAGES / package))}).default))"
    return json.loads(subprocess.run(["node", "-e", script], capture_output=True, check=True, timeout=1800).stdout)


if Registry:
    def validator_of(schema, others):
        """A validator of a schema that refers to others, by their addresses."""
        resources = [(address, DRAFT7.create_resource(other)) for address, other in others.items()]
        return Draft7Validator(schema, registry=Registry().with_resources(resources))
else:
    class Resolver(RefResolver):
        """It takes every member named $id for an address, also where a schema speaks of such a member."""

        def _find_in_subschemas(self, url):
            return None

    def validator_of(schema, others):
        return Draft7Validator(schema, resolver=Resolver.from_schema(schema, store=others))


def openrpc_validator():
    json_schema = exported("@json-schema-tools/meta-schema")
    addresses = ("https://meta.json-schema.tools", "https://meta.json-schema.tools/")
    return validator_of(exported("@open-rpc/meta-schema"), dict.fromkeys(addresses, json_schema))


def asyncapi_validator():
    return validator_of(json.loads((PACKAGES / "@asyncapi/specs/schemas/3.0.0-without-$id.json").read_text()), {})


def methods_and_commands(document):
    """All Method Objects of an OpenRPC document, those of commands included."""
    return document["methods"] + [command for devices in document["x-devices"].values() for command in devices["commands"]]


class Format(unittest.TestCase):
    def check(self, form, validator):
        shipped = json.loads((ROOT / f"docs/{form}.json").read_text())
        for document in (shipped, reference(form), reference(form, "plant/7/rpc")):
            self.assertIsNone(misfit(validator, document), form)
            self.check_references(document)
        self.check_that_it_can_fail(shipped, validator)

    def check_references(self, document):
        for path, value in walk(document):
            if path and path[-1] == "$ref":
                self.assertIsNotNone(resolve(document, value), path)

    def check_that_it_can_fail(self, document, validator):
        broken = copy.deepcopy(document)
        broken["surplus"] = 1
        self.assertRaises(ValidationError, validator.validate, broken)

    def test_openrpc(self):
        validator = openrpc_validator()
        self.check("openrpc", validator)
        document = reference("openrpc")
        self.assertIsNone(misfit(validator, {**document, "methods": methods_and_commands(document)}))
        document["methods"][0]["params"] = [{"name": "without a schema"}]
        self.assertRaises(ValidationError, validator.validate, document)

    def test_openrpc_beyond_its_schema(self):
        document = reference("openrpc")
        names = [method["name"] for method in document["methods"]]
        self.assertEqual(len(names), len(set(names)))
        for devices in document["x-devices"].values():
            names = [command["name"] for command in devices["commands"]]
            self.assertEqual(len(names), len(set(names)))
        for method in methods_and_commands(document):
            codes = [error["code"] for error in method.get("errors", [])]
            self.assertEqual(len(codes), len(set(codes)))
            required = [param["required"] for param in method["params"]]
            self.assertEqual(required, sorted(required, reverse=True))
            self.assertTrue(method["paramStructure"] != "by-position" or required == [True])
        structures = {method["name"]: method["paramStructure"] for method in document["methods"]}
        self.assertEqual(structures["probe.nested"], "by-name")
        self.assertEqual(structures["probe.fields"], "either")

    def test_asyncapi(self):
        validator = asyncapi_validator()
        self.check("asyncapi", validator)
        document = reference("asyncapi")
        next(iter(document["operations"].values()))["action"] = "publish"
        self.assertRaises(ValidationError, validator.validate, document)

    def test_asyncapi_beyond_its_schema(self):
        document = reference("asyncapi")
        addresses = [channel["address"] for channel in document["channels"].values() if channel["address"]]
        self.assertEqual(len(addresses), len(set(addresses)))
        for channel in document["channels"].values():
            parameters = re.findall(r"{([^}]*)}", channel["address"] or "")
            self.assertEqual(parameters, list(channel.get("parameters", {})))
        for operation in document["operations"].values():
            replies = resolve(document, operation["reply"]["channel"]["$ref"]) if "reply" in operation else {}
            self.assertFalse(replies.get("address") and "address" in operation["reply"])
            for message in operation.get("messages", []):
                channel = resolve(document, operation["channel"]["$ref"])
                self.assertIn(resolve(document, message["$ref"]), channel["messages"].values())
            for message in operation.get("reply", {}).get("messages", []):
                self.assertIn(resolve(document, message["$ref"]), replies["messages"].values())
            self.assertIn(resolve(document, operation["channel"]["$ref"]), document["channels"].values())
        for part in ("channels", "operations"):
            for key in document[part]:
                self.assertRegex(key, r"^[A-Za-z0-9._-]+$")


if __name__ == "__main__":
    unittest.main()
