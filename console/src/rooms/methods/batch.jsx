/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Several calls of a method in one message, and what has become of each. */
import { parse, write } from "../../base/exact.js"
import { visible } from "../../base/text.js"
import { check } from "../../schema/check.js"
import { Field, TextArea } from "../../view/form.jsx"
import { Badge, Button, Empty } from "../../view/parts.jsx"
import { Table } from "../../view/table.jsx"
import { Failed } from "./result.jsx"
import { linesOf, rowsOf } from "./state.js"

/**
 * @typedef {import("./state.js").Page} Page
 * @typedef {import("./state.js").Method} Method
 * @typedef {import("./state.js").Catalogue} Catalogue
 * @typedef {import("../../service/calls.js").Outcome} Outcome
 * @typedef {{value: any, at: number, outcome?: Outcome, fault?: string[]}} Row
 */

/** @param {Outcome | undefined} outcome */
const outcomeOf = outcome =>
    !outcome ? (
        <span class="muted">not sent yet</span>
    ) : outcome.ok ? (
        <>
            <Badge tone="good">Result</Badge> <code>{visible(outcome.text)}</code>
        </>
    ) : (
        <>
            <Badge tone="bad">{visible(outcome.err)}</Badge> {visible(outcome.msg, 500)}
        </>
    )

/** What has become of a call, or what is wrong with it before it is sent. @param {{row: Row}} props */
const State = ({ row: { outcome, fault } }) =>
    outcome || !fault ? (
        outcomeOf(outcome)
    ) : (
        <>
            <Badge tone="warn">does not fit</Badge> {fault.join(" ")}
        </>
    )

/** @param {(at: number) => void} onRemove @returns {import("../../view/table.jsx").Column<Row>[]} */
const columnsOf = onRemove => [
    { id: "at", label: "#", width: "3rem", value: row => row.at, render: row => row.at + 1 },
    { id: "value", label: "Parameters", wide: true, render: row => <code>{visible(write(row.value))}</code> },
    { id: "outcome", label: "Outcome", wide: true, render: row => <State row={row} /> },
    {
        id: "remove",
        label: <span class="offscreen">Remove</span>,
        width: "3rem",
        render: row => (
            <Button
                kind="quiet"
                small
                icon="trash"
                title={`Remove call ${row.at + 1}`}
                onClick={() => onRemove(row.at)}
            />
        )
    }
]

/** The calls as they stand in the array. @param {{model: Page["model"], rows: any[], outcomes: Outcome[],
 *  onRemove: (at: number) => void}} props */
const CallTable = ({ model, rows, outcomes, onRemove }) => (
    <Table
        caption="Calls of the batch"
        rowKey={({ at }) => `${at}`}
        rows={rows.map((value, at) => ({ value, at, outcome: outcomes[at], fault: [...check(model, value)][0] }))}
        columns={columnsOf(onRemove)}
    />
)

/** The buttons below the array. @param {{page: Page, method: Method, count: number, most: number,
 *  onAdd?: (value: any) => void, onSend: () => void, onCopy: () => void}} props  onAdd: where the array can take a call */
function BatchBar({ page: { text, busy }, method, count, most, onAdd, onSend, onCopy }) {
    const own = text.trim() ? parse(text) : { value: {}, why: undefined }
    return (
        <div class="actions">
            <Button icon="plus" disabled={!onAdd || own.why !== undefined} onClick={() => onAdd?.(own.value)}>
                Add the form's parameters
            </Button>
            <Button
                kind="primary"
                icon="send"
                busy={!!busy}
                onClick={onSend}
                disabled={!!busy || !count || count > most}>
                {`Send ${count || ""} ${count === 1 ? "call" : "calls"}`}
            </Button>
            {count > 0 && <Button onClick={onCopy}>Copy as …</Button>}
            {!method.readOnly && <Badge tone="warn">changes things</Badge>}
        </div>
    )
}

/**
 * @param {{page: Page, method: Method, catalogue: Catalogue, onChange: (change: Partial<Page>) => void,
 *          onSend: () => void}} props
 */
export function Batch({ page, method, catalogue, onChange, onSend }) {
    const { rows, why } = rowsOf(page),
        { outcomes, model } = page,
        most = catalogue.limits.maxBatch ?? 100
    const setRows = (/** @type {any[]} */ next) =>
        onChange({ batch: next.length ? write(next, "  ") : "", outcomes: null })
    if (method.payload === "bytes") return <Empty title="A method that takes bytes has no batches." />
    return (
        <>
            <p class="muted">
                One message with up to {most} calls of this method. Put the parameters of the form into it, change the
                form, and put them in again; or write the array.
            </p>
            <Field
                label="Calls"
                hint="a JSON array: the parameters of each call"
                error={why || (rows.length > most && `must have at most ${most} elements; it has ${rows.length}`)}>
                <TextArea
                    mono
                    rows={linesOf(page.batch)}
                    value={page.batch}
                    onChange={batch => onChange({ batch, outcomes: null })}
                />
            </Field>
            <BatchBar
                page={page}
                method={method}
                count={rows.length}
                most={most}
                onAdd={why ? undefined : value => setRows([...rows, value])}
                onSend={onSend}
                onCopy={() => onChange({ tab: "copy", isBatchCopied: true })}
            />
            {outcomes && !Array.isArray(outcomes) && !outcomes.ok && (
                <Failed outcome={outcomes} method={method} catalogue={catalogue} />
            )}
            {rows.length > 0 && (
                <CallTable
                    model={model}
                    rows={rows}
                    outcomes={Array.isArray(outcomes) ? outcomes : []}
                    onRemove={removed => setRows(rows.filter((_, at) => at !== removed))}
                />
            )}
        </>
    )
}
