/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The form of a call: the levels of its topic, its parameters as a form and as text, its options, its buttons. */
import { milliseconds } from "../../base/format.js"
import { entryOf, visible } from "../../base/text.js"
import { write } from "../../base/exact.js"
import { emptyDraft } from "../../schema/read.js"
import { sample } from "../../schema/sample.js"
import { faultOfLevel, levelsOf } from "../../service/names.js"
import { Field, NumberInput, Segmented, Select, TextArea, TextInput } from "../../view/form.jsx"
import { useStore } from "../../view/hooks.js"
import { Button, Notice, Prose } from "../../view/parts.jsx"
import { Members, NodeField } from "../../view/schema_form.jsx"
import { faultsOf, fromHex, linesOf, shownFaults, withDraft, withText } from "./state.js"

/**
 * @typedef {import("./state.js").Page} Page
 * @typedef {import("./state.js").Method} Method
 * @typedef {import("./state.js").Service} Service
 * @typedef {import("./state.js").Catalogue} Catalogue
 * @typedef {import("../../service/names.js").Levels} Levels
 * @typedef {Record<"device" | "group", {value: string, label: string}[]>} Suggestions names that may stand in a level
 * @typedef {{catalogue: Catalogue, suggestions: Suggestions, store: Store<Page>, page: Page, command: Method}} Opened
 */
/** @template T @typedef {import("../../base/store.js").Store<T>} Store */

const SHOWN_FAULTS = 3 // below the form

/**
 * @param {{name: string, value: string, error?: string, options: {value: string, label: string}[],
 *          onChange: (text: string) => void}} props
 */
const Level = ({ name, value, error, options, onChange }) => (
    <Field label={name} hint="a level of the topic" error={error} required>
        <TextInput mono value={value} list={`names-${name}`} autocomplete="off" onChange={onChange} />
        <datalist id={`names-${name}`}>
            {options.slice(0, 1000).map(option => (
                <option key={option.value} value={option.value}>
                    {visible(option.label)}
                </option>
            ))}
        </datalist>
    </Field>
)

const OFFLINE = [
    { value: "", label: "not set: the call fails" },
    { value: "fail", label: "fail" },
    { value: "wait", label: "wait for it, until the timeout" },
    { value: "queue", label: "queue the command on the disk" }
]

/** @param {{method: Method, options: import("./state.js").Options, onChange: (some: object) => void}} props */
function CallOptions({ method, options, onChange }) {
    const [first] = method.name.split("/"),
        set = onChange
    const isCommand = (first === "device" || first === "devices") && method.name.includes("/")
    /** @param {"timeout" | "ttl" | "stale"} id @param {string} label @param {string} hint */
    const number = (id, label, hint) => (
        <Field
            label={label}
            hint={hint}
            unit="ms"
            error={/^[1-9]\d*$|^$/.test(options[id]) ? "" : "must be a whole number of at least 1"}>
            <NumberInput value={options[id]} onChange={text => set({ [id]: text.trim() })} />
        </Field>
    )
    return (
        <details class="options" open={Object.values(options).some(Boolean)}>
            <summary>Options of the call</summary>
            <div class="fields">
                {number(
                    "timeout",
                    "Timeout",
                    method.timeoutMs
                        ? `without it: ${milliseconds(method.timeoutMs)}`
                        : "without it: that of the service"
                )}
                {isCommand && (
                    <Field label="If the device is not there" hint="offline">
                        <Select value={options.offline} onChange={offline => set({ offline })} options={OFFLINE} />
                    </Field>
                )}
                {isCommand && options.offline === "queue" && number("ttl", "How long it is queued", "ttl-ms")}
                {isCommand && number("stale", "Not sent after", "stale-ms: how old the command may be when it is sent")}
                {first === "devices" && (
                    <Field label="Wait for" hint="want: present, all, or how many successes are enough">
                        <TextInput
                            value={options.want}
                            placeholder="present"
                            onChange={want => set({ want: want.trim() })}
                        />
                    </Field>
                )}
            </div>
        </details>
    )
}

/** @param {{page: Page, method: Method, onText: (text: string) => void, onHex: (isHex: boolean) => void}} props */
function Editor({ page: { text, why, isHex, model }, method, onText, onHex }) {
    const rows = linesOf(text)
    if (method.payload === "bytes")
        return (
            <>
                <Segmented
                    label="Written as"
                    value={isHex ? "hex" : "text"}
                    onChange={id => onHex(id === "hex")}
                    items={[
                        { id: "text", label: "Text" },
                        { id: "hex", label: "Hexadecimal" }
                    ]}
                />
                <Field
                    label="Bytes"
                    hint={isHex ? "two digits for each byte" : "sent as UTF-8"}
                    error={isHex && !fromHex(text) && "must be pairs of hexadecimal digits"}>
                    <TextArea mono rows={rows} value={text} onChange={onText} />
                </Field>
            </>
        )
    return (
        <Field
            label={model.kind === "json" ? "Value (JSON)" : "JSON"}
            error={why && `is no JSON: ${visible(why)}`}
            hint={
                model.kind === "json" ? (
                    <Prose text={`${model.description || "any JSON value"}; empty: no parameters`} />
                ) : (
                    "what is sent; the form follows it"
                )
            }>
            <TextArea mono rows={rows} value={text} onChange={onText} />
        </Field>
    )
}

/**
 * The form, or why there is none.
 * @param {{page: Page, faults: Map<string, string>,
 *          onDraft: (change: import("../../view/schema_form.jsx").Change) => void}} props
 */
function Form({ page: { model, draft, misfit, why }, faults, onDraft }) {
    if (misfit || why)
        return (
            <Notice
                title="The form cannot show this JSON"
                action={<Button onClick={() => onDraft(() => emptyDraft(model))}>Begin anew</Button>}>
                {why
                    ? "It is no JSON yet. The form follows when it is."
                    : `${visible(misfit)}. It can be sent as it is; the service has the last word.`}
            </Notice>
        )
    if (model.kind !== "object")
        return (
            <NodeField
                node={model}
                draft={draft}
                path={model.name}
                label={model.name}
                faults={faults}
                onChange={onDraft}
            />
        )
    return model.members().length || draft.rest.length ? (
        <Members node={model} draft={draft} path={model.name} faults={faults} onChange={onDraft} />
    ) : (
        <p class="muted">This method takes no parameters.</p>
    )
}

/** What is wrong with a level of the name. @param {Page} page @param {string} level */
export const levelFault = ({ levels }, level) => faultOfLevel(levels[level] ?? "")

/**
 * @param {{names: string[], page: Page, suggestions: Suggestions,
 *          catalogue: import("./state.js").Catalogue, onChange: (some: Levels) => void}} props
 */
function LevelFields({ names, page, suggestions: { device, group }, catalogue, onChange }) {
    const command = catalogue.devices.flatMap(kind =>
        kind.commands.map(({ name }) => ({ value: name.split("/").slice(2).join("/"), label: kind.name }))
    )
    return (
        <div class="fields">
            {names.map(level => (
                <Level
                    key={level}
                    name={level}
                    value={page.levels[level] ?? ""}
                    error={page.isAsked || page.levels[level] ? levelFault(page, level) : ""}
                    options={entryOf({ device, group, command }, level) ?? []}
                    onChange={text => onChange({ [level]: text })}
                />
            ))}
        </div>
    )
}

/** The buttons below the form. @param {{page: Page, command: Method, isReady: boolean, isAddressed: boolean,
 *  onCall: (isSure?: boolean) => void, onChange: (change: (page: Page) => Page) => void}} props */
function CallBar({ page, command, isReady, isAddressed, onCall, onChange }) {
    const { why, busy, isAsked } = page,
        faults = [...faultsOf(page)],
        isUnfit = isAsked && (why || faults.length > 0)
    const some = faults
        .slice(0, SHOWN_FAULTS)
        .map(fault => visible(fault.join(" ")))
        .join("; ")
    return (
        <>
            <div class="actions">
                <Button
                    kind="primary"
                    icon="send"
                    busy={!!busy}
                    disabled={!!busy || !isReady}
                    title="Ctrl+Enter"
                    onClick={() => onCall()}>
                    {command.readOnly ? "Call" : "Call, and change things"}
                </Button>
                {isUnfit && isAddressed && <Button onClick={() => onCall(true)}>Send it anyway</Button>}
                <Button
                    onClick={() =>
                        onChange(all => withText({ ...all, isAsked: false }, write(sample(all.model), "  ")))
                    }>
                    Example
                </Button>
                <Button onClick={() => onChange(all => ({ ...withDraft(all, emptyDraft(all.model)), isAsked: false }))}>
                    Clear
                </Button>
                {isReady ? (
                    <span class="muted keys">Ctrl+Enter calls</span>
                ) : (
                    <span class="muted">There is no connection to the broker now.</span>
                )}
            </div>
            {isUnfit && (
                <p class="hint" role="status">
                    The parameters do not fit yet: {why ? "they are no JSON" : some}.
                </p>
            )}
        </>
    )
}

/** The parameters, by a form where there is one, and as text. @param {{store: Store<Page>, page: Page, command: Method,
 *  hasForm: boolean}} props */
const Parameters = ({ store, page, command, hasForm }) => (
    <div class={hasForm ? "columns" : ""}>
        {hasForm && (
            <div class="form">
                <Form
                    page={page}
                    faults={shownFaults(page)}
                    onDraft={edit => store.update(all => withDraft(all, edit(all.draft)))}
                />
            </div>
        )}
        <div class="form">
            <Editor
                page={page}
                method={command}
                onHex={isHex => store.update(all => ({ ...all, isHex }))}
                onText={text => store.update(all => withText(all, text))}
            />
        </div>
    </div>
)

/**
 * What is called: the levels of the topic, the parameters, the options; and the buttons.
 * @param {{service: Service, method: Method, opened: Opened,
 *          actions: {form: import("preact").RefObject<HTMLDivElement>, call: (isSure?: boolean) => void}, isAddressed: boolean}} props
 */
export function CallForm({ service, method, opened, actions, isAddressed }) {
    const { catalogue, suggestions, store, page, command } = opened,
        names = levelsOf(method.name)
    const isReady = useStore(service.connection).phase === "ready"
    const onKey = (/** @type {KeyboardEvent} */ event) =>
        event.key === "Enter" && (event.ctrlKey || event.metaKey) && (event.preventDefault(), actions.call())
    return (
        <div class="call" ref={actions.form} onKeyDown={onKey}>
            {names.length > 0 && (
                <LevelFields
                    names={names}
                    page={page}
                    suggestions={suggestions}
                    catalogue={catalogue}
                    onChange={some => store.update(all => ({ ...all, levels: { ...all.levels, ...some } }))}
                />
            )}
            <Parameters
                store={store}
                page={page}
                command={command}
                hasForm={page.model.kind !== "json" && method.payload !== "bytes"}
            />
            <CallOptions
                method={method}
                options={page.options}
                onChange={some => store.update(all => ({ ...all, options: { ...all.options, ...some } }))}
            />
            <CallBar
                page={page}
                command={command}
                isReady={isReady}
                isAddressed={isAddressed}
                onCall={actions.call}
                onChange={store.update}
            />
        </div>
    )
}
