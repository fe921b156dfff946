/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The list of groups, and the form that makes another. */
import { useMemo } from "preact/hooks"
import { visible } from "../../base/text.js"
import { navigate, useMethod } from "../../view/hooks.js"
import { Panel, Unavailable } from "../../view/parts.jsx"
import { Table } from "../../view/table.jsx"
import { ALL, GROUPS, Present, pick } from "./bits.jsx"
import { GroupForm } from "./group_form.jsx"

/** @typedef {import("./presence.js").Device} Device */
/** @typedef {{group: string, members: Device[], from: string}} Row */

/** @type {import("../../view/table.jsx").Column<Row>[]} */
const COLUMNS = [
    {
        id: "group",
        label: "Group",
        value: ({ group }) => group,
        render: ({ group }) => (group === ALL ? "All devices" : visible(group, 60))
    },
    {
        id: "members",
        label: "Members",
        value: ({ members }) => members.length,
        render: ({ members }) => <Present devices={members} />
    },
    { id: "from", label: "Made by", width: "12rem", value: ({ from }) => from }
]

/** @param {import("./together.jsx").Props} props */
export function Groups({ service, state, devices }) {
    const result = useMethod(service, "device.group.list", undefined, { every: 15000 })
    /** @type {Row[]} */
    const groups = useMemo(
        () => [
            { group: ALL, members: devices, from: "the service" },
            ...(result.value?.groups ?? []).map(
                (/** @type {import("./together.jsx").Group} */ { group, devices: names, configured }) => ({
                    group,
                    members: pick(devices, names),
                    from: configured ? "the configuration" : "a call"
                })
            )
        ],
        [result.value, devices]
    )
    return (
        <>
            <Panel flush>
                <Table
                    caption="Groups"
                    rows={groups}
                    rowKey={({ group }) => group}
                    onSelect={({ group }) => navigate([...GROUPS, group])}
                    columns={COLUMNS}
                />
            </Panel>
            {result.phase !== "ready" && <Unavailable result={result} what="the list of groups" />}
            {result.phase === "ready" && (
                <Panel title="A new group">
                    <GroupForm
                        service={service}
                        members={[...state.checked.get()]}
                        onDone={name => navigate([...GROUPS, name])}
                    />
                </Panel>
            )}
        </>
    )
}
