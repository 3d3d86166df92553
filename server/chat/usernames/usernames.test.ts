import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { openRules, type Rules, type RulesOptions } from '../../../test/chat-rules.ts'
import { sampleAccount } from '../../../test/sample-account.ts'
import { type Name, nameOf } from '../../../test/username.ts'
import type { Aci, DeviceAddress } from '../../../wire/types.ts'
import { Refusal } from '../../kit/refusal.ts'

const MINUTE_MS = 60_000
const DAY_MS = 1440 * MINUTE_MS
const NAMES = ['ada', 'boris', 'carla', 'dora', 'emil'].map((nickname) => nameOf(nickname)) as [
  Name,
  Name,
  Name,
  Name,
  Name,
]
const [ADA, BORIS, CARLA, DORA, EMIL] = NAMES
const TEXT = Buffer.from('encrypted')

async function add(rules: Rules): Promise<DeviceAddress> {
  const account = sampleAccount()
  assert.ok(await rules.accounts.put(account, []))
  return { aci: account.aci, deviceId: 1 }
}

/** Two people without names. */
async function open(t: TestContext, options: RulesOptions = {}) {
  const rules = await openRules(t, options)
  const [one, other] = [await add(rules), await add(rules)]
  const { usernames, accounts, clock } = rules
  const reserve = async (who: DeviceAddress, ...names: readonly Name[]) => {
    const reserved = await usernames.reserve(
      who,
      names.map(({ hash }) => hash),
    )
    return reserved.kind === 'taken' ? 'taken' : names.find(({ hash }) => equal(hash, reserved.hash))
  }
  const confirm = (who: DeviceAddress, { hash, proof }: Name, ciphertext: Uint8Array | undefined = TEXT) =>
    usernames.confirm(who, hash, proof, ciphertext)
  const own = async (who: DeviceAddress, name: Name) => {
    assert.equal(await reserve(who, name), name)
    const confirmed = await confirm(who, name)
    assert.ok(confirmed.kind === 'confirmed' && confirmed.handle)
    return confirmed.handle
  }
  const ownerOf = ({ hash }: Name): Promise<Aci | undefined> => usernames.ownerOf(hash, 'address')
  const linked = async (handle: string) => (await usernames.linked(handle, 'address'))?.toString()
  const accountOf = async ({ aci }: DeviceAddress) => (await accounts.find(aci))!
  /** What registration does with an account that it finds. */
  const registerAnew = async (who: DeviceAddress) => {
    const previous = await accountOf(who)
    const next = { ...previous, usernameHash: undefined, version: previous.version + 1 }
    assert.ok(await accounts.put(next, accounts.replacing(previous)))
  }
  return {
    ...rules,
    ...{ one, other, reserve, confirm, own, ownerOf, linked, accountOf, registerAnew, clock },
  }
}

const equal = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0
const refusedAs = (kind: Refusal['kind']) => (error: unknown) =>
  error instanceof Refusal && error.kind === kind

test('the first name that is free is reserved, and nobody is found by it before it is confirmed', async (t) => {
  const { one, other, reserve, confirm, ownerOf, accountOf } = await open(t)
  assert.equal(await reserve(one, ADA, BORIS), ADA)
  assert.equal(await ownerOf(ADA), undefined)
  assert.equal(await reserve(other, ADA, BORIS, CARLA), BORIS)
  assert.equal(await reserve(other, ADA), 'taken')
  const confirmed = await confirm(one, ADA)
  assert.equal(confirmed.kind, 'confirmed')
  assert.equal(await ownerOf(ADA), one.aci)
  assert.ok(equal((await accountOf(one)).usernameHash!, ADA.hash))
  assert.equal(await ownerOf(BORIS), undefined)
})

test('a reservation lasts five minutes; then its name is free, and the first who confirms has it', async (t) => {
  const { one, other, reserve, confirm, ownerOf, clock } = await open(t)
  assert.equal(await reserve(one, ADA), ADA)
  clock.advance(5 * MINUTE_MS - 1)
  assert.equal(await reserve(other, ADA), 'taken')
  clock.advance(1)
  assert.equal(await reserve(other, ADA), ADA)
  assert.equal((await confirm(one, ADA)).kind, 'lost')
  assert.equal(await ownerOf(ADA), undefined)
  assert.equal((await confirm(other, ADA)).kind, 'confirmed')
  assert.equal((await confirm(one, ADA)).kind, 'lost')
  assert.equal(await ownerOf(ADA), other.aci)
})

test('an expired reservation that nobody else took is confirmed all the same', async (t) => {
  const { one, reserve, confirm, ownerOf, clock } = await open(t)
  assert.equal(await reserve(one, ADA), ADA)
  clock.advance(DAY_MS)
  assert.equal((await confirm(one, ADA)).kind, 'confirmed')
  assert.equal(await ownerOf(ADA), one.aci)
})

test('only the name that was reserved last can be confirmed', async (t) => {
  const { one, other, reserve, confirm } = await open(t)
  assert.equal((await confirm(one, ADA)).kind, 'not-reserved')
  assert.equal(await reserve(one, ADA), ADA)
  assert.equal(await reserve(one, BORIS), BORIS)
  assert.equal((await confirm(one, ADA)).kind, 'not-reserved')
  assert.equal((await confirm(other, BORIS)).kind, 'not-reserved')
  assert.equal((await confirm(one, BORIS)).kind, 'confirmed')
})

test('a name that the account has is reserved and confirmed again without any effect', async (t) => {
  const { one, reserve, confirm, own, linked, sql } = await open(t)
  const handle = await own(one, ADA)
  const before = sql.written.length
  assert.equal(await reserve(one, BORIS, ADA), ADA)
  const again = await confirm(one, ADA, Buffer.from('other'))
  assert.deepEqual(again, { kind: 'confirmed', hash: ADA.hash, handle })
  assert.equal(sql.written.length, before)
  assert.equal(await linked(handle), 'encrypted')
})

test('a name that is confirmed again gets a link if it has none', async (t) => {
  const { one, own, confirm, usernames, linked } = await open(t)
  const handle = await own(one, ADA)
  await usernames.deleteLink(one)
  const bare = await usernames.confirm(one, ADA.hash, ADA.proof, undefined)
  assert.deepEqual(bare, { kind: 'confirmed', hash: ADA.hash, handle: undefined })
  const again = await confirm(one, ADA, Buffer.from('again'))
  assert.ok(again.kind === 'confirmed' && again.handle && again.handle !== handle)
  assert.deepEqual([await linked(handle), await linked(again.handle)], [undefined, 'again'])
  assert.deepEqual(await confirm(one, ADA), again)
})

test('a proof of another hash, or none, is refused and changes nothing', async (t) => {
  const { one, reserve, usernames, ownerOf } = await open(t)
  assert.equal(await reserve(one, ADA), ADA)
  for (const proof of [BORIS.proof, randomBytes(128), Buffer.alloc(0), ADA.proof.subarray(1)])
    await assert.rejects(usernames.confirm(one, ADA.hash, proof, TEXT), refusedAs('invalid'))
  assert.equal(await ownerOf(ADA), undefined)
  const forged = new Uint8Array(32).fill(255)
  await usernames.reserve(one, [forged])
  await assert.rejects(usernames.confirm(one, forged, ADA.proof, TEXT), refusedAs('invalid'))
})

test('a name that was given up is held for a week, and comes back to whom it was', async (t) => {
  const { one, other, own, reserve, ownerOf, linked, clock } = await open(t)
  const handle = await own(one, ADA)
  await own(one, BORIS)
  assert.deepEqual([await ownerOf(ADA), await ownerOf(BORIS)], [undefined, one.aci])
  assert.equal(await linked(handle), undefined)
  clock.advance(7 * DAY_MS - 1)
  assert.equal(await reserve(other, ADA), 'taken')
  assert.equal(await reserve(one, ADA), ADA)
  await own(one, ADA)
  assert.deepEqual([await ownerOf(ADA), await ownerOf(BORIS)], [one.aci, undefined])
  clock.advance(7 * DAY_MS)
  assert.equal(await reserve(other, ADA, BORIS), BORIS)
})

test('a reservation does not shorten a hold', async (t) => {
  const { one, other, own, reserve, clock } = await open(t)
  await own(one, ADA)
  await own(one, BORIS)
  assert.equal(await reserve(one, ADA), ADA)
  clock.advance(6 * DAY_MS)
  assert.equal(await reserve(other, ADA), 'taken')
})

test('three names are held at most: the oldest goes free, even within one moment', async (t) => {
  const { one, other, own, reserve } = await open(t)
  for (const name of NAMES) await own(one, name)
  assert.equal(await reserve(other, BORIS, CARLA, DORA, EMIL), 'taken')
  assert.equal(await reserve(other, ADA), ADA)
})

test('who returns to a held name loses no other hold by it', async (t) => {
  const { one, other, own, reserve } = await open(t)
  for (const name of [ADA, BORIS, CARLA, DORA]) await own(one, name)
  await own(one, BORIS)
  assert.equal(await reserve(other, ADA, BORIS, CARLA, DORA), 'taken')
})

test('a deleted name is held, its link is gone; deleting twice is deleting once', async (t) => {
  const { one, other, own, reserve, usernames, ownerOf, linked, accountOf } = await open(t)
  const handle = await own(one, ADA)
  await usernames.delete(one)
  const { version, usernameHash, usernameLinkHandle } = await accountOf(one)
  assert.deepEqual([usernameHash, usernameLinkHandle], [undefined, undefined])
  assert.deepEqual([await ownerOf(ADA), await linked(handle)], [undefined, undefined])
  assert.equal(await reserve(other, ADA), 'taken')
  await usernames.delete(one)
  assert.equal((await accountOf(one)).version, version)
})

test('a link keeps its handle if that is asked for, and else the old one ends', async (t) => {
  const { one, other, own, usernames, linked, accountOf } = await open(t)
  assert.deepEqual(await usernames.setLink(one, TEXT, false), { kind: 'no-username' })
  const first = await own(one, ADA)
  assert.equal(await linked(first), 'encrypted')
  assert.deepEqual(await usernames.setLink(one, Buffer.from('second'), true), {
    kind: 'linked',
    handle: first,
  })
  assert.equal(await linked(first), 'second')
  const renewed = await usernames.setLink(one, Buffer.from('third'), false)
  assert.ok(renewed.kind === 'linked' && renewed.handle !== first)
  assert.deepEqual([await linked(first), await linked(renewed.handle)], [undefined, 'third'])
  await usernames.deleteLink(one)
  await usernames.deleteLink(other)
  assert.equal(await linked(renewed.handle), undefined)
  assert.equal((await accountOf(one)).usernameLinkHandle, undefined)
  const anew = await usernames.setLink(one, TEXT, true)
  assert.ok(anew.kind === 'linked' && anew.handle !== renewed.handle)
})

test('a new name has a new link; without a ciphertext it has none', async (t) => {
  const { one, own, reserve, usernames, linked, accountOf } = await open(t)
  const first = await own(one, ADA)
  const second = await own(one, BORIS)
  assert.notEqual(second, first)
  assert.deepEqual([await linked(first), await linked(second)], [undefined, 'encrypted'])
  await reserve(one, CARLA)
  const bare = await usernames.confirm(one, CARLA.hash, CARLA.proof, undefined)
  assert.deepEqual(bare, { kind: 'confirmed', hash: CARLA.hash, handle: undefined })
  assert.deepEqual([await linked(second), (await accountOf(one)).usernameLinkHandle], [undefined, undefined])
})

test('after a new registration nobody is found by the name until its owner confirms it, with the link as it was', async (t) => {
  const { one, other, own, reserve, confirm, ownerOf, linked, accountOf, registerAnew, clock } = await open(t)
  const handle = await own(one, ADA)
  await registerAnew(one)
  assert.deepEqual([await ownerOf(ADA), await linked(handle)], [undefined, undefined])
  assert.equal((await accountOf(one)).usernameLinkHandle, handle)
  clock.advance(3 * DAY_MS - 1)
  assert.equal(await reserve(other, ADA), 'taken')
  await registerAnew(one)
  const again = await confirm(one, ADA, Buffer.from('anew'))
  assert.deepEqual(again, { kind: 'confirmed', hash: ADA.hash, handle })
  assert.deepEqual([await ownerOf(ADA), await linked(handle)], [one.aci, 'anew'])
})

test('a name that is reserved again before it is reclaimed keeps its link too', async (t) => {
  const { one, own, registerAnew, clock } = await open(t)
  const handle = await own(one, ADA)
  await registerAnew(one)
  clock.advance(MINUTE_MS)
  assert.equal(await own(one, ADA), handle)
})

test('a name that was not reclaimed within three days is free', async (t) => {
  const { one, other, own, confirm, registerAnew, clock, linked } = await open(t)
  const handle = await own(one, ADA)
  await registerAnew(one)
  clock.advance(3 * DAY_MS)
  await own(other, ADA)
  assert.equal((await confirm(one, ADA)).kind, 'lost')
  assert.equal(await linked(handle), undefined)
})

test('another name after a new registration has another link', async (t) => {
  const { one, own, registerAnew, linked } = await open(t)
  const handle = await own(one, ADA)
  await registerAnew(one)
  const other = await own(one, BORIS)
  assert.notEqual(other, handle)
  assert.notEqual(await own(one, ADA), other)
  assert.equal(await linked(handle), undefined)
})

test('a deleted account leaves nothing: its names are free, its links gone', async (t) => {
  const { one, other, own, reserve, accounts, ownerOf, linked, sql } = await open(t)
  await own(one, ADA)
  const handle = await own(one, BORIS)
  await reserve(one, CARLA)
  await accounts.delete(one.aci)
  assert.deepEqual([await ownerOf(BORIS), await linked(handle)], [undefined, undefined])
  for (const table of ['username_claims', 'username_reservations', 'username_links'])
    assert.deepEqual(await sql.read(`SELECT * FROM ${table}`), [])
  for (const name of [ADA, BORIS, CARLA]) assert.equal(await reserve(other, name), name)
  await assert.rejects(reserve(one, DORA), refusedAs('invalid-credentials'))
})

test('expired claims do not pile up', async (t) => {
  const { one, other, reserve, usernames, clock, sql } = await open(t)
  for (let count = 0; count < 5; count++) await usernames.reserve(one, [randomBytes(32)])
  clock.advance(5 * MINUTE_MS)
  assert.equal(await reserve(other, ADA), ADA)
  assert.equal((await sql.read('SELECT hash FROM username_claims')).length, 1)
})

test('of many who want one name at once one gets it, and each of the others the next on the list', async (t) => {
  const rules = await open(t)
  const everybody = await Promise.all(Array.from({ length: 6 }, () => add(rules)))
  const got = await Promise.all(everybody.map((who) => rules.reserve(who, ...NAMES)))
  assert.deepEqual(
    NAMES.map((name) => got.filter((one) => one === name).length),
    [1, 1, 1, 1, 1],
  )
  assert.equal(got.filter((one) => one === 'taken').length, 1)
})

test('of two who confirm one expired reservation at once, one gets the name, and the other is told', async (t) => {
  const { one, other, reserve, confirm, ownerOf, accountOf, clock } = await open(t)
  for (const who of [one, other]) {
    assert.equal(await reserve(who, ADA), ADA)
    clock.advance(5 * MINUTE_MS)
  }
  const kinds = (await Promise.all([confirm(one, ADA), confirm(other, ADA)])).map(({ kind }) => kind)
  assert.deepEqual(kinds.toSorted(), ['confirmed', 'lost'])
  const [winner, loser] = kinds[0] === 'confirmed' ? [one, other] : [other, one]
  assert.equal(await ownerOf(ADA), winner.aci)
  assert.equal((await accountOf(loser)).usernameHash, undefined)
})

test('R7: a lookup is the same one query, whatever state a name or a link is in', async (t) => {
  const { one, other, own, reserve, registerAnew, ownerOf, linked, sql } = await open(t)
  const [held, waiting] = [await own(one, ADA), await own(other, BORIS)]
  const owned = await own(one, CARLA)
  await reserve(one, DORA)
  await registerAnew(other)
  const reads = t.mock.method(sql, 'read')
  for (const name of NAMES) await ownerOf(name)
  for (const handle of [held, waiting, owned, randomUUID()]) await linked(handle)
  const queries = reads.mock.calls.map((call) => call.arguments[0])
  assert.equal(queries.length, NAMES.length + 4)
  assert.equal(new Set(queries).size, 2)
})

test('every operation has its limiter, by account or by address', async (t) => {
  const { one, own, usernames, ownerOf, linked, limited } = await open(t)
  await own(one, ADA)
  await usernames.setLink(one, TEXT, true)
  await usernames.deleteLink(one)
  await ownerOf(ADA)
  await linked(randomUUID())
  assert.deepEqual(limited, [
    `usernameReserve: ${one.aci}`,
    `usernameSet: ${one.aci}`,
    `usernameLinkOperation: ${one.aci}`,
    `usernameLinkOperation: ${one.aci}`,
    'usernameLookup: address',
    'usernameLinkLookupPerIp: address',
  ])
})

test('who tries names or proofs without end is told to wait', async (t) => {
  const { one, usernames, reserve } = await open(t, {
    limits: { usernameSet: { bucket: 2 }, usernameReserve: { bucket: 1 } },
  })
  await reserve(one, ADA)
  await assert.rejects(reserve(one, BORIS), refusedAs('rate-limited'))
  const guess = () => usernames.confirm(one, ADA.hash, randomBytes(128), TEXT)
  await assert.rejects(guess(), refusedAs('invalid'))
  await assert.rejects(guess(), refusedAs('invalid'))
  await assert.rejects(guess(), refusedAs('rate-limited'))
})
