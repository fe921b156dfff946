/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The state of the room Devices, kept until the user signs out: the list of devices, the choice in it, runs of commands. */
import { isHidden } from "../../base/page.js"
import { createStore } from "../../base/store.js"
import { phaseOf } from "../../service/discovery.js"
import { DEVICES_MAX, listAll, mergeStatuses, read, statusTopics } from "./presence.js"
import { commandEvents } from "./runs.js"

/** @typedef {import("./presence.js").Device} Device */
/** @typedef {{phase: string, value: Device[], outcome?: any}} List   outcome: the last one */

const OFTEN = 1500,
    SELDOM = 15000 // ms between two lists: while something happens, and else
const SHARE = 20 // a list takes at most this part of the time, however many devices there are
const SHOWN = 1000 // ms after which the table shows what was read so far

/** The list of devices: asked for while the room is open, and updated by the retained statuses of managed devices. */
class Presence {
    #service
    #isWatched = false
    #isLoading = false
    #isDue = false
    #cost = 0
    #shown = 0
    /** @type {any[]} statuses that came while the list is under way */
    #fresh = []
    /** @type {Map<string, Device>} */
    #known = new Map()
    /** @type {any} */
    #timer
    list = createStore(/** @type {List} */ ({ phase: "loading", value: [] }))

    /** @param {any} service */
    constructor(service) {
        this.#service = service
    }

    /** Called by who reads the list; returns what ends that. */
    open = () => {
        const service = this.#service
        const watches = [
            service.watchBatches(statusTopics(service), this.#takeStatuses),
            service.watchBatches(commandEvents(service), this.#loadSoon),
            { stop: service.connection.subscribe(this.reload) }
        ]
        this.#isWatched = true
        void this.reload()
        return () => {
            this.#isWatched = false
            clearTimeout(this.#timer)
            watches.forEach(watch => watch.stop())
        }
    }

    reload = async () => {
        const service = this.#service
        if (this.#isLoading || service.connection.get().phase !== "ready" || isHidden()) return this.#plan(OFTEN)
        this.#isLoading = true
        this.#isDue = false
        this.#fresh = []
        const began = Date.now()
        const { devices, outcome } = await listAll(
            params => service.call("device.list", params),
            soFar => Date.now() - this.#shown > SHOWN && soFar.size && this.#show(new Map([...this.#known, ...soFar]))
        )
        this.#cost = Date.now() - began
        this.#isLoading = false
        if (outcome.ok) this.#show(mergeStatuses(devices, this.#fresh))
        else
            this.list.update(({ phase, value }) => ({
                value,
                outcome,
                phase: phase === "ready" && outcome.err !== "method_not_found" ? phase : phaseOf(outcome)
            }))
        this.#plan(this.#isDue ? OFTEN : SELDOM)
    }

    /** @param {Map<string, Device>} devices */
    #show(devices) {
        this.#known = devices
        this.#shown = Date.now()
        this.list.set({ phase: "ready", value: [...devices.values()] })
    }

    /** @param {number} pause */
    #plan(pause) {
        clearTimeout(this.#timer)
        this.#timer = this.#isWatched && setTimeout(this.reload, Math.max(pause, this.#cost * SHARE))
    }

    /* Something has changed that only a list tells. */
    #loadSoon = () => {
        if (!this.#isDue && !this.#isLoading) this.#plan(OFTEN)
        this.#isDue = true
    }

    /** @param {{text: string}[]} messages */
    #takeStatuses = messages => {
        const statuses = messages.map(read)
        if (this.#isLoading) this.#fresh = [...this.#fresh, ...statuses].slice(-DEVICES_MAX)
        this.#known = mergeStatuses(this.#known, statuses)
        if (this.list.get().phase === "ready") this.#show(this.#known)
        if (!this.#isLoading)
            // it may have another kind, or was taken away
            this.#loadSoon()
    }
}

/** @param {any} service */
export const createState = service => ({
    presence: new Presence(service),
    look: createStore({ filter: "all", text: "" }),
    checked: createStore(/** @type {Set<string>} */ (new Set())),
    several: createStore(/** @type {string[]} */ ([])),
    drafts: /** @type {Map<string, any>} */ (new Map()),
    runs: createStore(/** @type {ReadonlyMap<string, import("./runs.js").Run>} */ (new Map()))
})

/** @typedef {ReturnType<typeof createState>} State */
