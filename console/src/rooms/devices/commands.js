/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The commands that may be offered for devices, and what goes with a command. */

/** @typedef {import("../../service/discovery.js").Method} Method */
/** @typedef {import("../../service/discovery.js").DeviceKind} DeviceKind */
/** @typedef {{name: string, method?: Method}} Command   method: of a command that is declared */
/** @typedef {{kind?: string, commands?: string[]}} Taker   a device: its kind, and what its hello names */
/** @typedef {{offline: string, ttl: string, timeout: string}} Options   times in seconds; "": nobody has set them */

/** The commands for devices: those that are declared for the kinds among them, for any kind if none has named its own;
 *  of a single device those that its hello names, and no others.
 *  @param {DeviceKind[]} kinds @param {Taker[]} devices @returns {Command[]} */
export function commandsFor(kinds, devices) {
    const names = devices.length === 1 ? devices[0].commands : undefined
    const present = new Set(devices.flatMap(({ kind }) => kind ?? []))
    const isAny = !names && !present.size
    /** @type {Map<string, Command>} */
    const commands = new Map(names?.map(name => [name, { name }]))
    for (const { commands: declared } of kinds.filter(({ name }) => isAny || present.has(name)))
        for (const method of declared) {
            const name = method.name.replace(/.*\//, "") // device/{device}/light is the command light
            if (!names || commands.has(name)) commands.set(name, { name, method })
        }
    return [...commands.values()]
}

/** @param {string} text of seconds */
export const secondsFault = text => (text && !(Number(text) > 0) ? "A number of seconds above 0." : "")

/** Seconds as whole milliseconds. @param {string} seconds */
const ms = seconds => Math.max(1, Math.round(Number(seconds) * 1000))

const PACE = 10 // ms for each member: the service sends a hundred commands a second to groups

/** What service.call() takes for a command, to a device or to a group of so many members. The deadline is what the
 *  command declares, also of a group's call, which the service says of commands alone; of a large group, what its
 *  pace needs.
 *  @param {{options: Options, method?: Method}} order @param {number} [members] */
export function callOptions({ options: { offline, ttl, timeout }, method }, members = 0) {
    const own = method?.timeoutMs ?? 10000,
        needed = own + members * PACE
    return {
        timeout: timeout ? ms(timeout) : needed > 2 * own ? needed : method?.timeoutMs,
        properties: {
            ...(offline !== "fail" && { offline }),
            ...(members && offline === "wait" && { want: "all" }),
            ...(offline === "queue" && ttl && { "ttl-ms": `${ms(ttl)}` })
        }
    }
}
