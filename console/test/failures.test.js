/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What the room Trouble makes of rpc.recent and of the statistics. */
import assert from "node:assert/strict"
import { test } from "node:test"

import {
    KEPT_MAX,
    groupFailures,
    isFamilyOf,
    isFound,
    mergeCalls,
    noteErrors,
    paramsOf,
    paramsOfLetter
} from "../src/rooms/trouble/failures.js"

const call = (at, more = {}) => ({
    at,
    method: "updateSensor",
    caller: "meter1",
    status: "sensor_full",
    bytes: 20,
    waited_s: 0,
    ran_s: at / 1e6,
    ...more
})

/* The groups, where the statistics have these methods, and had those before. */
function grouped(calls, methods, earlier = {}) {
    const lasts = new Map()
    noteErrors(lasts, earlier)
    noteErrors(lasts, methods)
    return groupFailures(mergeCalls([], calls), methods, lasts)
}

test("a call that is told of twice is known once, also when its time was worked out anew", () => {
    const known = mergeCalls([], [call(3), call(2)])
    assert.equal(known.length, 2)
    assert.equal(mergeCalls(known, [{ ...call(3), at: 3.00001 }, call(2)]), known)
    assert.deepEqual(
        mergeCalls(known, [call(4)]).map(one => one.at),
        [4, 3, 2]
    )
})

test("alike calls of one answer are as many as they are", () => {
    const alike = [call(1, { ran_s: 0 }), call(1, { ran_s: 0 })]
    const known = mergeCalls([], alike)
    assert.equal(known.length, 2)
    assert.equal(mergeCalls(known, alike), known)
})

test("the oldest of too many calls go", () => {
    const many = Array.from({ length: KEPT_MAX }, (_, i) => call(i + 1))
    const known = mergeCalls(mergeCalls([], many), [call(KEPT_MAX + 1)])
    assert.equal(known.length, KEPT_MAX)
    assert.equal(known[0].at, KEPT_MAX + 1)
    assert.equal(known.at(-1).at, 2)
})

test("failures are grouped by method and error, the last one first", () => {
    const groups = grouped(
        [call(10), call(9, { caller: "meter2" }), call(5, { status: "timeout" }), call(11, { method: "ping" })],
        {}
    )
    assert.deepEqual(
        groups.map(group => [group.method, group.err, group.count]),
        [
            ["ping", "sensor_full", 1],
            ["updateSensor", "sensor_full", 2],
            ["updateSensor", "timeout", 1]
        ]
    )
    assert.deepEqual(
        groups[1].calls.map(one => one.caller),
        ["meter1", "meter2"]
    )
    assert.equal(groups[0].at, 11 + 11 / 1e6)
    assert.equal(groups[1].msg, "")
})

test("the statistics add their count, their message, and failures that are older", () => {
    const last_error = { at: 10, err: "sensor_full", msg: "no room for 4 more" }
    const [full, timeout, ...none] = grouped([call(10)], {
        updateSensor: { errors: { sensor_full: 34, timeout: 2, gone: 0 }, since: 1, last_error },
        ping: { errors: {}, last_error: null }
    })
    assert.deepEqual([full.count, full.msg, full.since], [34, "no room for 4 more", 1])
    assert.deepEqual([timeout.count, timeout.err, timeout.at, timeout.msg], [2, "timeout", undefined, ""])
    assert.deepEqual(none, [])
})

test("messages of earlier statistics are not forgotten when another error follows", () => {
    const counts = (at, err, msg) => ({
        updateSensor: { errors: { sensor_full: 1, timeout: 1 }, last_error: { at, err, msg } }
    })
    const groups = grouped([call(10)], counts(12, "timeout", "too late"), counts(10, "sensor_full", "no room"))
    assert.deepEqual(
        groups.map(group => [group.err, group.at, group.msg]),
        [
            ["timeout", 12, "too late"],
            ["sensor_full", 10.00001, "no room"]
        ]
    )
})

test("messages are remembered when the broker has started anew, and counts nothing", () => {
    const last_error = { at: 10, err: "sensor_full", msg: "no room" }
    const [group] = grouped([call(10)], {}, { updateSensor: { errors: { sensor_full: 9 }, last_error } })
    assert.deepEqual([group.count, group.msg], [1, "no room"])
})

test("statistics that are behind do not take calls away", () => {
    const methods = { updateSensor: { errors: { sensor_full: 1 }, since: 1, last_error: null } }
    assert.equal(grouped([call(10), call(9)], methods)[0].count, 2)
})

test("a family's last message belongs to the call that ended then", () => {
    const methods = {
        "device/{device}/{command}": {
            errors: { device_offline: 9 },
            last_error: { at: 10.1, err: "device_offline", msg: "lamp1 is offline" }
        }
    }
    const at = (time, method) => call(time, { method, status: "device_offline" })
    const groups = grouped([at(10, "device/lamp1/light"), at(3, "device/lamp2/light")], methods)
    assert.deepEqual(
        groups.map(group => [group.method, group.count, group.msg]),
        [
            ["device/lamp1/light", 1, "lamp1 is offline"],
            ["device/lamp2/light", 1, ""]
        ]
    )
})

test("families have as many levels as their members", () => {
    assert.ok(isFamilyOf("device/{ device }/{ command }", "device/lamp1/light"))
    assert.ok(!isFamilyOf("device/{ device }/{ command }", "device/lamp1"))
    assert.ok(!isFamilyOf("device/{ device }/{ command }", "devices/lamp1/light"))
    assert.ok(!isFamilyOf("ping", "ping"))
})

test("names that objects have by nature are names like others", () => {
    const groups = grouped([call(1, { method: "__proto__", status: "constructor" })], {
        toString: { errors: {}, last_error: null }
    })
    assert.deepEqual(
        groups.map(group => [group.method, group.err]),
        [["__proto__", "constructor"]]
    )
})

test("a filter's words are found in any of the names", () => {
    assert.ok(isFound(call(1), ""))
    assert.ok(isFound(call(1), "SENSOR meter1"))
    assert.ok(isFound({ ...call(1), err: "sensor_full" }, "full"))
    assert.ok(!isFound({ ...call(1), err: "sensor_full" }, "full meter2"))
})

test("parameters are those of a payload that was kept whole", () => {
    assert.equal(paramsOf({ ...call(1), payload: '{"a":1}' }), '{"a":1}')
    assert.equal(paramsOf({ ...call(1), payload: '{"a":' }), undefined)
    assert.equal(paramsOf(call(1)), undefined)
    assert.equal(paramsOf(undefined), undefined)
})

test("the message of a family's member stays when the family's last error is another's", () => {
    const lasts = new Map(),
        known = mergeCalls([], [call(10, { method: "device/lamp1/light", status: "device_offline", ran_s: 0 })])
    const counts = (at, msg) => ({
        "device/{device}/{command}": {
            errors: { device_offline: 2 },
            since: 1,
            last_error: { at, err: "device_offline", msg }
        }
    })
    const told = methods => (noteErrors(lasts, methods), groupFailures(known, methods, lasts)[0].msg)
    assert.equal(told(counts(10.1, "not connected")), "not connected")
    assert.equal(told(counts(20, "of another one")), "not connected")
})

test("last messages are kept of so many errors, and no more", () => {
    const lasts = new Map()
    for (let at = 0; at < 5000; at++)
        noteErrors(lasts, { m: { errors: {}, last_error: { at, err: `e${at}`, msg: "" } } })
    assert.ok(lasts.size <= 2000)
})

test("the parameters of a dead letter keep all digits", () => {
    assert.equal(
        paramsOfLetter('{"id":"1","params":{"big":9007199254740993,"x":[1.50]}}'),
        '{"big":9007199254740993,"x":[1.5]}'
    )
    assert.equal(paramsOfLetter('{"id":"1","payload":"AA=="}'), undefined)
    assert.equal(paramsOfLetter(), undefined)
})
