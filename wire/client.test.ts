import assert from 'node:assert/strict'
import { test } from 'node:test'
import { callRoute, type Transport, UnexpectedStatus } from './client.ts'
import { ROUTES } from './routes.ts'
import { type Aci, type DeviceId, parseServiceId, type ServiceId } from './types.ts'

const ACI = '0f7b5f2e-7d0e-4c39-9a07-3a6f4f5a3c11' as Aci
const KEY = Buffer.alloc(33, 5)
const SIGNED = { keyId: 7, publicKey: KEY, signature: Buffer.alloc(64, 9) }

type Seen = Parameters<Transport>

/** Answers with what it is given, and remembers what was asked. */
function answering(status: number, body: unknown = undefined, headers: Record<string, string> = {}) {
  const seen: Seen[] = []
  const bytes = body === undefined ? new Uint8Array() : Buffer.from(JSON.stringify(body))
  const transport: Transport = async (...request) => {
    seen.push(request)
    return { status, headers, body: bytes }
  }
  return { transport, seen }
}

const sentJson = (seen: readonly Seen[]) => JSON.parse(Buffer.from(seen[0]![3]).toString())

test('parameters, query and body go out as wire strings', async () => {
  const { transport, seen } = answering(200, { needsSync: true })
  const message = {
    type: 1 as const,
    destinationDeviceId: 1 as DeviceId,
    destinationRegistrationId: 9,
    content: Buffer.from([255, 1]),
  }
  const reply = await callRoute(transport, ROUTES.messages.send, {
    params: { destination: parseServiceId(`PNI:${ACI}`) as ServiceId },
    query: { story: false },
    body: { messages: [message], timestamp: 5 },
    extra: { authorization: 'Basic eDp5' },
  })
  assert.deepEqual(reply, { status: 200, headers: {}, body: { needsSync: true } })
  const [method, target, headers] = seen[0]!
  assert.deepEqual([method, target], ['PUT', `/v1/messages/PNI%3A${ACI}?story=false`])
  assert.deepEqual(headers, { 'content-type': 'application/json', authorization: 'Basic eDp5' })
  assert.deepEqual(sentJson(seen), { messages: [{ ...message, content: '/wE' }], timestamp: 5 })
})

test('an answer comes back as values', async () => {
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64').replace(/=+$/, '')
  const signed = { keyId: 7, publicKey: text(KEY), signature: text(SIGNED.signature) }
  const device = { deviceId: 1, registrationId: 2, signedPreKey: signed }
  const kem = { keyId: 8, publicKey: Buffer.alloc(1569, 8).toString('base64'), signature: signed.signature }
  const { transport, seen } = answering(200, {
    identityKey: KEY.toString('base64'),
    devices: [{ ...device, pqPreKey: kem }],
  })
  const reply = await callRoute(transport, ROUTES.keys.take, { params: { serviceId: ACI, device: '*' } })
  assert.equal(seen[0]![1], `/v2/keys/${ACI}/*`)
  assert.ok(reply.status === 200)
  assert.deepEqual(Buffer.from(reply.body.identityKey), KEY)
  assert.deepEqual(Buffer.from(reply.body.devices[0]!.signedPreKey.signature), SIGNED.signature)
})

test('a declared outcome without a body is an answer', async () => {
  const { transport, seen } = answering(404)
  const reply = await callRoute(transport, ROUTES.accounts.exists, { params: { serviceId: ACI } })
  assert.equal(reply.status, 404)
  assert.equal(seen[0]![3].length, 0)
})

test('headers of a route are optional where it says so', async () => {
  const { transport, seen } = answering(304, undefined, { etag: '"x"' })
  const reply = await callRoute(transport, ROUTES.configuration.get, { headers: { 'if-none-match': '"x"' } })
  assert.deepEqual([reply.status, reply.headers?.['etag']], [304, '"x"'])
  assert.deepEqual(seen[0]![2], { 'if-none-match': '"x"' })
})

test('a status that the route does not declare is thrown with what came', async () => {
  const { transport } = answering(429, undefined, { 'retry-after': '3' })
  await assert.rejects(callRoute(transport, ROUTES.devices.list, {}), (error: UnexpectedStatus) => {
    assert.ok(error instanceof UnexpectedStatus)
    assert.deepEqual([error.reply.status, error.reply.headers['retry-after']], [429, '3'])
    return true
  })
})

test('a body that is not as declared is thrown', async () => {
  const { transport } = answering(200, { devices: [{ id: 0 }] })
  await assert.rejects(callRoute(transport, ROUTES.devices.list, {}), /malformed/)
})

test('what a call needs and what it answers is typed', () => {
  const { transport } = answering(200)
  const never = () => {
    // @ts-expect-error a parameter is missing
    void callRoute(transport, ROUTES.accounts.exists, {})
    // @ts-expect-error a body is missing
    void callRoute(transport, ROUTES.keys.store, {})
    // @ts-expect-error no such status
    void callRoute(transport, ROUTES.devices.list, {}).then((reply) => reply.status === 404)
  }
  assert.equal(typeof never, 'function')
})
