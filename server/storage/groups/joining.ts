// What somebody with a link to a group is told before joining.
import type { Credentials } from '../../../wire/route.ts'
import { Refusal } from '../../kit/refusal.ts'
import { Access, type GroupJoinInfo } from './messages.ts'
import { accessOf, knowsInviteLink } from './standing.ts'
import type { Visit, Visits } from './visits.ts'

export type JoinInfo =
  | { readonly kind: 'told'; readonly info: GroupJoinInfo }
  /** The only refusal that tells why. */
  | { readonly kind: 'banned' }

const OPEN_LINKS: readonly number[] = [Access.ANY, Access.ADMINISTRATOR]

export class Joining {
  readonly #visits: Visits
  readonly #maxGroupSize: number

  constructor(visits: Visits, maxGroupSize: number) {
    this.#visits = visits
    this.#maxGroupSize = maxGroupSize
  }

  /** Who waits for approval needs no password. Refuses (403) everybody else without the right one. */
  async info(credentials: Credentials, password: Uint8Array | undefined): Promise<JoinInfo> {
    const visit = await this.#visits.of(credentials)
    if (visit.standing.isBanned) return { kind: 'banned' }
    if (!mayKnow(visit, password)) throw new Refusal('forbidden')
    return { kind: 'told', info: this.#told(visit) }
  }

  #told({ group, standing }: Visit): GroupJoinInfo {
    const { publicKey, title, description, avatarUrl, version } = group
    return {
      ...{ publicKey, title, description, version },
      avatar: avatarUrl,
      memberCount: group.members.length,
      addFromInviteLink: accessOf(group).addFromInviteLink,
      pendingAdminApproval: standing.isRequesting,
      pendingAdminApprovalFull: group.membersPendingAdminApproval.length >= this.#maxGroupSize,
    }
  }
}

function mayKnow({ group, standing }: Visit, password: Uint8Array | undefined): boolean {
  if (group.terminated) return false
  if (standing.isRequesting) return true
  return OPEN_LINKS.includes(accessOf(group).addFromInviteLink) && knowsInviteLink(group, password)
}
