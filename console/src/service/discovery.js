/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The catalogue: methods, events and kinds of devices, from the document of rpc.discover. Where the document is larger than
 * max_reply, rpc.list and rpc.describe give the same in parts.
 *
 * Failure: an outcome that is not ok is the phase of the catalogue; parts of a document that are not as they should be
 * are left out.
 */
const PART = 20 // methods that are described at once, where the document is too large

/**
 * @typedef {Record<string, any>} Schema JSON Schema, draft 7, with `x-unit`; `$ref`s are those of `catalogue.document`
 * @typedef {{err: string, description: string, schema?: Schema}} ErrorDoc
 *
 * @typedef {object} Method
 * @property {string} name as it is declared: `updateSensor`, `device/{device}/{command}`
 * @property {string} summary
 * @property {string} module
 * @property {boolean} isDeclared by a worker, not by a module: the service does not check its calls by `params`
 * @property {string[]} workers the names of workers that offer it
 * @property {"object" | "value" | "bytes" | string} payload what `params` describes: an object, any JSON value, or bytes
 * @property {Schema} params of the payload
 * @property {boolean} takesNothing its parameters have no members
 * @property {Schema} result
 * @property {Schema} [progress] of its interim replies
 * @property {ErrorDoc[]} errors that the method declares; for commands also those of devices
 * @property {boolean} readOnly
 * @property {boolean} idempotent
 * @property {boolean} takesTime
 * @property {number} [timeoutMs] its deadline, if the caller sets none
 * @property {string[]} levels names of the levels that stand in braces
 * @property {boolean} isStrict
 * @property {boolean} isOff switched off by the option methods_off
 * @property {string} placement "", "spill" or "remote"
 * @property {{event: string, topic: string, when: string}} [announces]
 * @property {{event: string, topic: string}} [errorEvent]
 *
 * @typedef {object} Event
 * @property {string} name
 * @property {string} topic
 * @property {string} filter the topics of all its keys
 * @property {string} summary
 * @property {boolean} retained
 * @property {string} [key] the member that is the last level of its topic
 * @property {Schema} schema
 * @property {string[]} workers
 *
 * @typedef {import("./calls.js").Calls} Calls
 * @typedef {{name: string, summary: string, commands: Method[]}} DeviceKind commands are named `device/{device}/light`
 *
 * @typedef {object} Catalogue
 * @property {"loading" | "ready" | "denied" | "missing" | "failed"} phase
 * @property {Method[]} methods
 * @property {Event[]} events
 * @property {DeviceKind[]} devices
 * @property {Record<string, string>} errors the engine's own, with what they mean
 * @property {Record<string, any>} limits of the document's x-limits
 * @property {any} document the whole of it
 * @property {string} version of the service
 * @property {import("./calls.js").Failure} [outcome] why it is not there
 */

/** @type {Catalogue} */
export const NOTHING = {
    phase: "loading",
    methods: [],
    events: [],
    devices: [],
    errors: {},
    limits: {},
    document: {},
    version: ""
}

/** @param {any} value @returns {any[]} */
const listOf = value => (Array.isArray(value) ? value.filter(item => item !== null && typeof item === "object") : [])

/** @param {any} value */
const textOf = value => (typeof value === "string" ? value : "")

/** @param {any} value @returns {Record<string, any>} */
const objectOf = value => (value !== null && typeof value === "object" && !Array.isArray(value) ? value : {})

/** @param {any} value @returns {string[]} */
const namesOf = value => (Array.isArray(value) ? value.filter(name => typeof name === "string") : [])

/** @param {any} method @returns {Schema} */
function paramsOf(method, payload = "object") {
    if (method["x-params"]) return objectOf(method["x-params"])
    const params = listOf(method.params)
    if (payload !== "object") return objectOf(params[0]?.schema)
    const properties = Object.fromEntries(params.map(param => [textOf(param.name), objectOf(param.schema)]))
    return { type: "object", properties, required: params.filter(param => param.required).map(param => param.name) }
}

/** @param {any} list @returns {ErrorDoc[]} */
const errorsOf = list =>
    listOf(list).map(error => ({
        err: textOf(error.err),
        description: textOf(error.description),
        schema: error.schema
    }))

/** @param {any} method of the document @returns {Method} */
export function readMethod(method) {
    const mqtt = objectOf(method["x-mqtt"]),
        tags = listOf(method.tags).map(tag => textOf(tag.name))
    const payload = textOf(mqtt.payload) || "object",
        params = paramsOf(method, payload)
    const isDeclared = tags.includes("declared")
    return {
        name: textOf(method.name),
        summary: textOf(method.summary),
        module: tags.find(tag => tag !== "declared") ?? (isDeclared ? "workers" : ""),
        isDeclared,
        workers: namesOf(method["x-workers"]),
        payload,
        params,
        takesNothing: payload === "object" && !method["x-params"] && !Object.keys(objectOf(params.properties)).length,
        result: objectOf(method.result?.schema),
        progress: method["x-progress"]?.schema,
        errors: [...errorsOf(method["x-errors"]), ...errorsOf(method["x-causes"])],
        readOnly: Boolean(mqtt.readOnly),
        idempotent: Boolean(mqtt.idempotent),
        takesTime: typeof mqtt.timeoutMs === "number",
        timeoutMs: typeof mqtt.timeoutMs === "number" ? mqtt.timeoutMs : undefined,
        levels: namesOf(mqtt.levels),
        isStrict: Boolean(mqtt.strict),
        isOff: Boolean(mqtt.off),
        placement: textOf(mqtt.placement),
        announces: mqtt.announces,
        errorEvent: mqtt.errorEvent
    }
}

/** @param {any} event @returns {Event} */
const readEvent = event => ({
    name: textOf(event.name),
    topic: textOf(event.topic),
    summary: textOf(event.description),
    filter: textOf(event.key) ? textOf(event.topic) + "/+" : textOf(event.topic),
    retained: Boolean(event.retained),
    key: textOf(event.key) || undefined,
    schema: objectOf(event.schema),
    workers: namesOf(event["x-workers"])
})

/** @param {any} content the document @returns {Catalogue} */
export function readDocument(content) {
    const document = objectOf(content)
    return {
        phase: "ready",
        document,
        version: textOf(document.info?.version),
        methods: listOf(document.methods)
            .map(readMethod)
            .filter(method => method.name),
        events: listOf(document["x-events"])
            .map(readEvent)
            .filter(event => event.name),
        devices: Object.entries(objectOf(document["x-devices"])).map(([name, kind]) => ({
            name,
            summary: textOf(kind?.description),
            commands: listOf(kind?.commands).map(readMethod)
        })),
        errors: Object.fromEntries(
            Object.entries(objectOf(document.components?.errors)).map(([err, error]) => [err, textOf(error?.message)])
        ),
        limits: objectOf(document["x-limits"])
    }
}

/** @param {import("./calls.js").Failure} outcome @returns {Catalogue["phase"]} */
export const phaseOf = outcome =>
    outcome.err === "denied" ? "denied" : outcome.err === "method_not_found" ? "missing" : "failed"

/**
 * Asks for the document.
 * @param {Calls} calls
 * @returns {Promise<Catalogue>}
 */
export async function discover(calls) {
    const outcome = await calls.call("rpc.discover")
    if (outcome.ok) return readDocument(outcome.value)
    return outcome.err === "reply_too_large" ? discoverInParts(calls) : { ...NOTHING, phase: phaseOf(outcome), outcome }
}

/** @param {Calls} calls @returns {Promise<Catalogue>} */
async function discoverInParts(calls) {
    const outcome = await calls.call("rpc.list")
    if (!outcome.ok) return { ...NOTHING, phase: phaseOf(outcome), outcome }
    const { methods = [], events = [], devices = [], version } = objectOf(outcome.value)
    const kinds = listOf(devices).map(kind => ({ ...kind, commands: listOf(kind.commands) }))
    const commands = [
        ...new Set(kinds.flatMap(kind => kind.commands.map((/** @type {any} */ { name }) => `device/{device}/${name}`)))
    ]
    const names = [...listOf(methods).map(({ name }) => name), ...commands]
    const answers = (await describe(calls, names)).map(answer => (answer.ok ? objectOf(answer.value) : {}))
    const known = new Map(answers.flatMap(answer => listOf(answer.events)).map(event => [event.name, event]))
    const described = answers.slice(methods.length).flatMap(answer => listOf(answer.commands))
    return readDocument({
        methods: listOf(methods).map(
            ({ name, doc }, at) => answers[at].method ?? { name, summary: doc, "x-params": {} }
        ),
        "x-events": listOf(events).map(
            ({ name, doc }) => known.get(name) ?? { name, description: doc, topic: `${calls.prefix}/event/${name}` }
        ),
        "x-devices": Object.fromEntries(
            kinds.map(({ name, doc }) => [
                name,
                {
                    description: doc,
                    commands: described.filter(({ tags }) => listOf(tags).some(tag => tag.name === name))
                }
            ])
        ),
        info: { version }
    })
}

/** The answers of rpc.describe, some methods at once. @param {Calls} calls @param {string[]} names */
async function describe(calls, names) {
    /** @type {import("./calls.js").Outcome[]} */
    const answers = []
    const parts = names.length
        ? Array.from({ length: Math.ceil(names.length / PART) }, (_, at) => [at * PART, at * PART + PART])
        : []
    async function work() {
        for (let part; (part = parts.shift()); ) {
            const [from, to] = part,
                some = names.slice(from, to)
            const found = await calls.batch(
                "rpc.describe",
                some.map(method => ({ method }))
            )
            if (!Array.isArray(found) && found.err === "reply_too_large" && some.length > 1)
                parts.push([from, from + (some.length >> 1)], [from + (some.length >> 1), from + some.length])
            else
                some.forEach((_, at) => {
                    answers[from + at] = Array.isArray(found) ? found[at] : found
                })
        }
    }
    await Promise.all([work(), work(), work(), work()])
    return answers
}
