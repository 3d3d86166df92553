import { openPostgres, type PostgresConfig } from './postgres.ts'
import type { Sql } from './sql.ts'
import { openSqlite, type SqliteConfig } from './sqlite.ts'

export type SqlConfig = SqliteConfig | PostgresConfig

/** Rejects with a StorageError; `onFatal` is called once if the engine is lost for good and the process must restart. */
export function openSql(config: SqlConfig, onFatal: (error: Error) => void): Promise<Sql> {
  return config.engine === 'sqlite' ? openSqlite(config, onFatal) : openPostgres(config)
}
