// The registration lock: a number alone does not take over an account whose owner was here lately (signal-api §2.3).

import type { Credentials } from '../../../wire/route.ts'
import { type Aci, type DeviceAddress, PRIMARY_DEVICE } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import { DAY_MS } from '../../kit/days.ts'
import type { Limits } from '../../kit/limits.ts'
import type { Random } from '../../kit/random.ts'
import { type Account, deviceOf, numbered } from '../accounts/account.ts'
import { type Accounts, allDevicesOf } from '../accounts/accounts.ts'
import { withLockedPassword } from '../accounts/device-password.ts'
import { canonicalForm } from '../accounts/number-forms.ts'
import { hashSecret, secretMatches } from '../accounts/salted-hash.ts'
import type { ChatEvents } from '../events.ts'
import type { ProvenBy } from '../recovery/number-proof.ts'
import type { Recovery } from '../recovery/recovery.ts'

/** So long after its primary device was seen last an account is locked. */
export const LOCK_LASTS_MS = 7 * DAY_MS

/** `svr2`: what reaches the PIN of the account's owner, who forgot the token. */
export type Locked = {
  readonly kind: 'locked'
  readonly timeRemainingMs: number
  readonly svr2: Credentials
}

export type RegistrationLockOptions = {
  readonly accounts: Accounts
  readonly recovery: Recovery
  readonly limits: Limits
  readonly clock: Clock
  readonly random: Random
  readonly events: ChatEvents
  readonly svr2Credentials: (aci: Aci) => Credentials
}

export class RegistrationLock {
  readonly #options: RegistrationLockOptions
  readonly #onAttempt: ((account: Account) => void)[] = []

  constructor(options: RegistrationLockOptions) {
    this.#options = options
  }

  /** Refuses (400) for an account without a number. */
  async set(caller: DeviceAddress, token: string): Promise<void> {
    const registrationLock = hashSecret(token, this.#options.random)
    await this.#options.accounts.updateBy(caller, (account) => ({ ...numbered(account), registrationLock }))
  }

  async clear(caller: DeviceAddress): Promise<void> {
    await this.#options.accounts.updateBy(caller, (account) =>
      account.registrationLock ? { ...account, registrationLock: undefined } : undefined,
    )
  }

  /** Registers who tells the devices of an account that somebody tried to take it over. */
  onAttempt(told: (account: Account) => void): void {
    this.#onAttempt.push(told)
  }

  /**
   * Nothing if the account may be taken over. Else its devices can no longer authenticate, and nobody can but with the
   * token, or after the time. Refuses with 429 where too many tokens were tried.
   */
  async check(account: Account, token: string | undefined, provenBy: ProvenBy): Promise<Locked | undefined> {
    const { limits } = this.#options
    if (!this.#isLocked(account)) return undefined
    if (token) await limits.take('pin', canonicalForm(numbered(account).e164))
    if (!opens(account, token)) return this.#refuse(account, token, provenBy)
    await limits.clear('pin', canonicalForm(numbered(account).e164))
    return undefined
  }

  /** What was read may be old: the account is judged again as it is when it is written. */
  async #refuse(seen: Account, token: string | undefined, provenBy: ProvenBy): Promise<Locked | undefined> {
    const { accounts, recovery } = this.#options
    // A client asks without a token first. Whoever came by the recovery password needs it again with the token.
    const keepsRecovery = provenBy === 'recovery-password' && token === undefined
    const stillLocked = (account: Account) => this.#isLocked(account) && !opens(account, token)
    const lock = (account: Account) =>
      stillLocked(account) ? { ...account, devices: account.devices.map(withLockedPassword) } : undefined
    const account = await accounts.update(seen.aci, lock, (changed) =>
      keepsRecovery ? [] : [recovery.forgetting(changed)],
    )
    if (!stillLocked(account)) return undefined
    this.#options.events.registrationLockHeld()
    accounts.sendAway(account.aci, allDevicesOf(account))
    for (const tell of this.#onAttempt) tell(account)
    const svr2 = this.#options.svr2Credentials(account.aci)
    return { kind: 'locked', timeRemainingMs: this.#remainingMs(account), svr2 }
  }

  #isLocked(account: Account): boolean {
    return account.registrationLock !== undefined && this.#remainingMs(account) > 0
  }

  #remainingMs(account: Account): number {
    const seenAtMs = deviceOf(account, PRIMARY_DEVICE)?.lastSeenMs ?? 0
    return seenAtMs + LOCK_LASTS_MS - this.#options.clock.nowMs()
  }
}

const opens = ({ registrationLock }: Account, token: string | undefined): boolean =>
  registrationLock !== undefined &&
  token !== undefined &&
  token !== '' &&
  secretMatches(registrationLock, token)
