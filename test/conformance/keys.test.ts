// Pre-keys: published, counted, handed out once (signal-api §2.10).
import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import { type BundleJson, fetchUnidentified } from '../client/bundles.ts'
import { authorizationOf, Https } from '../client/https.ts'
import {
  base64,
  ecJson,
  type IdentityKeys,
  makeIdentityKeys,
  makeOneTimeKeys,
  signedJson,
} from '../client/identity-keys.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { type Registered, register } from '../client/register.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'

const FETCHES = 200
let server: Constellation
before(async () => {
  // The tests of the limiter have a server of their own.
  server = await Constellation.open({ config: { limits: { prekeys: { bucket: 1000 } } } })
})
after(() => server.close())

const uak = (key: Uint8Array) => ({ 'unidentified-access-key': Buffer.from(key).toString('base64') })
const pathOf = (target: LS.ServiceId, device: number | '*' = '*') =>
  `/v2/keys/${target.getServiceIdString()}/${device}`

/** SHA-256 over identity key, and id and key of the signed and the last-resort pre-key. */
function digestOf({ pair, signedPreKey, lastResortPreKey }: IdentityKeys): string {
  const hash = createHash('sha256').update(pair.publicKey.serialize())
  for (const key of [signedPreKey, lastResortPreKey]) {
    const id = Buffer.alloc(8)
    id.writeBigInt64BE(BigInt(key.id()))
    hash.update(id).update(key.publicKey().serialize())
  }
  return hash.digest('base64')
}

for (const httpVersion of HTTP_VERSIONS)
  describe(`pre-keys over HTTP/${httpVersion}`, () => {
    let https: Https
    let account: Registered
    before(async () => {
      https = Https.open(server.ready, httpVersion)
      account = await register(server, { httpVersion })
    })
    after(() => https[Symbol.asyncDispose]())

    const newAccount = () => register(server, { httpVersion })
    const put = (owner: Registered, json: object, identity = 'aci') =>
      https.call('PUT', `/v2/keys?identity=${identity}`, { headers: authorizationOf(owner), json })
    const count = async (owner: Registered, identity = 'aci') =>
      (await https.call('GET', `/v2/keys?identity=${identity}`, { headers: authorizationOf(owner) })).json
    const take = (path: string, headers: Readonly<Record<string, string>>) =>
      https.call('GET', path, { headers })
    const publish = async (owner: Registered, oneTime: number, identity: 'aci' | 'pni' = 'aci') => {
      const keys = makeOneTimeKeys(owner.keys[identity].pair, oneTime)
      const json = { preKeys: keys.ec.map(ecJson), pqPreKeys: keys.kyber.map(signedJson) }
      assert.equal((await put(owner, json, identity)).status, 200)
      return json
    }

    test('a list replaces what was there; an empty or absent one leaves it', async () => {
      const owner = await newAccount()
      assert.deepEqual(await count(owner), { count: 0, pqCount: 0 })
      await publish(owner, 7)
      assert.deepEqual(await count(owner), { count: 7, pqCount: 7 })
      await publish(owner, 3)
      assert.deepEqual(await count(owner), { count: 3, pqCount: 3 })
      assert.equal((await put(owner, { preKeys: [] })).status, 200)
      assert.equal((await put(owner, {})).status, 200)
      assert.deepEqual(await count(owner), { count: 3, pqCount: 3 })
      assert.deepEqual(await count(owner, 'pni'), { count: 0, pqCount: 0 })
      await publish(owner, 2, 'pni')
      assert.deepEqual(await count(owner, 'pni'), { count: 2, pqCount: 2 })
    })

    test('an upload with one bad key is 422 and changes nothing', async () => {
      const owner = await newAccount()
      await publish(owner, 2)
      const foreign = makeIdentityKeys()
      const { ec, kyber } = makeOneTimeKeys(owner.keys.aci.pair, 2)
      const many = Array.from({ length: 101 }, (_, keyId) => ({ ...ecJson(ec[0]!), keyId }))
      const spoilt = [
        { preKeys: ec.map(ecJson), signedPreKey: signedJson(foreign.signedPreKey) },
        { preKeys: ec.map(ecJson), pqLastResortPreKey: signedJson(foreign.lastResortPreKey) },
        { preKeys: ec.map(ecJson), pqPreKeys: [signedJson(kyber[0]!), signedJson(foreign.lastResortPreKey)] },
        { preKeys: many },
        { preKeys: [{ keyId: -1, publicKey: ecJson(ec[0]!).publicKey }] },
        { preKeys: [{ keyId: 1, publicKey: base64(Buffer.alloc(33, 9)) }] },
        { preKeys: [{ keyId: 1, publicKey: base64(Buffer.alloc(32, 5)) }] },
        { preKeys: 'none' },
      ]
      for (const json of spoilt) assert.equal((await put(owner, json)).status, 422, JSON.stringify(json))
      assert.deepEqual(await count(owner), { count: 2, pqCount: 2 })
    })

    test('the digest of the repeated-use keys tells whether they are the same', async () => {
      const owner = await newAccount()
      const check = (identityType: string, digest: string) =>
        https.call('POST', '/v2/keys/check', {
          headers: authorizationOf(owner),
          json: { identityType, digest },
        })
      assert.equal((await check('ACI', digestOf(owner.keys.aci))).status, 200)
      assert.equal((await check('PNI', digestOf(owner.keys.pni))).status, 200)
      assert.equal((await check('ACI', digestOf(owner.keys.pni))).status, 409)
      assert.equal((await check('ACI', 'AAAA')).status, 422)
      assert.equal((await check('aci', digestOf(owner.keys.aci))).status, 422)
      const next = makeIdentityKeys(owner.keys.aci.pair)
      await put(owner, { signedPreKey: signedJson(next.signedPreKey) })
      assert.equal((await check('ACI', digestOf(owner.keys.aci))).status, 409)
      const mixed = { ...owner.keys.aci, signedPreKey: next.signedPreKey }
      assert.equal((await check('ACI', digestOf(mixed))).status, 200)
    })

    test('bundles carry the lowest one-time keys first; then no EC key, and the last-resort key for ever', async () => {
      const owner = await newAccount()
      const { preKeys, pqPreKeys } = await publish(owner, 2)
      const { aci } = owner.keys
      const taken: BundleJson[] = []
      for (let index = 0; index < 4; index++) {
        const { status, json } = await take(pathOf(owner.aci), authorizationOf(account))
        assert.equal(status, 200)
        taken.push(json)
      }
      const byId = (a: { keyId: number }, b: { keyId: number }) => a.keyId - b.keyId
      const [firstEc, secondEc] = preKeys.sort(byId)
      const [firstKem, secondKem] = pqPreKeys.sort(byId).map(withoutPadding)
      const lastResort = withoutPadding(signedJson(aci.lastResortPreKey))
      const common = {
        deviceId: 1,
        registrationId: aci.registrationId,
        signedPreKey: withoutPadding(signedJson(aci.signedPreKey)),
      }
      assert.deepEqual(
        taken.map(({ devices }) => devices[0]),
        [
          { ...common, preKey: firstEc, pqPreKey: firstKem },
          { ...common, preKey: secondEc, pqPreKey: secondKem },
          { ...common, pqPreKey: lastResort },
          { ...common, pqPreKey: lastResort },
        ],
      )
      for (const { identityKey } of taken) assert.equal(identityKey, base64(aci.pair.publicKey.serialize()))
    })

    test('one device and all devices give the same bundle, and an unknown device is 404', async () => {
      const owner = await newAccount()
      const headers = authorizationOf(account)
      const all = await take(pathOf(owner.aci), headers)
      assert.deepEqual((await take(pathOf(owner.aci, 1), headers)).json, all.json)
      assert.equal((await take(pathOf(owner.aci, 2), headers)).status, 404)
      assert.equal((await take(`/v2/keys/${owner.aci.getServiceIdString()}/first`, headers)).status, 422)
    })

    test("a phone number's identity has its own keys and registration id", async () => {
      const owner = await newAccount()
      const { pni } = owner.keys
      const { preKeys } = await publish(owner, 1, 'pni')
      const { json } = await take(pathOf(owner.pni), authorizationOf(account))
      assert.equal(json.identityKey, base64(pni.pair.publicKey.serialize()))
      assert.equal(json.devices[0].registrationId, pni.registrationId)
      assert.deepEqual(json.devices[0].preKey, preKeys[0])
    })

    test('a stranger gets keys for the right access key, and 401 for anything else', async () => {
      const owner = await newAccount()
      const target = pathOf(owner.aci)
      const right = uak(owner.accessKey)
      assert.equal((await take(target, right)).status, 200)
      const refused = [
        take(target, {}),
        take(target, uak(new Uint8Array(16))),
        take(target, uak(new Uint8Array(15))),
        take(target, { 'unidentified-access-key': '!!!' }),
        take(target, { 'group-send-token': 'AAAA' }),
        take(`/v2/keys/${randomUUID()}/*`, right),
        take(pathOf(owner.pni), right),
      ]
      for (const { status, body } of await Promise.all(refused))
        assert.deepEqual([status, body.length], [401, 0])
    })

    test('an account that lets everybody in takes any access key, but wants one', async () => {
      const owner = await register(server, { httpVersion, unrestrictedUnidentifiedAccess: true })
      assert.equal((await take(pathOf(owner.aci), uak(new Uint8Array(16)))).status, 200)
      assert.equal((await take(pathOf(owner.aci), {})).status, 401)
      assert.equal((await take(pathOf(owner.pni), uak(new Uint8Array(16)))).status, 401)
    })

    test('a group send token beside other proof is 400', async () => {
      const target = pathOf(account.aci)
      const token = { 'group-send-token': 'AAAA' }
      assert.equal((await take(target, { ...token, ...authorizationOf(account) })).status, 400)
      assert.equal((await take(target, { ...token, ...uak(account.accessKey) })).status, 400)
    })

    test('a device learns that an account does not exist', async () => {
      assert.equal((await take(`/v2/keys/${randomUUID()}/*`, authorizationOf(account))).status, 404)
      assert.equal((await take(`/v2/keys/PNI:${randomUUID()}/*`, authorizationOf(account))).status, 404)
      assert.equal((await take('/v2/keys/garbage/*', authorizationOf(account))).status, 422)
    })

    test("libsignal's typed call tells the refusals apart", async () => {
      await using client = await SignalClient.create(server, { httpVersion })
      const { unauth } = client.link
      const [bundle] = await fetchUnidentified(unauth, client.aci, 1, client.accessKey)
      assert.equal(bundle!.registrationId(), client.account.keys.aci.registrationId)
      await assert.rejects(fetchUnidentified(unauth, client.aci, '*', new Uint8Array(16)), {
        code: LS.ErrorCode.RequestUnauthorized,
      })
      const stranger = LS.Aci.fromUuid(randomUUID())
      await assert.rejects(fetchUnidentified(unauth, stranger, '*', client.accessKey), {
        code: LS.ErrorCode.RequestUnauthorized,
      })
    })

    test('no one-time pre-key is handed out twice, however many ask at once', async () => {
      const owner = await newAccount()
      const { preKeys, pqPreKeys } = await publish(owner, 100)
      const headers = uak(owner.accessKey)
      const replies = await Promise.all(
        Array.from({ length: FETCHES }, () => take(pathOf(owner.aci, 1), headers)),
      )
      const devices = replies.map(({ json }) => (json as BundleJson).devices[0]!)
      const ec = devices.flatMap(({ preKey }) => (preKey ? [preKey.keyId] : []))
      const kem = devices.map(({ pqPreKey }) => pqPreKey.keyId)
      const lastResort = owner.keys.aci.lastResortPreKey.id()
      const numbers = (keys: readonly { keyId: number }[]) => keys.map(({ keyId }) => keyId).sort()
      assert.deepEqual(ec.sort(), numbers(preKeys))
      assert.deepEqual(kem.filter((id) => id !== lastResort).sort(), numbers(pqPreKeys))
      assert.equal(kem.filter((id) => id === lastResort).length, FETCHES - 100)
      assert.deepEqual(await count(owner), { count: 0, pqCount: 0 })
    })
  })

const withoutPadding = <T extends { signature: string }>(key: T): T => ({
  ...key,
  signature: key.signature.replace(/=+$/, ''),
})

test('the seventh fetch of a device within ten minutes is 429; strangers are not counted', async () => {
  await using strict = await Constellation.open()
  await using https = Https.open(strict.ready, 2)
  const [asker, target] = [await register(strict), await register(strict)]
  const headers = authorizationOf(asker)
  const take = (path: string, as: Readonly<Record<string, string>> = headers) =>
    https.call('GET', path, { headers: as })
  for (let fetch = 0; fetch < 6; fetch++) assert.equal((await take(pathOf(target.aci, 1))).status, 200)
  const { status, headers: answered, body } = await take(pathOf(target.aci, 1))
  assert.deepEqual([status, body.length], [429, 0])
  const retryAfter = Number(answered['retry-after'])
  assert.ok(retryAfter > 590 && retryAfter <= 600, String(retryAfter))
  assert.equal((await take(pathOf(target.aci, '*'))).status, 200)
  for (let fetch = 0; fetch < 10; fetch++)
    assert.equal((await take(pathOf(target.aci, 1), uak(target.accessKey))).status, 200)
})
