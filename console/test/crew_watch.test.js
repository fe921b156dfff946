/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The catalogue follows workers that come and go, and is not asked for while nothing changes. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { createStore } from "../src/base/store.js"
import { CrewWatch } from "../src/service/crew_watch.js"
import { pause, until } from "./fake_broker.js"

const PERIOD = 20
const LISTING = { name: "rpc.workers", workers: [] }
const declared = (/** @type {string[]} */ ...workers) => ({ name: "text.count", isDeclared: true, workers })

function open(t, methods) {
    const service = /** @type {any} */ ({
        connection: createStore({ phase: "ready" }),
        catalogue: createStore({ phase: "ready", methods: [LISTING, ...methods] }),
        statistics: { samples: createStore({ rows: [] }) },
        count: 1,
        calls: [],
        reloads: 0,
        call: async (method, params) => (
            service.calls.push([method, params]),
            { ok: true, value: { count: service.count, workers: [] }, text: "", ms: 1 }
        ),
        reload: () => void service.reloads++
    })
    const sample = counts =>
        service.statistics.samples.set({
            rows: [{ methods: Object.fromEntries(Object.entries(counts).map(([name, calls]) => [name, { calls }])) }]
        })
    const watch = new CrewWatch(service, PERIOD),
        stop = watch.start()
    t.after(stop)
    return { service, sample, watch, stop }
}

test("a worker that comes or leaves is seen in the statistics, without a call", async t => {
    const { service, sample } = open(t, [])
    for (const counts of [{ "rpc.attach": 1 }, { "rpc.attach": 1, ping: 9 }]) {
        sample(counts)
        await pause(PERIOD)
        assert.equal(service.reloads, 0)
    }
    sample({ "rpc.attach": 1, "rpc.detach": 1 })
    await until(() => service.reloads === 1)
    await pause(PERIOD * 3)
    assert.deepEqual(service.calls, [])
})

test("a worker that breaks off is missed where workers are known", async t => {
    const { service } = open(t, [declared("w1")])
    await until(() => service.calls.length > 2)
    assert.deepEqual([service.calls[0], service.reloads], [["rpc.workers", { limit: 1 }], 0])
    service.count = 0
    await until(() => service.reloads === 1)
    const { length } = service.calls
    await until(() => service.calls.length > length + 2)
    assert.equal(service.reloads, 1)
})

test("what a worker has left is asked for until it is forgotten", async t => {
    const { service } = open(t, [declared()])
    await until(() => service.reloads > 2)
    service.catalogue.set({ phase: "ready", methods: [LISTING] })
    const { reloads } = service
    await pause(PERIOD * 4)
    assert.ok(service.reloads <= reloads + 1, `${service.reloads} of ${reloads}`)
    assert.ok(service.calls.length > 2)
})

test("what has happened while no room looked is seen when one does", async t => {
    const { service, sample, watch, stop } = open(t, [declared("w1")])
    sample({ "rpc.attach": 1 })
    await pause(PERIOD)
    stop()
    const { length } = service.calls
    sample({ "rpc.attach": 2 })
    await pause(PERIOD * 3)
    assert.deepEqual([service.reloads, service.calls.length], [0, length])
    t.after(watch.start())
    await until(() => service.reloads === 1)
})
