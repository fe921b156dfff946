/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What is known of devices: the words for their states, the order of the table, its filters, and its pages. */
import { parse } from "../../base/exact.js"
import { entryOf, hasWords } from "../../base/text.js"

/** @typedef {{device: string, state: string, since: number, seen?: number, why: string, managed?: boolean,
 *     kind?: string, waiting?: number, flying?: number, once?: boolean, commands?: string[],
 *     client?: string}} Device */
/** @typedef {"neutral" | "good" | "warn" | "bad" | "info"} Tone */

/** In the order of the table, what needs a person first: the word, its tone, and what stands before an age.
 *  @type {Record<string, [label: string, tone: Tone, ago: string]>} */
const STATES = {
    offline: ["Offline", "bad", "gone for"],
    silent: ["Silent", "warn", "silent for"],
    sleeping: ["Asleep", "info", "asleep for"],
    unknown: ["Not seen yet", "neutral", "for"],
    here: ["Here", "good", "here for"],
    online: ["Online", "good", "here for"],
    ready: ["Ready", "good", "here for"]
}

/** @param {string} state */
export const stateOf = state => entryOf(STATES, state) ?? [state, "neutral", "for"]

/** @type {Record<string, string>} */
const WHY = {
    hello: "said hello",
    published: "published something",
    connected: "connected",
    subscribed: "subscribed to its commands",
    disconnected: "connection ended",
    heartbeat: "no heartbeat",
    start: "the broker started",
    ttd: "sleeps until its next hello"
}

/** @param {string} why */
export const whyText = why => entryOf(WHY, why) ?? why

/* The filters of the table, by states; "here" is both kinds of being there. */
export const FILTERS = ["all", "offline", "silent", "sleeping", "unknown", "here"]

/** @param {Device} device @returns {string} */
export const filterOf = ({ state }) => (/^(online|ready)$/.test(state) ? "here" : state)

/** What stands first in the table. @param {Device} device */
export const rankOf = device => (FILTERS.indexOf(filterOf(device)) + 9) % 9 // what is not known comes last

/** @param {Device[]} devices @returns {Record<string, number>} */
export function countStates(devices) {
    const counts = Object.fromEntries(FILTERS.map(name => [name, 0]))
    for (const device of devices) counts[filterOf(device)]++
    counts.all = devices.length
    return counts
}

/** The devices of a filter whose name, kind or state has all words of `text`. @param {Device[]} devices
 *  @param {string} filter @param {string} text */
export const select = (devices, filter, text) =>
    devices.filter(
        device =>
            (filter === "all" || filterOf(device) === filter) &&
            hasWords(text, `${device.device} ${device.kind ?? ""} ${device.state} ${stateOf(device.state)[0]}`)
    )

/** A name as it is sorted: lamp2 before lamp10. @param {string} name */
const keyOf = name => name.toLowerCase().replace(/\d+/g, digits => digits.padStart(12, "0"))

/** First those that are gone, the latest of them first; then by name. @param {Device[]} devices */
export const inOrder = devices =>
    devices
        .map(device => ({ device, rank: rankOf(device), key: keyOf(device.device) }))
        .sort(
            (a, b) =>
                a.rank - b.rank ||
                (a.device.state === "offline" ? b.device.since - a.device.since : 0) ||
                (a.key < b.key ? -1 : 1)
        )
        .map(({ device }) => device)

export const DEVICES_MAX = 50000 // whose statuses are kept: whoever may publish those may make up devices
const FIRST = 25,
    MOST = 1000 // devices of a page

/** All devices, page by page; `tell` gets what was read so far. Pages grow while that is faster: Mosquitto 2.0 sends a
 *  long message over WebSockets in pieces of 4 kB, ten a second. A page behind a device that was just forgotten is
 *  refused: then the list begins again, once. @param {(params: object) => Promise<any>} call of device.list
 *  @param {(devices: Map<string, Device>) => void} tell
 *  @returns {Promise<{devices: Map<string, Device>, outcome: any}>} */
export async function listAll(call, tell, again = true) {
    /** @type {Map<string, Device>} */
    const devices = new Map()
    /** @type {any} */
    let outcome
    let after,
        limit = FIRST,
        speed = 0,
        grows = true
    do {
        outcome = await call({ limit, after })
        if (outcome.err === "device_unknown" && again) return listAll(call, tell, false)
        const /** @type {Device[]} */ page = outcome.value?.devices ?? []
        for (const device of page) devices.set(device.device, device)
        tell(devices)
        const now = page.length / Math.max(outcome.ms, 1)
        grows = grows && now > speed
        limit = grows ? Math.min(limit * 2, MOST) : now < speed / 2 ? Math.max(FIRST, (limit / 2) | 0) : limit
        speed = Math.max(speed, now)
        after = page.length ? outcome.value.next : undefined
    } while (after)
    return { devices, outcome }
}

/** The topics of the states of devices, unless the option device_topic says otherwise.
 *  @param {{prefix: string}} service */
export const statusTopics = ({ prefix }) => prefix.replace(/[^/]*$/, "cmd/+/status")

/** Exact JSON from the wire; undefined if it is none. @param {{text: string}} message @returns {any} */
export const read = ({ text }) => parse(text).value

/** The devices with what their retained statuses say. @param {Map<string, Device>} devices @param {any[]} statuses */
export function mergeStatuses(devices, statuses) {
    const merged = new Map(devices)
    for (const status of statuses)
        if (
            typeof status?.device === "string" &&
            typeof status.state === "string" &&
            typeof status.since === "number" &&
            (merged.has(status.device) || merged.size < DEVICES_MAX) &&
            !(Number(merged.get(status.device)?.since) >= status.since)
        ) {
            const { device, state, since, seen, why } = status
            merged.set(device, { managed: true, ...merged.get(device), device, state, since, seen, why })
        }
    return merged
}
