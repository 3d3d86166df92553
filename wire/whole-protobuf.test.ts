import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GroupChange_Actions as Actions } from './gen/groups.js'
import { Malformed } from './route.ts'
import { hasUnknownFields, wholeProtobuf } from './whole-protobuf.ts'

const KNOWN = Actions.encode({
  version: 3,
  addMembers: [{ added: { userId: new Uint8Array(65), role: 1 } }],
  modifyTitle: { title: new Uint8Array(5) },
}).finish()

const { decode } = wholeProtobuf(Actions)
/** Field 99 as a number: its tag, and the value. */
const UNKNOWN = Buffer.of(0x98, 0x06, 0x01)
const inField = (number: number, body: Uint8Array) =>
  Buffer.concat([Buffer.of((number << 3) | 2, body.length), body])

test('a message of the contract has no unknown fields', () => {
  for (const bytes of [KNOWN, new Uint8Array()]) assert.equal(hasUnknownFields(decode(bytes)), false)
})

test('an unknown field is seen at any depth, and so is a known one of another type', () => {
  const spoilt = [
    Buffer.concat([KNOWN, UNKNOWN]),
    Buffer.concat([KNOWN, inField(10, UNKNOWN)]),
    Buffer.concat([KNOWN, inField(3, inField(1, UNKNOWN))]),
    // The version as bytes.
    Buffer.concat([KNOWN, inField(2, Buffer.of(1))]),
  ]
  for (const bytes of spoilt) assert.equal(hasUnknownFields(decode(bytes)), true)
})

test('what is no such message is malformed', () => {
  assert.throws(() => decode(KNOWN.subarray(0, KNOWN.length - 1)), Malformed)
})
