// One table, two doors: what Node's door of signed uploads answers, nginx's answers too.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { PLAIN_LIFETIME_S } from '../../server/kit/plain-addresses.ts'
import type { Answer, Asked } from './client.ts'
import { DOORS, type DoorName, Fronted, hasNginx, type Signing } from './fronted.ts'

type Signs = (name: string, signing?: Signing) => string
type Case = {
  readonly what: string
  readonly asks: (sign: Signs, name: string) => Asked
  readonly status: readonly number[]
}

const CONTENT = Buffer.from('what was sent')
const put = (target: string, more: Partial<Asked> = {}): Asked => ({
  method: 'PUT',
  target,
  body: CONTENT,
  ...more,
})
const changed = (address: string, from: RegExp | string, to: string) => {
  const other = address.replace(from, to)
  assert.notEqual(other, address)
  return other
}
async function* inPieces(bytes: number): AsyncGenerator<Buffer> {
  for (let left = bytes; left > 0; left -= 100) yield Buffer.alloc(Math.min(left, 100), 'x')
}

const TAKEN: readonly Case[] = [
  { what: 'as it was signed', asks: (sign, name) => put(sign(name)), status: [201] },
  { what: 'below a CDN', asks: (sign, name) => put(`/cdn2${sign(name)}`), status: [201] },
  { what: 'below a CDN twice', asks: (sign, name) => put(`/cdn0/cdn3${sign(name)}`), status: [201] },
  {
    what: 'as long as it may be',
    asks: (sign, name) => put(sign(name, { maxBytes: CONTENT.length })),
    status: [201],
  },
  {
    what: 'without a length',
    asks: (sign, name) => put(sign(name), { body: inPieces(1000) }),
    status: [201],
  },
  { what: 'for a week', asks: (sign, name) => put(sign(name, { seconds: PLAIN_LIFETIME_S })), status: [201] },
]

const METHODS = ['POST', 'DELETE', 'PATCH', 'MKCOL', 'COPY', 'MOVE', 'PROPFIND', 'OPTIONS']
const REFUSED: readonly Case[] = [
  { what: 'no signature', asks: (_, name) => put(`/plain/${name}`), status: [403] },
  { what: 'another key', asks: (sign, name) => put(sign(name, { key: Buffer.alloc(32) })), status: [403] },
  { what: 'another name', asks: (sign, name) => put(changed(sign(name), '?', 'x?')), status: [403] },
  { what: 'expired', asks: (sign, name) => put(sign(name, { seconds: -1 })), status: [403] },
  { what: 'just expired', asks: (sign, name) => put(sign(name, { seconds: 0 })), status: [403] },
  {
    what: 'for too long',
    asks: (sign, name) => put(sign(name, { seconds: PLAIN_LIFETIME_S + 400 })),
    status: [403],
  },
  { what: 'a longer l', asks: (sign, name) => put(changed(sign(name), 'l=1000', 'l=9999')), status: [403] },
  {
    what: 'a later e',
    asks: (sign, name) => put(sign(name).replace(/e=(\d+)/, (_, e) => `e=${Number(e) + 100}`)),
    status: [403],
  },
  { what: 'a zero before e', asks: (sign, name) => put(changed(sign(name), 'e=', 'e=0')), status: [403] },
  { what: 'a zero before l', asks: (sign, name) => put(changed(sign(name), 'l=', 'l=0')), status: [403] },
  { what: 'e as a power', asks: (sign, name) => put(changed(sign(name), /e=\d+/, 'e=1e99')), status: [403] },
  { what: 'no e', asks: (sign, name) => put(changed(sign(name), /e=\d+&/, '')), status: [403] },
  { what: 'e twice', asks: (sign, name) => put(changed(sign(name), /(e=\d+&)/, '$1$1')), status: [403] },
  {
    what: 'another order',
    asks: (sign, name) => put(changed(sign(name), /(e=\d+)&(l=\d+)/, '$2&$1')),
    status: [403],
  },
  { what: 'something more', asks: (sign, name) => put(`${sign(name)}&x=1`), status: [403] },
  { what: 'padding', asks: (sign, name) => put(`${sign(name)}=`), status: [403] },
  { what: 'a shorter signature', asks: (sign, name) => put(sign(name).slice(0, -1)), status: [403] },
  {
    what: 'bits that base64 drops',
    asks: (sign, name) => put(sign(name).replace(/.$/, lastBits)),
    status: [403],
  },
  { what: 'an encoded query', asks: (sign, name) => put(changed(sign(name), '&l', '%26l')), status: [403] },
  ...METHODS.map((method) => ({
    what: `by ${method}`,
    asks: (sign: Signs, name: string) => ({
      ...put(sign(name)),
      method,
      headers: { destination: `/plain/${name}2` },
    }),
    status: [403],
  })),
  { what: 'read there', asks: (sign, name) => ({ method: 'GET', target: sign(name) }), status: [404] },
  { what: 'asked for there', asks: (sign, name) => ({ method: 'HEAD', target: sign(name) }), status: [404] },
  { what: 'empty', asks: (sign, name) => put(sign(name), { body: Buffer.alloc(0) }), status: [400] },
  {
    what: 'a part',
    asks: (sign, name) => put(sign(name), { headers: { 'content-range': 'bytes 0-12/20' } }),
    status: [400],
  },
  {
    what: 'too long by a byte',
    asks: (sign, name) => put(sign(name, { maxBytes: CONTENT.length - 1 })),
    status: [413],
  },
  {
    what: 'too long without a length',
    asks: (sign, name) => put(sign(name), { body: inPieces(1001) }),
    status: [413],
  },
  {
    what: 'an encoded letter',
    asks: (sign, name) => put(changed(sign(name), '/plain/o', '/plain/%6f')),
    status: [403, 404],
  },
  {
    what: 'encoded twice',
    asks: (sign, name) => put(changed(sign(name), '/plain/o', '/plain/%256f')),
    status: [403, 404],
  },
  {
    what: 'an encoded path',
    asks: (sign, name) => put(changed(sign(name), '/plain', '/%70lain')),
    status: [404],
  },
  { what: 'a way around', asks: (sign, name) => put(`/x/..${sign(name)}`), status: [400, 404] },
  { what: 'two slashes', asks: (sign, name) => put(`/${sign(name)}`), status: [404] },
  { what: 'a slash more', asks: (sign, name) => put(changed(sign(name), '?', '/?')), status: [403, 404] },
  { what: 'a NUL', asks: (sign, name) => put(changed(sign(name), '?', '%00?')), status: [400, 403] },
  { what: 'out of the folder', asks: (sign) => put(sign('../profiles/someone')), status: [400, 403, 404] },
  { what: 'encoded out of the folder', asks: (sign) => put(sign('..%2fprofiles%2fsomeone')), status: [403] },
  { what: 'a short name, signed', asks: (sign) => put(sign('short')), status: [403] },
  { what: 'a long name, signed', asks: (sign) => put(sign('a'.repeat(65))), status: [403] },
  { what: 'a dot in the name, signed', asks: (sign, name) => put(sign(`${name}.html`)), status: [403] },
  {
    what: 'where nginx keeps its own',
    asks: (sign, name) => put(changed(sign(name), /^.plain.*\?/, '/=upload?')),
    status: [404],
  },
]

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const lastBits = (letter: string) => LETTERS[LETTERS.indexOf(letter) ^ 1]!

let last = 0
const newName = () => `object-${++last}-${randomBytes(4).toString('hex')}`

async function bothDoors(t: TestContext, run: (door: DoorName, fronted: Fronted) => Promise<void>) {
  if (!hasNginx(t)) return
  const fronted = await Fronted.open(t)
  for (const door of DOORS) await run(door, fronted)
}

test('what was signed comes in at both doors, and goes out at both', async (t) => {
  await bothDoors(t, async (door, fronted) => {
    for (const { what, asks, status } of TAKEN) {
      const name = newName()
      const asked = asks((...of) => fronted.sign(...of), name)
      const answer = await fronted.ask(door, asked)
      assert.deepEqual([answer.status], status, `${what} at ${door}`)
      const wanted = Buffer.isBuffer(asked.body)
        ? asked.body
        : Buffer.concat(await Array.fromAsync(inPieces(1000)))
      for (const other of DOORS) {
        const read = await fronted.ask(other, { method: 'GET', target: `/attachments/${name}` })
        assert.ok(read.status === 200 && read.body.equals(wanted), `${what}, in at ${door}, out at ${other}`)
        assert.equal(read.headers.etag, answer.headers.etag)
      }
    }
    assert.deepEqual(await fronted.stored('incoming'), [], 'nothing is left of what was on its way')
  })
})

test('what was not signed so comes in at neither door, and is answered by both alike', async (t) => {
  await bothDoors(t, async (door, fronted) => {
    const before = await fronted.stored()
    for (const { what, asks, status } of REFUSED) {
      const answer = await fronted.ask(
        door,
        asks((...of) => fronted.sign(...of), newName()),
      )
      assert.ok(status.includes(answer.status), `${what} at ${door}: ${answer.status}`)
    }
    assert.deepEqual(await fronted.stored(), before)
    assert.deepEqual(await fronted.stored('incoming'), [])
  })
})

test('F1: nothing is overwritten, whichever door it came in by, and only who may write is told of it', async (t) => {
  await bothDoors(t, async (door, fronted) => {
    const name = newName()
    assert.equal((await fronted.ask(door, put(fronted.sign(name)))).status, 201)
    for (const other of DOORS) {
      const again = put(fronted.sign(name, { maxBytes: 999 }), { body: Buffer.from('something else') })
      assert.equal((await fronted.ask(other, again)).status, 409)
      assert.equal((await fronted.ask(other, put(`/plain/${name}`))).status, 403)
      const read = await fronted.ask(other, { method: 'GET', target: `/attachments/${name}` })
      assert.ok(read.body.equals(CONTENT))
    }
  })
})

test('of many who send under one name at once, to both doors, exactly one comes in', async (t) => {
  if (!hasNginx(t)) return
  const fronted = await Fronted.open(t)
  for (let round = 0; round < 10; round++) {
    const name = newName()
    const bodies = Array.from({ length: 16 }, (_, index) => Buffer.alloc(50_000, `${index}-`))
    const target = fronted.sign(name, { maxBytes: 50_000 })
    const answers = await Promise.all(
      bodies.map((body, index) => fronted.ask(index % 4 === 0 ? 'node' : 'nginx', put(target, { body }))),
    )
    const won = answers.findIndex(({ status }) => status === 201)
    assert.equal(answers.filter(({ status }) => status === 201).length, 1)
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([201, 409]))
    const read = await fronted.ask('nginx', { method: 'GET', target: `/attachments/${name}` })
    assert.ok(read.body.equals(bodies[won]!), 'what is there is what the one sent')
  }
  assert.deepEqual(await fronted.stored('incoming'), [])
  assert.deepEqual(await fronted.stored('uploads'), [])
})

test('a body that will be refused is not asked for', async (t) => {
  await bothDoors(t, async (door, fronted) => {
    if (door === 'node') return
    const expect = { expect: '100-continue' }
    const taken = newName()
    await fronted.ask(door, put(fronted.sign(taken)))
    const refused: [number, string][] = [
      [403, `/plain/${newName()}`],
      [403, fronted.sign(newName(), { seconds: -1 })],
      [409, fronted.sign(taken)],
      [413, fronted.sign(newName(), { maxBytes: 1 })],
    ]
    for (const [status, target] of refused) {
      const answer = await fronted.ask(door, put(target, { headers: expect }))
      assert.deepEqual([answer.status, answer.wasWanted], [status, false], target)
    }
    const answer = await fronted.ask(door, put(fronted.sign(newName()), { headers: expect }))
    assert.deepEqual([answer.status, answer.wasWanted], [201, true])
  })
})

const ABOUT = [
  'content-type',
  'content-length',
  'content-range',
  'content-disposition',
  'cache-control',
  'etag',
  'last-modified',
  'x-content-type-options',
  'cross-origin-resource-policy',
  'content-security-policy',
] as const
const aboutOf = ({ status, headers, body }: Answer) => ({
  status,
  body: createHash('sha256').update(body).digest('hex'),
  ...Object.fromEntries(ABOUT.map((name) => [name, headers[name]])),
})

test('a file goes out at both doors with the same status, headers and bytes, whole or in ranges', async (t) => {
  if (!hasNginx(t)) return
  const fronted = await Fronted.open(t)
  const name = newName()
  const body = randomBytes(70_000)
  const { headers } = await fronted.ask('nginx', put(fronted.sign(name, { maxBytes: 70_000 }), { body }))
  const requests: Record<string, string>[] = [
    {},
    { range: 'bytes=0-0' },
    { range: 'bytes=65535-65536' },
    { range: 'bytes=100-' },
    { range: 'bytes=-100' },
    { range: 'bytes=0-99999999' },
    { range: 'bytes=0-1,5-6' },
    { range: 'lines=1-2' },
    { range: 'bytes=0-9', 'if-range': headers.etag! },
    { range: 'bytes=0-9', 'if-range': '"other"' },
    { 'if-none-match': '"other"' },
  ]
  for (const method of ['GET', 'HEAD'])
    for (const headers of requests) {
      const asked = { method, target: `/cdn3/attachments/${name}`, headers }
      const [node, nginx] = await Promise.all(DOORS.map((door) => fronted.ask(door, asked)))
      const what = `${method} ${JSON.stringify(headers)}`
      // Node's door knows ranges of GET alone, as RFC 9110 has them; nginx answers HEAD as it would answer GET.
      if (method === 'HEAD' && headers['range'] !== undefined) continue
      assert.deepEqual(aboutOf(nginx!), aboutOf(node!), what)
    }
  for (const door of DOORS) {
    const known = await fronted.ask(door, {
      method: 'GET',
      target: `/attachments/${name}`,
      headers: { 'if-none-match': headers.etag! },
    })
    assert.deepEqual([known.status, known.body.length, known.headers.etag], [304, 0, headers.etag], door)
    for (const range of ['bytes=70000-', 'bytes=5-2']) {
      const target = `/attachments/${name}`
      const beyond = await fronted.ask(door, { method: 'GET', target, headers: { range } })
      const told = [beyond.status, beyond.body.length, beyond.headers['content-range']]
      assert.deepEqual(told, [416, 0, 'bytes */70000'], `${range} at ${door}`)
    }
  }
})

test('what is no name of an object is found at neither door, and nginx opens no folder of its own', async (t) => {
  await bothDoors(t, async (door, fronted) => {
    const name = newName()
    await fronted.ask(door, put(fronted.sign(name)))
    const shard = name.slice(0, 2)
    for (const target of [
      `/attachments/${newName()}`,
      `/attachments/${shard}/${name}`,
      `/=object/attachments/${shard}/${name}`,
      `/attachments/%6f${name.slice(1)}`,
      `/attachments/..%2fattachments%2f${shard}%2f${name}`,
      `/x/../attachments/${name}`,
      `//attachments/${name}`,
      `/attachments/${name}/`,
      `/attachments/`,
      `/attachments`,
      `/objects/attachments/${shard}/${name}`,
      `/incoming/`,
      `/profiles/${name}`,
      `/stickers/${'a'.repeat(32)}/manifest.proto`,
      `/groups/${name}/${name}`,
    ]) {
      const { status, body } = await fronted.ask(door, { method: 'GET', target })
      assert.deepEqual([status, body.length], [404, 0], `${target} at ${door}`)
    }
    const backup = await fronted.ask(door, { method: 'GET', target: '/backups/a/messageBackup' })
    assert.equal(backup.status, 401, 'what needs a token is asked for one')
  })
})
