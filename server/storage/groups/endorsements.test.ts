import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EndorsementMemory, endorsementExpirationMs, MIN_ENDORSEMENT_MS } from './endorsements.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const MIDNIGHT = Date.UTC(2026, 7, 20)
const bytes = (...all: number[]) => new Uint8Array(all)

test('endorsements expire at a midnight, six hours away at least and thirty at most', () => {
  for (let minute = 0; minute < 24 * 60; minute++) {
    const nowMs = MIDNIGHT + minute * 60_000
    const expiresAtMs = endorsementExpirationMs(nowMs)
    assert.equal(expiresAtMs % DAY_MS, 0)
    assert.ok(expiresAtMs - nowMs >= MIN_ENDORSEMENT_MS && expiresAtMs - nowMs < 30 * HOUR_MS)
  }
  assert.equal(endorsementExpirationMs(MIDNIGHT), MIDNIGHT + DAY_MS)
  assert.equal(endorsementExpirationMs(MIDNIGHT + 18 * HOUR_MS), MIDNIGHT + DAY_MS)
  assert.equal(endorsementExpirationMs(MIDNIGHT + 18 * HOUR_MS + 1), MIDNIGHT + 2 * DAY_MS)
})

test('the same members on the same day get the same, once issued', async () => {
  const memory = new EndorsementMemory()
  let issued = 0
  const issue = async () => bytes(++issued)
  const of = (members: readonly Uint8Array[], expiresAtMs = MIDNIGHT) =>
    memory.of(members, expiresAtMs, issue)
  const [first, again] = await Promise.all([of([bytes(1), bytes(2)]), of([bytes(1), bytes(2)])])
  assert.deepEqual([first, again, issued], [bytes(1), bytes(1), 1])
  const others = [
    await of([bytes(2), bytes(1)]),
    await of([bytes(1)]),
    await of([bytes(1, 2)]),
    await of([bytes(1), bytes(2)], MIDNIGHT + DAY_MS),
  ]
  assert.deepEqual(others, [bytes(2), bytes(3), bytes(4), bytes(5)])
  for (let number = 0; number < 64; number++) await of([bytes(9, number)])
  assert.deepEqual(await of([bytes(1), bytes(2)]), bytes(70))
})

test('what could not be issued is asked for again', async () => {
  const memory = new EndorsementMemory()
  const fails = memory.of([bytes(1)], MIDNIGHT, () => Promise.reject(new Error('too many wait')))
  await assert.rejects(fails, /too many wait/)
  assert.deepEqual(await memory.of([bytes(1)], MIDNIGHT, async () => bytes(7)), bytes(7))
})
