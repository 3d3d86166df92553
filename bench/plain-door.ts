// Our file store behind a door of HTTP/1.1 without TLS, which the product does not have: the difference is what TLS costs in Node.
import { renameSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fileEvents } from '../server/files/events.ts'
import { openFiles } from '../server/files/files.ts'
import { systemClock } from '../server/kit/clock.ts'
import { Counters } from '../server/kit/counters.ts'
import { systemRandom } from '../server/kit/random.ts'
import { openSecrets } from '../server/kit/secrets.ts'
import { incoming, outgoing } from '../server/kit/streaming.ts'

const STALL_MS = 30_000
const flags = parseArgs({
  options: {
    data: { type: 'string', default: './data' },
    ready: { type: 'string', default: './ready.json' },
  },
}).values

const cdn = { cdn0: 'http://localhost', cdn2: 'http://localhost', cdn3: 'http://localhost' }
const files = await openFiles({
  folder: join(flags.data, 'files'),
  secrets: await openSecrets(join(flags.data, 'secrets')),
  clock: systemClock,
  random: systemRandom,
  urls: () => cdn,
  events: fileEvents(new Counters()),
  onBug: (error) => console.error(error),
})

const server = createServer(async (request, response) => {
  const { method = '', url = '/', headers } = request
  const body = incoming(request, systemClock, STALL_MS)
  const reply = await files.serve({ method, target: url, headers: headers as Record<string, string>, body })
  response.writeHead(reply?.status ?? 404, { ...reply?.headers })
  if (reply?.body) await outgoing(reply.body, response, systemClock, STALL_MS).catch(() => response.destroy())
  else response.end()
})
server.listen(0, '127.0.0.1', () => {
  const url = `http://localhost:${(server.address() as AddressInfo).port}`
  writeFileSync(`${flags.ready}.draft`, JSON.stringify({ pid: process.pid, urls: { chat: url }, tls: {} }))
  renameSync(`${flags.ready}.draft`, flags.ready)
})
process.once('SIGTERM', () => process.exit(0))
