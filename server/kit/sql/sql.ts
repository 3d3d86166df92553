// The one narrow door to durable storage: reads, and writes that are lists of statements.

export type SqlValue = string | number | Uint8Array | null
export type SqlRow = Readonly<Record<string, SqlValue>>

export type Statement = {
  /** Hand-written SQL that both engines accept; parameters are `$1`, `$2`, … */
  readonly sql: string
  readonly args: readonly SqlValue[]
  /** How many rows it must change; if it changes another number, the whole list is undone. */
  readonly must?: number
}

export type Outcome = { readonly rows: readonly SqlRow[]; readonly changes: number }

/** `unmet` is the index of the first statement whose `must` did not hold; nothing of its list was kept. */
export type Written =
  | { readonly ok: true; readonly outcomes: readonly Outcome[] }
  | { readonly ok: false; readonly unmet: number }

/** What a list without conditions did. Throws if one was unmet all the same: that is a bug. */
export function outcomesOf(written: Written): readonly Outcome[] {
  if (!written.ok) throw new Error('a statement without a condition was unmet')
  return written.outcomes
}

export interface Sql {
  readonly engine: 'sqlite' | 'postgres'
  /** Runs one query against the newest committed state, off the event loop. */
  read<Row extends SqlRow = SqlRow>(sql: string, args?: readonly SqlValue[]): Promise<Row[]>
  /**
   * Applies a list atomically and resolves after it is on disk (fsync). Lists from many callers share one commit
   * and are applied in the order of the calls. Rejects if a statement is in error; then nothing of its list was kept.
   */
  write(statements: readonly Statement[]): Promise<Written>
  /** Waits for what was handed in, then closes. */
  close(): Promise<void>
}
