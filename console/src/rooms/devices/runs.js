/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Sends a command to a device, to several, or to a group, and keeps the verdicts of this run as they fill in. */
import { parse } from "../../base/exact.js"
import { callOptions } from "./commands.js"
import { filterOf, read } from "./presence.js"
import { applyEvents, applyReply, endVerdicts, startVerdicts, toRepeat, verdictOf } from "./verdicts.js"

/** @typedef {import("./verdicts.js").Verdicts} Verdicts */
/** @typedef {{group?: string, key: string, devices: string[]}} Target   key: which runs take each other's place */
/** @typedef {{command: string, payload: string, options: import("./commands.js").Options,
 *     method?: import("./commands.js").Method}} Order */
/** @typedef {{order: Order, verdicts: Verdicts, isRunning: boolean, outcome?: any, at: number,
 *     stop: () => void}} Run */

const WIDTH = 16 // single calls that are under way at once
const KEPT = 20 // runs that are kept

/** The events of commands. @param {{prefix: string}} service */
export const commandEvents = ({ prefix }) => `${prefix}/event/device/command`

/** Forgets the run of a target, and the oldest of too many: of those that have ended, no event is waited for any more.
 *  @param {import("./state.js").State} state @param {string} key */
function makeRoom({ runs }, key) {
    const others = [...runs.get()].filter(([other]) => other !== key),
        kept = others.slice(1 - KEPT)
    others.slice(0, -kept.length).forEach(([, run]) => !run.isRunning && run.stop())
    runs.set(new Map(kept))
}

/** A run that is under way. */
class Running {
    #service
    #state
    #target
    #names
    #watch
    #abort = new AbortController()
    /** @type {Run} */
    #run

    /** @param {any} service @param {import("./state.js").State} state @param {Target} target @param {Order} order
     *  @param {Verdicts} [before] */
    constructor(service, state, target, order, before) {
        const { key, devices } = target
        this.#service = service
        this.#state = state
        this.#target = target
        this.#names = before ? toRepeat(before) : devices
        state.runs.get().get(key)?.stop()
        this.#run = {
            order,
            verdicts: new Map([...(before ?? []), ...startVerdicts(this.#names)]),
            isRunning: true,
            at: Date.now() / 1000,
            stop: () => (this.#abort.abort(), this.#watch.stop())
        }
        makeRoom(state, key)
        state.runs.update(runs => new Map(runs).set(key, this.#run))
        this.#watch = service.watchBatches(commandEvents(service), (/** @type {any[]} */ messages) =>
            this.#take(messages.map(read))
        )
    }

    get #isLatest() {
        return this.#state.runs.get().get(this.#target.key) === this.#run
    }

    /** @param {Partial<Run>} change */
    #change(change) {
        const isLatest = this.#isLatest
        this.#run = { ...this.#run, ...change }
        if (isLatest) this.#state.runs.update(runs => new Map(runs).set(this.#target.key, this.#run))
    }

    /** @param {any[]} events */
    #take(events) {
        const verdicts = applyEvents(this.#run.verdicts, this.#run.order.command, events)
        if (verdicts !== this.#run.verdicts) this.#change({ verdicts })
    }

    /** @param {any} verdict */
    #set(verdict) {
        this.#change({ verdicts: new Map(this.#run.verdicts).set(verdict.device, verdict) })
    }

    /** @param {string} target @param {(report: any) => void} onProgress */
    #call(target, onProgress, members = 0) {
        const { order } = this.#run
        return this.#service.call(`${target}/${order.command}`, undefined, {
            ...callOptions(order, members),
            payload: order.payload,
            onProgress,
            signal: this.#abort.signal
        })
    }

    async sendToGroup() {
        const { command, options } = this.#run.order
        if (options.offline === "fail")
            // they get no command
            this.#markAway()
        const outcome = await this.#call(
            `devices/${this.#target.group}`,
            report => {
                const id = this.#run.verdicts.get(report?.device)?.id
                this.#take([{ ...report, command, state: "running", id }])
            },
            this.#names.length
        )
        const { verdicts } = this.#run
        this.#change({
            outcome,
            verdicts: outcome.ok ? applyReply(verdicts, parse(outcome.text).value) : endVerdicts(verdicts, outcome)
        })
    }

    #markAway() {
        const verdicts = new Map(this.#run.verdicts)
        for (const device of this.#state.presence.list.get().value)
            if (verdicts.has(device.device) && /^(offline|sleeping)$/.test(filterOf(device)))
                verdicts.set(device.device, { device: device.device, status: "offline" })
        this.#change({ verdicts })
    }

    async sendToEach() {
        const queue = this.#names.values()
        await Promise.all(Array.from({ length: WIDTH }, () => this.#sendNext(queue)))
        this.#change({ verdicts: endVerdicts(this.#run.verdicts) })
    }

    /* Sends one command after the other. */
    /** @param {Iterable<string>} queue */
    async #sendNext(queue) {
        for (const device of queue) {
            if (this.#abort.signal.aborted) return
            const outcome = await this.#call(`device/${device}`, progress =>
                this.#set({ device, status: "running", progress })
            )
            this.#change({ outcome })
            this.#set(verdictOf(device, outcome))
        }
    }

    end() {
        this.#change({ isRunning: false })
        const isWaiting = [...this.#run.verdicts.values()].some(({ status }) => status === "queued")
        if (!this.#isLatest || !isWaiting) this.#watch.stop()
    }
}

/** Starts a run; it is in `state.runs` under the key of its target until another one takes its place.
 *  @param {any} service @param {import("./state.js").State} state @param {Target} target @param {Order} order
 *  @param {Verdicts} [before] those of a former run: only what did not come about is sent again */
export async function startRun(service, state, target, order, before) {
    const running = new Running(service, state, target, order, before)
    await (target.group && !before ? running.sendToGroup() : running.sendToEach())
    running.end()
}
