import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { openRules, serverSecretParams } from '../../../test/chat-rules.ts'
import { type IdentityKeys, makeIdentityKeys, makeOneTimeKeys } from '../../../test/client/identity-keys.ts'
import { groupSendToken } from '../../../test/group-send-token.ts'
import { newKeys, type Keys as PersonKeys } from '../../../test/person.ts'
import { newAci, newPni, sampleAccount, sampleDevice } from '../../../test/sample-account.ts'
import { MAX_ONE_TIME_KEYS } from '../../../wire/limits.ts'
import type { Access } from '../../../wire/route.ts'
import type { DeviceAddress, DeviceId } from '../../../wire/types.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Account, Device } from '../accounts/account.ts'
import type { KeyUpload } from './keys.ts'

const DAY_MS = 86_400_000

type PublicKey = { id(): number; publicKey(): { serialize(): Uint8Array } }
const ec = (key: PublicKey) => ({ keyId: key.id(), publicKey: key.publicKey().serialize() })
const signed = (key: PublicKey & { signature(): Uint8Array }) => ({ ...ec(key), signature: key.signature() })
const repeatedUse = (keys: IdentityKeys) => ({
  ec: signed(keys.signedPreKey),
  kem: signed(keys.lastResortPreKey),
})
const oneTime = (keys: IdentityKeys, count: number) => {
  const made = makeOneTimeKeys(keys.pair, count)
  return { ec: made.ec.map(ec), kem: made.kyber.map(signed) }
}

const refusedAs = (kind: Refusal['kind'], field?: string) => (error: unknown) =>
  error instanceof Refusal && error.kind === kind && (field === undefined || error.detail.field === field)

async function open(t: TestContext) {
  const rules = await openRules(t)
  const { accounts, keys } = rules
  /** An account with real identities; of its devices those in `ready` have repeated-use keys. */
  const add = async (devices: Device[] = [sampleDevice()], ready: DeviceId[] = [1]) => {
    const own = newKeys()
    const account = sampleAccount({
      devices,
      aciIdentityKey: own.aci.pair.publicKey.serialize(),
      pniIdentityKey: own.pni.pair.publicKey.serialize(),
    })
    const both = { aci: repeatedUse(own.aci), pni: repeatedUse(own.pni) }
    const statements = ready.flatMap((id) => keys.forNewDevice(account.aci, id, both))
    assert.ok(await accounts.put(account, statements))
    return { account, own, address: { aci: account.aci, deviceId: 1 } }
  }
  return { ...rules, add }
}

const asDevice = (device: DeviceAddress): Access => ({ kind: 'device', device })

test('what is taken is counted by asker, target, device and registration id', async (t) => {
  const { keys, add, limited } = await open(t)
  const { account } = await add([sampleDevice(), sampleDevice({ id: 2, registrationId: 77 })])
  const { aci, pni } = account
  const asker = { aci: newAci(), deviceId: 3 }
  const unknown = newAci()
  await keys.take(asDevice(asker), aci, undefined)
  await keys.take(asDevice(asker), aci, 2)
  await keys.take(asDevice(asker), pni, 2)
  await keys.take(asDevice(asker), pni, undefined)
  await keys.take(asDevice(asker), aci, 9)
  await keys.take(asDevice(asker), unknown, 1)
  const uuid = pni.slice('PNI:'.length)
  assert.deepEqual(limited, [
    `prekeys: ${asker.aci}.3__${aci}.*.*`,
    `prekeys: ${asker.aci}.3__${aci}.2.77`,
    `prekeys: ${asker.aci}.3__${uuid}.2.2001`,
    `prekeys: ${asker.aci}.3__${uuid}.*.*`,
    `prekeys: ${asker.aci}.3__${aci}.9.*`,
    `prekeys: ${asker.aci}.3__${unknown}.1.*`,
  ])
})

test('a stranger is not counted, whatever it shows', async (t) => {
  const { keys, add, clock, limited } = await open(t)
  const { account } = await add()
  const { aci, pni } = account
  const expiresAtMs = clock.nowMs() + DAY_MS
  const tokenFor = (id: typeof aci | typeof pni): Access => ({
    kind: 'group-send-token',
    token: groupSendToken({ params: serverSecretParams(), recipients: [id], expiresAtMs }),
  })
  const key: Access = { kind: 'access-key', key: account.unidentifiedAccessKey! }
  const kindOf = async (access: Access, id: typeof aci | typeof pni) => (await keys.take(access, id, 1)).kind
  assert.equal(await kindOf(key, aci), 'taken')
  assert.equal(await kindOf(key, pni), 'refused')
  assert.equal(await kindOf(tokenFor(aci), aci), 'taken')
  assert.equal(await kindOf(tokenFor(pni), pni), 'taken')
  assert.equal(await kindOf(tokenFor(aci), pni), 'refused')
  const nobody = newPni()
  assert.equal(await kindOf(tokenFor(nobody), nobody), 'not-found')
  assert.equal(await kindOf(key, nobody), 'refused')
  assert.equal(await kindOf({ kind: 'none' }, aci), 'refused')
  assert.deepEqual(limited, [])
})

test('a refused stranger takes no one-time key away', async (t) => {
  const { keys, add } = await open(t)
  const { account, own, address } = await add()
  await keys.store(address, 'aci', oneTime(own.aci, 2))
  await keys.take({ kind: 'access-key', key: Buffer.alloc(16) }, account.aci, undefined)
  assert.deepEqual(await keys.count(address, 'aci'), { ec: 2, kem: 2 })
})

test('a device without repeated-use keys is missing from the bundle, and keeps its one-time keys', async (t) => {
  const { keys, add } = await open(t)
  const devices = [1, 2, 3].map((id) => sampleDevice({ id }))
  const { account, own, address } = await add(devices, [1, 3])
  await keys.store({ ...address, deviceId: 2 }, 'aci', oneTime(own.aci, 1))
  const taken = await keys.take(asDevice(address), account.aci, undefined)
  assert.ok(taken.kind === 'taken')
  assert.deepEqual(
    taken.devices.map(({ deviceId }) => deviceId),
    [1, 3],
  )
  for (const wanted of [2, 4])
    assert.deepEqual(await keys.take(asDevice(address), account.aci, wanted), { kind: 'not-found' })
  assert.deepEqual(await keys.count({ ...address, deviceId: 2 }, 'aci'), { ec: 1, kem: 1 })
})

test('a bundle is of the identity that was asked for, and falls back to the last resort', async (t) => {
  const { keys, add } = await open(t)
  const { account, own, address } = await add()
  const uploads = { aci: oneTime(own.aci, 1), pni: oneTime(own.pni, 1) }
  for (const identity of ['aci', 'pni'] as const) await keys.store(address, identity, uploads[identity])
  for (const identity of ['aci', 'pni'] as const) {
    const taken = await keys.take(asDevice(address), account[identity], undefined)
    assert.ok(taken.kind === 'taken')
    const [bundle] = taken.devices
    assert.deepEqual(Buffer.from(taken.identityKey), Buffer.from(own[identity].pair.publicKey.serialize()))
    assert.equal(bundle?.registrationId, identity === 'aci' ? 1001 : 2001)
    assert.equal(bundle?.ec?.keyId, uploads[identity].ec[0]?.keyId)
    assert.equal(bundle?.kem.keyId, uploads[identity].kem[0]?.keyId)
    const then = await keys.take(asDevice(address), account[identity], 1)
    assert.ok(then.kind === 'taken')
    assert.equal(then.devices[0]?.ec, undefined)
    assert.equal(then.devices[0]?.kem.keyId, own[identity].lastResortPreKey.id())
    assert.equal(then.devices[0]?.signedEc.keyId, own[identity].signedPreKey.id())
  }
})

test('an upload with one bad key stores nothing of it', async (t) => {
  const { keys, add } = await open(t)
  const { own, address } = await add()
  const stranger = makeIdentityKeys()
  const good = oneTime(own.aci, 3)
  await keys.store(address, 'aci', good)
  const bad: [string, KeyUpload][] = [
    ['preKeys', { ec: [{ keyId: 1, publicKey: Buffer.alloc(33, 9) }] }],
    ['pqPreKeys', { ec: [], kem: [...oneTime(own.aci, 1).kem, ...oneTime(stranger, 1).kem] }],
    ['pqPreKeys', { kem: oneTime(own.pni, 1).kem }],
    ['signedPreKey', { ec: oneTime(own.aci, 1).ec, signedEc: signed(own.pni.signedPreKey) }],
    ['signedPreKey', { signedEc: signed(own.aci.lastResortPreKey) }],
    [
      'pqLastResortPreKey',
      { kem: oneTime(own.aci, 1).kem, lastResortKem: signed(stranger.lastResortPreKey) },
    ],
    ['preKeys', { ec: Array.from({ length: MAX_ONE_TIME_KEYS + 1 }, () => good.ec[0]!) }],
  ]
  for (const [field, upload] of bad)
    await assert.rejects(keys.store(address, 'aci', upload), refusedAs('invalid', field), field)
  assert.deepEqual(await keys.count(address, 'aci'), { ec: 3, kem: 3 })
  await keys.store(address, 'aci', { ec: [], kem: [] })
  await keys.store(address, 'aci', {})
  assert.deepEqual(await keys.count(address, 'aci'), { ec: 3, kem: 3 })
})

/** SHA-256 over identity key, and id and key of the signed and the last-resort key (signal-api §2.10). */
function digestOf({ pair, signedPreKey, lastResortPreKey }: IdentityKeys): Buffer {
  const hash = createHash('sha256').update(pair.publicKey.serialize())
  for (const key of [signedPreKey, lastResortPreKey]) {
    hash.update(Buffer.from(key.id().toString(16).padStart(16, '0'), 'hex'))
    hash.update(key.publicKey().serialize())
  }
  return hash.digest()
}

test('the digest of the repeated-use keys is of one identity of one device, as it is now', async (t) => {
  const { keys, add } = await open(t)
  const { own, address } = await add([sampleDevice(), sampleDevice({ id: 2 })])
  const check = (identity: keyof PersonKeys, of: IdentityKeys) => keys.check(address, identity, digestOf(of))
  assert.equal(await check('aci', own.aci), true)
  assert.equal(await check('pni', own.pni), true)
  assert.equal(await check('aci', own.pni), false)
  assert.equal(await keys.check({ ...address, deviceId: 2 }, 'aci', digestOf(own.aci)), false)
  const fresh = makeIdentityKeys(own.aci.pair)
  await keys.store(address, 'aci', { signedEc: signed(fresh.signedPreKey) })
  assert.equal(await check('aci', own.aci), false)
  assert.equal(await check('aci', { ...own.aci, signedPreKey: fresh.signedPreKey }), true)
  await keys.store(address, 'aci', { lastResortKem: signed(fresh.lastResortPreKey) })
  assert.equal(await check('aci', fresh), true)
})

test('a device that was removed stores nothing', async (t) => {
  const { keys, add, accounts } = await open(t)
  const { account, own, address } = await add([sampleDevice(), sampleDevice({ id: 2 })])
  const removed: Account = { ...account, version: 2, devices: [sampleDevice()] }
  assert.ok(await accounts.put(removed, []))
  const second = { ...address, deviceId: 2 }
  await assert.rejects(keys.store(second, 'aci', oneTime(own.aci, 1)), refusedAs('invalid-credentials'))
  assert.deepEqual(await keys.count(second, 'aci'), { ec: 0, kem: 0 })
})
