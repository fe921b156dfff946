/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* A number of an event over time, a line for each key. */
import { useEffect, useMemo, useRef } from "preact/hooks"
import { jsonOf } from "../../base/exact.js"
import { plural, visible } from "../../base/text.js"
import { resolve } from "../../schema/resolve.js"
import { Chart } from "../../view/chart.jsx"
import { Select } from "../../view/form.jsx"
import { useStore } from "../../view/hooks.js"
import { Button, Panel, Prose } from "../../view/parts.jsx"
import { numbersIn, pathText, schemaAt } from "./numbers.js"
import { KEYS } from "./series.js"

/** @typedef {import("./state.js").State} State */

/**
 * What the catalogue says of the number that is drawn.
 * @param {any} catalogue
 * @param {{event: string, path: any}} series
 */
function described(catalogue, { event, path }) {
    const declared = catalogue.events.find((/** @type {any} */ each) => each.name === event)
    return schemaAt(declared?.schema, path, schema => schema && resolve(catalogue.document, schema)) ?? {}
}

/**
 * The other numbers of the same event.
 * @param {{state: State, series: NonNullable<ReturnType<State["series"]["get"]>>}} props
 */
function Choice({ state, series }) {
    const row = state.feed
        .all()
        .reverse()
        .find(each => each.event === series.event)
    const numbers = row ? numbersIn(jsonOf(row.text)) : []
    const own = JSON.stringify(series.path)
    const options = [...new Set([own, ...numbers.map(number => JSON.stringify(number.path))])]
    return (
        <Select
            aria-label="Number"
            value={own}
            onChange={path => row && state.draw({ ...row, key: series.keys[0] }, JSON.parse(path))}
            options={options.map(value => ({ value, label: visible(pathText(JSON.parse(value)), 60) }))}
        />
    )
}

/** What is drawn, and what the catalogue says of it. @param {{text: string, note?: string}} props */
const Title = ({ text, note }) => (
    <>
        <span class="mono">{visible(text, 120)}</span>
        {note && (
            <span class="live-note">
                <Prose text={note} />
            </span>
        )}
    </>
)

/** @param {{service: any, state: State}} props */
export function Plot({ service, state }) {
    const series = useStore(state.series)
    const catalogue = useStore(service.catalogue)
    const second = Math.floor(Date.now() / 1000)
    const data = useMemo(() => (series && series.size ? series.data() : null), [series, second])
    const head = useRef(/** @type {HTMLDivElement | null} */ (null))
    useEffect(() => head.current?.scrollIntoView({ block: "nearest" }), [series])
    const schema = useMemo(() => (series ? described(catalogue, series) : {}), [series, catalogue])
    if (!series) return null
    const name = pathText(series.path)
    const lines = series.keys.map((key, index) => ({
        label: visible(key || name, 40),
        connected: true,
        dashed: index > 5
    }))
    return (
        <div ref={head}>
            <Panel
                title={<Title text={`${series.event} · ${name}`} note={schema.description} />}
                actions={
                    <>
                        {series.hasMore && <span class="muted small">{`the first ${plural(KEYS, "key")}`}</span>}
                        <Choice state={state} series={series} />
                        <Button kind="quiet" icon="close" title="Close the chart" onClick={state.undraw} />
                    </>
                }>
                <Chart
                    data={/** @type {any} */ (data)}
                    series={lines}
                    unit={schema["x-unit"] ?? ""}
                    height={180}
                    fromZero={false}
                    label={`${name} of the event ${series.event} over time`}
                />
            </Panel>
        </div>
    )
}
