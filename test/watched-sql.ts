// A real storage whose answers can be held back, and that knows when nobody waits for it.
import { setImmediate } from 'node:timers/promises'
import type { Sql, SqlRow, SqlValue, Statement, Written } from '../server/kit/sql/sql.ts'

/** Answers that are there but not given yet. */
export type Hold = {
  /** Resolves when the first of them is there. */
  readonly reached: Promise<void>
  /** Gives them, and those that follow. */
  release(): void
}

/** Turns of the event loop in which nothing new was asked. */
const QUIET_TURNS = 3

export class WatchedSql implements Sql {
  readonly engine: Sql['engine']
  /** Every list that was written, in order. */
  readonly written: (readonly Statement[])[] = []
  readonly #inner: Sql
  readonly #pending = new Set<Promise<unknown>>()
  readonly #holds = new Map<RegExp, { gate: Promise<void>; reached: () => void }>()

  constructor(inner: Sql) {
    this.#inner = inner
    this.engine = inner.engine
  }

  read<Row extends SqlRow = SqlRow>(sql: string, args: readonly SqlValue[] = []): Promise<Row[]> {
    return this.#watch(sql, this.#inner.read<Row>(sql, args))
  }

  write(statements: readonly Statement[]): Promise<Written> {
    this.written.push(statements)
    return this.#watch(statements.map(({ sql }) => sql).join(';'), this.#inner.write(statements))
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  /** Holds back the answers to what matches; it is done all the same. */
  hold(pattern: RegExp): Hold {
    const reached = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    this.#holds.set(pattern, { gate: gate.promise, reached: reached.resolve })
    const release = () => {
      this.#holds.delete(pattern)
      gate.resolve()
    }
    return { reached: reached.promise, release }
  }

  /** Resolves when everything that was asked is answered, and nobody asks anything more. */
  async idle(): Promise<void> {
    for (let quiet = 0; quiet < QUIET_TURNS; quiet++) {
      if (this.#pending.size > 0) {
        await Promise.allSettled(this.#pending)
        quiet = 0
      }
      await setImmediate()
    }
  }

  async #watch<T>(sql: string, asked: Promise<T>): Promise<T> {
    const answer = this.#answer(sql, asked)
    this.#pending.add(answer)
    try {
      return await answer
    } finally {
      this.#pending.delete(answer)
    }
  }

  async #answer<T>(sql: string, asked: Promise<T>): Promise<T> {
    const held = [...this.#holds].find(([pattern]) => pattern.test(sql))?.[1]
    const answer = await asked
    held?.reached()
    await held?.gate
    return answer
  }
}
