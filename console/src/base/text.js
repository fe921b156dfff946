/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Text from the wire, made fit to be looked at: nothing in it is invisible, turns the direction of writing, or has no
 * end.
 */

import { write } from "./exact.js"

/* Control characters, and what is invisible or changes the order of characters. */
const CODES = "\\u007f-\\u009f\\u00ad\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb"
const INVISIBLE = new RegExp(`[\\u0000-\\u001f${CODES}]`, "gu")
const INVISIBLE_IN_LINES = new RegExp(`[\\u0000-\\u0008\\u000b-\\u001f${CODES}]`, "gu")
const LONE_SURROGATE = /[\ud800-\udfff]/gu

/**
 * A value from the wire as text. It need not be text, nor anything that String() can convert: `{"toString": 1}`.
 * @param {unknown} value
 */
const textOf = value => (typeof value === "object" && value ? write(value) : String(value ?? ""))

/**
 * What a table of words has for a name from the wire; undefined for a name that every object inherits, as `constructor`.
 * @template T
 * @param {Record<string, T>} table
 * @param {unknown} name
 * @returns {T | undefined}
 */
export const entryOf = (table, name) =>
    typeof name === "string" && Object.hasOwn(table, name) ? table[name] : undefined

/** @param {string} character */
const escaped = character => "\\u" + character.charCodeAt(0).toString(16).padStart(4, "0")

/**
 * A name (of a method, a device, a topic) as it may be shown in one line.
 * @param {unknown} text
 * @param {number} max characters that are shown
 */
export const visible = (text, max = 200) =>
    cut(textOf(text), max).replace(INVISIBLE, escaped).replace(LONE_SURROGATE, escaped)

/**
 * Text of several lines: line ends and tabs stay.
 * @param {unknown} text
 * @param {number} max
 */
export const visibleLines = (text, max = 20000) =>
    cut(textOf(text), max).replace(INVISIBLE_IN_LINES, escaped).replace(LONE_SURROGATE, escaped)

/**
 * The first `max` characters, and `…` where there are more.
 * @param {string} text
 * @param {number} max
 */
export function cut(text, max) {
    if (text.length <= max) return text
    const end = /[\ud800-\udbff]/.test(text[max - 2] ?? "") ? max - 2 : max - 1
    return text.slice(0, Math.max(0, end)) + "…"
}

/**
 * `1 device`, `2 devices`.
 * @param {number} count
 * @param {string} one
 * @param {string} many
 */
export const plural = (count, one, many = one + "s") => `${count.toLocaleString("en")} ${count === 1 ? one : many}`

/**
 * `3 devices`, or where some are left out `2 of 3 devices`.
 * @param {number} shown
 * @param {number} all
 * @param {string} one
 */
export const some = (shown, all, one) => (shown < all ? `${shown.toLocaleString("en")} of ` : "") + plural(all, one)

/**
 * Whether all words of `query` are in `text`.
 * @param {string} query
 * @param {string} text
 */
export function hasWords(query, text) {
    const lower = text.toLowerCase()
    return query
        .toLowerCase()
        .split(/\s+/)
        .every(word => lower.includes(word))
}
