import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../kit/clock.ts'
import { KeptToken } from './kept-token.ts'

function open() {
  const clock = new ManualClock()
  const made: string[] = []
  let works = true
  const make = async () => {
    if (!works) throw new Error('not now')
    made.push(`token ${made.length}`)
    return { value: made.at(-1)!, goodForMs: 60_000 }
  }
  const fail = () => {
    works = false
  }
  return { clock, made, fail, token: new KeptToken({ make, clock, leastAgeMs: 1_000 }) }
}

test('a token is renewed before its end, and the old one is given meanwhile', async () => {
  const { clock, made, token } = open()
  assert.equal(await token.current(), 'token 0')
  clock.advance(49_999)
  await token.current()
  assert.equal(made.length, 1)
  clock.advance(1)
  assert.equal(await token.current(), 'token 0')
  assert.equal(made.length, 2)
  assert.equal(await token.current(), 'token 1')
})

test('one that cannot be renewed is given to its end, and never after it', async () => {
  const { clock, fail, token } = open()
  await token.current()
  fail()
  clock.advance(59_999)
  assert.equal(await token.current(), 'token 0')
  clock.advance(1)
  await assert.rejects(token.current())
})
