import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openRules, type Rules } from '../../../test/chat-rules.ts'
import { newAci, newPni, sampleAccount, sampleDevice } from '../../../test/sample-account.ts'
import type { Aci, Capability } from '../../../wire/types.ts'
import { MemoryBus } from '../../kit/bus.ts'
import { startOfDay } from '../../kit/days.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { NumberedAccount as Account } from './account.ts'
import { Accounts, type Attributes } from './accounts.ts'
import { hashPassword } from './device-password.ts'

const DAY_MS = 86_400_000
const ATTRIBUTES: Attributes = {
  fetchesMessages: true,
  name: undefined,
  capabilities: new Set(),
  userAgent: undefined,
  unidentifiedAccessKey: Buffer.alloc(16, 7),
  unrestrictedUnidentifiedAccess: false,
  discoverableByPhoneNumber: true,
  registrationLock: undefined,
  recoveryPassword: undefined,
}

async function add(rules: Rules, fields: Partial<Account> = {}): Promise<Account> {
  const account = sampleAccount(fields)
  assert.ok(await rules.accounts.put(account, []))
  return account
}

/** Somebody with the passwords `one` on device 1 and `two` on device 2. */
async function openWithPasswords(t: TestContext, aci: Aci = newAci()) {
  const rules = await openRules(t)
  const lastSeenMs = startOfDay(rules.clock.nowMs())
  const deviceOf = (id: number, password: string) =>
    sampleDevice({ id, lastSeenMs, ...hashPassword(password, rules.random) })
  const account = await add(rules, { aci, devices: [deviceOf(1, 'one'), deviceOf(2, 'two')] })
  const login = (username: string, password: string) => rules.accounts.authenticate({ username, password })
  return { ...rules, account, login }
}

/** Another process on the same storage, which hears of nothing. */
const deafNeighbour = ({ sql, clock, random, limits }: Rules) =>
  new Accounts({ sql, clock, random, limits, bus: new MemoryBus() })

const refusedAs = (kind: Refusal['kind']) => (error: unknown) =>
  error instanceof Refusal && error.kind === kind

test('a device is who its user name says, with its own password', async (t) => {
  const { account, login } = await openWithPasswords(t)
  const { aci } = account
  assert.deepEqual(await login(aci, 'one'), { aci, deviceId: 1 })
  assert.deepEqual(await login(`${aci}.1`, 'one'), { aci, deviceId: 1 })
  assert.deepEqual(await login(`${aci}.2`, 'two'), { aci, deviceId: 2 })
  assert.deepEqual(await login(aci.toUpperCase(), 'one'), { aci, deviceId: 1 })
  for (const [username, password] of [
    [aci, 'two'],
    [`${aci}.2`, 'one'],
    [aci, ''],
    [aci, 'One'],
    [aci, 'one '],
  ] as const)
    assert.equal(await login(username, password), undefined)
})

test('a user name that is malformed or of nobody is nobody', async (t) => {
  const { account, login } = await openWithPasswords(t)
  const { aci, pni, e164 } = account
  const suffixes = [
    '.',
    '.0',
    '.3',
    '.128',
    '.999',
    '.1000',
    '.01',
    '.+1',
    '.-1',
    '.1.1',
    '.1 ',
    '.x',
    '.1e0',
  ]
  for (const suffix of suffixes) assert.equal(await login(`${aci}${suffix}`, 'one'), undefined, suffix)
  for (const username of ['', '.', '.1', 'garbage', newAci(), pni, `${pni}.1`, e164, aci.replaceAll('-', '')])
    assert.equal(await login(username, 'one'), undefined, username)
})

test('what a connection proved counts on that connection, with that header, until the password is another', async (t) => {
  const { account, accounts, random } = await openWithPasswords(t)
  const { aci } = account
  const header = (password: string) => `Basic ${Buffer.from(`${aci}.1:${password}`).toString('base64')}`
  const connection = {}
  assert.equal(await accounts.authenticateOn(connection, header('wrong')), undefined)
  const proven = accounts.authenticateOn(connection, header('one'))
  assert.deepEqual(await proven, { aci, deviceId: 1 })
  assert.deepEqual(
    accounts.authenticateOn(connection, header('one')),
    { aci, deviceId: 1 },
    'nothing to wait for',
  )
  assert.equal(await accounts.authenticateOn(connection, header('wrong')), undefined)
  assert.ok(
    accounts.authenticateOn({}, header('one')) instanceof Promise,
    'another connection proves it anew',
  )
  const devices = account.devices.map((device) => ({ ...device, ...hashPassword('new', random) }))
  assert.ok(await accounts.put({ ...account, devices, version: account.version + 1 }, []))
  assert.equal(await accounts.authenticateOn(connection, header('one')), undefined)
  assert.deepEqual(await accounts.authenticateOn(connection, header('new')), { aci, deviceId: 1 })
})

test('a locked password matches nothing', async (t) => {
  const rules = await openRules(t)
  const { authSalt, authHash } = hashPassword('one', rules.random)
  const locked = sampleDevice({ authSalt, authHash: `!${authHash}` })
  const { aci } = await add(rules, { devices: [locked] })
  for (const password of ['one', '!one', `!${authHash}`, authHash, ''])
    assert.equal(await rules.accounts.authenticate({ username: aci, password }), undefined)
})

for (const aci of ['00000000-0000-4000-8000-000000000000', '00000000-0000-4000-8000-00000000ea60'] as Aci[])
  test(`the day of a visit is noted once, at the account's own moment of the day (${aci.slice(-4)})`, async (t) => {
    const { clock, sql, login, accounts } = await openWithPasswords(t, aci)
    const todayMs = startOfDay(clock.nowMs())
    const momentMs = Number.parseInt(aci.slice(-8), 16) * 1000
    const visit = async (atMs: number) => {
      clock.set(atMs)
      const before = sql.written.length
      assert.ok(await login(aci, 'one'))
      const { account } = await accounts.of({ aci, deviceId: 1 })
      return { writes: sql.written.length - before, lastSeenMs: account.devices[0]!.lastSeenMs }
    }
    assert.deepEqual(await visit(todayMs + DAY_MS - 1), { writes: 0, lastSeenMs: todayMs })
    assert.deepEqual(await visit(todayMs + DAY_MS + momentMs - 1), { writes: 0, lastSeenMs: todayMs })
    const tomorrowMs = todayMs + DAY_MS
    assert.deepEqual(await visit(tomorrowMs + momentMs), { writes: 1, lastSeenMs: tomorrowMs })
    assert.deepEqual(await visit(tomorrowMs + momentMs), { writes: 0, lastSeenMs: tomorrowMs })
    assert.deepEqual(await visit(tomorrowMs + DAY_MS + momentMs - 1), { writes: 0, lastSeenMs: tomorrowMs })
    const laterMs = tomorrowMs + 5 * DAY_MS
    assert.deepEqual(await visit(laterMs + momentMs + 1), { writes: 1, lastSeenMs: laterMs })
    const { account } = await accounts.of({ aci, deviceId: 2 })
    assert.equal(account.devices[1]!.lastSeenMs, todayMs)
  })

test('an account that was being read while it was replaced is not kept', async (t) => {
  const rules = await openRules(t)
  const { accounts, sql } = rules
  const account = await add(rules)
  const hold = sql.hold(/FROM accounts JOIN devices/)
  const early = accounts.find(account.aci)
  await hold.reached
  assert.ok(await accounts.put({ ...account, version: 2, discoverableByPhoneNumber: false }, []))
  hold.release()
  await early
  assert.equal(accounts.peek(account.aci), undefined)
  assert.equal((await accounts.find(account.aci))?.version, 2)
  assert.equal(accounts.peek(account.aci)?.version, 2)
})

test('an account in memory is forgotten when it is replaced, in every process', async (t) => {
  const rules = await openRules(t)
  const { accounts, sql, clock, random, limits, bus } = rules
  const account = await add(rules)
  const neighbour = new Accounts({ sql, clock, random, limits, bus })
  assert.equal((await neighbour.find(account.pni))?.version, 1)
  assert.ok(await accounts.put({ ...account, version: 2 }, []))
  assert.equal(neighbour.peek(account.aci), undefined)
  assert.equal((await neighbour.find(account.pni))?.version, 2)
})

test('an account is in memory once it was read, and asks the storage no more', async (t) => {
  const rules = await openRules(t)
  const { accounts, sql } = rules
  const account = await add(rules)
  const first = await accounts.find(account.pni)
  const hold = sql.hold(/./)
  assert.equal(await accounts.find(account.pni), first)
  assert.equal(await accounts.find(account.aci), first)
  assert.equal(accounts.peek(account.aci), first)
  hold.release()
  assert.equal(await accounts.find(newPni()), undefined)
  assert.equal(await accounts.find(newAci()), undefined)
})

test('a change that meets another one is made on top of it', async (t) => {
  const rules = await openRules(t)
  const neighbour = deafNeighbour(rules)
  const { aci } = await add(rules, { devices: [sampleDevice(), sampleDevice({ id: 2 })] })
  await neighbour.find(aci)
  const capabilities = new Set<Capability>(['storage'])
  await rules.accounts.setCapabilities({ aci, deviceId: 1 }, capabilities)
  await neighbour.setAttributes({ aci, deviceId: 2 }, { ...ATTRIBUTES, userAgent: 'OWD' })
  const account = await deafNeighbour(rules).find(aci)
  assert.equal(account?.version, 3)
  assert.deepEqual(account?.devices[0]?.capabilities, capabilities)
  assert.equal(account?.devices[1]?.userAgent, 'OWD')
})

test('of changes made at once none is lost', async (t) => {
  const rules = await openRules(t)
  const ids = [1, 2, 3, 4, 5, 6]
  const { aci } = await add(rules, { devices: ids.map((id) => sampleDevice({ id })) })
  const capabilities = new Set<Capability>(['transfer'])
  await Promise.all(ids.map((deviceId) => rules.accounts.setCapabilities({ aci, deviceId }, capabilities)))
  const account = await rules.accounts.find(aci)
  assert.equal(account?.version, 7)
  for (const device of account!.devices) assert.deepEqual(device.capabilities, capabilities)
})

test('an account that keeps changing under a change is unavailable', async (t) => {
  const rules = await openRules(t)
  const { aci } = await add(rules)
  const write = rules.sql.write.bind(rules.sql)
  // Somebody else is faster every time.
  rules.sql.write = async (statements) => {
    await write([{ sql: 'UPDATE accounts SET version = version + 1', args: [], must: 1 }])
    return write(statements)
  }
  const change = rules.accounts.setCapabilities({ aci, deviceId: 1 }, new Set())
  await assert.rejects(change, refusedAs('unavailable'))
})

test('attributes replace what they name; a name or agent that is left out stays', async (t) => {
  const rules = await openRules(t)
  const named = sampleDevice({ name: Buffer.of(1), userAgent: 'OWA', capabilities: new Set(['spqr']) })
  const { aci } = await add(rules, { devices: [named] })
  const address = { aci, deviceId: 1 }
  await rules.accounts.setAttributes(address, { ...ATTRIBUTES, fetchesMessages: false })
  const { account, device } = await rules.accounts.of(address)
  assert.deepEqual([Buffer.from(device.name!), device.userAgent], [Buffer.of(1), 'OWA'])
  assert.deepEqual([device.capabilities, device.fetchesMessages], [new Set(), false])
  assert.equal(device.lastSeenMs, startOfDay(rules.clock.nowMs()))
  assert.deepEqual(Buffer.from(account.unidentifiedAccessKey!), Buffer.alloc(16, 7))
  await rules.accounts.setAttributes(address, { ...ATTRIBUTES, name: Buffer.of(2), userAgent: 'OWI' })
  const then = await rules.accounts.of(address)
  assert.deepEqual([Buffer.from(then.device.name!), then.device.userAgent], [Buffer.of(2), 'OWI'])
})

test('an account that lets only some in needs a key for them', async (t) => {
  const rules = await openRules(t)
  const { aci } = await add(rules)
  const without = { ...ATTRIBUTES, unidentifiedAccessKey: undefined }
  await assert.rejects(rules.accounts.setAttributes({ aci, deviceId: 1 }, without), refusedAs('invalid'))
  await rules.accounts.setAttributes(
    { aci, deviceId: 1 },
    { ...without, unrestrictedUnidentifiedAccess: true },
  )
  assert.equal((await rules.accounts.find(aci))?.unrestrictedUnidentifiedAccess, true)
})

test('a device that was removed meanwhile may do nothing', async (t) => {
  const rules = await openRules(t)
  const account = await add(rules, { devices: [sampleDevice(), sampleDevice({ id: 2 })] })
  const second = { aci: account.aci, deviceId: 2 }
  await rules.accounts.of(second)
  await rules.accounts.put({ ...account, version: 2, devices: [sampleDevice()] }, [])
  await assert.rejects(rules.accounts.of(second), refusedAs('invalid-credentials'))
  await assert.rejects(rules.accounts.setCapabilities(second, new Set()), refusedAs('invalid-credentials'))
  await assert.rejects(rules.accounts.of({ aci: newAci(), deviceId: 1 }), refusedAs('invalid-credentials'))
})

test('whether an account exists is told so often to one address, and then no more', async (t) => {
  const rules = await openRules(t, { limits: { checkAccountExistence: { bucket: 3 } } })
  const { aci, pni } = await add(rules)
  assert.equal(await rules.accounts.exists(aci, '192.0.2.1'), true)
  assert.equal(await rules.accounts.exists(pni, '192.0.2.1'), true)
  assert.equal(await rules.accounts.exists(newAci(), '192.0.2.1'), false)
  await assert.rejects(rules.accounts.exists(aci, '192.0.2.1'), refusedAs('rate-limited'))
  assert.equal(await rules.accounts.exists(aci, '192.0.2.2'), true)
})

test('a removed device is gone with what capabilities keep of it, and nobody else is sent away', async (t) => {
  const { accounts, sql } = await openRules(t)
  const account = sampleAccount({ devices: [sampleDevice(), sampleDevice({ id: 2 })] })
  await accounts.put(account, [])
  const away: unknown[] = []
  accounts.onSendAway((aci, devices) => away.push([aci, devices]))
  const remember = (id: number) => ({
    sql: 'INSERT INTO phone_numbers (e164, pni) VALUES ($1, $2)',
    args: [`unlinked-${id}`, new Uint8Array(16)],
  })
  accounts.keeps({ unlinked: (_, id) => [remember(id)] })
  await accounts.unlink(account.aci, 2)
  await accounts.unlink(account.aci, 3)
  const left = await accounts.find(account.aci)
  assert.deepEqual(
    left?.devices.map(({ id }) => id),
    [1],
  )
  assert.deepEqual(away, [[account.aci, [2]]])
  const rows = await sql.read("SELECT e164 FROM phone_numbers WHERE e164 LIKE 'unlinked-%'")
  assert.deepEqual(
    rows.map((row) => row['e164']),
    ['unlinked-2'],
  )
})

test('a deleted account is gone, its number free, and its identity remembered for 30 days', async (t) => {
  const { accounts, clock } = await openRules(t)
  const account = sampleAccount()
  await accounts.put(account, [])
  const away: unknown[] = []
  accounts.onSendAway((aci, devices) => away.push([aci, devices]))
  await accounts.delete(account.aci)
  assert.equal(await accounts.find(account.aci), undefined)
  assert.equal(await accounts.find(account.pni), undefined)
  assert.deepEqual(away, [[account.aci, [1]]])
  assert.equal(await accounts.formerAci(account.pni), account.aci)
  await assert.rejects(
    accounts.update(account.aci, (one) => one),
    { kind: 'invalid-credentials' },
  )
  await clock.advance(30 * 86_400_000)
  assert.equal(await accounts.formerAci(account.pni), undefined)
})

test('a write on the strength of an account is not kept if the account is another by then', async (t) => {
  const rules = await openRules(t)
  const { accounts, sql } = rules
  const account = await add(rules, { devices: [sampleDevice(), sampleDevice({ id: 2 })] })
  const [own, linked] = [1, 2].map((deviceId) => ({ aci: account.aci, deviceId }))
  await accounts.find(account.aci)
  await deafNeighbour(rules).update(account.aci, (now) => ({ ...now, discoverableByPhoneNumber: false }))
  const note = (number: string) => ({
    sql: 'INSERT INTO phone_numbers (e164, pni) VALUES ($1, $2)',
    args: [number, Buffer.alloc(16)],
  })
  const seen: boolean[] = []
  const written = await accounts.writeBy(own!, (now) => {
    seen.push(now.discoverableByPhoneNumber)
    return [note(`+1${seen.length}`)]
  })
  assert.deepEqual([written.ok, seen], [true, [true, false]])
  assert.deepEqual(await sql.read('SELECT e164 FROM phone_numbers'), [{ e164: '+12' }])
  assert.equal((await accounts.find(account.aci))!.version, 2)

  const never = { ...note('+13'), must: 2 }
  assert.deepEqual(await accounts.writeBy(own!, () => [note('+14'), never]), { ok: false, unmet: 1 })
  assert.deepEqual(await accounts.writeBy(own!, () => []), { ok: true, outcomes: [] })
  await accounts.unlink(account.aci, 2)
  await assert.rejects(
    accounts.writeBy(linked!, () => [note('+15')]),
    refusedAs('invalid-credentials'),
  )
  assert.equal((await sql.read('SELECT e164 FROM phone_numbers')).length, 1)
})

test('a decision that rests on more than the account is taken again if the account is another by then', async (t) => {
  const rules = await openRules(t)
  const { accounts, sql } = rules
  const account = await add(rules, { devices: [sampleDevice(), sampleDevice({ id: 2 })] })
  const [own, linked] = [1, 2].map((deviceId) => ({ aci: account.aci, deviceId }))
  const hide = () => deafNeighbour(rules).setDiscoverableByPhoneNumber(own!, false)
  const seen: boolean[] = []
  const outcome = await accounts.decideBy(own!, async (now) => {
    seen.push(now.discoverableByPhoneNumber)
    if (seen.length === 1) await hide()
    const change = { account: { ...now, usernameLinkHandle: 'handle' }, others: [] }
    return { outcome: seen.length, change }
  })
  assert.deepEqual([outcome, seen], [2, [true, false]])
  const { usernameLinkHandle, discoverableByPhoneNumber, version } = (await accounts.find(account.aci))!
  assert.deepEqual([usernameLinkHandle, discoverableByPhoneNumber, version], ['handle', false, 3])

  const writes = sql.written.length
  assert.equal(await accounts.decideBy(own!, async () => ({ outcome: 'nothing' })), 'nothing')
  assert.equal(sql.written.length, writes)
  const never = { sql: 'DELETE FROM phone_numbers', args: [], must: 1 }
  await assert.rejects(
    accounts.decideBy(own!, async (now) => ({ outcome: 0, change: { account: now, others: [never] } })),
    refusedAs('unavailable'),
  )
  await accounts.unlink(account.aci, 2)
  await assert.rejects(
    accounts.decideBy(linked!, async () => ({ outcome: 0 })),
    refusedAs('invalid-credentials'),
  )
})
