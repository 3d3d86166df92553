// Codes by Twilio, as libsignal asks for them, and what it makes of failures (Twilio is Prism, playing Twilio's own
// description).
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before, beforeEach, describe, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import twilio from 'twilio'
import { Https } from '../client/https.ts'
import { HTTP_VERSIONS, type HttpVersion, openNet } from '../client/net.ts'
import { newNumber, registerProven } from '../client/register.ts'
import { Constellation } from '../constellation.ts'
import { listenOnLoopback } from '../loopback.ts'
import {
  AUTH_TOKEN,
  MESSAGING_SERVICE,
  TwilioMock,
  twilioError,
  twilioIsDescribed,
  VERIFY_SERVICE,
  VOICE_FROM,
} from '../twilio-mock.ts'

const CALLBACK = 'https://chat.example.org'
const REPORTS = '/v1/heliograph/verification/deliveries/'
const CLIENT = 'android-2021-03'
const HASH = 'doDiFGKPO1r'
const WRONG = '000000'
const digitsIn = (text: string) => /\d{6}/.exec(text)?.[0] ?? assert.fail(`no code in it: ${text}`)

describe('codes by Twilio', { skip: !twilioIsDescribed && '../shared/data/twilio is not installed' }, () => {
  let mock: TwilioMock
  let server: Constellation
  before(async () => {
    mock = await TwilioMock.open()
    const sending = { messagingServiceSid: MESSAGING_SERVICE, voiceFrom: VOICE_FROM, callbackUrl: CALLBACK }
    server = await Constellation.open({
      config: {
        registration: { senders: ['twilio', 'twilio-verify'], budgets: 'off', androidAppHash: HASH },
        twilio: { ...mock.config, ...sending, verifyServiceSid: VERIFY_SERVICE },
      },
    })
  })
  after(async () => {
    await server.close()
    await mock[Symbol.asyncDispose]()
  })
  beforeEach(() => {
    mock.answer = () => undefined
    mock.delay = async () => {}
    mock.requests.length = 0
  })

  const open = (httpVersion: HttpVersion, e164 = newNumber()) =>
    openNet(server.ready, httpVersion).createRegistrationSession({ e164 })
  const ask = (
    service: LS.Net.RegistrationService,
    transport: 'sms' | 'voice' = 'sms',
    languages: string[] = [],
  ) => service.requestVerification({ transport, client: CLIENT, languages })
  /** The kinds of requests that came to Twilio. */
  const asked = () => mock.requests.map(({ path }) => path.split('/').at(-1))

  for (const httpVersion of HTTP_VERSIONS)
    describe(`over HTTP/${httpVersion}`, () => {
      test('a code comes by SMS in the language of the header, wrong ones are wrong, and the number registers', async () => {
        const number = newNumber()
        const service = await open(httpVersion, number)
        await ask(service, 'sms', ['tlh', 'nl-BE', 'en'])
        const { fields, violations } = mock.last
        assert.deepEqual([fields['To'], violations], [number, []])
        const code = digitsIn(fields['Body']!)
        assert.equal(fields['Body'], `Heliograph-code: ${code}. Deel hem met niemand.\n\n${HASH}`)
        assert.equal(await service.verifySession(code === WRONG ? '111111' : WRONG), false)
        assert.equal(await service.verifySession(code), true)
        const { aci } = await registerProven(service, number)
        assert.ok(aci)
      })

      test('a code comes by voice in the language of the header', async () => {
        const service = await open(httpVersion)
        await ask(service, 'voice', ['fr-CA'])
        const { fields, violations } = mock.last
        assert.deepEqual([asked(), violations], [['Calls.json'], []])
        const said = Array.from(
          fields['Twiml']!.matchAll(/<Say language="fr-CA">(\d)</g),
          ([, digit]) => digit,
        )
        assert.equal(await service.verifySession(said.slice(0, 6).join('')), true)
      })

      test('where Twilio’s messages fail, Verify carries the code, and compares it', async () => {
        mock.answer = ({ path }) => (path.endsWith('/Messages.json') ? twilioError(503, 20503) : undefined)
        const service = await open(httpVersion)
        await ask(service)
        assert.deepEqual(asked(), ['Messages.json', 'Verifications'])
        const pending = { status: 200, body: { status: 'pending' } }
        mock.answer = ({ fields }) => (fields['Code'] === '424242' ? undefined : pending)
        assert.equal(await service.verifySession(digitsIn(mock.requests[0]!.fields['Body']!)), false)
        assert.equal(await service.verifySession('424242'), true)
        assert.deepEqual(
          mock.requests.flatMap(({ violations }) => violations),
          [],
        )
      })

      const failure = (reason: string, permanentFailure: boolean) => ({
        ...{ code: LS.ErrorCode.RegistrationVerificationCodeNotDeliverable, reason, permanentFailure },
      })
      const FAILURES = [
        ['that the number is none', 400, 21211, failure('illegalArgument', true)],
        ['that it sends nothing there', 403, 60410, failure('providerRejected', true)],
        ['that the account may not send', 401, 20003, failure('providerUnavailable', false)],
        ['nothing that is certain', 504, 20504, failure('providerUnavailable', false)],
        ['to come again', 429, 20429, { code: LS.ErrorCode.RateLimitedError, retryAfterSecs: 77 }],
        [
          'that the number is a landline',
          400,
          21614,
          { code: LS.ErrorCode.RegistrationVerificationSendFailed },
        ],
      ] as const

      for (const [what, status, code, error] of FAILURES)
        test(`libsignal understands it when Twilio says ${what}`, async () => {
          mock.answer = () => ({ ...twilioError(status, code), headers: { 'Retry-After': '77' } })
          const service = await open(httpVersion)
          await assert.rejects(ask(service), error)
          const asksBoth = status !== 504
          assert.deepEqual(asked(), asksBoth ? ['Messages.json', 'Verifications'] : ['Messages.json'])
        })

      test('a number that SMS do not reach is called, and libsignal knows that it may', async () => {
        mock.answer = ({ path, fields }) =>
          path.endsWith('/Calls.json') ? undefined : twilioError(400, 21614, fields['To'])
        const service = await open(httpVersion)
        const error = await ask(service).catch((failed) => failed)
        assert.equal(error.code, LS.ErrorCode.RegistrationVerificationSendFailed)
        assert.equal(error.sessionState.nextCallSecs, 0)
        await ask(service, 'voice')
        assert.deepEqual(asked(), ['Messages.json', 'Verifications', 'Calls.json'])
      })

      test('Twilio tells, signed, that a message did not arrive: the next may be asked for at once', async () => {
        await using https = Https.open(server.ready, httpVersion)
        const service = await open(httpVersion)
        await ask(service)
        const url = mock.last.fields['StatusCallback']!
        assert.ok(url.startsWith(CALLBACK + REPORTS))
        const fields = { MessageSid: 'SM1', MessageStatus: 'undelivered', ErrorCode: '30005' }
        const report = (signature: string) =>
          https.call('POST', new URL(url).pathname, {
            headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-twilio-signature': signature },
            body: new URLSearchParams(fields).toString(),
          })
        const signature = twilio.getExpectedTwilioSignature(AUTH_TOKEN, url, fields)
        const forged = twilio.getExpectedTwilioSignature('another token', url, fields)
        assert.deepEqual([(await report(forged)).status, (await report('')).status], [403, 403])
        await assert.rejects(ask(service), { code: LS.ErrorCode.RateLimitedError, retryAfterSecs: 60 })
        assert.equal((await report(signature)).status, 204)
        await ask(service)
        assert.deepEqual(asked(), ['Messages.json', 'Verifications'])
      })

      test('while Twilio is silent, the same session and others are served', async () => {
        await using https = Https.open(server.ready, httpVersion)
        const silence = Promise.withResolvers<void>()
        const heard = Promise.withResolvers<void>()
        mock.delay = ({ path }) => {
          if (!path.endsWith('/Messages.json')) return Promise.resolve()
          heard.resolve()
          return silence.promise
        }
        const service = await open(httpVersion)
        // libsignal holds the whole process if it is asked for this while it waits itself.
        const path = `/v1/verification/session/${service.sessionId}`
        const waiting = ask(service).finally(() => heard.resolve())
        await heard.promise
        assert.equal((await https.call('GET', path)).json.nextSms, 60)
        assert.equal((await https.call('PUT', `${path}/code`, { json: { code: WRONG } })).status, 200)
        await ask(await open(httpVersion), 'voice')
        silence.resolve()
        await waiting
      })
    })
})

test('a server that is stopped while a gateway is silent does not wait for it, and tells the client so', async (t) => {
  const heard = Promise.withResolvers<void>()
  const { url, close } = await listenOnLoopback(createServer(() => heard.resolve()))
  t.after(close)
  const server = await Constellation.open({
    config: {
      registration: { senders: ['webhook'], budgets: 'off' },
      webhook: { url, secret: 'sixteen or more letters' },
    },
  })
  await using https = Https.open(server.ready, 2)
  const { json } = await https.call('POST', '/v1/verification/session', { json: { number: newNumber() } })
  const asking = https.call('POST', `/v1/verification/session/${json.id}/code`, {
    json: { transport: 'sms' },
  })
  await heard.promise
  await server.close()
  assert.equal((await asking).status, 503)
})
