// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * node world.mjs BUNDLE URL: runs the bundle of page.mjs where there is what a browser has, and nothing of Node.js.
 * Asks like check.mjs. Keepalives are not made by a worker, which there is none of.
 */
import { readFileSync } from "node:fs"
import { webcrypto } from "node:crypto"
import vm from "node:vm"
import { WebSocket } from "ws"

const [bundle, url] = process.argv.slice(2)
const world = { WebSocket, crypto: webcrypto, TextEncoder, TextDecoder, performance, setTimeout, clearTimeout,
                setInterval, clearInterval, queueMicrotask, AbortController, AbortSignal, URL, URLSearchParams, Event,
                EventTarget, Blob, console, atob, btoa, location: new URL("http://localhost/"), document: {},
                navigator: { userAgent: "", product: "" } }
world.window = world.self = world
world.globalThis = world
vm.createContext(world)
vm.runInContext(readFileSync(bundle, "utf8"), world)

function cut() {
    return new Promise(resolve => {
        console.log("ask cut")
        process.stdin.resume().once("data", () => resolve(process.stdin.pause().unref()))
    })
}

console.log(await world.page.run(url, cut, { timerVariant: "native" }))
