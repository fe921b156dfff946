// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The package mosquitto-rpc: see index.d.ts and README.md. */
import mqttjs from "mqtt"
import { Client, randomHex } from "./client.js"
import { RpcError, localError } from "./error.js"

export { Client, RpcError }

const RECONNECT_PERIOD = 250, RECONNECT_PERIOD_MAX = 30000 // ms
const SESSION_TAKEN_OVER = 0x8e

export async function connect(url, options = {}) {
    if (typeof url === "string" && !/^[a-z]+:\/\//.test(url))
        throw new TypeError(`${url}: it must be a URL, such as mqtt://localhost:1883`) // MQTT.js would take another host
    const { prefix, qos, timeout, maxPending, maxPendingBytes, waitForBroker = false, ...rest } = options
    const settings = { clientId: `rpc-${randomHex(8)}`, protocolVersion: 5, clean: true, resubscribe: false,
                       reconnectPeriod: RECONNECT_PERIOD, ...rest }
    const mqtt = mqttjs.connect(url, settings)
    const isConnected = firstConnection(mqtt, waitForBroker)
    backOff(mqtt, mqtt.options.reconnectPeriod)
    let client
    try {
        client = Client.own(mqtt, { prefix, qos, timeout, maxPending, maxPendingBytes })
        await isConnected
    } catch (error) {
        isConnected.catch(() => {})
        await (client ? client.close() : mqtt.endAsync(true))
        throw error
    }
    mqtt.options.reconnectOnConnackError = true // from now on the broker's mind may change
    return client
}

/* Waits for it; with isPatient only a refusal by the broker is a failure. */
function firstConnection(mqtt, isPatient) {
    return new Promise((resolve, reject) => {
        mqtt.once("connect", () => resolve())
        mqtt.on("error", error => { // stays: MQTT.js would throw errors that nobody listens to
            const isRefusal = typeof error.code === "number"
            const why = error.message || error.code || "for a reason that MQTT.js does not tell"
            if (isRefusal)
                reject(localError("refused", `the broker has refused the connection: ${why}`, "", { cause: error }))
            else if (!isPatient)
                reject(localError("disconnected", `the client cannot connect to the broker: ${why}`, "",
                                  { cause: error }))
        })
        mqtt.on("close", () => {
            if (!isPatient)
                reject(localError("disconnected", "the connection to the broker has ended before it was made"))
        })
    })
}

/* MQTT.js waits as long before every attempt; here each attempt doubles the time. */
function backOff(mqtt, first) {
    const longest = Math.max(first, RECONNECT_PERIOD_MAX)
    const wait = period => {
        mqtt.options.reconnectPeriod = Math.min(period, longest) * (0.75 + Math.random() / 2)
    }
    let period = first
    mqtt.on("connect", () => wait(period = first))
    mqtt.on("reconnect", () => wait(period = Math.min(period * 2, longest)))
    mqtt.on("disconnect", ({ reasonCode }) => {
        if (reasonCode === SESSION_TAKEN_OVER) // another client has this client's id: they would take turns
            wait(longest)
    })
}
