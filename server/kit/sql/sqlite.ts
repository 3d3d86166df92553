// SQLCipher behind the `Sql` interface: one writer thread, some reader threads, and never a query on the event loop.
import { once } from 'node:events'
import { getCompileCacheDir } from 'node:module'
import { dirname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Sql, SqlRow, SqlValue, Statement, Written } from './sql.ts'
import type { SqliteRole, SqliteSettings } from './sqlite-connection.ts'
import { SqliteLane } from './sqlite-lane.ts'
import type { WorkerReady } from './sqlite-worker.ts'
import { StorageError } from './storage-error.ts'

export type SqliteConfig = {
  readonly engine: 'sqlite'
  readonly file: string
  /** 32 bytes, used as they are. */
  readonly key: Uint8Array
  /** Reader threads; 1 unless told. */
  readonly readers?: number
}

const KEY_BYTES = 32

/**
 * Opens (and makes, if missing) the database. Rejects with a StorageError that says in a sentence what is wrong.
 * `onFatal` is called once if a thread dies: what was in flight has been rejected, and nothing works any more.
 */
export async function openSqlite(config: SqliteConfig, onFatal: (error: Error) => void): Promise<Sql> {
  if (config.key.length !== KEY_BYTES) throw new StorageError('The database key must be 32 bytes long.')
  const writer = await startWorker(config, 'writer')
  try {
    const readers = Array.from({ length: config.readers ?? 1 }, () => startWorker(config, 'reader'))
    return new Sqlite(writer, await Promise.all(readers), onFatal)
  } catch (error) {
    await writer.terminate()
    throw error
  }
}

async function startWorker({ file, key }: SqliteConfig, role: SqliteRole): Promise<Worker> {
  const workerData: SqliteSettings = { file, key, role }
  const entry = new URL('./sqlite-worker.ts', import.meta.url)
  const worker = new Worker(entry, { workerData, execArgv: [], env: inheritedEnv() })
  const [answer] = (await once(worker, 'message')) as [WorkerReady]
  if (answer.ready) return worker
  await once(worker, 'exit')
  throw new StorageError(answer.sentence)
}

/** A thread that finds its code in the compile cache need not load the type stripper, which takes 10 MB. */
function inheritedEnv(): NodeJS.ProcessEnv {
  const cache = getCompileCacheDir()
  return cache === undefined ? {} : { NODE_COMPILE_CACHE: dirname(cache) }
}

class Sqlite implements Sql {
  readonly engine = 'sqlite'
  readonly #workers: readonly Worker[]
  readonly #writer: SqliteLane
  readonly #readers: readonly SqliteLane[]
  readonly #onFatal: (error: Error) => void
  #closing: Promise<void> | undefined
  #isOver = false

  constructor(writer: Worker, readers: readonly Worker[], onFatal: (error: Error) => void) {
    this.#workers = [...readers, writer]
    this.#writer = new SqliteLane(writer)
    this.#readers = readers.map((reader) => new SqliteLane(reader))
    this.#onFatal = onFatal
    for (const worker of this.#workers) {
      worker.on('error', (error) => this.#die(error))
      worker.on('messageerror', (error) => this.#die(error))
      worker.on('exit', () => this.#die(new Error('a thread ended')))
    }
  }

  async read<Row extends SqlRow = SqlRow>(sql: string, args: readonly SqlValue[] = []): Promise<Row[]> {
    const written = await this.#idlest().submit([{ sql, args }])
    return (written.ok ? written.outcomes[0]!.rows : []) as Row[]
  }

  write(statements: readonly Statement[]): Promise<Written> {
    return this.#writer.submit(statements)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  #idlest(): SqliteLane {
    return this.#readers.reduce((best, lane) => (lane.load < best.load ? lane : best))
  }

  async #close(): Promise<void> {
    const lanes = [...this.#readers, this.#writer]
    for (const lane of lanes) lane.refuse(new StorageError('The database is closed.'))
    await Promise.all(lanes.map((lane) => lane.drained()))
    const hasDied = this.#isOver
    this.#isOver = true
    for (const worker of this.#workers) await (hasDied ? worker.terminate() : closeWorker(worker))
  }

  #die(cause: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    const message = 'The database thread has died; what it had not answered may not be stored.'
    const error = new StorageError(message, { cause })
    for (const lane of [...this.#readers, this.#writer]) lane.fail(error)
    this.#onFatal(error)
  }
}

async function closeWorker(worker: Worker): Promise<void> {
  const exited = once(worker, 'exit')
  worker.postMessage('close')
  await exited
}
