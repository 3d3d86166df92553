// Clocks that are wrong (case X1): a client's in its timestamps, and the server's own when it jumps.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Clock, systemClock } from '../../server/kit/clock.ts'
import { IdentityType } from '../../wire/gen/common.js'
import { Envelope } from '../../wire/gen/envelope.js'
import { Messages, MessagesAnonymous, SendMessageType } from '../../wire/gen/messages.js'
import { MAX_TIMESTAMP_MS } from '../../wire/types.ts'
import { GrpcClient } from '../client/grpc.ts'
import { authorizationOf, Https } from '../client/https.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { MESSAGE, openQueue, QUEUE_EMPTY, untilNothingWaits } from '../client/queue.ts'
import { messageFor } from '../client/raw-message.ts'
import { RawSocket } from '../client/raw-socket.ts'
import { type Registered, register } from '../client/register.ts'
import { Constellation } from '../constellation.ts'

const DAY_MS = 86_400_000
/** What a client may send, and what it may not. */
const RIGHT = [0, 1, 8_640_000_000_000_000]
const WRONG = [8_640_000_000_000_001, Number.MAX_SAFE_INTEGER, 1e18]

/** The host's clock with jumps: what passes evenly goes on as it did. */
let aheadMs = 0
const clock: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() + aheadMs }

let server: Constellation
let ada: Registered
let bob: Registered
before(async () => {
  server = await Constellation.open({ clock })
  ada = await register(server)
  bob = await register(server)
})
after(() => server.close())

const path = () => `/v1/messages/${bob.aci.getServiceIdString()}`

test('X1: the largest timestamp is the one that ECMAScript has', () => {
  assert.equal(MAX_TIMESTAMP_MS, RIGHT.at(-1))
  assert.ok(Number.isFinite(new Date(MAX_TIMESTAMP_MS).getTime()))
  assert.ok(Number.isNaN(new Date(MAX_TIMESTAMP_MS + 1).getTime()))
})

for (const httpVersion of HTTP_VERSIONS)
  describe(`clocks over HTTP/${httpVersion}`, () => {
    test('X1: a timestamp that is no time is 422 over REST and inside a websocket, and every other is taken', async () => {
      await using https = Https.open(server.ready, httpVersion)
      await using socket = await RawSocket.open(server.ready, httpVersion, { headers: authorizationOf(ada) })
      const json = (timestamp: unknown) => ({ ...messageFor(bob), timestamp })
      const byRest = async (timestamp: unknown) =>
        (await https.call('PUT', path(), { headers: authorizationOf(ada), json: json(timestamp) })).status
      const type = ['content-type:application/json']
      const bySocket = async (timestamp: unknown) =>
        (await socket.ask('PUT', path(), type, Buffer.from(JSON.stringify(json(timestamp))))).status
      for (const send of [byRest, bySocket]) {
        for (const timestamp of RIGHT) assert.equal(await send(timestamp), 200, String(timestamp))
        for (const timestamp of [...WRONG, -1, 0.5, '1', true])
          assert.equal(await send(timestamp), 422, String(timestamp))
      }
    })

    test('X1: the server’s clock may jump by a day either way: messages come in their order, and sockets stay', async () => {
      await using https = Https.open(server.ready, httpVersion)
      await drain(httpVersion)
      const socket = await openQueue(server, bob, httpVersion)
      assert.equal((await socket.requests.next()).path, QUEUE_EMPTY)
      const sent: number[] = []
      for (const jumpMs of [0, DAY_MS, -2 * DAY_MS, DAY_MS, 0]) {
        aheadMs += jumpMs
        for (let count = 0; count < 3; count++) {
          const timestamp = 1_000 + sent.length
          const reply = await https.call('PUT', path(), {
            headers: authorizationOf(ada),
            json: { ...messageFor(bob), timestamp },
          })
          assert.equal(reply.status, 200)
          assert.ok(Math.abs(Number(reply.headers['x-signal-timestamp']) - clock.nowMs()) < 60_000)
          sent.push(timestamp)
        }
      }
      assert.deepEqual(await take(socket, sent.length), sent)
      await socket.close()
      const again = await openQueue(server, bob, httpVersion)
      assert.deepEqual(await take(again, sent.length), sent)
      await again.close()
      await drain(httpVersion)
    })
  })

test('X1: a timestamp that is no time violates the constraints of gRPC, and every other is taken', async () => {
  await using grpc = GrpcClient.open(server.ready)
  const destination = { identityType: IdentityType.IDENTITY_TYPE_ACI, uuid: bob.aci.getRawUuidBytes() }
  const requestOf = (timestamp: number, type: number) => {
    const copy = { registrationId: bob.keys.aci.registrationId, payload: Buffer.of(1), type }
    return { destination, messages: { timestamp, messages: { 1: copy } } }
  }
  const identified = (timestamp: number) =>
    grpc.call(
      Messages.rpcs.sendMessage,
      requestOf(timestamp, SendMessageType.DOUBLE_RATCHET),
      authorizationOf(ada),
    )
  const sealed = (timestamp: number) =>
    grpc.call(MessagesAnonymous.rpcs.sendSingleRecipientMessage, {
      ...requestOf(timestamp, SendMessageType.UNIDENTIFIED_SENDER),
      unidentifiedAccessKey: bob.accessKey,
    })
  const story = (timestamp: number) =>
    grpc.call(MessagesAnonymous.rpcs.sendStory, requestOf(timestamp, SendMessageType.UNIDENTIFIED_SENDER))
  for (const send of [identified, sealed, story]) {
    for (const timestamp of RIGHT) assert.equal((await send(timestamp)).reply?.response, 'success')
    for (const timestamp of WRONG) {
      const { code, reason } = await send(timestamp)
      assert.deepEqual([code, reason], [3, 'CONSTRAINT_VIOLATED'], String(timestamp))
    }
  }
})

/** Takes that many messages and leaves them unanswered; gives their timestamps. */
async function take(socket: RawSocket, count: number): Promise<number[]> {
  const timestamps: number[] = []
  while (timestamps.length < count) {
    const request = await socket.requests.next()
    if (request.path === MESSAGE) timestamps.push(Envelope.decode(request.body!).clientTimestamp)
  }
  return timestamps
}

/** Acknowledges everything that waits for Bob. */
async function drain(httpVersion: (typeof HTTP_VERSIONS)[number]): Promise<void> {
  const socket = await openQueue(server, bob, httpVersion)
  for (;;) {
    const request = await socket.requests.next()
    if (request.path === QUEUE_EMPTY) break
    socket.answer(request, 200)
  }
  await socket.close()
  await untilNothingWaits(server, bob, httpVersion)
}
