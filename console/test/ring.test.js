/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
import assert from "node:assert/strict"
import test from "node:test"
import { Ring } from "../src/base/ring.js"

test("a ring keeps the newest things", () => {
    const ring = new Ring(3)
    for (let each = 0; each < 1000; each++) {
        ring.push(each)
        assert.equal(ring.newest(), each)
        assert.equal(ring.size, Math.min(each + 1, 3))
    }
    assert.deepEqual(ring.list(), [997, 998, 999])
})

test("a ring keeps no more bytes than it may", () => {
    const ring = new Ring(1000, 100)
    for (let each = 0; each < 50; each++) ring.push(each, 30)
    assert.deepEqual(ring.list(), [47, 48, 49])
    assert.equal(ring.bytes, 90)
    ring.push(50, 5000)
    assert.deepEqual(ring.list(), [50])
    ring.push(51, 1)
    assert.deepEqual(ring.list(), [51])
    assert.equal(ring.bytes, 1)
})

test("a cleared ring is empty and goes on", () => {
    const ring = new Ring(2, 10)
    for (let each = 0; each < 7; each++) ring.push(each, 4)
    ring.clear()
    assert.deepEqual([ring.size, ring.bytes, ring.newest(), ring.list()], [0, 0, undefined, []])
    ring.push(8, 4)
    assert.deepEqual(ring.list(), [8])
})
