/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What has become of a command for several devices, device by device. */
import { write } from "../../base/exact.js"
import { plural, visible } from "../../base/text.js"
import { explain } from "../../service/explain.js"
import { Badge, Button, Meter, Panel, Time } from "../../view/parts.jsx"
import { Table } from "../../view/table.jsx"
import { goTo } from "./bits.jsx"
import { byRank, statusOf, summary, toRepeat } from "./verdicts.js"

/** @typedef {import("./verdicts.js").Verdict} Verdict */

/** What a verdict says, in a line. @param {Verdict} verdict */
function says({ value, progress, cause, err, msg }) {
    const json = value ?? progress,
        own = cause?.msg && `${cause.err}: ${cause.msg}`
    return json !== undefined ? (
        <code>{visible(write(json), 120)}</code>
    ) : (
        visible(own || msg || (err && explain(/** @type {any} */ ({ err, msg })).title))
    )
}

/** @type {import("../../view/table.jsx").Column<Verdict>[]} */
const VERDICTS = [
    {
        id: "device",
        label: "Device",
        width: "12rem",
        value: ({ device }) => device,
        render: ({ device }) => visible(device)
    },
    {
        id: "status",
        label: "Verdict",
        width: "10rem",
        value: ({ status }) => statusOf(status)[0],
        render: ({ status }) => <Badge tone={statusOf(status)[1]}>{statusOf(status)[0]}</Badge>
    },
    { id: "says", label: "It says", wide: true, render: says }
]

/** @param {{run: import("./runs.js").Run, onAgain: () => void}} props */
export function Verdicts({ run: { verdicts, order, isRunning, at }, onAgain }) {
    const all = [...verdicts.values()],
        again = toRepeat(verdicts).length
    return (
        <Panel
            title={
                <>
                    Verdicts of <span class="mono">{visible(order.command, 60)}</span>
                </>
            }
            flush
            actions={
                again > 0 &&
                !isRunning && (
                    <Button icon="refresh" onClick={onAgain}>
                        Send again to {plural(again, "device")}
                    </Button>
                )
            }>
            <div class="panel-body" role="status">
                <strong>{summary(verdicts)}</strong>
                <Meter
                    label="Devices that are ok"
                    value={all.filter(({ status }) => status === "ok").length}
                    max={all.length}
                    tone={again ? "warn" : "good"}
                />
                <span class="muted small">
                    Sent <Time at={at} />
                    {isRunning && ", verdicts fill in as they come"}.
                </span>
            </div>
            <Table
                caption="Verdicts"
                columns={VERDICTS}
                rows={isRunning ? all : all.sort(byRank)}
                rowKey={({ device }) => device}
                onSelect={goTo}
            />
        </Panel>
    )
}
