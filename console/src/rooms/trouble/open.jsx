/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Calls that are open: what each waits for, how long, and what hangs. */
import { duration } from "../../base/format.js"
import { some, visible } from "../../base/text.js"
import { Badge, Copyable } from "../../view/parts.jsx"
import { column, Sheet } from "../../view/sheet.jsx"
import { CALLER, METHOD } from "./detail.jsx"
import { isFound } from "./failures.js"
import { deadlineWords, stateWords } from "./words.js"

/**
 * @typedef {{id: number, method: string, caller: string, age_s: number, state: string, deadline_s?: number, lane?: string,
 *     trace?: string, worker?: string, answered?: string}} OpenCall
 */

const NONE = <span class="muted">none</span>

const COLUMNS = [
    METHOD,
    column("State", stateWords, call =>
        call.answered || call.deadline_s < 0 ? <Badge tone="bad">{stateWords(call)}</Badge> : stateWords(call)
    ),
    column(
        "Open for",
        call => call.age_s,
        call => duration(call.age_s),
        7,
        "right"
    ),
    column(
        "Deadline",
        call => call.deadline_s,
        call => deadlineWords(call.deadline_s, duration),
        9,
        "right"
    ),
    CALLER,
    column(
        "Worker",
        call => call.worker,
        call => visible(call.worker) || NONE,
        7
    ),
    column(
        "Lane",
        call => call.lane,
        call => visible(call.lane, 40) || NONE,
        7
    ),
    column(
        "Trace",
        call => call.trace,
        call => (call.trace ? <Copyable text={call.trace} label="the trace" /> : NONE),
        6
    )
]

/** @param {{result: any, find: string}} props  result: of rpc.running */
export function Open({ result, find }) {
    /** @type {OpenCall[]} */
    const calls = result.value?.calls ?? []
    const found = calls.filter(call => isFound({ ...call, err: stateWords(call) }, find))
    return (
        <Sheet
            result={result}
            what="the open calls"
            title={some(found.length, result.value?.count ?? 0, "open call")}
            rows={found}
            columns={COLUMNS}
            find={find}
            good="Nothing hangs: no call is open"
            hint="Calls that wait for a thread, a worker or a device appear here, the oldest first."
        />
    )
}
