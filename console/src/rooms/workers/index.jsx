/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The room Workers: which processes carry out calls for the plugin, how busy they are, and what none of them takes. */
import { useEffect } from "preact/hooks"
import { count, duration } from "../../base/format.js"
import { plural, some, visible } from "../../base/text.js"
import { ConfirmedCall } from "../../view/confirm.jsx"
import { link, useMethod, useStore } from "../../view/hooks.js"
import {
    Badge,
    Code,
    Empty,
    Facts,
    Meter,
    Notice,
    Page,
    Panel,
    Stat,
    Stats,
    Time,
    Unavailable
} from "../../view/parts.jsx"
import { column, Sheet } from "../../view/sheet.jsx"
import { unofferedOf, versionOf, versionsOf } from "./crew.js"

/** @typedef {import("./crew.js").Worker} Worker */
/** @typedef {import("../../service/service.js").Service} Service */

const EVERY = 3000 // ms
const NONE = <span class="muted">none</span>

/** @param {Worker} worker */
const troubleOf = worker => worker.lost + worker.unknown + worker.again + worker.refused

/** @param {Worker} worker */
const Load = ({ outstanding, window }) => (
    <div>
        {outstanding} of {window}
        <Meter value={outstanding} max={window} tone={outstanding >= window ? "warn" : "info"} label="calls in hand" />
    </div>
)

/** A column of numbers. @param {string} label @param {(worker: Worker) => any} value @param {(value: any) => string} text */
const figures = (label, value, text) => column(label, value, worker => text(value(worker)), 6, "right")

/** @param {(worker: Worker) => import("preact").ComponentChildren} version */
const columnsOf = version => [
    column("Worker", worker => visible(worker.id)),
    column("Version", versionOf, version, 8),
    column("Calls in hand", worker => worker.outstanding / worker.window, Load, 8),
    column(
        "Attached",
        worker => worker.since,
        worker => (worker.leaving ? <Badge tone="warn">leaving</Badge> : <Time at={worker.since} />),
        7,
        "right"
    ),
    figures("Answered", worker => worker.calls, count),
    figures("Errors", worker => worker.errors, count),
    column(
        "Trouble",
        troubleOf,
        worker => (troubleOf(worker) ? <Badge tone="bad">{count(troubleOf(worker))}</Badge> : NONE),
        6,
        "right"
    ),
    figures("p50", worker => worker.p50_s, duration),
    figures("p99", worker => worker.p99_s, duration)
]

/** @param {{service: Service, worker: Worker, onDone: () => void}} props */
const Detach = ({ service, worker, onDone }) =>
    worker.leaving ? (
        <Notice tone="warn">It is leaving: it gets no further call, and answers those that it has.</Notice>
    ) : (
        <ConfirmedCall
            service={service}
            method="rpc.detach"
            params={{ worker: worker.id }}
            onDone={onDone}
            icon="signout"
            label="Let it leave"
            sure="Let it leave"
            question={`It gets no further call, and answers the ${plural(worker.outstanding, "call")} that it has.`}
        />
    )

/** @param {{service: Service, worker: Worker, version: import("preact").ComponentChildren, onDone: () => void}} props */
const Detail = ({ service, worker, version, onDone }) => (
    <Panel title={<span class="mono">{visible(worker.id)}</span>}>
        <Detach key={worker.id} service={service} worker={worker} onDone={onDone} />
        <Facts
            rows={[
                ["Version", version],
                ["Attached", <Time at={worker.since} />],
                ["Client", visible(worker.client)],
                ["User, address", visible(`${worker.user ?? "none"}, ${worker.address ?? "unknown"}`)],
                ["Calls in hand", Load(worker)],
                ["Answered", `${count(worker.calls)}, ${count(worker.errors)} with an error`],
                ["p50, p99", worker.calls ? `${duration(worker.p50_s)}, ${duration(worker.p99_s)}` : "no call yet"],
                ["Lost", `${count(worker.lost)} not answered a minute after the deadline`],
                ["Unknown", `${count(worker.unknown)} whose outcome nobody knows`],
                ["Handed on", `${count(worker.again)} that another worker got when it went`],
                ["Refused", `${count(worker.refused)} given back before they began`]
            ]}
        />
        <h3>{plural(worker.methods.length, "method")}</h3>
        <ul class="names">
            {worker.methods.map(name => (
                <li key={name}>
                    <a class="mono" href={link(["methods", name])}>
                        {visible(name)}
                    </a>
                </li>
            ))}
        </ul>
    </Panel>
)

/** @param {{service: Service}} props */
const NoWorkers = ({ service }) => (
    <Panel>
        <Empty icon="workers" title="No worker is attached">
            Workers are processes, here or on other machines, that carry out the calls of slow methods for the plugin.
            This attaches one whose user is in the plugin's option <code>workers_users</code>:
        </Empty>
        <Code
            copy="the command"
            text={`mosquitto_rpc_worker --attach --broker ${/^wss?:\/\/(\[.*\]|[^/:]*)/.exec(service.address)?.[1]}:1883 --user worker --name one`}
        />
    </Panel>
)

/** @param {{methods: import("../../service/service.js").Method[]}} props  methods: that no worker offers */
const Unoffered = ({ methods }) => (
    <Notice tone="bad" title="No worker takes the calls of a method that only workers carry out">
        {methods.slice(0, 8).map(({ name }) => (
            <>
                <a class="mono" key={name} href={link(["methods", name])}>
                    {visible(name)}
                </a>
                ,{" "}
            </>
        ))}
        {methods.length > 8 && `${methods.length - 8} more, `}whose calls wait, and then fail.
    </Notice>
)

/** @param {{workers: Worker[], total: number}} props  total: as the service counts them, which may list fewer */
function Sums({ workers, total }) {
    const sum = (/** @type {(worker: Worker) => number} */ of) => workers.reduce((all, worker) => all + of(worker), 0)
    const lost = sum(worker => worker.lost + worker.unknown)
    return (
        <Stats>
            <Stat label="Attached" value={count(total)} />
            <Stat
                label="Calls in hand"
                value={sum(worker => worker.outstanding)}
                unit={`of ${sum(worker => (worker.leaving ? 0 : worker.window))}`}
            />
            <Stat label="Answered" value={count(sum(worker => worker.calls))} />
            <Stat label="Errors" value={count(sum(worker => worker.errors))} />
            <Stat label="Lost or unknown" value={count(lost)} tone={lost ? "bad" : undefined} />
        </Stats>
    )
}

/** @param {{service: Service, result: any, workers: Worker[], newest?: string}} props  result: of rpc.workers */
function Crew({ service, result, workers, newest }) {
    const version = (/** @type {Worker} */ worker) =>
        versionOf(worker) === newest ? (
            visible(versionOf(worker), 30)
        ) : (
            <Badge tone="warn">{visible(versionOf(worker), 30)}, older</Badge>
        )
    return (
        <>
            <Sums workers={workers} total={result.value.count} />
            <Sheet
                result={result}
                what="the workers"
                title={some(workers.length, result.value.count, "worker")}
                good=""
                rows={workers}
                columns={columnsOf(version)}
                detail={worker => (
                    <Detail service={service} worker={worker} version={version(worker)} onDone={result.reload} />
                )}
            />
        </>
    )
}

/** @param {{service: Service}} props */
function Room({ service }) {
    const result = useMethod(service, "rpc.workers", { limit: 1000 }, { every: EVERY })
    /** @type {Worker[]} */
    const workers = result.value?.workers ?? []
    const unoffered = unofferedOf(useStore(service.catalogue).methods, workers),
        versions = versionsOf(workers)
    useEffect(service.crew.start, [service])
    return (
        <Page title="Workers" summary="Processes that carry out calls for the plugin">
            {!result.value ? (
                <Panel>
                    <Unavailable result={result} what="the list of workers" />
                </Panel>
            ) : (
                <>
                    {unoffered.length > 0 && <Unoffered methods={unoffered} />}
                    {versions.length > 1 && (
                        <Notice tone="warn" title={`${versions.length} versions run at once`}>
                            {versions.map(([name, of]) => `${visible(name, 30)}: ${plural(of, "worker")}`).join("; ")}.
                            Is an upgrade under way?
                        </Notice>
                    )}
                    {workers.length ? (
                        <Crew service={service} result={result} workers={workers} newest={versions[0]?.[0]} />
                    ) : (
                        <NoWorkers service={service} />
                    )}
                </>
            )}
        </Page>
    )
}

export const workers = { id: "workers", title: "Workers", icon: "workers", Room }
