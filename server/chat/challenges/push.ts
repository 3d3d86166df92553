// How a challenge reaches a phone: by push, or by the console's outbox where that stands in for everything.
import { appendFile, mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { PRIMARY_DEVICE } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import type { Notice, PushAddress, PushGateway } from '../../kit/push-gateway.ts'
import { type Account, addressOf, deviceOf } from '../accounts/account.ts'

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

/** Tries once: whoever waits for a challenge asks for another. */
export class GatewayPush implements ChallengePush {
  readonly #gateway: PushGateway
  readonly #otherwise: ChallengePush | undefined

  /** `otherwise` is for addresses that no provider serves. */
  constructor(gateway: PushGateway, otherwise: ChallengePush | undefined) {
    this.#gateway = gateway
    this.#otherwise = otherwise
  }

  send(account: Account, challenge: string): Promise<void> {
    const device = deviceOf(account, PRIMARY_DEVICE)
    const notice = { kind: 'rateLimitChallenge', value: challenge } as const
    return this.#push(device && addressOf(device), notice, () => this.#otherwise?.send(account, challenge))
  }

  sendTo(token: PushToken, challenge: string): Promise<void> {
    const to = { service: token.type, token: token.token }
    const notice = { kind: 'challenge', value: challenge } as const
    return this.#push(to, notice, () => this.#otherwise?.sendTo(token, challenge))
  }

  async #push(
    to: PushAddress | undefined,
    notice: Notice,
    otherwise: () => Promise<void> | undefined,
  ): Promise<void> {
    const pushed = to ? await this.#gateway.push({ to, notice }) : ({ kind: 'unserved' } as const)
    if (pushed.kind === 'sent') return
    const sending = pushed.kind === 'unserved' ? otherwise() : undefined
    if (!sending) throw new Error('the challenge was not pushed')
    await sending
  }
}
