#!/usr/bin/env node
// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * node worker.js [HOST [PORT [NAME]]]: carries out calls of text.count and report.write. For MQTT.js 4 and 5.
 * MQTT_USER, MQTT_PASSWORD and MQTT_CAFILE in the environment say how it logs in.
 */
const crypto = require("crypto")
const fs = require("fs")
const mqtt = require("mqtt")

const [host = "localhost", port = "1883", name = "node1"] = process.argv.slice(2)
const work = `rpc/work/${name}`
const report = { type: "object", required: ["name", "pages"],
    properties: { name: { type: "string" }, pages: { type: "integer", minimum: 1, maximum: 20 } } }
const attach = { worker: name, window: 4, declares: [
    { name: "text.count", doc: "Counts the words of a text.", read_only: true,
        params: { type: "object", properties: { text: { type: "string" } }, required: ["text"] },
        result: { type: "object", properties: { words: { type: "integer" } }, required: ["words"] } },
    { name: "report.write", doc: "Writes a report, page by page.", lane: "name", event: "report/written",
        params: report, result: report }],
events: [{ name: "report/written", doc: "A report has been written.", key: "name" }] }

/* An error of a method: its code, its message, and further members of the error object. */
class Failure extends Error {
    constructor(code, msg, members = {}) {
        super(msg)
        this.code = code
        this.error = { msg, ...members }
    }
}

const methods = {
    async "text.count"({ text }) {
        if (typeof text !== "string") // nobody has checked more than that the parameters are an object
            throw new Failure("invalid_params", "text is a string")
        return { words: text.split(/\s+/).filter(word => word).length }
    },
    async "report.write"({ name, pages }, job) {
        if (typeof name !== "string" || !Number.isInteger(pages) || pages < 1 || pages > 20)
            throw new Failure("invalid_params", "name is a string, pages a whole number from 1 to 20")
        for (let page = 0; page < pages; page++) {
            await new Promise(done => setTimeout(done, 100))
            if (job.cancelled)
                throw new Failure("stopped", "nobody waits for the report any more", { written: page })
            job.progress({ written: page + 1, pages })
        }
        return { name, pages }
    },
}

const jobs = new Map() // calls by their ids
const lanes = new Map() // of a lane, the promise that its last call is over
let leaving = false

function publish(topic, content, properties, sent) {
    client.publish(topic, JSON.stringify(content), { qos: 1, properties }, sent)
}

function call(method, params) {
    publish(`rpc/call/${method}`, params, { responseTopic: `reply/${name}`, correlationData: crypto.randomBytes(16) })
}

/* Carries out one call, and answers it, whatever happens. */
async function carryOut(job, method, params) {
    const answer = (status, content) => new Promise(sent => publish(`${work}/done`, content,
        { correlationData: job.id, userProperties: { status } }, sent))
    job.progress = content => job.asked && answer("progress", content) // for callers that want interim replies
    try {
        await answer("ok", await methods[method](params, job))
    } catch (error) {
        await (error instanceof Failure ? answer(error.code, error.error) : answer("internal_error", { msg: `${error}` }))
    }
    jobs.delete(job.id.toString())
    if (leaving && !jobs.size)
        client.end()
}

/* Calls of one lane come in their order, and are carried out one after the other. */
function take({ correlationData: id, userProperties: { method, progress } }, params) {
    const job = { id, asked: progress === "1", cancelled: false }
    const lane = method === "report.write" ? params.name : id
    const over = (lanes.get(lane) || Promise.resolve()).then(() => carryOut(job, method, params)).then(() => {
        if (lanes.get(lane) === over)
            lanes.delete(lane)
    })
    jobs.set(id.toString(), job)
    lanes.set(lane, over)
}

const { MQTT_USER: username, MQTT_PASSWORD: password, MQTT_CAFILE: cafile } = process.env
const client = mqtt.connect({ protocol: cafile ? "mqtts" : "mqtt", host, port: Number(port), clientId: name, protocolVersion: 5,
    clean: true, keepalive: 5, username, password, ca: cafile && fs.readFileSync(cafile), reconnectPeriod: 1000,
    queueQoSZero: false })
client.on("connect", () => {
    console.log("connected")
    call("rpc.attach", attach)
})
client.on("error", error => console.log(`${error}`))
client.on("close", () => jobs.forEach(job => { job.cancelled = true }))
client.on("message", (topic, payload, { properties }) => {
    if (topic === work) {
        take(properties, JSON.parse(payload.toString() || "{}"))
    } else if (topic === `${work}/cancel`) {
        const job = jobs.get(properties.correlationData.toString())
        if (job)
            job.cancelled = true
    } else { // the reply to rpc.attach or rpc.detach
        console.log(payload.toString())
        const reply = JSON.parse(payload.toString())
        if ("err" in reply) // for example name_in_use, while an earlier connection is not given up
            setTimeout(call, 2000, "rpc.attach", attach)
        leaving = "outstanding" in reply // no call comes after that
        if (leaving && !jobs.size)
            client.end()
    }
})
for (const signal of ["SIGTERM", "SIGINT"])
    process.once(signal, () => client.connected ? call("rpc.detach", { worker: name }) : process.exit())
