/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Live: the events of the service as they come. */
import { useEffect, useMemo, useRef } from "preact/hooks"
import { clock, count } from "../../base/format.js"
import { plural, visible } from "../../base/text.js"
import { Checkbox, SearchInput, Select } from "../../view/form.jsx"
import { navigate, useNow, useStore } from "../../view/hooks.js"
import { Badge, Button, Empty, Page, Panel, Split, Tabs } from "../../view/parts.jsx"
import { Table } from "../../view/table.jsx"
import { Declared } from "./declared.jsx"
import { Detail } from "./detail.jsx"
import { isOpen, NO_FILTER } from "./events.js"
import { Plot } from "./plot.jsx"
import { createState } from "./state.js"

/** @typedef {import("./state.js").State} State @typedef {import("./events.js").Row} Row */

const DRAWN = 100 // rows that move at once
const OFTEN = 250 // ms from one drawing to the next

/** @type {import("../../view/table.jsx").Column<Row>[]} */
const COLUMNS = [
    { id: "time", label: "Time", width: "9.5rem", render: row => clock(row.at, true) },
    { id: "event", label: "Event", width: "25%", render: row => <span class="mono">{visible(row.event, 80)}</span> },
    { id: "key", label: "Key", width: "18%", render: row => <span class="mono">{visible(row.key, 60)}</span> },
    {
        id: "payload",
        label: "Payload",
        wide: true,
        render: row => (
            <div class="live-payload">
                {row.isError && <Badge tone="bad">error</Badge>}
                {row.retained && (
                    <Badge title="It was kept by the broker, and was there before you looked">retained</Badge>
                )}
                <span class="mono cut">{visible(row.text, 300) || <i class="muted">empty</i>}</span>
            </div>
        )
    }
]

/** How many events come, and how many of them are shown. @param {State} state */
function rateText({ feed }) {
    const { came, matched, kept } = feed.rate()
    const isFiltered = !isOpen(feed.filter)
    const which = isFiltered ? `, ${count(matched)} match` : ""
    const share = kept && kept < matched ? `; 1 of ${count(matched / kept)} is shown` : ""
    return came > 1 || share
        ? `${count(came)} events a second${which}${share}`
        : `${plural(feed.total, "event")} so far`
}

/** One line, which is always there: what comes, or what holds the rows. @param {{state: State}} props */
function Status({ state }) {
    const { hold } = useStore(state.view)
    const came = hold ? state.feed.total - hold.total : 0
    return (
        <div class={`live-status ${hold ? "held" : ""}`}>
            <span class="cut" role="status" aria-live="off">
                {!hold
                    ? rateText(state)
                    : hold.isPaused
                      ? `Paused: ${plural(came, "event")} came meanwhile`
                      : `The rows stay while you read: ${plural(came, "new event")}`}
            </span>
            {hold && !hold.isPaused && (
                <Button
                    small
                    icon="up"
                    onClick={() => {
                        state.release()
                        document.querySelector(".live-list")?.scrollTo(0, 0)
                        document.querySelector(".live-list")?.scrollIntoView({ block: "nearest" })
                    }}>
                    Show the newest
                </Button>
            )}
        </div>
    )
}

/** @param {{state: State, service: any}} props */
function Filters({ state, service }) {
    const { filter } = useStore(state.view)
    const { events } = useStore(service.catalogue)
    const names = [
        ...new Set([...events.map((/** @type {any} */ event) => event.name), ...state.feed.seen().keys()])
    ].sort()
    return (
        <div class="live-filters">
            <Select
                aria-label="Event"
                value={filter.event}
                onChange={event => state.setFilter({ event })}
                options={[
                    { value: "", label: "All events" },
                    ...names.map(value => ({ value, label: visible(value, 60) }))
                ]}
            />
            <Checkbox label="Only errors" checked={filter.errors} onChange={errors => state.setFilter({ errors })} />
            <SearchInput label="Key" value={filter.key} onChange={key => state.setFilter({ key })} />
            <SearchInput
                label="Text in the payload"
                placeholder="Payload"
                value={filter.text}
                onChange={text => state.setFilter({ text })}
            />
        </div>
    )
}

/**
 * Rows are held while the list is not at its top, or the keyboard is in it.
 * @param {State} state
 * @param {{current: HTMLElement | null}} list
 */
function useHold(state, list) {
    useEffect(() => {
        function look() {
            const element = list.current
            if (!element?.offsetParent) return
            const isInner = element.scrollHeight > element.clientHeight + 1
            const isDown = isInner ? element.scrollTop > 4 : element.getBoundingClientRect().top < 0
            if (isDown || element.querySelector(":focus-visible")) state.hold(false)
            else if (state.view.get().hold?.isPaused === false) state.release()
        }
        const events = ["scroll", "focusin"]
        events.forEach(name => document.addEventListener(name, look, { capture: true, passive: true }))
        return () => events.forEach(name => document.removeEventListener(name, look, { capture: true }))
    }, [state])
}

/** @param {{state: State, service: any}} props */
function List({ state, service }) {
    const { chosen, hold, filter } = useStore(state.view)
    const list = useRef(/** @type {HTMLDivElement | null} */ (null))
    useHold(state, list)
    const { changes } = state.feed
    const rows = useMemo(() => hold?.rows ?? state.feed.rows().slice(0, DRAWN), [hold, changes])
    const table = useMemo(
        () => (
            <Table
                caption="Events, the newest first"
                columns={COLUMNS}
                rows={rows}
                rowKey={row => String(row.n)}
                selected={String(chosen?.n)}
                tone={row => (row.isError ? "bad" : undefined)}
                onSelect={row => state.change({ chosen: row })}
            />
        ),
        [rows, chosen]
    )
    return (
        <Panel flush>
            <Status state={state} />
            <div class="live-list" ref={list}>
                {rows.length ? (
                    table
                ) : isOpen(filter) ? (
                    <NoEvents state={state} service={service} />
                ) : (
                    <Empty
                        icon="filter"
                        title="No event matches the filter."
                        action={<Button onClick={() => state.setFilter(NO_FILTER)}>Remove the filter</Button>}>
                        {`${plural(state.feed.total, "event")} came since this page was opened.`}
                    </Empty>
                )}
            </div>
        </Panel>
    )
}

/** A method whose call announces an event. @param {any[]} methods */
const announcer = methods =>
    methods.find(method => method.announces?.when === "always" && !method.levels?.length) ??
    methods.find(method => method.announces?.when === "always")

/** @param {{state: State, service: any}} props */
function NoEvents({ state, service }) {
    const { methods } = useStore(service.catalogue)
    const answer = useStore(state.answer)
    const method = announcer(methods)
    if (!answer) return <Empty icon="live" title="Asking the broker for events …" />
    if (!answer.ok)
        return (
            <Empty icon="lock" title="The broker does not send you events.">
                {`${visible(answer.text)} Its ACL would need: topic read ${service.prefix}/event/#`}
            </Empty>
        )
    return (
        <Empty
            icon="live"
            title="No event has come yet."
            action={
                method && (
                    <Button
                        icon="methods"
                        onClick={() => navigate(["methods", method.name])}>{`Make one: call ${method.name}`}</Button>
                )
            }>
            An event is what the service tells everybody who listens: a reading was stored, a device came or went, a
            call failed. Each is shown here as soon as it comes, if your user may read {service.prefix}/event/#.
        </Empty>
    )
}

/** @param {{service: any, state: State}} props */
function Stream({ service, state }) {
    const { chosen } = useStore(state.view)
    useNow(OFTEN)
    return (
        <>
            <Plot service={service} state={state} />
            <Filters state={state} service={service} />
            <div class="live-split">
                <Split
                    hasDetail={!!chosen}
                    onBack={() => state.change({ chosen: null })}
                    backLabel="Back to the events"
                    list={<List state={state} service={service} />}
                    detail={chosen && <Detail state={state} row={chosen} />}
                />
            </div>
        </>
    )
}

/**
 * What a link to the room has, such as #/live?event=sensorUpdated or ?text=lamp1, becomes the filter.
 * @param {State} state @param {import("../../view/hooks.js").Route} route
 */
function useLink(state, { query: { event = "", text = "" } }) {
    useEffect(() => {
        if (!event && !text) return
        state.setFilter({ ...NO_FILTER, event, text })
        state.change({ tab: "stream" })
        navigate(["live"], {}, { replace: true })
    }, [event, text])
}

/** @param {{service: any, state: State, route: import("../../view/hooks.js").Route}} props */
function Room({ service, state, route }) {
    useLink(state, route)
    const { hold, tab } = useStore(state.view)
    const { events } = useStore(service.catalogue)
    useEffect(state.start, [state])
    useEffect(service.crew.start, [service])
    const isPaused = !!hold?.isPaused
    return (
        <Page
            title="Live"
            summary="The events of the service, as they come. Choose an event to see all of it."
            actions={
                <>
                    <Button
                        icon={isPaused ? "play" : "pause"}
                        kind={isPaused ? "primary" : "plain"}
                        aria-pressed={isPaused}
                        onClick={() => (isPaused ? state.release() : state.hold(true))}>
                        {isPaused ? "Resume" : "Pause"}
                    </Button>
                    <Button icon="trash" onClick={state.clear}>
                        Clear
                    </Button>
                </>
            }>
            <Tabs
                label="Live"
                value={tab}
                onChange={id => state.change({ tab: id })}
                items={[
                    { id: "stream", label: "Stream" },
                    { id: "declared", label: "Declared events", count: events.length }
                ]}
            />
            {tab === "stream" ? (
                <Stream service={service} state={state} />
            ) : (
                <Declared service={service} state={state} />
            )}
        </Page>
    )
}

export const live = { id: "live", title: "Live", icon: "live", Room, createState }
