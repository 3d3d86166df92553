import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ManualClock, systemClock } from './clock.ts'
import { type LimitRule, type LimitStore, MemoryLimitStore } from './limit-store.ts'
import { LIMITERS, type LimiterName, Limits } from './limits.ts'
import { Refusal } from './refusal.ts'

const DAY_MS = 86_400_000

const fresh = () => {
  const clock = new ManualClock(1_800_000_000_000)
  return { clock, limits: new Limits({ clock }) }
}

const refusal = async (act: () => unknown): Promise<Refusal> => {
  try {
    await act()
  } catch (error) {
    assert.ok(error instanceof Refusal, String(error))
    return error
  }
  return assert.fail('it passed')
}

const retryAfter = async (act: () => unknown): Promise<number | undefined> => {
  const refused = await refusal(act)
  assert.equal(refused.kind, 'rate-limited')
  return refused.detail.retryAfterSeconds
}

const takeTimes = (limits: Limits, name: LimiterName, key: string, times: number) => {
  for (let i = 0; i < times; i++) limits.take(name, key)
}

for (const [name, { bucket, secondsPerPermit }] of Object.entries(LIMITERS)) {
  test(`${name}: a full bucket is ${bucket}, and one permit refills after ${secondsPerPermit} s`, async () => {
    const { clock, limits } = fresh()
    limits.take(name as LimiterName, 'k', bucket)
    const seconds = await retryAfter(() => limits.take(name as LimiterName, 'k'))
    assert.equal(seconds, Math.max(1, Math.ceil(secondsPerPermit)))
    clock.advance(Math.ceil(secondsPerPermit * 1000))
    limits.take(name as LimiterName, 'k')
  })
}

test('a refused call is told when the permits it asked for will be there', async () => {
  const { clock, limits } = fresh()
  takeTimes(limits, 'prekeys', 'k', 6)
  assert.equal(await retryAfter(() => limits.take('prekeys', 'k', 3)), 1800)
  clock.advance(599_500)
  assert.equal(await retryAfter(() => limits.take('prekeys', 'k')), 1)
  clock.advance(500)
  limits.take('prekeys', 'k')
})

test('a refused call takes nothing', async () => {
  const { limits } = fresh()
  takeTimes(limits, 'prekeys', 'k', 4)
  for (let i = 0; i < 5; i++) await retryAfter(() => limits.take('prekeys', 'k', 3))
  limits.take('prekeys', 'k', 2)
})

test('an idle bucket never holds more than its size', async () => {
  const { clock, limits } = fresh()
  limits.take('messages', 'k', 60)
  clock.advance(1e10)
  limits.take('messages', 'k', 60)
  assert.equal(await retryAfter(() => limits.take('messages', 'k')), 1)
})

test('keys and limiters do not share buckets', () => {
  const { limits } = fresh()
  takeTimes(limits, 'prekeys', 'a', 6)
  takeTimes(limits, 'prekeys', 'b', 6)
  takeTimes(limits, 'registration', 'a', 6)
})

test('check asks and takes nothing', async () => {
  const { limits } = fresh()
  for (let i = 0; i < 20; i++) limits.check('prekeys', 'k', 6)
  assert.equal(await retryAfter(() => limits.check('prekeys', 'k', 7)), 600)
  takeTimes(limits, 'prekeys', 'k', 6)
  assert.equal(await retryAfter(() => limits.check('prekeys', 'k')), 600)
})

test('restored permits can be taken again, but a bucket never overflows', async () => {
  const { limits } = fresh()
  takeTimes(limits, 'prekeys', 'k', 6)
  limits.restore('prekeys', 'k', 2)
  limits.take('prekeys', 'k', 2)
  limits.restore('prekeys', 'k', 100)
  limits.take('prekeys', 'k', 6)
  await retryAfter(() => limits.take('prekeys', 'k'))
  limits.restore('prekeys', 'never seen', 5)
  limits.take('prekeys', 'never seen', 6)
  await retryAfter(() => limits.take('prekeys', 'never seen'))
})

test('a cleared bucket is full', () => {
  const { limits } = fresh()
  takeTimes(limits, 'pin', 'k', 10)
  limits.clear('pin', 'k')
  takeTimes(limits, 'pin', 'k', 10)
})

test('a clock that jumps by a day grants nothing and delays nothing (cases L1, X1)', async () => {
  for (const jumpsMs of [[-DAY_MS], [DAY_MS], [-DAY_MS, DAY_MS], [DAY_MS, -DAY_MS]]) {
    const { clock, limits } = fresh()
    takeTimes(limits, 'prekeys', 'k', 6)
    for (const jumpMs of jumpsMs) {
      clock.set(clock.nowMs() + jumpMs)
      assert.equal(await retryAfter(() => limits.take('prekeys', 'k')), 600)
    }
    clock.advance(600_000)
    limits.take('prekeys', 'k')
    assert.equal(await retryAfter(() => limits.take('prekeys', 'k')), 600)
  }
})

test('however the clock jumps, nobody gets more than the bucket and what has refilled, or less (case X1)', () => {
  const { bucket, secondsPerPermit } = LIMITERS.prekeys
  const event = fc.record({
    jumpMs: fc.constantFrom(0, DAY_MS, -DAY_MS, 3_600_000, -3_600_000),
    passMs: fc.integer({ min: 0, max: 900_000 }),
  })
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const { clock, limits } = fresh()
      let [left, elapsedMs] = [bucket, 0]
      for (const { jumpMs, passMs } of events) {
        clock.set(clock.nowMs() + jumpMs)
        clock.advance(passMs)
        elapsedMs += passMs
        const refilled = Math.min(bucket, left + elapsedMs / (secondsPerPermit * 1000))
        const take = () => limits.take('prekeys', 'k')
        if (refilled < 1) assert.throws(take, Refusal)
        else {
          take()
          ;[left, elapsedMs] = [Math.floor(refilled) - 1, 0]
        }
      }
    }),
  )
})

test('a negative or senseless number of permits is a bug, not a grant', () => {
  const { limits } = fresh()
  for (const permits of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => limits.take('messages', 'k', permits), RangeError)
    assert.throws(() => limits.check('messages', 'k', permits), RangeError)
    assert.throws(() => limits.restore('messages', 'k', permits), RangeError)
  }
})

test('overrides change the size and the refill, each by itself', async () => {
  const clock = new ManualClock()
  const overrides = { prekeys: { bucket: 2 }, messages: { refill: 30 } }
  const limits = new Limits({ clock, overrides })
  limits.take('prekeys', 'k', 2)
  assert.equal(await retryAfter(() => limits.take('prekeys', 'k')), 600)
  limits.take('messages', 'k', 60)
  assert.equal(await retryAfter(() => limits.take('messages', 'k')), 30)
})

test('random calls agree with the rule written down plainly', () => {
  const { clock, limits } = fresh()
  let [stored, atMs] = [6, clock.nowMs()]
  let seed = 1
  const draw = (below: number) => {
    seed = (seed * 48_271) % 0x7fffffff
    return seed % below
  }
  for (let i = 0; i < 5000; i++) {
    clock.advance(draw(900_000))
    const permits = draw(4)
    const available = Math.min(6, Math.floor(stored + (clock.nowMs() - atMs) / 600_000))
    const granted = available >= permits
    if (granted) [stored, atMs] = [available - permits, clock.nowMs()]
    const passes = () => limits.take('prekeys', 'k', permits)
    if (granted) passes()
    else assert.throws(passes, Refusal)
  }
})

test('buckets that have refilled are forgotten while new ones come', () => {
  const clock = new ManualClock()
  const store = new MemoryLimitStore(clock)
  const limits = new Limits({ clock, store })
  let most = 0
  for (let i = 0; i < 100_000; i++) {
    limits.take('messages', `k${i}`)
    clock.advance(1)
    most = Math.max(most, store.size)
  }
  assert.ok(most < 4000, `${most} buckets held, though at most 1000 were not full`)
})

test('buckets that have refilled are forgotten when nobody calls any more', () => {
  const clock = new ManualClock()
  const store = new MemoryLimitStore(clock)
  const limits = new Limits({ clock, store })
  for (let i = 0; i < 12_000; i++) limits.take('messages', `k${i}`)
  limits.take('prekeys', 'slow')
  clock.advance(60_000)
  assert.equal(store.size, 1)
})

test('there are never more buckets than allowed', () => {
  const clock = new ManualClock()
  const store = new MemoryLimitStore(clock, 100)
  const limits = new Limits({ clock, store })
  for (let i = 0; i < 1000; i++) limits.take('pin', `k${i}`)
  assert.equal(store.size, 100)
  takeTimes(limits, 'pin', 'k999', 9)
  assert.throws(() => limits.take('pin', 'k999'), Refusal)
})

const down = (): never => {
  throw new Error('store down')
}
const downLater = () => Promise.reject(new Error('store down'))
const brokenStores: Record<string, LimitStore> = {
  'throws at once': { take: down, check: down, restore: down, clear: down },
  'rejects later': { take: downLater, check: downLater, restore: downLater, clear: downLater },
}

for (const [how, store] of Object.entries(brokenStores)) {
  test(`a store that ${how} lets fail-open limiters pass and refuses the others`, async () => {
    const outages: string[] = []
    const limits = new Limits({ clock: new ManualClock(), store, onOutage: (name) => outages.push(name) })
    for (const [key, { failOpen }] of Object.entries(LIMITERS)) {
      const name = key as LimiterName
      for (const act of [() => limits.take(name, 'k'), () => limits.check(name, 'k')]) {
        if (failOpen) await act()
        else assert.equal((await refusal(act)).kind, 'unavailable')
      }
    }
    assert.equal(outages.length, Object.keys(LIMITERS).length * 2)
    await limits.restore('pin', 'k')
    await limits.clear('pin', 'k')
  })
}

test('a store outside this process is awaited and refuses all the same', async () => {
  const memory = new MemoryLimitStore(new ManualClock())
  const remote: LimitStore = {
    take: async (rule: LimitRule, key, permits) => memory.take(rule, key, permits),
    check: async (rule, key, permits) => memory.check(rule, key, permits),
    restore: async (rule, key, permits) => memory.restore(rule, key, permits),
    clear: async (rule, key) => memory.clear(rule, key),
  }
  const limits = new Limits({ clock: new ManualClock(), store: remote })
  await limits.take('pin', 'k', 10)
  assert.equal(await retryAfter(() => limits.take('pin', 'k')), 86_400)
  await limits.clear('pin', 'k')
  await limits.take('pin', 'k')
})

test('a limiter costs less than two microseconds a call', () => {
  const limits = new Limits({
    clock: { ...systemClock, after: noTimer, every: noTimer },
  })
  const keys = Array.from({ length: 1000 }, (_, i) => `source-${i}__destination-${i}`)
  const times = 300_000
  const startNs = process.hrtime.bigint()
  for (let i = 0; i < times; i++) limits.take('inboundMessageBytes', keys[i % 1000]!, 300)
  const perCallNs = Number(process.hrtime.bigint() - startNs) / times
  assert.ok(perCallNs < 2000, `${perCallNs} ns`)
})

const noTimer = () => ({ cancel() {} })
