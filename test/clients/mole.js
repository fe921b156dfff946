// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * node mole.js PORT PREFIX: the suite mole-rpc-autotester, its clients those of mole-rpc over
 * mole-rpc-transport-mqtt in MQTT 5, its server the plugin with the test module mole.c. Ends with 0 if all
 * went well.
 *
 * Two things are not as the suite has them, and both are part of our contract. mole-rpc knows two error codes,
 * -32601 and -32002, and throws a TypeError on all others; so the methods that fail do so with -32002, which
 * it calls EXECUTION_ERROR and the contract `overloaded`. And it takes `data` for the value that was thrown,
 * where ours is the contract's error object; so that is what those rows of the suite's table are told to expect.
 */
const assert = require("assert")
const MQTT = require("async-mqtt")
const MoleClient = require("mole-rpc/MoleClient")
const MoleClientProxified = require("mole-rpc/MoleClientProxified")
const X = require("mole-rpc/X")
const { TransportClient } = require("mole-rpc-transport-mqtt")
const AutoTester = require("mole-rpc-autotester")
const { functionsToExpose, lastResultsStore } = require("mole-rpc-autotester/exposeFunctions/functionsToExpose")
const positiveTestsData = require("mole-rpc-autotester/exposeFunctions/positiveTestsData")
const negativeTestsData = require("mole-rpc-autotester/exposeFunctions/negativeTestsData")

const [port, prefix] = process.argv.slice(2)
const EXECUTION_ERROR = -32002
const EACH_IS_CALLED = 7 // called and notified by both clients, both ways through the proxy, and in the batch

/* The server is there already; that it was given the functions is all there is to see. */
class Server {
    expose(functions) {
        assert.strictEqual(functions, functionsToExpose)
    }

    async run() {}
}

function adoptContract() {
    for (const row of negativeTestsData) {
        if (row.expectedError.code === EXECUTION_ERROR)
            row.expectedError.data = { method: row.callMethod, err: "overloaded", msg: "too much is waiting: try again later" }
    }
}

/* What the suite's functions store when they run in its own process is announced by ours. */
function followResults(mqttClient) {
    const counts = {}
    const head = `${prefix}/event/`
    mqttClient.on("message", (topic, message) => {
        if (!topic.startsWith(head))
            return
        const method = topic.slice(head.length)
        lastResultsStore[method] = JSON.parse(message.toString())
        counts[method] = (counts[method] || 0) + 1
    })
    return counts
}

function makeClient(Client, mqttClient, inTopic) {
    return new Client({
        requestTimeout: 1000, // the suite insists on it
        transport: new TransportClient({ mqttClient, inTopic, outTopic: `${prefix}/jsonrpc` })
    })
}

async function waitFor(condition) {
    const deadline = Date.now() + 60000
    while (!condition()) {
        assert(Date.now() < deadline, "it did not come true in time")
        await new Promise(resolve => setTimeout(resolve, 20))
    }
}

async function main() {
    const mqttClient = await MQTT.connectAsync(`tcp://127.0.0.1:${port}`, { protocolVersion: 5 })
    const counts = followResults(mqttClient)
    await mqttClient.subscribe(`${prefix}/event/#`)
    adoptContract()
    const suite = new AutoTester({
        X,
        server: new Server(),
        simpleClient: makeClient(MoleClient, mqttClient, "reply/mole/1"),
        proxifiedClient: makeClient(MoleClientProxified, mqttClient, "reply/mole/2")
    })
    await suite.runAllTests()
    const expected = Object.fromEntries(positiveTestsData.map(row => [row.callMethod, EACH_IS_CALLED]))
    await waitFor(() => Object.keys(expected).every(method => counts[method] >= EACH_IS_CALLED))
    assert.deepStrictEqual(counts, expected)
    await mqttClient.end()
}

main().then(() => process.exit(0), error => {
    console.error(error)
    process.exit(1)
})
