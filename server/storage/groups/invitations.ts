// Who is invited and has still to show a profile key, by ACI or by PNI.

import type { Change, Step } from './change.ts'
import { deletedIds, deletions, isOneself, memberWith, ownPresentations } from './members.ts'
import { type MemberPendingProfileKey, Role } from './messages.ts'
import { allow, demand } from './refused.ts'
import { mayAddMembers } from './standing.ts'
import { type Bytes, ownBytes, USER_ID_BYTES } from './user-id.ts'

type Invited = MemberPendingProfileKey | null

/** By whom and when is the server's to say, whatever the client says. */
export function invitationBy(addedByUserId: Bytes, nowMs: number, version: number, invited: Invited) {
  demand(invited !== null && invited.member !== null)
  const { userId, role, profileKey, presentation, labelEmoji, labelString } = invited.member
  demand(userId.length === USER_ID_BYTES)
  demand([profileKey, presentation, labelEmoji, labelString].every(({ length }) => length === 0))
  const member = memberWith({ userId, role, joinedAtVersion: version })
  return { member, addedByUserId, timestamp: nowMs }
}

export const addInvited: Step = (change, { addMembersPendingProfileKey: actions }) => {
  if (actions.length === 0) return {}
  const { group, standing, draft, version, context } = change
  allow(standing.member !== undefined && mayAddMembers(group, standing))
  const isForAdministrator = actions.some(({ added }) => added?.member?.role === Role.ADMINISTRATOR)
  allow(standing.isAdministrator || !isForAdministrator)
  const addedBy = standing.member.userId
  const invitations = actions.map(({ added }) => invitationBy(addedBy, context.nowMs, version, added))
  for (const invitation of invitations) draft.invited.add(invitation)
  return { addMembersPendingProfileKey: invitations.map((added) => ({ added })) }
}

export const deleteInvited: Step = (change, { deleteMembersPendingProfileKey: actions }) => {
  if (actions.length === 0) return {}
  const ids = deletedIds(actions)
  allow(change.standing.isAdministrator || isOneself(change, ids))
  for (const id of ids) change.draft.invited.take(id)
  return { deleteMembersPendingProfileKey: deletions(actions) }
}

/** The role of the invitation, and the ACI and profile key that were shown. */
function promote({ draft, version }: Change, invitedId: Bytes, userId: Bytes, profileKey: Bytes): void {
  const invited = draft.invited.find(invitedId)?.member
  allow(invited !== undefined && invited !== null)
  draft.invited.delete(invitedId)
  draft.members.add(memberWith({ userId, role: invited.role, profileKey, joinedAtVersion: version }))
}

export const promoteInvited: Step = (change, { promoteMembersPendingProfileKey: actions }) => {
  if (actions.length === 0) return {}
  allow(change.standing.isInvited)
  const proven = ownPresentations(change, actions)
  for (const { userId, profileKey } of proven) promote(change, userId, userId, profileKey)
  return { promoteMembersPendingProfileKey: proven }
}

/** The presentation proves an ACI; only the credential says which PNI is the same person's. */
export const promoteInvitedByPni: Step = (change, { promoteMembersPendingPniAciProfileKey: actions }) => {
  if (actions.length === 0) return {}
  const { pniUserId } = change.context.author
  demand(actions.every(({ pni }) => pni.length === 0))
  allow(change.standing.isInvited && pniUserId !== undefined)
  const pni = ownBytes(pniUserId)
  const proven = ownPresentations(change, actions)
  for (const { userId, profileKey } of proven) {
    promote(change, pni, userId, profileKey)
    change.draft.invited.delete(userId)
  }
  return { promoteMembersPendingPniAciProfileKey: proven.map((promotion) => ({ ...promotion, pni })) }
}
