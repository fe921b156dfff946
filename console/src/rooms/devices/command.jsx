/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The form that makes a command: which one, its parameters, and what happens where a device is away. */
import { useState } from "preact/hooks"
import { entryOf, visible } from "../../base/text.js"
import { MISSING, check } from "../../schema/check.js"
import { parse, write } from "../../base/exact.js"
import { modelOf } from "../../schema/model.js"
import { draftOf, valueOf } from "../../schema/read.js"
import { faultOfLevel } from "../../service/names.js"
import { Field, NumberInput, Segmented, Select, TextArea, TextInput } from "../../view/form.jsx"
import { focusFault, link, useStore } from "../../view/hooks.js"
import { Button, Prose } from "../../view/parts.jsx"
import { Members } from "../../view/schema_form.jsx"
import { secondsFault } from "./commands.js"
import { startRun } from "./runs.js"

/** @typedef {{text: string, form?: import("../../schema/read.js").Draft, isJson?: boolean}} Params text: as it is sent */
/** @typedef {import("./commands.js").Options & {chosen: string, other: string, all: Record<string, Params>}} Draft */
/** @typedef {import("./commands.js").Command} Command */

const OTHER = "/" // no command has such a name
/** @type {Record<string, string>} */
const AWAY = {
    fail: "fails at once.",
    wait: "is sent when the device comes before the deadline.",
    queue: "is kept on the broker's disk, and sent when the device comes."
}
const AWAY_ITEMS = [
    { id: "fail", label: "Fail" },
    { id: "wait", label: "Wait" },
    { id: "queue", label: "Queue" }
]
const FORM_ITEMS = [
    { id: "form", label: "Form" },
    { id: "json", label: "JSON" }
]
/** @type {Draft} */
const EMPTY = { chosen: "", other: "", all: {}, offline: "fail", ttl: "", timeout: "" }

/** The form of a declared command, or undefined where JSON has to do. @param {Command | undefined} command
 *  @param {Params} params @param {any} document of discovery */
function formOf(command, { text, form }, document) {
    const model = command?.method && modelOf(document, command.method.params)
    const { value = {}, why } = text ? parse(text) : {}
    /** @type {any[]} */
    const misfits = []
    const draft = model?.kind === "object" && (form ?? draftOf(model, value, misfits))
    return draft && !why && !misfits.length ? { node: model, draft, faults: check(model, value) } : undefined
}

/** What becomes of the command where a device is away, and how long it may take. @param {{draft: Draft,
 *  set: (change: Partial<Draft>) => void}} props */
const Away = ({ draft: { offline, timeout, ttl }, set }) => (
    <>
        <Field label="If a device is away" group hint={`The command ${AWAY[offline]}`}>
            <Segmented value={offline} onChange={offline => set({ offline })} items={AWAY_ITEMS} />
        </Field>
        <div class="row">
            <Field label="Deadline" unit="s" optional error={secondsFault(timeout)}>
                <NumberInput value={timeout} onChange={timeout => set({ timeout })} />
            </Field>
            {offline === "queue" && (
                <Field label="Keep it queued for" unit="s" optional error={secondsFault(ttl)}>
                    <NumberInput value={ttl} onChange={ttl => set({ ttl })} />
                </Field>
            )}
        </div>
    </>
)

/** The parameters, by the form of the command's schema or as JSON.
 *  @param {{form: ReturnType<typeof formOf>, params: Params,
 *  latest: () => Params | undefined, set: (params: Params) => void, isTried: boolean}} props */
function Parameters({ form, params, latest, set, isTried }) {
    const { text, isJson } = params,
        isForm = form && !isJson,
        why = whyNot(text)
    const faults = new Map([...(form?.faults ?? [])].filter(([, fault]) => isTried || fault !== MISSING))
    return (
        <>
            {form && (
                <div>
                    <Segmented
                        label="Parameters"
                        value={isForm ? "form" : "json"}
                        items={FORM_ITEMS}
                        onChange={id => set({ text, isJson: id === "json" })}
                    />
                </div>
            )}
            {!isForm ? (
                <Field label="Parameters" optional error={why && `This is no JSON: ${visible(why)}`}>
                    <TextArea mono value={text} placeholder="{}" onChange={text => set({ text, isJson: true })} />
                </Field>
            ) : form.node.members().length > 0 ? (
                <Members
                    {...form}
                    faults={faults}
                    path=""
                    onChange={edit => {
                        const next = edit(latest()?.form ?? form.draft)
                        set({ text: write(valueOf(form.node, next), "  "), form: next })
                    }}
                />
            ) : (
                <p class="muted">This command takes no parameters.</p>
            )}
        </>
    )
}

/** Why a text is no JSON; "": it is, or there is none. @param {string} text */
const whyNot = text => (text.trim() ? (parse(text).why ?? "") : "")

/** @typedef {{service: any, state: import("./state.js").State, target: import("./runs.js").Target, commands: Command[]}} Props */

/** What has been filled in for this target, and how that is changed. @param {Props} props */
function useDraft({ service, state, target, commands }) {
    const { document } = useStore(service.catalogue)
    /* May be newer than what was drawn last. */
    const latest = () => /** @type {Draft} */ (state.drafts.get(target.key) ?? EMPTY)
    const [draft, setDraft] = useState(latest)
    const set = (/** @type {Partial<Draft>} */ change) => {
        state.drafts.set(target.key, { ...latest(), ...change })
        setDraft(latest())
    }
    const command =
        draft.chosen === OTHER ? undefined : (commands.find(({ name }) => name === draft.chosen) ?? commands[0])
    const name = command?.name ?? draft.other,
        params = entryOf(draft.all, name) ?? { text: "" }
    return {
        draft,
        set,
        command,
        name,
        params,
        form: formOf(command, params, document),
        latest: () => entryOf(latest().all, name),
        setParams: (/** @type {Params} */ params) => set({ all: { ...latest().all, [name]: params } })
    }
}

/** Whether something has to be changed before it can be sent. @param {ReturnType<typeof useDraft>} what */
const isWrong = ({ draft, name, params, form }) =>
    faultOfLevel(name) ||
    secondsFault(draft.timeout) ||
    (draft.offline === "queue" && secondsFault(draft.ttl)) ||
    whyNot(params.text) ||
    (form && !params.isJson && form.faults.size)

/** Which command it is. @param {{commands: Command[], command?: Command, draft: Draft, set: (change: Partial<Draft>) => void,
 *  error: any}} props */
const Choice = ({ commands, command, draft, set, error }) => (
    <>
        {commands.length > 0 && (
            <Field label="Command" hint={command?.method?.summary && <Prose text={command.method.summary} />}>
                <Select
                    value={command?.name ?? OTHER}
                    onChange={chosen => set({ chosen })}
                    options={[
                        ...commands.map(({ name }) => ({ value: name, label: visible(name, 60) })),
                        { value: OTHER, label: "Another …" }
                    ]}
                />
            </Field>
        )}
        {!command && (
            <Field label="Name of the command" required error={error}>
                <TextInput mono value={draft.other} autocomplete="off" onChange={other => set({ other })} />
            </Field>
        )}
    </>
)

/** @param {Props & {label: string, path?: string[]}} props  path: of the method that does the same, without the command */
export function CommandForm({ label, path, ...props }) {
    const { service, state, target, commands } = props,
        run = useStore(state.runs, runs => runs.get(target.key)),
        filled = useDraft(props),
        { draft, set, command, name, params } = filled
    const [isTried, setTried] = useState(false)
    const send = (/** @type {Event} */ event) => {
        event.preventDefault()
        setTried(true)
        if (run?.isRunning) return
        if (isWrong(filled)) return focusFault(/** @type {HTMLElement} */ (event.currentTarget))
        // the answer is below the form
        if (innerWidth < 900) document.querySelector(".device-answer")?.scrollIntoView()
        const order = { command: name, payload: params.text, method: command?.method, options: draft }
        void startRun(service, state, target, order)
    }
    return (
        <form class="stack" onSubmit={send} noValidate>
            <Choice
                commands={commands}
                command={command}
                draft={draft}
                set={set}
                error={isTried && faultOfLevel(name)}
            />
            <Parameters
                form={filled.form}
                params={params}
                latest={filled.latest}
                set={filled.setParams}
                isTried={isTried}
            />
            <Away draft={draft} set={set} />
            <div class="row">
                <Button type="submit" kind="primary" icon="send" busy={run?.isRunning}>
                    {label}
                </Button>
                {run?.isRunning && <Button onClick={run.stop}>Stop waiting</Button>}
                {path && <a href={link(["methods", ...path, name], { params: params.text })}>Open in Methods</a>}
            </div>
        </form>
    )
}
