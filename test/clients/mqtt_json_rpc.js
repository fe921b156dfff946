// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * node mqtt_json_rpc.js PORT PREFIX VERSION: the npm package mqtt-json-rpc as its users use it, against the
 * plugin with the test modules. Ends with 0 if all went well.
 */
const assert = require("assert")
const MQTT = require("mqtt")
const RPC = require("mqtt-json-rpc")

const [port, prefix, version] = process.argv.slice(2)
const method = name => `${prefix}/call/${name}`

function connect() {
    return new Promise((resolve, reject) => {
        const mqtt = MQTT.connect(`mqtt://127.0.0.1:${port}`, { protocolVersion: Number(version) })
        mqtt.once("connect", () => resolve(mqtt))
        mqtt.once("error", reject)
    })
}

/* The error that a call fails with. */
function failure(promise) {
    return promise.then(result => assert.fail(`it came to ${JSON.stringify(result)}`), error => error)
}

async function results(rpc) {
    for (const value of ["hello", 42, -1.5e300, true, null, [], [1, [2]], { a: { b: "ü€😀" } }, "", "\u0001\\\"/"])
        assert.deepStrictEqual(await rpc.call(method("echo"), value), value)
    const fields = await rpc.call(method("probe.fields"), "eight", true, -100, 2 ** 53)
    assert.deepStrictEqual([fields.text, fields.on, fields.small, fields.large], ["eight", true, -100, 2 ** 53])
    assert.strictEqual(fields.colour, "green", "a default")
    assert.strictEqual((await rpc.call(method("probe/deep/name"))).method, "probe/deep/name")
    assert.strictEqual((await rpc.call(method("probe.big"), 60000)).text.length, 60000)
}

async function errors(rpc) {
    for (const [promise, code, err] of [
        [rpc.call(method("no.such.method"), 1), -32601, "method_not_found"],
        [rpc.call(method("probe.fields"), 1), -32602, "invalid_params"],
        [rpc.call(method("probe.fields")), -32602, "invalid_params"],
        [rpc.call(method("echo"), 1, 2), -32602, "invalid_params"],
        [rpc.call(method("probe.fail")), -32603, "internal_error"],
        [rpc.call(method("probe.raise"), "probe_plain", "as told"), -32010, "probe_plain"],
        [rpc.call(method("probe.big"), 140000), -32005, "reply_too_large"]
    ]) {
        const error = await failure(promise)
        assert.strictEqual(error.code, code)
        assert.strictEqual(error.data.err, err)
        assert.strictEqual(error.message, error.data.msg)
    }
    const raised = await failure(rpc.call(method("probe.raise"), "probe_trouble", "twice", true))
    assert.deepStrictEqual(raised.data, { method: "probe.raise", err: "probe_trouble", msg: "twice",
                                          detail: "the \"probe\"", number: 42 })
}

/* In MQTT 5 the broker allows 20 under way at once, which this client does not heed. */
async function atOnce(rpc) {
    const numbers = [...Array(version === "5" ? 20 : 100).keys()]
    const calls = numbers.map(number => rpc.call(method(number % 2 ? "echo" : "probe.value"), number))
    assert.deepStrictEqual(await Promise.all(calls), numbers.map(number => number % 2 ? number : number + 1))
}

async function notifications(rpc) {
    const before = (await rpc.call(method("probe.runs"))).runs
    rpc.notify(method("probe.count"))
    rpc.notify(method("probe.count"), "parameters that it does not take")
    rpc.notify(method("probe.count"))
    assert.strictEqual((await rpc.call(method("probe.runs"))).runs, before + 2)
}

/* Two clients that call the same at the same time get each its own. */
async function sideBySide(one, other) {
    const [mine, yours] = await Promise.all([one, other].map(rpc => rpc.call(method("probe.caller"))))
    assert.strictEqual(mine.id, one.mqtt.options.clientId)
    assert.strictEqual(yours.id, other.mqtt.options.clientId)
    assert.strictEqual(mine.version, Number(version))
}

async function main() {
    const one = new RPC(await connect())
    const other = new RPC(await connect())
    await results(one)
    await errors(one)
    await atOnce(one)
    await notifications(one)
    await sideBySide(one, other)
    await atOnce(other)
    one.end()
    other.end()
    console.log("all is well")
}

main().then(() => process.exit(0), error => {
    console.error(error)
    process.exit(1)
})
