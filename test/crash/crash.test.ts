import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crash } from './crash.ts'

const ROUNDS = 100

test(`${ROUNDS} kills under load lose nothing, repeat nothing that was acknowledged, and keep the order`, async (t) => {
  const seed = Date.now() % 1_000_000
  t.diagnostic(`seed ${seed}: node test/crash/crash.ts --rounds ${ROUNDS} --seed ${seed}`)
  const result = await crash({ rounds: ROUNDS, seed, say: (line) => t.diagnostic(line) })
  t.diagnostic(JSON.stringify(result))
  assert.deepEqual(result.said, [])
  assert.equal(result.complaints, 0)
  assert.equal(result.lost, 0)
  assert.ok(result.accepted > ROUNDS * 10, `only ${result.accepted} messages were accepted: too few to tell`)
})
