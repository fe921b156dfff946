# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A description that has reserved words, names that generated code itself has, and names that look alike, wherever there
are names."""
import json
import keyword

WORDS = sorted({*keyword.kwlist, *keyword.softkwlist, *"""
    int long struct enum void errno bool true false NULL unix linux assert class new delete this typename template
    constructor prototype toString __proto__ then await async yield let static arguments eval undefined Promise Record Client
    RpcError self client device timeout progress params options value payload result reply id key level _params cast Any
    List Dict Optional str bytes list dict float object __init__ __class__ __ping__ _call _level EventsOf Home home HOME
    has_value value_count 1st 2 é _ __ A a-b a_b aB AB""".split()})


def description_of_words(width):
    """Each object and method has so many names."""
    def some(at, count=len(WORDS)):
        return [*WORDS[at:], *WORDS[:at]][:count]

    def params(at):
        return [{"name": word, "required": bool(number % 2), "schema": {"type": ("string", "boolean", "integer")[number % 3]}}
                for number, word in enumerate(some(at, width))]

    def schema(at, title):
        return {"title": title, "type": "object", "required": some(at, width // 2),
                "properties": {word: {"type": ["number", "null"]} for word in some(at, width)}}

    def method(at, name):
        return {"name": name, "params": params(at), "result": {"schema": schema(at, "list")},
                "x-progress": {"schema": schema(at, "list")},
                "x-errors": [{"err": word, "schema": schema(at, word)} for word in some(at, width // 4)]}
    given = {"openrpc": "1.3.2", "info": {}, "methods": [method(0, "all")], "x-devices": {}, "x-events": []}
    given["methods"][0]["params"] = [{"name": word, "schema": {}} for word in WORDS]
    given["methods"][0]["result"]["schema"] = {"type": "object", "properties": {word: {} for word in WORDS}}
    for at, word in enumerate(WORDS):
        given["methods"].append(method(at, word))
        given["methods"].append({"name": f"{{{word}}}/{{{word}}}", "params": params(at),
                                 "x-mqtt": {"payload": ("value", "bytes", "object")[at % 3]}})
        given["x-devices"][word] = {"commands": [method(at, f"device/{{device}}/{other}") for other in some(at, width // 4)]}
        given["x-events"].append({"name": word, "key": "a", "schema": {"title": word, "type": "string", "enum": some(at, width)}})
    choices = {"type": "string", "enum": WORDS}
    given["x-events"].append({"name": "all", "schema": {"type": "object", "properties": {"a": choices}}})
    return json.dumps(given)
