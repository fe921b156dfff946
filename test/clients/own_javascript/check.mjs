// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * node check.mjs CHECK URL VERSION: one of the functions at the end, against the plugin with the test modules. Whatever
 * it needs of its surroundings it asks for: it writes a line `ask WORD`, and goes on when a line comes. It must end by
 * itself: nothing is left behind that keeps node running.
 */
import assert from "node:assert"
import { getEventListeners } from "node:events"
import { createServer } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import packets from "mqtt-packet"
import mqttjs from "mqtt"
import { Client, RpcError, connect } from "mosquitto-rpc"

const [name, url, versionText] = process.argv.slice(2)
const version = Number(versionText)
const five = version === 5
const fast = { protocolVersion: version, reconnectPeriod: 20 }

function ask(word) {
    return new Promise(resolve => {
        console.log(`ask ${word}`)
        process.stdin.resume().once("data", () => resolve(process.stdin.pause().unref()))
    })
}

async function until(condition) {
    while (!await condition())
        await sleep(10)
}

/* The error that a call fails with. */
async function failure(promise, err) {
    const error = await promise.then(result => assert.fail(`it came to ${JSON.stringify(result)}`), error => error)
    if (err) {
        assert(error instanceof RpcError, error)
        assert.strictEqual(error.err, err, error.message)
    }
    return error
}

async function take(stream, count) {
    const events = []
    while (events.length < count)
        events.push((await stream.next()).value)
    return events
}

/* Something like a broker, which refuses subscriptions and does with a call what the check wants. */
async function withFakeBroker(onCall, run) {
    const server = createServer(socket => {
        const send = packet => socket.write(packets.generate(packet, { protocolVersion: version }))
        const parser = packets.parser({ protocolVersion: version })
        socket.on("data", data => parser.parse(data)).on("error", () => {})
        parser.on("packet", packet => {
            const { cmd, messageId } = packet
            if (cmd === "connect")
                send({ cmd: "connack", returnCode: 0, reasonCode: 0, sessionPresent: false })
            if (cmd === "subscribe")
                send({ cmd: "suback", messageId, granted: [five ? 0x87 : 0x80], reasonCode: 0 })
            if (cmd === "publish") {
                send({ cmd: "puback", messageId, reasonCode: 0 })
                onCall(packet, send)
            }
        })
    })
    await new Promise(resolve => server.listen(0, "127.0.0.1", resolve))
    const client = await connect(`mqtt://127.0.0.1:${server.address().port}`, fast)
    await run(client)
    await client.close()
    await new Promise(resolve => server.close(resolve))
}

const open = options => connect(url, { ...fast, ...options })

async function withClient(run, options) {
    const client = await open(options)
    await run(client)
    assert.strictEqual(client.pending, 0)
    await client.close()
}

const checks = {
    async values(client) {
        for (const value of [{ a: { b: "ü€😀" } }, { "": [1.5, null, true, "\u0001\\\"/"] }, {}])
            assert.deepStrictEqual(await client.call("echo", value), value)
        assert.deepStrictEqual(await client.call("echo"), {})
        assert.strictEqual((await client.call("probe/deep/name")).method, "probe/deep/name")
        assert.strictEqual((await client.call("probe.big", { size: 60000 })).text.length, 60000)
        const fields = { text: "eight", on: true, small: -100, large: 2 ** 53 }
        assert.deepStrictEqual(await client.call("probe.fields", fields), { ...fields, colour: "green", count: 7 })
        const { id, version: spoken } = await client.call("probe.caller")
        assert.strictEqual(id, client.clientId)
        assert.strictEqual(spoken, version)
        assert.match(id, /^rpc-[0-9a-f]{16}$/)
        if (!five)
            return
        for (const value of [42, -1.5e300, "hello", true, null, [], [1, [2]]])
            assert.deepStrictEqual(await client.call("echo", value), value)
        assert.deepStrictEqual(await client.call("probe.bytes", new Uint8Array([0, 255, 10])), { size: 3 })
    },

    async errors(client) {
        const wrong = [["no.such.method", {}, "method_not_found"], ["probe.fields", {}, "invalid_params"],
                       ["probe.fail", {}, "internal_error"], ["probe.big", { size: 140000 }, "reply_too_large"],
                       ["echo", { text: "x".repeat(70000) }, "payload_too_large"]]
        for (const [method, params, err] of wrong) {
            const error = await failure(client.call(method, params), err)
            assert.strictEqual(error.method, method)
            assert.strictEqual(error.data.msg, error.msg)
            assert.strictEqual(error.message, `${err}: ${error.msg}`)
            assert.strictEqual(error.name, "RpcError")
        }
        const raising = { code: "probe_trouble", text: "twice", with_data: true }
        const error = await failure(client.call("probe.raise", raising), "probe_trouble")
        assert.deepStrictEqual(error.data, { method: "probe.raise", err: "probe_trouble", msg: "twice",
                                             detail: 'the "probe"', number: 42 })
        assert(await failure(client.call("slow.sleep", { ms: 5000 }, { timeout: 50 }), "timeout"))
    },

    /* What is wrong before anything is sent is said by a TypeError or a RangeError, and leaves nothing. */
    async arguments(client) {
        for (const method of ["", "a/+", "#", "a\0b", "a/", "\ud800", "line\n", undefined, 7, "x".repeat(2000),
                              "a/".repeat(150) + "a"])
            assert((await failure(client.call(method))) instanceof TypeError, method)
        for (const timeout of [0, -1, NaN, Infinity, "5", 2 ** 31])
            assert((await failure(client.call("echo", {}, { timeout }))) instanceof RangeError, String(timeout))
        for (const params of [() => 1, 1n, Symbol("x"), { value: NaN }, { of: [{ value: -Infinity }] }])
            assert((await failure(client.call("echo", params))) instanceof TypeError)
        for (const params of five ? [] : [1, "x", null, [], { request_id: 1 }])
            assert((await failure(client.call("echo", params))) instanceof TypeError)
        for (const option of [{ traceparent: "a\0b" }, { tracestate: "\u00e9" }, { traceparent: "x".repeat(2000) }])
            assert((await failure(client.call("echo", {}, option))) instanceof TypeError)
        for (const batch of [{}, undefined, "text", [{ value: NaN }]])
            assert((await failure(client.callBatch("echo", batch))) instanceof TypeError)
        for (const level of ["", "a/b", "+", "#", undefined]) {
            assert.throws(() => client.device(level), TypeError)
            assert.throws(() => client.group(level), TypeError)
        }
        for (const filter of ["", "a#", "#/a", "a+/b", "\u0000", undefined])
            assert.throws(() => client.events(filter), TypeError)
        assert.throws(() => new Client(client.mqtt, { prefix: "a/#" }), TypeError)
        assert.throws(() => new Client(client.mqtt, { qos: 3 }), RangeError)
        await assert.rejects(open({ clientId: "a/b" }), TypeError)
        assert.deepStrictEqual(await client.call("echo", { still: "there" }), { still: "there" })
    },

    async concurrency(client) {
        const other = await open()
        const numbers = [...Array(500).keys()]
        const calls = numbers.map(number => (number % 3 ? client : other).call("echo", { number }))
        assert.strictEqual(client.pending + other.pending, 500)
        const unacknowledged = Object.values(client.mqtt.outgoing).filter(({ volatile }) => !volatile).length
        assert(!five || unacknowledged === 20, "more than the broker takes at once")
        const results = await Promise.all(calls)
        assert.deepStrictEqual(results.map(result => result.number), numbers)
        const slow = client.call("slow.sleep", { ms: 300 }), quick = client.call("echo", {})
        assert.strictEqual(await Promise.race([slow.then(() => "slow"), quick.then(() => "quick")]), "quick")
        await slow
        await other.close()
    },

    async cancellation(client) {
        const never = new AbortController(), reason = new Error("not wanted any more")
        const calls = [...Array(20).keys()].map(() => client.call("slow.wait", { name: "n" }, { signal: never.signal }))
        assert.strictEqual(getEventListeners(never.signal, "abort").length, 20)
        never.abort(reason)
        for (const call of calls)
            assert.strictEqual(await failure(call), reason)
        assert.strictEqual(getEventListeners(never.signal, "abort").length, 0)
        assert.strictEqual(await failure(client.call("echo", {}, { signal: never.signal })), reason)
        assert.strictEqual(await failure(client.call("echo", {}, { signal: AbortSignal.abort(reason) })), reason)
        assert.strictEqual(client.pending, 0)
        await client.call("slow.tell", { name: "n", text: "now" }) // the replies come late, and are nobody's
        const done = new AbortController()
        await client.call("echo", {}, { signal: done.signal })
        assert.strictEqual(getEventListeners(done.signal, "abort").length, 0)
        const stream = client.events("nothing", { signal: done.signal })
        const reading = failure(stream.next())
        done.abort(reason)
        assert.strictEqual(await reading, reason)
        assert.deepStrictEqual(await stream.next(), { value: undefined, done: true })
        await until(() => Object.keys(client.mqtt.outgoing).length === 0)
    },

    async limits() {
        const client = await open({ maxPending: 3, maxPendingBytes: 500 })
        const calls = [1, 2, 3].map(() => client.call("slow.sleep", { ms: 200 }))
        assert.match((await failure(client.call("echo"), "overloaded")).msg, /maxPending/)
        await Promise.all(calls)
        const large = client.call("echo", { text: "x".repeat(500) })
        assert.match((await failure(large, "overloaded")).msg, /maxPendingBytes/)
        assert.deepStrictEqual(await client.call("echo", {}), {})
        await client.close()
    },

    async progress(client) {
        const told = []
        const call = client.call("relay/box1/hold", { text: "x" }, { progress: value => told.push(value) })
        for (let done = 1; done <= 3; done++)
            await client.call("relay.step", { box: "box1", done })
        await client.call("relay.end", { box: "box1" })
        assert.strictEqual((await call).box, "box1")
        assert.deepStrictEqual(told.map(value => value.done), five ? [1, 2, 3] : [])
    },

    async batch(client) {
        const items = await client.callBatch("probe.fields", [{ text: "a" }, {}, { text: 1 }, { text: "b" }])
        assert.deepStrictEqual(items.map(item => item.result?.text ?? item.error.err),
                               ["a", "invalid_params", "invalid_params", "b"])
        assert(items[1].error instanceof RpcError && items[1].error.method === "probe.fields")
        assert.deepStrictEqual(await client.callBatch("echo", []), [])
        assert.deepStrictEqual(await client.callBatch("echo", [{}, undefined]), [{ result: {} }, { result: {} }])
        await failure(client.callBatch("echo", Array(101).fill({})), "invalid_request")
        await failure(client.callBatch("no.such", [{}]), "method_not_found")
    },

    async events(client) {
        const one = client.events("probeCounted"), two = client.events("probeCounted"), all = client.events("#")
        await Promise.all([one.ready, two.ready, all.ready])
        for (let run = 1; run <= 3; run++)
            assert.deepStrictEqual(await client.call("probe.count"), { runs: run })
        for (const stream of five ? [one, two, all] : [one, two]) {
            const got = await take(stream, 3)
            assert.deepStrictEqual(got.map(event => event.data.runs), [1, 2, 3])
            assert.deepStrictEqual(got[0], { event: "probeCounted", key: undefined, data: { runs: 1 }, gone: false,
                                             topic: "rpc/event/probeCounted", retained: false, traceparent: undefined })
        }
        await all.return()
        await one.return() // the subscription is still needed
        await client.call("probe.count")
        for await (const { data } of two) {
            assert.strictEqual(data.runs, 4)
            break // the last one: it ends
        }
        assert.deepStrictEqual(await two.next(), { value: undefined, done: true })
        const again = client.events("probeCounted")
        await again.ready
        await client.call("probe.count")
        assert.strictEqual((await again.next()).value.data.runs, 5)
        await client.call("probe.announce", { text: "stays" })
        const retained = client.events("probe/last")
        assert.deepStrictEqual((await retained.next()).value.retained, true)
        const closed = client.events("probeNamed"), reading = closed.next()
        await client.close()
        assert.deepStrictEqual(await reading, { value: undefined, done: true })
        assert.throws(() => client.events("probeNamed"), { err: "closed" })
    },

    async bounded(client) {
        const stream = client.events("probeCounted", { limit: 5 })
        await stream.ready
        for (let run = 0; run < 20; run++)
            await client.call("probe.count")
        const seen = client.events("probeCounted")
        await seen.ready
        await client.call("probe.count")
        await seen.next()
        assert.strictEqual(stream.dropped, 16)
        assert.deepStrictEqual((await take(stream, 5)).map(event => event.data.runs), [17, 18, 19, 20, 21])
    },

    async keyed(client) {
        const one = client.events("gate/north"), all = client.events("gate"), any = five && client.events("+/south")
        await Promise.all([one.ready, all.ready, any.ready])
        for (const gate of ["north", "south", "a/b"])
            await client.call("setGate", { gate, open: true })
        await client.call("removeGate", { gate: "north" })
        if (five) {
            const seen = await take(all, 4)
            assert.deepStrictEqual(seen.map(event => [event.event, event.key, event.data?.gate, event.gone]),
                                   [["gate", "north", "north", false], ["gate", "south", "south", false],
                                    ["gate", undefined, "a/b", false], ["gate", "north", undefined, true]])
            const [{ event, key }] = await take(any, 1)
            assert.deepStrictEqual([event, key], ["gate/south", undefined])
            assert.deepStrictEqual((await take(one, 2)).map(event => event.gone), [false, true])
        }
        const late = client.events("gate") // though somebody has them already, it gets what is retained
        assert.deepStrictEqual((await take(late, 1)).map(({ key, retained }) => [key, retained]), [["south", true]])
        await Promise.all([one, all, late].map(stream => stream.return()))
        await until(() => Object.keys(client.mqtt.outgoing).length === 0)
    },

    /* Over one connection of the program's own, which stays. */
    async shared() {
        const settings = { protocolVersion: version, clientId: "program", resubscribe: false }
        const mqtt = await mqttjs.connectAsync(url, settings)
        const own = []
        mqtt.on("message", topic => own.push(topic))
        await mqtt.subscribeAsync("mine/#")
        const client = new Client(mqtt), second = new Client(mqtt, { prefix: "site/two" })
        const stream = client.events("probeCounted"), other = second.events("probeCounted")
        await Promise.all([stream.ready, other.ready])
        await mqtt.publishAsync("mine/1", "x", { qos: 1 })
        await Promise.all([client.call("probe.count"), second.call("probe.count"), second.call("probe.count")])
        assert.deepStrictEqual((await take(stream, 1)).map(event => event.data.runs), [1])
        assert.deepStrictEqual((await take(other, 2)).map(event => event.data.runs), [1, 2])
        const waiting = failure(client.call("slow.sleep", { ms: 5000 }), "closed")
        await client.close()
        await waiting
        assert(own.includes("mine/1") && mqtt.connected)
        assert.deepStrictEqual(await second.call("echo", { a: 1 }), { a: 1 })
        await mqtt.endAsync()
        await failure(second.call("echo"), "closed")
    },

    async closing(client) {
        const calls = [1, 2, 3].map(() => client.call("slow.sleep", { ms: 20000 }))
        const failures = Promise.all(calls.map(call => failure(call, "closed")))
        await client.close()
        await failures
        await failure(client.call("echo"), "closed")
        await client.close()
        assert.strictEqual(client.connected, false)
    },

    /* Calls that are made while there is no connection wait for it; so do events. */
    async restart(client) {
        const stream = client.events("probeCounted")
        await stream.ready
        await ask("stop")
        await until(() => !client.connected)
        const calls = [1, 2, 3].map(number => client.call("echo", { number }, { timeout: 60000 }))
        const late = failure(client.call("echo", {}, { timeout: 50 }), "timeout")
        const cancelled = failure(client.call("echo", {}, { signal: AbortSignal.timeout(100) }))
        assert.match((await late).msg, /no connection/)
        assert.strictEqual((await cancelled).name, "TimeoutError")
        assert.strictEqual(client.pending, 3)
        await ask("start")
        assert.deepStrictEqual((await Promise.all(calls)).map(result => result.number), [1, 2, 3])
        await client.call("probe.count")
        assert.strictEqual((await stream.next()).value.data.runs, 1)
        await ask("stop")
        await until(() => !client.connected)
        const waiting = failure(client.call("echo"), "closed")
        await client.close() // without a connection
        await waiting
    },

    /* Of many calls on their way none is lost or doubled, and they are sent again in order. */
    async storm(client) {
        const batches = []
        let runs = 0
        for (let round = 0; round < 8; round++) {
            const calls = [...Array(40).keys()].map(() => client.call("probe.count", {}, { timeout: 60000 }))
            batches.push(...calls)
            await sleep(5 * round)
            await ask("cut")
            await Promise.all(calls)
            runs += calls.length
            assert.deepStrictEqual(await client.call("probe.runs"), { runs })
        }
        const results = (await Promise.all(batches)).map(result => result.runs)
        assert.deepStrictEqual(results, [...results.keys()].map(number => number + 1), "in order, and each once")
        assert.strictEqual(Object.keys(client.mqtt.outgoing).length, 0)
    },

    /* A connection that is dead without an end: MQTT.js finds out by its keepalive. */
    async mute() {
        const client = await open({ keepalive: 1 })
        await client.call("probe.count")
        await ask("mute")
        assert.deepStrictEqual(await client.call("probe.count", {}, { timeout: 60000 }), { runs: 2 })
        await ask("mute")
        const waiting = failure(client.call("probe.count"), "closed")
        const begun = performance.now()
        await client.close() // which nobody hears
        assert(performance.now() - begun < 20000)
        await waiting
    },

    /* A call that has ended is not sent after a reconnect, by MQTT.js either, which had not got rid of it. */
    async forgotten(client) {
        await ask("mute")
        const aborted = failure(client.call("probe.count", {}, { signal: AbortSignal.timeout(50) }))
        const expired = failure(client.call("probe.count", {}, { timeout: 50 }), "timeout")
        assert.strictEqual((await aborted).name, "TimeoutError")
        await expired
        await ask("cut")
        assert.deepStrictEqual(await client.call("probe.runs"), { runs: 0 })
    },

    async refusals() {
        const wrong = connect(url, { ...fast, username: "user", password: "wrong" })
        assert.match((await failure(wrong, "refused")).message, /refused the connection/)
        assert.match((await failure(connect("mqtt://127.0.0.1:1", fast), "disconnected")).message, /ECONNREFUSED/)
        for (const wrong of ["127.0.0.1:1", "localhost", ""])
            await assert.rejects(connect(wrong, fast), TypeError)
        const client = await open({ username: "user", password: "password" })
        if (five) {
            assert.match((await failure(client.call("probe.fail", {}), "refused")).msg, /Not authorized/)
            const large = client.call("echo", { text: "x".repeat(20000) })
            assert.match((await failure(large, "payload_too_large")).msg, /20\d\d\d bytes/)
        }
        assert.deepStrictEqual(await client.call("echo", { a: 1 }), { a: 1 })
        await client.close()
    },

    async refused_events() {
        await withFakeBroker(() => {}, async client => {
            const stream = client.events("secret"), other = client.events("secret")
            await failure(stream.next(), "refused")
            await failure(stream.ready, "refused")
            assert.deepStrictEqual(await stream.next(), { value: undefined, done: true })
            await failure(other.next(), "refused")
        })
    },

    /* Whatever comes, a call has one end, and nobody else's reply is it. */
    async hostile() {
        const say = (send, packet, payload, more = {}) => {
            const { responseTopic, correlationData } = packet.properties ?? {}
            const id = five ? undefined : JSON.parse(packet.payload).request_id
            send({ cmd: "publish", qos: 0, topic: five ? responseTopic : `${packet.topic}/response/${id}`, payload,
                   ...(five && { properties: { correlationData } }), ...more })
        }
        const ends = {
            no_json: ["{", "bad_reply"], nothing: ["", "bad_reply"],
            binary: [Buffer.from([0xff, 0, 0xfe]), "bad_reply"],
            ...(!five && { number: ["5", "bad_reply"], text: ['"result"', "bad_reply"], neither: ["{}", "bad_reply"],
                           list: ['["result"]', "bad_reply"], no_error: ['{"error":5}', "bad_reply"],
                           no_text: ['{"error":{"err":{"toString":1},"msg":{"toString":1}}}', "bad_reply"] }),
            null: [five ? "null" : '{"result":null}', null], twice: [five ? "1" : '{"result":1}', 1],
            proto: [five ? '{"__proto__":{"polluted":1}}' : '{"result":{"__proto__":{"polluted":1}}}', undefined]
        }
        await withFakeBroker((packet, send) => {
            const method = packet.topic.slice("rpc/call/".length)
            for (const [topic, correlationData] of [["rpc/reply/other/rpc", "x"], ["rpc/call/a/response/x", "y"],
                                                     [`${packet.properties?.responseTopic}`, "nobody's"],
                                                     ["rpc/event/unasked", "z"], ["else", "z"]])
                send({ cmd: "publish", qos: 0, topic, payload: "[1",
                       ...(five && { properties: { correlationData: Buffer.from(correlationData) } }) })
            if (five)
                send({ cmd: "publish", qos: 0, topic: packet.properties.responseTopic, payload: "1" })
            if (method in ends)
                say(send, packet, ends[method][0])
            if (method === "twice")
                say(send, packet, five ? "2" : '{"result":2}')
            const status = value => ({ properties: { correlationData: packet.properties.correlationData,
                                                     userProperties: { status: value } } })
            if (five && method === "no_text")
                say(send, packet, '{"err":{"toString":1},"msg":{"toString":1},"method":{"toString":1}}', status("odd"))
            if (method === "failed")
                say(send, packet, '"text"', status("odd"))
            if (method === "statuses")
                say(send, packet, '{"err":"first"}', status(["first", "ok"]))
        }, async client => {
            for (const [method, [, end]] of Object.entries(ends)) {
                const call = client.call(method)
                if (end === "bad_reply")
                    await failure(call, end)
                else
                    assert.deepStrictEqual(end === undefined ? (await call).polluted : await call, end)
            }
            assert.strictEqual({}.polluted, undefined)
            if (five) {
                assert.strictEqual((await failure(client.call("failed"), "odd")).method, "failed")
                await failure(client.call("statuses"), "first")
                const { data, msg } = await failure(client.call("no_text"), "odd")
                assert.deepStrictEqual([data.method, msg], ["no_text", ""])
            }
            await failure(client.call("unanswered", {}, { timeout: 10 }), "timeout")
        })
    },

    /* What a program's own function throws is the program's affair, and the client goes on. */
    async throwing(client) {
        if (!five)
            return
        const thrown = new Promise(resolve => process.once("uncaughtException", resolve))
        const call = client.call("relay/box1/hold", {}, { progress: () => { throw new Error("mine") } })
        await client.call("relay.step", { box: "box1", done: 1 })
        assert.strictEqual((await thrown).message, "mine")
        await client.call("relay.end", { box: "box1" })
        assert.strictEqual((await call).box, "box1")
    },

    async waiting() {
        await ask("stop")
        const coming = connect(url, { ...fast, waitForBroker: true })
        await sleep(200)
        await ask("start")
        await (await coming).close()
    },

    async silence(client) {
        const error = await failure(client.call("echo", {}, { timeout: 50 }), "timeout")
        assert.match(error.msg, /no reply has come within 50 ms/)
    },

    async device(client) {
        const lamp = client.device("lamp1")
        assert.deepStrictEqual(await lamp.call("light", { on: true, brightness: 40 }), { on: true, brightness: 40 })
        await failure(lamp.call("light", { on: "yes" }), "invalid_params")
        const items = await lamp.callBatch("light", [{ on: true, brightness: 1 }, { on: false, brightness: 2 }])
        assert.deepStrictEqual(items.map(item => item.result.brightness), [1, 2])
        const absent = await failure(client.device("lamp9").call("light", { on: true }), "device_unknown")
        assert.strictEqual(absent.data.device, "lamp9")
        if (!five)
            return assert((await failure(lamp.call("light", { on: true }, { offline: "queue" }))) instanceof TypeError)
        const verdict = await client.group("*").call("light", { on: true }, { want: "all", stall: 20000, abort: 50 })
        assert.deepStrictEqual([verdict.ok, verdict.total], [1, 1])
        const patient = { offline: "queue", ttl: 60000, stale: 50000 }
        const queued = await client.device("lamp9").call("light", { on: true }, patient)
        assert.strictEqual(queued.queued, true)
    },

    async trace(client) {
        const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        const stream = client.events("probeCounted")
        await stream.ready
        await client.call("probe.count", {}, { traceparent: `00-${trace}-00f067aa0ba902b7-01`, tracestate: "a=b" })
        const { value } = await stream.next()
        assert.strictEqual(value.traceparent?.split("-")[1], five ? trace : undefined)
    },

    async prefix() {
        const client = await open({ prefix: "/site/two" })
        const stream = client.events("probeCounted")
        await stream.ready
        await client.call("probe.count")
        assert.strictEqual((await stream.next()).value.topic, "/site/two/event/probeCounted")
        assert.strictEqual(client.prefix, "/site/two")
        await client.close()
        await withClient(async other => assert.deepStrictEqual(await other.call("probe.runs"), { runs: 0 }))
    },

    async leftovers(client) {
        const before = client.mqtt.listenerCount("message")
        for (let round = 0; round < 200; round++) {
            const stream = client.events(`nothing/${round}`)
            await Promise.all([stream.ready, client.call("echo", { round })])
            await stream.return()
        }
        assert.strictEqual(client.mqtt.listenerCount("message"), before)
        const stream = client.events("probeCounted"), topics = []
        await stream.ready
        await stream.return()
        client.mqtt.on("message", topic => topics.push(topic))
        await client.call("probe.count")
        await client.call("echo")
        assert.deepStrictEqual(topics.filter(topic => topic.startsWith("rpc/event/")), [], "still subscribed")
        await until(() => Object.keys(client.mqtt.outgoing).length === 0)
    }
}

const alone = ["limits", "mute", "prefix", "refused_events", "hostile", "shared", "refusals", "waiting"]
if (alone.includes(name))
    await checks[name]()
else
    await withClient(checks[name])
await sleep(0)
const left = process.getActiveResourcesInfo().filter(resource => /Timeout|TCP/.test(resource))
assert.deepStrictEqual(left, [], "left behind")
