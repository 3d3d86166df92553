import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { heliograph } from '../command.ts'
import { ServerProcess } from '../server-process.ts'

test('the help names every command', async () => {
  const { code, out } = await heliograph()
  assert.equal(code, 0)
  for (const name of ['up', 'status', 'secrets', 'openapi'])
    assert.match(out, new RegExp(`^ +heliograph ${name} `, 'm'))
  assert.deepEqual(await heliograph('help'), { code: 0, out, err: '' })
})

test('what is typed wrong is told in one sentence', async () => {
  for (const [args, sentence] of [
    [['uq'], /^heliograph: There is no command "uq"/],
    [['constructor'], /^heliograph: There is no command/],
    [['up', '--port', 'x'], /^heliograph: --port needs a number from 0 to 65535\./],
    [['up', '--colour'], /^heliograph: .*--colour/],
    [['up', '--config', '/nowhere.yaml'], /^heliograph: .*\/nowhere\.yaml/],
    [['secrets', 'rotate', 'all'], /^heliograph: Say what: heliograph secrets rotate uploads/],
    [['secrets', 'rotate', 'uploads', '--data', '/nowhere'], /^heliograph: No server runs on \/nowhere/],
    [['status', '--data', '/nowhere'], /^heliograph: No server runs on \/nowhere/],
  ] as const) {
    const { code, out, err } = await heliograph(...args)
    assert.equal(code, 1, args.join(' '))
    assert.equal(out, '')
    assert.match(err, sentence)
    assert.equal(err.trimEnd().split('\n').length, 1, err)
  }
})

test('a running server tells how it does, and a second one on its folder or its port is refused', async (t) => {
  await using server = await ServerProcess.start()
  const status = await heliograph('status', '--data', server.data, '--json')
  assert.equal(status.err, '')
  const { pid, roles } = JSON.parse(status.out)
  assert.equal(pid, server.pid)
  assert.ok(roles.includes('chat'))
  assert.match((await heliograph('status', '--data', server.data)).out, /^Heliograph is up: process \d+/)
  const folder = await heliograph('up', '--data', server.data, '--port', '0')
  assert.match(folder.err, /^heliograph: .*use/)
  const other = await mkdtemp(join(tmpdir(), 'helio-other-'))
  t.after(() => rm(other, { recursive: true }))
  const port = await heliograph('up', '--data', join(other, 'data'), '--port', String(server.port))
  assert.match(
    port.err,
    new RegExp(`^heliograph: Port ${server.port} is in use; choose another with --port\\.$`, 'm'),
  )
  await server.kill('SIGTERM')
  assert.equal((await heliograph('status', '--data', server.data)).code, 1)
})
