import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sampleAccount, sampleDevice } from '../../../test/sample-account.ts'
import type { E164 } from '../../../wire/types.ts'
import { dataReport } from './data-report.ts'

test('a report tells what is kept, to the second, for programs and for people', () => {
  const account = sampleAccount({
    e164: '+12025550123' as E164,
    unrestrictedUnidentifiedAccess: true,
    discoverableByPhoneNumber: false,
    devices: [
      sampleDevice({
        createdAtMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
        lastSeenMs: Date.UTC(2026, 1, 1),
        userAgent: 'OWA',
      }),
      sampleDevice({ id: 2, createdAtMs: 0, lastSeenMs: 0 }),
    ],
  })
  const { text, ...report } = dataReport(account, 'id', Date.UTC(2026, 2, 1, 12, 0, 0, 999))
  assert.deepEqual(report, {
    reportId: 'id',
    reportTimestamp: '2026-03-01T12:00:00Z',
    data: {
      account: {
        phoneNumber: '+12025550123',
        badges: [],
        allowSealedSenderFromAnyone: true,
        findAccountByPhoneNumber: false,
      },
      devices: [
        { id: 1, lastSeen: '2026-02-01T00:00:00Z', created: '2026-01-02T03:04:05Z', userAgent: 'OWA' },
        { id: 2, lastSeen: '1970-01-01T00:00:00Z', created: '1970-01-01T00:00:00Z', userAgent: null },
      ],
    },
  })
  assert.equal(
    text,
    `Report id
Made at 2026-03-01T12:00:00Z

# Account
Phone number: +12025550123
Others find it by its phone number: no
Anyone may send to it by sealed sender: yes
Badges: none

# Devices
- Device 1
  Added: 2026-01-02T03:04:05Z
  Last seen: 2026-02-01T00:00:00Z
  Program: OWA
- Device 2
  Added: 1970-01-01T00:00:00Z
  Last seen: 1970-01-01T00:00:00Z
  Program: unknown
`,
  )
})
