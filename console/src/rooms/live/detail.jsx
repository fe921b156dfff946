/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* One event: where and when it came, its payload, and the numbers in it that can be drawn. */
import { useMemo } from "preact/hooks"
import { jsonOf } from "../../base/exact.js"
import { bytes, moment } from "../../base/format.js"
import { visible } from "../../base/text.js"
import { Json } from "../../view/json.jsx"
import { Badge, Button, Copyable, Facts, Panel } from "../../view/parts.jsx"
import { numbersIn, pathText } from "./numbers.js"

/** @typedef {import("./state.js").State} State @typedef {import("./events.js").Row} Row */
/** @typedef {import("preact").ComponentChildren} Children */

const PROPERTIES_MAX = 50 // user properties that are shown

/** What is known of an event beside its payload. @param {Row} row @returns {[Children, Children][]} */
const facts = ({ topic, at, bytes: size, retained, properties }) => [
    [
        "Topic",
        <span class="live-topic">
            <span class="mono">{visible(topic, 300)}</span>
            <Copyable text={topic} label="the topic" />
        </span>
    ],
    ["Came", moment(at)],
    ["Size", bytes(size)],
    ...(retained ? [fact("Retained", "The broker kept it; it was announced before you looked.")] : []),
    ...Object.entries(properties ?? {})
        .slice(0, PROPERTIES_MAX)
        .map(([name, value]) => fact(visible(name, 60), <span class="mono">{visible(value, 300)}</span>))
]

/** @param {Children} name @param {Children} value @returns {[Children, Children]} */
const fact = (name, value) => [name, value]

/** @param {{state: State, row: Row}} props */
export function Detail({ state, row }) {
    const numbers = useMemo(() => numbersIn(jsonOf(row.text)), [row])
    const draw = (/** @type {number} */ index) => state.draw(row, numbers[index].path)
    return (
        <Panel
            title={<span class="mono">{visible(row.event, 80)}</span>}
            actions={
                <>
                    {row.isError && <Badge tone="bad">error</Badge>}
                    {row.retained && <Badge tone="info">retained</Badge>}
                </>
            }>
            <Facts rows={facts(row)} />
            <Json text={row.text} onNumber={draw} numbers={numbers.length} />
            {numbers.length > 0 && (
                <div class="live-numbers">
                    <span class="muted">Draw over time:</span>
                    {numbers.slice(0, 12).map((number, index) => (
                        <Button small icon="live" key={index} onClick={() => draw(index)}>
                            <span class="mono">{visible(pathText(number.path), 60)}</span>
                        </Button>
                    ))}
                </div>
            )}
        </Panel>
    )
}
