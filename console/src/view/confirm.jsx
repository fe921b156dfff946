/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* A button that asks before it does something that cannot be taken back. */
import { useEffect, useRef, useState } from "preact/hooks"
import { Failure } from "./failure.jsx"
import { Button } from "./parts.jsx"

/** @typedef {import("preact").ComponentChildren} Children */

/**
 * @param {{label: string, icon?: string, question: Children, sure: string, busy?: boolean, disabled?: boolean,
 *          onConfirm: () => void}} props  question: what will happen; sure: the word of the button that does it
 */
export function Confirm({ label, icon, question, sure, busy, disabled, onConfirm }) {
    const [isAsked, setAsked] = useState(false)
    const group = useRef(/** @type {HTMLDivElement | null} */ (null))
    const wasAsked = useRef(false)
    useEffect(() => {
        if (isAsked !== wasAsked.current) [...(group.current?.querySelectorAll("button") ?? [])].pop()?.focus() // Cancel, or the button itself again
        wasAsked.current = isAsked
    }, [isAsked])
    const answer = (/** @type {boolean} */ isSure) => {
        setAsked(false)
        if (isSure) onConfirm()
    }
    return (
        <div
            class="confirm"
            ref={group}
            role={isAsked ? "group" : undefined}
            aria-label={isAsked ? label : undefined}
            onKeyDown={event => event.key === "Escape" && setAsked(false)}>
            {isAsked ? (
                <>
                    <span>{question}</span>
                    <Button kind="danger" onClick={() => answer(true)}>
                        {sure}
                    </Button>
                    <Button onClick={() => answer(false)}>Cancel</Button>
                </>
            ) : (
                <Button icon={icon} busy={busy} disabled={disabled} onClick={() => setAsked(true)}>
                    {label}
                </Button>
            )}
        </div>
    )
}

/**
 * The same where that is the call of a method: it says how the call failed.
 * @param {Omit<Parameters<typeof Confirm>[0], "busy" | "onConfirm"> & {service: import("../service/service.js").Service,
 *         method: string, params: any, onDone: () => void}} props  onDone: the call has succeeded
 */
export function ConfirmedCall({ service, method, params, onDone, ...others }) {
    const [{ isBusy, outcome }, setState] = useState(/** @type {{isBusy?: boolean, outcome?: any}} */ ({}))
    const catalogue = service.catalogue.get()
    async function act() {
        setState({ isBusy: true })
        const outcome = await service.call(method, params)
        setState({ outcome })
        if (outcome.ok) onDone()
    }
    return (
        <>
            <Failure
                outcome={outcome}
                catalogue={catalogue}
                method={catalogue.methods.find(({ name }) => name === method)}
            />
            <Confirm {...others} busy={isBusy} onConfirm={act} />
        </>
    )
}
