/* What a program does with the generated client: every kind of call, error and event, and the types of all. PORT */
import assert from "node:assert/strict"
import { RpcError, connect } from "mosquitto-rpc"
import { Home, isDeviceUnknownError, isUnknownSensorError } from "./home.js"
import type { LampBlinkProgress } from "./home.js"

async function failure(call: Promise<unknown>): Promise<unknown> {
    return call.then(() => assert.fail("the call should fail"), (error: unknown) => error)
}

async function useSensors(home: Home): Promise<void> {
    const events = home.sensorEvents("roof")
    await events.ready
    const stored = await home.updateSensor({ sensor_id: "roof", value: 21.5, unit: "C" }, { timeout: 20000 })
    assert.equal(stored.ok, true)
    const event = await events.next()
    assert.equal(event.value?.data?.value, 21.5)
    await events.return()
    const reading = await home.getSensor({ sensor_id: "roof" })
    assert.deepEqual([reading.sensor_id, reading.value, reading.unit], ["roof", 21.5, "C"])
    const unknown = await failure(home.getSensor({ sensor_id: "cellar" }))
    assert.ok(isUnknownSensorError(unknown) && unknown.data.method === "getSensor")
    assert.ok(!isUnknownSensorError(new Error("unknown_sensor")))
    const page = await home.listSensors()
    assert.deepEqual(page.sensors.map(sensor => sensor.sensor_id), ["roof"])
    // @ts-expect-error: there is no unit X
    const refused = await failure(home.updateSensor({ sensor_id: "roof", value: 1, unit: "X" }))
    assert.ok(refused instanceof RpcError && refused.err === "invalid_params")
}

async function useLamp(home: Home): Promise<void> {
    const said: LampBlinkProgress[] = []
    const lamp = home.lamp("lamp1")
    assert.deepEqual(await lamp.light({ on: true, brightness: 30 }), { on: true, brightness: 30 })
    const blinked = await lamp.blink({ times: 2, interval: 20 }, { progress: step => said.push(step) })
    assert.equal(blinked.times, 2)
    assert.deepEqual(said, [{ done: 1, times: 2 }])
    const error = await failure(home.lamp("nobody").getStatus())
    assert.ok(isDeviceUnknownError(error) && error.data.device === "nobody")
}

async function useShapes(home: Home): Promise<void> {
    assert.deepEqual(await home.echo([1, "two", null]), [1, "two", null])
    assert.equal((await home.probeBytes(new Uint8Array([0, 1, 2]))).size, 3)
    assert.equal((await home.roomBoxBoxSize("attic", "b1", new Uint8Array(5))).bytes, 5)
    assert.equal((await home.shapesValue([{ number: 7 }, {}]))[0]?.number, 7)
    const full = await home.shapesNull({ truth: true, small: -3, large: null, text: "abc", size: "\"huge\"",
                                         any: { a: 1 }, inner: { number: null }, list: ["small"], inners: [{}] })
    assert.deepEqual([full.small, full.large, full.size, full.list], [-3, null, "\"huge\"", ["small"]])
    for (const level of ["", "a/b", "+", "#"])
        assert.throws(() => home.roomBoxBoxSize("attic", level, new Uint8Array()), TypeError)
}

/* Errors of types, which tsc must find: it complains about each mark that has none. */
export async function misuse(home: Home): Promise<void> {
    // @ts-expect-error
    await home.updateSensor({ sensor_id: "roof" })
    // @ts-expect-error
    await home.updateSensor({ sensor_id: "roof", value: "warm" })
    // @ts-expect-error
    await home.updateSensor({ sensor_id: "roof", value: 1, colour: "red" })
    // @ts-expect-error
    await home.updateSensors({})
    // @ts-expect-error
    const warm: string = (await home.getSensor({ sensor_id: "roof" })).value
    // @ts-expect-error
    await home.lamp("lamp1").light({ on: "on" })
    // @ts-expect-error
    await home.lamp("lamp1").blink({ times: 1 }, { progress: step => step.undone })
    for await (const event of home.sensorEvents()) {
        // @ts-expect-error
        console.log(event.data.value, warm)
    }
}

const client = await connect(`mqtt://127.0.0.1:${process.argv[2]}`)
const home = new Home(client)
assert.ok((await home.rpcList()).methods.some(entry => entry.name === "echo"))
await useSensors(home)
await useLamp(home)
await useShapes(home)
await client.close()
console.log("all is well")
