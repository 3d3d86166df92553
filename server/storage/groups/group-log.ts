// What happened in a group since a version that its reader was a member at.
import type { Credentials } from '../../../wire/route.ts'
import type { Clock } from '../../kit/clock.ts'
import { Refusal } from '../../kit/refusal.ts'
import { MIN_ENDORSEMENT_MS } from './endorsements.ts'
import { Actions, GroupChange } from './messages.ts'
import type { Prover } from './prover.ts'
import type { GroupStore, LoggedVersion } from './store.ts'
import { asMember, endorsementsFor, type Visit, type Visits } from './visits.ts'

type Bytes = Uint8Array<ArrayBuffer>

/** Versions in one page, at most. */
const PAGE = 64

export type LogQuery = {
  readonly fromVersion: number
  readonly limit: number | undefined
  /** Changes of a later epoch are told by what the group became; without it that is told of every change. */
  readonly maxSupportedChangeEpoch: number | undefined
  readonly includeFirstState: boolean
  readonly includeLastState: boolean
  /** When the reader's endorsements expire, in seconds; 0 for none. Refused (400) if it is not told. */
  readonly cachedEndorsementsExpireSeconds: number | undefined
}

/** Serialized, as it was stored. */
export type LogEntry = {
  readonly change: Bytes | undefined
  readonly state: Bytes | undefined
}
export type LogRange = { readonly from: number; readonly to: number; readonly latest: number }
export type GroupLogPage = {
  /** Where the page ends before the log does. */
  readonly partOf: LogRange | undefined
  readonly entries: readonly LogEntry[]
  readonly endorsements: Uint8Array<ArrayBuffer> | undefined
}

const NOTHING_NEW: GroupLogPage = { partOf: undefined, entries: [], endorsements: undefined }

type GroupLogOptions = {
  readonly store: GroupStore
  readonly visits: Visits
  readonly prover: Prover
  readonly clock: Clock
}

export class GroupLog {
  readonly #options: GroupLogOptions

  constructor(options: GroupLogOptions) {
    this.#options = options
  }

  async page(credentials: Credentials, query: LogQuery): Promise<GroupLogPage> {
    const visit = await this.#options.visits.of(credentials)
    const expireSeconds = query.cachedEndorsementsExpireSeconds
    if (expireSeconds === undefined) throw new Refusal('bad-request')
    const from = query.fromVersion
    if (from < asMember(visit).joinedAtVersion) throw new Refusal('forbidden')
    const latest = visit.group.version
    if (from > latest) return NOTHING_NEW
    const to = Math.min(from + pageSize(query.limit) - 1, latest)
    const rows = await this.#rows(visit, query, to)
    const entries = rows.map((row) => entryOf(row, query.maxSupportedChangeEpoch))
    if (to < latest) return { partOf: { from, to, latest }, entries, endorsements: undefined }
    const wanted = this.#expireSoon(expireSeconds) || rows.some(changesMembers)
    return { partOf: undefined, entries, endorsements: wanted ? await this.#endorse(visit) : undefined }
  }

  #rows({ caller }: Visit, query: LogQuery, to: number): Promise<LoggedVersion[]> {
    const { fromVersion: from, includeFirstState, includeLastState, maxSupportedChangeEpoch } = query
    return this.#options.store.log(caller.groupId, {
      ...{ from, to },
      stateBeyondEpoch: maxSupportedChangeEpoch ?? -1,
      statesAt: [includeFirstState ? from : -1, includeLastState ? to : -1],
    })
  }

  #endorse({ group, caller }: Visit) {
    return endorsementsFor(this.#options.prover, group, caller)
  }

  #expireSoon(expireSeconds: number): boolean {
    return expireSeconds * 1000 - this.#options.clock.nowMs() < MIN_ENDORSEMENT_MS
  }
}

const pageSize = (limit = PAGE): number => Math.max(1, Math.min(limit, PAGE))

const entryOf = ({ change, changeEpoch, state }: LoggedVersion, maxEpoch = changeEpoch): LogEntry => ({
  change: changeEpoch <= maxEpoch ? change : undefined,
  state,
})

function changesMembers({ change }: LoggedVersion): boolean {
  const actions = Actions.decode(GroupChange.decode(change).actions)
  return [
    actions.addMembers,
    actions.deleteMembers,
    actions.promoteMembersPendingProfileKey,
    actions.promoteMembersPendingAdminApproval,
    actions.promoteMembersPendingPniAciProfileKey,
  ].some((some) => some.length > 0)
}
