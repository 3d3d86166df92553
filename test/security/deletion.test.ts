// O6: after an account is deleted nothing of it is in any column of any table, and in no file of the data folder.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import type { Sql, SqlValue } from '../../server/kit/sql/sql.ts'
import { uuidFromBytes, uuidToBytes } from '../../wire/types.ts'
import { authorizationOf, Https } from '../client/https.ts'
import { linkDevice } from '../client/linked-device.ts'
import type { Registered } from '../client/register.ts'
import { registrationBody } from '../client/registration-body.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'

/** Tables whose rows name no account, and what ends them. A new table comes here only for a reason. */
const NOBODYS: Readonly<Record<string, string>> = {
  migrations: 'the schema',
  verification_sessions: 'ten minutes, or the registration that uses one up',
  captcha_spent: 'its expiry: whose a captcha was nobody knows',
  code_breakers: 'its expiry: it names prefixes of numbers',
  code_budgets: 'its expiry: it counts, and names numbers and addresses by their keyed hashes',
  code_cohorts: 'its expiry: it counts by prefix and hour',
  invites: 'a month after its end; for whom it was goes with its last use',
  invite_codes:
    'half an hour, or the registration of the number; one that the operator told, the end of its invite',
  invite_sessions: 'a day, or the registration that uses one up',
  invite_receipts: 'a month after its invite: whose a receipt is the server does not know',
  redeemed_login_receipts: 'its expiry: a receipt names nobody',
  registration_switches: 'the operator',
  shared_contents: 'the last message that shares it',
  restore_requests: 'ten minutes',
  avatar_places: 'its expiry: whose an avatar is the server does not know',
  group_states: 'its last member: who that is the server does not know',
  group_changes: 'the group: who changed it the server does not know',
  doubtful_group_avatars: 'the sweep that removes the picture, or finds that a group names it',
  unwanted_avatars: 'the sweep that removes the avatar',
  redeemed_receipts: 'its expiry: a receipt names nobody',
  discarded_backup_folders: 'the sweep that empties the folder',
  stored_backups: 'its expiry: whose a backup is the server does not know',
}
/**
 * Signal's own exceptions: a number keeps its PNI for ever, and its last ACI for 30 days (signal-api §0.2, §2.4).
 * For a day the storage service refuses credentials from before.
 * And an avatar's name stays until the avatar is gone, too.
 */
const REMEMBERED: Readonly<Record<string, readonly string[]>> = {
  phone_numbers: ['e164', 'pni'],
  deleted_accounts: ['pni', 'aci'],
  deleted_record_owners: ['aci'],
  unwanted_avatars: ['object_key'],
}
/** The console's sender writes numbers down for whoever tries the server out (docs/operating.md). */
const IN_THE_CLEAR = ['outbox.jsonl']

type Column = { readonly name: string; readonly type: string; readonly notnull: number }
type Table = { readonly name: string; readonly columns: readonly Column[] }
type Row = Readonly<Record<string, SqlValue>>

async function tablesOf(sql: Sql): Promise<Table[]> {
  const names = await sql.read("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
  const read = async (name: string) =>
    sql.read(`SELECT name, type, "notnull" FROM pragma_table_info('${name}')`) as unknown as Promise<Column[]>
  return Promise.all(
    names.map(async ({ name }) => ({ name: String(name), columns: await read(String(name)) })),
  )
}

const rowsOf = (sql: Sql, { name }: Table): Promise<Row[]> => sql.read(`SELECT * FROM ${name}`)
const textOf = (value: SqlValue): string =>
  value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value)

/** Whom rows are looked up by. */
const idsOf = ({ aci, pni }: Registered) => ({
  aci: uuidToBytes(aci.getServiceIdString()),
  pni: uuidToBytes(pni.getRawUuid()),
})
const belongsTo = (row: Row, owner: Registered): boolean => {
  const ids = Object.values(idsOf(owner)).map(textOf)
  return Object.values(row).some((value) => ids.includes(textOf(value)))
}

/** A row of the owner's in every table that can have one and has none: nobody needs to know what it is for. */
async function fillTables(sql: Sql, owner: Registered): Promise<void> {
  for (const table of await tablesOf(sql)) {
    const own = table.columns.filter(({ name }) => name === 'aci' || name === 'pni')
    if (own.length === 0 || table.name in REMEMBERED) continue
    if ((await rowsOf(sql, table)).some((row) => belongsTo(row, owner))) continue
    const ids: Row = idsOf(owner)
    const madeUp = ({ name, type }: Column): SqlValue => {
      if (name in ids) return ids[name]!
      if (type === 'TEXT') return randomBytes(16).toString('hex')
      return type === 'BYTEA' ? randomBytes(16) : 2 ** 40
    }
    const columns = table.columns.map(({ name }) => name)
    const places = columns.map((_, index) => `$${index + 1}`)
    const written = await sql.write([
      {
        sql: `INSERT INTO ${table.name} (${columns.join(', ')}) VALUES (${places.join(', ')})`,
        args: table.columns.map(madeUp),
      },
    ])
    assert.ok(written.ok)
  }
}

/** A link to a username is found by its account, which names it. */
async function nameLink(sql: Sql, owner: Registered): Promise<void> {
  const { aci } = idsOf(owner)
  const [link] = await sql.read('SELECT handle FROM username_links WHERE aci = $1', [aci])
  const handle = uuidFromBytes(link!['handle'] as Uint8Array)
  await sql.write([
    { sql: 'UPDATE accounts SET username_link_handle = $1 WHERE aci = $2', args: [handle, aci] },
  ])
}

/** What is in the owner's rows and in nobody else's: ids, keys, tokens, hashes, ciphertexts. */
async function tracesOf(sql: Sql, owner: Registered): Promise<Set<string>> {
  const own = new Set<string>([owner.number])
  const others = new Set<string>()
  for (const table of await tablesOf(sql))
    for (const row of await rowsOf(sql, table))
      for (const value of Object.values(row)) {
        if (typeof value === 'number' || value === null || textOf(value).length < 8) continue
        ;(belongsTo(row, owner) ? own : others).add(textOf(value))
      }
  return new Set([...own].filter((trace) => ![...others].some((other) => other.includes(trace))))
}

async function foundIn(sql: Sql, traces: ReadonlySet<string>): Promise<string[]> {
  const found: string[] = []
  for (const table of await tablesOf(sql))
    for (const row of await rowsOf(sql, table))
      for (const [column, value] of Object.entries(row)) {
        if (REMEMBERED[table.name]?.includes(column)) continue
        const text = textOf(value)
        if ([...traces].some((trace) => text.includes(trace))) found.push(`${table.name}.${column}`)
      }
  return found
}

async function filesIn(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true })
  const paths = names.map((name) => join(folder, name))
  const isFile = await Promise.all(paths.map(async (path) => (await stat(path)).isFile()))
  return paths.filter((_, index) => isFile[index])
}

test('O6: what was kept of an account is gone when it is deleted, in every table that there is', async () => {
  await using server = await Constellation.open()
  await using boris = await SignalClient.create(server, { httpVersion: 2 })
  let ada: Registered
  {
    await using client = await SignalClient.create(server, { httpVersion: 2 })
    ada = client.account
    await client.uploadPreKeys(3)
    await linkDevice(server, ada)
    await boris.uploadPreKeys(3)
    await client.disconnect()
    await boris.sendText(ada, 'hello')
    await using https = Https.open(server.ready, 2)
    const json = { ...registrationBody('').accountAttributes, registrationLock: 'ab'.repeat(32) }
    const headers = authorizationOf(ada)
    assert.equal((await https.call('PUT', '/v1/accounts/attributes', { headers, json })).status, 204)
  }
  await boris.disconnect()

  let traces = new Set<string>()
  await server.restart(async (sql) => {
    const nobodys = (await tablesOf(sql)).filter(({ columns }) =>
      columns.every(({ name }) => name !== 'aci' && name !== 'pni'),
    )
    assert.deepEqual(nobodys.map(({ name }) => name).sort(), Object.keys(NOBODYS).sort())
    await fillTables(sql, ada)
    await nameLink(sql, ada)
    traces = await tracesOf(sql, ada)
    const found = new Set((await foundIn(sql, traces)).map((place) => place.split('.')[0]))
    const expected = (await tablesOf(sql)).map(({ name }) => name)
    const owned = expected.filter((name) => !(name in NOBODYS) && !(name in REMEMBERED))
    assert.deepEqual(
      owned.filter((name) => !found.has(name)),
      [],
      'the walk sees what is there',
    )
  })

  const headers = authorizationOf(ada)
  {
    await using https = Https.open(server.ready, 2)
    assert.equal((await https.call('GET', '/v2/accounts/data_report', { headers })).status, 200)
    assert.equal((await https.call('DELETE', '/v1/accounts/me', { headers })).status, 204)
    assert.equal((await https.call('GET', '/v2/accounts/data_report', { headers })).status, 401)
  }
  await server.restart(async (sql) => assert.deepEqual(await foundIn(sql, traces), []))

  const texts = [ada.number, ada.aci.getServiceIdString(), ada.pni.getRawUuid(), ada.password]
  const needles = [...texts, ...texts.map((text) => Buffer.from(text).toString('base64'))]
  for (const file of await filesIn(dirname(dirname(server.ready.outbox)))) {
    if (IN_THE_CLEAR.some((name) => file.endsWith(name))) continue
    const bytes = await readFile(file)
    assert.deepEqual(
      needles.filter((needle) => bytes.includes(needle)),
      [],
      file,
    )
  }
})
