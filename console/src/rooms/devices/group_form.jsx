/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The form that makes a group, or gives it other members. */
import { useState } from "preact/hooks"
import { faultOfLevel } from "../../service/names.js"
import { Failure } from "../../view/failure.jsx"
import { Field, TextArea, TextInput } from "../../view/form.jsx"
import { Button } from "../../view/parts.jsx"

/** @param {{service: any, name?: string, members: string[],
 *  onDone: (name: string) => void}} props */
export function GroupForm({ service, name: given, members, onDone }) {
    const [name, setName] = useState(given ?? ""),
        [text, setText] = useState(members.join("\n"))
    const [outcome, setOutcome] = useState(/** @type {any} */ (null))
    const names = [...new Set(text.split(/\s+/).filter(Boolean))]
    const badName = faultOfLevel(name),
        isTried = outcome !== null
    const send = async (/** @type {Event} */ event) => {
        event.preventDefault()
        setOutcome({ ok: true })
        if (badName || !names.length) return
        const outcome = await service.call("device.group.set", { group: name, devices: names })
        setOutcome(outcome)
        if (outcome.ok) onDone(name)
    }
    return (
        <form class="stack device-form" onSubmit={send} noValidate>
            {!given && (
                <Field label="Name" required error={isTried && badName}>
                    <TextInput value={name} autocomplete="off" onChange={setName} />
                </Field>
            )}
            <Field
                label="Devices"
                required
                error={isTried && !names.length && "A group has at least one device."}
                hint={`One name in each line.${given ? "" : " Those that you have chosen in the table are here."}`}>
                <TextArea mono value={text} onChange={setText} />
            </Field>
            <Failure outcome={outcome} />
            <div>
                <Button type="submit">{given ? "Change its members" : "Make the group"}</Button>
            </div>
        </form>
    )
}
