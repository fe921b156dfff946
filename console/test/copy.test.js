/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What "copy as" writes is run: by a shell, with programs that tell what they were given; and by Python, node and the
 * C compiler, with clients that do. */
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { fileURLToPath } from "node:url"
import { languages, quote } from "../src/rooms/methods/copy.js"

const folder = mkdtempSync(join(tmpdir(), "rpc-copy-"))
after(() => rmSync(folder, { recursive: true }))

const make = (id, call) =>
    languages
        .find(language => language.id === id)
        .make({
            prefix: "rpc",
            method: "echo",
            payload: "",
            batch: false,
            timeout: 10000,
            properties: [],
            progress: false,
            host: "localhost",
            port: 1883,
            tls: false,
            user: "",
            ...call
        })

const NASTY = [
    `{"a":"it's"}`,
    `{"a":"$HOME \`id\` $(id) \\\\ \\" ! \\n ?? %s %%"}`,
    `["ä😀\u2028","'''"]`,
    "'",
    "-5",
    "-",
    '"\\u0000\\ud800"',
    "",
    "{not json",
    "a\nb\r\nc\n",
    `{"__proto__":1,"class":{"null":null,"true":[true,false]},"a-b":[],"e":{}}`,
    "1.5e-7",
    "\u0001\u007f"
]
const BYTES = [
    new Uint8Array(),
    Uint8Array.from({ length: 256 }, (_, at) => at),
    new Uint8Array([0]),
    new Uint8Array([0xff, 0x30, 10])
]

/* ---- shells */

for (const program of ["mosquitto_rr", "mosquitto_rpc"])
    writeFileSync(
        join(folder, program),
        `#!/bin/sh
for word; do printf '%s\\0' "$word"; done >"$OUT"
case " $* " in *" --params - "*) cat >"$OUT.in" ;; esac
`,
        { mode: 0o755 }
    )

function shell(text) {
    const out = join(folder, "out")
    rmSync(`${out}.in`, { force: true })
    const done = spawnSync("sh", ["-c", text], {
        env: { PATH: `${folder}:${process.env.PATH}`, OUT: out, PASSWORD: "p w" }
    })
    assert.equal(done.status, 0, `${text}\n${done.stderr}`)
    const words = readFileSync(out, "utf8").split("\0").slice(0, -1)
    const after = option => words[words.indexOf(option) + 1]
    return { words, after, input: () => readFileSync(`${out}.in`) }
}

test("mosquitto_rr gets every payload as it is", () => {
    for (const payload of NASTY) {
        const { words, after } = shell(make("rr", { payload }))
        const given = words.includes("-n") ? "" : after("-m")
        try {
            assert.deepEqual(JSON.parse(given), JSON.parse(payload))
        } catch {
            assert.equal(given, payload)
        }
    }
    assert.ok(shell(make("rr", { payload: new Uint8Array() })).words.includes("-n"))
    assert.equal(shell(make("rr", { payload: new Uint8Array([0x41, 10, 0xc3, 0xa4]) })).after("-m"), "A\nä")
    for (const payload of BYTES.slice(1)) {
        // which no option of mosquitto_rr takes
        const { after, input } = shell(make("rr", { payload }))
        assert.deepEqual([after("--params"), ...input()], ["-", ...payload])
    }
})

test("mosquitto_rr gets the address, the reply's topic and the properties", () => {
    const { words, after } = shell(
        make("rr", {
            method: "device/it's $x/light",
            prefix: "a b/rpc",
            payload: "{}",
            user: "o'neil",
            host: "::1",
            port: 1884,
            tls: true,
            timeout: 1500,
            batch: true,
            properties: [
                ["offline", "queue"],
                ["ttl-ms", "60000"]
            ]
        })
    )
    assert.equal(after("-t"), "a b/rpc/batch/device/it's $x/light")
    assert.match(after("-i"), /^rr-\d+$/)
    assert.equal(after("-e"), `a b/rpc/reply/${after("-i")}/1`)
    assert.deepEqual(
        [after("-h"), after("-p"), after("-u"), after("-P"), after("-W")],
        ["::1", "1884", "o'neil", "p w", "3"]
    )
    assert.ok(words.includes("--tls-use-os-certs"))
    assert.match(
        words.join(" "),
        /-D publish user-property timeout-ms 1500 -D publish user-property offline queue -D publish user-property ttl-ms 60000 -h /
    )
})

test("mosquitto_rpc gets every payload as it is", () => {
    for (const payload of NASTY.filter(payload => payload !== "-")) {
        const { words, after } = shell(make("tool", { payload }))
        const given = words.includes("--params") ? after("--params") : ""
        try {
            assert.deepEqual(JSON.parse(given), JSON.parse(payload))
        } catch {
            assert.equal(given, payload)
        }
    }
    for (const payload of BYTES.slice(1)) {
        const { after, input } = shell(make("tool", { payload }))
        assert.equal(after("--params"), "-")
        assert.deepEqual([...input()], [...payload])
    }
    const { words, after } = shell(
        make("tool", {
            method: "device/lamp1/light",
            payload: "{}",
            progress: true,
            timeout: 2500,
            properties: [
                ["offline", "queue"],
                ["ttl-ms", "60000"]
            ]
        })
    )
    assert.deepEqual(
        [after("-W"), after("call"), after("--offline"), after("--ttl-ms")],
        ["2.5", "device/lamp1/light", "queue", "60000"]
    )
    assert.ok(words.includes("--progress"))
})

test("a word of a shell needs no quotes, or has them", () => {
    assert.equal(quote("rpc/call/x.y"), "rpc/call/x.y")
    for (const text of ["", "a b", "*", "~", "$x", "a;b", "#", "{a,b}", "a\nb", "é", "'"])
        assert.equal(spawnSync("sh", ["-c", `printf %s ${quote(text)}`]).stdout.toString(), text)
})

/* ---- programs */

writeFileSync(
    join(folder, "mosquitto_rpc.py"),
    `
import json, sys
class Client:
    def __init__(self, *args, **options): self.said = {"connection": [args, options]}
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def device(self, name): self.said["device"] = name; return self
    group = device
    def call(self, method, params=..., /, **options):
        self.said.update(method=method, options={name: str(value) for name, value in options.items()})
        self.said["params"] = None if params is ... else params.hex() if isinstance(params, bytes) else json.dumps(params)
        return json.dumps(self.said)
    call_batch = call
class sync: Client = Client
sys.modules["mosquitto_rpc.sync"] = sync
`
)

function python(call) {
    const done = spawnSync("python3", ["-c", make("python", call)], {
        env: { ...process.env, PYTHONPATH: folder, PASSWORD: "p w", PYTHONIOENCODING: "utf-8" }
    })
    assert.equal(done.status, 0, `${make("python", call)}\n${done.stderr}`)
    return JSON.parse(done.stdout.toString())
}

test("Python is given every payload as it is", () => {
    for (const payload of NASTY) {
        const { params } = python({ payload })
        try {
            JSON.parse(payload)
        } catch {
            assert.equal(params === null ? "" : Buffer.from(params, "hex").toString(), payload)
            continue
        }
        assert.deepEqual(JSON.parse(params), JSON.parse(payload))
    }
    for (const payload of BYTES.slice(1))
        assert.deepEqual([...Buffer.from(python({ payload }).params, "hex")], [...payload])
    assert.equal(python({ payload: '{"n":9007199254740993}' }).params, '{"n": 9007199254740993}')
    const { connection, device, method, options } = python({
        method: "device/lamp1/light",
        payload: "{}",
        user: "o'neil",
        prefix: "a/rpc",
        tls: true,
        timeout: 2500,
        progress: true,
        properties: [
            ["offline", "queue"],
            ["ttl-ms", "1500"]
        ]
    })
    assert.deepEqual(connection, [
        ["localhost", 1883],
        { username: "o'neil", password: "p w", tls: true, prefix: "a/rpc" }
    ])
    assert.deepEqual([device, method], ["lamp1", "light"])
    assert.deepEqual({ ...options, progress: "" }, { timeout: "2.5", offline: "queue", ttl: "1.5", progress: "" })
    assert.deepEqual(
        python({ method: "device/lamp1/light", payload: "[{}]", batch: true }).method,
        "device/lamp1/light"
    )
    assert.deepEqual(
        python({ method: "devices/hall/light", payload: "{}", properties: [["want", "2"]] }).options.want,
        "2"
    )
})

async function javascript(call) {
    const said = {}
    const client = {
        device: name => ((said.device = name), client),
        group: name => ((said.device = name), client),
        close: () => {},
        call: (method, params, options) => Object.assign(said, { method, params, options }),
        callBatch: (...args) => client.call(...args)
    }
    const text = make("javascript", call)
        .replace(/^import .*\n/, "")
        .replace("console.log(await", "void (await")
    const AsyncFunction = (async () => {}).constructor
    await new AsyncFunction("connect", "process", text)((...args) => ((said.connection = args), client), {
        env: { PASSWORD: "p w" }
    })
    return said
}

test("JavaScript is given every payload as it is", async () => {
    for (const payload of NASTY) {
        const { params } = await javascript({ payload })
        try {
            assert.deepEqual(params, JSON.parse(payload))
        } catch {
            assert.equal(params === undefined ? "" : Buffer.from(params).toString(), payload)
        }
    }
    for (const payload of BYTES.slice(1)) assert.deepEqual((await javascript({ payload })).params, payload)
    const exact = await javascript({ payload: '{"n":9007199254740993}' })
    assert.equal(Buffer.from(exact.params).toString(), '{"n":9007199254740993}')
    const { connection, device, method, options } = await javascript({
        method: "device/lamp1/light",
        payload: "{}",
        user: "o'neil",
        host: "::1",
        tls: true,
        prefix: "a/rpc",
        properties: [
            ["offline", "queue"],
            ["ttl-ms", "1500"]
        ]
    })
    assert.deepEqual(connection, ["mqtts://[::1]:1883", { username: "o'neil", password: "p w", prefix: "a/rpc" }])
    assert.deepEqual([device, method, options], ["lamp1", "light", { timeout: 10000, offline: "queue", ttl: 1500 }])
})

/* A client that writes the payload in hexadecimal. */
writeFileSync(
    join(folder, "mosquitto_rpc_client.h"),
    `
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
enum rpc_client_status { RPC_CLIENT_OK };
struct rpc_client_options { const char *host; int port; const char *username, *password; bool tls_os_certs; const char *prefix; };
#define RPC_CLIENT_DEFAULTS { .port = -1 }
struct rpc_client;
struct rpc_client_property { const char *name, *value; };
struct rpc_client_request { const char *method; bool is_batch; const char *payload; size_t size; int timeout_ms;
                            const struct rpc_client_property *properties; size_t property_count; };
struct rpc_client_reply { const char *err, *msg, *text; };
static inline enum rpc_client_status rpc_client_create(struct rpc_client **client, const struct rpc_client_options *options)
{ (void)client; (void)options; return RPC_CLIENT_OK; }
static inline enum rpc_client_status rpc_client_call(struct rpc_client *client, const struct rpc_client_request *request, struct rpc_client_reply *reply)
{
    (void)client;
    for (size_t at = 0; at < request->size; at++)
        printf("%02x", (unsigned char)request->payload[at]);
    for (size_t at = 0; at < request->property_count; at++)
        printf(" %s=%s", request->properties[at].name, request->properties[at].value);
    reply->text = request->method;
    printf(" ");
    return RPC_CLIENT_OK;
}
static inline void rpc_client_reply_clear(struct rpc_client_reply *reply) { (void)reply; }
static inline void rpc_client_destroy(struct rpc_client *client) { (void)client; }
`
)

function c(call) {
    writeFileSync(join(folder, "call.c"), make("c", call))
    const built = spawnSync("cc", [
        "-std=c11",
        "-Wall",
        "-Wextra",
        "-Wpedantic",
        "-Wtrigraphs",
        "-Werror",
        "-I",
        folder,
        "-o",
        join(folder, "call"),
        join(folder, "call.c")
    ])
    assert.equal(built.status, 0, `${make("c", call)}\n${built.stderr}`)
    return spawnSync(join(folder, "call")).stdout.toString().trim().split(" ")
}

const hasCompiler = spawnSync("cc", ["--version"]).status === 0

test("C sends every payload as it is", { skip: !hasCompiler && "there is no C compiler" }, () => {
    for (const payload of ["{not json", `{"a":"it's \\\\ \\" ?? ??/ %s"}`, "\u0001" + "7ä😀\n", BYTES[1]]) {
        const given = Buffer.from(c({ payload })[0], "hex")
        assert.deepEqual([...given], [...Buffer.from(payload)])
    }
    assert.deepEqual(
        c({
            method: "device/it's/x",
            payload: "{}",
            user: "a",
            tls: true,
            prefix: "b",
            batch: true,
            properties: [["offline", "queue"]]
        }),
        ["7b7d", "offline=queue", "device/it's/x"]
    )
    assert.deepEqual(c({}), ["echo"])
})

test("the header in clients/c has what the text uses", () => {
    const header = readFileSync(
        fileURLToPath(new URL("../../clients/c/mosquitto_rpc_client.h", import.meta.url)),
        "utf8"
    )
    const text = make("c", {
        payload: "{}",
        user: "a",
        tls: true,
        prefix: "b",
        batch: true,
        properties: [["offline", "queue"]]
    })
    for (const [name] of text.matchAll(/rpc_client_\w+|RPC_CLIENT_\w+|(?<=options\.|\{\.|, *\n? *\.|        \.)\w+/g))
        assert.ok(header.includes(name), name)
})
