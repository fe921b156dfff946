/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* A JSON value on several lines, with a colour for each kind of value. Text that is not JSON is shown as it is. */
import { useState } from "preact/hooks"
import { parse, write } from "../base/exact.js"
import { visibleLines } from "../base/text.js"
import { bytes } from "../base/format.js"
import { Button, Copyable } from "./parts.jsx"

const MAX = 20000
const TOKEN = /("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\b(?:true|false|null)\b/g

/** @param {string} text @param {((index: number) => void) | undefined} onNumber @param {number} numbers */
function coloured(text, onNumber, numbers) {
    const parts = []
    let end = 0,
        count = 0
    for (const match of text.matchAll(TOKEN)) {
        parts.push(text.slice(end, match.index))
        const kind =
            match[2] !== undefined
                ? "key"
                : match[1] !== undefined
                  ? "string"
                  : /[-\d]/.test(match[0][0])
                    ? "number"
                    : "word"
        const index = kind === "number" ? count++ : numbers
        parts.push(
            onNumber && index < numbers ? (
                <button
                    type="button"
                    class="json-number"
                    title="Draw this number over time"
                    onClick={() => onNumber(index)}>
                    {match[0]}
                </button>
            ) : (
                <span class={`json-${kind}`}>{match[1] ?? match[0]}</span>
            ),
            match[2] ?? ""
        )
        end = match.index + match[0].length
    }
    return [...parts, text.slice(end)]
}

/** @param {unknown} value @param {string | undefined} text */
function print(value, text) {
    if (text === undefined) return write(value, "  ")
    const { value: exact, why } = parse(text)
    return why === undefined ? write(exact, "  ") : text
}

/**
 * @param {{value?: unknown, text?: string, copy?: boolean, onNumber?: (index: number) => void, numbers?: number}} props
 *        value: exact JSON; text: JSON as it came, where there is no value; onNumber: one of the first `numbers` numbers was chosen,
 *        counted from 0
 */
export function Json({ value, text, copy = true, onNumber, numbers = 0 }) {
    const [isWhole, setWhole] = useState(false)
    const whole = print(value, text)
    const isCut = whole.length > MAX && !isWhole
    return (
        <div class="code json">
            <pre tabIndex={0}>
                {coloured(visibleLines(isCut ? whole.slice(0, MAX) : whole, Infinity), onNumber, numbers)}
                {isCut && "…"}
            </pre>
            {copy && <Copyable text={whole} label="the JSON" />}
            {isCut && (
                <div class="code-more">
                    <Button small onClick={() => setWhole(true)}>
                        Show all {bytes(whole.length)}
                    </Button>
                </div>
            )}
        </div>
    )
}
