// What the other tests here stand on: whatever fails, their processes, ports and folders go.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { newName, openFronted, put, read } from './requests.ts'

test('an nginx that does not start fails its test, and leaves nothing', async (t) => {
  const folders: string[] = []
  const before = (files: string) => {
    folders.push(join(files, '..', '..'))
    return ['sh', '-c', 'echo cannot bind >&2; exit 1', 'sh']
  }
  await t.test('the test that fails', async (failing) => {
    await assert.rejects(
      async () =>
        (await openFronted(failing, { before })) ?? Promise.reject(new Error('nginx ended: cannot bind')),
      /nginx ended: cannot bind/,
    )
  })
  for (const folder of folders) assert.ok(!existsSync(folder), folder)
})

test('while nginx is away its port is nobody’s, and who comes by waits for the next', async (t) => {
  const fronted = await openFronted(t)
  if (!fronted) return
  const name = newName()
  assert.equal((await fronted.ask('nginx', put(fronted.sign(name), Buffer.from('content')))).status, 201)
  const former = fronted.pids
  await fronted.killNginx()
  const { promise: connected, resolve, reject } = Promise.withResolvers<void>()
  const socket = connect(fronted.ports.nginx, '127.0.0.1').on('connect', resolve).on('error', reject)
  await connected
  const asked = fronted.ask('nginx', read(name))
  await fronted.startNginx()
  assert.equal(String((await asked).body), 'content')
  assert.deepEqual(
    fronted.pids.filter((pid) => former.includes(pid)),
    [],
  )
  socket.destroy()
})

test('a test may end while nginx is started', async (t) => {
  const folders: string[] = []
  const ends = Promise.withResolvers<void>()
  const before = (files: string) => {
    folders.push(join(files, '..', '..'))
    ends.resolve()
    return []
  }
  let started: Promise<unknown> | undefined
  await t.test('the test that ends meanwhile', async (ending) => {
    started = openFronted(ending, { before })
    await Promise.race([ends.promise, started])
    assert.deepEqual(
      folders.map((folder) => existsSync(folder)),
      folders.map(() => true),
    )
  })
  for (const folder of folders) assert.ok(!existsSync(folder), folder)
  await started
})
