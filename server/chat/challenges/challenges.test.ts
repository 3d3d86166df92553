import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Rules } from '../../../test/chat-rules.ts'
import { openRules, type RulesOptions } from '../../../test/chat-rules.ts'
import { addPerson, stored } from '../../../test/conversants.ts'
import { sampleAccount, sampleDevice } from '../../../test/sample-account.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Account } from '../accounts/account.ts'
import type { CaptchaVerifier, Solution } from './captcha.ts'
import type { ChallengePush } from './push.ts'

const HOUR_MS = 3_600_000
const ATTEMPT_MS = 144 * 60_000

class Captcha implements CaptchaVerifier {
  readonly seen: Solution[] = []
  async verify(solution: Solution) {
    this.seen.push(solution)
    if (solution.captcha === 'broken') throw new Error('the page is down')
    return solution.captcha === 'right' ? 'solved' : solution.captcha === 'x' ? 'malformed' : 'wrong'
  }
}

class Phone implements ChallengePush {
  readonly received: string[] = []
  fails = false
  async send(_account: Account, challenge: string) {
    if (this.fails) throw new Error('no route')
    this.received.push(challenge)
  }
  async sendTo() {
    assert.fail('there is an account')
  }
}

async function open(
  t: TestContext,
  options: RulesOptions['challenges'] = {},
  limits: RulesOptions['limits'] = {},
) {
  const [captcha, push] = [new Captcha(), new Phone()]
  const rules = await openRules(t, { challenges: { captcha, push, strangersPerDay: 1, ...options }, limits })
  const sender = sampleAccount({ devices: [sampleDevice({ fcmToken: 'token' })] })
  assert.ok(await rules.accounts.put(sender, []))
  const caller = { aci: sender.aci, deviceId: 1 }
  const writeTo = (recipient: Account) =>
    rules.messages.sendIdentified(caller, {
      destination: recipient.aci,
      copies: [{ type: 1, deviceId: 1, registrationId: 1001, content: Buffer.of(1) }],
      ...{ ephemeral: false, urgent: true, timestampMs: 5 },
    })
  const writeToStranger = async () => (await writeTo(await addPerson(rules))).kind
  const solve = (captcha: string) =>
    rules.challenges.answerCaptcha(caller, { captcha, remoteAddress: '192.0.2.1', userAgent: 'test' })
  return { ...rules, rules, captcha, push, sender, caller, writeTo, writeToStranger, solve }
}

const refusedAs = (kind: Refusal['kind']) => (error: unknown) =>
  error instanceof Refusal && error.kind === kind

test('a sender to too many strangers is challenged, sends nothing, and goes on when it solved one', async (t) => {
  const { rules, challenges, push, caller, writeTo, writeToStranger, limited, captcha, solve, sender } =
    await open(t)
  assert.equal(await writeToStranger(), 'sent')
  const stranger = await addPerson(rules)
  limited.length = 0
  const challenged = await writeTo(stranger)
  assert.ok(challenged.kind === 'challenged')
  assert.deepEqual(challenged.options, ['captcha', 'pushChallenge'])
  assert.match(challenged.token, /^[0-9a-f-]{36}$/)
  assert.deepEqual(await stored(rules, stranger), [])
  assert.deepEqual(limited, [`messages: ${sender.aci}__${stranger.aci}`])
  assert.equal(await solve('nonsense'), false)
  assert.equal((await writeTo(stranger)).kind, 'challenged')
  assert.equal(await solve('right'), true)
  assert.deepEqual(captcha.seen.at(-1), {
    ...{ captcha: 'right', action: 'challenge', aci: sender.aci },
    ...{ remoteAddress: '192.0.2.1', userAgent: 'test' },
  })
  assert.equal((await writeTo(stranger)).kind, 'sent')
  assert.equal(await writeToStranger(), 'challenged')
  assert.equal(await challenges.requestPush(caller), true)
  assert.equal(await challenges.answerPush(caller, 'ff'.repeat(16)), false)
  assert.equal(await challenges.answerPush(caller, push.received[0]!), true)
  assert.equal(await writeToStranger(), 'sent')
})

test('what cannot be solved is not offered, and without anything to solve the sender waits for tomorrow', async (t) => {
  const { rules, writeTo, writeToStranger, sender, accounts } = await open(t, { captcha: undefined })
  await writeToStranger()
  const stranger = await addPerson(rules)
  const challenged = await writeTo(stranger)
  assert.deepEqual(challenged.kind === 'challenged' && challenged.options, ['pushChallenge'])
  await accounts.update(sender.aci, (account) => ({ ...account, devices: [sampleDevice()] }))
  await assert.rejects(writeTo(stranger), (error) => {
    assert.ok(error instanceof Refusal && error.kind === 'rate-limited')
    assert.ok(error.detail.retryAfterSeconds! > 0 && error.detail.retryAfterSeconds! <= 86_400)
    return true
  })
})

test('without a verifier no captcha is accepted; one that is down or was given garbage says so', async (t) => {
  const { solve } = await open(t)
  await assert.rejects(solve('broken'), refusedAs('unavailable'))
  await assert.rejects(solve('x'), refusedAs('bad-request'))
  const none = await open(t, { captcha: undefined })
  assert.equal(await none.solve('right'), false)
})

test('a push challenge lives five minutes, is sent once in that time, and is taken once', async (t) => {
  const { challenges, caller, push, clock } = await open(t)
  const answer = (challenge: string) => challenges.answerPush(caller, challenge)
  await challenges.requestPush(caller)
  await challenges.requestPush(caller)
  assert.equal(push.received.length, 1)
  assert.match(push.received[0]!, /^[0-9a-f]{32}$/)
  clock.advance(299_999)
  const both = await Promise.all([answer(push.received[0]!), answer(push.received[0]!.toUpperCase())])
  assert.deepEqual(both.toSorted(), [false, true])
  await challenges.requestPush(caller)
  clock.advance(300_000)
  assert.equal(await answer(push.received[1]!), false)
  await challenges.requestPush(caller)
  assert.equal(push.received.length, 3)
  assert.equal(await answer(push.received[2]!), true)
})

test('a phone without push is not sent one, and one that could not be sent may be asked for again', async (t) => {
  const { rules, challenges, caller, push } = await open(t)
  const other = await addPerson(rules)
  assert.equal(await challenges.requestPush({ aci: other.aci, deviceId: 1 }), false)
  push.fails = true
  await assert.rejects(challenges.requestPush(caller), refusedAs('unavailable'))
  push.fails = false
  assert.equal(await challenges.requestPush(caller), true)
  assert.equal(push.received.length, 1)
})

test('another account’s push challenge is worth nothing', async (t) => {
  const { rules, challenges, caller, push } = await open(t)
  const other = await addPerson(rules)
  await challenges.requestPush(caller)
  assert.equal(await challenges.answerPush({ aci: other.aci, deviceId: 1 }, push.received[0]!), false)
  assert.equal(await challenges.answerPush(caller, push.received[0]!), true)
})

test('attempts are limited by themselves, successes too, and both sorts of success together', async (t) => {
  const { challenges, caller, limited, sender, solve, clock, push } = await open(t)
  limited.length = 0
  await solve('right')
  await challenges.requestPush(caller)
  await challenges.answerPush(caller, push.received[0]!)
  const of = (...names: string[]) => names.map((name) => `${name}: ${sender.aci}`)
  assert.deepEqual(limited, [
    ...of('captchaChallengeAttempt', 'captchaChallengeSuccess', 'rateLimitReset'),
    ...of('pushChallengeAttempt', 'pushChallengeSuccess', 'rateLimitReset'),
  ])
  await assert.rejects(solve('right'), refusedAs('rate-limited'))
  for (let attempt = 0; attempt < 8; attempt++) assert.equal(await solve('wrong'), false)
  await assert.rejects(solve('wrong'), refusedAs('rate-limited'))
  clock.advance(ATTEMPT_MS)
  assert.equal(await solve('wrong'), false)
  for (let attempt = 0; attempt < 10; attempt++) await challenges.answerPush(caller, 'no')
  await assert.rejects(challenges.answerPush(caller, 'no'), refusedAs('rate-limited'))
  clock.advance(12 * HOUR_MS)
  assert.equal(await solve('right'), true)
})

test('who has no attempt left is not offered one', async (t) => {
  const { rules, writeTo, writeToStranger, solve } = await open(
    t,
    {},
    { captchaChallengeAttempt: { bucket: 1 } },
  )
  await writeToStranger()
  await solve('wrong')
  const challenged = await writeTo(await addPerson(rules))
  assert.deepEqual(challenged.kind === 'challenged' && challenged.options, ['pushChallenge'])
})

test('to the own devices, sealed, and with the rule off, nobody is challenged', async (t) => {
  const { rules, messages, writeToStranger } = await open(t)
  const person: (rules: Rules) => Promise<Account> = addPerson
  await writeToStranger()
  for (let count = 0; count < 3; count++) {
    const stranger = await person(rules)
    const sent = await messages.sendSealed(
      { kind: 'access-key', key: stranger.unidentifiedAccessKey! },
      {
        destination: stranger.aci,
        copies: [{ type: 6, deviceId: 1, registrationId: 1001, content: Buffer.of(1) }],
        ...{ ephemeral: false, urgent: true, timestampMs: 5 },
      },
    )
    assert.equal(sent.kind, 'sent')
  }
  const off = await open(t, { strangersPerDay: 0 })
  for (let count = 0; count < 5; count++) assert.equal(await off.writeToStranger(), 'sent')
})

test('what was sent to a phone goes with its account', async (t) => {
  const { challenges, accounts, caller, sql } = await open(t)
  await challenges.requestPush(caller)
  await accounts.delete(caller.aci)
  assert.deepEqual(await sql.read('SELECT aci FROM push_challenges'), [])
})
