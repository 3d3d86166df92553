import assert from 'node:assert/strict'
import fc from 'fast-check'
import { openChatStorage } from '../../../test/chat-storage.ts'
import { forEachEngine, type OpenEngine } from '../../../test/engines.ts'
import { plain } from '../../../test/plain.ts'
import { newNumber, newPni, sampleAccount, sampleDevice } from '../../../test/sample-account.ts'
import { CAPABILITIES } from '../../../wire/types.ts'
import type { Statement } from '../../kit/sql/sql.ts'
import type { NumberedAccount as Account } from './account.ts'
import { AccountStore } from './store.ts'

async function openStore(open: OpenEngine) {
  const sql = await openChatStorage(open)
  const store = new AccountStore(sql)
  const create = (account: Account) => sql.write(store.creation(account))
  const replace = (account: Account, others: Statement[] = []) =>
    sql.write([...store.replacement(account), ...others])
  return { sql, store, create, replace }
}

const byNumber = (one: { e164: string }, other: { e164: string }) => (one.e164 < other.e164 ? -1 : 1)
const linked = (id: number) => sampleDevice({ id, registrationId: 1000 + id })
const bytes = (minLength: number, maxLength = minLength) => fc.uint8Array({ minLength, maxLength })
const optional = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined })
/** Text of any planes; PostgreSQL has no NUL in text, and neither engine has halves of characters. */
const text = fc.string({ unit: 'binary', maxLength: 40 }).filter((value) => !value.includes('\0'))
const instant = fc.integer({ min: 0, max: 2 ** 52 })
const devices = fc.uniqueArray(
  fc.record({
    id: fc.integer({ min: 1, max: 127 }),
    createdAtMs: instant,
    authSalt: text,
    authHash: text,
    registrationId: fc.integer({ min: 1, max: 0x3fff }),
    pniRegistrationId: fc.integer({ min: 1, max: 0x3fff }),
    name: optional(bytes(0, 225)),
    capabilities: fc.uniqueArray(fc.constantFrom(...CAPABILITIES)).map((names) => new Set(names)),
    fetchesMessages: fc.boolean(),
    apnToken: optional(text),
    fcmToken: optional(text),
    userAgent: optional(text),
    lastSeenMs: instant,
    createdAtCiphertext: optional(bytes(0, 100)),
    pushSetAtMs: optional(instant),
    webPush: optional(
      fc.record({ endpoint: text, keys: optional(fc.record({ p256dh: bytes(65), auth: bytes(16) })) }),
    ),
  }),
  { minLength: 1, maxLength: 6, selector: ({ id }) => id },
)
const settings = fc.record({
  aciIdentityKey: bytes(33),
  pniIdentityKey: bytes(33),
  unidentifiedAccessKey: optional(bytes(16)),
  unrestrictedUnidentifiedAccess: fc.boolean(),
  discoverableByPhoneNumber: fc.boolean(),
  createdAtMs: instant,
  usernameHash: optional(bytes(32)),
  usernameLinkHandle: optional(fc.uuid()),
  registrationLock: optional(fc.record({ salt: text, hash: text })),
})

const inOrder = (account: Account): Account => ({
  ...account,
  devices: account.devices.toSorted((a, b) => a.id - b.id),
})

forEachEngine('an account is read as it was written, its devices in the order of their ids', async (open) => {
  const { store, create, replace } = await openStore(open)
  await fc.assert(
    fc.asyncProperty(settings, settings, devices, devices, async (first, then, old, fresh) => {
      const account = sampleAccount({ ...first, devices: old })
      assert.ok((await create(account)).ok)
      assert.deepEqual(plain(await store.read(account.aci)), plain(inOrder(account)))
      const changed = { ...account, ...then, devices: fresh, version: 2 }
      assert.ok((await replace(changed)).ok)
      assert.deepEqual(plain(await store.read(account.aci)), plain(inOrder(changed)))
    }),
    { numRuns: 25 },
  )
})

forEachEngine('an account that is not there is not read', async (open) => {
  const { store, create } = await openStore(open)
  await create(sampleAccount())
  assert.equal(await store.read(sampleAccount().aci), undefined)
  assert.equal(await store.aciOf(newPni()), undefined)
})

forEachEngine(
  'a phone number identity that somebody holds makes no second account, and nothing is kept of it',
  async (open) => {
    const { sql, store, create } = await openStore(open)
    const pni = newPni()
    const contenders = Array.from({ length: 30 }, () => sampleAccount({ pni }))
    const written = await Promise.all(contenders.map(create))
    const winners = contenders.filter((_, index) => written[index]!.ok)
    assert.equal(winners.length, 1)
    assert.equal(await store.aciOf(pni), winners[0]!.aci)
    for (const [index, { ok }] of written.entries())
      assert.equal((await store.read(contenders[index]!.aci)) !== undefined, ok)
    const late = await create(sampleAccount({ pni }))
    assert.deepEqual(late, { ok: false, unmet: 0 })
    assert.deepEqual(await sql.read('SELECT COUNT(*) AS n FROM devices'), [{ n: 1 }])
  },
)

forEachEngine(
  'a replacement of a version that is gone writes nothing, and nothing beside it',
  async (open) => {
    const { sql, store, create, replace } = await openStore(open)
    const account = sampleAccount({ devices: [linked(1), linked(2)] })
    await create(account)
    const second = { ...account, version: 2, devices: [linked(1)] }
    assert.ok((await replace(second)).ok)
    const beside = store.creation(sampleAccount())
    for (const version of [1, 2, 4]) {
      const stale = { ...account, version, discoverableByPhoneNumber: false, devices: [linked(3)] }
      assert.deepEqual(await replace(stale, beside), { ok: false, unmet: 0 })
    }
    assert.deepEqual(plain(await store.read(account.aci)), plain(second))
    assert.deepEqual(await sql.read('SELECT COUNT(*) AS n FROM accounts'), [{ n: 1 }])
    assert.deepEqual(await replace({ ...sampleAccount(), version: 2 }), { ok: false, unmet: 0 })
  },
)

forEachEngine('of many replacements of one version one is written', async (open) => {
  const { store, create, replace } = await openStore(open)
  const account = sampleAccount()
  await create(account)
  const rivals = Array.from({ length: 30 }, (_, index) => ({
    ...account,
    version: 2,
    devices: [linked(1), linked(index + 2)],
  }))
  const written = await Promise.all(rivals.map((rival) => replace(rival)))
  assert.equal(written.filter(({ ok }) => ok).length, 1)
  const winner = rivals[written.findIndex(({ ok }) => ok)]
  assert.deepEqual(plain(await store.read(account.aci)), plain(winner))
})

forEachEngine("a phone number's identity is made once and for ever", async (open) => {
  const { store, create } = await openStore(open)
  const e164 = newNumber()
  const answers = await Promise.all(Array.from({ length: 30 }, () => store.pniOf(e164, newPni())))
  assert.equal(new Set(answers).size, 1)
  const pni = answers[0]!
  await create(sampleAccount({ e164, pni }))
  assert.equal(await store.pniOf(e164, newPni()), pni)
  const other = newPni()
  assert.equal(await store.pniOf(newNumber(), other), other)
})

forEachEngine(
  'the directory tells those who want to be found by their number, and no others',
  async (open) => {
    const { sql, store, create } = await openStore(open)
    const [ada, shy, leaver] = [
      sampleAccount(),
      sampleAccount({ discoverableByPhoneNumber: false }),
      sampleAccount({ unidentifiedAccessKey: undefined }),
    ]
    for (const account of [ada, shy, leaver]) {
      await store.pniOf(account.e164, account.pni)
      await create(account)
    }
    const numbers = [leaver, shy, ada].map(({ e164 }) => e164)
    const listed = async () => plain((await store.listed([...numbers, newNumber()])).toSorted(byNumber))
    const listing = ({ e164, pni, aci, unidentifiedAccessKey }: Account) => ({
      e164,
      pni,
      aci,
      unidentifiedAccessKey,
    })
    assert.deepEqual(await listed(), plain([ada, leaver].map(listing).toSorted(byNumber)))
    await sql.write(store.deletion(leaver))
    assert.deepEqual(await listed(), plain([listing(ada)]))
  },
)

forEachEngine("a device's last day only moves on, and is no write of the account", async (open) => {
  const { store, create } = await openStore(open)
  const account = sampleAccount({ devices: [linked(1), linked(2)] })
  await create(account)
  await store.touch(account.aci, 2, 2_000)
  await store.touch(account.aci, 2, 1_000)
  const read = await store.read(account.aci)
  assert.deepEqual(
    read?.devices.map((device) => device.lastSeenMs),
    [0, 2_000],
  )
  assert.equal(read?.version, 1)
})

forEachEngine(
  "a number's identity goes to one account, if it is nobody's, from the one that had it",
  async (open) => {
    const { sql, store, create } = await openStore(open)
    const [ada, boris] = [sampleAccount(), sampleAccount()]
    await create(ada)
    await create(boris)
    const free = newPni()
    const handover = async (account: Account, from = account.pni, to = free) =>
      (await sql.write(store.handover(account.aci, from, to))).ok
    assert.equal(await handover(ada, ada.pni, boris.pni), false)
    assert.equal(await store.aciOf(ada.pni), ada.aci)
    assert.equal(await handover(ada, boris.pni), false)
    const both = await Promise.all([handover(ada), handover(boris)])
    assert.deepEqual(both, [true, false])
    assert.deepEqual(
      [await store.aciOf(free), await store.aciOf(ada.pni), await store.aciOf(boris.pni)],
      [ada.aci, undefined, boris.aci],
    )
  },
)

forEachEngine('the identity of a deleted account is taken once', async (open) => {
  const { sql, store } = await openStore(open)
  const { aci, pni } = sampleAccount()
  await sql.write([store.remembering(pni, aci, 100)])
  assert.deepEqual([await store.deletedAci(pni, 99), await store.deletedAci(pni, 100)], [aci, undefined])
  const reclaim = async (by = aci) => (await sql.write([store.reclaiming(pni, by)])).ok
  assert.equal(await reclaim(sampleAccount().aci), false)
  const both = await Promise.all([reclaim(), reclaim()])
  assert.deepEqual(both.sort(), [false, true])
})
