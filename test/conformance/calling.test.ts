// Relays for calls, and what somebody thought of a call (signal-api §2.17).
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { CallQuality, SubmitCallQualitySurveyRequest } from '../../wire/gen/call_quality.js'
import { Calling } from '../../wire/gen/calling.js'
import { GrpcClient } from '../client/grpc.ts'
import { authorizationOf, Https } from '../client/https.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { register } from '../client/register.ts'
import { fetchJson } from '../client/rest.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'

const [OK, INVALID_ARGUMENT, RESOURCE_EXHAUSTED] = [0, 3, 8]
const RELAYS = '/v2/calling/relays'
const SURVEY = '/v1/call_quality_survey'
const near = {
  urls: ['turn:near.example.org', 'turns:near.example.org:443?transport=tcp'],
  urlsWithIps: ['turn:192.0.2.1', 'turn:[2001:db8::1]:80?transport=udp'],
  hostname: 'near.example.org',
}
const far = { urls: ['turn:far.example.org'] }

const survey = {
  userSatisfied: false,
  callQualityIssues: ['audio_stuttering', 'other'],
  additionalIssuesDescription: 'it was noisy',
  debugLogUrl: null,
  startTimestamp: Date.now() - 60_000,
  endTimestamp: Date.now(),
  callType: 'direct_voice',
  success: true,
  callEndReason: 'local_hangup',
  connectionRttMedian: 12.5,
  audioRttMedian: null,
  videoRttMedian: null,
  audioRecvJitterMedian: null,
  videoRecvJitterMedian: null,
  audioSendJitterMedian: null,
  videoSendJitterMedian: null,
  audioRecvPacketLossFraction: 0.25,
  videoRecvPacketLossFraction: null,
  audioSendPacketLossFraction: null,
  videoSendPacketLossFraction: null,
  callTelemetry: new Uint8Array([1, 2, 3]),
  callIdHash: null,
}
const encoded = (change: object = {}) =>
  SubmitCallQualitySurveyRequest.encode({ ...survey, ...change }).finish()

let server: Constellation
let grpc: GrpcClient
before(async () => {
  server = await Constellation.open({ config: { calling: { relays: [near, far], ttl: 600 } } })
  grpc = GrpcClient.open(server.ready)
})
after(async () => {
  await grpc[Symbol.asyncDispose]()
  await server.close()
})

async function assertCredentials(username: string, password: string) {
  const { turnSecret } = await server.secrets()
  assert.match(username, /^\d{10}:[0-9a-f]{16}$/)
  const leftSeconds = Number.parseInt(username, 10) - Date.now() / 1000
  assert.ok(leftSeconds > 1140 && leftSeconds <= 1200)
  const expected = createHmac('sha1', turnSecret.toString('hex')).update(username).digest('base64')
  assert.equal(password, expected)
}

for (const httpVersion of HTTP_VERSIONS)
  describe(`calling over HTTP/${httpVersion}`, () => {
    let https: Https
    let client: SignalClient
    before(async () => {
      https = Https.open(server.ready, httpVersion)
      client = await SignalClient.create(server, { httpVersion, oneTimeKeys: 0 })
    })
    after(async () => {
      await client.disconnect()
      await https[Symbol.asyncDispose]()
    })

    test('relays come in the order of the configuration, with credentials that the relay can check', async () => {
      const headers = authorizationOf(client.account)
      for (const reply of [
        await fetchJson(client.link.auth, 'GET', RELAYS),
        await https.call('GET', RELAYS, { headers }),
      ]) {
        assert.equal(reply.status, 200)
        const [{ username, password }] = reply.json.relays
        await assertCredentials(username, password)
        assert.deepEqual(reply.json.relays, [
          { username, password, ttl: 600, ...near },
          { username, password, ttl: 600, ...far, urlsWithIps: [], hostname: null },
        ])
      }
      assert.equal((await https.call('GET', RELAYS)).status, 401)
    })

    test('a survey is taken from strangers only', async () => {
      const put = (body: Uint8Array, headers: Readonly<Record<string, string>> = {}) =>
        https.call('PUT', SURVEY, {
          body,
          headers: { 'content-type': 'application/octet-stream', ...headers },
        })
      const { status, body } = await put(encoded())
      assert.deepEqual([status, body.length], [204, 0])
      assert.equal((await put(encoded(), authorizationOf(client.account))).status, 403)
      const request = { verb: 'PUT', path: SURVEY, headers: [], body: new Uint8Array(encoded()) } as const
      assert.equal((await client.link.auth.fetch(request)).status, 403)
      assert.equal((await client.link.unauth.fetch(request)).status, 204)
    })

    test('a survey that is none, or lacks something mandatory, is 422', async () => {
      for (const bytes of [
        Buffer.of(0xff, 0xff),
        Buffer.alloc(0),
        encoded({ callType: '' }),
        encoded({ startTimestamp: 0 }),
        encoded({ endTimestamp: 0 }),
        encoded({ callEndReason: '  ' }),
      ])
        assert.equal((await https.call('PUT', SURVEY, { body: bytes })).status, 422)
    })
  })

test('relays by gRPC are the same', async () => {
  const account = await register(server)
  const { getCallingRelays } = Calling.rpcs
  const { code, reply } = await grpc.call(getCallingRelays, {}, authorizationOf(account))
  assert.equal(code, OK)
  const [first, second] = reply!.relays
  await assertCredentials(first!.username, first!.password)
  assert.equal(first!.credentialTtlSeconds, 600)
  assert.deepEqual(first!.hostnameUrls!.urls, near.urls)
  assert.deepEqual(first!.ipUrls!.urls, near.urlsWithIps)
  assert.equal(first!.ipUrls!.hostname, near.hostname)
  assert.deepEqual([second!.hostnameUrls!.urls, second!.ipUrls], [far.urls, null])
})

test("libsignal's typed survey is taken, and counted without a word of it", async () => {
  await using client = await SignalClient.create(server, { httpVersion: 2, oneTimeKeys: 0 })
  await client.link.unauth.submitCallQualitySurvey({ survey })
  await assert.rejects(client.link.unauth.submitCallQualitySurvey({ survey: { ...survey, callType: '' } }))
  const { submitCallQualitySurvey: submit } = CallQuality.rpcs
  const lacking = await grpc.call(submit, { ...survey, callEndReason: '' })
  assert.deepEqual([lacking.code, lacking.fields], [INVALID_ARGUMENT, ['call_end_reason']])
  const known = await grpc.call(submit, survey, authorizationOf(client.account))
  assert.equal(known.reason, 'BAD_AUTHENTICATION')
})

test('without relays the list is empty, so that calls try to connect directly', async () => {
  await using bare = await Constellation.open()
  await using https = Https.open(bare.ready, 2)
  await using its = GrpcClient.open(bare.ready)
  const headers = authorizationOf(await register(bare))
  const { status, json } = await https.call('GET', RELAYS, { headers })
  assert.deepEqual([status, json], [200, { relays: [] }])
  const { reply } = await its.call(Calling.rpcs.getCallingRelays, {}, headers)
  assert.deepEqual(reply!.relays, [])
})

test('REST and gRPC take from the same buckets', async () => {
  const one = { bucket: 1, refill: 3600 }
  const limits = { getCallingRelays: one, submitCallQualitySurvey: one }
  await using limited = await Constellation.open({ config: { limits } })
  await using https = Https.open(limited.ready, 2)
  await using its = GrpcClient.open(limited.ready)
  const headers = authorizationOf(await register(limited))
  assert.equal((await https.call('GET', RELAYS, { headers })).status, 200)
  const again = await its.call(Calling.rpcs.getCallingRelays, {}, headers)
  assert.deepEqual([again.code, again.reason], [RESOURCE_EXHAUSTED, 'RESOURCE_EXHAUSTED'])
  assert.equal((await its.call(CallQuality.rpcs.submitCallQualitySurvey, survey)).code, OK)
  assert.equal((await https.call('PUT', SURVEY, { body: encoded() })).status, 429)
})
