// How a challenge reaches a phone. Issue 7 brings push; the console's outbox is the first of them.
import { appendFile, mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock } from '../../kit/clock.ts'
import type { Account } from '../accounts/account.ts'

/** Where a phone can be reached that has no account yet. */
export type PushToken = { readonly type: 'apn' | 'fcm'; readonly token: string }

export interface ChallengePush {
  /** To the primary device, which has a push token. Rejects if it could not be sent. The challenge must never be logged. */
  send(account: Account, challenge: string): Promise<void>
  /** To a phone that is about to register. Rejects if it could not be sent. The challenge must never be logged. */
  sendTo(token: PushToken, challenge: string): Promise<void>
}

/** Appends each challenge to the file of codes that only the operator can read, one JSON object a line. */
export class OutboxPush implements ChallengePush {
  readonly #file: string
  readonly #clock: Clock

  constructor(file: string, clock: Clock) {
    this.#file = file
    this.#clock = clock
  }

  send({ aci }: Account, challenge: string): Promise<void> {
    return this.#append(aci, challenge)
  }

  sendTo({ token }: PushToken, challenge: string): Promise<void> {
    return this.#append(token, challenge)
  }

  async #append(to: string, challenge: string): Promise<void> {
    const line = JSON.stringify({ at: this.#clock.nowMs(), to, transport: 'push', challenge })
    await mkdir(dirname(this.#file), { recursive: true })
    await appendFile(this.#file, `${line}\n`, { mode: 0o600 })
  }
}
