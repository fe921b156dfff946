/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Stores: subscribers hear of changes, all those of one moment together. */
import assert from "node:assert/strict"
import test from "node:test"
import { createStore } from "../src/base/store.js"

const wait = () => new Promise(done => setTimeout(done, 20))

test("a value is there at once, its subscribers hear of it later and once", async () => {
    const store = createStore(0),
        seen = []
    store.subscribe(() => seen.push(store.get()))
    for (let value = 1; value <= 1000; value++) store.set(value)
    assert.equal(store.get(), 1000)
    assert.deepEqual(seen, [])
    await wait()
    assert.deepEqual(seen, [1000])
})

test("the same value is no change", async () => {
    const value = { a: 1 },
        store = createStore(value)
    let count = 0
    store.subscribe(() => count++)
    store.set(value)
    store.update(same => same)
    await wait()
    assert.equal(count, 0)
    store.update(({ a }) => ({ a }))
    await wait()
    assert.equal(count, 1)
})

test("who has stopped hears nothing more, not even of a change before", async () => {
    const store = createStore(0)
    let count = 0
    const stop = store.subscribe(() => count++)
    store.set(1)
    stop()
    stop()
    await wait()
    assert.equal(count, 0)
})

test("one function may subscribe twice, and stop once", async () => {
    const store = createStore(0)
    let count = 0
    const tell = () => count++
    const stop = store.subscribe(tell)
    store.subscribe(tell)
    stop()
    store.set(1)
    await wait()
    assert.equal(count, 1)
})

test("a subscriber may set a value and stop others", async () => {
    const store = createStore(0),
        seen = []
    let stop = () => {}
    store.subscribe(() => {
        seen.push(store.get())
        stop()
        if (store.get() < 3) store.set(store.get() + 1)
    })
    stop = store.subscribe(() => seen.push("other"))
    store.set(1)
    await wait()
    await wait()
    assert.deepEqual(seen, [1, 2, 3])
})

test("a subscriber's fault keeps nothing from the others", async context => {
    const store = createStore(0),
        other = createStore(0)
    const said = context.mock.method(console, "error", () => {})
    let count = 0
    store.subscribe(() => {
        throw new Error("a fault")
    })
    store.subscribe(() => count++)
    other.subscribe(() => count++)
    store.set(1)
    other.set(1)
    await wait()
    assert.equal(count, 2)
    assert.equal(said.mock.calls[0]?.arguments[0].message, "a fault")
})
