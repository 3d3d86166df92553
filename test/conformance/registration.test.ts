// A proven number becomes an account (signal-api §2.2).
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import { basic, Https } from '../client/https.ts'
import { makeIdentityKeys, signedJson } from '../client/identity-keys.ts'
import { HTTP_VERSIONS, openNet } from '../client/net.ts'
import { newNumber, type Registered, register, registerProven, verifiedSession } from '../client/register.ts'
import { type RegistrationBody, registrationBody } from '../client/registration-body.ts'
import { fetchJson } from '../client/rest.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'

let server: Constellation
before(async () => {
  server = await Constellation.open()
})
after(() => server.close())

type Change = (body: RegistrationBody) => object
const attributes = (body: RegistrationBody, changed: object) => ({
  ...body,
  accountAttributes: { ...body.accountAttributes, ...changed },
})
const without = (body: RegistrationBody, field: keyof RegistrationBody) => ({ ...body, [field]: undefined })
const apnToken = { apnRegistrationId: 'token' }
const gcmToken = { gcmRegistrationId: 'token' }

/** What spoils a registration, by the field that is then named. */
const SPOILT: readonly (readonly [string, RegExp, Change])[] = [
  ['no PNI identity key', /pniIdentityKey/, (body) => without(body, 'pniIdentityKey')],
  ['no PNI signed pre-key', /pniIdentityKey/, (body) => without(body, 'pniSignedPreKey')],
  ['no PNI last-resort key', /pniIdentityKey/, (body) => without(body, 'pniPqLastResortPreKey')],
  [
    'no PNI registration id',
    /pniRegistrationId/,
    (body) => attributes(body, { pniRegistrationId: undefined }),
  ],
  ['a registration id of 0', /registrationId/, (body) => attributes(body, { registrationId: 0 })],
  ['a registration id of 16384', /registrationId/, (body) => attributes(body, { registrationId: 0x4000 })],
  [
    'no access key',
    /unidentifiedAccessKey/,
    (body) => attributes(body, { unidentifiedAccessKey: undefined }),
  ],
  [
    'an access key of 15 bytes',
    /unidentifiedAccessKey/,
    (body) => attributes(body, { unidentifiedAccessKey: [...randomBytes(15)] }),
  ],
  ['no delivery channel', /fetchesMessages/, (body) => attributes(body, { fetchesMessages: false })],
  ['two delivery channels', /fetchesMessages/, (body) => ({ ...body, apnToken })],
  [
    'two push tokens',
    /fetchesMessages/,
    (body) => ({ ...attributes(body, { fetchesMessages: false }), apnToken, gcmToken }),
  ],
  ['a session and a recovery password', /sessionId/, (body) => ({ ...body, recoveryPassword: 'AAAA' })],
  ['neither session nor recovery password', /sessionId/, (body) => without(body, 'sessionId')],
  ['no ACI identity key', /aciIdentityKey/, (body) => without(body, 'aciIdentityKey')],
  [
    'a signed pre-key of another identity',
    /aciSignedPreKey/,
    (body) => ({ ...body, aciSignedPreKey: signedJson(makeIdentityKeys().signedPreKey) }),
  ],
  [
    'a PNI Kyber key of another identity',
    /pniPqLastResortPreKey/,
    (body) => ({ ...body, pniPqLastResortPreKey: signedJson(makeIdentityKeys().lastResortPreKey) }),
  ],
  [
    'a public key that is none',
    /aciIdentityKey/,
    (body) => ({ ...body, aciIdentityKey: Buffer.alloc(33, 9).toString('base64') }),
  ],
]

for (const httpVersion of HTTP_VERSIONS)
  describe(`registration over HTTP/${httpVersion}`, () => {
    let https: Https
    before(() => {
      https = Https.open(server.ready, httpVersion)
    })
    after(() => https[Symbol.asyncDispose]())

    const post = (number: string, json: object, password = 'password') =>
      https.call('POST', '/v1/registration', { headers: { authorization: basic(number, password) }, json })
    const provenSession = async (number: string) =>
      (await verifiedSession(server, number, httpVersion)).sessionId

    test('a proven number becomes an account with two identities', async () => {
      const number = newNumber()
      const { status, json } = await post(number, registrationBody(await provenSession(number)))
      assert.equal(status, 200)
      const { uuid, pni, ...rest } = json
      assert.match(uuid, /^[0-9a-f-]{36}$/)
      assert.match(pni, /^[0-9a-f-]{36}$/)
      assert.notEqual(uuid, pni)
      assert.deepEqual(rest, {
        number,
        usernameHash: null,
        usernameLinkHandle: null,
        storageCapable: false,
        entitlements: { badges: [], backup: null },
        reregistration: false,
      })
    })

    test('libsignal registers, and its device may connect', async () => {
      const number = newNumber()
      await using client = await SignalClient.create(server, { number, httpVersion })
      assert.equal(client.account.reregistration, false)
      await client.link.queueEmpty()
    })

    test('what is wrong with a registration is 422 and named, and costs nothing', async () => {
      const number = newNumber()
      const body = registrationBody(await provenSession(number))
      for (const [what, field, change] of SPOILT) {
        const { status, json } = await post(number, change(body))
        assert.equal(status, 422, what)
        assert.match(json.errors.join(' '), field, what)
      }
      assert.equal((await post(number, body)).status, 200)
    })

    test('a push token instead of fetching is a delivery channel', async () => {
      const number = newNumber()
      const body = registrationBody(await provenSession(number))
      const json = { ...attributes(body, { fetchesMessages: false }), gcmToken }
      assert.equal((await post(number, json)).status, 200)
    })

    test("somebody else's session is 400, one that was not verified, or never was, is 401", async () => {
      const [number, other] = [newNumber(), newNumber()]
      const proven = await provenSession(number)
      assert.equal((await post(other, registrationBody(proven))).status, 400)
      const opened = await https.call('POST', '/v1/verification/session', { json: { number: other } })
      assert.equal((await post(other, registrationBody(opened.json.id))).status, 401)
      assert.equal((await post(other, registrationBody('bm9uZQ'))).status, 401)
    })

    test('a session is good for one registration', async () => {
      const number = newNumber()
      const session = await provenSession(number)
      assert.equal((await post(number, registrationBody(session))).status, 200)
      assert.equal((await post(number, registrationBody(session))).status, 401)
    })

    test('a recovery password that is not the one opens nothing, and libsignal learns that it is wrong', async () => {
      const number = newNumber()
      const { sessionId: _, ...body } = registrationBody('')
      const json = { ...body, recoveryPassword: randomBytes(32).toString('base64') }
      assert.equal((await post(number, json)).status, 403)
      const { keys } = await register(server, { number, httpVersion })
      const again = openNet(server.ready, httpVersion).reregisterAccount({
        e164: number,
        accountPassword: 'password',
        skipDeviceTransfer: true,
        accountAttributes: new LS.Net.AccountAttributes({
          recoveryPassword: new Uint8Array(32),
          aciRegistrationId: 1,
          pniRegistrationId: 1,
          registrationLock: null,
          unidentifiedAccessKey: new Uint8Array(16),
          unrestrictedUnidentifiedAccess: false,
          capabilities: new Set(['spqr']),
          discoverableByPhoneNumber: true,
        }),
        aciPublicKey: keys.aci.pair.publicKey,
        pniPublicKey: keys.pni.pair.publicKey,
        aciSignedPreKey: keys.aci.signedPreKey,
        pniSignedPreKey: keys.pni.signedPreKey,
        aciPqLastResortPreKey: keys.aci.lastResortPreKey,
        pniPqLastResortPreKey: keys.pni.lastResortPreKey,
      })
      await assert.rejects(again, { code: LS.ErrorCode.RegistrationRecoveryVerificationFailed })
    })

    test('without credentials a registration is 401', async () => {
      const number = newNumber()
      const json = registrationBody(await provenSession(number))
      assert.equal((await https.call('POST', '/v1/registration', { json })).status, 401)
      assert.equal((await post(number, json, '')).status, 401)
    })

    test('the seventh registration of a number in a moment is 429 and told when to try again', async () => {
      const number = newNumber()
      const body = registrationBody('bm9uZQ')
      const statuses = []
      for (let attempt = 0; attempt < 6; attempt++) statuses.push((await post(number, body)).status)
      assert.deepEqual(statuses, Array(6).fill(401))
      const { status, headers } = await post(number, body)
      assert.equal(status, 429)
      assert.ok(Number(headers['retry-after']) >= 1 && Number(headers['retry-after']) <= 30)
    })

    test('a primary device that can hand over to a new one stops a registration with 409, unless skipped', async () => {
      const number = newNumber()
      await register(server, { number, httpVersion, capabilities: ['spqr', 'transfer'] })
      const body = registrationBody(await provenSession(number))
      assert.equal((await post(number, { ...body, skipDeviceTransfer: false })).status, 409)
      assert.equal((await post(number, body)).status, 200)
    })

    test('registering again keeps the identities, and ends what the old device had', async () => {
      const number = newNumber()
      const old = await SignalClient.create(server, { number, httpVersion })
      await using friend = await SignalClient.create(server, { httpVersion })
      const { link } = old
      await link.queueEmpty()
      old.answer = () => undefined
      await friend.sendText(old, 'stays in the queue')
      await old.messages.next()
      await using anew = new SignalClient(
        server,
        await register(server, { number, httpVersion }),
        httpVersion,
      )
      assert.ok(anew.account.reregistration)
      assert.ok(anew.aci.isEqual(old.aci))
      assert.ok(anew.pni.isEqual(old.pni))
      assert.equal((await link.interrupted())?.code, LS.ErrorCode.ConnectionInvalidated)
      await assert.rejects(old.connect(), { code: LS.ErrorCode.DeviceDelinked })

      await anew.connect()
      await anew.link.queueEmpty()
      assert.deepEqual([anew.messages.all, anew.unreadable.all], [[], []])
      const { json } = await fetchJson(anew.link.auth, 'GET', '/v2/keys')
      assert.deepEqual(json, { count: 0, pqCount: 0 })
      await friend.sendText(anew, 'to the new device')
      assert.equal((await anew.messages.next()).text, 'to the new device')
    })

    test('two registrations of one number at once leave one consistent account', async () => {
      const number = newNumber()
      const proofs = [
        await verifiedSession(server, number, httpVersion),
        await verifiedSession(server, number, httpVersion),
      ]
      const both = await Promise.all(proofs.map((proof) => registerProven(proof, number)))
      const [one, two] = both as [Registered, Registered]
      assert.ok(one.aci.isEqual(two.aci))
      assert.ok(one.pni.isEqual(two.pni))
      assert.deepEqual(both.map(({ reregistration }) => reregistration).sort(), [false, true])
      const winner = both.find(({ reregistration }) => reregistration)!
      const loser = both.find(({ reregistration }) => !reregistration)!
      await assert.rejects(new SignalClient(server, loser, httpVersion).connect(), {
        code: LS.ErrorCode.DeviceDelinked,
      })
      await using client = new SignalClient(server, winner, httpVersion)
      await using friend = await SignalClient.create(server, { httpVersion })
      await client.connect()
      await friend.sendText(client, 'who is there?')
      assert.equal((await client.messages.next()).text, 'who is there?')
    })

    test('one session for two registrations at once is good for one of them', async () => {
      const number = newNumber()
      const session = await provenSession(number)
      const replies = await Promise.all([0, 1, 2].map(() => post(number, registrationBody(session))))
      assert.deepEqual(replies.map(({ status }) => status).sort(), [200, 401, 401])
    })
  })

test('a client without a capability that the operator demands is 499', async () => {
  await using strict = await Constellation.open({
    config: { registration: { requiredCapabilities: ['spqr'] } },
  })
  await using https = Https.open(strict.ready, 2)
  const number = newNumber()
  const { sessionId } = await verifiedSession(strict, number, 2)
  const headers = { authorization: basic(number, 'password') }
  const body = registrationBody(sessionId)
  const json = attributes(body, { capabilities: { storage: true } })
  assert.equal((await https.call('POST', '/v1/registration', { headers, json })).status, 499)
  assert.equal((await https.call('POST', '/v1/registration', { headers, json: body })).status, 200)
})
