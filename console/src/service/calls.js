/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Calls: a publication with a Response Topic and Correlation Data, and the reply to it.
 *
 * Failure: a call always ends, with an Outcome, and never throws. When the connection ends, the calls under way end with
 * it: the service does not send a reply to another connection, and only who made a call knows whether to make it again.
 */
import { isObject, jsonOf, parse, write } from "../base/exact.js"
import { bytesOf } from "../mqtt/packets.js"
import { hex } from "../mqtt/reasons.js"
import { topicFault } from "../mqtt/topics.js"

const TIMEOUT = 10000,
    TIMEOUT_MAX = 86400000,
    GRACE = 1000 // ms; the service's own answer may come so much later
const QUOTA_EXCEEDED = 0x97 // such a call is carried out, and answered
const NOT_AUTHORIZED = 0x87

/**
 * @typedef {object} Success
 * @property {true} ok
 * @property {any} value
 * @property {string} text the reply as it came
 * @property {number} ms from the call to the reply
 * @property {number} bytes of the reply
 *
 * @typedef {object} Failure
 * @property {false} ok
 * @property {string} err the error's code
 * @property {string} msg
 * @property {any} data the error object as exact JSON, with the members that the method adds; of `denied`: {topic, user}
 * @property {number} ms
 * @property {"service" | "broker" | "console"} from who has found the error
 *
 * @typedef {Success | Failure} Outcome
 *
 * @typedef {object} CallOptions
 * @property {number} [timeout] ms; without it, the method's own, or 10 s
 * @property {Record<string, string>} [properties] user properties, such as `offline` of commands
 * @property {(value: any) => void} [onProgress] asks for interim replies, and gets them as exact JSON
 * @property {AbortSignal} [signal] ends the call with the error `aborted`; the service is not told
 * @property {string} [payload] sent as it is, in the place of `params`
 */

const now = () => performance.now()

/** @param {Failure["from"]} from @param {string} err @param {string} msg @param {number} ms @param {any} [data] @returns {Failure} */
const failure = (from, err, msg, ms, data = {}) => ({ ok: false, err, msg, data, ms, from })

/** The error of a reply, which need not be what it should be. @param {any} content @param {string} status @param {number} ms */
function errorOf(content, status, ms) {
    const data = isObject(content) ? content : {}
    const err = typeof data.err === "string" ? data.err : status || "bad_reply"
    return failure("service", err, typeof data.msg === "string" ? data.msg : "", ms, data)
}

/** @param {any} params @param {CallOptions} options @returns {Uint8Array | string} bytes, or what is wrong */
function payloadOf(params, { payload }) {
    if (payload !== undefined) return bytesOf(payload)
    if (params === undefined) return new Uint8Array(0)
    if (params instanceof Uint8Array) return params
    try {
        const text = JSON.stringify(params)
        return text === undefined ? "The parameters are not JSON." : bytesOf(text)
    } catch (error) {
        return `The parameters are not JSON: ${/** @type {any} */ (error).message}.`
    }
}

/**
 * How a call ends if the broker has not taken its message.
 * @param {import("../mqtt/session.js").Published} result @param {{topic: string, user: string}} where @param {number} ms
 */
function refused(result, where, ms) {
    if (result.ok || (result.why === "refused" && result.code === QUOTA_EXCEEDED)) return undefined
    const data = { ...where, code: result.code }
    if (result.why === "refused")
        return result.code === NOT_AUTHORIZED
            ? failure("broker", "denied", result.text || "The broker's ACL does not allow it.", ms, data)
            : failure(
                  "broker",
                  "refused",
                  `The broker refuses the message (reason code ${hex(result.code)})` +
                      (result.text ? `: ${result.text}.` : "."),
                  ms,
                  data
              )
    const isUncertain = result.why === "offline" && result.sent
    return failure(
        "console",
        result.why,
        result.text + (isUncertain ? " Whether the call was carried out is not known." : ""),
        ms,
        { ...data, sent: result.sent }
    )
}

/** @param {number} ms */
const givenUp = ms => failure("console", "aborted", "The call was given up.", ms)

/**
 * @typedef {object} How
 * @property {import("../mqtt/session.js").Session} session
 * @property {string} prefix
 * @property {string} clientId
 * @property {string} user
 * @property {(method: string) => number | undefined} timeoutOf the deadline that a method has if its caller sets none
 * @property {() => number} timeoutMax the longest that a caller may set
 *
 * @typedef {{end: (outcome: Outcome) => void, start: number, onProgress?: (value: any) => void}} Pending
 */

export class Calls {
    #how
    #replies
    #random = crypto.getRandomValues(new Uint8Array(8))
    #count = 0
    /** @type {Map<number, Pending>} by number */
    #pending = new Map()

    /** @param {How} how */
    constructor(how) {
        this.#how = how
        this.#replies = `${how.prefix}/reply/${how.clientId}/`
        this.prefix = how.prefix
        this.replyFilter = `${this.#replies}#`
    }

    /** @param {string} method @param {any} [params] @param {CallOptions} [options] */
    call = (method, params, options = {}) => this.#begin("call", method, params, options)

    /**
     * @param {string} method @param {any[]} list the parameters of each call @param {CallOptions} [options]
     * @returns {Promise<Outcome[] | Failure>}
     */
    batch = async (method, list, options = {}) => {
        const outcome = await this.#begin("batch", method, list, options)
        if (!outcome.ok) return outcome
        const { value, ms } = outcome
        if (!Array.isArray(value) || value.length !== list.length)
            return failure("console", "bad_reply", "The reply to the batch does not have a result for each call.", ms)
        return parse(outcome.text).value.map((/** @type {any} */ item, /** @type {number} */ at) =>
            isObject(item) && "result" in item
                ? { ok: true, value: value[at].result, text: write(item.result), ms, bytes: 0 }
                : errorOf(item?.error, "", ms)
        )
    }

    /**
     * @param {"call" | "batch"} tree
     * @param {string} method
     * @param {any} params
     * @param {CallOptions} options
     * @returns {Promise<Outcome>}
     */
    #begin(tree, method, params, options) {
        const start = now(),
            topic = `${this.prefix}/${tree}/${method}`,
            fault = topicFault(topic) || topicFault(method)
        const payload = payloadOf(params, options)
        if (fault) return Promise.resolve(failure("console", "bad_name", `No method can have this name. ${fault}`, 0))
        if (typeof payload === "string") return Promise.resolve(failure("console", "bad_params", payload, 0))
        if (options.signal?.aborted) return Promise.resolve(givenUp(0))
        const timeout = Math.min(Math.max(options.timeout ?? this.#how.timeoutOf(method) ?? TIMEOUT, 1), TIMEOUT_MAX)
        return new Promise(resolve => {
            const number = this.#expect({ start, topic, timeout }, options, resolve)
            this.#publish(number, topic, payload, options)
        })
    }

    /**
     * Waits for the reply to a call, until its time is over or its caller gives it up.
     * @param {{start: number, topic: string, timeout: number}} call
     * @param {CallOptions} options
     * @param {(outcome: Outcome) => void} resolve
     */
    #expect({ start, topic, timeout }, { signal, onProgress }, resolve) {
        const number = ++this.#count,
            late = `No reply has come within ${timeout} ms.`,
            where = { topic, user: this.#how.user, replies: this.#replies }
        const abort = () => end(givenUp(now() - start))
        const timer = setTimeout(() => end(failure("console", "no_reply", late, now() - start, where)), timeout + GRACE)
        const end = (/** @type {Outcome} */ outcome) => {
            if (!this.#pending.delete(number)) return
            clearTimeout(timer)
            signal?.removeEventListener("abort", abort)
            resolve(outcome)
        }
        this.#pending.set(number, { end, start, onProgress })
        signal?.addEventListener("abort", abort)
        return number
    }

    /** @param {number} number @param {string} topic @param {Uint8Array} payload @param {CallOptions} options */
    #publish(number, topic, payload, options) {
        const { session, user } = this.#how,
            { end, start } = /** @type {Pending} */ (this.#pending.get(number))
        const message = {
            topic,
            payload,
            responseTopic: this.#replies + number,
            correlation: this.#identity(number),
            user: this.#propertiesOf(options)
        }
        const isWanted = () => this.#pending.has(number)
        session.publish(message, isWanted).then(result => {
            const outcome = refused(result, { topic, user }, now() - start)
            if (outcome) end(outcome)
        })
    }

    /* 16 bytes, so that the service remembers it, whatever connection it comes over. */
    /** @param {number} number */
    #identity(number) {
        const bytes = new Uint8Array(16)
        bytes.set(this.#random)
        new DataView(bytes.buffer).setFloat64(8, number)
        return bytes
    }

    /** @param {Uint8Array | undefined} bytes */
    #numberOf(bytes) {
        if (bytes?.length !== 16 || this.#random.some((byte, at) => byte !== bytes[at])) return -1
        return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(8)
    }

    /** @param {CallOptions} options */
    #propertiesOf({ timeout, properties = {}, onProgress }) {
        /** @type {Record<string, string>} */
        const all = { ...properties }
        if (timeout !== undefined)
            all["timeout-ms"] ??= String(Math.max(1, Math.round(Math.min(timeout, this.#how.timeoutMax()))))
        if (onProgress) all.progress ??= "1"
        return all
    }

    /** @param {import("../mqtt/session.js").Message} message */
    onReply(message) {
        const call = this.#pending.get(this.#numberOf(message.correlation))
        if (!call || !message.topic.startsWith(this.#replies)) return
        const ms = now() - call.start,
            status = message.properties.status ?? "ok"
        const value = message.bytes ? jsonOf(message.text) : undefined
        if (message.bytes && value === undefined)
            return call.end(
                failure("console", "bad_reply", "The reply is not JSON, or is nested too deep.", ms, {
                    text: message.text.slice(0, 1000)
                })
            )
        if (status === "ok") return call.end({ ok: true, value, text: message.text, ms, bytes: message.bytes })
        const exact = parse(message.text).value
        return status === "progress" ? call.onProgress?.(exact) : call.end(errorOf(exact, status, ms))
    }

    /** The connection has ended. */
    onLost() {
        const text =
            "The connection to the broker ended before the reply came. Whether the call was carried out is not known."
        for (const { end, start } of [...this.#pending.values()])
            end(failure("console", "offline", text, now() - start, { sent: true }))
    }
}
