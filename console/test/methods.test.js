/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The state of the room Methods, with all methods of docs/openrpc.json, as the console reads them. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { createStore } from "../src/base/store.js"
import {
    commandOf,
    createState,
    faultsOf,
    fromHex,
    lookUp,
    makeBatch,
    makeCall,
    modelOfMethod,
    newPage,
    pretty,
    propertiesOf,
    remember,
    shownFaults,
    withDraft,
    withText
} from "../src/rooms/methods/state.js"
import { write } from "../src/base/exact.js"
import { sample } from "../src/schema/sample.js"
import { readDocument } from "../src/service/discovery.js"
import { document } from "./catalogue.js"

const catalogue = readDocument(document)
const all = [...catalogue.methods, ...catalogue.devices.flatMap(kind => kind.commands)]
const pageOf = name => {
    const { method, levels } = lookUp(catalogue, name)
    return newPage(modelOfMethod(catalogue, commandOf(catalogue, method, levels)), levels)
}

/* A service that keeps what it is asked, and gives the answers in turn. */
function fakeService(...answers) {
    const asked = []
    const answer = (...call) => (
        asked.push(call),
        Promise.resolve(answers.shift() ?? { ok: true, value: 1, text: "1", ms: 1, bytes: 1 })
    )
    return { asked, call: answer, batch: answer, address: "ws://broker.example:9001", prefix: "rpc", user: "" }
}

test("the form and the JSON of every method stay in step", () => {
    for (const method of all) {
        const model = modelOfMethod(catalogue, method),
            empty = newPage(model, {})
        const text = write(sample(model), "  "),
            filled = withText(empty, text)
        assert.equal(filled.misfit + filled.why, "", method.name)
        assert.deepEqual([...faultsOf(filled)], [], method.name)
        assert.deepEqual(JSON.parse(withDraft(filled, filled.draft).text || "{}"), JSON.parse(text), method.name)
        assert.deepEqual([...shownFaults(empty)], [], `${method.name}: an untouched form has no errors`)
    }
})

test("what is missing is told when a call was tried, what is wrong at once, what the service says at its field", () => {
    const page = pageOf("updateSensor")
    assert.deepEqual(Object.fromEntries(shownFaults({ ...page, isAsked: true })), {
        sensor_id: "is required",
        value: "is required"
    })
    assert.deepEqual(Object.fromEntries(shownFaults(withText(page, '{"unit":"C","more":1}'))), {
        more: "is not declared"
    })
    assert.deepEqual(
        Object.fromEntries(
            shownFaults({ ...withText(page, '{"sensor_id":"a","value":1}'), refused: { value: "is too warm" } })
        ),
        { value: "is too warm" }
    )
    assert.equal(withText({ ...page, refused: { value: "x" } }, "{}").refused.value, undefined)
})

test("JSON that is none, or that the form cannot show, stays as it is and says so", () => {
    const page = pageOf("updateSensor")
    const broken = withText(page, '{"sensor_id":')
    assert.ok(broken.why && broken.text === '{"sensor_id":' && broken.draft === page.draft)
    assert.equal(withText(page, '{"sensor_id":3}').misfit, "sensor_id must be text of 1 to 64 characters")
    assert.equal(withText(page, "[]").misfit, "the whole must be an object")
    assert.equal(withText(broken, "{}").why, "")
    assert.equal(pretty('{"n":9007199254740993}'), '{\n  "n": 9007199254740993\n}')
    assert.equal(pretty("{"), "{")
})

test("a command has the parameters of its kind; of an unknown one any JSON, or none", () => {
    assert.equal(pageOf("device/lamp1/light").model.members()[0].name, "on")
    assert.equal(pageOf("devices/hall/light").model.members()[0].name, "on")
    assert.equal(pageOf("device/{device}/light").model.members()[0].name, "on")
    assert.deepEqual(lookUp(catalogue, "device/{device}/light").levels, { device: "" })
    const other = pageOf("device/lamp1/dance")
    assert.equal(other.model.kind, "json")
    assert.deepEqual([other.text, [...faultsOf(other)].length], ["", 0])
    const two = {
        devices: ["lamp", "fan"].map(name => ({ name, commands: [{ name: "device/{device}/on", of: name }] }))
    }
    const family = { name: "device/{device}/{command}" }
    assert.equal(commandOf(two, family, { command: "on" }), family)
    assert.equal(commandOf(two, family, { command: "on" }, "fan").of, "fan")
})

test("a call sends the text as it stands, and a failed one is told at its field and kept", async () => {
    const service = fakeService({
        ok: false,
        from: "service",
        err: "invalid_params",
        msg: "brightness: 9007199254740993 is outside 0..100",
        data: {},
        ms: 3
    })
    const state = createState(service),
        text = '{ "on": true, "brightness": 9007199254740993 }'
    const { method, levels } = lookUp(catalogue, "device/lamp1/light")
    const store = createStore({
        ...withText(pageOf("device/lamp1/light"), text),
        levels,
        options: { timeout: "500", offline: "queue", ttl: "60000", stale: "", want: "" }
    })
    assert.equal(service.asked.length, 0)
    await makeCall(state, service, store, method)
    const [[name, params, options]] = service.asked
    assert.deepEqual([name, params, options.payload, options.timeout], ["device/lamp1/light", undefined, text, 500])
    assert.deepEqual(options.properties, { offline: "queue", "ttl-ms": "60000" })
    assert.deepEqual(
        [store.get().busy, store.get().refused],
        [null, { brightness: "9007199254740993 is outside 0..100" }]
    )
    assert.equal(state.history.get()[0].method, "device/lamp1/light")
    assert.deepEqual(state.history.get()[0].options, store.get().options)
})

test("a method that the broker denies is marked, until a call goes through", async () => {
    const service = fakeService(
        { ok: false, from: "broker", err: "denied", msg: "", data: {}, ms: 1 },
        { ok: false, from: "console", err: "no_reply", msg: "", data: {}, ms: 1 }
    )
    const state = createState(service),
        { method } = lookUp(catalogue, "ping"),
        store = createStore(pageOf("ping"))
    await makeCall(state, service, store, method)
    assert.ok(state.denied.get().has("ping"))
    await makeCall(state, service, store, method)
    assert.ok(state.denied.get().has("ping"))
    await makeCall(state, service, store, method)
    assert.ok(!state.denied.get().has("ping"))
})

test("a batch is sent as it was written", async () => {
    const service = fakeService([{ ok: true, value: 1, text: "1", ms: 1, bytes: 1 }]),
        state = createState(service)
    const { method } = lookUp(catalogue, "echo"),
        store = createStore({ ...pageOf("echo"), batch: "[9007199254740993]" })
    await makeBatch(service, store, method)
    assert.equal(service.asked[0][2].payload, "[9007199254740993]")
    assert.equal(service.asked[0][1].length, 1)
    assert.equal(store.get().outcomes.length, 1)
})

test("fifty calls are kept, also where there is no storage", () => {
    const state = createState(fakeService())
    for (let at = 0; at < 60; at++)
        remember(state, { method: "ping", text: "", isHex: false, options: {}, at, err: "", ms: 1 })
    assert.deepEqual([state.history.get().length, state.history.get()[0].at], [50, 59])
})

test("bytes are text or pairs of hexadecimal digits", () => {
    const model = modelOfMethod(catalogue, { ...catalogue.methods[0], payload: "bytes", params: {} }),
        page = newPage(model, {})
    assert.deepEqual(withText(page, "{ no JSON").why, "")
    assert.deepEqual([...faultsOf(withText(page, "{ no JSON"))], [])
    assert.equal(faultsOf({ ...page, text: "0g", isHex: true }).size, 1)
    assert.deepEqual([...fromHex("00 fF\n10")], [0, 255, 16])
    assert.equal(fromHex("123"), undefined)
    assert.deepEqual(propertiesOf({ timeout: "1", offline: "", ttl: "2", stale: "", want: "all" }), [
        ["ttl-ms", "2"],
        ["want", "all"]
    ])
})

test("what a worker declares is read by its own schema, whatever that is", () => {
    const declared = params =>
        readDocument({
            methods: [
                { name: "mix", tags: [{ name: "declared" }], "x-params": params, "x-mqtt": { payload: "object" } }
            ]
        })
    const tree = declared({
        type: "object",
        properties: { color: { $ref: "#/$defs/color" } },
        required: ["color"],
        $defs: { color: { enum: ["red", 7, null] } }
    })
    const model = modelOfMethod(tree, tree.methods[0]),
        page = newPage(model, {})
    assert.deepEqual([model.members()[0].choices, model.members()[0].nullable], [["red", 7], true])
    assert.equal(withText(page, '{"color":7}').misfit, "")
    assert.equal(withText(page, '{"color":"blue"}').misfit, 'color must be one of "red", 7, or null')
    for (const params of [
        {},
        true,
        { oneOf: [] },
        { properties: 3 },
        { type: "object", properties: { a: false, __proto__: 1 } },
        { required: 3, properties: { a: {} } }
    ]) {
        const catalogue = declared(params),
            node = modelOfMethod(catalogue, catalogue.methods[0])
        assert.equal(withText(newPage(node, {}), '{"a":1}').text, '{"a":1}')
        assert.ok(faultsOf(withText(newPage(node, {}), '{"a":1}')))
    }
})
