import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import {
  ClientZkReceiptOperations,
  type ReceiptCredentialRequestContext,
  ReceiptCredentialResponse,
  ReceiptSerial,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import { openRules, type RulesOptions, serverSecretParams } from '../../../test/chat-rules.ts'
import { forEachEngine } from '../../../test/engines.ts'
import { refusedAs } from '../../../test/registrar.ts'
import { newNumber } from '../../../test/sample-account.ts'
import { DAY_MS } from '../../kit/days.ts'

const operations = () => new ClientZkReceiptOperations(serverSecretParams().getPublicParams())
const newContext = () =>
  operations().createReceiptCredentialRequestContext(new ReceiptSerial(new Uint8Array(randomBytes(16))))

async function open(t: TestContext, options: RulesOptions = {}) {
  const rules = await openRules(t, options)
  const create = (uses: number) => rules.invites.create({ uses, days: 7, number: undefined, note: '' })
  const issue = (code: string, context: ReceiptCredentialRequestContext, address = '192.0.2.1') =>
    rules.loginReceipts.issue(code, context.getRequest().serialize(), address)
  return { rules, create, issue }
}

forEachEngine('of many requests for the last uses of an invite so many get a receipt', async (engine, t) => {
  const { rules, create, issue } = await open(t, { engine })
  const { code } = await create(2)
  const contexts = Array.from({ length: 6 }, newContext)
  const issued = await Promise.all(contexts.map((context) => issue(code.text, context)))
  const kinds = issued.map(({ kind }) => kind).sort()
  assert.deepEqual(kinds, ['issued', 'issued', 'used-up', 'used-up', 'used-up', 'used-up'])
  assert.equal((await rules.invites.list())[0]?.usesLeft, 0)
})

test('the same request at the same moment is one use, and gets the same receipt', async (t) => {
  const { rules, create, issue } = await open(t)
  const { code } = await create(5)
  const context = newContext()
  const issued = await Promise.all([1, 2, 3].map(() => issue(code.text, context)))
  rules.clock.advance(2 * DAY_MS)
  issued.push(await issue(code.text, context))
  const ends = issued.map((one) => {
    assert.ok(one.kind === 'issued')
    const response = new ReceiptCredentialResponse(new Uint8Array(one.credential))
    return operations().receiveReceiptCredential(context, response).getReceiptExpirationTime()
  })
  assert.equal(new Set(ends).size, 1)
  assert.equal(ends[0]! * 1000, Date.UTC(2026, 0, 1) + 1830 * DAY_MS)
  assert.equal((await rules.invites.list())[0]?.usesLeft, 4)
})

test('what was paid comes again after the invite is used up, and nothing after it is over or taken back', async (t) => {
  const { rules, create, issue } = await open(t)
  const { code, invite } = await create(1)
  const context = newContext()
  assert.equal((await issue(code.text, context)).kind, 'issued')
  assert.equal((await issue(code.text, newContext())).kind, 'used-up')
  assert.equal((await issue(code.text, context)).kind, 'issued')
  rules.clock.advance(7 * DAY_MS)
  assert.equal((await issue(code.text, newContext())).kind, 'no-invite')
  await rules.invites.revoke(invite.id)
  assert.equal((await issue(code.text, context)).kind, 'no-invite')
})

test('what is no request is named, and costs no use; who tries codes is slowed down', async (t) => {
  const { rules, create, issue } = await open(t, { limits: { invitePage: { bucket: 3 } } })
  const { code } = await create(1)
  const nonsense = randomBytes(97)
  await assert.rejects(
    rules.loginReceipts.issue(code.text, nonsense, 'x'),
    refusedAs('invalid', 'receipt_credential_request'),
  )
  assert.equal((await rules.invites.list())[0]?.usesLeft, 1)
  for (let count = 0; count < 3; count++)
    assert.equal((await issue('0'.repeat(32), newContext())).kind, 'no-invite')
  await assert.rejects(issue(code.text, newContext()), refusedAs('rate-limited'))
})

test('an invite for a phone number is none for an account without one', async (t) => {
  const { rules, issue } = await open(t)
  const { code } = await rules.invites.create({ uses: 1, days: 7, number: newNumber(), note: '' })
  assert.equal((await issue(code.text, newContext())).kind, 'no-invite')
})

test('requests are forgotten a month after their invite', async (t) => {
  const { rules, create, issue } = await open(t)
  const { code } = await create(1)
  await issue(code.text, newContext())
  const count = async () => (await rules.sql.read('SELECT * FROM invite_receipts')).length
  rules.clock.advance(37 * DAY_MS - 1)
  await rules.loginReceipts.expire()
  assert.equal(await count(), 1)
  rules.clock.advance(1)
  await rules.loginReceipts.expire()
  assert.equal(await count(), 0)
})
