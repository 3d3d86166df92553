// The rules around the engine: who asks, which version, what is signed, kept and given back (docs/protocol/groups.md).
import type { Credentials } from '../../../wire/route.ts'
import { hasUnknownFields } from '../../../wire/whole-protobuf.ts'
import type { Clock } from '../../kit/clock.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Statement } from '../../kit/sql/sql.ts'
import { doubtfulFrom } from './avatar-sweep.ts'
import type { DoubtfulAvatarStore } from './doubtful-avatar-store.ts'
import { changeGroup, createGroup, type EngineContext, type Refused } from './engine.ts'
import { Actions, Group, GroupChange } from './messages.ts'
import { presentationsOfChange, presentationsOfGroup } from './presentations.ts'
import type { GroupCaller, Prover } from './prover.ts'
import type { GroupStore } from './store.ts'
import { asMember, endorsementsFor, type Visit, type Visits } from './visits.ts'

type Bytes = Uint8Array<ArrayBuffer>

/** Endorsements of the group's members, serialized; none for who is no full member. */
export type Endorsed = { readonly endorsements: Bytes | undefined }
export type GroupWithEndorsements = Endorsed & { readonly group: Group }

export type Created = ({ readonly kind: 'created' } & GroupWithEndorsements) | { readonly kind: 'exists' }

export type Changed =
  | ({ readonly kind: 'changed'; readonly change: GroupChange } & Endorsed)
  /** The group as it is, for those who may see it. */
  | { readonly kind: 'conflict'; readonly group: Group | undefined }

export type GroupsOptions = {
  readonly store: GroupStore
  readonly doubtful: DoubtfulAvatarStore
  readonly visits: Visits
  readonly prover: Prover
  readonly clock: Clock
  readonly limits: EngineContext['limits']
  readonly events: { groupCreated(): void; groupChanged(won: boolean): void }
}

export class Groups {
  readonly #options: GroupsOptions

  constructor(options: GroupsOptions) {
    this.#options = options
  }

  /** For members, and for those who were invited. */
  async get(credentials: Credentials): Promise<GroupWithEndorsements> {
    const visit = await this.#options.visits.of(credentials)
    if (!maySee(visit)) throw new Refusal('forbidden')
    return { group: visit.group, endorsements: await this.#endorse(visit.group, visit.caller) }
  }

  async joinedAtVersion(credentials: Credentials): Promise<number> {
    return asMember(await this.#options.visits.of(credentials)).joinedAtVersion
  }

  async create(credentials: Credentials, proposed: Group): Promise<Created> {
    const { store, visits, events } = this.#options
    const caller = await visits.author(credentials)
    mustBeKnown(proposed)
    const context = await this.#context(caller, presentationsOfGroup(proposed), undefined)
    const { group, firstLog } = orRefuse(createGroup(proposed, caller.publicKey, context))
    const endorsements = await this.#endorse(group, caller)
    const change = GroupChange.encode({ actions: Actions.encode(firstLog).finish() }).finish()
    const first = { version: 0, change, changeEpoch: 0, state: Group.encode(group).finish() }
    const avatars = this.#avatarChange(caller.groupId, '', group.avatarUrl)
    if (!(await store.create(caller.groupId, first, avatars))) return { kind: 'exists' }
    events.groupCreated()
    return { kind: 'created', group, endorsements }
  }

  async change(
    credentials: Credentials,
    proposed: Actions,
    inviteLinkPassword: Uint8Array | undefined,
  ): Promise<Changed> {
    const { visits } = this.#options
    const caller = await visits.author(credentials)
    mustBeKnown(proposed)
    const visit = await visits.at(caller)
    if (!visit) throw new Refusal('bad-request')
    if (proposed.version !== visit.group.version + 1) return conflictAt(visit)
    const presentations = presentationsOfChange(proposed)
    // Whoever comes from outside brings nobody else; looking at many would only cost time.
    if (!visit.standing.member && presentations.length > 1) throw new Refusal('forbidden')
    const context = await this.#context(caller, presentations, inviteLinkPassword)
    return this.#keep(visit, orRefuse(changeGroup(visit.group, proposed, context)))
  }

  /** What may fail comes before what is kept. */
  async #keep(visit: Visit, { group, actions, changeEpoch }: Applied): Promise<Changed> {
    const { store, visits, prover, events } = this.#options
    const { caller } = visit
    const signed = Actions.encode(actions).finish()
    const [serverSignature, endorsements] = await Promise.all([
      prover.sign(signed),
      this.#endorse(group, caller),
    ])
    const message = { actions: signed, serverSignature, changeEpoch }
    const change = GroupChange.encode(message).finish()
    const next = { version: group.version, change, changeEpoch, state: Group.encode(group).finish() }
    const avatars = this.#avatarChange(caller.groupId, visit.group.avatarUrl, group.avatarUrl)
    const won = await store.change(caller.groupId, next, avatars)
    events.groupChanged(won)
    if (!won) return conflictAt((await visits.at(caller)) ?? visit)
    return { kind: 'changed', change: GroupChange.decode(change), endorsements }
  }

  async #context(
    caller: GroupCaller,
    presentations: readonly Uint8Array[],
    inviteLinkPassword: Uint8Array | undefined,
  ): Promise<EngineContext> {
    const { prover, clock, limits } = this.#options
    if (presentations.length > limits.maxGroupSize) throw new Refusal('bad-request')
    return {
      author: caller,
      groupId: caller.groupId,
      nowMs: clock.nowMs(),
      inviteLinkPassword,
      limits,
      show: await prover.profileKeys(caller.publicKey, presentations),
    }
  }

  /** For the same transaction: what the group leaves may go, what it names may not. */
  #avatarChange(groupId: Uint8Array, before: string, after: string): Statement[] {
    const { doubtful, clock } = this.#options
    if (before === after) return []
    const dueAtMs = doubtfulFrom(clock)
    return [
      ...(after === '' ? [] : doubtful.naming({ groupId, objectKey: after }, dueAtMs)),
      ...(before === '' ? [] : [doubtful.leaving({ groupId, objectKey: before }, dueAtMs)]),
    ]
  }

  #endorse(group: Group, caller: GroupCaller): Promise<Bytes | undefined> {
    return endorsementsFor(this.#options.prover, group, caller)
  }
}

type Applied = { readonly group: Group; readonly actions: Actions; readonly changeEpoch: number }

const REFUSALS = { 400: 'bad-request', 403: 'forbidden' } as const

function orRefuse<T extends { readonly kind: string }>(outcome: T | Refused): T {
  if (isRefused(outcome)) throw new Refusal(REFUSALS[outcome.status])
  return outcome
}

const isRefused = (outcome: { readonly kind: string }): outcome is Refused => outcome.kind === 'refused'

function mustBeKnown(message: Group | Actions): void {
  if (hasUnknownFields(message)) throw new Refusal('bad-request')
}

const maySee = ({ standing }: Visit): boolean => standing.member !== undefined || standing.isInvited

/** Who was sent away must not learn what became of the group. */
const conflictAt = (visit: Visit): Changed => ({
  kind: 'conflict',
  group: maySee(visit) ? visit.group : undefined,
})
