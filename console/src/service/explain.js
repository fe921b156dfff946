/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Explains failed calls to people: what happened, what the service said, what to do. */

import { entryOf } from "../base/text.js"

const TITLE_MAX = 120

/** @typedef {{title: string, text: string, hint: string}} Explanation `text` is the service's own words, if it had any */

/**
 * Titles and hints of the errors that every method can have, and of those that calls.js makes.
 * @type {Record<string, [title: string, hint: string]>}
 */
const KNOWN = {
    parse_error: [
        "The service could not read the parameters as JSON",
        "Check brackets, quotes and commas; nothing may follow the value."
    ],
    invalid_request: [
        "The call itself is not as it should be",
        "The text says which part of it: a user property, the batch, or the reply's topic."
    ],
    method_not_found: [
        "There is no such method",
        "Reload the list: its module may be off, or the worker that declared it may have gone."
    ],
    invalid_params: [
        "The parameters do not fit the method",
        "The text names the first that does not. Change it and call again."
    ],
    internal_error: ["The method failed without saying why", "The broker's log has more."],
    timeout: [
        "The service did not finish before the deadline",
        "What it does may still go on: see Trouble. Try a longer timeout, or fewer calls at once."
    ],
    cancelled: [
        "The call was ended before it had a result",
        "The service is stopping, or it took the caller for gone. Call again."
    ],
    overloaded: ["Too much is waiting already", "Nothing was done. Try again in a few seconds; Load shows what waits."],
    rate_limited: [
        "Too many calls in a short time",
        "Nothing was done. Wait a second; the option rate_limit sets how many are taken."
    ],
    payload_too_large: [
        "The parameters are larger than the service takes",
        "Send less at once, or raise the option max_payload."
    ],
    reply_too_large: [
        "The result is larger than a reply may be",
        "Ask for less, for example with a smaller limit, or raise the option max_reply."
    ],
    outcome_unknown: [
        "Whether it was carried out is not known",
        "It was begun. Look at the state of things before you call again."
    ],
    denied: ["The broker does not allow this call", ""],
    refused: ["The broker refused the message", ""],
    no_reply: ["No reply came", ""],
    offline: ["There was no connection to the broker", "Nothing was sent. Call again when the connection is there."],
    bad_reply: ["The reply makes no sense", "Something other than mosquitto-rpc may answer at this topic."],
    too_large: [
        "The message is larger than the broker takes",
        "Send less at once, or raise max_packet_size in the broker's configuration."
    ],
    bad_name: [
        "This cannot be the name of a method",
        "Names have letters, digits, _ . - and levels with / between them."
    ],
    bad_params: ["The parameters are not JSON", "Correct them and call again."],
    aborted: ["You gave the call up", "The service was not told: it may still carry it out."],
    device_unknown: [
        "Nobody knows this device",
        "Check its name in Devices: it says hello when it connects for the first time."
    ],
    device_offline: [
        "The device is not there",
        "Devices shows when it was seen last. With “offline: queue” the command waits for it."
    ],
    device_busy: [
        "Too many commands wait for this device",
        "See its commands in Devices; cancel those that are no longer wanted."
    ],
    device_timeout: [
        "The device got the command and did not answer",
        "It may have carried it out. See its state in Devices before you send it again."
    ],
    device_failed: ["The device could not do it", ""],
    device_rejected: ["The device does not accept this command", ""],
    expired: ["The command was too old when the device came", "Send it again if it is still wanted."]
}

/** @param {import("./calls.js").Failure} outcome @returns {Explanation | undefined} what only calls.js knows */
function explainOwn({ err, msg, data }) {
    const [title = ""] = entryOf(KNOWN, err) ?? []
    const who = data?.user ? `user ${data.user}` : "anonymous user"
    if (err === "denied")
        return {
            title,
            text: `The broker does not let the ${who} publish to ${data?.topic}.`,
            hint: `Its ACL would need: topic write ${data?.topic}`
        }
    if (err === "no_reply")
        return {
            title,
            text: msg,
            hint:
                "It may have been carried out. If no call gets a reply: is the plugin loaded for this " +
                `prefix, and does the ACL have: topic read ${data?.replies}#`
        }
    if (err === "offline" && data?.sent)
        return {
            title: "The connection was lost before the reply came",
            text: msg,
            hint: "Look at the state of things before you call again."
        }
    return undefined
}

/**
 * @param {import("./calls.js").Failure} outcome
 * @param {import("./discovery.js").Method} [method] whose call it was
 * @param {import("./discovery.js").Catalogue} [catalogue]
 * @returns {Explanation}
 */
export function explain(outcome, method, catalogue) {
    const own = outcome.from === "service" ? undefined : explainOwn(outcome)
    if (own) return own
    const { err, msg } = outcome,
        declared = method?.errors.find(error => error.err === err)?.description
    const meaning = declared || entryOf(catalogue?.errors ?? {}, err) || "",
        [title, hint] = entryOf(KNOWN, err) ?? []
    const begins = err === "invalid_params" ? stopped : sentence // whose text begins with the name of a member
    const words = msg ? begins(msg) : "",
        what = meaning && `${err}: ${sentence(meaning)}`
    if (title) return { title, text: words, hint: hint || what }
    const short = [words, sentence(meaning)].find(each => each.length > 1 && each.length <= TITLE_MAX)
    return {
        title: short?.replace(/\.$/, "") ?? `The method has failed: ${err}`,
        text: short === words ? "" : words,
        hint: what || err
    }
}

/** @param {string} text with a full stop */
const stopped = text => (/[.!?…]$/.test(text) ? text : `${text}.`)

/** @param {string} text with a capital and a full stop */
const sentence = text => stopped(text.charAt(0).toUpperCase() + text.slice(1))
