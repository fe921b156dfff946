/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What is wrong now, as the service says it. */
import { useRef } from "preact/hooks"
import { visible } from "../../base/text.js"
import { link, useStore } from "../../view/hooks.js"
import { Notice, Time } from "../../view/parts.jsx"
import { problemWords } from "./words.js"

/** @typedef {import("../../service/health.js").Problem} Problem */

/** Problems of one kind: what there is to do is the same for all of them. @param {{what: string, problems: Problem[], isOver: boolean}} props */
function Problems({ what, problems, isOver }) {
    const [hint, place] = problemWords(what)
    return (
        <Notice
            tone={isOver ? "good" : "bad"}
            title={problems.map(({ text, since }) => (
                <div key={text}>
                    {visible(text, 500)}{" "}
                    <span class="muted">
                        {isOver ? (
                            "is over"
                        ) : (
                            <>
                                began <Time at={since} />
                            </>
                        )}
                    </span>
                </div>
            ))}
            action={
                place && <a href={link(place === "open calls" ? "/trouble/open" : "/" + place)}>See the {place}</a>
            }>
            {hint}
        </Notice>
    )
}

/** A problem that is over keeps its place as long as the room is open: what is below does not jump. @param {{service: import("../../service/service.js").Service, hasFailed: boolean}} props */
export function Health({ service, hasFailed }) {
    const health = useStore(service.health),
        seen = useRef(/** @type {Map<string, Problem[]>} */ (new Map()))
    if (!health)
        return (
            <Notice title="The health is not known">
                Neither <code>$SYS</code> nor <code>rpc.health</code> has told it: your user may not be allowed to see
                them.
            </Notice>
        )
    const { problems, config } = health
    for (const { what } of problems)
        seen.current.set(
            what,
            problems.filter(one => one.what === what)
        )
    return (
        <div class="stack problems">
            {!seen.current.size &&
                (hasFailed ? (
                    <Notice tone="info" title="The service itself is well">
                        It knows of no problem of its own. The calls below have failed all the same.
                    </Notice>
                ) : (
                    <Notice tone="good" title="All is well">
                        The service knows of no problem.
                    </Notice>
                ))}
            {[...seen.current].map(([what, list]) => (
                <Problems key={what} what={what} problems={list} isOver={!problems.includes(list[0])} />
            ))}
            {config && !config.ok && (
                <Notice tone="warn" title="The settings in the configuration file were not taken">
                    {visible(config.error, 500)}.{" "}
                    <span class="muted">
                        Read <Time at={config.read_at} />; those before are in force.
                    </span>
                </Notice>
            )}
        </div>
    )
}
