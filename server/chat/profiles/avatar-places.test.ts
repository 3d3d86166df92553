import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { Aci as LibsignalAci } from '@signalapp/libsignal-client'
import {
  AvatarUploadCredentialPresentation,
  AvatarUploadCredentialRequestContext,
  AvatarUploadCredentialResponse,
  ZkCredentialKeyPair,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import { openRules, type RulesOptions, zkSecrets } from '../../../test/chat-rules.ts'
import { sampleAccount } from '../../../test/sample-account.ts'
import { Refusal } from '../../kit/refusal.ts'
import { KEEP_PLACE_MS } from './avatar-places.ts'

const DAY_MS = 86_400_000
const isRefusal = (kind: Refusal['kind']) => (error: unknown) =>
  error instanceof Refusal && error.kind === kind

async function open(t: TestContext, options: RulesOptions = {}) {
  const rules = await openRules(t, options)
  const params = zkSecrets().backupServerSecretParams.getPublicParams()
  const account = sampleAccount()
  const address = { aci: account.aci, deviceId: 1 }
  assert.ok(await rules.accounts.put(account, []))
  const pair = ZkCredentialKeyPair.generate()
  const present = async () => {
    const rotationId = BigInt(await rules.zkKeys.set(address, pair.getPublicKey().serialize()))
    const holder = LibsignalAci.parseFromServiceIdString(account.aci)
    const context = AvatarUploadCredentialRequestContext.create(holder, pair, rotationId)
    const issued = await rules.avatarPlaces.credential(address, context.getRequest().serialize())
    const response = new AvatarUploadCredentialResponse(new Uint8Array(issued!))
    const now = new Date(rules.clock.nowMs())
    return context.receiveResponse(response, params, now).present(params).serialize()
  }
  return { ...rules, present, address }
}

test('bytes are counted by place, however many presentations name it', async (t) => {
  const { avatarPlaces, present, limited } = await open(t, {
    limits: { profileAvatarBytes: { bucket: 1000 } },
  })
  const [one, two] = [await present(), await present()]
  const place = new AvatarUploadCredentialPresentation(one).getCommitment()
  assert.ok(await avatarPlaces.uploadForm(one, 600))
  await assert.rejects(avatarPlaces.uploadForm(two, 500), isRefusal('rate-limited'))
  assert.ok(await avatarPlaces.uploadForm(two, 400))
  const name = `profileAvatarBytes: ${Buffer.from(place).toString('base64')}`
  assert.deepEqual(
    limited.filter((one) => one.startsWith('profileAvatarBytes')),
    [name, name, name],
  )
})

test('a place that nobody extends for 120 days is empty, and one that is extended stays', async (t) => {
  const { avatarPlaces, present, clock } = await open(t)
  const form = await avatarPlaces.uploadForm(await present(), 1)
  clock.advance(KEEP_PLACE_MS - 1)
  const extended = { kind: 'extended', key: form!.key }
  assert.deepEqual(await avatarPlaces.extend(await present()), extended)
  clock.advance(KEEP_PLACE_MS - 1)
  assert.deepEqual(await avatarPlaces.extend(await present()), extended)
  clock.advance(KEEP_PLACE_MS)
  assert.deepEqual(await avatarPlaces.extend(await present()), { kind: 'not-found' })
})

test('C2: a presentation holds from the day before its day to two days after, and not longer', async (t) => {
  const { avatarPlaces, present, clock } = await open(t)
  const midnight = Date.UTC(2026, 2, 1)
  clock.set(midnight + DAY_MS / 2)
  const presentation = await present()
  const at = async (ms: number) => {
    clock.set(ms)
    return (await avatarPlaces.uploadForm(presentation, 1)) !== undefined
  }
  assert.equal(await at(midnight + DAY_MS / 2), true)
  assert.equal(await at(midnight + DAY_MS), true)
  assert.equal(await at(midnight + 3 * DAY_MS), false)
  assert.equal(await at(midnight - 2 * DAY_MS), false)
  assert.equal(await avatarPlaces.leave(presentation), false)
  assert.deepEqual(await avatarPlaces.extend(presentation), { kind: 'refused' })
})

test('a place keeps nothing that leads to its account', async (t) => {
  const { avatarPlaces, present, sql, address } = await open(t)
  const presentation = await present()
  const before = sql.written.length
  await avatarPlaces.uploadForm(presentation, 1)
  const written = sql.written.slice(before).flat()
  const aci = Buffer.from(address.aci.replaceAll('-', ''), 'hex')
  const holds = (value: unknown) => value instanceof Uint8Array && Buffer.from(value).includes(aci)
  assert.ok(written.length > 0)
  assert.ok(!written.some(({ args }) => args.some(holds)))
})

test('an account without a key, and a request that is none, get no credential', async (t) => {
  const { avatarPlaces, present, address } = await open(t)
  assert.equal(await avatarPlaces.credential(address, randomBytes(9)), undefined)
  await present()
  await assert.rejects(avatarPlaces.credential(address, randomBytes(9)), isRefusal('invalid'))
  await assert.rejects(avatarPlaces.uploadForm(randomBytes(9), 1), isRefusal('invalid'))
})
