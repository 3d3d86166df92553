// A numbered stream of messages from one to another, and what became of each.
import type { SignalClient } from '../client/signal-client.ts'

export class Stream {
  readonly from: SignalClient
  readonly to: SignalClient
  readonly count: number
  /** Requests that left, and numbers that the server answered with 200. */
  sends = 0
  readonly answered = new Set<number>()
  #next = 1

  constructor(from: SignalClient, to: SignalClient, count: number) {
    this.from = from
    this.to = to
    this.count = count
  }

  /** Sends one after the other; ends with the last, or with the one that got no answer, whose number it gives. */
  async flow(onAnswer: (answers: number) => void = () => {}): Promise<number | undefined> {
    for (; this.#next <= this.count; this.#next++) {
      this.sends++
      try {
        await this.from.sendText(this.to, `message ${this.#next}`, { sealed: true })
      } catch {
        return this.#next
      }
      this.answered.add(this.#next)
      onAnswer(this.answered.size)
    }
    return undefined
  }

  /** Numbers as the recipient read them, in that order. */
  get read(): readonly number[] {
    const texts = this.to.messages.all.map(({ text }) => /^message (\d+)$/.exec(text)?.[1])
    return texts.flatMap((digits) => (digits === undefined ? [] : [Number(digits)]))
  }

  /** Answered with 200 and never read. */
  get lost(): number {
    const read = new Set(this.read)
    return [...this.answered].filter((number) => !read.has(number)).length
  }

  /** What was sent a second time, as it had no answer, and had been stored all the same. */
  get resent(): number {
    return this.read.length - new Set(this.read).size
  }

  get inOrder(): boolean {
    return this.read.every((number, index, all) => index === 0 || number >= all[index - 1]!)
  }
}
