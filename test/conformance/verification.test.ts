// Proving a phone number (signal-api §2.1).
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import { ManualClock } from '../../server/kit/clock.ts'
import { Https } from '../client/https.ts'
import { HTTP_VERSIONS, openNet } from '../client/net.ts'
import { newNumber } from '../client/register.ts'
import { closeWinding } from '../close-winding.ts'
import { Constellation } from '../constellation.ts'

const SESSIONS = '/v1/verification/session'
const WRONG = '000000'
const TEN_MINUTES_MS = 600_000
const clock = new ManualClock(Date.now())
let server: Constellation
before(async () => {
  server = await Constellation.open({ clock })
})
after(() => closeWinding(server, clock))

for (const httpVersion of HTTP_VERSIONS)
  describe(`verification sessions over HTTP/${httpVersion}`, () => {
    let https: Https
    before(() => {
      https = Https.open(server.ready, httpVersion)
    })
    after(() => https[Symbol.asyncDispose]())

    const create = (number: string) => https.call('POST', SESSIONS, { json: { number } })
    const request = (id: string, transport = 'sms') =>
      https.call('POST', `${SESSIONS}/${id}/code`, { json: { transport, client: 'ios' } })
    const submit = (id: string, code: string) =>
      https.call('PUT', `${SESSIONS}/${id}/code`, { json: { code } })
    const opened = async (number: string): Promise<string> => (await create(number)).json.id

    test('a new session may ask for a code at once and is not verified', async () => {
      const { status, json, headers } = await create(newNumber())
      assert.equal(status, 200)
      assert.equal(headers['content-type'], 'application/json')
      assert.match(json.id, /^[\w-]{20,}$/)
      const { id: _, ...rest } = json
      assert.deepEqual(rest, {
        nextSms: 0,
        nextCall: 0,
        nextVerificationAttempt: null,
        allowedToRequestCode: true,
        requestedInformation: [],
        verified: false,
      })
    })

    test('a wrong code is 200 and not verified, the right one is verified', async () => {
      const number = newNumber()
      const id = await opened(number)
      assert.equal((await request(id)).status, 200)
      const code = await server.codeFor(number)
      const wrong = await submit(id, code === WRONG ? '111111' : WRONG)
      assert.deepEqual([wrong.status, wrong.json.verified], [200, false])
      const right = await submit(id, code)
      assert.deepEqual([right.status, right.json.verified], [200, true])
      const read = await https.call('GET', `${SESSIONS}/${id}`)
      assert.deepEqual([read.status, read.json.verified], [200, true])
      assert.equal((await submit(id, code)).status, 409)
      assert.equal((await request(id)).status, 409)
    })

    test('libsignal sees a wrong code as not verified, and the right one as verified', async () => {
      const number = newNumber()
      const service = await openNet(server.ready, httpVersion).createRegistrationSession({ e164: number })
      assert.equal(service.sessionState.allowedToRequestCode, true)
      await service.requestVerification({ transport: 'voice', client: 'ios', languages: ['en'] })
      const code = await server.codeFor(number)
      assert.equal(await service.verifySession(code === WRONG ? '111111' : WRONG), false)
      assert.equal(await service.verifySession(code), true)
      const { sessionId } = service
      const again = await openNet(server.ready, httpVersion).resumeRegistrationSession({
        sessionId,
        e164: number,
      })
      assert.equal(again.sessionState.verified, true)
    })

    test('after as many wrong codes as there are attempts, the right one is refused too', async () => {
      const number = newNumber()
      const id = await opened(number)
      await request(id)
      const code = await server.codeFor(number)
      const wrong = code === WRONG ? '111111' : WRONG
      const replies = []
      for (let attempt = 0; attempt < 6; attempt++) replies.push(await submit(id, wrong))
      assert.deepEqual(
        replies.map(({ status }) => status),
        [200, 200, 200, 200, 200, 409],
      )
      assert.equal(replies[4]!.json.nextVerificationAttempt, null)
      const late = await submit(id, code)
      assert.deepEqual([late.status, late.json.verified], [409, false])
    })

    test('a code that is asked for too soon is 429, and tells when it may be; the old one then ends', async () => {
      const number = newNumber()
      const id = await opened(number)
      await request(id)
      const first = await server.codeFor(number)
      const soon = await request(id)
      assert.deepEqual([soon.status, soon.json.nextSms, soon.headers['retry-after']], [429, 60, '60'])
      assert.equal((await request(id, 'voice')).status, 200)
      clock.advance(60_000)
      assert.equal((await request(id)).status, 200)
      const newest = await server.codeFor(number)
      const stale = await submit(id, first)
      assert.equal(stale.json.verified, first === newest)
      assert.equal((await submit(id, newest)).json.verified, true)
    })

    test('libsignal is told to wait when it asks for a code too soon', async () => {
      const service = await openNet(server.ready, httpVersion).createRegistrationSession({
        e164: newNumber(),
      })
      const ask = () => service.requestVerification({ transport: 'sms', client: 'ios', languages: [] })
      await ask()
      await assert.rejects(ask, { code: LS.ErrorCode.RateLimitedError, retryAfterSecs: 60 })
    })

    test('a code without a request before it is 409', async () => {
      const { status, json } = await submit(await opened(newNumber()), WRONG)
      assert.deepEqual([status, json.verified], [409, false])
    })

    test('a session is gone ten minutes after its code was sent', async () => {
      const number = newNumber()
      const id = await opened(number)
      await request(id)
      const code = await server.codeFor(number)
      clock.advance(TEN_MINUTES_MS - 1)
      assert.equal((await https.call('GET', `${SESSIONS}/${id}`)).status, 200)
      clock.advance(1)
      const replies = await Promise.all([
        https.call('GET', `${SESSIONS}/${id}`),
        submit(id, code),
        request(id),
      ])
      assert.deepEqual(
        replies.map(({ status, body }) => [status, body.length]),
        [
          [404, 0],
          [404, 0],
          [404, 0],
        ],
      )
    })

    test('libsignal is told that a session is over, whatever it wants of it', async () => {
      const service = await openNet(server.ready, httpVersion).createRegistrationSession({
        e164: newNumber(),
      })
      await service.requestVerification({ transport: 'sms', client: 'ios', languages: [] })
      clock.advance(TEN_MINUTES_MS)
      const gone = { code: LS.ErrorCode.RegistrationSessionNotFound }
      await assert.rejects(service.verifySession(WRONG), gone)
      await assert.rejects(
        service.requestVerification({ transport: 'voice', client: 'ios', languages: [] }),
        gone,
      )
    })

    test('a session that nobody opened is 404 to every call, and libsignal says so', async () => {
      const id = 'bm8gc3VjaCBzZXNzaW9u'
      const patch = https.call('PATCH', `${SESSIONS}/${id}`, { json: { captcha: 'x' } })
      const replies = await Promise.all([request(id), submit(id, WRONG), patch])
      assert.deepEqual(
        replies.map(({ status }) => status),
        [404, 404, 404],
      )
      const resume = openNet(server.ready, httpVersion).resumeRegistrationSession({
        sessionId: id,
        e164: newNumber(),
      })
      await assert.rejects(resume, { code: LS.ErrorCode.RegistrationSessionNotFound })
    })

    test('a number that is not in its E.164 form is 400 and told the form', async () => {
      const { status, json } = await create('+4407911123456')
      assert.equal(status, 400)
      assert.deepEqual(json, { originalNumber: '+4407911123456', normalizedNumber: '+447911123456' })
    })

    test('an impossible number is 400 without a body', async () => {
      for (const number of ['+1', '+120255', 'not a number', '+999123456789']) {
        const { status, body } = await create(number)
        assert.deepEqual([number, status, body.length], [number, 400, 0])
      }
    })

    test('an old number of Benin is 499', async () => {
      const { status, body } = await create('+22990011234')
      assert.deepEqual([status, body.length], [499, 0])
    })

    test('the new form of a number of Benin is taken', async () => {
      assert.equal((await create('+2290190011234')).status, 200)
    })

    test('a body that is no session is 422 and says which field', async () => {
      for (const json of [{}, { number: 7 }, { number: null }]) {
        const reply = await https.call('POST', SESSIONS, { json })
        assert.equal(reply.status, 422)
        assert.match(reply.json.errors[0], /number/)
      }
      assert.equal((await https.call('POST', SESSIONS, { body: '{' })).status, 422)
      const id = await opened(newNumber())
      assert.equal((await request(id, 'pigeon')).status, 422)
    })
  })
