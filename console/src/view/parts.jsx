/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What pages are made of: headings, panels, buttons, notices, empty states, times. */
import { useEffect, useRef, useState } from "preact/hooks"
import { duration, moment, relative } from "../base/format.js"
import { visible } from "../base/text.js"
import { explain } from "../service/explain.js"
import { useNow } from "./hooks.js"
import { Icon } from "./icons.jsx"

/** @typedef {import("preact").ComponentChildren} Children */
/** @typedef {"neutral" | "good" | "warn" | "bad" | "info"} Tone */

const TONE_ICONS = { neutral: "info", info: "info", good: "good", warn: "trouble", bad: "alert" }

/**
 * A room: its heading, one sentence about it, what can be done with all of it.
 * @param {{title: Children, summary?: Children, actions?: Children, children?: Children}} props
 */
export const Page = ({ title, summary, actions, children }) => (
    <div class="page">
        <header class="page-head">
            <div class="page-title">
                <h1>{title}</h1>
                {summary && <p>{summary}</p>}
            </div>
            {actions && <div class="actions">{actions}</div>}
        </header>
        {children}
    </div>
)

/**
 * @param {{title?: Children, actions?: Children, tone?: Tone, flush?: boolean, children?: Children}} props
 *        flush: no space around the content, for tables
 */
export const Panel = ({ title, actions, tone, flush, children }) => (
    <section class={`panel ${tone ? "tone-" + tone : ""} ${flush ? "flush" : ""}`}>
        {(title || actions) && (
            <header class="panel-head">
                {title && <h2>{title}</h2>}
                {actions && <div class="actions">{actions}</div>}
            </header>
        )}
        <div class="panel-body">{children}</div>
    </section>
)

/**
 * @typedef {Omit<import("preact").JSX.ButtonHTMLAttributes<HTMLButtonElement>, "icon"> &
 *           {kind?: "primary" | "plain" | "danger" | "quiet", busy?: boolean, icon?: string,
 *           small?: boolean}} ButtonProps
 *           quiet: without a frame; one with an icon alone needs `title`, which names it
 */
/** @param {ButtonProps} props */
export const Button = ({ kind = "plain", busy, icon, small, children, class: className, disabled, ...others }) => (
    <button
        type="button"
        {...others}
        disabled={disabled}
        aria-busy={busy ? true : undefined}
        aria-label={others["aria-label"] ?? (children ? undefined : others.title)}
        class={`button ${kind} ${small ? "small" : ""} ${children ? "" : "bare"} ${className ?? ""}`}>
        {busy ? <Spinner /> : icon && <Icon name={icon} size={16} />}
        {children && <span>{children}</span>}
    </button>
)

/** What the service says of itself, in which names stand in backticks. @param {{text: string, max?: number}} props */
export const Prose = ({ text, max = 1000 }) => (
    <>
        {visible(text, max)
            .split(/`([^`]*)`/)
            .map((part, at) => (at % 2 ? <code key={at}>{part}</code> : part))}
    </>
)

/** @param {{tone?: Tone, title?: string, children?: Children}} props */
export const Badge = ({ tone = "neutral", title, children }) => (
    <span class={`badge tone-${tone}`} title={title}>
        {children}
    </span>
)

/**
 * A sentence that matters, and what can be done about it.
 * @param {{tone?: Tone, title?: Children, action?: Children, children?: Children}} props
 */
export const Notice = ({ tone = "info", title, action, children }) => (
    <div class={`notice tone-${tone}`} role={tone === "bad" ? "alert" : "status"}>
        <Icon name={TONE_ICONS[tone]} />
        <div class="notice-text">
            {title && <strong>{title}</strong>}
            {children && <div>{children}</div>}
        </div>
        {action && <div class="actions">{action}</div>}
    </div>
)

/**
 * Where nothing is yet: one sentence of what would be here, and one thing to do.
 * @param {{icon?: string, title: Children, action?: Children, children?: Children}} props
 */
export const Empty = ({ icon = "empty", title, action, children }) => (
    <div class="empty">
        <span class="empty-icon">
            <Icon name={icon} size={24} />
        </span>
        <p class="empty-title">{title}</p>
        {children && <p class="empty-text">{children}</p>}
        {action && <div class="actions">{action}</div>}
    </div>
)

/**
 * Why there is nothing to show of a method's result.
 * @param {{result: {phase: string, outcome?: any, reload?: () => void},
 *         what: string}} props  what: "the list of devices"
 */
export function Unavailable({ result, what }) {
    if (result.phase === "loading")
        return (
            <div class="empty loading">
                <Spinner />
                <p class="empty-text">Asking for {what} …</p>
            </div>
        )
    if (result.phase === "missing")
        return (
            <Empty icon="empty" title={`This service does not offer ${what}.`}>
                The module that provides it is not loaded here, or its method is switched off.
            </Empty>
        )
    const again = result.reload && (
        <Button icon="refresh" onClick={() => result.reload?.()}>
            Try again
        </Button>
    )
    if (result.phase === "denied")
        return (
            <Empty icon="lock" title={`You may not see ${what}.`} action={again}>
                {result.outcome && visible(explain(result.outcome).hint, 500)}
            </Empty>
        )
    return (
        <Empty icon="alert" title={`There is no answer with ${what}.`} action={again}>
            {visible(result.outcome?.msg ?? "The service did not answer.")}
        </Empty>
    )
}

/** @param {{label?: string}} props */
export const Spinner = ({ label }) => (
    <svg
        class="spinner"
        width="16"
        height="16"
        viewBox="0 0 16 16"
        role={label ? "img" : undefined}
        aria-label={label}
        aria-hidden={label ? undefined : true}>
        <circle cx="8" cy="8" r="6.25" />
        <path d="M14.25 8A6.25 6.25 0 0 0 8 1.75" />
    </svg>
)

/** Puts text into the clipboard, also where the page is no secure context. @param {string} text */
async function copyText(text) {
    try {
        await navigator.clipboard.writeText(text)
        return true
    } catch {
        return copySelection(text)
    }
}

/** @param {string} text */
function copySelection(text) {
    const area = document.createElement("textarea")
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)
    area.value = text
    area.className = "offscreen"
    document.body.append(area)
    area.select()
    const isDone = document.execCommand("copy")
    area.remove()
    focused?.focus()
    return isDone
}

/**
 * A button that copies.
 * @param {{text: string | (() => string), label?: string, children?: Children, small?: boolean}} props
 *        label: what is copied, "the topic"; children: text beside the icon
 */
export function Copyable({ text, label = "this", children, small = true }) {
    const [state, setState] = useState("")
    useEffect(() => {
        const timer = state && setTimeout(() => setState(""), 2000)
        return () => clearTimeout(timer || undefined)
    }, [state])
    const copy = async () => setState((await copyText(typeof text === "function" ? text() : text)) ? "done" : "failed")
    const title =
        state === "done" ? "Copied" : state === "failed" ? "The browser did not allow to copy" : `Copy ${label}`
    return (
        <Button
            kind={children ? "plain" : "quiet"}
            small={small}
            title={title}
            class="copyable"
            icon={state === "done" ? "check" : state === "failed" ? "close" : "copy"}
            onClick={copy}>
            {children}
        </Button>
    )
}

/**
 * @param {{text: string, copy?: boolean | string, wrap?: boolean}} props
 *        copy: whether it can be copied, or what it is ("the command")
 */
export const Code = ({ text, copy, wrap }) => (
    <div class={`code ${wrap ? "wrap" : ""}`}>
        <pre tabIndex={0}>{text}</pre>
        {copy && <Copyable text={text} label={typeof copy === "string" ? copy : "the text"} />}
    </div>
)

/**
 * @param {{items: {id: string, label: Children, count?: Children}[], value: string, onChange: (id: string) => void,
 *         label?: string}} props
 */
export function Tabs({ items, value, onChange, label }) {
    const list = useRef(/** @type {HTMLDivElement | null} */ (null))
    /** @param {KeyboardEvent} event */
    function move(event) {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
        if (!step) return
        event.preventDefault()
        const at = items.findIndex(item => item.id === value)
        const next = (at + step + items.length) % items.length
        onChange(items[next].id)
        const tab = /** @type {HTMLElement | undefined} */ (list.current?.children[next])
        tab?.focus()
    }
    return (
        <div class="tabs" role="tablist" aria-label={label} ref={list} onKeyDown={move}>
            {items.map(item => (
                <button
                    type="button"
                    role="tab"
                    key={item.id}
                    aria-selected={item.id === value}
                    tabIndex={item.id === value ? 0 : -1}
                    onClick={() => onChange(item.id)}>
                    {item.label}
                    {item.count !== undefined && <span class="count">{item.count}</span>}
                </button>
            ))}
        </div>
    )
}

/** A part of a whole. @param {{value: number, max?: number, tone?: Tone, label: string}} props */
export const Meter = ({ value, max = 1, tone = "info", label }) => (
    <div
        class={`meter tone-${tone}`}
        role="meter"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={max}
        aria-valuenow={value}>
        <div style={{ width: `${max > 0 ? Math.max(0, Math.min(100, (value / max) * 100)) : 0}%` }} />
    </div>
)

/**
 * @param {{label: Children, value: Children, unit?: Children, tone?: Tone, hint?: string, children?: Children}} props
 */
export const Stat = ({ label, value, unit, tone, hint, children }) => (
    <div class={`stat ${tone ? "tone-" + tone : ""}`} title={hint}>
        <div class="stat-label">{label}</div>
        <div class="stat-value">
            {value}
            {unit && <span class="unit">{unit}</span>}
        </div>
        {children && <div class="stat-more">{children}</div>}
    </div>
)

/** Figures beside each other. @param {{children?: Children}} props */
export const Stats = ({ children }) => <div class="stats">{children}</div>

/** Names and values, one below the other. @param {{rows: [Children, Children][]}} props */
export const Facts = ({ rows }) => (
    <dl class="facts">
        {rows.map(([name, value], at) => (
            <div key={at}>
                <dt>{name}</dt>
                <dd>{value}</dd>
            </div>
        ))}
    </dl>
)

/**
 * A list and what is chosen of it beside each other; one of both where there is no room.
 * Without `detail` the list has all of it.
 * @param {{list: Children, detail?: Children, hasDetail: boolean, onBack: () => void, backLabel?: string,
 *         wide?: boolean}} props
 *        wide: the list is a table, and takes more than half
 */
export const Split = ({ list, detail, hasDetail, onBack, backLabel = "Back to the list", wide }) => (
    <div class={`split ${hasDetail ? "has-detail" : ""} ${wide ? "wide-list" : ""} ${detail ? "" : "no-detail"}`}>
        <div class="split-list">{list}</div>
        {detail && (
            <div class="split-detail">
                {hasDetail && (
                    <Button class="split-back" kind="quiet" icon="back" onClick={onBack}>
                        {backLabel}
                    </Button>
                )}
                {detail}
            </div>
        )}
    </div>
)

/** A moment, relative to now. @param {{at: number | null | undefined}} props  at: seconds since 1970 */
export function Time({ at }) {
    const now = useNow(1000)
    return typeof at === "number" ? (
        <time class="nowrap" title={moment(at)}>
            {relative(at, now)}
        </time>
    ) : (
        <span class="muted">–</span>
    )
}

/** @param {{seconds: number | null | undefined}} props */
export const Duration = ({ seconds }) => <span class="nowrap">{duration(seconds)}</span>
