import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openRules } from '../../../test/chat-rules.ts'
import { addPerson, connect, send } from '../../../test/conversants.ts'
import { forEachEngine } from '../../../test/engines.ts'
import { sampleAccount, sampleDevice } from '../../../test/sample-account.ts'
import { ScriptedGateway } from '../../../test/scripted-gateway.ts'
import type { Clock } from '../../kit/clock.ts'
import { DAY_MS } from '../../kit/days.ts'
import type { Pushed } from '../../kit/push-gateway.ts'
import { WakeUpStore } from './store.ts'
import { BACKGROUND_EVERY_MS, URGENT_EVERY_MS, WakeUps } from './wakeups.ts'

const MINUTE_MS = 60_000

async function open(t: TestContext, device: Parameters<typeof sampleDevice>[0] = { fcmToken: 'f' }) {
  const gateway = new ScriptedGateway()
  const rules = await openRules(t, { push: gateway })
  const { accounts, clock } = rules
  const wakeUps = rules.wakeUps!
  const account = sampleAccount({ devices: [sampleDevice({ fetchesMessages: false, ...device })] })
  assert.ok(await accounts.put(account, []))
  const phone = async () => (await accounts.find(account.aci))!
  /** A message to the phone. */
  const write = async (urgent = true) => {
    await send(rules, { to: await phone(), timestampMs: 1, urgent })
    await wakeUps.idle()
  }
  /** Lets time pass, and everything that falls due. */
  const pass = async (ms: number) => {
    clock.advance(ms)
    await wakeUps.idle()
  }
  /** The phone connects, takes everything, and goes. */
  const fetchAll = async () => {
    const socket = connect(rules, await phone())
    while (socket.emptySaid === 0) {
      await rules.sql.idle()
      for (const message of socket.messages.slice()) socket.answer(message)
    }
    socket.end()
    await rules.receipts.drain()
    await rules.queues.drain()
    await wakeUps.idle()
  }
  return { ...rules, rules, wakeUps, gateway, account, phone, write, pass, fetchAll }
}

test('a burst of messages wakes a phone once, and a second time a minute later if it did not come', async (t) => {
  const { write, pass, gateway } = await open(t)
  for (let count = 0; count < 5; count++) await write()
  assert.deepEqual(gateway.taken(), ['urgent'])
  await pass(URGENT_EVERY_MS - 1)
  await write()
  assert.deepEqual(gateway.taken(), [])
  await pass(1)
  assert.deepEqual(gateway.taken(), ['urgent'])
  await pass(DAY_MS)
  assert.deepEqual(gateway.taken(), [])
})

test('a push says nothing about who wrote, what, or to which account', async (t) => {
  const { write, gateway } = await open(t)
  await write()
  assert.deepEqual(gateway.pushes, [
    { to: { service: 'fcm', token: 'f' }, notice: { kind: 'message', urgent: true } },
  ])
})

test('a phone that fetched is not woken again, and its next message wakes it at once', async (t) => {
  const { write, pass, gateway, fetchAll } = await open(t)
  await write()
  assert.deepEqual(gateway.taken(), ['urgent'])
  await fetchAll()
  await pass(2 * MINUTE_MS)
  assert.deepEqual(gateway.taken(), [])
  await write()
  assert.deepEqual(gateway.taken(), ['urgent'])
})

test('a phone that reads is not woken', async (t) => {
  const { rules, write, gateway, phone } = await open(t)
  connect(rules, await phone())
  await write()
  await write(false)
  assert.deepEqual(gateway.taken(), [])
})

test('a phone that leaves with something unread is woken a minute later', async (t) => {
  const { rules, write, pass, gateway, phone } = await open(t)
  const socket = connect(rules, await phone())
  await write()
  socket.end()
  await rules.wakeUps!.idle()
  assert.deepEqual(gateway.taken(), [])
  await pass(MINUTE_MS)
  assert.deepEqual(gateway.taken(), ['urgent'])
})

test('a phone that comes back within that minute and reads is not woken', async (t) => {
  const { rules, write, pass, gateway, phone, fetchAll } = await open(t)
  const socket = connect(rules, await phone())
  await write()
  socket.end()
  await fetchAll()
  await pass(MINUTE_MS)
  assert.deepEqual(gateway.taken(), [])
})

test('what can wait wakes a phone at most once in twenty minutes, and only once', async (t) => {
  const { write, pass, gateway, fetchAll } = await open(t)
  await write(false)
  await write(false)
  assert.deepEqual(gateway.taken(), ['background'])
  await fetchAll()
  await write(false)
  await pass(BACKGROUND_EVERY_MS - 1)
  assert.deepEqual(gateway.taken(), [])
  await pass(1)
  assert.deepEqual(gateway.taken(), ['background'])
  await pass(DAY_MS)
  assert.deepEqual(gateway.taken(), [])
})

test('an urgent message does not wait for one that can wait', async (t) => {
  const { write, gateway } = await open(t)
  await write(false)
  assert.deepEqual(gateway.taken(), ['background'])
  await write(false)
  await write(true)
  assert.deepEqual(gateway.taken(), ['urgent'])
})

test('an urgent message that comes while a background push is under way has its own', async (t) => {
  const { rules, phone, gateway, wakeUps } = await open(t)
  const { promise, resolve } = Promise.withResolvers<void>()
  gateway.gate = promise
  await send(rules, { to: await phone(), timestampMs: 1, urgent: false })
  while (gateway.pushes.length === 0) await rules.sql.idle()
  await send(rules, { to: await phone(), timestampMs: 2 })
  resolve()
  await wakeUps.idle()
  assert.deepEqual(gateway.taken(), ['background', 'urgent'])
})

test('a phone that stays away is reminded after three days, a week and two weeks, and then left alone', async (t) => {
  const { write, pass, gateway } = await open(t)
  await write()
  await pass(MINUTE_MS)
  gateway.taken()
  for (const days of [3, 7, 14]) {
    await pass(days * DAY_MS - 1)
    assert.deepEqual(gateway.taken(), [], `${days} days`)
    await pass(1)
    assert.deepEqual(gateway.taken(), ['urgent'], `${days} days`)
  }
  await pass(100 * DAY_MS)
  assert.deepEqual(gateway.taken(), [])
})

test('a new message wakes a phone that waits for its reminder', async (t) => {
  const { write, pass, gateway } = await open(t)
  await write()
  await pass(MINUTE_MS)
  await pass(DAY_MS)
  gateway.taken()
  await write()
  assert.deepEqual(gateway.taken(), ['urgent'])
  await pass(MINUTE_MS)
  assert.deepEqual(gateway.taken(), ['urgent'])
})

test('a push that does not get through is tried again, ever later, and as late as the provider wants', async (t) => {
  const { write, pass, gateway } = await open(t)
  gateway.answers.push({ kind: 'later', afterMs: 0 }, { kind: 'later', afterMs: 90_000 })
  await write()
  assert.equal(gateway.taken().length, 1)
  await pass(999)
  assert.equal(gateway.taken().length, 0)
  await pass(1)
  assert.equal(gateway.taken().length, 1)
  await write()
  await pass(89_999)
  assert.equal(gateway.taken().length, 0, 'more messages do not hurry it')
  await pass(1)
  assert.equal(gateway.taken().length, 1)
  await pass(MINUTE_MS)
  assert.equal(gateway.taken().length, 1, 'its second push')
})

test('a provider that is not even asked makes nobody wait longer and longer', async (t) => {
  const { write, pass, gateway } = await open(t)
  const busy: Pushed = { kind: 'later', afterMs: 1000, untried: true }
  gateway.answers.push(...Array.from({ length: 20 }, () => busy))
  await write()
  for (let second = 0; second < 19; second++) await pass(1000)
  assert.equal(gateway.taken().length, 20)
  await write()
  assert.equal(gateway.taken().length, 0, 'more messages do not hurry it')
  await pass(1000)
  assert.equal(gateway.taken().length, 1)
})

test('a provider that is down for a day is asked every ten minutes, and nothing is lost', async (t) => {
  const { write, pass, gateway } = await open(t)
  const down: Pushed = { kind: 'later', afterMs: 0 }
  gateway.answers.push(...Array.from({ length: 1000 }, () => down))
  await write()
  for (let minute = 0; minute < 60; minute++) await pass(MINUTE_MS)
  gateway.taken()
  for (let minute = 0; minute < 60; minute++) await pass(MINUTE_MS)
  assert.equal(gateway.taken().length, 6)
  gateway.answers.length = 0
  for (let minute = 0; minute < 10; minute++) await pass(MINUTE_MS)
  assert.ok(gateway.taken().length >= 1)
})

test('a push that takes longer than it should is not begun again beside itself', async (t) => {
  const { rules, phone, pass, gateway, wakeUps, clock } = await open(t)
  const { promise, resolve } = Promise.withResolvers<void>()
  gateway.gate = promise
  await send(rules, { to: await phone(), timestampMs: 1 })
  while (gateway.pushes.length === 0) await rules.sql.idle()
  for (let minute = 0; minute < 5; minute++) {
    clock.advance(MINUTE_MS)
    for (let turn = 0; turn < 5; turn++) await rules.sql.idle()
  }
  assert.equal(gateway.taken().length, 1)
  resolve()
  await wakeUps.idle()
  await pass(MINUTE_MS)
  assert.equal(gateway.taken().length, 1, 'its second push')
})

test('a token that nobody has any more is forgotten', async (t) => {
  const { write, pass, gateway, phone } = await open(t)
  gateway.answers.push({ kind: 'unregistered' })
  await write()
  assert.equal((await phone()).devices[0]!.fcmToken, undefined)
  gateway.taken()
  await write()
  await pass(DAY_MS)
  assert.deepEqual(gateway.taken(), [])
})

test('a newer token is kept, and so is the same one that was set after the provider looked', async (t) => {
  const { write, gateway, phone, clock, devices, account, rules } = await open(t, { apnToken: 'a' })
  const caller = { aci: account.aci, deviceId: 1 }
  const setAtMs = clock.nowMs()
  await devices.setToken(caller, 'apn', 'a')
  gateway.answers.push({ kind: 'unregistered', sinceMs: setAtMs - 1 })
  await write()
  assert.equal((await phone()).devices[0]!.apnToken, 'a')
  const { promise, resolve } = Promise.withResolvers<void>()
  gateway.gate = promise
  gateway.taken()
  gateway.answers.push({ kind: 'unregistered', sinceMs: setAtMs })
  clock.advance(URGENT_EVERY_MS)
  await send(rules, { to: await phone(), timestampMs: 1 })
  while (gateway.pushes.length === 0) await rules.sql.idle()
  await devices.setToken(caller, 'apn', 'newer')
  resolve()
  await rules.wakeUps!.idle()
  assert.equal((await phone()).devices[0]!.apnToken, 'newer')
})

test('a push that is refused for good is not tried again', async (t) => {
  const { write, pass, gateway, phone } = await open(t)
  gateway.answers.push({ kind: 'refused', reason: 'topic' })
  await write()
  assert.equal((await phone()).devices[0]!.fcmToken, 'f')
  gateway.taken()
  await pass(DAY_MS)
  assert.deepEqual(gateway.taken(), [])
})

test('a device that fetches by itself, or has no way to be woken, leaves nothing behind', async (t) => {
  const { rules, sql } = await open(t)
  const bob = await addPerson(rules)
  await send(rules, { to: bob, timestampMs: 1 })
  assert.deepEqual(await sql.read('SELECT * FROM wake_ups'), [])
})

test('a device that fetches by itself writes nothing when it comes', async (t) => {
  const { rules, sql } = await open(t)
  const bob = await addPerson(rules)
  const before = sql.written.length
  connect(rules, bob)
  await rules.wakeUps!.idle()
  assert.equal(sql.written.length, before)
})

test('with its account or its device goes what was due', async (t) => {
  const { write, pass, gateway, accounts, account, sql } = await open(t)
  gateway.answers.push({ kind: 'later', afterMs: 1000 })
  await write()
  gateway.taken()
  await accounts.delete(account.aci)
  assert.deepEqual(await sql.read('SELECT * FROM wake_ups'), [])
  await pass(DAY_MS)
  assert.deepEqual(gateway.taken(), [])
})

test('a phone that leaves because its account goes leaves nothing behind', async (t) => {
  const { rules, write, accounts, account, phone, wakeUps, sql } = await open(t)
  const socket = connect(rules, await phone())
  await write()
  await accounts.delete(account.aci)
  socket.end()
  await wakeUps.idle()
  assert.deepEqual(await sql.read('SELECT * FROM wake_ups'), [])
})

test('a few hundred phones are woken at once, and none is forgotten', async (t) => {
  const { rules, accounts, gateway, wakeUps } = await open(t)
  const { promise, resolve } = Promise.withResolvers<void>()
  gateway.gate = promise
  const tokens = Array.from({ length: 600 }, (_, index) => `token-${index}`)
  for (const fcmToken of tokens) {
    const account = sampleAccount({ devices: [sampleDevice({ fcmToken })] })
    assert.ok(await accounts.put(account, []))
    await send(rules, { to: account, timestampMs: 1 })
  }
  while (gateway.pushes.length < 256) await rules.sql.idle()
  assert.equal(gateway.pushes.length, 256, 'not more at a time')
  resolve()
  await wakeUps.idle()
  const woken = gateway.pushes.map(({ to }) => (to.service === 'web' ? '' : to.token))
  assert.deepEqual(woken.sort(), tokens.sort())
})

/** As of a process that dies with its next push: no timer of it fires. */
const dying = (clock: Clock): Clock => ({
  nowMs: () => clock.nowMs(),
  steadyMs: () => clock.steadyMs(),
  after: () => ({ cancel: () => {} }),
  every: () => ({ cancel: () => {} }),
})

forEachEngine('what was due when the process died is sent by the next one', async (engine, t) => {
  const rules = await openRules(t, { engine })
  const { accounts, queues, clock, housekeeping, events, onBug, sql } = rules
  const shared = { store: new WakeUpStore(sql), accounts, queues, housekeeping, events, onBug }
  const account = sampleAccount({ devices: [sampleDevice({ fcmToken: 'f' })] })
  assert.ok(await accounts.put(account, []))
  const { resolve, promise } = Promise.withResolvers<void>()
  const dead = new ScriptedGateway()
  dead.gate = promise
  const first = new WakeUps({ ...shared, gateway: dead, clock: dying(clock) })
  queues.wakeBy(first)
  await send(rules, { to: account, timestampMs: 1 })
  // It was handed to the provider, and nobody will ever know what became of it.
  while (dead.pushes.length === 0) await sql.idle()
  const gateway = new ScriptedGateway()
  const next = new WakeUps({ ...shared, gateway, clock })
  await next.idle()
  assert.deepEqual(gateway.taken(), [])
  clock.advance(MINUTE_MS)
  await next.idle()
  assert.deepEqual(gateway.taken(), ['urgent'])
  resolve()
  await Promise.all([first.close(), next.close()])
})
