/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Names from the wire may be those of what every JavaScript object inherits. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { entryOf } from "../src/base/text.js"
import { stateOf, whyText } from "../src/rooms/devices/presence.js"
import { statusOf, summary } from "../src/rooms/devices/verdicts.js"
import { columns, createHistory } from "../src/rooms/load/history.js"
import { problemWords, stateWords } from "../src/rooms/trouble/words.js"
import { readDocument } from "../src/service/discovery.js"
import { explain } from "../src/service/explain.js"

const NAMES = ["constructor", "toString", "__proto__", "hasOwnProperty", "valueOf"]

test("a table of words has only its own", () => {
    assert.equal(entryOf({ a: 1 }, "a"), 1)
    for (const name of [...NAMES, undefined, 1, { toString: 1 }]) assert.equal(entryOf({ a: 1 }, name), undefined)
})

test("an error, a state or a reason of such a name is one that is not known", () => {
    const catalogue = readDocument({})
    for (const name of NAMES) {
        const outcome = /** @type {any} */ ({ ok: false, err: name, msg: "why", data: {}, ms: 0, from: "service" })
        assert.deepEqual(explain(outcome, undefined, catalogue), { title: "Why", text: "", hint: name })
        assert.deepEqual(stateOf(name), [name, "neutral", "for"])
        assert.deepEqual(statusOf(name), [name, "neutral"])
        assert.equal(whyText(name), name)
        assert.deepEqual(problemWords(name), [""])
        assert.equal(stateWords({ state: name }), name)
        assert.equal(summary(new Map([["a", { device: "a", status: name }]])), `0 of 1 ok, 1 ${name.toLowerCase()}`)
    }
})

test("errors with such codes are counted", () => {
    const history = createHistory()
    const counts = (/** @type {number} */ times) => ({
        calls: times,
        errors: Object.fromEntries(NAMES.map(name => [name, times])),
        running: 0,
        waiting: 0,
        sum_s: 0,
        max_s: 1,
        buckets: [times],
        last_error: null,
        since: 1
    })
    history.add({ at: 100, isFirst: false, methods: { m: counts(0), n: counts(0) } }, 10)
    history.add({ at: 110, isFirst: false, methods: { m: counts(10), n: { ...counts(10), errors: {} } } }, 10)
    const { codes, errors } = columns(history.spans(), null)
    assert.deepEqual(codes, [...NAMES].sort())
    assert.deepEqual(
        errors,
        codes.map(() => [1, 1])
    )
})
