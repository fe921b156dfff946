/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* A table: columns that sort, rows that can be chosen or marked; at phone width its rows are cards. */
import { useMemo, useState } from "preact/hooks"
import { plural, visible } from "../base/text.js"
import { Icon } from "./icons.jsx"
import { Button } from "./parts.jsx"

/** @typedef {import("preact").ComponentChildren} Children */
/**
 * @template Row
 * @typedef {{id: string, label: Children, align?: "left" | "right", width?: string, value?: (row: Row) => any,
 *            render?: (row: Row) => Children, wide?: boolean}} Column
 *            value: what is sorted by, and shown where there is no `render`; width: of CSS, "8rem";
 *            wide: a card's whole line
 */

const PAGE = 200 // rows that are drawn at once

/** @param {any} a @param {any} b */
function compare(a, b) {
    if (a === b) return 0
    if (a === undefined || a === null) return 1
    if (b === undefined || b === null) return -1
    return typeof a === "string" && typeof b === "string" ? a.localeCompare(b, "en", { numeric: true }) : a < b ? -1 : 1
}

/**
 * @template Row
 * @param {Row[]} rows @param {Column<Row>[]} columns @param {{id: string, descending?: boolean} | null} sort
 */
function sorted(rows, columns, sort) {
    const value = sort && columns.find(column => column.id === sort.id)?.value
    if (!value) return rows
    const sign = sort.descending ? -1 : 1
    return rows
        .map(row => ({ row, key: value(row) }))
        .sort((a, b) => sign * compare(a.key, b.key))
        .map(({ row }) => row)
}

/** Arrow keys go from row to row. @param {KeyboardEvent} event */
function moveFocus(event) {
    const row = /** @type {HTMLElement} */ (event.target).closest("tr")
    const next =
        event.key === "ArrowDown"
            ? row?.nextElementSibling
            : event.key === "ArrowUp"
              ? row?.previousElementSibling
              : null
    const button = /** @type {HTMLElement | null | undefined} */ (next?.querySelector(".row-button"))
    if (!button) return
    event.preventDefault()
    button.focus()
}

/**
 * @param {{column: Column<any>, sort: {id: string, descending?: boolean} | null, onSort: (id: string) => void}} props
 */
function Head({ column, sort, onSort }) {
    const isSorted = sort?.id === column.id
    const order = !isSorted ? undefined : sort.descending ? "descending" : "ascending"
    return (
        <th
            scope="col"
            role="columnheader"
            class={column.align ?? ""}
            aria-sort={order}
            style={column.width ? { width: column.width } : undefined}>
            {column.value ? (
                <button type="button" onClick={() => onSort(column.id)}>
                    <span>{column.label}</span>
                    <Icon name={order === "descending" ? "down" : "up"} size={12} class={isSorted ? "" : "unsorted"} />
                </button>
            ) : (
                column.label
            )}
        </th>
    )
}

/** @param {{label: string, checked: boolean, some?: boolean, onChange: () => void}} props */
const Mark = ({ label, checked, some = false, onChange }) => (
    <input type="checkbox" class="mark" aria-label={label} checked={checked} indeterminate={some} onChange={onChange} />
)

/** @template Row @param {Column<Row>} column @param {Row} row */
const content = (column, row) => (column.render ? column.render(row) : column.value?.(row))

/** @param {Set<string>} marked @param {string} key */
function toggled(marked, key) {
    const next = new Set(marked)
    if (!next.delete(key)) next.add(key)
    return next
}

/**
 * A click on the row itself, not on something in it that has a purpose of its own, and no selection of text.
 * @param {Event} event
 */
const isOwnClick = event =>
    !(/** @type {HTMLElement} */ (event.target).closest("a, button, input, label, select, textarea")) &&
    !String(getSelection() ?? "")

/**
 * @typedef {object} Choice what a row needs to know of the table
 * @property {Column<any>[]} columns
 * @property {string} [selected]
 * @property {((row: any) => void)} [onSelect]
 * @property {Set<string>} [checked]
 * @property {((keys: Set<string>) => void)} [onCheck]
 */

/** @param {Choice & {row: any, name: string, tone: string | undefined}} props  name: the row's key */
function Row({ columns, row, name, tone, selected, onSelect, checked, onCheck }) {
    /** @param {Column<any>} column @param {boolean} isFirst */
    const cell = (column, isFirst) =>
        onSelect && isFirst ? (
            <button type="button" class="row-button" onClick={() => onSelect(row)}>
                {content(column, row)}
            </button>
        ) : (
            content(column, row)
        )
    return (
        <tr
            role="row"
            class={tone ? `tone-${tone}` : ""}
            aria-current={selected === name ? "true" : undefined}
            onClick={onSelect && (event => isOwnClick(event) && onSelect(row))}>
            {checked && (
                <td class="mark-cell" role="cell">
                    <Mark
                        label={`Choose ${visible(name)}`}
                        checked={checked.has(name)}
                        onChange={() => onCheck?.(toggled(checked, name))}
                    />
                </td>
            )}
            {columns.map((column, at) => (
                <td
                    key={column.id}
                    role="cell"
                    class={`${column.align ?? ""} ${column.wide ? "wide" : ""} ${at ? "" : "title"}`}
                    data-label={typeof column.label === "string" ? column.label : undefined}>
                    {cell(column, at === 0)}
                </td>
            ))}
        </tr>
    )
}

/**
 * The mark that chooses all rows, or none.
 * @param {{keys: string[], checked: Set<string>, onCheck?: (keys: Set<string>) => void}} props
 */
function AllMark({ keys, checked, onCheck }) {
    const count = keys.filter(key => checked.has(key)).length,
        isAll = count > 0 && count === keys.length
    return (
        <th class="mark-cell" role="columnheader">
            <Mark
                label="Choose all rows"
                checked={isAll}
                some={count > 0 && !isAll}
                onChange={() => onCheck?.(new Set(isAll ? [] : keys))}
            />
        </th>
    )
}

/** @param {{shown: number, all: number, onMore: () => void}} props */
const More = ({ shown, all, onMore }) => (
    <div class="table-more">
        <span>
            {shown} of {plural(all, "row")}
        </span>
        <Button small onClick={onMore}>
            Show more
        </Button>
    </div>
)

/**
 * The first column of a table with `onSelect` holds text alone: it becomes the button that chooses the row.
 * @template Row
 * @param {{columns: Column<Row>[], rows: Row[], rowKey: (row: Row) => string, selected?: string,
 *          onSelect?: (row: Row) => void, checked?: Set<string>, onCheck?: (keys: Set<string>) => void,
 *          empty?: Children, caption: string, sort?: {id: string, descending?: boolean}, tone?: (row: Row) => string | undefined}} props
 *        sort: at first; checked: keys of rows; tone: of a row, as of a Badge
 */
export function Table({ columns, rows, rowKey, empty, caption, sort: firstSort, tone, ...choice }) {
    const [sort, setSort] = useState(firstSort ?? null)
    const [limit, setLimit] = useState(PAGE)
    const all = useMemo(() => sorted(rows, columns, sort), [rows, columns, sort])
    if (!rows.length && empty) return <>{empty}</>
    /** Figures are sorted from the largest, names from A. @param {string} id */
    const sortBy = id =>
        setSort({
            id,
            descending: sort?.id === id ? !sort.descending : columns.find(column => column.id === id)?.align === "right"
        })
    return (
        <div class="table-frame">
            <table class={`table ${choice.onSelect ? "selectable" : ""}`} role="table">
                <caption class="offscreen">{caption}</caption>
                <thead role="rowgroup">
                    <tr role="row">
                        {choice.checked && (
                            <AllMark keys={rows.map(rowKey)} checked={choice.checked} onCheck={choice.onCheck} />
                        )}
                        {columns.map(column => (
                            <Head key={column.id} column={column} sort={sort} onSort={sortBy} />
                        ))}
                    </tr>
                </thead>
                <tbody role="rowgroup" onKeyDown={moveFocus}>
                    {all.slice(0, limit).map(row => {
                        const name = rowKey(row)
                        return <Row key={name} {...choice} columns={columns} row={row} name={name} tone={tone?.(row)} />
                    })}
                </tbody>
            </table>
            {all.length > limit && <More shown={limit} all={all.length} onMore={() => setLimit(limit + 5 * PAGE)} />}
        </div>
    )
}
