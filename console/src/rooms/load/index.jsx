/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Load: how much the service does, how long it takes, and what fails, over ten minutes. */
import { useEffect, useMemo, useRef } from "preact/hooks"
import { clock, count, duration, percent, rate, relative } from "../../base/format.js"
import { quantile } from "../../base/histogram.js"
import { plural, visible } from "../../base/text.js"
import { Segmented } from "../../view/form.jsx"
import { navigate, useNow, useStore } from "../../view/hooks.js"
import { Button, Empty, Notice, Page, Panel, Stat, Stats } from "../../view/parts.jsx"
import { Table } from "../../view/table.jsx"
import { useMethod } from "../../view/use_method.js"
import { Charts } from "./charts.jsx"
import { partOf, summary } from "./history.js"
import { createState } from "./state.js"

/** @typedef {import("./state.js").State} State */
/**
 * @typedef {{method: string, calls?: number, failed?: number, p50?: number | null, p99?: number | null, max: number,
 *     running: number, waiting: number}} Row
 */

const TIMES = [
    { id: "60", label: "1 min" },
    { id: "300", label: "5 min" },
    { id: "600", label: "10 min" }
]

/**
 * @param {string} id
 * @param {string} label
 * @param {(row: Row) => any} value
 * @param {(value: any, row: Row) => any} print
 */
const figure = (id, label, value, print) => ({
    id,
    label,
    align: /** @type {const} */ ("right"),
    width: "6.5rem",
    value,
    render: (/** @type {Row} */ row) => print(value(row), row)
})

/** @param {any} value */
const loud = value => (value > 0 ? <strong class="bad">{rate(value)}</strong> : rate(value))

/** @type {import("../../view/table.jsx").Column<Row>[]} */
const COLUMNS = [
    { id: "method", label: "Method", value: row => visible(row.method, 120) },
    figure("calls", "Calls", row => row.calls, rate),
    figure("errors", "Errors", row => row.failed, loud),
    figure("p50", "p50", row => row.p50, duration),
    figure("p99", "p99", row => row.p99, duration),
    figure("max", "Longest", row => row.max, duration),
    figure("running", "Running", row => row.running, count),
    figure("waiting", "Waiting", row => row.waiting, count)
]

/** @param {State} state @param {number} seconds @returns {Row[]} */
const rowsOf = ({ history }, seconds) =>
    Object.entries(history.last()?.methods ?? {}).map(([method, counts]) => ({
        method,
        ...summary(history.spans(), method, seconds),
        max: counts.max_s,
        running: counts.running,
        waiting: counts.waiting
    }))

/** What the newest span says, a second. @param {State} state @param {string | null} method */
function newest({ history }, method) {
    const span = history.spans().at(-1)
    const part = span && partOf(span, method)
    return (
        part && {
            seconds: span.seconds,
            calls: part.calls / span.seconds,
            failed: part.failed / span.seconds,
            share: part.failed / part.calls,
            p50: quantile(part.buckets, 0.5, part.longest),
            p99: quantile(part.buckets, 0.99, part.longest),
            running: part.running,
            waiting: part.waiting
        }
    )
}

/**
 * The newest figures.
 * @param {{state: State, service: import("../../service/service.js").Service, method: string | null}} props
 */
function Figures({ state, service, method }) {
    const stats = useMethod(service, "rpc.stats", { method: "rpc.stats" })
    const part = newest(state, method)
    const threads = stats.value?.pool?.workers
    return (
        <Stats>
            <Stat label="Calls" value={rate(part?.calls)}>
                {part ? `in the last ${duration(part.seconds)}` : "a second"}
            </Stat>
            <Stat label="Errors" value={rate(part?.failed)} tone={part?.failed ? "bad" : undefined}>
                {part?.failed ? `${percent(part.share)} of the calls` : part ? "none" : "a second"}
            </Stat>
            <Stat label="p50" value={duration(part?.p50)}>
                half of the calls took less
            </Stat>
            <Stat label="p99" value={duration(part?.p99)}>
                1 of 100 took longer
            </Stat>
            <Stat label="Running" value={count(part?.running)}>
                {threads ? `of ${plural(threads, "thread")}` : "in threads"}
            </Stat>
            <Stat label="Waiting" value={count(part?.waiting)}>
                for a thread or a device
            </Stat>
        </Stats>
    )
}

/** @param {{state: State, method: string | null, changes: number}} props */
function Methods({ state, method, changes }) {
    const seconds = useStore(state.seconds)
    const rows = useMemo(() => rowsOf(state, seconds), [changes, seconds])
    return (
        <Panel
            flush
            title="Methods"
            actions={
                <Segmented
                    label="The time that the table sums up"
                    items={TIMES}
                    value={String(seconds)}
                    onChange={id => state.seconds.set(Number(id))}
                />
            }>
            <Table
                caption="Methods that were called"
                columns={COLUMNS}
                rows={rows}
                rowKey={row => row.method}
                selected={method ?? undefined}
                sort={{ id: "calls", descending: true }}
                onSelect={row => navigate(row.method === method ? ["load"] : ["load", row.method])}
                empty={
                    <Empty icon="load" title="No method has been called yet.">
                        Each method is listed here after its first call.
                    </Empty>
                }
            />
        </Panel>
    )
}

/**
 * Where the figures come from, and how old they are.
 * @param {{samples: import("../../service/service.js").Samples}} props
 */
function Source({ samples }) {
    const now = useNow(1000)
    const at = samples.rows.at(-1)?.at
    return (
        <>
            {samples.source === "calls" ? "Asked for" : "Published by the service"} every {duration(samples.interval)}
            {at !== undefined && `; the newest figures are of ${clock(at)}, ${relative(Math.min(at, now), now)}`}.
        </>
    )
}

/** @param {{samples: import("../../service/service.js").Samples, prefix: string}} props */
function NotThere({ samples, prefix }) {
    const topics = `$SYS/broker/rpc/${prefix}/#`
    return (
        <Panel>
            {samples.phase === "denied" ? (
                <Empty icon="lock" title="You may not see the statistics.">
                    The broker lets you neither read them nor call rpc.stats. Its ACL would need: topic read {topics},
                    or: topic write {prefix}/call/rpc.stats
                </Empty>
            ) : (
                <Empty icon="alert" title="There are no statistics.">
                    Nothing comes at {topics}, and rpc.stats says: {visible(samples.outcome?.msg ?? "nothing")}
                </Empty>
            )}
        </Panel>
    )
}

/**
 * Whose figures they are. When a method was chosen far below, its figures come into view.
 * @param {{method: string | null}} props
 */
function Whose({ method }) {
    const head = useRef(/** @type {HTMLDivElement | null} */ (null))
    useEffect(() => {
        if (method) head.current?.scrollIntoView({ block: "nearest" })
    }, [method])
    return (
        <div class="load-whose" ref={head}>
            <h2>{method === null ? "All methods" : <span class="mono">{visible(method)}</span>}</h2>
            {method !== null && (
                <>
                    <Button small icon="close" onClick={() => navigate(["load"])}>
                        All methods
                    </Button>
                    <Button small icon="methods" onClick={() => navigate(["methods", method])}>
                        Open the method
                    </Button>
                </>
            )}
        </div>
    )
}

/** @param {import("../../view/room.js").RoomProps} props */
function Room({ service, state, route }) {
    const samples = useStore(service.statistics.samples)
    const changes = useStore(state.changes)
    const method = route.path.length ? route.path.join("/") : null
    useEffect(state.open, [state])
    const isThere = samples.phase === "ready" || samples.phase === "loading" || samples.rows.length > 0
    return (
        <Page title="Load" summary={isThere && <Source samples={samples} />}>
            {!isThere ? (
                <NotThere samples={samples} prefix={service.prefix} />
            ) : (
                <>
                    {samples.source === "calls" && (
                        <Notice tone="info">
                            Nothing comes at $SYS/broker/rpc/{service.prefix}/#: the broker does not let you read it, or
                            the service does not publish its statistics. So this page calls rpc.stats as long as it is
                            open.
                        </Notice>
                    )}
                    <Whose method={method} />
                    <Figures state={state} service={service} method={method} />
                    <Charts state={state} method={method} changes={changes} interval={samples.interval} />
                    <Methods state={state} method={method} changes={changes} />
                </>
            )}
        </Page>
    )
}

export const load = { id: "load", title: "Load", icon: "load", Room, createState }
