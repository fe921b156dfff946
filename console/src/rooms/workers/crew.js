/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Conclusions from the list of workers, as plain data: versions that differ, methods that no worker offers. */

/**
 * @typedef {{id: string, client: string, address?: string, user?: string, version?: string, methods: string[],
 *     window: number, outstanding: number, calls: number, errors: number, refused: number, lost: number,
 *     again: number, unknown: number, leaving: boolean, since: number, p50_s?: number, p99_s?: number}} Worker
 */

/** @param {{version?: string}} worker */
export const versionOf = worker => worker.version || "unknown"

const { compare } = new Intl.Collator("en", { numeric: true })

/**
 * The versions that run, the newest first: more than one is a rolling upgrade, or a worker that was forgotten.
 * @param {{version?: string}[]} workers
 * @returns {[version: string, workers: number][]}
 */
export function versionsOf(workers) {
    /** @type {Map<string, number>} */
    const counts = new Map()
    for (const version of workers.map(versionOf)) counts.set(version, (counts.get(version) ?? 0) + 1)
    return [...counts].sort(([a], [b]) => compare(b, a))
}

/**
 * The methods that only workers carry out and that no worker takes now: their calls wait, and then fail.
 * @template {{name: string, placement: string, isDeclared: boolean}} M
 * @param {M[]} methods as discovery has them
 * @param {Pick<Worker, "leaving" | "methods">[]} workers
 */
export function unofferedOf(methods, workers) {
    const offered = new Set(workers.flatMap(worker => (worker.leaving ? [] : worker.methods)))
    return methods.filter(method => (method.placement === "remote" || method.isDeclared) && !offered.has(method.name))
}
