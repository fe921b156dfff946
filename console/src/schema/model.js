/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What a form shows of a schema: a tree of nodes, each of one kind. Nodes below an object or an array are made when
 * they are asked for, so that a schema may contain itself.
 */
import { isObject, write } from "../base/exact.js"
import { cut } from "../base/text.js"
import { resolve } from "./resolve.js"

/**
 * @typedef {"string"|"number"|"integer"|"boolean"|"choice"|"object"|"array"|"json"} Kind
 *
 * @typedef {object} Node
 * @property {Kind} kind
 * @property {string} name         of a member; "" at the root of an object
 * @property {string} description
 * @property {string} unit
 * @property {boolean} required
 * @property {boolean} nullable
 * @property {any} [default]
 * @property {number} [min]        of a number
 * @property {number} [max]
 * @property {number} least        characters or elements
 * @property {number} most
 * @property {string} [pattern]
 * @property {any[]} choices
 * @property {boolean} closed      an object takes no other members
 * @property {any} [example]
 * @property {string} [wants]      of json: the type that it must have
 * @property {() => Node[]} members
 * @property {() => Node} item
 */

const DEPTH_MAX = 5 // what is deeper is JSON

/** @param {import("./resolve.js").Schema} schema @param {string[]} types those but null @returns {Kind} */
function kindOf(schema, [type, ...more]) {
    if (Array.isArray(schema.enum) || "const" in schema) return "choice"
    if (schema.anyOf || schema.oneOf || schema.not || more.length) return "json"
    if (isObject(schema.properties) && (!type || type === "object")) return "object"
    if (isObject(schema.items) && (!type || type === "array")) return "array"
    return /^(string|number|integer|boolean)$/.test(type) ? /** @type {Kind} */ (type) : "json"
}

/** @template T @param {() => T} make @returns {() => T} */
function once(make) {
    /** @type {T | undefined} */
    let made
    return () => (made ??= make())
}

/** @param {any} value */
const textOf = value => (typeof value === "string" ? value : "")

/** @param {any} value */
const numberOf = value => (typeof value === "number" ? value : undefined)

/**
 * @param {any} root what `#` in references stands for
 * @param {any} given the schema
 * @param {string} [name]
 * @param {boolean} [required]
 * @param {number} [depth]
 * @returns {Node}
 */
export function modelOf(root, given, name = "", required = true, depth = 0) {
    const schema = resolve(root, given),
        all = [schema.type ?? []].flat(),
        types = all.filter(type => typeof type === "string" && type !== "null")
    const kind = depth > DEPTH_MAX ? "json" : kindOf(schema, types),
        counted = kind === "string" ? "Length" : "Items"
    const choices = kind !== "choice" ? [] : "const" in schema ? [schema.const] : schema.enum
    return {
        kind,
        name,
        required,
        description: textOf(schema.description),
        unit: textOf(schema["x-unit"] ?? schema.unit),
        nullable: all.includes("null") || choices.includes(null),
        default: schema.default,
        example: [schema.examples].flat()[0],
        min: numberOf(schema.minimum),
        max: numberOf(schema.maximum),
        least: numberOf(schema["min" + counted]) ?? 0,
        most: numberOf(schema["max" + counted]) ?? Infinity,
        pattern: textOf(schema.pattern),
        choices: choices.filter((/** @type {any} */ choice) => choice !== null),
        closed: schema.additionalProperties === false,
        wants: kind === "json" && types.length === 1 && Object.hasOwn(WORDS, types[0]) ? types[0] : undefined,
        members: once(() => {
            const needed = new Set([schema.required].flat())
            return Object.entries(schema.properties ?? {}).map(([member, inner]) =>
                modelOf(root, inner, member, needed.has(member), depth + 1)
            )
        }),
        item: once(() => modelOf(root, schema.items, "", true, depth + 1))
    }
}

/** A bound that says more than the type of a number or the limit of all texts does. @param {number} [bound] */
const told = bound => (bound !== undefined && Math.abs(bound) < 2 ** 31 - 1 ? bound : undefined)

/** The bounds of a node in words; "" if there are none worth a word. @param {Node} node */
export function boundsOf({ kind, min, max, least, most }) {
    const isCount = kind === "string" || kind === "array"
    const from = isCount ? least || undefined : told(min)
    const to = isCount ? (most < (kind === "array" ? 1e6 : 65535) ? most : undefined) : told(max)
    const bounds =
        from === undefined
            ? to === undefined
                ? ""
                : `at most ${to}`
            : to === undefined
              ? `at least ${from}`
              : from === to
                ? `${from}`
                : `${from} to ${to}`
    const last = to ?? from
    return bounds && isCount
        ? `${bounds} ${kind === "string" ? "character" : "element"}${last === 1 ? "" : "s"}`
        : bounds
}

/** @type {Record<string, string>} */
const WORDS = {
    string: "text",
    number: "a number",
    integer: "a whole number",
    boolean: "true or false",
    object: "an object",
    array: "a list",
    json: "JSON"
}

const CHOICES_TOLD = 10

/** What a value has to be, as the end of "it must be …". @param {Node} node @returns {string} */
export function describe(node) {
    const bounds = boundsOf(node)
    const more = node.choices.length - CHOICES_TOLD
    const text =
        node.kind === "choice"
            ? `one of ${node.choices
                  .slice(0, CHOICES_TOLD)
                  .map(choice => cut(write(choice), 40))
                  .join(", ")}` + (more > 0 ? ` and ${more.toLocaleString("en")} more` : "")
            : WORDS[node.wants ?? node.kind] + (bounds && (bounds[0] === "a" ? `, ${bounds}` : ` of ${bounds}`))
    return node.nullable ? `${text}, or null` : text
}
