/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Parts that several pages of the room share. */
import { age } from "../../base/format.js"
import { visible } from "../../base/text.js"
import { Badge, Time } from "../../view/parts.jsx"
import { link, navigate, useNow } from "../../view/hooks.js"
import { filterOf, rankOf, stateOf, whyText } from "./presence.js"

/** @typedef {import("./presence.js").Device} Device */

export const ALL = "*" // the group of all devices
export const GROUPS = ["devices", "groups"] // the path of the list

/** The devices of these names; those that the list does not have are not seen yet.
 *  @param {Device[]} devices @param {string[]} names @returns {Device[]} */
export function pick(devices, names) {
    const known = new Map(devices.map(device => [device.device, device]))
    return names.map(device => known.get(device) ?? { device, state: "unknown", since: 0, why: "" })
}

/** The way back, below a heading. @param {{to: string[], children: any}} props */
export const Back = ({ to, children }) => <a href={link(to)}>← {children}</a>

/** @param {{device: Device}} props */
export function State({ device: { state, since } }) {
    const now = useNow(1000),
        [label, tone, ago] = stateOf(state)
    return (
        <span class="row">
            <Badge tone={tone}>{label}</Badge>
            {since > 0 && (
                <span class="muted nowrap">
                    {ago} {age(Math.max(0, now - since))}
                </span>
            )}
        </span>
    )
}

/** How many of several devices are here. @param {{devices: Device[]}} props */
export function Present({ devices }) {
    const here = devices.filter(device => filterOf(device) === "here").length,
        away = devices.length - here
    return (
        <span class="row">
            {here.toLocaleString("en")} of {devices.length.toLocaleString("en")} here{" "}
            {away > 0 && <Badge tone="bad">{away.toLocaleString("en")} away</Badge>}
        </span>
    )
}

/** @param {Device} device */
const open = ({ waiting = 0, flying = 0 }) => waiting + flying || undefined

/** @type {import("../../view/table.jsx").Column<Device>[]} */
export const COLUMNS = [
    { id: "device", label: "Device", value: ({ device }) => device, render: ({ device }) => visible(device) },
    { id: "state", label: "State", width: "13.5rem", value: rankOf, render: device => <State device={device} /> },
    {
        id: "seen",
        label: "Last heard",
        width: "8rem",
        value: ({ seen }) => seen,
        render: ({ seen }) => <Time at={seen} />
    },
    {
        id: "kind",
        label: "Kind",
        width: "8rem",
        value: ({ kind }) => kind,
        render: ({ kind }) => visible(kind ?? "–", 40)
    },
    {
        id: "open",
        label: "Open commands",
        width: "9rem",
        value: open,
        render: device => open(device) ?? <span class="muted">none</span>
    },
    { id: "why", label: "Why", width: "16rem", value: ({ why }) => why, render: ({ why }) => visible(whyText(why), 40) }
]

/** @param {{device: string}} device */
export const goTo = ({ device }) => navigate(["devices", "device", device])
