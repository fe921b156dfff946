// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The AWS recipe beyond its first call. Writes `cut` where its connection is to be cut. */
import assert from "node:assert"
import { once } from "node:events"
import { io, mqtt, mqtt5, mqtt_request_response } from "aws-crt"
import { call, client, connection } from "./recipe.mjs"
import { checkErrors, checkMany, checkTime, failure } from "./check.mjs"

const port = Number(process.argv[2])

/* Whether the broker takes a user name and a password. */
async function isAccepted(disableMetrics) {
    const connectProperties = { clientId: "a", username: "user", password: "password", keepAliveIntervalSeconds: 60 }
    const other = new mqtt5.Mqtt5Client({ hostName: "127.0.0.1", port, disableMetrics, connectProperties })
    const ended = Promise.race([once(other, "connectionSuccess").then(() => true),
                                once(other, "connectionFailure").then(() => false)])
    other.start()
    const result = await ended
    other.stop()
    return result
}

async function checkUsers() {
    assert(await isAccepted(true))
    assert(!await isAccepted(false), "the SDK leaves the user name alone by now")
}

async function checkEvents() {
    const stream = client.createStream({ subscriptionTopicFilter: "rpc/event/sensorUpdated" })
    const established = once(stream, "subscriptionStatus")
    const arrived = once(stream, "incomingPublish")
    stream.open()
    await established
    await call("updateSensor", { sensor_id: "a", value: 1 })
    const [{ payload }] = await arrived
    assert.strictEqual(JSON.parse(new TextDecoder().decode(payload)).sensor_id, "a")
    stream.close()
}

async function checkManyMethods() {
    const methods = ["ping", "rpc.list", "slow.stats", "probe.runs", "probe.options", "relay.stats", "probe/deep/name"]
    await Promise.all(methods.map((method) => call(method, {})))
}

async function checkNoReply() {
    const pending = failure(call("slow.sleep", { ms: 60000, polite: true, timeout_ms: 60000 }))
    await call("ping", {})
    const again = once(connection, "connectionSuccess")
    console.log("cut")
    await again
    await call("ping", {})
    const broken = await pending
    assert.match(String(broken), /AWS_ERROR_MQTT_REQUEST_RESPONSE_/)
}

/* The same over MQTT 3.1.1. */
async function checkOldProtocol() {
    const old = new mqtt.MqttClient().new_connection({
        client_id: "old", host_name: "127.0.0.1", port, clean_session: true, keep_alive: 60,
        socket_options: new io.SocketOptions(), disable_metrics: true
    })
    await old.connect()
    const oldClient = mqtt_request_response.RequestResponseClient.newFromMqtt311(old,
        { maxRequestResponseSubscriptions: 2, maxStreamingSubscriptions: 2, operationTimeoutInSeconds: 15 })
    const reply = await oldClient.submitRequest({
        publishTopic: "rpc/call/probe.value", payload: new TextEncoder().encode('{"request_id":"a token"}'),
        correlationToken: "a token",
        responsePaths: [{ topic: "rpc/call/probe.value/response/a token", correlationTokenJsonPath: "request_id" }],
        subscriptionTopicFilters: ["rpc/call/+/response/+"]
    })
    assert.strictEqual(JSON.parse(new TextDecoder().decode(reply.payload)).error.err, "invalid_params")
    oldClient.close()
    await old.disconnect()
}

await checkMany(call, 1000)
await checkErrors(call)
await checkTime(call)
await checkEvents()
await checkManyMethods()
await checkOldProtocol()
await checkUsers()
await checkNoReply()
console.log("all is well")
process.exit()
