/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A call as text for a shell or a program. Whatever the payload is, it arrives byte for byte, or as the same JSON. The
 * password is never in it: it is the environment's variable PASSWORD.
 */
import { Numeral, parse, write } from "../../base/exact.js"

/**
 * @typedef {object} Call
 * @property {string} prefix
 * @property {string} method       as it is called
 * @property {string | Uint8Array} payload  JSON, or bytes; empty: nothing
 * @property {boolean} batch
 * @property {number} timeout      ms
 * @property {[string, string][]} properties  further user properties
 * @property {boolean} progress    show interim replies
 * @property {string} host
 * @property {number} port
 * @property {boolean} tls
 * @property {string} user         "": none
 */

const encoder = new TextEncoder(),
    string = JSON.stringify

/** @param {(string | number | false)[]} parts */
const list = (...parts) => parts.filter(Boolean).join(", ")

/** The value of a payload, if it is JSON. @param {Call} call @returns {ReturnType<typeof parse>} */
const jsonOf = ({ payload }) => (typeof payload === "string" ? parse(payload) : { why: "bytes" })

/** The payload's bytes, JSON on one line. @param {Call} call */
function bytesOf(call) {
    const { value, why } = jsonOf(call),
        text = why === undefined ? write(value) : call.payload
    return typeof text === "string" ? encoder.encode(text) : text
}

/** @param {Uint8Array} bytes @param {RegExp} plain characters that stand for themselves */
const escaped = (bytes, plain) =>
    Array.from(bytes, byte => {
        const character = String.fromCharCode(byte)
        return plain.test(character) ? character : `\\${byte.toString(8).padStart(3, "0")}`
    }).join("")

const PLAIN = /[ -!#->@-[\]-~]/ // all but " ? \ and what is no printable ASCII

// ---- shells

/** A word of a POSIX shell. @param {string} text */
export const quote = text => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replace(/'/g, "'\\''")}'`)

/**
 * A command: its words in lines, with the address.
 * @param {Call} call
 * @param {(string | false)[]} lines
 */
function command({ host, port, user, tls }, lines) {
    return lines
        .concat(
            `-h ${quote(host)} -p ${port}${user && ` -u ${quote(user)} -P "$PASSWORD"`}${tls ? " --tls-use-os-certs" : ""}`
        )
        .filter(Boolean)
        .join(" \\\n    ")
}

/** The payload as text; undefined: it cannot be a word of a command. @param {Call} call */
function wordOf(call) {
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytesOf(call))
    return /[\0\ufffd]/.test(text) ? undefined : text
}

/** mosquitto_rr takes no file and no standard input. @param {Call} call @returns {string} */
const rr = (call, word = wordOf(call)) =>
    word === undefined
        ? `# mosquitto_rr cannot send these bytes, mosquitto_rpc can:\n${tool(call)}`
        : command(call, [
              `mosquitto_rr -V 5 -q 1 -t ${quote(`${call.prefix}/${call.batch ? "batch" : "call"}/${call.method}`)}`,
              word ? `-m ${quote(word)}` : "-n",
              `-i rr-$$ -e ${quote(`${call.prefix}/reply/`)}rr-$$/1 -W ${Math.ceil(call.timeout / 1000) + 1}`,
              ...[["timeout-ms", `${call.timeout}`], ...call.properties].map(
                  ([name, value]) => `-D publish user-property ${name} ${quote(value)}`
              )
          ])

/** @param {Call} call @returns {string} */
const tool = (call, word = wordOf(call)) =>
    (word === undefined ? `printf '${escaped(bytesOf(call), /\w/)}' | ` : "") +
    command(call, [
        `mosquitto_rpc call ${quote(call.method)}`,
        word === undefined ? "--params -" : word && `--params ${quote(word)}`,
        [
            `-W ${call.timeout / 1000}`,
            ...call.properties.map(([name, value]) => `--${name} ${quote(value)}`),
            call.batch ? "--batch" : call.progress && "--progress",
            call.prefix !== "rpc" && `--prefix ${quote(call.prefix)}`
        ]
            .filter(Boolean)
            .join(" ")
    ])

// ---- programs

/** Whether a value has a number of which the literal is another one, or none. @param {any} value @param {RegExp} exact @returns {boolean} */
const isBeyond = (value, exact) =>
    value instanceof Numeral
        ? !exact.test(value.text)
        : value !== null && typeof value === "object" && Object.values(value).some(inner => isBeyond(inner, exact))

/** @param {any} value */
const literal = value => (write(value).length > 70 ? write(value, "    ").replace(/\n/g, "\n    ") : write(value))

/** The client, or one of its devices or groups, and the rest of the method's name. @param {string} method @param {boolean} isWhole */
function callee(method, isWhole) {
    const [, kind, name, command] = /^(device|devices)\/([^/]+)\/(.+)$/s.exec(isWhole ? "" : method) ?? []
    return kind
        ? [`client.${kind === "device" ? "device" : "group"}(${string(name)})`, string(command)]
        : ["client", string(method)]
}

/** Properties as options: their names without -ms. @param {Call} call @param {string} mark @param {number} ms of the unit */
const options = ({ properties }, mark, ms) =>
    properties.map(
        ([name, value]) =>
            `${name.replace("-ms", "")}${mark}${name.endsWith("-ms") ? Number(value) / ms : /^\d+$/.test(value) ? value : string(value)}`
    )

/** @param {Call} call */
function python(call) {
    const { value, why } = jsonOf(call),
        { batch, user, prefix } = call,
        [client, name] = callee(call.method, batch)
    const params =
        why === undefined && !isBeyond(value, /^-?\d+$/)
            ? literal(value).replace(
                  /"(?:[^"\\]|\\.)*"|null|true|false/g,
                  token =>
                      /** @type {Record<string, string>} */ ({ null: "None", true: "True", false: "False" })[token] ??
                      token
              )
            : call.payload.length && `b"${escaped(bytesOf(call), /[ -!#-[\]-~]/)}"`
    const isGroup = client.startsWith("client.g")
    return `${user && "import os\n"}from mosquitto_rpc import sync

with sync.Client(${list(
        string(call.host),
        call.port,
        user && `username=${string(user)}, password=os.environ["PASSWORD"]`,
        call.tls && "tls=True",
        prefix !== "rpc" && `prefix=${string(prefix)}`
    )}) as client:
    print(${client}.call${batch ? "_batch" : ""}(${list(
        name,
        params || "",
        `timeout=${call.timeout / 1000}`,
        ...(batch ? [] : options(call, "=", 1000)),
        call.progress && !batch && !isGroup && "progress=print"
    )}))
`
}

/** @param {Call} call */
function javascript(call) {
    const { value, why } = jsonOf(call),
        { host, batch, user, prefix } = call,
        [client, name] = callee(call.method, false)
    const params =
        why === undefined && !isBeyond(value, /^$/) && !write(value).includes('"__proto__"')
            ? literal(value)
            : typeof call.payload === "string"
              ? call.payload && `new TextEncoder().encode(${string(call.payload)})`
              : `new Uint8Array([${call.payload.join(", ")}])`
    const connection = list(
        user && `username: ${string(user)}, password: process.env.PASSWORD`,
        prefix !== "rpc" && `prefix: ${string(prefix)}`
    )
    return `import { connect } from "mosquitto-rpc"

const client = await connect(${list(
        string(`mqtt${call.tls ? "s" : ""}://${host.includes(":") ? `[${host}]` : host}:${call.port}`),
        connection && `{ ${connection} }`
    )})
console.log(await ${client}.call${batch ? "Batch" : ""}(${name}, ${params || "undefined"}, { ${list(
        `timeout: ${call.timeout}`,
        ...options(call, ": ", 1),
        call.progress && !batch && "progress: console.log"
    )} }))
await client.close()
`
}

/** A string of C. @param {string} text */
const literalOfC = text => `"${escaped(encoder.encode(text), PLAIN)}"`

/** The members of a client's options in C, with their values. @param {Call} call */
const clientOfC = ({ host, port, user, tls, prefix }) =>
    [
        `host = ${literalOfC(host)}`,
        `port = ${port}`,
        user && `username = ${literalOfC(user)}`,
        user && 'password = getenv("PASSWORD")',
        tls && "tls_os_certs = true",
        prefix !== "rpc" && `prefix = ${literalOfC(prefix)}`
    ].filter(Boolean)

/** The members of a request in C, with their values. @param {Call} call */
function requestOfC(call) {
    const bytes = bytesOf(call),
        { method, batch, timeout, properties } = call
    return [
        `.method = ${literalOfC(method)}`,
        batch && ".is_batch = true",
        bytes.length && `.payload = "${escaped(bytes, PLAIN)}", .size = ${bytes.length}`,
        `.timeout_ms = ${timeout}`,
        properties.length && `.properties = properties, .property_count = ${properties.length}`
    ].filter(Boolean)
}

/** @param {Call} call */
function c(call) {
    const { properties } = call
    return `/* cc call.c $(pkg-config --cflags --libs mosquitto_rpc_client) */
#include <mosquitto_rpc_client.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    struct rpc_client_options options = RPC_CLIENT_DEFAULTS;
${clientOfC(call)
    .map(setting => `    options.${setting};\n`)
    .join("")}    struct rpc_client *client = NULL;
    if (rpc_client_create(&client, &options) != RPC_CLIENT_OK)
        return 1;
${
    properties.length
        ? `    const struct rpc_client_property properties[] = {${properties
              .map(([name, value]) => `{"${name}", ${literalOfC(value)}}`)
              .join(", ")}};\n`
        : ""
}    const struct rpc_client_request request = {
        ${requestOfC(call).join(",\n        ")}};
    struct rpc_client_reply reply;
    const enum rpc_client_status status = rpc_client_call(client, &request, &reply);
    if (status == RPC_CLIENT_OK)
        printf("%s\\n", reply.text);
    else
        fprintf(stderr, "%s: %s\\n", reply.err, reply.msg);
    rpc_client_reply_clear(&reply);
    rpc_client_destroy(client);
    return status;
}
`
}

/** @type {{id: string, label: string, make: (call: Call) => string}[]} */
export const languages = [
    { id: "rr", label: "mosquitto_rr", make: rr },
    { id: "tool", label: "mosquitto_rpc", make: tool },
    { id: "python", label: "Python", make: python },
    { id: "javascript", label: "JavaScript", make: javascript },
    { id: "c", label: "C", make: c }
]
