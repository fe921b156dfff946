/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Durations that the plugin has counted in buckets: a bucket has the calls that took up to its bound, without those of
 * the buckets before it; the last has the calls that took longer than all bounds. */

/** The bounds of the buckets, in seconds (rpc.stats, `methods[].buckets`). */
export const BOUNDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/**
 * What was counted between two samples; null: the counting began anew between them.
 * @param {number[]} later
 * @param {number[]} earlier
 */
export function difference(later, earlier) {
    if (later.length !== earlier.length) return null
    const counts = later.map((count, index) => count - earlier[index])
    return counts.some(count => count < 0) ? null : counts
}

/**
 * The duration that the share `part` of the calls did not exceed, in seconds; null: there were no calls. Within a bucket
 * the calls are taken to lie evenly. No answer is over `longest`, which is the only bound that the last bucket has.
 * @param {number[]} counts
 * @param {number} part 0.5 is the median
 * @param {number} [longest] no call took longer than this
 * @returns {number | null}
 */
export function quantile(counts, part, longest = Infinity) {
    const all = counts.reduce((sum, count) => sum + count, 0)
    if (all <= 0) return null
    let rest = part * all
    const index = counts.findIndex(count => count > 0 && (rest -= count) <= 0)
    return between(index, 1 + rest / counts[index], longest)
}

/** @param {number} index @param {number} share @param {number} longest */
function between(index, share, longest) {
    const low = index ? BOUNDS[index - 1] : 0
    const high = Math.min(BOUNDS[index] ?? Infinity, longest)
    if (high === Infinity || high < low) return low
    return low + (high - low) * share
}
