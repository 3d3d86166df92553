import type { Sql } from './sql.ts'
import { openSqlite, type SqliteConfig } from './sqlite.ts'

export type SqlConfig = SqliteConfig

/** Rejects with a StorageError; `onFatal` is called once if the engine is lost for good and the process must restart. */
export function openSql(config: SqlConfig, onFatal: (error: Error) => void): Promise<Sql> {
  return openSqlite(config, onFatal)
}
