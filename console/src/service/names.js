/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Names of methods: families with levels in braces, their members as they are called, and commands of devices. */

/** @typedef {Record<string, string>} Levels the levels of a family by their names */

const LEVEL = /^\{(.+)\}$/
const LEVEL_BYTES_MAX = 128

/** The names of the levels in braces. @param {string} name */
export const levelsOf = name => name.split("/").flatMap(level => LEVEL.exec(level)?.[1] ?? [])

/** What a level is if the name matches the family; undefined: it does not. @param {string} family @param {string} name */
export function matchLevels(family, name) {
    const wanted = family.split("/"),
        given = name.split("/")
    if (wanted.length !== given.length) return undefined
    /** @type {Levels} */
    const levels = {}
    for (const [at, level] of wanted.entries()) {
        const word = LEVEL.exec(level)?.[1]
        if (word) levels[word] = given[at] === level ? "" : given[at]
        else if (level !== given[at]) return undefined
    }
    return levels
}

/**
 * The method of a name, declared or as it is called, and its levels.
 * @template {{name: string}} M
 * @param {M[]} methods
 * @param {string} name
 * @returns {{method: M, levels: Levels} | undefined}
 */
export function findMethod(methods, name) {
    const exact = methods.find(method => method.name === name)
    if (exact) return { method: exact, levels: matchLevels(name, name) ?? {} }
    for (const method of methods) {
        const levels = matchLevels(method.name, name)
        if (levels) return { method, levels }
    }
    return undefined
}

/** The name as it is called. @param {string} family @param {Levels} levels */
export const calledName = (family, levels) =>
    family
        .split("/")
        .map(level => levels[LEVEL.exec(level)?.[1] ?? ""] || level)
        .join("/")

/** What is wrong with a level, or "". @param {string} text */
export function faultOfLevel(text) {
    if (!text) return "is required"
    // eslint-disable-next-line no-control-regex
    if (/[/+#\u0000-\u001f\u007f-\u009f]/.test(text)) return "must have no / + # and no control characters"
    return new TextEncoder().encode(text).length > LEVEL_BYTES_MAX ? `must have at most ${LEVEL_BYTES_MAX} bytes` : ""
}
