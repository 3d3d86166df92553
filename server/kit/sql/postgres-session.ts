// One connection to PostgreSQL that speaks in our values: int8 as number, bytea as Buffer, named statements.
import pg from 'pg'
import type { Outcome, SqlRow, SqlValue, Statement } from './sql.ts'
import { StatementError, StorageError } from './storage-error.ts'

const MAX_NAMES = 1000
const CONNECT_TIMEOUT_MS = 10_000

// Object identifiers of pg_type.
const BOOL = 16
const INT8 = 20
const NUMERIC = 1700

const toNumber = (text: string): number => Number(text)
const PARSERS = new Map<number, (text: string) => SqlValue>([
  [BOOL, (text) => (text === 't' ? 1 : 0)],
  [INT8, toNumber],
  [NUMERIC, toNumber],
])

const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format: 'text') =>
    PARSERS.get(oid) ?? pg.types.getTypeParser(oid, format)) as pg.CustomTypesConfig['getTypeParser'],
}

export const postgresConfig = (url: string): pg.ClientConfig => ({
  connectionString: url,
  connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  keepAlive: true,
  types,
})

/** Gives each SQL text the name under which every connection prepares it. */
export class StatementNames {
  readonly #names = new Map<string, string>()

  query({ sql, args }: Pick<Statement, 'sql' | 'args'>): pg.QueryConfig {
    const name = this.#nameOf(sql)
    return { text: sql, values: args as SqlValue[], ...(name === undefined ? {} : { name }) }
  }

  #nameOf(sql: string): string | undefined {
    const known = this.#names.get(sql)
    if (known !== undefined || this.#names.size >= MAX_NAMES) return known
    const name = `h${this.#names.size}`
    this.#names.set(sql, name)
    return name
  }
}

/** A connection that has its queries under way at the same time and answered in order. */
export class PostgresSession {
  isLost = false
  readonly #client: pg.Client
  readonly #names: StatementNames

  private constructor(client: pg.Client, names: StatementNames) {
    this.#client = client
    this.#names = names
    client.on('error', () => this.#lose())
    client.on('end', () => this.#lose())
  }

  /** Rejects with a StorageError if the server cannot be reached. */
  static async connect(url: string, names: StatementNames): Promise<PostgresSession> {
    const client = new pg.Client({ ...postgresConfig(url), pipeline: true } as pg.ClientConfig)
    const session = new PostgresSession(client, names)
    try {
      await client.connect()
      await client.query(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
      )
      return session
    } catch (error) {
      await session.end()
      throw unreachable(error)
    }
  }

  async run(statement: Statement): Promise<Outcome> {
    const { rows, rowCount } = await this.#client.query<SqlRow>(this.#names.query(statement))
    return { rows, changes: rowCount ?? 0 }
  }

  begin(): Promise<unknown> {
    return this.#client.query('BEGIN')
  }

  /** Rejects with a StorageError unless the server says that the transaction is stored. */
  async commit(): Promise<void> {
    const { command } = await this.#client.query('COMMIT').catch((error) => {
      throw asFailure(error)
    })
    if (command !== 'COMMIT') throw new StorageError('PostgreSQL undid a transaction instead of storing it.')
  }

  rollback(): Promise<unknown> {
    return this.#client.query('ROLLBACK')
  }

  async end(): Promise<void> {
    await this.#client.end().catch(() => {})
  }

  #lose(): void {
    this.isLost = true
  }
}

/** What a query's error means to its caller: the statement was wrong, or the storage failed. */
export function asFailure(error: unknown): StatementError | StorageError {
  if (error instanceof StorageError || error instanceof StatementError) return error
  if (!(error instanceof pg.DatabaseError) || error.code === undefined)
    return new StorageError(
      'The connection to PostgreSQL was lost; what it had not answered may not be stored.',
      {
        cause: error,
      },
    )
  if (SERVER_TROUBLE.test(error.code))
    return new StorageError(`PostgreSQL could not do it (SQLSTATE ${error.code}).`, { cause: error })
  if (error.code === UNIQUE_VIOLATION) return new StatementError('unique', error.message)
  if (error.code.startsWith('23')) return new StatementError('constraint', error.message)
  return new StatementError('other', error.code.startsWith('42') ? error.message : `SQLSTATE ${error.code}`)
}

export const isWorthRetrying = (error: unknown): boolean =>
  error instanceof pg.DatabaseError && /^40/.test(error.code ?? '')

const UNIQUE_VIOLATION = '23505'
/** Connection (but not a wrong number of arguments, 08P01), rollback, resources, object state, operator intervention, system error, corruption. */
const SERVER_TROUBLE = /^(08(?!P01)|25|40|53|55|57|58|XX)/

function unreachable(error: unknown): StorageError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'no answer'
  return new StorageError(`PostgreSQL cannot be reached or refuses the connection (${code}).`, {
    cause: error,
  })
}
