/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The service, as the rooms see it: calls, subscriptions, the catalogue, statistics, health. Each sign-in makes one;
 * end() ends it. Rooms take all types from here, such as import("../../service/service.js").Method.
 */
import { createStore } from "../base/store.js"
import { Session } from "../mqtt/session.js"
import { filterFault } from "../mqtt/topics.js"
import { socketUrl } from "./address.js"
import { Calls } from "./calls.js"
import { CrewWatch } from "./crew_watch.js"
import { discover, NOTHING } from "./discovery.js"
import { HealthWatch } from "./health.js"
import { matchLevels } from "./names.js"
import { Statistics } from "./statistics.js"

/**
 * @typedef {import("../mqtt/session.js").Connection} Connection
 * @typedef {import("../mqtt/session.js").Message} Message
 * @typedef {import("./calls.js").Outcome} Outcome
 * @typedef {import("./calls.js").Success} Success
 * @typedef {import("./calls.js").Failure} Failure
 * @typedef {import("./calls.js").CallOptions} CallOptions
 * @typedef {import("./discovery.js").Catalogue} Catalogue
 * @typedef {import("./discovery.js").Method} Method
 * @typedef {import("./discovery.js").Event} Event
 * @typedef {import("./discovery.js").ErrorDoc} ErrorDoc
 * @typedef {import("./discovery.js").DeviceKind} DeviceKind
 * @typedef {import("./discovery.js").Schema} Schema
 * @typedef {import("./health.js").Health} Health
 * @typedef {import("./statistics.js").Samples} Samples
 * @typedef {import("./statistics.js").Sample} Sample
 * @typedef {import("./statistics.js").MethodCounts} MethodCounts
 */

/**
 * @template T
 * @typedef {import("../base/store.js").Store<T>} Store
 */

/** @typedef {{ready: Promise<{ok: boolean, text: string}>, stop: () => void}} Watch */

const TIMEOUT_MAX = 60000 // ms: what the service takes, unless it says otherwise

/** @param {number} size bytes */
const randomHex = size =>
    Array.from(crypto.getRandomValues(new Uint8Array(size)), byte => byte.toString(16).padStart(2, "0")).join("")

/**
 * The method of a name as it is called: of `device/lamp1/light` the command of that name, else the family. The name of a
 * command may have several levels.
 * @param {Catalogue} catalogue @param {string} name
 */
export function methodOf({ methods, devices }, name) {
    const fits = (/** @type {Method} */ method) => matchLevels(method.name, name)
    const begins = (/** @type {Method} */ { name: own }) =>
        matchLevels(own, name.split("/", own.split("/").length).join("/"))
    return (
        methods.find(method => method.name === name) ??
        devices.flatMap(({ commands }) => commands).find(fits) ??
        methods.find(fits) ??
        methods.find(method => method.levels.length && begins(method))
    )
}

/**
 * @typedef {object} How
 * @property {string} address of the broker's WebSockets, as address.js takes it
 * @property {string} [prefix]
 * @property {string} [user]
 * @property {string} [password]
 * @property {string} [clientId]
 * @property {any} [WebSocket] of a test
 * @property {any} [times] of a test
 */

export class Service {
    #session
    #calls
    #health
    #round = 0
    catalogue = createStore(/** @type {Catalogue} */ (NOTHING))

    /** @param {How} how */
    constructor({ address, prefix = "rpc", user = "", password = "", clientId = `console-${randomHex(6)}`, ...test }) {
        this.prefix = prefix
        this.user = user
        this.clientId = clientId
        this.address = (globalThis.location && socketUrl(address, globalThis.location)) || address
        this.#session = new Session({
            ...test,
            url: this.address,
            clientId,
            user,
            password,
            onMessage: message => this.#calls.onReply(message),
            onReady: () => this.#greet(),
            onLost: () => {
                this.#calls.onLost()
                this.#health.stop()
            }
        })
        this.#calls = new Calls({
            session: this.#session,
            prefix,
            clientId,
            user,
            timeoutOf: name => methodOf(this.catalogue.get(), name)?.timeoutMs,
            timeoutMax: () => this.catalogue.get().limits.timeoutMaxMs ?? TIMEOUT_MAX
        })
        this.connection = this.#session.state
        this.batch = this.#calls.batch
        /** Connects at once, where the next attempt would come later. */
        this.retry = this.#session.retry
        const parts = { prefix, call: this.#calls.call, watch: this.watch, connection: this.connection }
        this.#health = new HealthWatch(parts)
        this.health = this.#health.store
        this.statistics = new Statistics(parts)
        this.crew = new CrewWatch(this)
    }

    end() {
        this.statistics.end()
        this.#health.stop()
        this.#session.end()
    }

    #greet() {
        this.#session.subscribeQuietly(this.#calls.replyFilter)
        void this.reload()
        this.#health.start()
    }

    /** Asks for the catalogue again. */
    reload = async () => {
        const { catalogue } = this,
            own = ++this.#round
        if (catalogue.get().phase !== "ready") catalogue.set(NOTHING)
        const found = await discover(this.#calls)
        const isStale = found.phase === "failed" && catalogue.get().phase === "ready" // what was known is better
        if (own === this.#round && !isStale && found.outcome?.err !== "offline") catalogue.set(found)
    }

    /**
     * @param {string} method @param {any} [params] @param {CallOptions} [options]
     * @returns {Promise<Outcome>}
     */
    call = async (method, params, options) => {
        const outcome = await this.#calls.call(method, params, options)
        if (!outcome.ok && outcome.err === "method_not_found" && methodOf(this.catalogue.get(), method))
            void this.reload() // it has gone
        return outcome
    }

    /**
     * Gets what is published. One subscription for each filter, made again after each reconnect.
     * @param {string} filter
     * @param {(message: Message) => void} take
     * @returns {Watch}
     */
    watch = (filter, take) => this.watchBatches(filter, messages => messages.forEach(take), false)

    /**
     * The same for many messages: `take` gets those of the last 100 ms at once, and how many were left out before them,
     * because there were too many.
     * @param {string} filter
     * @param {(messages: Message[], dropped: number) => void} take
     * @returns {Watch}
     */
    watchBatches = (filter, take, isBatch = true) => {
        const fault = filterFault(filter)
        return fault
            ? { ready: Promise.resolve({ ok: false, text: fault }), stop() {} }
            : this.#session.watch(filter, take, isBatch)
    }
}
