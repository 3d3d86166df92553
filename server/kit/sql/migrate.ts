// Brings a database to the schema this program knows: numbered files, each applied once and atomically, forward only.
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Sql, Statement } from './sql.ts'
import { StorageError } from './storage-error.ts'

type Migration = {
  readonly number: number
  readonly name: string
  readonly checksum: string
  readonly text: string
}
type Applied = { number: number; name: string; checksum: string }

const FILE_NAME = /^(\d{4})-[a-z0-9-]+\.sql$/
const TABLE = `CREATE TABLE IF NOT EXISTS migrations (service TEXT NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL,
  checksum TEXT NOT NULL, applied_at_ms BIGINT NOT NULL, PRIMARY KEY (service, number))`
const RECORD = `INSERT INTO migrations (service, number, name, checksum, applied_at_ms)
  VALUES ($1, $2, $3, $4, $5) ON CONFLICT (service, number) DO NOTHING`

/**
 * Applies the files of `folder` (`0001-accounts.sql`, statements end with `;` at a line's end) that the database lacks.
 * Several processes may do so at once. Rejects with a StorageError if an applied file was changed or is missing here,
 * or if the database was written by a newer program.
 */
export async function migrate(sql: Sql, service: string, folder: string, nowMs: number): Promise<void> {
  const known = await readMigrations(folder)
  await ensureTable(sql)
  const applied = await readApplied(sql, service)
  checkHistory(service, known, applied)
  const newest = applied.at(-1)?.number ?? 0
  for (const migration of known) if (migration.number > newest) await apply(sql, service, migration, nowMs)
  checkHistory(service, known, await readApplied(sql, service))
}

/** Two processes that make the table at the same moment can make PostgreSQL refuse one of them, once. */
async function ensureTable(sql: Sql): Promise<void> {
  const create = () => sql.write([{ sql: TABLE, args: [] }])
  await create().catch(create)
}

function readApplied(sql: Sql, service: string): Promise<Applied[]> {
  return sql.read<Applied>(
    'SELECT number, name, checksum FROM migrations WHERE service = $1 ORDER BY number',
    [service],
  )
}

async function readMigrations(folder: string): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort()
  const migrations = await Promise.all(names.map((name) => readMigration(folder, name)))
  migrations.forEach(({ number, name }, at) => {
    if (migrations[at - 1]?.number === number)
      throw new StorageError(`Two migrations have the number of ${name}.`)
  })
  return migrations
}

async function readMigration(folder: string, name: string): Promise<Migration> {
  const number = Number(FILE_NAME.exec(name)?.[1] ?? 0)
  if (number === 0) throw new StorageError(`The migration ${name} must be named like 0001-accounts.sql.`)
  const text = await readFile(join(folder, name), 'utf8')
  return { number, name, checksum: createHash('sha256').update(text).digest('hex'), text }
}

function checkHistory(service: string, known: readonly Migration[], applied: readonly Applied[]): void {
  const newest = applied.at(-1)?.number ?? 0
  const newestKnown = known.at(-1)?.number ?? 0
  if (newest > newestKnown)
    throw new StorageError(
      `The database was written by a newer Heliograph: ${service} is at migration ${newest}, this program knows ${newestKnown}.`,
    )
  const byNumber = new Map(applied.map((row) => [row.number, row]))
  for (const migration of known)
    if (migration.number <= newest) checkApplied(service, migration, byNumber.get(migration.number))
  if (applied.length > known.filter(({ number }) => number <= newest).length)
    throw new StorageError(`A migration of ${service} that the database has is missing in this program.`)
}

function checkApplied(service: string, migration: Migration, applied: Applied | undefined): void {
  if (!applied)
    throw new StorageError(
      `The migration ${migration.name} of ${service} came too late: the database is beyond it.`,
    )
  if (applied.checksum !== migration.checksum)
    throw new StorageError(`The migration ${migration.name} of ${service} was changed after it was applied.`)
}

/** The record goes first: whoever comes second waits for it, finds it taken, and leaves the schema alone. */
async function apply(sql: Sql, service: string, migration: Migration, nowMs: number): Promise<void> {
  const { number, name, checksum, text } = migration
  const record: Statement = { sql: RECORD, args: [service, number, name, checksum, nowMs], must: 1 }
  await sql.write([record, ...statementsOf(text)])
}

function statementsOf(text: string): Statement[] {
  const isCode = (part: string) => part.replace(/--[^\n]*/g, '').trim() !== ''
  return text
    .split(/;[ \t]*$/m)
    .filter(isCode)
    .map((sql) => ({ sql, args: [] }))
}
