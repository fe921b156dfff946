/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The result of a method, kept fresh: it is called when the connection is there, and again each so many milliseconds
 * while the page is seen. What was known stays while it is called again, and when that fails. A method that discovery
 * does not have is not called: to the service, that would be one more call that has failed.
 */
import { isHidden } from "../base/page.js"
import { createStore } from "../base/store.js"
import { phaseOf } from "./discovery.js"

/**
 * @typedef {object} Polled
 * @property {"loading" | "ready" | "denied" | "missing" | "failed"} phase
 * @property {any} value undefined until there was one
 * @property {string} [text] the same as it came, in which each number has all of its digits
 * @property {import("./calls.js").Failure} [outcome] how the last call failed, if it did
 * @property {number} at when `value` came, in s of Unix time; 0: never
 * @property {boolean} isBusy a call is under way
 */

const PATIENCE = 1000 // ms in which discovery may be there first: that of many methods takes a while

/** @type {Polled} */
export const UNASKED = { phase: "loading", value: undefined, at: 0, isBusy: false }

/** @param {Polled} known @param {import("./calls.js").Outcome} outcome @returns {Polled} */
function settled(known, outcome) {
    if (outcome.ok)
        return { phase: "ready", value: outcome.value, text: outcome.text, at: Date.now() / 1000, isBusy: false }
    if (outcome.err === "offline" && known.value === undefined) return { ...known, isBusy: false }
    const phase = known.value === undefined || phaseOf(outcome) !== "failed" ? phaseOf(outcome) : known.phase
    return { ...known, phase, outcome, isBusy: false }
}

export class Poll {
    #service
    #method
    #params
    #every
    #isRunning = false
    #isPatient = true
    #wasReady = false
    #round = 0
    /** @type {any} */
    #timer
    store = createStore(UNASKED)

    /**
     * @param {import("./service.js").Service} service
     * @param {string} method
     * @param {any} params
     * @param {number} every ms; 0: once for each connection
     */
    constructor(service, method, params, every) {
        this.#service = service
        this.#method = method
        this.#params = params
        this.#every = every
    }

    /** @returns {() => void} ends it */
    start() {
        this.#isRunning = true
        this.#wasReady = false
        const { connection, catalogue } = this.#service
        const stops = [connection, catalogue].map(each => each.subscribe(this.#follow))
        const patience = setTimeout(() => {
            this.#isPatient = false
            this.#follow()
        }, PATIENCE)
        this.#follow()
        return () => {
            this.#isRunning = false
            clearTimeout(this.#timer)
            clearTimeout(patience)
            stops.forEach(stop => stop())
        }
    }

    reload = () => {
        void this.#ask()
    }

    get #isConnected() {
        return this.#service.connection.get().phase === "ready"
    }

    async #ask() {
        clearTimeout(this.#timer)
        const own = ++this.#round
        this.store.update(known => ({ ...known, isBusy: true }))
        const outcome = await this.#service.call(this.#method, this.#params)
        if (own !== this.#round || !this.#isRunning) return
        this.store.update(known => settled(known, outcome))
        const { phase } = this.store.get() // what is denied or missing stays so until somebody reloads or reconnects
        if (this.#every && (phase === "ready" || phase === "failed") && this.#isConnected)
            this.#timer = setTimeout(this.#again, this.#every)
    }

    #again = () => {
        if (isHidden()) this.#timer = setTimeout(this.#again, Math.max(this.#every, 1000))
        else void this.#ask()
    }

    /** @returns {boolean | undefined} undefined: that is not known yet */
    #isThere() {
        const { phase, methods } = this.#service.catalogue.get()
        if (phase === "loading" && this.#isPatient) return undefined
        return phase !== "ready" || methods.some(({ name, isOff }) => name === this.#method && !isOff)
    }

    #forget() {
        this.#round++
        clearTimeout(this.#timer)
        this.store.set({ ...UNASKED, phase: "missing" })
    }

    #follow = () => {
        const isThere = this.#isThere(),
            isReady = this.#isConnected && isThere === true
        if (isThere === false) this.#forget()
        if (isReady && !this.#wasReady) void this.#ask()
        this.#wasReady = isReady
    }
}
