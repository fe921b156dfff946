/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The state of the room Live, kept until the user signs out: the events, the filter, the chosen event and the chart. */
import { createStore } from "../../base/store.js"
import { NO_FILTER } from "./events.js"
import { Feed } from "./feed.js"
import { Series } from "./series.js"

/**
 * @typedef {import("./events.js").Row} Row
 * @typedef {{rows: Row[], total: number, isPaused: boolean}} Hold rows that do not move, and how many events had come
 * @typedef {{filter: import("./events.js").Filter, chosen: Row | null, hold: Hold | null, tab: string}} View
 */

export class State {
    #service
    /** @type {{ready: Promise<{ok: boolean, text: string}>, stop: () => void} | null} */
    #watch = null
    view = createStore(/** @type {View} */ ({ filter: NO_FILTER, chosen: null, hold: null, tab: "stream" }))
    series = createStore(/** @type {Series | null} */ (null))
    /** What the broker said of the subscription; null: nothing yet. */
    answer = createStore(/** @type {{ok: boolean, text: string} | null} */ (null))

    /** @param {any} service */
    constructor(service) {
        this.#service = service
        this.feed = new Feed(service.prefix)
    }

    start = () => {
        if (this.#watch) return
        const service = this.#service,
            declare = () => this.feed.declare(service.catalogue.get().events)
        declare()
        service.catalogue.subscribe(declare)
        this.#watch = service.watch(`${service.prefix}/event/#`, this.feed.take)
        this.#watch?.ready.then(this.answer.set)
    }

    /** @param {Partial<View>} changes */
    change = changes => this.view.set({ ...this.view.get(), ...changes })

    /** @param {Partial<View["filter"]>} changes */
    setFilter = changes => {
        const { feed } = this,
            { filter, hold } = this.view.get()
        feed.setFilter({ ...filter, ...changes })
        this.change({ filter: feed.filter, hold: hold && { ...hold, rows: feed.rows() } })
    }

    /** The rows that are shown stay where they are. @param {boolean} isPaused by the button, else by scrolling */
    hold = isPaused => {
        const { feed } = this,
            { hold } = this.view.get()
        if (!hold) this.change({ hold: { rows: feed.rows(), total: feed.total, isPaused } })
        else if (isPaused) this.change({ hold: { ...hold, isPaused } })
    }

    release = () => this.change({ hold: null })

    clear = () => {
        const isPaused = !!this.view.get().hold?.isPaused
        this.feed.clear()
        this.change({ hold: isPaused ? { rows: [], total: 0, isPaused } : null, chosen: null })
    }

    /**
     * Draws a number of the event of a row, from what is there on.
     * @param {Row} row
     * @param {import("./numbers.js").Path} path
     */
    draw = (row, path) => {
        const next = new Series(row.event, path, row.key)
        this.feed.all().forEach(next.take)
        this.feed.listen(next.take)
        this.series.set(next)
    }

    undraw = () => {
        this.feed.listen(null)
        this.series.set(null)
    }
}

/** @param {any} service */
export const createState = service => new State(service)
