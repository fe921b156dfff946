/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The room Methods: the list of all methods, and the page of one, at #/methods/NAME?params=JSON. */
import { useEffect, useMemo, useState } from "preact/hooks"
import { hasWords, plural, visible } from "../../base/text.js"
import { relative } from "../../base/format.js"
import { Field, SearchInput, Segmented, TextInput } from "../../view/form.jsx"
import { readMethod } from "../../service/discovery.js"
import { lateFailure } from "../../service/statistics.js"
import { link, navigate, useNow, useStore } from "../../view/hooks.js"
import { Icon } from "../../view/icons.jsx"
import { Button, Empty, Page, Panel, Prose, Split, Unavailable } from "../../view/parts.jsx"
import { History } from "./history.jsx"
import { MethodPage } from "./method.jsx"
import { createState, lookUp } from "./state.js"

/**
 * @typedef {import("./state.js").State} State
 * @typedef {import("./state.js").Method} Method
 * @typedef {import("./state.js").Catalogue} Catalogue
 * @typedef {import("./state.js").Service} Service
 */

/**
 * The methods by their modules, in the order of the document; commands of devices behind them.
 * @param {Catalogue} catalogue
 */
function groupsOf({ methods, devices }) {
    /** @type {Map<string, Method[]>} */
    const groups = new Map()
    for (const method of methods) groups.set(method.module, [...(groups.get(method.module) ?? []), method])
    for (const { name, commands } of devices) if (commands.length) groups.set(`${name}: commands`, commands)
    return [...groups]
}

/**
 * @param {{method: Method, isCurrent: boolean, isDenied: boolean, failure?: {err: string, at: number},
 *          now: number}} props
 */
const Row = ({ method, isCurrent, isDenied, failure, now }) => (
    <li>
        <a href={link(["methods", method.name])} aria-current={isCurrent ? "true" : undefined}>
            <span class="row-head">
                <span class="mono">{visible(method.name)}</span>
                {isDenied && (
                    <span title="closed to you">
                        <Icon name="lock" size={16} />
                    </span>
                )}
                {!method.readOnly && (
                    <span class="writes" title="A call changes something">
                        changes
                    </span>
                )}
            </span>
            <span class="row-text">
                <Prose text={method.summary} max={300} />
            </span>
            {failure && (
                <span class="row-fault">
                    <Icon name="alert" size={16} /> {visible(failure.err)}, {relative(failure.at, now)}
                </span>
            )}
        </a>
    </li>
)

/** Scrolls the list, and not the page, to the method that is open, if it is not seen. */
function showCurrent() {
    const row = document.querySelector(".method-list [aria-current]"),
        list = row?.closest(".method-list")
    if (!row || !list) return
    const { top, bottom } = row.getBoundingClientRect(),
        start = list.getBoundingClientRect().top
    if (top < start || bottom > innerHeight) list.scrollTop += top - start - 80
}

/**
 * The groups, with the methods that the search leaves, and where only those are wanted that have a late failure.
 * @param {Catalogue} catalogue @param {string} search @param {boolean} isFailing @param {(method: Method) => unknown} failureOf
 */
function useShown(catalogue, search, isFailing, failureOf) {
    const groups = useMemo(() => groupsOf(catalogue), [catalogue])
    return groups
        .map(
            ([module, methods]) =>
                /** @type {const} */ ([
                    module,
                    methods.filter(
                        method =>
                            (!isFailing || failureOf(method)) &&
                            hasWords(search, `${method.name} ${method.summary} ${module}`)
                    )
                ])
        )
        .filter(([, methods]) => methods.length)
}

/** Which methods are to be shown. @param {{state: State, all: number, failing: number}} props */
function Filter({ state, all, failing }) {
    const search = useStore(state.search),
        isFailing = useStore(state.isFailing)
    return (
        <>
            <SearchInput
                label="Search methods"
                placeholder="Name, module, or what it does"
                value={search}
                onChange={state.search.set}
            />
            <Segmented
                label="Which methods"
                value={isFailing ? "failing" : "all"}
                onChange={id => state.isFailing.set(id === "failing")}
                items={[
                    { id: "all", label: `All ${all}` },
                    { id: "failing", label: `Failed lately ${failing}`, title: "Calls failed in the last ten minutes" }
                ]}
            />
        </>
    )
}

/** No method is left. @param {{state: State, isFine: boolean}} props  isFine: since none has failed */
function NoneLeft({ state, isFine }) {
    const showAll = () => {
        state.search.set("")
        state.isFailing.set(false)
    }
    return isFine ? (
        <Empty icon="good" title="No call has failed in the last ten minutes." />
    ) : (
        <Empty
            icon="search"
            title="No method is like that."
            action={<Button onClick={showAll}>Show all methods</Button>}
        />
    )
}

/** @param {{state: State, service: Service, catalogue: Catalogue, current: string}} props */
function List({ state, service, catalogue, current }) {
    const search = useStore(state.search),
        isFailing = useStore(state.isFailing),
        denied = useStore(state.denied)
    const now = useNow(5000)
    const counts = useStore(service.statistics.samples, ({ rows }) => rows.at(-1)?.methods) ?? {}
    const failureOf = (/** @type {Method} */ { name }) => lateFailure(counts, name, now)
    const shown = useShown(catalogue, search, isFailing, failureOf)
    useEffect(showCurrent, [current])
    return (
        <>
            <Filter state={state} all={catalogue.methods.length} failing={catalogue.methods.filter(failureOf).length} />
            {shown.map(([module, methods]) => (
                <section class="method-group" key={module}>
                    <h2>{visible(module)}</h2>
                    <ul>
                        {methods.map(method => (
                            <Row
                                key={method.name}
                                method={method}
                                isCurrent={method.name === current}
                                isDenied={denied.has(method.name)}
                                failure={failureOf(method)}
                                now={now}
                            />
                        ))}
                    </ul>
                </section>
            ))}
            {!shown.length && <NoneLeft state={state} isFine={isFailing && !search} />}
        </>
    )
}

/** @param {{name: string, reload: () => void}} props */
const NoMethod = ({ name, reload }) => (
    <Panel>
        <Empty
            icon="methods"
            title={`There is no method ${visible(name)} here.`}
            action={
                <>
                    <Button icon="refresh" onClick={reload}>
                        Ask again
                    </Button>
                    <a class="button" href={link(["methods"])}>
                        All methods
                    </a>
                </>
            }>
            The worker that declared it may have gone, or its module is not loaded.
        </Empty>
    </Panel>
)

/** What is there before a method is chosen. @param {{state: State}} props */
function Start({ state }) {
    const history = useStore(state.history)
    if (!history.length)
        return (
            <Panel>
                <Empty icon="methods" title="Choose a method to see what it does, and to call it.">
                    Nothing is called before you press its button.
                </Empty>
            </Panel>
        )
    const open = (/** @type {import("./state.js").Past} */ { method, text }) =>
        navigate(["methods", method], { params: text })
    return (
        <Panel title="Your last calls" flush>
            <History list={history} onEdit={open} />
        </Panel>
    )
}

/** A method of which nothing is known but its name. @param {string} name */
const unknown = name =>
    readMethod({
        name,
        "x-mqtt": { payload: "value" },
        summary:
            "The list of methods is not there, so that what this method takes is not known. It is called with the JSON " +
            "that you write."
    })

/**
 * Without the list, a method can still be called by its name.
 * @param {{state: State, service: Service, catalogue: Catalogue, name: string, params?: string}} props
 */
function WithoutList({ state, service, catalogue, name, params }) {
    const [text, setText] = useState(name),
        method = useMemo(() => unknown(name), [name])
    return (
        <>
            <Panel>
                <Unavailable what="the list of methods" result={{ ...catalogue, reload: service.reload }} />
                {catalogue.phase !== "loading" && (
                    <form
                        class="fields"
                        onSubmit={event => {
                            event.preventDefault()
                            text && navigate(["methods", text])
                        }}>
                        <Field label="Call a method by its name" hint="for example ping, or device/lamp1/light">
                            <TextInput mono value={text} onChange={setText} />
                            <Button type="submit" disabled={!text}>
                                Open
                            </Button>
                        </Field>
                    </form>
                )}
            </Panel>
            {name && catalogue.phase !== "loading" && (
                <MethodPage
                    key={name}
                    state={state}
                    service={service}
                    method={method}
                    levels={{}}
                    name={name}
                    params={params}
                />
            )}
        </>
    )
}

/** Without a method in the address, the last one is opened again. @param {State} state @param {string} name */
function useLast(state, name) {
    useEffect(() => {
        if (!name && state.last) navigate(["methods", state.last], {}, { replace: true })
    }, [])
    useEffect(() => {
        state.last = name
    }, [name])
}

/** What is beside the list. @param {{state: State, service: Service, found: ReturnType<typeof lookUp>, name: string,
 *  params?: string}} props */
function Chosen({ state, service, found, name, params }) {
    if (!name) return <Start state={state} />
    if (!found) return <NoMethod name={name} reload={service.reload} />
    const { method, levels } = found
    return (
        <MethodPage
            key={method.name}
            state={state}
            service={service}
            method={method}
            levels={levels}
            name={name}
            params={params}
        />
    )
}

/** @param {import("../../view/room.js").RoomProps & {state: State}} props */
function Room({ service, route, state }) {
    const catalogue = useStore(service.catalogue),
        name = route.path.join("/"),
        found = lookUp(catalogue, name)
    const shared = { state, service, name, params: route.query.params }
    useLast(state, name)
    useEffect(service.crew.start, [service])
    if (catalogue.phase !== "ready")
        return (
            <Page title="Methods">
                <WithoutList {...shared} catalogue={catalogue} />
            </Page>
        )
    const { length } = catalogue.methods
    return (
        <Page
            title="Methods"
            summary={`${plural(length, "method")} of ${visible(service.prefix)}, version ${visible(catalogue.version)}`}
            actions={
                <Button icon="refresh" onClick={service.reload}>
                    Reload the list
                </Button>
            }>
            <Split
                hasDetail={!!name}
                onBack={() => navigate(["methods"])}
                backLabel="All methods"
                list={
                    <div class="method-list">
                        <List
                            state={state}
                            service={service}
                            catalogue={catalogue}
                            current={found?.method.name ?? ""}
                        />
                    </div>
                }
                detail={<Chosen {...shared} found={found} />}
            />
        </Page>
    )
}

export const methods = { id: "methods", title: "Methods", icon: "methods", Room, createState }
