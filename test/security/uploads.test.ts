// F1, I1 on the wire: uploads by CDN 2, CDN 0 and the plain scheme that nobody allowed, over either version of HTTP.
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Clock, systemClock } from '../../server/kit/clock.ts'
import { plainAddress, plainKey } from '../../server/kit/plain-addresses.ts'
import { PostPolicy } from '../../server/kit/post-policy.ts'
import { UploadKeyRing } from '../../server/kit/upload-keys.ts'
import { UploadSignatures } from '../../server/kit/upload-signatures.ts'
import { type Call, Https } from '../client/https.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { Constellation } from '../constellation.ts'
import { FORM_TYPE, formBody, formFields } from '../files/post-form.ts'

const DAY_MS = 86_400_000
const BODY = Buffer.alloc(100_000, 1)
const HEADERS = { 'x-goog-resumable': 'start', 'x-goog-content-length-range': '1,1000000' }
let server: Constellation
before(async () => {
  server = await Constellation.open()
})
after(() => server.close())

const atOf = (ms: number): Clock => ({ ...systemClock, nowMs: () => systemClock.nowMs() + ms })

type Asked = readonly [method: string, path: string, call: Call]

/** What the server would take, signed at another time or with other keys; the names begin with `name`. */
async function requests(name: string, shiftMs = 0, foreign = false): Promise<Asked[]> {
  const { uploads } = await server.secrets()
  const clock = atOf(shiftMs)
  const own = uploads.signing(clock.nowMs())
  const keys = foreign ? { ...own, bearerKey: Buffer.alloc(32), secretAccessKey: 'x' } : own
  const ring = UploadKeyRing.of(keys)
  const signatures = new UploadSignatures(ring, clock)
  const address = (method: 'POST' | 'PUT') => {
    const path = `/attachments/${name}-google`
    return `/cdn2${path}?${signatures.addressQuery({ method, path, maxBytes: 1_000_000 })}`
  }
  const form = new PostPolicy(ring, clock).formFor(`profiles/${name}-s3`, { maxBytes: 1_000_000 })
  const plain = { name: `${name}-plain`, maxBytes: 1_000_000 }
  const expiresAtS = Math.floor(clock.nowMs() / 1000) + 600
  return [
    ['POST', address('POST'), { headers: HEADERS }],
    ['PUT', address('PUT'), { body: BODY }],
    ['POST', '/cdn0/', { headers: FORM_TYPE, body: formBody(formFields(form), BODY) }],
    ['PUT', plainAddress(plainKey(keys.bearerKey), { ...plain, expiresAtS }), { body: BODY }],
  ]
}

const objects = async () => {
  const folder = join(dirname(server.ready.outbox), 'files', 'objects')
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name)
}

for (const httpVersion of HTTP_VERSIONS)
  test(`F1, I1: over HTTP/${httpVersion} nothing is stored that was not allowed, and nothing is a 5xx`, async () => {
    await using https = Https.open(server.ready, httpVersion)
    const statusOf = async ([method, path, call]: Asked) => (await https.call(method, path, call)).status
    const name = `honest-${httpVersion}`
    const honest = await requests(name)
    const names = ['..%2fprofiles%2fx', '%2e%2e', 'a%00b-long', '%252e%252e%252fx', 'a'.repeat(65)]
    const asked = await Promise.all([
      requests('expired-1', -8 * DAY_MS),
      requests('too-early', 8 * DAY_MS),
      requests('foreign-1', 0, true),
      ...names.map((bad) => requests(bad)),
    ])
    const elsewhere = honest.map(
      ([method, path, call]): Asked => [
        method,
        path.replace(name, `stolen-${httpVersion}`),
        typeof call.body === 'object' && call.headers
          ? {
              ...call,
              body: Buffer.from(
                Buffer.from(call.body).toString('latin1').replace(name, 'stolen-s3'),
                'latin1',
              ),
            }
          : call,
      ],
    )
    const before = await objects()
    for (const one of [...asked.flat(), ...elsewhere]) {
      const status = await statusOf(one)
      assert.ok(status >= 400 && status < 500, `${one[0]} ${one[1]}: ${status}`)
    }
    assert.deepEqual(await objects(), before)
    const statuses: number[] = []
    for (const one of honest) statuses.push(await statusOf(one))
    assert.deepEqual(statuses, [201, 200, 204, 201], 'what was allowed is stored')
    const again: number[] = []
    for (const one of honest) again.push(await statusOf(one))
    assert.deepEqual(again, [409, 409, 412, 409], 'a replay is not')
    assert.deepEqual((await objects()).length, before.length + 3)
  })
