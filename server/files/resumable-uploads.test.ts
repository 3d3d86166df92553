import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { answered, brokenOff, fileRequest, openFilesRules, type Sent } from '../../test/files/rules.ts'
import { ADDRESS_LIFETIME_S } from '../kit/upload-signatures.ts'
import { contentRangeOf } from './content-range.ts'
import { ResumableUploads } from './resumable-uploads.ts'

let rules: Awaited<ReturnType<typeof openFilesRules>>
let uploads: ResumableUploads
const URL = 'https://files.example/cdn2'
before(async () => {
  rules = await openFilesRules()
  const { store, signatures, events } = rules
  uploads = new ResumableUploads({ store, signatures, events, url: () => URL })
})
after(() => rules[Symbol.asyncDispose]())

let last = 0
const newPath = () => `/attachments/object-${++last}`
const ask = (method: string, address: string, sent?: Sent) =>
  answered(uploads.answer(fileRequest(method, address, sent)))
const signed = (path: string, maxBytes = 1000, method: 'POST' | 'PUT' = 'POST') =>
  `${path}?${rules.signatures.addressQuery({ method, path, maxBytes })}`
const headersFor = (maxBytes = 1000) => ({
  'x-goog-resumable': 'start',
  'x-goog-content-length-range': `1,${maxBytes}`,
})
/** Opens an upload; gives the address to put to. */
async function begin(path = newPath(), maxBytes = 1000): Promise<string> {
  const { status, headers } = await ask('POST', signed(path, maxBytes), { headers: headersFor(maxBytes) })
  assert.equal(status, 201)
  const location = headers['Location'] ?? ''
  assert.ok(location.startsWith(`${URL}${path}?`), location)
  return location.slice(URL.length)
}
const put = async (address: string, range: string | undefined, body?: Sent['body']) => {
  const headers = range === undefined ? {} : { 'content-range': range }
  const { status, headers: told } = await ask('PUT', address, {
    headers,
    ...(body !== undefined && { body }),
  })
  return [status, told['Range']]
}
const textAt = (address: string) => rules.textOf(address.slice(1).split('?')[0]!)

test('a file goes in as signal-cli sends it: opened, asked how far it is, put whole', async () => {
  const address = await begin()
  assert.deepEqual(await put(address, 'bytes */7'), [308, undefined])
  assert.deepEqual(await put(address, 'bytes 0-6/7', 'content'), [200, undefined])
  assert.equal(await textAt(address), 'content')
  assert.deepEqual(await put(address, 'bytes */7'), [200, undefined], 'who missed the answer asks again')
})

test('what breaks off goes on where it broke off, and nothing is there before it is whole', async () => {
  const address = await begin()
  await assert.rejects(put(address, 'bytes 0-8/9', brokenOff('one')), /went away/)
  assert.equal(await textAt(address), undefined)
  assert.deepEqual(await put(address, 'bytes */9'), [308, 'bytes=0-2'])
  assert.deepEqual(await put(address, 'bytes 3-5/9', 'two'), [308, 'bytes=0-5'])
  assert.deepEqual(await put(address, 'bytes 6-8/9', 'six'), [200, undefined])
  assert.equal(await textAt(address), 'onetwosix')
})

test('who does not know the length says it with the last part; who knows it need not say anything', async () => {
  const address = await begin()
  assert.deepEqual(await put(address, 'bytes 0-2/*', 'one'), [308, 'bytes=0-2'])
  assert.deepEqual(await put(address, 'bytes 3-5/6', 'two'), [200, undefined])
  assert.equal(await textAt(address), 'onetwo')
  const whole = await begin()
  assert.deepEqual(await put(whole, undefined, 'content'), [200, undefined])
  assert.equal(await textAt(whole), 'content')
})

test('a POST that is sent again leads to the same upload, as far as it is', async () => {
  const path = newPath()
  await put(await begin(path), 'bytes 0-2/6', 'one')
  const again = await begin(path)
  assert.deepEqual(await put(again, 'bytes */6'), [308, 'bytes=0-2'])
})

test('F1: offsets that lie, other lengths and longer bodies are refused, and harm nothing', async () => {
  const address = await begin()
  assert.deepEqual(await put(address, 'bytes 0-2/6', 'one'), [308, 'bytes=0-2'])
  assert.deepEqual(await put(address, 'bytes 4-5/6', 'xx'), [416, 'bytes=0-2'])
  assert.deepEqual(await put(address, 'bytes 0-5/6', 'xxxxxx'), [416, 'bytes=0-2'])
  assert.deepEqual(await put(address, undefined, 'xxxxxx'), [416, 'bytes=0-2'])
  assert.deepEqual(await put(address, 'bytes 3-5/7', 'xxx'), [400, undefined])
  assert.deepEqual(await put(address, 'bytes */1001'), [413, undefined])
  assert.deepEqual(await put(address, 'bytes 3-5/6', 'longer'), [413, undefined])
  assert.deepEqual(await put(address, 'bytes 3-4/6', 'xxx'), [413, undefined], 'more than it announced')
  for (const range of [
    'bytes 3-2/6',
    'bytes 3-6/6',
    'bytes 3-5',
    'items 3-5/6',
    '3-5/6',
    'bytes -5/6',
    'bytes */*',
    '',
  ])
    assert.deepEqual(await put(address, range, 'two'), [400, undefined], range)
  assert.deepEqual(await put(address, 'bytes 3-5/6', 'two'), [200, undefined])
  assert.equal(await textAt(address), 'onetwo')
})

test('a file is as long as the form allows: neither empty nor a byte longer (F1)', async () => {
  const [empty, none, full, over, stream] = await Promise.all(Array.from({ length: 5 }, () => begin()))
  const bytes = Buffer.alloc(1001, 1)
  assert.deepEqual(await put(empty!, undefined, ''), [400, undefined])
  assert.deepEqual(await put(none!, 'bytes */0'), [400, undefined])
  assert.deepEqual(await put(full!, 'bytes 0-999/1000', bytes.subarray(1)), [200, undefined])
  assert.deepEqual(await put(over!, 'bytes 0-1000/1001', bytes), [413, undefined])
  assert.deepEqual(await put(over!, undefined, bytes), [413, undefined])
  async function* unsaid() {
    yield bytes
  }
  assert.deepEqual(await put(stream!, undefined, unsaid()), [413, undefined])
  for (const address of [empty, none, over, stream]) assert.equal(await textAt(address!), undefined)
})

test('F1: nothing is overwritten, by whatever signature', async () => {
  const path = newPath()
  const address = await begin(path)
  await put(address, undefined, 'first')
  assert.equal((await ask('POST', signed(path), { headers: headersFor() })).status, 409)
  assert.deepEqual(await put(address, 'bytes 0-5/6', 'second'), [409, undefined])
  assert.deepEqual(await put(signed(path, 1000, 'PUT'), undefined, 'second'), [409, undefined])
  assert.deepEqual(await put(address, 'bytes */6'), [409, undefined])
  assert.equal(await textAt(address), 'first')
})

test('the headers of the form are part of it, and nothing is sent with it', async () => {
  const { 'x-goog-resumable': start, 'x-goog-content-length-range': range } = headersFor()
  const statusOf = async (headers: Record<string, string>, body = '') =>
    (await ask('POST', signed(newPath()), { headers, body })).status
  assert.equal(await statusOf({ 'x-goog-resumable': start }), 403)
  assert.equal(await statusOf({ 'x-goog-content-length-range': range }), 403)
  assert.equal(await statusOf({ ...headersFor(), 'x-goog-resumable': 'stop' }), 403)
  assert.equal(await statusOf(headersFor(1001)), 403)
  assert.equal(await statusOf(headersFor(), 'body'), 400)
  assert.equal(await statusOf(headersFor()), 201)
})

test('an address is good for 25 hours, for its method, and only after a POST', async () => {
  const path = newPath()
  const post = signed(path)
  assert.deepEqual(await put(signed(path, 1000, 'PUT'), undefined, 'content'), [404, undefined])
  assert.deepEqual(await put(post, undefined, 'content'), [403, undefined], 'POST alone was allowed')
  const address = await begin(path)
  assert.equal((await ask('POST', address, { headers: headersFor() })).status, 403, 'PUT alone was allowed')
  rules.clock.advance(ADDRESS_LIFETIME_S * 1000 - 1000)
  assert.deepEqual(await put(address, 'bytes */7'), [308, undefined])
  rules.clock.advance(1000)
  assert.deepEqual(await put(address, 'bytes */7'), [403, undefined])
  assert.equal((await ask('POST', post, { headers: headersFor() })).status, 403)
})

test('what is not an attachment is not for here, however it is written (I1)', () => {
  for (const path of [
    '/',
    '/profiles/x',
    '/attachments/',
    '/attachments/a/b',
    '/attachments/..%2fx',
    '/attachments/a%00',
    '/attachments/%61',
    '//attachments/a',
    '/attachments/a\0',
  ])
    assert.equal(uploads.answer(fileRequest('POST', path)), undefined, path)
  assert.equal(uploads.answer(fileRequest('GET', '/attachments/a')), undefined)
})

test('F1: three thousand addresses with something changed in them: none opens anything, none is a bug', async () => {
  const path = newPath()
  const address = signed(path)
  const elsewhere = signed(newPath()).split('?')[1]!
  const changed = fc.oneof(
    fc
      .tuple(
        fc.integer({ min: '/attachments/'.length, max: address.length - 1 }),
        fc.constantFrom(...'aZ0-_9=&?%./'),
      )
      .map(([at, letter]) => address.slice(0, at) + letter + address.slice(at + 1)),
    fc.constantFrom(
      `${path}?${elsewhere}`,
      path,
      `${address}&x=1`,
      `${address}&${elsewhere}`,
      `${path}?&${address.split('?')[1]}`,
    ),
    fc.string().map((text) => `${path}?${text}`),
  )
  const methods = fc.constantFrom('POST', 'PUT')
  await fc.assert(
    fc.asyncProperty(changed, methods, async (text, method) => {
      if (text === address) return
      const { status } = await ask(method, text, { headers: headersFor() })
      assert.ok(status === 403 || status === 404, `${method} ${text}: ${status}`)
    }),
    { numRuns: 3000 },
  )
  assert.equal(await rules.store.resume(path.slice(1)), undefined)
})

test('a range of bytes is read as it is written, or not at all', () => {
  assert.deepEqual(contentRangeOf(undefined), { kind: 'whole' })
  assert.deepEqual(contentRangeOf('bytes */5'), { kind: 'question', totalBytes: 5 })
  assert.deepEqual(contentRangeOf('bytes 2-4/5'), { kind: 'part', firstByte: 2, bytes: 3, totalBytes: 5 })
  fc.assert(
    fc.property(fc.string(), (text) => {
      const range = contentRangeOf(`bytes ${text}`)
      return range === undefined || /^(\*\/\d+|\d+-\d+\/(\d+|\*))$/.test(text)
    }),
  )
})
