/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Keeps the catalogue fresh where workers come and go: they bring methods and events, and take them along.
 *
 * A worker that comes or leaves calls rpc.attach or rpc.detach, which the statistics count: that costs no call. A worker
 * that breaks off says nothing, so that where workers are known, they are counted by rpc.workers. The service forgets
 * methods only a while after their last worker has gone, and as long as such are there, discovery is asked each time.
 */
import { Poll } from "./poll.js"

const PERIOD = 20000 // ms; the service forgets after 60 s

/** @typedef {import("./service.js").Service} Service */

/** How often workers have come or left; undefined: that is not known. @param {Service} service */
const movesOf = ({ statistics }) => {
    const counts = statistics.samples.get().rows.at(-1)?.methods
    return counts && (counts["rpc.attach"]?.calls ?? 0) + (counts["rpc.detach"]?.calls ?? 0)
}

export class CrewWatch {
    #service
    #poll
    /** @type {number | undefined} */
    #moves
    /** @type {number | undefined} of workers */
    #count
    #countedAt = 0
    /** @type {(() => void) | undefined} */
    #stopCounting

    /** @param {Service} service @param {number} [period] */
    constructor(service, period = PERIOD) {
        this.#service = service
        this.#poll = new Poll(service, "rpc.workers", { limit: 1 }, period)
    }

    /** As long as a room shows what workers declare. @returns {() => void} ends it */
    start = () => {
        const { statistics, catalogue } = this.#service
        const stops = [
            statistics.samples.subscribe(this.#seeMoves),
            catalogue.subscribe(this.#seeMethods),
            this.#poll.store.subscribe(this.#seeCount),
            this.#endCounting
        ]
        this.#seeMoves()
        this.#seeMethods()
        return () => stops.forEach(stop => stop())
    }

    #endCounting = () => {
        this.#stopCounting?.()
        this.#stopCounting = undefined
    }

    #seeMoves = () => {
        const moves = movesOf(this.#service),
            before = this.#moves
        this.#moves = moves ?? before
        if (before !== undefined && moves !== undefined && moves !== before) void this.#service.reload()
    }

    #seeMethods = () => {
        const hasWorkers = this.#service.catalogue
            .get()
            .methods.some(({ workers, isDeclared }) => workers.length || isDeclared)
        if (hasWorkers) this.#stopCounting ??= this.#poll.start()
        else this.#endCounting()
    }

    #seeCount = () => {
        const { value, at } = this.#poll.store.get(),
            before = this.#count
        if (!value || at === this.#countedAt) return
        this.#countedAt = at
        this.#count = value.count
        const { methods } = this.#service.catalogue.get()
        const isOrphaned = methods.some(({ workers, isDeclared }) => isDeclared && !workers.length)
        if ((before !== undefined && before !== value.count) || isOrphaned) void this.#service.reload()
    }
}
