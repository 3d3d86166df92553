import assert from 'node:assert/strict'
import { on, once } from 'node:events'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  createServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { UploadForm } from '../../wire/gen/common.js'
import { Keys, KeysAnonymous } from '../../wire/gen/keys.js'
import { BadRequest, ErrorInfo, RetryInfo, Status } from '../../wire/gen/rpc.js'
import type { Aci, DeviceAddress } from '../../wire/types.ts'
import { ManualClock } from './clock.ts'
import { GrpcDoor } from './grpc.ts'
import { RECEIVE_TIMEOUT_MS } from './grpc-message.ts'
import { type GrpcHandlers, implementService } from './grpc-service.ts'
import { Refusal } from './refusal.ts'

const ALICE: DeviceAddress = { aci: '9d0652a3-dcc3-4d11-975f-74d61598733f' as Aci, deviceId: 3 }
const GET_PRE_KEYS = Keys.rpcs.getPreKeys.path
const GET_COUNT = Keys.rpcs.getPreKeyCount.path
const GET_ANONYMOUSLY = KeysAnonymous.rpcs.getPreKeys.path
const NOW_MS = Date.UTC(2026, 7, 20)
const MAX_BYTES = 512 * 1024

type Answer = { headers: IncomingHttpHeaders; trailers: IncomingHttpHeaders; body: Buffer }
type Sent = { path?: string; headers?: OutgoingHttpHeaders; chunks?: Uint8Array[] }

let handlers: GrpcHandlers<typeof Keys>
let bugs: unknown[]
let clock: ManualClock
let server: ReturnType<typeof createServer>
let session: ClientHttp2Session

const nothing = { targetNotFound: {} } as const

beforeEach(async () => {
  bugs = []
  clock = new ManualClock(NOW_MS)
  handlers = {
    getPreKeyCount: async () => ({ aciEcPreKeyCount: 7 }),
    getPreKeys: async () => nothing,
    setOneTimeEcPreKeys: 'unimplemented',
    setOneTimeKemSignedPreKeys: 'unimplemented',
    setEcSignedPreKey: 'unimplemented',
    setKemLastResortPreKey: 'unimplemented',
  }
  const methods = [
    ...implementService(Keys, {
      ...handlers,
      getPreKeys: (request, call) => (handlers.getPreKeys as GetPreKeys)(request, call),
    }),
    ...implementService(KeysAnonymous, {
      getPreKeys: async () => ({ targetNotFound: {} }),
      checkIdentityKeys: 'unimplemented',
    }),
  ]
  const door = new GrpcDoor({
    methods,
    authenticate: async (authorization) => (authorization === 'Basic right' ? ALICE : undefined),
    clock,
    onBug: (error) => bugs.push(error),
  })
  server = createServer().on('stream', (stream, headers) => door.serve(stream, headers, '192.0.2.7'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})

afterEach(() => {
  session.destroy()
  server.close()
})

type GetPreKeys = Exclude<GrpcHandlers<typeof Keys>['getPreKeys'], 'unimplemented'>
const handle = (getPreKeys: GetPreKeys) => {
  handlers = { ...handlers, getPreKeys }
}

function framed(message: Uint8Array, flag = 0): Buffer {
  const prefix = Buffer.alloc(5)
  prefix[0] = flag
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}

const requestHeaders = (path: string, headers: OutgoingHttpHeaders): OutgoingHttpHeaders => ({
  ':method': 'POST',
  ':path': path,
  'content-type': 'application/grpc',
  te: 'trailers',
  ...(path.startsWith(`/${Keys.name}/`) ? { authorization: 'Basic right' } : {}),
  ...headers,
})

function open({ path = GET_PRE_KEYS, headers = {} }: Sent) {
  const entries = Object.entries(requestHeaders(path, headers)).filter(([, value]) => value !== undefined)
  return session.request(Object.fromEntries(entries))
}

async function answerOf(stream: ReturnType<typeof open>): Promise<Answer> {
  const answer: Answer = { headers: {}, trailers: {}, body: Buffer.alloc(0) }
  stream.on('trailers', (trailers) => Object.assign(answer.trailers, trailers))
  stream.on('data', (chunk: Buffer) => {
    answer.body = Buffer.concat([answer.body, chunk])
  })
  stream.on('response', (headers) => Object.assign(answer.headers, headers))
  await once(stream, 'close')
  return answer
}

async function call(sent: Sent = {}): Promise<Answer> {
  const stream = open(sent)
  for (const chunk of sent.chunks ?? [framed(new Uint8Array(0))]) stream.write(chunk)
  stream.end()
  return answerOf(stream)
}

/** What a failed call says: it must come as headers alone, in HTTP status 200. */
function failure({ headers, body }: Answer) {
  assert.equal(headers[':status'], 200)
  assert.equal(headers['x-signal-timestamp'], String(NOW_MS))
  assert.equal(body.length, 0)
  const text = headers['grpc-status-details-bin']
  const status = typeof text === 'string' ? Status.decode(Buffer.from(text, 'base64')) : undefined
  const detail = (name: string) =>
    status?.details.find(({ type_url }) => type_url.endsWith(`google.rpc.${name}`))
  const info = detail('ErrorInfo')
  const { reason, domain } = info ? ErrorInfo.decode(info.value) : {}
  if (status)
    assert.deepEqual([status.code, domain], [Number(headers['grpc-status']), 'grpc.chat.signal.org'])
  return { code: Number(headers['grpc-status']), reason, status, detail }
}

const verdict = (answer: Answer) => {
  const { code, reason } = failure(answer)
  return reason ? `${code} ${reason}` : String(code)
}

test('a call gets its answer, status 0 in the trailers and the time of the server', async () => {
  const { headers, trailers, body } = await call({ path: GET_COUNT })
  assert.equal(headers[':status'], 200)
  assert.equal(headers['content-type'], 'application/grpc')
  assert.equal(headers['x-signal-timestamp'], String(NOW_MS))
  assert.equal(trailers['grpc-status'], '0')
  assert.deepEqual(body, framed(Keys.rpcs.getPreKeyCount.response.encode({ aciEcPreKeyCount: 7 }).finish()))
})

test('a handler learns the request, the device, the address and the languages', async () => {
  const seen: unknown[] = []
  handle(async (request, seenCall) => {
    seen.push(request.deviceId, seenCall)
    return nothing
  })
  const message = Keys.rpcs.getPreKeys.request.encode({ deviceId: 2 }).finish()
  await call({ chunks: [framed(message)], headers: { 'user-agent': 'Helio/1', 'accept-language': 'de, en' } })
  const expected = {
    device: ALICE,
    remoteAddress: '192.0.2.7',
    userAgent: 'Helio/1',
    acceptLanguage: 'de, en',
  }
  assert.deepEqual(seen, [2, expected])
})

test('a request may come byte by byte', async () => {
  const lengths: number[] = []
  handle(async ({ targetIdentifier }) => {
    lengths.push(targetIdentifier?.uuid.length ?? 0)
    return nothing
  })
  const message = Keys.rpcs.getPreKeys.request
    .encode({ targetIdentifier: { uuid: Buffer.alloc(300) } })
    .finish()
  const { trailers } = await call({ chunks: [...framed(message)].map((byte) => Uint8Array.of(byte)) })
  assert.equal(trailers['grpc-status'], '0')
  assert.deepEqual(lengths, [300])
})

test('calls on one connection do not wait for each other', async () => {
  const { promise, resolve } = Promise.withResolvers<typeof nothing>()
  handle(() => promise)
  const slow = call()
  assert.equal((await call({ path: GET_COUNT })).trailers['grpc-status'], '0')
  resolve(nothing)
  assert.equal((await slow).trailers['grpc-status'], '0')
})

test('what nobody implements is UNIMPLEMENTED', async () => {
  for (const path of ['/', '/org.signal.chat.keys.Keys/Nothing', Keys.rpcs.setEcSignedPreKey.path])
    assert.equal(verdict(await call({ path })), '12')
})

test('a device service refuses absent and wrong credentials', async () => {
  for (const authorization of [undefined, '', 'Basic wrong']) {
    const answer = await call({ headers: { authorization } })
    assert.equal(verdict(answer), '16 INVALID_CREDENTIALS')
  }
})

test('an anonymous service refuses any credentials', async () => {
  const headers = { authorization: 'Basic right' }
  assert.equal(verdict(await call({ path: GET_ANONYMOUSLY, headers })), '3 BAD_AUTHENTICATION')
  assert.equal((await call({ path: GET_ANONYMOUSLY })).trailers['grpc-status'], '0')
})

test('every refusal has its status and its reason', async () => {
  const expected = {
    'bad-request': '3 CONSTRAINT_VIOLATED',
    'invalid-credentials': '16 INVALID_CREDENTIALS',
    'credentials-forbidden': '3 BAD_AUTHENTICATION',
    forbidden: '3 BAD_AUTHENTICATION',
    'not-found': '5',
    timeout: '14 UNAVAILABLE',
    'too-large': '3 CONSTRAINT_VIOLATED',
    invalid: '3 CONSTRAINT_VIOLATED',
    'rate-limited': '8 RESOURCE_EXHAUSTED',
    'upgrade-required': '3 UPGRADE_REQUIRED',
    unavailable: '14 UNAVAILABLE',
  } as const
  for (const [kind, outcome] of Object.entries(expected)) {
    handle(() => Promise.reject(new Refusal(kind as keyof typeof expected)))
    assert.equal(verdict(await call()), outcome, kind)
  }
  assert.deepEqual(bugs, [])
})

test('a refusal that knows the field names it', async () => {
  handle(() => Promise.reject(new Refusal('invalid', { field: 'pre_keys', message: '100 % zu groß' })))
  const answer = await call()
  const violation = BadRequest.decode(failure(answer).detail('BadRequest')!.value).fieldViolations[0]!
  assert.deepEqual([violation.field, violation.description], ['pre_keys', '100 % zu groß'])
  assert.equal(answer.headers['grpc-message'], '100 %25 zu gro%C3%9F')
})

test('a caller who came too often learns when to come again', async () => {
  handle(() => Promise.reject(new Refusal('rate-limited', { retryAfterSeconds: 12.2 })))
  const answer = await call()
  assert.equal(RetryInfo.decode(failure(answer).detail('RetryInfo')!.value).retryDelay?.seconds, 13)
  assert.equal(answer.headers['retry-after'], '13')
})

test('a bug is told once, and the caller learns nothing of it', async () => {
  for (const bug of [new TypeError('secret'), 'secret', undefined]) {
    bugs.length = 0
    handle(() => Promise.reject(bug))
    const answer = await call()
    assert.deepEqual(bugs, [bug])
    assert.equal(verdict(answer), '2')
    assert.ok(!JSON.stringify(answer.headers).includes('secret'))
  }
})

test('an answer that cannot be encoded is a bug', async () => {
  handle(async () => null as never)
  assert.equal(verdict(await call()), '2')
  assert.equal(bugs.length, 1)
})

test('bytes that are no such message violate the contract', async () => {
  assert.equal(verdict(await call({ chunks: [framed(Buffer.of(0x0a, 0xff))] })), '3 CONSTRAINT_VIOLATED')
  assert.deepEqual(bugs, [])
})

test('a request must be one whole message, and not compressed', async () => {
  const empty = framed(new Uint8Array(0))
  const cases: [Uint8Array[], string][] = [
    [[], '13'],
    [[empty.subarray(0, 3)], '13'],
    [[framed(Buffer.alloc(10)).subarray(0, 12)], '13'],
    [[empty, empty], '13'],
    [[Buffer.concat([empty, Buffer.of(0)])], '13'],
    [[framed(Buffer.alloc(4), 1)], '12'],
    [[framed(Buffer.alloc(4), 7)], '12'],
  ]
  for (const [chunks, expected] of cases) assert.equal(verdict(await call({ chunks })), expected)
})

test('a request without a body is no message', async () => {
  const stream = session.request(requestHeaders(GET_PRE_KEYS, {}), { endStream: true })
  assert.equal(verdict(await answerOf(stream)), '13')
})

test('a message up to the limit is read; a longer one is refused before it comes', async () => {
  const within = UploadForm.encode({ signedUploadLocation: '\0'.repeat(MAX_BYTES - 4) }).finish()
  assert.equal(within.length, MAX_BYTES)
  assert.equal((await call({ chunks: [framed(within)] })).trailers['grpc-status'], '0')

  const stream = open({})
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(MAX_BYTES + 1, 1)
  stream.write(prefix)
  assert.equal(verdict(await answerOf(stream)), '8')
  assert.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR)
})

test('an RPC may have a limit of its own', async () => {
  const path = Keys.rpcs.setOneTimeEcPreKeys.path
  assert.equal(Keys.rpcs.setOneTimeEcPreKeys.maxRequestBytes, 16_384)
  const [method] = implementService(Keys, {
    ...handlers,
    getPreKeyCount: 'unimplemented',
    getPreKeys: 'unimplemented',
    setOneTimeEcPreKeys: async () => ({}),
  })
  assert.deepEqual([method?.rpc.path, method?.maxRequestBytes], [path, 16_384])
})

test('a request that never ends is given up', async () => {
  const stream = open({})
  stream.write(Buffer.of(0, 0))
  await once(server, 'stream')
  await setImmediate()
  clock.advance(RECEIVE_TIMEOUT_MS)
  clock.set(NOW_MS)
  const answer = await answerOf(stream)
  assert.equal(answer.headers['grpc-status'], '14')
})

test('other methods and content types are refused by HTTP', async () => {
  const get = session.request({ ':method': 'GET', ':path': GET_COUNT, 'content-type': 'application/grpc' })
  assert.equal((await answerOf(get)).headers[':status'], 405)
  for (const contentType of [
    'application/grpc-web',
    'application/grpc+json',
    'application/json',
    'text/plain',
  ])
    assert.equal((await call({ headers: { 'content-type': contentType } })).headers[':status'], 415)
  for (const contentType of ['application/grpc+proto', 'application/grpc; charset=utf-8'])
    assert.equal((await call({ headers: { 'content-type': contentType } })).trailers['grpc-status'], '0')
})

test('a client may go away, and a connection may break, with calls in the air', async () => {
  const endings = [
    (streams: ClientHttp2Stream[]) => streams.map((stream) => stream.close(constants.NGHTTP2_CANCEL)),
    () => session.socket.destroy(),
  ]
  for (const end of endings) {
    const entered = Promise.withResolvers<void>()
    const { promise, resolve } = Promise.withResolvers<typeof nothing>()
    handle(() => {
      entered.resolve()
      return promise
    })
    const served = on(server, 'stream')
    const streams = [open({}), open({})].map((stream) => stream.on('error', () => {}))
    streams[0]!.write(Buffer.of(0))
    streams[1]!.end(framed(new Uint8Array(0)))
    await entered.promise
    const [first, second] = [await served.next(), await served.next()].map(({ value }) => value![0])
    end(streams)
    await Promise.all([first, second].map((stream) => stream.closed || once(stream, 'close')))
    resolve(nothing)
    await setImmediate()
  }
  assert.deepEqual(bugs, [])
})

test('a forgotten RPC and an answer without an outcome do not compile', () => {
  // @ts-expect-error checkIdentityKeys is missing
  implementService(KeysAnonymous, { getPreKeys: async () => ({ targetNotFound: {} }) })
  implementService(KeysAnonymous, {
    // @ts-expect-error neither keys nor an error
    getPreKeys: async () => ({}),
    // @ts-expect-error one reply where replies are streamed
    checkIdentityKeys: async () => ({}),
  })
})
