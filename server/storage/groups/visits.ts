import type { Credentials } from '../../../wire/route.ts'
import { Refusal } from '../../kit/refusal.ts'
import { Group } from './messages.ts'
import type { GroupCaller, Prover } from './prover.ts'
import { type Standing, standingOf } from './standing.ts'
import type { GroupStore } from './store.ts'
import { sameBytes } from './user-id.ts'

/** Somebody with a credential of the day, at the group whose key it was shown for. */
export type Visit = { readonly caller: GroupCaller; readonly group: Group; readonly standing: Standing }

export class Visits {
  readonly #store: GroupStore
  readonly #prover: Prover

  constructor(store: GroupStore, prover: Prover) {
    this.#store = store
    this.#prover = prover
  }

  /** Refuses who shows no credential that holds (401). */
  author(credentials: Credentials): Promise<GroupCaller> {
    return this.#prover.author(credentials)
  }

  /** Nothing if there is no such group. Refuses (403) another key with the group's identifier: it decrypts nothing here. */
  async at(caller: GroupCaller): Promise<Visit | undefined> {
    const state = await this.#store.find(caller.groupId)
    if (!state) return undefined
    const group = Group.decode(state)
    if (!sameBytes(group.publicKey, caller.publicKey)) throw new Refusal('forbidden')
    return { caller, group, standing: standingOf(group, caller) }
  }

  /** Refuses also where there is no such group (404). */
  async of(credentials: Credentials): Promise<Visit> {
    const visit = await this.at(await this.author(credentials))
    if (!visit) throw new Refusal('not-found')
    return visit
  }
}

/** Full members alone. */
export function asMember({ standing }: Visit): NonNullable<Standing['member']> {
  if (!standing.member) throw new Refusal('forbidden')
  return standing.member
}

/** Endorsements of all members of a group, serialized; nothing if the caller is none of them. */
export async function endorsementsFor(
  prover: Prover,
  group: Group,
  caller: GroupCaller,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (!standingOf(group, caller).member) return undefined
  return prover.endorse(group.members.map(({ userId }) => userId))
}
