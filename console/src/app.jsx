/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The console: the sign-in screen, or the shell with one of its rooms. */
import { Component } from "preact"
import { useEffect, useMemo } from "preact/hooks"
import { navigate, route, useRoute, useStore } from "./view/hooks.js"
import { Button, Notice, Page } from "./view/parts.jsx"
import { plural, visible } from "./base/text.js"
import { session } from "./session.js"
import { problemCount, Shell } from "./shell.jsx"
import { SignIn } from "./signin.jsx"
import { methods } from "./rooms/methods/index.jsx"
import { live } from "./rooms/live/index.jsx"
import { load } from "./rooms/load/index.jsx"
import { devices } from "./rooms/devices/index.jsx"
import { workers } from "./rooms/workers/index.jsx"
import { trouble } from "./rooms/trouble/index.jsx"

/**
 * @typedef {import("./view/room.js").Room} Room
 * @typedef {import("./view/room.js").Service} Service
 */

/** @type {Room[]} */
const rooms = [methods, live, load, devices, workers, trouble]

/**
 * A fault in one room leaves the others usable.
 * @extends {Component<{title: string, children: any}, {fault: Error | null}>}
 */
class Boundary extends Component {
    state = { fault: /** @type {Error | null} */ (null) }
    /** @param {Error} fault */
    componentDidCatch(fault) {
        console.error(fault)
        this.setState({ fault })
    }
    render() {
        const { fault } = this.state
        return !fault ? (
            this.props.children
        ) : (
            <Page title={this.props.title}>
                <Notice
                    tone="bad"
                    title="This room has met a fault of its own."
                    action={<Button onClick={() => this.setState({ fault: null })}>Open it again</Button>}>
                    The other rooms can be used. The fault: {visible(fault.message ?? fault)}
                </Notice>
            </Page>
        )
    }
}

/** A room with its state. @param {{room: Room, service: Service, states: Map<string, any>}} props */
function Opened({ room, service, states }) {
    const route = useRoute()
    if (!states.has(room.id)) states.set(room.id, room.createState?.(service))
    return <room.Room service={service} route={route} state={states.get(room.id)} />
}

/** @param {{service: Service}} props */
function Rooms({ service }) {
    const name = useRoute().room
    const problems = problemCount(useStore(service.health))
    const states = useMemo(() => new Map(), [service])
    const room = rooms.find(one => one.id === name) ?? rooms[0]
    useEffect(() => {
        const count = problems ? `(${plural(problems, "problem")}) ` : ""
        document.title = `${count}${visible(service.prefix, 40)} - mosquitto-rpc console`
    }, [service, problems])
    useEffect(() => {
        if (room.id !== name) navigate([room.id], route().query, { replace: true })
        scrollTo(0, 0)
    }, [room.id])
    return (
        <Shell rooms={rooms} current={room.id} service={service}>
            <Boundary key={room.id} title={room.title}>
                <Opened room={room} service={service} states={states} />
            </Boundary>
        </Shell>
    )
}

export function App() {
    const { phase, service } = useStore(session)
    useEffect(() => {
        if (phase !== "in") document.title = "mosquitto-rpc console"
    }, [phase])
    return phase === "in" && service ? <Rooms service={service} /> : <SignIn />
}
