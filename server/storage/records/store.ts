import { type Aci, uuidToBytes } from '../../../wire/types.ts'
import type { Sql, SqlRow, SqlValue, Statement } from '../../kit/sql/sql.ts'

type Bytes = Uint8Array<ArrayBuffer>
export type Manifest = { readonly version: number; readonly value: Bytes }
export type Item = { readonly key: Bytes; readonly value: Bytes }
/** No key occurs twice in a list; what is in both lists is stored. */
export type RecordsWrite = {
  readonly manifest: Manifest
  readonly inserts: readonly Item[]
  readonly deletes: readonly Uint8Array[]
  readonly clearAll: boolean
}
export type RecordsWritten = 'written' | 'late' | 'owner-deleted'

/** Rows in one statement: few shapes to prepare, whatever the number of rows. */
const ROWS_AT_ONCE = [64, 8, 1] as const
/** Keys in one statement, the last of them repeated up to there. */
const KEYS_AT_ONCE = [8, 64] as const

const manifestOf = (row: SqlRow): Manifest => ({
  version: row['version'] as number,
  value: row['value'] as Bytes,
})

export class RecordStore {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
  }

  async manifest(aci: Aci): Promise<Manifest | undefined> {
    const query = 'SELECT version, value FROM record_manifests WHERE aci = $1'
    const [row] = await this.#sql.read(query, [uuidToBytes(aci)])
    return row && manifestOf(row)
  }

  /** Those of the keys that there are, some at a time. */
  async *items(aci: Aci, keys: readonly Uint8Array[]): AsyncGenerator<Item[]> {
    const id = uuidToBytes(aci)
    for (const some of keyChunks(keys)) {
      const query = `SELECT item_key, value FROM record_items WHERE ${isAmong(some.length)}`
      const rows = await this.#sql.read(query, [id, ...some])
      yield rows.map((row) => ({ key: row['item_key'] as Bytes, value: row['value'] as Bytes }))
    }
  }

  /**
   * All of it or nothing: the version has to follow the stored one, if any, and the owner's account must not have been
   * deleted at `issuedAtMs` or later.
   */
  async write(aci: Aci, issuedAtMs: number, write: RecordsWrite): Promise<RecordsWritten> {
    const id = uuidToBytes(aci)
    const written = await this.#sql.write([
      ownerStands(id, issuedAtMs),
      nextManifest(id, write.manifest),
      ...(write.clearAll ? [clearItems(id)] : []),
      ...keyChunks(write.deletes).map((keys) => deleteItems(id, keys)),
      ...chunked(write.inserts).map((items) => putItems(id, items)),
    ])
    if (written.ok) return 'written'
    return written.unmet === 0 ? 'owner-deleted' : 'late'
  }

  /** Removes everything; not for who was deleted at `issuedAtMs` or later. */
  async clear(aci: Aci, issuedAtMs: number): Promise<RecordsWritten> {
    const id = uuidToBytes(aci)
    const written = await this.#sql.write([ownerStands(id, issuedAtMs), clearManifest(id), clearItems(id)])
    return written.ok ? 'written' : 'owner-deleted'
  }

  async isOwnerDeleted(aci: Aci, issuedAtMs: number): Promise<boolean> {
    const { sql, args } = ownerStands(uuidToBytes(aci), issuedAtMs)
    return (await this.#sql.read(sql, args)).length > 0
  }

  deleted(aci: Aci, nowMs: number): Statement[] {
    const id = uuidToBytes(aci)
    const remember = {
      sql: `INSERT INTO deleted_record_owners (aci, deleted_at_ms) VALUES ($1, $2)
            ON CONFLICT (aci) DO UPDATE SET deleted_at_ms = excluded.deleted_at_ms`,
      args: [id, nowMs],
    }
    return [clearManifest(id), clearItems(id), remember]
  }

  async forgetDeleted(beforeMs: number): Promise<void> {
    await this.#sql.write([
      { sql: 'DELETE FROM deleted_record_owners WHERE deleted_at_ms < $1', args: [beforeMs] },
    ])
  }
}

const ownerStands = (id: Uint8Array, issuedAtMs: number): Statement => ({
  sql: 'SELECT aci FROM deleted_record_owners WHERE aci = $1 AND deleted_at_ms >= $2',
  args: [id, issuedAtMs],
  must: 0,
})

const nextManifest = (id: Uint8Array, { version, value }: Manifest): Statement => ({
  sql: `INSERT INTO record_manifests (aci, version, value) VALUES ($1, $2, $3)
        ON CONFLICT (aci) DO UPDATE SET version = excluded.version, value = excluded.value
        WHERE record_manifests.version = excluded.version - 1`,
  args: [id, version, value],
  must: 1,
})

const clearManifest = (id: Uint8Array): Statement => ({
  sql: 'DELETE FROM record_manifests WHERE aci = $1',
  args: [id],
})

const clearItems = (id: Uint8Array): Statement => ({
  sql: 'DELETE FROM record_items WHERE aci = $1',
  args: [id],
})

const deleteItems = (id: Uint8Array, keys: readonly Uint8Array[]): Statement => ({
  sql: `DELETE FROM record_items WHERE ${isAmong(keys.length)}`,
  args: [id, ...keys],
})

/**
 * `$1` is the owner; the keys follow in ascending order. PostgreSQL may compare all rows of an owner with all keys: the
 * bounds leave it the rows between the first and the last, so that all chunks together come by each row once.
 */
function isAmong(count: number): string {
  const keys = Array.from({ length: count }, (_, index) => `$${2 + index}`)
  return `aci = $1 AND item_key >= $2 AND item_key <= $${1 + count} AND item_key IN (${keys.join(', ')})`
}

function keyChunks(keys: readonly Uint8Array[]): Uint8Array[][] {
  const sorted = keys.toSorted(Buffer.compare)
  const most = KEYS_AT_ONCE.at(-1)!
  return Array.from({ length: Math.ceil(sorted.length / most) }, (_, index) => {
    const some = sorted.slice(index * most, (index + 1) * most)
    const size = KEYS_AT_ONCE.find((room) => room >= some.length)!
    return [...some, ...Array.from({ length: size - some.length }, () => some.at(-1)!)]
  })
}

function putItems(id: Uint8Array, items: readonly Item[]): Statement {
  const rows = items.map((_, index) => `($1, $${2 + 2 * index}, $${3 + 2 * index})`)
  const args: SqlValue[] = [id]
  for (const { key, value } of items) args.push(key, value)
  return {
    sql: `INSERT INTO record_items (aci, item_key, value) VALUES ${rows.join(', ')}
          ON CONFLICT (aci, item_key) DO UPDATE SET value = excluded.value`,
    args,
  }
}

function chunked<T>(list: readonly T[]): T[][] {
  const chunks: T[][] = []
  let at = 0
  for (const size of ROWS_AT_ONCE)
    for (; list.length - at >= size; at += size) chunks.push(list.slice(at, at + size))
  return chunks
}
