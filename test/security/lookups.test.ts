// R7 and L1 of lookups: what may be asked by strangers is answered alike where it must be, and counted by address behind
// every door, whatever a client says of itself.
import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { after, before, test } from 'node:test'
import { AccountsAnonymous } from '../../wire/gen/account.js'
import { uuidToBytes } from '../../wire/types.ts'
import { GrpcClient } from '../client/grpc.ts'
import { authorizationOf, Https } from '../client/https.ts'
import { HTTP_VERSIONS, type HttpVersion } from '../client/net.ts'
import { RawSocket } from '../client/raw-socket.ts'
import { newNumber, type Registered, register } from '../client/register.ts'
import type { Reply } from '../client/rest.ts'
import { Constellation } from '../constellation.ts'
import { type Name, nameOf } from '../username.ts'

const RESOURCE_EXHAUSTED = 8
const FEW = { bucket: 6, refill: 100 }
const { rpcs } = AccountsAnonymous
const url = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')

let server: Constellation
let https: Readonly<Record<HttpVersion, Https>>
let grpc: GrpcClient
before(async () => {
  const limits = { checkAccountExistence: FEW, usernameLookup: FEW, usernameLinkLookupPerIp: FEW }
  server = await Constellation.open({ config: { limits } })
  https = { 1: Https.open(server.ready, 1), 2: Https.open(server.ready, 2) }
  grpc = GrpcClient.open(server.ready)
})
after(async () => {
  for (const one of Object.values(https)) await one[Symbol.asyncDispose]()
  await grpc[Symbol.asyncDispose]()
  await server.close()
})

/** Headers by which a proxy tells whom it speaks for, from a client that is none. */
const disguise = () => {
  const address = [...randomBytes(4)].join('.')
  return {
    'x-forwarded-for': address,
    forwarded: `for=${address}`,
    'x-real-ip': address,
    'true-client-ip': address,
  }
}

/** The status of a request that comes from another address of this host. */
const statusFrom = (localAddress: string, method: string, path: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const options = { method, localAddress, ca: readFileSync(server.ready.tls.caPem), agent: false as const }
    const sent = request(new URL(path, server.ready.urls.chat.replace('localhost', '127.0.0.1')), {
      ...options,
      servername: 'localhost',
    })
    sent.on('response', (response) => resolve(response.resume().statusCode!))
    sent.on('error', reject)
    sent.end()
  })

const serviceIdentifier = () => ({ identityType: 1, uuid: uuidToBytes(randomUUID()) })
const LOOKUPS = [
  {
    what: 'accounts',
    method: 'HEAD',
    path: () => `/v1/accounts/account/${randomUUID()}`,
    rpc: (headers: Record<string, string>) =>
      grpc.call(rpcs.checkAccountExistence, { serviceIdentifier: serviceIdentifier() }, headers),
  },
  {
    what: 'usernames',
    method: 'GET',
    path: () => `/v1/accounts/username_hash/${url(randomBytes(32))}`,
    rpc: (headers: Record<string, string>) =>
      grpc.call(rpcs.lookupUsernameHash, { usernameHash: randomBytes(32) }, headers),
  },
  {
    what: 'username links',
    method: 'GET',
    path: () => `/v1/accounts/username_link/${randomUUID()}`,
    rpc: (headers: Record<string, string>) =>
      grpc.call(rpcs.lookupUsernameLink, { usernameLinkHandle: randomBytes(16) }, headers),
  },
]

for (const { what, method, path, rpc } of LOOKUPS)
  test(`L1: lookups of ${what} share one bucket behind every door, whatever address a client claims`, async () => {
    const plain = (httpVersion: HttpVersion) => async () =>
      (await https[httpVersion].call(method, path(), { headers: disguise() })).status
    const socket = (httpVersion: HttpVersion) => async () => {
      await using one = await RawSocket.open(server.ready, httpVersion, { headers: disguise() })
      const inner = Object.entries(disguise()).map(([name, value]) => `${name}: ${value}`)
      return (await one.ask(method, path(), inner)).status
    }
    const doors = [
      ...HTTP_VERSIONS.flatMap((httpVersion) => [plain(httpVersion), socket(httpVersion)]),
      async () => ((await rpc(disguise())).code === 0 ? 404 : 429),
    ]
    const answers = []
    for (const ask of [...doors, plain(1)]) answers.push(await ask())
    assert.deepEqual(answers, [404, 404, 404, 404, 404, 404])
    const late = []
    for (const ask of doors) late.push(await ask())
    assert.deepEqual(late, [429, 429, 429, 429, 429])
    const refused = await https[1].call(method, path(), { headers: disguise() })
    const wait = Number(refused.headers['retry-after'])
    assert.ok(wait > 0 && wait <= FEW.refill, `${wait}`)
    const { code, retryAfterSeconds } = await rpc(disguise())
    assert.equal(code, RESOURCE_EXHAUSTED)
    assert.ok(retryAfterSeconds! > 0 && retryAfterSeconds! <= FEW.refill)
    assert.equal(
      await statusFrom('127.0.0.2', method, path()),
      404,
      'another address has a bucket of its own',
    )
  })

/** What a stranger can tell one answer from another by. */
const looks = ({ status, headers, body }: Reply) => {
  const { date: _, 'x-signal-timestamp': __, ...others } = headers
  return JSON.stringify([status, others, body.toString('base64')])
}

let names = 0
const newName = () => nameOf(`secret_${names++}`)

/** Somebody with a name and a link. */
async function owner(
  at: Constellation,
  over: Https,
): Promise<{ person: Registered; name: Name; handle: string }> {
  const [person, name] = [await register(at), newName()]
  return { person, name, handle: await take(over, person, name) }
}

async function take(over: Https, person: Registered, name: Name): Promise<string> {
  const headers = authorizationOf(person)
  const put = (path: string, json: object) =>
    over.call('PUT', `/v1/accounts/username_hash/${path}`, { headers, json })
  assert.equal((await put('reserve', { usernameHashes: [url(name.hash)] })).status, 200)
  const proof = { zkProof: url(name.proof), encryptedUsername: url(randomBytes(60)) }
  const { status, json } = await put('confirm', { usernameHash: url(name.hash), ...proof })
  assert.equal(status, 200)
  return json.usernameLinkHandle
}

test('R7: a name that is reserved, held, reclaimable or gone looks like one that nobody ever had', async () => {
  await using own = await Constellation.open()
  await using over = Https.open(own.ready, 2)
  await using calls = GrpcClient.open(own.ready)
  const [mover, anew, leaver] = [await owner(own, over), await owner(own, over), await owner(own, over)]
  const reserved = newName()
  const json = { usernameHashes: [url(reserved.hash)] }
  const headers = authorizationOf(mover.person)
  await over.call('PUT', '/v1/accounts/username_hash/reserve', { headers, json })
  await take(over, mover.person, newName())
  await register(own, { number: anew.person.number })
  await over.call('DELETE', '/v1/accounts/me', { headers: authorizationOf(leaver.person) })
  const hidden = [newName(), reserved, mover.name, anew.name, leaver.name]
  const byHash = hidden.map(({ hash }) => over.call('GET', `/v1/accounts/username_hash/${url(hash)}`))
  assert.equal(new Set((await Promise.all(byHash)).map(looks)).size, 1)
  const handles = [randomUUID(), mover.handle, anew.handle, leaver.handle]
  const byHandle = handles.map((handle) => over.call('GET', `/v1/accounts/username_link/${handle}`))
  assert.equal(new Set((await Promise.all(byHandle)).map(looks)).size, 1)
  for (const { hash } of hidden)
    assert.equal(
      (await calls.call(rpcs.lookupUsernameHash, { usernameHash: hash })).reply?.response,
      'notFound',
    )
  for (const handle of handles) {
    const asked = { usernameLinkHandle: uuidToBytes(handle) }
    assert.equal((await calls.call(rpcs.lookupUsernameLink, asked)).reply?.response, 'notFound')
  }
  const exists = (id: string) => over.call('HEAD', `/v1/accounts/account/${id}`)
  const gone = await exists(leaver.person.aci.getServiceIdString())
  assert.equal(gone.status, 404)
  assert.equal(looks(gone), looks(await exists(randomUUID())))
})

test('R7: who does not want to be found by a number is answered for like who is not there', async () => {
  await using own = await Constellation.open()
  await using over = Https.open(own.ready, 2)
  const [curious, shy, leaver] = [await register(own), await register(own), await register(own)]
  const hide = { discoverableByPhoneNumber: false }
  const path = '/v2/accounts/phone_number_discoverability'
  assert.equal((await over.call('PUT', path, { headers: authorizationOf(shy), json: hide })).status, 204)
  await over.call('DELETE', '/v1/accounts/me', { headers: authorizationOf(leaver) })
  const aci = shy.aci.getServiceIdString()
  const accessKeys = [{ aci, accessKey: Buffer.from(shy.accessKey).toString('base64') }]
  const seen = new Set<string>()
  for (const number of [shy.number, leaver.number, newNumber()]) {
    const json = { numbers: [number], accessKeys }
    const reply = await over.call('POST', '/v1/heliograph/discovery', {
      headers: authorizationOf(curious),
      json,
    })
    seen.add(looks({ ...reply, body: Buffer.from(reply.body.toString().replace(number, '+number')) }))
  }
  assert.deepEqual(
    [...seen].map((one) => Buffer.from(JSON.parse(one)[2], 'base64').toString()),
    ['{"entries":[{"number":"+number","pni":null,"aci":null}]}'],
  )
})
