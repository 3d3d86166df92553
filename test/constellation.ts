// The whole platform in this process, with a data folder of its own that goes when it is closed.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../server/kit/clock.ts'
import type { Config } from '../server/kit/config.ts'
import { configSchema } from '../server/kit/config-schema.ts'
import { type Fields, type Log, silentLog } from '../server/kit/log.ts'
import type { Random } from '../server/kit/random.ts'
import { openSecrets, type Secrets } from '../server/kit/secrets.ts'
import { openSql } from '../server/kit/sql/open.ts'
import type { Sql } from '../server/kit/sql/sql.ts'
import { type Platform, type Ready, type UpOptions, up } from '../server/up.ts'
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
  readonly #config: Config
  readonly #options: UpOptions
  readonly #folder: string
  readonly #failures: Error[] = []
  #platform: Platform | undefined
  #outbox: Outbox | undefined

  private constructor(folder: string, { clock, random, config }: ConstellationOptions) {
    const data = join(folder, 'data')
    const listen = { host: '127.0.0.1', port: 0 }
    this.#folder = folder
    this.#config = { ...configSchema.parse({ listen, ...config, data }), secrets: join(data, 'secrets') }
    this.#options = {
      log: bugsInto(this.#failures),
      onFatal: (error) => this.#failures.push(error),
      ...(clock && { clock }),
      ...(random && { random }),
    }
  }

  static async open(options: ConstellationOptions = {}): Promise<Constellation> {
    const folder = await mkdtemp(join(tmpdir(), 'helio-constellation-'))
    const constellation = new Constellation(folder, options)
    constellation.#platform = await up(constellation.#config, constellation.#options)
    return constellation
  }

  /** Another one after `restart`: the port may differ. */
  get ready(): Ready {
    if (!this.#platform) throw new Error('the server is not up')
    return this.#platform.ready
  }

  get port(): number {
    return Number(new URL(Object.values(this.ready.urls)[0]!).port)
  }

  codeFor(number: string): Promise<string> {
    this.#outbox ??= new Outbox(this.ready.outbox)
    return this.#outbox.codeFor(number)
  }

  /** What only the server knows: for tests that issue in its place. */
  secrets(): Promise<Secrets> {
    return openSecrets(this.#config.secrets)
  }

  /** Stops in good order and starts again on the same data. In between, `edit` has the storage for itself. */
  async restart(edit: (sql: Sql) => Promise<void> = async () => {}): Promise<void> {
    await this.#platform?.close()
    const { databaseKey } = await this.secrets()
    const file = join(this.#config.data, 'storage', 'heliograph.db')
    const sql = await openSql({ engine: 'sqlite', file, key: databaseKey }, this.#options.onFatal)
    await edit(sql).finally(() => sql.close())
    this.#platform = await up(this.#config, this.#options)
  }

  /** Throws what the server found to be a bug of its own: no test passes over one. */
  async close(): Promise<void> {
    await this.#platform?.close()
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
