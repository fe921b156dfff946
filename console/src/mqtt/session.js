/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A session with a broker, by MQTT 5 over WebSockets: the connection, which is made again when it is lost, keep alive,
 * acknowledgements, and subscriptions, which are made again at each connection.
 *
 * Failure: nothing throws. The store `state` has the state of the connection, and its cause as a sentence. A publication
 * ends with the broker's acknowledgement, or with the connection. A broker that sends what is not MQTT, or too much of
 * it, loses the connection, which is tried again, ever more rarely.
 */
import { createStore } from "../base/store.js"
import * as packets from "./packets.js"
import { closingOf, refusalOf } from "./reasons.js"
import { matches } from "./topics.js"

const KEEPALIVE = 60 // s: timers of a hidden page run once a minute
const TIMES = {
    // ms
    quiet: 15000, // without a word from the broker until it is asked
    answer: 10000, // for its answer, to a connection, too
    retryFirst: 500,
    retryMax: 30000, // between two attempts
    steady: 10000, // that a connection has lasted, so that the next attempt is early again
    look: 5000 // between two looks at the clock
}
const PACKET_MAX = 17 << 20 // bytes: the largest reply of the plugin, and its topic and properties
const UNDER_WAY_MAX = 100 // publications that are not acknowledged
const QUEUE_MAX = 1000 // publications that wait for that
const BATCH_DELAY = 100 // ms in which messages are gathered for those who take many at once
const HELD_MAX = 20000 // messages that are gathered

/**
 * @typedef {{phase: "connecting" | "ready" | "waiting" | "refused" | "ended", text: string, since: number,
 *            retryAt?: number}} Connection `since` and `retryAt` in seconds of Unix time. waiting: the connection is
 *            lost, and tried again by itself. refused and ended: it is not.
 *
 * @typedef {{ok: true} | {ok: false, why: "offline" | "too_large" | "overloaded" | "refused", code: number,
 *            text: string, sent: boolean}} Published
 */

/** A message as it came. */
export class Message {
    /** @type {Uint8Array | undefined} */
    #payload
    /** @type {string | undefined} */
    #text

    /** @param {packets.Packet} packet @param {number} at */
    constructor(packet, at) {
        const payload = /** @type {Uint8Array} */ (packet.payload)
        this.topic = /** @type {string} */ (packet.topic)
        this.bytes = payload.length
        this.retained = Boolean(packet.retain)
        /** @type {Record<string, string>} its user properties */
        this.properties = packet.props.user ?? {}
        this.contentType = packet.props.contentType
        this.correlation = packet.props.correlation
        /** when it came, in seconds of Unix time */
        this.at = at
        this.#payload = payload
    }

    /** The payload as text. It is decoded at the first read. */
    get text() {
        this.#text ??= packets.textOf(/** @type {Uint8Array} */ (this.#payload))
        this.#payload = undefined
        return this.#text
    }
}

/**
 * @typedef {object} Options
 * @property {string} url `ws://…` or `wss://…`
 * @property {string} clientId
 * @property {string} [user]
 * @property {string} [password]
 * @property {(message: Message) => void} onMessage gets messages that no subscription asked for, such as replies
 * @property {() => void} onReady is called at each connection, before anything that waited is sent
 * @property {() => void} onLost is called when a connection that was ready has ended
 * @property {any} [WebSocket] of a test
 * @property {Partial<typeof TIMES>} [times] of a test
 */

/**
 * A subscription of this page, and those who read it.
 * @typedef {{id: number, filter: string, readers: Set<Reader>, answer?: {ok: boolean, text: string}}} Subscription
 * @typedef {(messages: Message[], dropped: number) => void} Take dropped: how many were left out before these
 * @typedef {{take: Take, isBatch: boolean, held: Message[], dropped: number,
 *            tell: (answer: {ok: boolean, text: string}) => void}} Reader
 */

/**
 * Runs what a reader does with a message. Its faults are the page's to report; the packets behind it still count.
 * @param {() => void} run
 */
function guarded(run) {
    try {
        run()
    } catch (error) {
        setTimeout(() => {
            throw error
        })
    }
}

export class Session {
    #options
    #times
    #socket = /** @type {any} */ (undefined)
    /** @type {packets.Decoder | undefined} */
    #decoder
    #isEnded = false
    #attempts = 0
    #readyAt = 0
    #heardAt = 0
    #sentAt = 0
    #askedAt = 0 // when the broker was asked whether it is there; 0: it has answered
    #packetMax = Infinity
    #underWayMax = UNDER_WAY_MAX
    #hasIds = true
    #keepalive = KEEPALIVE
    #lastId = 0
    #lastSubscription = 0
    /** @type {Map<number, (code: number, reason: string) => void>} acknowledgements that are to come, by packet id */
    #expected = new Map()
    /** @type {Set<number>} those of them that the broker's Receive Maximum counts */
    #underWay = new Set()
    /** @type {{message: any, done: (result: Published) => void, isWanted: () => boolean}[]} */
    #queue = []
    /** @type {Map<string, Subscription>} by filter */
    #subscriptions = new Map()
    /** @type {Set<Reader>} who has messages in hand */
    #holders = new Set()
    /** @type {any} */
    #timer
    /** @type {any} */
    #clock
    /** @type {any} */
    #batchTimer

    /** @param {Options} options */
    constructor(options) {
        this.#options = options
        this.#times = { ...TIMES, ...options.times }
        /** @type {import("../base/store.js").Store<Connection>} */
        this.state = createStore(
            /** @type {Connection} */ ({ phase: "connecting", text: "", since: Date.now() / 1000 })
        )
        globalThis.addEventListener?.("online", this.retry)
        this.#open()
    }

    get isReady() {
        return this.state.get().phase === "ready"
    }

    /** Whether it is over: nothing brings this session back. */
    get isOver() {
        return this.#isEnded
    }

    /** Tries at once where the next attempt would come later. */
    retry = () => {
        if (this.state.get().phase !== "waiting") return
        clearTimeout(this.#timer)
        this.#open()
    }

    /** Ends the session. */
    end() {
        if (this.#isEnded) return
        if (this.isReady) this.#write(packets.disconnect())
        this.#stop("ended", "You have signed out.")
    }

    // ---- the connection

    /** @param {Connection["phase"]} phase @param {string} text @param {number} [retryAt] */
    #tell(phase, text, retryAt) {
        this.state.set({ phase, text, since: Date.now() / 1000, ...(retryAt ? { retryAt } : {}) })
    }

    #open() {
        const { url, WebSocket = globalThis.WebSocket } = this.#options
        this.#tell("connecting", `Connecting to ${url}`)
        let socket
        try {
            socket = new WebSocket(url, "mqtt")
        } catch (error) {
            const isMixed = /** @type {any} */ (error)?.name === "SecurityError"
            return this.#stop(
                "refused",
                isMixed
                    ? `The browser does not let a page that came over https connect to ${url}. ` +
                          "The address has to begin with wss://."
                    : `${url} is not the address of a WebSocket.`
            )
        }
        socket.binaryType = "arraybuffer"
        const isCurrent = () => this.#socket === socket
        socket.onopen = () => isCurrent() && this.#greet()
        socket.onclose = (/** @type {any} */ event) => isCurrent() && this.#lose(this.#whyClosed(event))
        socket.onmessage = (/** @type {any} */ event) => isCurrent() && this.#receive(event.data)
        this.#socket = socket
        this.#timer = setTimeout(
            () => this.#lose(`The broker at ${url} has not answered within ` + `${this.#times.answer / 1000} s.`),
            this.#times.answer
        )
    }

    /** @param {{code: number, reason?: string}} event */
    #whyClosed({ code }) {
        const { url } = this.#options
        if (this.isReady) return "The connection to the broker was lost."
        if (!this.#sentAt)
            return (
                `There is no WebSocket at ${url}. Is the broker running, and does it have a listener with ` +
                "“protocol websockets” there?" +
                (url.startsWith("wss:") ? " Does the browser trust its certificate?" : "")
            )
        return code === 1006 || code === 1005 || code === 1000
            ? `The broker at ${url} has closed the connection before it answered. Does it speak MQTT 5?`
            : `The broker at ${url} has closed the connection (WebSocket code ${code}).`
    }

    #greet() {
        const { clientId, user = "", password = "" } = this.#options
        this.#keepalive = KEEPALIVE
        this.#packetMax = Infinity
        const socket = this.#socket
        this.#decoder = new packets.Decoder(PACKET_MAX, packet => this.#socket === socket && this.#take(packet))
        this.#write(packets.connect({ clientId, user, password, keepalive: KEEPALIVE, packetMax: PACKET_MAX }))
    }

    /* Lets go of the connection, without waiting for the other side, which may be dead. */
    #drop() {
        const socket = this.#socket,
            wasReady = this.isReady
        this.#socket = undefined
        this.#sentAt = 0
        clearTimeout(this.#timer)
        clearInterval(this.#clock)
        if (socket) {
            socket.onopen = socket.onclose = socket.onmessage = null
            try {
                socket.close()
            } catch {
                // it was closed already
            }
        }
        return wasReady
    }

    /** @param {string} text why */
    #lose(text) {
        const wasReady = this.#drop(),
            { steady, retryFirst, retryMax } = this.#times
        this.#attempts = wasReady && Date.now() - this.#readyAt > steady ? 0 : this.#attempts
        const delay = Math.min(retryFirst * 2 ** this.#attempts++, retryMax) * (0.75 + Math.random() / 2)
        this.#tell("waiting", text, (Date.now() + delay) / 1000)
        this.#timer = setTimeout(() => this.#open(), delay)
        this.#forget(wasReady)
    }

    /** @param {"refused" | "ended"} phase @param {string} text */
    #stop(phase, text) {
        const wasReady = this.#drop()
        this.#isEnded = true
        globalThis.removeEventListener?.("online", this.retry)
        clearTimeout(this.#batchTimer)
        this.#tell(phase, text)
        this.#forget(wasReady)
    }

    /** @param {boolean} wasReady */
    #forget(wasReady) {
        const expected = [...this.#expected.values()],
            queue = this.#queue
        this.#expected.clear()
        this.#underWay.clear()
        this.#queue = []
        const text = "The connection to the broker has ended."
        for (const { done } of queue) done({ ok: false, why: "offline", code: 0, text, sent: false })
        expected.forEach(tell => tell(-1, text))
        if (wasReady) this.#options.onLost()
    }

    /** @param {Uint8Array} bytes */
    #write(bytes) {
        this.#sentAt = Date.now()
        this.#socket.send(bytes)
    }

    /* Asks a quiet broker whether it is there, and keeps the connection alive. */
    #watchClock = () => {
        const now = Date.now(),
            quiet = Math.min(this.#times.quiet, this.#keepalive * 500)
        if (this.#askedAt && now - this.#askedAt > this.#times.answer)
            return this.#lose(`The broker has not answered for ${Math.round((now - this.#heardAt) / 1000)} s.`)
        if (!this.#askedAt && (now - this.#heardAt > quiet || now - this.#sentAt > quiet)) {
            this.#askedAt = now
            this.#write(packets.pingreq())
        }
    }

    // ---- what comes

    /** @param {unknown} data */
    #receive(data) {
        this.#heardAt = Date.now()
        this.#askedAt = 0
        try {
            if (!(data instanceof ArrayBuffer)) throw new packets.PacketError("it sent text in the place of MQTT")
            this.#decoder?.push(new Uint8Array(data))
        } catch (error) {
            if (!(error instanceof packets.PacketError)) throw error
            this.#lose(`The console has closed the connection to the broker: ${error.message}.`)
        }
    }

    /** @param {packets.Packet} packet */
    #take(packet) {
        const isGreeting = packet.type === "connack"
        if (isGreeting === this.isReady && packet.type !== "disconnect")
            throw new packets.PacketError("it sent packets in an order that MQTT does not have")
        switch (packet.type) {
            case "connack":
                return this.#begin(packet)
            case "publish":
                return this.#deliver(packet)
            case "disconnect":
                return this.#leave(packet)
            case "pingresp":
                return undefined
            default:
                return this.#acknowledge(packet)
        }
    }

    /** @param {packets.Packet} packet */
    #begin({ code = 0, props }) {
        if (code) {
            const { text, isFinal } = refusalOf(code, props, this.#options)
            return isFinal ? this.#stop("refused", text) : this.#lose(text)
        }
        clearTimeout(this.#timer)
        this.#readyAt = Date.now()
        this.#packetMax = props.packetMax ?? Infinity
        this.#underWayMax = Math.min(props.receiveMaximum || UNDER_WAY_MAX, UNDER_WAY_MAX)
        this.#hasIds = props.hasSubscriptionIds !== 0
        this.#keepalive = props.keepalive || KEEPALIVE
        this.#clock = setInterval(this.#watchClock, Math.min(this.#times.look, this.#keepalive * 250))
        this.#tell("ready", "")
        this.#options.onReady()
        for (const subscription of this.#subscriptions.values()) this.#subscribe(subscription)
    }

    /** @param {packets.Packet} packet */
    #leave({ code = 0, props }) {
        const { text, isFinal } = closingOf(code, props)
        return isFinal ? this.#stop("ended", text) : this.#lose(text)
    }

    /** @param {packets.Packet} packet */
    #acknowledge({ id = 0, code = 0, codes, props }) {
        const tell = this.#expected.get(id)
        this.#expected.delete(id)
        this.#underWay.delete(id)
        tell?.(codes ? (codes[0] ?? 0x80) : code, props.reason ?? "")
        this.#send()
    }

    /** @param {packets.Packet} packet */
    #deliver(packet) {
        if (packet.qos) this.#write(packets.puback(packet.id ?? 0))
        const message = new Message(packet, this.#heardAt / 1000)
        const ids = packet.props.subscriptions
        let isWanted = false
        for (const { id, filter, readers } of this.#subscriptions.values()) {
            if (this.#hasIds ? !ids?.includes(id) : !matches(filter, message.topic)) continue
            isWanted = true
            for (const reader of readers) this.#give(reader, message)
        }
        if (!isWanted) guarded(() => this.#options.onMessage(message))
    }

    /** @param {Reader} reader @param {Message} message */
    #give(reader, message) {
        if (!reader.isBatch) return guarded(() => reader.take([message], 0))
        reader.held.push(message)
        if (reader.held.length > HELD_MAX) reader.dropped += reader.held.splice(0, HELD_MAX / 2).length
        this.#holders.add(reader)
        this.#batchTimer ??= setTimeout(this.#handOut, BATCH_DELAY)
    }

    #handOut = () => {
        this.#batchTimer = undefined
        const holders = [...this.#holders]
        this.#holders.clear()
        for (const reader of holders) {
            const { dropped } = reader
            reader.dropped = 0
            guarded(() => reader.take(reader.held.splice(0), dropped))
        }
    }

    // ---- what goes

    #nextId() {
        do this.#lastId = (this.#lastId % 65535) + 1
        while (this.#expected.has(this.#lastId))
        return this.#lastId
    }

    /**
     * Publishes at QoS 1. Resolves when the broker has acknowledged it, or cannot any more. A message that had to wait
     * is sent only if it is still wanted.
     * @param {{topic: string, payload: Uint8Array, responseTopic?: string, correlation?: Uint8Array,
     *          user?: Record<string, string>}} message
     * @param {() => boolean} isWanted
     * @returns {Promise<Published>}
     */
    publish(message, isWanted) {
        if (!this.isReady)
            return Promise.resolve({ ok: false, why: "offline", code: 0, text: this.state.get().text, sent: false })
        if (this.#queue.length >= QUEUE_MAX)
            return Promise.resolve({
                ok: false,
                why: "overloaded",
                code: 0,
                sent: false,
                text: `${QUEUE_MAX} messages wait for the broker already.`
            })
        return new Promise(done => {
            this.#queue.push({ message, done, isWanted })
            this.#send()
        })
    }

    #send() {
        while (this.isReady && this.#queue.length && this.#underWay.size < this.#underWayMax) {
            const { message, done, isWanted } = /** @type {any} */ (this.#queue.shift())
            if (isWanted()) this.#sendOne(message, done)
        }
    }

    /** @param {any} message @param {(result: Published) => void} done */
    #sendOne(message, done) {
        const id = this.#nextId()
        let bytes
        try {
            bytes = packets.publish({ ...message, id })
        } catch (error) {
            return done({
                ok: false,
                why: "too_large",
                code: 0,
                sent: false,
                text: String(/** @type {any} */ (error).message)
            })
        }
        if (bytes.length > this.#packetMax)
            return done({
                ok: false,
                why: "too_large",
                code: 0,
                sent: false,
                text:
                    `It takes ${bytes.length.toLocaleString("en")} bytes, and the broker takes packets of ` +
                    `at most ${this.#packetMax.toLocaleString("en")}.`
            })
        this.#expected.set(id, (code, text) =>
            done(
                code >= 0 && code < 0x80
                    ? { ok: true }
                    : { ok: false, why: code < 0 ? "offline" : "refused", code, text, sent: true }
            )
        )
        this.#underWay.add(id)
        this.#write(bytes)
        return undefined
    }

    // ---- subscriptions

    /**
     * Subscribes to what the caller needs for itself, without a reader: messages go to onMessage.
     * @param {string} filter
     */
    subscribeQuietly(filter) {
        const id = this.#nextId()
        this.#expected.set(id, () => {})
        this.#write(packets.subscribe(id, filter))
    }

    /**
     * @param {string} filter that is right, see topics.js
     * @param {Take} take
     * @param {boolean} isBatch
     * @returns {{ready: Promise<{ok: boolean, text: string}>, stop: () => void}} ready: the broker has answered
     */
    watch(filter, take, isBatch) {
        /** @type {(answer: {ok: boolean, text: string}) => void} */
        let tell = () => {}
        const ready = /** @type {Promise<{ok: boolean, text: string}>} */ (
            new Promise(resolve => {
                tell = resolve
            })
        )
        /** @type {Reader} */
        const reader = { take, isBatch, held: [], dropped: 0, tell }
        const known = this.#subscriptions.get(filter)
        const subscription = known ?? { id: ++this.#lastSubscription, filter, readers: new Set() }
        subscription.readers.add(reader)
        this.#subscriptions.set(filter, subscription)
        if (this.isReady)
            // again for a further reader, who wants what is retained, too
            this.#subscribe(subscription)
        return { ready, stop: () => this.#unwatch(subscription, reader) }
    }

    /** @param {Subscription} subscription */
    #subscribe(subscription) {
        const id = this.#nextId()
        this.#expected.set(id, (code, reason) => {
            if (code < 0) return
            const answer =
                code < 0x80
                    ? { ok: true, text: "" }
                    : {
                          ok: false,
                          text:
                              `The broker refuses the subscription to ${subscription.filter}` +
                              (reason ? `: ${reason}.` : code === 0x87 ? ": its ACL does not allow it." : ".")
                      }
            for (const reader of subscription.readers) reader.tell(answer)
        })
        this.#write(packets.subscribe(id, subscription.filter, this.#hasIds ? subscription.id : undefined))
    }

    /** @param {Subscription} subscription @param {Reader} reader */
    #unwatch(subscription, reader) {
        this.#holders.delete(reader)
        if (!subscription.readers.delete(reader) || subscription.readers.size) return
        this.#subscriptions.delete(subscription.filter)
        if (!this.isReady) return
        const id = this.#nextId()
        this.#expected.set(id, () => {})
        this.#write(packets.unsubscribe(id, subscription.filter))
    }
}
