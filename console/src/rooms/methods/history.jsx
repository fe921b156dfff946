/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The calls that were made in this tab of the browser. */
import { milliseconds } from "../../base/format.js"
import { visible } from "../../base/text.js"
import { link } from "../../view/hooks.js"
import { Badge, Button, Empty, Time } from "../../view/parts.jsx"
import { Table } from "../../view/table.jsx"
import { pretty } from "./state.js"

/** @typedef {import("./state.js").Past} Past */
/** @typedef {import("../../view/table.jsx").Column<Past>} Column */

/** @type {Column} */
const METHOD = {
    id: "method",
    label: "Method",
    wide: true,
    render: past => (
        <a class="mono" href={link(["methods", past.method])}>
            {visible(past.method)}
        </a>
    )
}

/** @type {Column[]} */
const COLUMNS = [
    {
        id: "text",
        label: "Parameters",
        wide: true,
        render: past => <code>{visible(pretty(past.text, ""), 120) || "none"}</code>
    },
    {
        id: "err",
        label: "Outcome",
        width: "9rem",
        render: past => <Badge tone={past.err ? "bad" : "good"}>{visible(past.err) || "Result"}</Badge>
    },
    { id: "ms", label: "Took", width: "5rem", align: "right", render: past => milliseconds(past.ms) },
    { id: "at", label: "When", width: "6rem", render: past => <Time at={past.at} /> }
]

/** @param {{list: Past[], isOne?: boolean, onEdit: (past: Past) => void, onRepeat?: (past: Past) => void}} props */
export function History({ list, isOne, onEdit, onRepeat }) {
    /** @type {Column} */
    const again = {
        id: "again",
        label: <span class="offscreen">Call again</span>,
        width: "11rem",
        render: past => (
            <div class="actions again">
                {onRepeat && (
                    <Button small icon="refresh" onClick={() => onRepeat(past)}>
                        Repeat
                    </Button>
                )}
                <Button small onClick={() => onEdit(past)}>
                    Edit
                </Button>
            </div>
        )
    }
    return (
        <Table
            caption="Calls of this tab"
            rows={list}
            rowKey={past => `${past.at} ${past.method}`}
            empty={<Empty icon="clock" title="The calls that you make are kept here, as long as this tab is open." />}
            columns={[...(isOne ? [] : [METHOD]), ...COLUMNS, again]}
        />
    )
}
