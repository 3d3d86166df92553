// A1, A3, A4: whoever is not the device is nobody; nobody reaches what is another's; who must stay unknown may not be known.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { allRoutes } from '../../wire/routes.ts'
import type { Service } from '../../wire/service.ts'
import { authorizationOf, basic } from '../client/https.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { knock, RawSocket } from '../client/raw-socket.ts'
import type { Registered } from '../client/register.ts'
import { ENTRIES } from '../conformance/ledger.ts'
import { exchange } from '../fuzz/doors.ts'
import { exampleOf } from '../fuzz/examples.ts'
import { isFatal } from '../fuzz/fatal.ts'
import { Fuzzer } from '../fuzz/fuzzer.ts'
import { send } from '../fuzz/probe.ts'
import { RPCS } from '../services.ts'

let fuzzer: Fuzzer
before(async () => {
  fuzzer = await Fuzzer.open()
})
after(() => fuzzer.close())

const forDevices = allRoutes().filter(({ route }) => route.auth === 'device')
const forBoth = allRoutes().filter(({ route }) => route.auth === 'device-or-unidentified')
const userOf = ({ aci, deviceId }: Registered) => `${aci.getServiceIdString()}.${deviceId}`

/** Credentials of somebody that are wrong in one thing. */
const wrongCredentials = (of: Registered, other: Registered): fc.Arbitrary<string> => {
  const user = userOf(of)
  const secrets = fc
    .oneof(
      fc.string({ maxLength: 40 }),
      fc.constantFrom(
        '',
        of.password.slice(0, -1),
        `${of.password}x`,
        of.password.toUpperCase(),
        other.password,
      ),
      fc.nat(of.password.length - 1).map((at) => `${of.password.slice(0, at)}~${of.password.slice(at + 1)}`),
    )
    .filter((secret) => secret !== of.password)
  const users = fc
    .oneof(
      fc.uuid(),
      fc.string({ maxLength: 60 }),
      fc.integer({ min: 2, max: 300 }).map((id) => `${of.aci.getServiceIdString()}.${id}`),
      fc.constantFrom(
        of.pni.getServiceIdString(),
        userOf(other),
        `${user}.1`,
        `${of.aci.getServiceIdString()}.01`,
        ` ${user}`,
      ),
    )
    .filter((name) => name !== user && !name.includes(':'))
  return fc.oneof(
    secrets.map((secret) => basic(user, secret)),
    users.map((name) => basic(name, of.password)),
    fc.constantFrom(
      'Basic',
      'Basic ',
      `Bearer ${of.password}`,
      basic(user, of.password).slice(0, -9),
      'Basic ====',
      user,
    ),
  )
}

test('A1: wrong credentials of any sort are 401 on every route of devices', async () => {
  const { own, other } = fuzzer.cast
  const doors = fuzzer.doors.all.filter((door) => door.kind === 'https')
  const refused = fc.asyncProperty(
    wrongCredentials(own, other),
    fc.constantFrom(...forDevices, ...forBoth),
    fc.constantFrom(...doors),
    async (authorization, named, door) => {
      const probe = { named, example: exampleOf(named, fuzzer.cast), headers: { authorization } }
      assert.equal((await send(probe, door)).status, 401)
    },
  )
  await fc.assert(refused, { numRuns: 400 })
})

test('A1: every route of devices is 401 without credentials, over HTTPS and on the socket of a stranger', async () => {
  const doors = fuzzer.doors.all.filter((door) => door.kind !== 'device-socket')
  for (const named of forDevices)
    for (const door of doors) {
      const { status } = await send({ named, example: exampleOf(named, fuzzer.cast), headers: {} }, door)
      assert.equal(status, 401, `${named.name} ${door.name}`)
    }
})

test('A1: credentials inside a socket make nobody of a stranger', async () => {
  const stranger = fuzzer.doors.all.find((door) => door.kind === 'anonymous-socket')!
  const headers = authorizationOf(fuzzer.cast.own)
  for (const named of forDevices)
    assert.equal(
      (await send({ named, example: exampleOf(named, fuzzer.cast), headers }, stranger)).status,
      401,
    )
})

for (const httpVersion of HTTP_VERSIONS)
  test(`A1: wrong credentials are 403 at the upgrade, with a timestamp (HTTP/${httpVersion})`, async () => {
    const { own, other } = fuzzer.cast
    const refused = fc.asyncProperty(wrongCredentials(own, other), async (wrong) => {
      // HTTP/2 drops a value that ends in a space (RFC 9113 §8.2.1): it would be no credentials at all.
      const authorization = wrong.trim()
      const { status, headers, socket } = await knock(fuzzer.server.ready, httpVersion, {
        headers: { authorization },
      })
      assert.deepEqual([status, socket], [403, undefined])
      assert.match(headers['x-signal-timestamp'] ?? '', /^\d{13}$/)
    })
    await fc.assert(refused, { numRuns: 40 })
  })

const grpc = async (service: Service, path: string, headers: Readonly<Record<string, string>>) => {
  const fixed = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' }
  const reply = await exchange(fuzzer.doors.session, { ...fixed, ...headers }, Buffer.alloc(5))
  return reply.trailers['grpc-status'] ?? reply.headers['grpc-status'] ?? service.name
}

/** The RPCs that the server has; the ledger's own test holds it to that. */
const served = (auth: Service['auth']) =>
  RPCS.filter(({ service, rpc }) => {
    const entry = ENTRIES.find(({ kind, endpoint }) => kind === 'RPC' && endpoint === rpc.path.slice(1))
    return service.auth === auth && (entry?.status === 'done' || entry?.status === 'partly')
  }).map(({ service, rpc }) => ({ service, path: rpc.path }))

test('A1: wrong credentials are UNAUTHENTICATED on every RPC of devices', async () => {
  const { own, other } = fuzzer.cast
  const rpcs = served('device')
  const refused = fc.asyncProperty(
    wrongCredentials(own, other),
    fc.constantFrom(...rpcs),
    async (authorization, rpc) => {
      assert.equal(await grpc(rpc.service, rpc.path, { authorization }), '16')
    },
  )
  await fc.assert(refused, { numRuns: 120 })
  for (const { service, path } of rpcs) assert.equal(await grpc(service, path, {}), '16', path)
})

test('A1: secrets are compared in constant time', () => {
  const root = join(import.meta.dirname, '..', '..', 'server', 'chat')
  for (const [file, secret] of [
    ['accounts/salted-hash.ts', 'hash'],
    ['accounts/unidentified-access.ts', 'access.key'],
    ['verification/verification.ts', 'codeDigest'],
    ['keys/keys.ts', 'digest'],
    ['discovery/discovery.ts', 'shown'],
    ['../kit/external-credentials.ts', 'signature'],
    ['../kit/upload-signatures.ts', 'signature'],
  ] as const) {
    const text = readFileSync(join(root, file), 'utf8')
    assert.match(text, /sameSecret\(/, file)
    const compared = new RegExp(
      `${secret.replace('.', '\\.')} *[!=]==(?! undefined)|[!=]== *[\\w.]*${secret.replace('.', '\\.')}\\b(?!\\.length)`,
    )
    assert.doesNotMatch(text, compared, file)
  }
})

test('A4: routes for strangers refuse whoever tells who they are, on every door', async () => {
  const headers = authorizationOf(fuzzer.cast.own)
  for (const named of allRoutes().filter(({ route }) => /^(anonymous|unidentified)$/.test(route.auth))) {
    const example = exampleOf(named, fuzzer.cast)
    const refused = 403 in named.route.replies && !(400 in named.route.replies) ? 403 : 400
    for (const door of fuzzer.doors.all.filter(({ kind }) => kind === 'https'))
      assert.equal((await send({ named, example, headers }, door)).status, refused, door.name)
    const ownSocket = fuzzer.doors.all.find((door) => door.kind === 'device-socket')!
    assert.equal((await send({ named, example, headers: {} }, ownSocket)).status, refused)
  }
  const strangers = served('anonymous')
  assert.ok(strangers.length > 0)
  for (const { service, path } of strangers) assert.equal(await grpc(service, path, headers), '3', path)
})

/** All that somebody can see of their own account. */
async function stateOf(somebody: Registered): Promise<string> {
  const door = fuzzer.doors.all[1]!
  const headers = authorizationOf(somebody)
  const seen = ['/v1/accounts/whoami', '/v1/devices', '/v2/keys', '/v2/keys?identity=pni', '/v2/config']
  const replies = await Promise.all(seen.map((path) => door.call('GET', path, headers, Buffer.alloc(0))))
  assert.ok(replies.every(({ status }) => status === 200))
  return replies.map(({ body }) => Buffer.from(body).toString()).join('\n')
}

test("A3: no route lets somebody read or change another's things", async () => {
  const { other } = fuzzer.cast
  const before = await stateOf(other)
  const secrets = [other.number, other.pni.getServiceIdString().slice(4), other.password]
  const tricks: Readonly<Record<string, string>>[] = [
    {},
    { 'x-forwarded-for': '127.0.0.1', 'x-signal-aci': other.aci.getServiceIdString() },
    { 'unidentified-access-key': Buffer.alloc(16).toString('base64') },
    { cookie: `aci=${other.aci.getServiceIdString()}` },
  ]
  for (const named of allRoutes().filter((one) => !isFatal(one)))
    for (const trick of tricks) {
      const cast = await fuzzer.freshCast(named)
      const example = exampleOf(named, cast)
      const query = { ...example.query, aci: other.aci.getServiceIdString(), login: userOf(other) }
      for (const door of fuzzer.doorsFor(named)) {
        const headers = { ...authorizationOf(cast.own), ...trick }
        const reply = await send({ named, example: { ...example, query }, headers }, door)
        const text = Buffer.from(reply.body).toString()
        // Who asks for a number is told whose it is, if they want to be found: that is what discovery is for.
        if (named.capability === 'discovery') continue
        for (const secret of secrets) assert.ok(!text.includes(secret), `${named.name} tells ${secret}`)
      }
    }
  assert.equal(await stateOf(other), before)
})

test("A3: on a device's socket nobody becomes another by credentials inside a request", async () => {
  const { own, other } = fuzzer.cast
  await using socket = await RawSocket.open(fuzzer.server.ready, 2, {
    headers: { ...authorizationOf(own), 'x-signal-disable-messages': 'true' },
  })
  const line = `authorization:${authorizationOf(other).authorization}`
  const { status, body } = await socket.ask('GET', '/v1/accounts/whoami', [line])
  assert.equal(status, 200)
  assert.equal(JSON.parse(Buffer.from(body).toString()).uuid, own.aci.getServiceIdString())
})
