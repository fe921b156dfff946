/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Packets of MQTT 5, as far as the client in a browser sends and gets them.
 *
 * A library would be larger than this. Those that were looked at believe every length that a broker claims, and join what
 * they have with each piece of a large packet that comes.
 *
 * Failure: what cannot be a packet throws a PacketError, whose message is a sentence. Encoding throws a RangeError for
 * text of over 65,535 bytes.
 */
const TEXT_MAX = 65535
const PROPERTIES_MAX = 1000
const LENGTH_BYTES = 4 // of a Variable Byte Integer, at most

export class PacketError extends Error {}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true }),
    encoder = new TextEncoder()

/** @param {Uint8Array} bytes */
export const textOf = bytes => decoder.decode(bytes)

/** @param {string} text */
export const bytesOf = text => encoder.encode(text)

// ---- reading

/** Reads the fields of a packet, and none that lies behind its end. */
class Reader {
    /** @param {Uint8Array} bytes @param {number} at @param {number} end */
    constructor(bytes, at, end = bytes.length) {
        this.bytes = bytes
        this.at = at
        this.end = end
    }

    hasMore() {
        return this.at < this.end
    }

    /** @param {number} size @returns {number} where the field begins */
    step(size) {
        const at = this.at
        if (size > this.end - at) throw new PacketError("it sent a packet that ends before its fields do")
        this.at = at + size
        return at
    }

    u8() {
        return this.bytes[this.step(1)]
    }

    u16() {
        const at = this.step(2)
        return this.bytes[at] * 256 + this.bytes[at + 1]
    }

    u32() {
        return this.u16() * 65536 + this.u16()
    }

    vint() {
        let value = 0
        for (let at = 0; at < LENGTH_BYTES; at++) {
            const byte = this.u8()
            value += (byte & 0x7f) * 128 ** at
            if (byte < 0x80) return value
        }
        throw new PacketError("it sent a packet with a length that is none")
    }

    bin() {
        const size = this.u16(),
            at = this.step(size)
        return this.bytes.subarray(at, at + size)
    }

    utf8() {
        return textOf(this.bin())
    }

    pair() {
        return [this.utf8(), this.utf8()]
    }

    rest() {
        return this.bytes.subarray(this.at, this.end)
    }

    /** @returns {Properties} */
    properties() {
        const size = this.hasMore() ? this.vint() : 0,
            at = this.step(size)
        return size ? readProperties(new Reader(this.bytes, at, at + size)) : {}
    }
}

/**
 * Properties, by what reads them. Those without a name are of no use here.
 * @type {Record<number, [reads: "u8" | "u16" | "u32" | "utf8" | "bin" | "vint" | "pair", name?: string]>}
 */
const PROPERTIES = {
    0x01: ["u8"],
    0x02: ["u32", "expiry"],
    0x03: ["utf8", "contentType"],
    0x08: ["utf8", "responseTopic"],
    0x09: ["bin", "correlation"],
    0x0b: ["vint", "subscriptions"],
    0x11: ["u32"],
    0x12: ["utf8", "clientId"],
    0x13: ["u16", "keepalive"],
    0x15: ["utf8"],
    0x16: ["bin"],
    0x1a: ["utf8"],
    0x1c: ["utf8", "server"],
    0x1f: ["utf8", "reason"],
    0x21: ["u16", "receiveMaximum"],
    0x22: ["u16"],
    0x23: ["u16", "topicAlias"],
    0x24: ["u8", "maximumQos"],
    0x25: ["u8"],
    0x26: ["pair", "user"],
    0x27: ["u32", "packetMax"],
    0x28: ["u8"],
    0x29: ["u8", "hasSubscriptionIds"],
    0x2a: ["u8"]
}

/**
 * @typedef {object} Properties
 * @property {Record<string, string>} [user] the user properties; of several of one name, the last
 * @property {string} [contentType]
 * @property {string} [responseTopic]
 * @property {Uint8Array} [correlation]
 * @property {number[]} [subscriptions] Subscription Identifiers
 * @property {number} [expiry] seconds
 * @property {string} [clientId]
 * @property {number} [keepalive] seconds
 * @property {string} [server]
 * @property {string} [reason]
 * @property {number} [receiveMaximum]
 * @property {number} [topicAlias]
 * @property {number} [maximumQos]
 * @property {number} [packetMax]
 * @property {number} [hasSubscriptionIds]
 */

/** @param {Reader} reader @returns {Properties} */
function readProperties(reader) {
    /** @type {any} */
    const found = {}
    for (let count = 0; reader.hasMore(); count++) {
        const [reads, name] = PROPERTIES[reader.u8()] ?? []
        if (!reads || count === PROPERTIES_MAX)
            throw new PacketError("it sent a packet with properties that no broker sends")
        const value = /** @type {any} */ (reader[reads]())
        if (name === "user") (found.user ??= Object.create(null))[value[0]] = value[1]
        else if (name === "subscriptions") (found.subscriptions ??= []).push(value)
        else if (name) found[name] = value
    }
    return found
}

/**
 * @typedef {object} Packet
 * @property {"connack" | "publish" | "puback" | "suback" | "unsuback" | "pingresp" | "disconnect"} type
 * @property {number} [id]
 * @property {number} [code] the reason code
 * @property {number[]} [codes] those of a suback
 * @property {Properties} props
 * @property {string} [topic]
 * @property {Uint8Array} [payload]
 * @property {number} [qos]
 * @property {boolean} [retain]
 */

/** @param {Reader} reader @param {number} flags @returns {Packet} */
function readPublish(reader, flags) {
    const qos = (flags >> 1) & 3,
        topic = reader.utf8(),
        id = qos ? reader.u16() : 0
    const props = reader.properties(),
        payload = reader.rest()
    if (!topic || props.topicAlias !== undefined || qos > 1)
        throw new PacketError("it sent a message without a topic, or of a QoS that was not asked for")
    return { type: "publish", topic, id, qos, retain: (flags & 1) === 1, props, payload }
}

/** @param {"puback" | "disconnect"} type @returns {(reader: Reader) => Packet} whose ends may be left out */
const readReason = type => reader => {
    const id = type === "puback" ? reader.u16() : 0,
        code = reader.hasMore() ? reader.u8() : 0
    return { type, id, code, props: reader.properties() }
}

/** @param {"suback" | "unsuback"} type @returns {(reader: Reader) => Packet} */
const readCodes = type => reader => {
    const id = reader.u16(),
        props = reader.properties()
    return { type, id, props, codes: Array.from(reader.rest()) }
}

/** @type {Record<number, (reader: Reader, flags: number) => Packet>} */
const READ = {
    2: reader => ({ type: "connack", id: reader.u8(), code: reader.u8(), props: reader.properties() }),
    3: readPublish,
    4: readReason("puback"),
    9: readCodes("suback"),
    11: readCodes("unsuback"),
    13: () => ({ type: "pingresp", props: {} }),
    14: readReason("disconnect")
}

/** @param {Uint8Array} bytes of one packet @returns {Packet} */
function decode(bytes) {
    const kind = bytes[0] >> 4,
        read = READ[kind]
    if (!read) throw new PacketError(`it sent a packet of the kind ${kind}, which is not for clients`)
    let at = 1
    while (bytes[at++] >= 0x80);
    return read(new Reader(bytes, at), bytes[0] & 15)
}

// ---- writing

/** @param {number} value */
const u16 = value => [value >> 8, value & 255]

/** @param {number} value @returns {number[]} */
const vint = value => (value < 128 ? [value] : [(value % 128) + 128, ...vint(Math.floor(value / 128))])

/** @param {string | Uint8Array} value @returns {ArrayLike<number>[]} */
function field(value) {
    const bytes = typeof value === "string" ? bytesOf(value) : value
    if (bytes.length > TEXT_MAX)
        throw new RangeError(`A text of it has ${bytes.length.toLocaleString("en")} bytes, and MQTT takes ${TEXT_MAX}.`)
    return [u16(bytes.length), bytes]
}

/** @param {ArrayLike<number>[]} parts */
const lengthOf = parts => parts.reduce((length, part) => length + part.length, 0)

/** @param {ArrayLike<number>[]} parts */
const properties = parts => [vint(lengthOf(parts)), ...parts]

/** @param {number} head kind and flags @param {ArrayLike<number>[]} parts */
function framed(head, parts) {
    const bytes = new Uint8Array(lengthOf(parts) + 5),
        start = [head, ...vint(lengthOf(parts))]
    let at = 0
    for (const part of [start, ...parts]) {
        bytes.set(part, at)
        at += part.length
    }
    return bytes.subarray(0, at)
}

const CLEAN_START = 2,
    HAS_PASSWORD = 0x40,
    HAS_USER = 0x80

/** @param {{clientId: string, user: string, password: string, keepalive: number, packetMax: number}} how */
export function connect({ clientId, user, password, keepalive, packetMax }) {
    const flags = CLEAN_START | (user ? HAS_USER : 0) | (password ? HAS_PASSWORD : 0)
    return framed(0x10, [
        ...field("MQTT"),
        [5, flags],
        u16(keepalive),
        ...properties([[0x27, ...u16(packetMax >>> 16), ...u16(packetMax & 65535)]]),
        ...field(clientId),
        ...(user ? field(user) : []),
        ...(password ? field(password) : [])
    ])
}

/**
 * A message at QoS 1.
 * @param {{id: number, topic: string, payload: Uint8Array, responseTopic?: string, correlation?: Uint8Array,
 *          user?: Record<string, string>}} message
 */
export function publish({ id, topic, payload, responseTopic, correlation, user = {} }) {
    const parts = [
        ...(responseTopic ? [[0x08], ...field(responseTopic)] : []),
        ...(correlation ? [[0x09], ...field(correlation)] : []),
        ...Object.entries(user).flatMap(([name, value]) => [[0x26], ...field(name), ...field(value)])
    ]
    return framed(0x32, [...field(topic), u16(id), ...properties(parts), payload])
}

/** @param {number} id */
export const puback = id => framed(0x40, [u16(id)])

/**
 * At QoS 0. A message has the retain flag if it was kept, and comes because of the subscription.
 * @param {number} id @param {string} filter @param {number} [subscription] its Subscription Identifier
 */
export const subscribe = (id, filter, subscription) =>
    framed(0x82, [u16(id), ...properties(subscription ? [[0x0b, ...vint(subscription)]] : []), ...field(filter), [0]])

/** @param {number} id @param {string} filter */
export const unsubscribe = (id, filter) => framed(0xa2, [u16(id), [0], ...field(filter)])

export const pingreq = () => framed(0xc0, [])

export const disconnect = () => framed(0xe0, [])

// ---- the stream

/**
 * The length of the packet that begins at `at`, or 0 if too little of it is there to know.
 * @param {Uint8Array} bytes @param {number} at @param {number} limit
 */
function lengthAt(bytes, at, limit) {
    let length = 0
    for (let field = 0; at + 1 + field < bytes.length; field++) {
        const byte = bytes[at + 1 + field]
        length += (byte & 0x7f) * 128 ** field
        if (byte < 0x80) {
            if (length > limit)
                throw new PacketError(
                    `it sent a packet of ${length.toLocaleString("en")} bytes, of which the ` +
                        `console takes ${limit.toLocaleString("en")}`
                )
            return length + field + 2
        }
        if (field === LENGTH_BYTES - 1) throw new PacketError("it sent something that is not MQTT")
    }
    return 0
}

/** @param {Uint8Array} first @param {Uint8Array} second */
function joined(first, second) {
    const all = new Uint8Array(first.length + second.length)
    all.set(first)
    all.set(second, first.length)
    return all
}

/** Cuts a stream into packets. */
export class Decoder {
    #limit
    #take
    #head = new Uint8Array(0) // the first bytes of a packet, too few to know its length
    /** @type {Uint8Array | undefined} the packet of which `#filled` bytes are there */
    #whole
    #filled = 0

    /** @param {number} limit bytes of a packet @param {(packet: Packet) => void} take */
    constructor(limit, take) {
        this.#limit = limit
        this.#take = take
    }

    /** Takes the next bytes. @param {Uint8Array} chunk */
    push(chunk) {
        const bytes = this.#head.length ? joined(this.#head, chunk) : chunk
        this.#head = new Uint8Array(0)
        for (let at = 0; at < bytes.length; )
            at = this.#whole ? this.#fill(this.#whole, bytes, at) : this.#cut(bytes, at)
    }

    /* Both return where what they have not taken begins. */

    /** @param {Uint8Array} packet @param {Uint8Array} bytes @param {number} at */
    #fill(packet, bytes, at) {
        const part = bytes.subarray(at, at + packet.length - this.#filled)
        packet.set(part, this.#filled)
        this.#filled += part.length
        if (this.#filled === packet.length) {
            this.#whole = undefined
            this.#take(decode(packet))
        }
        return at + part.length
    }

    /** @param {Uint8Array} bytes @param {number} at where a packet begins */
    #cut(bytes, at) {
        const length = lengthAt(bytes, at, this.#limit)
        if (!length) {
            this.#head = bytes.slice(at)
            return bytes.length
        }
        if (at + length > bytes.length) {
            this.#whole = new Uint8Array(length)
            this.#filled = 0
            return at
        }
        this.#take(decode(bytes.subarray(at, at + length)))
        return at + length
    }
}
