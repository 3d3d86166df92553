import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { ServerSecretParams } from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import { serverSecretParams } from '../../../test/chat-rules.ts'
import { groupSendToken } from '../../../test/group-send-token.ts'
import { newAci, newPni, sampleAccount } from '../../../test/sample-account.ts'
import type { Unidentified } from '../../../wire/route.ts'
import type { ServiceId } from '../../../wire/types.ts'
import { ManualClock } from '../../kit/clock.ts'
import { UnidentifiedAccess } from './unidentified-access.ts'

const DAY_MS = 86_400_000
const clock = new ManualClock()
const todayMs = clock.nowMs()
const params = serverSecretParams()
const access = new UnidentifiedAccess(() => params, clock)

const key = randomBytes(16)
const [aci, pni] = [newAci(), newPni()]
const restricted = sampleAccount({ aci, pni, unidentifiedAccessKey: key })
const keyless = { ...restricted, unidentifiedAccessKey: undefined }
const open = { ...restricted, unrestrictedUnidentifiedAccess: true }
const openKeyless = { ...keyless, unrestrictedUnidentifiedAccess: true }
const TARGETS = { missing: undefined, restricted, keyless, open, openKeyless }

const accessKey = (bytes: Uint8Array): Unidentified => ({ kind: 'access-key', key: bytes })
const token = (recipients: readonly ServiceId[], expiresAtMs = todayMs + DAY_MS): Unidentified => ({
  kind: 'group-send-token',
  token: groupSendToken({ params, recipients, expiresAtMs }),
})
const garbled = (): Unidentified => {
  const bytes = groupSendToken({ params, recipients: [aci], expiresAtMs: todayMs + DAY_MS })
  bytes[20]! ^= 1
  return { kind: 'group-send-token', token: bytes }
}

const yes = 'admitted'
const no = 'refused'
const gone = 'not-found'
/** What comes of each proof, for the targets in their order (signal-api §0.6). */
const TABLE: readonly [string, ServiceId, Unidentified, readonly string[]][] = [
  ['nothing', aci, { kind: 'none' }, [no, no, no, no, no]],
  ['the claim that everybody is let in', aci, { kind: 'unrestricted' }, [no, no, no, yes, yes]],
  ['the right access key', aci, accessKey(key), [no, yes, no, yes, yes]],
  ['a wrong access key', aci, accessKey(randomBytes(16)), [no, no, no, yes, yes]],
  ['half of the access key', aci, accessKey(key.subarray(0, 8)), [no, no, no, yes, yes]],
  ['an empty access key', aci, accessKey(Buffer.alloc(0)), [no, no, no, yes, yes]],
  ['nothing, to a phone number', pni, { kind: 'none' }, [no, no, no, no, no]],
  ['the claim, to a phone number', pni, { kind: 'unrestricted' }, [no, no, no, no, no]],
  ['the right access key, to a phone number', pni, accessKey(key), [no, no, no, no, no]],
  ['a token for the account', aci, token([aci]), [gone, yes, yes, yes, yes]],
  ['a token for the phone number', pni, token([pni]), [gone, yes, yes, yes, yes]],
  ['the token of the account, to its phone number', pni, token([aci]), [no, no, no, no, no]],
  ["somebody else's token", aci, token([newAci()]), [no, no, no, no, no]],
  ['a token for the account and another', aci, token([aci, newAci()]), [no, no, no, no, no]],
  ['a token in its last moment', aci, token([aci], todayMs), [gone, yes, yes, yes, yes]],
  ['a token that expired yesterday', aci, token([aci], todayMs - DAY_MS), [no, no, no, no, no]],
  ['a garbled token', aci, garbled(), [no, no, no, no, no]],
  ['no token at all', aci, { kind: 'group-send-token', token: Buffer.alloc(0) }, [no, no, no, no, no]],
]

for (const [what, id, proof, expected] of TABLE)
  test(`who may come in with ${what}`, () => {
    const answers = Object.values(TARGETS).map((target) => access.admit(proof, id, target).kind)
    assert.deepEqual(answers, expected)
  })

test('whoever is admitted gets the account that was looked up', () => {
  const admitted = access.admit(accessKey(key), aci, restricted)
  assert.ok(admitted.kind === 'admitted')
  assert.equal(admitted.target, restricted)
})

test('a token ends with its day', () => {
  const later = new ManualClock(todayMs)
  const until = new UnidentifiedAccess(() => params, later)
  const proof = token([aci])
  assert.equal(until.admit(proof, aci, restricted).kind, 'admitted')
  later.advance(DAY_MS + 1000)
  assert.equal(until.admit(proof, aci, restricted).kind, 'refused')
})

test('a token of another server opens nothing', () => {
  const other = new UnidentifiedAccess(() => ServerSecretParams.generate(), clock)
  assert.equal(other.admit(token([aci]), aci, restricted).kind, 'refused')
})
