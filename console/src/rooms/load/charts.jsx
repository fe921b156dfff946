/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Four charts of ten minutes: calls, errors, durations, and what runs and waits. */
import { useMemo } from "preact/hooks"
import { count, duration, rate } from "../../base/format.js"
import { visible } from "../../base/text.js"
import { Chart } from "../../view/chart.jsx"
import { Panel, Spinner } from "../../view/parts.jsx"
import { columns } from "./history.js"

const CALLS = [{ label: "calls", tone: "1", area: true }]
const TIMES = [
    { label: "p50", tone: "1" },
    { label: "p99", tone: "4" }
]
const BUSY = [
    { label: "running", tone: "1", area: true },
    { label: "waiting", tone: "2" }
]
const ERROR_TONES = ["2", "4", "6", "1", "5", "3"] // by how many errors have the code
const NO_ERRORS = [{ label: "errors", tone: "3" }]

/** @param {number} value */
const whole = value => (Number.isInteger(value) ? count(value) : "")

/**
 * @param {{title: string, about: string, rows: (number | null)[][] | null, series: any[],
 *     format: (value: any) => string, interval: number}} props
 */
const One = ({ title, about, rows, series, format, interval }) => (
    <Panel title={title} actions={<span class="muted small">{`a point every ${duration(interval)}`}</span>}>
        <Chart
            data={/** @type {any} */ (rows)}
            series={series}
            format={format}
            height={160}
            label={`${title} of ${about}, ten minutes`}
            empty={
                <>
                    <Spinner />
                    <span>{`The service counts; the first figures come within ${duration(interval)}.`}</span>
                </>
            }
        />
    </Panel>
)

/** @param {{state: import("./state.js").State, method: string | null, changes: number, interval: number}} props */
export function Charts({ state, method, changes, interval }) {
    const found = useMemo(() => columns(state.history.spans(), method), [changes, method])
    const isKnown = found.calls.some(value => value !== null)
    const about = method === null ? "all methods" : visible(method)
    const errors = useMemo(
        () =>
            found.codes.length
                ? found.codes.map((code, index) => ({ label: visible(code, 40), tone: ERROR_TONES[index] }))
                : NO_ERRORS,
        [found.codes.join()]
    )
    const errorRows = found.codes.length ? found.errors : [found.calls.map(value => (value === null ? null : 0))]
    const charts = [
        { title: "Calls a second", rows: [found.calls], series: CALLS, format: rate },
        { title: "Errors a second", rows: errorRows, series: errors, format: rate },
        { title: "Durations", rows: [found.p50, found.p99], series: TIMES, format: duration },
        { title: "Running and waiting", rows: [found.running, found.waiting], series: BUSY, format: whole }
    ]
    return (
        <div class="load-charts">
            {charts.map(chart => (
                <One
                    key={chart.title}
                    {...chart}
                    rows={isKnown ? [found.times, ...chart.rows] : null}
                    about={about}
                    interval={interval}
                />
            ))}
        </div>
    )
}
