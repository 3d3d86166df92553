import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { BackupCredentialType, BackupLevel } from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import { openRules } from '../../../test/chat-rules.ts'
import { MemoryObjects } from '../../../test/memory-objects.ts'
import { copiedBytes } from '../../kit/backup-objects.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Copied, Copy } from './backup-media.ts'
import type { BackupUser } from './backup-user.ts'

const DAY_MS = 86_400_000
/** What `openRules` allows a backup. */
const MAX_MEDIA_BYTES = 10_000
const SOURCE_BYTES = 900
const COPY_BYTES = copiedBytes(SOURCE_BYTES)
const FITTING = Math.floor(MAX_MEDIA_BYTES / COPY_BYTES)

const refusedAs = (kind: Refusal['kind']) => (error: unknown) =>
  error instanceof Refusal && error.kind === kind
const kinds = (copied: readonly Copied[]) => copied.map(({ kind }) => kind)

async function open(t: TestContext) {
  const objects = new MemoryObjects()
  const rules = await openRules(t, { objects })
  const { media, backupStore, clock } = rules
  /** A backup as one finds it who has shown the right credential. */
  const newUser = async (): Promise<BackupUser> => {
    const idHash = new Uint8Array(randomBytes(16))
    const name = () => randomBytes(16).toString('base64url')
    const fresh = { backupDir: name(), mediaDir: name() }
    const dayMs = Math.floor(clock.nowMs() / DAY_MS) * DAY_MS
    assert.ok(await backupStore.claim(idHash, randomBytes(33), fresh, { dayMs, withMedia: true }))
    return asUser(idHash)
  }
  const asUser = async (idHash: Uint8Array): Promise<BackupUser> => {
    const backup = (await backupStore.find(idHash)) ?? assert.fail('no such backup')
    return { idHash, type: BackupCredentialType.Media, level: BackupLevel.Paid, backup }
  }
  const source = (bytes = SOURCE_BYTES): Copy => {
    const key = randomBytes(15).toString('base64url')
    objects.attachments.set(key, bytes)
    return {
      source: { cdn: 3, key, bytes },
      layer: { encryptionKey: randomBytes(32), hmacKey: randomBytes(32) },
      mediaId: randomBytes(15),
    }
  }
  const sources = (count: number) => Array.from({ length: count }, () => source())
  const copy = async ({ idHash }: BackupUser, copies: readonly Copy[]) =>
    Array.fromAsync(media.copy(await asUser(idHash), copies))
  const usage = async ({ idHash }: BackupUser) => (await asUser(idHash)).backup.usage
  return { ...rules, objects, newUser, asUser, source, sources, copy, usage }
}

test('a copy is as long as what was encrypted again: IV, padding, MAC', () => {
  assert.deepEqual([0, 1, 15, 16, 17].map(copiedBytes), [64, 64, 64, 80, 80])
})

test('media are copied with their own layer, and counted as they are stored', async (t) => {
  const { objects, newUser, source, copy, usage } = await open(t)
  const user = await newUser()
  const copies = [source(), source(16)]
  assert.deepEqual(kinds(await copy(user, copies)), ['copied', 'copied'])
  assert.deepEqual(
    objects.layers,
    copies.map(({ layer }) => layer),
  )
  const { backupDir, mediaDir } = user.backup
  const paths = copies.map(
    ({ mediaId }) => `${backupDir}/${mediaDir}/${Buffer.from(mediaId).toString('base64url')}`,
  )
  assert.deepEqual([...objects.stored.keys()], paths)
  assert.deepEqual(await usage(user), { bytes: COPY_BYTES + 80, objects: 2 })
})

test('what cannot be copied says why, in its place, and does not count', async (t) => {
  const { newUser, source, copy, usage } = await open(t)
  const user = await newUser()
  const gone = { ...source(), source: { cdn: 2, key: 'gone', bytes: 5 } }
  const longer = source()
  const wrong = { ...longer, source: { ...longer.source, bytes: 5 } }
  const copied = await copy(user, [gone, source(), wrong])
  assert.deepEqual(kinds(copied), ['source-not-found', 'copied', 'wrong-length'])
  assert.deepEqual(copied[0]!.mediaId, gone.mediaId)
  assert.deepEqual(await usage(user), { bytes: COPY_BYTES, objects: 1 })
})

test('the same copy twice counts once', async (t) => {
  const { newUser, source, copy, usage } = await open(t)
  const user = await newUser()
  const one = source()
  assert.deepEqual(kinds(await copy(user, [one])), ['copied'])
  assert.deepEqual(kinds(await copy(user, [one])), ['copied'])
  assert.deepEqual(await usage(user), { bytes: COPY_BYTES, objects: 1 })
})

test('as many are copied as there is space for, and the rest is told so', async (t) => {
  const { newUser, sources, copy, usage, objects } = await open(t)
  const user = await newUser()
  const copied = await copy(user, sources(FITTING + 2))
  assert.deepEqual(kinds(copied), [...Array(FITTING).fill('copied'), 'out-of-space', 'out-of-space'])
  assert.equal(objects.stored.size, FITTING)
  assert.deepEqual(await usage(user), { bytes: FITTING * COPY_BYTES, objects: FITTING })
})

test('however many copy at once, the space is given once', async (t) => {
  const { newUser, sources, copy, objects } = await open(t)
  const user = await newUser()
  const batches = await Promise.all(Array.from({ length: 6 }, () => copy(user, sources(3))))
  const copied = batches.flat().filter(({ kind }) => kind === 'copied').length
  assert.equal(copied, FITTING)
  assert.equal(objects.stored.size, FITTING)
})

test('who is out of space is counted anew, once a day', async (t) => {
  const { newUser, source, sources, copy, usage, objects, clock } = await open(t)
  const user = await newUser()
  await copy(user, sources(FITTING))
  assert.deepEqual(kinds(await copy(user, [source()])), ['out-of-space'])
  objects.stored.clear()
  assert.deepEqual(kinds(await copy(user, [source()])), ['out-of-space'])
  clock.advance(DAY_MS)
  assert.deepEqual(kinds(await copy(user, [source()])), ['copied'])
  assert.deepEqual(await usage(user), { bytes: COPY_BYTES, objects: 1 })
})

test('ten are copied at a time', async (t) => {
  const { newUser, source, copy, objects } = await open(t)
  const small = Array.from({ length: 50 }, () => source(1))
  assert.equal((await copy(await newUser(), small)).length, 50)
  assert.equal(objects.busiest, 10)
})

test('a client that goes away gets back the space of what was not copied', async (t) => {
  const { media, newUser, source, usage, objects } = await open(t)
  const user = await newUser()
  const copies = Array.from({ length: 50 }, () => source(1))
  const copying = media.copy(user, copies)
  await copying.next()
  assert.equal((await usage(user)).objects, 50)
  await copying.return()
  const { size } = objects.stored
  assert.ok(size > 0 && size < 20, String(size))
  assert.deepEqual(await usage(user), { bytes: size * copiedBytes(1), objects: size })
})

test('a store that fails halfway leaves no space taken', async (t) => {
  const { newUser, sources, copy, usage, objects } = await open(t)
  const user = await newUser()
  let copies = 0
  objects.beforeCopy = async () => {
    if (++copies === 3) throw new Error('disk full')
  }
  await assert.rejects(copy(user, sources(5)), /disk full/)
  const { size } = objects.stored
  assert.deepEqual(await usage(user), { bytes: size * COPY_BYTES, objects: size })
})

test('what is copied while the backup is deleted counts nowhere', async (t) => {
  const { media, backups, newUser, asUser, sources, usage } = await open(t)
  const user = await newUser()
  const copying = media.copy(user, sources(2))
  await copying.next()
  await backups.deleteAll(user)
  await copying.return()
  assert.deepEqual(await usage(user), { bytes: 0, objects: 0 })
  const stale = await Array.fromAsync(media.copy(user, sources(1)))
  assert.deepEqual(kinds(stale), ['out-of-space'])
  assert.notEqual((await asUser(user.idHash)).backup.mediaDir, user.backup.mediaDir)
})

test('copying wants a paid credential for media, and whole items (I1)', async (t) => {
  const { media, newUser, source } = await open(t)
  const user = await newUser()
  const refusal = (as: Partial<BackupUser>, copies: readonly Copy[], kind: Refusal['kind']) =>
    assert.rejects(Array.fromAsync(media.copy({ ...user, ...as }, copies)), refusedAs(kind))
  await refusal({ level: BackupLevel.Free }, [source()], 'forbidden')
  await refusal({ type: BackupCredentialType.Messages }, [source()], 'forbidden')
  await refusal({}, [], 'invalid')
  await refusal({}, Array(1001).fill(source()), 'invalid')
  await refusal({}, [source(1001)], 'bad-request')
  const good = source()
  const spoilt: Copy[] = [
    { ...good, mediaId: randomBytes(14) },
    { ...good, layer: { ...good.layer, hmacKey: randomBytes(31) } },
    { ...good, layer: { ...good.layer, encryptionKey: randomBytes(33) } },
    ...['', '../x', 'a/b', '..', 'a%2fb', 'a\0', 'é', 'a'.repeat(65)].map((key) => ({
      ...good,
      source: { ...good.source, key },
    })),
    ...[0, 4].map((cdn) => ({ ...good, source: { ...good.source, cdn } })),
  ]
  for (const one of spoilt) await refusal({}, [good, one], 'invalid')
})

test('media are listed a page at a time', async (t) => {
  const { media, newUser, asUser, source, copy } = await open(t)
  const { idHash } = await newUser()
  const user = await asUser(idHash)
  const copies = Array.from({ length: 7 }, () => source(1))
  await copy(user, copies)
  const ids: string[] = []
  const sizes: number[] = []
  for (let cursor: string | undefined, more = true; more; ) {
    const page = await media.list(user, cursor, 3)
    ids.push(...page.media.map(({ mediaId }) => Buffer.from(mediaId).toString('base64url')))
    sizes.push(page.media.length)
    assert.deepEqual([page.backupDir, page.mediaDir], [user.backup.backupDir, user.backup.mediaDir])
    cursor = page.cursor
    more = cursor !== undefined
  }
  assert.deepEqual(sizes, [3, 3, 1])
  assert.deepEqual(ids, copies.map(({ mediaId }) => Buffer.from(mediaId).toString('base64url')).sort())
  for (const limit of [0, 10_001])
    await assert.rejects(media.list(user, undefined, limit), refusedAs('bad-request'))
})

test('what is deleted is named when it is gone, and its space is free', async (t) => {
  const { media, newUser, source, copy, usage, objects } = await open(t)
  const user = await newUser()
  const [one, two, three] = [source(), source(), source()]
  await copy(user, [one, two, three])
  const names = [two, { mediaId: randomBytes(15) }, one].map(({ mediaId }) => ({ cdn: 3, mediaId }))
  assert.deepEqual(await Array.fromAsync(media.delete(user, names)), names)
  assert.equal(objects.stored.size, 1)
  assert.deepEqual(await usage(user), { bytes: COPY_BYTES, objects: 1 })
  const refusal = (cdn: number, bytes: number) =>
    Array.fromAsync(media.delete(user, [{ cdn, mediaId: randomBytes(bytes) }]))
  await assert.rejects(refusal(2, 15), refusedAs('bad-request'))
  await assert.rejects(refusal(3, 16), refusedAs('invalid'))
  await assert.rejects(Array.fromAsync(media.delete(user, [])), refusedAs('invalid'))
})

test('without a file store every source is gone, truthfully', async (t) => {
  const { media, backupStore } = await openRules(t)
  const idHash = randomBytes(16)
  const fresh = { backupDir: 'a', mediaDir: 'b' }
  await backupStore.claim(idHash, randomBytes(33), fresh, { dayMs: 0, withMedia: true })
  const backup = (await backupStore.find(idHash))!
  const user = { idHash, type: BackupCredentialType.Media, level: BackupLevel.Paid, backup }
  const layer = { encryptionKey: randomBytes(32), hmacKey: randomBytes(32) }
  const copy = { source: { cdn: 3, key: 'a', bytes: 1 }, layer, mediaId: randomBytes(15) }
  assert.deepEqual(kinds(await Array.fromAsync(media.copy(user, [copy]))), ['source-not-found'])
  assert.deepEqual((await backupStore.find(idHash))!.usage, { bytes: 0, objects: 0 })
  assert.deepEqual((await media.list(user, undefined)).media, [])
})
