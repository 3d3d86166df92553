import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemRandom } from '../kit/random.ts'
import { Refusal } from '../kit/refusal.ts'
import { open } from './deriving.ts'
import { MEMORY_KIB, ProofOfWork } from './proof-of-work.ts'

const fail = (error: unknown) => {
  throw error
}

test('OpenSSL and the code that browsers run make the same key', async () => {
  const { derive, deriveAsBrowsersDo } = open()
  const salt = Buffer.from('0123456789abcdef')
  const hex = async (key: Promise<Uint8Array> | Uint8Array) => Buffer.from(await key).toString('hex')
  const native = await hex(derive(7, salt, 64))
  assert.equal(native, await hex(deriveAsBrowsersDo(7, salt, 64)))
  assert.notEqual(native, await hex(derive(8, salt, 64)))
})

test('the memory is 16 MiB, the counter below the count, and the target is not the whole key', async (t) => {
  const work = new ProofOfWork(systemRandom, fail)
  t.after(() => work.close())
  const { derive } = open()
  const { puzzle, key } = await work.make(6)
  assert.deepEqual([puzzle.memoryKiB, puzzle.count], [16 * 1024, 6])
  assert.equal(Buffer.from(puzzle.target, 'base64url').length, 12)
  assert.ok(key.startsWith(puzzle.target))
  const salt = Buffer.from(puzzle.salt, 'base64url')
  const keys = [0, 1, 2, 3, 4, 5].map((counter) => derive(counter, salt, MEMORY_KIB) as Uint8Array)
  assert.ok(keys.some((one) => Buffer.from(one).toString('base64url') === key))
})

test('who comes when too many wait is told to come back, and the event loop stays free', async (t) => {
  const work = new ProofOfWork(systemRandom, fail)
  t.after(() => work.close())
  const made = Array.from({ length: 100 }, () =>
    work.make(4).then(
      () => 'made',
      (error) => error,
    ),
  )
  let turns = 0
  const turning = setInterval(() => turns++, 1)
  const outcomes = await Promise.all(made)
  clearInterval(turning)
  const refused = outcomes.filter((one) => one instanceof Refusal && one.kind === 'unavailable')
  assert.ok(outcomes.includes('made'))
  assert.ok(refused.length >= 30, `${refused.length}`)
  assert.ok(turns > 100, `${turns} turns`)
})
