// F1, I1: requests to the file store that are tampered with, expired, replayed or for somebody else's file. A known seed.
import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileEvents } from '../../server/files/events.ts'
import { openFiles } from '../../server/files/files.ts'
import { ManualClock } from '../../server/kit/clock.ts'
import { Counters } from '../../server/kit/counters.ts'
import { plainAddress, plainKey } from '../../server/kit/plain-addresses.ts'
import { PostPolicy } from '../../server/kit/post-policy.ts'
import { systemRandom } from '../../server/kit/random.ts'
import { openSecrets } from '../../server/kit/secrets.ts'
import type { StreamReply } from '../../server/kit/streaming.ts'
import { UploadKeyRing } from '../../server/kit/upload-keys.ts'
import { type UploadClaims, UploadSignatures } from '../../server/kit/upload-signatures.ts'
import { Dice } from '../crash/dice.ts'
import { pieces } from '../files/disk.ts'
import { FORM_TYPE, formBody, formFields } from '../files/post-form.ts'

const WEEK_MS = 7 * 86_400_000
const SECRET_WORDS = Buffer.from('nobody may store this')
type Headers = Record<string, string>
type Asked = { method: string; target: string; headers: Headers; body?: Buffer }

async function openStore(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'helio-hostile-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const clock = new ManualClock()
  const secrets = await openSecrets(join(folder, 'secrets'))
  const bugs: unknown[] = []
  const urls = () => ({ cdn0: 'https://own/cdn0', cdn2: 'https://own/cdn2', cdn3: 'https://own/cdn3' })
  const files = await openFiles({
    ...{ clock, random: systemRandom, secrets, urls, folder: join(folder, 'files') },
    events: fileEvents(new Counters()),
    onBug: (error) => bugs.push(error),
  })
  t.after(() => files.close())
  const ask = async ({ method, target, headers, body = Buffer.alloc(0) }: Asked): Promise<StreamReply> => {
    const reply = (await files.serve({ method, target, headers, body: pieces(body) })) ?? {
      status: 404,
      headers: {},
    }
    reply.body?.destroy()
    return reply
  }
  const stored = async () =>
    (await readdir(join(folder, 'files'), { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => !path.includes('/expiry/'))
      .sort()
  const { uploads } = secrets
  const foreign = UploadKeyRing.of({ ...uploads.signing(0), ...FOREIGN_KEYS })
  const signers = { signatures: new UploadSignatures(uploads, clock), policy: new PostPolicy(uploads, clock) }
  const others = { signatures: new UploadSignatures(foreign, clock), policy: new PostPolicy(foreign, clock) }
  const plainSecret = plainKey(uploads.signing(0).bearerKey)
  return { clock, bugs, ask, stored, ...signers, others, plainSecret }
}

const FOREIGN_KEYS = { bearerKey: Buffer.alloc(32, 9), secretAccessKey: 'another' }

const encoded = (text: string) => Buffer.from(text).toString('base64')
const creation = (token: string, name: string, audience = 'attachments'): Asked => ({
  method: 'POST',
  target: `/cdn3/upload/${audience}`,
  headers: {
    authorization: `Bearer ${token}`,
    'upload-metadata': `filename ${encoded(name)}`,
    'upload-length': String(SECRET_WORDS.length),
    'tus-resumable': '1.0.0',
    'content-type': 'application/offset+octet-stream',
  },
  body: SECRET_WORDS,
})

const TRAVERSALS = [
  '../../../etc/passwd',
  '..%2f..%2fetc%2fpasswd',
  '%252e%252e%252fx',
  'a/../b',
  'a\0b',
  'a%00',
  '.',
  '..',
  '',
  'a//b',
  'a/b',
  'ключ',
  'x'.repeat(5000),
  '\\..\\x',
  'uploads/x',
  '__proto__/x/y',
]

test('ten thousand requests that are tampered with, expired, replayed or foreign store nothing, and none is a 5xx (F1)', async (t) => {
  const { clock, bugs, ask, stored, signatures, policy, others, plainSecret } = await openStore(t)
  const dice = new Dice(20261123)
  const below = (count: number) => dice.below(count)
  const one = <T>(of: readonly T[]): T => of[below(of.length)]!
  const attachment = (subject: string, maxBytes = 100): UploadClaims => ({
    audience: 'attachments',
    subject,
    maxBytes,
  })
  const old = signatures.token(attachment('expired'))
  const oldQuery = signatures.addressQuery({ method: 'POST', path: '/attachments/free', maxBytes: 100 })
  const oldFields = formFields(policy.formFor('profiles/free', { maxBytes: 100 }))
  clock.set(clock.nowMs() + 2 * WEEK_MS)
  const early = signatures.token(attachment('early'))
  clock.set(clock.nowMs() - WEEK_MS)
  assert.equal((await ask(creation(signatures.token(attachment('mine')), 'mine'))).status, 201)
  const unfinished = creation(signatures.token(attachment('half')), 'half')
  const half = { ...unfinished, body: SECRET_WORDS.subarray(0, 5) }
  assert.equal((await ask(half)).status, 201, 'the requests that are not tampered with are good')

  const token = () => signatures.token(attachment('free'))
  const flipped = (text: string) => {
    const at = below(text.length)
    const other = one([...'ABCabc012-_'].filter((char) => char !== text[at]))
    return text.slice(0, at) + other + text.slice(at + 1)
  }
  const write: UploadClaims = {
    audience: 'backups',
    scope: 'write',
    subject: 'folder/messageBackup',
    maxBytes: 9,
  }
  const read: UploadClaims = { audience: 'backups', scope: 'read', subject: 'folder' }
  const bearer = (claims: UploadClaims) => ({ authorization: `Bearer ${signatures.token(claims)}` })
  const patch = (name: string, as: Headers, headers: Headers = {}): Asked => ({
    method: 'PATCH',
    target: `/cdn3/upload/attachments/${name}`,
    headers: { 'content-type': 'application/offset+octet-stream', 'upload-offset': '5', ...as, ...headers },
    body: SECRET_WORDS,
  })
  const GOOGLE = { 'x-goog-resumable': 'start', 'x-goog-content-length-range': '1,100' }
  const addressed = (method: 'POST' | 'PUT', path: string, by = signatures): Asked => ({
    method,
    target: `/cdn2${path}?${by.addressQuery({ method, path, maxBytes: 100 })}`,
    headers: method === 'POST' ? GOOGLE : {},
    body: method === 'POST' ? Buffer.alloc(0) : SECRET_WORDS,
  })
  const instead = (asked: Asked, target: string): Asked => ({ ...asked, target })
  /** The same signature for another name. */
  const renamed = (asked: Asked, from: string, to: string) =>
    instead(
      asked,
      asked.target.replace(from, () => to),
    )
  const tampered = (asked: Asked): Asked => {
    const [path, query = ''] = asked.target.split('?')
    return instead(asked, `${path}?${flipped(query)}`)
  }
  const posted = (key: string, by = policy, content: Buffer = SECRET_WORDS) =>
    form(formFields(by.formFor(key, { maxBytes: 100 })), content)
  const form = (fields: [string, string][], content: Buffer = SECRET_WORDS): Asked => ({
    method: 'POST',
    target: '/cdn0/',
    headers: FORM_TYPE,
    body: formBody(fields, content),
  })
  const spoilt = (): Asked => {
    const fields = formFields(policy.formFor('profiles/free', { maxBytes: 100 }))
    // Any content type is allowed, and none.
    const at = one([...fields.keys()].filter((index) => fields[index]![0] !== 'Content-Type'))
    const [name, value] = fields[at]!
    const instead: [string, string][] = [
      [name, flipped(value)],
      [name, ''],
      [`${name}x`, value],
    ]
    return form(fields.toSpliced(at, 1, ...(dice.chance(0.2) ? [] : [one(instead)])))
  }
  const plainly = (name: string, { seconds = 600, secret = plainSecret, maxBytes = 100 } = {}): Asked => ({
    method: 'PUT',
    target: plainAddress(secret, { name, maxBytes, expiresAtS: Math.floor(clock.nowMs() / 1000) + seconds }),
    headers: {},
    body: SECRET_WORDS,
  })
  const WEEK_S = WEEK_MS / 1000
  const anyWhole = () =>
    one([
      addressed('POST', '/attachments/free'),
      plainly('free-plain'),
      addressed('PUT', '/attachments/free'),
    ])
  const otherDoors: readonly (() => Asked)[] = [
    () => tampered(anyWhole()),
    () => ({ ...anyWhole(), method: one(['DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'CONNECT']) }),
    () => addressed(one(['POST', 'PUT']), '/attachments/free', others.signatures),
    () => ({ ...addressed('POST', '/attachments/free'), method: 'PUT' }),
    () => ({ ...addressed('PUT', '/attachments/free'), method: 'POST', headers: GOOGLE }),
    () => addressed('PUT', '/attachments/never-opened'),
    () => addressed(one(['POST', 'PUT']), '/attachments/mine'),
    () => renamed(addressed('POST', '/attachments/free'), 'free', one(TRAVERSALS)),
    () => addressed(one(['POST', 'PUT']), `/attachments/${one(TRAVERSALS)}`),
    () => addressed(one(['POST', 'PUT']), one(['/profiles/x', '/backups/a/b', '/stickers/x', '/uploads/x'])),
    () => ({
      ...addressed('POST', '/attachments/free'),
      headers: {
        ...GOOGLE,
        ...one([
          { 'x-goog-resumable': 'stop' },
          { 'x-goog-content-length-range': '1,101' },
          { 'x-goog-content-length-range': '0,100' },
        ]),
      },
    }),
    () => instead(addressed('POST', '/attachments/free'), `/cdn2/attachments/free?${oldQuery}`),
    spoilt,
    () => posted('profiles/free', others.policy),
    () => posted(one(TRAVERSALS)),
    () => posted(`profiles/${one(TRAVERSALS)}`),
    () => posted(one(['attachments/free', 'backups/a/b', 'uploads/x', 'objects/x'])),
    () => posted('profiles/free', policy, Buffer.alloc(101 + below(1000))),
    () => posted('profiles/free', policy, Buffer.alloc(0)),
    () => posted('profiles/mine'),
    () => form(oldFields),
    () => {
      const asked = posted('profiles/free')
      return { ...asked, body: asked.body!.subarray(0, below(asked.body!.length - 2)) }
    },
    () => ({
      ...posted('profiles/free'),
      headers: {
        'content-type': one(['multipart/form-data', 'text/plain', 'multipart/form-data; boundary=other', '']),
      },
    }),
    () => instead(posted('profiles/free'), one(['/cdn0', '/cdn0/x', '/cdn0/?a=b', '/cdn0/%2e', '/cdn0/..'])),
    () => plainly('free-plain', { secret: Buffer.alloc(32, 9) }),
    () => plainly('free-plain', { seconds: -below(WEEK_S) }),
    () => plainly('free-plain', { seconds: WEEK_S + 301 + below(WEEK_S) }),
    () => renamed(plainly('free-plain'), 'free-plain', one(TRAVERSALS)),
    () => plainly(one(TRAVERSALS)),
    () => plainly('mine-plain'),
    () => ({ ...plainly('free-plain'), body: Buffer.alloc(one([0, 101, 5000])) }),
    () => ({
      ...plainly('free-plain'),
      headers: one([
        { 'content-range': 'bytes 0-1/2' },
        { 'content-length': '101' },
        { 'content-length': '0' },
      ] as Headers[]),
    }),
  ]
  for (const [asked, status] of [
    [posted('profiles/mine'), 204],
    [plainly('mine-plain'), 201],
    [addressed('POST', '/attachments/google-half'), 201],
  ] as const)
    assert.equal((await ask(asked)).status, status, 'what is not tampered with is good')
  const before = await stored()
  assert.equal(before.length, 7)
  const attacks: readonly (() => Asked)[] = [
    () => creation(flipped(token()), 'free'),
    () => creation(`${token()}${one(['.', 'A', '=', '.x', ' '])}`, 'free'),
    () => creation(token().slice(0, below(150)), 'free'),
    () => creation(`${encoded('{"alg":"none"}')}.${token().split('.')[1]}.${one(['', 'x'])}`, 'free'),
    () => creation(token(), flipped('free')),
    () => creation(token(), one(TRAVERSALS)),
    () => creation(signatures.token(attachment(one(TRAVERSALS))), 'free'),
    () => {
      const name = one(TRAVERSALS)
      return creation(signatures.token(attachment(name)), name)
    },
    () => creation(old, 'expired'),
    () => creation(early, 'early'),
    () => creation(token(), 'free', 'backups'),
    () => creation(signatures.token(write), write.subject, one(['attachments', 'backups'])),
    () => creation(signatures.token(read), 'folder', 'backups'),
    () => creation(signatures.token(attachment('mine')), 'mine'),
    () => ({ ...creation(token(), 'free'), method: one(['PUT', 'GET', 'DELETE', 'PATCH', 'CONNECT']) }),
    () => {
      const asked = creation(signatures.token(attachment('free', below(SECRET_WORDS.length))), 'free')
      return asked
    },
    () => {
      const asked = creation(token(), 'free')
      const lies = ['0', '-1', '101', '1e9', '0x5', 'NaN', '9'.repeat(40), '', '5 ', '5,6']
      return { ...asked, headers: { ...asked.headers, 'upload-length': one(lies) } }
    },
    () => {
      const asked = creation(token(), 'free')
      const lies = { 'upload-checksum': one(['sha256', 'sha256 AAAA', 'sha1 AAAA', 'md5 x', '']) }
      return { ...asked, headers: { ...asked.headers, ...lies } }
    },
    () => patch('half', bearer(attachment('mine'))),
    () => patch('half', { authorization: `Bearer ${flipped(signatures.token(attachment('half')))}` }),
    () =>
      patch('half', bearer(attachment('half')), { 'upload-offset': one(['0', '4', '6', '-5', '5.0', 'x']) }),
    () => patch('half', bearer(attachment('half')), { 'upload-length': one(['0', '1', '22', '100', 'x']) }),
    () => patch('mine', bearer(attachment('mine')), { 'upload-offset': String(below(30)) }),
    () => {
      const name = one(TRAVERSALS)
      return patch(name, bearer(attachment(name)))
    },
    () => ({ method: one(['GET', 'HEAD']), target: `/cdn3/attachments/${one(TRAVERSALS)}`, headers: {} }),
    () => ({ method: 'GET', target: `/cdn3/backups/folder/${one(TRAVERSALS)}`, headers: bearer(read) }),
    () => ({ method: 'GET', target: '/cdn3/backups/other/messageBackup', headers: bearer(read) }),
    () => ({ method: 'GET', target: '/cdn3/backups/folder/messageBackup', headers: bearer(write) }),
    () => ({ method: 'GET', target: '/cdn3/backups/folder/messageBackup', headers: {} }),
    ...otherDoors,
  ]
  for (let count = 0; count < 10_000; count++) {
    const asked = attacks[count % attacks.length]!()
    const { status } = await ask(asked)
    assert.ok(status >= 400 && status < 500, `${asked.method} ${asked.target}: ${status}`)
  }
  assert.deepEqual(await stored(), before)
  assert.deepEqual(bugs, [])
  const rest = { ...patch('half', bearer(attachment('half'))), body: SECRET_WORDS.subarray(5) }
  assert.equal((await ask(rest)).status, 204, 'who was attacked goes on')
})
