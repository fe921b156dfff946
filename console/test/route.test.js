/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Places of the page: the hash of its address. */
import assert from "node:assert/strict"
import test from "node:test"
import { formatRoute, parseRoute } from "../src/view/hooks.js"

test("a hash has a room, a path and a query", () => {
    assert.deepEqual(parseRoute("#/methods/updateSensor?params=%7B%7D&tab=json"), {
        room: "methods",
        path: ["updateSensor"],
        query: { params: "{}", tab: "json" }
    })
    assert.deepEqual(parseRoute(""), { room: "", path: [], query: {} })
    assert.deepEqual(parseRoute("#/live/"), { room: "live", path: [], query: {} })
})

test("a hash without a room is a query", () => {
    assert.deepEqual(parseRoute("#ws=ws://host:9001&prefix=plant/rpc"), {
        room: "",
        path: [],
        query: { ws: "ws://host:9001", prefix: "plant/rpc" }
    })
})

test("what goes into a hash comes out of it", () => {
    for (const name of ["device/{device}/{command}", "a?b#c&d=e", "100%", 'Ö 温 "x"', "+ +"]) {
        const hash = formatRoute(["methods", name], { params: name, empty: "", none: undefined }, {})
        assert.deepEqual(parseRoute(hash), { room: "methods", path: [name], query: { params: name } }, hash)
    }
})

test("where the service is stays, the rest of the query goes", () => {
    const current = { ws: "ws://host:9001", prefix: "p", params: "{}" }
    assert.deepEqual(parseRoute(formatRoute("/live", {}, current)).query, { ws: "ws://host:9001", prefix: "p" })
    assert.equal(parseRoute(formatRoute("/live", { prefix: "q" }, current)).query.prefix, "q")
})

test("a hash that is not encoded well is taken as it is", () => {
    assert.deepEqual(parseRoute("#/methods/100%").path, ["100%"])
    assert.deepEqual(parseRoute("#/methods//a").path, ["a"])
})
