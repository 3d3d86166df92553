// Applies packed batches on one connection, inside a worker thread (sqlite-layout.ts tells the layout).
import type { Database } from '@signalapp/sqlcipher'
import { Packer, Unpacker } from './packing.ts'
import { Prepared } from './prepared.ts'
import type { SqlRow } from './sql.ts'
import { codeOf, type SqliteRole } from './sqlite-connection.ts'
import * as layout from './sqlite-layout.ts'
import type { StatementFault } from './storage-error.ts'

const ANSWER_BYTES = 1024
/** These undo their statement alone; after any other error SQLite may have ended the transaction by itself. */
const STATEMENT_ERRORS = /^(SQLITE_CONSTRAINT.*|SQLITE_(ERROR|MISMATCH|RANGE|TOOBIG|MISUSE).*|)$/
const UNTRUSTED = /^(SQLITE_(IOERR|CORRUPT|NOTADB).*|)$/

export class SqliteBatches {
  /** Set when the connection can no longer be trusted. */
  fatal: unknown
  readonly #database: Database
  readonly #isWriter: boolean
  readonly #statements = new Map<number, Prepared>()
  readonly #begin: Prepared
  readonly #commit = new Prepared('COMMIT')
  readonly #savepoint = new Prepared('SAVEPOINT list')
  readonly #release = new Prepared('RELEASE list')
  readonly #undo = new Prepared('ROLLBACK TO list')
  /** What made the whole batch fail; the rest of it is only parsed. */
  #loss: unknown
  #newShapes: Prepared[] = []

  constructor(database: Database, role: SqliteRole) {
    this.#database = database
    this.#isWriter = role === 'writer'
    this.#begin = new Prepared(this.#isWriter ? 'BEGIN IMMEDIATE' : 'BEGIN')
  }

  /** Answers after COMMIT; nothing of a lost batch is kept. */
  apply(packed: ArrayBuffer): ArrayBuffer {
    const batch = new Unpacker(packed)
    const answer = new Packer(ANSWER_BYTES)
    answer.byte(layout.BATCH_KEPT)
    if (batch.byte() === 1) this.#forget()
    const lists = batch.count()
    const inTransaction = this.#isWriter || lists > 1
    if (inTransaction) this.#step(this.#begin)
    for (let list = 0; list < lists; list++) this.#list(batch, answer)
    if (inTransaction) this.#step(this.#commit)
    if (this.#loss !== undefined) this.#lose(answer)
    return answer.finish()
  }

  #list(batch: Unpacker, answer: Packer): void {
    const start = answer.at
    const statements = batch.count()
    let saved = statements > 1 && this.#step(this.#savepoint)
    let kept = true
    this.#newShapes.length = 0
    answer.byte(layout.LIST_KEPT)
    for (let index = 0; index < statements; index++) {
      const prepared = this.#next(batch)
      const must = batch.count()
      prepared.take(batch)
      if (!kept || this.#loss !== undefined) continue
      if (must > 0) saved ||= this.#step(this.#savepoint)
      kept = this.#execute(prepared, must, index, start, answer)
    }
    if (!kept) for (const prepared of this.#newShapes) prepared.knownColumns = undefined
    if (!kept && saved) this.#step(this.#undo)
    if (saved) this.#step(this.#release)
  }

  #next(batch: Unpacker): Prepared {
    const id = batch.count()
    if (id < layout.FIRST_USE) return this.#statements.get(id)!
    const prepared = new Prepared(batch.text(), id - layout.FIRST_USE)
    this.#statements.set(prepared.id, prepared)
    return prepared
  }

  /** Whether the list still stands; if not, its answer is already written. */
  #execute(prepared: Prepared, must: number, index: number, start: number, answer: Packer): boolean {
    try {
      const changes = prepared.answersRows ? this.#rows(prepared, answer) : this.#run(prepared, answer)
      if (must === 0 || changes === must - 1) return true
      answer.at = start
      answer.byte(layout.LIST_UNMET)
      answer.count(index)
    } catch (error) {
      prepared.close()
      if (!STATEMENT_ERRORS.test(codeOf(error))) this.#loss = error
      answer.at = start
      answer.byte(layout.LIST_FAULTY)
      answer.byte(layout.FAULTS.indexOf(faultOf(error)))
      answer.text(`${error instanceof Error ? error.message : error} in: ${prepared.sql}`)
    }
    return false
  }

  #run(prepared: Prepared, answer: Packer): number {
    const changes = prepared.run(this.#database)
    answer.count(changes)
    answer.byte(layout.WITHOUT_ROWS)
    return changes
  }

  #rows(prepared: Prepared, answer: Packer): number {
    const rows = prepared.all(this.#database)
    answer.count(rows.length)
    if (rows.length === 0) answer.byte(layout.WITHOUT_ROWS)
    else packRows(rows, this.#columns(prepared, rows[0]!, answer), answer)
    return rows.length
  }

  #columns(prepared: Prepared, row: SqlRow, answer: Packer): readonly string[] {
    const known = prepared.knownColumns
    const isKnown = known !== undefined && hasColumns(row, known)
    answer.byte(isKnown ? layout.WITH_ROWS : layout.NEW_SHAPE)
    answer.count(prepared.id)
    if (isKnown) return known
    const columns = Object.keys(row)
    answer.count(columns.length)
    for (const column of columns) answer.text(column)
    this.#newShapes.push(prepared)
    prepared.knownColumns = columns
    return columns
  }

  #step(prepared: Prepared): boolean {
    if (this.#loss !== undefined) return false
    try {
      prepared.run(this.#database)
      return true
    } catch (error) {
      this.#loss = error
      return false
    }
  }

  #lose(answer: Packer): void {
    const code = codeOf(this.#loss)
    if (UNTRUSTED.test(code)) this.fatal = this.#loss
    for (const prepared of this.#statements.values()) {
      prepared.close()
      prepared.knownColumns = undefined
    }
    this.#rollback()
    this.#loss = undefined
    answer.at = 0
    answer.byte(layout.BATCH_LOST)
    answer.text(`The database failed (${code || 'unexpected error'}); nothing of this was kept.`)
  }

  #rollback(): void {
    try {
      this.#database.exec('ROLLBACK')
    } catch {
      // SQLite had already ended the transaction
    }
  }

  #forget(): void {
    for (const prepared of this.#statements.values()) prepared.close()
    this.#statements.clear()
  }
}

function packRows(rows: readonly SqlRow[], columns: readonly string[], answer: Packer): void {
  for (const row of rows) for (const column of columns) answer.value(row[column]!)
}

function hasColumns(row: SqlRow, columns: readonly string[]): boolean {
  let at = 0
  for (const column in row) if (column !== columns[at++]) return false
  return at === columns.length
}

function faultOf(error: unknown): StatementFault {
  const code = codeOf(error)
  if (code === 'SQLITE_CONSTRAINT_UNIQUE' || code === 'SQLITE_CONSTRAINT_PRIMARYKEY') return 'unique'
  return code.startsWith('SQLITE_CONSTRAINT') ? 'constraint' : 'other'
}
