/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The plain parts of the room Devices. */
import assert from "node:assert/strict"
import { describe, it } from "node:test"
import { write } from "../src/base/exact.js"
import { callOptions, commandsFor, secondsFault } from "../src/rooms/devices/commands.js"
import {
    DEVICES_MAX,
    countStates,
    inOrder,
    listAll,
    mergeStatuses,
    read,
    select,
    statusTopics
} from "../src/rooms/devices/presence.js"
import {
    applyEvents,
    applyHistory,
    applyReply,
    byRank,
    endVerdicts,
    startVerdicts,
    statusOf,
    summary,
    toRepeat,
    verdictOf
} from "../src/rooms/devices/verdicts.js"

/** @param {string} name @param {string} state @returns {import("../src/rooms/devices/presence.js").Device} */
const device = (name, state, since = 100, kind = "lamp") => ({
    device: name,
    state,
    since,
    why: "hello",
    managed: true,
    kind,
    waiting: 0,
    flying: 0
})

const PLANT = [
    device("lamp10", "ready"),
    device("lamp2", "online"),
    device("pump1", "offline", 50, "pump"),
    device("pump2", "offline", 90, "pump"),
    device("bell", "sleeping"),
    device("old", "unknown")
]

describe("presence", () => {
    it("puts those that are gone first, the latest first, and then those that are not there", () =>
        assert.deepEqual(
            inOrder([...PLANT, device("odd", "brandnew")]).map(({ device }) => device),
            ["pump2", "pump1", "bell", "old", "lamp2", "lamp10", "odd"]
        ))

    it("counts states, and both ways of being there as one", () => {
        const { all, offline, here, sleeping, silent } = countStates(PLANT)
        assert.deepEqual([all, offline, here, sleeping, silent], [6, 2, 2, 1, 0])
    })

    it("finds by filter and by all words", () => {
        const names = (/** @type {string} */ filter, /** @type {string} */ text) =>
            select(PLANT, filter, text).map(({ device }) => device)
        assert.deepEqual(names("offline", ""), ["pump1", "pump2"])
        assert.deepEqual(names("all", "PUMP 2"), ["pump2"])
        assert.deepEqual(names("here", "pump"), [])
        assert.deepEqual(names("all", " asleep "), ["bell"])
    })

    /** A service with so many devices. @param {number} size @param {(limit: number) => number} ms of a page @param {string} [gone] */
    function served(size, ms, gone) {
        /** @type {number[]} */
        const limits = []
        const call = async (/** @type {any} */ { limit, after = "-1" }) => {
            limits.push(limit)
            if (after === gone) return { ok: false, err: "device_unknown", ms: 1 }
            const page = Array.from({ length: Math.min(limit, size - 1 - after) }, (_, i) =>
                device(`${Number(after) + 1 + i}`, "ready")
            )
            return { ok: true, ms: ms(limit), value: { devices: page, next: page.at(-1)?.device } }
        }
        return { call, limits }
    }

    it("reads all pages, and tells what it has so far", async () => {
        /** @type {number[]} */
        const told = []
        const { devices, outcome } = await listAll(served(60, () => 1).call, soFar => told.push(soFar.size))
        assert.deepEqual([devices.size, outcome.ok, told], [60, true, [25, 60, 60]])
    })

    it("has larger pages while that is faster, and goes back where it is not", async () => {
        const quick = served(10000, () => 5),
            slow = served(3000, limit => (limit > 50 ? limit * 2 : 10))
        assert.equal((await listAll(quick.call, () => {})).devices.size, 10000)
        assert.deepEqual([quick.limits.slice(0, 4), Math.max(...quick.limits)], [[25, 50, 100, 200], 1000])
        assert.equal((await listAll(slow.call, () => {})).devices.size, 3000)
        assert.deepEqual(slow.limits.slice(0, 6), [25, 50, 100, 50, 50, 50])
    })

    it("begins again, once, when the last device of a page was forgotten", async () => {
        const { call, limits } = served(60, () => 1, "24")
        assert.equal((await listAll(call, () => {})).outcome.err, "device_unknown")
        assert.equal(limits.length, 4)
    })

    const status = { device: "lamp2", state: "offline", since: 200, seen: 190, why: "disconnected" }
    const known = new Map(PLANT.map(device => [device.device, device]))

    it("merges statuses, and has devices that are new", () => {
        const merged = mergeStatuses(known, [read({ text: JSON.stringify(status) }), { ...status, device: "new" }])
        assert.deepEqual(merged.get("lamp2"), { ...known.get("lamp2"), ...status })
        assert.deepEqual(merged.get("new"), { ...status, device: "new", managed: true })
        assert.equal(known.get("lamp2")?.state, "online")
    })

    it("takes no status that is older, or is none", () => {
        const wrong = [
            { ...status, since: 1 },
            { ...status, state: {} },
            { ...status, device: 1 },
            { device: "lamp2" },
            null,
            undefined,
            3
        ]
        assert.deepEqual(mergeStatuses(known, wrong), known)
        assert.equal(read({ text: "{" }), undefined)
    })

    it("keeps no more devices than it may, whoever makes them up", () => {
        const many = Array.from({ length: DEVICES_MAX + 10 }, (_, at) => ({ ...status, device: `made-up-${at}` }))
        const merged = mergeStatuses(known, many)
        assert.equal(merged.size, DEVICES_MAX)
        assert.equal(mergeStatuses(merged, [status]).get("lamp2")?.state, "offline")
    })

    it("knows the topics of devices", () => {
        assert.equal(statusTopics({ prefix: "rpc" }), "cmd/+/status")
        assert.equal(statusTopics({ prefix: "plant/a/rpc" }), "plant/a/cmd/+/status")
    })
})

/** @type {any[]} */
const KINDS = [
    { name: "lamp", commands: [{ name: "device/{device}/light" }, { name: "device/{device}/blink" }] },
    { name: "pump", commands: [{ name: "device/{device}/stop" }] }
]

describe("commands", () => {
    /** @param {import("../src/rooms/devices/commands.js").Taker[]} devices */
    const names = (...devices) =>
        commandsFor(KINDS, devices).map(({ name, method }) => `${name} ${method ? "declared" : "named"}`)

    it("offers those of its kind that the hello names, and the others of the hello", () => {
        assert.deepEqual(names({ kind: "lamp" }), ["light declared", "blink declared"])
        assert.deepEqual(names({ kind: "lamp", commands: ["dance", "light"] }), ["dance named", "light declared"])
        assert.deepEqual(names({ kind: "constructor" }), [])
        assert.deepEqual(commandsFor([], [{}]), [])
    })

    it("offers those of any kind where none is known, but not against the hello", () => {
        assert.deepEqual(names({}), ["light declared", "blink declared", "stop declared"])
        assert.deepEqual(names({ commands: ["light"] }), ["light named"])
    })

    it("offers the commands of all kinds among several devices", () =>
        assert.deepEqual(names({ kind: "pump" }, { kind: "lamp" }, { kind: "pump" }, {}).sort(), [
            "blink declared",
            "light declared",
            "stop declared"
        ]))

    it("wants seconds above 0, or nothing", () => {
        assert.deepEqual(["", "1", "0.5"].map(secondsFault), ["", "", ""])
        for (const text of ["0", "-1", "x", " "]) assert.notEqual(secondsFault(text), "")
    })

    it("says what becomes of it as user properties", () => {
        const properties = (/** @type {any} */ options) =>
            callOptions({ options: { ttl: "", timeout: "", ...options } }).properties
        assert.deepEqual(properties({ offline: "fail", ttl: "5" }), {})
        assert.deepEqual(properties({ offline: "wait", ttl: "5" }), { offline: "wait" })
        assert.deepEqual(properties({ offline: "queue" }), { offline: "queue" })
        assert.deepEqual(properties({ offline: "queue", ttl: "1.5" }), { offline: "queue", "ttl-ms": "1500" })
    })

    it("has the deadline that a person has set, else that of the command, else what a large group needs", () => {
        const timeout = (/** @type {string} */ timeout, /** @type {any} */ method, members = 0) =>
            callOptions({ options: { offline: "fail", ttl: "", timeout }, method }, members).timeout
        assert.deepEqual(
            [timeout("2.5", { timeoutMs: 9 }, 10000), timeout("", { timeoutMs: 9000 }), timeout("", undefined)],
            [2500, 9000, undefined]
        )
        assert.deepEqual([timeout("", undefined, 100), timeout("", { timeoutMs: 20000 }, 10000)], [undefined, 120000])
    })

    it("waits for the members of a group that are away, if commands are to wait", () =>
        assert.deepEqual(callOptions({ options: { offline: "wait", ttl: "", timeout: "" } }, 3).properties, {
            offline: "wait",
            want: "all"
        }))
})

describe("verdicts", () => {
    it("tells outcomes of single calls", () => {
        const status = (/** @type {any} */ outcome) =>
            verdictOf("a", { text: JSON.stringify(outcome.value), ...outcome }).status
        assert.equal(status({ ok: true, value: { on: true } }), "ok")
        assert.equal(status({ ok: true, value: null }), "ok")
        assert.equal(status({ ok: true, value: { queued: true, id: "k7" } }), "queued")
        assert.equal(status({ ok: false, err: "device_offline", data: { seen: 3 } }), "offline")
        assert.equal(status({ ok: false, err: "device_timeout" }), "timeout")
        assert.equal(status({ ok: false, err: "device_unknown" }), "not_sent")
        assert.equal(status({ ok: false, err: "outcome_unknown" }), "unknown")
        assert.equal(status({ ok: false, err: "denied" }), "not_sent")
        assert.equal(status({ ok: false, err: "reply_too_large" }), "ok")
        assert.equal(status({ ok: false, err: "offline", data: { sent: true } }), "unanswered")
        assert.equal(status({ ok: false, err: "offline", data: { sent: false } }), "not_sent")
        assert.deepEqual(
            verdictOf("a", { ok: false, err: "device_failed", msg: "m", data: { cause: { err: "x" } } }).cause,
            { err: "x" }
        )
    })

    it("has each number with all of its digits", () => {
        const one = verdictOf("a", { ok: true, value: { n: 2 ** 53 }, text: '{"n":9007199254740993}' })
        assert.equal(write(one.value), '{"n":9007199254740993}')
        const event = read({ text: '{"device":"a","command":"count","id":"1","state":"running","progress":-0.0}' })
        assert.equal(write(applyEvents(startVerdicts(["a"]), "count", [event]).get("a")?.progress), "-0.0")
    })

    it("fills in from events of the run's command alone", () => {
        const start = startVerdicts(["a", "b", "c"])
        const event = (/** @type {any} */ more) => ({ device: "a", command: "light", id: "1", state: "sent", ...more })
        let verdicts = applyEvents(start, "light", [
            event({}),
            event({ device: "x" }),
            event({ device: "b", command: "blink", state: "failed" })
        ])
        assert.equal(summary(verdicts), "0 of 3 ok, 3 waiting")
        verdicts = applyEvents(verdicts, "light", [event({ id: "2", state: "failed" })])
        assert.equal(verdicts.get("a")?.status, "waiting")
        verdicts = applyEvents(verdicts, "light", [
            event({ state: "running", progress: 3 }),
            event({ state: "succeeded" }),
            event({ state: "failed" }),
            event({ device: "b", state: "expired", err: "device_offline" })
        ])
        assert.equal(verdicts.get("a")?.status, "ok")
        assert.equal(summary(verdicts), "1 of 3 ok, 1 offline, 1 waiting")
        assert.equal(applyEvents(verdicts, "light", [undefined, null, {}]), verdicts)
    })

    it("follows what is queued until the device has come", () => {
        const start = new Map([["a", { device: "a", status: "queued", id: "1" }]])
        const after = (/** @type {string} */ state, id = "1") =>
            applyEvents(start, "light", [{ device: "a", command: "light", id, state }]).get("a")?.status
        assert.deepEqual(
            [after("queued"), after("sent"), after("succeeded"), after("expired"), after("failed", "2")],
            ["queued", "waiting", "ok", "not_sent", "queued"]
        )
    })

    it("takes the reply's word, also of members that it leaves out", () => {
        const start = startVerdicts(["a", "b"])
        const reply = applyReply(start, {
            total: 2,
            ok: 1,
            results: [
                { device: "a", status: "ok", result: 1 },
                { device: "c", status: "timeout", err: "device_timeout" }
            ]
        })
        assert.deepEqual([...reply.keys()], ["a", "c"])
        assert.equal(reply.get("a")?.value, 1)
        const cut = applyReply(start, { total: 2, ok: 1, omitted: 1, results: [{ device: "b", status: "failed" }] })
        assert.deepEqual(
            [...cut.values()].map(({ status }) => status),
            ["ok", "failed"]
        )
    })

    it("sums up, repeats what did not come about, and puts that first", () => {
        const verdicts = new Map(
            Object.entries({ a: "ok", b: "offline", c: "failed", d: "offline", e: "queued", f: "running" }).map(
                ([device, status]) => [device, { device, status }]
            )
        )
        assert.equal(summary(verdicts), "1 of 6 ok, 2 offline, 1 failed, 1 queued, 1 running")
        assert.deepEqual(toRepeat(verdicts), ["b", "c", "d"])
        assert.deepEqual(
            [...verdicts.values()]
                .sort(byRank)
                .map(({ device }) => device)
                .join(""),
            "cbdefa"
        )
        assert.deepEqual(statusOf("brandnew"), ["brandnew", "neutral"])
    })

    it("ends what is open when the call of the group fails", () => {
        const ended = (/** @type {any} */ outcome, /** @type {string | undefined} */ id) => {
            const verdicts = new Map([
                ["a", { device: "a", status: "ok" }],
                ["b", { device: "b", status: "running", id }],
                ["c", { device: "c", status: "waiting" }]
            ])
            return [...endVerdicts(verdicts, outcome).values()].map(({ status }) => status).join(" ")
        }
        assert.equal(ended({ ok: false, err: "denied" }, undefined), "ok not_sent not_sent")
        assert.equal(ended({ ok: false, err: "no_reply" }, undefined), "ok unanswered unanswered")
        assert.equal(ended({ ok: false, err: "reply_too_large" }, "1"), "ok unanswered not_sent")
        assert.equal(ended({ ok: false, err: "reply_too_large" }, undefined), "ok unanswered unanswered")
        assert.equal(ended(undefined, undefined), "ok not_sent not_sent")
    })
})

describe("history", () => {
    const entry = (/** @type {string} */ id, /** @type {string} */ state, /** @type {number} */ time) => ({
        id,
        command: "light",
        seq: 1,
        state,
        attempt: 1,
        time
    })

    it("changes by events, what has not ended first, the newest first", () => {
        const after = applyHistory(
            [entry("b", "sent", 2), entry("a", "succeeded", 1)],
            [entry("b", "failed", 3), entry("c", "queued", 4), entry("d", "sent", 5)]
        )
        assert.deepEqual(
            after.map(({ id, state }) => `${id} ${state}`),
            ["d sent", "c queued", "b failed", "a succeeded"]
        )
    })
})
