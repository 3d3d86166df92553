// Installed versions: which is the current one, and how a running one is replaced.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs'
import { get, type IncomingMessage } from 'node:http'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { build, fakeSources } from '../../../test/nginx-build/fake-sources.ts'
import { until } from '../../../test/until.ts'

const NGINX = '/usr/sbin/nginx'

/** Versions whose nginx is a script: it accepts configurations that exist, or none. */
function fakeVersions(prefix: string, names: Readonly<Record<string, boolean>>): void {
  for (const [name, accepts] of Object.entries(names)) {
    const place = join(prefix, 'versions', name, 'sbin')
    mkdirSync(place, { recursive: true })
    writeFileSync(join(place, 'nginx'), `#!/bin/sh\nexit ${accepts ? 0 : 1}\n`, { mode: 0o755 })
  }
}

test('a switch is one renamed link, a rollback leads back, and what does not accept the configuration is not switched to', async (t) => {
  const { folder, prefix, args } = await fakeSources(t)
  fakeVersions(prefix, { 'nginx-1': true, 'nginx-2': true, 'nginx-3': false })
  writeFileSync(join(folder, 'nginx.conf'), '')
  const own = [...args, '--user', process.getuid?.() === 0 ? 'daemon' : 'www-data']
  const current = () => readlinkSync(join(prefix, 'current'))
  assert.equal(build(...own, 'switch', 'nginx-1').status, 0)
  assert.equal(current(), 'versions/nginx-1')
  assert.equal(build(...own, 'rollback').status, 1)
  assert.equal(build(...own, 'switch', 'nginx-2').status, 0)
  assert.equal(current(), 'versions/nginx-2')
  assert.equal(build(...own, 'list').stdout, 'nginx-1  previous\nnginx-2  current\nnginx-3\n')
  const refused = build(...own, 'switch', 'nginx-3')
  assert.equal(refused.status, 1)
  assert.match(refused.stderr, /nginx-3 does not accept .*nginx\.conf: nothing was switched/)
  assert.equal(current(), 'versions/nginx-2')
  assert.match(build(...own, '--dry-run', 'rollback').stdout, /^\+ mv -T /m)
  assert.equal(current(), 'versions/nginx-2')
  assert.equal(build(...own, 'rollback').status, 0)
  assert.equal(current(), 'versions/nginx-1')
  assert.equal(build(...own, 'rollback').status, 0)
  assert.equal(current(), 'versions/nginx-2')
  assert.deepEqual(readdirSync(prefix).sort(), ['current', 'previous', 'versions'])
})

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as { port: number }
  probe.close()
  return port
}

const answers = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })

test('a running nginx is replaced while it serves, and stays if the new one does not come up', async (t) => {
  if (!existsSync(NGINX)) return t.skip('nginx is not installed')
  const { folder, prefix, args } = await fakeSources(t)
  for (const name of ['nginx-1', 'nginx-2']) {
    mkdirSync(join(prefix, 'versions', name, 'sbin'), { recursive: true })
    cpSync(NGINX, join(prefix, 'versions', name, 'sbin/nginx'))
  }
  fakeVersions(prefix, { 'nginx-3': true })
  const [state, conf, port] = [join(folder, 'state'), join(folder, 'nginx.conf'), await freePort()]
  mkdirSync(state)
  const bytes = 8 * 1024 * 1024
  writeFileSync(join(folder, 'large'), Buffer.alloc(bytes))
  const isRoot = process.getuid?.() === 0
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (one) => `${one}_temp_path ${state}/${one};`,
  )
  writeFileSync(
    conf,
    `${isRoot ? 'user root;' : ''} pid ${state}/nginx.pid; error_log ${state}/error.log; events {}
    http { access_log off; ${temporary.join(' ')} server { listen 127.0.0.1:${port}; root ${folder}; } }`,
  )
  const own = [...args, '--wait', '2', '--user', isRoot ? 'daemon' : 'www-data']
  const pidFile = join(state, 'nginx.pid')
  const pid = () => (existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8')) : 0)
  const program = (of: number) => readlinkSync(`/proc/${of}/exe`).replace(`${prefix}/versions/`, '')
  assert.equal(build(...own, 'switch', 'nginx-1').status, 0)
  spawn(join(prefix, 'current/sbin/nginx'), ['-c', conf], { stdio: 'ignore' })
  t.after(() => pid() > 0 && process.kill(pid(), 'SIGTERM'))
  await until(() => pid() > 0, 'nginx has started')
  const first = pid()
  assert.equal(program(first), 'nginx-1/sbin/nginx')

  const [answer] = (await once(get({ port, path: '/large', agent: false }), 'response')) as [IncomingMessage]
  const switched = build(...own, 'switch', 'nginx-2')
  assert.equal(switched.status, 0, switched.stderr)
  assert.match(switched.stdout, new RegExp(`process ${first} serves what it has begun`))
  assert.equal(program(pid()), 'nginx-2/sbin/nginx')
  let got = 0
  for await (const chunk of answer) got += (chunk as Buffer).length
  assert.equal(got, bytes)
  await until(() => !existsSync(`/proc/${first}`), 'the old nginx has ended')
  assert.ok(await answers(port))

  const second = pid()
  const failed = build(...own, 'switch', 'nginx-3')
  assert.equal(failed.status, 1)
  assert.match(
    failed.stderr,
    /the running nginx was left as it was, and so is the current version \(nginx-2\)/,
  )
  assert.equal(readlinkSync(join(prefix, 'current')), 'versions/nginx-2')
  assert.equal(pid(), second)
  assert.ok(await answers(port))

  assert.equal(build(...own, 'rollback').status, 0)
  assert.equal(program(pid()), 'nginx-1/sbin/nginx')
  const last = pid()
  process.kill(last, 'SIGQUIT')
  await until(() => !existsSync(`/proc/${last}`), 'nginx has ended')
})
