// SQLCipher behind the `Sql` interface: one writer thread, some reader threads, and never a query on the event loop.
import type { Sql, SqlRow, SqlValue, Statement, Written } from './sql.ts'
import { SqliteLane } from './sqlite-lane.ts'
import { SqliteThread } from './sqlite-thread.ts'
import { StorageError } from './storage-error.ts'

export type SqliteConfig = {
  readonly engine: 'sqlite'
  readonly file: string
  /** 32 bytes, used as they are. */
  readonly key: Uint8Array
  /** Reader threads; 1 unless told. */
  readonly readers?: number
  /** How long after the last commit the write-ahead log is emptied; a minute unless told. */
  readonly emptyLogAfterMs?: number
}

const KEY_BYTES = 32
const EMPTY_LOG_AFTER_MS = 60_000
/** A commit is one fsync for however many lists: under load there is no need of more of them than this allows. */
const COMMIT_SPACING_MS = 2

/**
 * Opens (and makes, if missing) the database. Rejects with a StorageError that says in a sentence what is wrong.
 * `onFatal` is called once if a thread dies: what was in flight has been rejected, and nothing works any more.
 */
export async function openSqlite(config: SqliteConfig, onFatal: (error: Error) => void): Promise<Sql> {
  const { file, key } = config
  if (key.length !== KEY_BYTES) throw new StorageError('The database key must be 32 bytes long.')
  const emptyLogAfterMs = config.emptyLogAfterMs ?? EMPTY_LOG_AFTER_MS
  const writer = await SqliteThread.start({ file, key, role: 'writer', emptyLogAfterMs })
  try {
    const readers = Array.from({ length: config.readers ?? 1 }, () =>
      SqliteThread.start({ file, key, role: 'reader', emptyLogAfterMs }),
    )
    return new Sqlite(writer, await Promise.all(readers), onFatal)
  } catch (error) {
    await writer.terminate()
    throw error
  }
}

class Sqlite implements Sql {
  readonly engine = 'sqlite'
  readonly #threads: readonly SqliteThread[]
  readonly #writer: SqliteLane
  readonly #readers: readonly SqliteLane[]
  readonly #onFatal: (error: Error) => void
  #closing: Promise<void> | undefined
  #isOver = false

  constructor(writer: SqliteThread, readers: readonly SqliteThread[], onFatal: (error: Error) => void) {
    this.#threads = [...readers, writer]
    this.#writer = new SqliteLane(writer, COMMIT_SPACING_MS)
    this.#readers = readers.map((reader) => new SqliteLane(reader, 0))
    this.#onFatal = onFatal
    for (const thread of this.#threads) thread.onDeath((cause) => this.#die(cause))
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
    for (const thread of this.#threads) await (hasDied ? thread.terminate() : thread.close())
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
