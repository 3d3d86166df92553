// Keys of uploads are exchanged on a server that runs: what was permitted before goes on, and ends when it would have.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { type Clock, systemClock } from '../../server/kit/clock.ts'
import { askServer } from '../../server/kit/control.ts'
import { DAY_MS } from '../../server/kit/days.ts'
import { plainAddress, plainKey } from '../../server/kit/plain-addresses.ts'
import { PostPolicy } from '../../server/kit/post-policy.ts'
import { openSecrets } from '../../server/kit/secrets.ts'
import { HANDOVER_MS, UploadKeyRing } from '../../server/kit/upload-keys.ts'
import { UploadSignatures } from '../../server/kit/upload-signatures.ts'
import { Https } from '../client/https.ts'
import { SignalClient } from '../client/signal-client.ts'
import { formOf, TusClient } from '../client/tus.ts'
import { heliograph } from '../command.ts'
import { Constellation, type SignalServer } from '../constellation.ts'
import { FORM_TYPE, formBody, formFields } from '../files/post-form.ts'
import { ServerProcess } from '../server-process.ts'

const BODY = randomBytes(1000)
const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000
const shifting = () => {
  let shiftMs = 0
  const clock: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() + shiftMs }
  const shift = (ms: number) => {
    shiftMs += ms
  }
  return { clock, shift }
}

const rotate = (data: string, forgetOld = false) =>
  askServer(data, 'secrets rotate uploads', { forgetOld }, z.object({ signsFromMs: z.number() }))

/** Every way in, permitted now by these keys. Each can be used once, later, and gives its status. */
function permitted(server: SignalServer, keys: UploadKeyRing, clock: Clock) {
  const signatures = new UploadSignatures(keys, clock)
  const name = randomBytes(12).toString('base64url')
  const maxBytes = BODY.length
  const location = `${server.ready.urls.cdn3}/upload/attachments`
  const metadata = `filename ${Buffer.from(`t${name}`).toString('base64')}`
  const token = signatures.token({ audience: 'attachments', subject: `t${name}`, maxBytes })
  const headers = { authorization: `Bearer ${token}`, 'upload-metadata': metadata }
  const path = `/attachments/g${name}`
  const query = signatures.addressQuery({ method: 'POST', path, maxBytes })
  const form = new PostPolicy(keys, clock).formFor(`profiles/s${name}`, { maxBytes })
  const key = plainKey(keys.signing(clock.nowMs()).bearerKey)
  const expiresAtS = Math.floor(clock.nowMs() / 1000) + 3 * 86_400
  const plain = plainAddress(key, { name: `p${name}`, maxBytes, expiresAtS })
  const call = async (method: string, to: string, sent: Parameters<Https['call']>[2]) => {
    await using https = Https.open(server.ready, 1, 'cdn3')
    return (await https.call(method, to, sent)).status
  }
  return {
    tus: async () =>
      (await new TusClient(server.ready, 2, { key: '', headers, location }).createWith(BODY)).status,
    google: () =>
      call('POST', `/cdn2${path}?${query}`, {
        headers: { 'x-goog-resumable': 'start', 'x-goog-content-length-range': `1,${maxBytes}` },
      }),
    s3: () => call('POST', '/cdn0/', { headers: FORM_TYPE, body: formBody(formFields(form), BODY) }),
    plain: () => call('PUT', plain, { body: BODY }),
  }
}

type Ways = ReturnType<typeof permitted>
const GOOD = { tus: 201, google: 201, s3: 204, plain: 201 }
const NONE = { tus: 403, google: 403, s3: 403, plain: 403 }
const used = async (ways: Ways) => ({
  tus: await ways.tus(),
  google: await ways.google(),
  s3: await ways.s3(),
  plain: await ways.plain(),
})

test('what was permitted before an exchange goes on until its own end, through every door (F1)', async () => {
  const { clock, shift } = shifting()
  await using server = await Constellation.open({ clock, config: { roles: ['files'] } })
  const data = dirname(server.ready.outbox)
  const { uploads: old } = await server.secrets()
  const before = () => permitted(server, old, clock)
  const [at1, at2, at3, at4] = [before(), before(), before(), before()]
  await rotate(data)
  assert.deepEqual(await used(at1), GOOD, 'at once')
  shift(29 * MINUTE_MS)
  assert.deepEqual(await used(at2), GOOD, 'to the end of the forms')
  shift(24 * HOUR_MS)
  assert.deepEqual(await used(at3), { ...GOOD, s3: 403 }, 'to the end of the addresses')
  shift(6 * DAY_MS - 2 * MINUTE_MS)
  assert.deepEqual(await used(at4), NONE, 'after a week')
  assert.deepEqual(await used(before()), NONE, 'what is signed with the old keys then')
  const { uploads } = await server.secrets()
  assert.deepEqual(await used(permitted(server, uploads, clock)), GOOD, 'what is signed with the new ones')
})

test('an upload that was half done when the keys were exchanged is resumed with its old token', async () => {
  const { clock, shift } = shifting()
  await using server = await Constellation.open({ clock })
  const data = dirname(server.ready.outbox)
  await using client = await SignalClient.create(server, { httpVersion: 2, oneTimeKeys: 0 })
  const ask = async () => formOf(await client.link.auth.getUploadForm({ uploadSize: BigInt(BODY.length) }))
  const form = await ask()
  const tus = new TusClient(server.ready, 2, form)
  await tus.create({ 'upload-length': String(BODY.length) })
  await tus.append(0, [BODY.subarray(0, 400)])
  await rotate(data)
  shift(HANDOVER_MS)
  assert.equal(await tus.offset(), 400)
  assert.equal((await tus.append(400, [BODY.subarray(400)])).status, 204)
  const next = await ask()
  const { uploads } = await server.secrets()
  const current = UploadKeyRing.of(uploads.signing(clock.nowMs()))
  const token = (one: typeof form) =>
    Object.values(one.headers)
      .find((value) => value.startsWith('Bearer '))!
      .slice(7)
  const isCurrent = (one: typeof form) =>
    new UploadSignatures(current, clock).verifyToken(token(one)) !== undefined
  assert.deepEqual(
    [isCurrent(form), isCurrent(next)],
    [false, true],
    'new forms are signed with the new keys',
  )
  assert.equal((await new TusClient(server.ready, 2, next).createWith(BODY)).status, 201)
})

test('the command exchanges the keys of a running server, which goes on, and with --forget-old refuses the old', async () => {
  await using server = await ServerProcess.start({ yaml: 'roles: [files]' })
  const secrets = () => openSecrets(join(server.data, 'secrets'))
  const { uploads: first } = await secrets()
  const ways = permitted(server, first, systemClock)
  const { pid } = server
  const said = await heliograph('secrets', 'rotate', 'uploads', '--data', server.data)
  assert.equal(said.err, '')
  assert.match(said.out, /^New upload keys sign from \d{4}-.*Z\. What the old ones signed ends by itself\.$/m)
  assert.deepEqual(await used(ways), GOOD)
  const leaked = permitted(server, first, systemClock)
  const forgot = await heliograph('secrets', 'rotate', 'uploads', '--forget-old', '--data', server.data)
  assert.match(forgot.out, /What the old ones signed is refused\.$/m)
  assert.deepEqual(await used(leaked), NONE)
  const { uploads: last } = await secrets()
  assert.deepEqual(await used(permitted(server, last, systemClock)), GOOD)
  assert.equal(server.pid, pid)
  for (const { bearerKey, secretAccessKey } of [...first.verifying(0), ...last.verifying(0)])
    for (const secret of [secretAccessKey, Buffer.from(bearerKey).toString('base64')])
      assert.ok(!`${said.out}${forgot.out}${server.log}`.includes(secret), 'no key is printed or logged')
})

test('a server that is killed in the middle of an exchange has the keys that are on disk, and the old ones', async () => {
  await using server = await ServerProcess.start({ yaml: 'roles: [files]' })
  for (let round = 0; round < 6; round++) {
    const { uploads } = await openSecrets(join(server.data, 'secrets'))
    const ways = permitted(server, uploads, systemClock)
    const asked = rotate(server.data).catch(() => undefined)
    // In turn before, while and after the file is written.
    for (let turns = round * 60; turns > 0; turns--) await new Promise(setImmediate)
    await server.kill()
    await asked
    await server.restart()
    assert.deepEqual(await used(ways), GOOD, `round ${round}`)
  }
})
