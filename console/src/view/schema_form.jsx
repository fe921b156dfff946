/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A form made from a schema: see schema/model.js and schema/read.js. A control changes the draft as it is at that moment,
 * which may be newer than the one that was drawn last.
 */
import { visible } from "../base/text.js"
import { write } from "../base/exact.js"
import { boundsOf } from "../schema/model.js"
import { emptyDraft, join } from "../schema/read.js"
import { Field, NumberInput, Segmented, Select, TextArea, TextInput } from "./form.jsx"
import { Button, Prose } from "./parts.jsx"

/**
 * @typedef {import("../schema/model.js").Node} Node
 * @typedef {import("../schema/read.js").Draft} Draft
 * @typedef {(draft: Draft) => Draft} Change
 * @typedef {{node: Node, draft: Draft, path: string, label: string, faults: Map<string, string>, onChange: (change: Change) => void}} Props
 */

/** @param {Node} node */
function hintOf(node) {
    const bounds = boundsOf(node)
    const parts = [
        node.description,
        bounds,
        node.default !== undefined && !node.required && `without it: ${write(node.default)}`
    ]
    return parts.filter(Boolean).join("; ")
}

/** @param {Node} node */
const unset = ({ required, default: given }) =>
    required ? "choose one" : given === undefined ? "not set" : `not set: ${write(given)}`

/** @param {{node: Node, draft: Draft, set: (text: string) => void}} props */
function Control({ node, draft, set }) {
    const { kind, choices, required } = node,
        shared = { onChange: set, disabled: draft.nil, value: draft.on ? draft.text : "" }
    const placeholder =
        node.default === undefined ? "" : visible(typeof node.default === "string" ? node.default : write(node.default))
    if (kind === "choice")
        return (
            <Select
                {...shared}
                options={[
                    { value: "", label: unset(node), disabled: required },
                    ...choices.map((choice, at) => ({
                        value: `${at}`,
                        label: visible(typeof choice === "string" ? choice : write(choice))
                    }))
                ]}
            />
        )
    if (kind === "boolean")
        return (
            <Segmented
                {...shared}
                items={[
                    ...(required ? [] : [{ id: "", label: unset(node) }]),
                    { id: "true", label: "true" },
                    { id: "false", label: "false" }
                ]}
            />
        )
    if (kind === "json" || draft.text.includes("\n"))
        return <TextArea {...shared} mono rows={3} placeholder={placeholder} />
    return kind === "string" ? (
        <TextInput {...shared} placeholder={placeholder} autocomplete="off" />
    ) : (
        <NumberInput {...shared} placeholder={placeholder} />
    )
}

/** @param {Props} props */
function Scalar({ node, draft, path, label, faults, onChange }) {
    const set = (/** @type {string} */ text) =>
        onChange(now => ({ ...now, text, nil: false, on: node.required || text !== "" }))
    const setNull = () => onChange(now => ({ ...now, nil: !now.nil, on: !now.nil || node.required || now.text !== "" }))
    return (
        <Field
            label={visible(label)}
            hint={hintOf(node) && <Prose text={hintOf(node)} />}
            error={faults.get(path)}
            unit={node.unit && visible(node.unit)}
            required={node.required}
            optional={!node.required}
            group={node.kind === "boolean"}>
            <Control node={node} draft={draft} set={set} />
            {node.nullable && (
                <Button small aria-pressed={draft.nil} title={`${visible(label)} is null`} onClick={setNull}>
                    null
                </Button>
            )}
        </Field>
    )
}

/** @template T @param {T[]} list @param {number} from @param {number} to */
function moved(list, from, to) {
    const next = [...list]
    next.splice(to, 0, ...next.splice(from, 1))
    return next
}

/** The buttons of an item of a list. @param {{label: string, at: number, count: number, onMove: (to: number) => void,
 *  onRemove: () => void}} props */
const ItemBar = ({ label, at, count, onMove, onRemove }) => (
    <div class="actions">
        <Button kind="quiet" small icon="up" title={`Move ${label} up`} disabled={!at} onClick={() => onMove(at - 1)} />
        <Button
            kind="quiet"
            small
            icon="down"
            title={`Move ${label} down`}
            disabled={at === count - 1}
            onClick={() => onMove(at + 1)}
        />
        <Button kind="quiet" small icon="trash" title={`Remove ${label}`} onClick={onRemove} />
    </div>
)

/** @param {Props} props */
function Items({ node, draft, path, label, faults, onChange }) {
    const { items } = draft
    const setItems = (/** @type {(items: Draft[]) => Draft[]} */ change) =>
        onChange(now => ({ ...now, items: change(now.items) }))
    return (
        <>
            {items.map((item, at) => (
                <div
                    class={`item ${node.item().kind === "object" || node.item().kind === "array" ? "tall" : ""}`}
                    key={item.key}>
                    <NodeField
                        node={node.item()}
                        draft={item}
                        path={`${path}[${at}]`}
                        label={`${label}[${at}]`}
                        faults={faults}
                        onChange={change =>
                            setItems(now => now.map(each => (each.key === item.key ? change(each) : each)))
                        }
                    />
                    <ItemBar
                        label={`${label}[${at}]`}
                        at={at}
                        count={items.length}
                        onMove={to => setItems(now => moved(now, at, to))}
                        onRemove={() => setItems(now => now.filter(each => each.key !== item.key))}
                    />
                </div>
            ))}
        </>
    )
}

/** @type {Change} */
const same = draft => draft

/** @param {Omit<Props, "label">} props */
export function Members({ node, draft, path, faults, onChange }) {
    return (
        <>
            {node.members().map((member, at) => (
                <NodeField
                    key={member.name}
                    node={member}
                    label={member.name}
                    path={join(path, member.name)}
                    draft={draft.members[at] ?? emptyDraft(member, false)}
                    faults={faults}
                    onChange={change =>
                        onChange(now => ({
                            ...now,
                            members: node
                                .members()
                                .map((each, i) => (i === at ? change : same)(now.members[i] ?? emptyDraft(each)))
                        }))
                    }
                />
            ))}
            {draft.rest.map(([name]) => (
                <p class="hint" key={name}>
                    Also sent, though the method does not declare it: <code>{visible(name)}</code>{" "}
                    {faults.get(join(path, name))}
                </p>
            ))}
        </>
    )
}

/** What can be done with an object or a list as a whole. @param {Props & {isThere: boolean}} props */
function GroupBar({ node, draft, isThere, onChange }) {
    const toggle = () => onChange(now => ({ ...emptyDraft(node, !isThere), key: now.key }))
    return (
        <div class="actions">
            {isThere && node.kind === "array" && (
                <Button
                    small
                    icon="plus"
                    disabled={draft.items.length >= node.most}
                    onClick={() => onChange(now => ({ ...now, items: [...now.items, emptyDraft(node.item(), true)] }))}>
                    {draft.items.length ? "Add another" : "Add one"}
                </Button>
            )}
            {(!node.required || !isThere) && (
                <Button small icon={isThere ? "minus" : "plus"} onClick={toggle}>
                    {isThere ? "Leave it out" : "Fill it in"}
                </Button>
            )}
            {node.nullable && !draft.nil && (
                <Button small onClick={() => onChange(now => ({ ...now, on: true, nil: true }))}>
                    null
                </Button>
            )}
        </div>
    )
}

/** An object or a list, in a frame. @param {Props} props */
function Group(props) {
    const { node, draft, path, label, faults, onChange } = props,
        isThere = draft.on && !draft.nil
    return (
        <fieldset class="group">
            <legend>
                {visible(label)}
                {node.required ? <span class="required"> *</span> : <span class="optional"> optional</span>}
            </legend>
            {hintOf(node) && (
                <p class="hint">
                    <Prose text={hintOf(node)} />
                </p>
            )}
            {faults.has(path) && (
                <p class="error" role="alert">
                    {faults.get(path)}
                </p>
            )}
            {isThere &&
                (node.kind === "array" ? (
                    <Items {...props} />
                ) : (
                    <Members node={node} draft={draft} path={path} faults={faults} onChange={onChange} />
                ))}
            {draft.nil && <p class="hint">It is null.</p>}
            <GroupBar {...props} isThere={isThere} />
        </fieldset>
    )
}

/** @param {Props} props */
export const NodeField = props =>
    props.node.kind === "object" || props.node.kind === "array" ? <Group {...props} /> : <Scalar {...props} />
