// Two accounts with their queues and sockets, over the rules themselves.
import assert from 'node:assert/strict'
import { type Account, type Device, type NumberedAccount, numbered } from '../server/chat/accounts/account.ts'
import { Delivery } from '../server/chat/messages/delivery.ts'
import { encodeEnvelope, GUID_BYTES, type Outgoing } from '../server/chat/messages/envelope.ts'
import type { Copy } from '../server/chat/messages/queues.ts'
import { SocketReader } from '../server/chat/messages/socket-reader.ts'
import { type Queue, queueOf } from '../server/chat/messages/store.ts'
import { Envelope } from '../wire/gen/envelope.js'
import type { ServiceId } from '../wire/types.ts'
import type { Rules } from './chat-rules.ts'
import { FakeConnection } from './fake-connection.ts'
import { sampleAccount, sampleDevice } from './sample-account.ts'

export type Letter = {
  readonly to: Account
  readonly from?: Account | undefined
  /** The sender's timestamp, by which tests know it. */
  readonly timestampMs: number
  readonly type?: number
  readonly story?: boolean
  readonly destination?: ServiceId
  readonly urgent?: boolean
}

/** An account with that many devices, in storage and in memory. */
export async function addPerson({ accounts }: Rules, deviceCount = 1): Promise<NumberedAccount> {
  const devices = Array.from({ length: deviceCount }, (_, index) => sampleDevice({ id: index + 1 }))
  const account = sampleAccount({ devices })
  assert.ok(await accounts.put(account, []))
  return numbered((await accounts.find(account.aci))!)
}

export const deviceQueue = (account: Account, device: Device = account.devices[0]!): Queue =>
  queueOf(account, device)

/** A letter as the queue of the addressed account's device takes it. */
export function copyOf({ random, clock }: Rules, letter: Letter, device?: Device): Copy {
  const { to, from, timestampMs, type = 1, story = false, destination = to.aci, urgent = true } = letter
  const message: Outgoing = {
    type,
    source: from && { id: from.aci, deviceId: 1 },
    destination,
    clientTimestampMs: timestampMs,
    serverTimestampMs: clock.nowMs(),
    urgent,
    story,
    content: Buffer.of(1),
  }
  const envelope = encodeEnvelope(message, random.bytes(GUID_BYTES))
  return { queue: deviceQueue(to, device), envelope, about: message, urgent }
}

export const send = (rules: Rules, letter: Letter): Promise<void> => rules.queues.add([copyOf(rules, letter)])

/** A socket of an account's device, with its reader. */
export function connect(
  { queues, receipts, clock, onBug }: Rules,
  account: Account,
  options: { readonly device?: Device; readonly receivesStories?: boolean } = {},
): FakeConnection {
  const socket = new FakeConnection()
  const { device, receivesStories = true } = options
  const queue = deviceQueue(account, device)
  const reader = new SocketReader(socket.connection, clock)
  new Delivery({ queue, reader, queues, receipts, clock, receivesStories, onBug })
  return socket
}

/** The senders' timestamps of what is stored for a device, in order. */
export async function stored({ store }: Rules, account: Account, device?: Device): Promise<number[]> {
  const page = await store.page(deviceQueue(account, device), 0, 10_000)

  return page.map(({ envelope }) => Envelope.decode(envelope).clientTimestamp)
}
