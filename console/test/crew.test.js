/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What the room Workers makes of rpc.workers. */
import assert from "node:assert/strict"
import { test } from "node:test"

import { unofferedOf, versionsOf } from "../src/rooms/workers/crew.js"

const worker = (id, more = {}) => ({
    id,
    client: id,
    methods: ["makeReport"],
    window: 4,
    outstanding: 0,
    calls: 0,
    errors: 0,
    refused: 0,
    lost: 0,
    again: 0,
    unknown: 0,
    leaving: false,
    since: 1,
    ...more
})

test("versions are counted, the newest first by its numbers", () => {
    const crew = [
        worker("a", { version: "1.9.0" }),
        worker("b", { version: "1.10.0" }),
        worker("c", { version: "1.9.0" })
    ]
    assert.deepEqual(versionsOf(crew), [
        ["1.10.0", 1],
        ["1.9.0", 2]
    ])
})

test("a worker that tells no version has an unknown one, and one version is no upgrade", () => {
    assert.deepEqual(versionsOf([worker("a"), worker("b", { version: "" })]), [["unknown", 2]])
    assert.deepEqual(versionsOf([]), [])
})

test("methods of workers alone that none offers are found, and no others", () => {
    const methods = [
        { name: "makeReport", placement: "remote" },
        { name: "render", placement: "remote" },
        { name: "spills", placement: "spill" },
        { name: "own", isDeclared: true },
        { name: "ping" }
    ]
    const names = crew => unofferedOf(methods, crew).map(method => method.name)
    assert.deepEqual(names([worker("a")]), ["render", "own"])
    assert.deepEqual(names([]), ["makeReport", "render", "own"])
    assert.deepEqual(names([worker("a", { methods: ["makeReport", "render", "own"], leaving: true })]), [
        "makeReport",
        "render",
        "own"
    ])
})
