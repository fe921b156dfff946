/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A broker in the test's own hands: a WebSocket that connects to nothing, whose other end reads what the page sends, and
 * sends whatever a test wants. By itself it greets, acknowledges and answers pings, unless `behaviour` says otherwise.
 */
import { write } from "../src/base/exact.js"

const decoder = new TextDecoder(),
    encoder = new TextEncoder()

const u16 = value => [value >> 8, value & 255]
const text = value => {
    const bytes = encoder.encode(value)
    return [...u16(bytes.length), ...bytes]
}
const vint = value => (value < 128 ? [value] : [(value % 128) + 128, ...vint(Math.floor(value / 128))])
export const packet = (head, body) => new Uint8Array([head, ...vint(body.length), ...body])
const properties = list => [...vint(list.flat().length), ...list.flat()]
export const user = (name, value) => [0x26, ...text(name), ...text(value)]

export const connack = (code = 0, props = []) => packet(0x20, [0, code, ...properties(props)])
export const disconnect = (code, props = []) => packet(0xe0, [code, ...properties(props)])
export const message = (topic, payload, { qos = 0, id = 7, retain = false, props = [] } = {}) =>
    packet(0x30 | (qos << 1) | Number(retain), [
        ...text(topic),
        ...(qos ? u16(id) : []),
        ...properties(props),
        ...encoder.encode(payload)
    ])

/* What the page has sent, as { type, … }. */
function read(bytes) {
    let at = 1
    while (bytes[at++] >= 0x80);
    const u8 = () => bytes[at++],
        number = () => u8() * 256 + u8()
    const bin = () => {
        const size = number()
        at += size
        return bytes.slice(at - size, at)
    }
    const string = () => decoder.decode(bin())
    function props() {
        const end = at + 1 + bytes[at],
            found = { user: {} }
        at++
        while (at < end) {
            const kind = u8()
            if (kind === 0x26) {
                const name = string()
                found.user[name] = string()
            } else if (kind === 0x08) found.responseTopic = string()
            else if (kind === 0x09) found.correlation = bin()
            else if (kind === 0x0b) found.subscription = u8()
            else if (kind === 0x27) found.packetMax = number() * 65536 + number()
            else throw new Error(`property ${kind}`)
        }
        return found
    }
    switch (bytes[0] >> 4) {
        case 1: {
            string()
            const level = u8(),
                flags = u8(),
                keepalive = number(),
                own = props(),
                clientId = string()
            return {
                type: "connect",
                level,
                keepalive,
                ...own,
                clientId,
                name: flags & 0x80 ? string() : undefined,
                password: flags & 0x40 ? string() : undefined
            }
        }
        case 3: {
            const topic = string(),
                id = bytes[0] & 6 ? number() : 0
            return {
                type: "publish",
                qos: (bytes[0] >> 1) & 3,
                topic,
                id,
                ...props(),
                payload: decoder.decode(bytes.slice(at))
            }
        }
        case 4:
            return { type: "puback", id: number() }
        case 8:
            return { type: "subscribe", id: number(), ...props(), filter: string() }
        case 10:
            return { type: "unsubscribe", id: number(), ...props(), filter: string() }
        case 12:
            return { type: "pingreq" }
        case 14:
            return { type: "disconnect" }
        default:
            throw new Error(`kind ${bytes[0] >> 4}`)
    }
}

/* Returns a class for the option WebSocket, with the connections that were made. */
export function createBroker(behaviour = {}) {
    class FakeWebSocket {
        static connections = []
        static get last() {
            return FakeWebSocket.connections.at(-1)
        }

        constructor(url, protocol) {
            if (!/^wss?:/.test(url)) throw new SyntaxError("no URL")
            Object.assign(this, { url, protocol, readyState: 0, sent: [], isClosed: false })
            FakeWebSocket.connections.push(this)
            if (!behaviour.isMute) setTimeout(() => this.accept())
        }

        accept() {
            if (this.readyState) return
            this.readyState = 1
            this.onopen?.()
        }

        send(bytes) {
            const got = read(bytes)
            this.sent.push(got)
            setTimeout(() => this.readyState === 1 && this.answer(got))
        }

        answer(got) {
            const own = behaviour[got.type]?.(got, this)
            if (own !== undefined) return own && this.give(own)
            switch (got.type) {
                case "connect":
                    return this.give(connack())
                case "publish":
                    return this.give(packet(0x40, u16(got.id)))
                case "subscribe":
                    return this.give(packet(0x90, [...u16(got.id), 0, 0]))
                case "unsubscribe":
                    return this.give(packet(0xb0, [...u16(got.id), 0, 0]))
                case "pingreq":
                    return this.give(packet(0xd0, []))
            }
        }

        /* Sends bytes to the page, or whatever else it is. */
        give(bytes) {
            this.onmessage?.({ data: bytes instanceof Uint8Array ? bytes.slice().buffer : bytes })
        }

        /* The broker or the network ends the connection. */
        cut(code = 1006) {
            this.readyState = 3
            this.onclose?.({ code })
        }

        close() {
            this.isClosed = true
            this.readyState = 3
        }

        of(type) {
            return this.sent.filter(got => got.type === type)
        }

        /* Replies to a call that the page has made. */
        reply(got, value, status = "ok") {
            this.give(
                message(got.responseTopic, write(value), {
                    qos: 1,
                    props: [[0x09, ...u16(got.correlation.length), ...got.correlation], user("status", status)]
                })
            )
        }
    }
    return FakeWebSocket
}

export async function until(isTrue, patience = 5000) {
    for (const end = Date.now() + patience; Date.now() < end; await new Promise(resolve => setTimeout(resolve, 2))) {
        const value = await isTrue()
        if (value) return value
    }
    throw new Error(`it did not become true: ${isTrue}`)
}

export const pause = ms => new Promise(resolve => setTimeout(resolve, ms))
