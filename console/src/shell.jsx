/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The frame around the rooms: the list of rooms, the service's health, the connection, the theme, signing out. */
import { useEffect, useRef } from "preact/hooks"
import { plural, visible } from "./base/text.js"
import { link, useFailing, useNow, useRoute, useStore } from "./view/hooks.js"
import { Segmented } from "./view/form.jsx"
import { Icon } from "./view/icons.jsx"
import { Button, Notice } from "./view/parts.jsx"
import { changePlace, signOut } from "./session.js"
import { setTheme, theme } from "./theme.js"

/**
 * @typedef {import("./service/service.js").Service} Service
 * @typedef {{id: string, title: string, icon: string}} Entry
 */

const PATIENCE = 1.5 // s that a connection may be away before the page says so

export const Logo = ({ size = 32 }) => (
    <svg class="logo" width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
        <rect width="32" height="32" rx="8" />
        <path d="M9 12.5h11.5l-3.5-4M23 19.5H11.5l3.5 4" />
    </svg>
)

/** The host and the port of an address. @param {string} address */
export function hostOf(address) {
    try {
        return new URL(address).host
    } catch {
        return address
    }
}

/** Which service this is. @param {{service: Service, size?: number}} props */
const Brand = ({ service, size }) => (
    <div class="brand" title={`${service.prefix} at ${service.address}`}>
        <Logo size={size} />
        <div class="brand-name">
            <strong class="cut">{visible(service.prefix)}</strong>
            <small class="cut">{visible(hostOf(service.address))}</small>
        </div>
    </div>
)

/** @param {import("./service/service.js").Health | null} health */
export const problemCount = health => (health && !health.ok ? Math.max(1, health.problems.length) : 0)

/** @param {{service: Service}} props */
function Health({ service }) {
    const health = useStore(service.health)
    const isReady = useStore(service.connection, ({ phase }) => phase === "ready")
    const count = problemCount(health)
    const failing = useFailing(service)
    const tone = !isReady ? "warn" : count ? "bad" : failing ? "warn" : !health ? "neutral" : "good"
    const text = !isReady
        ? "Not connected"
        : count
          ? plural(count, "problem")
          : failing
            ? `${plural(failing, "method")} failed lately`
            : health
              ? "All is well"
              : "Health unknown"
    return (
        <a
            class={`health tone-${tone}`}
            href={link(["trouble"])}
            title={health?.problems.map(({ text }) => visible(text)).join("\n")}>
            <Icon name={!isReady ? "unlink" : count || failing ? "trouble" : health ? "good" : "info"} size={16} />
            <span>{text}</span>
        </a>
    )
}

/** @param {{rooms: Entry[], current: string, service: Service}} props */
function Rooms({ rooms, current, service }) {
    const count = problemCount(useStore(service.health))
    useRoute() // the links keep what the hash says of the service
    return (
        <nav class="rooms" aria-label="Rooms">
            {rooms.map(room => (
                <a key={room.id} href={link([room.id])} aria-current={room.id === current ? "page" : undefined}>
                    <Icon name={room.icon} />
                    <span>{room.title}</span>
                    {room.id === "trouble" && count > 0 && (
                        <span class="count tone-bad">
                            {count}
                            <span class="offscreen"> {count === 1 ? "problem" : "problems"}</span>
                        </span>
                    )}
                </a>
            ))}
        </nav>
    )
}

/** @type {Record<string, [tone: string, text: string]>} */
const CONNECTION = {
    ready: ["good", "Connected"],
    connecting: ["neutral", "Connecting …"],
    waiting: ["warn", "Connection lost"],
    refused: ["bad", "Refused"],
    ended: ["neutral", "Signed out"]
}

/** @param {{service: Service}} props */
function Connection({ service }) {
    const [tone, text] = CONNECTION[useStore(service.connection, ({ phase }) => phase)]
    return (
        <div class="side-line" title={service.address}>
            <span class={`dot tone-${tone}`} />
            <span class="cut">{text}</span>
        </div>
    )
}

/** @param {{service: Service}} props */
const User = ({ service }) => (
    <div class="side-line" title={service.user || undefined}>
        <Icon name="user" size={16} />
        <span class="cut">{visible(service.user) || "Guest"}</span>
    </div>
)

/**
 * Says that the connection is lost, and when it is tried again; it does not say so of a loss shorter than PATIENCE.
 * @param {{service: Service}} props
 */
function Lost({ service }) {
    const { phase, text, retryAt = 0 } = useStore(service.connection)
    const now = useNow(500)
    const since = useRef(0)
    if (phase === "ready") since.current = 0
    else since.current ||= now
    if (!since.current || now - since.current < PATIENCE) return null
    const wait = Math.ceil(retryAt - now)
    return (
        <div class="toast">
            <Notice
                tone="warn"
                title="The connection is lost"
                action={
                    phase === "waiting" && (
                        <Button small onClick={() => service.retry()}>
                            Try now
                        </Button>
                    )
                }>
                {phase === "waiting" && visible(text)}{" "}
                <span class="nowrap" aria-hidden="true">
                    {phase === "waiting" && wait > 0 ? `Trying again in ${wait} s.` : "Trying again …"}
                </span>
            </Notice>
        </div>
    )
}

/** Says that nothing answers at this prefix: all rooms would be empty. @param {{service: Service}} props */
function Silence({ service }) {
    const isSilent = useStore(
        service.catalogue,
        ({ phase, outcome }) => phase === "failed" && outcome?.err === "no_reply"
    )
    return isSilent ? (
        <div class="silence">
            <Notice
                tone="warn"
                title={`No service answers at the prefix ${visible(service.prefix)}`}
                action={
                    <>
                        <Button small icon="refresh" onClick={() => void service.reload()}>
                            Try again
                        </Button>
                        <Button small onClick={changePlace}>
                            Change the prefix
                        </Button>
                    </>
                }>
                Is the plugin loaded in this broker, is this its prefix, and may{" "}
                {service.user ? `the user ${visible(service.user)}` : "a guest"} get replies?
            </Notice>
        </div>
    ) : null
}

/** @type {[id: string, title: string, icon: string][]} */
const THEMES = [
    ["system", "As the system", "system"],
    ["light", "Light", "sun"],
    ["dark", "Dark", "moon"]
]

export const ThemeSwitch = () => (
    <Segmented
        icons
        label="Colours"
        value={useStore(theme)}
        onChange={setTheme}
        items={THEMES.map(([id, title, icon]) => ({
            id,
            title,
            label: (
                <>
                    <Icon name={icon} size={16} />
                    <span class="offscreen">{title}</span>
                </>
            )
        }))}
    />
)

/** @param {{service: Service}} props */
const Leave = ({ service }) =>
    service.user ? (
        <Button kind="quiet" icon="signout" title="Sign out" onClick={signOut} />
    ) : (
        <Button kind="quiet" icon="signin" title="Sign in with a name" onClick={signOut} />
    )

/** @param {{service: Service}} props */
const Foot = ({ service }) => (
    <>
        <Connection service={service} />
        <User service={service} />
        <div class="side-tools">
            <ThemeSwitch />
            <Leave service={service} />
        </div>
    </>
)

/** What the foot of the side bar has, where there is no side bar. @param {{service: Service}} props */
function Menu({ service }) {
    const menu = useRef(/** @type {HTMLDetailsElement | null} */ (null))
    useEffect(() => {
        /** @param {Event} event */
        const close = event => {
            const isInside = menu.current?.contains(/** @type {Node} */ (event.target))
            if (menu.current && (event instanceof KeyboardEvent ? event.key === "Escape" : !isInside))
                menu.current.open = false
        }
        addEventListener("pointerdown", close)
        addEventListener("keydown", close)
        return () => {
            removeEventListener("pointerdown", close)
            removeEventListener("keydown", close)
        }
    }, [])
    return (
        <details class="menu" ref={menu}>
            <summary aria-label="Connection, user and colours">
                <Icon name="more" />
            </summary>
            <div class="menu-body">
                <Foot service={service} />
            </div>
        </details>
    )
}

/** @param {{rooms: Entry[], current: string, service: Service, children: import("preact").ComponentChildren}} props */
export const Shell = ({ rooms, current, service, children }) => (
    <div class="shell">
        <a
            class="skip"
            href="#main"
            onClick={event => {
                event.preventDefault()
                document.getElementById("main")?.focus()
            }}>
            Skip to the content
        </a>
        <header class="side">
            <Brand service={service} />
            <Health service={service} />
            <Rooms rooms={rooms} current={current} service={service} />
            <div class="side-foot">
                <Foot service={service} />
            </div>
        </header>
        <header class="top">
            <Brand service={service} size={28} />
            <Health service={service} />
            <Menu service={service} />
        </header>
        <main class="main" id="main" tabIndex={-1}>
            <Silence service={service} />
            {children}
        </main>
        <div class="bottom">
            <Rooms rooms={rooms} current={current} service={service} />
        </div>
        <Lost service={service} />
    </div>
)
