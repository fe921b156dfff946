/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Where to connect to: what the page's address says after its # or ?, else console.json beside the page, else the page's
 * own server and folder. A page from a file has none, and asks.
 *
 *     #ws=ws://host:9001  ?ws=:9001&prefix=prod/rpc  #/methods?ws=…        console.json: {"ws": ":9001", "prefix": "rpc"}
 *
 * `:9001` is that port of the page's host; `/mqtt` and `mqtt` are places on the page's server.
 */
import { jsonOf } from "../base/exact.js"

const LOCAL = "ws://localhost:9001",
    PREFIX = "rpc"
const PATIENCE = 10000 // ms for console.json: without it the page may try the wrong place for good

/**
 * @typedef {{address: string, prefix: string, isKnown: boolean, fault: string}} Address isKnown: it was said somewhere, or is
 *           the page's own server. fault: what was said is no address, as a sentence
 */

/** @param {string} text after # or ? */
const queryOf = text =>
    new URLSearchParams(
        text.startsWith("#/") || text.startsWith("/") ? text.split("?").slice(1).join("?") : text.replace(/^[#?]/, "")
    )

/**
 * The address of a WebSocket, from what people write. Returns "" if it is none.
 * @param {string} text @param {{protocol: string, host: string, hostname: string, pathname: string}} page
 */
export function socketUrl(text, page) {
    const isFile = !/^https?:$/.test(page.protocol),
        scheme = page.protocol === "https:" ? "wss:" : "ws:"
    const server = isFile ? LOCAL : `${scheme}//${page.host}`
    const port = /^:(\d{1,5})(\/.*)?$/.exec(text)
    try {
        const url = port
            ? new URL(`${scheme}//${isFile ? "localhost" : page.hostname}:${port[1]}${port[2] ?? "/"}`)
            : new URL(
                  /^[\w.-]+:\d+(\/|$)/.test(text) ? `${scheme}//${text}` : text,
                  server + (isFile ? "/" : page.pathname)
              )
        url.protocol = url.protocol.replace(/^http/, "ws")
        url.hash = ""
        return /^wss?:$/.test(url.protocol) ? url.href : ""
    } catch {
        return ""
    }
}

/**
 * What console.json has; nothing where there is none: some servers give another page in its place.
 * @param {string} url of the page @param {typeof fetch} [load] @returns {Promise<any>}
 */
async function readConfiguration(url, load = globalThis.fetch) {
    const controller = new AbortController(),
        timer = setTimeout(() => controller.abort(), PATIENCE)
    try {
        const answer = await load(new URL("console.json", url).href, { signal: controller.signal, cache: "no-cache" })
        const text = answer.ok ? (await answer.text()).trim() : "",
            isPage = text.startsWith("<")
        return !text || isPage ? {} : (jsonOf(text) ?? { fault: "console.json, beside this page, is no JSON." })
    } catch {
        return {} // there is no server any more, or it does not answer
    } finally {
        clearTimeout(timer)
    }
}

/** @param {any} value */
const textOf = value => (typeof value === "string" ? value : "")

/**
 * @param {Location | URL} page
 * @param {typeof fetch} [load]
 * @returns {Promise<Address>}
 */
export async function findAddress(page, load) {
    const hash = queryOf(page.hash),
        search = queryOf(page.search),
        isFile = !/^https?:$/.test(page.protocol)
    const said = (/** @type {string} */ name) => hash.get(name) || search.get(name) || ""
    const isComplete = said("ws") && said("prefix")
    const file = isFile || isComplete ? {} : await readConfiguration(page.href, load)
    const ws = said("ws") || textOf(file?.ws),
        prefix = said("prefix") || textOf(file?.prefix) || PREFIX
    const broken = textOf(file?.fault),
        url = ws ? socketUrl(ws, page) : isFile ? LOCAL : socketUrl(".", page)
    return {
        address: url || LOCAL,
        prefix,
        isKnown: Boolean(url) && !broken && (Boolean(ws) || !isFile),
        fault: broken || url ? broken : `${ws.slice(0, 100)} is not the address of a WebSocket.`
    }
}
