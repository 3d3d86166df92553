import { join } from 'node:path'
import { migrate } from '../server/kit/sql/migrate.ts'
import type { Sql } from '../server/kit/sql/sql.ts'
import type { OpenEngine } from './engines.ts'

const MIGRATIONS = join(import.meta.dirname, '..', 'server', 'chat', 'migrations')

/** An empty database with the chat server's tables. */
export async function openChatStorage(open: OpenEngine): Promise<Sql> {
  const sql = await open()
  await migrate(sql, 'chat', MIGRATIONS, 0)
  return sql
}
