/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* A method's call, or its batch, as code for another client. */
import { calledName } from "../../service/names.js"
import { Field, Segmented, TextInput } from "../../view/form.jsx"
import { plural } from "../../base/text.js"
import { useStore } from "../../view/hooks.js"
import { Code } from "../../view/parts.jsx"
import { languages } from "./copy.js"
import { fromHex, propertiesOf, rowsOf } from "./state.js"

/**
 * @typedef {import("./state.js").State} State
 * @typedef {import("./state.js").Page} Page
 * @typedef {import("./state.js").Method} Method
 * @typedef {import("./state.js").Service} Service
 */

const TIMEOUT = 10000 // ms, that of the service

/** Whether it is the call or the batch that is copied. @param {{page: Page, count: number, onChange: (some: Partial<Page>) => void}} props */
const What = ({ page, count, onChange }) => (
    <Segmented
        label="What is copied"
        value={page.isBatchCopied ? "batch" : "call"}
        onChange={id => onChange({ isBatchCopied: id === "batch" })}
        items={[
            { id: "call", label: "The call" },
            { id: "batch", label: `The batch of ${plural(count, "call")}` }
        ]}
    />
)

/** What code is made of. @param {Service} service @param {ReturnType<State["target"]["get"]>} target @param {Method} method @param {Page} page @param {boolean} batch */
const callOf = (service, target, method, { text, isHex, levels, options, batch: calls }, batch) => ({
    prefix: service.prefix,
    method: calledName(method.name, levels),
    payload: batch ? calls : isHex ? (fromHex(text) ?? text) : text,
    batch,
    timeout: Number(options.timeout) || method.timeoutMs || TIMEOUT,
    properties: propertiesOf(options),
    progress: !!method.progress,
    host: target.host || "localhost",
    port: Number(target.port) || 1883,
    tls: target.tls,
    user: service.user
})

/**
 * @param {{state: State, service: Service, page: Page, method: Method, language: string,
 *          onLanguage: (id: string) => void, onChange: (some: Partial<Page>) => void}} props
 */
export function CopyAs({ state, service, page, method, language, onLanguage, onChange }) {
    const target = useStore(state.target)
    const count = rowsOf(page).rows.length,
        batch = count > 0 && page.isBatchCopied
    const { make } = languages.find(({ id }) => id === language) ?? languages[0]
    const set = (/** @type {object} */ change) => state.target.set({ ...target, ...change })
    return (
        <>
            {count > 0 && <What page={page} count={count} onChange={onChange} />}
            <Segmented label="Language" items={languages} value={language} onChange={onLanguage} />
            <div class="fields">
                <Field label="Host">
                    <TextInput value={target.host} onChange={host => set({ host })} />
                </Field>
                <Field label="Port of MQTT over TCP">
                    <TextInput value={target.port} inputMode="numeric" onChange={port => set({ port })} />
                </Field>
            </div>
            <Code text={make(callOf(service, target, method, page, batch))} copy="the text" />
            <p class="muted small">
                {service.user && "The password is not in it: put it into the environment variable PASSWORD. "}
                {language === "tool"
                    ? "mosquitto_rpc comes with the plugin."
                    : language === "rr"
                      ? "mosquitto_rr is in the package mosquitto-clients."
                      : "The client is in the folder clients of mosquitto-rpc."}
            </p>
        </>
    )
}
