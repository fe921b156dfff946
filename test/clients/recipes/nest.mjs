// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The NestJS recipe beyond its first call. Writes `cut` where its connection is to be cut. */
import "reflect-metadata"
import assert from "node:assert"
import { Controller, Module } from "@nestjs/common"
import { NestFactory } from "@nestjs/core"
import { EventPattern, Payload, Transport } from "@nestjs/microservices"
import { firstValueFrom, lastValueFrom, timeout } from "rxjs"
import { call, client, serialize, twice } from "./recipe.mjs"
import { checkErrors, checkMany, checkTime, failure, pause } from "./check.mjs"

/* A microservice that receives an event; what decorators do is done by hand. */
async function listen(seen) {
    class Receiver {
        updated(reading) {
            seen.push(reading)
        }
    }
    const updated = Object.getOwnPropertyDescriptor(Receiver.prototype, "updated")
    EventPattern("rpc/event/sensorUpdated")(Receiver.prototype, "updated", updated)
    Payload()(Receiver.prototype, "updated", 0)
    Controller()(Receiver)
    class Application {}
    Module({ controllers: [Receiver] })(Application)
    const service = await NestFactory.createMicroservice(Application, {
        transport: Transport.MQTT, options: { url: client.url }, logger: ["error"]
    })
    await service.listen()
    return service
}

async function checkEvents() {
    const seen = []
    const service = await listen(seen)
    await call("updateSensor", { sensor_id: "a", value: 1 })
    client.emit("rpc/call/updateSensor", { sensor_id: "b", value: 2 })
    while (seen.length < 2)
        await pause(10)
    assert.deepStrictEqual(seen.map((reading) => reading.sensor_id), ["a", "b"])
    await service.close()
}

async function checkNoReply() {
    const impatient = client.send("rpc/call/slow.sleep", { ms: 60000, polite: true }).pipe(timeout(100))
    assert.strictEqual((await failure(firstValueFrom(impatient))).name, "TimeoutError")
    let ended = false
    const call_under_way = firstValueFrom(client.send("rpc/call/slow.sleep", { ms: 60000, polite: true }))
    call_under_way.finally(() => { ended = true }).catch(() => {})
    await call("ping", {})
    console.log("cut")
    await new Promise((resolve) => client.unwrap().once("close", resolve))
    await new Promise((resolve) => client.unwrap().once("connect", resolve))
    await call("ping", {})
    assert(!ended, "NestJS ended the call itself")
}

async function checkQos() {
    const record = twice({ sensor_id: "c", value: 3 })
    assert.strictEqual(record.options.qos, 2)
    assert.strictEqual(serialize({ data: record, id: "x" }), '{"sensor_id":"c","value":3,"request_id":"x"}')
    assert.strictEqual(serialize({ data: { on: true }, id: "x" }), '{"on":true,"request_id":"x"}')
    client.serializer = { serialize }
    assert.deepStrictEqual(await call("updateSensor", record), { sensor_id: "c", value: 3, ok: true })
}

assert((await lastValueFrom(client.send("rpc/call/ping", {}).pipe(timeout(15000)))).ok, "one value, then the end")
await checkMany(call, 1000)
await checkErrors(call)
await checkTime(call)
await checkEvents()
await checkNoReply()
await checkQos()
await checkMany((method, params) => call(method, twice(params)), 200)
await client.close()
console.log("all is well")
process.exit()
