import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom, systemRandom } from './random.ts'

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

for (const [name, random] of [
  ['system', systemRandom],
  ['seeded', new SeededRandom(1)],
] as const) {
  test(`${name}: bytes, version 4 UUIDs and digits have their shapes`, () => {
    assert.equal(random.bytes(33).length, 33)
    assert.equal(random.bytes(0).length, 0)
    for (let i = 0; i < 100; i++) assert.match(random.uuid(), UUID_V4)
    assert.match(random.digits(6), /^\d{6}$/)
    assert.equal(random.digits(0), '')
  })

  test(`${name}: every digit comes up equally often`, () => {
    const counts = new Array<number>(10).fill(0)
    for (const digit of random.digits(20_000)) counts[Number(digit)]!++
    const chiSquare = counts.reduce((sum, n) => sum + (n - 2000) ** 2 / 2000, 0)
    assert.ok(chiSquare < 45, `chi-square ${chiSquare} of 9 degrees of freedom`)
  })
}

test('one seed gives one stream, another seed another', () => {
  const draw = (seed: number) => {
    const random = new SeededRandom(seed)
    return [random.bytes(40).toString('hex'), random.uuid(), random.digits(8)]
  }
  assert.deepEqual(draw(7), draw(7))
  assert.notDeepEqual(draw(7), draw(8))
})

test('seeded bytes are the caller’s own: changing them changes no later draw', () => {
  const a = new SeededRandom(1)
  const b = new SeededRandom(1)
  a.bytes(8).fill(0)
  b.bytes(8)
  assert.deepEqual(a.bytes(8), b.bytes(8))
})
