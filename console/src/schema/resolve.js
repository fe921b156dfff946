/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Resolves schemas: follows references, joins `allOf`, and reads "this or null" as a type. What workers
 * declare may be any JSON Schema; the parts that are not understood here, and those beyond STEPS_MAX, leave a schema that
 * allows more.
 */
import { isObject } from "../base/exact.js"

/** @typedef {Record<string, any>} Schema */

const STEPS_MAX = 200 // schemas that one is made of: a schema may refer to itself, more than once

/** @param {any} root @param {string} reference @returns {Schema} */
function follow(root, reference) {
    if (!reference.startsWith("#")) return {}
    let place = root
    for (const step of reference.slice(1).split("/").slice(1)) {
        const name = decode(step).replace(/~1/g, "/").replace(/~0/g, "~")
        place = place !== null && typeof place === "object" && Object.hasOwn(place, name) ? place[name] : undefined
    }
    return isObject(place) ? place : {}
}

/** @param {string} text */
function decode(text) {
    try {
        return decodeURIComponent(text)
    } catch {
        return text
    }
}

/** @param {Schema} one @param {Schema} other @returns {Schema} */
const join = (one, other) =>
    !Object.keys(other).length
        ? one
        : {
              ...one,
              ...other,
              ...(one.properties || other.properties ? { properties: { ...one.properties, ...other.properties } } : {}),
              ...(one.required || other.required ? { required: [one.required ?? [], other.required ?? []].flat() } : {})
          }

/**
 * @param {any} root what `#` stands for: the document, or the schema itself
 * @param {any} schema
 * @param {{left: number}} [steps]
 * @returns {Schema}
 */
export function resolve(root, schema, steps = { left: STEPS_MAX }) {
    if (!isObject(schema) || --steps.left < 0) return {}
    const { $ref, allOf, ...own } = schema
    if (typeof $ref === "string")
        return join(resolve(root, follow(root, $ref), steps), resolve(root, { allOf, ...own }, steps))
    let joined = own
    for (const part of Array.isArray(allOf) ? allOf : []) joined = join(resolve(root, part, steps), joined)
    return optional(root, joined, steps)
}

/** `anyOf` of something and null. @param {any} root @param {Schema} schema @param {{left: number}} steps @returns {Schema} */
function optional(root, schema, steps) {
    const { anyOf = schema.oneOf, oneOf, ...own } = schema
    if (!Array.isArray(anyOf)) return schema
    const all = anyOf.map(part => resolve(root, part, steps)),
        some = all.filter(part => part.type !== "null")
    if (some.length !== 1 || some.length === all.length) return schema
    const [type] = [some[0].type].flat()
    return join(type ? { ...some[0], type: [...[some[0].type].flat(), "null"] } : some[0], own)
}
