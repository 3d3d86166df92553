// Where codes go. The console's outbox is the first of them (design §7).
import { appendFile, mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { E164 } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'

export type Transport = 'sms' | 'voice'

export interface CodeSender {
  /** Rejects if the code could not be sent. The code must never be logged. */
  send(to: E164, transport: Transport, code: string): Promise<void>
}

/** Appends each code to a file that only the operator can read, one JSON object a line. */
export class OutboxSender implements CodeSender {
  readonly #file: string
  readonly #clock: Clock

  constructor(file: string, clock: Clock) {
    this.#file = file
    this.#clock = clock
  }

  async send(to: E164, transport: Transport, code: string): Promise<void> {
    const line = JSON.stringify({ at: this.#clock.nowMs(), to, transport, code })
    await mkdir(dirname(this.#file), { recursive: true })
    await appendFile(this.#file, `${line}\n`, { mode: 0o600 })
  }
}
