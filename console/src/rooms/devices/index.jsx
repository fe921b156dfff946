/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The room Devices: who is there, one device, groups, and commands to each of them. */
import { useEffect } from "preact/hooks"
import { Page, Panel, Tabs, Unavailable } from "../../view/parts.jsx"
import { navigate, useStore } from "../../view/hooks.js"
import { DevicePage } from "./device.jsx"
import { Groups } from "./groups.jsx"
import { List } from "./list.jsx"
import { createState } from "./state.js"
import { Together } from "./together.jsx"

/** @param {{service: any, state: import("./state.js").State, route: import("../../view/hooks.js").Route}} props */
function Room({ service, state, route }) {
    const list = useStore(state.presence.list)
    useEffect(state.presence.open, [state])
    const [place = "", name] = route.path,
        isGroups = place === "groups" && !name
    const props = { service, state, devices: list.value, name, key: name }
    if (list.phase === "ready" && place === "device") return <DevicePage {...props} />
    if (list.phase === "ready" && (name || place === "several")) return <Together {...props} />
    return (
        <Page title="Devices" summary="Clients that carry out commands, and which of them are there.">
            {list.phase !== "ready" ? (
                <Panel>
                    <Unavailable result={{ ...list, reload: state.presence.reload }} what="the list of devices" />
                </Panel>
            ) : (
                <>
                    <Tabs
                        label="View"
                        value={isGroups ? "groups" : ""}
                        onChange={id => navigate(["devices", id].filter(Boolean))}
                        items={[
                            { id: "", label: "Devices", count: list.value.length.toLocaleString("en") },
                            { id: "groups", label: "Groups" }
                        ]}
                    />
                    {isGroups ? <Groups {...props} /> : <List {...props} outcome={list.outcome} />}
                </>
            )}
        </Page>
    )
}

export const devices = { id: "devices", title: "Devices", icon: "devices", Room, createState }
