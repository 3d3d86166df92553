// M8: who takes no messages, or acknowledges none, costs the server a bounded amount of memory, and others nothing.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { Envelope } from '../../wire/gen/envelope.js'
import { authorizationOf, Https } from '../client/https.ts'
import { MESSAGE, openQueue } from '../client/queue.ts'
import { copyFor, messageFor } from '../client/raw-message.ts'
import { type Registered, register } from '../client/register.ts'
import { Constellation } from '../constellation.ts'
import { within } from '../within.ts'
import { heldBytes, RawClient, upgradeRequest } from './raw-bytes.ts'

const MIB = 2 ** 20
const IN_FLIGHT = 256
const LARGE = 90_000

let server: Constellation
let https: Https
before(async () => {
  server = await Constellation.open({ config: { limits: { messages: { bucket: 1_000_000 } } } })
  https = Https.open(server.ready, 2)
})
after(async () => {
  await https[Symbol.asyncDispose]()
  await server.close()
})

async function sendMany(from: Registered, to: Registered, count: number, bytes: number): Promise<void> {
  const path = `/v1/messages/${to.aci.getServiceIdString()}`
  const headers = authorizationOf(from)
  const json = { messages: [copyFor(to, bytes)], timestamp: 1 }
  for (let sent = 0; sent < count; sent += 20) {
    const replies = await Promise.all(
      Array.from({ length: Math.min(20, count - sent) }, (_, index) =>
        https.call('PUT', path, { headers, json: { ...json, timestamp: 1 + sent + index } }),
      ),
    )
    assert.ok(replies.every(({ status }) => status === 200))
  }
}

/** Messages of another pair come through, one after the other. */
async function assertOthersAreServed(): Promise<void> {
  const [eve, finn] = await Promise.all([register(server), register(server)])
  await using queue = await openQueue(server, finn, 1)
  for (let count = 0; count < 20; ) {
    const path = `/v1/messages/${finn.aci.getServiceIdString()}`
    await https.call('PUT', path, { headers: authorizationOf(eve), json: messageFor(finn) })
    for (let came = false; !came; ) {
      const request = await within(queue.requests.next(), 'a message of another pair', 5_000)
      queue.answer(request, 200)
      came = request.path === MESSAGE
    }
    count++
  }
}

test('M8: who acknowledges nothing gets 256 messages and no more; the rest waits on disk', async () => {
  const [ada, bob] = await Promise.all([register(server), register(server)])
  await using queue = await openQueue(server, bob, 2)
  await queue.requests.next()
  await sendMany(ada, bob, 300, 100)
  const before = await heldBytes()
  await sendMany(ada, bob, 300, LARGE)
  await assertOthersAreServed()
  const grown = (await heldBytes()) - before
  assert.ok(grown < 16 * MIB, `${Math.round(grown / MIB)} MiB more, of ${Math.round((300 * LARGE) / MIB)}`)
  // An answer to this comes after whatever was sent before it.
  assert.equal((await queue.ask('GET', '/v1/keepalive')).status, 200)
  const held = queue.requests.all.filter(({ path }) => path === MESSAGE)
  assert.equal(held.length, IN_FLIGHT)
})

test('M8: who reads nothing is sent no more than the buffers hold, and gets every one when it reads', async () => {
  const [ada, bob] = await Promise.all([register(server), register(server)])
  const ca = readFileSync(server.ready.tls.caPem)
  const deaf = await RawClient.open({ port: server.port, ca }, 'http/1.1')
  deaf.socket.write(upgradeRequest([`Authorization: ${authorizationOf(bob).authorization}`]))
  await deaf.untilHeard('\r\n\r\n')
  deaf.socket.pause()
  const before = await heldBytes()
  const count = 400
  await sendMany(ada, bob, count, LARGE)
  await assertOthersAreServed()
  const grown = (await heldBytes()) - before
  assert.ok(grown < 24 * MIB, `${Math.round(grown / MIB)} MiB more, of ${Math.round((count * LARGE) / MIB)}`)
  deaf.close()
  await using queue = await openQueue(server, bob, 1)
  const timestamps = new Set<number>()
  while (timestamps.size < count) {
    const request = await queue.requests.next()
    queue.answer(request, 200)
    if (request.path === MESSAGE) timestamps.add(Envelope.decode(request.body).clientTimestamp)
  }
  assert.deepEqual([Math.min(...timestamps), Math.max(...timestamps)], [1, count])
})
