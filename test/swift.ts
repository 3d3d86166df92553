// A throw-away OpenStack Swift for tests: its S3 door checks signatures. One of each server on loopback, in a temporary
// folder on a file system with user attributes, one replica of everything.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import type { S3Access } from '../server/files/bucket/s3-access.ts'
import { S3Client } from '../server/files/bucket/s3-client.ts'
import { systemClock } from '../server/kit/clock.ts'
import { within } from './within.ts'

export type Swift = {
  /** Makes an empty bucket. With `smallParts` it is reached by a door that takes parts of any size. */
  freshBucket(options?: { readonly smallParts?: boolean }): Promise<S3Access>
  /** The most bytes that a bucket takes from now on (Swift's container quota). */
  limit(bucket: string, maxBytes: number): Promise<void>
  /** Kills it at once and removes everything; happens by itself when the process ends. */
  stop(): void
}

const ACCOUNT = 'AUTH_test'
/** A user of tempauth is an access key of s3api. */
const ACCESS_KEY = 'test:tester'
const SECRET_KEY = 'testing'
/** Debian's own, which Debian's Swift is installed for. */
const PYTHON = '/usr/bin/python3'
const PART_POWER = 4
const HASH_SUFFIX = 'heliograph'
const DEVICE = 'd1'
const PROGRAMS = [
  'swift-proxy-server',
  'swift-account-server',
  'swift-container-server',
  'swift-object-server',
]

let shared: Promise<Swift | undefined> | undefined

/** The Swift of this process, or nothing if it is not installed; with `CI=true` that is an error. */
export function sharedSwift(): Promise<Swift | undefined> {
  shared ??= startSwift()
  return shared
}

/** Starts one of its own, for tests that stop it. */
export async function startSwift(): Promise<Swift | undefined> {
  if (!isInstalled()) {
    if (process.env['CI'] === 'true')
      throw new Error('CI allows no skip, but OpenStack Swift is not installed')
    return undefined
  }
  const folder = newFolder()
  const ports = await freePorts(5)
  configure(folder, ports)
  const [proxy = 0, smallPartsProxy = 0, account = 0, containers = 0, object = 0] = ports
  const child = await serve(folder, {
    ...{ 'account-server': account, 'container-server': containers, 'object-server': object },
    ...{ 'proxy-server': proxy, 'small-parts-proxy-server': smallPartsProxy },
  })
  const stop = () => {
    process.off('exit', stop)
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
  process.once('exit', stop)
  return {
    stop,
    limit: (bucket, maxBytes) => setQuota(containers, bucket, maxBytes),
    async freshBucket({ smallParts = false } = {}) {
      const access: S3Access = {
        endpoint: `http://127.0.0.1:${smallParts ? smallPartsProxy : proxy}`,
        region: 'us-east-1',
        bucket: `test-${randomBytes(6).toString('hex')}`,
        accessKeyId: ACCESS_KEY,
        secretAccessKey: SECRET_KEY,
        pathStyle: true,
      }
      const client = new S3Client({ access, clock: systemClock })
      await client.call({ method: 'PUT' })
      client.close()
      return access
    },
  }
}

const isInstalled = () =>
  [...PROGRAMS, 'setpriv', PYTHON].every((name) => spawnSync('sh', ['-c', `command -v ${name}`]).status === 0)

/** On the first file system that has attributes of users: Swift keeps in them what it knows of an object. */
function newFolder(): string {
  for (const parent of [tmpdir(), '/var/tmp', join(import.meta.dirname, '..', 'node_modules')]) {
    const folder = mkdtempSync(join(parent, 'helio-swift-'))
    if (hasAttributes(folder)) return folder
    rmSync(folder, { recursive: true })
  }
  throw new Error('Swift needs a file system with user attributes; TMPDIR can name one')
}

const hasAttributes = (folder: string) =>
  spawnSync(PYTHON, ['-c', 'import os,sys; os.setxattr(sys.argv[1], "user.swift", b"x" * 1024)', folder])
    .status === 0

async function freePorts(count: number): Promise<number[]> {
  const listening = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(listening.map((server) => once(server, 'listening')))
  const ports = listening.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(listening.map((server) => once(server.close(), 'close')))
  return ports
}

/** The rings as `swift-ring-builder` makes them, all three in one go. */
const RINGS = `
import sys
from swift.common.ring import RingBuilder
for name, port in zip(('account', 'container', 'object'), sys.argv[2:]):
    builder = RingBuilder(${PART_POWER}, 1, 1)
    builder.add_dev(dict(id=0, region=1, zone=1, weight=1, ip='127.0.0.1', port=int(port), device='${DEVICE}',
                         replication_ip='127.0.0.1', replication_port=int(port), meta=''))
    builder.rebalance()
    builder.get_ring().save('%s/%s.ring.gz' % (sys.argv[1], name))
`

function configure(folder: string, [proxy, smallPartsProxy, account, container, object]: number[]): void {
  const common = (port: number | undefined) =>
    [
      '[DEFAULT]',
      'bind_ip = 127.0.0.1',
      `bind_port = ${port}`,
      'workers = 0',
      `user = ${userInfo().username}`,
      `swift_dir = ${folder}`,
      `devices = ${folder}/devices`,
      'mount_check = false',
      'fallocate_reserve = 0',
      'disable_fallocate = true',
      `log_level = ${process.env['HELIO_SWIFT_LOG'] ? 'INFO' : 'CRITICAL'}`,
      'client_timeout = 20',
    ].join('\n')
  const write = (name: string, text: string) => writeFileSync(join(folder, name), `${text}\n`)
  mkdirSync(join(folder, 'devices', DEVICE), { recursive: true })
  write(
    'swift.conf',
    `[swift-hash]\nswift_hash_path_suffix = ${HASH_SUFFIX}\n[storage-policy:0]\nname = Policy-0\ndefault = yes`,
  )
  for (const [kind, port] of Object.entries({ account, container, object }))
    write(
      `${kind}-server.conf`,
      `${common(port)}\n[pipeline:main]\npipeline = ${kind}-server\n[app:${kind}-server]\nuse = egg:swift#${kind}\nslow = 0`,
    )
  for (const [name, port, minPartBytes] of [
    ['proxy-server.conf', proxy, 5_242_880],
    ['small-parts-proxy-server.conf', smallPartsProxy, 1],
  ] as const)
    write(
      name,
      `${common(port)}
[pipeline:main]
pipeline = catch_errors gatekeeper listing_formats cache s3api tempauth copy container-quotas slo dlo versioned_writes proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = ${SECRET_KEY} .admin
[filter:s3api]
use = egg:swift#s3api
min_segment_size = ${minPartBytes}
${['catch_errors', 'gatekeeper', 'listing_formats', 'copy', 'slo', 'dlo', 'versioned_writes'].map((one) => `[filter:${one}]\nuse = egg:swift#${one}`).join('\n')}
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:container-quotas]
use = egg:swift#container_quotas`,
    )
  execFileSync(PYTHON, ['-c', RINGS, folder, ...[account, container, object].map(String)], { stdio: 'pipe' })
}

/**
 * All of them in one process, each behind its own port as `swift-*-server` would start it from its configuration:
 * to load the same modules five times would take five times as long.
 */
const SERVERS = `
import sys, eventlet
eventlet.patcher.monkey_patch(all=False, socket=True, select=True, thread=True, time=True)
from eventlet import listen, spawn, wsgi
from swift.common.utils import set_swift_dir, NullLogger
from swift.common.wsgi import loadapp, SwiftHttpProxiedProtocol, SwiftHttpProtocol
folder = sys.argv[1]
set_swift_dir(folder)
serving = []
for name, port in zip(sys.argv[2::2], sys.argv[3::2]):
    socket = listen(('127.0.0.1', int(port)), backlog=256)
    app = loadapp('%s/%s.conf' % (folder, name), global_conf={'log_name': name})
    serving.append(spawn(wsgi.server, socket, app, NullLogger(), protocol=SwiftHttpProtocol,
                         capitalize_response_headers=False, max_size=1024))
print('ready', flush=True)
for one in serving: one.wait()
`

/** Dies with this process, however that ends. */
async function serve(folder: string, servers: Readonly<Record<string, number>>): Promise<ChildProcess> {
  const names = Object.entries(servers).flatMap(([name, port]) => [name, String(port)])
  const child = spawn('setpriv', ['--pdeathsig=KILL', PYTHON, '-c', SERVERS, folder, ...names], {
    stdio: ['ignore', 'pipe', process.env['HELIO_SWIFT_LOG'] ? 'inherit' : 'ignore'],
    cwd: folder,
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  child.once('exit', () => reject(new Error('Swift ended at once')))
  child.stdout.once('data', resolve)
  await within(promise, 'Swift to be ready', 60_000)
  child.unref()
  ;(child.stdout as unknown as { unref(): void }).unref()
  return child
}

/** Asked of the container's server itself: tempauth gives tokens only with a memcached. */
async function setQuota(port: number, bucket: string, maxBytes: number): Promise<void> {
  const hash = createHash('md5').update(`/${ACCOUNT}/${bucket}${HASH_SUFFIX}`).digest()
  const partition = hash.readUInt32BE(0) >>> (32 - PART_POWER)
  const answer = await fetch(`http://127.0.0.1:${port}/${DEVICE}/${partition}/${ACCOUNT}/${bucket}`, {
    method: 'POST',
    headers: {
      'X-Timestamp': (systemClock.nowMs() / 1000).toFixed(5),
      'X-Container-Meta-Quota-Bytes': String(maxBytes),
    },
  })
  if (!answer.ok) throw new Error(`no quota: ${answer.status}`)
}
