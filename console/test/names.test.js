/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
import assert from "node:assert/strict"
import { test } from "node:test"
import { document } from "./catalogue.js"
import { calledName, faultOfLevel, findMethod, levelsOf } from "../src/service/names.js"

test("a method is found by its declared name and by the name that is called", () => {
    for (const { name } of document.methods) {
        const found = findMethod(document.methods, name)
        assert.equal(found.method.name, name)
        assert.deepEqual(Object.keys(found.levels), levelsOf(name))
        assert.ok(Object.values(found.levels).every(level => level === ""))
    }
    const found = findMethod(document.methods, "device/lamp1/light")
    assert.equal(found.method.name, "device/{device}/{command}")
    assert.deepEqual(found.levels, { device: "lamp1", command: "light" })
    assert.equal(calledName(found.method.name, found.levels), "device/lamp1/light")
    assert.equal(calledName(found.method.name, { device: "", command: "x" }), "device/{device}/x")
    assert.equal(findMethod(document.methods, "nothing"), undefined)
    assert.equal(findMethod(document.methods, "device/lamp1"), undefined)
})

test("a level is one of a topic", () => {
    for (const level of ["lamp1", "*", "ä b", "x".repeat(128)]) assert.equal(faultOfLevel(level), "")
    for (const level of ["", "a/b", "+", "#", "a\nb", "ä".repeat(65)]) assert.notEqual(faultOfLevel(level), "")
})
