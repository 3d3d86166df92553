// Certificates, zero-knowledge credentials, credentials for other services (signal-api §2.3, §2.13, §2.15, §2.16).
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import {
  CallLinkSecretParams,
  CreateCallLinkCredentialRequestContext,
  CreateCallLinkCredentialResponse,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import { Credentials, CredentialsAnonymous, ExternalServiceType } from '../../wire/gen/credentials.js'
import { GrpcClient } from '../client/grpc.ts'
import { authorizationOf, Https } from '../client/https.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { type Registered, register, verifiedSession } from '../client/register.ts'
import { fetchJson } from '../client/rest.ts'
import { fetchSenderCertificate, trustRootOf } from '../client/sender-certificate.ts'
import { SignalClient } from '../client/signal-client.ts'
import {
  bytesOf,
  DAY_SECONDS,
  type Dated,
  publicParamsOf,
  receiveGroup,
  showCallLink,
  showGroup,
  startOfDay,
} from '../client/week.ts'
import { Constellation } from '../constellation.ts'

const OK = 0
const INVALID_ARGUMENT = 3
const RESOURCE_EXHAUSTED = 8
const WEEK_MS = 7 * 86_400_000

let server: Constellation
let params: ReturnType<typeof publicParamsOf>
let secrets: Awaited<ReturnType<Constellation['secrets']>>
before(async () => {
  server = await Constellation.open()
  params = publicParamsOf(server.ready.keys)
  secrets = await server.secrets()
})
after(() => server.close())

type DatedJson = { readonly credential: string; readonly redemptionTime: number }
const dated = ({ credential, redemptionTime }: DatedJson): Dated => ({
  credential: bytesOf(credential),
  redemptionTime,
})
const rangeOf = (start: number, end: number) =>
  `/v1/certificate/auth/group?redemptionStartSeconds=${start}&redemptionEndSeconds=${end}`

/** That every credential of these days is received by its holder, and shown to the server on its day. */
function assertWeek(holder: Registered, group: readonly Dated[], callLink: readonly Dated[]): void {
  for (const one of group) {
    showGroup(receiveGroup(one, holder, params), params, secrets, one.redemptionTime)
    showCallLinkOf(holder, callLink, one.redemptionTime)
  }
}
function showCallLinkOf(holder: Registered, callLink: readonly Dated[], day: number): void {
  const one = callLink.find(({ redemptionTime }) => redemptionTime === day)
  showCallLink(one ?? assert.fail('no call link credential'), holder, params, secrets, day)
}

function createCallLink(holder: Registered) {
  const room = new Uint8Array(randomBytes(32))
  const context = CreateCallLinkCredentialRequestContext.forRoomId(room)
  /** Receives the answer and shows it to the server; throws if it is not of this holder and room. */
  const show = (credential: Uint8Array<ArrayBuffer>, day: number) => {
    const link = CallLinkSecretParams.deriveFromRootKey(new Uint8Array(randomBytes(16)))
    context
      .receive(new CreateCallLinkCredentialResponse(credential), holder.aci, params.calling)
      .present(room, holder.aci, params.calling, link)
      .verify(room, secrets.genericServerSecretParams, link.getPublicParams(), new Date(day * 1000))
  }
  return { request: context.getRequest().serialize(), show }
}

function assertCertificate(
  of: LS.SenderCertificate,
  { aci, number, deviceId, keys }: Registered,
  e164: boolean,
) {
  assert.equal(of.senderUuid(), aci.getServiceIdString())
  assert.equal(of.senderE164(), e164 ? number : null)
  assert.equal(of.senderDeviceId(), deviceId)
  assert.ok(of.key().equals(keys.aci.pair.publicKey))
  assert.ok(of.validate(trustRootOf(server), Date.now()))
  assert.ok(Math.abs(of.expiration() - Date.now() - WEEK_MS) < 60_000)
}

const tokenOf = ({ username, password }: { username: string; password: string }) => `${username}:${password}`

for (const httpVersion of HTTP_VERSIONS)
  describe(`credentials over HTTP/${httpVersion}`, () => {
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
    const get = (path: string, of: Registered = client.account) =>
      https.call('GET', path, { headers: authorizationOf(of) })

    test('a week of credentials is received, and shown to the server, every day of it', async () => {
      const today = startOfDay()
      const path = rangeOf(today, today + 7 * DAY_SECONDS)
      const replies = [
        await fetchJson(client.link.auth, 'GET', path),
        await get(`${path}&pniAsServiceId=true`),
      ]
      for (const { status, json } of replies) {
        assert.equal(status, 200)
        assert.deepEqual(Object.keys(json).sort(), ['callLinkAuthCredentials', 'credentials', 'pni'])
        assert.equal(json.pni, client.pni.getRawUuid())
        assert.equal(json.credentials.length, 8)
        assert.match(json.credentials[0].credential, /^[A-Za-z0-9+/]+={0,2}$/)
        assert.equal(json.credentials[0].credential.length % 4, 0)
        assertWeek(client.account, json.credentials.map(dated), json.callLinkAuthCredentials.map(dated))
      }
    })

    test('C2: credentials of one account are not received by another, nor on another day', async () => {
      const today = startOfDay()
      const other = await register(server, { httpVersion })
      const { json } = await get(rangeOf(today, today))
      const one = dated(json.credentials[0])
      receiveGroup(one, client.account, params)
      assert.throws(() => receiveGroup(one, other, params))
      const moved = { ...one, redemptionTime: today + DAY_SECONDS }
      assert.throws(() => receiveGroup(moved, client.account, params))
    })

    test('X1: days outside of what is allowed are 400 without a body', async () => {
      const today = startOfDay()
      for (const path of [
        '/v1/certificate/auth/group',
        rangeOf(today, 0),
        rangeOf(today + 1, today + 1),
        rangeOf(today, today + 8 * DAY_SECONDS),
        rangeOf(today - 3 * DAY_SECONDS, today),
        rangeOf(today + DAY_SECONDS, today),
        rangeOf(today * 1000, today * 1000),
      ]) {
        const { status, body } = await get(path)
        assert.deepEqual([status, body.length], [400, 0], path)
      }
      assert.equal((await get('/v1/certificate/auth/group?redemptionStartSeconds=x')).status, 422)
    })

    test('a sender certificate is believed by whoever knows the trust root', async () => {
      assertCertificate(await fetchSenderCertificate(client.link.auth), client.account, true)
      for (const [query, e164] of [
        ['', true],
        ['?includeE164=true', true],
        ['?includeE164=false', false],
      ] as const) {
        const { status, json } = await get(`/v1/certificate/delivery${query}`)
        assert.equal(status, 200)
        assertCertificate(LS.SenderCertificate.deserialize(bytesOf(json.certificate)), client.account, e164)
      }
    })

    test('a call link is created with a credential of today', async () => {
      const { request, show } = createCallLink(client.account)
      const body = { createCallLinkCredentialRequest: Buffer.from(request).toString('base64') }
      const reply = await fetchJson(client.link.auth, 'POST', '/v1/call-link/create-auth', body)
      assert.equal(reply.status, 200)
      assert.equal(reply.json.redemptionTime, startOfDay())
      show(bytesOf(reply.json.credential), reply.json.redemptionTime)
      const headers = authorizationOf(client.account)
      for (const [json, status] of [
        [{ createCallLinkCredentialRequest: 'AAAA' }, 400],
        [{ createCallLinkCredentialRequest: '' }, 422],
        [{}, 422],
      ] as const)
        assert.equal(
          (await https.call('POST', '/v1/call-link/create-auth', { headers, json })).status,
          status,
        )
    })

    test('each service gets credentials in its own form', async () => {
      const aci = client.aci.getServiceIdString()
      const forms = {
        '/v1/storage/auth': [new RegExp(`^${aci}$`), new RegExp(`^${aci}:\\d{10}:[0-9a-f]{20}$`)],
        '/v2/directory/auth': [/^[0-9a-f]{20}$/, /^\d{10}:[0-9a-f]{20}$/],
        '/v2/svr/auth': [/^[0-9a-f]{32}$/, /^\d{10}:[0-9a-f]{20}$/],
        '/v2/backup/auth': [/^[0-9a-f]{32}$/, /^\d{10}:[0-9a-f]{20}$/],
      } as const
      for (const [path, [username, password]] of Object.entries(forms)) {
        const { status, json } = await get(path)
        assert.equal(status, 200)
        assert.match(json.username, username)
        assert.match(json.password, password)
        assert.equal((await https.call('GET', path)).status, 401)
        assert.deepEqual((await fetchJson(client.link.auth, 'GET', path)).json.username, json.username)
      }
    })

    test("libsignal's registration finds its own tokens for recovery among others", async () => {
      const stranger = await register(server, { httpVersion })
      const own = tokenOf((await get('/v2/svr/auth')).json)
      const other = tokenOf((await get('/v2/svr/auth', stranger)).json)
      const session = await verifiedSession(server, client.account.number, httpVersion)
      assert.deepEqual(
        await session.checkSvr2Credentials([own, other, 'nonsense']),
        new Map([
          [own, 'match'],
          [other, 'no-match'],
          ['nonsense', 'invalid'],
        ]),
      )
    })

    test('tokens for recovery are checked under both names of the call and of the list', async () => {
      const own = tokenOf((await get('/v2/svr/auth')).json)
      const { number } = client.account
      for (const path of ['/v2/svr/auth/check', '/v2/backup/auth/check'])
        for (const json of [
          { number, tokens: [own] },
          { number, passwords: [own] },
        ]) {
          const reply = await https.call('POST', path, { json })
          assert.deepEqual([reply.status, reply.json], [200, { matches: { [own]: 'match' } }])
        }
      for (const json of [
        { number },
        { number, tokens: [] },
        { number, tokens: Array(11).fill(own) },
        { number: 'me', tokens: [own] },
        { tokens: [own] },
      ])
        assert.equal((await https.call('POST', '/v2/svr/auth/check', { json })).status, 422)
    })
  })

describe('credentials over gRPC', () => {
  let grpc: GrpcClient
  let client: SignalClient
  before(async () => {
    grpc = GrpcClient.open(server.ready)
    client = await SignalClient.create(server, { httpVersion: 2, oneTimeKeys: 0 })
  })
  after(async () => {
    await client.disconnect()
    await grpc[Symbol.asyncDispose]()
  })
  const as = () => authorizationOf(client.account)
  const { getExternalServiceCredentials, getGroupCredentials } = Credentials.rpcs

  test('a week of credentials is the same as over REST', async () => {
    const today = startOfDay()
    const range = { redemptionStartSeconds: today, redemptionEndSeconds: today + 7 * DAY_SECONDS }
    const { code, reply } = await grpc.call(getGroupCredentials, range, as())
    assert.equal(code, OK)
    const { groupCredentials, callLinkAuthCredentials, pni } = reply!
    assert.deepEqual(Buffer.from(pni), Buffer.from(client.pni.getRawUuidBytes()))
    assert.equal(groupCredentials.length, 8)
    const toDated = (one: (typeof groupCredentials)[number]): Dated => ({
      credential: new Uint8Array(one.credential),
      redemptionTime: one.redemptionTimeSeconds,
    })
    assertWeek(client.account, groupCredentials.map(toDated), callLinkAuthCredentials.map(toDated))
  })

  test('X1: days outside of what is allowed are refused', async () => {
    const today = startOfDay()
    for (const [redemptionStartSeconds, redemptionEndSeconds] of [
      [0, 0],
      [today - 2 * DAY_SECONDS, today],
      [today, today + 8 * DAY_SECONDS],
      [today, 2 ** 60],
    ] as const) {
      const range = { redemptionStartSeconds, redemptionEndSeconds }
      const { code, reason } = await grpc.call(getGroupCredentials, range, as())
      assert.deepEqual([code, reason], [INVALID_ARGUMENT, 'CONSTRAINT_VIOLATED'])
    }
  })

  test('both sender certificates come at once', async () => {
    const { reply } = await grpc.call(Credentials.rpcs.getDeliveryCertificate, {}, as())
    const read = (bytes: Uint8Array) => LS.SenderCertificate.deserialize(new Uint8Array(bytes))
    assertCertificate(read(reply!.certificateWithE164), client.account, true)
    assertCertificate(read(reply!.certificateWithoutE164), client.account, false)
  })

  test('a call link is created with a credential of today', async () => {
    const { request, show } = createCallLink(client.account)
    const { getCreateCallLinkCredentials: create } = Credentials.rpcs
    const { reply } = await grpc.call(create, { credentialRequest: request }, as())
    assert.equal(reply!.redemptionTimeSeconds, startOfDay())
    show(new Uint8Array(reply!.credential), reply!.redemptionTimeSeconds)
    const { code } = await grpc.call(create, { credentialRequest: request.subarray(1) }, as())
    assert.equal(code, INVALID_ARGUMENT)
  })

  test('each service gets the user name that it has over REST, but payments none', async () => {
    const { auth } = client.link
    for (const [externalService, path] of [
      [ExternalServiceType.EXTERNAL_SERVICE_TYPE_DIRECTORY, '/v2/directory/auth'],
      [ExternalServiceType.EXTERNAL_SERVICE_TYPE_STORAGE, '/v1/storage/auth'],
      [ExternalServiceType.EXTERNAL_SERVICE_TYPE_SVR, '/v2/svr/auth'],
    ] as const) {
      const { reply } = await grpc.call(getExternalServiceCredentials, { externalService }, as())
      assert.equal(reply!.username, (await fetchJson(auth, 'GET', path)).json.username)
    }
    for (const externalService of [0, ExternalServiceType.EXTERNAL_SERVICE_TYPE_PAYMENTS, 99]) {
      const answer = await grpc.call(getExternalServiceCredentials, { externalService }, as())
      assert.deepEqual([answer.code, answer.fields], [INVALID_ARGUMENT, ['external_service']])
    }
  })

  test("libsignal's typed check tells own tokens for recovery from others", async () => {
    const { auth, unauth } = client.link
    const own = tokenOf((await fetchJson(auth, 'GET', '/v2/svr/auth')).json)
    const other = `${randomBytes(16).toString('hex')}${own.slice(32)}`
    const { number } = client.account
    assert.deepEqual(
      await unauth.checkSvrCredentials({ number, credentials: [own, other] }),
      new Map([
        [own, 'match'],
        [other, 'invalid'],
      ]),
    )
    const stranger = await register(server)
    assert.deepEqual(
      await unauth.checkSvrCredentials({ number: stranger.number, credentials: [own] }),
      new Map([[own, 'noMatch']]),
    )
    await assert.rejects(unauth.checkSvrCredentials({ number, credentials: [] }))
    const known = await grpc.call(
      CredentialsAnonymous.rpcs.checkSvrCredentials,
      { number, passwords: [own] },
      as(),
    )
    assert.deepEqual([known.code, known.reason], [INVALID_ARGUMENT, 'BAD_AUTHENTICATION'])
  })
})

test('REST and gRPC take from the same buckets', async () => {
  const one = { bucket: 1, refill: 3600 }
  const limits = { createCallLink: one, externalServiceCredentials: one, backupAuthCheck: one }
  await using limited = await Constellation.open({ config: { limits } })
  await using grpc = GrpcClient.open(limited.ready)
  await using https = Https.open(limited.ready, 2)
  const account = await register(limited)
  const headers = authorizationOf(account)
  const { request } = createCallLink(account)
  const json = { createCallLinkCredentialRequest: Buffer.from(request).toString('base64') }
  assert.equal((await https.call('POST', '/v1/call-link/create-auth', { headers, json })).status, 200)
  const again = await grpc.call(
    Credentials.rpcs.getCreateCallLinkCredentials,
    { credentialRequest: request },
    headers,
  )
  assert.equal(again.code, RESOURCE_EXHAUSTED)
  assert.ok(again.retryAfterSeconds! > 3500)

  const check = { number: account.number, passwords: ['a:b'] }
  assert.equal((await grpc.call(CredentialsAnonymous.rpcs.checkSvrCredentials, check)).code, OK)
  const refused = await https.call('POST', '/v2/svr/auth/check', { json: check })
  assert.equal(refused.status, 429)
  assert.match(refused.headers['retry-after']!, /^\d+$/)

  const external = { externalService: ExternalServiceType.EXTERNAL_SERVICE_TYPE_SVR }
  const { getExternalServiceCredentials } = Credentials.rpcs
  assert.equal((await grpc.call(getExternalServiceCredentials, external, headers)).code, OK)
  assert.equal((await grpc.call(getExternalServiceCredentials, external, headers)).code, RESOURCE_EXHAUSTED)
  assert.equal((await https.call('GET', '/v2/svr/auth', { headers })).status, 200)
})

test('how long a sender certificate lasts is for the operator to say', async () => {
  await using brief = await Constellation.open({ config: { credentials: { senderCertificateDays: 1 } } })
  await using client = await SignalClient.create(brief, { oneTimeKeys: 0 })
  const certificate = await fetchSenderCertificate(client.link.auth)
  assert.ok(Math.abs(certificate.expiration() - Date.now() - 86_400_000) < 60_000)
  assert.equal(certificate.validate(trustRootOf(server), Date.now()), false)
})
