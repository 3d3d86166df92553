// The gRPC service of accounts, and the REST calls that say the same (signal-api §2.4).
import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import { Accounts, AccountsAnonymous } from '../../wire/gen/account.js'
import { DeviceCapability, IdentityType } from '../../wire/gen/common.js'
import { type Aci, parseAci } from '../../wire/types.ts'
import { GrpcClient } from '../client/grpc.ts'
import { authorizationOf, Https } from '../client/https.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { type Registered, register } from '../client/register.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'
import { groupSendToken } from '../group-send-token.ts'

const DAY_MS = 86_400_000
const [OK, INVALID_ARGUMENT] = [0, 3]
const { rpcs } = Accounts
let server: Constellation
let grpc: GrpcClient
let https: Https
before(async () => {
  server = await Constellation.open()
  grpc = GrpcClient.open(server.ready)
  https = Https.open(server.ready, 2)
})
after(async () => {
  await grpc[Symbol.asyncDispose]()
  await https[Symbol.asyncDispose]()
  await server.close()
})

const identifier = (id: LS.ServiceId) => ({
  identityType: id instanceof LS.Pni ? IdentityType.IDENTITY_TYPE_PNI : IdentityType.IDENTITY_TYPE_ACI,
  uuid: id.getRawUuidBytes(),
})
const aciOf = ({ aci }: Registered): Aci => parseAci(aci.getServiceIdString())!
const report = async (account: Registered, over = https) =>
  over.call('GET', '/v2/accounts/data_report', { headers: authorizationOf(account) })
const isFound = async (account: Registered): Promise<boolean> =>
  (await report(account)).json.data.account.findAccountByPhoneNumber

test('an account asks who it is, and what it is entitled to', async () => {
  const account = await register(server)
  const headers = authorizationOf(account)
  const { reply } = await grpc.call(rpcs.getAccountIdentity, {}, headers)
  const { serviceIdentifiers, e164, usernameHash, usernameLinkHandle } = reply!.accountIdentifiers!
  const shown = serviceIdentifiers.map(({ identityType, uuid }) => [identityType, Buffer.from(uuid)])
  const expected = [account.aci, account.pni].map(identifier)
  assert.deepEqual(
    shown,
    expected.map(({ identityType, uuid }) => [identityType, Buffer.from(uuid)]),
  )
  assert.deepEqual([e164, usernameHash.length, usernameLinkHandle.length], [account.number, 0, 0])
  const entitlements = await grpc.call(rpcs.getEntitlements, {}, headers)
  assert.deepEqual([entitlements.reply?.badges, entitlements.reply?.backup], [[], null])
})

test('an account sees the capabilities that its devices have in common', async () => {
  const account = await register(server, { capabilities: ['spqr', 'storage', 'attachmentBackfill'] })
  const { reply } = await grpc.call(rpcs.getCapabilities, {}, authorizationOf(account))
  assert.deepEqual(
    [...reply!.capabilities!.capabilities].toSorted(),
    [
      DeviceCapability.DEVICE_CAPABILITY_ATTACHMENT_BACKFILL,
      DeviceCapability.DEVICE_CAPABILITY_SPARSE_POST_QUANTUM_RATCHET,
    ].toSorted(),
  )
})

test('others see the capabilities of whom they may reach, and of nobody else', async () => {
  const account = await register(server)
  const ask = async (id: LS.ServiceId, proof: object) =>
    grpc.call(AccountsAnonymous.rpcs.getCapabilities, {
      accountIdentifier: identifier(id),
      ...proof,
    } as never)
  const [key, wrong] = [
    { unidentifiedAccessKey: account.accessKey },
    { unidentifiedAccessKey: randomBytes(16) },
  ]
  const seen = await ask(account.aci, key)
  assert.deepEqual(seen.reply?.capabilities?.capabilities, [
    DeviceCapability.DEVICE_CAPABILITY_SPARSE_POST_QUANTUM_RATCHET,
  ])
  const nobody = LS.Aci.fromUuid(randomUUID())
  const refused = [await ask(account.aci, wrong), await ask(nobody, key), await ask(nobody, wrong)]
  for (const { code, reply } of refused)
    assert.deepEqual([code, reply?.response], [OK, 'failedUnidentifiedAuthorization'])
  const { serverSecretParams: params } = await server.secrets()
  const expiresAtMs = (Math.floor(Date.now() / DAY_MS) + 1) * DAY_MS
  const tokenFor = (id: Aci) => ({
    groupSendToken: groupSendToken({ params, recipients: [id], expiresAtMs }),
  })
  const ghost = parseAci(nobody.getServiceIdString())!
  assert.equal((await ask(account.aci, tokenFor(aciOf(account)))).reply?.response, 'capabilities')
  assert.equal((await ask(nobody, tokenFor(ghost))).reply?.response, 'notFound')
  const foreign = await ask(account.aci, tokenFor(ghost))
  assert.equal(foreign.reply?.response, 'failedUnidentifiedAuthorization')
  const malformed = [await ask(account.pni, key), await ask(account.aci, {})]
  malformed.push(await ask(account.aci, { unidentifiedAccessKey: randomBytes(15) }))
  assert.deepEqual(
    malformed.map(({ code, fields: [field] }) => [code, field]),
    ['account_identifier', 'authentication', 'unidentified_access_key'].map((field) => [
      INVALID_ARGUMENT,
      field,
    ]),
  )
})

test('who may reach an account unnamed is set by gRPC', async () => {
  const account = await register(server)
  const headers = authorizationOf(account)
  const path = `/v2/keys/${account.aci.getServiceIdString()}/1`
  const reach = async (key: Uint8Array) => {
    const shown = { 'unidentified-access-key': Buffer.from(key).toString('base64') }
    return (await https.call('GET', path, { headers: shown })).status
  }
  const configure = (message: object) =>
    grpc.call(rpcs.configureUnidentifiedAccess, message as never, headers)
  const key = randomBytes(16)
  assert.equal((await configure({ unidentifiedAccessKey: key })).code, OK)
  assert.deepEqual([await reach(account.accessKey), await reach(key)], [401, 200])
  assert.equal((await configure({ allowUnrestrictedUnidentifiedAccess: {} })).code, OK)
  assert.equal(await reach(randomBytes(16)), 200)
  assert.equal((await report(account)).json.data.account.allowSealedSenderFromAnyone, true)
  assert.equal((await configure({ unidentifiedAccessKey: key })).code, OK)
  assert.equal(await reach(randomBytes(16)), 401)
  const [none, short] = [await configure({}), await configure({ unidentifiedAccessKey: randomBytes(15) })]
  assert.deepEqual([none.code, none.fields], [INVALID_ARGUMENT, ['configuration']])
  assert.deepEqual([short.code, short.fields], [INVALID_ARGUMENT, ['unidentified_access_key']])
  assert.equal(await reach(key), 200)
})

test("discoverability is set by libsignal's typed call and by REST", async () => {
  const client = await SignalClient.create(server, { httpVersion: 2, oneTimeKeys: 0 })
  const headers = authorizationOf(client.account)
  assert.equal(await isFound(client.account), true)
  await client.link.auth.setDiscoverableByPhoneNumber({ discoverable: false })
  assert.equal(await isFound(client.account), false)
  const put = async (json: object) =>
    (await https.call('PUT', '/v2/accounts/phone_number_discoverability', { headers, json })).status
  assert.equal(await put({ discoverableByPhoneNumber: true }), 204)
  assert.equal(await isFound(client.account), true)
  assert.deepEqual([await put({}), await put({ discoverableByPhoneNumber: 'no' })], [422, 422])
  await client.disconnect()
})

for (const httpVersion of HTTP_VERSIONS)
  test(`a report of what is kept is the same over HTTP/${httpVersion} and gRPC`, async (t) => {
    const over = Https.open(server.ready, httpVersion)
    t.after(() => over[Symbol.asyncDispose]())
    const account = await register(server)
    const [rest, { reply }] = [
      await report(account, over),
      await grpc.call(rpcs.getAccountDataReport, {}, authorizationOf(account)),
    ]
    assert.equal(rest.status, 200)
    const grpcReport = JSON.parse(reply!.json)
    assert.equal(grpcReport.text, reply!.text)
    assert.deepEqual(Object.keys(rest.json), ['reportId', 'reportTimestamp', 'data', 'text'])
    assert.deepEqual(grpcReport.data, rest.json.data)
    assert.notEqual(grpcReport.reportId, rest.json.reportId)
    assert.equal(rest.json.data.account.phoneNumber, account.number)
    assert.match(rest.json.reportTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    assert.match(rest.json.text, new RegExp(rest.json.reportId))
  })
