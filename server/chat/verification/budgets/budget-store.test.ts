import assert from 'node:assert/strict'
import { openChatStorage } from '../../../../test/chat-storage.ts'
import { forEachEngine, type OpenEngine } from '../../../../test/engines.ts'
import type { Sql, Statement } from '../../../kit/sql/sql.ts'
import { type Breaker, BudgetStore, COHORT_MS, DAY_MS, HOUR_MS } from './budget-store.ts'

const NOW_MS = 1_800_000_000_000
const MINUTE_MS = 60_000
const RULE = {
  ...{ sample: 10, percent: 20, trials: 4 },
  ...{ graceMs: 10 * MINUTE_MS, windowMs: DAY_MS, pauseMs: HOUR_MS },
}
const BREAKER: Breaker = { prefix: '+49151', transport: 'sms', rule: RULE }
/** When a code is old enough to be judged. */
const JUDGED_MS = RULE.graceMs + 2 * COHORT_MS

async function openStore(open: OpenEngine) {
  const sql = await openChatStorage(open)
  const store = new BudgetStore(sql)
  const passes = async (nowMs: number, breaker = BREAKER) => isMet(sql, store.passing(breaker, nowMs))
  /** How many of so many codes were let pass. */
  const send = async (count: number, nowMs: number, breaker = BREAKER) => {
    const passed = await Promise.all(Array.from({ length: count }, () => passes(nowMs, breaker)))
    return passed.filter(Boolean).length
  }
  const enter = async (count: number, sentAtMs: number, nowMs = sentAtMs) => {
    const opened = []
    for (let at = 0; at < count; at++) opened.push(await store.noteEntered([BREAKER], sentAtMs, nowMs))
    return opened.flat().filter(Boolean).length
  }
  const close = async (nowMs: number) => (await store.closeIdle([BREAKER], nowMs))[0]
  return { sql, store, passes, send, enter, close }
}

const isMet = async (sql: Sql, statements: readonly Statement[]) => (await sql.write(statements)).ok

forEachEngine('a budget is never overspent, however many ask at once', async (open) => {
  const { sql, store } = await openStore(open)
  const budget = { key: 'number:x', hour: 5, day: 8 }
  const take = (nowMs: number) => isMet(sql, [store.taking(budget, nowMs)])
  const first = await Promise.all(Array.from({ length: 40 }, () => take(NOW_MS)))
  assert.equal(first.filter(Boolean).length, 5)
  assert.equal(await store.endsAtMs(budget), NOW_MS + HOUR_MS)
  const second = await Promise.all(Array.from({ length: 40 }, () => take(NOW_MS + HOUR_MS)))
  assert.equal(second.filter(Boolean).length, 3)
  assert.equal(await store.endsAtMs(budget), NOW_MS + DAY_MS)
  assert.equal(await take(NOW_MS + DAY_MS - 1), false)
  assert.equal(await take(NOW_MS + DAY_MS), true)
})

forEachEngine('a window lasts from its first code, and its last moment belongs to it', async (open) => {
  const { sql, store } = await openStore(open)
  const budget = { key: 'number:x', hour: 1, day: 9 }
  const take = (nowMs: number) => isMet(sql, [store.taking(budget, nowMs)])
  assert.deepEqual(
    [await take(NOW_MS), await take(NOW_MS + HOUR_MS - 1), await take(NOW_MS + HOUR_MS)],
    [true, false, true],
  )
  assert.equal(await take(NOW_MS + 2 * HOUR_MS - 1), false)
})

forEachEngine('a clock that is set back locks nobody out for longer than a window', async (open) => {
  const { sql, store } = await openStore(open)
  const budget = { key: 'number:x', hour: 1, day: 1 }
  assert.ok(await isMet(sql, [store.taking(budget, NOW_MS)]))
  assert.ok(await isMet(sql, [store.taking(budget, NOW_MS - 30 * DAY_MS)]))
  assert.ok(!(await isMet(sql, [store.taking(budget, NOW_MS - 30 * DAY_MS)])))
})

forEachEngine('what one budget refuses costs the others nothing', async (open) => {
  const { sql, store } = await openStore(open)
  const [wide, narrow] = [
    { key: 'total:sms', hour: 9, day: 9 },
    { key: 'number:x', hour: 1, day: 1 },
  ]
  const take = () => sql.write([store.taking(wide, NOW_MS), store.taking(narrow, NOW_MS)])
  assert.ok((await take()).ok)
  for (let again = 0; again < 20; again++) assert.deepEqual(await take(), { ok: false, unmet: 1 })
  const [row] = await sql.read('SELECT hour_count FROM code_budgets WHERE key = $1', ['total:sms'])
  assert.equal(row?.['hour_count'], 1)
})

forEachEngine('a prefix is closed when its codes are old enough and were not entered', async (open) => {
  const { send, passes, close, store } = await openStore(open)
  assert.equal(await send(10, NOW_MS), 10)
  assert.equal(await close(NOW_MS + RULE.graceMs), false)
  assert.equal(await passes(NOW_MS + RULE.graceMs), true)
  assert.equal(await close(NOW_MS + JUDGED_MS), true)
  assert.equal(await close(NOW_MS + JUDGED_MS), false)
  assert.equal(await passes(NOW_MS + JUDGED_MS), false)
  assert.equal(await passes(NOW_MS + JUDGED_MS + RULE.pauseMs - 1), false)
  assert.equal(await store.closedUntilMs(BREAKER), NOW_MS + JUDGED_MS + RULE.pauseMs)
})

forEachEngine(
  'a prefix stays open while enough of its codes are entered, or too few were sent',
  async (open) => {
    const { send, enter, close } = await openStore(open)
    await send(9, NOW_MS)
    assert.equal(await close(NOW_MS + JUDGED_MS), false)
    const later = NOW_MS + DAY_MS
    await send(10, later)
    await enter(2, later)
    assert.equal(await close(later + JUDGED_MS), false)
    await send(1, later)
    assert.equal(await close(later + JUDGED_MS), true)
  },
)

forEachEngine('what was sent longer ago than the window is judged no more', async (open) => {
  const { send, close } = await openStore(open)
  await send(10, NOW_MS)
  assert.equal(await close(NOW_MS + RULE.windowMs + COHORT_MS), false)
  assert.equal(await close(NOW_MS + RULE.windowMs - COHORT_MS), true)
})

forEachEngine('SMS and voice are closed apart, and so are prefixes', async (open) => {
  const { send, close, passes } = await openStore(open)
  const [voice, other] = [
    { ...BREAKER, transport: 'voice' as const },
    { ...BREAKER, prefix: '+49152' },
  ]
  await send(10, NOW_MS)
  await send(10, NOW_MS, voice)
  assert.equal(await close(NOW_MS + JUDGED_MS), true)
  assert.equal(await passes(NOW_MS + JUDGED_MS, voice), true)
  assert.equal(await passes(NOW_MS + JUDGED_MS, other), true)
  assert.equal(await passes(NOW_MS + JUDGED_MS), false)
})

/** Closed at the returned moment. */
async function closed({ send, close }: Awaited<ReturnType<typeof openStore>>): Promise<number> {
  await send(10, NOW_MS)
  assert.equal(await close(NOW_MS + JUDGED_MS), true)
  return NOW_MS + JUDGED_MS
}

forEachEngine(
  'a closed prefix has its trials, however many ask at once, and half of them open it',
  async (open) => {
    const opened = await openStore(open)
    const { send, enter, passes, close } = opened
    const trialMs = (await closed(opened)) + RULE.pauseMs
    assert.equal(await send(30, trialMs), 4)
    assert.equal(await enter(1, trialMs), 0)
    assert.equal(await passes(trialMs + MINUTE_MS), false)
    assert.equal(await enter(1, trialMs, trialMs + MINUTE_MS), 1)
    assert.equal(await send(30, trialMs + COHORT_MS), 30)
    assert.equal(await close(trialMs + COHORT_MS), false)
  },
)

forEachEngine('codes from before it was closed do not open a prefix', async (open) => {
  const opened = await openStore(open)
  const trialMs = (await closed(opened)) + RULE.pauseMs
  assert.equal(await opened.enter(5, NOW_MS, trialMs), 0)
})

forEachEngine(
  'trials in vain close a prefix for twice as long each time, for a day at most',
  async (open) => {
    const opened = await openStore(open)
    const { send, close, passes } = opened
    let nowMs = await closed(opened)
    for (const pauseMs of [1, 2, 4, 8, 16, 24, 24].map((hours) => hours * HOUR_MS)) {
      assert.equal(await passes(nowMs + pauseMs - 1), false)
      nowMs += pauseMs
      assert.equal(await send(9, nowMs), 4)
      assert.equal(await close(nowMs + RULE.graceMs - 1), false)
      nowMs += RULE.graceMs
      assert.equal(await close(nowMs), true)
    }
  },
)

forEachEngine('a code counts as entered no more often than codes were sent', async (open) => {
  const { sql, send, enter } = await openStore(open)
  await send(2, NOW_MS)
  await enter(9, NOW_MS)
  assert.deepEqual(
    (await sql.read('SELECT sent, entered FROM code_cohorts')).map((row) => [row['sent'], row['entered']]),
    [[2, 2]],
  )
})

forEachEngine('a code that was not sent after all closes no prefix and spends no trial', async (open) => {
  const opened = await openStore(open)
  const { store, send, close } = opened
  for (let at = 0; at < 20; at++) {
    await send(1, NOW_MS)
    await store.notSent([BREAKER], NOW_MS)
  }
  assert.equal(await close(NOW_MS + JUDGED_MS), false)
  const trialMs = (await closed(opened)) + RULE.pauseMs
  assert.equal(await send(9, trialMs), 4)
  await store.notSent([BREAKER], trialMs)
  assert.equal(await send(9, trialMs), 1)
})

forEachEngine('what is over is forgotten, and a closed prefix is not', async (open) => {
  const opened = await openStore(open)
  const { sql, store, passes } = opened
  const closedMs = await closed(opened)
  await sql.write([store.taking({ key: 'number:x', hour: 1, day: 1 }, NOW_MS)])
  const left = async () => {
    const tables = ['code_budgets', 'code_cohorts', 'code_breakers']
    const rows = await Promise.all(tables.map((table) => sql.read(`SELECT * FROM ${table}`)))
    return rows.map(({ length }) => length)
  }
  await store.expire(NOW_MS + DAY_MS - 1, RULE.windowMs)
  assert.deepEqual(await left(), [1, 1, 1])
  await store.expire(NOW_MS + 2 * DAY_MS, RULE.windowMs)
  assert.deepEqual(await left(), [0, 0, 1])
  assert.equal(await passes(closedMs), false)
  await store.expire(NOW_MS + 8 * DAY_MS, RULE.windowMs)
  assert.deepEqual(await left(), [0, 0, 0])
})
