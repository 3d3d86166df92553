// Profiles of the first kind: written, read, with credentials (signal-api §2.14).
import assert from 'node:assert/strict'
import { createHash, createHmac, randomBytes, randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import type { ServiceId } from '../../wire/types.ts'
import { authorizationOf, Https } from '../client/https.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { fullProfile, type ProfileJson, ProfileKeys, profileBody } from '../client/profile-keys.ts'
import { type Registered, register } from '../client/register.ts'
import { fetchJson } from '../client/rest.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'
import { groupSendToken } from '../group-send-token.ts'

const DAY_MS = 86_400_000
let server: Constellation
before(async () => {
  server = await Constellation.open()
})
after(() => server.close())

const uak = (key: Uint8Array) => ({ 'unidentified-access-key': Buffer.from(key).toString('base64') })
const idOf = (id: LS.ServiceId) => id.getServiceIdString()
const pathOf = (...parts: string[]) => ['/v1/profile', ...parts].join('/')
const CREDENTIAL_TYPE = '?credentialType=expiringProfileKey'
const NO_FIELDS = {
  name: null,
  about: null,
  aboutEmoji: null,
  avatar: null,
  paymentAddress: null,
  phoneNumberSharing: null,
}

for (const httpVersion of HTTP_VERSIONS)
  describe(`profiles over HTTP/${httpVersion}`, () => {
    let https: Https
    let asker: Registered
    before(async () => {
      https = Https.open(server.ready, httpVersion)
      asker = await register(server, { httpVersion })
    })
    after(() => https[Symbol.asyncDispose]())

    const newAccount = () => register(server, { httpVersion })
    const put = (owner: Registered, json: object) =>
      https.call('PUT', '/v1/profile', { headers: authorizationOf(owner), json })
    const write = async (owner: Registered, keys: ProfileKeys, fields: Partial<ProfileJson> = {}) => {
      const profile = fullProfile(fields)
      const reply = await put(owner, profileBody(keys, profile))
      assert.equal(reply.status, 200, reply.body.toString())
      return { profile, form: reply.json }
    }
    const get = (path: string, headers: Readonly<Record<string, string>>) =>
      https.call('GET', path, { headers })
    const read = async (owner: Registered, keys: ProfileKeys) =>
      (await get(pathOf(idOf(owner.aci), keys.version), authorizationOf(asker))).json

    test('what everybody may know is there without a profile, for either identity', async () => {
      const owner = await newAccount()
      const checksum = createHmac('sha256', owner.accessKey).update(new Uint8Array(32)).digest('base64')
      const capabilities = {
        attachmentBackfill: true,
        spqr: true,
        profiles_v2: false,
        usernameChangeSyncMessage: false,
      }
      const base = (id: LS.ServiceId, key: LS.PublicKey) => ({
        identityKey: Buffer.from(key.serialize()).toString('base64'),
        unrestrictedUnidentifiedAccess: false,
        capabilities,
        badges: [],
        uuid: idOf(id),
      })
      const { aci, pni } = owner.keys
      const headers = authorizationOf(asker)
      assert.deepEqual((await get(pathOf(idOf(owner.aci)), headers)).json, {
        ...base(owner.aci, aci.pair.publicKey),
        unidentifiedAccess: checksum,
      })
      assert.deepEqual((await get(pathOf(idOf(owner.pni)), headers)).json, {
        ...base(owner.pni, pni.pair.publicKey),
        unidentifiedAccess: null,
      })
    })

    test('a version comes back as it was written, to the byte and in padded base64', async () => {
      const owner = await newAccount()
      const keys = new ProfileKeys(owner.aci)
      const { profile } = await write(owner, keys)
      const { avatar: _, sameAvatar: __, ...fields } = profile
      const shown = await read(owner, keys)
      assert.equal(shown.uuid, idOf(owner.aci))
      assert.deepEqual({ ...shown, ...fields, avatar: null }, shown)
      const { profile: next } = await write(owner, keys, { about: '', aboutEmoji: null })
      const again = await read(owner, keys)
      assert.deepEqual([again.name, again.about, again.aboutEmoji], [next.name, '', null])
    })

    test('a version that was never written is 200 without fields, whatever it looks like', async () => {
      const owner = await newAccount()
      await write(owner, new ProfileKeys(owner.aci))
      for (const version of ['00'.repeat(32), 'nonsense', 'AB']) {
        const reply = await get(pathOf(idOf(owner.aci), version), authorizationOf(asker))
        assert.equal(reply.status, 200)
        assert.deepEqual({ ...reply.json, ...NO_FIELDS }, reply.json)
      }
    })

    test('many versions are kept; the payment address is shown with the newest only', async () => {
      const owner = await newAccount()
      const [old, now] = [new ProfileKeys(owner.aci), new ProfileKeys(owner.aci)]
      const { profile: first } = await write(owner, old)
      assert.equal((await read(owner, old)).paymentAddress, first.paymentAddress)
      const { profile: second } = await write(owner, now)
      const shown = await read(owner, old)
      assert.deepEqual([shown.name, shown.paymentAddress], [first.name, null])
      assert.equal((await read(owner, now)).paymentAddress, second.paymentAddress)
    })

    test('an avatar is announced, stays, and is taken away', async () => {
      const owner = await newAccount()
      const keys = new ProfileKeys(owner.aci)
      const { form } = await write(owner, keys, { avatar: true })
      const { policy, signature, ...fields } = form
      assert.match(form.key, /^profiles\/[\w-]{22}$/)
      assert.deepEqual(Object.keys(fields).sort(), ['acl', 'algorithm', 'credential', 'date', 'key'])
      assert.deepEqual([fields.acl, fields.algorithm], ['private', 'AWS4-HMAC-SHA256'])
      assert.match(signature, /^[0-9a-f]{64}$/)
      const { conditions } = JSON.parse(Buffer.from(policy, 'base64').toString())
      const has = (wanted: unknown) =>
        conditions.some((one: unknown) => JSON.stringify(one) === JSON.stringify(wanted))
      assert.ok(has({ key: form.key }) && has(['content-length-range', 1, 10 * 1024 * 1024]))
      assert.equal((await read(owner, keys)).avatar, form.key)

      assert.equal((await write(owner, keys, { avatar: true, sameAvatar: true })).form, undefined)
      assert.equal((await read(owner, keys)).avatar, form.key)
      const { form: next } = await write(owner, keys, { avatar: true })
      assert.notEqual(next.key, form.key)
      assert.equal((await read(owner, keys)).avatar, next.key)
      assert.equal((await write(owner, keys, { avatar: false, sameAvatar: true })).form, undefined)
      assert.equal((await read(owner, keys)).avatar, null)
    })

    test('a field of another size is 422, and nothing is written', async () => {
      const owner = await newAccount()
      const keys = new ProfileKeys(owner.aci)
      const { profile } = await write(owner, keys)
      const good = profileBody(keys, fullProfile())
      const bytes = (size: number) => randomBytes(size).toString('base64')
      const spoilt = [
        ...[80, 82, 284, 0].map((size) => ({ ...good, name: bytes(size) })),
        ...[1, 155, 541].map((size) => ({ ...good, about: bytes(size) })),
        { ...good, name: null },
        { ...good, aboutEmoji: bytes(59) },
        { ...good, paymentAddress: bytes(581) },
        { ...good, phoneNumberSharing: bytes(28) },
        { ...good, commitment: bytes(96) },
        { ...good, commitment: bytes(97) },
        { ...good, commitment: undefined },
        { ...good, version: 'ab'.repeat(31) },
        { ...good, version: 'zz'.repeat(32) },
        { ...good, name: '!' },
      ]
      for (const json of spoilt) assert.equal((await put(owner, json)).status, 422, JSON.stringify(json))
      assert.equal((await read(owner, keys)).name, profile.name)
      for (const size of [285, 81]) await write(owner, keys, { name: bytes(size) })
      for (const about of [0, 156, 282, 540]) await write(owner, keys, { about: bytes(about) })
    })

    test('a credential proves the profile key to whoever asked by it, for seven days', async () => {
      const owner = await newAccount()
      const keys = new ProfileKeys(owner.aci)
      await write(owner, keys)
      const request = keys.request(server.ready)
      const path = `${pathOf(idOf(owner.aci), keys.version, request.hex)}${CREDENTIAL_TYPE}`
      const before = Math.floor(Date.now() / DAY_MS + 7) * DAY_MS
      for (const headers of [authorizationOf(asker), authorizationOf(owner), uak(owner.accessKey)]) {
        const { status, json } = await get(path, headers)
        assert.equal(status, 200)
        assert.equal(json.uuid, idOf(owner.aci))
        assert.ok(json.name)
        const credential = request.receive(Buffer.from(json.credential, 'base64'))
        const expiresAtMs = credential.getExpirationTime().getTime()
        const after = Math.floor(Date.now() / DAY_MS + 7) * DAY_MS
        assert.ok(expiresAtMs === before || expiresAtMs === after)
      }
    })

    test('there is no credential for a version that is not the current one', async () => {
      const owner = await newAccount()
      const [old, now] = [new ProfileKeys(owner.aci), new ProfileKeys(owner.aci)]
      await write(owner, old)
      await write(owner, now)
      const ask = async (keys: ProfileKeys, request: ProfileKeys) => {
        const path = pathOf(idOf(owner.aci), keys.version, request.request(server.ready).hex)
        return (await get(`${path}${CREDENTIAL_TYPE}`, authorizationOf(asker))).json
      }
      const stale = await ask(old, old)
      assert.equal(stale.credential, null)
      assert.ok(stale.name)
      const unknown = await ask(new ProfileKeys(owner.aci), old)
      assert.deepEqual({ ...unknown, ...NO_FIELDS, credential: null }, unknown)
      assert.ok((await ask(now, now)).credential)
    })

    test("C2: a request about another profile key or another account's, or none at all, is 400", async () => {
      const [owner, other] = [await newAccount(), await newAccount()]
      const keys = new ProfileKeys(owner.aci)
      await write(owner, keys)
      const good = keys.request(server.ready).hex
      const requests = [
        new ProfileKeys(owner.aci).request(server.ready).hex,
        new ProfileKeys(other.aci, keys.key).request(server.ready).hex,
        good.replace(/^(.{60})./, (_, head) => `${head}${good[60] === '0' ? '1' : '0'}`),
        good.slice(2),
        randomBytes(329).toString('hex'),
      ]
      const statusOf = async (request: string, query = CREDENTIAL_TYPE) => {
        const path = `${pathOf(idOf(owner.aci), keys.version, request)}${query}`
        return (await get(path, authorizationOf(asker))).status
      }
      for (const request of requests) assert.equal(await statusOf(request), 400, request.slice(0, 80))
      assert.equal(await statusOf('zz'), 422)
      assert.equal(await statusOf(good, ''), 400)
      assert.equal(await statusOf(good, '?credentialType=profileKey'), 400)
      assert.equal(await statusOf(good), 200)
    })

    test("C2: a credential from another server's parameters is refused by the client", async () => {
      await using foreign = await Constellation.open()
      const owner = await newAccount()
      const keys = new ProfileKeys(owner.aci)
      await write(owner, keys)
      const request = keys.request(foreign.ready)
      const path = `${pathOf(idOf(owner.aci), keys.version, request.hex)}${CREDENTIAL_TYPE}`
      const { status, json } = await get(path, authorizationOf(asker))
      assert.equal(status, 200)
      assert.throws(() => request.receive(Buffer.from(json.credential, 'base64')))
    })

    test('A5, R7: for a stranger without the right key nobody exists', async () => {
      const owner = await newAccount()
      const keys = new ProfileKeys(owner.aci)
      await write(owner, keys)
      const { hex } = keys.request(server.ready)
      const forms = (id: string) => [
        pathOf(id),
        pathOf(id, keys.version),
        `${pathOf(id, keys.version, hex)}${CREDENTIAL_TYPE}`,
      ]
      const wrong = [{}, uak(new Uint8Array(16)), uak(randomBytes(16)), uak(new Uint8Array(15))]
      for (const headers of wrong)
        for (const path of [...forms(idOf(owner.aci)), ...forms(randomUUID())]) {
          const { status, body } = await get(path, headers)
          assert.deepEqual([status, body.length], [401, 0], path)
        }
      const right = uak(owner.accessKey)
      for (const path of forms(idOf(owner.aci))) assert.equal((await get(path, right)).status, 200)
      assert.equal((await get(pathOf(idOf(owner.pni)), right)).status, 401)
      for (const path of forms(randomUUID())) assert.equal((await get(path, right)).status, 401)
    })

    test('a device learns that an account does not exist, and a phone number identity has no versions', async () => {
      const headers = authorizationOf(asker)
      assert.equal((await get(pathOf(randomUUID()), headers)).status, 404)
      assert.equal((await get(pathOf(`PNI:${randomUUID()}`), headers)).status, 404)
      assert.equal((await get(pathOf(randomUUID(), '00'.repeat(32)), headers)).status, 404)
      assert.equal((await get(pathOf(idOf(asker.pni), '00'.repeat(32)), headers)).status, 422)
      assert.equal((await get(pathOf('garbage'), headers)).status, 422)
      const forged = { authorization: authorizationOf({ ...asker, password: 'x' }).authorization }
      assert.equal((await get(pathOf(idOf(asker.aci)), forged)).status, 401)
    })

    test('an account that lets everybody in wants any access key', async () => {
      const owner = await register(server, { httpVersion, unrestrictedUnidentifiedAccess: true })
      const open = await get(pathOf(idOf(owner.aci)), uak(new Uint8Array(16)))
      assert.equal(open.json.unrestrictedUnidentifiedAccess, true)
      assert.equal((await get(pathOf(idOf(owner.aci)), {})).status, 401)
    })

    test('A5: a group send token opens the account by either identity, but no version of its profile', async () => {
      const owner = await newAccount()
      const keys = new ProfileKeys(owner.aci)
      await write(owner, keys)
      const params = (await server.secrets()).serverSecretParams
      const expiresAtMs = Math.floor(Date.now() / DAY_MS) * DAY_MS + 2 * DAY_MS
      const tokenFor = (id: LS.ServiceId, until = expiresAtMs) => {
        const token = groupSendToken({ params, recipients: [idOf(id) as ServiceId], expiresAtMs: until })
        return { 'group-send-token': Buffer.from(token).toString('base64') }
      }
      const nobody = LS.Aci.fromUuid(randomUUID())
      assert.equal((await get(pathOf(idOf(owner.aci)), tokenFor(owner.aci))).status, 200)
      assert.equal((await get(pathOf(idOf(owner.pni)), tokenFor(owner.pni))).status, 200)
      assert.equal((await get(pathOf(idOf(nobody)), tokenFor(nobody))).status, 404)
      assert.equal((await get(pathOf(idOf(owner.aci)), tokenFor(asker.aci))).status, 401)
      assert.equal((await get(pathOf(idOf(nobody)), tokenFor(asker.aci))).status, 401)
      const expired = tokenFor(owner.aci, expiresAtMs - 2 * DAY_MS)
      assert.equal((await get(pathOf(idOf(owner.aci)), expired)).status, 401)
      assert.equal((await get(pathOf(idOf(owner.aci), keys.version), tokenFor(owner.aci))).status, 401)
      const both = { ...tokenFor(owner.aci), ...uak(owner.accessKey) }
      assert.equal((await get(pathOf(idOf(owner.aci)), both)).status, 400)
    })

    test('only identities whose keys have another fingerprint are named', async () => {
      const owner = await newAccount()
      const keyOf = (identity: 'aci' | 'pni') => Buffer.from(owner.keys[identity].pair.publicKey.serialize())
      const fingerprintOf = (key: Uint8Array) => createHash('sha256').update(key).digest().subarray(0, 4)
      const check = (elements: { id: string; fingerprint: Uint8Array }[]) =>
        https.call('POST', '/v1/profile/identity_check/batch', {
          json: {
            elements: elements.map(({ id, fingerprint }) => ({
              uuid: id,
              fingerprint: Buffer.from(fingerprint).toString('base64'),
            })),
          },
        })
      const [aci, pni] = [idOf(owner.aci), idOf(owner.pni)]
      const right = [
        { id: aci, fingerprint: fingerprintOf(keyOf('aci')) },
        { id: pni, fingerprint: fingerprintOf(keyOf('pni')) },
        { id: randomUUID(), fingerprint: Buffer.alloc(4) },
      ]
      assert.deepEqual((await check(right)).json, { elements: [] })
      const crossed = await check([
        { id: aci, fingerprint: fingerprintOf(keyOf('pni')) },
        { id: pni, fingerprint: Buffer.alloc(4) },
      ])
      assert.deepEqual(crossed.json.elements, [
        { uuid: aci, identityKey: keyOf('aci').toString('base64') },
        { uuid: pni, identityKey: keyOf('pni').toString('base64') },
      ])
      const nobodies = (count: number) =>
        Array.from({ length: count }, () => ({ id: randomUUID(), fingerprint: Buffer.alloc(4) }))
      assert.deepEqual((await check(nobodies(1000))).json, { elements: [] })
      assert.equal((await check(nobodies(1001))).status, 422)
      assert.equal((await check([{ id: aci, fingerprint: Buffer.alloc(3) }])).status, 422)
      assert.deepEqual((await check([])).json, { elements: [] })
    })

    test("the same on libsignal's own sockets", async () => {
      await using client = await SignalClient.create(server, { httpVersion })
      const { auth, unauth } = client.link
      const keys = new ProfileKeys(client.aci)
      const profile = fullProfile()
      const written = await fetchJson(auth, 'PUT', '/v1/profile', profileBody(keys, profile))
      assert.deepEqual([written.status, written.body.length], [200, 0])
      const request = keys.request(server.ready)
      const path = `${pathOf(idOf(client.aci), keys.version, request.hex)}${CREDENTIAL_TYPE}`
      for (const reply of [
        await fetchJson(auth, 'GET', path),
        await fetchJson(unauth, 'GET', path, undefined, uak(client.accessKey)),
      ]) {
        assert.equal(reply.json.name, profile.name)
        request.receive(Buffer.from(reply.json.credential, 'base64'))
      }
      assert.equal((await fetchJson(unauth, 'GET', path)).status, 401)
      assert.equal((await fetchJson(unauth, 'PUT', '/v1/profile', profileBody(keys, profile))).status, 401)
    })

    test('an account whose every device writes profiles of the second kind writes none of the first', async () => {
      const owner = await register(server, { httpVersion, capabilities: ['spqr', 'profiles_v2'] })
      const keys = new ProfileKeys(owner.aci)
      const reply = await put(owner, profileBody(keys, fullProfile()))
      assert.deepEqual([reply.status, reply.body.length], [412, 0])
      assert.equal((await read(owner, keys)).name, null)
      assert.equal((await read(owner, keys)).capabilities.profiles_v2, true)
    })
  })

test('the limiters count who asks, and by address who checks', async () => {
  const limits = { profile: { bucket: 3 }, batchIdentityCheck: { bucket: 1 } }
  await using strict = await Constellation.open({ config: { limits } })
  await using https = Https.open(strict.ready, 2)
  const [asker, target] = [await register(strict), await register(strict)]
  const ask = (headers: Readonly<Record<string, string>>, ...more: string[]) =>
    https.call('GET', pathOf(idOf(target.aci), ...more), { headers })
  for (let time = 0; time < 3; time++) assert.equal((await ask(authorizationOf(asker))).status, 200)
  for (const more of [[], ['00']]) assert.equal((await ask(authorizationOf(asker), ...more)).status, 429)
  const limited = await ask(authorizationOf(asker))
  assert.equal(limited.headers['retry-after'], '20')
  assert.equal((await ask(uak(target.accessKey))).status, 200)
  assert.equal((await ask(authorizationOf(target))).status, 200)
  const check = () => https.call('POST', pathOf('identity_check/batch'), { json: { elements: [] } })
  assert.deepEqual([(await check()).status, (await check()).status], [200, 429])
})
