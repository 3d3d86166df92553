import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { openChatStorage } from '../../../test/chat-storage.ts'
import { forEachEngine, type OpenEngine } from '../../../test/engines.ts'
import { plain } from '../../../test/plain.ts'
import { newAci } from '../../../test/sample-account.ts'
import type { Aci } from '../../../wire/types.ts'
import type { ProfileFields } from './profile.ts'
import { ProfileStore } from './store.ts'
import { ZkCredentialKeyStore } from './zk-credential-key-store.ts'

async function openStore(open: OpenEngine) {
  const sql = await openChatStorage(open)
  const store = new ProfileStore(sql)
  const add = async (aci: Aci, version: Uint8Array, avatar?: string) => {
    const written = await sql.write([
      store.commit(aci, version, randomBytes(97)),
      ...store.setAvatar(aci, version, avatar, 0),
    ])
    assert.ok(written.ok)
  }
  return { sql, store, add }
}

const newVersion = () => randomBytes(32)
const fields = (): ProfileFields => ({
  name: randomBytes(81),
  about: undefined,
  aboutEmoji: new Uint8Array(0),
  phoneNumberSharing: randomBytes(29),
  paymentAddress: randomBytes(582),
})

forEachEngine(
  'of many commitments written at once for one version the first stays for ever',
  async (open) => {
    const { sql, store } = await openStore(open)
    const [aci, version] = [newAci(), newVersion()]
    const commitments = Array.from({ length: 50 }, () => randomBytes(97))
    await Promise.all(commitments.map((one) => sql.write([store.commit(aci, version, one)])))
    const first = commitments[0]!
    const stored = async () => plain((await store.read(aci, version))!.commitment)
    assert.deepEqual(await stored(), plain(first))
    await sql.write([store.commit(aci, version, randomBytes(97)), store.setFields(aci, version, fields())])
    assert.deepEqual(await stored(), plain(first))
    assert.deepEqual(await sql.write([store.commitSame(aci, version, randomBytes(97))]), {
      ok: false,
      unmet: 0,
    })
    assert.equal((await sql.write([store.commitSame(aci, version, first)])).ok, true)
    assert.equal((await sql.write([store.commitSame(aci, newVersion(), first)])).ok, true)
  },
)

forEachEngine('fields come back to the byte; absent and empty are told apart', async (open) => {
  const { sql, store, add } = await openStore(open)
  const [aci, version] = [newAci(), newVersion()]
  await add(aci, version)
  const written = fields()
  await sql.write([store.setFields(aci, version, written)])
  const { commitment: _, ...read } = (await store.read(aci, version))!
  const none = { avatar: undefined, data: undefined, isCurrent: false, hasCurrent: false }
  assert.deepEqual(plain(read), plain({ version, ...written, ...none }))
  assert.deepEqual([read.about, read.aboutEmoji?.length], [undefined, 0])
  assert.equal(await store.read(aci, newVersion()), undefined)
  assert.equal(await store.read(newAci(), version), undefined)
})

forEachEngine('the current version moves only from where it is expected to be', async (open) => {
  const { sql, store, add } = await openStore(open)
  const aci = newAci()
  const [one, two] = [newVersion(), newVersion()]
  await add(aci, one)
  await add(aci, two)
  const move = async (version: Uint8Array, expected?: Uint8Array) =>
    (await sql.write([store.moveCurrent(aci, version, expected)])).ok
  const current = async () => {
    const shown = await Promise.all([one, two].map((version) => store.read(aci, version)))
    return shown.map((profile) => profile!.isCurrent)
  }
  assert.equal(await move(one, two), false)
  assert.equal(await move(one), true)
  assert.equal(await move(two), false)
  assert.equal(await move(two, two), false)
  assert.deepEqual(await current(), [true, false])
  assert.equal(await move(two, one), true)
  assert.deepEqual(await current(), [false, true])
  await sql.write([store.makeCurrent(aci, one)])
  assert.deepEqual(await current(), [true, false])
  assert.equal(await move(one, one), true)
})

forEachEngine('data is replaced only where it is the expected one', async (open) => {
  const { sql, store, add } = await openStore(open)
  const [aci, version] = [newAci(), newVersion()]
  await add(aci, version)
  const [one, two] = [1, 2].map((byte) => ({ data: Buffer.alloc(9, byte), hash: Buffer.alloc(32, byte) }))
  const set = async (to = one!, expected?: Uint8Array) =>
    (await sql.write([store.setData(aci, version, to, expected)])).ok
  assert.equal(await set(one, one!.hash), false)
  assert.equal(await set(one), true)
  assert.equal(await set(two), false)
  assert.equal(await set(two, two!.hash), false)
  assert.equal(await set(two, one!.hash), true)
  assert.deepEqual(plain((await store.read(aci, version))!.data), plain(two!.data))
  await sql.write([store.dropData(aci)])
  assert.equal((await store.read(aci, version))!.data, undefined)
  assert.equal(await set(one), true)
})

forEachEngine(
  'an avatar whose name goes is handed in with the same write, and due when it was said',
  async (open) => {
    const { sql, store, add } = await openStore(open)
    const [aci, other, version] = [newAci(), newAci(), newVersion()]
    await add(aci, version, 'a')
    await add(aci, newVersion(), 'b')
    await add(other, version, 'c')
    assert.deepEqual(await store.unwanted(Number.MAX_SAFE_INTEGER, 9), [])
    await sql.write(store.setAvatar(aci, version, 'd', 500))
    assert.deepEqual(await store.unwanted(499, 9), [])
    assert.deepEqual(await store.unwanted(500, 9), ['a'])
    const undone = await sql.write([
      ...store.setAvatar(aci, version, 'e', 500),
      store.exists(aci, newVersion()),
    ])
    assert.equal(undone.ok, false)
    assert.deepEqual(await store.unwanted(500, 9), ['a'])
    await sql.write(store.clear(aci, 100))
    assert.deepEqual((await store.unwanted(500, 9)).sort(), ['a', 'b', 'd'])
    assert.equal((await store.unwanted(500, 9)).at(-1), 'a', 'the oldest first')
    assert.equal(await store.read(aci, version), undefined)
    assert.equal((await store.read(other, version))!.avatar, 'c')
    await store.postponeUnwanted('b', 700)
    await store.forgetUnwanted('a')
    assert.deepEqual(await store.unwanted(500, 9), ['d'])
    assert.equal((await store.unwanted(700, 1)).length, 1)
  },
)

forEachEngine('a place holds one avatar until it expires or is left', async (open) => {
  const { store } = await openStore(open)
  const [place, other] = [randomBytes(32), randomBytes(32)]
  await store.takePlace(place, 'a', 1000, 10)
  await store.takePlace(place, 'b', 2000, 10)
  await store.takePlace(other, 'c', 1000, 10)
  assert.deepEqual(await store.unwanted(10, 9), ['a'])
  assert.equal(await store.extendPlace(place, 3000, 1999), 'b')
  assert.equal(await store.extendPlace(other, 3000, 1000), undefined, 'it has expired')
  await store.expirePlaces(1000)
  assert.deepEqual((await store.unwanted(1000, 9)).sort(), ['a', 'c'])
  await store.expirePlaces(2999)
  assert.equal(await store.extendPlace(place, 4000, 2999), 'b')
  await store.leavePlace(place, 20)
  await store.leavePlace(place, 20)
  assert.equal(await store.extendPlace(place, 4000, 0), undefined)
  assert.deepEqual((await store.unwanted(1000, 9)).sort(), ['a', 'b', 'c'])
})

forEachEngine('the same credential key keeps its rotation, another one brings its own', async (open) => {
  const sql = await openChatStorage(open)
  const store = new ZkCredentialKeyStore(sql)
  const [aci, other] = [newAci(), newAci()]
  const set = async (publicKey: Uint8Array, rotationId: number) => {
    const written = await sql.write([store.set(aci, { publicKey, rotationId })])
    return written.ok && written.outcomes[0]!.rows[0]!['rotation_id']
  }
  const [one, two] = [randomBytes(33), randomBytes(33)]
  const large = 2 ** 48
  assert.deepEqual(await Promise.all([set(one, large), set(one, 2), set(two, 3), set(two, 4)]), [
    ...[large, large, 3, 3],
  ])
  assert.deepEqual(plain(await store.read(aci)), plain({ publicKey: two, rotationId: 3 }))
  assert.equal(await store.read(other), undefined)
  await sql.write([store.clear(other)])
  assert.ok(await store.read(aci))
  await sql.write([store.clear(aci)])
  assert.equal(await store.read(aci), undefined)
})
