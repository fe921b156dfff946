/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* One number of an event over time, for each of its keys. When a key has too many points, every other one is forgotten,
 * and from then on half as many are taken: the whole time stays to be seen, in bounded memory. */
import { jsonOf } from "../../base/exact.js"
import { numberAt } from "./numbers.js"

/** @typedef {import("./events.js").Row} Row @typedef {import("./numbers.js").Path} Path */

export const KEYS = 8
const POINTS = 600
const STEP = 0.1 // s: points of a key are at least so far apart

export class Series {
    /** @type {Map<string, {at: number, value: number}[]>} */
    #keys
    #step = STEP
    #hasMore = false

    /**
     * @param {string} event
     * @param {Path} path
     * @param {string} key the key that is drawn in any case
     */
    constructor(event, path, key) {
        this.event = event
        this.path = path
        this.#keys = new Map([[key, []]])
    }

    /** @param {Row} row */
    take = row => {
        if (row.event !== this.event) return
        const points = this.#keys.get(row.key) ?? []
        if (points.length && row.at - points[points.length - 1].at < this.#step) return
        const value = numberAt(jsonOf(row.text), this.path)
        if (value === undefined) return
        if (!this.#keys.has(row.key) && this.#keys.size >= KEYS) {
            this.#hasMore = true
            return
        }
        points.push({ at: row.at, value })
        this.#keys.set(row.key, points)
        if (points.length >= POINTS) this.#thin()
    }

    #thin() {
        this.#step *= 2
        for (const [name, points] of this.#keys)
            this.#keys.set(
                name,
                points.filter((_, index) => index % 2)
            )
    }

    /** Whether there are keys that are not drawn. */
    get hasMore() {
        return this.#hasMore
    }

    get keys() {
        return [...this.#keys.keys()]
    }

    get size() {
        return [...this.#keys.values()].reduce((sum, points) => sum + points.length, 0)
    }

    /** The times of all keys in order, and the values of each key at them. @returns {(number | null)[][]} */
    data() {
        const lines = [...this.#keys.values()]
        const times = [...new Set(lines.flatMap(points => points.map(point => point.at)))]
        times.sort((a, b) => a - b)
        const rows = lines.map(points => {
            const values = new Map(points.map(point => [point.at, point.value]))
            return times.map(at => values.get(at) ?? null)
        })
        return [times, ...rows]
    }
}
