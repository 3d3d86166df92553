// What goes wrong around an upload at nginx: nothing is stored that should not be, nothing is half there, nothing is held.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { readFile, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { PLAIN_LIFETIME_S } from '../../server/kit/plain-addresses.ts'
import { Line } from '../client/line.ts'
import { heliograph } from '../command.ts'
import { until, within } from '../within.ts'
import { MB, newName, openFronted, put, read } from './requests.ts'

const AT_ONCE = { minLength: 50, maxLength: 50 }

test('F1: two and a half thousand addresses with something changed in them: none stores anything, none is a bug', async (t) => {
  const fronted = await openFronted(t)
  if (!fronted) return
  const name = newName()
  const address = fronted.sign(name)
  const letters = fc.constantFrom(...'aZ0-_=&?%./+~*:@;,')
  const changed = fc.oneof(
    fc
      .tuple(fc.integer({ min: 1, max: address.length - 1 }), letters)
      .map(([at, letter]) => address.slice(0, at) + letter + address.slice(at + 1)),
    fc
      .tuple(fc.integer({ min: 1, max: address.length - 1 }), letters)
      .map(([at, letter]) => address.slice(0, at) + letter + address.slice(at)),
    fc.integer({ min: 1, max: address.length - 1 }).map((at) => address.slice(0, at) + address.slice(at + 1)),
    fc.constantFrom(
      ...[`/plain/${name}`, `${address}&x=1`, `/plain/${name}?${fronted.sign(newName()).split('?')[1]}`],
      ...[fronted.sign(name, { seconds: -5 }), fronted.sign(name, { seconds: PLAIN_LIFETIME_S + 999 })],
    ),
    fc.stringMatching(/^[!-~]{0,120}$/).map((text) => `/plain/${name}?${text}`),
    fc.stringMatching(/^[!-"$-~]{0,60}$/).map((text) => `/plain/${text}?${address.split('?')[1]}`),
  )
  const refused = async (target: string, hasLength: boolean) => {
    if (target === address) return
    const body = Buffer.from('nobody may store this')
    const { status } = await fronted.ask('nginx', put(target, hasLength ? body : oneByOne(body)))
    assert.ok(status >= 400 && status < 500, `${target}: ${status}`)
  }
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(changed, fc.boolean()), AT_ONCE), async (tries) => {
      await Promise.all(tries.map(([target, hasLength]) => refused(target, hasLength)))
    }),
    { numRuns: 50 },
  )
  assert.deepEqual(await fronted.stored(), [])
  assert.deepEqual(await fronted.stored('incoming'), [])
  assert.equal((await fronted.ask('nginx', put(address, Buffer.from('but this')))).status, 201)
})

async function* oneByOne(body: Buffer): AsyncGenerator<Buffer> {
  for (const byte of body) yield Buffer.of(byte)
}

const residentBytes = (pid: number) =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024

test('100 MB go in and out through nginx, which holds less than 20 of them', async (t) => {
  const fronted = await openFronted(t)
  if (!fronted) return
  const piece = randomBytes(MB / 10)
  const { pids } = fronted
  const before = pids.map(residentBytes)
  const peaks = [...before]
  const look = () => {
    for (const [index, pid] of pids.entries()) peaks[index] = Math.max(peaks[index]!, residentBytes(pid))
  }
  async function* hundred() {
    for (let count = 0; count < 1000; count++) {
      if (count % 20 === 0) look()
      yield piece
    }
  }
  const name = newName()
  const body = hundred()
  const length = { 'content-length': String(100 * MB) }
  const target = fronted.sign(name, { maxBytes: 100 * MB })
  assert.equal((await fronted.ask('nginx', put(target, body, length))).status, 201)
  const sending = {
    method: 'GET',
    url: new URL(`https://localhost:${fronted.ports.nginx}/attachments/${name}`),
    headers: {},
  }
  let [received, pieces] = [0, 0]
  const { body: sent } = await within(new Line(fronted.ready, 2).send(sending, []), 'an answer')
  for await (const chunk of sent) {
    received += chunk.length
    if (pieces++ % 100 === 0) look()
  }
  assert.equal(received, 100 * MB)
  const grown = peaks.map((peak, index) => (peak - before[index]!) / MB)
  t.diagnostic(`MB that nginx's processes grew by: ${grown.map((mb) => mb.toFixed(1)).join(' ')}`)
  for (const mb of grown) assert.ok(mb < 20, `${mb} MB`)
  assert.equal(
    (await stat(join(fronted.files, 'objects', 'attachments', name.slice(0, 2), name))).size,
    100 * MB,
  )
})

test('kill -9 of nginx in the middle of uploads: nothing of them is served, and the next start goes on', async (t) => {
  const fronted = await openFronted(t)
  if (!fronted) return
  for (let round = 0; round < 5; round++) {
    const names = [newName(), newName(), newName()]
    const url = (name: string) =>
      new URL(`https://localhost:${fronted.ports.nginx}${fronted.sign(name, { maxBytes: MB })}`)
    const halves = names.map(async (name) => {
      const endless = Promise.withResolvers<void>()
      async function* half() {
        yield Buffer.alloc(300_000, name)
        await endless.promise
      }
      const sending = { method: 'PUT', url: url(name), headers: { 'content-length': String(MB) } }
      await new Line(fronted.ready, 1)
        .send(sending, half())
        .catch(() => {})
        .finally(() => endless.resolve())
    })
    await until('the halves to be on disk', async () => {
      const paths = await fronted.stored('incoming')
      const sizes = paths.map((path) => statSync(join(fronted.files, path)).size)
      return sizes.filter((size) => size > 0).length === names.length * (round + 1)
    })
    await fronted.killNginx()
    await within(Promise.all(halves), 'the halves to end')
    await fronted.startNginx()
    for (const name of names) {
      for (const door of ['node', 'nginx'] as const)
        assert.equal((await fronted.ask(door, read(name))).status, 404)
      assert.equal(
        (await fronted.ask('nginx', put(fronted.sign(name), Buffer.from(name)))).status,
        201,
        'again',
      )
      assert.equal(String((await fronted.ask('nginx', read(name))).body), name)
    }
  }
})

test('what comes in is for nobody else on the host to read, and nothing about anybody is logged', async (t) => {
  const fronted = await openFronted(t)
  if (!fronted) return
  const name = newName()
  assert.equal((await fronted.ask('nginx', put(fronted.sign(name), Buffer.from('content')))).status, 201)
  await fronted.ask('nginx', put(`/plain/${name}?secret`, Buffer.from('content')))
  await fronted.ask('nginx', read(`${name}-missing`))
  const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)
  const object = join(fronted.files, 'objects', 'attachments', name.slice(0, 2), name)
  const secrets = join(fronted.data, 'secrets')
  assert.deepEqual(
    [
      object,
      join(fronted.files, 'incoming'),
      join(fronted.files, 'nginx.sock'),
      join(secrets, 'nginx-upload-keys.json'),
    ].map(modeOf),
    ['600', '700', '600', '600'],
  )
  for (const log of ['error.log', 'trouble.log'])
    assert.equal(await readFile(join(fronted.folder, 'nginx', log), 'utf8'), '', log)
})

test('a key file holds derived keys only, and a signature is good at nginx until its key has ended', async (t) => {
  const fronted = await openFronted(t)
  if (!fronted) return
  const [old, later] = [fronted.sign(newName()), fronted.sign(newName())]
  const file = () => readFile(join(fronted.data, 'secrets', 'nginx-upload-keys.json'), 'utf8')
  const { bearerKey } = fronted.secrets.uploads.signing(Date.now())
  for (const form of ['hex', 'base64', 'base64url'] as const)
    assert.ok(!(await file()).includes(Buffer.from(bearerKey).toString(form)))
  const { data } = fronted
  assert.equal((await heliograph('secrets', 'rotate', 'uploads', '--data', data)).code, 0)
  const { keys } = JSON.parse(await file())
  assert.equal(keys.length, 2)
  assert.equal(
    (await fronted.ask('nginx', put(old, Buffer.from('old')))).status,
    201,
    'what was signed stays good',
  )
  const newest = Buffer.from(
    keys.find((key: { signsUntilS: unknown }) => key.signsUntilS === null).key,
    'hex',
  )
  const fresh = fronted.sign(newName(), { key: newest })
  assert.equal((await fronted.ask('nginx', put(fresh, Buffer.from('new')))).status, 201)
  assert.equal((await heliograph('secrets', 'rotate', 'uploads', '--forget-old', '--data', data)).code, 0)
  assert.equal(
    (await fronted.ask('nginx', put(later, Buffer.from('old')))).status,
    403,
    'unless the old are forgotten',
  )
})

test('without its keys nginx lets nothing in, and without Heliograph it goes on serving', async (t) => {
  const fronted = await openFronted(t)
  if (!fronted) return
  const [first, second] = [newName(), newName()]
  assert.equal((await fronted.ask('nginx', put(fronted.sign(first), Buffer.from('content')))).status, 201)
  const keys = join(fronted.data, 'secrets', 'nginx-upload-keys.json')
  await rename(keys, `${keys}.away`)
  assert.equal((await fronted.ask('nginx', put(fronted.sign(second), Buffer.from('content')))).status, 503)
  await rename(`${keys}.away`, keys)
  const target = fronted.sign(second)
  await fronted.platform.close()
  assert.equal((await fronted.ask('nginx', put(target, Buffer.from('content')))).status, 503)
  assert.equal(String((await fronted.ask('nginx', read(first))).body), 'content')
  assert.deepEqual(await fronted.stored('incoming'), [], 'what was not taken over is gone')
  const trouble = await readFile(join(fronted.folder, 'nginx', 'trouble.log'), 'utf8')
  assert.match(trouble, /^\S+ upload 503\n\S+ upload 503\n$/)
})

test('no room is 507: by quota, and by a disk that is full in the middle of a body', async (t) => {
  const bounded = await openFronted(t, { config: { files: { maxBytes: 10_000 } } })
  if (!bounded) return
  const full = Buffer.alloc(10_001)
  assert.equal(
    (await bounded.ask('nginx', put(bounded.sign(newName(), { maxBytes: 20_000 }), full))).status,
    507,
  )
  assert.equal((await bounded.ask('nginx', put(bounded.sign(newName()), Buffer.alloc(10)))).status, 201)
  assert.deepEqual(await bounded.stored('incoming'), [])
  const script = 'mount -t tmpfs -o size=1m,mode=700 none "$1" && shift && exec "$@"'
  const before = (files: string) => ['unshare', '-m', 'sh', '-c', script, 'sh', join(files, 'incoming')]
  const tight = await openFronted(t, { before }).catch(() => undefined)
  if (!tight) return t.diagnostic('this host lets nobody mount a small disk: only the quota was tried')
  const large = put(tight.sign(newName(), { maxBytes: 2 * MB }), Buffer.alloc(2 * MB))
  assert.equal((await tight.ask('nginx', large)).status, 507)
  assert.equal((await tight.ask('nginx', { method: 'GET', target: '/cdn3/attachments/nothing' })).status, 404)
})
