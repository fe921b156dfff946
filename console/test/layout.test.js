/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The folders of src depend one way only: a file imports from its own folder and from those below it. */
import assert from "node:assert/strict"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { dirname, join, posix, relative } from "node:path"
import { fileURLToPath } from "node:url"
import test from "node:test"

const SRC = join(dirname(fileURLToPath(import.meta.url)), "../src")
const MAY = {
    base: [],
    mqtt: ["base"],
    schema: ["base"],
    service: ["base", "mqtt"],
    view: ["base", "schema", "service"],
    rooms: ["base", "schema", "service", "view"],
    "": ["base", "service", "view", "rooms"]
}

const filesIn = folder =>
    readdirSync(folder).flatMap(name => {
        const path = join(folder, name)
        return statSync(path).isDirectory() ? filesIn(path) : /\.jsx?$/.test(name) ? [path] : []
    })
/* base/text.js belongs to base, rooms/live/index.jsx to rooms, app.jsx to the roof, which has no name. */
const folderOf = path => (path.includes("/") ? path.split("/")[0] : "")
const roomOf = path => (path.startsWith("rooms/") ? path.split("/")[1] : undefined)

/* Imports that run; those in comments are types, which cost nothing and bind nothing. */
const importsOf = text =>
    [...text.replace(/\/\*[\s\S]*?\*\//g, "").matchAll(/\b(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)].map(match => match[1])

const edges = filesIn(SRC).flatMap(file => {
    const from = relative(SRC, file).replaceAll("\\", "/")
    return importsOf(readFileSync(file, "utf8")).map(target => ({ from, to: posix.join(posix.dirname(from), target) }))
})

test("there are imports to check", () => assert.ok(edges.length > 20))

test("folders depend one way only", () => {
    const wrong = edges.filter(
        ({ from, to }) => folderOf(from) !== folderOf(to) && !MAY[folderOf(from)]?.includes(folderOf(to))
    )
    assert.deepEqual(wrong, [])
})

test("a room knows nothing of another room", () => {
    const wrong = edges.filter(({ from, to }) => roomOf(from) && roomOf(to) && roomOf(from) !== roomOf(to))
    assert.deepEqual(wrong, [])
})

test("files do not import each other in a circle", () => {
    const next = new Map()
    edges.forEach(({ from, to }) => next.set(from, [...(next.get(from) ?? []), to]))
    const visit = (file, path) => {
        assert.ok(!path.includes(file), `a circle: ${[...path, file].join(" > ")}`)
        next.get(file)?.forEach(target => visit(target, [...path, file]))
    }
    visit("main.js", [])
})
