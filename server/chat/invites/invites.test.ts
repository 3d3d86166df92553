import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { forEachEngine } from '../../../test/engines.ts'
import { PASSWORD, registrationOf } from '../../../test/person.ts'
import { openRegistrar, refusedAs } from '../../../test/registrar.ts'
import { newNumber } from '../../../test/sample-account.ts'
import type { E164 } from '../../../wire/types.ts'
import { groupedCode, readInviteCode } from './invite-code.ts'
import { DIGITS_LIFE_MS, type NewInvite, TRIES_PER_CODE } from './invites.ts'

type Registrar = Awaited<ReturnType<typeof openRegistrar>>
const ONE: NewInvite = { uses: 1, days: 7, number: undefined, note: '' }
const MINUTE_MS = 60_000

/** A session of a number that asked for a code. */
async function asked({ rules }: Registrar, number: string): Promise<string> {
  const opened = await rules.verification.open(number)
  assert.ok(opened.kind === 'opened')
  assert.equal((await rules.verification.requestCode(opened.session.id, 'sms')).kind, 'ok')
  return opened.session.id
}

async function enter({ rules }: Registrar, session: string, code: string): Promise<boolean> {
  const answered = await rules.verification.submitCode(session, code)
  assert.ok(answered.kind === 'ok', answered.kind)
  return answered.session.verified
}

async function digitsOf({ rules }: Registrar, code: string, number: string): Promise<string> {
  const taken = await rules.invites.takeDigits(code, number, '192.0.2.1')
  assert.ok(taken.kind === 'taken', taken.kind)
  return taken.digits
}

/** A session that was proven by an invite's digits. */
async function invited(registrar: Registrar, code: string, number: string): Promise<string> {
  const session = await asked(registrar, number)
  assert.ok(await enter(registrar, session, await digitsOf(registrar, code, number)))
  return session
}

/** Six digits that are not these. */
const otherThan = (digits: string): string => String((Number(digits) + 1) % 1_000_000).padStart(6, '0')

const open = async (t: Parameters<typeof openRegistrar>[0], mode: 'open' | 'invite' | 'closed' = 'invite') =>
  openRegistrar(t, { registration: { mode } })
const create = async ({ rules }: Registrar, change: Partial<NewInvite> = {}) => {
  const { invite, code, digits } = await rules.invites.create({ ...ONE, ...change })
  return { id: invite.id, code: code.text, digits }
}
const number = () => newNumber() as E164
const as = (e164: string) => ({ username: e164, password: PASSWORD })

test('who was invited registers with the six digits of the page, and nothing is sent', async (t) => {
  const registrar = await open(t)
  const { id, code } = await create(registrar)
  const e164 = number()
  const session = await invited(registrar, code, e164)
  const registered = await registrar.register(e164, registrationOf(session))
  assert.ok(registered.kind === 'registered')
  assert.equal(registered.account.e164, e164)
  assert.deepEqual(registrar.telephone.codes, [])
  const [invite] = await registrar.rules.invites.list()
  assert.deepEqual([invite?.id, invite?.usesLeft], [id, 0])
  assert.equal(await registrar.rules.invites.find(code), undefined)
})

test('an invite for a number has its digits at once, for as long as itself, and for nobody else', async (t) => {
  const registrar = await open(t)
  const [own, other] = [number(), number()]
  const { code, digits } = await create(registrar, { number: own, days: 3 })
  registrar.rules.clock.advance(2 * 86_400_000)
  assert.equal(await enter(registrar, await asked(registrar, other), digits!), false)
  assert.equal((await registrar.rules.invites.takeDigits(code, other, 'x')).kind, 'other-number')
  const session = await asked(registrar, own)
  assert.ok(await enter(registrar, session, digits!))
  assert.equal((await registrar.register(own, registrationOf(session))).kind, 'registered')
  const rows = await registrar.rules.sql.read('SELECT number FROM invites')
  assert.deepEqual(rows, [{ number: null }], 'whom it was for is forgotten')
})

test('a number is invited however it is written', async (t) => {
  const registrar = await open(t)
  const { digits } = await create(registrar, { number: '+2290112345678' as E164 })
  assert.ok(await enter(registrar, await asked(registrar, '+2290112345678'), digits!))
  const { code } = await create(registrar)
  const taken = await registrar.rules.invites.takeDigits(code, ' +1 (202) 555-0143 ', 'x')
  assert.ok(taken.kind === 'taken')
  assert.equal(taken.e164, '+12025550143')
  assert.equal((await registrar.rules.invites.takeDigits(code, 'my number', 'x')).kind, 'no-number')
})

test('numbers that were invited and that were not are answered alike until the digits are right', async (t) => {
  const registrar = await open(t)
  const { rules } = registrar
  const [stranger, guest] = [number(), number()]
  await create(registrar, { number: guest })
  const answers = []
  for (const one of [stranger, guest]) {
    const session = await asked(registrar, one)
    const seen: unknown[] = [await rules.verification.get(session)]
    for (let count = 0; count < TRIES_PER_CODE; count++)
      seen.push(await rules.verification.submitCode(session, `x${count}`))
    seen.push((await rules.verification.submitCode(session, 'x')).kind)
    for (const transport of ['sms', 'voice'] as const)
      seen.push(await rules.verification.requestCode(session, transport))
    answers.push(JSON.stringify(seen).replaceAll(session, 'id'))
  }
  assert.equal(answers[0], answers[1])
  assert.deepEqual(registrar.telephone.codes, [])
})

test('who asks again for a code that never comes is told that none will', async (t) => {
  const registrar = await open(t)
  const session = await asked(registrar, number())
  const again = await registrar.rules.verification.requestCode(session, 'voice')
  assert.ok(again.kind === 'not-sent')
  assert.deepEqual(again.failure, { reason: 'providerRejected', permanentFailure: true })
})

test('digits are guessed five times at most, over all sessions of a number', async (t) => {
  const registrar = await open(t)
  const e164 = number()
  const { code, digits } = await create(registrar, { number: e164 })
  const first = await asked(registrar, e164)
  for (let count = 0; count < 3; count++)
    assert.equal(await enter(registrar, first, otherThan(digits!)), false)
  const second = await asked(registrar, e164)
  for (let count = 0; count < 2; count++)
    assert.equal(await enter(registrar, second, otherThan(digits!)), false)
  assert.equal(await enter(registrar, second, digits!), false, 'the right ones come too late')
  // Who holds the link takes others.
  const fresh = await digitsOf(registrar, code, e164)
  assert.ok(await enter(registrar, await asked(registrar, e164), fresh))
})

test('a session to which nothing was sent has no six digits of its own', async (t) => {
  const registrar = await open(t)
  const id = await asked(registrar, number())
  const [row] = await registrar.rules.sql.read('SELECT code_digest, sender_check FROM verification_sessions')
  assert.equal(row!['sender_check'], '')
  const stored = Buffer.from(row!['code_digest'] as Uint8Array).toString('hex')
  const digestOf = (code: string) => createHash('sha256').update(`${id}:${code}`).digest('hex')
  let found = 0
  for (let code = 0; code < 1_000_000; code++) if (digestOf(String(code).padStart(6, '0')) === stored) found++
  assert.equal(found, 0)
})

test('digits end after half an hour, with new ones, and with their invite', async (t) => {
  const registrar = await open(t)
  const { clock, invites } = registrar.rules
  const e164 = number()
  const { code } = await create(registrar)
  const old = await digitsOf(registrar, code, e164)
  clock.advance(DIGITS_LIFE_MS)
  assert.equal(await enter(registrar, await asked(registrar, e164), old), false)
  const replaced = await digitsOf(registrar, code, e164)
  await digitsOf(registrar, code, e164)
  assert.equal(await enter(registrar, await asked(registrar, e164), replaced), false)
  const { id, digits } = await create(registrar, { number: e164 })
  assert.ok(await invites.revoke(id))
  assert.equal(await enter(registrar, await asked(registrar, e164), digits!), false)
  assert.equal(await invites.revoke(id), false)
})

test('digits are good once, also for two sessions at once', async (t) => {
  const registrar = await open(t)
  const e164 = number()
  const { digits } = await create(registrar, { number: e164 })
  const sessions = [await asked(registrar, e164), await asked(registrar, e164)]
  const entered = await Promise.all(sessions.map((session) => enter(registrar, session, digits!)))
  assert.deepEqual(entered.sort(), [false, true])
})

test('an invite that is used up, over or taken back lets nobody in whose session it proved', async (t) => {
  const registrar = await open(t)
  const { invites, clock } = registrar.rules
  for (const spoil of ['used up', 'over', 'taken back']) {
    const { id, code } = await create(registrar, { days: 1 })
    const [e164, quicker] = [number(), number()]
    if (spoil === 'over') clock.advance(86_400_000 - MINUTE_MS)
    const session = await invited(registrar, code, e164)
    const winner = await invited(registrar, code, quicker)
    if (spoil === 'used up')
      assert.equal((await registrar.register(quicker, registrationOf(winner))).kind, 'registered')
    if (spoil === 'over') clock.advance(MINUTE_MS)
    if (spoil === 'taken back') assert.ok(await invites.revoke(id))
    await invites.expire()
    assert.equal((await registrar.register(e164, registrationOf(session))).kind, 'unverified', spoil)
    assert.equal(await invites.find(code), undefined)
  }
})

test('of many who want the last use of an invite at once one gets it', async (t) => {
  const registrar = await open(t)
  const { code } = await create(registrar, { uses: 2 })
  const numbers = Array.from({ length: 6 }, number)
  const sessions: string[] = []
  for (const e164 of numbers) sessions.push(await invited(registrar, code, e164))
  const registered = await Promise.all(
    numbers.map((e164, index) => registrar.register(e164, registrationOf(sessions[index]!))),
  )
  const kinds = registered.map(({ kind }) => kind).sort()
  assert.deepEqual(kinds, [...Array(2).fill('registered'), ...Array(4).fill('unverified')])
  assert.deepEqual(await registrar.rules.sql.read('SELECT uses_left FROM invites'), [{ uses_left: 0 }])
  assert.deepEqual(await registrar.rules.sql.read('SELECT COUNT(*) AS n FROM accounts'), [{ n: 2 }])
})

test('a registration that fails uses nothing up', async (t) => {
  const registrar = await open(t)
  const { code } = await create(registrar)
  const e164 = number()
  const session = await invited(registrar, code, e164)
  const spoilt = { ...registrationOf(session), pniIdentityKey: undefined }
  await assert.rejects(registrar.register(e164, spoilt), refusedAs('invalid'))
  assert.equal((await registrar.register(number(), registrationOf(session))).kind, 'foreign-session')
  assert.equal((await registrar.rules.invites.list())[0]?.usesLeft, 1)
  assert.equal((await registrar.register(e164, registrationOf(session))).kind, 'registered')
  assert.equal((await registrar.register(e164, registrationOf(session))).kind, 'unverified', 'replayed')
})

test('an account that is there needs no invite, and cannot be had by one', async (t) => {
  const registrar = await open(t)
  const { rules, telephone } = registrar
  const { code } = await create(registrar, { uses: 3 })
  const e164 = number()
  const early = await invited(registrar, code, e164)
  const session = await invited(registrar, code, e164)
  const registered = await registrar.register(e164, registrationOf(session))
  assert.ok(registered.kind === 'registered')
  // A session from when nobody had the number, and digits for one that somebody has.
  assert.equal((await registrar.register(e164, registrationOf(early))).kind, 'unverified')
  const late = await asked(registrar, e164)
  assert.equal(await enter(registrar, late, await digitsOf(registrar, code, e164)), false)
  assert.equal(telephone.codes.length, 1)
  assert.ok(await enter(registrar, late, telephone.lastCode))
  const again = await registrar.register(e164, registrationOf(late), 'another')
  assert.ok(again.kind === 'registered')
  assert.equal(again.account.aci, registered.account.aci)
  assert.deepEqual((await rules.invites.list())[0]?.usesLeft, 2)
})

test('an invite taken back does not make a code that was sent of its digits', async (t) => {
  const registrar = await open(t)
  const { id, code } = await create(registrar, { uses: 2 })
  const e164 = number()
  const early = await invited(registrar, code, e164)
  const session = await invited(registrar, code, e164)
  assert.equal((await registrar.register(e164, registrationOf(session))).kind, 'registered')
  await registrar.rules.invites.revoke(id)
  await registrar.rules.invites.expire()
  assert.equal((await registrar.register(e164, registrationOf(early))).kind, 'unverified')
})

test('who comes by an invite does not get what an account of the number was before', async (t) => {
  const registrar = await open(t)
  const { rules } = registrar
  const { code } = await create(registrar, { uses: 2 })
  const e164 = number()
  const first = await registrar.register(e164, registrationOf(await invited(registrar, code, e164)))
  assert.ok(first.kind === 'registered')
  await rules.accounts.delete(first.account.aci)
  const second = await registrar.register(e164, registrationOf(await invited(registrar, code, e164)))
  assert.ok(second.kind === 'registered')
  assert.notEqual(second.account.aci, first.account.aci)
})

test('what proves a number otherwise is no invite', async (t) => {
  const registrar = await open(t)
  const { rules, telephone } = registrar
  const { code } = await create(registrar)
  const e164 = number()
  const registered = await registrar.register(e164, registrationOf(await invited(registrar, code, e164)))
  assert.ok(registered.kind === 'registered')
  const session = await asked(registrar, e164)
  assert.ok(await enter(registrar, session, telephone.lastCode))
  await rules.accounts.delete(registered.account.aci)
  assert.equal((await registrar.register(e164, registrationOf(session))).kind, 'closed')
})

test('an open server sends its codes, and a closed one lets nobody in by an invite', async (t) => {
  const everybody = await open(t, 'open')
  const e164 = number()
  await asked(everybody, e164)
  assert.equal(everybody.telephone.codes.length, 1)
  const nobody = await open(t, 'closed')
  const { code } = await create(nobody)
  const session = await invited(nobody, code, e164)
  assert.equal((await nobody.register(e164, registrationOf(session))).kind, 'closed')
  assert.deepEqual(nobody.telephone.codes, [])
})

test('a code is read as people type it, and no other is one', async (t) => {
  const registrar = await open(t)
  const { rules } = registrar
  const { code, invite } = await rules.invites.create(ONE)
  const grouped = groupedCode(code)
  assert.match(grouped, /^([0-9a-z]{8}-){3}[0-9a-z]{8}$/)
  for (const typed of [grouped, grouped.toUpperCase(), code.text.replaceAll('0', 'O').replaceAll('1', 'l')])
    assert.equal((await rules.invites.find(typed))?.id, invite.id, typed)
  const last = code.text.at(-1) === 'z' ? 'y' : 'z'
  for (const wrong of [
    `${code.text.slice(0, -1)}${last}`,
    code.text.slice(1),
    `${code.text}0`,
    invite.id,
    '',
  ])
    assert.equal(await rules.invites.find(wrong), undefined, wrong)
  assert.equal(readInviteCode('u'.repeat(32)), undefined)
})

test('a page is looked at, and digits are taken, so often and no more', async (t) => {
  const registrar = await openRegistrar(t, {
    registration: { mode: 'invite' },
    limits: { invitePage: { bucket: 5 }, inviteCode: { bucket: 2 } },
  })
  const { invites } = registrar.rules
  const { code } = await create(registrar)
  for (let count = 0; count < 5; count++) await invites.visit('x', '192.0.2.1')
  await assert.rejects(invites.visit('x', '192.0.2.1'), refusedAs('rate-limited'))
  for (const [at, address] of ['a', 'b', 'c'].entries()) {
    const taking = invites.takeDigits(code, number(), address)
    if (at < 2) await taking
    else await assert.rejects(taking, refusedAs('rate-limited'))
  }
  await assert.rejects(invites.takeDigits(code, number(), '192.0.2.1'), refusedAs('rate-limited'))
})

test('what is over is swept out', async (t) => {
  const registrar = await open(t)
  const { rules } = registrar
  const { code } = await create(registrar, { days: 1 })
  const e164 = number()
  await invited(registrar, code, e164)
  await digitsOf(registrar, code, e164)
  const count = async (table: string) => (await rules.sql.read(`SELECT COUNT(*) AS n FROM ${table}`))[0]!['n']
  rules.clock.advance(86_400_000)
  await rules.invites.expire()
  assert.deepEqual(await Promise.all(['invites', 'invite_codes', 'invite_sessions'].map(count)), [1, 0, 0])
  rules.clock.advance(30 * 86_400_000)
  await rules.invites.expire()
  assert.equal(await count('invites'), 0)
})

forEachEngine('no secret of an invite is stored, and its last use is one', async (engine, t) => {
  const registrar = await openRegistrar(t, { engine, registration: { mode: 'invite' } })
  const { rules } = registrar
  const { code } = await create(registrar)
  const e164 = number()
  const digits = await digitsOf(registrar, code, e164)
  const rows = JSON.stringify([
    await rules.sql.read('SELECT * FROM invites'),
    await rules.sql.read('SELECT * FROM invite_codes'),
  ])
  for (const secret of [code.slice(8), digits]) assert.ok(!rows.includes(secret))
  const other = number()
  const sessions = [await invited(registrar, code, e164), await invited(registrar, code, other)]
  const both = await Promise.all(
    [e164, other].map((one, at) =>
      rules.registration.register(as(one), registrationOf(sessions[at]!), 'OWA'),
    ),
  )
  assert.deepEqual(both.map(({ kind }) => kind).sort(), ['registered', 'unverified'])
})
