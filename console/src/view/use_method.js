/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The result of a method as a room shows it, see service/poll.js. */
import { useEffect, useMemo, useReducer } from "preact/hooks"
import { Poll, UNASKED } from "../service/poll.js"

/**
 * @typedef {import("../service/poll.js").Polled & {reload: () => void}} MethodResult
 *
 * @param {import("../service/service.js").Service} service
 * @param {string} method
 * @param {any} [params] are compared as JSON
 * @param {{every?: number, when?: boolean}} [how] every: ms; when: false as long as it is not to be called
 * @returns {MethodResult}
 */
export function useMethod(service, method, params, { every = 0, when = true } = {}) {
    const [, render] = useReducer(count => count + 1, 0)
    const poll = useMemo(
        () => new Poll(service, method, params, every),
        [service, method, JSON.stringify(params), every]
    )
    useEffect(() => {
        if (!when) return undefined
        const stopReading = poll.store.subscribe(() => render(undefined)),
            stop = poll.start()
        return () => {
            stopReading()
            stop()
        }
    }, [poll, when])
    return { ...(when ? poll.store.get() : UNASKED), reload: poll.reload }
}
