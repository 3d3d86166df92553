import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import {
  AuthCredentialWithPniResponse,
  CallLinkAuthCredentialResponse,
  CallLinkSecretParams,
  ClientZkAuthOperations,
  CreateCallLinkCredentialRequestContext,
  CreateCallLinkCredentialResponse,
  GroupSecretParams,
  ServerSecretParams,
  ServerZkAuthOperations,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import { openRules, zkSecrets } from '../../../test/chat-rules.ts'
import { newAci, newNumber, sampleAccount, sampleDevice } from '../../../test/sample-account.ts'
import type { Aci, E164, Pni } from '../../../wire/types.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { NumberedAccount as Account } from '../accounts/account.ts'

const DAY = 86_400
const HERE = '192.0.2.1'
const random = (size: number) => new Uint8Array(randomBytes(size))
const aciOf = (aci: Aci) => LS.Aci.parseFromServiceIdString(aci)
const pniOf = (pni: Pni) => LS.Pni.parseFromServiceIdString(pni)
const refusedAs = (kind: Refusal['kind'], field?: string) => (error: unknown) =>
  error instanceof Refusal && error.kind === kind && error.detail.field === field

async function open(t: TestContext) {
  const rules = await openRules(t)
  const { accounts, clock } = rules
  const add = async (e164 = newNumber()): Promise<Account> => {
    const account = sampleAccount({
      e164,
      pni: await accounts.pniOf(e164),
      aciIdentityKey: LS.PrivateKey.generate().getPublicKey().serialize(),
      devices: [sampleDevice(), sampleDevice({ id: 2 })],
    })
    assert.ok(await accounts.put(account, []))
    return account
  }
  const todayOf = () => Math.floor(clock.nowMs() / 1000 / DAY) * DAY
  return { ...rules, add, todayOf, today: todayOf() }
}

type Week = Awaited<ReturnType<Awaited<ReturnType<typeof open>>['credentials']['group']>>

/** Receives a day's group credential as a client does; throws if it is not of this account and day. */
function receive(week: Week, at: number, { aci, pni }: Pick<Account, 'aci' | 'pni'>, day: number) {
  const operations = new ClientZkAuthOperations(zkSecrets().serverSecretParams.getPublicParams())
  const response = new AuthCredentialWithPniResponse(week.groupAuth[at]!.credential)
  return operations.receiveAuthCredentialWithPniAsServiceId(aciOf(aci), pniOf(pni), day, response)
}

/** Presents a received credential to the server at a moment. */
function present(
  credential: ReturnType<typeof receive>,
  atSeconds: number,
  params = zkSecrets().serverSecretParams,
) {
  const group = GroupSecretParams.generate()
  const client = new ClientZkAuthOperations(zkSecrets().serverSecretParams.getPublicParams())
  const presentation = client.createAuthCredentialWithPniPresentation(group, credential)
  const server = new ServerZkAuthOperations(params)
  server.verifyAuthCredentialPresentation(group.getPublicParams(), presentation, new Date(atSeconds * 1000))
}

test('a week of credentials is one of each kind a day, each good for its day', async (t) => {
  const { credentials, add, today } = await open(t)
  const account = await add()
  const { aci, pni } = account
  const week = await credentials.group({ aci, deviceId: 2 }, today, today + 7 * DAY)
  const days = Array.from({ length: 8 }, (_, at) => today + at * DAY)
  assert.equal(week.pni, pni)
  for (const list of [week.groupAuth, week.callLinkAuth])
    assert.deepEqual(
      list.map(({ redemptionSeconds }) => redemptionSeconds),
      days,
    )
  const { genericServerSecretParams } = zkSecrets()
  const calling = genericServerSecretParams.getPublicParams()
  for (const [at, day] of days.entries()) {
    present(receive(week, at, account, day), day + DAY / 2)
    const link = CallLinkSecretParams.deriveFromRootKey(random(16))
    new CallLinkAuthCredentialResponse(week.callLinkAuth[at]!.credential)
      .receive(aciOf(aci), day, calling)
      .present(aciOf(aci), day, calling, link)
      .verify(genericServerSecretParams, link.getPublicParams(), new Date((day + DAY / 2) * 1000))
  }
})

test('C2: a credential is of no use to another account, on another day, or under other parameters', async (t) => {
  const { credentials, add, today } = await open(t)
  const [account, other] = [await add(), await add()]
  const week = await credentials.group({ aci: account.aci, deviceId: 1 }, today, today + DAY)
  assert.throws(() => receive(week, 0, other, today))
  assert.throws(() => receive(week, 0, { ...account, pni: other.pni }, today))
  assert.throws(() => receive(week, 0, account, today + DAY))
  const credential = receive(week, 0, account, today)
  present(credential, today)
  assert.throws(() => present(credential, today, ServerSecretParams.generate()))
  const callLink = new CallLinkAuthCredentialResponse(week.callLinkAuth[0]!.credential)
  const { genericServerSecretParams, backupServerSecretParams } = zkSecrets()
  const calling = genericServerSecretParams.getPublicParams()
  const holder = aciOf(account.aci)
  callLink.receive(holder, today, calling)
  assert.throws(() => callLink.receive(aciOf(other.aci), today, calling))
  assert.throws(() => callLink.receive(holder, today + DAY, calling))
  assert.throws(() => callLink.receive(holder, today, backupServerSecretParams.getPublicParams()))
})

test('X1: a credential is good from a day before its day until two days after it begins', async (t) => {
  const { credentials, add, today } = await open(t)
  const account = await add()
  const week = await credentials.group({ aci: account.aci, deviceId: 1 }, today, today)
  const credential = receive(week, 0, account, today)
  for (const seconds of [today - DAY, today, today + 2 * DAY]) present(credential, seconds)
  for (const seconds of [today - DAY - 1, today + 2 * DAY + 1])
    assert.throws(() => present(credential, seconds))
})

test('X1: a range may begin yesterday, end in eight days, and hold eight days, whatever the time of day', async (t) => {
  const { credentials, clock, add, todayOf } = await open(t)
  const address = { aci: (await add()).aci, deviceId: 1 }
  for (const momentMs of [0, DAY * 500, DAY * 1000 - 1]) {
    clock.set(Date.UTC(2026, 1, 28) + momentMs)
    const today = todayOf()
    const allowed = [
      [today, today],
      [today - DAY, today - DAY],
      [today - DAY, today + 6 * DAY],
      [today + DAY, today + 8 * DAY],
      [today + 8 * DAY, today + 8 * DAY],
    ] as const
    for (const [start, end] of allowed) {
      const { groupAuth } = await credentials.group(address, start, end)
      assert.equal(groupAuth.length, (end - start) / DAY + 1)
    }
    const refused = [
      [today - DAY, today + 7 * DAY],
      [today - 2 * DAY, today],
      [today + DAY, today + 9 * DAY],
      [today + 2 * DAY, today + 9 * DAY],
      [today + 9 * DAY, today + 9 * DAY],
      [today + DAY, today],
      [today + 1, today + DAY],
      [today, today + DAY - 1],
      [today * 1000, today * 1000],
      [0, today],
      [today, 2 ** 62],
      [0, 0],
      [Number.NaN, today],
      [-DAY, 0],
    ] as const
    for (const [start, end] of refused)
      await assert.rejects(credentials.group(address, start, end), refusedAs('bad-request'))
  }
})

test('who asks again for what is being issued gets the same, later something fresh', async (t) => {
  const { credentials, add, today } = await open(t)
  const [ada, bob] = [await add(), await add()]
  const ask = ({ aci }: Account, days = 0) =>
    credentials.group({ aci, deviceId: 1 }, today, today + days * DAY)
  await ask(ada)
  const [first, same, longer, other] = await Promise.all([ask(ada), ask(ada), ask(ada, 1), ask(bob)])
  assert.equal(first, same)
  assert.equal(longer.groupAuth.length, 2)
  receive(other, 0, bob, today)
  assert.notEqual(await ask(ada), first)
})

test('X1: at midnight the range moves on by a day', async (t) => {
  const { credentials, clock, add } = await open(t)
  const address = { aci: (await add()).aci, deviceId: 1 }
  const midnight = Date.UTC(2026, 11, 31)
  const day = midnight / 1000
  const ask = (start: number) => credentials.group(address, start, start)
  clock.set(midnight - 1)
  await ask(day - 2 * DAY)
  await assert.rejects(ask(day + 8 * DAY), refusedAs('bad-request'))
  clock.set(midnight)
  await assert.rejects(ask(day - 2 * DAY), refusedAs('bad-request'))
  await ask(day + 8 * DAY)
})

test('whoever lost the device gets nothing', async (t) => {
  const { credentials, add, today } = await open(t)
  const { aci } = await add()
  const gone = { aci, deviceId: 3 }
  await assert.rejects(credentials.group(gone, today, today), refusedAs('invalid-credentials'))
  await assert.rejects(credentials.senderCertificate(gone, true), refusedAs('invalid-credentials'))
  await assert.rejects(
    credentials.senderCertificate({ aci: newAci(), deviceId: 1 }, false),
    refusedAs('invalid-credentials'),
  )
})

test('a sender certificate says who sends from which device, for a week, with the number or without', async (t) => {
  const { credentials, clock, add, trustRoot } = await open(t)
  const account = await add()
  for (const includeE164 of [true, false]) {
    const bytes = await credentials.senderCertificate({ aci: account.aci, deviceId: 2 }, includeE164)
    const certificate = LS.SenderCertificate.deserialize(new Uint8Array(bytes))
    assert.equal(certificate.senderUuid(), account.aci)
    assert.equal(certificate.senderE164(), includeE164 ? account.e164 : null)
    assert.equal(certificate.senderDeviceId(), 2)
    assert.deepEqual(Buffer.from(certificate.key().serialize()), Buffer.from(account.aciIdentityKey))
    const expiresAtMs = clock.nowMs() + 7 * DAY * 1000
    assert.equal(certificate.expiration(), expiresAtMs)
    assert.equal(certificate.validate(trustRoot, expiresAtMs), true)
    assert.equal(certificate.validate(trustRoot, expiresAtMs + 1), false)
    assert.equal(certificate.validate(LS.PrivateKey.generate().getPublicKey(), expiresAtMs), false)
  }
})

test('a credential for a call link is of the room and of the day', async (t) => {
  const { credentials, clock, today, limited } = await open(t)
  clock.advance(DAY * 999)
  const aci = newAci()
  const room = random(32)
  const context = CreateCallLinkCredentialRequestContext.forRoomId(room)
  const issued = await credentials.createCallLink({ aci, deviceId: 1 }, context.getRequest().serialize())
  assert.equal(issued.redemptionSeconds, today)
  const { genericServerSecretParams } = zkSecrets()
  const calling = genericServerSecretParams.getPublicParams()
  const response = new CreateCallLinkCredentialResponse(issued.credential)
  const link = CallLinkSecretParams.deriveFromRootKey(random(16))
  const presentation = context.receive(response, aciOf(aci), calling).present(room, aciOf(aci), calling, link)
  const verify = (of: Uint8Array<ArrayBuffer>, seconds: number) =>
    presentation.verify(of, genericServerSecretParams, link.getPublicParams(), new Date(seconds * 1000))
  verify(room, today)
  assert.throws(() => verify(random(32), today))
  assert.throws(() => verify(room, today + 3 * DAY))
  assert.throws(() => context.receive(response, aciOf(newAci()), calling))
  assert.deepEqual(limited, [`createCallLink: ${aci}`])
})

test('what is no request for a call link is refused', async (t) => {
  const { credentials } = await open(t)
  for (const bytes of [random(0), random(1), random(33), random(200)])
    await assert.rejects(
      credentials.createCallLink({ aci: newAci(), deviceId: 1 }, bytes),
      refusedAs('bad-request'),
    )
})

test('credentials for other services are limited by gRPC only', async (t) => {
  const { credentials, services, limited } = await open(t)
  const address = { aci: newAci(), deviceId: 1 }
  for (const service of ['storage', 'directory', 'svr2'] as const) {
    const free = credentials.external(address, service)
    assert.ok(services[service].verify(free, 0))
    assert.deepEqual(await credentials.limitedExternal(address, service), free)
  }
  assert.deepEqual(limited, Array(3).fill(`externalServiceCredentials: ${address.aci}`))
  for (let count = 3; count < 100; count++) await credentials.limitedExternal(address, 'svr2')
  await assert.rejects(credentials.limitedExternal(address, 'svr2'), refusedAs('rate-limited'))
})

async function openSvr(t: TestContext) {
  const rules = await open(t)
  const { credentials, clock, add } = rules
  const [ada, bob] = [await add(), await add()]
  const token = ({ aci }: Account) => {
    const { username, password } = credentials.external({ aci }, 'svr2')
    return `${username}:${password}`
  }
  const check = async (number: E164, ...tokens: string[]) => [
    ...(await credentials.checkSvr(number, tokens, HERE)),
  ]
  return { ...rules, clock, ada, bob, token, check }
}

test("a token for recovery matches the number of its account, and is nobody else's", async (t) => {
  const { ada, bob, token, check, limited } = await openSvr(t)
  const tokens = [token(ada), token(bob)]
  assert.deepEqual(await check(ada.e164, ...tokens), [
    [tokens[0], 'match'],
    [tokens[1], 'no-match'],
  ])
  assert.deepEqual(await check(newNumber(), tokens[0]!), [[tokens[0], 'no-match']])
  assert.deepEqual(limited, Array(2).fill(`backupAuthCheck: ${HERE}`))
})

test('of several tokens of one account the newest counts', async (t) => {
  const { ada, bob, token, check, clock } = await openSvr(t)
  const old = token(ada)
  clock.advance(1000)
  const [newest, other] = [token(ada), token(bob)]
  for (const order of [
    [old, newest, other],
    [newest, other, old, newest],
  ])
    assert.deepEqual(Object.fromEntries(await check(ada.e164, ...order)), {
      [old]: 'invalid',
      [newest]: 'match',
      [other]: 'no-match',
    })
})

test('a token is good for 120 days', async (t) => {
  const { ada, token, check, clock } = await openSvr(t)
  const old = token(ada)
  clock.advance(120 * DAY * 1000)
  assert.deepEqual(await check(ada.e164, old), [[old, 'match']])
  clock.advance(1)
  assert.deepEqual(await check(ada.e164, old), [[old, 'invalid']])
  const fresh = token(ada)
  assert.deepEqual(await check(ada.e164, fresh, old), [
    [fresh, 'match'],
    [old, 'invalid'],
  ])
})

test('what is no token is invalid, and a token of another service too', async (t) => {
  const { ada, token, check, credentials } = await openSvr(t)
  const good = token(ada)
  const { username, password } = credentials.external(ada, 'directory')
  const tokens = ['', ':', 'x', '__proto__', good.slice(0, -1), `${username}:${password}`, ` ${good}`]
  assert.deepEqual(
    await check(ada.e164, ...tokens),
    tokens.map((one) => [one, 'invalid']),
  )
})

test('one to ten tokens and a phone number are wanted', async (t) => {
  const { ada, check, credentials } = await openSvr(t)
  const tokens = Array.from({ length: 11 }, (_, at) => `a:${at}`)
  assert.equal((await check(ada.e164, ...tokens.slice(1))).length, 10)
  await assert.rejects(check(ada.e164, ...tokens), refusedAs('invalid', 'tokens'))
  await assert.rejects(check(ada.e164), refusedAs('invalid', 'tokens'))
  for (const number of ['', '+', '+0123456789', '12025550123', '+1202555012x', '+12345678901234567'])
    await assert.rejects(credentials.checkSvr(number, ['a:b'], HERE), refusedAs('invalid', 'number'))
})

test('asking about a number that nobody asked about before leaves no trace', async (t) => {
  const { check, accounts, sql } = await openSvr(t)
  const number = newNumber()
  await check(number, 'a:b')
  assert.deepEqual(await sql.read('SELECT pni FROM phone_numbers WHERE e164 = $1', [number]), [])
  assert.equal(await accounts.findByNumber(number), undefined)
})
