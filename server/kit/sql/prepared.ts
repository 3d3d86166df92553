// A statement's life inside a worker thread: prepared when it first runs, afresh after an error.
import type { Database, Statement } from '@signalapp/sqlcipher'
import { anonymous, answersRows, isSeveral } from './dialect.ts'
import type { Unpacker } from './packing.ts'
import type { SqlRow, SqlValue } from './sql.ts'

type Bound = (SqlValue | bigint)[]

export class Prepared {
  readonly id: number
  readonly sql: string
  readonly answersRows: boolean
  /** The columns as the main thread knows them, if it does. */
  knownColumns: readonly string[] | undefined
  readonly #text: string
  readonly #order: readonly number[]
  readonly #given: Bound = []
  readonly #bound: Bound
  readonly #expected: number
  #statement: Statement | undefined

  constructor(sql: string, id = 0) {
    const { text, order } = anonymous(sql)
    this.id = id
    this.sql = sql
    this.answersRows = answersRows(sql)
    this.#text = text
    this.#order = order
    this.#expected = order.reduce((most, index) => Math.max(most, index + 1), 0)
    this.#bound = order.every((index, at) => index === at) ? this.#given : []
  }

  /** Takes the arguments out of the batch. */
  take(batch: Unpacker): void {
    const count = batch.count()
    this.#given.length = count
    for (let at = 0; at < count; at++) this.#given[at] = batch.binding()
  }

  run(database: Database): number {
    return this.#ready(database).run(this.#bound as SqlValue[] as never).changes
  }

  all(database: Database): SqlRow[] {
    return this.#ready(database).all(this.#bound as SqlValue[] as never)
  }

  /** A statement that failed half-way cannot be bound again, so it is prepared afresh for its next use. */
  close(): void {
    this.#statement?.close()
    this.#statement = undefined
  }

  #ready(database: Database): Statement {
    if (this.#given.length !== this.#expected)
      throw new TypeError(`the statement wants ${this.#expected} arguments, not ${this.#given.length}`)
    if (this.#bound !== this.#given) this.#reorder()
    this.#statement ??= this.#prepare(database)
    return this.#statement
  }

  #prepare(database: Database): Statement {
    if (isSeveral(this.sql)) throw new TypeError('a statement must be one statement')
    return database.prepare(this.#text, { persistent: true })
  }

  #reorder(): void {
    const order = this.#order
    for (let at = 0; at < order.length; at++) this.#bound[at] = this.#given[order[at]!]!
  }
}
