/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The session of the page: the service that the rooms talk to; or where to connect to, and why there is no connection. */
import { createStore } from "./base/store.js"
import { findAddress } from "./service/address.js"
import { Service } from "./service/service.js"
import { navigate, route } from "./view/hooks.js"

/**
 * @typedef {{address: string, prefix: string, user: string, password: string}} Credentials
 *
 * @typedef {object} Session
 * @property {"looking" | "form" | "trying" | "in"} phase looking: for the address; trying: to connect
 * @property {Service | null} service
 * @property {{address: string, prefix: string}} place
 * @property {string} text why the form is there, or what keeps the connection from being made
 * @property {boolean} isSilent no user name was given yet: the page tries without one
 * @property {boolean} needsName and that was refused
 * @property {boolean} isAsked where to connect to is in question
 */

/** @type {Session} */
const START = {
    phase: "looking",
    service: null,
    place: { address: "", prefix: "rpc" },
    text: "",
    isSilent: true,
    needsName: false,
    isAsked: false
}
export const session = createStore(START)

/** Finds the broker, and tries to come in without a name where it is known. */
export async function begin() {
    const { address, prefix, isKnown, fault } = await findAddress(location)
    const place = { address, prefix }
    if (isKnown && !fault) signIn({ ...place, user: "", password: "" }, true)
    else session.set({ ...START, phase: "form", place, text: fault, isSilent: false, isAsked: !!fault })
}

/**
 * Connects. The page changes when the broker has let the user in.
 * @param {Credentials} credentials
 * @param {boolean} [isSilent] no user name was given yet: a refusal brings the form, and no error
 */
export function signIn({ address, prefix, user, password }, isSilent = false) {
    session.get().service?.end()
    const service = new Service({ address, prefix, user, password })
    const { needsName } = session.get()
    session.set({ ...START, phase: "trying", service, place: { address, prefix }, isSilent, needsName })
    service.connection.subscribe(() => follow(service))
    follow(service)
}

/** @param {Service} service */
function follow(service) {
    const current = session.get(),
        { phase, text } = service.connection.get()
    if (current.service !== service) return
    const needsName = phase === "refused" && current.isSilent && current.phase === "trying"
    if (phase === "refused" || phase === "ended") leave(needsName ? "" : text, needsName || current.needsName)
    else if (current.phase === "trying" && phase === "ready") enter(current)
    else if (current.phase === "trying" && phase === "waiting") session.set({ ...current, text })
}

/** @param {Session} current */
function enter(current) {
    const { room, path, query } = route()
    const { address, prefix } = current.place
    session.set({ ...current, phase: "in", text: "" })
    if (!current.isSilent)
        // so that a reloaded page, or a copied address, leads to the same service
        navigate([room || "methods", ...path], { ...query, ws: address, prefix }, { replace: true })
}

/** @param {string} text @param {boolean} needsName @param {boolean} [isAsked] */
function leave(text, needsName, isAsked = false) {
    const { service, place } = session.get()
    session.set({ phase: "form", service: null, place, text, isSilent: false, needsName, isAsked })
    service?.end()
}

/** Ends the connection, and shows the form. */
export const signOut = () => leave("", session.get().needsName)

/** The same, where another broker or prefix is wanted. */
export const changePlace = () => leave("", session.get().needsName, true)
