/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Light, dark, or as the system is; the only thing that the console keeps in this browser for good. */
import { createStore } from "./base/store.js"

const KEY = "mosquitto-rpc-theme"
const prefersDark = matchMedia("(prefers-color-scheme: dark)")

function stored() {
    try {
        return localStorage.getItem(KEY) ?? "system"
    } catch {
        return "system" // a browser that keeps nothing for pages from files
    }
}

/** @type {import("./base/store.js").Store<string>} */
export const theme = createStore(stored())

export function applyTheme() {
    const chosen = theme.get(),
        isDark = chosen === "dark" || (chosen !== "light" && prefersDark.matches)
    document.documentElement.dataset.theme = isDark ? "dark" : "light"
    dispatchEvent(new Event("themechange"))
}

/** @param {string} chosen "system", "light" or "dark" */
export function setTheme(chosen) {
    theme.set(chosen)
    try {
        localStorage.setItem(KEY, chosen)
    } catch {
        // then it holds for as long as the page is open
    }
    applyTheme()
}

prefersDark.addEventListener("change", applyTheme)
