/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The events that have come: a ring of all of them, and a ring of those that match the filter. Of an event that comes too
 * often an even sample is kept, so that it floods neither the rings nor the page, and rare events stay. */
import { Ring } from "../../base/ring.js"
import { NO_FILTER, isErrorText, isOpen, matches, splitTopic } from "./events.js"

/** @typedef {import("./events.js").Row} Row @typedef {import("./events.js").Filter} Filter */

export const ROWS = 1000
const BYTES = 4e6
const WINDOW = 500 // ms
const ROWS_A_WINDOW = 25 // of one event
const GATES = 200

/**
 * Lets so many things through in a window: any one of each n, by how many came in the last window; always the nth would
 * show the same key again and again. Things of different names do not take each other's places, except beyond so many
 * names.
 */
function createGates() {
    /** @type {Map<string, {window: number, seen: number, taken: number, stride: number, pick: number}>} */
    const gates = new Map()

    /** @param {string} name @param {number} now in ms */
    return function lets(name, now) {
        let gate = gates.get(name) ?? (gates.size < GATES ? undefined : gates.get(""))
        if (!gate) {
            gate = { window: 0, seen: 0, taken: 0, stride: 1, pick: 0 }
            gates.set(gates.size < GATES - 1 ? name : "", gate)
        }
        const window = Math.floor(now / WINDOW)
        if (gate.window !== window) {
            gate.stride = gate.window === window - 1 ? Math.max(1, Math.ceil(gate.seen / ROWS_A_WINDOW)) : 1
            gate.window = window
            gate.seen = gate.taken = 0
        }
        const place = gate.seen++ % gate.stride
        if (!place) gate.pick = Math.floor(Math.random() * gate.stride)
        if (place !== gate.pick || gate.taken >= ROWS_A_WINDOW) return false
        gate.taken++
        return true
    }
}

/** Counts a second, as it was in the last whole one. */
function createMeter() {
    const none = { came: 0, matched: 0, kept: 0 }
    let second = 0
    let now = { ...none }
    let last = none
    /** @param {number} at in ms */
    function turn(at) {
        const current = Math.floor(at / 1000)
        if (current === second) return
        last = current === second + 1 ? now : none
        now = { ...none }
        second = current
    }
    return {
        /** @param {number} at @param {boolean} isMatched @param {boolean} isKept */
        count(at, isMatched, isKept) {
            turn(at)
            now.came++
            if (isMatched) now.matched++
            if (isKept) now.kept++
        },
        /** @param {number} at @returns {{came: number, matched: number, kept: number}} */
        rate(at) {
            turn(at)
            return last
        }
    }
}

/** How many bytes a row takes, about. @param {Row} row */
const sizeOf = row =>
    300 +
    2 *
        Object.entries(row.properties ?? {}).reduce(
            (sum, [name, value]) => sum + name.length + String(value).length,
            row.text.length + row.topic.length
        )

export class Feed {
    #start
    #clock
    #all = /** @type {Ring<Row>} */ (new Ring(ROWS, BYTES))
    #chosen = /** @type {Ring<Row>} */ (new Ring(ROWS, BYTES))
    #allGates = createGates()
    #chosenGates = createGates()
    #meter = createMeter()
    #declared = /** @type {Set<string>} */ (new Set())
    #seen = /** @type {Map<string, number>} */ (new Map())
    #filter = NO_FILTER
    #total = 0
    #number = 0
    #changes = 0
    #listener = /** @type {((row: Row) => void) | null} */ (null)

    /** @param {string} prefix @param {() => number} [clock] in ms */
    constructor(prefix, clock = Date.now) {
        this.#start = `${prefix}/event/`.length
        this.#clock = clock
    }

    /**
     * @param {{topic: string, text: string, bytes: number, retained: boolean, properties: any, at: number}} message
     */
    take = ({ topic, text, bytes, retained, properties, at }) => {
        const name = splitTopic(topic.slice(this.#start), this.#declared)
        const n = ++this.#number
        const row = { topic, text, bytes, retained, properties, at, ...name, n, isError: isErrorText(text) }
        this.#total++
        this.#keep(row, this.#clock())
        if (this.#seen.has(row.event) || this.#seen.size < GATES)
            this.#seen.set(row.event, (this.#seen.get(row.event) ?? 0) + 1)
        this.#listener?.(row)
    }

    /** @param {Row} row @param {number} now */
    #keep(row, now) {
        const gate = row.isError ? `!${row.event}` : row.event
        const isFiltered = !isOpen(this.#filter)
        const isMatched = !isFiltered || matches(this.#filter, row)
        let isKept = this.#allGates(gate, now)
        if (isKept) this.#all.push(row, sizeOf(row))
        if (isFiltered) {
            isKept = isMatched && this.#chosenGates(gate, now)
            if (isKept) this.#chosen.push(row, sizeOf(row))
        }
        if (isKept) this.#changes++
        this.#meter.count(now, isMatched, isKept)
    }

    /** @param {{name: string}[]} events */
    declare(events) {
        this.#declared = new Set(events.map(event => event.name))
    }

    /** What matches of all that is there stays, and what matched the filter before. @param {Filter} next */
    setFilter(next) {
        const rows = [...(isOpen(this.#filter) ? [] : this.#chosen.list()), ...this.#all.list()]
        this.#chosen.clear()
        this.#changes++
        this.#filter = next
        if (isOpen(next)) return
        const unique = new Map(rows.filter(row => matches(next, row)).map(row => [row.n, row]))
        for (const row of [...unique.values()].sort((a, b) => a.n - b.n)) this.#chosen.push(row, sizeOf(row))
    }

    clear() {
        this.#all.clear()
        this.#chosen.clear()
        this.#seen.clear()
        this.#total = 0
        this.#changes++
    }

    /** @param {((row: Row) => void) | null} next is called with each event, whether or not it is kept */
    listen(next) {
        this.#listener = next
    }

    /** The rows to show, the newest first. */
    rows() {
        return (isOpen(this.#filter) ? this.#all : this.#chosen).list().reverse()
    }

    /** What is kept of all events, whatever the filter, the oldest first. */
    all() {
        return this.#all.list()
    }

    rate() {
        return this.#meter.rate(this.#clock())
    }

    /** Each event that has come, and how often. */
    seen() {
        return this.#seen
    }

    /** How many events have come since the last clear. */
    get total() {
        return this.#total
    }

    /** Another number whenever the rows are others. */
    get changes() {
        return this.#changes
    }

    get filter() {
        return this.#filter
    }

    get bytes() {
        return this.#all.bytes + this.#chosen.bytes
    }
}
