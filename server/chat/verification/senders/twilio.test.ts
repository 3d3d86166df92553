// What we ask of Twilio, judged by Twilio's own description of its API.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import twilio from 'twilio'
import { CODE, codeRequest, NUMBER } from '../../../../test/code-request.ts'
import {
  ACCOUNT,
  AUTH_TOKEN,
  MESSAGING_SERVICE,
  TwilioMock,
  twilioError,
  twilioIsDescribed,
  VERIFY_SERVICE,
  VOICE_FROM,
} from '../../../../test/twilio-mock.ts'
import type { E164 } from '../../../../wire/types.ts'
import { configSchema } from '../../../kit/config-schema.ts'
import { ask } from '../../../kit/outgoing.ts'
import type { Transport } from './sender.ts'
import { TwilioSender } from './twilio.ts'
import { TwilioVerifySender } from './twilio-verify.ts'
import { LANGUAGES } from './wording.ts'

const CALLBACK = 'https://chat.example.org'
const HASH = 'doDiFGKPO1r'
const config = (fields: object, registration: object = {}) => {
  const parsed = configSchema.parse({ twilio: fields, registration })
  return { ...parsed, secrets: '' }
}

/** Numbers of many shapes: short, long, shared country codes, the new ones of Benin. */
const ODD_NUMBERS = [
  '+290123456',
  '+2290190011234',
  '+4366012345678901',
  '+3906698',
  '+16135550155',
  '+77012345678',
]
const ODD_LANGUAGES = [
  [],
  ['*'],
  ['tlh'],
  ['zh-Hant-HK', 'en'],
  ['ar-EG'],
  ['iw'],
  ['pt-br'],
  ['no'],
  ['x'.repeat(8)],
]

describe('Twilio as it describes itself', {
  skip: !twilioIsDescribed && '../shared/data/twilio is not installed',
}, () => {
  let mock: TwilioMock
  before(async () => {
    mock = await TwilioMock.open()
  })
  after(() => mock[Symbol.asyncDispose]())
  beforeEach(() => {
    mock.answer = () => undefined
  })

  const open = (fields: object = {}, registration: object = {}) =>
    TwilioSender.open(
      config(
        { ...mock.config, messagingServiceSid: MESSAGING_SERVICE, voiceFrom: VOICE_FROM, ...fields },
        registration,
      ),
    )
  const openVerify = (fields: object = {}, registration: object = {}) =>
    TwilioVerifySender.open(
      config({ ...mock.config, verifyServiceSid: VERIFY_SERVICE, ...fields }, registration),
    )

  test('a message by a messaging service is what Twilio wants, and carries the code', async () => {
    const sender = await open({ callbackUrl: `${CALLBACK}/` })
    assert.deepEqual(await sender.send(codeRequest()), { kind: 'sent' })
    const { path, fields, violations, authorization } = mock.last
    assert.deepEqual(violations, [])
    assert.equal(path, `/2010-04-01/Accounts/${ACCOUNT}/Messages.json`)
    assert.equal(authorization, `Basic ${Buffer.from(`${ACCOUNT}:${AUTH_TOKEN}`).toString('base64')}`)
    assert.deepEqual(fields, {
      To: NUMBER,
      MessagingServiceSid: MESSAGING_SERVICE,
      Body: `Heliograph code: ${CODE}. Do not share it with anyone.`,
      StatusCallback: `${CALLBACK}/v1/heliograph/verification/deliveries/a-delivery_1`,
      ValidityPeriod: '600',
    })
  })

  test('an API key sends in place of the account, and a name in place of a service', async () => {
    const apiKeySid = `SK${'3d'.repeat(16)}`
    const sender = await open({
      ...{ messagingServiceSid: undefined, from: 'Heliograph', voiceFrom: undefined },
      ...{ authToken: undefined, apiKeySid, apiKeySecret: 'key secret' },
    })
    assert.deepEqual(sender.transports, ['sms'])
    assert.deepEqual(await sender.send(codeRequest()), { kind: 'sent' })
    const { path, fields, violations, authorization } = mock.last
    assert.deepEqual([violations, fields['From'], fields['StatusCallback']], [[], 'Heliograph', undefined])
    assert.equal(path, `/2010-04-01/Accounts/${ACCOUNT}/Messages.json`)
    assert.equal(authorization, `Basic ${Buffer.from(`${apiKeySid}:key secret`).toString('base64')}`)
  })

  test('a call is what Twilio wants, and says the digits one by one, three times', async () => {
    const sender = await open({ callbackUrl: CALLBACK })
    assert.deepEqual(await sender.send(codeRequest({ transport: 'voice', languages: ['de-AT'] })), {
      kind: 'sent',
    })
    const { path, fields, violations } = mock.last
    assert.deepEqual(violations, [])
    assert.equal(path, `/2010-04-01/Accounts/${ACCOUNT}/Calls.json`)
    assert.deepEqual(
      [fields['To'], fields['From'], fields['StatusCallback']?.startsWith(CALLBACK)],
      [NUMBER, VOICE_FROM, true],
    )
    const said = Array.from(
      fields['Twiml']!.matchAll(/<Say language="de-AT">([^<]*)<\/Say>/g),
      ([, text]) => text,
    )
    const once = ['Dein Heliograph-Code lautet:', ...CODE]
    assert.deepEqual(said, [...once, ...once, ...once])
  })

  test('a call is markup, whatever signs the name of the service has', async () => {
    const sender = await open({}, { serviceName: 'Ärzte & Söhne <3">' })
    await sender.send(codeRequest({ transport: 'voice' }))
    const say = '<Say language="en-US">Your Ärzte &amp; Söhne &lt;3"&gt; code is:</Say>'
    assert.equal(mock.last.fields['Twiml']!.split(say).length - 1, 3)
    assert.match(mock.last.fields['Twiml']!, /^<\?xml[^>]*><Response><Pause length="1"\/>.*<\/Response>$/s)
  })

  for (const transport of ['sms', 'voice'] as Transport[])
    test(`whatever the number and the language, a request by ${transport} is valid`, async () => {
      const sender = await open(
        { callbackUrl: CALLBACK },
        { androidAppHash: HASH, serviceName: 'Ärzte & Söhne <3"' },
      )
      const requests = [
        ...ODD_NUMBERS.map((to) => ({ to: to as E164 })),
        ...[...ODD_LANGUAGES, ...LANGUAGES.map((language) => [language])].map((languages) => ({ languages })),
      ]
      for (const fields of requests) {
        const outcome = await sender.send(codeRequest({ ...fields, transport, client: 'android' }))
        assert.deepEqual([outcome.kind, mock.last.violations], ['sent', []], JSON.stringify(fields))
        assert.ok((mock.last.fields['Twiml'] ?? '').length <= 4000)
      }
    })

  test('the app of an Android client with Google’s services finds its hash in the last line', async () => {
    const sender = await open({}, { androidAppHash: HASH })
    const last = async (client: 'android' | 'android-plain' | 'ios') => {
      await sender.send(codeRequest({ client }))
      return mock.last.fields['Body']!.split('\n').at(-1)
    }
    assert.equal(await last('android'), HASH)
    for (const client of ['android-plain', 'ios'] as const) assert.notEqual(await last(client), HASH)
    await (await openVerify({}, { androidAppHash: HASH })).send(codeRequest({ client: 'android' }))
    assert.deepEqual([mock.last.violations, mock.last.fields['AppHash']], [[], HASH])
  })

  test('Verify makes the code, and compares what is entered', async () => {
    const sender = await openVerify()
    const sent = await sender.send(codeRequest({ languages: ['pt-BR'] }))
    assert.deepEqual(mock.last.violations, [])
    assert.equal(mock.last.path, `/v2/Services/${VERIFY_SERVICE}/Verifications`)
    assert.deepEqual(mock.last.fields, { To: NUMBER, Channel: 'sms', Locale: 'pt-br' })
    assert.ok(sent.kind === 'sent' && sent.check !== undefined && /^VE/.test(sent.check))
    await sender.send(codeRequest({ transport: 'voice', languages: ['tlh'] }))
    assert.deepEqual(mock.last.fields, { To: NUMBER, Channel: 'call' })

    assert.equal(await sender.check(sent.check, CODE), 'right')
    assert.deepEqual(mock.last.violations, [])
    assert.equal(mock.last.path, `/v2/Services/${VERIFY_SERVICE}/VerificationCheck`)
    assert.deepEqual(mock.last.fields, { VerificationSid: sent.check, Code: CODE })
    mock.answer = () => ({ status: 200, body: { status: 'pending', valid: false } })
    assert.equal(await sender.check(sent.check, CODE), 'wrong')
  })

  test('of Verify’s refusals to compare, some end the code, and others say nothing of it', async () => {
    const sender = await openVerify()
    const check = `VE${'a'.repeat(32)}`
    const answers = [
      [404, 20404, 'over'],
      [429, 60202, 'over'],
      [429, 20429, 'unavailable'],
      [500, 20500, 'unavailable'],
      [401, 20003, 'unavailable'],
    ] as const
    for (const [status, code, expected] of answers) {
      mock.answer = () => twilioError(status, code)
      assert.equal(await sender.check(check, CODE), expected, String(code))
    }
    const asked = mock.requests.length
    for (const code of ['', 'abcdef', '123', '12345678901', '１２３４５６'])
      assert.equal(await sender.check(check, code), 'wrong')
    assert.equal(mock.requests.length, asked)
  })

  test('Verify carries a code of ours if Twilio allows that', async () => {
    const sender = await openVerify({ verifyCustomCodes: true })
    assert.deepEqual(await sender.send(codeRequest()), { kind: 'sent' })
    assert.deepEqual([mock.last.violations, mock.last.fields['CustomCode']], [[], CODE])
  })

  test('the description refuses what is not a request of Twilio’s, so that the tests above mean something', async () => {
    const post = async (path: string, fields: Record<string, string>, authorization = 'Basic YTpi') => {
      const headers = { 'Content-Type': 'application/x-www-form-urlencoded', Authorization: authorization }
      const body = new URLSearchParams(fields).toString()
      const { status } = await ask({ method: 'POST', url: mock.url + path, headers, body, timeoutMs: 5000 })
      return [status, mock.last.violations.length]
    }
    const messages = `/2010-04-01/Accounts/${ACCOUNT}/Messages.json`
    const good = { To: NUMBER, From: VOICE_FROM, Body: 'x' }
    assert.deepEqual(await post(messages, good), [201, 0])
    assert.deepEqual(await post(messages, { From: VOICE_FROM, Body: 'x' }), [400, 1])
    assert.deepEqual(await post(messages, { ...good, ValidityPeriod: 'soon' }), [400, 1])
    assert.deepEqual(await post(messages, { ...good, StatusCallback: 'chat.example.org' }), [400, 1])
    assert.deepEqual(await post(messages, { ...good, Client: 'ios' }), [400, 1])
    assert.deepEqual(await post(messages, good, ''), [400, 1])
    assert.deepEqual(await post(messages.replace(ACCOUNT, 'AC0'), good), [400, 2])
    assert.deepEqual(await post(`/2010-04-01/Accounts/${ACCOUNT}/Calls.json`, { To: NUMBER }), [400, 1])
    assert.deepEqual(await post(`/v2/Services/${VERIFY_SERVICE}/Verifications`, { To: NUMBER }), [400, 1])
    assert.deepEqual(await post('/v2/Services/nobody', {}), [400, 1])
  })

  const REFUSALS = [
    [400, 21211, { kind: 'refused', reason: 'illegalArgument', permanentFailure: true }],
    [400, 60200, { kind: 'refused', reason: 'illegalArgument', permanentFailure: true }],
    [400, 21614, { kind: 'not-allowed' }],
    [403, 21408, { kind: 'not-allowed' }],
    [400, 21610, { kind: 'not-allowed' }],
    [403, 60410, { kind: 'refused', reason: 'providerRejected', permanentFailure: true }],
    [400, 21216, { kind: 'refused', reason: 'providerRejected', permanentFailure: true }],
    [401, 20003, { kind: 'refused', reason: 'providerUnavailable', permanentFailure: false }],
    [400, 21606, { kind: 'refused', reason: 'providerUnavailable', permanentFailure: false }],
    [500, 20500, { kind: 'refused', reason: 'providerUnavailable', permanentFailure: false }],
    [503, 20503, { kind: 'refused', reason: 'providerUnavailable', permanentFailure: false }],
    [502, 20502, { kind: 'unknown' }],
    [504, 20504, { kind: 'unknown' }],
    [429, 20429, { kind: 'rate-limited', retryAfterSeconds: undefined }],
    [429, 60203, { kind: 'rate-limited', retryAfterSeconds: 600 }],
  ] as const

  for (const [status, code, expected] of REFUSALS)
    test(`Twilio’s error ${code} with ${status} is "${Object.values(expected).join(' ')}", asked once`, async () => {
      mock.answer = () => twilioError(status, code)
      const sender = await open()
      const before = mock.requests.length
      assert.deepEqual(await sender.send(codeRequest()), { ...expected, detail: code })
      assert.equal(mock.requests.length, before + 1)
    })

  test('Twilio says when to ask again', async () => {
    mock.answer = () => ({ ...twilioError(429, 20429), headers: { 'Retry-After': '17' } })
    const outcome = await (await open()).send(codeRequest())
    assert.deepEqual(outcome, { kind: 'rate-limited', retryAfterSeconds: 17, detail: 20429 })
  })

  test('an answer that is not Twilio’s, or a redirect, is a failure and is not followed', async () => {
    const sender = await open()
    for (const status of [301, 307]) {
      mock.answer = () => ({ status, body: {}, headers: { Location: `${mock.url}/elsewhere` } })
      const before = mock.requests.length
      assert.equal((await sender.send(codeRequest())).kind, 'refused')
      assert.equal(mock.requests.length, before + 1)
    }
  })
})

/** As Twilio signs: the package's own computation. */
const signed = (url: string, fields: Record<string, string>) => ({
  delivery: url.split('/').at(-1)!,
  signature: twilio.getExpectedTwilioSignature(AUTH_TOKEN, url, fields),
  fields,
})

describe('news from Twilio', () => {
  const URL = `${CALLBACK}/v1/heliograph/verification/deliveries/d1`
  const open = (fields: object = {}) =>
    TwilioSender.open(
      config({
        accountSid: ACCOUNT,
        authToken: AUTH_TOKEN,
        from: VOICE_FROM,
        callbackUrl: CALLBACK,
        ...fields,
      }),
    )

  test('is read by its status: what is not the last one is pending', async () => {
    const sender = await open()
    const news = (fields: Record<string, string>) => {
      const { transport, state, detail } = sender.read(signed(URL, fields))!
      return [transport, state, detail]
    }
    assert.deepEqual(news({ MessageStatus: 'sent' }), ['sms', 'pending', 'SENT'])
    assert.deepEqual(news({ MessageStatus: 'delivered', MessageSid: 'SM1' }), [
      'sms',
      'delivered',
      'DELIVERED',
    ])
    assert.deepEqual(news({ MessageStatus: 'undelivered', ErrorCode: '30005' }), ['sms', 'failed', 30005])
    assert.deepEqual(news({ MessageStatus: 'failed', ErrorCode: 'x' }), ['sms', 'failed', 'FAILED'])
    assert.deepEqual(news({ MessageStatus: 'constructor' }), ['sms', 'pending', 'CONSTRUCTOR'])
    assert.deepEqual(news({ CallStatus: 'completed' }), ['voice', 'delivered', 'COMPLETED'])
    assert.deepEqual(news({ CallStatus: 'no-answer' }), ['voice', 'failed', 'NO_ANSWER'])
  })

  test('is nobody else’s: another token, address, field or signature is not Twilio', async () => {
    const sender = await open()
    const fields = { MessageStatus: 'failed', ErrorCode: '30005' }
    const good = signed(URL, fields)
    assert.equal(sender.read(good)?.state, 'failed')
    assert.equal(sender.read({ ...good, delivery: 'd2' }), undefined)
    assert.equal(sender.read({ ...good, fields: { ...fields, MessageStatus: 'delivered' } }), undefined)
    assert.equal(sender.read({ ...good, fields: {} }), undefined)
    for (const signature of [
      '',
      'x',
      good.signature.slice(1),
      `${good.signature}=`,
      good.signature.toLowerCase(),
    ])
      assert.equal(sender.read({ ...good, signature }), undefined, signature)
    const other = twilio.getExpectedTwilioSignature('another token', URL, fields)
    assert.equal(sender.read({ ...good, signature: other }), undefined)
  })

  test('is not believed where none was asked for', async () => {
    const sender = await open({ callbackUrl: undefined })
    assert.equal(sender.read(signed(URL, { MessageStatus: 'failed' })), undefined)
  })
})
