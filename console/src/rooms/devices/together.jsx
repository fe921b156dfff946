/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Several devices: a group, all of them, or those that were chosen; a command for all of these. */
import { useMemo } from "preact/hooks"
import { plural, visible } from "../../base/text.js"
import { ConfirmedCall } from "../../view/confirm.jsx"
import { Failure } from "../../view/failure.jsx"
import { navigate, useMethod, useStore } from "../../view/hooks.js"
import { Empty, Page, Panel, Unavailable } from "../../view/parts.jsx"
import { Table } from "../../view/table.jsx"
import { ALL, Back, COLUMNS, GROUPS, Present, goTo, pick } from "./bits.jsx"
import { CommandForm } from "./command.jsx"
import { commandsFor } from "./commands.js"
import { GroupForm } from "./group_form.jsx"
import { inOrder } from "./presence.js"
import { startRun } from "./runs.js"
import { Verdicts } from "./verdict_list.jsx"

/** @typedef {import("./presence.js").Device} Device */
/** @typedef {{group: string, devices: string[], configured: boolean}} Group */
/** @typedef {{service: any, state: import("./state.js").State, devices: Device[], name?: string}} Props */

/** The group of a name, or without one those that were chosen; and its members. @param {Props} props */
function useTogether({ service, state, devices, name }) {
    const result = useMethod(service, "device.group.list", undefined, { every: 15000 }),
        several = useStore(state.several)
    /** @type {Group | undefined} */
    const group = name ? result.value?.groups.find((/** @type {Group} */ { group }) => group === name) : undefined
    const names = name ? group?.devices : several
    const members = useMemo(() => inOrder(name === ALL ? devices : pick(devices, names ?? [])), [devices, names])
    return { result, group, members }
}

/** What can be changed of a group that is not in the configuration. @param {{service: any, group: Group,
 *  onDone: () => void}} props */
const Change = ({ service, group: { group, devices }, onDone }) => (
    <Panel title="Members">
        <GroupForm service={service} name={group} members={devices} onDone={onDone} />
        <ConfirmedCall
            service={service}
            icon="trash"
            method="device.group.delete"
            params={{ group }}
            label="Delete this group …"
            sure="Delete it"
            question="Its devices stay."
            onDone={() => navigate(GROUPS)}
        />
    </Panel>
)

/** What the devices have answered, or before a command who they are. @param {{service: any,
 *  state: import("./state.js").State, target: import("./runs.js").Target, members: Device[]}} props */
function Answer({ service, state, target, members }) {
    const catalogue = useStore(service.catalogue),
        run = useStore(state.runs, runs => runs.get(target.key))
    return (
        <div class="stack device-answer">
            {target.group && <Failure outcome={run?.outcome} method={run?.order.method} catalogue={catalogue} />}
            {run && <Verdicts run={run} onAgain={() => startRun(service, state, target, run.order, run.verdicts)} />}
            {!run && (
                <Panel title="Members" flush>
                    <Table
                        caption="Members"
                        columns={COLUMNS.slice(0, 4)}
                        rows={members}
                        rowKey={({ device }) => device}
                        onSelect={goTo}
                    />
                </Panel>
            )}
        </div>
    )
}

/** @param {Props} props */
export function Together(props) {
    const { service, state, name } = props,
        { result, group, members } = useTogether(props),
        catalogue = useStore(service.catalogue)
    const commands = useMemo(() => commandsFor(catalogue.devices, members), [catalogue.devices, members])
    const page = {
        title: name === ALL ? "All devices" : name ? visible(name, 80) : plural(members.length, "device"),
        summary: <Back to={name ? GROUPS : ["devices"]}>{name ? "Groups" : "Devices"}</Back>
    }
    if (!members.length)
        return (
            <Page {...page}>
                {!name || result.phase === "ready" ? (
                    <Empty icon="devices" title={name ? "There is no such group." : "No devices are chosen."} />
                ) : (
                    <Unavailable result={result} what="the list of groups" />
                )}
            </Page>
        )
    const target = { key: `devices/${name}`, group: name, devices: members.map(({ device }) => device) }
    return (
        <Page {...page} actions={<Present devices={members} />}>
            <div class="device-together">
                <div class="stack">
                    <Panel title="Send a command">
                        <CommandForm
                            service={service}
                            state={state}
                            target={target}
                            commands={commands}
                            label={`Send to ${plural(members.length, "device")}`}
                            path={name ? ["devices", name] : undefined}
                        />
                    </Panel>
                    {group && !group.configured && <Change service={service} group={group} onDone={result.reload} />}
                </div>
                <Answer service={service} state={state} target={target} members={members} />
            </div>
        </Page>
    )
}
