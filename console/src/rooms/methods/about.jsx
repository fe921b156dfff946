/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What a method declares: its topics, what it returns, and its errors. */
import { milliseconds } from "../../base/format.js"
import { visible } from "../../base/text.js"
import { levelsOf } from "../../service/names.js"
import { link } from "../../view/hooks.js"
import { Copyable, Facts, Prose } from "../../view/parts.jsx"
import { Meaning } from "./result.jsx"

/**
 * @typedef {import("./state.js").Method} Method
 * @typedef {import("./state.js").Catalogue} Catalogue
 */

/** Where it is called, who carries it out, and which events tell of it. @param {string} prefix @param {Method} method */
function factsOf(prefix, { name, module, announces, errorEvent, workers, timeoutMs, payload }) {
    const levels = levelsOf(name),
        topic = `${prefix}/call/${name}`
    const event = (/** @type {{event: string} | undefined} */ given) =>
        given && (
            <a class="mono" href={link(["live"], { event: given.event })}>
                {visible(given.event)}
            </a>
        )
    return /** @type {[any, any][]} */ (
        /** @type {any[]} */ ([
            [
                "Topic of a call",
                <span class="actions">
                    <code>{visible(topic)}</code>
                    <Copyable text={topic} label="the topic" />
                </span>
            ],
            levels.length && ["Levels", levels.map(level => `{${visible(level)}}`).join(", ")],
            payload !== "bytes" && ["Topic of a batch", <code>{visible(`${prefix}/batch/${name}`)}</code>],
            ["Module", visible(module)],
            workers.length && ["Workers", visible(workers.join(", "))],
            timeoutMs && ["Its own deadline", milliseconds(timeoutMs)],
            announces && ["Event of a result", event(announces)],
            errorEvent && ["Event of an error", event(errorEvent)]
        ]).filter(Array.isArray)
    )
}

/** @param {{errors: [string, string][]}} props  each with what it means */
const Errors = ({ errors }) => (
    <dl class="meaning">
        {errors.map(([err, description]) => (
            <div key={err}>
                <dt class="mono">{visible(err)}</dt>
                <dd>
                    <Prose text={description} />
                </dd>
            </div>
        ))}
    </dl>
)

/** @param {{prefix: string, method: Method, catalogue: Catalogue}} props */
export function About({ prefix, method, catalogue }) {
    const root = method.isDeclared ? method.result : catalogue.document
    return (
        <>
            <Facts rows={factsOf(prefix, method)} />
            <h3>The result</h3>
            <Meaning root={root} schema={method.result} />
            {method.progress && (
                <>
                    <h3>On the way</h3>
                    <Meaning root={root} schema={method.progress} />
                </>
            )}
            <h3>Errors of its own</h3>
            {method.errors.length ? (
                <Errors errors={method.errors.map(({ err, description }) => [err, description])} />
            ) : (
                <p class="muted">It declares none.</p>
            )}
            <details>
                <summary>Errors that every method can have</summary>
                <Errors errors={Object.entries(catalogue.errors)} />
            </details>
        </>
    )
}
