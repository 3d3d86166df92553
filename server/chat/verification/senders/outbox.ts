// The sender `console`: codes go to a file for the operator (design §7).
import { appendFile, mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock } from '../../../kit/clock.ts'
import { type CodeRequest, type CodeSender, type SendOutcome, TRANSPORTS } from './sender.ts'

/** Appends each code to a file that only the operator can read, one JSON object a line. */
export class OutboxSender implements CodeSender {
  readonly name = 'console'
  readonly transports = TRANSPORTS
  readonly #file: string
  readonly #clock: Clock

  constructor(file: string, clock: Clock) {
    this.#file = file
    this.#clock = clock
  }

  async send({ to, transport, code }: CodeRequest): Promise<SendOutcome> {
    const line = JSON.stringify({ at: this.#clock.nowMs(), to, transport, code })
    await mkdir(dirname(this.#file), { recursive: true })
    await appendFile(this.#file, `${line}\n`, { mode: 0o600 })
    return { kind: 'sent' }
  }
}
