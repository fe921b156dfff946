// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// node node.mjs MODULES PORT REDIS_PORT: a node of a cluster of aedes on Redis, which listens on 127.0.0.1. MODULES is the
// folder node_modules of the packages.
import { createServer } from 'node:net'
import { createRequire } from 'node:module'

const [modules, port, redis] = process.argv.slice(2)
const require = createRequire(`${modules}/`)
const { Aedes } = await import(require.resolve('aedes'))
const where = { host: '127.0.0.1', port: Number(redis) }
const broker = await Aedes.createBroker({
  mq: require('mqemitter-redis')(where),
  persistence: require('aedes-persistence-redis')(where)
})
createServer(broker.handle).listen(Number(port), '127.0.0.1', () => console.log('listening'))
