// PostgreSQL behind the `Sql` interface: one writer connection with group commit, a small pool of readers.
import pg from 'pg'
import { capture } from './arguments.ts'
import { type Answer, applyBatch } from './postgres-batch.ts'
import { asFailure, PostgresSession, postgresConfig, StatementNames } from './postgres-session.ts'
import type { Sql, SqlRow, SqlValue, Statement, Written } from './sql.ts'
import { StorageError } from './storage-error.ts'

export type PostgresConfig = {
  readonly engine: 'postgres'
  readonly url: string
  /** Reader connections at most; 4 unless told. */
  readonly readers?: number
}

const MAX_LISTS = 128
const DEFAULT_READERS = 4

type Waiting = {
  readonly list: readonly Statement[]
  readonly resolve: (written: Written) => void
  readonly reject: (error: Error) => void
}

/**
 * Rejects with a StorageError if the server cannot be reached now. A connection that is lost later rejects what was
 * in flight with a StorageError, as nobody can know whether that was stored, and the next write connects again.
 */
export async function openPostgres(config: PostgresConfig): Promise<Sql> {
  const names = new StatementNames()
  const writer = await PostgresSession.connect(config.url, names)
  return new Postgres(config, names, writer)
}

class Postgres implements Sql {
  readonly engine = 'postgres'
  readonly #url: string
  readonly #names: StatementNames
  readonly #readers: pg.Pool
  readonly #queue: Waiting[] = []
  #writer: PostgresSession
  #writing: Promise<void> | undefined
  #closing: Promise<void> | undefined

  constructor({ url, readers }: PostgresConfig, names: StatementNames, writer: PostgresSession) {
    this.#url = url
    this.#names = names
    this.#writer = writer
    this.#readers = new pg.Pool({ ...postgresConfig(url), max: readers ?? DEFAULT_READERS })
    this.#readers.on('error', () => {})
  }

  async read<Row extends SqlRow = SqlRow>(sql: string, args: readonly SqlValue[] = []): Promise<Row[]> {
    if (this.#closing) throw closed()
    const query = this.#names.query({ sql, args: capture(args) })
    try {
      return (await this.#readers.query<Row>(query)).rows
    } catch (error) {
      throw asFailure(error)
    }
  }

  async write(statements: readonly Statement[]): Promise<Written> {
    if (this.#closing) throw closed()
    const list = statements.map((statement) => ({ ...statement, args: capture(statement.args) }))
    return new Promise((resolve, reject) => {
      this.#queue.push({ list, resolve, reject })
      this.#writing ??= this.#writeAll()
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#writing
    await Promise.all([this.#writer.end(), this.#readers.end()])
  }

  /** Lists of one turn of the event loop share a transaction, and so do those that come while one is under way. */
  async #writeAll(): Promise<void> {
    await new Promise(setImmediate)
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, MAX_LISTS)
      const answers = await this.#apply(batch.map(({ list }) => list))
      for (const [at, waiting] of batch.entries()) settle(waiting, answers[at]!)
    }
    this.#writing = undefined
  }

  async #apply(lists: readonly (readonly Statement[])[]): Promise<Answer[]> {
    try {
      if (this.#writer.isLost) this.#writer = await PostgresSession.connect(this.#url, this.#names)
    } catch (error) {
      return lists.map(() => asFailure(error))
    }
    return applyBatch(this.#writer, lists)
  }
}

function settle({ resolve, reject }: Waiting, answer: Answer): void {
  if (answer instanceof Error) reject(answer)
  else resolve(answer)
}

const closed = (): StorageError => new StorageError('The database is closed.')
