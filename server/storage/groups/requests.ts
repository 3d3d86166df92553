// Who came by the link and asks an administrator to be let in.

import { type Change, type Step, shownBy } from './change.ts'
import { deletedIds, deletions, isOneself, memberWith } from './members.ts'
import { Access, type MemberPendingAdminApproval } from './messages.ts'
import { allow, demand } from './refused.ts'
import { accessOf, isAuthor, knowsInviteLink } from './standing.ts'
import { NO_BYTES, ownBytes } from './user-id.ts'

type Requested = MemberPendingAdminApproval | null

/** The author's own request: a presentation, and the rest is the server's to say. */
function requestOf(change: Change, requested: Requested): MemberPendingAdminApproval {
  demand(requested !== null)
  demand(requested.userId.length === 0 && requested.profileKey.length === 0 && requested.timestamp === 0)
  const shown = shownBy(change, requested.presentation)
  demand(isAuthor(change.context.author, shown.userId))
  return {
    userId: ownBytes(shown.userId),
    profileKey: ownBytes(shown.profileKey),
    presentation: NO_BYTES,
    timestamp: change.context.nowMs,
  }
}

export const addRequesting: Step = (change, { addMembersPendingAdminApproval: actions }) => {
  if (actions.length === 0) return {}
  const { group, standing, draft, context } = change
  allow(accessOf(group).addFromInviteLink === Access.ADMINISTRATOR)
  allow(knowsInviteLink(group, context.inviteLinkPassword) && !standing.isBanned)
  demand(actions.length === 1 && standing.member === undefined)
  const requests = actions.map(({ added }) => requestOf(change, added))
  for (const request of requests) draft.requesting.add(request)
  return { addMembersPendingAdminApproval: requests.map((added) => ({ added })) }
}

export const deleteRequesting: Step = (change, { deleteMembersPendingAdminApproval: actions }) => {
  if (actions.length === 0) return {}
  const ids = deletedIds(actions)
  allow(change.standing.isAdministrator || isOneself(change, ids))
  for (const id of ids) change.draft.requesting.take(id)
  return { deleteMembersPendingAdminApproval: deletions(actions) }
}

export const promoteRequesting: Step = (change, { promoteMembersPendingAdminApproval: actions }) => {
  if (actions.length === 0) return {}
  const { standing, draft, version } = change
  allow(standing.isAdministrator)
  for (const { userId, role } of actions) {
    const { profileKey } = draft.requesting.take(userId)
    draft.members.add(memberWith({ userId, role, profileKey, joinedAtVersion: version }))
  }
  return { promoteMembersPendingAdminApproval: actions.map(({ userId, role }) => ({ userId, role })) }
}
