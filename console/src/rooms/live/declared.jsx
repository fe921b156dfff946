/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The events that the service declares, with their documentation. */
import { useMemo } from "preact/hooks"
import { count } from "../../base/format.js"
import { visible } from "../../base/text.js"
import { useNow, useStore } from "../../view/hooks.js"
import { Badge, Empty, Panel, Prose, Unavailable } from "../../view/parts.jsx"
import { Table } from "../../view/table.jsx"
import { NO_FILTER } from "./events.js"

/** @param {Map<string, number>} seen @returns {import("../../view/table.jsx").Column<any>[]} */
const columnsOf = seen => [
    { id: "name", label: "Event", width: "16rem", value: event => visible(event.name, 80) },
    {
        id: "what",
        label: "When it is announced",
        wide: true,
        render: event => (
            <>
                <Prose text={event.summary} max={500} />
                {event.key && <span class="muted">{` – one topic for each ${visible(event.key, 60)}`}</span>}
            </>
        )
    },
    {
        id: "kept",
        label: "Kept",
        width: "6rem",
        render: event =>
            event.retained && (
                <Badge tone="info" title="The broker keeps the last one">
                    retained
                </Badge>
            )
    },
    {
        id: "seen",
        label: "Came",
        width: "6rem",
        align: "right",
        value: event => seen.get(event.name) ?? 0,
        render: event => count(seen.get(event.name) ?? 0)
    }
]

/** @param {{service: any, state: import("./state.js").State}} props */
export function Declared({ service, state }) {
    const catalogue = useStore(service.catalogue)
    const seen = state.feed.seen()
    useNow(1000)
    const columns = useMemo(() => columnsOf(seen), [seen])
    if (catalogue.phase !== "ready" && !catalogue.events.length)
        return (
            <Panel>
                <Unavailable result={catalogue} what="the list of events" />
            </Panel>
        )
    return (
        <Panel flush>
            <Table
                caption="Declared events"
                columns={columns}
                rows={catalogue.events}
                rowKey={event => event.name}
                sort={{ id: "name" }}
                onSelect={event => {
                    state.setFilter({ ...NO_FILTER, event: event.name })
                    state.change({ tab: "stream" })
                }}
                empty={<Empty icon="live" title="This service declares no events." />}
            />
        </Panel>
    )
}
