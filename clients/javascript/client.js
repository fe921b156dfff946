// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The client, on a client of MQTT.js. index.d.ts says what its users may rely on.
 *
 * A call is an entry of the pending table from call() to its end, whatever that is. After every connect all entries
 * are sent, in the order in which they were made, with the same topic, bytes and properties: the plugin takes the
 * copies for one call. MQTT.js keeps what the broker has not acknowledged, too, and would send it again; that is taken
 * from it when a connection ends, so that nothing of a call that has ended is left, and the order stays.
 */
import { fillRandom } from "#random"
import { RpcError, localError } from "./error.js"
import { checkFilter, checkLevel, checkProperty, checkTopic, matches } from "./topics.js"
import { openStream } from "./stream.js"

const GRACE = 1000            // ms after a call's timeout in which the plugin's own answer may still come
const TIMEOUT_MAX = 86400000
const UNDER_WAY_MAX = 1000    // calls that the broker has not acknowledged, where it sets no limit
const ASSUMED_UNDER_WAY = 20  // likewise, where its limit cannot be seen
const QUOTA_EXCEEDED = 0x97   // such a call is carried out, and answered
const REFUSED_FROM = 0x80
const CLOSING_PATIENCE = 2000 // ms for the broker to take a DISCONNECT

/* Options of commands, and the user properties that say them. */
const COMMAND_PROPERTIES = { offline: "offline", ttl: "ttl-ms", stale: "stale-ms",
                             want: "want", stall: "stall-ms", abort: "abort" }

const encoder = new TextEncoder(), decoder = new TextDecoder()
let subscriptions = 0 // several clients may share a connection, and so its Subscription Identifiers

export const randomHex = size =>
    Array.from(fillRandom(new Uint8Array(size)), byte => byte.toString(16).padStart(2, "0")).join("")

function checkNumber(value, what, lowest, highest) {
    if (typeof value !== "number" || !(value >= lowest && value <= highest))
        throw new RangeError(`${what} ${value}: it must be a number of ${lowest} to ${highest}`)
    return value
}

function checkQos(qos) {
    if (![0, 1, 2].includes(qos))
        throw new RangeError(`qos ${qos}: it must be 0, 1 or 2`)
    return qos
}

/* The text of a value as JSON, which would put null in the place of numbers that it does not have. */
function encodeJson(value) {
    const text = JSON.stringify(value, (name, member) => {
        if (typeof member === "number" && !Number.isFinite(member))
            throw new TypeError(`JSON has no number ${member}${name && `, which ${name} is`}`)
        return member
    })
    if (text === undefined)
        throw new TypeError("the parameters are no JSON")
    return text
}

/* Of bytes as JSON: { value }, or nothing. */
function parse(bytes) {
    try {
        return { value: JSON.parse(decoder.decode(bytes)) }
    } catch {
        return undefined
    }
}

const isObject = value => value !== null && typeof value === "object" && !Array.isArray(value)

/* The error of a reply, whose payload need not be what it should be: objects of it cannot be made text. */
function errorOf(content, status, method) {
    const data = { method, err: status || "bad_reply", ...(isObject(content) ? content : {}) }
    for (const [name, otherwise] of [["err", status || "bad_reply"], ["msg", ""], ["method", method]])
        if (typeof data[name] !== "string")
            data[name] = otherwise
    return new RpcError(data)
}

/* The text of members of an object; those without a value are left out. */
const membersOf = members => members.filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join()

function settleBatch(items, method) {
    if (!Array.isArray(items))
        throw localError("bad_reply", "the reply to a batch is no array", method)
    return items.map(item => isObject(item) && "result" in item ? { result: item.result }
                                                                : { error: errorOf(item?.error, "", method) })
}

export class Client {
    #prefix
    #qos
    #timeout
    #maxPending
    #maxPendingBytes
    #isVersion5
    #replies
    #pending = new Map()   // entries by identity, in the order of the calls
    #bytes = 0             // of their payloads
    #unsent = []           // entries that this connection has not sent; some may have ended
    #underWay = new Set()  // publications that the broker has not acknowledged
    #underWayMax = 0
    #qosMax = 2            // that the broker takes
    #packetMax = Infinity  // bytes of a packet that the broker takes
    #connection = 0        // counts connections and their ends: odd while there is one
    #filters = new Map()   // subscriptions to events, by filter
    #hasIds = false        // whether events say by Subscription Identifiers which subscription they follow
    #isClosed = false
    #ownsMqtt = false

    constructor(mqtt, options = {}) {
        this.mqtt = mqtt
        this.clientId = checkLevel(mqtt.options.clientId, "client id")
        this.#prefix = checkTopic(options.prefix ?? "rpc", "prefix")
        this.#qos = checkQos(options.qos ?? 1)
        this.#timeout = checkNumber(options.timeout ?? 10000, "timeout", 1, TIMEOUT_MAX)
        this.#maxPending = checkNumber(options.maxPending ?? 1000, "maxPending", 1, Infinity)
        this.#maxPendingBytes = checkNumber(options.maxPendingBytes ?? 16 << 20, "maxPendingBytes", 1, Infinity)
        this.#isVersion5 = mqtt.options.protocolVersion === 5
        this.#replies = `${this.#prefix}/reply/${this.clientId}/`
        mqtt.on("connect", this.#onConnect)
        mqtt.on("close", this.#onClose)
        mqtt.on("message", this.#onMessage)
        mqtt.on("end", this.#shut)
        if (mqtt.connected)
            this.#onConnect({ properties: { receiveMaximum: ASSUMED_UNDER_WAY, ...mqtt.serverProperties } })
    }

    /* For connect(): the connection ends with this client. */
    static own(mqtt, options) {
        const client = new Client(mqtt, options)
        client.#ownsMqtt = true
        return client
    }

    get prefix() {
        return this.#prefix
    }

    get connected() {
        return this.#connection % 2 === 1
    }

    get pending() {
        return this.#pending.size
    }

    async call(method, params, options = {}) {
        return this.#begin("call", method, this.#encodeCall(params), options)
    }

    async callBatch(method, paramsOfCalls, options = {}) {
        if (!Array.isArray(paramsOfCalls))
            throw new TypeError("the parameters of a batch are an array, with one element for each call")
        const calls = encodeJson(paramsOfCalls.map(params => params === undefined ? {} : params))
        const encode = this.#isVersion5 ? () => calls : beside => `{${membersOf(beside)},"calls":${calls}}`
        return settleBatch(await this.#begin("batch", method, encode, options), method)
    }

    device(name) {
        return new Address(this, `device/${checkLevel(name, "device")}`)
    }

    group(name) {
        return new Address(this, `devices/${checkLevel(name, "group")}`)
    }

    // ---- calls

    /* Returns what makes the payload. MQTT 3.1.1 has no properties: what stands in them elsewhere is put beside the
     * parameters, as [name, value]. */
    #encodeCall(params) {
        if (params instanceof Uint8Array && this.#isVersion5)
            return () => params.slice()
        const text = params === undefined ? "" : encodeJson(params)
        if (this.#isVersion5)
            return () => text
        const own = name => text && Object.hasOwn(params, name)
        if (text && text[0] !== "{")
            throw new TypeError("over MQTT 3.1.1 the parameters are an object")
        if (own("request_id"))
            throw new TypeError("over MQTT 3.1.1 request_id cannot be a parameter")
        const rest = text.length > 2 ? `,${text.slice(1)}` : "}"
        return beside => `{${membersOf(beside.filter(([name]) => !own(name)))}${rest}`
    }

    #begin(tree, method, encode, options) {
        checkTopic(method, "method")
        const timeout = checkNumber(options.timeout ?? this.#timeout, "timeout", 1, TIMEOUT_MAX)
        const properties = this.#propertiesOf(options)
        const id = randomHex(16)
        const payload = encode([["request_id", id], ["timeout_ms", Math.ceil(timeout)],
                                ["traceparent", options.traceparent]])
        const size = typeof payload === "string" ? encoder.encode(payload).length : payload.length
        this.#admit(method, size)
        options.signal?.throwIfAborted()
        const { signal, progress } = options
        return new Promise((resolve, reject) => {
            const entry = { id, method, topic: `${this.#prefix}/${tree}/${method}`, payload, size, timeout, properties,
                            message: undefined, deadline: performance.now() + timeout, progress, resolve, reject,
                            signal, abort: () => this.#fail(entry, signal.reason), timer: undefined }
            entry.timer = setTimeout(() => this.#expire(entry), timeout + GRACE)
            signal?.addEventListener("abort", entry.abort)
            this.#pending.set(id, entry)
            this.#bytes += size
            this.#unsent.push(entry)
            this.#send()
        })
    }

    /* User properties of a call, without its timeout. */
    #propertiesOf({ traceparent, tracestate, progress, ...ofCommands }) {
        const properties = {}
        const set = (name, value) => {
            if (value !== undefined)
                properties[name] = checkProperty(String(value), name)
        }
        for (const [option, property] of Object.entries(COMMAND_PROPERTIES))
            set(property, ofCommands[option])
        if (!this.#isVersion5 && Object.keys(properties).length)
            throw new TypeError(`${Object.keys(COMMAND_PROPERTIES)} need MQTT 5`)
        set("traceparent", traceparent)
        set("tracestate", tracestate)
        set("progress", progress && 1)
        return properties
    }

    #admit(method, size) {
        if (this.#isClosed)
            throw localError("closed", "the client is closed", method)
        if (this.#pending.size >= this.#maxPending)
            throw localError("overloaded", `${this.#pending.size} calls wait, and maxPending allows no more`, method)
        if (this.#bytes + size > this.#maxPendingBytes)
            throw localError("overloaded", "the calls that wait hold as many bytes as maxPendingBytes allows, which " +
                             `is ${this.#maxPendingBytes}`, method)
    }

    /* Takes the call out of the table. Returns whether it was there. */
    #remove(entry) {
        if (!this.#pending.delete(entry.id))
            return false
        this.#bytes -= entry.size
        clearTimeout(entry.timer)
        entry.signal?.removeEventListener("abort", entry.abort)
        if (this.#unsent.length > 2 * this.#pending.size + 100)
            this.#unsent = this.#unsent.filter(other => this.#pending.has(other.id))
        return true
    }

    #succeed(entry, result) {
        if (this.#remove(entry))
            entry.resolve(result)
    }

    #fail(entry, error) {
        if (this.#remove(entry))
            entry.reject(error)
    }

    #expire(entry) {
        const why = this.connected ? "no reply has come" : "there is no connection to the broker"
        this.#fail(entry, localError("timeout", `${why} within ${entry.timeout} ms`, entry.method))
    }

    /* Sends what this connection has not sent yet, as much of it as the broker takes at once. */
    #send() {
        while (this.connected && this.#unsent.length && this.#underWay.size < this.#underWayMax) {
            const entry = this.#unsent.shift()
            if (this.#pending.has(entry.id) && performance.now() < entry.deadline)
                this.#publish(entry)
        }
    }

    #publish(entry) {
        entry.message ??= this.#messageOf(entry)
        const size = this.#sizeOf(entry)
        if (size > this.#packetMax)
            return this.#fail(entry, localError("payload_too_large", `the call takes ${size} bytes, and the broker ` +
                                                `takes packets of at most ${this.#packetMax}`, entry.method))
        const connection = this.#connection
        const publication = { id: undefined }
        let isLater = false
        const done = error => {
            if (connection !== this.#connection)
                return
            this.#underWay.delete(publication)
            if (error)
                this.#refuse(entry, error)
            if (isLater)
                this.#send()
        }
        const qos = Math.min(this.#qos, this.#qosMax)
        if (qos)
            this.#underWay.add(publication)
        this.mqtt.publish(entry.topic, entry.payload, { ...entry.message, qos }, done)
        const id = this.mqtt.getLastMessageId()
        if (qos && this.mqtt.outgoing[id]?.cb === done)
            publication.id = id
        isLater = true
    }

    /* What goes with the payload, made when the call is sent first: the plugin is given the time that is left. */
    #messageOf(entry) {
        if (!this.#isVersion5)
            return {}
        const left = Math.max(1, Math.ceil(entry.deadline - performance.now()))
        return { properties: { responseTopic: `${this.#replies}rpc`, correlationData: entry.id,
                               userProperties: { "timeout-ms": String(left), ...entry.properties } } }
    }

    /* The bytes of the packet, at most a few too many. */
    #sizeOf(entry) {
        const { responseTopic = "", correlationData = "", userProperties = {} } = entry.message.properties ?? {}
        return [entry.topic, responseTopic, correlationData, ...Object.entries(userProperties).flat()]
            .reduce((size, text) => size + encoder.encode(text).length + 3, entry.size + 11)
    }

    /* The broker has not taken the call. */
    #refuse(entry, error) {
        if (error.code >= REFUSED_FROM && error.code !== QUOTA_EXCEEDED)
            this.#fail(entry, localError("refused", `the broker has refused the call: ${error.message}`, entry.method,
                                         { cause: error }))
    }

    #onReply(topic, payload, properties) {
        const entry = this.#entryOf(topic, properties)
        if (!entry)
            return // of a call that has ended, or another client's on the same connection
        const content = parse(payload)
        if (!content)
            return this.#fail(entry, localError("bad_reply", "the reply is not JSON", entry.method))
        if (!this.#isVersion5)
            return this.#settle(entry, content.value)
        const status = [properties.userProperties?.status ?? "ok"].flat()[0]
        if (status === "progress")
            queueMicrotask(() => entry.progress?.(content.value)) // what it throws is not thrown into MQTT.js
        else if (status === "ok")
            this.#succeed(entry, content.value)
        else
            this.#fail(entry, errorOf(content.value, status, entry.method))
    }

    #entryOf(topic, properties) {
        if (this.#isVersion5)
            return topic === `${this.#replies}rpc` ? this.#pending.get(String(properties.correlationData)) : undefined
        const id = topic.slice(topic.lastIndexOf("/") + 1)
        const entry = this.#pending.get(id)
        const isReply = entry && (topic === this.#replies + id ||
                                  topic === `${this.#prefix}/call/${entry.method}/response/${id}`)
        return isReply ? entry : undefined
    }

    #settle(entry, reply) {
        if (isObject(reply) && "error" in reply)
            this.#fail(entry, errorOf(reply.error, "", entry.method))
        else if (isObject(reply) && "result" in reply)
            this.#succeed(entry, reply.result)
        else
            this.#fail(entry, localError("bad_reply", "the reply has neither a result nor an error", entry.method))
    }

    // ---- events

    events(filter, options = {}) {
        checkFilter(filter, "event")
        const limit = checkNumber(options.limit ?? 1000, "limit", 1, Infinity)
        const { signal } = options
        if (this.#isClosed)
            throw localError("closed", "the client is closed")
        signal?.throwIfAborted()
        const subscription = this.#subscriptionOf(filter)
        const abort = () => reader.end(signal.reason)
        const reader = openStream(limit, () => {
            signal?.removeEventListener("abort", abort)
            subscription.readers.delete(reader)
            if (!subscription.readers.size)
                this.#drop(subscription)
        })
        subscription.readers.add(reader)
        signal?.addEventListener("abort", abort)
        if (this.connected)
            this.#subscribe(subscription) // also if it is there: the reader gets what is retained
        return reader.stream
    }

    /* Streams of one filter share a subscription. That to an event takes all of its keys. */
    #subscriptionOf(filter) {
        const whole = /[+#]/.test(filter) ? filter : `${filter}/#`
        const found = this.#filters.get(whole)
        if (found)
            return found
        const event = whole.endsWith("/#") && !whole.includes("+") ? whole.slice(0, -2) : undefined
        const subscription = { filter: whole, event, topic: `${this.#prefix}/event/${whole}`, id: ++subscriptions,
                               readers: new Set() }
        this.#filters.set(whole, subscription)
        return subscription
    }

    #drop(subscription) {
        this.#filters.delete(subscription.filter)
        if (this.connected && !this.mqtt.disconnecting)
            this.mqtt.unsubscribe(subscription.topic, () => {})
    }

    #subscribe({ topic, id, readers }) {
        this.#subscribeTo(topic, id, isRefused => {
            const error = isRefused && localError("refused", `the broker has refused the subscription to ${topic}`)
            for (const reader of readers)
                error ? reader.end(error) : reader.grant()
        })
    }

    /* `resubscribe` is MQTT.js's word for: send it, even if this topic was subscribed to before. */
    #subscribeTo(topic, id, done) {
        const properties = this.#hasIds && id ? { properties: { subscriptionIdentifier: id } } : {}
        const connection = this.#connection
        const topics = { [topic]: { qos: Math.min(this.#qos, this.#qosMax) }, resubscribe: true }
        this.mqtt.subscribe(topics, properties, (error, granted) => {
            const isLost = error && /closed|removed|disconnecting/.test(error.message)
            if (connection === this.#connection && !isLost)
                done(Boolean(error) || granted?.some(({ qos }) => qos >= REFUSED_FROM))
        })
    }

    #onEvent(topic, payload, packet) {
        const name = topic.slice(`${this.#prefix}/event/`.length)
        const gone = payload.length === 0
        const content = gone ? {} : parse(payload)
        const { traceparent } = packet.properties?.userProperties ?? {}
        const ids = [packet.properties?.subscriptionIdentifier ?? []].flat()
        for (const { filter, event, id, readers } of this.#filters.values()) {
            if (this.#hasIds ? !ids.includes(id) : !matches(filter, name))
                continue
            const hasKey = event !== undefined && name.startsWith(`${event}/`)
            for (const reader of readers) {
                if (content)
                    reader.push({ event: hasKey ? event : name, key: hasKey ? name.slice(event.length + 1) : undefined,
                                  data: content.value, topic, retained: packet.retain, gone,
                                  traceparent: traceparent && String(traceparent) })
                else
                    reader.skip()
            }
        }
    }

    // ---- the connection

    #onConnect = ({ properties }) => {
        properties ??= {}
        this.#connection += this.connected ? 2 : 1
        this.#underWayMax = Math.min(properties.receiveMaximum ?? UNDER_WAY_MAX, UNDER_WAY_MAX)
        this.#qosMax = properties.maximumQoS ?? 2
        this.#packetMax = properties.maximumPacketSize ?? Infinity
        this.#hasIds = this.#isVersion5 && properties.subscriptionIdentifiersAvailable !== false
        this.mqtt.stream?.setNoDelay?.(true) // or each call takes some 40 ms more
        this.#subscribeTo(`${this.#replies}#`, 0, () => {}) // if it is refused, replies come as a rule without it
        for (const subscription of this.#filters.values())
            this.#subscribe(subscription)
        this.#unsent = [...this.#pending.values()]
        this.#send()
    }

    #onClose = () => {
        if (this.connected)
            this.#connection++
        this.#forget()
    }

    /* Takes from MQTT.js what it would send again. */
    #forget() {
        const publications = [...this.#underWay]
        this.#underWay.clear()
        for (const { id } of publications)
            if (id !== undefined)
                this.mqtt.removeOutgoingMessage(id)
    }

    #onMessage = (topic, payload, packet) => {
        if (topic.startsWith(`${this.#prefix}/event/`))
            this.#onEvent(topic, payload, packet)
        else if (topic.startsWith(`${this.#prefix}/`))
            this.#onReply(topic, payload, packet.properties ?? {})
    }

    /* Ends everything but the connection. */
    #shut = () => {
        if (this.#isClosed)
            return
        this.#isClosed = true
        const isUsable = this.connected && !this.mqtt.disconnecting
        if (this.connected)
            this.#connection++ // what comes from now on is not wanted
        this.#forget()
        for (const entry of this.#pending.values())
            this.#fail(entry, localError("closed", "the client was closed while the call waited", entry.method))
        const topics = [...this.#filters.values()].map(subscription => subscription.topic)
        for (const { readers } of this.#filters.values())
            for (const reader of readers)
                reader.end()
        this.mqtt.off("connect", this.#onConnect).off("close", this.#onClose)
            .off("message", this.#onMessage).off("end", this.#shut)
        if (isUsable && !this.#ownsMqtt)
            this.mqtt.unsubscribe([`${this.#replies}#`, ...topics], () => {})
    }

    async close() {
        this.#shut()
        if (this.#ownsMqtt)
            await disconnect(this.mqtt)
    }
}

/* Says DISCONNECT, and waits until the connection has ended; not for ever. */
function disconnect(mqtt) {
    return new Promise(resolve => {
        const timer = setTimeout(() => {
            mqtt.stream?.destroy()
            resolve()
        }, CLOSING_PATIENCE)
        mqtt.end(!mqtt.connected, () => {
            clearTimeout(timer)
            resolve()
        })
    })
}

/* A device, or a group of them. */
class Address {
    #client
    #topic

    constructor(client, topic) {
        this.#client = client
        this.#topic = topic
    }

    call(command, params, options) {
        return this.#client.call(`${this.#topic}/${command}`, params, options)
    }

    callBatch(command, paramsOfCalls, options) {
        return this.#client.callBatch(`${this.#topic}/${command}`, paramsOfCalls, options)
    }
}
