/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Builds the console: one file, src/page.html with all styles, all scripts, and the licences of the libraries in it.
 *
 *     node build.js [OUT]        OUT: build/console.html where none is given
 *
 * Brokers compress nothing on the way, so the page brings its style and its script compressed, and src/loader.js unpacks
 * them. The page's Content-Security-Policy names the loader and what comes out of it by their hashes: nothing else runs.
 * A page larger than LIMIT is an error. The same sources and the same Node.js make the same bytes: no time and no place is in it.
 */
import { createHash } from "node:crypto"
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { build, transform } from "esbuild"

const LIMIT = 150000
const TARGET = ["chrome100", "firefox100", "safari15.4"]
const FIRST_STYLES = ["tokens.css", "page.css", "parts.css", "form.css", "table.css"]

const root = dirname(fileURLToPath(import.meta.url))
const read = (...path) => readFileSync(join(root, ...path), "utf8")

async function buildScript() {
    const result = await build({
        absWorkingDir: root,
        entryPoints: ["src/main.js"],
        bundle: true,
        minify: true,
        write: false,
        metafile: true,
        format: "iife",
        target: TARGET,
        charset: "utf8",
        legalComments: "none",
        outfile: "console.js",
        jsx: "automatic",
        jsxImportSource: "preact",
        define: { VERSION: JSON.stringify(JSON.parse(read("package.json")).version) }
    })
    return { text: result.outputFiles[0].text.trim(), inputs: result.metafile.outputs["console.js"].inputs }
}

/* uPlot's own style, then src/style: what others build upon comes first, the files of rooms follow by name. */
async function buildStyle() {
    const rank = name => (FIRST_STYLES.includes(name) ? FIRST_STYLES.indexOf(name) : FIRST_STYLES.length)
    const names = readdirSync(join(root, "src/style"))
        .filter(name => name.endsWith(".css"))
        .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
    const files = [read("node_modules/uplot/dist/uPlot.min.css"), ...names.map(name => read("src/style", name))]
    const text = files.join("\n")
    return (await transform(text, { loader: "css", minify: true, target: TARGET, charset: "utf8" })).code.trim()
}

/* The libraries' licences ask that their texts come with every copy. Equal texts are printed once. */
function licences(inputs) {
    const texts = new Map()
    const names = Object.keys(inputs)
        .map(path => /node_modules\/([^@/][^/]*)/.exec(path)?.[1])
        .filter(Boolean)
    for (const name of [...new Set(names)].sort()) {
        const file = readdirSync(join(root, "node_modules", name)).find(entry => /^licen[cs]e/i.test(entry))
        if (!file) throw new Error(`${name} has no file with its licence`)
        const lines = read("node_modules", name, file)
            .split("\n")
            .map(line => line.trim())
        const owner = lines.find(line => /^copyright/i.test(line)) ?? ""
        const text = lines
            .filter(line => line && line !== owner && !/licen[cs]e(\s|\(|$)/i.test(line.slice(0, 30)))
            .join(" ")
            .replace(/\s+/g, " ")
        texts.set(text, [...(texts.get(text) ?? []), `${name}: ${owner}`])
    }
    return [...texts]
        .map(([text, owners]) => `${owners.join("\n")}\n${text}`)
        .join("\n\n")
        .replaceAll("--", "- -")
}

const hash = text => `'sha256-${createHash("sha256").update(text).digest("base64")}'`

async function assemble(style, script, notice) {
    const loader = (
        await transform(read("src/loader.js"), { minify: true, target: TARGET, format: "iife" })
    ).code.trim()
    const policy = [
        "default-src 'none'",
        `script-src ${hash(loader)} ${hash(script)}`,
        `style-src ${hash(style)}`,
        "connect-src 'self' ws: wss:",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'"
    ].join("; ")
    const pack = (/** @type {string} */ text) => gzipSync(text, { level: 9 }).toString("base64")
    const parts = { policy, loader, style: pack(style), script: pack(script), licences: notice }
    return read("src/page.html").replace(/\{\{(\w+)\}\}/g, (_, name) => parts[name])
}

/* src/view/table.jsx belongs to src/view, node_modules/preact/… to preact. */
function folderOf(path) {
    const library = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)
    if (library) return library[1]
    const parts = dirname(path).split("/")
    return parts.slice(0, parts[1] === "rooms" ? 3 : 2).join("/")
}

function report(inputs, style, page) {
    const sums = new Map([["src/style and uPlot's", Buffer.byteLength(style)]])
    for (const [path, { bytesInOutput }] of Object.entries(inputs))
        sums.set(folderOf(path), (sums.get(folderOf(path)) ?? 0) + bytesInOutput)
    for (const [name, bytes] of [...sums].sort((a, b) => b[1] - a[1]))
        console.log(`${String(bytes).padStart(8)}  ${name}`)
    const all = [...sums.values()].reduce((sum, bytes) => sum + bytes, 0)
    console.log(`${String(all).padStart(8)}  in all`)
    console.log(`${String(Buffer.byteLength(page)).padStart(8)}  compressed, of ${LIMIT}`)
}

const out = resolve(process.argv[2] ?? join(root, "build/console.html"))
const [{ text: script, inputs }, style] = await Promise.all([buildScript(), buildStyle()])
const page = await assemble(style, script, licences(inputs))
report(inputs, style, page)
if (Buffer.byteLength(page) > LIMIT) {
    console.error(`The page has ${Buffer.byteLength(page)} bytes; it may have ${LIMIT}.`)
    process.exit(1)
}
mkdirSync(dirname(out), { recursive: true })
writeFileSync(out, page)
console.log(`wrote ${relative(process.cwd(), out)}`)
