/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The service's statistics of the last ten minutes, for each method: from its retained messages below $SYS. Where the user
 * may not read those, from rpc.stats, which is called while a reader subscribes and the page is visible.
 *
 * The service publishes what has changed, several times a minute. Messages that come together make one sample, which has all
 * counts since the start of the broker. An interval without messages has a sample, too, so that rates go to 0.
 * Sampling begins with the first reader, and goes on until the service ends, so that every room has the ten minutes.
 */
import { jsonOf } from "../base/exact.js"
import { BOUNDS } from "../base/histogram.js"
import { isHidden } from "../base/page.js"
import { createStore } from "../base/store.js"
import { phaseOf } from "./discovery.js"

const KEPT = 600000,
    TOGETHER = 250,
    PATIENCE = 3000,
    ASK_PERIOD = 5000 // ms
const SLEPT = 3 // intervals without a sample
const INTERVAL = 10000,
    INTERVAL_MIN = 1000 // ms between two publications: the usual, and the shortest that is told apart
const SAMPLES_MAX = 700,
    METHODS_MAX = 2000,
    CODES_MAX = 200,
    TEXT_MAX = 1000 // codes of a method; characters of an error

/**
 * @typedef {object} MethodCounts
 * @property {number} calls
 * @property {Record<string, number>} errors by code
 * @property {number} running
 * @property {number} waiting
 * @property {number} sum_s
 * @property {number} max_s
 * @property {number[]} buckets 17 of them, each without those before
 * @property {{at: number, err: string, msg: string} | null} last_error
 * @property {number} since s of Unix time
 *
 * @typedef {object} Sample
 * @property {number} at s of Unix time
 * @property {boolean} isFirst what was retained before the page listened, or came after it slept: no rate leads there
 * @property {Readonly<Record<string, MethodCounts>>} methods by their declared names
 *
 * @typedef {object} Samples
 * @property {"loading" | "ready" | "denied" | "missing" | "failed"} phase
 * @property {Sample[]} rows the oldest first; a new array each time
 * @property {"topics" | "calls" | ""} source
 * @property {number} interval s from one publication to the next, as far as is known
 * @property {import("./calls.js").Failure} [outcome] why there are none
 */

/** @param {any} value */
const numberOf = value => (typeof value === "number" && Number.isFinite(value) ? value : 0)

/** @param {any} value @returns {Record<string, number>} */
const numbersOf = value =>
    Object.fromEntries(
        Object.entries(value ?? {})
            .slice(0, CODES_MAX)
            .filter(([, each]) => typeof each === "number")
    )

/** @param {any} value */
const shortText = value => (typeof value === "string" ? value.slice(0, TEXT_MAX) : "")

/** @param {any} value @returns {MethodCounts | undefined} */
export function readCounts(value) {
    if (value === null || typeof value !== "object") return undefined
    const buckets = Array.from({ length: BOUNDS.length + 1 }, (_, at) => numberOf(value.buckets?.[at]))
    const last = value.last_error
    return {
        calls: numberOf(value.calls),
        errors: numbersOf(value.errors),
        running: numberOf(value.running),
        waiting: numberOf(value.waiting),
        sum_s: numberOf(value.sum_s),
        max_s: numberOf(value.max_s),
        buckets,
        last_error:
            last && typeof last === "object"
                ? { at: numberOf(last.at), err: shortText(last.err), msg: shortText(last.msg) }
                : null,
        since: numberOf(value.since)
    }
}

const LATELY = 600 // s

/**
 * How a method has failed in the last ten minutes, if it has.
 * @param {Readonly<Record<string, MethodCounts>> | undefined} methods
 * @param {string} name
 * @param {number} now s of Unix time
 */
export function lateFailure(methods, name, now) {
    const last = methods?.[name]?.last_error
    const isOwn = name === "rpc.discover" && last?.err === "reply_too_large" // after which the console asks in parts
    return last && !isOwn && now - last.at < LATELY ? last : undefined
}

/** How long the service takes from one publication to the next. */
class Pace {
    #publishedAt = 0
    /** @type {number[]} ms between the last publications */
    #distances = []
    interval = INTERVAL

    /* The service publishes only what has changed, so that the shortest distance counts; what was retained has none. */
    /** @param {number} at ms */
    learn(at) {
        const distance = at - this.#publishedAt
        if (this.#publishedAt && distance < INTERVAL_MIN / 2) return
        if (this.#publishedAt) this.#distances = [...this.#distances, distance].slice(-5)
        this.#publishedAt = at
        if (this.#distances.length) this.interval = Math.max(INTERVAL_MIN, Math.min(...this.#distances))
    }
}

export class Statistics {
    #service
    #root
    #store = createStore(/** @type {Samples} */ ({ phase: "loading", rows: [], source: "", interval: INTERVAL / 1000 }))
    /** @type {Record<string, MethodCounts>} */
    #methods = {}
    #pace = new Pace()
    #readers = 0
    #heardAt = 0
    #burstAt = 0
    #askedAt = 0
    #startedAt = 0
    #isPublished = false
    #isUnsure = false
    #wasReady = false
    /** @type {any} */
    #burst
    /** @type {any} */
    #clock
    /** @type {{stop: () => void} | undefined} */
    #watching
    #unfollow = () => {}

    /**
     * @param {{prefix: string, call: Function, watch: Function,
     *          connection: import("../base/store.js").Store<import("../mqtt/session.js").Connection>}} service
     */
    constructor(service) {
        this.#service = service
        this.#root = `$SYS/broker/rpc/${service.prefix}/`
        this.samples = { ...this.#store, subscribe: this.#subscribe }
    }

    /** @param {() => void} changed */
    #subscribe = changed => {
        if (!this.#watching) this.#start()
        this.#readers++
        const stop = this.#store.subscribe(changed)
        return () => {
            this.#readers--
            stop()
        }
    }

    #start() {
        const { connection, watch } = this.#service
        this.#startedAt = Date.now()
        this.#wasReady = this.#isConnected
        this.#unfollow = connection.subscribe(this.#follow)
        this.#watching = watch(this.#root + "#", this.#take)
        this.#clock = setInterval(this.#tick, 1000)
    }

    end() {
        clearInterval(this.#clock)
        clearTimeout(this.#burst)
        this.#watching?.stop()
        this.#watching = undefined
        this.#unfollow()
    }

    get #isConnected() {
        return this.#service.connection.get().phase === "ready"
    }

    /* Another connection may be one to another start of the broker: everything comes again. */
    #follow = () => {
        const isReady = this.#isConnected
        if (isReady) this.#startedAt = Date.now()
        else if (this.#wasReady) {
            this.#heardAt = this.#askedAt = 0
            this.#methods = {}
        }
        this.#wasReady = isReady
    }

    /** @param {number} at ms @param {Samples["source"]} source */
    #add(at, source, isFirst = false) {
        const rows = this.#store
            .get()
            .rows.filter(row => row.at * 1000 > at - KEPT)
            .slice(-SAMPLES_MAX + 1)
        this.#store.set({
            phase: "ready",
            source,
            interval: (source === "calls" ? ASK_PERIOD : this.#pace.interval) / 1000,
            rows: [...rows, { at: at / 1000, isFirst, methods: this.#methods }]
        })
    }

    /** @param {import("../mqtt/session.js").Message} message */
    #take = message => {
        const name = message.topic.slice(this.#root.length)
        if (this.#burst && Date.now() - this.#burstAt > INTERVAL_MIN / 2) this.#endBurst() // the timers of a hidden page come late
        if (name.startsWith("method/")) this.#takeMethod(name.slice("method/".length), message.text)
        else if (!/^\w+$/.test(name) || !/^[\d.]+$/.test(message.text))
            // a counter says that the service has published
            return
        this.#isPublished ||= !message.retained
        this.#burstAt = this.#burst ? this.#burstAt : Date.now()
        this.#burst ??= setTimeout(this.#endBurst, TOGETHER)
    }

    /** An empty text: there is no such method any more. @param {string} name @param {string} text */
    #takeMethod(name, text) {
        const counts = readCounts(jsonOf(text))
        if (!text) {
            const { [name]: gone, ...others } = this.#methods
            this.#methods = others
        } else if (counts && (name in this.#methods || Object.keys(this.#methods).length < METHODS_MAX))
            this.#methods = { ...this.#methods, [name]: counts }
    }

    #endBurst = () => {
        const at = this.#burstAt
        clearTimeout(this.#burst)
        this.#burst = undefined
        if (this.#isPublished) this.#pace.learn(at)
        this.#heardAt = at
        const hasSlept = at - this.#lastAt > this.#pace.interval * SLEPT
        this.#add(at, "topics", !this.#isPublished || this.#isUnsure || hasSlept)
        this.#isPublished = this.#isUnsure = false
    }

    /** When the last sample was, in ms. */
    get #lastAt() {
        return (this.#store.get().rows.at(-1)?.at ?? 0) * 1000
    }

    #tick = () => {
        const now = Date.now()
        if (!this.#isConnected) return
        if (this.#heardAt) this.#addQuiet(now)
        else if (this.#readers && !isHidden() && now - this.#startedAt > PATIENCE && now - this.#askedAt > ASK_PERIOD) {
            this.#askedAt = now
            void this.#ask()
        }
    }

    /* Nothing has changed for an interval, or there is nothing to hear. What was while the page slept is not known. */
    /** @param {number} now ms */
    #addQuiet(now) {
        const quiet = now - this.#lastAt,
            { interval } = this.#pace
        if (this.#burst || quiet <= interval * 1.5) return
        this.#isUnsure = quiet > interval * SLEPT
        this.#add(this.#isUnsure ? now : now - quiet + interval, "topics", this.#isUnsure)
    }

    async #ask() {
        const { call } = this.#service,
            outcome = await call("rpc.stats")
        if (this.#heardAt || outcome.err === "offline" || !this.#watching) return
        if (!outcome.ok) {
            this.#askedAt = Date.now() + KEPT / 10 // a minute's rest
            return this.#store.set({ ...this.#store.get(), phase: phaseOf(outcome), outcome })
        }
        this.#methods = Object.fromEntries(
            (outcome.value?.methods ?? [])
                .slice(0, METHODS_MAX)
                .map((/** @type {any} */ row) => [String(row?.method), readCounts(row)])
                .filter((/** @type {any} */ [, counts]) => counts)
        )
        return this.#add(Date.now(), "calls")
    }
}
