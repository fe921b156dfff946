/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
import assert from "node:assert/strict"
import test from "node:test"
import { BOUNDS, difference, quantile } from "../src/base/histogram.js"

/** @param {Record<number, number>} some */
const counts = some => Array.from({ length: BOUNDS.length + 1 }, (_, index) => some[index] ?? 0)
/** @param {number | null} value @param {number} right */
const isNear = (value, right) => assert.ok(Math.abs(Number(value) - right) < 1e-9, `${value} is not ${right}`)

test("a quantile of nothing is nothing", () => assert.equal(quantile(counts({}), 0.5), null))

test("a quantile lies within its bucket, by its share of it", () => {
    isNear(quantile(counts({ 5: 100 }), 0.5), 0.00375)
    isNear(quantile(counts({ 0: 100 }), 0.5), 0.00005)
    isNear(quantile(counts({ 0: 99, 12: 1 }), 0.5), (0.0001 * 50) / 99)
    isNear(quantile(counts({ 0: 98, 12: 2 }), 0.99), 0.75)
    isNear(quantile(counts({ 3: 1 }), 1), 0.001)
})

test("a quantile is never over the longest duration, and never below its bucket", () => {
    isNear(quantile(counts({ 9: 10 }), 0.99, 0.06), 0.05 + 0.01 * 0.99)
    isNear(quantile(counts({ 16: 10 }), 0.5, 20), 15)
    isNear(quantile(counts({ 16: 10 }), 0.5), 10)
    isNear(quantile(counts({ 9: 10 }), 0.5, 0.01), 0.05)
})

test("quantiles grow with their part", () => {
    const mixed = counts({ 0: 3, 1: 7, 4: 1, 9: 12, 16: 2 })
    const parts = [0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.99, 1].map(part => Number(quantile(mixed, part, 12)))
    assert.deepEqual(
        parts,
        [...parts].sort((a, b) => a - b)
    )
    assert.equal(parts.at(-1), 12)
})

test("a difference is of calls between two samples; a new beginning has none", () => {
    assert.deepEqual(difference([3, 4], [1, 4]), [2, 0])
    assert.equal(difference([0, 4], [1, 4]), null)
    assert.equal(difference([0, 4], [1]), null)
})
