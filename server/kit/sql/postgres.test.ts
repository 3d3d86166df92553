import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import pg from 'pg'
import { sharedPostgres, startPostgres } from '../../../test/postgres.ts'
import { openPostgres } from './postgres.ts'
import type { Sql } from './sql.ts'
import { StorageError } from './storage-error.ts'

const TABLE = 'CREATE TABLE letters (number BIGINT PRIMARY KEY, box BIGINT NOT NULL)'
const INSERT = 'INSERT INTO letters (number, box) VALUES ($1, $2)'

/** A database, the `Sql` on it, and a connection beside it; nothing if PostgreSQL is not installed. */
async function fixture(t: TestContext): Promise<{ sql: Sql; beside: pg.Client; url: string } | undefined> {
  const cluster = await sharedPostgres()
  if (!cluster) return void t.skip('PostgreSQL is not installed')
  const url = await cluster.freshDatabase()
  const sql = await openPostgres({ engine: 'postgres', url })
  const beside = new pg.Client({ connectionString: url })
  await beside.connect()
  t.after(() => Promise.all([sql.close(), beside.end()]))
  await sql.write([{ sql: TABLE, args: [] }])
  return { sql, beside, url }
}

const OTHERS = 'FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()'

async function untilBlocked(beside: pg.Client): Promise<void> {
  for (;;) {
    const { rowCount } = await beside.query(`SELECT 1 ${OTHERS} AND wait_event_type = 'Lock'`)
    if (rowCount) return
  }
}

test('a write in flight when the connection is lost rejects, and the next one connects again', async (t) => {
  const { sql, beside } = (await fixture(t)) ?? {}
  if (!sql || !beside) return
  await beside.query('BEGIN')
  await beside.query('LOCK TABLE letters')
  const lost = Promise.allSettled([1, 2, 3].map((number) => sql.write([{ sql: INSERT, args: [number, 1] }])))
  await untilBlocked(beside)
  await beside.query(`SELECT pg_terminate_backend(pid) ${OTHERS}`)
  for (const outcome of await lost)
    assert.ok(outcome.status === 'rejected' && outcome.reason instanceof StorageError)
  await beside.query('ROLLBACK')
  assert.ok((await sql.write([{ sql: INSERT, args: [4, 1] }])).ok)
  assert.deepEqual(await sql.read('SELECT number FROM letters'), [{ number: 4 }])
})

test('two servers that lock the same rows in opposite order both get their lists stored', async (t) => {
  const { sql, url } = (await fixture(t)) ?? {}
  if (!sql || !url) return
  const other = await openPostgres({ engine: 'postgres', url })
  t.after(() => other.close())
  await sql.write([1, 2].map((number) => ({ sql: INSERT, args: [number, 0] })))
  const add = (number: number) => ({
    sql: 'UPDATE letters SET box = box + 1 WHERE number = $1',
    args: [number],
    must: 1,
  })
  const rounds = Array.from({ length: 40 }, () => [
    sql.write([add(1), add(2)]),
    other.write([add(2), add(1)]),
  ])
  assert.ok((await Promise.all(rounds.flat())).every(({ ok }) => ok))
  assert.deepEqual(await sql.read('SELECT box FROM letters'), [{ box: 80 }, { box: 80 }])
})

test('a write is stored durably even where the database defaults to asynchronous commits', async (t) => {
  const { beside, url } = (await fixture(t)) ?? {}
  if (!beside || !url) return
  await beside.query(`ALTER DATABASE ${new URL(url).pathname.slice(1)} SET synchronous_commit = off`)
  const careful = await openPostgres({ engine: 'postgres', url })
  t.after(() => careful.close())
  const show = { sql: "SELECT current_setting('synchronous_commit') AS mode", args: [] }
  const written = await careful.write([show])
  assert.deepEqual(written.ok && written.outcomes[0]!.rows, [{ mode: 'on' }])
})

test('a server that is gone is one clear sentence, and nothing hangs', async (t) => {
  const cluster = await startPostgres()
  if (!cluster) return t.skip('PostgreSQL is not installed')
  const sql = await openPostgres({ engine: 'postgres', url: cluster.url })
  await sql.write([{ sql: TABLE, args: [] }])
  cluster.stop()
  for (const attempt of [1, 2])
    await assert.rejects(sql.write([{ sql: INSERT, args: [attempt, 1] }]), StorageError)
  await assert.rejects(sql.read('SELECT number FROM letters'), StorageError)
  await sql.close()
  await assert.rejects(
    openPostgres({ engine: 'postgres', url: cluster.url }),
    /^StorageError: PostgreSQL cannot be reached/,
  )
})
