/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Starts the console. */
import { h, render } from "preact"
import { App } from "./app.jsx"
import { begin } from "./session.js"
import { applyTheme } from "./theme.js"

applyTheme()
void begin()
render(h(App, null), /** @type {HTMLElement} */ (document.getElementById("app")))
