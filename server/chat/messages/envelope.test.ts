import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Envelope } from '../../../wire/gen/envelope.js'
import {
  MAX_TIMESTAMP_MS,
  parseServiceId,
  type ServiceId,
  serviceIdToBytes,
  uuidFromBytes,
} from '../../../wire/types.ts'
import { encodeEnvelope, GUID_BYTES, readEnvelope } from './envelope.ts'

const serviceId = fc
  .tuple(fc.uuid(), fc.boolean())
  .map(([uuid, isPni]) => parseServiceId(isPni ? `PNI:${uuid}` : uuid) as ServiceId)
const timestamp = fc.integer({ min: 0, max: MAX_TIMESTAMP_MS })
const outgoing = fc.record({
  type: fc.constantFrom(0, 1, 3, 5, 6, 8),
  source: fc.option(fc.record({ id: serviceId, deviceId: fc.integer({ min: 1, max: 127 }) }), {
    nil: undefined,
  }),
  destination: serviceId,
  clientTimestampMs: timestamp,
  serverTimestampMs: timestamp,
  urgent: fc.boolean(),
  story: fc.boolean(),
  content: fc.option(fc.uint8Array({ minLength: 1, maxLength: 3000 }), { nil: undefined }),
})
const guids = fc
  .uint8Array({ minLength: GUID_BYTES, maxLength: GUID_BYTES })
  .map((bytes) => Buffer.from(bytes))

test('an envelope written by hand is the one that the generated codec reads', () => {
  fc.assert(
    fc.property(outgoing, guids, (message, guid) => {
      const read = Envelope.decode(encodeEnvelope(message, guid))
      assert.equal(read.type, message.type)
      assert.equal(read.clientTimestamp, message.clientTimestampMs)
      assert.equal(read.serverTimestamp, message.serverTimestampMs)
      assert.equal(read.urgent, message.urgent)
      assert.equal(read.story, message.story)
      assert.deepEqual(Buffer.from(read.content), Buffer.from(message.content ?? []))
      assert.equal(read.destinationServiceIdText, message.destination)
      assert.deepEqual(Buffer.from(read.destinationServiceId), serviceIdToBytes(message.destination))
      assert.equal(read.sourceServiceIdText, message.source?.id ?? '')
      assert.equal(read.sourceDevice, message.source?.deviceId ?? 0)
      assert.equal(read.serverGuidText, uuidFromBytes(guid))
      assert.deepEqual(Buffer.from(read.serverGuid), guid)
    }),
  )
})

test('what an acknowledgement needs is read back', () => {
  fc.assert(
    fc.property(outgoing, guids, (message, guid) => {
      assert.deepEqual(readEnvelope(encodeEnvelope(message, guid)), {
        type: message.type,
        source: message.source && { id: message.source.id },
        destination: message.destination,
        clientTimestampMs: message.clientTimestampMs,
        story: message.story,
      })
    }),
  )
})
