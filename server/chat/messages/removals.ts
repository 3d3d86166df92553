// Removes what was acknowledged, many at a time: neighbours in a queue go in one statement.
import type { Clock, Timer } from '../../kit/clock.ts'
import type { Statement } from '../../kit/sql/sql.ts'
import { isShared } from './sequence.ts'
import type { MessageStore, Queue } from './store.ts'

/** A message in a reader's hands. `previous`: the one that the reader was handed before it, with nothing in between. */
export type Handed = { readonly seq: number; readonly previous: number }

/** How long an acknowledged message may wait for company. The promise is a second. */
const REMOVE_AFTER_MS = 150
const MAX_WAITING = 4_096

type Range = { readonly first: number; last: number; sharing: boolean }

export class Removals {
  readonly #store: MessageStore
  readonly #clock: Clock
  readonly #onBug: (error: unknown, where: string) => void
  /** By the queues' channels. */
  readonly #ranges = new Map<string, { readonly queue: Queue; readonly ranges: Range[] }>()
  #waiting = 0
  #timer: Timer | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(store: MessageStore, clock: Clock, onBug: (error: unknown, where: string) => void) {
    this.#store = store
    this.#clock = clock
    this.#onBug = onBug
  }

  add(queue: Queue, { seq, previous }: Handed): void {
    const ranges = this.#ranges.get(queue.channel)?.ranges
    const newest = ranges?.at(-1)
    const range = { first: seq, last: seq, sharing: isShared(seq) }
    if (newest?.last === previous) {
      newest.last = seq
      newest.sharing ||= range.sharing
    } else if (ranges) ranges.push(range)
    else this.#ranges.set(queue.channel, { queue, ranges: [range] })
    if (++this.#waiting >= MAX_WAITING) this.#flush()
    else this.#timer ??= this.#clock.after(REMOVE_AFTER_MS, () => this.#flush())
  }

  /** Resolves when what was added for a queue is gone from the disk: a new reader must not see it again. */
  settled(queue: Queue): Promise<void> {
    if (this.#ranges.has(queue.channel)) this.#flush()
    return this.#writing
  }

  /** Resolves when everything that was added is gone from the disk. */
  async drain(): Promise<void> {
    this.#flush()
    await this.#writing
  }

  #flush(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#waiting === 0) return
    const statements: Statement[] = []
    for (const { queue, ranges } of this.#ranges.values()) {
      for (const { first, last, sharing } of ranges)
        if (sharing) statements.push(...this.#store.removeSharing(queue, first, last))
        else statements.push(this.#store.remove(queue, first, last))
    }
    this.#ranges.clear()
    this.#waiting = 0
    const done = this.#store.write(statements).catch((error) => this.#onBug(error, 'messages.remove'))
    this.#writing = Promise.all([this.#writing, done]).then(() => {})
  }
}
