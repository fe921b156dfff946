/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* A list with a line above it and what is chosen of it beside it. A list that grows at its head stands still while it is read. */
import { useEffect, useReducer, useRef, useState } from "preact/hooks"
import { visible } from "../base/text.js"
import { Button, Empty, Panel, Split, Unavailable } from "./parts.jsx"
import { Table } from "./table.jsx"

/** @typedef {import("preact").ComponentChildren} Children */

/**
 * A column of a Table.
 * @param {string} label @param {(row: any) => any} value what is sorted by @param {((row: any) => Children) | null} [render]
 * @param {number} [width] rem @param {"right"} [align]
 */
export const column = (label, value, render, width, align) => ({
    id: label,
    label,
    value,
    render: render ?? undefined,
    width: width ? `${width}rem` : undefined,
    align,
    wide: !width
})

/** @param {{id?: string | number, key?: string}} row */
const keyOf = row => row.key ?? String(row.id)

/**
 * The newest value, or while `isHeld` the one that was there when that began; another `subject`, such as a filter, lets go.
 * @template T @param {T} value @param {boolean} isHeld @param {unknown} subject @returns {[T, () => void]} and what lets go once
 */
function useHeld(value, isHeld, subject) {
    const tick = useReducer(/** @param {number} times */ times => times + 1, 0)[1]
    const shown = useRef({ value, subject })
    const letGo = () => {
        shown.current = { value, subject }
    }
    if (!isHeld || shown.current.subject !== subject) letGo()
    return [shown.current.value, () => tick(letGo())]
}

/**
 * @typedef {object} Props
 * @property {any} result of useMethod: where it has nothing, the page says why
 * @property {string} what "the open calls"
 * @property {Children} title what is above the list
 * @property {any[]} rows with a `key` or an `id`
 * @property {ReturnType<typeof column>[]} columns beside a detail there are the first four of them
 * @property {string} [find] the filter that has left these rows
 * @property {string} [subject] what else has left them
 * @property {string} good the title where there are none
 * @property {Children} [hint] what would be here
 * @property {Children} [head] beside the title
 * @property {string} [version] of a list that grows at its head: changes with what is there
 * @property {(row: any) => Children} [detail]
 */

/** The rows that are shown, which of them is chosen, and `letGo` where there are newer ones. @param {Props} props */
function useRows({ rows, version, find = "", subject = "", detail }) {
    const [chosen, choose] = useState("")
    const [isReading, read] = useState(false)
    const [shown, letGo] = useHeld({ rows, version }, version !== undefined && (isReading || !!chosen), find + subject)
    const newest = new Map(rows.map(one => [keyOf(one), one])) // of a row that stays, more may be known meanwhile
    const held = shown.rows.map((/** @type {any} */ one) => newest.get(keyOf(one)) ?? one)
    const row = detail && held.find((/** @type {any} */ one) => keyOf(one) === chosen)
    return { held, row, chosen, choose, read, letGo: shown.version === version ? undefined : letGo }
}

/** Where there is room for one at a time, a detail is scrolled into sight, and the list to its place. @param {boolean} hasDetail */
function useScroll(hasDetail) {
    const box = useRef(/** @type {HTMLDivElement | null} */ (null)),
        place = useRef(0)
    useEffect(() => {
        if (innerWidth < 800) hasDetail ? box.current?.closest(".split")?.scrollIntoView() : scrollTo(0, place.current)
    }, [hasDetail])
    return { box, place }
}

/** The line above the list. @param {Pick<Props, "result" | "title" | "head"> & {onMore?: () => void}} props */
const Head = ({ result: { outcome }, title, head, onMore }) => (
    <div class="list-head">
        <strong>{title}</strong>
        {outcome && !outcome.ok && <span class="muted">Not the newest: {visible(outcome.msg, 120)}</span>}
        {onMore && (
            <Button small icon="refresh" onClick={onMore}>
                There is more: show it
            </Button>
        )}
        {head}
    </div>
)

/** @param {Pick<Props, "find" | "good" | "hint">} props */
const NoRows = ({ find, good, hint }) =>
    find ? (
        <Empty icon="filter" title={`Nothing here has to do with “${visible(find, 60)}”`} />
    ) : (
        <Empty icon="good" title={good}>
            {hint}
        </Empty>
    )

/** @param {Props} props */
export function Sheet(props) {
    const { result, what, rows, columns, find, head, detail } = props,
        { held, row, chosen, choose, read, letGo } = useRows(props),
        { box, place } = useScroll(!!row)
    /** @param {any} one */
    const toggle = one => {
        place.current = scrollY
        choose(keyOf(one) === chosen ? "" : keyOf(one))
    }
    if (!rows.length && !result.value)
        return (
            <Panel>
                <Unavailable result={result} what={what} />
            </Panel>
        )
    const list = (
        <Panel flush>
            {(rows.length > 0 || find || head) && <Head {...props} onMore={letGo} />}
            <div
                ref={box}
                onPointerEnter={() => read(true)}
                onPointerLeave={() => read(false)}
                onFocusOut={() => read(false)}
                onFocusIn={event => read(/** @type {Element} */ (event.target).matches(":focus-visible"))}>
                <Table
                    caption={what}
                    columns={row ? columns.slice(0, 4) : columns}
                    rows={held}
                    rowKey={keyOf}
                    selected={chosen}
                    onSelect={detail && toggle}
                    empty={<NoRows {...props} />}
                />
            </div>
        </Panel>
    )
    return <Split wide hasDetail={!!row} onBack={() => choose("")} detail={row && detail?.(row)} list={list} />
}
