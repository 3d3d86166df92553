// People report messages that they did not want (signal-api §2.11). A report counts if there was such a message, and
// what is kept is how many reported an account, not who.

import { type Aci, type DeviceAddress, type E164, isE164, uuidToBytes } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import { DAY_MS } from '../../kit/days.ts'
import type { Housekeeping } from '../../kit/housekeeping.ts'
import type { Statement } from '../../kit/sql/sql.ts'
import type { Account } from '../accounts/account.ts'
import type { Accounts } from '../accounts/accounts.ts'
import type { ChatEvents } from '../events.ts'
import type { MessageGuids } from './message-guids.ts'
import type { ReportStore } from './store.ts'

/** A reporter counts for so long. */
const KEEP_MS = 7 * DAY_MS
const EXPIRE_EVERY_MS = 3_600_000

export type ReportsOptions = {
  readonly store: ReportStore
  readonly accounts: Accounts
  readonly guids: MessageGuids
  readonly clock: Clock
  readonly events: ChatEvents
  readonly housekeeping: Housekeeping
}

export class Reports {
  readonly #options: ReportsOptions

  constructor(options: ReportsOptions) {
    const { store, clock, housekeeping } = options
    this.#options = options
    housekeeping.every(EXPIRE_EVERY_MS, 'reports.expire', () => store.expire(clock.nowMs()))
  }

  /** `guid`: of the message, a UUID. Nobody is told whether it counted. */
  async report(reporter: DeviceAddress, source: Aci | E164, guid: string): Promise<void> {
    const { accounts, guids, store, clock, events } = this.#options
    const aci = isE164(source) ? (await accounts.findByNumber(source))?.aci : source
    if (!aci || !guids.proves(uuidToBytes(guid), aci, reporter.aci)) return events.reportedInVain()
    const nowMs = clock.nowMs()
    events.reported(await store.add(aci, guids.reporterOf(reporter.aci, aci), nowMs + KEEP_MS, nowMs))
  }

  deleted({ aci }: Account): Statement[] {
    return [this.#options.store.clear(aci)]
  }
}
