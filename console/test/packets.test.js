/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Packets: what is read of a stream, however it is cut, and that what is no packet is refused at once. */
import assert from "node:assert/strict"
import test from "node:test"
import { Decoder, PacketError, publish, subscribe, textOf } from "../src/mqtt/packets.js"
import { connack, disconnect, message, packet, user } from "./fake_broker.js"

const LIMIT = 1 << 20

function readAll(...chunks) {
    const found = [],
        decoder = new Decoder(LIMIT, each => found.push(each))
    chunks.forEach(chunk => decoder.push(chunk))
    return found
}

const join = (...parts) => Uint8Array.from(parts.flatMap(part => [...part]))
const fails = (bytes, words) =>
    assert.throws(
        () => readAll(bytes),
        error => error instanceof PacketError && words.test(error.message)
    )

test("a message has its topic, payload, properties and identifiers", () => {
    const props = [
        user("status", "ok"),
        user("__proto__", "1"),
        [0x03, 0, 1, 97],
        [0x0b, 5],
        [0x0b, 0x80, 1],
        [0x02, 255, 255, 255, 255],
        [0x09, 0, 2, 1, 2],
        [0x01, 1]
    ]
    const [got] = readAll(message("a/ü", "x\u{1f600}", { qos: 1, id: 513, retain: true, props }))
    assert.deepEqual([got.topic, textOf(got.payload), got.id, got.qos, got.retain], ["a/ü", "x\u{1f600}", 513, 1, true])
    assert.deepEqual([got.props.subscriptions, got.props.expiry, got.props.contentType], [[5, 128], 4294967295, "a"])
    assert.deepEqual([got.props.user.status, got.props.user["__proto__"], {}.polluted], ["ok", "1", undefined])
    assert.deepEqual([...got.props.correlation], [1, 2])
})

test("acknowledgements may leave their ends out", () => {
    const [short, long, none, refused] = readAll(
        packet(0x40, [0, 9]),
        packet(0x40, [0, 9, 0x87, 0]),
        packet(0xe0, []),
        disconnect(0x8e)
    )
    assert.deepEqual([short.id, short.code, long.code, none.code, refused.code], [9, 0, 0x87, 0, 0x8e])
    assert.deepEqual(readAll(packet(0x90, [1, 2, 0, 0x87]))[0].codes, [0x87])
})

test("packets come whole, however the stream is cut", () => {
    const large = message("large", "y".repeat(70000)),
        stream = join(connack(), large, message("a", "1"), packet(0xd0, []), message("b", "2"))
    const kinds = readAll(stream).map(({ type, topic }) => topic ?? type)
    assert.deepEqual(kinds, ["connack", "large", "a", "pingresp", "b"])
    for (const size of [1, 2, 3, 5, 7, 1000, 65536]) {
        const chunks = []
        for (let at = 0; at < stream.length; at += size) chunks.push(stream.slice(at, at + size))
        const found = readAll(...chunks)
        assert.deepEqual(
            found.map(({ type, topic }) => topic ?? type),
            kinds,
            String(size)
        )
        assert.equal(found[1].payload.length, 70000)
    }
})

test("every cut of a packet is refused, and none reads beyond its end", () => {
    const props = [user("status", "ok"), [0x0b, 5], [0x09, 0, 2, 1, 2]]
    for (const whole of [
        message("a/b", "", { qos: 1, props }),
        connack(0, [
            [0x21, 0, 20],
            [0x1f, 0, 1, 97]
        ]),
        packet(0x90, [1, 2, 4, 0x1f, 0, 1, 97, 0]),
        disconnect(0x81, [[0x1f, 0, 1, 97]])
    ]) {
        for (let size = 2; size < whole.length; size++) {
            const cut = Uint8Array.from([whole[0], size - 2, ...whole.slice(2, size)])
            try {
                readAll(cut, message("next", ""))
            } catch (error) {
                assert.ok(error instanceof PacketError, `${error}`)
            }
        }
    }
    fails(packet(0x30, [0, 200, 97]), /ends before/)
    fails(packet(0x30, [0, 1, 97, 0xff, 0xff, 0xff, 0x7f]), /ends before/)
    fails(packet(0x30, [0, 1, 97, 0xff, 0xff, 0xff, 0xff]), /length that is none/)
    fails(packet(0x40, [1]), /ends before/)
    fails(packet(0x20, [0]), /ends before/)
})

test("random bytes end with an answer, quickly", () => {
    let seed = 1
    const random = () => ((seed = (seed * 1103515245 + 12345) & 0x7fffffff) >> 8) & 255
    const start = performance.now()
    let refused = 0
    for (let run = 0; run < 3000; run++) {
        try {
            readAll(Uint8Array.from({ length: 200 }, random))
        } catch (error) {
            assert.ok(error instanceof PacketError, `${error.stack}`)
            refused++
        }
    }
    assert.ok(refused > 1000 && performance.now() - start < 5000)
})

test("what a broker never sends is refused", () => {
    fails(packet(0x10, [0, 0]), /kind 1/)
    fails(packet(0x30, [0, 0, 0]), /without a topic/)
    fails(packet(0x30, [0, 1, 97, 3, 0x23, 0, 1]), /without a topic/)
    fails(message("a", "", { qos: 2 }), /QoS/)
    fails(message("a", "", { props: [[0x7f, 0]] }), /no broker sends/)
    fails(message("a", "", { props: Array(1100).fill(user("a", "b")) }), /no broker sends/)
    fails(Uint8Array.from([0x30, 0xff, 0xff, 0xff, 0xff]), /not MQTT/)
})

test("a packet over the limit is refused before it has come", () => {
    fails(Uint8Array.from([0x30, 0xff, 0xff, 0xff, 0x7f]), /268,435,455 bytes/)
    assert.deepEqual(readAll(Uint8Array.from([0x30, 0xff, 0xff, 0x3f])), []) // as large as it may be: waits
})

test("a large packet in small pieces costs no more than its size", () => {
    const large = message("large", "y".repeat(900000)),
        start = performance.now()
    const chunks = Array.from({ length: Math.ceil(large.length / 50) }, (_, at) =>
        large.subarray(at * 50, at * 50 + 50)
    )
    assert.equal(readAll(...chunks)[0].payload.length, 900000)
    assert.ok(performance.now() - start < 3000)
})

test("10,000 events are read in well under a second", () => {
    const one = message("rpc/event/sensorUpdated", '{"sensor_id":"roof","value":21.5}', {
        props: [
            [0x0b, 1],
            [0x01, 1]
        ]
    })
    const start = process.cpuUsage() // that of others on this machine does not count
    assert.equal(readAll(...Array(10000).fill(one)).length, 10000)
    assert.ok(process.cpuUsage(start).user < 1e6)
})

test("what is written", () => {
    assert.deepEqual([...subscribe(258, "a", 300)], [0x82, 10, 1, 2, 3, 0x0b, 0xac, 2, 0, 1, 97, 0])
    assert.deepEqual(
        [...publish({ id: 1, topic: "t", payload: new Uint8Array([9]), user: { a: "b" } })],
        [0x32, 14, 0, 1, 116, 0, 1, 7, 0x26, 0, 1, 97, 0, 1, 98, 9]
    )
    assert.throws(
        () => publish({ id: 1, topic: "t", payload: new Uint8Array(0), user: { a: "b".repeat(70000) } }),
        RangeError
    )
})
