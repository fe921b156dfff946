// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What the scripts beside share: each gives its `call(method, params)`, which fails with the plugin's error. */
import assert from "node:assert"

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/* The error that a call fails with. */
export const failure = (promise) =>
    promise.then((result) => assert.fail(`it came to ${JSON.stringify(result)}`), (error) => error)

/* Many calls at once get each its own result, also when another one fails. */
export async function checkMany(call, count) {
    const asked = [...Array(count).keys()]
    const found = await Promise.all(asked.map((large) => large % 10 === 3
        ? failure(call("probe.fields", { text: "x", on: true, small: 10000, large }))
        : call("probe.fields", { text: "x", on: true, small: 1, large })))
    for (const [large, result] of found.entries()) {
        if (large % 10 === 3)
            assert.strictEqual(result.err, "invalid_params", `of ${large}`)
        else
            assert.strictEqual(result.large, large)
    }
}

export async function checkErrors(call) {
    const raised = await failure(call("probe.raise", { code: "probe_trouble", text: "twice", with_data: true }))
    assert.strictEqual(raised.err, "probe_trouble")
    assert.strictEqual(raised.number, 42, "a member that the handler gave")
    assert.strictEqual((await failure(call("no.such.method", {}))).err, "method_not_found")
    assert.strictEqual((await failure(call("probe.big", { size: 140000 }))).err, "reply_too_large")
    assert.strictEqual((await failure(call("echo", { text: "x".repeat(70000) }))).err, "payload_too_large")
    assert.strictEqual((await call("probe.big", { size: 60000 })).text.length, 60000)
}

/* A call that takes time, and the plugin's deadline, which comes before the client's. */
export async function checkTime(call) {
    await call("slow.sleep", { ms: 300 })
    const late = await failure(call("slow.sleep", { ms: 60000, polite: true, timeout_ms: 200 }))
    assert.strictEqual(late.err, "timeout")
}
