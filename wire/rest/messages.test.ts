import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeWith, Malformed } from '../route.ts'
import { IncomingMessageList, messagesRoutes, SENDABLE_TYPES } from './messages.ts'

const { body, replies } = messagesRoutes.send

/** What comes of a body: the value, or what was found wrong with it. */
function verdict(read: () => unknown): unknown {
  try {
    return read()
  } catch (error) {
    assert.ok(error instanceof Malformed)
    return error.issues
  }
}

const expectSame = (text: string) => {
  const fast = verdict(() => body.decode(Buffer.from(text)))
  const slow = verdict(() => decodeWith(IncomingMessageList, JSON.parse(text)))
  assert.deepEqual(fast, slow)
  return fast
}

const content = fc.uint8Array({ minLength: 1, maxLength: 60 }).chain((bytes) => {
  const text = Buffer.from(bytes).toString('base64')
  const url = Buffer.from(bytes).toString('base64url')
  return fc.constantFrom(text, text.replaceAll('=', ''), url)
})
const message = fc.record({
  type: fc.constantFrom(...SENDABLE_TYPES),
  destinationDeviceId: fc.integer({ min: 1, max: 127 }),
  destinationRegistrationId: fc.integer({ min: 1, max: 0x3fff }),
  content,
})
const list = fc.record(
  {
    messages: fc.array(message, { minLength: 1, maxLength: 3 }),
    online: fc.boolean(),
    urgent: fc.boolean(),
    timestamp: fc.integer({ min: 0, max: 8_640_000_000_000_000 }),
  },
  { requiredKeys: ['messages'] },
)

test('a body that keeps the contract is read as its schema reads it', () => {
  fc.assert(
    fc.property(list, (value) => {
      const distinct = new Set(value.messages.map((one) => one.destinationDeviceId)).size
      const read = expectSame(JSON.stringify(value))
      assert.equal(Array.isArray(read), distinct !== value.messages.length)
    }),
    { numRuns: 500 },
  )
})

/** Values that stand near the borders of what is right. */
const odd = fc.oneof(
  fc.constantFrom(null, true, false, 0, -0, 1, -1, 5, 6, 127, 128, 0x3fff, 0x4000, 1.5, 1e300, 2 ** 53),
  fc.constantFrom(8.64e15, 8.64e15 + 1, '', '1', 'AA', 'AA=', 'AA==', 'A', '*', '====', 'AAAA\n', [], {}, [
    [],
  ]),
  fc.jsonValue(),
)
const FIELDS = ['messages', 'online', 'urgent', 'timestamp'] as const
const MESSAGE_FIELDS = ['type', 'destinationDeviceId', 'destinationRegistrationId', 'content'] as const

test('a body with something odd in it has the verdict of its schema', () => {
  const change = fc.record({
    in: fc.constantFrom('list', 'message'),
    field: fc.constantFrom(...FIELDS, ...MESSAGE_FIELDS, '__proto__', 'other'),
    value: fc.option(odd, { nil: undefined }),
  })
  const full = fc.record({
    messages: fc.array(message, { minLength: 1, maxLength: 2 }),
    online: fc.boolean(),
    urgent: fc.boolean(),
    timestamp: fc.integer({ min: 0, max: 8_640_000_000_000_000 }),
  })
  fc.assert(
    fc.property(full, fc.array(change, { minLength: 1, maxLength: 2 }), (value, changes) => {
      const list: Record<string, unknown> = { ...value }
      const messages = value.messages.map((one): Record<string, unknown> => ({ ...one }))
      list['messages'] = messages
      for (const one of changes) {
        const target = one.in === 'list' ? list : messages[0]!
        Object.defineProperty(target, one.field, { value: one.value, enumerable: true, writable: true })
      }
      expectSame(JSON.stringify(list))
    }),
    { numRuns: 4_000 },
  )
})

test('any JSON has the verdict of its schema', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expectSame(JSON.stringify(value))
    }),
    { numRuns: 1_000 },
  )
})

test('a reply that was written beforehand is the one that its schema writes', () => {
  for (const needsSync of [true, false])
    assert.equal(Buffer.from(replies[200].encode({ needsSync })).toString(), JSON.stringify({ needsSync }))
})
