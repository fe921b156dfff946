/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The numbers of payloads: where they are, and what a schema says of them. */

/** @typedef {(string | number)[]} Path */

const NUMBERS = 50
const DEPTH = 32 // deeper payloads are not looked at

/**
 * The first numbers of a value, in its order.
 * @param {any} value
 * @returns {{path: Path, value: number}[]}
 */
export function numbersIn(value) {
    /** @type {{path: Path, value: number}[]} */
    const found = []
    /** @param {any} part @param {Path} path */
    function look(part, path) {
        if (typeof part === "number") found.push({ path, value: part })
        if (part === null || typeof part !== "object" || path.length >= DEPTH) return
        for (const name of Object.keys(part)) {
            if (found.length >= NUMBERS) return
            look(part[name], [...path, Array.isArray(part) ? Number(name) : name])
        }
    }
    look(value, [])
    return found
}

/** The number at a path; undefined: there is none. @param {any} value @param {Path} path */
export function numberAt(value, path) {
    for (const step of path) {
        if (value === null || typeof value !== "object" || !Object.hasOwn(value, step)) return undefined
        value = value[step]
    }
    return typeof value === "number" && Number.isFinite(value) ? value : undefined
}

/** A path for people: `position.x`, `readings[0]`. @param {Path} path */
export const pathText = path =>
    path.map((step, index) => (typeof step === "number" ? `[${step}]` : index ? `.${step}` : step)).join("") || "value"

/**
 * What the schema says of the member at a path: null if it says nothing.
 * @param {any} schema
 * @param {Path} path
 * @param {(schema: any) => any} resolve follows a `$ref`
 * @returns {any}
 */
export function schemaAt(schema, path, resolve) {
    const here = resolve(schema)
    if (!here || typeof here !== "object") return null
    if (!path.length) return here
    const [step, ...rest] = path
    const inside = typeof step === "number" ? here.items : here.properties?.[step]
    if (inside) return schemaAt(inside, rest, resolve)
    for (const choice of here.anyOf ?? here.oneOf ?? []) {
        const found = schemaAt(choice, path, resolve)
        if (found) return found
    }
    return null
}
