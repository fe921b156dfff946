/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
import assert from "node:assert/strict"
import test from "node:test"
import { NO_FILTER, isErrorText, matches, splitTopic } from "../src/rooms/live/events.js"
import { createStore } from "../src/base/store.js"
import { Feed, ROWS } from "../src/rooms/live/feed.js"
import { numberAt, numbersIn, pathText, schemaAt } from "../src/rooms/live/numbers.js"
import { KEYS, Series } from "../src/rooms/live/series.js"
import { createState } from "../src/rooms/live/state.js"

/** A feed with a clock of its own, and a function that sends it an event. */
function createProbe() {
    let now = 1e12
    const feed = new Feed("rpc", () => now)
    /** @param {string} name @param {string} [text] */
    const send = (name, text = "{}") =>
        feed.take({
            topic: `rpc/event/${name}`,
            text,
            bytes: text.length,
            retained: false,
            properties: {},
            at: now / 1000
        })
    /** @param {number} ms */
    const pass = ms => {
        now += ms
    }
    return { feed, send, pass }
}

test("the last level of a topic is the key, unless the event is declared with it", () => {
    const declared = new Set(["sensor", "device/command"])
    assert.deepEqual(splitTopic("pong", declared), { event: "pong", key: "" })
    assert.deepEqual(splitTopic("sensor/s1", declared), { event: "sensor", key: "s1" })
    assert.deepEqual(splitTopic("device/command", declared), { event: "device/command", key: "" })
    assert.deepEqual(splitTopic("a/b/c", new Set()), { event: "a/b", key: "c" })
})

test("an error is an object with a code", () => {
    assert.ok(isErrorText('{"method":"x","err":"timeout"}'))
    for (const text of ["", "{}", '"err"', '{"err":null}', '{"err":{}}', '["err"]', '{"a":{"err":"x"}}', '{"err":"x"'])
        assert.ok(!isErrorText(text), text)
})

test("a filter looks at the event, the key, the payload and whether it is an error", () => {
    const row = { n: 1, at: 0, topic: "", event: "sensor", key: "North1", text: '{"V":21}', bytes: 8 }
    const full = { ...row, retained: false, properties: {}, isError: false }
    for (const filter of [{}, { event: "sensor" }, { key: "north" }, { text: '"v":2' }])
        assert.ok(matches({ ...NO_FILTER, ...filter }, full), JSON.stringify(filter))
    for (const filter of [{ event: "sens" }, { key: "south" }, { text: "22" }, { errors: true }])
        assert.ok(!matches({ ...NO_FILTER, ...filter }, full), JSON.stringify(filter))
})

test("the newest rows are kept, the newest first", () => {
    const { feed, send, pass } = createProbe()
    for (let each = 0; each < ROWS + 10; each++) {
        send("pong", String(each))
        pass(100)
    }
    assert.equal(feed.rows().length, ROWS)
    assert.equal(feed.rows()[0].text, String(ROWS + 9))
    assert.equal(feed.total, ROWS + 10)
})

test("of a flood some rows are kept, evenly, and it says how many", () => {
    const { feed, send, pass } = createProbe()
    for (let each = 0; each < 30000; each++) {
        send(`load/${each % 7}`, String(each))
        pass(0.125)
    }
    const { came, kept } = feed.rate()
    assert.equal(came, 8000)
    assert.ok(kept >= 40 && kept <= 50, String(kept))
    assert.equal(new Set(feed.rows().map(row => row.key)).size, 7)
    const numbers = feed
        .rows()
        .map(row => Number(row.text))
        .filter(each => each >= 16000)
    for (let each = 1; each < numbers.length; each++) assert.ok(numbers[each - 1] - numbers[each] <= 400)
})

test("a flood hides neither rare events, nor errors, nor what a filter looks for", () => {
    const { feed, send, pass } = createProbe()
    feed.setFilter({ ...NO_FILTER, text: "needle" })
    for (let each = 0; each < 20000; each++) {
        send("load", each === 15000 ? '"needle"' : each === 16001 ? '{"err":"broken"}' : "{}")
        if (each === 15001) send("rare")
        pass(0.125)
    }
    assert.deepEqual(
        feed.rows().map(row => row.text),
        ['"needle"']
    )
    feed.setFilter(NO_FILTER)
    assert.equal(feed.rows().filter(row => row.event === "rare" || row.isError).length, 2)
    assert.ok(!feed.rows().some(row => row.text === '"needle"'))
})

test("another filter keeps what matched the one before", () => {
    const { feed, send, pass } = createProbe()
    feed.setFilter({ ...NO_FILTER, event: "rare" })
    send("rare", '{"v":1}')
    send("rare", '{"v":2}')
    for (let each = 0; each < 20000; each++) {
        send("load")
        pass(5)
    }
    feed.setFilter({ ...NO_FILTER, event: "rare", text: "2" })
    assert.deepEqual(
        feed.rows().map(row => row.text),
        ['{"v":2}']
    )
})

test("memory is bounded whatever comes", () => {
    const { feed, send, pass } = createProbe()
    feed.setFilter({ ...NO_FILTER, text: "x" })
    const large = "x".repeat(100000)
    for (let each = 0; each < 3000; each++) {
        send(`event${each}/key`, large)
        pass(20)
    }
    assert.ok(feed.bytes <= 8e6, String(feed.bytes))
    assert.ok(feed.seen().size <= 200)
    feed.clear()
    assert.deepEqual([feed.bytes, feed.rows().length, feed.seen().size], [0, 0, 0])
})

test("numbers are found however deep, and bounded", () => {
    const value = { a: 1, b: { c: [2, { d: 3 }], e: "4", f: null }, g: true }
    assert.deepEqual(
        numbersIn(value).map(({ path }) => pathText(path)),
        ["a", "b.c[0]", "b.c[1].d"]
    )
    assert.deepEqual(
        numbersIn(5).map(({ path }) => pathText(path)),
        ["value"]
    )
    assert.ok(numbersIn(Array.from({ length: 10000 }, (_, each) => each)).length <= 50)
    let deep = /** @type {any} */ (1)
    for (let each = 0; each < 5000; each++) deep = { deep }
    assert.deepEqual(numbersIn(deep), [])
    assert.equal(numberAt(value, ["b", "c", 1, "d"]), 3)
    for (const path of [["b"], ["b", "e"], ["x", "y"], ["b", "f", "x"], ["constructor", "length"], ["g"]])
        assert.equal(numberAt(value, path), undefined)
})

test("a schema tells of a member behind references and choices", () => {
    /** @type {Record<string, any>} */
    const schemas = { "#/P": { properties: { x: { type: "number", "x-unit": "m" } } } }
    const schema = { properties: { position: { $ref: "#/P" }, list: { items: { anyOf: [{}, { $ref: "#/P" }] } } } }
    const resolve = (/** @type {any} */ part) => (part?.$ref ? schemas[part.$ref] : part)
    assert.equal(schemaAt(schema, ["position", "x"], resolve)["x-unit"], "m")
    assert.equal(schemaAt(schema, ["list", 3, "x"], resolve)["x-unit"], "m")
    assert.equal(schemaAt(schema, ["position", "z"], resolve), null)
})

/** @param {string} key @param {number} at @param {string} text */
const rowOf = (key, at, text) => ({
    n: 0,
    at,
    topic: "",
    event: "sensor",
    key,
    text,
    bytes: 0,
    retained: false,
    properties: {},
    isError: false
})

test("a series has so many keys, that of its own among them, and the rest is told", () => {
    const series = new Series("sensor", ["v"], "mine")
    for (let each = 0; each < KEYS + 3; each++) series.take(rowOf(`key${each}`, each, `{"v":${each}}`))
    series.take(rowOf("mine", 50, '{"v":7}'))
    series.take({ ...rowOf("mine", 60, '{"v":8}'), event: "other" })
    for (const text of ["", "{}", '{"v":"8"}', "null"]) series.take(rowOf("mine", 70, text))
    assert.equal(series.keys.length, KEYS)
    assert.ok(series.hasMore)
    const [times, mine, first] = series.data()
    assert.deepEqual(times, [0, 1, 2, 3, 4, 5, 6, 50])
    assert.deepEqual(mine, [null, null, null, null, null, null, null, 7])
    assert.equal(first[0], 0)
})

test("a series keeps the whole time in bounded memory", () => {
    const series = new Series("sensor", [], "")
    for (let each = 0; each < 100000; each++) series.take(rowOf("", each / 10, "1"))
    const [times] = series.data()
    assert.ok(series.size <= 600 && series.size >= 200, String(series.size))
    assert.ok(times[0] !== null && times[0] < 60)
    assert.ok(Number(times.at(-1)) > 9900)
})

/** The state of the room with a service that sends what the test says. */
function createRoom() {
    let take = (/** @type {any} */ _) => {}
    const catalogue = createStore(/** @type {any} */ ({ phase: "loading", methods: [], events: [], document: {} }))
    const service = {
        prefix: "rpc",
        catalogue,
        watch(/** @type {string} */ filter, /** @type {any} */ reader) {
            assert.equal(filter, "rpc/event/#")
            take = reader
            return { ready: Promise.resolve({ ok: true, text: "" }), stop() {} }
        }
    }
    const state = createState(/** @type {any} */ (service))
    state.start()
    state.start()
    let at = 1000
    const send = (/** @type {string} */ name, text = "{}") =>
        take({ topic: `rpc/event/${name}`, text, bytes: text.length, retained: false, properties: {}, at: (at += 1) })
    return { state, send, catalogue }
}

test("held rows do not move, and what comes meanwhile is counted", () => {
    const { state, send } = createRoom()
    send("a")
    state.hold(true)
    send("a")
    send("b")
    const { hold } = state.view.get()
    assert.deepEqual(
        hold?.rows.map(row => row.event),
        ["a"]
    )
    assert.equal(state.feed.total - Number(hold?.total), 2)
    state.setFilter({ event: "b" })
    assert.deepEqual(
        state.view.get().hold?.rows.map(row => row.event),
        ["b"]
    )
    state.release()
    assert.deepEqual(
        state.feed.rows().map(row => row.event),
        ["b"]
    )
})

test("scrolling does not end a pause, and clearing leaves it", () => {
    const { state, send } = createRoom()
    send("a")
    state.hold(false)
    assert.equal(state.view.get().hold?.isPaused, false)
    state.hold(true)
    state.hold(false)
    assert.equal(state.view.get().hold?.isPaused, true)
    state.clear()
    send("a")
    assert.deepEqual([state.view.get().hold?.rows, state.feed.total], [[], 1])
})

test("a number that is drawn begins with what is there, and goes on whatever the filter", () => {
    const { state, send, catalogue } = createRoom()
    catalogue.set({ ...catalogue.get(), events: [{ name: "device/state" }] })
    send("sensor/s1", '{"v":1}')
    send("sensor/s2", '{"v":2}')
    state.setFilter({ event: "other" })
    state.draw({ ...state.feed.all()[1] }, ["v"])
    send("sensor/s2", '{"v":3}')
    assert.deepEqual(state.series.get()?.data(), [
        [1001, 1002, 1003],
        [null, 2, 3],
        [1, null, null]
    ])
    state.undraw()
    assert.equal(state.series.get(), null)
})
