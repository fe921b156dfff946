/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What was counted from each sample of the statistics to the next, for ten minutes. Where nothing is known, because the
 * connection was lost, the page slept or the counting began anew, there is a gap. */
import { difference, quantile } from "../../base/histogram.js"

/**
 * @typedef {import("../../service/statistics.js").MethodCounts} Counts what the plugin has counted of a method
 * @typedef {Pick<import("../../service/statistics.js").Sample, "at" | "isFirst" | "methods">} Sample
 * @typedef {{calls: number, failed: number, errors: Record<string, number>, buckets: number[], longest: number,
 *     running: number, waiting: number}} Part what was counted of a method between two samples
 * @typedef {{at: number, seconds: number, parts: Map<string, Part>}} Span without seconds it is a gap
 */

export const KEPT = 600 // s
const CODES = 6 // that a chart tells apart
const NOTHING = { calls: 0, errors: {}, running: 0, waiting: 0, max_s: 0, since: 0 }

/** Counts by names from the wire: it inherits no name. @param {Record<string, number>} [counts] @returns {Record<string, number>} */
const countsOf = counts => Object.assign(Object.create(null), counts)

/** @returns {Part} */
const emptyPart = () => ({ calls: 0, failed: 0, errors: countsOf(), buckets: [], longest: 0, running: 0, waiting: 0 })

/** @param {Record<string, number>} sum @param {Record<string, number>} more @param {number} [sign] */
function addCounts(sum, more, sign = 1) {
    for (const name of Object.keys(more)) {
        sum[name] = (sum[name] ?? 0) + sign * more[name]
        if (!sum[name]) delete sum[name]
    }
}

/** @param {Part} sum @param {Part} more */
function addPart(sum, more) {
    sum.calls += more.calls
    sum.failed += more.failed
    addCounts(sum.errors, more.errors)
    sum.buckets = more.buckets.length
        ? more.buckets.map((count, index) => count + (sum.buckets[index] ?? 0))
        : sum.buckets
    sum.longest = Math.max(sum.longest, more.longest)
    sum.running += more.running
    sum.waiting += more.waiting
    return sum
}

/**
 * What a method has done between two samples; null: its counting began anew.
 * @param {Counts} later
 * @param {Counts | undefined} earlier it was not called yet
 * @returns {Part | null}
 */
function partBetween(later, earlier) {
    const before = earlier ?? { ...NOTHING, since: later.since, buckets: later.buckets.map(() => 0) }
    const buckets = difference(later.buckets, before.buckets)
    if (later.since !== before.since || later.calls < before.calls || !buckets) return null
    const errors = countsOf(later.errors)
    addCounts(errors, before.errors, -1)
    const failed = Object.values(errors).reduce((sum, count) => sum + count, 0)
    const { running, waiting, max_s: longest } = later
    return { calls: later.calls - before.calls, failed, errors, buckets, longest, running, waiting }
}

/** @param {Sample} later @param {Sample} earlier @param {number} seconds @returns {Span} */
function spanBetween(later, earlier, seconds) {
    const parts = new Map()
    for (const [name, counts] of Object.entries(later.methods)) {
        const part = partBetween(counts, Object.hasOwn(earlier.methods, name) ? earlier.methods[name] : undefined)
        if (!part) return { at: later.at, seconds: 0, parts: new Map() }
        if (part.calls || part.running || part.waiting) parts.set(name, part)
    }
    return { at: later.at, seconds, parts }
}

/** The statistics of ten minutes. @param {number} [kept] s */
export function createHistory(kept = KEPT) {
    /** @type {Span[]} */
    let spans = []
    /** @type {Sample | null} */
    let last = null

    return {
        /**
         * @param {Sample} sample
         * @param {number} interval s: what has changed did so in no shorter time, and twice as long without a sample is
         *        a gap
         */
        add(sample, interval) {
            const seconds = sample.at - (last?.at ?? 0)
            if (seconds <= 0) return
            if (last && (sample.isFirst || seconds > 2.2 * interval))
                spans.push({ at: sample.at, seconds: 0, parts: new Map() })
            else if (last) spans.push(spanBetween(sample, last, Math.max(seconds, interval)))
            last = sample
            spans = spans.filter(span => span.at > sample.at - kept)
        },
        spans: () => spans,
        last: () => last
    }
}

/**
 * What a method, or all of them together, did in a span; null in a gap.
 * @param {Span} span
 * @param {string | null} method
 */
export function partOf(span, method) {
    if (!span.seconds) return null
    if (method !== null) return span.parts.get(method) ?? emptyPart()
    return [...span.parts.values()].reduce(addPart, emptyPart())
}

/**
 * A row of the table: what a method did in the spans of the last `seconds`; null: nothing is known.
 * @param {Span[]} spans
 * @param {string} method
 * @param {number} seconds
 */
export function summary(spans, method, seconds) {
    const newest = spans.length ? spans[spans.length - 1].at : 0
    const recent = spans.filter(span => span.seconds && span.at > newest - seconds)
    const known = recent.reduce((sum, span) => sum + span.seconds, 0)
    if (!known) return null
    const sum = recent.reduce((all, span) => addPart(all, span.parts.get(method) ?? emptyPart()), emptyPart())
    return {
        calls: sum.calls / known,
        failed: sum.failed / known,
        p50: quantile(sum.buckets, 0.5, sum.longest),
        p99: quantile(sum.buckets, 0.99, sum.longest)
    }
}

/** The codes of all errors, the most frequent first. @param {(Part | null)[]} parts */
function codesOf(parts) {
    const sum = countsOf()
    for (const part of parts) addCounts(sum, part?.errors ?? {})
    return Object.keys(sum).sort((a, b) => sum[b] - sum[a] || (a < b ? -1 : 1))
}

/**
 * The points of a chart: the end of each span, and the start of the first and of those behind a gap, so that a line is
 * to be seen as soon as there is one span.
 * @param {Span[]} spans
 * @param {string | null} method
 */
function pointsOf(spans, method) {
    /** @type {{at: number, seconds: number, part: Part | null}[]} */
    const points = []
    let isOpen = false
    for (const span of spans) {
        const part = partOf(span, method)
        if (part && !isOpen)
            points.push({
                at: Math.max(span.at - span.seconds, (points[points.length - 1]?.at ?? 0) + 0.001),
                seconds: span.seconds,
                part
            })
        points.push({ at: part ? span.at : span.at - 0.001, seconds: span.seconds, part })
        isOpen = !!part
    }
    return points
}

/**
 * The columns of the charts, with null in the gaps.
 * @param {Span[]} spans
 * @param {string | null} method null: all of them
 */
export function columns(spans, method) {
    const points = pointsOf(spans, method)
    const codes = codesOf(points.map(point => point.part))
    const main = codes.slice(0, codes.length > CODES ? CODES - 1 : CODES)
    /** @param {(part: Part, seconds: number) => number | null} of */
    const column = of => points.map(({ part, seconds }) => (part ? of(part, seconds) : null))
    const errors = main.map(code => column((part, seconds) => (part.errors[code] ?? 0) / seconds))
    if (main.length < codes.length)
        errors.push(
            column(
                (part, seconds) =>
                    (part.failed - main.reduce((sum, code) => sum + (part.errors[code] ?? 0), 0)) / seconds
            )
        )
    return {
        times: points.map(point => point.at),
        calls: column((part, seconds) => part.calls / seconds),
        codes: main.length < codes.length ? [...main, "other"] : main,
        errors,
        p50: column(part => quantile(part.buckets, 0.5, part.longest)),
        p99: column(part => quantile(part.buckets, 0.99, part.longest)),
        running: column(part => part.running),
        waiting: column(part => part.waiting)
    }
}
