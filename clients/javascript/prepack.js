// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Makes what the package has beside the sources: the CommonJS module for require(), its types, and the licence. */
import { copyFileSync, cpSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { buildSync } from "esbuild"

const at = name => fileURLToPath(new URL(name, import.meta.url))

buildSync({ entryPoints: [at("index.js")], outfile: at("index.cjs"), bundle: true, format: "cjs", platform: "node",
            target: "node18", external: ["mqtt"] })
copyFileSync(at("index.d.ts"), at("index.d.cts"))
copyFileSync(at("../../LICENSE"), at("LICENSE"))
cpSync(at("../../LICENSES"), at("LICENSES"), { recursive: true })
