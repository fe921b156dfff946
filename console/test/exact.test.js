/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
import assert from "node:assert/strict"
import { test } from "node:test"
import { document } from "./catalogue.js"
import { isNumber, Numeral, parse as tryParse, write } from "../src/base/exact.js"

const parse = text => tryParse(text).value

test("what JSON.parse() reads is read in the same way", () => {
    for (const text of [
        "1",
        "-0.5",
        "1e3",
        "0",
        '""',
        '"a\\"b\\\\"',
        '"\\\\\\\\"',
        '"\\u00e9\\ud83d\\ude00"',
        "true",
        "false",
        "null",
        " [ 1 , [ ] , { } ] ",
        '{"a":{"b":[null]},"__proto__":1,"constructor":2}',
        JSON.stringify(document).replace(/-?\d{16,}/g, "0")
    ]) {
        assert.deepEqual(parse(text), JSON.parse(text))
        assert.equal(write(parse(text)), JSON.stringify(JSON.parse(text)))
        assert.equal(write(parse(text), "  "), JSON.stringify(JSON.parse(text), null, 2))
    }
})

test("what JSON.parse() refuses is refused, with the place", () => {
    for (const text of [
        "",
        " ",
        "{",
        "[",
        "[1,]",
        '{"a":1,}',
        "{a:1}",
        "'a'",
        '"a',
        '"\\x"',
        '"a\nb"',
        "01",
        "1.",
        ".5",
        "+1",
        "-",
        "tru",
        "True",
        "nullx",
        "1 2",
        "[1 2]",
        '{"a" 1}',
        "{1:2}",
        "NaN",
        "Infinity",
        "undefined",
        "]",
        '"a\\',
        '{"a"}',
        "{}}"
    ]) {
        assert.throws(() => JSON.parse(text), SyntaxError, text)
        assert.ok(tryParse(text).why, text)
    }
    assert.ok(tryParse("[".repeat(100000)).why)
})

test("numbers that no double holds stay as they were written", () => {
    for (const text of ["9007199254740993", "-9223372036854775808", "18446744073709551616", "1e400"]) {
        assert.ok(parse(text) instanceof Numeral)
        assert.equal(write(parse(`{"n":[${text}]}`)), `{"n":[${text}]}`)
    }
    for (const text of ['"9007199254740993"', '"\\"9007199254740993"', '{"9007199254740993":"a 9007199254740993 b"}'])
        assert.deepEqual(parse(text), JSON.parse(text))
    for (const text of [
        "9007199254740993x",
        "09007199254740993",
        "-",
        "9007199254740993.",
        "x9007199254740993",
        "1 9007199254740993"
    ])
        assert.ok(tryParse(text).why)
    for (const text of ["9007199254740991", "-9007199254740991", "0.1", "1e15", "1.0"])
        assert.equal(typeof parse(text), "number")
    for (const text of ["1", "-1.5e-7"]) assert.ok(isNumber(text))
    for (const text of ["", "1 ", "1,5", "0x1", "1_000", ".5", "NaN"]) assert.ok(!isNumber(text))
})

test("a long text is read in one go", () => {
    const text = JSON.stringify('\\"x'.repeat(300000))
    assert.equal(parse(text), JSON.parse(text))
    assert.ok(tryParse(text.slice(0, -1)).why)
})
