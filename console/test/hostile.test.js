/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What a worker may declare, and a service may answer, to hurt the page: nothing of it takes long, throws, or is sent unseen. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { isNumber, numberOf, parse, write } from "../src/base/exact.js"
import { check } from "../src/schema/check.js"
import { describe, modelOf } from "../src/schema/model.js"
import { draftOf, emptyDraft, valueOf } from "../src/schema/read.js"
import { resolve } from "../src/schema/resolve.js"
import { sample } from "../src/schema/sample.js"
import { explain } from "../src/service/explain.js"
import { readDocument } from "../src/service/discovery.js"
import { newPage, withText } from "../src/rooms/methods/state.js"

const LIMIT = 5e6 // µs of this process's time, far more than any of this may take

/* Runs what may not take long, however busy the machine is. */
function quickly(run) {
    const start = process.cpuUsage(),
        value = run(),
        { user } = process.cpuUsage(start)
    assert.ok(user < LIMIT, `it took ${user} µs`)
    return value
}

const names = count => Array.from({ length: count }, (_, at) => `m${at}`)
const objectOf = (schemas, more = {}) => ({
    type: "object",
    properties: schemas,
    required: Object.keys(schemas),
    ...more
})

/* Schemas that contain themselves, more than once. */
const TREES = {
    members: objectOf({ a: { $ref: "#" }, b: { $ref: "#" }, c: { $ref: "#" } }),
    elements: { type: "array", minItems: 10, items: { $ref: "#" } },
    both: objectOf({ list: { type: "array", minItems: 9, items: { $ref: "#" } }, other: { $ref: "#" } }),
    wide: objectOf(Object.fromEntries(names(3000).map(name => [name, { $ref: "#" }]))),
    parts: { allOf: [{ $ref: "#" }, { $ref: "#" }], type: "object" },
    choices: { anyOf: [{ $ref: "#" }, { $ref: "#" }, { type: "null" }] },
    itself: { $ref: "#" }
}

for (const [name, schema] of Object.entries(TREES))
    test(`a schema that contains itself more than once: ${name}`, () =>
        quickly(() => {
            const node = modelOf(schema, schema),
                value = sample(node)
            valueOf(node, emptyDraft(node))
            check(node, value)
            assert.ok(write(value).length < 1e6)
            assert.ok(valueOf(node, draftOf(node, value, [])) !== undefined)
        }))

test("a pattern that takes for ever is not tried, and one that does not still counts", () => {
    for (const pattern of [
        "^(a+)+$",
        "(a|a)*$",
        "^(a*)*b",
        "a*a*a*a*a*a*b",
        "^(?:a|aa)+$",
        "(.*)\\1\\1x",
        "((a{1,99}){1,99}){1,99}b"
    ])
        quickly(() => check(modelOf({}, { type: "string", pattern }, "x"), "a".repeat(5000) + "!"))
    const fault = (pattern, text) => check(modelOf({}, { type: "string", pattern }, "x"), text).get("x")
    assert.match(fault("^[a-z]{2,5}-[0-9]+$", "no"), /must match/)
    assert.equal(fault("^[a-z]{2,5}-[0-9]+$", "lamp-12"), undefined)
    assert.match(fault("^(red|green)$", "blue"), /must match/)
})

test("10,000 choices are found at once, and told of in a few words", () =>
    quickly(() => {
        const node = modelOf({}, { enum: names(10000) }, "x"),
            told = check(node, "none").get("x")
        assert.ok(told.length < 500, `${told.length} characters`)
        assert.match(told, /one of "m0", "m1".* 9,9\d\d more/)
        assert.equal(check(node, "m9999").size, 0)
        assert.ok(describe(modelOf({}, { const: "x".repeat(1e5) })).length < 500)
    }))

test("names that every object has are names like others", () => {
    const members = ["__proto__", "constructor", "toString", "hasOwnProperty", '"', "<img onerror=1>", "a.b", ""]
    const schema = JSON.parse(
        `{"type":"object","properties":{${members.map(name => `${JSON.stringify(name)}:{"type":"string"}`)}},` +
            `"required":${JSON.stringify(members)}}`
    )
    const node = modelOf(schema, schema)
    assert.deepEqual(
        node.members().map(({ name }) => name),
        members
    )
    const text = `{${members.map(name => `${JSON.stringify(name)}:"x"`)}}`
    assert.equal(write(valueOf(node, draftOf(node, parse(text).value, []))), text)
    for (const err of [...members, "valueOf", "isPrototypeOf"])
        for (const from of ["service", "console"])
            assert.equal(
                typeof explain({ ok: false, err, msg: "", data: {}, ms: 0, from }, undefined, readDocument({})).title,
                "string",
                err
            )
})

test("parts of a schema that are of the wrong kind", () =>
    quickly(() => {
        for (const wrong of [null, 7, "x", [], {}, [null], true])
            for (const part of [
                "type",
                "enum",
                "properties",
                "required",
                "items",
                "allOf",
                "anyOf",
                "oneOf",
                "$ref",
                "examples",
                "default",
                "minimum",
                "maxLength",
                "minItems",
                "pattern",
                "description",
                "x-unit",
                "const"
            ]) {
                const schema = { type: "object", [part]: wrong }
                for (const one of [
                    schema,
                    objectOf({ m: schema }),
                    objectOf({ m: { [part]: wrong } }),
                    { allOf: [schema, { required: ["m"] }] }
                ]) {
                    const node = modelOf(one, one),
                        page = newPage(node, {})
                    check(node, sample(node))
                    withText(page, '{"m":1}')
                    describe(node)
                    resolve(one, one)
                }
            }
    }))

test("JSON that is nested too deep is a fault of the text, and nothing is thrown", () =>
    quickly(() => {
        const deep = "[".repeat(100000) + "]".repeat(100000)
        for (const schema of [{}, objectOf({ m: {} }), TREES.elements, TREES.members]) {
            const node = modelOf(schema, schema)
            for (const text of [deep, `{"m":${deep}}`, `{"a":`.repeat(50000) + "1" + "}".repeat(50000)])
                assert.ok(withText(newPage(node, {}), text).why)
        }
        const within = "[".repeat(500) + "]".repeat(500)
        assert.equal(withText(newPage(modelOf({}, {}), {}), within).why, "")
    }))

test("negative zero is what was written", () => {
    for (const text of ["-0", "-0.0", "-0e5"]) assert.equal(write(parse(text).value), text)
    assert.ok(isNumber("-0"))
    assert.equal(`${numberOf("-0")}`, "-0")
    assert.equal(write(parse("[0,0.0]").value), "[0,0]")
})
