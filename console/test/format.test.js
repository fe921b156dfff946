/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Numbers, durations, times and sizes as people read them. */
import assert from "node:assert/strict"
import test from "node:test"
import {
    age,
    bytes,
    clock,
    count,
    duration,
    milliseconds,
    moment,
    number,
    percent,
    rate,
    relative
} from "../src/base/format.js"

const check = (format, table) => {
    for (const [value, text] of table) assert.equal(format(value), text, `${value}`)
}

test("counts", () =>
    check(count, [
        [0, "0"],
        [12345, "12,345"],
        [1.6, "2"]
    ]))

test("numbers of any size", () =>
    check(number, [
        [0, "0"],
        [21.5, "21.5"],
        [0.0123, "0.0123"],
        [12345.67, "12,345.67"],
        [-3, "-3"],
        [1e20, "1.00e+20"],
        [1e-9, "1.00e-9"],
        [0.1 + 0.2, "0.3"]
    ]))

test("durations have the unit that suits them", () =>
    check(duration, [
        [0, "0 s"],
        [0.00004, "40 µs"],
        [0.0004, "0.4 ms"],
        [0.0014, "1.4 ms"],
        [0.0123, "12 ms"],
        [0.99951, "1 s"],
        [1.44, "1.4 s"],
        [12.3, "12 s"],
        [59.6, "1 min"],
        [61, "1 min 1 s"],
        [200, "3 min 20 s"],
        [7500, "2 h 5 min"],
        [3 * 86400 + 4 * 3600, "3 d 4 h"],
        [-2, "-2 s"]
    ]))

test("no duration reads as 60 s or 60 min", () => {
    for (let seconds = 0.01; seconds < 1e6; seconds *= 1.003)
        assert.doesNotMatch(duration(seconds), /\b(60 s|60 min|24 h|1,?000 ms)\b/, `${seconds}`)
})

test("milliseconds are durations", () =>
    check(milliseconds, [
        [0.4, "0.4 ms"],
        [1400, "1.4 s"],
        [12, "12 ms"]
    ]))

test("ages have one unit", () =>
    check(age, [
        [0.3, "now"],
        [12.9, "12 s"],
        [300, "5 min"],
        [3 * 3600, "3 h"],
        [4 * 86400, "4 d"]
    ]))

test("moments are told from now, before and after", () => {
    assert.equal(relative(100, 112), "12 s ago")
    assert.equal(relative(412, 112), "in 5 min")
    assert.equal(relative(112, 112.5), "now")
})

test("bytes", () =>
    check(bytes, [
        [0, "0 B"],
        [900, "900 B"],
        [999, "999 B"],
        [1234, "1.2 kB"],
        [999600, "1 MB"],
        [3.4e6, "3.4 MB"]
    ]))

test("rates and parts", () => {
    check(rate, [
        [0, "0/s"],
        [0.3, "0.3/s"],
        [12.4, "12/s"],
        [1234, "1,234/s"],
        [0.004, "0.004/s"]
    ])
    check(percent, [
        [0, "0 %"],
        [0.004, "0.4 %"],
        [0.123, "12 %"],
        [1, "100 %"]
    ])
})

test("times of day have all their digits", () => {
    const at = new Date(2026, 0, 2, 3, 4, 5, 60).getTime() / 1000
    assert.equal(moment(at), "2026-01-02 03:04:05")
    assert.equal(clock(at), "03:04:05")
    assert.equal(clock(at, true), "03:04:05.060")
})

test("what is no number is a dash, and nothing throws", () => {
    for (const value of [undefined, null, NaN, Infinity, "12", {}, [], true])
        for (const format of [age, bytes, clock, count, duration, milliseconds, moment, number, percent, rate])
            assert.equal(format(value), "–")
    assert.equal(relative(undefined, 0), "–")
    assert.equal(moment(1e300), "–")
    assert.equal(clock(-1e300), "–")
})
