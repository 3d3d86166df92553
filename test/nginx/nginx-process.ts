// An nginx on a socket that it is handed; however it goes, and however this process goes, nothing of it stays.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { until, within } from '../within.ts'

export type NginxProcessOptions = {
  /** The program that becomes nginx, and its arguments. */
  readonly command: readonly string[]
  /** Of the socket that its configuration listens on. */
  readonly fd: number
}

const INHERITED_FD = 3
const END_WITHIN_MS = 10_000

export class NginxProcess {
  readonly #child: ChildProcess
  readonly #ended: Promise<void>
  #said = ''
  #hasEnded = false

  constructor({ command, fd }: NginxProcessOptions) {
    const [program, ...args] = ['setpriv', '--pdeathsig=TERM', ...command]
    this.#child = spawn(program!, args, {
      stdio: ['ignore', 'ignore', 'pipe', fd],
      // By this nginx passes its sockets on to a newer one: it does not bind what it is given.
      env: { ...process.env, NGINX: `${INHERITED_FD};` },
    })
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#said += text
    })
    // Everything that works for it holds the pipe too.
    this.#ended = once(this.#child, 'close')
      .catch((error) => {
        this.#said += error
      })
      .then(() => {
        this.#hasEnded = true
      })
  }

  /** Rejects with what it said if it does not start. */
  working(): Promise<void> {
    return until('the workers of nginx', async () => this.#works())
  }

  #works(): boolean {
    if (this.#hasEnded) throw new Error(`nginx ended: ${this.#said}`)
    return this.pids.length > availableParallelism()
  }

  /** Its master, and whoever works for it; nobody if it has ended. */
  get pids(): number[] {
    const { pid, exitCode, signalCode } = this.#child
    if (pid === undefined || exitCode !== null || signalCode !== null) return []
    return [pid, ...childrenOf(pid)]
  }

  /** SIGKILL goes to everything that works for it too, as does what follows if it does not end by itself. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const { pids } = this
    send(signal, signal === 'SIGKILL' ? pids : pids.slice(0, 1))
    try {
      await within(this.#ended, 'nginx to end', END_WITHIN_MS)
    } catch (error) {
      send('SIGKILL', this.pids)
      throw error
    }
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

function send(signal: NodeJS.Signals, pids: readonly number[]): void {
  for (const pid of pids)
    try {
      process.kill(pid, signal)
    } catch {
      // It has ended by itself.
    }
}
