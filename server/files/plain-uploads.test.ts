import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import {
  answered,
  brokenOff,
  fileRequest,
  openFilesRules,
  type Sent,
  UPLOAD_KEYS,
} from '../../test/files/rules.ts'
import { PLAIN_LIFETIME_S, plainAddress, plainKey } from '../kit/plain-addresses.ts'
import { PlainUploads } from './plain-uploads.ts'

const KEY = plainKey(UPLOAD_KEYS.bearerKey)
let rules: Awaited<ReturnType<typeof openFilesRules>>
let uploads: PlainUploads
before(async () => {
  rules = await openFilesRules()
  uploads = new PlainUploads({
    store: rules.store,
    keys: rules.keys,
    clock: rules.clock,
    events: rules.events,
  })
})
after(() => rules[Symbol.asyncDispose]())

let last = 0
const newName = () => `object-${++last}`
const nowS = () => rules.clock.nowMs() / 1000
const signed = (name = newName(), { maxBytes = 1000, seconds = 600, key = KEY } = {}) =>
  plainAddress(key, { name, maxBytes, expiresAtS: nowS() + seconds })
const send = async (address: string, body: Sent['body'] = 'content', method = 'PUT', headers = {}) =>
  (await answered(uploads.answer(fileRequest(method, address, { body, headers })))).status
const textAt = (address: string) =>
  rules.textOf(`attachments/${address.split('?')[0]!.slice('/plain/'.length)}`)

test('a file goes in by one PUT to a signed address', async () => {
  const address = signed()
  assert.equal(await send(address), 201)
  assert.equal(await textAt(address), 'content')
})

test('F1: nothing is overwritten, by the same address or by another', async () => {
  const name = newName()
  const address = signed(name)
  assert.equal(await send(address, 'first'), 201)
  assert.equal(await send(address, 'second'), 409)
  assert.equal(await send(signed(name, { maxBytes: 2000 }), 'second'), 409)
  assert.equal(await textAt(address), 'first')
})

test('an address is good until it expires, and for a week at most', async () => {
  const [early, late] = [signed(), signed()]
  rules.clock.advance(599_000)
  assert.equal(await send(early), 201)
  rules.clock.advance(1000)
  assert.equal(await send(late), 403)
  assert.equal(await send(signed(undefined, { seconds: PLAIN_LIFETIME_S })), 201)
  assert.equal(await send(signed(undefined, { seconds: PLAIN_LIFETIME_S + 3600 })), 403)
})

test('a file is as long as was signed: neither empty nor a byte longer; what breaks off is not stored', async () => {
  const statusOf = (bytes: number) => send(signed(), Buffer.alloc(bytes))
  assert.deepEqual(await Promise.all([0, 1, 1000, 1001].map(statusOf)), [400, 201, 201, 413])
  const address = signed()
  await assert.rejects(send(address, brokenOff('cont')), /went away/)
  assert.equal(await textAt(address), undefined)
  assert.equal(await send(address, 'con', 'PUT', { 'content-range': 'bytes 0-2/7' }), 400)
  assert.equal(await send(address), 201)
})

test('the notes’ faults are absent: another method is refused, and no two addresses sign one text', async () => {
  const address = signed()
  for (const method of ['POST', 'DELETE', 'PATCH', 'MKCOL', 'put'])
    assert.equal(await send(address, 'content', method), 403, method)
  for (const method of ['GET', 'HEAD'])
    assert.equal(uploads.answer(fileRequest(method, address)), undefined, 'downloads are elsewhere')
  const name = newName()
  const query = signed(name, { maxBytes: 23 }).split('?')[1]!
  const moved = query.replace(/e=(\d+)(\d)&l=23/, (_, most, digit) => `e=${most}&l=${digit}23`)
  assert.notEqual(moved, query)
  assert.equal(await send(`/plain/${name}?${moved}`), 403, 'a digit cannot move from one number to the next')
  assert.equal(await send(`/plain/${name}x?${query}`), 403)
})

test('what is signed are five lines', () => {
  const address = plainAddress(KEY, { name: 'object-0', maxBytes: 9, expiresAtS: 1_800_000_000 })
  const lines = ['heliograph-plain-upload-1', 'PUT', 'object-0', '1800000000', '9']
  const signature = createHmac('sha256', KEY).update(lines.join('\n')).digest('base64url')
  assert.equal(address, `/plain/object-0?e=1800000000&l=9&s=${signature}`)
})

test('an address that was signed with the key of something else is none', async () => {
  for (const key of [UPLOAD_KEYS.bearerKey, Buffer.alloc(32)])
    assert.equal(await send(signed(undefined, { key })), 403)
})

test('I1: traversal, NUL, double encoding and other names are refused even with a signature', async () => {
  const names = [
    '..',
    '../profiles/x',
    '..%2fprofiles%2fx',
    '%2e%2e',
    '%252e%252e%252fx',
    'object-%00',
    'object-\0',
    'short',
    'a'.repeat(65),
    'object 1',
    'object.1',
    'objéct-1',
  ]
  for (const name of names) assert.ok([403, 404].includes(await send(signed(name))), name)
})

test('F1: three thousand addresses with something changed in them: none stores anything, none is a bug', async () => {
  const name = newName()
  const address = signed(name)
  const changed = fc.oneof(
    fc
      .tuple(
        fc.integer({ min: '/plain/'.length, max: address.length - 1 }),
        fc.constantFrom(...'aZ0-_9=&?%./'),
      )
      .map(([at, letter]) => address.slice(0, at) + letter + address.slice(at + 1)),
    fc.constantFrom(`/plain/${name}`, `${address}&x=1`, `/plain/${name}?${signed().split('?')[1]}`),
    fc.string().map((text) => `/plain/${name}?${text}`),
  )
  await fc.assert(
    fc.asyncProperty(changed, async (text) => {
      if (text === address) return
      const status = await send(text)
      assert.ok(status === 403 || status === 404, `${text}: ${status}`)
    }),
    { numRuns: 3000 },
  )
  assert.equal(await textAt(address), undefined)
})
