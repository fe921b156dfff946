/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Calls and their outcomes, what the service is made of, its statistics and health, and addresses. */
import { webcrypto } from "node:crypto"
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import test from "node:test"
import { parse, write } from "../src/base/exact.js"
import { findAddress, socketUrl } from "../src/service/address.js"
import { readDocument } from "../src/service/discovery.js"
import { explain } from "../src/service/explain.js"
import { readHealth } from "../src/service/health.js"
import { Poll } from "../src/service/poll.js"
import { Service, methodOf } from "../src/service/service.js"
import { lateFailure, readCounts } from "../src/service/statistics.js"
import { createBroker, message, packet, pause, until } from "./fake_broker.js"

globalThis.crypto ??= webcrypto // Node.js 18 has it under its own name only

const DOCUMENT = JSON.parse(readFileSync(new URL("../../docs/openrpc.json", import.meta.url), "utf8"))
const TIMES = { quiet: 15000, answer: 10000, retryFirst: 8, retryMax: 60, steady: 200, look: 5000 }

/* A service whose methods are functions here: of the parameters; they return a value, [status, value], or nothing. */
function open(t, methods = {}, behaviour = {}, options = {}) {
    const calls = []
    const WebSocket = createBroker({
        publish(got, socket) {
            const name = got.topic.replace(/^rpc\/(call|batch)\//, ""),
                own = methods[name]
            calls.push({ ...got, name })
            const result = own
                ? own(got.payload ? JSON.parse(got.payload) : undefined, got, socket)
                : name === "rpc.discover"
                  ? DOCUMENT
                  : undefined
            if (result !== undefined)
                setTimeout(() =>
                    Array.isArray(result) && typeof result[0] === "string"
                        ? socket.reply(got, result[1], result[0])
                        : socket.reply(got, result)
                )
            return undefined
        },
        ...behaviour
    })
    const service = new Service({
        address: "ws://broker:9001",
        clientId: "c1",
        user: "anna",
        WebSocket,
        times: TIMES,
        ...options
    })
    t.after(() => service.end())
    return { service, WebSocket, calls }
}

async function ready(t, ...how) {
    const opened = open(t, ...how)
    await until(() => opened.service.connection.get().phase === "ready")
    return { ...opened, socket: opened.WebSocket.last }
}
const catalogued = async opened => {
    await until(() => opened.service.catalogue.get().phase !== "loading")
    return opened.service.catalogue.get()
}

test("a call is a message at QoS 1 with what replies need, and ends with its value", async t => {
    const { service, socket } = await ready(t, { echo: value => value })
    const outcome = await service.call("echo", { a: [1, "ü"] }, { properties: { offline: "queue" } })
    assert.deepEqual(
        [outcome.ok, outcome.value, outcome.text, outcome.bytes],
        [true, { a: [1, "ü"] }, '{"a":[1,"ü"]}', 14]
    )
    const got = socket.of("publish").find(({ topic }) => topic === "rpc/call/echo")
    assert.deepEqual([got.qos, got.payload, got.user], [1, '{"a":[1,"ü"]}', { offline: "queue" }])
    assert.match(got.responseTopic, /^rpc\/reply\/c1\/\d+$/)
    assert.ok(socket.of("subscribe").some(({ filter }) => filter === "rpc/reply/c1/#"))
    assert.equal(got.correlation.length, 16)
})

test("parameters: none, a text as it is, and what is no JSON", async t => {
    const { service, calls } = await ready(t, { x: () => null })
    await service.call("x")
    await service.call("x", undefined, { payload: '{"n":12345678901234567890}' })
    assert.deepEqual(
        calls.filter(({ name }) => name === "x").map(({ payload }) => payload),
        ["", '{"n":12345678901234567890}']
    )
    const circle = {}
    circle.circle = circle
    for (const params of [circle, () => {}, 1n])
        assert.deepEqual((outcome => [outcome.err, outcome.from])(await service.call("x", params)), [
            "bad_params",
            "console"
        ])
})

test("names that no topic can have are refused here, and cost no connection", async t => {
    const { service, calls } = await ready(t)
    for (const name of ["", "a/+/b", "#", "a\0b", "a\nb", "\ud800", "x".repeat(2000), "a/".repeat(150)])
        assert.equal((await service.call(name)).err, "bad_name", JSON.stringify(name).slice(0, 20))
    for (const filter of ["", "a/#/b", "a+", "\0", "a#"])
        assert.equal((await service.watch(filter, () => {}).ready).ok, false, filter)
    assert.deepEqual(
        calls.filter(({ name }) => name !== "rpc.discover"),
        []
    )
})

test("errors of the service, of the broker, and of replies that are none", async t => {
    const opened = await ready(t, {
        bad: () => ["invalid_params", { method: "bad", err: "invalid_params", msg: "sensor_id is required" }],
        odd: () => ["odd_error", "a text"],
        own: () => ["out_of_range", { err: "out_of_range", msg: "", limit: 3 }],
        broken(_, got, socket) {
            setTimeout(() =>
                socket.give(message(got.responseTopic, "{", { props: [[0x09, 0, 16, ...got.correlation]] }))
            )
        }
    })
    const short = ({ ok, err, msg, from }) => [ok, err, msg, from]
    assert.deepEqual(short(await opened.service.call("bad", {})), [
        false,
        "invalid_params",
        "sensor_id is required",
        "service"
    ])
    assert.deepEqual(short(await opened.service.call("odd")), [false, "odd_error", "", "service"])
    assert.equal((await opened.service.call("own")).data.limit, 3)
    assert.deepEqual(short(await opened.service.call("broken")), [
        false,
        "bad_reply",
        "The reply is not JSON, or is nested too deep.",
        "console"
    ])
})

test("a call that the broker's ACL forbids says what the ACL would need", async t => {
    const { service } = await ready(
        t,
        {},
        {
            publish: ({ id, topic }) =>
                topic.endsWith("open") ? packet(0x40, [id >> 8, id & 255, 0x87, 0]) : undefined
        }
    )
    const outcome = await service.call("door/open")
    assert.deepEqual([outcome.err, outcome.from, outcome.data.topic], ["denied", "broker", "rpc/call/door/open"])
    const told = explain(outcome)
    assert.equal(told.text, "The broker does not let the user anna publish to rpc/call/door/open.")
    assert.equal(told.hint, "Its ACL would need: topic write rpc/call/door/open")
})

test("no reply, a call given up, and the broker going away in the middle of a call", async t => {
    const { service, socket, calls } = await ready(t)
    const silent = await service.call("silent", undefined, { timeout: 10 })
    assert.deepEqual([silent.err, silent.from], ["no_reply", "console"])
    assert.match(explain(silent).hint, /topic read rpc\/reply\/c1\/#/)
    assert.deepEqual(calls.at(-1).user, { "timeout-ms": "10" })
    const controller = new AbortController(),
        given = service.call("silent", undefined, { signal: controller.signal })
    controller.abort()
    assert.equal((await given).err, "aborted")
    assert.equal((await service.call("silent", undefined, { signal: controller.signal })).err, "aborted")
    const cut = service.call("silent"),
        batch = service.batch("silent", [1])
    await until(() => calls.length > 3)
    socket.cut()
    assert.deepEqual([(await cut).err, (await cut).data.sent, (await batch).err], ["offline", true, "offline"])
    assert.match((await cut).msg, /not known/)
    assert.equal((await service.call("silent")).data.sent, false)
})

test("replies of other calls, of other pages, and those that come late, are nobody's", async t => {
    const { service, socket, calls } = await ready(t)
    const call = service.call("slow")
    const got = await until(() => calls.find(({ name }) => name === "slow"))
    const forge = correlation =>
        socket.give(message(got.responseTopic, '"forged"', { props: [[0x09, 0, correlation.length, ...correlation]] }))
    forge([])
    forge([...got.correlation.slice(0, 15)])
    forge([1, ...got.correlation.slice(1)].map((byte, at) => (at === 0 ? byte ^ got.correlation[0] ^ 255 : byte)))
    socket.give(message(got.responseTopic, '"forged"'))
    socket.reply(got, "mine")
    socket.reply(got, "again")
    assert.equal((await call).value, "mine")
})

test("interim replies come until the result does", async t => {
    const { service, socket, calls } = await ready(t),
        seen = []
    const call = service.call("slow", undefined, { onProgress: value => seen.push(value) })
    const got = await until(() => calls.find(({ name }) => name === "slow"))
    assert.deepEqual(got.user, { progress: "1" })
    socket.reply(got, { done: 1 }, "progress")
    socket.reply(got, { done: 2 }, "progress")
    socket.reply(got, "end")
    assert.deepEqual([(await call).value, seen], ["end", [{ done: 1 }, { done: 2 }]])
})

test("a batch has an outcome for each call, or one for all", async t => {
    const { service, calls } = await ready(t, {
        one: () => ["ok", [{ result: 1 }, { error: { err: "invalid_params", msg: "no" } }, "odd"]],
        few: () => ["ok", [{ result: 1 }]],
        all: () => ["invalid_request", { err: "invalid_request", msg: "too many" }]
    })
    const outcomes = await service.batch("one", [1, 2, 3])
    assert.equal(calls.at(-1).topic, "rpc/batch/one")
    assert.deepEqual(
        outcomes.map(({ ok, value, err }) => [ok, value ?? err]),
        [
            [true, 1],
            [false, "invalid_params"],
            [false, "bad_reply"]
        ]
    )
    assert.equal((await service.batch("all", [1])).err, "invalid_request")
    assert.equal((await service.batch("few", [1, 2])).err, "bad_reply")
})

test("interim replies, errors and the results of a batch have each number with all of its digits", async t => {
    const exact = (/** @type {string} */ text) => parse(text).value,
        seen = []
    const { service } = await ready(t, {
        count: (_, got, socket) => socket.reply(got, exact('{"n":9007199254740993}'), "progress"),
        fail: () => ["full", exact('{"err":"full","n":9007199254740993}')],
        list: () => ["ok", exact('[{"result":9007199254740993}]')]
    })
    void service.call("count", {}, { onProgress: value => seen.push(write(value)) })
    await until(() => seen.length)
    assert.deepEqual(seen, ['{"n":9007199254740993}'])
    assert.equal(write((await service.call("fail")).data), '{"err":"full","n":9007199254740993}')
    assert.equal((await service.batch("list", [1]))[0].text, "9007199254740993")
})

test("a timeout over what the service takes is cut, and a method's own needs none", async t => {
    const opened = await ready(t, { "device/lamp1/blink": () => 1, echo: () => 1 })
    await catalogued(opened)
    await opened.service.call("echo", 1, { timeout: 3600000 })
    assert.equal(opened.calls.at(-1).user["timeout-ms"], "60000")
    await opened.service.call("device/lamp1/blink", { times: 1 })
    assert.deepEqual(opened.calls.at(-1).user, {})
})

test("the catalogue has methods, events and kinds of devices as the document says", async t => {
    const catalogue = await catalogued(await ready(t)),
        find = name => catalogue.methods.find(method => method.name === name)
    assert.equal(catalogue.methods.length, DOCUMENT.methods.length)
    const update = find("updateSensor")
    assert.deepEqual(
        [update.module, update.payload, update.takesTime, update.timeoutMs, update.isStrict],
        ["sensor", "object", true, 10000, true]
    )
    assert.deepEqual(
        [update.params.required, Object.keys(update.params.properties)],
        [
            ["sensor_id", "value"],
            ["sensor_id", "value", "unit", "time"]
        ]
    )
    assert.equal(update.errors[0].err, "out_of_range")
    assert.deepEqual([find("echo").payload, find("echo").params.description], ["value", "any JSON value"])
    assert.deepEqual(
        [find("ping").takesNothing, find("echo").takesNothing, find("ping").announces.event],
        [true, false, "pong"]
    )
    assert.deepEqual(catalogue.events.find(({ name }) => name === "sensor").filter, "rpc/event/sensor/+")
    assert.deepEqual(
        catalogue.devices.map(({ name, commands }) => [name, commands.length]),
        [["lamp", 3]]
    )
    assert.ok(catalogue.errors.timeout && catalogue.limits.maxBatch)
    assert.equal(methodOf(catalogue, "device/lamp1/light").name, "device/{device}/light")
    assert.equal(methodOf(catalogue, "device/lamp1/other").name, "device/{device}/{command}")
    assert.equal(methodOf(catalogue, "device/lamp1/other/deep").name, "device/{device}/{command}")
    assert.equal(methodOf(catalogue, "nothing"), undefined)
})

test("what a document should not have is left out", () => {
    for (const document of [null, 1, [], {}, { methods: {}, "x-events": 1, "x-devices": [] }])
        assert.deepEqual(readDocument(document).methods, [])
    const { methods, devices } = readDocument({
        methods: [null, {}, { name: "a", params: "x", tags: [1], "x-mqtt": [] }, { name: 7 }],
        "x-devices": { k: null },
        components: { errors: { e: null } }
    })
    assert.deepEqual(
        [methods.map(({ name, params }) => [name, params.properties]), devices],
        [[["a", {}]], [{ name: "k", summary: "", commands: [] }]]
    )
})

test("methods of workers are told apart, and keep their own schema", () => {
    const [method] = readDocument({
        methods: [
            {
                name: "measure",
                tags: [{ name: "declared" }],
                params: [],
                "x-params": { type: "object", minProperties: 1 },
                "x-workers": ["w1"],
                "x-mqtt": { payload: "object" }
            }
        ]
    }).methods
    assert.deepEqual(
        [method.isDeclared, method.workers, method.params.minProperties, method.takesNothing],
        [true, ["w1"], 1, false]
    )
})

test("a service whose document is too large is asked in parts", async t => {
    const names = Array.from({ length: 50 }, (_, at) => `m${at}`),
        sizes = []
    const describe = ({ method }) =>
        method === "m7"
            ? { error: { err: "x" } }
            : {
                  result: method.startsWith("device/")
                      ? { commands: [{ name: method, tags: [{ name: "lamp" }] }], events: [] }
                      : {
                            method: { name: method, "x-mqtt": { readOnly: true } },
                            events: method === "m3" ? [{ name: "e", topic: "rpc/event/e", description: "d" }] : []
                        }
              }
    const opened = await ready(t, {
        "rpc.discover": () => ["reply_too_large", { err: "reply_too_large", msg: "" }],
        "rpc.list": () => ({
            methods: names.map(name => ({ name, doc: `is ${name}` })),
            events: [
                { name: "e", doc: "d" },
                { name: "f", doc: "g" }
            ],
            devices: [{ name: "lamp", doc: "Lamps", commands: [{ name: "light", doc: "l" }] }],
            version: "1"
        }),
        "rpc.describe": list => {
            sizes.push(list.length)
            return list.length > 6 ? ["reply_too_large", { err: "reply_too_large" }] : ["ok", list.map(describe)]
        }
    })
    const catalogue = await catalogued(opened)
    assert.deepEqual([catalogue.phase, catalogue.methods.map(({ name }) => name), sizes[0]], ["ready", names, 20])
    assert.deepEqual([catalogue.methods[7].summary, catalogue.methods[8].readOnly], ["is m7", true])
    assert.deepEqual(
        catalogue.events.map(({ name, topic }) => [name, topic]),
        [
            ["e", "rpc/event/e"],
            ["f", "rpc/event/f"]
        ]
    )
    assert.deepEqual(
        catalogue.devices.map(({ name, commands }) => [name, commands[0].name]),
        [["lamp", "device/{device}/light"]]
    )
})

test("a catalogue that is denied or missing says so, and comes again with the next connection", async t => {
    for (const [answer, phase] of [
        ["method_not_found", "missing"],
        ["internal_error", "failed"]
    ])
        assert.equal(
            (await catalogued(await ready(t, { "rpc.discover": () => [answer, { err: answer }] }))).phase,
            phase
        )
    let isDenied = true
    const opened = await ready(
        t,
        {},
        { publish: ({ id }, socket) => (isDenied ? packet(0x40, [0, id, 0x87, 0]) : void socket) }
    )
    assert.equal((await catalogued(opened)).phase, "denied")
    isDenied = false
    opened.socket.cut()
    await until(() => opened.WebSocket.connections.length > 1 && opened.service.connection.get().phase === "ready")
    await until(() => opened.WebSocket.last.of("publish").length)
    opened.WebSocket.last.reply(opened.WebSocket.last.of("publish")[0], DOCUMENT)
    await until(() => opened.service.catalogue.get().phase === "ready")
})

test("a catalogue that was there stays when it cannot be loaded again", async t => {
    let isWell = true
    const opened = await ready(t, { "rpc.discover": () => (isWell ? DOCUMENT : ["overloaded", { err: "overloaded" }]) })
    await catalogued(opened)
    isWell = false
    await opened.service.reload()
    assert.equal(opened.service.catalogue.get().phase, "ready")
})

const counts = {
    calls: 3,
    errors: { timeout: 1 },
    running: 0,
    waiting: 1,
    sum_s: 1,
    max_s: 1,
    buckets: Array(17).fill(1),
    last_error: null,
    since: 1
}

test("statistics come from the retained messages, what came together as one sample", async t => {
    const { service, socket } = await ready(t),
        stop = service.statistics.samples.subscribe(() => {})
    const { subscription } = await until(() =>
        socket.of("subscribe").find(({ filter }) => filter === "$SYS/broker/rpc/rpc/#")
    )
    const tell = (topic, value) =>
        socket.give(message(`$SYS/broker/rpc/rpc/${topic}`, value, { props: [[0x0b, subscription]], retain: true }))
    tell("calls", "3")
    tell("errors", "1")
    tell("health", '{"ok":true,"problems":[]}')
    tell("method/device/{device}/{command}", JSON.stringify(counts))
    tell("method/broken", "{")
    tell("method/forgotten", JSON.stringify(counts))
    tell("method/forgotten", "")
    tell("method/__proto__", JSON.stringify(counts))
    const { phase, rows, source } = await until(
        () => service.statistics.samples.get().rows.length && service.statistics.samples.get()
    )
    assert.deepEqual([phase, source, rows.length], ["ready", "topics", 1])
    assert.deepEqual(Object.keys(rows[0].methods), ["device/{device}/{command}", "__proto__"])
    assert.deepEqual(rows[0].methods["device/{device}/{command}"], counts)
    stop()
})

test("where nobody may read the retained messages, rpc.stats tells the same", async t => {
    const { service } = await ready(t, { "rpc.stats": () => ({ methods: [{ method: "echo", ...counts }] }) })
    service.statistics.samples.subscribe(() => {})
    const { rows, source } = await until(
        () => service.statistics.samples.get().rows.length && service.statistics.samples.get(),
        8000
    )
    assert.deepEqual([source, rows[0].methods.echo.calls], ["calls", 3])
})

test("counts that are none are 0", () => {
    assert.equal(readCounts(null), undefined)
    const read = readCounts({ calls: "3", errors: { a: "x", b: 2 }, buckets: "no", last_error: 3 })
    assert.deepEqual([read.calls, read.errors, read.buckets.length, read.last_error], [0, { b: 2 }, 17, null])
})

test("what a document of counts may have is bounded", () => {
    const errors = Object.fromEntries(Array.from({ length: 5000 }, (_, at) => [`e${at}`, 1]))
    const read = readCounts({ errors, last_error: { at: 1, err: { toString: 1 }, msg: "x".repeat(1e6) } })
    assert.ok(Object.keys(read.errors).length <= 200)
    assert.deepEqual([read.last_error.err, read.last_error.msg.length], ["", 1000])
})

test("the health is that of the retained message, and unknown when the connection has ended", async t => {
    const { service, socket } = await ready(t)
    const { subscription } = await until(() =>
        socket.of("subscribe").find(({ filter }) => filter === "$SYS/broker/rpc/rpc/health")
    )
    socket.give(
        message("$SYS/broker/rpc/rpc/health", '{"ok":false,"problems":[{"what":"database","text":"t","since":5},3]}', {
            props: [[0x0b, subscription]]
        })
    )
    assert.deepEqual(service.health.get(), {
        ok: false,
        problems: [{ what: "database", text: "t", since: 5 }],
        config: undefined
    })
    socket.cut()
    assert.equal(service.health.get(), null)
    for (const value of [null, 1, {}, { ok: "yes" }]) assert.equal(readHealth(value), null)
})

test("a polled method keeps its value when it fails, and rests when it is denied", async t => {
    let answer = () => ({ n: 1 }),
        asked = 0
    const { service } = await ready(t, { "rpc.workers": () => (asked++, answer()) })
    const poll = new Poll(service, "rpc.workers", undefined, 10),
        stop = poll.start()
    assert.equal(poll.store.get().phase, "loading")
    await until(() => poll.store.get().phase === "ready")
    answer = () => ["overloaded", { err: "overloaded" }]
    await until(() => poll.store.get().outcome?.err === "overloaded")
    assert.deepEqual([poll.store.get().phase, poll.store.get().value], ["ready", { n: 1 }])
    answer = () => ["method_not_found", { err: "method_not_found" }]
    await until(() => poll.store.get().phase === "missing")
    const before = asked
    await pause(60)
    assert.equal(asked, before)
    answer = () => ({ n: 2 })
    poll.reload()
    await until(() => poll.store.get().value?.n === 2)
    stop()
    const after = asked
    await pause(40)
    assert.equal(asked, after)
})

test("a method that discovery does not have is not called, until it is there", async t => {
    let methods = DOCUMENT.methods.filter(({ name }) => name !== "rpc.workers"),
        asked = 0
    const { service } = await ready(t, {
        "rpc.workers": () => ({ n: ++asked }),
        "rpc.discover": () => ({ ...DOCUMENT, methods })
    })
    const poll = new Poll(service, "rpc.workers", undefined, 10),
        stop = poll.start()
    await until(() => poll.store.get().phase === "missing")
    assert.equal(asked, 0)
    methods = DOCUMENT.methods
    void service.reload()
    await until(() => poll.store.get().phase === "ready")
    methods = []
    void service.reload()
    await until(() => poll.store.get().phase === "missing")
    await pause(60) // for a call that was under way
    const before = asked
    await pause(60)
    assert.equal(asked, before)
    stop()
})

test("a method is called where discovery is denied", async t => {
    const { service } = await ready(t, {
        "rpc.workers": () => ({ n: 1 }),
        "rpc.discover": () => ["method_not_found", { err: "method_not_found" }]
    })
    const poll = new Poll(service, "rpc.workers", undefined, 0),
        stop = poll.start()
    await until(() => poll.store.get().value?.n === 1)
    stop()
})

test("discovery that takes long is not waited for", async t => {
    const { service } = await ready(t, { "rpc.workers": () => ({ n: 1 }), "rpc.discover": () => undefined })
    const poll = new Poll(service, "rpc.workers", undefined, 0),
        stop = poll.start()
    await until(() => poll.store.get().value?.n === 1)
    assert.equal(service.catalogue.get().phase, "loading")
    stop()
})

test("every error has words of its own, and the method's come first", () => {
    const catalogue = readDocument(DOCUMENT),
        method = catalogue.methods.find(({ name }) => name === "updateSensor")
    for (const err of [
        ...Object.keys(catalogue.errors),
        "denied",
        "refused",
        "no_reply",
        "offline",
        "bad_reply",
        "too_large",
        "bad_name",
        "bad_params",
        "aborted"
    ]) {
        const told = explain({ ok: false, err, msg: "", data: {}, ms: 1, from: "service" }, method, catalogue)
        assert.ok(told.title && !told.title.includes("The method has failed"), err)
    }
    const told = explain(
        { ok: false, err: "already_stored", msg: "the sensor has it", data: {}, ms: 1, from: "service" },
        method,
        catalogue
    )
    assert.equal(told.title, "The sensor has it")
    assert.match(told.hint, /^already_stored: The sensor has a reading/)
    assert.match(explain({ ok: false, err: "brand_new", msg: "", data: {}, ms: 1, from: "service" }).title, /brand_new/)
})

test("addresses: of the hash, of console.json, of the page, of a file", async () => {
    const find = (url, file) =>
        findAddress(new URL(url), async () => ({
            ok: file !== undefined,
            text: async () => (typeof file === "string" ? file : JSON.stringify(file))
        }))
    const short = async (...how) => (({ address, prefix, isKnown }) => [address, prefix, isKnown])(await find(...how))
    assert.deepEqual(await short("http://h:8080/a/console.html"), ["ws://h:8080/a/", "rpc", true])
    assert.deepEqual(await short("https://h/console.html"), ["wss://h/", "rpc", true])
    assert.deepEqual(await short("http://h/console.html", { ws: ":9001", prefix: "prod/rpc" }), [
        "ws://h:9001/",
        "prod/rpc",
        true
    ])
    assert.deepEqual(await short("https://h/c/console.html", { ws: "mqtt" }), ["wss://h/c/mqtt", "rpc", true])
    assert.deepEqual(await short("http://h/console.html#ws=wss://o:1/x&prefix=p", { ws: ":9001", prefix: "q" }), [
        "wss://o:1/x",
        "p",
        true
    ])
    assert.deepEqual(await short("http://h/console.html?ws=:7#/live"), ["ws://h:7/", "rpc", true])
    assert.deepEqual(await short("http://h/console.html#/methods/a?ws=o:7&params=1"), ["ws://o:7/", "rpc", true])
    assert.deepEqual(await short("file:///tmp/console.html"), ["ws://localhost:9001", "rpc", false])
    assert.deepEqual(await short("file:///tmp/console.html#ws=:9002"), ["ws://localhost:9002/", "rpc", true])
    assert.deepEqual(await short("http://h/console.html", 7), ["ws://h/", "rpc", true])
    const bad = await find("http://h/console.html#ws=javascript:alert(1)")
    assert.deepEqual([bad.isKnown, bad.fault], [false, "javascript:alert(1) is not the address of a WebSocket."])
    assert.match((await find("http://h/console.html", '{"ws": ":9001",}')).fault, /console.json.* is no JSON/)
    assert.deepEqual(await short("http://h/console.html", "<!doctype html><title>Not here</title>"), [
        "ws://h/",
        "rpc",
        true
    ])
    assert.equal(socketUrl("ftp://h", new URL("http://h/")), "")
    assert.deepEqual(
        await findAddress(new URL("http://h/x"), async () => {
            throw new TypeError("no")
        }).then(({ address }) => address),
        "ws://h/"
    )
})

test("a failure is late for ten minutes", () => {
    const methods = { a: readCounts({ last_error: { at: 1000, err: "x" } }), b: readCounts({}) }
    assert.equal(lateFailure(methods, "a", 1599)?.err, "x")
    assert.equal(lateFailure(methods, "a", 1601), undefined)
    for (const name of ["b", "none", "constructor", "__proto__"])
        assert.equal(lateFailure(methods, name, 1001) ?? undefined, undefined)
    assert.equal(
        lateFailure(
            { "rpc.discover": readCounts({ last_error: { at: 1000, err: "reply_too_large" } }) },
            "rpc.discover",
            1001
        ),
        undefined
    )
    assert.equal(lateFailure(undefined, "a", 1001), undefined)
})
