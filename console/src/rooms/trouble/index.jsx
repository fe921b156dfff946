/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The room Trouble: problems, failed calls and their causes, slow calls, open calls, dead letters. */
import { useEffect, useMemo, useRef } from "preact/hooks"
import { createStore } from "../../base/store.js"
import { SearchInput } from "../../view/form.jsx"
import { navigate, useMethod, useStore } from "../../view/hooks.js"
import { Page, Tabs } from "../../view/parts.jsx"
import { Dead } from "./dead.jsx"
import { mergeCalls } from "./failures.js"
import { Health } from "./health.jsx"
import { Open } from "./open.jsx"
import { Failed, Slow, useFailures } from "./recent.jsx"

/** @typedef {import("./failures.js").KnownCall} KnownCall */
/** @typedef {import("../../service/service.js").Service} Service */

/* Milliseconds between two calls for a list: of the tab that is open, and of the others, which fill the 256 calls that the
   service remembers. */
const OFTEN = 4000,
    SELDOM = 30000

const createState = () => ({
    failed: createStore(/** @type {KnownCall[]} */ ([])),
    slow: createStore(/** @type {KnownCall[]} */ ([])),
    lasts: new Map(), // see noteErrors
    find: createStore(""),
    limit: createStore("0.1")
})

/** A list's result; the one before, until the first answer is there. @param {Service} service @param {string} method @param {any} params @param {boolean} isSeen */
function useList(service, method, params, isSeen) {
    const result = useMethod(service, method, params, { every: isSeen ? OFTEN : SELDOM }),
        last = useRef(result)
    if (result.phase !== "loading") last.current = result
    return last.current
}

/**
 * The calls that this answer of rpc.recent has, and those of earlier ones.
 * @param {import("../../base/store.js").Store<KnownCall[]>} store @param {any} value
 */
function useKept(store, value) {
    const known = useStore(store)
    const calls = useMemo(() => mergeCalls(known, value?.calls ?? []), [known, value])
    useEffect(() => store.set(calls), [calls])
    return calls
}

/** What a link has, #/trouble?find=getSensor, becomes the filter. @param {import("../../base/store.js").Store<string>} find @param {import("../../view/hooks.js").Route} route */
function useLink(find, { path, query }) {
    useEffect(() => {
        if (!query.find) return
        find.set(query.find)
        navigate(["trouble", ...path], {}, { replace: true })
    }, [query.find])
}

/** @param {{service: Service, route: import("../../view/hooks.js").Route, state: ReturnType<typeof createState>}} props */
function Room({ service, route, state }) {
    const tab = route.path[0] ?? "failed",
        find = useStore(state.find),
        limit = useStore(state.limit)
    useLink(state.find, route)
    const failed = useList(service, "rpc.recent", { err: "*", limit: 256 }, tab === "failed")
    const slow = useList(service, "rpc.recent", { slower_than: Number(limit), limit: 256 }, tab === "slow")
    const open = useList(service, "rpc.running", { limit: 200 }, tab === "open")
    const dead = useList(service, "dead.list", { limit: 200 }, tab === "dead")
    const failures = useKept(state.failed, failed.value),
        slowOnes = useKept(state.slow, slow.value),
        slowest = slowOnes.filter(call => call.took > Number(limit))
    const shared = { service, find, onFind: state.find.set }
    const groups = useFailures(service, failures, state.lasts)
    const known = (/** @type {any} */ result, /** @type {any[]} */ calls) =>
        result.value || calls.length ? calls.length : undefined
    const items = [
        { id: "failed", label: "Failed", count: known(failed, groups) },
        { id: "slow", label: "Slow", count: known(slow, slowest) },
        { id: "open", label: "Open", count: open.value?.count },
        { id: "dead", label: "Dead letters", count: dead.value?.total }
    ]
    return (
        <Page title="Trouble" summary="What is wrong now, what has failed, what was slow, and what hangs">
            <Health service={service} hasFailed={groups.length > 0} />
            <div class="trouble-bar">
                <Tabs label="Kinds of trouble" items={items} value={tab} onChange={id => navigate(["trouble", id])} />
                <SearchInput label="Find a method, caller or error" value={find} onChange={state.find.set} />
            </div>
            {tab === "slow" ? (
                <Slow {...shared} calls={slowOnes} result={slow} limit={limit} onLimit={state.limit.set} />
            ) : tab === "open" ? (
                <Open result={open} find={find} />
            ) : tab === "dead" ? (
                <Dead {...shared} result={dead} />
            ) : (
                <Failed {...shared} calls={failures} result={failed} groups={groups} />
            )}
        </Page>
    )
}

export const trouble = { id: "trouble", title: "Trouble", icon: "trouble", Room, createState }
