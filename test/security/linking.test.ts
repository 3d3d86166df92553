// Who gets onto an account, and what is left of whoever was removed (cases A2, D1, D2).
import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { type Account, deviceOf } from '../../server/chat/accounts/account.ts'
import type { Token } from '../../server/chat/linking/linking.ts'
import { encodeEnvelope } from '../../server/chat/messages/envelope.ts'
import { Sockets } from '../../server/chat/messages/sockets.ts'
import { queueOf } from '../../server/chat/messages/store.ts'
import { Refusal } from '../../server/kit/refusal.ts'
import { Devices as DevicesService } from '../../wire/gen/device.js'
import { Envelope } from '../../wire/gen/envelope.js'
import { type Aci, uuidToBytes } from '../../wire/types.ts'
import { encodeRequest } from '../../wire/websocket.ts'
import { openRules, type Rules } from '../chat-rules.ts'
import { GrpcClient } from '../client/grpc.ts'
import { authorizationOf, basic, Https } from '../client/https.ts'
import { linkBody, linkDevice, newKeysOf } from '../client/linked-device.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { RawSocket } from '../client/raw-socket.ts'
import { type Registered, register } from '../client/register.ts'
import { Constellation } from '../constellation.ts'
import { FakeConnection } from '../fake-connection.ts'
import { addOwner, newDevice, primaryOf, tokenOf } from '../joiner.ts'
import { sampleDevice } from '../sample-account.ts'

const limits = { allocateDevice: { bucket: 100_000 }, verifyDevice: { bucket: 100_000 } }
let server: Constellation
before(async () => {
  server = await Constellation.open({ config: { limits } })
})
after(() => server.close())

const tokenFrom = async (https: Https, by: Registered): Promise<string> => {
  const { json } = await https.call('GET', '/v1/devices/provisioning/code', { headers: authorizationOf(by) })
  return json.verificationCode
}
const deviceCount = async (https: Https, by: Registered): Promise<number> =>
  (await https.call('GET', '/v1/devices', { headers: authorizationOf(by) })).json.devices.length

const MALFORMED = [
  '',
  ' ',
  'Basic',
  'Basic ',
  'Basic =',
  'Basic ====',
  'Basic YQ==',
  'Bearer x',
  'basic:x',
  'YTpi',
  'Basic Og==',
  basic('a', ''),
]

for (const httpVersion of HTTP_VERSIONS)
  test(`A2: without a new password nothing is linked, and nothing breaks (HTTP/${httpVersion})`, async () => {
    await using https = Https.open(server.ready, httpVersion)
    await using socket = await RawSocket.open(server.ready, httpVersion)
    const phone = await register(server, { httpVersion })
    const token = await tokenFrom(https, phone)
    const json = linkBody(token, newKeysOf(phone))
    const body = Buffer.from(JSON.stringify(json))
    const inSocket = (headers: string[]) => socket.ask('PUT', '/v1/devices/link', headers, body)
    assert.equal((await https.call('PUT', '/v1/devices/link', { json })).status, 401)
    assert.equal((await inSocket([])).status, 401)
    for (const authorization of MALFORMED) {
      const { status } = await https.call('PUT', '/v1/devices/link', { headers: { authorization }, json })
      assert.equal(status, 401, authorization)
      assert.equal((await inSocket([`authorization:${authorization}`])).status, 401, authorization)
    }
    assert.equal(await deviceCount(https, phone), 1)
    assert.equal((await inSocket([`authorization:${basic('a', 'b')}`])).status, 200, 'the token was not lost')
  })

test('D1: of many who use a token at the same moment one gets in', async () => {
  const phone = await register(server)
  const doors = HTTP_VERSIONS.map((httpVersion) => Https.open(server.ready, httpVersion))
  const token = await tokenFrom(doors[0]!, phone)
  const attempts = Array.from({ length: 12 }, (_, index) =>
    doors[index % 2]!.call('PUT', '/v1/devices/link', {
      headers: { authorization: basic('x', `password ${index}`) },
      json: linkBody(token, newKeysOf(phone)),
    }),
  )
  const statuses = (await Promise.all(attempts)).map(({ status }) => status).sort()
  assert.deepEqual(statuses, [200, ...new Array(11).fill(403)])
  assert.equal(await deviceCount(doors[0]!, phone), 2)
  for (const https of doors) await https[Symbol.asyncDispose]()
})

test('D1: a linked device lets nobody in: neither by a token of its own, nor by waiting for one', async () => {
  const phone = await register(server)
  const laptop = await linkDevice(server, phone)
  await using https = Https.open(server.ready, 2)
  const headers = authorizationOf(laptop)
  assert.equal((await https.call('GET', '/v1/devices/provisioning/code', { headers })).status, 401)
  const path = `/v1/devices/wait_for_linked_device/${Buffer.alloc(32).toString('base64url')}?timeout=1`
  assert.equal((await https.call('GET', path, { headers })).status, 400)
})

for (const httpVersion of HTTP_VERSIONS)
  test(`D1: whoever is removed is cut off within a second, on every socket (HTTP/${httpVersion})`, async () => {
    const phone = await register(server, { httpVersion })
    const laptop = await linkDevice(server, phone, { httpVersion })
    await using https = Https.open(server.ready, httpVersion)
    const headers = authorizationOf(laptop)
    const reader = await RawSocket.open(server.ready, httpVersion, { headers })
    const quiet = await RawSocket.open(server.ready, httpVersion, {
      headers: { ...headers, 'x-signal-disable-messages': 'true' },
    })
    await using grpc = GrpcClient.open(server.ready)
    assert.equal((await grpc.call(DevicesService.rpcs.getDevices, {}, headers)).code, 0)
    // What it waits for keeps neither it nor the server.
    reader.websocket.send(
      encodeRequest({
        ...{ verb: 'GET', path: '/v1/devices/transfer_archive?timeout=3600', headers: [] },
        ...{ body: Buffer.alloc(0), id: 77 },
      }),
    )
    await reader.ask('GET', '/v1/keepalive')
    const atMs = performance.now()
    assert.equal(
      (await https.call('DELETE', '/v1/devices/2', { headers: authorizationOf(phone) })).status,
      204,
    )
    for (const socket of [reader, quiet]) assert.equal((await socket.closed()).code, 4401)
    assert.ok(performance.now() - atMs < 1_000)
    // A connection that proved its credentials before must not live on them.
    const { code, reason } = await grpc.call(DevicesService.rpcs.getDevices, {}, headers)
    assert.deepEqual([code, reason], [16, 'INVALID_CREDENTIALS'])
    assert.equal((await https.call('GET', '/v1/devices', { headers })).status, 401)
    for (const socket of [reader, quiet]) await socket[Symbol.asyncDispose]()
  })

type Life = { readonly id: number; readonly tag: number }
const lifeOf = ({ id, registrationId }: { id: number; registrationId: number }): Life => ({
  id,
  tag: registrationId,
})
const text = ({ id, tag }: Life) => `${id}:${tag}`

/** A message that says for whom it is. */
function letterTo(account: Account, to: string) {
  const message = {
    type: 1,
    source: undefined,
    destination: account.aci,
    clientTimestampMs: 1,
    serverTimestampMs: 1,
    urgent: true,
    story: false,
    content: Buffer.from(to),
  }
  return { envelope: encodeEnvelope(message, Buffer.alloc(16)), about: message, urgent: true }
}
const contentOf = (envelope: Uint8Array) => Buffer.from(Envelope.decode(envelope).content).toString()

/** What happens to one account, with whatever may happen at the same time. Each life of a device has a number of its own. */
class Turmoil {
  readonly rules: Rules
  readonly aci: Aci
  readonly sockets: { readonly life: Life; readonly socket: FakeConnection }[] = []
  #tag = 1
  #asking: Promise<unknown> = Promise.resolve()
  readonly #sockets: Sockets

  constructor(rules: Rules, aci: Aci) {
    this.rules = rules
    this.aci = aci
    this.#sockets = new Sockets({ ...rules, idlePrimaryMs: 86_400_000 })
  }

  async account(): Promise<Account> {
    return (await this.rules.accounts.find(this.aci))!
  }

  readonly steps = {
    /** A token that is asked for, and used a moment later. */
    link: async (delay: number) => {
      const tag = ++this.#tag
      const made = await this.#token()
      if (made.kind === 'full') return
      await this.#pause(delay)
      const linkage = await this.rules.linking.link(made.token, newDevice({ registrationId: tag }))
      if (linkage.kind === 'linked') await this.#connect(linkage.device.id, tag)
    },
    unlink: async (id: number) => {
      await this.rules.devices.remove(primaryOf(this.aci), 2 + (id % 5))
    },
    /** One-time keys, of the device in the life that it has now. */
    upload: async (id: number) => {
      const device = deviceOf(await this.account(), 2 + (id % 5))
      const ec = device && [{ keyId: device.registrationId, publicKey: newDevice().keys.aci.ec.publicKey }]
      if (device) await this.rules.keys.store({ aci: this.aci, deviceId: device.id }, 'aci', { ec })
    },
    /** To every device that there is, a moment later. */
    send: async (delay: number) => {
      const account = await this.account()
      await this.#pause(delay)
      await this.rules.queues.add(
        account.devices.map((device) => ({
          queue: queueOf(account, device),
          ...letterTo(account, text(lifeOf(device))),
        })),
      )
    },
    /** The wall clock, which nobody may count on. */
    stepBack: async (ms: number) => {
      this.rules.clock.set(this.rules.clock.nowMs() - ms)
    },
    register: async (delay: number) => {
      const account = await this.account()
      await this.#pause(delay % 2)
      const createdAtMs = Math.max(
        this.rules.clock.nowMs(),
        ...account.devices.map((one) => one.createdAtMs + 1),
      )
      const devices = [sampleDevice({ createdAtMs, registrationId: ++this.#tag })]
      const anew = { ...account, version: account.version + 1, devices }
      const others = [
        ...this.rules.accounts.replacing(account),
        ...this.rules.keys.forNewDevice(this.aci, 1, newDevice().keys as never),
      ]
      if (await this.rules.accounts.put(anew, others))
        this.rules.accounts.sendAway(
          this.aci,
          account.devices.map(({ id }) => id),
        )
    },
  }

  /** One after the other: two tokens of one millisecond are one. */
  #token(): Promise<Token> {
    const asked = this.#asking.then(() => {
      this.rules.clock.advance(1)
      return this.rules.linking.token(primaryOf(this.aci))
    })
    this.#asking = asked
    return asked
  }

  /** As a client does: with its password, over the door. */
  async #connect(id: number, tag: number): Promise<void> {
    const admission = await this.#sockets.admit({
      path: '/v1/websocket/',
      headers: { authorization: basic(`${this.aci}.${id}`, 'a new password') },
      remoteAddress: '192.0.2.1',
    })
    if (!admission?.admitted) return
    const { device } = admission
    const now = deviceOf(await this.account(), id)
    if (!device || now?.registrationId !== tag) return
    const socket = new FakeConnection()
    this.sockets.push({ life: { id, tag }, socket })
    admission.opened(socket.connection)
  }

  /** About a millisecond each. */
  async #pause(reads: number): Promise<void> {
    for (let read = 0; read < reads; read++) await this.rules.sql.read('SELECT COUNT(*) FROM devices')
  }

  async rows(table: string): Promise<Life[]> {
    const column = table === 'repeated_use_pre_keys' ? 'device_id AS key_id' : 'key_id'
    const sql = `SELECT DISTINCT device_id, ${column} FROM ${table} WHERE aci = $1`
    const rows = await this.rules.sql.read(sql, [uuidToBytes(this.aci)])
    return rows.map((row) => ({ id: row['device_id'] as number, tag: row['key_id'] as number }))
  }
}

/** What a client may be answered is no failure. */
const tolerant = (step: Promise<void>) =>
  step.catch((error: unknown) => {
    if (!(error instanceof Refusal)) throw error
  })

async function assertInOrder(turmoil: Turmoil): Promise<void> {
  const { rules } = turmoil
  await rules.sql.idle()
  const account = await turmoil.account()
  const lives = account.devices.map(lifeOf)
  const ids = lives.map(({ id }) => id)
  assert.ok(ids.length <= 6, `${ids.length} devices`)
  assert.equal(new Set(ids).size, ids.length)
  const repeated = await turmoil.rows('repeated_use_pre_keys')
  assert.deepEqual(
    repeated.map(({ id }) => id).sort(),
    [...ids].sort(),
    'every device has its keys, and nobody else',
  )
  const living = new Set(lives.map(text))
  for (const life of await turmoil.rows('one_time_ec_pre_keys'))
    assert.ok(living.has(text(life)), `a key of ${text(life)} is left, which is gone`)
  for (const device of account.devices)
    for (const { envelope } of await rules.queues.page(queueOf(account, device), 0, 1000))
      assert.equal(contentOf(envelope), text(lifeOf(device)), 'a message to a device before it')
  for (const { life, socket } of turmoil.sockets) {
    for (const { envelope } of socket.messages)
      assert.equal(Buffer.from(envelope.content).toString(), text(life), 'a message to another life')
    assert.equal(socket.closeCode, living.has(text(life)) ? undefined : 4401, `the socket of ${text(life)}`)
  }
}

test('D2: whatever happens at once, there are never more than six devices, and nothing is left of a removed one', async (t: TestContext) => {
  const rules = await openRules(t, { limits })
  const step = fc.record({
    what: fc.oneof(
      { weight: 9, arbitrary: fc.constant('link' as const) },
      { weight: 4, arbitrary: fc.constant('unlink' as const) },
      { weight: 4, arbitrary: fc.constant('upload' as const) },
      { weight: 3, arbitrary: fc.constant('send' as const) },
      { weight: 1, arbitrary: fc.constant('register' as const) },
      { weight: 2, arbitrary: fc.constant('stepBack' as const) },
    ),
    how: fc.nat(9),
  })
  const storm = fc.array(fc.array(step, { minLength: 1, maxLength: 14 }), { minLength: 1, maxLength: 4 })
  let linked = 0
  const property = fc.asyncProperty(storm, async (bursts) => {
    const { aci } = await addOwner(rules)
    await rules.sql.write(rules.keys.forNewDevice(aci, 1, newDevice().keys as never))
    const turmoil = new Turmoil(rules, aci)
    for (const burst of bursts) {
      await Promise.all(burst.map(({ what, how }) => tolerant(turmoil.steps[what](how))))
      await assertInOrder(turmoil)
    }
    linked += turmoil.sockets.length
  })
  await fc.assert(property, { numRuns: 30 })
  assert.ok(linked > 20, `only ${linked} devices were linked`)
})

test('D2: a token of before a removal links a device anew, which gets no message of the one before it', async (t) => {
  const rules = await openRules(t, { limits })
  const { aci } = await addOwner(rules)
  const turmoil = new Turmoil(rules, aci)
  const first = await rules.linking.link((await tokenOf(rules, aci)).token, newDevice({ registrationId: 2 }))
  assert.ok(first.kind === 'linked')
  rules.clock.advance(1)
  const { token } = await tokenOf(rules, aci)
  const before = await turmoil.account()
  // The clock steps back: the second device is made in the very millisecond of the first.
  rules.clock.set(first.device.createdAtMs)
  await rules.devices.remove(primaryOf(aci), 2)
  const second = await rules.linking.link(token, newDevice({ registrationId: 3 }))
  assert.ok(second.kind === 'linked')
  // A message that was addressed when the first was there.
  const letters = before.devices.map((device) => ({
    queue: queueOf(before, device),
    ...letterTo(before, text(lifeOf(device))),
  }))
  await rules.queues.add(letters)
  const account = await turmoil.account()
  const page = await rules.queues.page(queueOf(account, deviceOf(account, 2)!), 0, 10)
  assert.deepEqual([second.device.id, page], [2, []])
})
