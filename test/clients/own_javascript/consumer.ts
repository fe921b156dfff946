// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The types of the package as a strict program uses them, and what they must not allow. The program runs, too. */
import { Client, RpcError, connect } from "mosquitto-rpc"
import type { BatchItem, CallOptions, ClientOptions, Device, EventStream, GroupOptions, RpcEvent } from "mosquitto-rpc"

interface Fields { text: string; count: number }

async function typed(client: Client): Promise<void> {
    const options: CallOptions<{ done: number }> = { timeout: 5000, signal: new AbortController().signal,
                                                     progress: value => value.done.toFixed() }
    const fields: Fields = await client.call<Fields, { done: number }>("probe.fields", { text: "x" }, options)
    const upper: string = fields.text.toUpperCase()
    const unknown: unknown = await client.call("echo")
    const items: BatchItem<Fields>[] = await client.callBatch<Fields>("probe.fields", [{ text: "y" }, {}] as const)
    for (const item of items)
        console.log(item.error ? item.error.err : item.result.text)
    console.log(upper, unknown)
}

async function events(client: Client): Promise<void> {
    const stream: EventStream<{ runs: number }> = client.events<{ runs: number }>("probeCounted", { limit: 10 })
    await stream.ready
    await client.call("probe.count")
    for await (const event of stream) {
        const whole: RpcEvent<{ runs: number }> = event
        console.log(whole.event, event.data.runs.toFixed(), stream.dropped)
        break
    }
}

async function errors(client: Client): Promise<void> {
    const lamp: Device = client.device("lamp9")
    try {
        await lamp.call<{ on: boolean }>("light", { on: true }, { offline: "fail", ttl: 1, stale: 1 })
    } catch (error) {
        if (error instanceof RpcError)
            console.log(error.err, error.data["device"])
    }
    const all: Device<GroupOptions> = client.group("*")
    console.log(await all.call<{ total: number }>("light", {}, { want: 1, offline: "fail" }).catch(String))
    // @ts-expect-error: this is for groups
    lamp.call("light", {}, { want: "all" }).catch(() => {})
    // @ts-expect-error: no such way
    lamp.call("light", {}, { offline: "perhaps" }).catch(() => {})
    // @ts-expect-error: milliseconds are a number
    client.call("echo", {}, { timeout: "5s" }).catch(() => {})
}

export function notRun(client: Client): void {
    // @ts-expect-error: it cannot be changed
    client.clientId = "other"
    // @ts-expect-error: it is the package's own affair
    client.own()
}

export async function main(url: string): Promise<void> {
    const own: ClientOptions = { qos: 1, maxPending: 10, timeout: 5000 }
    const client: Client = await connect(url, { ...own, protocolVersion: 5, username: "u", keepalive: 30,
                                                waitForBroker: true })
    await typed(client)
    await events(client)
    await errors(client)
    await client.close()
    console.log(client.pending, client.connected)
}

main(process.argv[2]!).catch(error => {
    console.error(error)
    process.exitCode = 1
})
