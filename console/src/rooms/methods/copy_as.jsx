/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* A method's call as code, for another client. */
import { calledName } from "../../service/names.js"
import { Field, Segmented, TextInput } from "../../view/form.jsx"
import { useStore } from "../../view/hooks.js"
import { Code } from "../../view/parts.jsx"
import { languages } from "./copy.js"
import { fromHex, propertiesOf } from "./state.js"

/**
 * @typedef {import("./state.js").State} State
 * @typedef {import("./state.js").Page} Page
 * @typedef {import("./state.js").Method} Method
 * @typedef {import("./state.js").Service} Service
 */

const TIMEOUT = 10000 // ms, that of the service

/**
 * @param {{state: State, service: Service, page: Page, method: Method, language: string,
 *          onLanguage: (id: string) => void}} props
 */
export function CopyAs({ state, service, page, method, language, onLanguage }) {
    const target = useStore(state.target),
        { text, isHex, levels, options } = page
    const { make } = languages.find(({ id }) => id === language) ?? languages[0]
    const set = (/** @type {object} */ change) => state.target.set({ ...target, ...change })
    const code = make({
        prefix: service.prefix,
        method: calledName(method.name, levels),
        payload: isHex ? (fromHex(text) ?? text) : text,
        batch: false,
        timeout: Number(options.timeout) || method.timeoutMs || TIMEOUT,
        properties: propertiesOf(options),
        progress: !!method.progress,
        host: target.host || "localhost",
        port: Number(target.port) || 1883,
        tls: target.tls,
        user: service.user
    })
    return (
        <>
            <Segmented label="Language" items={languages} value={language} onChange={onLanguage} />
            <div class="fields">
                <Field label="Host">
                    <TextInput value={target.host} onChange={host => set({ host })} />
                </Field>
                <Field label="Port of MQTT over TCP">
                    <TextInput value={target.port} inputMode="numeric" onChange={port => set({ port })} />
                </Field>
            </div>
            <Code text={code} copy="the text" />
            <p class="hint">
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
