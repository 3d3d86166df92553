import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { forEachEngine, temporaryFolder } from '../../../test/engines.ts'
import { migrate } from './migrate.ts'
import type { Sql } from './sql.ts'
import { StatementError, StorageError } from './storage-error.ts'

const NOW_MS = 1_800_000_000_000
const ACCOUNTS = `-- Who is here; and since when.
CREATE TABLE accounts (aci BYTEA PRIMARY KEY, name TEXT NOT NULL, since_ms BIGINT NOT NULL);

CREATE INDEX accounts_by_name ON accounts (name); -- for search
-- The end.
`
const DEVICES =
  'CREATE TABLE devices (aci BYTEA, id INTEGER, PRIMARY KEY (aci, id));\nINSERT INTO devices VALUES (NULL, 1);\n'
const KEYS = 'CREATE TABLE keys (aci BYTEA PRIMARY KEY, id INTEGER);\n'

async function folderOf(t: TestContext, files: Record<string, string>): Promise<string> {
  const folder = await temporaryFolder(t)
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  return folder
}

const says = (sentence: RegExp) => (error: unknown) =>
  error instanceof StorageError && sentence.test(error.message)

function applied(sql: Sql): Promise<object[]> {
  return sql.read('SELECT service, number, name, applied_at_ms FROM migrations ORDER BY service, number')
}

forEachEngine('migrations are applied once, in order, and recorded', async (open, t) => {
  const sql = await open()
  const folder = await folderOf(t, { '0001-accounts.sql': ACCOUNTS })
  await migrate(sql, 'chat', folder, NOW_MS)
  await writeFile(join(folder, '0003-keys.sql'), KEYS)
  await migrate(sql, 'chat', folder, NOW_MS + 1)
  await migrate(sql, 'chat', folder, NOW_MS + 2)
  assert.deepEqual(await applied(sql), [
    { service: 'chat', number: 1, name: '0001-accounts.sql', applied_at_ms: NOW_MS },
    { service: 'chat', number: 3, name: '0003-keys.sql', applied_at_ms: NOW_MS + 1 },
  ])
  assert.deepEqual(await sql.read('SELECT aci FROM accounts'), [])
})

forEachEngine('services number their migrations independently', async (open, t) => {
  const sql = await open()
  await migrate(sql, 'chat', await folderOf(t, { '0001-accounts.sql': ACCOUNTS }), NOW_MS)
  await migrate(sql, 'storage', await folderOf(t, { '0001-keys.sql': KEYS }), NOW_MS)
  assert.equal((await applied(sql)).length, 2)
})

forEachEngine(
  'a migration that fails half-way leaves nothing behind and can be tried again',
  async (open, t) => {
    const sql = await open()
    const folder = await folderOf(t, { '0001-accounts.sql': ACCOUNTS, '0002-keys.sql': `${KEYS}NONSENSE;\n` })
    await assert.rejects(migrate(sql, 'chat', folder, NOW_MS), StatementError)
    assert.equal((await applied(sql)).length, 1)
    await writeFile(join(folder, '0002-keys.sql'), KEYS)
    await migrate(sql, 'chat', folder, NOW_MS)
    assert.deepEqual(await sql.read('SELECT id FROM keys'), [])
  },
)

forEachEngine(
  'a changed, late, missing or badly named migration is refused in a clear sentence',
  async (open, t) => {
    const sql = await open()
    const folder = await folderOf(t, { '0002-accounts.sql': ACCOUNTS, '0004-keys.sql': KEYS })
    const refused = (sentence: RegExp) => assert.rejects(migrate(sql, 'chat', folder, NOW_MS), says(sentence))
    await migrate(sql, 'chat', folder, NOW_MS)

    await writeFile(join(folder, '0002-accounts.sql'), `${ACCOUNTS} `)
    await refused(/0002-accounts.sql of chat was changed after it was applied/)
    await writeFile(join(folder, '0002-accounts.sql'), ACCOUNTS)

    await writeFile(join(folder, '0003-devices.sql'), DEVICES)
    await refused(/0003-devices.sql of chat came too late/)
    await rm(join(folder, '0003-devices.sql'))

    await writeFile(join(folder, '0004-other.sql'), KEYS)
    await refused(/Two migrations have the number/)
    await rm(join(folder, '0004-other.sql'))

    await writeFile(join(folder, 'five.sql'), KEYS)
    await refused(/five.sql must be named like/)
    await rm(join(folder, 'five.sql'))

    await rm(join(folder, '0002-accounts.sql'))
    await refused(/is missing in this program/)
  },
)

forEachEngine('a database that a newer program wrote is refused', async (open, t) => {
  const sql = await open()
  const newer = await folderOf(t, { '0001-accounts.sql': ACCOUNTS, '0002-keys.sql': KEYS })
  const older = await folderOf(t, { '0001-accounts.sql': ACCOUNTS })
  await migrate(sql, 'chat', newer, NOW_MS)
  await assert.rejects(migrate(sql, 'chat', older, NOW_MS), says(/was written by a newer Heliograph/))
})

forEachEngine('processes that start together migrate once', async (open, t) => {
  const sql = await open()
  const others = sql.engine === 'postgres' ? [await open(), await open(), await open()] : [sql]
  const folder = await folderOf(t, { '0001-accounts.sql': ACCOUNTS, '0002-keys.sql': KEYS })
  await Promise.all([sql, ...others].map((one) => migrate(one, 'chat', folder, NOW_MS)))
  assert.equal((await applied(sql)).length, 2)
})
