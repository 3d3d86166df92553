import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { openRules } from '../../../test/chat-rules.ts'
import { addPerson, type Letter, send, stored } from '../../../test/conversants.ts'
import type { Replies } from '../../kit/grpc-service.ts'
import { MAX_IN_FLIGHT } from './delivery.ts'
import type { Envelope } from './envelope.ts'
import { StreamReader } from './stream-reader.ts'

type Reply = { readonly envelope?: Envelope; readonly queueEmpty?: object }

/** The server's end of a call whose client is the test itself. */
class FakeReplies implements Replies<Reply> {
  readonly written: Reply[] = []
  readonly ended = new AbortController()
  congested = false
  /** Why it was told to go. */
  readonly farewells: string[] = []
  #listener: (() => void) | undefined

  get over(): AbortSignal {
    return this.ended.signal
  }
  get messages(): Envelope[] {
    return this.written.flatMap(({ envelope }) => envelope ?? [])
  }
  get timestamps(): number[] {
    return this.messages.map(({ clientTimestamp }) => clientTimestamp)
  }
  write(reply: Reply): void {
    this.written.push(reply)
  }
  async send(reply: Reply): Promise<void> {
    this.write(reply)
  }
  onRoom(listener: () => void): void {
    this.#listener = listener
  }
  room(): void {
    this.congested = false
    this.#listener?.()
  }
  fail(error: Error): void {
    this.farewells.push(error.message)
    this.ended.abort()
  }
}

const numbers = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index)

async function open(t: TestContext) {
  const rules = await openRules(t)
  const alice = await addPerson(rules)
  const address = { aci: alice.aci, deviceId: 1 }
  const sendAll = (timestamps: readonly number[], more: Partial<Letter> = {}) =>
    Promise.all(timestamps.map((timestampMs) => send(rules, { to: alice, timestampMs, ...more })))
  const connected = async (receivesStories = true) => {
    const replies = new FakeReplies()
    const reader = new StreamReader(replies, (why) => new Error(why))
    await rules.readers.open(address, reader, receivesStories)
    await rules.sql.idle()
    return { replies, reader }
  }
  const left = async () => {
    rules.clock.advance(1_000)
    await rules.sql.idle()
    return stored(rules, alice)
  }
  return { rules, alice, address, sendAll, connected, left }
}

test('no more than 256 messages are unacknowledged on a stream, and the others follow in their order', async (t) => {
  const { rules, sendAll, connected, left } = await open(t)
  await sendAll(numbers(1, 300))
  const { replies, reader } = await connected()
  assert.deepEqual(replies.timestamps, numbers(1, MAX_IN_FLIGHT))
  for (let next = 0; next < 300; next++) {
    reader.acknowledge(replies.messages[next]!.serverGuid)
    if (next === replies.messages.length - 1 || next === 0) await rules.sql.idle()
  }
  assert.deepEqual(replies.timestamps, numbers(1, 300))
  assert.deepEqual(replies.written.at(-1), { queueEmpty: {} })
  assert.deepEqual(await left(), [])
})

test('an acknowledgement counts once, and only for what was handed over', async (t) => {
  const { rules, sendAll, connected, left } = await open(t)
  await sendAll(numbers(1, 3))
  const { replies, reader } = await connected()
  const [first] = replies.messages
  for (const guid of [first!.serverGuid, first!.serverGuid, rules.random.bytes(16), Buffer.alloc(0)])
    reader.acknowledge(guid)
  assert.deepEqual(await left(), [2, 3])
})

test('a stream that is not read is handed nothing more until there is room (case M8)', async (t) => {
  const { rules, sendAll, connected } = await open(t)
  const { replies } = await connected()
  replies.congested = true
  await sendAll(numbers(1, 50))
  await rules.sql.idle()
  assert.deepEqual(replies.timestamps, [])
  replies.room()
  await rules.sql.idle()
  assert.deepEqual(replies.timestamps, numbers(1, 50))
})

test('a stream learns why it has to go', async (t) => {
  const { rules, alice, connected } = await open(t)
  const first = await connected()
  const second = await connected()
  assert.deepEqual([first.replies.farewells, second.replies.farewells], [['displaced'], []])
  rules.queues.disconnect(alice.aci, [1])
  assert.deepEqual(second.replies.farewells, ['reauthenticate'])
})

test('what an ended stream had not acknowledged stays for the next', async (t) => {
  const { rules, sendAll, connected, left } = await open(t)
  await sendAll(numbers(1, 3))
  const { replies, reader } = await connected()
  reader.acknowledge(replies.messages[1]!.serverGuid)
  replies.ended.abort()
  reader.acknowledge(replies.messages[2]!.serverGuid)
  await sendAll([4])
  await rules.sql.idle()
  assert.deepEqual(replies.timestamps, [1, 2, 3])
  assert.deepEqual(await left(), [1, 3, 4])
  assert.deepEqual((await connected()).replies.timestamps, [1, 3, 4])
})

test('a message whose receipt still looks for its sender does not come to the next reader', async (t) => {
  const { rules, address, sendAll, connected } = await open(t)
  const bob = await addPerson(rules)
  await sendAll([1], { from: bob })
  const { replies, reader } = await connected()
  rules.bus.publish('accounts', { type: bob.aci })
  const lookup = rules.sql.hold(/FROM accounts JOIN devices/)
  reader.acknowledge(replies.messages[0]!.serverGuid)
  await lookup.reached
  replies.ended.abort()
  const next = new FakeReplies()
  await rules.readers.open(address, new StreamReader(next, (why) => new Error(why)), true)
  await setImmediate()
  lookup.release()
  await rules.sql.idle()
  assert.deepEqual(next.written, [{ queueEmpty: {} }])
})

test('a stream that is over before it begins leaves nobody listening', async (t) => {
  const { rules, address, sendAll, left } = await open(t)
  const replies = new FakeReplies()
  replies.ended.abort()
  await rules.readers.open(address, new StreamReader(replies, (why) => new Error(why)), true)
  await sendAll([1])
  await rules.sql.idle()
  assert.deepEqual(replies.written, [])
  assert.deepEqual(await left(), [1])
})

test('a device that is gone reads nothing', async (t) => {
  const { rules, alice, address } = await open(t)
  await rules.accounts.delete(alice.aci)
  const replies = new FakeReplies()
  const opening = rules.readers.open(address, new StreamReader(replies, (why) => new Error(why)), true)
  await assert.rejects(opening, { kind: 'invalid-credentials' })
})
