/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* How a call failed, for people. */
import { visible } from "../base/text.js"
import { explain } from "../service/explain.js"
import { Notice } from "./parts.jsx"

const TEXT_MAX = 1000 // characters

/**
 * A failure in sentences; nothing where there is none.
 * @param {{outcome: any, method?: any, catalogue?: any}} props  method: whose errors are explained as it declares them
 */
export function Failure({ outcome, method, catalogue }) {
    if (!outcome || outcome.ok) return null
    const { title, text, hint } = explain(outcome, method, catalogue)
    return (
        <Notice tone="bad" title={visible(title)}>
            {text && <p>{visible(text, TEXT_MAX)}</p>}
            {hint && <p>{visible(hint, TEXT_MAX)}</p>}
        </Notice>
    )
}
