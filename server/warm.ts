// Run once, before the first start: loads all code of every thread, so that the compile cache has it.
import { mkdtemp, rm } from 'node:fs/promises'
import { enableCompileCache } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const [cache] = process.argv.splice(2, Number.POSITIVE_INFINITY, 'help')
enableCompileCache(cache)
await import('./main.ts')
await import('./commands/up.ts')
await import('./kit/certificate-maker.ts')
const { openSql } = await import('./kit/sql/open.ts')
const folder = await mkdtemp(join(tmpdir(), 'heliograph-warm-'))
const sql = await openSql({ engine: 'sqlite', file: join(folder, 'warm.db'), key: new Uint8Array(32) }, () =>
  process.exit(1),
)
await sql.close()
const { WorkerPool } = await import('./kit/worker-pool.ts')
const module = new URL('./chat/credentials/issuing.ts', import.meta.url)
await import(module.href)
const pool = new WorkerPool({ module, data: {}, size: 1 })
await pool.call('none').catch(() => {})
await pool.close()
await rm(folder, { recursive: true })
