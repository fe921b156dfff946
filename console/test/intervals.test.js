/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* How statistics become samples: what the service publishes, silence, a lost connection, and a page that slept. */
import assert from "node:assert/strict"
import test from "node:test"
import { createStore } from "../src/base/store.js"
import { Statistics } from "../src/service/statistics.js"
import { columns, createHistory } from "../src/rooms/load/history.js"

const START = 1e12

/** Time that passes when the test says so. @param {import("node:test").TestContext} t */
function fakeClock(t) {
    const real = { now: Date.now, setTimeout, clearTimeout, setInterval, clearInterval }
    /** @type {Map<number, {at: number, every: number, run: () => void}>} */
    const timers = new Map()
    let now = START,
        last = 0
    const add = (/** @type {() => void} */ run, every = 0, repeat = false) =>
        timers.set(++last, { at: now + every, every: repeat ? every : 0, run }) && last
    const globals = /** @type {any} */ (globalThis)
    Object.assign(globals, {
        setTimeout: add,
        setInterval: (/** @type {any} */ run, every = 0) => add(run, every, true),
        clearTimeout: (/** @type {number} */ id) => timers.delete(id),
        clearInterval: (/** @type {number} */ id) => timers.delete(id)
    })
    Date.now = () => now
    t.after(() => {
        Date.now = real.now
        Object.assign(globals, { ...real, now: undefined })
    })
    function runDue() {
        for (;;) {
            const [id, timer] = [...timers].sort(([, a], [, b]) => a.at - b.at)[0] ?? []
            if (!timer || timer.at > now) return
            if (timer.every) timer.at = Math.max(timer.at + timer.every, now + 1)
            else timers.delete(/** @type {number} */ (id))
            timer.run()
        }
    }
    return {
        pass(/** @type {number} */ seconds) {
            for (const end = now + seconds * 1000; now < end; ) {
                now = Math.min(end, now + 50)
                runDue()
            }
        },
        /** No timer runs meanwhile. */
        sleep(/** @type {number} */ seconds) {
            now += seconds * 1000
            runDue()
        }
    }
}

/** @param {import("node:test").TestContext} t @param {any} [call] */
function createProbe(t, call = async () => ({ ok: false, err: "denied" })) {
    const clock = fakeClock(t)
    const connection = createStore(/** @type {any} */ ({ phase: "ready" }))
    let take = (/** @type {any} */ _) => {}
    const watch = (/** @type {string} */ _, /** @type {any} */ reader) => {
        take = reader
        return { ready: Promise.resolve({ ok: true, text: "" }), stop() {} }
    }
    const statistics = new Statistics(/** @type {any} */ ({ prefix: "rpc", call, watch, connection }))
    const history = createHistory()
    const stop = statistics.samples.subscribe(() => {
        const { rows, interval } = statistics.samples.get(),
            last = history.last()?.at ?? 0
        rows.filter(row => row.at > last).forEach(row => history.add(row, interval))
    })
    t.after(() => {
        stop()
        statistics.end()
    })
    let calls = 1000
    return {
        clock,
        connection,
        statistics,
        stop,
        publish(/** @type {number} */ more, retained = false, since = 1) {
            calls += more
            const text = JSON.stringify({
                calls,
                errors: {},
                running: 0,
                waiting: 0,
                sum_s: 0,
                max_s: 1,
                buckets: [calls, ...Array(16).fill(0)],
                last_error: null,
                since
            })
            take({ topic: "$SYS/broker/rpc/rpc/method/m", text, retained })
        },
        restart: () => {
            calls = 0
        },
        rates: () =>
            columns(history.spans(), "m").calls.map(value => (value === null ? null : Math.round(value * 10) / 10)),
        interval: () => statistics.samples.get().interval
    }
}

test("each publication makes a rate; what was retained before the page came makes none", t => {
    const { clock, publish, rates, interval } = createProbe(t)
    publish(0, true)
    clock.pass(3)
    for (let each = 0; each < 5; each++) {
        publish(500)
        clock.pass(10)
    }
    assert.equal(interval(), 10)
    assert.deepEqual([...new Set(rates())], [50])
})

test("the interval is what is seen, shorter or longer than usual", t => {
    for (const seconds of [2, 60]) {
        const { clock, publish, rates, interval } = createProbe(t)
        publish(0, true)
        clock.pass(1)
        for (let each = 0; each < 12; each++) {
            publish(10 * seconds)
            clock.pass(seconds)
        }
        assert.ok(Math.abs(interval() - seconds) < 0.3, `${interval()}`)
        const settled = rates().slice(-6)
        assert.ok(
            settled.every(rate => rate !== null && Math.abs(rate - 10) < 1.5),
            `${seconds}: ${rates()}`
        )
    }
})

test("silence is no gap: nothing was called", t => {
    const { clock, publish, rates } = createProbe(t)
    publish(0, true)
    clock.pass(2)
    publish(100)
    clock.pass(10)
    publish(100)
    clock.pass(65)
    publish(200)
    clock.pass(1)
    const all = rates()
    assert.ok(!all.includes(null), `${all}`)
    assert.ok(Number(all.at(-1)) >= 13 && Number(all.at(-1)) <= 20, `${all}`)
    assert.ok(all.filter(rate => rate === 0).length >= 4, `${all}`)
})

test("a page that slept has a gap, and no rate of all that happened meanwhile", t => {
    const { clock, publish, rates } = createProbe(t)
    publish(0, true)
    clock.pass(2)
    for (let each = 0; each < 3; each++) {
        publish(100)
        clock.pass(10)
    }
    clock.sleep(300)
    clock.pass(4)
    publish(100000)
    clock.pass(10)
    publish(100)
    clock.pass(1)
    const all = rates()
    assert.ok(all.includes(null), `${all}`)
    assert.equal(all.at(-1), 10)
})

test("a lost connection has a gap, and another start of the broker no negative rate", t => {
    const { clock, publish, rates, connection, restart } = createProbe(t)
    publish(0, true)
    clock.pass(2)
    for (let each = 0; each < 3; each++) {
        publish(100)
        clock.pass(10)
    }
    connection.set({ phase: "waiting" })
    clock.pass(5)
    restart()
    connection.set({ phase: "ready" })
    clock.pass(1)
    publish(5, true, 2)
    clock.pass(4)
    publish(100, false, 2)
    clock.pass(10)
    publish(100, false, 2)
    clock.pass(1)
    const all = rates()
    assert.ok(all.includes(null), `${all}`)
    assert.ok(
        all.every(rate => rate === null || (rate >= 0 && rate <= 10)),
        `${all}`
    )
    assert.equal(all.at(-1), 10)
})

test("rpc.stats is called while somebody reads the samples and the page is seen, and not else", async t => {
    let asked = 0
    const { clock, stop } = createProbe(t, async () => ({
        ok: true,
        value: { methods: [{ method: "m", calls: ++asked }] }
    }))
    const globals = /** @type {any} */ (globalThis)
    t.after(() => delete globals.document)
    const askedIn = (/** @type {number} */ seconds) => {
        const before = asked
        clock.pass(seconds)
        return asked - before
    }
    assert.ok(askedIn(30) >= 4)
    globals.document = { visibilityState: "hidden" }
    assert.equal(askedIn(30), 0)
    globals.document.visibilityState = "visible"
    assert.ok(askedIn(30) >= 4)
    stop()
    assert.equal(askedIn(30), 0)
})
