/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Words for problems, states of calls and outcomes of letters: what each means, and what a person can do. */
import { entryOf, plural, visible } from "../../base/text.js"
import { explain } from "../../service/explain.js"

/** @typedef {"dead.replay" | "dead.drop"} Act */

/** Of each kind of problem, what to do, and the room that shows more. @type {Record<string, [hint: string, place?: string]>} */
const PROBLEMS = {
    database: ["Calls that need it fail. The broker's log says why."],
    stuck_worker: ["Only a restart of the broker ends work that never returns.", "open calls"],
    no_worker: ["Calls wait, and then fail. Has a worker gone?", "workers"],
    busy_workers: ["One more worker helps, or a larger window.", "workers"],
    late_ticks: ["A handler takes long, or the machine has too much to do.", "load"],
    full_table: ["Find out who waits before you raise the option.", "open calls"],
    memory: ["Does a client not read its replies, or is memory_limit too low?", "load"]
}

/**
 * @param {string} what the kind of a problem, as rpc.health has it; modules have their own
 * @returns {[hint: string, place?: string]}
 */
export const problemWords = what => entryOf(PROBLEMS, what) ?? [""]

/** @type {Record<string, string>} */
const STATES = {
    waiting: "waits for a thread or a worker",
    worker: "a thread runs its work",
    deferred: "its module waits for something",
    device: "waits for the device",
    remote: "a worker has it"
}

/** @param {{state: string, answered?: string}} call of rpc.running */
export const stateWords = ({ state, answered }) =>
    answered ? `runs on, though its caller got ${answered}` : (entryOf(STATES, state) ?? state)

/**
 * How long a call has: a deadline that has passed is nearly always trouble.
 * @param {number | undefined} left seconds
 * @param {(seconds: number) => string} duration
 */
export const deadlineWords = (left, duration) =>
    left === undefined ? "none" : left < 0 ? `passed ${duration(-left)} ago` : `in ${duration(left)}`

/**
 * How it went to replay or drop letters, in a sentence.
 * @param {Act} method @param {any[]} outcomes
 * @returns {{tone: "good" | "bad", text: string}}
 */
export function told(method, outcomes) {
    const isDrop = method === "dead.drop",
        of = ` of ${plural(outcomes.length, "letter")}`
    const failed = outcomes.filter(({ ok, value }) => !ok || (!isDrop && value.status !== "ok"))
    if (!failed.length)
        return {
            tone: "good",
            text: isDrop ? `Dropped: ${outcomes.length + of}.` : `Carried out: ${outcomes.length + of}, which are gone.`
        }
    const { title, text } = failed[0].ok
        ? { title: failed[0].value.status, text: failed[0].value.msg ?? "" }
        : explain(failed[0])
    return { tone: "bad", text: visible(`Failed: ${failed.length + of}. ${title}: ${text}`, 400) }
}
