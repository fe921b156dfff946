/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The outcome of a call: the result beside the meaning of its members, or the error with its meaning and what to do. */
import { bytes, milliseconds } from "../../base/format.js"
import { write } from "../../base/exact.js"
import { visible } from "../../base/text.js"
import { modelOf } from "../../schema/model.js"
import { join } from "../../schema/read.js"
import { Failure } from "../../view/failure.jsx"
import { Json } from "../../view/json.jsx"
import { Badge, Button, Empty, Prose, Spinner, Time } from "../../view/parts.jsx"

/**
 * @typedef {import("../../schema/model.js").Node} Node
 * @typedef {import("./state.js").Method} Method
 * @typedef {import("./state.js").Catalogue} Catalogue
 */

const DEPTH_MAX = 5,
    SHOWN_MAX = 100,
    SEEN_MAX = 1000 // a schema may contain itself

/** Nodes of a result with a meaning, by their paths. @param {Node} root @returns {{path: string, node: Node}[]} */
function meaningsOf(root) {
    const found = [],
        open = [{ path: "", node: root, depth: 0 }]
    for (let seen = 0; open.length && seen < SEEN_MAX && found.length < SHOWN_MAX; seen++) {
        const { path, node, depth } = /** @type {typeof open[0]} */ (open.shift())
        if (path && (node.description || node.unit)) found.push({ path, node })
        const inner =
            depth > DEPTH_MAX
                ? []
                : node.kind === "object"
                  ? node.members()
                  : node.kind === "array"
                    ? [node.item()]
                    : []
        open.unshift(
            ...inner.map(each => ({
                node: each,
                depth: depth + 1,
                path: node.kind === "array" ? `${path}[]` : join(path, each.name)
            }))
        )
    }
    return found
}

/** What the members of a schema mean. value: the result, whose times are shown as times, too. @param {{root: any, schema: any, value?: any}} props */
export function Meaning({ root, schema, value }) {
    const node = modelOf(root, schema),
        rows = meaningsOf(node)
    if (!rows.length)
        return (
            <p class="muted">
                <Prose text={node.description || "What it is, is not declared."} />
            </p>
        )
    return (
        <dl class="meaning">
            {rows.map(({ path, node: { description, unit, nullable } }) => {
                const moment =
                    unit === "s" && /Unix time/i.test(description) && typeof value?.[path] === "number"
                        ? value[path]
                        : undefined
                return (
                    <div key={path}>
                        <dt class="mono">{visible(path)}</dt>
                        <dd>
                            <Prose text={description} />
                            {unit && <>, in {visible(unit)}</>}
                            {nullable && <>, or null</>}
                            {moment && (
                                <>
                                    {" "}
                                    (<Time at={moment} />)
                                </>
                            )}
                        </dd>
                    </div>
                )
            })}
        </dl>
    )
}

/** @param {{outcome: import("../../service/calls.js").Failure, method: Method, catalogue: Catalogue}} props */
export function Failed({ outcome, method, catalogue }) {
    const { method: _, err, msg, ...more } = outcome.data ?? {}
    return (
        <>
            <Failure outcome={outcome} method={method} catalogue={catalogue} />
            {outcome.from === "service" && Object.keys(more).length > 0 && (
                <div>
                    <h3>What the error also says</h3>
                    <Json value={more} />
                </div>
            )}
        </>
    )
}

/** @param {{values: any[]}} props */
const Progress = ({ values }) => (
    <div aria-live="polite">
        <h3>On the way</h3>
        <ol class="progress mono">
            {values.map((value, at) => (
                <li key={at}>{visible(write(value), 500)}</li>
            ))}
        </ol>
    </div>
)

/** @param {{page: import("./state.js").Page, method: Method, catalogue: Catalogue}} props */
export function Result({ page: { busy, outcome, progress }, method, catalogue }) {
    const root = method.isDeclared ? method.result : catalogue.document
    return (
        <div class="result" aria-busy={!!busy}>
            {busy && (
                <div class="actions" role="status">
                    <Spinner /> <span>Waiting for the reply …</span>
                    <Button small onClick={() => busy.abort()}>
                        Give up
                    </Button>
                </div>
            )}
            {outcome && (
                <div class="actions" role="status">
                    <Badge tone={outcome.ok ? "good" : "bad"}>{outcome.ok ? "Result" : visible(outcome.err)}</Badge>
                    <span>{milliseconds(outcome.ms)}</span>
                    {outcome.ok && <span class="muted">{bytes(outcome.bytes)}</span>}
                </div>
            )}
            {outcome && !outcome.ok && <Failed outcome={outcome} method={method} catalogue={catalogue} />}
            {outcome?.ok && (
                <div class="columns">
                    <div>
                        <Json text={outcome.text} />
                    </div>
                    <div>
                        <h3>What it means</h3>
                        <Meaning root={root} schema={method.result} value={outcome.value} />
                    </div>
                </div>
            )}
            {progress.length > 0 && <Progress values={progress} />}
            {!outcome && !busy && (
                <Empty icon="send" title="The result will be here.">
                    {method.readOnly
                        ? "This method only reads."
                        : "This method changes something: it is called when you press the button, and at no other time."}
                </Empty>
            )}
        </div>
    )
}
