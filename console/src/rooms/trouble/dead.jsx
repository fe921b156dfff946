/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Dead letters: failed calls whose error reached no caller. They can be replayed, or dropped. */
import { useState } from "preact/hooks"
import { plural, some } from "../../base/text.js"
import { Confirm } from "../../view/confirm.jsx"
import { useMethod } from "../../view/hooks.js"
import { Notice } from "../../view/parts.jsx"
import { column, Sheet } from "../../view/sheet.jsx"
import { AT, CALLER, Detail, ERROR, METHOD } from "./detail.jsx"
import { isFound, paramsOfLetter } from "./failures.js"
import { told } from "./words.js"

/** @typedef {{id: string, method: string, caller?: string, user?: string, arrived: number, at: number, err: string, msg?: string, replays: number}} Letter */
/** @typedef {import("../../service/service.js").Service} Service */
/** @typedef {import("./words.js").Act} Act */

const REPLAYS = column("Replays", letter => letter.replays, null, 6, "right")

/** Replays or drops letters, one after the other, and says how that went. @param {Service} service @param {() => void} onDone */
function useLetters(service, onDone) {
    const [busy, setBusy] = useState("")
    const [news, setNews] = useState(/** @type {ReturnType<typeof told> | null} */ (null))
    /** @param {Act} method @param {string[]} ids */
    async function act(method, ids) {
        const outcomes = []
        setBusy(method)
        for (const id of ids) outcomes.push(await service.call(method, { id }))
        setNews(told(method, outcomes))
        setBusy("")
        onDone()
    }
    return { busy, news, act }
}

/** @param {{letters: ReturnType<typeof useLetters>, ids: string[]}} props */
const Actions = ({ letters: { busy, act }, ids }) => (
    <div class="actions">
        {[
            ["dead.replay", "Replay", "play", "What was called is carried out now, in its caller's name."],
            ["dead.drop", "Drop", "trash", "Dropped letters cannot be brought back."]
        ].map(([method, label, icon, question]) => (
            <Confirm
                key={method}
                label={ids.length > 1 ? `${label} all ${ids.length}` : label}
                icon={icon}
                sure={label}
                busy={busy === method}
                disabled={!!busy}
                question={question}
                onConfirm={() => act(/** @type {Act} */ (method), ids)}
            />
        ))}
    </div>
)

/** @param {{service: Service, letter: Letter, letters: ReturnType<typeof useLetters>}} props */
function LetterDetail({ service, letter, letters }) {
    const { value, text, outcome, phase } = useMethod(service, "dead.get", { id: letter.id })
    const { payload, trace, left_out } = value ?? {}
    const json = paramsOfLetter(text)
    return (
        <Detail
            service={service}
            call={{ ...letter, trace }}
            params={json}
            text={json ?? payload}
            facts={[["Replayed", plural(letter.replays, "time")]]}
            none={
                phase === "loading"
                    ? "Asking for its parameters …"
                    : !value
                      ? outcome?.msg
                      : left_out
                        ? "Its parameters do not fit into an answer; it can be replayed."
                        : "Its parameters were too large, or dead_payload is false."
            }>
            <Actions letters={letters} ids={[letter.id]} />
        </Detail>
    )
}

/** @param {{service: Service, result: any, find: string}} props  result: of dead.list */
export function Dead({ service, result, find }) {
    const letters = useLetters(service, result.reload)
    /** @type {Letter[]} */
    const all = (result.value?.letters ?? []).map((/** @type {Letter} */ letter) => ({ ...letter, at: letter.arrived }))
    const found = all.filter(letter => isFound(letter, find))
    return (
        <>
            {letters.news && <Notice tone={letters.news.tone}>{letters.news.text}</Notice>}
            <Sheet
                result={result}
                what="the dead letters"
                title={some(found.length, result.value?.total ?? 0, "dead letter")}
                rows={found}
                columns={[METHOD, ERROR, REPLAYS, AT, CALLER]}
                find={find}
                version={all[0]?.id ?? ""}
                good="There are no dead letters"
                hint="A call that fails with nobody to tell is kept here. It can be replayed when its cause is gone."
                head={found.length > 1 && <Actions letters={letters} ids={found.map(({ id }) => id)} />}
                detail={letter => <LetterDetail key={letter.id} service={service} letter={letter} letters={letters} />}
            />
        </>
    )
}
