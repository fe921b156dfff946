/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* A chart over time, drawn by uPlot. Its height is there before its data is; colours are those of the page. */
import uPlot from "uplot"
import { useEffect, useMemo, useRef, useState } from "preact/hooks"
import { Spinner } from "./parts.jsx"
import { clock, number } from "../base/format.js"

/** @typedef {import("preact").ComponentChildren} Children */
/**
 * @typedef {{label: string, tone?: string, unit?: string, area?: boolean, dashed?: boolean,
 *         connected?: boolean}} Series
 *        tone: "1" to "6", or as of a Badge; connected: the line goes on where it has no value
 */

/** @param {string} name */
const token = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

/** @param {string | undefined} tone @param {number} at */
const colourOf = (tone, at) => (tone && !/^\d$/.test(tone) ? `--${tone}` : `--series-${tone ?? (at % 6) + 1}`)

/** Times at the axis, with no second line for the date. @type {any} */
const TIMES = [
    [86400, "{YYYY}-{MM}-{DD}"],
    [60, "{HH}:{mm}"],
    [1, "{HH}:{mm}:{ss}"],
    [0.001, "{ss}.{fff}"]
].map(([step, format]) => [step, format, null, null, null, null, null, null, 1])

/**
 * From 0 on, or what is there with some space around it.
 * @param {boolean} isFromZero
 * @param {number | null} low
 * @param {number | null} high
 * @returns {[number, number]}
 */
function range(isFromZero, low, high) {
    if (low === null || high === null) return [0, 1]
    const space = (high - low || Math.abs(high) || 1) * 0.1
    return isFromZero ? [Math.min(0, low), high > 0 ? high * 1.1 : 1] : [low - space, high + space]
}

/** A label that is that of the line below says nothing: 0, 1, 1, 2. @param {string[]} labels */
const distinct = labels => labels.map((label, at) => (label === labels[at - 1] ? null : label))

/**
 * @param {Series[]} series @param {(value: number) => string} format @param {number} width @param {number} height
 * @param {boolean} fromZero
 * @param {(index: number | null) => void} point
 * @returns {import("uplot").Options}
 */
function options(series, format, width, height, fromZero, point) {
    const axis = { font: `12px ${token("--font")}`, stroke: () => token("--muted"), ticks: { show: false } }
    return {
        width,
        height,
        padding: [12, 28, 0, 0],
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
        legend: { show: false },
        hooks: { setCursor: [plot => point(plot.cursor.idx ?? null)] },
        scales: { y: { range: (_, low, high) => range(fromZero, low, high) } },
        axes: [
            { ...axis, size: 30, gap: 8, space: 80, grid: { show: false }, values: TIMES },
            {
                ...axis,
                size: 60,
                gap: 8,
                space: 32,
                grid: { stroke: () => token("--line"), width: 1 },
                values: (_, splits) => distinct(splits.map(format))
            }
        ],
        series: [
            {},
            ...series.map((one, at) => ({
                stroke: () => token(colourOf(one.tone, at)),
                width: 1.5,
                dash: one.dashed ? [4, 4] : undefined,
                fill: one.area ? () => token(colourOf(one.tone, at)) + "1f" : undefined,
                points: { show: false },
                spanGaps: one.connected ?? false
            }))
        ]
    }
}

/** @param {string} unit @returns {(value: number) => string} */
const formatOf = unit => value => number(Number(value.toPrecision(4))) + (unit ? ` ${unit}` : "")

/**
 * What the lines are, and their values where the pointer is, or the last ones.
 * @param {{series: Series[], data: any, at: number | null, format: (value: number) => string}} props
 */
function Legend({ series, data, at, format }) {
    const index = at ?? (data?.[0].length ?? 0) - 1
    /** @param {number} row */
    const value = row => {
        let place = index
        while (series[row].connected && place > 0 && data?.[row + 1]?.[place] === null) place--
        return data?.[row + 1]?.[place]
    }
    return (
        <div class="legend">
            {series.map((one, row) => (
                <span key={row}>
                    <i style={{ background: `var(${colourOf(one.tone, row)})` }} />
                    {one.label} <b>{typeof value(row) === "number" ? format(value(row)) : "–"}</b>
                </span>
            ))}
            {at !== null && data && <time>{clock(data[0][at])}</time>}
        </div>
    )
}

/**
 * Keeps a plot in the element that gets the ref, as wide as that is.
 * @param {import("uplot").AlignedData | null} data
 * @param {number} height
 * @param {string} shape another one makes another plot
 * @param {(width: number) => import("uplot").Options} optionsFor
 */
function usePlot(data, height, shape, optionsFor) {
    const host = useRef(/** @type {HTMLDivElement | null} */ (null))
    const plot = useRef(/** @type {uPlot | null} */ (null))
    const hasData = !!data && data[0].length > 0
    useEffect(() => {
        const element = host.current
        if (!element || !hasData) return
        const width = () => Math.max(160, element.clientWidth)
        const own = (plot.current = new uPlot(optionsFor(width()), data, element))
        const observer = new ResizeObserver(() => own.setSize({ width: width(), height }))
        const redraw = () => own.redraw(false, true)
        observer.observe(element)
        addEventListener("themechange", redraw)
        return () => {
            observer.disconnect()
            removeEventListener("themechange", redraw)
            own.destroy()
            plot.current = null
        }
    }, [hasData, shape])
    useEffect(() => {
        if (data && plot.current && plot.current.data !== data) plot.current.setData(data)
    }, [data])
    return host
}

const WAITING = (
    <>
        <Spinner /> <span>Waiting for the first values …</span>
    </>
)

/**
 * @param {{data: import("uplot").AlignedData | null, series: Series[], unit?: string, height?: number, label: string,
 *          format?: (value: number) => string, empty?: Children, fromZero?: boolean}} props
 *        data: times in seconds, then each series' values, null: no value; null: there is none yet;
 *        height: of the curves alone
 */
export function Chart({ data, series, unit = "", format, height = 180, label, empty, fromZero = true }) {
    const [at, setAt] = useState(/** @type {number | null} */ (null))
    const hasData = !!data && data[0].length > 0
    const print = useMemo(() => format ?? formatOf(unit), [format, unit])
    const latest = useRef(print)
    latest.current = print
    const host = usePlot(data, height, JSON.stringify([series, fromZero, height]), width =>
        options(series, value => latest.current(value), width, height, fromZero, setAt)
    )
    return (
        <figure class="chart">
            <div role="img" aria-label={label} style={{ height: `${height}px` }}>
                {hasData ? <div ref={host} /> : <div class="chart-empty">{empty ?? WAITING}</div>}
            </div>
            {series.length > 0 && <Legend series={series} data={hasData ? data : null} at={at} format={print} />}
        </figure>
    )
}
