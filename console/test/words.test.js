/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The words of the room Trouble. */
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { test } from "node:test"

import { deadlineWords, problemWords, stateWords, told } from "../src/rooms/trouble/words.js"

const reference = JSON.parse(readFileSync(new URL("../../docs/openrpc.json", import.meta.url), "utf8"))
const method = name => reference.methods.find(one => one.name === name)

test("each kind of problem that the service has is explained", () => {
    const { description } = method("rpc.health").result.schema.properties.problems.items.properties.what
    const kinds = [...description.matchAll(/`(\w+)`/g)].map(([, kind]) => kind)
    assert.ok(kinds.length >= 7)
    for (const kind of kinds) assert.match(problemWords(kind)[0], /\.$|\?$/, kind)
})

test("a problem of a module has no hint, whatever it is called", () => {
    assert.deepEqual(problemWords("constructor"), [""])
    assert.deepEqual(problemWords("valve_stuck"), [""])
})

test("each state that a call may have is said in words", () => {
    const states = method("rpc.running").result.schema.properties.calls.items.properties.state.enum
    assert.ok(states.length >= 5)
    for (const state of states) assert.match(stateWords({ state }), / /, state)
    assert.match(stateWords({ state: "worker", answered: "timeout" }), /caller got timeout/)
    assert.equal(stateWords({ state: "new" }), "new")
})

test("deadlines are to come, have passed, or are none", () => {
    const seconds = s => `${s} s`
    assert.equal(deadlineWords(undefined, seconds), "none")
    assert.equal(deadlineWords(3, seconds), "in 3 s")
    assert.equal(deadlineWords(-2, seconds), "passed 2 s ago")
})

test("what has become of letters is said in numbers, with the first reason", () => {
    const ok = value => ({ ok: true, value }),
        failed = { ok: false, err: "letter_unknown", msg: "no such letter", data: {}, from: "service" }
    assert.deepEqual(told("dead.drop", [ok({ dropped: 1 })]), { tone: "good", text: "Dropped: 1 of 1 letter." })
    assert.match(
        told("dead.replay", [ok({ status: "ok" }), ok({ status: "ok" })]).text,
        /2 of 2 letters, which are gone/
    )
    const { tone, text } = told("dead.replay", [
        ok({ status: "ok" }),
        ok({ status: "sensor_full", msg: "no room\u202e" }),
        failed
    ])
    assert.deepEqual([tone, text], ["bad", "Failed: 2 of 3 letters. sensor_full: no room\\u202e"])
    assert.match(told("dead.drop", [failed]).text, /Failed: 1 of 1 letter.*No such letter/)
})
