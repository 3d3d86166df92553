import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { BOUNDARY, FORM_TYPE, formBody, formFields } from '../../test/files/post-form.ts'
import { answered, brokenOff, fileRequest, openFilesRules, UPLOAD_KEYS } from '../../test/files/rules.ts'
import { postPolicySignature } from '../kit/post-policy.ts'
import { PostedForms } from './posted-forms.ts'

let rules: Awaited<ReturnType<typeof openFilesRules>>
let forms: PostedForms
before(async () => {
  rules = await openFilesRules()
  forms = new PostedForms({ store: rules.store, keys: rules.keys, clock: rules.clock, events: rules.events })
})
after(() => rules[Symbol.asyncDispose]())

type Fields = readonly (readonly [string, string])[]
let last = 0
const newKey = (kind = 'profiles') => `${kind}/object-${++last}`
const fieldsFor = (key: string, maxBytes = 1000) => formFields(rules.policy.formFor(key, { maxBytes }))
const post = (fields: Fields, content: Uint8Array | string = 'content', headers: object = FORM_TYPE) =>
  answered(
    forms.answer(fileRequest('POST', '/', { headers: { ...headers }, body: formBody(fields, content) })),
  )
const set = (fields: Fields, name: string, value: string): Fields =>
  fields.map((field) => (field[0] === name ? [name, value] : field))
const unfinished = () => readdir(join(rules.folder, 'uploads'))

test('an avatar is stored by the form as signal-cli fills it in', async () => {
  const key = newKey()
  const { status, headers, text } = await post(fieldsFor(key))
  assert.deepEqual([status, text], [204, ''])
  assert.equal(headers['ETag'], (await rules.store.stat(key))?.etag)
  assert.equal(await rules.textOf(key), 'content')
  assert.deepEqual(await unfinished(), [])
})

test('groups and stickers go the same way; attachments and backups, and what is no key at all, do not', async () => {
  const sticker = `stickers/${'ab'.repeat(16)}/full/12`
  for (const key of [newKey('groups/g'), sticker]) assert.equal((await post(fieldsFor(key))).status, 204, key)
  const others = [
    newKey('attachments'),
    'backups/dir/messageBackup',
    'profiles/../attachments/x',
    'profiles/%2e%2e%2fx',
    'profiles/a%00b',
    'profiles/a\0b',
    'profiles/',
    '/profiles/x',
    'stickers/x/full/1',
  ]
  for (const key of others) assert.equal((await post(fieldsFor(key))).status, 403, key)
})

test('F1: nothing is overwritten, by the same form or by another for the same key', async () => {
  const key = newKey()
  const first = fieldsFor(key)
  assert.equal((await post(first, 'first')).status, 204)
  for (const fields of [first, fieldsFor(key, 2000)]) {
    const { status, text } = await post(fields, 'second')
    assert.equal(status, 412)
    assert.match(text, /<Code>PreconditionFailed<\/Code>/)
  }
  assert.equal(await rules.textOf(key), 'first')
})

test('a form is good for half an hour and not a moment longer', async () => {
  const [early, late] = [newKey(), newKey()]
  const [earlyFields, lateFields] = [fieldsFor(early), fieldsFor(late)]
  rules.clock.advance(30 * 60_000 - 1)
  assert.equal((await post(earlyFields)).status, 204)
  rules.clock.advance(1)
  const { status, text } = await post(lateFields)
  assert.deepEqual([status, /<Code>(\w+)</.exec(text)?.[1]], [403, 'AccessDenied'])
  assert.equal(await rules.store.stat(late), undefined)
})

test('a file is as long as the policy allows: neither empty nor a byte longer', async () => {
  const statusOf = async (bytes: number) =>
    (await post(fieldsFor(newKey(), 5000), Buffer.alloc(bytes))).status
  assert.deepEqual(await Promise.all([0, 1, 5000, 5001, 500_000].map(statusOf)), [400, 204, 204, 400, 400])
  assert.deepEqual(await unfinished(), [])
})

test('what breaks off, or does not end as a form does, is not stored', async () => {
  const key = newKey()
  const whole = formBody(fieldsFor(key), 'content')
  const send = (body: AsyncIterable<Uint8Array> | Uint8Array) =>
    answered(forms.answer(fileRequest('POST', '/', { headers: FORM_TYPE, body })))
  await assert.rejects(send(brokenOff(whole.subarray(0, -10).toString('latin1'))), /went away/)
  assert.equal((await send(whole.subarray(0, -4))).status, 400)
  assert.equal((await send(Buffer.concat([whole, Buffer.from('more')]))).status, 400)
  assert.equal(await rules.store.stat(key), undefined)
  assert.deepEqual(await unfinished(), [])
  assert.equal((await send(whole)).status, 204)
})

test('every field is bound: another value, none, one more, and one twice are refused (F1)', async () => {
  const key = newKey()
  const fields = fieldsFor(key)
  const other = fieldsFor(newKey())
  const foreign = { ...UPLOAD_KEYS, secretAccessKey: 'another' }
  const policy = fields.find(([name]) => name === 'policy')![1]
  for (const [name] of fields) {
    if (name === 'Content-Type') continue
    const otherValue = other.find((field) => field[0] === name)![1]
    for (const value of [
      `${fields.find((field) => field[0] === name)![1]}x`,
      '',
      ...(name === 'key' || name === 'policy' ? [otherValue] : []),
    ])
      assert.equal((await post(set(fields, name, value))).status, 403, name)
    assert.equal((await post(fields.filter((field) => field[0] !== name))).status, 403, name)
    assert.equal((await post([...fields, [name, 'again']])).status, 400, name)
  }
  assert.equal((await post([...fields, ['success_action_status', '201']])).status, 403)
  assert.equal((await post([...fields, ['KEY', 'profiles/other']])).status, 403)
  assert.equal((await post([...fields, ['bucket', 'other']])).status, 403)
  const signedByAnother = postPolicySignature(policy, foreign.secretAccessKey, '20260101')
  const refused = await post(set(fields, 'x-amz-signature', signedByAnother))
  assert.match(refused.text, /<Code>SignatureDoesNotMatch<\/Code>/)
  assert.equal(await rules.store.stat(key), undefined)
  assert.equal((await post(fields)).status, 204, 'the form itself is good')
})

test('a signed policy is obeyed whatever it says, and refused if it cannot be', async () => {
  const send = (document: unknown, key = newKey(), more: Fields = []) => {
    const policy = Buffer.from(typeof document === 'string' ? document : JSON.stringify(document)).toString(
      'base64',
    )
    const fields = set(fieldsFor(key), 'policy', policy)
    const day = fields.find(([name]) => name === 'x-amz-date')![1].slice(0, 8)
    const signature = postPolicySignature(policy, UPLOAD_KEYS.secretAccessKey, day)
    return post([...set(fields, 'x-amz-signature', signature), ...more])
  }
  const conditions = [
    ['starts-with', '$key', 'profiles/'],
    ['eq', '$acl', 'private'],
    ['starts-with', '$content-type', 'application/'],
    ['content-length-range', 1, 100],
    ...['credential', 'algorithm', 'date'].map((name) => ['starts-with', `$x-amz-${name}`, '']),
  ]
  const inAnHour = new Date(rules.clock.nowMs() + 20 * 60_000).toISOString()
  const good = { expiration: inAnHour, conditions }
  assert.equal((await send(good)).status, 204)
  assert.equal((await send({ ...good, conditions: [...conditions, { bucket: 'heliograph' }] })).status, 204)
  const refusals: [unknown, number][] = [
    [{ ...good, conditions: [...conditions, { bucket: 'other' }] }, 403],
    [{ ...good, conditions: [...conditions, ['eq', '$acl', 'public-read']] }, 403],
    [{ ...good, conditions: [...conditions, ['content-length-range', 1, 1000]] }, 400],
    [{ ...good, conditions: conditions.filter(([kind]) => kind !== 'content-length-range') }, 400],
    [{ ...good, conditions: conditions.slice(1) }, 403],
    [{ ...good, conditions: conditions.with(3, ['content-length-range', 8, 100]) }, 400],
    [{ ...good, conditions: [['starts-with', '$key', 'groups/'], ...conditions.slice(1)] }, 403],
    [{ ...good, expiration: '2036-01-01T00:00:00.000Z' }, 403],
    [{ ...good, expiration: 'soon' }, 400],
    [{ ...good, more: 1 }, 400],
    [{ conditions }, 400],
    ['{', 400],
    ['null', 400],
  ]
  for (const [document, status] of refusals)
    assert.equal((await send(document)).status, status, JSON.stringify(document))
})

test('of several who post one form at once, one is told that it is stored, and its file is whole', async () => {
  const key = newKey()
  const fields = fieldsFor(key, 20_000)
  const contents = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(9000))
  const statuses = await Promise.all(contents.map(async (content) => (await post(fields, content)).status))
  assert.deepEqual(statuses.filter((status) => status === 204).length, 1, String(statuses))
  assert.ok(
    statuses.every((status) => [204, 409, 412].includes(status)),
    String(statuses),
  )
  assert.equal(await rules.textOf(key), contents[statuses.indexOf(204)])
})

test('what is no form is refused, and what is not posted to the root is not for here', async () => {
  const fields = fieldsFor(newKey())
  assert.equal((await post(fields, 'c', { 'content-type': 'application/json' })).status, 400)
  assert.equal(
    (await post(fields, 'c', { 'content-type': `multipart/form-data; boundary=${BOUNDARY}0` })).status,
    400,
  )
  for (const [method, path] of [
    ['GET', '/'],
    ['PUT', '/'],
    ['POST', '/profiles/x'],
  ] as const)
    assert.equal(forms.answer(fileRequest(method, path)), undefined)
})

test('F1: two thousand forms with something changed in them: none is stored, none is a bug', async () => {
  const key = newKey()
  const fields = fieldsFor(key)
  const bound = fields.filter(([name]) => name !== 'Content-Type')
  const mac = createHmac('sha256', 'k').update('x').digest('hex')
  const value = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.constantFrom(mac, '../../x', '%2e%2e%2fx', '%252e%252e', 'a\0b', 'profiles/other', '20260101T000000Z'),
  )
  const changed = fc.tuple(fc.nat(bound.length - 1), value).filter(([at, text]) => bound[at]![1] !== text)
  await fc.assert(
    fc.asyncProperty(changed, async ([at, text]) => {
      const { status } = await post(set(fields, bound[at]![0], text))
      assert.ok(status === 403 || status === 400, `${bound[at]![0]}=${text}: ${status}`)
    }),
    { numRuns: 2000 },
  )
  assert.equal(await rules.store.stat(key), undefined)
  assert.equal(await rules.store.stat('profiles/other'), undefined)
  assert.deepEqual(await unfinished(), [])
})
