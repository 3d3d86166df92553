import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openRules, type Rules, type RulesOptions } from '../../../test/chat-rules.ts'
import { newPni, sampleAccount } from '../../../test/sample-account.ts'
import type { DeviceAddress, E164 } from '../../../wire/types.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { NumberedAccount as Account } from '../accounts/account.ts'
import { AskedNumbers } from './asked-numbers.ts'
import { Discovery, type DiscoveryPolicy, type KnownKey } from './discovery.ts'

const DAY_MS = 86_400_000
const BATCH: DiscoveryPolicy = { mode: 'batch', maxNumbers: 10 }
const SINGLE: DiscoveryPolicy = { mode: 'single', maxNumbers: 10 }
const NOBODY = '+12025550100' as E164

/** Registers a number; the account is known by the identity of the number's class. */
async function add(rules: Rules, e164: string, fields: Partial<Account> = {}): Promise<Account> {
  const number = e164 as E164
  const account = sampleAccount({ e164: number, pni: await rules.accounts.pniOf(number), ...fields })
  assert.ok(await rules.accounts.put(account, []))
  return account
}

async function open(t: TestContext, policy: DiscoveryPolicy, options: RulesOptions = {}) {
  const rules = await openRules(t, options)
  const { accounts, limits, clock, random, events } = rules
  const discovery = new Discovery({ accounts, limits, clock, random, events, policy })
  const { aci } = await add(rules, '+12025550001')
  const caller: DeviceAddress = { aci, deviceId: 1 }
  const ask = async (numbers: readonly string[], known: readonly KnownKey[] = [], who = caller) => {
    const found = await discovery.find(who, numbers as E164[], known)
    assert.ok(found.kind === 'answered')
    return found.entries
  }
  return { ...rules, rules, discovery, caller, ask }
}

const refusedAs = (kind: Refusal['kind']) => (error: unknown) =>
  error instanceof Refusal && error.kind === kind
const unknown = (number: string) => ({ number, pni: undefined, aci: undefined })

test('a number leads to its identity, in the order of asking', async (t) => {
  const { rules, ask } = await open(t, BATCH)
  const [ada, boris] = [await add(rules, '+12025550002'), await add(rules, '+4915112345678')]
  assert.deepEqual(await ask([boris.e164, NOBODY, ada.e164]), [
    { number: boris.e164, pni: boris.pni, aci: undefined },
    unknown(NOBODY),
    { number: ada.e164, pni: ada.pni, aci: undefined },
  ])
})

test('the account itself is told to whoever shows its access key', async (t) => {
  const { rules, ask } = await open(t, BATCH)
  const [ada, boris] = [await add(rules, '+12025550002'), await add(rules, '+12025550003')]
  const keyOf = ({ unidentifiedAccessKey }: Account) => unidentifiedAccessKey!
  const acis = async (...known: KnownKey[]) =>
    (await ask([ada.e164, boris.e164], known)).map(({ aci }) => aci)
  assert.deepEqual(await acis({ aci: ada.aci, accessKey: keyOf(ada) }), [ada.aci, undefined])
  assert.deepEqual(await acis({ aci: ada.aci, accessKey: keyOf(boris) }), [undefined, undefined])
  assert.deepEqual(await acis({ aci: boris.aci, accessKey: keyOf(ada) }), [undefined, undefined])
  const everybody = await add(rules, '+12025550004', {
    unidentifiedAccessKey: undefined,
    unrestrictedUnidentifiedAccess: true,
  })
  const [shown] = await ask([everybody.e164], [{ aci: everybody.aci, accessKey: new Uint8Array(16) }])
  assert.deepEqual(shown, { number: everybody.e164, pni: everybody.pni, aci: undefined })
})

test('R7: a hidden number, one that left and one that nobody ever had are answered by the same query in the same words', async (t) => {
  const { rules, ask, sql, accounts } = await open(t, BATCH)
  const hidden = await add(rules, '+12025550002', { discoverableByPhoneNumber: false })
  const gone = await add(rules, '+12025550003')
  await accounts.delete(gone.aci)
  await accounts.pniOf('+12025550005' as E164)
  const reads: string[] = []
  t.mock.method(sql, 'read', (text: string, args: []) => {
    reads.push(text)
    return Object.getPrototypeOf(sql).read.call(sql, text, args)
  })
  const known = [{ aci: hidden.aci, accessKey: hidden.unidentifiedAccessKey! }]
  const writes = sql.written.length
  const shapes = new Set<string>()
  for (const number of [hidden.e164, gone.e164, '+12025550005', NOBODY]) {
    reads.length = 0
    assert.deepEqual(await ask([number], known), [unknown(number)])
    shapes.add(JSON.stringify(reads))
  }
  assert.equal(shapes.size, 1)
  assert.equal(reads.length, 1)
  assert.equal(sql.written.length, writes, 'a question leaves nothing behind')
  await accounts.setDiscoverableByPhoneNumber({ aci: hidden.aci, deviceId: 1 }, true)
  assert.equal((await ask([hidden.e164]))[0]!.pni, hidden.pni)
})

test('R1: every way to write a number leads to the same account, and is counted once', async (t) => {
  const { rules, ask, limits } = await open(t, BATCH, { limits: { discoveryBatch: { bucket: 3 } } })
  const classes = [
    ['+22990011234', '+2290190011234'],
    ['+525512345678', '+5215512345678'],
    ['+541123456789', '+5491123456789'],
  ] as const
  for (const [index, forms] of classes.entries()) {
    const account = await add(rules, forms[index % 2]!)
    const entries = await ask(forms)
    assert.deepEqual(
      entries,
      forms.map((number) => ({ number, pni: account.pni, aci: undefined })),
    )
  }
  assert.throws(() => limits.take('discoveryBatch', rules.limited.at(-1)!.split(' ')[1]!))
})

test('a number is counted once a day, whoever it belongs to', async (t) => {
  const { rules, ask, clock, caller } = await open(t, SINGLE, {
    limits: { discovery: { bucket: 2, refill: 1e6 } },
  })
  const ada = await add(rules, '+12025550002')
  for (let time = 0; time < 3; time++) {
    await ask([ada.e164])
    await ask([NOBODY])
  }
  await assert.rejects(ask(['+12025550009']), refusedAs('rate-limited'))
  assert.equal((await ask([ada.e164]))[0]!.pni, ada.pni)
  clock.advance(DAY_MS)
  await assert.rejects(ask([ada.e164]), refusedAs('rate-limited'))
  const other = { aci: ada.aci, deviceId: caller.deviceId }
  assert.equal((await ask([ada.e164], [], other))[0]!.pni, ada.pni)
})

test('a batch that is too much is not answered in part', async (t) => {
  const { rules, ask } = await open(t, BATCH, { limits: { discoveryBatch: { bucket: 2 } } })
  const ada = await add(rules, '+12025550002')
  const many = [ada.e164, '+12025550007', '+12025550008']
  await assert.rejects(ask(many), refusedAs('rate-limited'))
  assert.equal((await ask(many.slice(0, 2))).length, 2)
})

test('the policy says how many may be asked for, and more are refused', async (t) => {
  const { discovery, ask, caller, rules } = await open(t, SINGLE)
  const two = ['+12025550007', '+12025550008'] as E164[]
  assert.deepEqual(discovery.policy, { mode: 'single', maxNumbers: 1 })
  await assert.rejects(ask(two), refusedAs('invalid'))
  assert.deepEqual(await ask([NOBODY]), [unknown(NOBODY)])
  const { accounts, limits, clock, random, events } = rules
  const of = (policy: DiscoveryPolicy) => new Discovery({ accounts, limits, clock, random, events, policy })
  const off = of({ mode: 'off', maxNumbers: 10 })
  assert.deepEqual(off.policy, { mode: 'off', maxNumbers: 0 })
  assert.deepEqual(await off.find(caller, [NOBODY], []), { kind: 'off' })
  const batch = of({ mode: 'batch', maxNumbers: 2 })
  assert.equal((await batch.find(caller, two, [])).kind, 'answered')
  await assert.rejects(batch.find(caller, [...two, NOBODY], []), refusedAs('invalid'))
})

test('who has a number is found by it after the number changed hands', async (t) => {
  const { rules, ask, accounts } = await open(t, BATCH)
  const ada = await add(rules, '+12025550002')
  await accounts.delete(ada.aci)
  const next = await add(rules, '+12025550002')
  assert.notEqual(next.aci, ada.aci)
  const known = [ada, next].map(({ aci, unidentifiedAccessKey }) => ({
    aci,
    accessKey: unidentifiedAccessKey!,
  }))
  assert.deepEqual(await ask(['+12025550002'], known), [
    { number: '+12025550002', pni: next.pni, aci: next.aci },
  ])
})

test('what was asked is remembered for a day, up to a bound, for each account by itself', async (t) => {
  const { clock, random } = await openRules(t)
  const asked = new AskedNumbers(clock, random, 3)
  const [ada, boris] = [sampleAccount().aci, sampleAccount({ pni: newPni() }).aci]
  const numbers = [1, 2, 3, 4].map((digit) => `+1202555000${digit}` as E164)
  asked.add(ada, numbers[0]!)
  assert.deepEqual([asked.has(ada, numbers[0]!), asked.has(boris, numbers[0]!)], [true, false])
  for (const number of numbers) asked.add(ada, number)
  assert.deepEqual(
    numbers.map((number) => asked.has(ada, number)),
    [false, true, true, true],
  )
  clock.advance(DAY_MS)
  assert.ok(!numbers.some((number) => asked.has(ada, number)))
})
