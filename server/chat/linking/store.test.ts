import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { openChatStorage } from '../../../test/chat-storage.ts'
import { forEachEngine, type OpenEngine } from '../../../test/engines.ts'
import { plain } from '../../../test/plain.ts'
import { newAci } from '../../../test/sample-account.ts'
import { LinkingStore } from './store.ts'

const NOW_MS = 1_800_000_000_000
const OVER_MS = NOW_MS + 3_600_000

async function openStore(open: OpenEngine) {
  const sql = await openChatStorage(open)
  const store = new LinkingStore(sql)
  const aci = newAci()
  const use = (tokenId: Uint8Array, createdAtMs = NOW_MS, deviceId = 2) =>
    sql.write([store.use(aci, tokenId, { deviceId, createdAtMs }, OVER_MS)])
  return { sql, store, aci, use, to: { aci, deviceId: 2, registrationId: 7 } }
}

forEachEngine('a token is used once, whoever uses it at the same moment', async (open) => {
  const { store, aci, use } = await openStore(open)
  const tokenId = randomBytes(32)
  const uses = await Promise.all([2, 3, 4, 5].map((deviceId) => use(tokenId, NOW_MS, deviceId)))
  assert.deepEqual(
    uses.map(({ ok }) => ok),
    [true, false, false, false],
  )
  assert.deepEqual(await store.linked(aci, tokenId, NOW_MS), { deviceId: 2, createdAtMs: NOW_MS })
  assert.equal((await use(randomBytes(32))).ok, true)
})

forEachEngine('a used token is known to its account alone, until its time is over', async (open) => {
  const { store, aci, use } = await openStore(open)
  const tokenId = randomBytes(32)
  assert.equal(await store.newestLinkedAtMs(aci), 0)
  await use(tokenId)
  await use(randomBytes(32), NOW_MS + 5)
  await use(randomBytes(32), NOW_MS + 3)
  assert.equal(await store.newestLinkedAtMs(aci), NOW_MS + 5)
  assert.equal(await store.linked(newAci(), tokenId, NOW_MS), undefined)
  assert.notEqual(await store.linked(aci, tokenId, OVER_MS - 1), undefined)
  assert.equal(await store.linked(aci, tokenId, OVER_MS), undefined)
})

forEachEngine('an archive is kept for one device in one life, and the last word counts', async (open) => {
  const { store, to } = await openStore(open)
  for (const archive of [
    { cdn: 3, key: 'a' },
    { error: 'RELINK_REQUESTED' as const },
    { cdn: 0, key: 'b' },
  ]) {
    await store.putArchive(to, archive, OVER_MS)
    assert.deepEqual(await store.archive(to, NOW_MS), archive)
  }
  for (const other of [{ aci: newAci() }, { deviceId: 3 }, { registrationId: 8 }])
    assert.equal(await store.archive({ ...to, ...other }, NOW_MS), undefined)
  assert.equal(await store.archive(to, OVER_MS), undefined)
})

forEachEngine('a request for the data is kept under its token, with or without a bootstrap', async (open) => {
  const { store } = await openStore(open)
  const request = { method: 'DEVICE_TRANSFER', bootstrap: randomBytes(4096) } as const
  await store.putRestoreRequest('token', request, OVER_MS)
  assert.deepEqual(plain(await store.restoreRequest('token', NOW_MS)), plain(request))
  const without = { method: 'DECLINE', bootstrap: undefined } as const
  await store.putRestoreRequest('token', without, OVER_MS)
  assert.deepEqual(await store.restoreRequest('token', NOW_MS), without)
  assert.equal(await store.restoreRequest('other', NOW_MS), undefined)
  assert.equal(await store.restoreRequest('token', OVER_MS), undefined)
})

forEachEngine('what belongs to an account or a device goes with it, and the rest stays', async (open) => {
  const { sql, store, aci, use, to } = await openStore(open)
  const other = { ...to, aci: newAci() }
  const three = { ...to, deviceId: 3 }
  const tokenId = randomBytes(32)
  const archive = { cdn: 3, key: 'a' }
  const left = async () =>
    Promise.all([to, three, other].map(async (one) => (await store.archive(one, NOW_MS)) !== undefined))
  await use(tokenId)
  for (const one of [to, three, other]) await store.putArchive(one, archive, OVER_MS)
  await sql.write([store.clearArchives(aci, 2)])
  assert.deepEqual(await left(), [false, true, true])
  await sql.write([store.clearArchives(aci)])
  assert.deepEqual(await left(), [false, false, true])
  assert.notEqual(await store.linked(aci, tokenId, NOW_MS), undefined, 'a used token stays used')
  await sql.write(store.clear(aci))
  assert.equal(await store.linked(aci, tokenId, NOW_MS), undefined)
})

forEachEngine('what is over leaves every table', async (open) => {
  const { sql, store, use, to } = await openStore(open)
  await use(randomBytes(32))
  await store.putArchive(to, { cdn: 3, key: 'a' }, OVER_MS)
  await store.putRestoreRequest('token', { method: 'DECLINE', bootstrap: undefined }, OVER_MS)
  const count = async () => {
    const tables = ['used_link_tokens', 'transfer_archives', 'restore_requests']
    const counts = tables.map((table) => sql.read(`SELECT COUNT(*) AS n FROM ${table}`))
    return (await Promise.all(counts)).map(([row]) => row!['n'])
  }
  await store.forgetExpired(OVER_MS - 1)
  assert.deepEqual(await count(), [1, 1, 1])
  await store.forgetExpired(OVER_MS)
  assert.deepEqual(await count(), [0, 0, 0])
})
