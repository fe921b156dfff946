/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Runs of commands: how many are kept, and that those that are forgotten wait for nothing. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { startRun } from "../src/rooms/devices/runs.js"
import { write } from "../src/base/exact.js"
import { createStore } from "../src/base/store.js"

const ORDER = { command: "light", payload: "", options: { offline: "queue", ttl: "", timeout: "" } }
const stateOf = () =>
    /** @type {any} */ ({ runs: createStore(new Map()), presence: { list: createStore({ value: [] }) } })

/** The outcome of a call of which this is the reply. @param {string} text */
const outcomeOf = text => ({ ok: true, value: JSON.parse(text), text, ms: 1 })

test("so many runs are kept, and no event is waited for of the others", async () => {
    let watches = 0
    const service = {
        prefix: "rpc",
        call: async () => outcomeOf('{"queued":true,"id":"1"}'),
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
    const state = stateOf()
    for (let at = 0; at < 30; at++) await startRun(service, state, { key: `device/d${at}`, devices: [`d${at}`] }, ORDER)
    assert.equal(state.runs.get().size, 20)
    assert.ok(!state.runs.get().has("device/d9") && state.runs.get().has("device/d10"))
    assert.equal(watches, 20)
    await startRun(service, state, { key: "device/d29", devices: ["d29"] }, ORDER)
    assert.deepEqual([state.runs.get().size, watches], [20, 20])
})

test("verdicts of a group and of single calls have each number with all of its digits", async () => {
    const replies = /** @type {Record<string, string>} */ ({
        "devices/hall/light":
            '{"total":1,"ok":1,"results":[{"device":"a","status":"ok","result":{"n":9007199254740993}}]}',
        "device/a/light": '{"n":9007199254740993}'
    })
    const service = {
        prefix: "rpc",
        call: async (/** @type {string} */ name) => outcomeOf(replies[name]),
        watchBatches: () => ({ stop() {} })
    }
    for (const group of ["hall", undefined]) {
        const state = stateOf()
        await startRun(service, state, { key: "k", group, devices: ["a"] }, ORDER)
        assert.equal(write(state.runs.get().get("k").verdicts.get("a").value), '{"n":9007199254740993}', group)
    }
})
