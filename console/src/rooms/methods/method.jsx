/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The page of a method: its description, the form and its JSON, the outcome of the call. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks"
import { createStore } from "../../base/store.js"
import { milliseconds, relative } from "../../base/format.js"
import { visible } from "../../base/text.js"
import { levelsOf, matchLevels } from "../../service/names.js"
import { afterDrawing, focusFault, link, navigate, useNow, useStore } from "../../view/hooks.js"
import { Badge, Panel, Prose, Tabs } from "../../view/parts.jsx"
import { useMethod } from "../../view/use_method.js"
import { About } from "./about.jsx"
import { Batch } from "./batch.jsx"
import { CallForm, levelFault } from "./call_form.jsx"
import { CopyAs } from "./copy_as.jsx"
import { History } from "./history.jsx"
import { Result } from "./result.jsx"
import { commandOf, faultsOf, makeBatch, makeCall, modelOfMethod, newPage, pretty, withText } from "./state.js"

/**
 * @typedef {import("./state.js").State} State
 * @typedef {import("./state.js").Page} Page
 * @typedef {import("./state.js").Past} Past
 * @typedef {import("./state.js").Method} Method
 * @typedef {import("./state.js").Service} Service
 * @typedef {import("../../service/names.js").Levels} Levels
 */
/** @template T @typedef {import("../../base/store.js").Store<T>} Store */

/** @typedef {[import("../../view/parts.jsx").Tone, string, string]} Flag with its title and its text */

/** @param {Method} method @param {boolean} isDenied @returns {(Flag | false | undefined | null | "")[]} */
const flagsOf = (
    { readOnly, idempotent, takesTime, timeoutMs, isStrict, isOff, placement, progress, isDeclared },
    isDenied
) => [
    readOnly ? ["good", "It changes nothing", "reads only"] : ["warn", "A call changes something", "changes things"],
    isDenied && ["bad", "The broker has refused a call of yours", "closed to you"],
    isOff && ["bad", "The option methods_off has switched it off", "switched off"],
    !readOnly && idempotent && ["neutral", "To call it twice has the effect of calling it once", "may be repeated"],
    takesTime && ["info", "It may take as long as its deadline", `takes time, up to ${milliseconds(timeoutMs)}`],
    progress && ["info", "It sends interim replies", "tells its progress"],
    isStrict && ["neutral", "Members that it does not declare are an error", "strict"],
    placement && [
        "neutral",
        "Its calls are carried out by workers",
        placement === "remote" ? "by workers" : "workers help"
    ],
    isDeclared && ["neutral", "A worker has declared it, and checks its parameters", "declared by a worker"]
]

/** @param {{method: Method, isDenied: boolean}} props */
const Flags = ({ method, isDenied }) => (
    <div class="flags">
        {flagsOf(method, isDenied).map(
            flag =>
                flag && (
                    <Badge tone={flag[0]} title={flag[1]}>
                        {flag[2]}
                    </Badge>
                )
        )}
    </div>
)

/** Names that may stand in a level. @param {Service} service @param {string[]} levels */
function useSuggestions(service, levels) {
    const hasDevice = levels.includes("device"),
        hasGroup = levels.includes("group")
    const devices = useMethod(service, "device.list", {}, { when: hasDevice })
    const groups = useMethod(service, "device.group.list", {}, { when: hasGroup })
    /** @type {any[]} */
    const known = devices.value?.devices ?? []
    return {
        kindOf: (/** @type {string} */ name) => known.find(({ device }) => device === name)?.kind,
        device: known.map(({ device, state }) => ({ value: `${device}`, label: `${state}` })),
        group: [
            { value: "*", label: "all known devices" },
            ...(groups.value?.groups ?? []).map((/** @type {any} */ { group, devices: members }) => ({
                value: `${group}`,
                label: Array.isArray(members) ? members.join(", ") : ""
            }))
        ]
    }
}

/**
 * The page's store, made when the method is opened first, and its model as the command of its levels has it.
 * @param {State} state @param {Service} service @param {Method} method @param {Levels} levels
 */
function usePage(state, service, method, levels) {
    const catalogue = useStore(service.catalogue),
        suggestions = useSuggestions(service, levelsOf(method.name))
    const store = useMemo(() => {
        const known =
            state.pages.get(method.name) ??
            createStore(newPage(modelOfMethod(catalogue, commandOf(catalogue, method, levels)), levels))
        state.pages.set(method.name, known)
        return known
    }, [method.name])
    const stored = useStore(store),
        kind = suggestions.kindOf(stored.levels.device)
    const command = commandOf(catalogue, method, stored.levels, kind)
    /* What was typed stays as it was typed, also where the catalogue was asked for again. */
    const model = useMemo(
        () => modelOfMethod(catalogue, command),
        [JSON.stringify([command.params, command.payload, command.isStrict])]
    )
    useEffect(() => {
        if (store.get().model !== model) store.update(page => withText({ ...page, model }, page.text))
    }, [model, store])
    return { catalogue, suggestions, store, page: stored, command: joined(method, command) }
}

/**
 * A method as its command has it; what a group returns is its own.
 * @param {Method} method @param {Method} command @returns {Method}
 */
const joined = (method, command) =>
    command === method
        ? method
        : {
              ...command,
              name: method.name,
              module: method.module,
              errors: [...command.errors, ...method.errors],
              ...(method.levels.includes("group")
                  ? { result: method.result, progress: method.progress }
                  : { progress: command.progress ?? method.progress })
          }

/**
 * Takes over what a link has: levels of the name, and parameters.
 * @param {Store<Page>} store @param {Method} method @param {string} name @param {string | undefined} params
 */
function useLink(store, method, name, params) {
    useEffect(() => {
        const levels = matchLevels(method.name, name)
        if (levels && Object.values(levels).some(Boolean)) store.update(page => ({ ...page, levels }))
        if (params === undefined) return
        store.update(page => withText({ ...page, isHex: false, outcome: null, isAsked: false }, pretty(params)))
        navigate(["methods", name], {}, { replace: true })
    }, [name, params])
}

/** @param {{method: Method, service: Service}} props */
function LastError({ method, service }) {
    const { rows } = useStore(service.statistics.samples),
        now = useNow(5000)
    const last = rows.at(-1)?.methods[method.name]?.last_error
    if (!last)
        return <p class="muted">{rows.length ? "No call of it has failed since the service started." : "\u00a0"}</p>
    return (
        <p class="muted">
            Last failure: <code class="bad">{visible(last.err)}</code> {visible(last.msg)}, {relative(last.at, now)}.{" "}
            <a href={link(["trouble"], { find: method.name })}>See it in Trouble</a>
        </p>
    )
}

/**
 * What a person does with the form: a call, if the parameters fit or the person is sure; and a former call, put into the
 * form again.
 * @param {State} state @param {Service} service @param {Store<Page>} store @param {Method} method @param {Method} command
 */
function useActions(state, service, store, method, command) {
    const form = useRef(/** @type {HTMLDivElement | null} */ (null))
    const result = useRef(/** @type {HTMLElement | null} */ (null))
    const names = levelsOf(method.name)
    function start() {
        void makeCall(state, service, store, command)
        afterDrawing(() => result.current?.scrollIntoView({ block: "nearest" }))
    }
    function call(isSure = false) {
        const now = store.get(),
            isFit = !now.why && !faultsOf(now).size
        if (now.busy || service.connection.get().phase !== "ready") return
        if (!names.some(level => levelFault(now, level)) && (isSure || isFit)) return start()
        store.update(page => ({ ...page, isAsked: true }))
        focusFault(form.current)
    }
    /** @param {Past} past */
    function edit({ method: called, text, isHex, options }) {
        const levels = matchLevels(method.name, called) ?? store.get().levels
        store.update(page => withText({ ...page, levels, isHex, options, isAsked: false }, text))
    }
    return { form, result, start, call, edit }
}

/** @typedef {{state: State, service: Service, method: Method, levels: Levels, name: string, params?: string}} Props */

/** @param {Props} props */
export function MethodPage({ state, service, method, levels, name, params }) {
    const opened = usePage(state, service, method, levels),
        { store, page, command } = opened
    const isDenied = useStore(state.denied).has(method.name)
    const actions = useActions(state, service, store, method, command)
    useLink(store, method, name, params)
    const change = (/** @type {Partial<Page>} */ some) => store.update(all => ({ ...all, ...some }))
    const isAddressed = !levelsOf(method.name).some(level => levelFault(page, level))
    return (
        <>
            <Panel
                title={<span class="mono">{visible(method.name)}</span>}
                actions={<Flags method={command} isDenied={isDenied} />}>
                <p>
                    <Prose text={command.summary || "It has no description."} max={2000} />
                </p>
                <LastError method={method} service={service} />
                <CallForm
                    service={service}
                    method={method}
                    opened={opened}
                    actions={actions}
                    isAddressed={isAddressed}
                />
            </Panel>
            <More
                state={state}
                service={service}
                method={method}
                opened={opened}
                actions={actions}
                change={change}
                isAddressed={isAddressed}
            />
        </>
    )
}

const TABS = [
    { id: "result", label: "Result" },
    { id: "copy", label: "Copy as" },
    { id: "batch", label: "Batch" },
    { id: "history", label: "History" },
    { id: "about", label: "About" }
]

/**
 * What is below the form: what became of the call, and what else there is about the method.
 * @param {{state: State, service: Service, method: Method, opened: ReturnType<typeof usePage>,
 *          actions: ReturnType<typeof useActions>, change: (some: Partial<Page>) => void, isAddressed: boolean}} props
 */
function More({ state, service, method, opened: { catalogue, store, page, command }, actions, change, isAddressed }) {
    const [language, setLanguage] = useState("rr"),
        history = useStore(state.history)
    const own = history.filter(past => matchLevels(method.name, past.method) || past.method === method.name)
    const onSend = () => (isAddressed ? void makeBatch(service, store, command) : change({ isAsked: true }))
    return (
        <section class="panel" ref={actions.result}>
            <Tabs label="More" value={page.tab} onChange={tab => change({ tab })} items={TABS} />
            <div class="panel-body" role="tabpanel">
                {page.tab === "result" && <Result page={page} method={command} catalogue={catalogue} />}
                {page.tab === "copy" && (
                    <CopyAs
                        state={state}
                        service={service}
                        page={page}
                        method={command}
                        language={language}
                        onLanguage={setLanguage}
                        onChange={change}
                    />
                )}
                {page.tab === "batch" && (
                    <Batch page={page} method={command} catalogue={catalogue} onChange={change} onSend={onSend} />
                )}
                {page.tab === "history" && (
                    <History
                        isOne={!levelsOf(method.name).length}
                        list={own}
                        onEdit={actions.edit}
                        onRepeat={past => (actions.edit(past), actions.start())}
                    />
                )}
                {page.tab === "about" && <About prefix={service.prefix} method={command} catalogue={catalogue} />}
            </div>
        </section>
    )
}
