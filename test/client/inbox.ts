import { within } from '../within.ts'

/** What has come in, in its order, for whoever waits for it. */
export class Inbox<T> {
  readonly all: T[] = []
  readonly #what: string
  #read = 0
  #waiting: (() => void)[] = []
  #end: Error | undefined

  constructor(what: string) {
    this.#what = what
  }

  put(value: T): void {
    this.all.push(value)
    this.#wake()
  }

  /** Nothing more comes: whoever waits for more is told why. */
  end(why: Error): void {
    this.#end = why
    this.#wake()
  }

  /** The first that was not taken yet; waits for it. */
  async next(): Promise<T> {
    const index = this.#read++
    await this.size(index + 1)
    return this.all[index]!
  }

  /** Waits until so many came in all. */
  async size(count: number): Promise<void> {
    const arrive = async () => {
      while (this.all.length < count) {
        if (this.#end) throw this.#end
        await new Promise<void>((wake) => this.#waiting.push(wake))
      }
    }
    if (this.all.length < count)
      await within(arrive(), `${this.#what} number ${count}; there are ${this.all.length}`)
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }
}
