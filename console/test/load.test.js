/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
import assert from "node:assert/strict"
import test from "node:test"
import { columns, createHistory, summary } from "../src/rooms/load/history.js"

/** @param {number} calls @param {any} [more] */
function counts(calls, more = {}) {
    const buckets = Array.from({ length: 17 }, () => 0)
    buckets[more.bucket ?? 3] = calls
    return { calls, errors: {}, running: 0, waiting: 0, max_s: 20, buckets, since: 1, ...more }
}

/** A history with a sample each 10 s; a number is the calls of the method `m`. @param {any[]} samples */
function historyOf(samples, kept = 600) {
    const history = createHistory(kept)
    samples.forEach((sample, index) => {
        if (sample === null) return
        const methods = typeof sample === "number" ? { m: counts(sample) } : sample
        history.add({ at: 100 + index * 10, isFirst: false, methods }, 10)
    })
    return history.spans()
}

test("rates are of the calls between two samples", () => {
    const { times, calls } = columns(historyOf([1000, 1050, 1050, 1060]), null)
    assert.deepEqual(times, [100, 110, 120, 130])
    assert.deepEqual(calls, [5, 5, 0, 1])
})

test("a method that was not there has had no calls", () => {
    const spans = historyOf([{}, { a: counts(20), b: counts(40) }])
    assert.deepEqual(columns(spans, "a").calls, [2, 2])
    assert.deepEqual(columns(spans, null).calls, [6, 6])
    assert.deepEqual(columns(spans, "c").calls, [0, 0])
})

test("a restart of the broker makes a gap and no negative rates", () => {
    const anew = { m: counts(2000, { since: 140 }) }
    assert.deepEqual(columns(historyOf([1000, 1050, 10, 30, anew, anew]), null).calls, [5, 5, null, 2, 2, null, 0, 0])
})

test("a missing sample is a gap and no slope", () => {
    assert.deepEqual(columns(historyOf([100, 110, null, null, 5000, 5010]), null).calls, [1, 1, null, 1, 1])
})

test("quantiles are of the calls between two samples alone", () => {
    const slow = counts(10)
    slow.buckets[9] = 10 // of 20 calls in all
    const { p50, p99 } = columns(
        historyOf([{ m: counts(10) }, { m: { ...slow, calls: 20 } }, { m: { ...slow, calls: 20 } }]),
        "m"
    )
    assert.ok(Math.abs(Number(p50[0]) - 0.075) < 1e-9)
    assert.ok(Number(p99[0]) > 0.099)
    assert.deepEqual([p50[2], p99[2]], [null, null])
})

test("errors are told apart by their codes", () => {
    const spans = historyOf([
        { m: counts(10, { errors: { timeout: 5 } }) },
        { m: counts(20, { errors: { timeout: 6, overloaded: 2 } }) }
    ])
    const { codes, errors } = columns(spans, "m")
    assert.deepEqual(codes, ["overloaded", "timeout"])
    assert.deepEqual(errors, [
        [0.2, 0.2],
        [0.1, 0.1]
    ])
})

test("running and waiting calls are seen while nothing ends", () => {
    const hangs = { m: counts(5, { running: 1, waiting: 3 }), n: counts(5, { waiting: 1 }) }
    const { running, waiting } = columns(historyOf([hangs, hangs]), null)
    assert.deepEqual(
        [running, waiting],
        [
            [1, 1],
            [4, 4]
        ]
    )
})

test("a row sums up what is known of its time", () => {
    const row = summary(historyOf([0, 100, null, null, null, 1000, 1300]), "m", 60)
    assert.equal(row?.calls, 20)
    assert.equal(summary(historyOf([0, 100, 400]), "m", 10)?.calls, 30)
    assert.equal(summary(historyOf([0]), "m", 10), null)
    assert.equal(summary(historyOf([0, 10]), "x", 10)?.p99, null)
})

test("the rarest of many errors are put together", () => {
    const errors = Object.fromEntries(Array.from({ length: 9 }, (_, each) => [`e${each}`, 100 - each]))
    const { codes, errors: lines } = columns(historyOf([{}, { m: counts(1000, { errors }) }]), "m")
    assert.deepEqual(codes, ["e0", "e1", "e2", "e3", "e4", "other"])
    assert.ok(Math.abs(Number(lines[5][0]) - (95 + 94 + 93 + 92) / 10) < 1e-9)
})

test("what was retained before makes no rate, not even where it comes in two parts", () => {
    const history = createHistory()
    history.add({ at: 100, isFirst: true, methods: {} }, 10)
    history.add({ at: 101, isFirst: true, methods: { m: counts(1e6) } }, 10)
    history.add({ at: 104, isFirst: false, methods: { m: counts(1e6 + 50) } }, 10)
    assert.deepEqual(columns(history.spans(), null).calls, [null, 5, 5])
})

test("times grow from point to point", () => {
    const { times } = columns(historyOf([1, 2, null, null, 5, 6, 1, 2, null, null, null, 7]), null)
    assert.deepEqual(
        times,
        [...new Set(times)].sort((a, b) => a - b)
    )
})

test("ten minutes are kept, and an older or equal sample changes nothing", () => {
    const history = createHistory()
    for (let each = 0; each < 1000; each++) history.add({ at: each * 10, isFirst: false, methods: {} }, 10)
    history.add({ at: 50, isFirst: false, methods: { m: counts(5) } }, 10)
    assert.equal(history.spans().length, 60)
    assert.equal(history.last()?.at, 9990)
})
