/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What is wrong with a value, by the path of the member, in the form in which the service names members in the messages
 * of `invalid_params`: readings[3].value. The service has the last word: it is asked even where this finds something, if
 * the person wants that.
 */
import { isObject, Numeral, write } from "../base/exact.js"
import { boundsOf, describe } from "./model.js"
import { join } from "./read.js"

/** @typedef {import("./model.js").Node} Node */

export const MISSING = "is required"
const TRIES_MAX = 1e7,
    FAULTS_MAX = 1000

/** A bound of a schema as it was meant: 2^63 - 1 is no double. @param {number} bound */
const exactBound = bound => (bound >= 2 ** 63 ? 2n ** 63n - 1n : BigInt(Math.trunc(bound)))

/** @param {Node} node @param {number | Numeral} value */
function isInBounds({ kind, min = -Infinity, max = Infinity }, value) {
    const text = `${value}`
    if (kind !== "integer" || !/^-?\d+$/.test(text)) return Number(text) >= min && Number(text) <= max
    const exact = BigInt(text)
    return (min === -Infinity || exact >= exactBound(min)) && (max === Infinity || exact <= exactBound(max))
}

/** @param {Node} node @param {number} count @param {string} what */
const faultOfCount = (node, count, what) =>
    count < node.least || count > node.most
        ? `must have ${boundsOf(node) || `at most ${node.most} ${what}`}; it has ${count}`
        : ""

/**
 * Whether a pattern cannot take long: how often it may try is at most its repetitions and choices, multiplied.
 * @param {string} pattern @param {string} text
 */
function isQuick(pattern, text) {
    const count = (/** @type {RegExp} */ what) => pattern.match(what)?.length ?? 0
    return !/\)[*+?{]|\\[1-9k]/.test(pattern) && text.length ** (count(/[*+?{]/g) + 1) * 2 ** count(/\|/g) < TRIES_MAX
}

/** @param {Node} node @param {string} value */
function faultOfText(node, value) {
    if (!value && node.least > 0) return MISSING
    if (value.includes("\0")) return "must not contain the character U+0000"
    const { pattern = "" } = node
    try {
        if (pattern && isQuick(pattern, value) && !new RegExp(pattern, "u").test(value)) return `must match ${pattern}`
    } catch {
        /* It is no pattern, and says nothing. */
    }
    return faultOfCount(node, [...value].length, "characters")
}

/** Whether a value is of a kind at all. @param {Node} node @param {any} value */
function isOfKind({ kind, choices, wants = kind }, value) {
    if (kind === "choice") return choices.some(choice => write(choice) === write(value))
    if (wants === "object" || wants === "array") return wants === "object" ? isObject(value) : Array.isArray(value)
    if (kind === "number" || kind === "integer")
        return value instanceof Numeral || (typeof value === "number" && (kind === "number" || Number.isInteger(value)))
    return kind === "json" || typeof value === kind
}

/** @param {Node} node @param {any} value of the kind */
function faultOf(node, value) {
    if (node.kind === "string") return faultOfText(node, value)
    if (node.kind === "array") return faultOfCount(node, value.length, "elements")
    return isInBounds(node, value)
        ? ""
        : boundsOf(node)
          ? `must be ${describe(node)}`
          : `must be from ${node.min} to ${node.max}`
}

/**
 * @param {Node} node
 * @param {any} value undefined: it is not there
 * @param {Map<string, string>} [faults] gets the first of the faults
 * @param {string} [path]
 */
export function check(node, value, faults = new Map(), path = node.name) {
    if (faults.size >= FAULTS_MAX) return faults
    if (value === undefined || value === null)
        return (value === undefined ? !node.required : node.nullable) || (value === null && node.kind === "json")
            ? faults
            : faults.set(path, MISSING)
    if (!isOfKind(node, value)) return faults.set(path, `must be ${describe(node)}`)
    if (node.kind === "object") {
        const rest = new Map(Object.entries(value))
        for (const member of node.members()) {
            check(member, rest.get(member.name), faults, join(path, member.name))
            rest.delete(member.name)
        }
        if (node.closed) rest.forEach((_, name) => faults.set(join(path, name), "is not declared"))
        return faults
    }
    if (node.kind === "array")
        value.forEach((/** @type {any} */ item, /** @type {number} */ at) =>
            check(node.item(), item, faults, `${path}[${at}]`)
        )
    const fault = /^(string|array|number|integer)$/.test(node.kind) ? faultOf(node, value) : ""
    return fault ? faults.set(path, fault) : faults
}

/**
 * The path that a message of `invalid_params` names, and what it says of it: "readings[3].value is required". Of a
 * message that names none it is a word that is no path.
 * @param {string} message
 */
export function placeOf(message) {
    const [, path = "", text = ""] = /^(\S+?):? (.*)$/s.exec(message) ?? []
    return { path, text }
}
