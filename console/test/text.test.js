/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Text from the wire: nothing in it is invisible, turns the direction of writing, or has no end. */
import assert from "node:assert/strict"
import test from "node:test"
import { cut, hasWords, plural, visible, visibleLines, some } from "../src/base/text.js"

const HIDDEN = [0, 7, 9, 10, 13, 27, 127, 0x85, 0xad, 0x61c, 0x200b, 0x200f, 0x2028, 0x202e, 0x2066, 0x2069, 0xfeff]

test("what cannot be seen is escaped", () => {
    for (const code of HIDDEN) {
        const shown = visible(`a${String.fromCharCode(code)}b`)
        assert.equal(shown, `a\\u${code.toString(16).padStart(4, "0")}b`)
    }
    assert.equal(visible("lone \ud800 half"), "lone \\ud800 half")
})

test("what can be seen stays", () => {
    for (const text of ["lamp1", "Ölstand größer", "温度", "حرارة", "🌡️", "<img src=x onerror=alert(1)>", "a/b {c} \\"])
        assert.equal(visible(text), text)
})

test("line ends and tabs stay in text of several lines", () => {
    assert.equal(visibleLines("a\n\tb\r"), "a\n\tb\\u000d")
    assert.equal(visibleLines("a\u202eb"), "a\\u202eb")
})

test("long text is cut, whole characters stay whole", () => {
    assert.equal(cut("abcdef", 6), "abcdef")
    assert.equal(cut("abcdefg", 6), "abcde…")
    assert.equal(cut("abcd🌡xyz", 6), "abcd…")
    assert.ok(visible("x".repeat(1e6)).length <= 200)
})

test("whatever comes is text", () => {
    assert.equal(visible(undefined), "")
    assert.equal(visible(null), "")
    assert.equal(visible(12), "12")
})

test("counts of things", () => {
    assert.equal(plural(1, "device"), "1 device")
    assert.equal(plural(0, "device"), "0 devices")
    assert.equal(plural(1200, "reply", "replies"), "1,200 replies")
})

test("all words are found in any order and case", () => {
    assert.ok(hasWords("sensor UPDATE", "updateSensor"))
    assert.ok(hasWords("", "x"))
    assert.ok(hasWords("  sensor  ", "updateSensor"))
    assert.ok(!hasWords("sensor lamp", "updateSensor"))
})

test("how many are shown, and of how many where some are left out", () => {
    assert.equal(some(1, 1, "open call"), "1 open call")
    assert.equal(some(0, 2, "worker"), "0 of 2 workers")
    assert.equal(some(200, 1200, "dead letter"), "200 of 1,200 dead letters")
})

test("a value from the wire that nothing can make text of is still shown", () => {
    assert.equal(visible({ toString: 1 }), '{"toString":1}')
    assert.equal(visible(Object.create(null)), "{}")
    assert.equal(visible([1, "a"]), '[1,"a"]')
})
