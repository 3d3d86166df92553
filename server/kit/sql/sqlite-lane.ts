// The main thread's side of one SQLite worker: gathers lists into batches while the worker is busy with the last one.
import { badArgument, isSqlValue } from './arguments.ts'
import { Packer, Unpacker } from './packing.ts'
import type { Outcome, SqlRow, SqlValue, Statement, Written } from './sql.ts'
import * as layout from './sqlite-layout.ts'
import type { SqliteThread } from './sqlite-thread.ts'
import { StatementError, StorageError } from './storage-error.ts'

/** A batch is as large as its commit may last: some milliseconds. */
const MAX_LISTS = 512
const MAX_BYTES = 512 * 1024
const BATCH_BYTES = 16 * 1024
const MAX_STATEMENTS_KNOWN = 1000

type Waiting = {
  readonly statements: number
  readonly resolve: (written: Written) => void
  readonly reject: (error: Error) => void
}
type Batch = { readonly packer: Packer; readonly waiting: Waiting[]; readonly isReset: boolean }

const NOTHING_CHANGED: Outcome = { rows: [], changes: 0 }
const ONE_CHANGED: Outcome = { rows: [], changes: 1 }

export class SqliteLane {
  /** How many lists have no answer yet. */
  load = 0
  readonly #thread: SqliteThread
  readonly #queue: Batch[] = []
  readonly #ids = new Map<string, number>()
  readonly #columns = new Map<number, readonly string[]>()
  #nextId = 0
  #gathering: Batch | undefined
  #flying: Batch | undefined
  readonly #spacingMs: number
  #sentAtMs = Number.NEGATIVE_INFINITY
  #due: (() => void) | undefined
  #refusal: Error | undefined
  #onIdle: (() => void) | undefined

  /** `spacingMs`: the least time between two batches, unless one is full. The first after a pause goes at once. */
  constructor(thread: SqliteThread, spacingMs: number) {
    this.#thread = thread
    this.#spacingMs = spacingMs
    thread.onAnswer((answer) => this.#settle(answer))
  }

  /** Packs the list at once, so that the caller may change its arguments afterwards. */
  submit(statements: readonly Statement[]): Promise<Written> {
    return new Promise((resolve, reject) => {
      if (this.#refusal) return reject(this.#refusal)
      const batch = this.#open()
      this.#pack(batch.packer, statements)
      batch.waiting.push({ statements: statements.length, resolve, reject })
      this.load++
      if (batch.waiting.length >= MAX_LISTS || batch.packer.at >= MAX_BYTES) this.#seal()
      this.#sendSoon()
    })
  }

  /** Resolves when everything handed in is answered. */
  drained(): Promise<void> {
    if (this.load === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onIdle = resolve
    })
  }

  /** Rejects all that comes; what was handed in goes on. */
  refuse(error: Error): void {
    this.#refusal ??= error
  }

  /** Rejects what waits and all that comes. */
  fail(error: Error): void {
    this.refuse(error)
    this.#seal()
    const lost = this.#flying ? [this.#flying, ...this.#queue] : [...this.#queue]
    this.#flying = undefined
    this.#queue.length = 0
    for (const batch of lost) for (const { reject } of batch.waiting) this.#answered(() => reject(error))
  }

  #open(): Batch {
    if (this.#ids.size > MAX_STATEMENTS_KNOWN) this.#seal()
    this.#gathering ??= this.#emptyBatch()
    return this.#gathering
  }

  #emptyBatch(): Batch {
    const packer = new Packer(BATCH_BYTES)
    const isReset = this.#ids.size > MAX_STATEMENTS_KNOWN
    if (isReset) this.#ids.clear()
    packer.byte(isReset ? 1 : 0)
    packer.count(0)
    return { packer, waiting: [], isReset }
  }

  #seal(): void {
    const batch = this.#gathering
    if (!batch || batch.waiting.length === 0) return
    this.#gathering = undefined
    batch.packer.patch(1, batch.waiting.length)
    this.#queue.push(batch)
  }

  #pack(packer: Packer, statements: readonly Statement[]): void {
    const start = packer.at
    const introduced: string[] = []
    try {
      packer.count(statements.length)
      for (const statement of statements) this.#packStatement(packer, statement, introduced)
    } catch (error) {
      packer.at = start
      for (const sql of introduced) this.#ids.delete(sql)
      throw error
    }
  }

  #packStatement(packer: Packer, { sql, args, must }: Statement, introduced: string[]): void {
    const known = this.#ids.get(sql)
    if (known !== undefined) packer.count(known)
    else {
      const id = this.#nextId++
      this.#ids.set(sql, id)
      introduced.push(sql)
      packer.count(id + layout.FIRST_USE)
      packer.text(sql)
    }
    packer.count(must === undefined ? 0 : must + 1)
    packer.count(args.length)
    for (const value of args) {
      if (!isSqlValue(value)) throw badArgument(value)
      packer.value(value)
    }
  }

  /** Lists of one turn of the event loop share a batch, even when the worker is idle. */
  #sendSoon(): void {
    if (this.#flying) return
    const waitMs = this.#queue.length > 0 ? 0 : this.#sentAtMs + this.#spacingMs - performance.now()
    if (this.#due) {
      if (waitMs > 0 || this.#queue.length === 0) return
      this.#due()
    }
    const send = () => {
      this.#due = undefined
      this.#send()
    }
    if (waitMs > 0) {
      const timer = setTimeout(send, Math.ceil(waitMs))
      this.#due = () => clearTimeout(timer)
    } else {
      const immediate = setImmediate(send)
      this.#due = () => clearImmediate(immediate)
    }
  }

  #send(): void {
    if (this.#flying) return
    if (this.#queue.length === 0) this.#seal()
    this.#flying = this.#queue.shift()
    if (!this.#flying) return
    this.#sentAtMs = performance.now()
    this.#thread.send(this.#flying.packer.finish())
  }

  #settle(packed: ArrayBuffer): void {
    const batch = this.#flying
    if (!batch) return
    this.#flying = undefined
    if (this.load > batch.waiting.length) this.#sendSoon()
    if (batch.isReset) this.#columns.clear()
    const answer = new Unpacker(packed)
    if (answer.byte() === layout.BATCH_LOST) {
      const error = new StorageError(answer.text())
      for (const { reject } of batch.waiting) this.#answered(() => reject(error))
    } else for (const waiting of batch.waiting) this.#answered(() => this.#settleList(waiting, answer))
  }

  #answered(settle: () => void): void {
    settle()
    this.load--
    if (this.load === 0) this.#onIdle?.()
  }

  #settleList(waiting: Waiting, answer: Unpacker): void {
    const status = answer.byte()
    if (status === layout.LIST_KEPT) {
      const outcomes: Outcome[] = []
      for (let at = 0; at < waiting.statements; at++) outcomes.push(this.#outcome(answer))
      waiting.resolve({ ok: true, outcomes })
    } else if (status === layout.LIST_UNMET) waiting.resolve({ ok: false, unmet: answer.count() })
    else waiting.reject(new StatementError(layout.FAULTS[answer.byte()]!, answer.text()))
  }

  #outcome(answer: Unpacker): Outcome {
    const changes = answer.count()
    const kind = answer.byte()
    if (kind !== layout.WITHOUT_ROWS) return { rows: this.#rows(changes, kind, answer), changes }
    if (changes === 0) return NOTHING_CHANGED
    return changes === 1 ? ONE_CHANGED : { rows: [], changes }
  }

  #rows(count: number, kind: number, answer: Unpacker): SqlRow[] {
    const id = answer.count()
    if (kind === layout.NEW_SHAPE) this.#columns.set(id, readColumns(answer))
    const columns = this.#columns.get(id)!
    const rows: SqlRow[] = []
    for (let at = 0; at < count; at++) rows.push(readRow(columns, answer))
    return rows
  }
}

function readColumns(answer: Unpacker): string[] {
  return Array.from({ length: answer.count() }, () => answer.text())
}

function readRow(columns: readonly string[], answer: Unpacker): SqlRow {
  const row: Record<string, SqlValue> = {}
  for (const column of columns) row[column] = answer.value()
  return row
}
