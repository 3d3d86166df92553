import assert from 'node:assert/strict'
import { test } from 'node:test'
import SealedSenderMultiRecipientMessage from '@signalapp/libsignal-client/dist/SealedSenderMultiRecipientMessage.js'
import { multiRecipientMessage } from '../../../test/multi-recipient-message.ts'
import { newAci, newPni } from '../../../test/sample-account.ts'
import { Refusal } from '../../kit/refusal.ts'
import { parseMultiRecipient } from './multi-recipient.ts'

const isBadRequest = (error: unknown) => error instanceof Refusal && error.kind === 'bad-request'

test('every recipient gets what libsignal makes for it, cut into its own part and the shared one', () => {
  const [one, two, excluded] = [newAci(), newPni(), newAci()]
  const payload = multiRecipientMessage([
    {
      id: one,
      devices: [
        [1, 7],
        [127, 0x3fff],
      ],
    },
    { id: excluded, devices: [] },
    { id: two, devices: [[2, 5]] },
  ])
  const message = parseMultiRecipient(payload)
  const reference = new SealedSenderMultiRecipientMessage(payload)
  const recipients = reference.recipientsByServiceIdString()
  assert.deepEqual(message.excluded, [excluded])
  assert.deepEqual(message.recipients.map(({ id }) => id).sort(), [one, two].sort())
  for (const { id, own, devices } of message.recipients) {
    const expected = reference.messageForRecipient(recipients[id]!)
    assert.deepEqual(Buffer.concat([own, message.shared]), Buffer.from(expected))
    assert.equal(devices.length, id === one ? 2 : 1)
  }
  const [first] = message.recipients.filter(({ id }) => id === one)
  assert.deepEqual(first?.devices, [
    { deviceId: 1, registrationId: 7 },
    { deviceId: 127, registrationId: 0x3fff },
  ])
})

test('what is no message, or for nobody, or for a device twice, is refused', () => {
  const one = newAci()
  const good = multiRecipientMessage([{ id: one, devices: [[1, 7]] }])
  const spoilt = [
    new Uint8Array(),
    good.subarray(0, 60),
    Uint8Array.from([0x33, ...good.subarray(1)]),
    Uint8Array.from([0x11, ...good.subarray(1)]),
    multiRecipientMessage([]),
    multiRecipientMessage([{ id: one, devices: [] }]),
    multiRecipientMessage([
      {
        id: one,
        devices: [
          [1, 7],
          [1, 7],
        ],
      },
    ]),
    multiRecipientMessage([
      { id: one, devices: [[1, 7]] },
      { id: one, devices: [[1, 8]] },
    ]),
    multiRecipientMessage([
      { id: one, devices: [[1, 7]] },
      { id: one, devices: [] },
    ]),
  ]
  parseMultiRecipient(good)
  for (const [index, payload] of spoilt.entries())
    assert.throws(() => parseMultiRecipient(payload), isBadRequest, `number ${index}`)
})

test('a recipient who is named twice with different devices gets both', () => {
  const one = newAci()
  const payload = multiRecipientMessage([
    { id: one, devices: [[1, 7]] },
    { id: one, devices: [[2, 8]] },
  ])
  assert.deepEqual(
    parseMultiRecipient(payload).recipients.map(({ devices }) => devices.length),
    [2],
  )
})
