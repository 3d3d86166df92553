import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { open, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { temporaryFolder } from '../../../test/engines.ts'
import type { Sql } from './sql.ts'
import { openSqlite, type SqliteConfig } from './sqlite.ts'
import { StorageError } from './storage-error.ts'

const MODULE = new URL('./sqlite.ts', import.meta.url).href
const TABLE = 'CREATE TABLE IF NOT EXISTS letters (number BIGINT PRIMARY KEY, body BYTEA)'
const INSERT = 'INSERT INTO letters (number, body) VALUES ($1, $2)'

const unexpected = (error: Error) => assert.fail(error)

async function freshConfig(t: TestContext): Promise<SqliteConfig> {
  return { engine: 'sqlite', file: join(await temporaryFolder(t), 'test.db'), key: randomBytes(32) }
}

async function opened(config: SqliteConfig, onFatal: (error: Error) => void = unexpected): Promise<Sql> {
  const sql = await openSqlite(config, onFatal)
  await sql.write([{ sql: TABLE, args: [] }])
  return sql
}

/** Runs `code` in another process, where `config` is the database's and `openSqlite` opens it. */
function inChild({ file, key }: SqliteConfig, code: string): ChildProcess {
  const prelude = `import { writeSync } from 'node:fs'
    import { openSqlite } from '${MODULE}'
    const config = { engine: 'sqlite', file: process.argv[1], key: Buffer.from(process.argv[2], 'hex') }`
  const args = ['--input-type=module', '-e', `${prelude}\n${code}`, file, Buffer.from(key).toString('hex')]
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
}

// Every list writes a number and its negative; a line tells each number whose write has resolved.
const WRITER = (from: number) => `
  const sql = await openSqlite(config, () => process.exit(3))
  let next = ${from}
  const statement = (number) => ({ sql: '${INSERT}', args: [number, Buffer.alloc(900, number & 255)], must: 1 })
  const work = async () => {
    for (;;) {
      const number = next++
      const { ok } = await sql.write([statement(number), statement(-number)])
      if (ok) writeSync(1, number + '\\n')
    }
  }
  for (let worker = 0; worker < 20; worker++) work()`

async function killedWriter(config: SqliteConfig, from: number, lines: number): Promise<number[]> {
  const child = inChild(config, WRITER(from))
  const exited = once(child, 'exit')
  const told: number[] = []
  for await (const line of createInterface(child.stdout!)) {
    told.push(Number(line))
    if (told.length === lines) child.kill('SIGKILL')
  }
  assert.deepEqual(await exited, [null, 'SIGKILL'])
  return told
}

test('every write that resolved is there after kill -9, and every list is there whole', async (t) => {
  const config = await freshConfig(t)
  await (await opened(config)).close()
  const told: number[] = []
  for (const [round, lines] of [1, 40, 400, 1500, 77].entries()) {
    told.push(...(await killedWriter(config, 1 + round * 1_000_000, lines)))
    const sql = await opened(config)
    const rows = await sql.read<{ number: number; body: Uint8Array }>('SELECT number, body FROM letters')
    await sql.close()
    const bodies = new Map(rows.map(({ number, body }) => [number, body]))
    for (const number of told) assert.equal(bodies.get(number)?.[899], number & 255)
    for (const number of bodies.keys()) assert.ok(bodies.has(-number))
  }
})

test('neither the database nor its log shows a word of what it holds', async (t) => {
  const config = await freshConfig(t)
  const sql = await opened(config)
  await sql.write([{ sql: INSERT, args: [1, Buffer.from('attack at dawn '.repeat(100))] }])
  const folder = join(config.file, '..')
  for (const name of await readdir(folder)) {
    const bytes = await readFile(join(folder, name))
    for (const word of ['attack at dawn', 'letters', 'SQLite format'])
      assert.equal(bytes.includes(word), false)
  }
  await sql.close()
  assert.equal((await readFile(config.file)).includes('SQLite format'), false)
})

test('a wrong key, a short key and a missing folder are each one clear sentence', async (t) => {
  const config = await freshConfig(t)
  await (await opened(config)).close()
  const refusal = (change: Partial<SqliteConfig>) => openSqlite({ ...config, ...change }, unexpected)
  await assert.rejects(refusal({ key: randomBytes(32) }), says(/key is not the one it was made with/))
  await assert.rejects(refusal({ key: randomBytes(16) }), says(/key must be 32 bytes/))
  await assert.rejects(refusal({ file: join(config.file, '..', 'none', 'x.db') }), says(/folder must exist/))
  await (await opened(config)).close()
})

const says = (sentence: RegExp) => (error: unknown) =>
  error instanceof StorageError && sentence.test(error.message) && /^[^\n]*\.$/.test(error.message)

test('a second opener is refused, in this process and in another, until the first one closes', async (t) => {
  const config = await freshConfig(t)
  const sql = await opened(config)
  await assert.rejects(openSqlite(config, unexpected), says(/in use by another process/))
  assert.match(await secondProcess(config), /^StorageError: .* in use by another process/)
  await sql.write([{ sql: INSERT, args: [1, null] }])
  await sql.close()
  assert.equal(await secondProcess(config), 'opened')
})

async function secondProcess(config: SqliteConfig): Promise<string> {
  const child = inChild(
    config,
    `openSqlite(config, () => {}).then(
      (sql) => { writeSync(1, 'opened'); return sql.close() },
      (error) => writeSync(1, String(error)))`,
  )
  const chunks: Buffer[] = []
  child.stdout!.on('data', (chunk) => chunks.push(chunk))
  await once(child, 'close')
  return Buffer.concat(chunks).toString()
}

test('the write-ahead log stays bounded under a steady stream of writes', async (t) => {
  const config = await freshConfig(t)
  const sql = await opened(config)
  let largest = 0
  for (let round = 0; round < 60; round++) {
    const numbers = Array.from({ length: 400 }, (_, at) => round * 400 + at)
    await Promise.all(
      numbers.map((number) => sql.write([{ sql: INSERT, args: [number, Buffer.alloc(900)] }])),
    )
    largest = Math.max(largest, (await stat(`${config.file}-wal`)).size)
  }
  await sql.close()
  assert.ok(largest < 24 * 1024 * 1024, `${largest} bytes`)
})

test('a damaged file is fatal: what was asked rejects, and so does all that comes', async (t) => {
  const config = await freshConfig(t)
  const first = await opened(config)
  const numbers = Array.from({ length: 200 }, (_, at) => at)
  await Promise.all(
    numbers.map((number) => first.write([{ sql: INSERT, args: [number, Buffer.alloc(900)] }])),
  )
  await first.close()
  const fatal = Promise.withResolvers<Error>()
  const sql = await openSqlite(config, fatal.resolve)
  await damage(config.file)
  await assert.rejects(sql.read('SELECT MAX(LENGTH(body)) AS longest FROM letters'), StorageError)
  assert.ok((await fatal.promise) instanceof StorageError)
  await assert.rejects(sql.write([{ sql: INSERT, args: [1000, null] }]), StorageError)
  await sql.close()
})

async function damage(path: string): Promise<void> {
  const file = await open(path, 'r+')
  const { size } = await file.stat()
  await file.write(Buffer.alloc(size - 8192, 0xff), 0, size - 8192, 8192)
  await file.close()
}
