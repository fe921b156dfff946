// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What a page does with the package: run() throws unless all is well. It uses nothing of Node.js. cut() ends its
 * connections.
 */
import { RpcError, connect } from "mosquitto-rpc"

function equal(actual, expected) {
    if (JSON.stringify(actual) !== JSON.stringify(expected))
        throw new Error(`${JSON.stringify(actual)} is not ${JSON.stringify(expected)}`)
}

async function calls(client) {
    equal(await client.call("echo", { text: "ü€😀" }), { text: "ü€😀" })
    equal(await client.call("probe.bytes", new Uint8Array([0, 255, 10])), { size: 3 })
    equal((await client.call("probe.caller")).id, client.clientId)
    const error = await client.call("probe.fields", {}).catch(reason => reason)
    equal([error instanceof RpcError, error.err], [true, "invalid_params"])
    const signal = AbortSignal.timeout(20)
    const aborted = await client.call("slow.sleep", { ms: 5000 }, { signal }).catch(reason => reason)
    equal(aborted.name, "TimeoutError")
}

async function events(client) {
    const stream = client.events("probeCounted")
    await stream.ready
    const { runs } = await client.call("probe.count")
    for await (const { data } of stream) {
        equal(data, { runs })
        break
    }
}

async function cuts(client, cut) {
    let { runs } = await client.call("probe.runs")
    for (let round = 0; round < 3; round++) {
        const counted = Array.from({ length: 30 }, () => client.call("probe.count", {}, { timeout: 60000 }))
        await cut()
        equal((await Promise.all(counted)).map(result => result.runs), counted.map(() => ++runs))
    }
}

export async function run(url, cut, options) {
    const client = await connect(url, { reconnectPeriod: 20, ...options })
    await calls(client)
    await events(client)
    await cuts(client, cut)
    equal(client.pending, 0)
    await client.close()
    const failed = await connect(url.replace(/:\d+/, ":1"), options).catch(error => error)
    equal(failed.err, "disconnected")
    return "all is well"
}
