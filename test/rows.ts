// Everything that a database holds, for tests that ask what is left of somebody: a table added later is here by itself.
import type { Sql, SqlRow, SqlValue } from '../server/kit/sql/sql.ts'

export type TableRow = { readonly table: string; readonly row: SqlRow }

/** The tables of an SQLite database, those of the engine itself left out. */
export async function tablesOf(sql: Sql): Promise<string[]> {
  const rows = await sql.read(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
  )
  return rows.map((row) => row['name'] as string)
}

export async function allRows(sql: Sql): Promise<TableRow[]> {
  const tables = await tablesOf(sql)
  const read = await Promise.all(
    tables.map(async (table) => (await sql.read(`SELECT * FROM ${table}`)).map((row) => ({ table, row }))),
  )
  return read.flat()
}

const bytesOf = (value: SqlValue): Buffer => {
  if (value instanceof Uint8Array) return Buffer.from(value)
  return Buffer.from(value === null ? '' : String(value))
}

/** The rows in which one of the traces stands, in any column, as text or as bytes. */
export const rowsWith = (rows: readonly TableRow[], traces: readonly (Uint8Array | string)[]): TableRow[] => {
  const wanted = traces.map((trace) => Buffer.from(trace as Uint8Array))
  return rows.filter(({ row }) =>
    Object.values(row).some((value) => {
      const bytes = bytesOf(value)
      return wanted.some((trace) => bytes.includes(trace))
    }),
  )
}

/** The same rows make the same text. */
export const written = (rows: readonly TableRow[]): string[] =>
  rows
    .map(({ table, row }) => {
      const columns = Object.entries(row).map(([name, value]) => {
        const shown = value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value)
        return `${name}=${shown}`
      })
      return `${table}: ${columns.join(' ')}`
    })
    .sort()
