/** What was opened, to be closed in the other order: each thing when nothing needs it any more. */
export class Closing {
  readonly #closes: (() => Promise<unknown> | unknown)[] = []

  /** Hands back what it was given. */
  add<Opened extends { close(): Promise<unknown> | unknown }>(opened: Opened): Opened {
    this.#closes.push(() => opened.close())
    return opened
  }

  /** Closes everything, whatever fails on the way; then throws the first failure. */
  async close(): Promise<void> {
    const failures: unknown[] = []
    for (let close = this.#closes.pop(); close; close = this.#closes.pop()) {
      try {
        await close()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
}

/** Runs what opens things. If it fails, whatever it has opened until then is closed again. */
export async function opening<T>(open: (closing: Closing) => Promise<T>): Promise<T> {
  const closing = new Closing()
  try {
    return await open(closing)
  } catch (error) {
    await closing.close().catch(() => {})
    throw error
  }
}
