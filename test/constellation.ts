// The whole platform in this process, with a data folder of its own that goes when it is closed.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../server/kit/clock.ts'
import { configSchema } from '../server/kit/config-schema.ts'
import { type Fields, type Log, silentLog } from '../server/kit/log.ts'
import type { Random } from '../server/kit/random.ts'
import { type Platform, type Ready, up } from '../server/up.ts'
import { Outbox } from './outbox.ts'

export type ConstellationOptions = {
  /** The host's clock unless told. */
  readonly clock?: Clock
  readonly random?: Random
  /** As in the configuration file: `{ limits: { prekeys: { bucket: 1 } } }`. */
  readonly config?: Readonly<Record<string, unknown>>
}

/** Where clients of a server find it, and what it would have sent by SMS. */
export interface SignalServer {
  readonly ready: Ready
  /** The newest code for a number; waits for one that was not given before. */
  codeFor(number: string): Promise<string>
}

export class Constellation implements SignalServer, AsyncDisposable {
  readonly ready: Ready
  readonly #platform: Platform
  readonly #folder: string
  readonly #outbox: Outbox
  readonly #failures: Error[]

  private constructor(platform: Platform, folder: string, failures: Error[]) {
    this.#platform = platform
    this.#folder = folder
    this.#failures = failures
    this.ready = platform.ready
    this.#outbox = new Outbox(platform.ready.outbox)
  }

  static async open(options: ConstellationOptions = {}): Promise<Constellation> {
    const folder = await mkdtemp(join(tmpdir(), 'helio-constellation-'))
    const data = join(folder, 'data')
    const listen = { host: '127.0.0.1', port: 0 }
    const parsed = configSchema.parse({ listen, ...options.config, data })
    const failures: Error[] = []
    const { clock, random } = options
    const platform = await up(
      { ...parsed, secrets: join(data, 'secrets') },
      {
        log: bugsInto(failures),
        onFatal: (error) => failures.push(error),
        ...(clock && { clock }),
        ...(random && { random }),
      },
    )
    return new Constellation(platform, folder, failures)
  }

  get port(): number {
    return Number(new URL(this.ready.urls.chat).port)
  }

  codeFor(number: string): Promise<string> {
    return this.#outbox.codeFor(number)
  }

  /** Throws what the server found to be a bug of its own: no test passes over one. */
  async close(): Promise<void> {
    await this.#platform.close()
    await rm(this.#folder, { recursive: true, force: true })
    if (this.#failures.length > 0) throw new AggregateError(this.#failures, 'the server met bugs of its own')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** `error` lines are bugs (design §8). */
function bugsInto(failures: Error[]): Log {
  const error = (event: string, fields: Fields = {}) => {
    failures.push(new Error(`${event} ${JSON.stringify(fields)}`))
  }
  return { ...silentLog, error }
}
