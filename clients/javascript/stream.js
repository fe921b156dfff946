// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A bounded queue that is read as an async iterator. The reader has the stream; the writer has grant(), which says that
 * values come from now on, push(), skip() for a value that is lost, and end().
 */
import { localError } from "./error.js"

const DONE = { value: undefined, done: true }

/* onClose is called once, when the stream takes no more: the reader has left, or the writer has ended it. */
export function openStream(limit, onClose) {
    const queue = [], readers = []
    let isOpen = true, dropped = 0, failure, grant, refuse
    const ready = new Promise((resolve, reject) => {
        grant = resolve
        refuse = reject
    })
    ready.catch(() => {}) // next() fails, too

    function end(error) {
        if (!isOpen)
            return
        isOpen = false
        failure = error
        if (failure && readers.length)
            readers.shift().reject(takeFailure())
        readers.splice(0).forEach(reader => reader.resolve(DONE))
        refuse(error ?? localError("closed", "the stream has ended"))
        onClose()
    }

    function takeFailure() {
        const error = failure
        failure = undefined
        return error
    }

    function push(value) {
        if (readers.length)
            return readers.shift().resolve({ value, done: false })
        queue.push(value)
        if (queue.length > limit) {
            queue.shift()
            dropped++
        }
    }

    const stream = {
        ready,
        get dropped() {
            return dropped
        },
        next() {
            if (queue.length)
                return Promise.resolve({ value: queue.shift(), done: false })
            if (failure)
                return Promise.reject(takeFailure())
            if (!isOpen)
                return Promise.resolve(DONE)
            return new Promise((resolve, reject) => readers.push({ resolve, reject }))
        },
        return() {
            end()
            queue.length = 0
            failure = undefined
            return Promise.resolve(DONE)
        },
        throw(error) {
            stream.return()
            return Promise.reject(error)
        },
        [Symbol.asyncIterator]: () => stream
    }
    return { stream, grant, push, end, skip: () => dropped++ }
}
