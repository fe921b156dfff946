// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * node nodelay.js PORT LINE: runs the LINE of docs/clients.md for MQTT.js with a client, connects it twice, and
 * says what its sockets were told. Ends with 0 if all went well.
 */
const net = require("net")
const mqtt = require("mqtt")

const [port, line] = process.argv.slice(2)
const told = []
const setNoDelay = net.Socket.prototype.setNoDelay
net.Socket.prototype.setNoDelay = function (value) {
    told.push(value && !this.connecting && this.remotePort === Number(port))
    return setNoDelay.call(this, value)
}

const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 1 })
new Function("client", line)(client)
let connected = 0
client.on("connect", () => {
    if (++connected === 1)
        client.stream.destroy()
    else
        client.end(() => console.log(JSON.stringify(told)))
})
