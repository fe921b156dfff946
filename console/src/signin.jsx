/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The sign-in screen: user name and password, and under a disclosure where the broker is. */
import { useEffect, useRef, useState } from "preact/hooks"
import { visible } from "./base/text.js"
import { Field, TextInput } from "./view/form.jsx"
import { useNow, useStore } from "./view/hooks.js"
import { Button, Notice, Spinner } from "./view/parts.jsx"
import { session, signIn, signOut } from "./session.js"
import { hostOf, Logo, ThemeSwitch } from "./shell.jsx"

/** @typedef {import("./service/service.js").Service} Service */

/** Why the user is not signed in, and when the page tries again. @param {{service: Service | null, text: string}} props */
function Refusal({ service, text }) {
    const now = useNow(1000)
    const { phase, retryAt = 0 } = service ? service.connection.get() : { phase: "ended" }
    const wait = Math.max(0, Math.ceil(retryAt - now))
    return (
        <Notice
            tone="bad"
            title={service ? "The broker cannot be reached" : "You could not be signed in"}
            action={
                phase === "waiting" && (
                    <Button small onClick={() => service?.retry()}>
                        Try now
                    </Button>
                )
            }>
            {visible(text, 500)}
            {service && (
                <div class="muted" aria-hidden="true">
                    {phase === "waiting" && wait > 0 ? `Trying again in ${wait} s` : "Trying again …"}
                </div>
            )}
        </Notice>
    )
}

/** Where the broker is. @param {{isOpen: boolean, address: string, field: (name: string) => any}} props */
const Place = ({ isOpen, address, field }) => (
    <details open={isOpen}>
        <summary>
            <span>
                Broker <span class="mono">{visible(address, 60)}</span>
            </span>
        </summary>
        <div class="stack">
            <Field label="Address" hint="of the broker's listener for WebSockets">
                <TextInput {...field("address")} mono inputMode="url" required />
            </Field>
            <Field label="Prefix" hint="of the service's topics, as the broker's option prefix sets it">
                <TextInput {...field("prefix")} mono autocapitalize="none" />
            </Field>
        </div>
    </details>
)

/**
 * Whether the broker is on another host than the page. A link can say so, and the user shall see where the password goes.
 * @param {string} address
 */
const isElsewhere = address =>
    location.protocol !== "file:" && address !== "" && hostOf(address).replace(/:\d+$/, "") !== location.hostname

/** @param {{place: {address: string, prefix: string}, isBusy: boolean, isAsked: boolean, needsName: boolean}} props */
function SignInForm({ place, isBusy, isAsked, needsName }) {
    const element = useRef(/** @type {HTMLFormElement | null} */ (null))
    const [form, setForm] = useState({ ...place, username: "", password: "" })
    /** @param {string} name */
    const field = name => ({
        name,
        value: /** @type {any} */ (form)[name],
        onChange: (/** @type {string} */ text) => setForm(form => ({ ...form, [name]: text }))
    })
    /** Reads the form itself: what a browser fills in by itself may come without events. @param {Event} event */
    function submit(event) {
        event.preventDefault()
        const data = new FormData(/** @type {HTMLFormElement} */ (element.current))
        /** @param {string} name */
        const text = name => String(data.get(name) ?? "")
        signIn({
            address: text("address").trim(),
            prefix: text("prefix").trim() || "rpc",
            user: text("username"),
            password: text("password")
        })
    }
    useEffect(() => {
        if (matchMedia("(pointer: fine)").matches)
            // elsewhere a keyboard would cover the form
            element.current?.querySelector("input")?.focus()
    }, [])
    const isGuest = !needsName && !form.username && !form.password
    return (
        <form onSubmit={submit} ref={element}>
            <Field label="User name">
                <TextInput {...field("username")} autocomplete="username" autocapitalize="none" />
            </Field>
            <Field label="Password">
                <TextInput {...field("password")} type="password" autocomplete="current-password" />
            </Field>
            <Place isOpen={isAsked} address={form.address} field={field} />
            <Button type="submit" kind="primary" busy={isBusy}>
                {isGuest ? "Continue as a guest" : "Sign in"}
            </Button>
        </form>
    )
}

/** @param {{address: string, canLeave: boolean}} props */
const Connecting = ({ address, canLeave }) => (
    <div class="signin-wait" role="status">
        <Spinner />
        <span>
            Connecting{" "}
            {address && (
                <>
                    to <span class="mono">{visible(address)}</span>
                </>
            )}{" "}
            …
        </span>
        {canLeave && (
            <Button small onClick={signOut}>
                Sign in with a name
            </Button>
        )}
    </div>
)

export function SignIn() {
    const { phase, place, text, isSilent, service, needsName, isAsked } = useStore(session)
    const isLooking = phase === "looking" || (phase === "trying" && isSilent && !text)
    return (
        <main class="signin">
            <div class="signin-card">
                <div class="brand">
                    <Logo size={40} />
                    <div class="brand-name">
                        <h1>mosquitto-rpc</h1>
                        <small>console</small>
                    </div>
                </div>
                {isLooking ? (
                    <Connecting address={place.address} canLeave={phase === "trying"} />
                ) : (
                    <>
                        {!text && needsName && <p class="muted">This broker asks for a user name and a password.</p>}
                        {text && <Refusal service={service} text={text} />}
                        <SignInForm
                            place={place}
                            isBusy={phase === "trying" && !text}
                            isAsked={isAsked || (!!text && !!service) || isElsewhere(place.address)}
                            needsName={needsName}
                        />
                    </>
                )}
            </div>
            <div class="signin-foot">
                <span>What you enter goes to the broker alone.</span>
                <ThemeSwitch />
            </div>
        </main>
    )
}
