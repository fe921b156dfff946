// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A browser with one page at a time, which is spoken to in lines of JSON: {"id", "do": NAME, …} is answered by
 * {"id", "value"} or {"id", "error"}. browser.py is the other side.
 *
 *     node page.js BROWSER chromium|firefox
 *
 * What is looked for is found as a person would: {"role", "name"} or {"text"}, and only if it is seen; `within` is looked
 * for first, `exact` takes the whole name. Commands wait for what they look for. A click that would meet something else,
 * since the page has moved meanwhile, is kept from the page and made again.
 */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { createInterface } from "node:readline"
import puppeteer from "puppeteer-core"

const [executablePath, kind = "chromium"] = process.argv.slice(2)
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")
const PAUSE = 40 // ms between two looks
const PATIENCE = 10000 // ms

const browser = await puppeteer.launch({
    executablePath, browser: kind === "firefox" ? "firefox" : "chrome", headless: true, protocolTimeout: 60000,
    args: kind === "firefox" ? [] : ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--force-color-profile=srgb"]
})
let context, page, faults = []

/* Runs in the page. Returns the elements that fit, the innermost of those that a text is in. */
function find({ role, name, text, exact, within, nth }) {
    const ROLES = {
        button: "button,summary,input[type=submit]", link: "a[href]", heading: "h1,h2,h3,h4", checkbox: "input[type=checkbox]",
        textbox: "input:not([type]),input[type=text],input[type=search],input[type=password],input[type=number],input[type=url],textarea",
        combobox: "select", row: "tr", cell: "td", table: "table", alert: "", tab: "", radio: "input[type=radio]", region: "section[aria-label],section[aria-labelledby]",
        main: "main", navigation: "nav", img: "svg[role=img],img", status: "output", list: "ul,ol", listitem: "li", switch: "", option: "option"
    }
    const flat = value => (value ?? "").replace(/\s+/g, " ").trim()
    const isSeen = element => element.checkVisibility({ visibilityProperty: true, checkOpacity: false })
        && element.getClientRects().length > 0 && !element.closest("[aria-hidden=true]")
    const textOf = element => flat(element.innerText ?? element.textContent)
    const byIds = ids => ids.split(/\s+/).map(id => document.getElementById(id)?.textContent ?? "").join(" ")
    function nameOf(element) {
        const label = element.getAttribute("aria-labelledby"), own = element.getAttribute("aria-label")
        const said = own ?? (label ? byIds(label) : element.labels?.length ? [...element.labels].map(one => one.textContent).join(" ") : "")
        return flat(said || (/^(INPUT|SELECT|TEXTAREA)$/.test(element.tagName) ? element.placeholder : element.textContent) || element.title)
    }
    const fits = value => exact ? value === flat(name) : value.toLowerCase().includes(flat(name).toLowerCase())
    const root = within ? find(within)[0] : document.body
    if (!root)
        return []
    let found
    if (role) {
        const all = [...root.querySelectorAll([`[role=${role}]`, ROLES[role]].filter(Boolean).join())]
        found = all.filter(one => (one.getAttribute("role") ?? role) === role && isSeen(one) && (name === undefined || fits(nameOf(one)))
                                  && (text === undefined || textOf(one).includes(flat(text))))
    } else {
        const wanted = flat(text), has = one => exact ? textOf(one) === wanted : textOf(one).includes(wanted)
        const all = [root, ...root.querySelectorAll("*")].filter(one => isSeen(one) && has(one))
        found = all.filter(one => !all.some(other => other !== one && one.contains(other)))
    }
    return nth === undefined ? found : found.slice(nth, nth + 1)
}

/* What a test is told of an element. */
function describe(element) {
    const { x, y, width, height } = element.getBoundingClientRect()
    return { text: element.innerText ?? element.textContent, value: element.value, checked: element.checked, disabled: element.disabled,
             tag: element.tagName.toLowerCase(), selected: element.getAttribute("aria-selected") ?? element.getAttribute("aria-current"),
             focused: element === document.activeElement, x, y, width, height }
}

const SOURCE = `(${find})`
const evaluate = source => page.evaluate(source)
const findAll = spec => evaluate(`${SOURCE}(${JSON.stringify(spec)}).map(${describe})`)

async function until(look, patience, what) {
    for (const end = Date.now() + patience;;) {
        let value, fault
        try {
            value = await look()
        } catch (error) {
            if (!/context|navigat|detached|clickable|destroyed|realm/i.test(error.message))
                throw error
            fault = error // the page changes right now
        }
        if (value && !fault)
            return value
        if (Date.now() > end)
            throw new Error(`${what} has not come within ${patience} ms${fault ? ` (${fault.message})` : ""}. The page shows:\n${await shown()}`)
        await new Promise(resolve => setTimeout(resolve, PAUSE))
    }
}
const shown = async () => {
    try {
        return `${await evaluate("location.href")}\n${(await evaluate("document.body.innerText")).slice(-3000)}\n${faults.join("\n")}`
    } catch (error) {
        return String(error)
    }
}

/* An element of the page as a handle. */
async function handleOf({ spec, patience = PATIENCE }) {
    await until(async () => (await findAll(spec)).some(one => !one.disabled), patience, JSON.stringify(spec))
    const handle = await page.evaluateHandle(`${SOURCE}(${JSON.stringify(spec)}).find(one => !one.disabled)`)
    return handle.asElement()
}

/* Run in the page, before and after a click: what does not meet the element, or its label, never arrives. */
function guard(element) {
    const targets = [element, ...element.labels ?? []], types = ["pointerdown", "mousedown", "pointerup", "mouseup", "click"]
    const watch = event => {
        const isMet = targets.some(one => one.contains(event.target))
        if (!isMet && event.isTrusted) {
            event.preventDefault()
            event.stopImmediatePropagation()
        }
        if (event.type === "click")
            window.guarded.isMet ||= isMet
    }
    types.forEach(type => window.addEventListener(type, watch, true))
    window.guarded = { isMet: false, end: () => types.forEach(type => window.removeEventListener(type, watch, true)) }
}
function unguard() {
    window.guarded?.end()
    return window.guarded?.isMet ?? true // the click has led to another page
}

async function clickOnce(how) {
    const handle = await handleOf(how)
    if (!handle)
        return false
    await handle.evaluate(guard)
    await handle.click()
    return evaluate(`(${unguard})()`).catch(() => true) // it leads to another page
}
const click = how => until(() => clickOnce(how), PATIENCE, `a click on ${JSON.stringify(how.spec)}`)

const commands = {
    async open({ url, width = 1280, height = 800, theme = "light" }) {
        await commands.close()
        context = await browser.createBrowserContext()
        page = await context.newPage()
        faults = []
        page.on("console", message => message.type() === "error" && faults.push(`console: ${message.text()} ${message.location()?.url ?? ""}`))
        page.on("pageerror", error => faults.push(`page: ${error?.stack ?? error}`))
        await commands.size({ width, height })
        await commands.theme({ theme })
        await page.goto(url)
    },
    async close() {
        await context?.close()
        context = page = undefined
    },
    size: ({ width, height }) => page.setViewport({ width, height }),
    async theme({ theme }) {
        if (kind === "chromium")
            await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }, { name: "prefers-reduced-motion", value: "reduce" }])
    },
    go: ({ hash }) => evaluate(`location.hash = ${JSON.stringify(hash)}`),
    reload: () => page.reload(),
    find: ({ spec }) => findAll(spec),
    wait: ({ spec, patience = PATIENCE }) => until(async () => (await findAll(spec))[0], patience, JSON.stringify(spec)),
    gone: ({ spec, patience = PATIENCE }) => until(async () => (await findAll(spec)).length === 0, patience, `the end of ${JSON.stringify(spec)}`),
    true: ({ source, patience = PATIENCE }) => until(() => evaluate(source), patience, source),
    click,
    async fill(how) {
        await click(how)
        await page.keyboard.down("Control")
        await page.keyboard.press("a")
        await page.keyboard.up("Control")
        await page.keyboard.press("Backspace")
        await page.keyboard.type(how.value)
    },
    choose: async how => (await handleOf(how)).select(how.value),
    async press({ keys }) {
        for (const key of keys)
            await (key.startsWith("Shift+") ? page.keyboard.down("Shift").then(() => page.keyboard.press(key.slice(6)))
                .then(() => page.keyboard.up("Shift")) : page.keyboard.press(key))
    },
    type: ({ text }) => page.keyboard.type(text),
    focused: () => evaluate(`[document.activeElement].map(${describe})[0]`),
    text: () => evaluate("document.body.innerText"),
    evaluate: ({ source }) => evaluate(source),
    shot: ({ path, full = false }) => page.screenshot({ path, fullPage: full }).then(() => path),
    async check() {
        await evaluate(axe)
        const { violations } = await evaluate(`axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]})`)
        return violations.map(({ id, help, nodes }) => `${id}: ${help}\n` + nodes.slice(0, 3).map(({ html, failureSummary }) =>
            `    ${html.slice(0, 200)}\n    ${failureSummary.replace(/\s+/g, " ").slice(0, 300)}`).join("\n"))
    },
    faults: () => faults.splice(0)
}

for await (const line of createInterface({ input: process.stdin })) {
    const { id, do: name, ...how } = JSON.parse(line)
    let answer
    try {
        answer = { id, value: await commands[name](how) ?? null }
    } catch (error) {
        answer = { id, error: error.message }
    }
    process.stdout.write(JSON.stringify(answer) + "\n")
}
await browser.close()
