/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The table of devices: those that are gone first; found by state and by words; and what can be done with several. */
import { useMemo } from "preact/hooks"
import { plural } from "../../base/text.js"
import { Button, Empty, Panel } from "../../view/parts.jsx"
import { SearchInput, Segmented } from "../../view/form.jsx"
import { Failure } from "../../view/failure.jsx"
import { Table } from "../../view/table.jsx"
import { navigate, useStore } from "../../view/hooks.js"
import { COLUMNS, goTo } from "./bits.jsx"
import { FILTERS, countStates, inOrder, select, stateOf } from "./presence.js"

/** @typedef {import("./presence.js").Device} Device */

/** "2 offline". @param {Device[]} devices @param {string} chosen */
function filters(devices, chosen) {
    const counts = countStates(devices)
    return FILTERS.filter(id => counts[id] || id === "offline" || id === chosen).map(id => ({
        id,
        label: `${counts[id].toLocaleString("en")} ${id === "all" ? "in all" : stateOf(id)[0].toLowerCase()}`
    }))
}

/** What is looked for, and the button that commands those that are chosen, or all that are shown. @param {{
 *  state: import("./state.js").State, devices: Device[], chosen: Device[], shown: Device[]}} props */
function Toolbar({ state, devices, chosen, shown }) {
    const { filter, text } = useStore(state.look)
    const items = useMemo(() => filters(devices, filter), [devices, filter])
    const targets = (chosen.length ? chosen : shown).map(({ device }) => device)
    const isAll = targets.length === devices.length
    const command = () => {
        state.several.set(targets)
        navigate(["devices", ...(isAll ? ["groups", "*"] : ["several"])])
    }
    return (
        <div class="toolbar">
            <Segmented
                label="State"
                value={filter}
                items={items}
                onChange={filter => state.look.set({ text, filter })}
            />
            <SearchInput
                label="Search for devices"
                placeholder="Name or kind"
                value={text}
                onChange={text => state.look.set({ filter, text })}
            />
            <Button icon="send" kind={chosen.length ? "primary" : "plain"} disabled={!targets.length} onClick={command}>
                {`Command ${isAll && targets.length > 1 ? "all " : ""}${plural(targets.length, "device")}`}
            </Button>
        </div>
    )
}

/** @param {{state: import("./state.js").State, devices: Device[], outcome?: any}} props */
export function List({ state, devices, outcome }) {
    const { filter, text } = useStore(state.look),
        checked = useStore(state.checked)
    const shown = useMemo(() => inOrder(select(devices, filter, text)), [devices, filter, text])
    const chosen = useMemo(() => devices.filter(({ device }) => checked.has(device)), [devices, checked])
    const showAll = () => state.look.set({ filter: "all", text: "" })
    if (!devices.length)
        return (
            <Empty icon="devices" title="No device has been seen yet.">
                A device is here once it has said hello, or has answered a command.
            </Empty>
        )
    return (
        <>
            <Failure outcome={outcome} />
            <Toolbar state={state} devices={devices} chosen={chosen} shown={shown} />
            <div class="device-table">
                <Panel flush>
                    <Table
                        caption="Devices"
                        columns={COLUMNS}
                        rows={shown}
                        rowKey={({ device }) => device}
                        onSelect={goTo}
                        checked={checked}
                        onCheck={checked => state.checked.set(checked)}
                        empty={
                            <Empty
                                icon="search"
                                title="No device has this state and these words."
                                action={<Button onClick={showAll}>Show all</Button>}
                            />
                        }
                    />
                </Panel>
            </div>
        </>
    )
}
