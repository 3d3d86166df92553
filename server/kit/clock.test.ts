import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock, systemClock } from './clock.ts'

test('timers fire in order of their moments, each seeing its own', () => {
  const clock = new ManualClock(1000)
  const seen: string[] = []
  clock.after(30, () => seen.push(`b@${clock.nowMs()}`))
  clock.after(10, () => seen.push(`a@${clock.nowMs()}`))
  clock.every(20, () => seen.push(`tick@${clock.nowMs()}`))
  clock.advance(40)
  assert.deepEqual(seen, ['a@1010', 'tick@1020', 'b@1030', 'tick@1040'])
  assert.equal(clock.nowMs(), 1040)
})

test('timers of the same moment fire in the order they were set', () => {
  const clock = new ManualClock()
  const seen: number[] = []
  for (const n of [1, 2, 3]) clock.after(5, () => seen.push(n))
  clock.advance(5)
  assert.deepEqual(seen, [1, 2, 3])
})

test('a cancelled timer never fires, even when it cancels itself', () => {
  const clock = new ManualClock()
  let ticks = 0
  const timer = clock.every(10, () => {
    if (++ticks === 2) timer.cancel()
  })
  clock.after(5, () => assert.fail('cancelled')).cancel()
  clock.advance(100)
  assert.equal(ticks, 2)
})

test('a timer set by a timer fires in the same advance if it falls due', () => {
  const clock = new ManualClock(0)
  let at = 0
  clock.after(10, () => clock.after(10, () => (at = clock.nowMs())))
  clock.advance(25)
  assert.equal(at, 20)
})

test('stepping the wall clock fires nothing and delays nothing', () => {
  const clock = new ManualClock(1_000_000)
  let fired = 0
  clock.after(10, () => fired++)
  clock.set(2_000_000)
  assert.equal(fired, 0)
  clock.set(5)
  clock.advance(10)
  assert.equal(fired, 1)
  assert.equal(clock.nowMs(), 15)
})

test('the system clock waits, repeats and cancels', async () => {
  const keepAlive = setTimeout(() => {}, 5000)
  let ticks = 0
  await new Promise<void>((resolve) => {
    const timer = systemClock.every(1, () => {
      if (++ticks < 3) return
      timer.cancel()
      systemClock.after(1, resolve)
    })
  })
  clearTimeout(keepAlive)
  assert.equal(ticks, 3)
  assert.ok(Math.abs(systemClock.nowMs() - Date.now()) < 1000)
})

test('a delay longer than Node can count does not fire at once', async () => {
  const timer = systemClock.after(2 ** 40, () => assert.fail('too early'))
  await new Promise((resolve) => setTimeout(resolve, 10))
  timer.cancel()
})

test('steady time passes with the timers, and does not step with the wall clock', () => {
  const clock = new ManualClock()
  const startMs = clock.steadyMs()
  clock.advance(40)
  for (const stepMs of [86_400_000, -172_800_000]) clock.set(clock.nowMs() + stepMs)
  assert.equal(clock.steadyMs() - startMs, 40)
  const before = systemClock.steadyMs()
  assert.ok(systemClock.steadyMs() >= before)
})
