// Reads the codes that the console sender wrote (design §7).
import { watch } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { within } from './within.ts'

type Sent = { readonly to: string; readonly code: string }

export class Outbox {
  readonly #file: string
  /** How many codes of each number were handed out here. */
  readonly #taken = new Map<string, number>()

  constructor(file: string) {
    this.#file = file
  }

  /** The newest code for a number; waits for one that was not given before. */
  async codeFor(number: string): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const look = () => this.#newest(number).then((code) => code !== undefined && resolve(code), reject)
    const watcher = watch(dirname(this.#file), look)
    try {
      await look()
      return await within(promise, `a code for ${number}`)
    } finally {
      watcher.close()
    }
  }

  async #newest(number: string): Promise<string | undefined> {
    const codes = (await this.#read()).filter(({ to }) => to === number)
    if (codes.length <= (this.#taken.get(number) ?? 0)) return undefined
    this.#taken.set(number, codes.length)
    return codes.at(-1)!.code
  }

  async #read(): Promise<Sent[]> {
    const text = await readFile(this.#file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return ''
      throw error
    })
    // A line without its end is still being written.
    const lines = text.split('\n').slice(0, -1)
    return lines.map((line) => JSON.parse(line) as Sent)
  }
}
