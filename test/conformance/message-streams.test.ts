// Messages.GetMessages (signal-api §1.4.5): a device reads its queue by a gRPC stream instead of a websocket.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import { IdentityType } from '../../wire/gen/common.js'
import type { Envelope } from '../../wire/gen/envelope.js'
import {
  GetMessagesStreamClosed,
  Messages,
  MessagesAnonymous,
  SendMessageType,
} from '../../wire/gen/messages.js'
import { Status } from '../../wire/gen/rpc.js'
import { ENVELOPE_TYPE } from '../client/conversation.ts'
import { detailsOf, GrpcClient } from '../client/grpc.ts'
import type { GrpcStream } from '../client/grpc-stream.ts'
import { authorizationOf } from '../client/https.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { untilNothingWaits } from '../client/queue.ts'
import { type Registered, register } from '../client/register.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'
import { within } from '../within.ts'

const { getMessages, sendMessage } = Messages.rpcs
let server: Constellation
let grpc: GrpcClient
let ada: Registered
let bob: Registered
before(async () => {
  server = await Constellation.open()
  grpc = GrpcClient.open(server.ready)
  ada = await register(server)
  bob = await register(server)
})
after(async () => {
  await grpc[Symbol.asyncDispose]()
  await server.close()
})

type Reading = GrpcStream<typeof getMessages.request, typeof getMessages.response>

function read(device: Registered, dropStories = false): Reading {
  const stream = grpc.stream(getMessages, authorizationOf(device))
  stream.send({ options: { dropStories } })
  return stream
}

let lastTimestamp = 0
/** Puts a message into a device's queue. The timestamp says which it is. */
async function send(from: Registered, to: Registered): Promise<number> {
  const timestamp = Math.max(Date.now(), lastTimestamp + 1)
  lastTimestamp = timestamp
  const copy = {
    registrationId: to.keys.aci.registrationId,
    payload: Buffer.from('opaque'),
    type: SendMessageType.DOUBLE_RATCHET,
  }
  const destination = { identityType: IdentityType.IDENTITY_TYPE_ACI, uuid: to.aci.getRawUuidBytes() }
  const request = { destination, messages: { timestamp, messages: { 1: copy } } }
  const { code, reply } = await grpc.call(sendMessage, request, authorizationOf(from))
  assert.deepEqual([code, reply?.response], [0, 'success'])
  return timestamp
}

/** What comes next: an envelope, or the word that the backlog is over. */
async function next(stream: Reading): Promise<Envelope | 'empty'> {
  const reply = await within(stream.next(), 'a reply')
  assert.ok(reply, 'the stream ended')
  return reply.envelope ?? 'empty'
}

async function nextMessage(stream: Reading): Promise<Envelope> {
  const envelope = await next(stream)
  assert.notEqual(envelope, 'empty')
  return envelope as Envelope
}

const acknowledge = (stream: Reading, { serverGuid }: Envelope) => stream.send({ serverGuidAck: serverGuid })

async function verdict(stream: Reading): Promise<(number | string | undefined)[]> {
  const trailers = await within(stream.ended, 'the end of the stream')
  return [Number(trailers['grpc-status']), detailsOf(trailers).reason]
}

async function leave(stream: Reading): Promise<void> {
  stream.finish()
  assert.deepEqual(await verdict(stream), [0, undefined])
}

test('a backlog comes in order, is over when it was acknowledged, and then messages come as they are sent', async () => {
  const waiting = [await send(bob, ada), await send(bob, ada)]
  const stream = read(ada)
  const backlog = [await nextMessage(stream), await nextMessage(stream)]
  assert.deepEqual(
    backlog.map(({ clientTimestamp }) => clientTimestamp),
    waiting,
  )
  for (const envelope of backlog) acknowledge(stream, envelope)
  assert.equal(await next(stream), 'empty')
  const sent = await send(bob, ada)
  const live = await nextMessage(stream)
  assert.equal(live.clientTimestamp, sent)
  assert.equal(live.type, ENVELOPE_TYPE.message)
  assert.deepEqual(Buffer.from(live.content), Buffer.from('opaque'))
  acknowledge(stream, live)
  await leave(stream)
  await untilNothingWaits(server, ada, 2)
})

test('what was not acknowledged comes again, to whichever reader is next', async () => {
  const sent = [await send(bob, ada), await send(bob, ada), await send(bob, ada)]
  const first = read(ada)
  const envelopes = [await nextMessage(first), await nextMessage(first), await nextMessage(first)]
  acknowledge(first, envelopes[1]!)
  acknowledge(first, envelopes[1]!)
  await leave(first)
  const second = read(ada)
  const again = [await nextMessage(second), await nextMessage(second)]
  assert.deepEqual(
    again.map(({ clientTimestamp }) => clientTimestamp),
    [sent[0], sent[2]],
  )
  for (const envelope of again) acknowledge(second, envelope)
  assert.equal(await next(second), 'empty')
  await leave(second)
  await untilNothingWaits(server, ada, 2)
})

test('an acknowledged message earns its sender a receipt, over a stream as over a websocket', async () => {
  for (const httpVersion of HTTP_VERSIONS) {
    await using carol = await SignalClient.create(server, { httpVersion, oneTimeKeys: 0 })
    const stream = read(ada)
    assert.equal(await next(stream), 'empty')
    const sent = await send(carol.account, ada)
    acknowledge(stream, await nextMessage(stream))
    const receipt = await carol.receipts.next()
    assert.deepEqual([receipt.timestampMs, receipt.from], [sent, ada.aci.getServiceIdString()])
    await carol.disconnect()
    await untilNothingWaits(server, carol.account, httpVersion)
    const back = read(carol.account)
    assert.equal(await next(back), 'empty')
    const answered = await send(ada, carol.account)
    acknowledge(back, await nextMessage(back))
    const returned = await nextMessage(stream)
    assert.deepEqual([returned.type, returned.clientTimestamp], [ENVELOPE_TYPE.receipt, answered])
    acknowledge(stream, returned)
    await leave(back)
    await leave(stream)
  }
})

test('a story reaches a stream that takes stories, and is gone for one that does not', async () => {
  const destination = { identityType: IdentityType.IDENTITY_TYPE_ACI, uuid: ada.aci.getRawUuidBytes() }
  const copy = {
    registrationId: ada.keys.aci.registrationId,
    payload: Buffer.from('once upon a time'),
    type: SendMessageType.UNIDENTIFIED_SENDER,
  }
  const story = { destination, messages: { timestamp: Date.now(), messages: { 1: copy } } }
  const tell = async () => {
    assert.equal((await grpc.call(MessagesAnonymous.rpcs.sendStory, story)).reply?.response, 'success')
  }
  await tell()
  const taking = read(ada)
  assert.equal((await nextMessage(taking)).story, true)
  await leave(taking)
  const dropping = read(ada, true)
  assert.equal(await next(dropping), 'empty')
  await tell()
  const sent = await send(bob, ada)
  const envelope = await nextMessage(dropping)
  assert.deepEqual([envelope.clientTimestamp, envelope.story], [sent, false])
  acknowledge(dropping, envelope)
  await leave(dropping)
  await untilNothingWaits(server, ada, 2)
})

test('a newer stream ends an older one, and says so', async () => {
  const older = read(ada)
  assert.equal(await next(older), 'empty')
  const newer = read(ada)
  assert.deepEqual(await verdict(older), [10, 'STREAM_CLOSED'])
  const details = Buffer.from(String((await older.ended)['grpc-status-details-bin']), 'base64')
  const own = Status.decode(details).details.find(({ type_url }) => type_url.endsWith('StreamClosed'))
  assert.equal(own?.type_url, 'type.googleapis.com/org.signal.chat.messages.GetMessagesStreamClosed')
  assert.equal(GetMessagesStreamClosed.decode(own.value).reason, 'conflictingStream')
  assert.equal(await next(newer), 'empty')
  await leave(newer)
})

test('a newer stream ends a websocket as one that is connected elsewhere, and the other way round', async () => {
  for (const httpVersion of HTTP_VERSIONS) {
    await using client = await SignalClient.create(server, { httpVersion, oneTimeKeys: 0 })
    const { link } = client
    const stream = read(client.account)
    const cause = await link.interrupted()
    assert.ok(LS.LibSignalErrorBase.is(cause, LS.ErrorCode.ConnectedElsewhere))
    assert.equal(await next(stream), 'empty')
    await client.connect()
    assert.deepEqual(await verdict(stream), [10, 'STREAM_CLOSED'])
  }
})

test('a device that is replaced has its stream ended, and its credentials with it', async () => {
  const device = await register(server)
  const stream = read(device)
  assert.equal(await next(stream), 'empty')
  await register(server, { number: device.number })
  assert.deepEqual(await verdict(stream), [16, 'INVALID_CREDENTIALS'])
  assert.deepEqual(await verdict(read(device)), [16, 'INVALID_CREDENTIALS'])
})

test('a stream without right credentials is refused', async () => {
  for (const headers of [{}, authorizationOf({ ...ada, password: 'wrong' })]) {
    const stream = grpc.stream(getMessages, headers)
    stream.send({ options: {} })
    assert.deepEqual(await verdict(stream), [16, 'INVALID_CREDENTIALS'])
  }
})

test('a stream begins with options, and goes on with guids', async () => {
  const guid = Buffer.alloc(16)
  type Frame = Parameters<Reading['send']>[0]
  const cases: [Frame[], string][] = [
    [[{ serverGuidAck: guid }], 'request'],
    [[{}], 'request'],
    [[{ options: {} }, { options: {} }], 'request'],
    [[{ options: {} }, {}], 'request'],
    [[{ options: {} }, { serverGuidAck: guid.subarray(1) }], 'server_guid_ack'],
    [[{ options: {} }, { serverGuidAck: Buffer.alloc(0) }], 'server_guid_ack'],
  ]
  for (const [frames, field] of cases) {
    const stream = grpc.stream(getMessages, authorizationOf(ada))
    for (const frame of frames) stream.send(frame)
    assert.deepEqual(await verdict(stream), [3, 'CONSTRAINT_VIOLATED'])
    assert.deepEqual(detailsOf(await stream.ended).fields, [field])
  }
  const silent = grpc.stream(getMessages, authorizationOf(ada))
  silent.finish()
  assert.deepEqual(await verdict(silent), [3, 'CONSTRAINT_VIOLATED'])
  const stranger = read(ada)
  stranger.send({ serverGuidAck: guid })
  assert.equal(await next(stranger), 'empty')
  await leave(stranger)
})

test('a stream ends in good order when the server stops, and the queue is read on after it', async () => {
  const sent = await send(bob, ada)
  const stream = read(ada)
  assert.equal((await nextMessage(stream)).clientTimestamp, sent)
  await server.restart()
  assert.deepEqual(await verdict(stream), [14, 'UNAVAILABLE'])
  await grpc[Symbol.asyncDispose]()
  grpc = GrpcClient.open(server.ready)
  const after = read(ada)
  const again = await nextMessage(after)
  assert.equal(again.clientTimestamp, sent)
  acknowledge(after, again)
  assert.equal(await next(after), 'empty')
  await leave(after)
})
