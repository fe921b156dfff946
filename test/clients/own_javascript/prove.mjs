// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* node prove.mjs URL VERSION QOS: a client for cutter.py, see Program there. Connects when the first line comes. */
import { createInterface } from "node:readline"
import { connect } from "mosquitto-rpc"

const [url, version, qos] = process.argv.slice(2)
const client = await connect(url, { protocolVersion: Number(version), qos: Number(qos), timeout: 60000,
                                    reconnectPeriod: 20 })

async function answer(line) {
    const [word, method, params] = line.split(" ")
    if (word === "pending")
        return `pending ${client.pending}`
    try {
        return `result ${JSON.stringify(await client.call(method, JSON.parse(params)))}`
    } catch (error) {
        return `error ${error.err} ${error.message}`
    }
}

for await (const line of createInterface({ input: process.stdin }))
    console.log(await answer(line))
await client.close()
