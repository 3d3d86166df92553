// Who registers shows that no machine does: by our own captcha, or by a push that reaches the phone (signal-api §2.1).
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import { solveCaptcha } from '../captcha/solver.ts'
import { Https } from '../client/https.ts'
import { HTTP_VERSIONS, openNet } from '../client/net.ts'
import { newNumber, registerProven } from '../client/register.ts'
import { Constellation } from '../constellation.ts'

const SESSIONS = '/v1/verification/session'
const PUSH = { pushToken: 'the token', pushTokenType: 'fcm' }
const SMS: { transport: 'sms'; client: string; languages: string[] } = {
  transport: 'sms',
  client: 'ios',
  languages: ['en'],
}

let server: Constellation
before(async () => {
  server = await Constellation.open({
    config: { registration: { captcha: 'on' }, captcha: { evaluations: 4 } },
  })
})
after(() => server.close())

for (const httpVersion of HTTP_VERSIONS)
  describe(`captcha and push before a code, over HTTP/${httpVersion}`, () => {
    let https: Https
    before(() => {
      https = Https.open(server.ready, httpVersion)
    })
    after(() => https[Symbol.asyncDispose]())

    const open = (e164: string) => openNet(server.ready, httpVersion).createRegistrationSession({ e164 })
    const create = async (body: object = {}) =>
      (await https.call('POST', SESSIONS, { json: { number: newNumber(), ...body } })).json
    const update = (id: string, json: object) => https.call('PATCH', `${SESSIONS}/${id}`, { json })
    /** The newest challenge that was pushed. */
    const pushed = async (): Promise<{ to: string; challenge: string }> => {
      const lines = (await readFile(server.ready.outbox, 'utf8')).trim().split('\n')
      return lines.map((line) => JSON.parse(line)).findLast(({ transport }) => transport === 'push')
    }

    test('R6: libsignal is asked for a captcha, solves it, proves its number and registers', async () => {
      const number = newNumber()
      const service = await open(number)
      const asked = service.sessionState
      assert.deepEqual([asked.allowedToRequestCode, [...asked.requestedInformation]], [false, ['captcha']])
      await assert.rejects(service.requestVerification(SMS), {
        code: LS.ErrorCode.RegistrationSessionNotReadyForVerification,
      })
      const captcha = await solveCaptcha(https, 'registration')
      assert.equal((await service.submitCaptcha(captcha)).allowedToRequestCode, true)
      assert.deepEqual([...service.sessionState.requestedInformation], [])
      await service.requestVerification(SMS)
      const code = await server.codeFor(number)
      assert.equal(await service.verifySession(code === '000000' ? '111111' : '000000'), false)
      assert.equal(await service.verifySession(code), true)
      const registered = await registerProven(service, number)
      assert.equal(registered.number, number)
    })

    test('R6: a captcha that was used, one for something else and one that is none let nobody in', async () => {
      const captcha = await solveCaptcha(https, 'registration')
      assert.equal((await (await open(newNumber())).submitCaptcha(captcha)).allowedToRequestCode, true)
      const service = await open(newNumber())
      const challenge = await solveCaptcha(https, 'challenge')
      const disguised = challenge.replace('.challenge.', '.registration.')
      assert.notEqual(disguised, challenge)
      const forged = captcha.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'))
      for (const one of [captcha, disguised, forged, challenge, 'noop.noop.registration.noop', 'x']) {
        await assert.rejects(service.submitCaptcha(one))
        assert.equal(service.sessionState.allowedToRequestCode, false)
      }
      await assert.rejects(service.requestVerification(SMS), {
        code: LS.ErrorCode.RegistrationSessionNotReadyForVerification,
      })
    })

    test('a wrong captcha is 403 with the session, one that is none is 400, an eleventh one 429', async () => {
      const { id } = await create()
      const wrong = (await solveCaptcha(https, 'challenge')).replace('.challenge.', '.registration.')
      const first = await update(id, { captcha: wrong })
      assert.deepEqual([first.status, first.json.id, first.json.requestedInformation], [403, id, ['captcha']])
      const none = await update(id, { captcha: 'x' })
      assert.deepEqual([none.status, none.body.length], [400, 0])
      for (let tried = 2; tried < 10; tried++)
        assert.equal((await update(id, { captcha: wrong })).status, 403)
      const late = await update(id, { captcha: wrong })
      assert.deepEqual([late.status, late.headers['retry-after'], late.json.id], [429, '30', id])
    })

    test('a phone that reads its push needs no captcha', async () => {
      const { id, requestedInformation } = await create(PUSH)
      assert.deepEqual(requestedInformation, ['pushChallenge', 'captcha'])
      const { to, challenge } = await pushed()
      assert.equal(to, PUSH.pushToken)
      const wrong = await update(id, { pushChallenge: '0'.repeat(32) })
      assert.deepEqual([wrong.status, wrong.json.allowedToRequestCode], [403, false])
      const right = await update(id, { pushChallenge: challenge })
      assert.deepEqual([right.status, right.json.requestedInformation], [200, []])
      const code = await https.call('POST', `${SESSIONS}/${id}/code`, {
        json: { transport: 'sms', client: 'android-2021-03' },
      })
      assert.equal(code.status, 200)
    })

    test('a push token may come later; a token without its kind, or a kind without token, is 422', async () => {
      const { id } = await create()
      const { status, json } = await update(id, PUSH)
      assert.deepEqual([status, json.requestedInformation], [200, ['pushChallenge', 'captcha']])
      assert.equal((await update(id, { pushChallenge: (await pushed()).challenge })).status, 200)
      for (const half of [{ pushToken: 'x' }, { pushTokenType: 'apn' }]) {
        assert.equal((await update(id, half)).status, 422)
        const opened = await https.call('POST', SESSIONS, { json: { number: newNumber(), ...half } })
        assert.equal(opened.status, 422)
      }
    })

    test('a session that still asks for something is 409 to who wants a code', async () => {
      const { id } = await create()
      const { status, json } = await https.call('POST', `${SESSIONS}/${id}/code`, {
        json: { transport: 'sms', client: 'ios' },
      })
      assert.deepEqual([status, json.requestedInformation], [409, ['captcha']])
    })
  })
