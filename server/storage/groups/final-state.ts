// What holds of every group, however it came about.

import { MAX_TIMER_BYTES } from './attributes.ts'
import type { EngineContext } from './change.ts'
import { isRole } from './members.ts'
import { Access, type Group } from './messages.ts'
import { demand } from './refused.ts'
import { accessOf } from './standing.ts'
import { keyOf } from './user-id.ts'

const INVITE_LINK_PASSWORD_BYTES = 16

const OF_MEMBERS: readonly number[] = [Access.UNKNOWN, Access.MEMBER, Access.ADMINISTRATOR]
const NOBODY_BY_LINK: readonly number[] = [Access.UNKNOWN, Access.UNSATISFIABLE]
const OF_THE_LINK: readonly number[] = [...NOBODY_BY_LINK, Access.ANY, Access.ADMINISTRATOR]

type Limits = EngineContext['limits']

function demandAttributes(group: Group, limits: Limits): void {
  demand(group.title.length > 0 && group.title.length <= limits.maxTitleBytes)
  demand(group.description.length <= limits.maxDescriptionBytes)
  demand(group.disappearingMessagesTimer.length <= MAX_TIMER_BYTES)
}

function demandAccess(group: Group): void {
  const { attributes, members, addFromInviteLink, memberLabel } = accessOf(group)
  demand([attributes, members, memberLabel].every((level) => OF_MEMBERS.includes(level)))
  demand(OF_THE_LINK.includes(addFromInviteLink))
  const { length } = group.inviteLinkPassword
  demand(
    length === INVITE_LINK_PASSWORD_BYTES || (length === 0 && NOBODY_BY_LINK.includes(addFromInviteLink)),
  )
}

/** Requests and bans do not make a group bigger, but are not without end either. */
function demandSizes(group: Group, { maxGroupSize }: Limits): void {
  demand(group.members.length + group.membersPendingProfileKey.length <= maxGroupSize)
  demand(group.membersPendingAdminApproval.length <= maxGroupSize)
  demand(group.membersBanned.length <= maxGroupSize)
}

function demandMembership(group: Group): void {
  const invited = group.membersPendingProfileKey.map(({ member }) => {
    demand(member !== null)
    return member
  })
  demand([...group.members, ...invited].every(({ role }) => isRole(role)))
  const everybody = [
    ...group.members,
    ...invited,
    ...group.membersPendingAdminApproval,
    ...group.membersBanned,
  ]
  const keys = new Set(everybody.map(({ userId }) => keyOf(userId)))
  demand(keys.size === everybody.length)
}

/** Refuses a group that must not be. */
export function demandFinalState(group: Group, limits: Limits): void {
  demandSizes(group, limits)
  demandAttributes(group, limits)
  demandAccess(group)
  demandMembership(group)
}
