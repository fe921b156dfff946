# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What the tests of documents share: the documents themselves, and the engine that answers."""
import json
import os
import subprocess
from pathlib import Path

ROOT = Path(os.environ["RPC_ROOT"])
BASE = {"$schema": "http://json-schema.org/draft-07/schema#"}


def reference(form, *arguments):
    """What the program for the shipped and the test's modules prints."""
    command = [os.environ["RPC_REFERENCE"], form, *arguments]
    return json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)


def ask(calls):
    """Asks the engine, for pairs of a method and a JSON text; returns pairs of a status and a JSON value."""
    replies = ask_lines(calls)
    return [(status, json.loads(payload)) for status, payload in replies]


def ask_at(calls):
    """Likewise without Response Topics, for pairs of a topic and a JSON text; the topics of the replies come third."""
    replies = ask_lines([("/" + topic, payload) for topic, payload in calls])
    return [(status, json.loads(payload), topic) for status, payload, topic in replies]


def check(kind, command, part, payloads):
    """Checks JSON texts as a part of a command of devices; returns pairs of a status and what was checked."""
    return ask([(f"!{part}/{kind}/{command}", payload) for payload in payloads])


def ask_lines(calls):
    """The columns of the replies, as texts."""
    lines = "".join(f"{method}\t{payload}\n" for method, payload in calls)
    run = subprocess.run([os.environ["RPC_ASK"]], input=lines.encode(), capture_output=True, check=True, timeout=300)
    replies = [line.split("\t") for line in run.stdout.decode().split("\n")[:-1]]
    assert len(replies) == len(calls), "a call without a reply"
    return replies


def params_schema(method):
    """The schema of all parameters, out of the Content Descriptors of an OpenRPC Method Object."""
    if method["paramStructure"] == "by-position":
        return method["params"][0]["schema"]
    return {"type": "object",
            "properties": {param["name"]: param["schema"] for param in method["params"]},
            "required": [param["name"] for param in method["params"] if param["required"]],
            **({"additionalProperties": False} if method["x-mqtt"].get("strict") else {})}


def walk(value, path=()):
    """Every value inside a JSON value, itself included, with its path."""
    yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from walk(inner, (*path, key))


def resolve(document, pointer):
    """What a reference within the document points at; KeyError: nothing."""
    for part in pointer.removeprefix("#/").split("/"):
        document = document[part.replace("~1", "/").replace("~0", "~")]
    return document
