/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Failed calls as plain data: those of all answers of rpc.recent, without repetitions, grouped by cause. */
import { jsonOf, parse, write } from "../../base/exact.js"
import { hasWords } from "../../base/text.js"
import { matchLevels } from "../../service/names.js"

/**
 * @typedef {{at: number, method: string, caller: string, status: string, bytes: number, waited_s: number,
 *     ran_s: number, worker?: string, trace?: string, payload?: string}} Call as rpc.recent has it
 * @typedef {Call & {key: string, err: string, took: number}} KnownCall
 * @typedef {{at: number, err: string, msg: string}} LastError
 * @typedef {{errors: Record<string, number>, since?: number, last_error: LastError | null}} Counts of a method, as the statistics have it
 * @typedef {{key: string, method: string, err: string, calls: KnownCall[], count: number, at: number | undefined,
 *     msg: string, since?: number}} Group  count: since that time; at: of the last one; calls: those that are known
 */

/** So many calls are kept: those of an hour are worth more than those of a second. */
export const KEPT_MAX = 1000
const LASTS_MAX = 2000 // errors whose last message is kept, of methods and codes

/**
 * The calls that were known and those of an answer, the latest first. The service remembers 256 calls, also those of
 * the console itself, so that calls of earlier answers are kept here.
 * @param {KnownCall[]} known
 * @param {Call[]} told
 * @returns {KnownCall[]} `known` itself if nothing is new
 */
export function mergeCalls(known, told) {
    const keys = new Set(known.map(call => call.key))
    /** @type {Map<string, number>} */
    const times = new Map()
    /** @type {KnownCall[]} */
    const fresh = []
    for (const call of told) {
        // The time is no part of a call's identity: the service works it out anew for each answer.
        const identity = JSON.stringify({ ...call, at: 0 }),
            nth = times.get(identity) ?? 0
        times.set(identity, nth + 1)
        if (!keys.has(identity + nth))
            fresh.push({ ...call, key: identity + nth, err: call.status, took: call.waited_s + call.ran_s })
    }
    return fresh.length ? [...fresh, ...known].sort((a, b) => b.at - a.at).slice(0, KEPT_MAX) : known
}

/**
 * Whether this is a declared name of which the other is one: `device/{device}/{command}` of `device/lamp1/light`.
 * @param {string} declared
 * @param {string} called
 */
export const isFamilyOf = (declared, called) => declared.includes("{") && !!matchLevels(declared, called)

/**
 * Notes the last error of each method: the statistics have its message, and only the last one's.
 * @param {Map<string, LastError>} lasts by method and error
 * @param {Record<string, Counts>} methods
 */
export function noteErrors(lasts, methods) {
    for (const [method, { last_error: last }] of Object.entries(methods))
        if (last && (lasts.size < LASTS_MAX || lasts.has(`${method} ${last.err}`)))
            lasts.set(`${method} ${last.err}`, last)
}

/**
 * The statistics count since the start, and know the last message; of a family they do not know which member it was.
 * @param {Group} group
 * @param {Map<string, Counts>} counts
 * @param {Map<string, LastError>} lasts
 */
function addStatistics(group, counts, lasts) {
    const { key, method, err } = group,
        own = counts.get(method),
        exact = lasts.get(key)
    const last = exact ?? lasts.get(`${[...counts.keys()].find(name => isFamilyOf(name, method))} ${err}`)
    if (last && (exact || Math.abs(last.at - (group.at ?? 0)) < 1)) {
        group.msg = last.msg
        lasts.set(key, last)
    }
    if (own && own.errors[err] >= group.count) Object.assign(group, { count: own.errors[err], since: own.since })
}

/**
 * What failed, by method and error, what failed last at first: the calls that are known, and what the statistics
 * have counted of failures that are older.
 * @param {KnownCall[]} calls
 * @param {Record<string, Counts>} [methods]
 * @param {Map<string, LastError>} [lasts] see noteErrors
 * @returns {Group[]}
 */
export function groupFailures(calls, methods = {}, lasts = new Map()) {
    /** @type {Map<string, Group>} */
    const groups = new Map()
    for (const call of calls) {
        const { method, err } = call,
            key = `${method} ${err}`
        const group = groups.get(key) ?? { key, method, err, calls: [], count: 0, at: 0, msg: "" }
        groups.set(key, group)
        group.calls.push(call)
        group.count++
        group.at = Math.max(group.at ?? 0, call.at + call.took)
    }
    const made = [...groups.values()],
        counts = new Map(Object.entries(methods))
    made.forEach(group => addStatistics(group, counts, lasts))
    const older = [...counts].flatMap(([method, row]) => olderOf(method, row, made, lasts))
    return [...made, ...older].sort((a, b) => (b.at ?? 0) - (a.at ?? 0))
}

/**
 * Errors of a method that no known call had, nor one of a family's members.
 * @param {string} method @param {Counts} counts @param {Group[]} groups @param {Map<string, LastError>} lasts
 * @returns {Group[]}
 */
function olderOf(method, { errors, since }, groups, lasts) {
    const isKnown = (/** @type {string} */ err) =>
        groups.some(group => group.err === err && (group.method === method || isFamilyOf(method, group.method)))
    return Object.keys(errors)
        .filter(err => errors[err] && !isKnown(err))
        .map(err => {
            const key = `${method} ${err}`,
                { at, msg = "" } = lasts.get(key) ?? {}
            return { key, method, err, calls: [], count: errors[err], at, msg, since }
        })
}

/**
 * Whether a filter's words all stand in the method, the caller, the error, a worker or a trace.
 * @param {{method: string, err?: string, caller?: string, worker?: string, trace?: string}} call
 * @param {string} words
 */
export const isFound = (call, words) =>
    hasWords(words, [call.method, call.err, call.caller, call.worker, call.trace].join(" "))

/**
 * The parameters of a call, as JSON, if its payload was kept, whole: to call the method again with others.
 * @param {Call | undefined} call
 */
export const paramsOf = call => (jsonOf(call?.payload ?? "") === undefined ? undefined : call?.payload)

/**
 * The parameters of a dead letter, as JSON with all digits of its numbers, if they were kept.
 * @param {string} [text] the result of dead.get as it came
 */
export function paramsOfLetter(text = "") {
    const { value } = parse(text)
    return value?.params === undefined ? undefined : write(value.params)
}
