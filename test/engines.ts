// Runs one test on every storage engine, each time with an empty database of its own.
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { enableCompileCache } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openSql, type SqlConfig } from '../server/kit/sql/open.ts'
import type { Sql } from '../server/kit/sql/sql.ts'
import { sharedPostgres } from './postgres.ts'

/** Opens the test's database; more calls open it again. What is still open when the test ends is closed. */
export type OpenEngine = () => Promise<Sql>
export type EngineName = Sql['engine']

export const ENGINES: readonly EngineName[] = ['sqlite', 'postgres']

// Worker threads start faster when they need not strip types.
enableCompileCache()

/** Declares `name (sqlite)` and `name (postgres)`; the latter is skipped, saying so, where there is no PostgreSQL. */
export function forEachEngine(name: string, run: (open: OpenEngine, t: TestContext) => Promise<void>): void {
  for (const engine of ENGINES)
    test(`${name} (${engine})`, async (t) => {
      const open = await freshEngine(engine, t)
      if (open) await run(open, t)
      else t.skip('PostgreSQL is not installed')
    })
}

/** Hooks of a test run in the order in which they were made, and the database is there before its users. */
const users = new WeakMap<TestContext, (() => Promise<void>)[]>()
/** Ends somebody who uses the test's database before that is closed. */
export function beforeClosing(t: TestContext, end: () => Promise<void>): void {
  users.set(t, [...(users.get(t) ?? []), end])
}

/** An empty database that lives as long as the test, or nothing if the engine is not installed. */
export async function freshEngine(engine: EngineName, t: TestContext): Promise<OpenEngine | undefined> {
  const opened: Sql[] = []
  t.after(async () => {
    for (const end of users.get(t)?.splice(0) ?? []) await end()
    await Promise.all(opened.map((sql) => sql.close()))
  })
  const config = engine === 'sqlite' ? await freshSqlite(t) : await freshPostgres()
  if (!config) return undefined
  return async () => {
    const sql = await openSql(config, reportFatal)
    opened.push(sql)
    return sql
  }
}

async function freshSqlite(t: TestContext): Promise<SqlConfig> {
  const folder = await temporaryFolder(t)
  return { engine: 'sqlite', file: join(folder, 'test.db'), key: randomBytes(32) }
}

async function freshPostgres(): Promise<SqlConfig | undefined> {
  const cluster = await sharedPostgres()
  return cluster && { engine: 'postgres', url: await cluster.freshDatabase() }
}

/** A folder that is removed when the test ends. */
export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'helio-test-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

function reportFatal(error: Error): void {
  throw error
}
