// What nginx passes on and what it holds back: who is behind it, who is before it, on both versions of HTTP.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { statSync } from 'node:fs'
import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { openCertificates } from '../../server/kit/certificates.ts'
import { Keys } from '../../wire/gen/keys.js'
import { GrpcClient } from '../client/grpc.ts'
import { authorizationOf } from '../client/https.ts'
import { Line } from '../client/line.ts'
import { SignalClient } from '../client/signal-client.ts'
import { TusClient } from '../client/tus.ts'
import { temporaryFolder } from '../engines.ts'
import { until, within } from '../within.ts'
import { MB, newName, openFronted, put, read } from './requests.ts'

test('nginx gives nothing to a server that is not the one it was told of', async (t) => {
  const other = await temporaryFolder(t)
  const options = { secretsFolder: join(other, 'secrets'), dataFolder: other, hosts: [], nowMs: Date.now() }
  const { caPemFile } = await openCertificates(options)
  const change = (conf: string) =>
    conf.replaceAll(/_ssl_trusted_certificate "[^"]+"/g, `_ssl_trusted_certificate "${caPemFile}"`)
  const fronted = await openFronted(t, { change })
  if (!fronted) return
  assert.equal((await fronted.ask('nginx', { method: 'GET', target: '/backups/a/b' })).status, 503)
  assert.equal((await fronted.ask('nginx', { method: 'GET', target: '/org.signal.chat.x' })).status, 502)
  assert.equal((await fronted.ask('node', { method: 'GET', target: '/backups/a/b' })).status, 401)
})

test('a link among the objects leads nowhere', async (t) => {
  const fronted = await openFronted(t)
  if (!fronted) return
  const name = newName()
  assert.equal((await fronted.ask('nginx', put(fronted.sign(name), Buffer.from('content')))).status, 201)
  const shard = join(fronted.files, 'objects', 'attachments', name.slice(0, 2))
  await symlink(join(fronted.data, 'secrets', 'secrets.json'), join(shard, `${name}-link`))
  assert.equal((await fronted.ask('nginx', read(`${name}-link`))).status, 404)
})

test('one address has so many requests under way at a time', async (t) => {
  const fronted = await openFronted(t, { config: { listen: { maxConnectionsPerAddress: 2 } } })
  if (!fronted) return
  const going = Promise.withResolvers<void>()
  async function* slowly() {
    yield Buffer.alloc(200_000)
    await going.promise
    yield Buffer.alloc(1)
  }
  const length = { 'content-length': '200001' }
  const slow = [0, 1].map(() =>
    fronted.ask('nginx', put(fronted.sign(newName(), { maxBytes: MB }), slowly(), length)),
  )
  await until('both to be on their way', async () => (await fronted.stored('incoming')).length === 2)
  assert.equal((await fronted.ask('nginx', read('anything'))).status, 429)
  going.resolve()
  assert.deepEqual(
    (await Promise.all(slow)).map(({ status }) => status),
    [201, 201],
  )
  assert.equal((await fronted.ask('nginx', read('anything'))).status, 404)
})

test('over HTTP/2 too, nothing longer than it says comes in, and nothing that says too much is asked for', async (t) => {
  const fronted = await openFronted(t)
  if (!fronted) return
  const tries: [number, Record<string, string>, number[]][] = [
    [10, { 'content-length': '10' }, [201]],
    [10, {}, [201]],
    [1001, {}, [413]],
    [2000, { 'content-length': '10' }, [400, 413]],
    [10, { 'content-length': '1001' }, [413]],
    [10, { 'content-length': '20' }, [400]],
  ]
  for (const [bytes, headers, statuses] of tries) {
    const name = newName()
    const url = new URL(`https://localhost:${fronted.ports.nginx}${fronted.sign(name)}`)
    const told = new Line(fronted.ready, 2).send({ method: 'PUT', url, headers }, [Buffer.alloc(bytes)])
    // A stream of HTTP/2 that breaks its own word may be reset before it is answered.
    const answered: Promise<number> = told.then((one) => one.status).catch(() => 400)
    const status = await within(answered, 'an answer')
    assert.ok(statuses.includes(status), `${bytes} bytes, ${JSON.stringify(headers)}: ${status}`)
    const { status: found } = await fronted.ask('node', read(name))
    assert.equal(found, status === 201 ? 200 : 404)
  }
})

test('what is not nginx’s own goes through: websockets, and TUS on both versions of HTTP', async (t) => {
  const fronted = await openFronted(t, { config: { roles: ['chat', 'storage', 'files'] } })
  if (!fronted) return
  await using alice = await SignalClient.create(fronted, { httpVersion: 1 })
  await using bob = await SignalClient.create(fronted, { httpVersion: 1 })
  await alice.sendText(bob, 'through nginx')
  assert.equal((await bob.messages.next()).text, 'through nginx')
  const bytes = randomBytes(300_000)
  for (const httpVersion of [1, 2] as const) {
    const form = fronted.form(bytes.length)
    const tus = new TusClient(fronted.ready, httpVersion, form)
    assert.equal((await tus.create({ 'upload-length': String(bytes.length) })).status, 201)
    await tus.lose(0, bytes, 100_000)
    const offset = await tus.offset()
    assert.equal((await tus.append(offset, [bytes.subarray(offset)])).status, 204)
    assert.ok((await fronted.ask('nginx', read(form.key))).body.equals(bytes))
  }
})

test('a body that is not nginx’s own reaches the server as it comes', async (t) => {
  const fronted = await openFronted(t)
  if (!fronted) return
  const bytes = randomBytes(400_000)
  for (const httpVersion of [1, 2] as const) {
    const tus = new TusClient(fronted.ready, httpVersion, fronted.form(bytes.length))
    await tus.create({ 'upload-length': String(bytes.length) })
    const seen = Promise.withResolvers<void>()
    async function* halting() {
      yield bytes.subarray(0, 300_000)
      await seen.promise
      yield bytes.subarray(300_000)
    }
    const appended = tus.append(0, halting())
    await until('the first of it to be on disk', async () => {
      const sizes = (await fronted.stored('uploads')).map((path) => statSync(join(fronted.files, path)).size)
      return sizes.some((size) => size > 200_000)
    })
    seen.resolve()
    assert.equal((await appended).status, 204)
  }
})

test('gRPC goes through, with the answer of the server behind', async (t) => {
  const fronted = await openFronted(t, { config: { roles: ['chat', 'storage', 'files'] } })
  if (!fronted) return
  await using person = await SignalClient.create(fronted, { httpVersion: 1, oneTimeKeys: 0 })
  await using grpc = GrpcClient.open(fronted.ready)
  const { code, reply } = await grpc.call(Keys.rpcs.getPreKeyCount, {}, authorizationOf(person.account))
  assert.deepEqual([code, reply?.aciEcPreKeyCount], [0, 0])
  const { code: refused } = await grpc.call(Keys.rpcs.getPreKeyCount, {}, { authorization: 'Basic eDp5' })
  assert.notEqual(refused, 0)
})
