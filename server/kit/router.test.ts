import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { z } from 'zod'
import { type Bound, implement, json, nothing, octets, route } from '../../wire/route.ts'
import { base64, deviceId } from '../../wire/types.ts'
import { ManualClock } from './clock.ts'
import { REFUSAL_STATUS, Refusal, type RefusalKind } from './refusal.ts'
import { type Request, Router } from './router.ts'

const NOW_MS = 1_800_000_000_000
const things = {
  read: route({
    method: 'GET',
    path: '/things/:name',
    auth: 'none',
    summary: '',
    params: { name: z.string().min(2) },
    query: { size: z.enum(['big', 'small']).optional() },
    headers: { 'x-colour': z.string().max(4).optional() },
    replies: { 200: json(z.object({ params: z.unknown(), query: z.unknown(), headers: z.unknown() })) },
  }),
  write: route({
    method: 'PUT',
    path: '/things/:name',
    auth: 'none',
    summary: '',
    body: json(z.object({ id: deviceId, bytes: base64('padded') })),
    replies: { 200: json(z.object({ bytes: base64('unpadded') })), 204: nothing },
  }),
  look: route({
    method: 'HEAD',
    path: '/looks',
    auth: 'none',
    summary: '',
    replies: { 200: nothing, 404: nothing },
  }),
  raw: route({
    method: 'POST',
    path: '/raw',
    auth: 'none',
    summary: '',
    body: octets(),
    replies: { 200: octets() },
  }),
  own: route({
    method: 'GET',
    path: '/own',
    auth: 'none',
    socket: 'provisioning',
    summary: '',
    replies: { 200: nothing },
  }),
  fail: route({ method: 'GET', path: '/fail', auth: 'none', summary: '', replies: { 200: nothing } }),
}

function open(fail: () => unknown = () => ({ status: 200 })) {
  const bugs: { error: unknown; route: string }[] = []
  const bound: Bound[] = implement(things, {
    read: async ({ params, query, headers }) => ({ status: 200, body: { params, query, headers } }),
    write: async ({ body }) =>
      body.id === 2
        ? { status: 204 }
        : { status: 200, body: { bytes: body.bytes }, headers: { ETag: '"x"' } },
    look: async () => ({ status: 404 }),
    raw: async ({ body }) => ({ status: 200, body }),
    own: async () => ({ status: 200 }),
    fail: async () => fail() as never,
  })
  const router = new Router(bound, {
    clock: new ManualClock(NOW_MS),
    authenticate: async () => undefined,
    onBug: (error, name) => bugs.push({ error, route: name }),
  })
  const ask = async (method: string, target: string, fields: Partial<Request> = {}) => {
    const channel = { door: 'rest', remoteAddress: '192.0.2.1' } as const
    const { status, headers, body } = await router.handle({
      ...{ method, target, headers: {}, body: Buffer.alloc(0), channel },
      ...fields,
    })
    const text = Buffer.from(body).toString()
    return { status, headers, text, json: () => JSON.parse(text) }
  }
  return { ask, bugs, router }
}

test('a path is the same with a slash at its end, and its parts are decoded', async () => {
  const { ask } = open()
  for (const target of [
    '/things/a%2Fb',
    '/things/a%2Fb/',
    '/things/a%2fb?size=big',
    'https://x/things/a%2Fb',
  ])
    assert.equal((await ask('GET', target)).json().params.name, 'a/b')
  assert.equal((await ask('GET', '/things/%E2%82%AC%20')).json().params.name, '€ ')
})

test('a path that is badly encoded, or is no path, is not found', async () => {
  const { ask, bugs } = open()
  const targets = [
    '/things/%zz',
    '/things/%E0%A4%A',
    '/things/%',
    '/%',
    '',
    '*',
    'things/ab',
    '//things/ab',
    '/things/ab/c',
    '/THINGS/ab',
    '?',
    '/?',
    '#',
    `/things/${'a'.repeat(5_000)}`,
  ]
  for (const target of targets) {
    const { status, headers } = await ask('GET', target)
    assert.equal(status, 404, target)
    assert.equal(headers['X-Signal-Timestamp'], String(NOW_MS))
  }
  assert.deepEqual(bugs, [])
})

test('a method that a path does not have is 405, and those it has are told', async () => {
  const { ask } = open()
  const allowed: [string, string, string][] = [
    ['POST', '/things/ab', 'GET, PUT'],
    ['PUT', '/looks', 'HEAD'],
    ['GET', '/raw', 'POST'],
    ['HEAD', '/fail', 'GET'],
    ['BREW', '/things/ab/', 'GET, PUT'],
    ['__proto__', '/fail', 'GET'],
    ['', '/fail', 'GET'],
    ['get', '/fail', 'GET'],
  ]
  for (const [method, target, names] of allowed) {
    const { status, headers, text } = await ask(method, target)
    assert.deepEqual([status, headers['Allow'], text], [405, names, ''], `${method} ${target}`)
  }
  assert.equal((await ask('BREW', '/nowhere')).status, 404)
})

test('a HEAD is answered by its own route, without a body', async () => {
  const { ask } = open()
  const { status, headers, text } = await ask('HEAD', '/looks')
  assert.deepEqual([status, text, headers], [404, '', { 'X-Signal-Timestamp': String(NOW_MS) }])
})

test('values are decoded, and what breaks the contract is 422 and named', async () => {
  const { ask, bugs } = open()
  const fine = await ask('GET', '/things/ab?size=big&other=1', { headers: { 'x-colour': 'red', other: '1' } })
  assert.deepEqual(fine.json(), {
    params: { name: 'ab' },
    query: { size: 'big' },
    headers: { 'x-colour': 'red' },
  })
  const broken: [string, Partial<Request>, RegExp][] = [
    ['/things/a', {}, /^path name: /],
    ['/things/ab?size=huge', {}, /^query size: /],
    ['/things/ab?size=big&size=small', {}, /^query size: /],
    ['/things/ab', { headers: { 'x-colour': 'purple' } }, /^header x-colour: /],
  ]
  for (const [target, fields, issue] of broken) {
    const { status, headers, json } = await ask('GET', target, fields)
    assert.deepEqual([status, headers['Content-Type']], [422, 'application/json'])
    assert.match(json().errors[0], issue)
  }
  assert.deepEqual(bugs, [])
})

test('a body is decoded, and one that breaks the contract is 422 and named', async () => {
  const { ask, bugs } = open()
  const put = (body: string | Uint8Array) => ask('PUT', '/things/ab', { body: Buffer.from(body as string) })
  const fine = await put('{"id":1,"bytes":"_-8=","more":true}')
  assert.deepEqual([fine.status, fine.text], [200, '{"bytes":"/+8"}'])
  assert.deepEqual(fine.headers, {
    'X-Signal-Timestamp': String(NOW_MS),
    'Content-Type': 'application/json',
    ETag: '"x"',
  })
  assert.deepEqual((await put('{"id":2,"bytes":""}')).headers, { 'X-Signal-Timestamp': String(NOW_MS) })
  const broken: [string | Uint8Array, RegExp][] = [
    ['', /^body: /],
    ['{', /^body: /],
    ['null', /^body: /],
    ['[]', /^body: /],
    ['{}', /^id: /],
    ['{"id":"1","bytes":""}', /^id: /],
    ['{"id":1,"bytes":"*"}', /^bytes: /],
    [Buffer.of(0x22, 0xff, 0x22), /^body: /],
  ]
  for (const [body, issue] of broken) {
    const { status, json } = await put(body)
    assert.equal(status, 422)
    assert.match(json().errors[0], issue)
  }
  assert.deepEqual(bugs, [])
})

test('raw bytes go through as they are', async () => {
  const { ask } = open()
  const { status, text, headers } = await ask('POST', '/raw', { body: Buffer.from('\0\x01x') })
  assert.deepEqual([status, text, headers['Content-Type']], [200, '\0\x01x', 'application/octet-stream'])
})

for (const [what, fail] of [
  ['a status that was not declared', () => ({ status: 418 })],
  ['an error', () => assert.fail('secret')],
  ['nothing', () => undefined],
] as const)
  test(`a handler that gives ${what} is a bug: 500 without a word, told once`, async () => {
    const { ask, bugs } = open(fail)
    const { status, headers, text } = await ask('GET', '/fail')
    assert.deepEqual([status, text, headers], [500, '', { 'X-Signal-Timestamp': String(NOW_MS) }])
    assert.deepEqual(
      bugs.map(({ route }) => route),
      ['fail'],
    )
  })

for (const kind of Object.keys(REFUSAL_STATUS) as RefusalKind[])
  test(`a refusal is no bug, and ${kind} is ${REFUSAL_STATUS[kind]}`, async () => {
    const refuse =
      (detail = {}) =>
      () => {
        throw new Refusal(kind, detail)
      }
    const plain = open(refuse())
    const { status, text, headers } = await plain.ask('GET', '/fail')
    assert.equal(status, REFUSAL_STATUS[kind])
    assert.equal(text, kind === 'invalid' ? '{"errors":["invalid"]}' : '')
    assert.equal(headers['Retry-After'], undefined)
    assert.deepEqual(plain.bugs, [])
    const detailed = open(refuse({ retryAfterSeconds: 7, field: 'name', message: 'is wrong' }))
    const answer = await detailed.ask('GET', '/fail')
    if (kind === 'invalid') assert.deepEqual(answer.json(), { errors: ['name: is wrong'] })
    else assert.equal(answer.headers['Retry-After'], '7')
  })

test('whatever is asked, there is an answer, and it is no bug', async () => {
  const { ask, bugs } = open()
  const names = ['authorization', 'x-colour']
  const text = fc.string({ unit: 'binary', maxLength: 30 })
  const target = fc.oneof(
    text,
    text.map((end) => `/things/${end}`),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('GET', 'PUT', 'POST', 'HEAD', 'CONNECT', 'constructor', ''),
      target,
      fc.dictionary(fc.constantFrom(...names), fc.oneof(text, fc.base64String()), { noNullPrototype: true }),
      fc.oneof(
        fc.uint8Array({ maxLength: 50 }),
        fc.json().map((value) => Buffer.from(value)),
      ),
      async (method, path, headers, body) => {
        const { status } = await ask(method, path, { headers, body })
        assert.ok(status >= 200 && status < 500)
      },
    ),
    { numRuns: 2_000 },
  )
  assert.deepEqual(bugs, [])
})

test('a socket of its own kind serves the routes that were made for it, and nothing else does', async () => {
  const { ask } = open()
  const socket = { door: 'websocket', remoteAddress: '192.0.2.1', device: undefined } as const
  const kinds = [socket, { ...socket, socket: 'provisioning' as const }]
  const statuses = async (channel: (typeof kinds)[number]) =>
    Promise.all(['/own', '/fail'].map(async (path) => (await ask('GET', path, { channel })).status))
  assert.equal((await ask('GET', '/own')).status, 404)
  assert.deepEqual(await Promise.all(kinds.map(statuses)), [
    [404, 200],
    [200, 404],
  ])
})
