# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What the tests of documents share: the documents themselves, the engine that answers, and short words for faults."""
import json
import os
import subprocess
from pathlib import Path

ROOT = Path(os.environ["RPC_ROOT"])
BASE = {"$schema": "http://json-schema.org/draft-07/schema#"}


def reference(form, *arguments):
    """What the program for the shipped and the test's modules prints."""
    command = [os.environ["RPC_REFERENCE"], form, *arguments]
    return json.loads(subprocess.run(command, capture_output=True, check=True, timeout=1800).stdout)


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
    run = subprocess.run([os.environ["RPC_ASK"]], input=lines.encode(), capture_output=True, timeout=1800)
    replies = [line.split("\t") for line in run.stdout.decode().split("\n")[:-1]]
    if run.returncode or len(replies) != len(calls):
        last = ": ".join(calls[min(len(replies), len(calls) - 1)])
        said = run.stderr.decode(errors="replace").strip().split("\n")[:5]
        raise AssertionError("\n".join([f"the engine ended with {run.returncode} at {brief(last)}", *map(brief, said)]))
    return replies


def brief(text, most=200):
    """A text that may be very long, in one line."""
    text = " ".join(text.split("\n"))
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


def place(path):
    return "/".join(map(str, path)) or "the whole"


def misfit(validator, value):
    """Why a value does not fit a schema, in one line; None: it fits."""
    error = next(validator.iter_errors(value), None)
    return error and f"{place(error.absolute_path)}: {brief(error.message)} ({error.validator})"


def difference(one, other, path=()):
    """Where two JSON values differ first, in one line; None: nowhere."""
    if one == other:
        return None
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            return f"{place(path)}: only one has {brief(', '.join(sorted(one.keys() ^ other.keys())))}"
        return next(filter(None, (difference(one[name], other[name], (*path, name)) for name in one)))
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return next(filter(None, (difference(*pair, (*path, at)) for at, pair in enumerate(zip(one, other)))))
    return f"{place(path)}: {brief(json.dumps(one))} is not {brief(json.dumps(other))}"


def expect_none(faults, of):
    """Fails with the first faults, each of which is a line."""
    if faults:
        raise AssertionError("\n".join([f"{len(faults)} faults in {of} cases, such as", *faults[:3]])) from None


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
