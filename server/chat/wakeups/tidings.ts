// What the devices of an account are told besides their messages: that somebody acts in its name. Whoever acts never
// waits for it, and learns nothing of it.
import type { E164 } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import type { Notice, PushGateway } from '../../kit/push-gateway.ts'
import { type Account, addressOf } from '../accounts/account.ts'
import type { Accounts } from '../accounts/accounts.ts'
import type { ChatEvents } from '../events.ts'

/** Signal's word for what was tried. */
const FAILED_LOCK = 'failedRegistrationLock'
/** Accounts that are being told of something. More are not: they hear of the next attempt. */
const MAX_UNDER_WAY = 64

export type TidingsOptions = {
  readonly accounts: Accounts
  readonly gateway: PushGateway
  readonly clock: Clock
  readonly events: ChatEvents
  readonly onBug: (error: unknown, where: string) => void
}

export class Tidings {
  readonly #options: TidingsOptions
  readonly #underWay = new Set<Promise<void>>()

  constructor(options: TidingsOptions) {
    this.#options = options
  }

  /** Somebody who does not have the token met the account's registration lock. */
  lockMet(account: Account): void {
    this.#begin(() => this.#tell(account, { kind: 'attemptLogin', value: FAILED_LOCK }))
  }

  /** Somebody asked for a code; whether anybody has that number does not matter to them. */
  codeRequested(e164: E164): void {
    const { accounts, clock } = this.#options
    const notice: Notice = { kind: 'verificationCode', atMs: clock.nowMs() }
    this.#begin(async () => {
      const account = await accounts.findByNumber(e164)
      if (account) await this.#tell(account, notice)
    })
  }

  /** Resolves when nothing is under way any more. Nothing is written when a push is answered: closing need not wait. */
  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
  }

  #begin(work: () => Promise<void>): void {
    if (this.#underWay.size >= MAX_UNDER_WAY) return
    const tracked = work()
      .catch((error) => this.#options.onBug(error, 'tidings'))
      .finally(() => this.#underWay.delete(tracked))
    this.#underWay.add(tracked)
  }

  /** Tries once: it is news, and old soon. */
  async #tell({ devices }: Account, notice: Notice): Promise<void> {
    const { gateway, events } = this.#options
    const addresses = devices.map(addressOf).filter((to) => to !== undefined)
    const told = addresses.map(async (to) => {
      const { kind } = await gateway.push({ to, notice })
      events.told(notice.kind, kind)
    })
    await Promise.all(told)
  }
}
