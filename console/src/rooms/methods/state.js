/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The state of the room Methods, kept until the user signs out: for each method its form and the outcome of its call; and
 * the calls of this tab, which a reload of the page keeps, too.
 */
import { createStore } from "../../base/store.js"
import { check, MISSING, placeOf } from "../../schema/check.js"
import { isObject, parse, write } from "../../base/exact.js"
import { describe, modelOf } from "../../schema/model.js"
import { draftOf, emptyDraft, valueOf } from "../../schema/read.js"
import { calledName, findMethod } from "../../service/names.js"

/**
 * @typedef {import("../../service/service.js").Service} Service
 * @typedef {import("../../service/service.js").Method} Method
 * @typedef {import("../../service/service.js").Catalogue} Catalogue
 * @typedef {import("../../service/service.js").Outcome} Outcome
 * @typedef {import("../../schema/model.js").Node} Node
 * @typedef {import("../../schema/read.js").Draft} Draft
 * @typedef {{timeout: string, offline: string, ttl: string, stale: string, want: string}} Options
 *
 * @typedef {object} Page
 * @property {import("../../service/names.js").Levels} levels
 * @property {Node} model
 * @property {Draft} draft
 * @property {string} text       what is sent; "": nothing
 * @property {string} why        the text is no JSON
 * @property {string} misfit     what the form cannot show of the text
 * @property {boolean} isHex     the text is bytes in hexadecimal
 * @property {Options} options
 * @property {boolean} isAsked   a call was tried: all faults are shown
 * @property {Record<string, string>} refused  faults that the service has named, by path
 * @property {AbortController | null} busy
 * @property {any[]} progress
 * @property {Outcome | null} outcome
 * @property {string} batch      a JSON array
 * @property {Outcome | Outcome[] | null} outcomes  of the batch
 * @property {boolean} isBatchCopied and not the call, where there is a batch
 * @property {string} tab
 *
 * @typedef {{method: string, text: string, isHex: boolean, options: Options, at: number, err: string, ms: number}} Past
 */

const HISTORY_MAX = 50,
    TEXT_MAX = 20000,
    PROGRESS_MAX = 50
/** @type {Options} */
const NO_OPTIONS = { timeout: "", offline: "", ttl: "", stale: "", want: "" }

/** @param {Service} service */
export function createState(service) {
    const key = `rpc-calls ${service.user} ${service.address} ${service.prefix}`
    const url = new URL(service.address),
        isTls = url.protocol === "wss:"
    return {
        key,
        search: createStore(""),
        isFailing: createStore(false),
        last: "",
        /** @type {Map<string, import("../../base/store.js").Store<Page>>} by the methods' declared names */
        pages: new Map(),
        history: createStore(readHistory(key)),
        denied: createStore(/** @type {ReadonlySet<string>} */ (new Set())),
        target: createStore({
            host: url.hostname.replace(/^\[|\]$/g, "") || "localhost",
            port: isTls ? "8883" : "1883",
            tls: isTls
        })
    }
}
/** @typedef {ReturnType<typeof createState>} State */

/** @param {string} key @returns {Past[]} */
function readHistory(key) {
    try {
        const list = JSON.parse(sessionStorage.getItem(key) ?? "[]")
        return Array.isArray(list)
            ? list
                  .filter(
                      ({ method, text, options }) =>
                          typeof method === "string" && typeof text === "string" && isObject(options)
                  )
                  .slice(0, HISTORY_MAX)
            : []
    } catch {
        return []
    }
}

/** @param {State} state @param {Past} past */
export function remember(state, past) {
    const list = [past, ...state.history.get()].slice(0, HISTORY_MAX)
    state.history.set(list)
    try {
        sessionStorage.setItem(state.key, JSON.stringify(list))
    } catch {
        /* There is no room, or no storage: the page keeps them until it is closed. */
    }
}

// ---- methods

/**
 * The method of a name, as it is declared or called, and the method whose parameters it takes: of a device's command,
 * that command.
 * @param {Catalogue} catalogue
 * @param {string} name
 */
export const lookUp = ({ methods, devices }, name) =>
    findMethod(
        [...methods, ...devices.flatMap(({ commands }) => commands).filter(({ name: own }) => own === name)],
        name
    )

/**
 * The command that a device's or group's method calls; the method itself, if it is not known or there are several.
 * @param {Catalogue} catalogue
 * @param {Method} method
 * @param {import("../../service/names.js").Levels} levels
 * @param {string} [kind] of the device
 */
export function commandOf({ devices }, method, { command }, kind) {
    const found = devices.flatMap(({ name, commands }) =>
        commands.filter(each => each.name === `device/{device}/${command}`).map(each => ({ name, each }))
    )
    return (found.find(({ name }) => name === kind) ?? (found.length === 1 ? found[0] : undefined))?.each ?? method
}

/** @param {Catalogue} catalogue @param {Method} method @returns {Node} */
export function modelOfMethod({ document }, method) {
    const { payload, params, isStrict, isDeclared } = method,
        isValue = payload !== "object"
    const node = modelOf(
        isDeclared ? params : document,
        isStrict ? { ...params, additionalProperties: false } : params,
        isValue ? "value" : ""
    )
    return isValue && node.kind === "json"
        ? { ...node, required: false, wants: payload === "bytes" ? payload : node.wants }
        : node
}

/** @param {Node} model @param {import("../../service/names.js").Levels} levels @returns {Page} */
export const newPage = (model, levels) =>
    withDraft(
        {
            levels,
            model,
            draft: emptyDraft(model),
            text: "",
            why: "",
            misfit: "",
            isHex: false,
            options: NO_OPTIONS,
            isAsked: false,
            refused: {},
            busy: null,
            progress: [],
            outcome: null,
            batch: "",
            outcomes: null,
            isBatchCopied: false,
            tab: "result"
        },
        emptyDraft(model)
    )

/** The form was edited. @param {Page} page @param {Draft} draft @returns {Page} */
export function withDraft(page, draft) {
    const value = valueOf(page.model, draft)
    return { ...page, draft, text: value === undefined ? "" : write(value, "  "), why: "", misfit: "", refused: {} }
}

/** The JSON was edited. @param {Page} page @param {string} text @returns {Page} */
export function withText(page, text) {
    if (page.model.wants === "bytes") return { ...page, text, refused: {} }
    const { value, why = "" } = text.trim() ? parse(text) : { value: page.model.kind === "object" ? {} : undefined }
    if (why) return { ...page, text, why, refused: {} }
    /** @type {{path: string, node: Node}[]} */
    const misfits = []
    const draft = draftOf(page.model, value, misfits),
        [first] = misfits
    return {
        ...page,
        text,
        why,
        draft,
        refused: {},
        misfit: first ? `${first.path || "the whole"} must be ${describe(first.node)}` : ""
    }
}

/** JSON in lines, or on one with the indent "", and whatever else as it is. @param {string} text */
export function pretty(text, indent = "  ") {
    const { value, why } = parse(text)
    return why === undefined ? write(value, indent) : text
}

/** How many lines an editor of a text has. @param {string} text */
export const linesOf = text => Math.min(Math.max(text.split("\n").length + 1, 6), 24)

/** The calls of the batch, or why there are none. @param {Page} page @returns {{rows: any[], why: string}} */
export function rowsOf({ batch }) {
    const { value, why } = batch.trim() ? parse(batch) : { value: [], why: undefined }
    return why === undefined && Array.isArray(value)
        ? { rows: value, why: "" }
        : { rows: [], why: why ?? "It must be an array, with one element for each call." }
}

/** What is wrong, by path. @param {Page} page @returns {Map<string, string>} */
export function faultsOf({ model, text, why, isHex }) {
    const isEmpty = !text.trim()
    if (model.wants === "bytes")
        return new Map(isHex && !fromHex(text) ? [["value", "must be pairs of hexadecimal digits"]] : [])
    return why ? new Map() : check(model, isEmpty ? (model.kind === "object" ? {} : undefined) : parse(text).value)
}

/** What is shown at the fields: what is missing only after a call was tried. @param {Page} page */
export function shownFaults(page) {
    const faults = faultsOf(page)
    for (const [path, fault] of faults) if (fault === MISSING && !page.isAsked) faults.delete(path)
    Object.entries(page.refused).forEach(([path, fault]) => faults.set(path, fault))
    return faults
}

/** Bytes of hexadecimal digits; undefined: it is none. @param {string} text */
export function fromHex(text) {
    const digits = text.replace(/\s/g, "")
    return /^([0-9a-f]{2})*$/i.test(digits)
        ? Uint8Array.from(digits.match(/../g) ?? [], pair => parseInt(pair, 16))
        : undefined
}

/** User properties of commands. @param {Options} options @returns {[string, string][]} */
export const propertiesOf = ({ offline, ttl, stale, want }) =>
    /** @type {[string, string][]} */ ([
        ["offline", offline],
        ["ttl-ms", ttl],
        ["stale-ms", stale],
        ["want", want]
    ]).filter(([, value]) => value)

/** @param {Options} options */
const callOptions = options => ({
    timeout: Number(options.timeout) || undefined,
    properties: Object.fromEntries(propertiesOf(options))
})

// ---- calls, made when a person asks for them and never otherwise

/**
 * @param {State} state
 * @param {Service} service
 * @param {import("../../base/store.js").Store<Page>} store
 * @param {Method} method
 */
export async function makeCall(state, service, store, method) {
    const { levels, text, isHex, options } = store.get(),
        called = calledName(method.name, levels),
        busy = new AbortController()
    const payload = /** @type {any} */ (isHex ? fromHex(text) : text)
    store.update(page => ({ ...page, busy, progress: [], outcome: null, refused: {}, isAsked: true, tab: "result" }))
    const outcome = await service.call(called, undefined, {
        ...callOptions(options),
        payload,
        signal: busy.signal,
        onProgress:
            method.progress &&
            (value => store.update(page => ({ ...page, progress: [...page.progress, value].slice(-PROGRESS_MAX) })))
    })
    store.update(page => ({ ...page, busy: null, outcome, refused: refusedOf(outcome) }))
    noteDenied(state, method.name, outcome)
    remember(state, {
        method: called,
        text: text.slice(0, TEXT_MAX),
        isHex,
        options,
        at: Date.now() / 1000,
        err: outcome.ok ? "" : outcome.err,
        ms: outcome.ms
    })
}

/** @param {Outcome} outcome @returns {Record<string, string>} */
function refusedOf(outcome) {
    if (outcome.ok || outcome.err !== "invalid_params") return {}
    const { path, text } = placeOf(outcome.msg)
    return { [path]: text }
}

/** @param {State} state @param {string} name @param {Outcome} outcome */
function noteDenied(state, name, outcome) {
    const isDenied = !outcome.ok && outcome.err === "denied",
        denied = new Set(state.denied.get())
    if (isDenied === denied.has(name) || (!isDenied && !outcome.ok)) return
    isDenied ? denied.add(name) : denied.delete(name)
    state.denied.set(denied)
}

/**
 * @param {Service} service
 * @param {import("../../base/store.js").Store<Page>} store
 * @param {Method} method
 */
export async function makeBatch(service, store, method) {
    const { levels, batch, options } = store.get(),
        { value } = parse(batch),
        busy = new AbortController()
    store.update(page => ({ ...page, busy, outcomes: null }))
    const outcomes = await service.batch(calledName(method.name, levels), value, {
        ...callOptions(options),
        payload: batch,
        signal: busy.signal
    })
    store.update(page => ({ ...page, busy: null, outcomes }))
}
