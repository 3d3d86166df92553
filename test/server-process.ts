// The server as a child process, by the automation contract (design §7): for tests that kill it.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { watch } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Ready } from '../server/up.ts'
import type { SignalServer } from './constellation.ts'
import { Outbox } from './outbox.ts'
import { within } from './within.ts'

const MAIN = join(import.meta.dirname, '..', 'server', 'heliograph.js')

export type ServerProcessOptions = {
  /** A configuration file's text. */
  readonly yaml?: string
  /** Arguments of `node` before the program. */
  readonly nodeArgs?: readonly string[]
}

/** A data folder of its own, and the process that works on it, if it runs. */
export class ServerProcess implements SignalServer, AsyncDisposable {
  readonly #folder: string
  readonly #options: ServerProcessOptions
  #child: ChildProcess | undefined
  #ready: Ready | undefined
  #outbox: Outbox | undefined
  #stderr = ''
  /** How much later than the host's the server's clock is, from its next start on. */
  clockAheadMs = 0

  private constructor(folder: string, options: ServerProcessOptions) {
    this.#folder = folder
    this.#options = options
  }

  static async start(options: ServerProcessOptions = {}): Promise<ServerProcess> {
    const server = new ServerProcess(await mkdtemp(join(tmpdir(), 'helio-process-')), options)
    await server.#launch(0)
    return server
  }

  get data(): string {
    return join(this.#folder, 'data')
  }

  /** Its keys: for a process beside it. */
  get secrets(): string {
    return join(this.data, 'secrets')
  }

  get ready(): Ready {
    if (!this.#ready) throw new Error('the server is not up')
    return this.#ready
  }

  get port(): number {
    return Number(new URL(Object.values(this.ready.urls)[0]!).port)
  }

  get pid(): number {
    return this.ready.pid
  }

  /** What it has logged since it was started last. */
  get log(): string {
    return this.#stderr
  }

  codeFor(number: string): Promise<string> {
    this.#outbox ??= new Outbox(this.ready.outbox)
    return this.#outbox.codeFor(number)
  }

  /** Sends a signal and waits for the end; gives the exit code, or null where a signal ended it. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<number | null> {
    const child = this.#child
    if (!child) throw new Error('the server does not run')
    const ended = once(child, 'exit')
    child.kill(signal)
    const [code] = (await within(ended, `the server to end by ${signal}`)) as [number | null]
    return code
  }

  get isRunning(): boolean {
    return this.#child !== undefined
  }

  /** Starts it again on the same data; kills it first if it still runs. Port 0 is any free one. */
  async restart(port = this.port): Promise<void> {
    if (this.#child) await this.kill()
    await this.#launch(port)
  }

  async close(): Promise<void> {
    if (this.#child) await this.kill('SIGTERM')
    await rm(this.#folder, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #launch(port: number): Promise<void> {
    const readyFile = join(this.#folder, 'ready.json')
    await rm(readyFile, { force: true })
    const waiting = new AbortController()
    const seen = this.#fileOf(readyFile, waiting.signal)
    const child = spawn(process.execPath, await this.#arguments(port, readyFile), {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#child = child
    this.#stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
    })
    const killChild = () => child.kill('SIGKILL')
    process.once('exit', killChild)
    child.once('exit', () => {
      process.off('exit', killChild)
      if (this.#child === child) this.#child = undefined
    })
    const ended = once(child, 'exit').then(() => {
      waiting.abort()
      throw new Error(`the server ended at once: ${this.#stderr}`)
    })
    ended.catch(() => {})
    this.#ready = JSON.parse(await within(Promise.race([seen, ended]), 'the server to be ready')) as Ready
  }

  async #arguments(port: number, readyFile: string): Promise<string[]> {
    const { yaml, nodeArgs = [] } = this.#options
    const flags = ['up', '--data', this.data, '--port', String(port), '--ready', readyFile]
    if (yaml !== undefined) {
      const file = join(this.#folder, 'config.yaml')
      await writeFile(file, yaml)
      flags.push('--config', file)
    }
    return [...nodeArgs, ...ahead(this.clockAheadMs), MAIN, ...flags]
  }

  /** The text of a file as soon as it is there. */
  async #fileOf(file: string, signal: AbortSignal): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>()
    const look = () => readFile(file, 'utf8').then(resolve, () => {})
    const watcher = watch(this.#folder, { signal }, look)
    try {
      await look()
      return await promise
    } finally {
      watcher.close()
    }
  }
}

function ahead(ms: number): string[] {
  if (ms === 0) return []
  const shift = `const now = Date.now; Date.now = () => now() + ${ms}`
  return ['--import', `data:text/javascript,${encodeURIComponent(shift)}`]
}
