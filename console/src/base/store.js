/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A store: one value, and functions that are called when it has changed.
 *
 * Notifications are put together: however often a value is set, its subscribers are called at most once per animation
 * frame, and read the newest value then. In a page that is hidden, where no frames come, a timer takes their place.
 */

/**
 * @template T
 * @typedef {{get: () => T, set: (value: T) => void, update: (change: (value: T) => T) => void,
 *            subscribe: (changed: () => void) => () => void}} Store
 */

const HIDDEN_DELAY = 250 // ms

/** @type {Set<() => void>} */
const due = new Set()
let isScheduled = false

function flush() {
    if (!isScheduled) return
    isScheduled = false
    const tellers = [...due]
    due.clear()
    tellers.forEach(tell => tell())
}

/** A fault of one subscriber keeps nothing from the others. @param {() => void} act */
function attempt(act) {
    try {
        act()
    } catch (fault) {
        console.error(fault)
    }
}

/** @param {() => void} tell */
function schedule(tell) {
    due.add(tell)
    if (isScheduled) return
    isScheduled = true
    if (typeof requestAnimationFrame === "function") requestAnimationFrame(flush)
    setTimeout(flush, typeof requestAnimationFrame === "function" ? HIDDEN_DELAY : 0)
}

/**
 * @template T
 * @param {T} value
 * @returns {Store<T>}
 */
export function createStore(value) {
    /** @type {Set<() => void>} */
    const subscribers = new Set()
    const tell = () => [...subscribers].forEach(changed => subscribers.has(changed) && attempt(changed))

    /** @param {T} next */
    function set(next) {
        if (Object.is(next, value)) return
        value = next
        schedule(tell)
    }
    return {
        get: () => value,
        set,
        update: change => set(change(value)),
        subscribe(changed) {
            const own = () => changed()
            subscribers.add(own)
            return () => {
                subscribers.delete(own)
            }
        }
    }
}
