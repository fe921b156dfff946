/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Runs of commands: how many are kept, and that those that are forgotten wait for nothing. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { startRun } from "../src/rooms/devices/runs.js"
import { createStore } from "../src/base/store.js"

test("so many runs are kept, and no event is waited for of the others", async () => {
    let watches = 0
    const service = {
        prefix: "rpc",
        call: async () => ({ ok: true, value: { queued: true, id: "1" }, ms: 1 }),
        watchBatches() {
            watches++
            let isOpen = true
            return {
                stop: () => {
                    watches -= Number(isOpen)
                    isOpen = false
                }
            }
        }
    }
    const state = /** @type {any} */ ({ runs: createStore(new Map()), presence: { list: createStore({ value: [] }) } })
    const order = { command: "light", payload: "", options: { offline: "queue", ttl: "", timeout: "" } }
    for (let at = 0; at < 30; at++) await startRun(service, state, { key: `device/d${at}`, devices: [`d${at}`] }, order)
    assert.equal(state.runs.get().size, 20)
    assert.ok(!state.runs.get().has("device/d9") && state.runs.get().has("device/d10"))
    assert.equal(watches, 20)
    await startRun(service, state, { key: "device/d29", devices: ["d29"] }, order)
    assert.deepEqual([state.runs.get().size, watches], [20, 20])
})
