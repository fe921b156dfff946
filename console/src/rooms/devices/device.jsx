/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* One device: its state, a command for it and the answer, and its last commands. */
import { useEffect, useState } from "preact/hooks"
import { visible } from "../../base/text.js"
import { Badge, Button, Duration, Empty, Facts, Notice, Page, Panel, Time, Unavailable } from "../../view/parts.jsx"
import { Json } from "../../view/json.jsx"
import { ConfirmedCall } from "../../view/confirm.jsx"
import { Failure } from "../../view/failure.jsx"
import { Table } from "../../view/table.jsx"
import { link, navigate, useMethod, useStore } from "../../view/hooks.js"
import { Back, State } from "./bits.jsx"
import { CommandForm } from "./command.jsx"
import { commandsFor } from "./commands.js"
import { read, whyText } from "./presence.js"
import { commandEvents } from "./runs.js"
import { applyHistory, statusOf } from "./verdicts.js"

/** @typedef {import("./presence.js").Device} Device */
/** @typedef {import("./verdicts.js").Entry} Entry */

/** What has become of a command for one device. @param {{run: import("./runs.js").Run, catalogue: any}} props */
function Answer({ run: { verdicts, outcome, order, isRunning, at }, catalogue }) {
    const [{ status, progress, cause }] = verdicts.values(),
        [label, tone] = statusOf(status)
    return (
        <>
            <p class="row">
                <Badge tone={tone}>{label}</Badge>
                <span class="mono">{visible(order.command, 60)}</span>
                <span class="muted">
                    {!isRunning && (
                        <>
                            in <Duration seconds={outcome.ms / 1000} />,{" "}
                        </>
                    )}
                    <Time at={at} />
                </span>
            </p>
            {isRunning ? (
                progress !== undefined && <Json value={progress} copy={false} />
            ) : status === "queued" ? (
                <Notice title="The device is away.">
                    The command is sent when it comes. Until then it can be cancelled.
                </Notice>
            ) : (
                outcome.ok && <Json text={outcome.text} />
            )}
            {!isRunning && <Failure outcome={outcome} method={order.method} catalogue={catalogue} />}
            {cause !== undefined && <Json value={cause} />}
        </>
    )
}

/** The history as it was asked for, with what events say since. @param {any} service @param {string} name */
function useHistory(service, name) {
    const result = useMethod(service, "device.history", { device: name, limit: 50 })
    const [commands, setCommands] = useState(/** @type {Entry[]} */ ([]))
    useEffect(() => setCommands(result.value?.commands ?? []), [result.value])
    useEffect(
        () =>
            service.watchBatches(commandEvents(service), (/** @type {any[]} */ messages) => {
                const events = messages.map(read).filter(event => event?.device === name)
                setCommands(commands => (events.length ? applyHistory(commands, events) : commands))
            }).stop,
        [service, name]
    )
    return { result, commands }
}

/** What has become of a command, and the button that cancels one that waits. @param {{entry: Entry,
 *  onCancel: (id: string) => void}} props */
function Standing({ entry: { id, state, late, attempt }, onCancel }) {
    const [label, tone] = statusOf(state)
    return (
        <span class="row">
            <Badge tone={tone}>{label}</Badge>
            {late && <Badge tone="warn">late</Badge>}
            {attempt > 1 && <span class="muted small">{attempt} tries</span>}
            {state === "queued" && (
                <Button small onClick={() => onCancel(id)}>
                    Cancel
                </Button>
            )}
        </span>
    )
}

/** @param {(id: string) => void} cancel @returns {import("../../view/table.jsx").Column<Entry>[]} */
const columnsOf = cancel => [
    { id: "command", label: "Command", render: ({ command }) => <span class="mono">{visible(command, 40)}</span> },
    { id: "state", label: "State", render: entry => <Standing entry={entry} onCancel={cancel} /> },
    { id: "time", label: "When", width: "7rem", render: ({ time }) => <Time at={time} /> }
]

/** @param {{service: any, name: string}} props */
function History({ service, name }) {
    const { result, commands } = useHistory(service, name)
    const [failure, setFailure] = useState(/** @type {any} */ (null))
    const cancel = async (/** @type {string} */ id) => {
        setFailure(await service.call("device.cancel", { id, device: name }))
        result.reload()
    }
    return (
        <Panel
            title="Last commands"
            flush
            actions={
                <>
                    <a href={link(["live"], { text: name })}>Events</a>
                    <Button kind="quiet" small icon="refresh" title="Ask again" onClick={result.reload} />
                </>
            }>
            <Failure outcome={failure} />
            {result.phase === "ready" || commands.length ? (
                <Table
                    caption="Last commands"
                    columns={columnsOf(cancel)}
                    rows={commands}
                    rowKey={({ id }) => id}
                    empty={
                        <Empty icon="clock" title="It has had no command since the broker started.">
                            Those that failed because it was away are in Trouble.
                        </Empty>
                    }
                />
            ) : (
                <Unavailable result={result} what="the commands of this device" />
            )}
        </Panel>
    )
}

/** @param {Device} device @returns {[any, any][]} */
const facts = ({ why, seen, kind, commands, waiting = 0, flying = 0, once, client }) => [
    ["Why", visible(whyText(why))],
    ["Last heard", <Time at={seen} />],
    ["Kind", visible(kind ?? "–")],
    ["Takes", commands ? commands.map(name => visible(name, 60)).join(", ") : "any command"],
    ["Open commands", `${waiting} waiting, ${flying} sent`],
    ["Sent again", once ? "any command: it carries each out once" : "only commands that may be repeated"],
    ...(client ? [/** @type {[any, any]} */ (["Client id", visible(client)])] : [])
]

/** @typedef {{service: any, state: import("./state.js").State, name: string}} Props */

/** A command for the device, and the answer to the last one. @param {Props & {device: Device}} props */
function Command({ service, state, device, name }) {
    const catalogue = useStore(service.catalogue),
        key = `device/${name}`,
        run = useStore(state.runs, runs => runs.get(key))
    return (
        <div class="stack">
            <Panel title="Send a command">
                <CommandForm
                    service={service}
                    state={state}
                    target={{ key, devices: [name] }}
                    label="Send"
                    commands={commandsFor(catalogue.devices, [device])}
                    path={["device", name]}
                />
            </Panel>
            <div class="device-answer">
                <Panel title="Answer">
                    {run ? (
                        <Answer run={run} catalogue={catalogue} />
                    ) : (
                        <p class="muted">Nothing has been sent from here.</p>
                    )}
                </Panel>
            </div>
        </div>
    )
}

/** What is known of the device, and the button that forgets it. @param {Props & {device: Device}} props */
const Known = ({ service, state, device, name }) => (
    <Panel title="State">
        <Facts rows={facts(device)} />
        <ConfirmedCall
            service={service}
            icon="trash"
            method="device.forget"
            params={{ device: name }}
            label="Forget this device …"
            sure="Forget it"
            question="Its waiting commands and its history go, too."
            onDone={() => {
                state.presence.reload()
                navigate(["devices"])
            }}
        />
    </Panel>
)

/** @param {Props & {devices: Device[]}} props */
export function DevicePage({ devices, ...props }) {
    const { service, name } = props
    const status = useMethod(service, "device.status", { device: name }, { every: 5000 })
    const listed = devices.find(({ device }) => device === name)
    const device = /** @type {Device} */ ({ ...status.value, ...listed })
    const page = {
        title: <span class="mono">{visible(name, 80)}</span>,
        summary: <Back to={["devices"]}>Devices</Back>
    }
    if (!device.device)
        return (
            <Page {...page}>
                {status.outcome?.err === "device_unknown" ? (
                    <Empty icon="devices" title="No device of this name is known.">
                        It was forgotten, or has never been seen.
                    </Empty>
                ) : (
                    <Unavailable result={status} what="this device" />
                )}
            </Page>
        )
    return (
        <Page {...page} actions={<State device={device} />}>
            <div class="columns">
                <Command {...props} device={device} />
                <div class="stack">
                    <Known {...props} device={device} />
                    <History service={service} name={name} />
                </div>
            </div>
        </Page>
    )
}
