/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What the page says when it cannot be unpacked. */
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { test } from "node:test"
import { runInNewContext } from "node:vm"
import { gzipSync } from "node:zlib"
import { until } from "./fake_broker.js"

const LOADER = readFileSync(new URL("../src/loader.js", import.meta.url), "utf8")
const packed = text => gzipSync(text).toString("base64")

/* A document as far as the loader knows one. run: what the script does to it. */
function load({
    style = packed("a{}"),
    script = packed("run"),
    run = document => {
        document.isDrawn = true
    },
    ...globals
} = {}) {
    const texts = { style, script }
    const document = {
        body: { textContent: "" },
        added: [],
        isDrawn: false,
        getElementById: name =>
            name === "app" ? { hasChildNodes: () => document.isDrawn } : { content: { textContent: texts[name] } },
        createElement: name => ({ name }),
        head: {
            append(element) {
                document.added.push(element)
                if (element.name === "script") run(document)
            }
        }
    }
    runInNewContext(LOADER, { document, atob, Blob, Response, DecompressionStream, Uint8Array, ...globals })
    return document
}

test("style and script are unpacked, in this order", async () => {
    const document = load()
    await until(() => document.isDrawn)
    assert.deepEqual(document.added, [
        { name: "style", textContent: "a{}" },
        { name: "script", textContent: "run" }
    ])
    assert.equal(document.body.textContent, "")
})

test("what is wrong is said", async () => {
    const said = async how => {
        const document = load(how)
        return until(() => document.body.textContent)
    }
    assert.match(await said({ DecompressionStream: undefined }), /too old/)
    assert.match(await said({ script: packed("x".repeat(1000)).slice(0, 20) }), /not arrived whole/)
    assert.match(await said({ style: "{}" }), /not arrived whole/)
    assert.match(await said({ run: () => {} }), /does not run/)
})
