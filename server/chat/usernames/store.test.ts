import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { openChatStorage } from '../../../test/chat-storage.ts'
import { forEachEngine, type OpenEngine } from '../../../test/engines.ts'
import { plain } from '../../../test/plain.ts'
import { newAci } from '../../../test/sample-account.ts'
import type { Statement } from '../../kit/sql/sql.ts'
import type { Claim } from './claim.ts'
import { UsernameStore } from './store.ts'

const NOW_MS = 1_700_000_000_000

async function openStore(open: OpenEngine) {
  const sql = await openChatStorage(open)
  const write = async (...statements: Statement[]) => (await sql.write(statements)).ok
  return { store: new UsernameStore(sql), write }
}

const claimOf = (fields: Partial<Claim> = {}): Claim => ({
  hash: randomBytes(32),
  aci: newAci(),
  state: 'reserved',
  sinceVersion: 2,
  expiresAtMs: NOW_MS + 1,
  ...fields,
})

forEachEngine('a claim that stands is nobody else’s, and an owned one is nobody’s at all', async (open) => {
  const { store, write } = await openStore(open)
  const reserved = claimOf()
  assert.ok(await write(...store.claim(reserved, NOW_MS)))
  const stranger = claimOf({ hash: reserved.hash })
  assert.equal(await write(...store.claim(stranger, NOW_MS)), false)
  assert.deepEqual(plain(await store.claimsOf([reserved.hash])), plain([reserved]))
  const owned: Claim = { ...reserved, state: 'owned', sinceVersion: 3, expiresAtMs: undefined }
  assert.ok(await write(...store.claim(owned, NOW_MS)))
  assert.equal(await write(...store.claim(reserved, NOW_MS + 1000)), false)
  assert.equal(await write(...store.claim(stranger, NOW_MS + 1000)), false)
  assert.deepEqual(plain(await store.claimsOf([reserved.hash])), plain([owned]))
})

forEachEngine('a claim ends in the moment that it expires', async (open) => {
  const { store, write } = await openStore(open)
  const [first, second] = [claimOf(), claimOf()]
  assert.ok(await write(...store.claim(first, NOW_MS), ...store.claim(second, NOW_MS)))
  const stranger = claimOf({ hash: first.hash, expiresAtMs: NOW_MS + 9 })
  assert.ok(await write(...store.claim(stranger, NOW_MS + 1)))
  assert.deepEqual(plain(await store.claimsOf([first.hash])), plain([stranger]))
  await write(store.forgetExpired(NOW_MS))
  assert.equal((await store.claimsOf([first.hash, second.hash])).length, 2)
  await write(store.forgetExpired(NOW_MS + 1))
  assert.deepEqual(plain(await store.claimsOf([first.hash, second.hash])), plain([stranger]))
})

forEachEngine('only what its account owns is released, and the latest holds are kept', async (open) => {
  const { store, write } = await openStore(open)
  const aci = newAci()
  const held = [2, 3, 4, 5].map((sinceVersion) => claimOf({ aci, sinceVersion, state: 'held' }))
  const [owned, foreign] = [claimOf({ aci }), claimOf({ state: 'held' })].map((claim) =>
    claim.state === 'held' ? claim : { ...claim, state: 'owned' as const, expiresAtMs: undefined },
  ) as [Claim, Claim]
  for (const claim of [...held, owned, foreign]) assert.ok(await write(...store.claim(claim, NOW_MS)))
  await write(store.release({ ...owned, aci: newAci(), sinceVersion: 9 }, 'held', NOW_MS + 5))
  assert.deepEqual(plain(await store.claimsOf([owned.hash])), plain([owned]))
  await write(store.release({ ...owned, sinceVersion: 6 }, 'held', NOW_MS + 5), store.trimHolds(aci, 3))
  const left = await store.claimsOf([...held, owned, foreign].map(({ hash }) => hash))
  const versions = left.filter((claim) => claim.aci === aci).map(({ sinceVersion }) => sinceVersion)
  assert.deepEqual(versions.toSorted(), [4, 5, 6])
  assert.equal(left.length, 4)
  await write(...store.clear(aci))
  assert.deepEqual(plain(await store.claimsOf(held.map(({ hash }) => hash))), [])
  assert.equal((await store.claimsOf([foreign.hash])).length, 1)
})

forEachEngine('a reservation follows the last, a link is its account’s alone', async (open) => {
  const { store, write } = await openStore(open)
  const [aci, stranger, handle] = [newAci(), newAci(), randomUUID()]
  const [first, second] = [randomBytes(32), randomBytes(32)]
  assert.equal(await store.reservedBy(aci), undefined)
  assert.ok(await write(store.reserve(aci, first), store.reserve(aci, second)))
  assert.deepEqual(plain(await store.reservedBy(aci)), plain(second))
  assert.ok(await write(store.forgetReservation(aci), store.link(aci, handle, first)))
  assert.equal(await store.reservedBy(aci), undefined)
  assert.equal(await write(store.link(stranger, handle, second)), false)
  assert.ok(await write(...store.unlink(stranger, handle), store.link(aci, handle, second)))
  assert.deepEqual(plain(await store.linked(handle)), plain(second))
  assert.ok(await write(...store.unlink(aci, undefined), ...store.unlink(aci, handle)))
  assert.equal(await store.linked(handle), undefined)
})
