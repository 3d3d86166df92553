import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { newAci } from '../../../test/sample-account.ts'
import { ManualClock } from '../../kit/clock.ts'
import { LINK_TOKEN_LIFETIME_MS, LinkTokens } from './link-tokens.ts'

const SECRET = Buffer.alloc(32, 9)

function open() {
  const clock = new ManualClock()
  return { clock, tokens: new LinkTokens(SECRET, clock), aci: newAci() }
}

test('a token is the account, the time and their HMAC, and is named by its SHA-256', () => {
  const { clock, tokens, aci } = open()
  const { token, id } = tokens.make(aci, 0)
  const claims = `${aci}.${clock.nowMs()}`
  const hmac = createHmac('sha256', SECRET).update(claims).digest('base64')
  assert.equal(token, `${claims}:${hmac.replaceAll('+', '-').replaceAll('/', '_')}`)
  assert.match(token, /=$/)
  assert.deepEqual(id, createHash('sha256').update(token).digest())
  assert.deepEqual(tokens.read(token), { aci, madeAtMs: clock.nowMs(), id })
})

test('a token lasts ten minutes, to the millisecond', () => {
  const { clock, tokens, aci } = open()
  const { token } = tokens.make(aci, 0)
  clock.advance(LINK_TOKEN_LIFETIME_MS - 1)
  assert.equal(tokens.read(token)?.aci, aci)
  clock.advance(1)
  assert.equal(tokens.read(token), undefined)
  assert.equal(LINK_TOKEN_LIFETIME_MS, 600_000)
})

test('a token is not older than its account, whatever the clock says', () => {
  const { clock, tokens, aci } = open()
  const sinceMs = clock.nowMs() + 5
  assert.equal(tokens.read(tokens.make(aci, sinceMs).token)?.madeAtMs, sinceMs)
})

test('however its base64 is written, a token has one name', () => {
  const { tokens, aci } = open()
  const { token, id } = tokens.make(aci, 0)
  const standard = token.replaceAll('_', '/').replace(/-(?=[^:]*$)/g, (dash, at) => (at > 37 ? '+' : dash))
  for (const other of [token.replace(/=$/, ''), standard])
    assert.deepEqual(tokens.read(other)?.id, id, 'the padding and the alphabet mean nothing')
})

test('no token of somebody else’s making is one of ours', () => {
  const { clock, tokens, aci } = open()
  const { token } = tokens.make(aci, 0)
  const [claims, signature] = token.split(':') as [string, string]
  const foreign = new LinkTokens(Buffer.alloc(32, 8), clock)
  const spoilt = [
    ...['', ':', '.', `${claims}:`, `:${signature}`, claims, signature, `${token}:`, ` ${token}`],
    `${claims}0:${signature}`,
    `${newAci()}.${clock.nowMs()}:${signature}`,
    `${claims}:${signature.slice(0, -5)}`,
    foreign.make(aci, 0).token,
  ]
  for (const text of spoilt) assert.equal(tokens.read(text), undefined, text)
  fc.assert(
    fc.property(fc.nat(token.length - 1), fc.string({ minLength: 1, maxLength: 1 }), (at, letter) => {
      const changed = `${token.slice(0, at)}${letter}${token.slice(at + 1)}`
      const same = (text: string) => text.replaceAll('+', '-').replaceAll('/', '_').replace(/=$/, '')
      // The last digit of base64 holds two bits that mean nothing.
      fc.pre(same(changed) !== same(token) && at < token.length - 2)
      assert.equal(tokens.read(changed), undefined)
    }),
  )
})

test('what claims something else under our own signature is no token', () => {
  const { tokens } = open()
  for (const claims of [
    '',
    'x',
    '.',
    'x.5',
    `${newAci()}`,
    `${newAci()}.`,
    `${newAci()}.x`,
    `${newAci()}.NaN`,
  ]) {
    const signature = createHmac('sha256', SECRET).update(claims).digest('base64url')
    assert.equal(tokens.read(`${claims}:${signature}`), undefined, claims)
  }
})
