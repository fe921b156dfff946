/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* For tests: the methods and commands of docs/openrpc.json, each with the schema of its parameters. */
import { readFileSync } from "node:fs"
import { modelOf } from "../src/schema/model.js"

export const document = JSON.parse(readFileSync(new URL("../../docs/openrpc.json", import.meta.url), "utf8"))

const commands = Object.values(document["x-devices"]).flatMap(kind => kind.commands)

export const schemaOf = method =>
    method["x-mqtt"].payload === "value"
        ? method.params[0].schema
        : {
              type: "object",
              properties: Object.fromEntries(method.params.map(param => [param.name, param.schema])),
              required: method.params.filter(param => param.required).map(param => param.name),
              ...(method["x-mqtt"].strict ? { additionalProperties: false } : {})
          }

export const modelOfMethod = method =>
    modelOf(document, schemaOf(method), method["x-mqtt"].payload === "value" ? method.params[0].name : "")

export const methods = [...document.methods, ...commands]
