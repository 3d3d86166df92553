import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import fc from 'fast-check'
import { boundaryOf, MAX_FIELD_BYTES, MAX_FIELDS, MultipartError, readForm } from './multipart.ts'

const BOUNDARY = 'x7'
const field = (name: string, value: string) =>
  `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
const file = (content: string) =>
  `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a b.bin"\r\nContent-Type: image/png\r\n\r\n${content}\r\n`
const END = `--${BOUNDARY}--\r\n`

/** In pieces of so many bytes. */
async function* pieces(bytes: Buffer, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
async function read(text: string | Buffer, size = 65_536) {
  const form = await readForm(pieces(Buffer.from(text as string), size), BOUNDARY)
  return { fields: [...form.fields], content: Buffer.concat(await Array.fromAsync(form.file)) }
}
const refuses = (text: string) =>
  assert.rejects(read(text), MultipartError, JSON.stringify(text.slice(0, 200)))

test('fields and a file come out as they were put in, however the bytes are cut', async () => {
  const nearly = `\r\n--${BOUNDARY.slice(0, 1)}\r\n--\r\n--y\r`
  const content = fc
    .array(fc.oneof(fc.constantFrom(nearly, '\r', '\n', '--', BOUNDARY, '\0'), fc.string({ unit: 'binary' })))
    .map((parts) => parts.join(''))
    .filter((text) => !text.includes(`\r\n--${BOUNDARY}`) && !text.startsWith(`--${BOUNDARY}`))
  await fc.assert(
    fc.asyncProperty(content, content, fc.integer({ min: 1, max: 200 }), async (value, bytes, size) => {
      const text = field('key', value) + field('x-amz-date', '') + file(bytes) + END
      assert.deepEqual(await read(text, size), {
        fields: [
          ['key', value],
          ['x-amz-date', ''],
        ],
        content: Buffer.from(bytes),
      })
    }),
  )
})

test('a form that is cut off anywhere, or goes on after its end, never gives a whole file', async () => {
  const whole = field('key', 'v') + file('content') + END
  assert.equal((await read(whole)).content.toString(), 'content')
  for (let at = 0; at < whole.length - 2; at++) await refuses(whole.slice(0, at))
  for (const more of ['x', '\r\n', field('after', 'x') + END, file('second') + END])
    await refuses(whole + more)
  await refuses(field('key', 'v') + file('content') + field('after', 'x') + END)
})

test('random bytes, and forms with a byte changed, give a form or a refusal and nothing else', async () => {
  const whole = Buffer.from(field('key', 'v') + file('content') + END)
  const changed = fc
    .tuple(fc.nat(whole.length - 1), fc.nat(255), fc.boolean())
    .map(([at, byte, isCut]) =>
      Buffer.concat([whole.subarray(0, at), Buffer.from([byte]), whole.subarray(isCut ? at : at + 1)]),
    )
  const random = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))
  await fc.assert(
    fc.asyncProperty(fc.oneof(changed, random), async (bytes) => {
      const read = await readForm(pieces(bytes, 7), BOUNDARY).catch((error) => error)
      if (read instanceof MultipartError) return
      await Array.fromAsync(read.file).catch((error) => assert.ok(error instanceof MultipartError, error))
    }),
    { numRuns: 2000 },
  )
})

test('what no client sends is refused: a preamble, padding, no name, a name twice, an encoding, no text', async () => {
  const part = (head: string, value = 'v') => `--${BOUNDARY}\r\n${head}\r\n\r\n${value}\r\n${file('c')}${END}`
  const name = 'Content-Disposition: form-data; name="key"'
  assert.deepEqual((await read(part(name))).fields, [['key', 'v']])
  assert.deepEqual((await read(part(`${name}\r\nContent-Length: 1`))).fields, [['key', 'v']])
  for (const text of [
    `preamble\r\n${part(name)}`,
    part(name).replace(`--${BOUNDARY}`, `--${BOUNDARY}  `),
    part('Content-Type: text/plain'),
    part('Content-Disposition: form-data'),
    part('Content-Disposition: attachment; name="key"'),
    part('Content-Disposition: form-data; name="../key"'),
    part(`${name}\r\n${name}`),
    part(`${name}\r\n folded`),
    part(`${name}\r\nContent-Transfer-Encoding: base64`),
    field('key', 'v') + part(name),
    field('key', 'v') + END,
    END,
  ])
    await refuses(text)
  const latin = Buffer.from(part(name, 'é'), 'latin1')
  await assert.rejects(readForm(pieces(latin, 9), BOUNDARY), MultipartError)
})

test('no form makes the server hold more than its bounds', async () => {
  const many = Array.from({ length: MAX_FIELDS }, (_, at) => field(`f${at}`, 'v')).join('')
  assert.equal((await read(many + file('c') + END)).fields.length, MAX_FIELDS)
  await refuses(field('more', 'v') + many + file('c') + END)
  assert.ok(await read(field('key', 'v'.repeat(MAX_FIELD_BYTES)) + file('c') + END))
  await refuses(field('key', 'v'.repeat(MAX_FIELD_BYTES + 1)) + file('c') + END)
  let sent = 0
  async function* endless(begin: string) {
    yield Buffer.from(begin)
    for (; sent < 1e9; sent += 65_536) yield Buffer.alloc(65_536, 0x61)
  }
  for (const begin of [
    '',
    `--${BOUNDARY}\r\n`,
    `--${BOUNDARY}\r\nContent-Disposition: form-data; name="a"\r\n\r\n`,
  ]) {
    sent = 0
    await assert.rejects(readForm(endless(begin), BOUNDARY), MultipartError)
    assert.ok(sent < 200_000, `${sent} bytes were read`)
  }
})

test('to leave a form unread does not close the request that brought it', async () => {
  const source = Readable.from(pieces(Buffer.from(field('key', 'v') + file('c'.repeat(1000)) + END), 10))
  const chunks = source.iterator({ destroyOnReturn: false })
  const form = await readForm(chunks, BOUNDARY)
  for await (const _ of form.file) break
  assert.equal(source.destroyed, false)
  source.destroy()
})

test('a boundary is taken from a content type of the one kind alone', () => {
  assert.equal(boundaryOf('multipart/form-data; boundary=abc-1'), 'abc-1')
  assert.equal(boundaryOf('Multipart/Form-Data;boundary="a:b"'), 'a:b')
  for (const type of [
    undefined,
    '',
    'multipart/mixed; boundary=abc',
    'multipart/form-data',
    'multipart/form-data; boundary=',
    `multipart/form-data; boundary=${'a'.repeat(71)}`,
    'multipart/form-data; boundary=a; boundary=b',
    'multipart/form-data; boundary="a b"',
  ])
    assert.equal(boundaryOf(type), undefined, type)
})
