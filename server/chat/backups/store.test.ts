import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { openChatStorage } from '../../../test/chat-storage.ts'
import { forEachEngine } from '../../../test/engines.ts'
import { newAci } from '../../../test/sample-account.ts'
import { CommitmentStore } from './commitment-store.ts'
import { BackupStore, mediaFolderOf } from './store.ts'

const FRESH = { backupDir: 'backup', mediaDir: 'media' }
const DAY = { dayMs: 86_400_000, withMedia: true }
const bytes = (size: number) => new Uint8Array(randomBytes(size))

forEachEngine('a backup is claimed by one key, and refreshed by it', async (open) => {
  const store = new BackupStore(await openChatStorage(open))
  const [id, key] = [bytes(16), bytes(33)]
  assert.equal(await store.find(id), undefined)
  assert.equal(await store.claim(id, key, FRESH, { ...DAY, withMedia: false }), true)
  const backup = await store.find(id)
  const usage = { bytes: 0, objects: 0 }
  assert.deepEqual(backup, { ...FRESH, idHash: id, publicKey: key, usage, usageCountedAtMs: 0 })
  assert.equal(await store.claim(id, bytes(33), FRESH, DAY), false)
  assert.deepEqual(await store.mediaNotRefreshedSince(2 * DAY.dayMs, 9), [])
  assert.equal(await store.claim(id, key, { backupDir: 'x', mediaDir: 'y' }, DAY), true)
  assert.deepEqual(await store.mediaNotRefreshedSince(2 * DAY.dayMs, 9), [backup])
  await store.refresh(id, { dayMs: 5 * DAY.dayMs, withMedia: false })
  assert.deepEqual(await store.notRefreshedSince(5 * DAY.dayMs, 9), [])
  assert.deepEqual(await store.mediaNotRefreshedSince(2 * DAY.dayMs, 9), [backup])
  await store.refresh(id, { dayMs: 5 * DAY.dayMs, withMedia: true })
  assert.deepEqual(await store.mediaNotRefreshedSince(2 * DAY.dayMs, 9), [])
})

forEachEngine('space is taken while there is some, and never less than nothing', async (open) => {
  const store = new BackupStore(await openChatStorage(open))
  const id = bytes(16)
  await store.claim(id, bytes(33), FRESH, DAY)
  const backup = (await store.find(id))!
  const large = 100 * 2 ** 30
  const usage = async () => (await store.find(id))!.usage
  assert.equal(await store.reserve(backup, { bytes: large - 1, objects: 3 }, large), true)
  assert.equal(await store.reserve(backup, { bytes: 2, objects: 1 }, large), false)
  assert.equal(await store.reserve(backup, { bytes: 1, objects: 1 }, large), true)
  assert.deepEqual(await usage(), { bytes: large, objects: 4 })
  await store.release(backup, { bytes: 10, objects: 1 })
  assert.deepEqual(await usage(), { bytes: large - 10, objects: 3 })
  await store.release(backup, { bytes: large, objects: 9 })
  assert.deepEqual(await usage(), { bytes: 0, objects: 0 })
  await store.setUsage(backup, { bytes: 7, objects: 1 }, 99)
  const counted = (await store.find(id))!
  assert.deepEqual([counted.usage, counted.usageCountedAtMs], [{ bytes: 7, objects: 1 }, 99])
})

forEachEngine('folders are swapped once, and what knows the old ones changes nothing', async (open) => {
  const store = new BackupStore(await openChatStorage(open))
  const id = bytes(16)
  await store.claim(id, bytes(33), FRESH, DAY)
  const backup = (await store.find(id))!
  await store.swap(backup, { backupDir: 'backup2', mediaDir: 'media2' })
  await store.swap(backup, { backupDir: 'backup3', mediaDir: 'media3' })
  const swapped = (await store.find(id))!
  assert.deepEqual([swapped.backupDir, swapped.mediaDir], ['backup2', 'media2'])
  assert.deepEqual(await store.discarded(9), ['backup'])
  assert.equal(await store.reserve(backup, { bytes: 1, objects: 1 }, 10), false)
  await store.setUsage(backup, { bytes: 7, objects: 1 }, 99)
  assert.deepEqual((await store.find(id))!.usage, { bytes: 0, objects: 0 })
  assert.deepEqual(await store.notRefreshedSince(1, 9), [swapped])
  await store.forgetDiscarded('backup')
  assert.deepEqual(await store.discarded(9), [])
})

forEachEngine('what was refreshed meanwhile does not expire', async (open) => {
  const store = new BackupStore(await openChatStorage(open))
  const id = bytes(16)
  await store.claim(id, bytes(33), FRESH, DAY)
  const backup = (await store.find(id))!
  await store.expire(backup, DAY.dayMs)
  await store.expireMedia(backup, DAY.dayMs, 'other')
  assert.deepEqual(await store.find(id), backup)
  await store.expireMedia(backup, DAY.dayMs + 1, 'other')
  assert.equal((await store.find(id))!.mediaDir, 'other')
  assert.deepEqual(await store.discarded(9), [mediaFolderOf(backup)])
  await store.expire(backup, DAY.dayMs + 1)
  assert.equal(await store.find(id), undefined)
  assert.deepEqual((await store.discarded(9)).sort(), ['backup', 'backup/media'])
})

forEachEngine('a receipt is redeemed by one account, which committed to media', async (open) => {
  const sql = await openChatStorage(open)
  const store = new CommitmentStore(sql)
  const [one, other] = [newAci(), newAci()]
  const serial = bytes(16)
  const redeem = (aci: typeof one, expiresAtMs: number, of = serial) =>
    store.redeem({ aci, serial: of, expiresAtMs })
  assert.equal(await redeem(one, 5), 'uncommitted')
  await sql.write([store.commit(one, { messages: bytes(9) }), store.commit(other, { media: bytes(9) })])
  assert.equal(await redeem(one, 5), 'uncommitted')
  await sql.write([store.commit(one, { media: bytes(9) })])
  assert.equal(await redeem(one, 5), 'redeemed')
  assert.equal(await redeem(other, 5), 'used')
  assert.equal(await redeem(one, 3, bytes(16)), 'redeemed')
  assert.equal((await store.find(one))!.paidUntilMs, 5)
  assert.equal((await store.find(other))!.paidUntilMs, 0)
  await sql.write([store.remove(one)])
  assert.equal(await store.find(one), undefined)
  await store.forgetReceipts(4)
  assert.equal(await redeem(other, 6), 'used')
  await store.forgetReceipts(6)
  assert.equal(await redeem(other, 6), 'redeemed')
})
