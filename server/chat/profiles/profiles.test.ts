import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { Aci as LibsignalAci } from '@signalapp/libsignal-client'
import {
  ClientZkProfileOperations,
  ExpiringProfileKeyCredentialResponse,
  ProfileKey,
  ZkCredentialKeyPair,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import fc from 'fast-check'
import { openRules, serverSecretParams } from '../../../test/chat-rules.ts'
import { plain } from '../../../test/plain.ts'
import { newAci, sampleAccount, sampleDevice } from '../../../test/sample-account.ts'
import type { Aci, Capability, DeviceAddress } from '../../../wire/types.ts'
import { Refusal } from '../../kit/refusal.ts'
import { AccountStore } from '../accounts/store.ts'
import type { ProfileV2Write, ProfileWrite } from './profile.ts'
import { KEEP_AVATAR_MS } from './profiles.ts'

const TYPE = 'expiringProfileKey'
const DAY_MS = 86_400_000
const HALF_HOUR_MS = 30 * 60_000

async function open(t: TestContext) {
  const rules = await openRules(t)
  const add = async (capabilities: Capability[] = ['spqr']) => {
    const account = sampleAccount({ devices: [sampleDevice({ capabilities: new Set(capabilities) })] })
    assert.ok(await rules.accounts.put(account, []))
    return { account, address: { aci: account.aci, deviceId: 1 } }
  }
  return { ...rules, add }
}

function profileOf(aci: Aci, fields: Partial<ProfileWrite> = {}): ProfileWrite {
  const key = new ProfileKey(new Uint8Array(randomBytes(32)))
  const holder = LibsignalAci.parseFromServiceIdString(aci)
  return {
    version: Buffer.from(key.getProfileKeyVersion(holder).toString(), 'hex'),
    commitment: key.getCommitment(holder).serialize(),
    fields: {
      name: randomBytes(81),
      about: undefined,
      aboutEmoji: undefined,
      phoneNumberSharing: undefined,
      paymentAddress: undefined,
    },
    avatar: 'clear',
    ...fields,
  }
}

const v2Of = (aci: Aci, fields: Partial<ProfileV2Write> = {}): ProfileV2Write => ({
  ...profileOf(aci),
  data: randomBytes(20),
  expectedDataHash: undefined,
  expectedVersion: undefined,
  ...fields,
})

const asDevice = (device: DeviceAddress) => ({ kind: 'device', device }) as const
const refusedAs = (kind: Refusal['kind'], field?: string) => (error: unknown) =>
  error instanceof Refusal && error.kind === kind && (field === undefined || error.detail.field === field)

test('property: however commitments of a version are written at once and later, all read the first', async (t) => {
  const { profiles, profileStore, add } = await open(t)
  const { address } = await add()
  await fc.assert(
    fc.asyncProperty(fc.array(fc.boolean(), { minLength: 1, maxLength: 8 }), async (alone) => {
      const { version } = profileOf(address.aci)
      const commitments = alone.map(() => profileOf(address.aci).commitment)
      const writes = alone.map(
        (withAvatar, index) => () =>
          withAvatar
            ? profiles.setAvatar(address, version, commitments[index])
            : profiles.set(address, { ...profileOf(address.aci), version, commitment: commitments[index]! }),
      )
      await Promise.all(writes.map((write) => write()))
      const first = plain((await profileStore.read(address.aci, version))!.commitment)
      assert.ok(commitments.some((one) => JSON.stringify(plain(one)) === JSON.stringify(first)))
      for (const write of writes) await write()
      assert.deepEqual(plain((await profileStore.read(address.aci, version))!.commitment), first)
    }),
    { numRuns: 30 },
  )
})

test('a device asks at the limiter of its account, a stranger at none', async (t) => {
  const { profiles, add, limited } = await open(t)
  const { account, address } = await add()
  const asker = { aci: newAci(), deviceId: 3 }
  const { version } = profileOf(account.aci)
  const key = { kind: 'access-key', key: account.unidentifiedAccessKey! } as const
  await profiles.find(asDevice(asker), account.aci)
  await profiles.read(asDevice(asker), newAci(), version)
  await profiles.readWithCredential(asDevice(address), account.aci, version, TYPE, version)
  await profiles.show(key, account.aci, version, undefined)
  await profiles.find({ kind: 'none' }, account.aci)
  assert.deepEqual(limited, [`profile: ${asker.aci}`, `profile: ${asker.aci}`, `profile: ${account.aci}`])
})

test('a credential holds for seven days, to the start of a day, whatever the hour', async (t) => {
  const { profiles, add, clock } = await open(t)
  const { account, address } = await add()
  const holder = LibsignalAci.parseFromServiceIdString(account.aci)
  const key = new ProfileKey(new Uint8Array(randomBytes(32)))
  const version = Buffer.from(key.getProfileKeyVersion(holder).toString(), 'hex')
  await profiles.set(address, {
    ...profileOf(account.aci),
    version,
    commitment: key.getCommitment(holder).serialize(),
  })
  const operations = new ClientZkProfileOperations(serverSecretParams().getPublicParams())
  const midnight = Date.UTC(2026, 4, 1)
  for (const atMs of [midnight, midnight + DAY_MS - 1]) {
    clock.set(atMs)
    const context = operations.createProfileKeyCredentialRequestContext(holder, key)
    const request = context.getRequest().serialize()
    const found = await profiles.readWithCredential(asDevice(address), account.aci, version, TYPE, request)
    assert.ok(found.kind === 'found')
    const response = new ExpiringProfileKeyCredentialResponse(new Uint8Array(found.credential!))
    const credential = operations.receiveExpiringProfileKeyCredential(context, response, new Date(atMs))
    assert.equal(credential.getExpirationTime().getTime(), midnight + 7 * DAY_MS)
  }
})

test('C2: a request that was good for one account or version gets nothing out of another', async (t) => {
  const { profiles, add } = await open(t)
  const [one, other] = [await add(), await add()]
  const key = new ProfileKey(new Uint8Array(randomBytes(32)))
  const write = async ({ account, address }: typeof one, withKey = key) => {
    const holder = LibsignalAci.parseFromServiceIdString(account.aci)
    const version = Buffer.from(withKey.getProfileKeyVersion(holder).toString(), 'hex')
    const commitment = withKey.getCommitment(holder).serialize()
    await profiles.set(address, { ...profileOf(account.aci), version, commitment })
    return version
  }
  const [version, elsewhere] = [await write(one), await write(other)]
  const holder = LibsignalAci.parseFromServiceIdString(one.account.aci)
  const operations = new ClientZkProfileOperations(serverSecretParams().getPublicParams())
  const request = operations.createProfileKeyCredentialRequestContext(holder, key).getRequest().serialize()
  const ask = (aci: Aci, of: Uint8Array) =>
    profiles.readWithCredential(asDevice(one.address), aci, of, TYPE, request)
  const again = [await ask(one.account.aci, version), await ask(one.account.aci, version)]
  assert.ok(again.every((found) => found.kind === 'found' && found.credential))
  await assert.rejects(ask(other.account.aci, elsewhere), refusedAs('bad-request'))
  const next = await write(one, new ProfileKey(new Uint8Array(randomBytes(32))))
  await assert.rejects(ask(one.account.aci, next), refusedAs('bad-request'))
  const stale = await ask(one.account.aci, version)
  assert.ok(stale.kind === 'found' && stale.credential === undefined)
})

test('an account that goes takes its profiles along; its avatars are due when their forms have expired', async (t) => {
  const { profiles, profileStore, zkKeys, accounts, add, clock } = await open(t)
  const { account, address } = await add()
  const [one, two] = [
    profileOf(account.aci, { avatar: 'update' }),
    profileOf(account.aci, { avatar: 'update' }),
  ]
  const keys = [await profiles.set(address, one), await profiles.set(address, two)].map(
    (done) => done.kind === 'set' && done.form!.key,
  )
  await zkKeys.set(address, ZkCredentialKeyPair.generate().getPublicKey().serialize())
  await accounts.delete(account.aci)
  for (const { version } of [one, two]) assert.equal(await profileStore.read(account.aci, version), undefined)
  assert.equal(await zkKeys.of(account.aci), undefined)
  assert.deepEqual(await profileStore.unwanted(clock.nowMs() + HALF_HOUR_MS - 1, 9), [])
  assert.deepEqual((await profileStore.unwanted(clock.nowMs() + HALF_HOUR_MS, 9)).sort(), keys.sort())
  await assert.rejects(profiles.set(address, one), refusedAs('invalid-credentials'))
  assert.equal(await profileStore.read(account.aci, one.version), undefined)
})

test('an account registered anew loses its profiles, keeps its credential key, and its avatars for a month', async (t) => {
  const { profiles, profileStore, zkKeys, accounts, add, clock } = await open(t)
  const { account, address } = await add()
  const write = profileOf(account.aci, { avatar: 'update' })
  await profiles.set(address, write)
  const publicKey = ZkCredentialKeyPair.generate().getPublicKey().serialize()
  const rotationId = await zkKeys.set(address, publicKey)
  assert.ok(await accounts.put({ ...account, version: 2 }, accounts.replacing(account)))
  assert.equal(await profileStore.read(account.aci, write.version), undefined)
  assert.deepEqual(await profileStore.unwanted(clock.nowMs() + KEEP_AVATAR_MS - 1, 9), [])
  assert.equal((await profileStore.unwanted(clock.nowMs() + KEEP_AVATAR_MS, 9)).length, 1)
  assert.equal(await zkKeys.set(address, publicKey), rotationId)
  assert.equal((await profiles.setV2(address, v2Of(account.aci))).kind, 'capability-missing')
})

test('a write that was decided on an account that changed meanwhile is decided anew', async (t) => {
  const { profiles, profileStore, accounts, sql, add } = await open(t)
  const { account, address } = await add()
  const device = { ...account.devices[0]!, capabilities: new Set<Capability>(['profiles_v2']) }
  await accounts.find(account.aci)
  // Another process writes: this one still has the account as it was.
  await sql.write(new AccountStore(sql).replacement({ ...account, version: 2, devices: [device] }))
  const write = profileOf(account.aci)
  assert.deepEqual(await profiles.set(address, write), { kind: 'superseded' })
  assert.equal(await profileStore.read(account.aci, write.version), undefined)
  assert.equal((await profiles.setV2(address, v2Of(account.aci))).kind, 'set')
})

test('a credential key meets the limiter only when it changes', async (t) => {
  const { zkKeys, add, limited } = await open(t)
  const { address } = await add()
  const newKey = () => ZkCredentialKeyPair.generate().getPublicKey().serialize()
  const key = newKey()
  const ids = [await zkKeys.set(address, key), await zkKeys.set(address, key)]
  assert.equal(ids[0], ids[1])
  assert.ok(Number.isSafeInteger(ids[0]) && ids[0]! > 0)
  assert.deepEqual(limited, [`setZkCredentialKey: ${address.aci}`])
  for (let time = 0; time < 4; time++) await zkKeys.set(address, newKey())
  await assert.rejects(zkKeys.set(address, newKey()), refusedAs('rate-limited'))
  await assert.rejects(zkKeys.set(address, randomBytes(33)), refusedAs('invalid', 'public_key'))
})

test('devices that set the same key at once get the same rotation', async (t) => {
  const { zkKeys, add } = await open(t)
  const { address } = await add()
  const key = ZkCredentialKeyPair.generate().getPublicKey().serialize()
  const ids = await Promise.all(Array.from({ length: 5 }, () => zkKeys.set(address, key)))
  assert.equal(new Set(ids).size, 1)
})
