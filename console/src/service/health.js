/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The service's health: from its retained message, or by rpc.health where the user may not read that.
 *
 * Failure: where both are denied, the health is null, unknown, until the next connection.
 */
import { jsonOf } from "../base/exact.js"
import { isHidden } from "../base/page.js"
import { createStore } from "../base/store.js"

const PATIENCE = 3000,
    PERIOD = 30000 // ms
const PROBLEMS_MAX = 100

/**
 * @typedef {{what: string, text: string, since: number}} Problem `since` in s of Unix time
 * @typedef {{ok: boolean, problems: Problem[], config?: any}} Health
 */

/** @param {any} value @returns {Health | null} */
export function readHealth(value) {
    if (value === null || typeof value !== "object" || typeof value.ok !== "boolean") return null
    const problems = (Array.isArray(value.problems) ? value.problems.slice(0, PROBLEMS_MAX) : [])
        .filter((/** @type {any} */ problem) => typeof problem?.what === "string" && typeof problem.text === "string")
        .map((/** @type {any} */ { what, text, since }) => ({
            what,
            text,
            since: typeof since === "number" ? since : 0
        }))
    return { ok: value.ok, problems, config: value.config }
}

export class HealthWatch {
    #service
    /** @type {any} */
    #timer
    /** @type {{stop: () => void} | undefined} */
    #watching
    store = createStore(/** @type {Health | null} */ (null))

    /** @param {{prefix: string, call: Function, watch: Function}} service */
    constructor(service) {
        this.#service = service
    }

    /** At each connection. */
    start() {
        this.stop()
        const { prefix, watch } = this.#service
        this.#watching = watch(`$SYS/broker/rpc/${prefix}/health`, this.#take)
        this.#timer = setTimeout(this.#ask, PATIENCE)
    }

    stop() {
        clearTimeout(this.#timer)
        this.#timer = undefined
        this.#watching?.stop()
        this.#watching = undefined
        this.store.set(null)
    }

    #ask = async () => {
        if (isHidden()) {
            this.#timer = setTimeout(this.#ask, PATIENCE)
            return
        }
        const own = this.#timer,
            { call } = this.#service,
            outcome = await call("rpc.health")
        if (own !== this.#timer || !this.#watching) return
        this.store.set(outcome.ok ? readHealth(outcome.value) : null)
        if (outcome.ok || outcome.err === "no_reply") this.#timer = setTimeout(this.#ask, PERIOD)
    }

    /** @param {import("../mqtt/session.js").Message} message */
    #take = message => {
        clearTimeout(this.#timer)
        this.#timer = undefined
        this.store.set(readHealth(jsonOf(message.text)))
    }
}
