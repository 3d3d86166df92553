import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openRules, type RulesOptions } from '../../../test/chat-rules.ts'
import { Telephone } from '../../../test/person.ts'
import { refusedAs } from '../../../test/registrar.ts'
import { newNumber } from '../../../test/sample-account.ts'
import type { CaptchaVerifier, Solution } from '../challenges/captcha.ts'
import type { ChallengePush, PushToken } from '../challenges/push.ts'
import type { Answers } from './session-challenges.ts'

const TOKEN: PushToken = { type: 'fcm', token: 'the token' }
const FROM = { remoteAddress: '192.0.2.7', userAgent: 'a client' }

/** Stands in for the captcha service until it is there: `right` counts once. */
class Captcha implements CaptchaVerifier {
  readonly seen: Solution[] = []
  #isUsed = false
  async verify(solution: Solution) {
    this.seen.push(solution)
    if (solution.captcha === 'broken') throw new Error('the page is down')
    if (solution.captcha === 'x') return 'malformed'
    const solved = solution.captcha === 'right' && !this.#isUsed
    this.#isUsed ||= solved
    return solved ? 'solved' : 'wrong'
  }
}

class Phone implements ChallengePush {
  readonly received: string[] = []
  fails = false
  async send() {
    assert.fail('nobody has an account')
  }
  async sendTo(token: PushToken, challenge: string) {
    assert.deepEqual(token, TOKEN)
    this.received.push(challenge)
    if (this.fails) throw new Error('no route')
  }
}

async function open(t: TestContext, options: RulesOptions['verification'] = {}) {
  const [captcha, push, telephone] = [new Captcha(), new Phone(), new Telephone()]
  const rules = await openRules(t, {
    senders: [telephone],
    verification: { demanded: true, captcha, push, ...options },
  })
  const { verification } = rules
  const start = async (token?: PushToken) => {
    const opened = await verification.open(newNumber(), token)
    return opened.kind === 'opened' ? opened.session : assert.fail('no session')
  }
  const update = async (id: string, answers: Omit<Answers, 'remoteAddress' | 'userAgent'>) => {
    const updated = await verification.update(id, { ...answers, ...FROM })
    return updated.kind === 'not-found' ? assert.fail('the session is gone') : updated
  }
  const request = async (id: string) => (await verification.requestCode(id, 'sms')).kind
  return { ...rules, captcha, push, telephone, start, update, request }
}

test('R6: a session asks for a captcha, and sends no code until it is solved', async (t) => {
  const { captcha, telephone, start, update, request } = await open(t)
  const first = await start()
  assert.deepEqual([first.requestedInformation, first.allowedToRequestCode], [['captcha'], false])
  assert.equal(await request(first.id), 'conflict')
  const wrong = await update(first.id, { captcha: 'wrong' })
  assert.deepEqual([wrong.kind, wrong.session], ['wrong', first])
  assert.equal(await request(first.id), 'conflict')
  assert.equal(telephone.codes.length, 0)
  const right = await update(first.id, { captcha: 'right' })
  assert.equal(right.kind, 'ok')
  assert.deepEqual([right.session.requestedInformation, right.session.allowedToRequestCode], [[], true])
  assert.equal(await request(first.id), 'ok')
  assert.equal(telephone.codes.length, 1)
  assert.deepEqual(captcha.seen.at(-1), { captcha: 'right', action: 'registration', ...FROM })
})

test('R6: a captcha of one session opens no other', async (t) => {
  const { start, update, request } = await open(t)
  const [one, other] = [await start(), await start()]
  assert.equal((await update(one.id, { captcha: 'right' })).kind, 'ok')
  assert.equal(await request(other.id), 'conflict')
  assert.equal((await update(other.id, { captcha: 'right' })).kind, 'wrong')
  assert.equal(await request(other.id), 'conflict')
})

test('whoever reads the push needs no captcha', async (t) => {
  const { captcha, push, start, update, request } = await open(t)
  const { id, requestedInformation } = await start(TOKEN)
  assert.deepEqual(requestedInformation, ['pushChallenge', 'captcha'])
  const [challenge] = push.received
  assert.match(challenge!, /^[0-9a-f]{32}$/)
  const guessed = challenge!.replace(/^./, (digit) => (digit === '0' ? '1' : '0'))
  for (const wrong of ['', 'x', challenge!.slice(1), guessed])
    assert.equal((await update(id, { pushChallenge: wrong })).kind, 'wrong')
  assert.equal(await request(id), 'conflict')
  const right = await update(id, { pushChallenge: challenge! })
  assert.deepEqual([right.kind, right.session.requestedInformation], ['ok', []])
  assert.equal(await request(id), 'ok')
  assert.equal(captcha.seen.length, 0)
})

test('whoever solves the captcha needs no push', async (t) => {
  const { start, update, request } = await open(t)
  const { id } = await start(TOKEN)
  assert.deepEqual((await update(id, { captcha: 'right' })).session.requestedInformation, [])
  assert.equal(await request(id), 'ok')
})

test('the push of one session opens no other', async (t) => {
  const { push, start, update } = await open(t)
  await start(TOKEN)
  const other = await start(TOKEN)
  assert.notEqual(push.received[0], push.received[1])
  assert.equal((await update(other.id, { pushChallenge: push.received[0] })).kind, 'wrong')
})

test('a push token may come later, and its challenge is sent three times at most, the same', async (t) => {
  const { push, start, update } = await open(t)
  const { id } = await start()
  const asked = await update(id, { pushToken: TOKEN })
  assert.deepEqual([asked.kind, asked.session.requestedInformation], ['ok', ['pushChallenge', 'captcha']])
  for (let again = 0; again < 5; again++) await update(id, { pushToken: TOKEN })
  assert.equal(push.received.length, 3)
  assert.equal(new Set(push.received).size, 1)
})

test('a push that cannot be sent leaves the captcha', async (t) => {
  const { push, start, update, request } = await open(t)
  push.fails = true
  const { id, requestedInformation } = await start(TOKEN)
  assert.deepEqual(requestedInformation, ['pushChallenge', 'captcha'])
  assert.equal((await update(id, { captcha: 'right' })).kind, 'ok')
  assert.equal(await request(id), 'ok')
})

test('without push a token changes nothing', async (t) => {
  const { start } = await open(t, { push: undefined })
  assert.deepEqual((await start(TOKEN)).requestedInformation, ['captcha'])
})

test('ten captchas can be tried, five push challenges, and one more every 30 seconds', async (t) => {
  const { captcha, clock, start, update } = await open(t)
  const tries = [
    [10, { captcha: 'wrong' }],
    [5, { pushChallenge: 'wrong' }],
  ] as const
  for (const [permitted, answers] of tries) {
    const { id } = await start(TOKEN)
    for (let tried = 0; tried < permitted; tried++) assert.equal((await update(id, answers)).kind, 'wrong')
    const early = await update(id, answers)
    assert.deepEqual([early.kind, early.retryAfterSeconds, early.session.id], ['too-soon', 30, id])
    clock.advance(30_000)
    assert.equal((await update(id, answers)).kind, 'wrong')
  }
  assert.equal(captcha.seen.length, 11)
})

test('what is no captcha is refused as such, and nothing is decided while nobody can judge', async (t) => {
  const { start, update, request } = await open(t)
  const { id } = await start()
  await assert.rejects(update(id, { captcha: 'x' }), refusedAs('bad-request'))
  await assert.rejects(update(id, { captcha: 'broken' }), refusedAs('unavailable'))
  assert.equal(await request(id), 'conflict')
  assert.equal((await update(id, { captcha: 'right' })).kind, 'ok')
})

test('a captcha is wrong while there is no service that judges it', async (t) => {
  const { start, update, request } = await open(t, { captcha: undefined })
  const { id } = await start()
  assert.equal((await update(id, { captcha: 'right' })).kind, 'wrong')
  assert.equal(await request(id), 'conflict')
})

test('where nothing is demanded nothing is sent or judged', async (t) => {
  const { captcha, push, start, update, request } = await open(t, { demanded: false })
  const { id, requestedInformation } = await start(TOKEN)
  assert.deepEqual(requestedInformation, [])
  const updated = await update(id, { captcha: 'x', pushToken: TOKEN, pushChallenge: 'y' })
  assert.deepEqual([updated.kind, updated.session.allowedToRequestCode], ['ok', true])
  assert.deepEqual([captcha.seen, push.received], [[], []])
  assert.equal(await request(id), 'ok')
})

test('a session that was let in spends no captcha and gets no push', async (t) => {
  const { captcha, push, telephone, verification, start, update, request } = await open(t)
  const { id } = await start()
  await update(id, { captcha: 'right' })
  const again = await update(id, { captcha: 'another', pushToken: TOKEN })
  assert.deepEqual([again.kind, again.session.requestedInformation], ['ok', []])
  await request(id)
  await verification.submitCode(id, telephone.lastCode)
  const verified = await update(id, { captcha: 'another', pushToken: TOKEN })
  assert.deepEqual([verified.kind, verified.session.verified], ['ok', true])
  assert.deepEqual([captcha.seen.length, push.received.length], [1, 0])
})

test('an answer for a session that nobody opened is not found', async (t) => {
  const { verification } = await open(t)
  assert.deepEqual(await verification.update('nobody', { captcha: 'right', ...FROM }), { kind: 'not-found' })
})

test('nothing in the storage is a challenge', async (t) => {
  const { sql, push, start } = await open(t)
  await start(TOKEN)
  const rows = JSON.stringify(await sql.read('SELECT * FROM verification_sessions WHERE wants_push = 1'))
  assert.ok(rows.length > 2 && !rows.includes(push.received[0]!))
})
