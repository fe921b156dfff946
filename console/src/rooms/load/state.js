/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The state of the room Load, kept until the user signs out: ten minutes of statistics, and the time that the table sums up. */
import { createStore } from "../../base/store.js"
import { createHistory } from "./history.js"

/** @param {import("../../service/service.js").Service} service */
export function createState(service) {
    const history = createHistory()
    const changes = createStore(0)
    const seconds = createStore(60)
    function take() {
        const samples = service.statistics.samples.get()
        const last = history.last()?.at ?? 0
        for (const row of samples.rows) if (row.at > last) history.add(row, samples.interval)
        changes.update(count => count + 1)
    }

    return {
        history,
        /** Another number whenever the history has changed. */
        changes,
        /** How long the time is that the table sums up. */
        seconds,
        /** Called while the room is open; returns what ends that. What came meanwhile is in the samples. */
        open() {
            const stop = service.statistics.samples.subscribe(take)
            take()
            return stop
        }
    }
}

/** @typedef {ReturnType<typeof createState>} State */
