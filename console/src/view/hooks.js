/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Hooks: a store's value, the time, and the place in the page, which is the hash of its address. */
import { useEffect, useLayoutEffect, useReducer, useRef } from "preact/hooks"
import { createStore } from "../base/store.js"

import { lateFailure } from "../service/statistics.js"

export { useMethod } from "./use_method.js"

/** @template T @typedef {import("../base/store.js").Store<T>} Store */
/** @typedef {{room: string, path: string[], query: Record<string, string>}} Route */

/** @type {(value: any) => any} */
const identity = value => value

const useTick = () => useReducer(/** @param {number} count */ count => count + 1, 0)[1]

/**
 * What `select` takes from the store; the component is drawn again when that has changed.
 * @template T, [S=T]
 * @param {Store<T>} store
 * @param {(value: T) => S} select
 * @returns {S}
 */
export function useStore(store, select = identity) {
    const tick = useTick()
    const selected = select(store.get())
    const latest = useRef({ select, selected })
    latest.current = { select, selected }
    useLayoutEffect(() => {
        const check = () => {
            if (!Object.is(latest.current.select(store.get()), latest.current.selected)) tick(undefined)
        }
        check()
        return store.subscribe(check)
    }, [store])
    return selected
}

/** One timer for each interval, however many components wait for it. @type {Map<number, Set<() => void>>} */
const clocks = new Map()

/** @param {number} every @param {() => void} tell */
function startClock(every, tell) {
    const listeners = clocks.get(every) ?? new Set()
    clocks.set(every, listeners)
    listeners.add(tell)
    return listeners
}

/**
 * The time in seconds since 1970, read again each `every` milliseconds.
 * @param {number} every
 */
export function useNow(every = 1000) {
    const tick = useTick()
    useEffect(() => {
        const own = () => tick(undefined)
        const listeners = startClock(every, own)
        if (listeners.size === 1)
            timers.set(
                every,
                setInterval(() => [...listeners].forEach(tell => tell()), every)
            )
        return () => {
            listeners.delete(own)
            if (listeners.size === 0) clearInterval(timers.get(every))
        }
    }, [every])
    return Date.now() / 1000
}
/** @type {Map<number, any>} */
const timers = new Map()

const DRAWN = 50 // ms after which what was changed is on the screen

/** @param {() => void} act */
export const afterDrawing = act => void setTimeout(act, DRAWN)

const FAULTY = ":is(input, select, textarea)[aria-invalid], [aria-invalid] input"

/** The first control with a fault gets the focus. @param {HTMLElement | null} form */
export const focusFault = form =>
    afterDrawing(() => /** @type {HTMLElement | null | undefined} */ (form?.querySelector(FAULTY))?.focus())

/**
 * How many methods have failed in the last ten minutes, as far as this user may know it.
 * @param {import("../service/service.js").Service} service
 */
export const useFailing = ({ statistics }) =>
    useStore(statistics.samples, ({ rows }) => {
        const { methods = {} } = rows.at(-1) ?? {}
        return Object.keys(methods).filter(name => lateFailure(methods, name, Date.now() / 1000)).length
    })

/**
 * `#/methods/updateSensor?params=…`: the room, its path, and the query. A hash without a slash is a query alone.
 * @param {string} hash
 * @returns {Route}
 */
export function parseRoute(hash) {
    const text = hash.replace(/^#/, "")
    const [place, query] = text.startsWith("/") ? split(text.slice(1), "?") : ["", text.replace(/^\?/, "")]
    const [room = "", ...path] = place.split("/").map(decoded)
    return { room, path: path.filter(Boolean), query: Object.fromEntries(new URLSearchParams(query)) }
}

/** @param {string} text @param {string} mark */
function split(text, mark) {
    const at = text.indexOf(mark)
    return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)]
}

/** @param {string} text */
function decoded(text) {
    try {
        return decodeURIComponent(text)
    } catch {
        return text
    }
}

/** The members of the query that say where the service is: all links keep them. */
const KEPT = ["ws", "prefix"]

/**
 * The hash of a place. Levels of a path that is an array are encoded, a string is taken as it is.
 * @param {string | string[]} path
 * @param {Record<string, string | undefined>} query
 * @param {Record<string, string>} current
 */
export function formatRoute(path, query, current) {
    const place = Array.isArray(path) ? "/" + path.map(encodeURIComponent).join("/") : path
    const search = new URLSearchParams()
    for (const [name, value] of Object.entries({ ...pick(current, KEPT), ...query }))
        if (value !== undefined && value !== "") search.set(name, value)
    return `#${place}${String(search) && "?" + search}`
}

/** @param {Record<string, string>} all @param {string[]} names */
const pick = (all, names) => Object.fromEntries(names.filter(name => name in all).map(name => [name, all[name]]))

const place = createStore(parseRoute(globalThis.location?.hash ?? ""))
globalThis.addEventListener?.("hashchange", () => place.set(parseRoute(location.hash)))

/** Where the page is. */
export const route = () => place.get()

/** @returns {Route} */
export const useRoute = () => useStore(place)

/**
 * Goes to a place of the page: navigate(["methods", name], {params: "{}"}).
 * @param {string | string[]} path
 * @param {Record<string, string | undefined>} [query]
 * @param {{replace?: boolean}} [options] replace: the place before is not kept for the browser's back button
 */
export function navigate(path, query = {}, { replace = false } = {}) {
    const hash = link(path, query)
    if (replace) history.replaceState(null, "", hash)
    else if (location.hash !== hash) location.hash = hash
    place.set(parseRoute(hash))
}

/**
 * The hash for an `<a href>` to a place.
 * @param {string | string[]} path
 * @param {Record<string, string | undefined>} [query]
 */
export const link = (path, query = {}) => formatRoute(path, query, parseRoute(location.hash).query)
