/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What becomes of commands: of those of one device, by events, and of one command for several devices, whose verdicts
 * fill in from events, from the outcomes of single calls, or from the reply to the call of a group. */

import { parse } from "../../base/exact.js"
import { entryOf } from "../../base/text.js"

/* value and progress are exact JSON. */
/** @typedef {{device: string, status: string, value?: any, err?: string, msg?: string, cause?: any, id?: string,
 *     progress?: any}} Verdict */
/** @typedef {Map<string, Verdict>} Verdicts   by the names of devices */
/** @typedef {{id: string, command: string, state: string, err?: string, attempt: number, time: number,
 *     late?: boolean, progress?: any}} Entry   of a device's history */

/** The states of commands and of members, what needs a person first.
 *  @type {Record<string, [label: string, tone: import("./presence.js").Tone]>} */
const STATUSES = {
    failed: ["Failed", "bad"],
    rejected: ["Rejected", "bad"],
    timeout: ["No answer", "bad"],
    unknown: ["Outcome unknown", "bad"],
    unanswered: ["Unanswered", "warn"],
    not_sent: ["Not sent", "warn"],
    expired: ["Expired", "warn"],
    offline: ["Offline", "warn"],
    cancelled: ["Cancelled", "neutral"],
    queued: ["Queued", "info"],
    sent: ["Sent", "info"],
    running: ["Running", "info"],
    waiting: ["Waiting", "neutral"],
    ok: ["OK", "good"],
    succeeded: ["OK", "good"]
}
const RANKS = Object.keys(STATUSES)

/** @param {string} status */
export const statusOf = status => entryOf(STATUSES, status) ?? [status, "neutral"]

/** @param {Verdict} a @param {Verdict} b */
export const byRank = (a, b) => RANKS.indexOf(a.status) - RANKS.indexOf(b.status)

/** @param {Verdict} verdict */
const isOpen = ({ status }) => /^(waiting|running)$/.test(status)

/** @param {string[]} devices @returns {Verdicts} */
export const startVerdicts = devices => new Map(devices.map(device => [device, { device, status: "waiting" }]))

/** What an error says of a command; if the connection was lost, the call may have been on its way.
 *  @param {any} outcome */
const failedStatus = ({ err, data }) =>
    /^device_(offline|timeout|failed|rejected)$/.exec(err)?.[1] ??
    (err === "outcome_unknown"
        ? "unknown"
        : err === "reply_too_large"
          ? "ok"
          : data?.sent || /^(no_reply|aborted)$/.test(err)
            ? "unanswered"
            : "not_sent")

/** The verdict that the outcome of a single call is. @param {string} device @param {any} outcome @returns {Verdict} */
export function verdictOf(device, { ok, value, text, err, msg, data }) {
    if (!ok) return { device, status: failedStatus({ err, data }), err, msg, cause: data?.cause }
    return value?.queued === true && value.id
        ? { device, status: "queued", id: value.id }
        : { device, status: "ok", value: parse(text).value }
}

/** What the state of a command says of a member before the reply does. @param {any} event */
const statusBy = ({ state, err }) =>
    err === "device_offline"
        ? "offline"
        : state === "succeeded"
          ? "ok"
          : /^(queued|sent)$/.test(state)
            ? "waiting"
            : /^(expired|cancelled)$/.test(state)
              ? "not_sent"
              : state

/** Whether an event tells of a verdict's command: one that waits for its first event, or whose id it is. What is queued
 *  goes on when the device comes. @param {Verdict} verdict @param {any} event */
const concerns = (verdict, { id, state }) =>
    verdict.id === undefined
        ? isOpen(verdict)
        : verdict.id === id && (isOpen(verdict) || (verdict.status === "queued" && state !== "queued"))

/** Events device/command: the first command of this name that they tell of is the run's; others change nothing.
 *  @param {Verdicts} verdicts @param {string} command @param {any[]} events @returns {Verdicts} */
export function applyEvents(verdicts, command, events) {
    /** @type {Verdicts} */
    const changes = new Map()
    for (const event of events) {
        const { device, id, err, progress } = event ?? {},
            before = changes.get(device) ?? verdicts.get(device)
        if (before && event.command === command && typeof event.state === "string" && concerns(before, event))
            changes.set(device, {
                ...before,
                id,
                err: typeof err === "string" ? err : undefined,
                status: statusBy(event),
                progress: progress ?? before.progress
            })
    }
    return changes.size ? new Map([...verdicts, ...changes]) : verdicts
}

/** The reply to the call of a group, as exact JSON: it has the last word. Members that it leaves out are ok.
 *  @param {Verdicts} verdicts @param {any} reply @returns {Verdicts} */
export function applyReply(verdicts, { results, omitted }) {
    /** @type {Verdicts} */
    const all = new Map(omitted && [...verdicts.keys()].map(device => [device, { device, status: "ok" }]))
    for (const { result, ...member } of results) all.set(member.device, { ...member, value: result })
    return all
}

/** All that are open end with the run. Those of which an event has told were sent, and others not, if events come.
 *  @param {Verdicts} verdicts @param {any} [outcome] of the call of a group, which has failed @returns {Verdicts} */
export function endVerdicts(verdicts, outcome) {
    const hasEvents = [...verdicts.values()].some(({ id }) => id)
    const other = hasEvents || !outcome || failedStatus(outcome) === "not_sent" ? "not_sent" : "unanswered"
    return new Map(
        [...verdicts].map(([device, verdict]) => [
            device,
            !isOpen(verdict) ? verdict : { ...verdict, status: verdict.id ? "unanswered" : other, err: outcome?.err }
        ])
    )
}

/** "14 of 17 ok, 2 offline, 1 failed". @param {Verdicts} verdicts */
export function summary(verdicts) {
    const counts = new Map([["ok", 0]])
    for (const { status } of verdicts.values()) counts.set(status, (counts.get(status) ?? 0) + 1)
    const [[, ok], ...others] = counts
    const number = (/** @type {number} */ count) => count.toLocaleString("en")
    return [
        `${number(ok)} of ${number(verdicts.size)} ok`,
        ...others
            .sort(([, a], [, b]) => b - a)
            .map(([status, count]) => `${number(count)} ${statusOf(status)[0].toLowerCase()}`)
    ].join(", ")
}

/** The devices whose command may be sent again: it did not come about. @param {Verdicts} verdicts */
export const toRepeat = verdicts =>
    [...verdicts.values()]
        .filter(verdict => !isOpen(verdict) && !/^(ok|queued)$/.test(verdict.status))
        .map(({ device }) => device)

/** The history of a device with what events say: commands that have not ended first, the newest first.
 *  @param {Entry[]} commands @param {any[]} events @returns {Entry[]} */
export function applyHistory(commands, events) {
    const entries = new Map([...commands, ...events].map(entry => [entry.id, entry]))
    const ended = (/** @type {Entry} */ { state }) => (/^(queued|sent|running)$/.test(state) ? 0 : 1)
    return [...entries.values()].sort((a, b) => ended(a) - ended(b) || b.time - a.time).slice(0, 50)
}
