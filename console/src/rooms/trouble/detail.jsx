/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What is known of a call, and columns that lists of calls share. */
import { bytes, duration, moment } from "../../base/format.js"
import { visible } from "../../base/text.js"
import { methodOf } from "../../service/service.js"
import { link } from "../../view/hooks.js"
import { Failure } from "../../view/failure.jsx"
import { Json } from "../../view/json.jsx"
import { Badge, Copyable, Facts, Panel, Time } from "../../view/parts.jsx"
import { column } from "../../view/sheet.jsx"

/** @typedef {import("preact").ComponentChildren} Children */
/**
 * @typedef {{method: string, err: string, msg?: string, at?: number, caller?: string, user?: string, worker?: string, trace?: string,
 *     bytes?: number, took?: number, waited_s?: number, ran_s?: number}} Known of a call, a dead letter, or a kind of failure
 */

export const METHOD = column(
    "Method",
    call => call.method,
    call => <span class="mono">{visible(call.method, 80)}</span>,
    16
)
export const ERROR = column(
    "Outcome",
    call => call.err,
    call => (
        <div>
            <Badge tone={call.err === "ok" ? "good" : "bad"}>{visible(call.err, 40)}</Badge>
            {call.err !== "ok" && <div class="muted small cut-2">{visible(call.msg, 120) || "\u00a0"}</div>}
        </div>
    )
)
export const AT = column(
    "When",
    call => call.at,
    call => <Time at={call.at} />,
    6.5,
    "right"
)
export const CALLER = column("Caller", call => visible(call.caller, 40), null, 9)

/** How long a call waited and ran, of the longest beside it. @param {{call: Known, max?: number}} props */
export function TimeBar({ call: { waited_s = 0, ran_s = 0, took = 0 }, max = took }) {
    const part = (/** @type {number} */ seconds) => ({ width: `${(seconds / (max || 1)) * 100}%` })
    return (
        <div class="time-bar" aria-hidden="true">
            <i class="waited" style={part(waited_s)} />
            <i style={part(ran_s)} />
        </div>
    )
}

/** Why it failed: the error as the method or the service explains it. @param {{service: import("../../service/service.js").Service, call: Known}} props */
function Why({ service, call: { method, err, msg = "" } }) {
    const catalogue = service.catalogue.get()
    return (
        <Failure outcome={{ err, msg, from: "service" }} method={methodOf(catalogue, method)} catalogue={catalogue} />
    )
}

/** A name of a call: a button that finds what has to do with it, where there is a filter. @param {{name: string,
 *  onFind?: (words: string) => void}} props */
const Found = ({ name, onFind }) =>
    onFind ? (
        <button type="button" class="link mono" title="Find what has to do with it" onClick={() => onFind(name)}>
            {visible(name)}
        </button>
    ) : (
        <span class="mono">{visible(name)}</span>
    )

/** @param {Known} call @param {(words: string) => void} [onFind] @returns {[string, Children][]} */
function factsOf(call, onFind) {
    const { at, caller, user, worker, took, trace } = call
    return [
        [
            "Arrived",
            at && (
                <>
                    <Time at={at} /> <span class="muted">{moment(at)}</span>
                </>
            )
        ],
        ["Caller", caller && <Found name={caller} onFind={onFind} />],
        ["User", user && visible(user)],
        ["Worker", worker && <Found name={worker} onFind={onFind} />],
        [
            "Took",
            took !== undefined && (
                <>
                    {duration(took)}: waited {duration(call.waited_s)}, ran {duration(call.ran_s)}
                    <TimeBar call={call} />
                </>
            )
        ],
        ["Payload", call.bytes !== undefined && bytes(call.bytes)],
        [
            "Trace",
            trace && (
                <span class="row">
                    <span class="mono">{visible(trace)}</span>
                    <Copyable text={trace} label="the trace" />
                </span>
            )
        ]
    ]
}

/**
 * @param {{service: import("../../service/service.js").Service, call: Known, facts?: [string, Children][], params?: string,
 *          text?: string, none?: string, onFind?: (words: string) => void, children?: Children}} props
 *        params: JSON to call the method again with; text: what was sent; none: why that is not there; onFind: sets the filter
 */
export function Detail({ service, call, facts = [], params, text, none, onFind, children }) {
    const rows = [...facts, ...factsOf(call, onFind)]
    return (
        <Panel
            title={<span class="mono">{visible(call.method)}</span>}
            actions={
                <a class="button primary" href={link(["methods", call.method], { params })}>
                    Call it with other parameters
                </a>
            }>
            {call.err !== "ok" && <Why service={service} call={call} />}
            <Facts rows={rows.filter(([, value]) => value)} />
            {text ? (
                <Json text={text} />
            ) : (
                <p class="muted small">{text === "" ? "It was sent without parameters." : none}</p>
            )}
            {children}
        </Panel>
    )
}
