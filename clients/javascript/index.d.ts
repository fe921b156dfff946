// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/**
 * Calls methods of the Mosquitto plugin mosquitto-rpc, commands devices, and receives events; on MQTT.js, in Node.js
 * and in browsers.
 *
 * - A call carries a long identity, so that the plugin runs it once, however often it is sent. When the connection
 *   was cut, the client sends the calls that wait again, in order and unchanged, until their timeouts have passed.
 * - What a client keeps is bounded: by `maxPending` and `maxPendingBytes` for calls, by `limit` for each stream.
 * - Nothing stays behind of a call that has ended, whether by its reply, an error, its timeout or its signal.
 */
import type { IClientOptions, MqttClient } from "mqtt"

/** Options of a client. */
export interface ClientOptions {
    /** The plugin's `prefix`. Default: `rpc`. */
    prefix?: string
    /** The QoS of calls and of subscriptions, and so of replies and events. Default: 1. */
    qos?: 0 | 1 | 2
    /** The timeout of calls that set none, in ms: 1 to 86400000. Default: 10000. */
    timeout?: number
    /** Calls that may wait at once. A further one fails with `overloaded`, and is not sent. Default: 1000. */
    maxPending?: number
    /** Bytes that the payloads of waiting calls may have together. Likewise. Default: 16 MiB. */
    maxPendingBytes?: number
}

/**
 * Options of connect(): those of the client, and all of MQTT.js. Other defaults than MQTT.js's are
 * `protocolVersion: 5` (4 is MQTT 3.1.1), `clientId` (`rpc-` and 16 random digits), `resubscribe: false` (the client
 * subscribes again itself) and `reconnectPeriod: 250` (ms; each further attempt doubles it, up to 30 s; 0: never).
 */
export interface ConnectOptions extends ClientOptions, Omit<IClientOptions, "timeout"> {
    /** Whether to go on trying if there is no broker yet, instead of failing. Default: false. */
    waitForBroker?: boolean
}

/**
 * Connects to a broker: `mqtt://`, `mqtts://`, and in browsers `ws://` or `wss://`. Rejects with an RpcError if the
 * first attempt fails: `refused` if the broker does not want this client, otherwise `disconnected`; `cause` is the
 * error of MQTT.js. What is no URL is a TypeError. After that the client keeps itself connected until it is closed.
 * `client.mqtt` emits `offline`, `connect` and `error` for whoever wants to know.
 */
export function connect(url: string, options?: ConnectOptions): Promise<Client>

/** Options of a call. */
export interface CallOptions<Progress = unknown> {
    /**
     * ms, 1 to 86400000; the plugin allows what its option `timeout_max` says, 60000 by default. It is told to the
     * plugin, whose own error `timeout` comes first as a rule; the client gives up one second later.
     */
    timeout?: number
    /** Ends the call with the signal's reason. The plugin may carry it out all the same. */
    signal?: AbortSignal
    /** Is given the interim replies of methods that have them. Over MQTT 5 only. */
    progress?: (value: Progress) => void
    /** The trace that the call belongs to, in the form of W3C Trace Context. */
    traceparent?: string
    /** Likewise. Over MQTT 5 only. */
    tracestate?: string
}

/** Options of a command; docs/devices.md has more about each. They need MQTT 5. */
export interface CommandOptions<Progress = unknown> extends CallOptions<Progress> {
    /** What becomes of the command if the device is not there. Default: `fail`. */
    offline?: "fail" | "wait" | "queue"
    /** With `queue`: how long the command waits for the device, in ms. */
    ttl?: number
    /** After so many ms the command is not sent any more. */
    stale?: number
}

/** Options of a command to a group. They need MQTT 5. */
export interface GroupOptions<Progress = unknown> extends CommandOptions<Progress> {
    /** Which members are waited for, or how many successes are enough. Default: `present`. */
    want?: "present" | "all" | number
    /** The call ends when no verdict has come for so many ms. */
    stall?: number
    /** Percent of failures after which no more commands are sent. */
    abort?: number
}

/** The outcome of one call of a batch: it has either of the members. */
export type BatchItem<Result = unknown> =
    | { result: Result; error?: undefined }
    | { result?: undefined; error: RpcError }

/** An event. */
export interface RpcEvent<Data = unknown> {
    /** Its name; if the filter has other wildcards than a last `/#`, all that follows `{prefix}/event/`. */
    event: string
    /** What follows the name in the topic: which thing a keyed event is about. */
    key: string | undefined
    /** What was announced; undefined if `gone`. */
    data: Data
    topic: string
    /** Whether it is no news: the broker has kept it, and sends it when a stream begins and after a reconnect. */
    retained: boolean
    /** Whether it says that the thing of this key is no more. */
    gone: boolean
    /** The trace that it belongs to. Over MQTT 5 only. */
    traceparent: string | undefined
}

/**
 * Events, to be read with `for await`. Leaving the loop ends the stream; the last stream of a filter ends its
 * subscription. The stream ends when the client is closed; it fails if its signal aborts it, or, with the RpcError
 * `refused`, if the broker does not allow the subscription.
 */
export interface EventStream<Data = unknown> extends AsyncIterableIterator<RpcEvent<Data>> {
    /** Settles when the broker has answered the subscription: events come from then on. There is no need to wait. */
    readonly ready: Promise<void>
    /** How many events the stream has lost: the oldest of more than `limit`, and those that are no JSON. */
    readonly dropped: number
    return(): Promise<IteratorResult<RpcEvent<Data>, undefined>>
}

export interface EventOptions {
    /** How many events the stream keeps that nobody has read yet. Default: 1000. */
    limit?: number
    /** Ends the stream with the signal's reason. */
    signal?: AbortSignal
}

/** A device, or a group of devices with the options of one. */
export interface Device<Options extends CommandOptions = CommandOptions> {
    /** Sends a command, and waits for the device's result, or for the verdicts of a group. */
    call<Result = unknown, Progress = unknown>(
        command: string, params?: unknown, options?: Omit<Options, "progress"> & CallOptions<Progress>): Promise<Result>
    callBatch<Result = unknown>(command: string, params: readonly unknown[],
                                options?: Options): Promise<BatchItem<Result>[]>
}

export class Client {
    /**
     * A client on a connection that the program has made with MQTT.js, and goes on to use. close() leaves it open. It
     * should have `resubscribe: false`, or events that are retained come twice after a reconnect. A connection takes
     * one client for each prefix, and the program itself subscribes to other topics than these clients.
     */
    constructor(mqtt: MqttClient, options?: ClientOptions)

    readonly mqtt: MqttClient
    readonly clientId: string
    readonly prefix: string
    readonly connected: boolean
    /** How many calls wait for their end. */
    readonly pending: number

    /**
     * Calls a method. `params` is any JSON, or bytes for a method that takes bytes; over MQTT 3.1.1 an object. Without
     * a connection the call waits for one, within its timeout.
     *
     * Rejects with an RpcError, the signal's reason, or a TypeError or RangeError if an argument is wrong.
     */
    call<Result = unknown, Progress = unknown>(method: string, params?: unknown,
                                               options?: CallOptions<Progress>): Promise<Result>

    /** Calls a method for each of the parameters, in one message. Its outcomes have the same order. */
    callBatch<Result = unknown>(method: string, params: readonly unknown[],
                                options?: CallOptions): Promise<BatchItem<Result>[]>

    /**
     * Subscribes to events. `filter` is an event's name, for all of its keys; a name and a key; or what stands behind
     * `{prefix}/event/` in a topic filter, such as `door/+` or `#`. After a reconnect the client subscribes again:
     * retained events come again, others that were announced meanwhile do not. Retained ones also come again when
     * another stream of the same filter begins. Over MQTT 3.1.1 an event comes twice if two filters of one client match
     * it.
     */
    events<Data = unknown>(filter: string, options?: EventOptions): EventStream<Data>

    /** The device of this name: `client.device("lamp1").call("light", { on: true })`. */
    device(name: string): Device

    /** The group of devices of this name. */
    group(name: string): Device<GroupOptions>

    /** Ends all calls with the RpcError `closed`, all streams, and the connection if connect() has made it. */
    close(): Promise<void>
}

/** The error object of the wire. */
export interface ErrorData {
    err: string
    msg?: string
    method?: string
    [member: string]: unknown
}

/**
 * How a call failed. `err` is one of the codes in the plugin's reference or of the method's own, such as
 * `invalid_params`, or one of the client's: `timeout`, `closed`, `overloaded`, `refused` (by the broker, mostly its
 * ACL), `payload_too_large` (for the broker), `bad_reply` (no JSON), `disconnected` (connect() only).
 */
export class RpcError extends Error {
    constructor(data: ErrorData, options?: { cause?: unknown })
    readonly err: string
    readonly msg: string
    readonly method: string
    /** The whole error object, with the members that the method has added. */
    readonly data: ErrorData
}
