import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openRules } from '../../../test/chat-rules.ts'
import { addPerson, deviceQueue } from '../../../test/conversants.ts'
import { newAci } from '../../../test/sample-account.ts'
import { Envelope } from '../../../wire/gen/envelope.js'
import { uuidOf, uuidToBytes } from '../../../wire/types.ts'
import type { Account } from '../accounts/account.ts'

const DAY_MS = 86_400_000

async function open(t: TestContext) {
  const rules = await openRules(t)
  const { messages, store, counters, reports, sql } = rules
  const [spammer, alice, bob] = [await addPerson(rules), await addPerson(rules), await addPerson(rules)]
  /** Sends a message and gives its guid. */
  const spam = async (to: Account, sealed = false) => {
    const access = sealed
      ? ({ kind: 'access-key', key: to.unidentifiedAccessKey! } as const)
      : ({ kind: 'device', device: { aci: spammer.aci, deviceId: 1 } } as const)
    await messages.send(access, {
      destination: to.aci,
      copies: [{ type: sealed ? 6 : 1, deviceId: 1, registrationId: 1001, content: Buffer.of(1) }],
      ...{ ephemeral: false, urgent: true, timestampMs: 5 },
    })
    const page = await store.page(deviceQueue(to), 0, 10)
    return Envelope.decode(page.at(-1)!.envelope).serverGuidText
  }
  const report = (by: Account, guid: string, source: Account = spammer) =>
    reports.report({ aci: by.aci, deviceId: 1 }, source.aci, guid)
  const counted = () => counters.snapshot()['reports.counted'] ?? 0
  const rows = () => sql.read('SELECT * FROM message_reports')
  return { ...rules, rules, spammer, alice, bob, spam, report, counted, rows }
}

test('a report counts if its message was delivered to the reporter, and each reporter once', async (t) => {
  const { alice, bob, spammer, spam, report, reports, counted, rows, sql } = await open(t)
  const [toAlice, toBob] = [await spam(alice), await spam(bob)]
  await report(alice, toBob)
  await report(bob, toAlice)
  await report(alice, toAlice, bob)
  await report(alice, newAci())
  assert.deepEqual([counted(), await rows()], [0, []])
  await report(alice, toAlice)
  await report(alice, await spam(alice))
  assert.deepEqual([counted(), (await rows()).length], [2, 1])
  const number = [spammer.e164, uuidToBytes(uuidOf(spammer.pni))]
  await sql.write([{ sql: 'INSERT INTO phone_numbers (e164, pni) VALUES ($1, $2)', args: number }])
  await reports.report({ aci: bob.aci, deviceId: 1 }, spammer.e164, toBob)
  assert.deepEqual([counted(), (await rows()).length], [3, 2])
})

test('what is kept names the reported account and no reporter, for seven days or until the account goes', async (t) => {
  const { alice, bob, spam, report, rows, clock, sql, accounts, spammer } = await open(t)
  await report(alice, await spam(alice))
  const [row] = await rows()
  const bytes = (id: string) => Buffer.from(id.replaceAll('-', ''), 'hex')
  assert.deepEqual(Buffer.from(row!['aci'] as Uint8Array), bytes(spammer.aci))
  assert.ok(!Buffer.from(row!['reporter'] as Uint8Array).includes(bytes(alice.aci)))
  clock.advance(7 * DAY_MS - 1)
  await sql.idle()
  assert.equal((await rows()).length, 1)
  clock.advance(3_600_001)
  await sql.idle()
  assert.equal((await rows()).length, 0)
  await report(bob, await spam(bob))
  await accounts.delete(spammer.aci)
  assert.equal((await rows()).length, 0)
})

test('a sealed message cannot be laid at anybody’s door', async (t) => {
  const { alice, spam, report, rows } = await open(t)
  await report(alice, await spam(alice, true))
  assert.deepEqual(await rows(), [])
})

test('sending keeps nothing for reports: a message is one row', async (t) => {
  const { alice, spam, sql } = await open(t)
  const before = sql.written.length
  await spam(alice)
  assert.deepEqual(
    sql.written.slice(before).map((list) => list.length),
    [1],
  )
})
