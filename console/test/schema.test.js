/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
import assert from "node:assert/strict"
import { test } from "node:test"
import { document, methods, modelOfMethod } from "./catalogue.js"
import { check, placeOf } from "../src/schema/check.js"
import { parse as tryParse, write } from "../src/base/exact.js"
import { boundsOf, describe, modelOf } from "../src/schema/model.js"
import { draftOf, emptyDraft, valueOf } from "../src/schema/read.js"
import { resolve } from "../src/schema/resolve.js"
import { sample } from "../src/schema/sample.js"

const parse = text => tryParse(text).value
const named = name => modelOfMethod(methods.find(method => method.name === name))
const faultsOf = (node, value) => Object.fromEntries(check(node, value))

/* A value through the form. */
function throughForm(node, value) {
    const misfits = []
    return { value: valueOf(node, draftOf(node, value, misfits)), misfits: misfits.map(({ path }) => path) }
}

test("of every method an example fits, and goes through the form unchanged", () => {
    assert.ok(methods.length > 30)
    for (const method of methods) {
        const node = modelOfMethod(method),
            value = sample(node)
        assert.deepEqual(faultsOf(node, value), {}, method.name)
        assert.deepEqual(throughForm(node, value), { value, misfits: [] }, method.name)
    }
})

test("of every method the full example, with all optional members, fits and goes through the form", () => {
    const full = node =>
        node.kind === "object"
            ? Object.fromEntries(node.members().map(member => [member.name, full(member)]))
            : node.kind === "array"
              ? [full(node.item())]
              : sample(node)
    for (const method of methods) {
        const node = modelOfMethod(method),
            value = full(node)
        assert.deepEqual(faultsOf(node, value), {}, method.name)
        assert.deepEqual(throughForm(node, value), { value, misfits: [] }, method.name)
    }
})

test("of every method an empty form has no optional member, and its faults are the required ones", () => {
    for (const method of methods) {
        const node = modelOfMethod(method),
            value = valueOf(node, emptyDraft(node))
        const required =
            method["x-mqtt"].payload === "value"
                ? ["value"]
                : method.params
                      .filter(param => param.required && param.schema.type !== "array")
                      .map(param => param.name)
        for (const param of method.params)
            if (!param.required) assert.ok(!Object.hasOwn(value ?? {}, param.name), `${method.name} ${param.name}`)
        for (const path of required) assert.equal(faultsOf(node, value)[path], "is required", `${method.name} ${path}`)
    }
})

test("a kind for each schema, and any JSON for what is not understood", () => {
    const kind = schema => modelOf(document, schema).kind
    assert.equal(kind({ type: "string" }), "string")
    assert.equal(kind({ type: ["integer", "null"] }), "integer")
    assert.equal(kind({ enum: [1, "a"] }), "choice")
    assert.equal(kind({ const: 3 }), "choice")
    assert.equal(kind({ properties: { a: {} } }), "object")
    assert.equal(kind({ type: "array", items: { type: "string" } }), "array")
    for (const schema of [
        {},
        true,
        false,
        null,
        undefined,
        "x",
        { type: "object" },
        { type: "array" },
        { type: [] },
        { type: 7 },
        { type: "array", items: [{}] },
        { type: ["string", "integer"] },
        { type: "x" },
        { oneOf: [{ type: "string" }, { type: "integer" }] },
        { not: {} },
        { enum: 5 },
        { $ref: "#/nowhere" },
        { $ref: "http://x/y" }
    ])
        assert.equal(kind(schema), "json", JSON.stringify(schema))
    assert.ok(modelOf({}, { anyOf: [{ type: "integer", minimum: 2 }, { type: "null" }] }).nullable)
    assert.equal(modelOf({}, { anyOf: [{ type: "integer", minimum: 2 }, { type: "null" }] }).min, 2)
})

test("references are followed, in circles, too", () => {
    const root = {
        a: { $ref: "#/b" },
        b: { $ref: "#/a" },
        "c~/d": { type: "string" },
        percent: { $ref: "#/%E0%A4%A" },
        tree: { properties: { left: { $ref: "#/tree" }, value: { type: "integer" } }, required: ["left"] }
    }
    assert.deepEqual(resolve(root, { $ref: "#/a" }), {})
    assert.deepEqual(resolve(root, { $ref: "#/percent" }), {})
    assert.deepEqual(resolve(root, { $ref: "#/c~0~1d", description: "x" }), { type: "string", description: "x" })
    assert.deepEqual(
        resolve(root, {
            allOf: [{ properties: { a: {} }, required: ["a"] }, { properties: { b: {} } }],
            required: ["b"]
        }),
        { properties: { a: {}, b: {} }, required: ["a", "b"] }
    )
    const node = modelOf(root, { $ref: "#/tree" }),
        value = { left: { left: { value: 1 } } }
    assert.deepEqual(throughForm(node, value), { value, misfits: [] })
    assert.ok(emptyDraft(node) && sample(node) && valueOf(node, emptyDraft(node)))
})

test("what a form cannot show is named", () => {
    const node = modelOf(
        {},
        {
            properties: {
                on: { type: "boolean" },
                place: { properties: { room: { type: "integer" } } },
                ids: { type: "array", items: { type: "string" } },
                unit: { enum: ["C"] }
            }
        }
    )
    assert.deepEqual(throughForm(node, { on: "yes" }).misfits, ["on"])
    assert.deepEqual(throughForm(node, { on: null }).misfits, ["on"])
    assert.deepEqual(throughForm(node, { place: 3 }).misfits, ["place"])
    assert.deepEqual(throughForm(node, { place: { room: "3" } }).misfits, ["place.room"])
    assert.deepEqual(throughForm(node, { ids: ["a", 1] }).misfits, ["ids[1]"])
    assert.deepEqual(throughForm(node, { unit: "X" }).misfits, ["unit"])
    assert.deepEqual(throughForm(node, [1]).misfits, [""])
    const undeclared = parse('{"on":true,"more":{"x":1},"__proto__":9007199254740993}')
    assert.equal(write(throughForm(node, undeclared).value), write(undeclared))
})

test("an integer of 64 bits stays exact from the form to the JSON and back", () => {
    const node = modelOf(
        {},
        { properties: { n: { type: "integer", minimum: -9223372036854775808, maximum: 9223372036854775807 } } }
    )
    const draft = emptyDraft(node)
    draft.members[0] = { ...draft.members[0], on: true, text: "9223372036854775807" }
    assert.equal(write(valueOf(node, draft)), '{"n":9223372036854775807}')
    assert.equal(draftOf(node, parse('{"n":-9223372036854775808}'), []).members[0].text, "-9223372036854775808")
    assert.deepEqual(faultsOf(node, parse('{"n":9223372036854775807}')), {})
    assert.deepEqual(faultsOf(node, parse('{"n":-9223372036854775808}')), {})
    assert.deepEqual(Object.keys(faultsOf(node, parse('{"n":9223372036854775808}'))), ["n"])
    assert.deepEqual(Object.keys(faultsOf(node, parse('{"n":-9223372036854775809}'))), ["n"])
    assert.equal(boundsOf(node.members()[0]), "")
})

test("what was typed and is no number goes into the JSON as text, with a fault at its field", () => {
    const node = modelOf({}, { properties: { n: { type: "number" }, j: {} } }),
        draft = emptyDraft(node)
    draft.members[0] = { ...draft.members[0], on: true, text: "1,5" }
    draft.members[1] = { ...draft.members[1], on: true, text: "{" }
    const value = valueOf(node, draft)
    assert.deepEqual(value, { n: "1,5", j: "{" })
    assert.deepEqual(faultsOf(node, value), { n: "must be a number" })
})

test("faults are words at the path", () => {
    const light = named("device/{device}/light"),
        update = named("updateSensor")
    assert.deepEqual(faultsOf(light, { brightness: 101 }), {
        on: "is required",
        brightness: "must be a whole number of 0 to 100"
    })
    assert.deepEqual(faultsOf(light, { on: 1, brightness: 1.5 }), {
        on: "must be true or false",
        brightness: "must be a whole number of 0 to 100"
    })
    assert.deepEqual(faultsOf(update, { sensor_id: "", value: 1, unit: "X", more: 1 }), {
        sensor_id: "is required",
        unit: 'must be one of "C", "F", "K"',
        more: "is not declared"
    })
    assert.deepEqual(faultsOf(update, { sensor_id: "a\0", value: 1 }), {
        sensor_id: "must not contain the character U+0000"
    })
    assert.deepEqual(faultsOf(update, { sensor_id: "😀".repeat(64), value: 1 }), {})
    assert.deepEqual(Object.keys(faultsOf(named("device.group.set"), { group: "g", devices: [] })), ["devices"])
    assert.deepEqual(Object.keys(faultsOf(named("rpc.attach"), { worker: "w", declares: [{ name: "a" }, {}] })), [
        "declares[1].name"
    ])
    assert.deepEqual(faultsOf(named("listSensors"), { after: null }), {})
    assert.deepEqual(faultsOf(named("listSensors"), { limit: null }), { limit: "is required" })
    assert.deepEqual(faultsOf(named("echo"), null), {})
    assert.deepEqual(faultsOf(update, { sensor_id: "x".repeat(65), value: 1 }), {
        sensor_id: "must have 1 to 64 characters; it has 65"
    })
    assert.equal(describe(named("listSensors").members()[0]), "a whole number of 1 to 10000")
})

test("the message of invalid_params is placed at the field that it names", () => {
    assert.deepEqual(placeOf("on must be true or false"), { path: "on", text: "must be true or false" })
    assert.deepEqual(placeOf("readings[3].value: 5 is outside 0..3"), {
        path: "readings[3].value",
        text: "5 is outside 0..3"
    })
    assert.deepEqual(placeOf("valu is not declared, did you mean value?"), {
        path: "valu",
        text: "is not declared, did you mean value?"
    })
    assert.deepEqual(placeOf(""), { path: "", text: "" })
})

test("a schema that refers to itself many times, or requires itself, costs little", () => {
    const start = performance.now()
    const many = of => Array.from({ length: 10 }, () => ({ $ref: of }))
    const root = {
        all: { allOf: many("#/all"), type: "object" },
        any: { anyOf: many("#/any") },
        wide: {
            type: "object",
            required: ["a", "b", "c"],
            properties: Object.fromEntries(many("#/wide").map((each, at) => ["abcdefghij"[at], each]))
        },
        list: { type: "array", minItems: 1e9, items: { $ref: "#/list" } },
        long: { type: "string", minLength: 1e15 }
    }
    for (const name of Object.keys(root)) {
        const node = modelOf(root, { $ref: `#/${name}` })
        assert.ok(JSON.stringify([sample(node), emptyDraft(node)]).length < 1e6, name)
        check(node, sample(node))
    }
    assert.ok(performance.now() - start < 2000)
})

test("parts of a schema that are none are left out", () => {
    for (const schema of [
        { required: 5, allOf: [{ required: ["a"] }] },
        { type: [{ toString: 1 }, "string"] },
        { type: 1, enum: 2, properties: "ab" }
    ])
        sample(modelOf({}, schema))
})

test("a pattern is tried where that takes no time; else the worker has the last word", () => {
    const fault = (pattern, value) => check(modelOf({}, { type: "string", pattern }, "s"), value).get("s") ?? ""
    assert.equal(fault("^[a-z]+-\\d{2}$", "ab-12"), "")
    assert.equal(fault("^[a-z]+-\\d{2}$", "ab-1"), "must match ^[a-z]+-\\d{2}$")
    assert.equal(fault("^on|off$", "x"), "must match ^on|off$")
    for (const pattern of [
        "^(a+)+$",
        "^(a|a)*$",
        "a*a*a*a*a*a*b",
        "a?".repeat(40) + "a".repeat(40),
        "(a|a)".repeat(40) + "b",
        "("
    ])
        assert.equal(fault(pattern, "a".repeat(39)), "", pattern)
})
