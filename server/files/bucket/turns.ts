/** What is about one key happens one after the other; one that fails does not harm the next. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>()

  async alone<T>(key: string, action: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve()
    const mine = before.then(action)
    const settled = mine.catch(() => {})
    this.#last.set(key, settled)
    await settled
    if (this.#last.get(key) === settled) this.#last.delete(key)
    return mine
  }
}
