/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* An example of what a schema allows: what must be there, and no more. */

/** @typedef {import("./model.js").Node} Node */

const WORD = "example",
    ITEMS_MAX = 10,
    TEXT_MAX = 1000,
    NODES_MAX = 200 // a schema may contain itself

/**
 * @param {Node} node
 * @param {{left: number}} [room]
 * @returns {any}
 */
export function sample(node, room = { left: NODES_MAX }) {
    const isOpen = --room.left >= 0
    const { kind, least, most, min = 0, max = Infinity, choices, wants } = node
    if (kind === "object")
        return Object.fromEntries(
            !isOpen
                ? []
                : node
                      .members()
                      .filter(member => member.required)
                      .map(member => [member.name, sample(member, room)])
        )
    if (kind === "array")
        return Array.from({ length: !isOpen ? 0 : Math.min(Math.max(least, 1), most, ITEMS_MAX) }, () =>
            sample(node.item(), room)
        )
    if (kind === "choice") return choices[0]
    if (kind === "string")
        return (
            node.example ??
            node.default ??
            WORD.repeat(TEXT_MAX / WORD.length + 1).slice(0, Math.max(least, Math.min(most, WORD.length)))
        )
    if (kind === "boolean") return true
    if (kind === "json") return node.example ?? node.default ?? (wants === "array" ? [] : {})
    return node.example ?? node.default ?? Math.min(Math.max(min > -(2 ** 53) ? min : 0, max < 1 ? min : 1), max)
}
