/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The session with a broker: what becomes of it when the broker refuses, is silent, goes away, or sends nonsense. */
import assert from "node:assert/strict"
import test from "node:test"
import { Session } from "../src/mqtt/session.js"
import { connack, createBroker, disconnect, message, packet, pause, until } from "./fake_broker.js"

const TIMES = { quiet: 20000, answer: 10000, retryFirst: 8, retryMax: 60, steady: 200, look: 5 }
const IMPATIENT = { ...TIMES, quiet: 30, answer: 60 } // of tests that end with a silence; a busy machine may make another one
const yes = () => true

function open(t, behaviour, options) {
    const WebSocket = createBroker(behaviour),
        got = [],
        events = []
    const session = new Session({
        url: "ws://broker:9001",
        clientId: "c1",
        WebSocket,
        times: TIMES,
        onMessage: one => got.push(one),
        onReady: () => events.push("ready"),
        onLost: () => events.push("lost"),
        ...options
    })
    t.after(() => session.end())
    return { session, WebSocket, got, events, state: () => session.state.get() }
}

const ready = async how => {
    await until(() => how.session.isReady)
    return how.WebSocket.last
}
const call = (session, topic = "rpc/call/echo", payload = "1") =>
    session.publish({ topic, payload: new TextEncoder().encode(payload) }, yes)
const topics = list => list.map(({ topic }) => topic)

test("the page says who it is, and asks for a session of its own", async t => {
    const how = open(t, {}, { user: "anna", password: "söcret" })
    const socket = await ready(how)
    const [{ level, clientId, name, password, keepalive, packetMax }] = socket.of("connect")
    assert.deepEqual(
        [level, clientId, name, password, keepalive, socket.protocol],
        [5, "c1", "anna", "söcret", 60, "mqtt"]
    )
    assert.ok(packetMax > 16 << 20)
    assert.deepEqual(how.events, ["ready"])
})

test("a broker that refuses is told in a sentence, and not tried again", async t => {
    for (const [code, words] of [
        [0x86, /password is wrong/],
        [0x87, /user anna .*not allowed/s],
        [0x84, /MQTT 3.1.1 only/],
        [0x01, /MQTT 3.1.1 only/],
        [0x85, /client id c1/],
        [0x8a, /banned/],
        [0x9d, /another server/]
    ]) {
        const how = open(t, { connect: () => (code === 1 ? packet(0x20, [0, 1]) : connack(code)) }, { user: "anna" })
        await until(() => how.state().phase === "refused")
        assert.match(how.state().text, words)
        await pause(40)
        assert.equal(how.WebSocket.connections.length, 1)
        assert.deepEqual(how.events, [])
    }
    const nameless = open(t, { connect: () => connack(0x87) })
    await until(() => nameless.state().phase === "refused")
    assert.match(nameless.state().text, /without a user name/)
})

test("a broker that is busy is tried again, ever more rarely", async t => {
    const how = open(t, { connect: () => connack(0x88) }),
        starts = []
    await until(() => {
        starts[how.WebSocket.connections.length - 1] ??= Date.now()
        return starts.length > 5
    })
    const waits = starts.slice(1).map((at, i) => at - starts[i])
    assert.ok(Math.max(...waits.slice(3)) > waits[0], String(waits))
    assert.match(how.session.state.get().text + how.state().text, /busy|Connecting/)
})

test("where nothing listens, the sentence says what to look at", async t => {
    const how = open(t, { isMute: true })
    how.WebSocket.last.cut()
    assert.equal(how.state().phase, "waiting")
    assert.match(how.state().text, /no WebSocket at ws:\/\/broker:9001.*protocol websockets/s)
    assert.ok(how.state().retryAt > Date.now() / 1000 - 1)
    const early = open(t, { connect: () => false })
    await until(() => early.WebSocket.last.of("connect").length)
    early.WebSocket.last.cut(1000)
    assert.match(early.state().text, /before it answered/)
})

test("what is no address is told, and does not throw", t => {
    const how = open(t, {}, { url: "http://x" })
    assert.equal(how.state().phase, "refused")
    assert.match(how.state().text, /not the address/)
})

test("a broker that does not answer is given up, in each phase", async t => {
    const mute = open(t, { isMute: true }, { times: IMPATIENT })
    await until(() => mute.state().phase === "waiting")
    assert.match(mute.state().text, /has not answered within/)
    assert.ok(mute.WebSocket.connections[0].isClosed)
    const silent = open(t, { connect: () => null }, { times: IMPATIENT })
    await until(() => silent.state().phase === "waiting")
    const dead = open(t, { pingreq: () => null }, { times: { ...IMPATIENT, answer: 1000 } })
    await ready(dead)
    await until(() => dead.state().phase === "waiting")
    assert.match(dead.state().text, /has not answered for/)
    assert.deepEqual(dead.events, ["ready", "lost"])
})

test("a quiet broker is asked whether it is there, and is kept", async t => {
    const how = open(t, {}, { times: { ...TIMES, quiet: 30 } }),
        socket = await ready(how)
    await until(() => socket.of("pingreq").length > 2)
    assert.equal(how.WebSocket.connections.length, 1)
})

test("a busy broker is pinged, too, since the keep alive counts what the page sends", async t => {
    const how = open(t, {}, { times: { ...TIMES, quiet: 30 } }),
        socket = await ready(how),
        timer = setInterval(() => socket.give(message("x", "1")), 3)
    t.after(() => clearInterval(timer))
    await until(() => socket.of("pingreq").length > 1)
})

test("the broker's keep alive counts", async t => {
    const how = open(t, { connect: () => connack(0, [[0x13, 0, 1]]) }, { times: { ...TIMES, look: 5000 } })
    const socket = await ready(how)
    await until(() => socket.of("pingreq").length, 2000)
})

test("subscriptions are made again, and say what the broker has answered", async t => {
    const how = open(t, {
            subscribe: ({ filter, id }) => (filter === "secret" ? packet(0x90, [0, id, 0, 0x87]) : undefined)
        }),
        got = []
    const early = how.session.watch("a/#", list => got.push(...list), false)
    const first = await ready(how)
    assert.deepEqual(await early.ready, { ok: true, text: "" })
    const answer = await how.session.watch("secret", () => {}, false).ready
    assert.equal(answer.ok, false)
    assert.match(answer.text, /refuses the subscription to secret: its ACL/)
    const id = first.of("subscribe").find(({ filter }) => filter === "a/#").subscription
    first.give(message("a/1", "one", { props: [[0x0b, id]] }))
    first.cut()
    await until(() => how.WebSocket.connections.length > 1 && how.session.isReady)
    await until(() => how.WebSocket.last.of("subscribe").length === 2)
    how.WebSocket.last.give(message("a/2", "two", { props: [[0x0b, id]] }))
    assert.deepEqual(
        got.map(({ text }) => text),
        ["one", "two"]
    )
    early.stop()
    await until(() => how.WebSocket.last.of("unsubscribe").some(({ filter }) => filter === "a/#"))
})

test("a message reaches each reader once, and a shared filter is given up with its last reader", async t => {
    for (const hasIds of [true, false]) {
        const how = open(t, { connect: () => (hasIds ? undefined : connack(0, [[0x29, 0]])) }),
            seen = { a: 0, b: 0, c: 0 }
        const socket = await ready(how)
        const a = how.session.watch("x/#", () => seen.a++, false),
            b = how.session.watch("x/#", () => seen.b++, false)
        how.session.watch("x/+", () => seen.c++, false)
        await until(() => socket.of("subscribe").length === 3)
        const ids = hasIds ? [...new Set(socket.of("subscribe").map(({ subscription }) => subscription))] : []
        assert.equal(ids.length, hasIds ? 2 : 0)
        if (hasIds)
            // as Mosquitto does for filters that overlap: once for each
            ids.forEach(id => socket.give(message("x/1", "", { props: [[0x0b, id]] })))
        else socket.give(message("x/1", ""))
        assert.deepEqual(seen, { a: 1, b: 1, c: 1 })
        a.stop()
        a.stop()
        await pause(5)
        assert.equal(socket.of("unsubscribe").length, 0)
        b.stop()
        await until(() => socket.of("unsubscribe").length === 1)
    }
})

test("many messages come together, and those over the limit are counted", async t => {
    const how = open(t, {}),
        socket = await ready(how),
        lists = []
    how.session.watch("x", (list, dropped) => lists.push([list.length, dropped]), true)
    await until(() => socket.of("subscribe").length)
    for (let at = 0; at < 25000; at++) socket.give(message("x", "1", { props: [[0x0b, 1]] }))
    await until(() => lists.length)
    assert.deepEqual(lists, [[15000, 10000]])
})

test("a fault of a reader neither ends the connection nor hides the packets behind", async t => {
    const how = open(t, {}),
        socket = await ready(how),
        faults = [],
        got = []
    const listeners = process.listeners("uncaughtException")
    process.removeAllListeners("uncaughtException").on("uncaughtException", fault => faults.push(fault.message))
    t.after(() => listeners.forEach(one => process.on("uncaughtException", one)))
    how.session.watch(
        "x",
        list => {
            got.push(...list)
            throw new Error("mine")
        },
        false
    )
    const one = message("x", "1", { props: [[0x0b, 1]] })
    socket.give(Uint8Array.from([...one, ...one]))
    await until(() => faults.length === 2)
    process.removeAllListeners("uncaughtException")
    assert.deepEqual([faults, got.length, how.session.isReady], [["mine", "mine"], 2, true])
})

test("what is published ends with the broker's answer", async t => {
    const how = open(t, {
        publish: ({ topic, id }) => (topic === "no" ? packet(0x40, [0, id, 0x87, 4, 0x1f, 0, 1, 65]) : undefined)
    })
    await ready(how)
    assert.deepEqual(await call(how.session, "yes"), { ok: true })
    assert.deepEqual(await call(how.session, "no"), { ok: false, why: "refused", code: 0x87, text: "A", sent: true })
})

test("replies at QoS 1 are acknowledged", async t => {
    const how = open(t, {}),
        socket = await ready(how)
    socket.give(message("rpc/reply/c1/1", "{}", { qos: 1, id: 300 }))
    assert.deepEqual(socket.of("puback"), [{ type: "puback", id: 300 }])
    assert.deepEqual(topics(how.got), ["rpc/reply/c1/1"])
})

test("no more is under way than the broker takes, and what nobody wants any more is not sent", async t => {
    const acknowledge = []
    const how = open(t, {
        connect: () => connack(0, [[0x21, 0, 2]]),
        publish: ({ id }, socket) => {
            acknowledge.push(() => socket.give(packet(0x40, [0, id])))
            return null
        }
    })
    const socket = await ready(how),
        wanted = new Set(["a", "b", "c", "d"])
    const send = topic => how.session.publish({ topic, payload: new Uint8Array(0) }, () => wanted.has(topic))
    const all = [send("a"), send("b"), send("c"), send("d")]
    await pause(10)
    assert.deepEqual(topics(socket.of("publish")), ["a", "b"])
    wanted.delete("c")
    await until(() => acknowledge.length === 2)
    acknowledge.shift()()
    assert.deepEqual(await all[0], { ok: true })
    assert.deepEqual(topics(socket.of("publish")), ["a", "b", "d"])
    for (let at = 0; at < 1000; at++) void call(how.session)
    assert.equal((await call(how.session)).why, "overloaded")
})

test("a message over the broker's limit is not sent", async t => {
    const how = open(t, { connect: () => connack(0, [[0x27, 0, 0, 0, 100]]) }),
        socket = await ready(how)
    const result = await call(how.session, "t", "x".repeat(100))
    assert.deepEqual([result.why, result.sent], ["too_large", false])
    assert.match(result.text, /broker takes packets of at most 100/)
    assert.equal(
        (await how.session.publish({ topic: "t", payload: new Uint8Array(0), user: { a: "b".repeat(70000) } }, yes))
            .why,
        "too_large"
    )
    assert.deepEqual(await call(how.session, "t", "x"), { ok: true })
    assert.equal(socket.of("publish").length, 1)
})

test("the broker going away ends what is under way, and says whether it was sent", async t => {
    const how = open(t, { connect: () => connack(0, [[0x21, 0, 1]]), publish: () => null }),
        socket = await ready(how)
    const sent = call(how.session),
        waiting = call(how.session)
    await until(() => socket.of("publish").length)
    socket.cut()
    const results = [await sent, await waiting, await call(how.session)]
    assert.deepEqual(
        results.map(({ why, sent: was }) => [why, was]),
        [
            ["offline", true],
            ["offline", false],
            ["offline", false]
        ]
    )
    assert.deepEqual(how.events, ["ready", "lost"])
})

test("another connection with the same id ends the session for good", async t => {
    const how = open(t, {}),
        socket = await ready(how)
    socket.give(disconnect(0x8e))
    assert.deepEqual([how.state().phase, how.session.isOver], ["ended", true])
    assert.match(how.state().text, /taken over/)
    await pause(40)
    assert.equal(how.WebSocket.connections.length, 1)
})

test("a broker that shuts down is tried again", async t => {
    const how = open(t, {}),
        socket = await ready(how)
    socket.give(disconnect(0x8b))
    assert.deepEqual([how.state().phase, how.state().text], ["waiting", "The broker is shutting down."])
    await until(() => how.WebSocket.connections.length === 2 && how.session.isReady)
})

test("nonsense closes the connection with a sentence, before and after the greeting", async t => {
    const nonsense = [
        ["text", "hello", /text in the place of MQTT/],
        ["kind", packet(0x10, []), /kind 1/],
        ["cut", packet(0x30, [0, 9, 1]), /ends before/],
        ["huge", Uint8Array.from([0x30, 255, 255, 255, 127]), /268,435,455/],
        ["again", connack(), /order/]
    ]
    for (const [name, bytes, words] of nonsense) {
        const how = open(t, {}),
            socket = await ready(how)
        socket.give(bytes)
        assert.equal(how.state().phase, "waiting", name)
        assert.match(how.state().text, words)
        assert.match(how.state().text, /^The console has closed the connection to the broker: it sent /)
        assert.ok(socket.isClosed)
        socket.give(message("late", "1"))
        assert.deepEqual(how.got, [])
    }
    const early = open(t, { connect: () => message("x", "1") })
    await until(() => early.state().phase === "waiting")
    assert.deepEqual(early.got, [])
})

test("a broker that lets the page in and throws it out again is tried ever more rarely", async t => {
    const how = open(t, { subscribe: (_, socket) => socket.give("nonsense") })
    how.session.watch("x", () => {}, false)
    await pause(250)
    assert.ok(how.WebSocket.connections.length < 12, String(how.WebSocket.connections.length))
})

test("what comes after the end is not taken", async t => {
    const how = open(t, {}),
        socket = await ready(how)
    how.session.watch("x", () => how.session.end(), false)
    const one = message("x", "1", { props: [[0x0b, 1]] }),
        other = message("rpc/reply/c1/1", "1")
    socket.give(Uint8Array.from([...one, ...other]))
    assert.deepEqual([how.state().phase, how.got.length, socket.of("disconnect").length], ["ended", 0, 1])
    assert.equal((await call(how.session)).why, "offline")
})

test("retry() connects at once", async t => {
    const how = open(t, {}, { times: { ...TIMES, retryFirst: 60000, retryMax: 60000 } })
    const socket = await ready(how)
    how.session.retry()
    socket.cut()
    how.session.retry()
    how.session.retry()
    await until(() => how.session.isReady)
    assert.equal(how.WebSocket.connections.length, 2)
})
