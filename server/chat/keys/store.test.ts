import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { openChatStorage } from '../../../test/chat-storage.ts'
import { forEachEngine, type OpenEngine } from '../../../test/engines.ts'
import { plain } from '../../../test/plain.ts'
import { newAci } from '../../../test/sample-account.ts'
import type { EcPreKey, SignedPreKey } from './pre-key.ts'
import { type KeyOwner, KeyStore } from './store.ts'

const openStore = async (open: OpenEngine) => new KeyStore(await openChatStorage(open))

const ec = (keyId: number): EcPreKey => ({ keyId, publicKey: randomBytes(33) })
const signed = (keyId: number): SignedPreKey => ({
  keyId,
  publicKey: randomBytes(1569),
  signature: randomBytes(64),
})
const ecKeys = (first: number, count: number) =>
  Array.from({ length: count }, (_, index) => ec(first + index))
const kemKeys = (first: number, count: number) =>
  Array.from({ length: count }, (_, index) => signed(first + index))
const ownerOf = (fields: Partial<KeyOwner> = {}): KeyOwner => ({
  aci: newAci(),
  identity: 'aci',
  deviceId: 1,
  ...fields,
})
/** The same account's four owners of keys. */
const ownersOf = (aci = newAci()): KeyOwner[] => [
  ownerOf({ aci }),
  ownerOf({ aci, deviceId: 2 }),
  ownerOf({ aci, identity: 'pni' }),
  ownerOf({ aci, identity: 'pni', deviceId: 2 }),
]

forEachEngine('a one-time pre-key is handed out once, however many ask at once', async (open) => {
  const store = await openStore(open)
  const owner = ownerOf()
  const [ecs, kems] = [ecKeys(1, 100), kemKeys(1, 90)]
  await store.write([...store.replaceEc(owner, ecs), ...store.replaceKem(owner, kems)])
  const taken = (await Promise.all(Array.from({ length: 200 }, () => store.take([owner])))).flat()
  const given = (kind: 'ec' | 'kem') => taken.map((one) => one[kind]).filter((key) => key !== undefined)
  const byId = (keys: readonly EcPreKey[]) => plain(keys.toSorted((a, b) => a.keyId - b.keyId))
  assert.deepEqual(byId(given('ec')), byId(ecs))
  assert.deepEqual(byId(given('kem')), byId(kems))
  assert.deepEqual(await store.count(owner), { ec: 0, kem: 0 })
  assert.deepEqual(await store.take([owner]), [{ ec: undefined, kem: undefined }])
})

forEachEngine('the key with the lowest id goes first, and leaves the store as it is read', async (open) => {
  const store = await openStore(open)
  const owner = ownerOf()
  const ids = [7, 2 ** 31 - 1, 0, 300]
  await store.write([...store.replaceEc(owner, ids.map(ec)), ...store.replaceKem(owner, ids.map(signed))])
  for (const [index, keyId] of [0, 7, 300, 2 ** 31 - 1].entries()) {
    const [taken] = await store.take([owner])
    assert.deepEqual([taken?.ec?.keyId, taken?.kem?.keyId], [keyId, keyId])
    assert.deepEqual(await store.count(owner), { ec: 3 - index, kem: 3 - index })
  }
})

forEachEngine('a new list replaces the one before it; of two with one id the last stays', async (open) => {
  const store = await openStore(open)
  const owner = ownerOf()
  await store.write([...store.replaceEc(owner, ecKeys(1, 5)), ...store.replaceKem(owner, kemKeys(1, 5))])
  const [first, last] = [ec(9), ec(9)]
  await store.write(store.replaceEc(owner, [first, last]))
  assert.deepEqual(await store.count(owner), { ec: 1, kem: 5 })
  assert.deepEqual(plain((await store.take([owner]))[0]?.ec), plain(last))
  const [older, newer] = [signed(4), signed(4)]
  await store.write(store.replaceKem(owner, [older, newer]))
  assert.deepEqual(await store.count(owner), { ec: 0, kem: 1 })
  assert.deepEqual(plain((await store.take([owner]))[0]?.kem), plain(newer))
})

forEachEngine('both identities of every device have their own keys', async (open) => {
  const store = await openStore(open)
  const owners = [...ownersOf(), ...ownersOf()]
  const lists = owners.map((_, index) => ({ ec: ecKeys(1, index + 1), kem: kemKeys(1, index + 1) }))
  for (const [index, owner] of owners.entries()) {
    const { ec, kem } = lists[index]!
    await store.write([...store.replaceEc(owner, ec), ...store.replaceKem(owner, kem)])
  }
  const taken = await store.take(owners.slice(0, 4))
  for (const [index, owner] of owners.entries()) {
    const { ec, kem } = lists[index]!
    if (index < 4) assert.deepEqual(plain(taken[index]), plain({ ec: ec[0], kem: kem[0] }))
    const left = index < 4 ? index : index + 1
    assert.deepEqual(await store.count(owner), { ec: left, kem: left })
  }
})

forEachEngine('repeated-use keys are replaced together or one by one, and never taken', async (open) => {
  const store = await openStore(open)
  const [owner, other] = ownersOf() as [KeyOwner, KeyOwner]
  const keys = { ec: signed(1), kem: signed(2) }
  await store.write([store.storeRepeatedUse(owner, keys), store.storeRepeatedUse(other, keys)])
  const [newEc, newKem] = [signed(3), signed(4)]
  await store.write([store.storeSigned(owner, newEc)])
  assert.deepEqual(plain(await store.repeatedUse(owner)), plain({ ec: newEc, kem: keys.kem }))
  await store.write([store.storeLastResort(owner, newKem)])
  assert.deepEqual(plain(await store.repeatedUse(owner)), plain({ ec: newEc, kem: newKem }))
  const again = { ec: signed(5), kem: signed(6) }
  await store.write([store.storeRepeatedUse(owner, again)])
  await store.take([owner, owner])
  assert.deepEqual(plain(await store.repeatedUse(owner)), plain(again))
  assert.deepEqual(plain(await store.repeatedUse(other)), plain(keys))
})

forEachEngine('clearing takes every key of one account, and of no other', async (open) => {
  const store = await openStore(open)
  const [mine, theirs] = [ownersOf(), ownersOf()]
  for (const owner of [...mine, ...theirs]) {
    const keys = { ec: signed(1), kem: signed(2) }
    await store.write([
      ...store.replaceEc(owner, [ec(1)]),
      ...store.replaceKem(owner, [signed(1)]),
      store.storeRepeatedUse(owner, keys),
    ])
  }
  await store.write(store.clear(mine[0]!.aci))
  for (const owner of mine) {
    assert.deepEqual(await store.count(owner), { ec: 0, kem: 0 })
    assert.equal(await store.repeatedUse(owner), undefined)
  }
  for (const owner of theirs) {
    assert.deepEqual(await store.count(owner), { ec: 1, kem: 1 })
    assert.ok(await store.repeatedUse(owner))
  }
})
