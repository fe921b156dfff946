/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Between a form and a value. A draft is what a form holds: text as it was typed, for each node. A value is exact JSON
 * (see exact.js). What was typed and is no number, or no JSON, goes into the value as text, so that the check says what
 * is wrong, and the service would, too.
 */
import { isNumber, isObject, Numeral, numberOf, parse, write } from "../base/exact.js"

/**
 * @typedef {import("./model.js").Node} Node
 *
 * @typedef {object} Draft
 * @property {boolean} on      it is there
 * @property {boolean} nil     it is null
 * @property {string} text     of a scalar, a choice (its number) or JSON
 * @property {Draft[]} members of an object, in the order of its node's
 * @property {Draft[]} items   of an array
 * @property {[string, any][]} rest members that are not declared
 * @property {number} key      tells elements of an array apart
 */

let keys = 0
const START_ITEMS_MAX = 10,
    NODES_MAX = 200 // of an empty form: a schema may contain itself

/** @param {Partial<Draft>} given @returns {Draft} */
const draft = given => ({ on: true, nil: false, text: "", members: [], items: [], rest: [], key: ++keys, ...given })

/**
 * What an empty form holds.
 * @param {Node} node
 * @param {boolean} [on]
 * @param {{left: number}} [room]
 * @returns {Draft}
 */
export function emptyDraft(node, on = node.required, room = { left: NODES_MAX }) {
    const isOpen = --room.left >= 0 && on
    const count = isOpen && node.kind === "array" ? Math.min(node.least, START_ITEMS_MAX) : 0
    return draft({
        on,
        members:
            isOpen && node.kind === "object"
                ? node.members().map(member => emptyDraft(member, member.required, room))
                : [],
        items: Array.from({ length: count }, () => emptyDraft(node.item(), true, room))
    })
}

/** @param {Node} node @param {any} value @returns {string | undefined} undefined: a form cannot show the value */
function textOf({ kind, choices }, value) {
    if (kind === "json") return write(value, isObject(value) ? "  " : "")
    if (kind === "choice") {
        const at = choices.findIndex(choice => write(choice) === write(value))
        return at < 0 ? undefined : `${at}`
    }
    const isRight =
        kind === "string" || kind === "boolean"
            ? typeof value === kind
            : typeof value === "number" || value instanceof Numeral
    return isRight ? `${value}` : undefined
}

/** The path of a member. @param {string} path @param {string} name */
export const join = (path, name) => (path ? `${path}.${name}` : name)

/**
 * The draft of a value.
 * @param {Node} node
 * @param {any} value undefined: it is not there
 * @param {{path: string, node: Node}[]} misfits gets what a form cannot show
 * @param {string} [path]
 * @returns {Draft}
 */
export function draftOf(node, value, misfits, path = node.name) {
    if (value === undefined) return emptyDraft(node, false)
    if (value === null && node.nullable) return draft({ nil: true })
    if (node.kind === "object" && isObject(value)) {
        const given = new Map(Object.entries(value)),
            members = given.size ? node.members() : []
        return draft({
            members: members.map(member => draftOf(member, given.get(member.name), misfits, join(path, member.name))),
            rest: [...given].filter(([name]) => !members.some(member => member.name === name))
        })
    }
    if (node.kind === "array" && Array.isArray(value))
        return draft({ items: value.map((item, at) => draftOf(node.item(), item, misfits, `${path}[${at}]`)) })
    const text = node.kind === "object" || node.kind === "array" ? undefined : textOf(node, value)
    if (text === undefined) misfits.push({ path, node })
    return draft({ text: text ?? "" })
}

/** @param {Node} node @param {Draft} draft */
function scalarOf({ kind, choices }, { text }) {
    if (kind === "choice") return choices[Number(text)]
    if (kind === "boolean") return text === "true"
    if (kind === "json") return parse(text).why ? text : parse(text).value
    return kind !== "string" && isNumber(text.trim()) ? numberOf(text.trim()) : text
}

/** Whether nothing was typed where something has to be. @param {Node} node @param {Draft} draft */
const isBlank = ({ kind, required, least }, { text }) => text === "" && (kind !== "string" || (required && least > 0))

/**
 * The value of a draft; undefined: it is not there.
 * @param {Node} node
 * @param {Draft} draft
 * @returns {any}
 */
export function valueOf(node, draft) {
    if (!draft.on) return undefined
    if (draft.nil) return null
    if (node.kind === "array")
        return draft.items.map(item => valueOf(node.item(), item) ?? (node.item().kind === "string" ? "" : null))
    if (node.kind !== "object") return isBlank(node, draft) ? undefined : scalarOf(node, draft)
    return Object.fromEntries(
        (draft.members.length ? node.members() : [])
            .map((member, at) => [member.name, draft.members[at] && valueOf(member, draft.members[at])])
            .concat(draft.rest)
            .filter(([, value]) => value !== undefined)
    )
}
