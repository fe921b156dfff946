/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * JSON that keeps every number: an integer beyond 2^53, a number beyond a double, or a zero below 0 is a Numeral, which
 * holds the text that it was written as. All other values are those of JSON.parse().
 */

/** A number that a double does not hold. */
export class Numeral {
    /** @param {string} text a number of JSON */
    constructor(text) {
        this.text = text
    }

    toString() {
        return this.text
    }
}

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?(e[+-]?\d+)?$/i
const TOKEN = /"[^"\\]*(?:\\[^][^"\\]*)*(?:"|\\?$)|[-+.\w]+/g
const DEPTH_MAX = 1000
const MARK = `\0${Math.random()}` // begins a string that stands for a Numeral; it is random, so that no payload has it

/** @param {string} text a number of JSON */
export function numberOf(text) {
    const number = Number(text)
    const isKept = Number.isInteger(number)
        ? Number.isSafeInteger(number) && !Object.is(number, -0)
        : Number.isFinite(number)
    return isKept ? number : new Numeral(text)
}

/** @param {string} text */
export const isNumber = text => NUMBER.test(text)

/** @param {unknown} value @returns {value is Record<string, any>} */
export const isObject = value =>
    value !== null && typeof value === "object" && !Array.isArray(value) && !(value instanceof Numeral)

/** Whether a value is nested deeper than anybody looks, or than functions can call themselves. @param {any} value @param {number} [left] @returns {boolean} */
const isTooDeep = (value, left = DEPTH_MAX) =>
    value !== null &&
    typeof value === "object" &&
    (!left || Object.values(value).some(inner => isTooDeep(inner, left - 1)))

/**
 * What a text is as JSON, or why it is none.
 * @param {string} text
 * @returns {{value: any, why?: undefined} | {value?: undefined, why: string}}
 */
export function parse(text) {
    const marked = text.replace(TOKEN, token =>
        isNumber(token) && numberOf(token) instanceof Numeral ? `"${JSON.stringify(MARK).slice(1, -1)}${token}"` : token
    )
    try {
        const value =
            marked === text
                ? JSON.parse(text)
                : JSON.parse(marked, (_, value) =>
                      typeof value === "string" && value.startsWith(MARK)
                          ? new Numeral(value.slice(MARK.length))
                          : value
                  )
        return isTooDeep(value) ? { why: `It is nested deeper than ${DEPTH_MAX} levels` } : { value }
    } catch (error) {
        return { why: /** @type {Error} */ (error).message }
    }
}

/** What JSON.parse() makes of a text; undefined: it is no JSON, or is nested too deep. @param {string} text @returns {any} */
export function jsonOf(text) {
    try {
        const value = JSON.parse(text)
        return isTooDeep(value) ? undefined : value
    } catch {
        return undefined
    }
}

/**
 * The text of a value. indent: "" writes it on one line.
 * @param {any} value
 * @param {string} [indent]
 * @param {string} [pad]
 * @returns {string}
 */
export function write(value, indent = "", pad = "") {
    if (value instanceof Numeral) return value.text
    if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null"
    const inner = pad + indent,
        isArray = Array.isArray(value),
        [open, close] = isArray ? "[]" : "{}"
    const parts = Object.keys(value).map(
        name => (isArray ? "" : `${JSON.stringify(name)}:${indent && " "}`) + write(value[name], indent, inner)
    )
    return parts.length && indent
        ? `${open}\n${inner}${parts.join(`,\n${inner}`)}\n${pad}${close}`
        : open + parts + close
}
