/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Calls that have ended: what has failed, by method and error, and what took long. */
import { useMemo, useRef, useState } from "preact/hooks"
import { count, duration, moment } from "../../base/format.js"
import { plural } from "../../base/text.js"
import { Select } from "../../view/form.jsx"
import { useStore } from "../../view/hooks.js"
import { Time } from "../../view/parts.jsx"
import { column, Sheet } from "../../view/sheet.jsx"
import { Table } from "../../view/table.jsx"
import { AT, CALLER, Detail, ERROR, METHOD, TimeBar } from "./detail.jsx"
import { groupFailures, isFound, noteErrors, paramsOf } from "./failures.js"

/** @typedef {import("./failures.js").Group} Group */
/** @typedef {import("./failures.js").KnownCall} KnownCall */
/**
 * @typedef {{service: import("../../service/service.js").Service, calls: KnownCall[], result: any, find: string,
 *            onFind: (words: string) => void}} Props  result: of rpc.recent
 */

const NO_PAYLOAD = "The service keeps no payloads: with the option recorder_payloads true, they are shown here."
const TIMES = column(
    "Times",
    group => group.count,
    group => count(group.count) + (group.since ? "" : "+"),
    5,
    "right"
)
const CALLS = [
    column("Arrived", call => moment(call.at)),
    CALLER,
    column(
        "Took",
        call => call.took,
        call => duration(call.took),
        6,
        "right"
    )
]

/** @param {Pick<Props, "service" | "calls" | "onFind"> & {group: Group}} props  calls: those that the filter leaves */
function GroupDetail({ service, group, calls, onFind }) {
    const [chosen, choose] = useState("")
    const call = calls.find(({ key }) => key === chosen) ?? calls[0]
    return (
        <Detail
            service={service}
            onFind={onFind}
            call={{ ...call, ...group, at: call?.at }}
            params={paramsOf(call)}
            text={call?.payload}
            none={call ? NO_PAYLOAD : "The service remembers the last 256 calls, and these are older."}
            facts={[
                [
                    "Failed",
                    group.since
                        ? `${plural(group.count, "time")} since ${moment(group.since)}`
                        : `at least ${plural(group.count, "time")}`
                ],
                ["Last", <Time at={group.at} />]
            ]}>
            {calls.length > 1 && (
                <Table
                    caption="Calls that failed so"
                    columns={CALLS}
                    rows={calls}
                    rowKey={({ key }) => key}
                    selected={call.key}
                    onSelect={({ key }) => choose(key)}
                />
            )}
        </Detail>
    )
}

/**
 * What has failed, by method and error; the statistics count as far as this user may see them.
 * @param {Props["service"]} service @param {KnownCall[]} calls @param {Map<string, import("./failures.js").LastError>} lasts see noteErrors
 */
export function useFailures({ statistics }, calls, lasts) {
    const { rows } = useStore(statistics.samples),
        seen = useRef(0)
    rows.filter(({ at }) => at > seen.current).forEach(({ methods }) => noteErrors(lasts, methods))
    seen.current = rows.at(-1)?.at ?? 0
    const counts = rows.at(-1)?.methods
    return useMemo(() => groupFailures(calls, counts, lasts), [calls, counts])
}

/** @param {Props & {groups: Group[]}} props */
export function Failed({ service, calls, groups, result, find, onFind }) {
    const found = groups.filter(group => [group, ...group.calls].some(one => isFound(one, find)))
    return (
        <Sheet
            result={result}
            what="the last failures"
            title={plural(found.length, "kind of failure", "kinds of failures")}
            rows={found}
            columns={[METHOD, ERROR, TIMES, AT]}
            find={find}
            version={calls[0]?.key ?? ""}
            good="Nothing has failed in the last 256 calls"
            hint="Failed calls appear here by themselves, with the reason and with what was sent."
            detail={group => (
                <GroupDetail
                    key={group.key}
                    service={service}
                    group={group}
                    onFind={onFind}
                    calls={group.calls.filter(
                        (/** @type {KnownCall} */ call) => isFound(call, find) || isFound(group, find)
                    )}
                />
            )}
        />
    )
}

const LIMITS = ["0.01", "0.1", "0.5", "1", "5", "30"].map(value => ({ value, label: duration(Number(value)) })) // s

/** How long calls took, drawn beside the longest of them. @param {KnownCall[]} calls */
function tookColumn(calls) {
    const max = Math.max(...calls.map(call => call.took))
    return column(
        "Took",
        call => call.took,
        call => (
            <div>
                {duration(call.took)}
                <TimeBar call={call} max={max} />
            </div>
        ),
        8
    )
}

/** @param {Props & {limit: string, onLimit: (limit: string) => void}} props  limit: seconds */
export function Slow({ service, calls, result, find, onFind, limit, onLimit }) {
    const found = calls.filter(call => call.took > Number(limit) && isFound(call, find))
    return (
        <Sheet
            result={result}
            what="the last slow calls"
            title={plural(found.length, "call")}
            rows={found}
            columns={[METHOD, tookColumn(found), ERROR, AT, CALLER]}
            find={find}
            subject={limit}
            version={calls[0]?.key ?? ""}
            good={`No call took longer than ${duration(Number(limit))}`}
            head={
                <label class="row">
                    slower than <Select value={limit} onChange={onLimit} options={LIMITS} />
                </label>
            }
            detail={call => (
                <Detail
                    service={service}
                    call={call}
                    onFind={onFind}
                    params={paramsOf(call)}
                    text={call.payload}
                    none={NO_PAYLOAD}
                />
            )}
        />
    )
}
