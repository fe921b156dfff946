/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Controls of forms. A Field names the control in it, and tells screen readers its hint and its error.
 * `onChange` gets the value alone: text (also of NumberInput, so that what is half written stays), or true and false.
 */
import { createContext } from "preact"
import { useContext, useId } from "preact/hooks"
import { Icon } from "./icons.jsx"

/** @typedef {import("preact").ComponentChildren} Children */

const FieldContext = createContext({ id: "", labelId: "", describedBy: "", hasError: false, required: false })

/** @param {{id: string, isGroup: boolean, required: boolean, optional: boolean, children: Children}} props */
function Label({ id, isGroup, required, optional, children }) {
    const mark = required ? (
        <span class="required" title="required">
            {" "}
            *
        </span>
    ) : (
        optional && <span class="optional"> optional</span>
    )
    return isGroup ? (
        <span class="label" id={id + "-label"}>
            {children}
            {mark}
        </span>
    ) : (
        <label id={id + "-label"} for={id}>
            {children}
            {mark}
        </label>
    )
}

/**
 * @param {{label: Children, hint?: Children, error?: Children, unit?: Children, required?: boolean, optional?: boolean,
 *          group?: boolean, children?: Children}} props
 *        group: the control is one of several parts (Segmented), which a label cannot point to
 */
export function Field({ label, hint, error, unit, required = false, optional = false, group = false, children }) {
    const id = useId()
    const describedBy = [hint && id + "-hint", error && id + "-error"].filter(Boolean).join(" ")
    return (
        <div class={`field ${error ? "has-error" : ""}`}>
            <Label id={id} isGroup={group} required={required} optional={optional}>
                {label}
            </Label>
            <FieldContext.Provider value={{ id, labelId: id + "-label", describedBy, hasError: !!error, required }}>
                <div class="control">
                    {children}
                    {unit && <span class="unit">{unit}</span>}
                </div>
            </FieldContext.Provider>
            {hint && (
                <div class="hint" id={id + "-hint"}>
                    {hint}
                </div>
            )}
            {error && (
                <div class="error" id={id + "-error"} role="alert">
                    <Icon name="alert" size={16} />
                    <span>{error}</span>
                </div>
            )}
        </div>
    )
}

/** What a control has from its Field. */
function useField() {
    const field = useContext(FieldContext)
    return field.id
        ? {
              id: field.id,
              "aria-describedby": field.describedBy || undefined,
              "aria-invalid": field.hasError || undefined,
              "aria-required": field.required || undefined
          }
        : {}
}

/**
 * @typedef {Omit<import("preact").JSX.InputHTMLAttributes<HTMLInputElement>,
 *         "value" | "onChange" | "onInput">} InputAttributes
 */

/** @param {InputAttributes & {value?: string | number, mono?: boolean, onChange?: (text: string) => void}} props */
export const TextInput = ({ value = "", onChange, mono, class: className, ...others }) => (
    <input
        type="text"
        spellcheck={false}
        {...useField()}
        {...others}
        value={value}
        class={`input ${mono ? "mono" : ""} ${className ?? ""}`}
        onInput={event => onChange?.(event.currentTarget.value)}
    />
)

/**
 * A number as text: what is no number stays as it was written, and the form says so.
 * @param {Parameters<typeof TextInput>[0]} props
 */
export const NumberInput = props => (
    <TextInput inputMode="decimal" autocomplete="off" {...props} class={`number ${props.class ?? ""}`} />
)

/**
 * @param {Omit<import("preact").JSX.SelectHTMLAttributes<HTMLSelectElement>, "value" | "onChange"> &
 *         {options: ({value: string, label?: string, disabled?: boolean} | string)[], value: string,
 *         onChange?: (value: string) => void}} props
 */
export const Select = ({ options, value, onChange, class: className, ...others }) => (
    <div class={`select ${className ?? ""}`}>
        <select {...useField()} {...others} value={value} onChange={event => onChange?.(event.currentTarget.value)}>
            {options
                .map(option => (typeof option === "string" ? { value: option } : option))
                .map(option => (
                    <option
                        key={option.value}
                        value={option.value}
                        disabled={option.disabled}
                        selected={option.value === value}>
                        {option.label ?? option.value}
                    </option>
                ))}
        </select>
        <Icon name="down" size={16} />
    </div>
)

/** @param {InputAttributes & {checked: boolean, label: Children, onChange?: (isChecked: boolean) => void}} props */
export const Checkbox = ({ checked, label, onChange, ...others }) => (
    <label class="checkbox">
        <input
            type="checkbox"
            {...useField()}
            {...others}
            checked={checked}
            onChange={event => onChange?.(event.currentTarget.checked)}
        />
        <span>{label}</span>
    </label>
)

/**
 * @param {Omit<import("preact").JSX.TextareaHTMLAttributes<HTMLTextAreaElement>, "value" | "onChange" | "onInput"> &
 *         {value: string, mono?: boolean, onChange?: (text: string) => void}} props
 */
export const TextArea = ({ value, onChange, mono, rows = 4, class: className, ...others }) => (
    <textarea
        spellcheck={false}
        rows={rows}
        {...useField()}
        {...others}
        value={value}
        class={`input ${mono ? "mono" : ""} ${className ?? ""}`}
        onInput={event => onChange?.(event.currentTarget.value)}
    />
)

/**
 * One of few. In a Field, that needs `group`; elsewhere it needs `label`.
 * @param {{items: {id: string, label: Children, title?: string}[], value: string, onChange: (id: string) => void,
 *         label?: string, icons?: boolean}} props
 */
export function Segmented({ items, value, onChange, label, icons }) {
    const field = useContext(FieldContext)
    const name = useId()
    return (
        <div
            class={`segmented ${icons ? "icons" : ""}`}
            role="radiogroup"
            aria-invalid={field.hasError || undefined}
            aria-label={label}
            aria-labelledby={label ? undefined : field.labelId || undefined}>
            {items.map(item => (
                <label key={item.id} title={item.title} class={item.id === value ? "chosen" : ""}>
                    <input type="radio" name={name} checked={item.id === value} onChange={() => onChange(item.id)} />
                    <span>{item.label}</span>
                </label>
            ))}
        </div>
    )
}

/** @param {{value: string, onChange: (text: string) => void, label?: string, placeholder?: string}} props */
export const SearchInput = ({ value, onChange, label = "Search", placeholder = label }) => (
    <div class="search">
        <Icon name="search" size={16} />
        <input
            type="search"
            class="input"
            spellcheck={false}
            autocomplete="off"
            aria-label={label}
            placeholder={placeholder}
            value={value}
            onInput={event => onChange(event.currentTarget.value)}
            onKeyDown={event => event.key === "Escape" && value && (event.preventDefault(), onChange(""))}
        />
    </div>
)
