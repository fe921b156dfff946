/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Events as rows: which event a topic belongs to, whether a payload is an error, and what a filter lets through. */
import { jsonOf } from "../../base/exact.js"

/**
 * @typedef {{n: number, at: number, topic: string, event: string, key: string, text: string, bytes: number,
 *     retained: boolean, properties: any, isError: boolean}} Row
 * @typedef {{event: string, key: string, text: string, errors: boolean}} Filter
 */

/** @type {Filter} */
export const NO_FILTER = { event: "", key: "", text: "", errors: false }

/**
 * The event and the key of a topic: the last level is the key unless the whole is the name of an event.
 * @param {string} rest the topic behind `{prefix}/event/`
 * @param {Set<string>} declared the names of events
 */
export function splitTopic(rest, declared) {
    const slash = rest.lastIndexOf("/")
    if (slash < 0 || declared.has(rest)) return { event: rest, key: "" }
    return { event: rest.slice(0, slash), key: rest.slice(slash + 1) }
}

/** An error is an object with a member `err`, which is its code. @param {string} text */
export function isErrorText(text) {
    if (!text.includes('"err"')) return false
    return typeof jsonOf(text)?.err === "string"
}

/** @param {Filter} filter */
export const isOpen = filter => !filter.event && !filter.key && !filter.text && !filter.errors

/** @param {Filter} filter @param {Row} row */
export function matches(filter, row) {
    if (filter.errors && !row.isError) return false
    if (filter.event && row.event !== filter.event) return false
    if (filter.key && !row.key.toLowerCase().includes(filter.key.toLowerCase())) return false
    return !filter.text || row.text.toLowerCase().includes(filter.text.toLowerCase())
}
