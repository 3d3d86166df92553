// A throw-away PostgreSQL for tests: one cluster a process on a unix socket (fsync on), a new database for each test.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import pg from 'pg'

export type PostgresCluster = {
  /** The maintenance database, as superuser. */
  readonly url: string
  /** Makes an empty database and gives its URL. */
  freshDatabase(): Promise<string>
  /** Stops at once and removes everything; happens by itself when the process ends. */
  stop(): void
}

const SUPERUSER = 'heliograph'
const DEBIAN_ROOT = '/usr/lib/postgresql'
const READY = 'ready to accept connections'

let shared: Promise<PostgresCluster | undefined> | undefined

/** The cluster of this process, or nothing if PostgreSQL is not installed; with `CI=true` that is an error. */
export function sharedPostgres(): Promise<PostgresCluster | undefined> {
  shared ??= startPostgres()
  return shared
}

/** Starts a cluster of its own, for tests that stop it. */
export async function startPostgres(): Promise<PostgresCluster | undefined> {
  const binaries = findBinaries()
  if (binaries === undefined) {
    if (process.env['CI'] === 'true') throw new Error('CI allows no skip, but PostgreSQL is not installed')
    return undefined
  }
  const user = unprivilegedUser()
  const folder = mkdtempSync(join(tmpdir(), 'helio-pg-'))
  if (user) chownSync(folder, user.uid, user.gid)
  chmodSync(folder, 0o700)
  initialise(binaries, folder, user)
  const server = await startServer(binaries, folder, user)
  return clusterOf(binaries, folder, user, server)
}

type User = { readonly uid: number; readonly gid: number }

function findBinaries(): string | undefined {
  const versions = existsSync(DEBIAN_ROOT)
    ? readdirSync(DEBIAN_ROOT)
        .map(Number)
        .sort((a, b) => b - a)
    : []
  const debian = versions.map((version) => join(DEBIAN_ROOT, String(version), 'bin'))
  const folders = [...debian, ...(process.env['PATH'] ?? '').split(delimiter)]
  return folders.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')))
}

/** PostgreSQL refuses to run as root, so root's tests run it as `postgres` or, failing that, `nobody`. */
function unprivilegedUser(): User | undefined {
  if (process.getuid?.() !== 0) return undefined
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = ['-u', '-g'].map((flag) => spawnSync('id', [flag, name], { encoding: 'utf8' }))
    if (uid?.status === 0) return { uid: Number(uid.stdout), gid: Number(gid!.stdout) }
  }
  throw new Error('the tests run as root and found no user to run PostgreSQL as')
}

function initialise(binaries: string, folder: string, user: User | undefined): void {
  const settings = ['--auth=trust', `--username=${SUPERUSER}`, '--encoding=UTF8', '--locale=C', '--no-sync']
  execFileSync(join(binaries, 'initdb'), ['-D', join(folder, 'data'), ...settings], {
    stdio: ['ignore', 'ignore', 'pipe'],
    cwd: folder,
    ...user,
  })
}

/** The server dies with this process, however that ends (`setpriv --pdeathsig`, where there is one). */
async function startServer(binaries: string, folder: string, user: User | undefined): Promise<ChildProcess> {
  const settings = [
    'listen_addresses=',
    `unix_socket_directories=${folder}`,
    'shared_buffers=16MB',
    'fsync=on',
  ]
  const command = [
    join(binaries, 'postgres'),
    '-D',
    join(folder, 'data'),
    ...settings.flatMap((setting) => ['-c', setting]),
  ]
  const identity = user ? [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups'] : []
  const [program, ...args] = ['setpriv', '--pdeathsig=INT', ...identity, ...command]
  const server = spawn(program!, args, { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder })
  await untilReady(server)
  return server
}

async function untilReady(server: ChildProcess): Promise<void> {
  const said: string[] = []
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.once('exit', () => reject(new Error(`PostgreSQL did not start: ${said.join('\n')}`)))
    createInterface(server.stderr!).on('line', (line) => {
      if (said.length < 50) said.push(line)
      if (line.includes(READY)) resolve()
    })
  })
  server.unref()
  ;(server.stderr as unknown as { unref(): void }).unref()
}

function clusterOf(
  binaries: string,
  folder: string,
  user: User | undefined,
  server: ChildProcess,
): PostgresCluster {
  const urlOf = (database: string) =>
    `postgres://${SUPERUSER}@localhost/${database}?host=${encodeURIComponent(folder)}`
  const stop = () => {
    process.off('exit', stop)
    const command = ['stop', '-D', join(folder, 'data'), '-m', 'immediate', '-w']
    if (server.exitCode === null)
      spawnSync(join(binaries, 'pg_ctl'), command, { stdio: 'ignore', cwd: folder, ...user })
    rmSync(folder, { recursive: true, force: true })
  }
  process.once('exit', stop)
  return { url: urlOf('postgres'), freshDatabase: () => createDatabase(urlOf), stop }
}

async function createDatabase(urlOf: (database: string) => string): Promise<string> {
  const name = `test_${randomBytes(6).toString('hex')}`
  const client = new pg.Client({ connectionString: urlOf('postgres') })
  await client.connect()
  try {
    await client.query(`CREATE DATABASE ${name}`)
  } finally {
    await client.end()
  }
  return urlOf(name)
}
