// Who is in: added, removed, given a role, shown with another profile key.

import { type Change, type EngineContext, type Step, shownBy } from './change.ts'
import { Access, type Actions, type Group, type Member, Role } from './messages.ts'
import { allow, demand } from './refused.ts'
import { accessOf, isAuthor, knowsInviteLink, mayAddMembers, type Standing } from './standing.ts'
import { hasDuplicates, NO_BYTES, ownBytes, sameBytes } from './user-id.ts'

export const isRole = (role: number): boolean => role === Role.DEFAULT || role === Role.ADMINISTRATOR

/** A member in full: what is not named is empty. */
export const memberWith = (
  known: Pick<Member, 'userId' | 'role' | 'joinedAtVersion'> & Partial<Member>,
): Member => ({
  userId: known.userId,
  role: known.role,
  profileKey: known.profileKey ?? NO_BYTES,
  presentation: NO_BYTES,
  joinedAtVersion: known.joinedAtVersion,
  labelEmoji: known.labelEmoji ?? NO_BYTES,
  labelString: known.labelString ?? NO_BYTES,
})

/** What is sent along may be what the presentation proves, and nothing else. */
const agrees = (claimed: Uint8Array, shown: Uint8Array): boolean =>
  claimed.length === 0 || sameBytes(claimed, shown)

/** The member that a presentation proves. A label is given by its own action. */
export function provenMember(
  context: EngineContext,
  proposed: Member | null,
  joinedAtVersion: number,
): Member {
  demand(proposed !== null)
  demand(isRole(proposed.role))
  demand(proposed.labelEmoji.length === 0 && proposed.labelString.length === 0)
  const shown = shownBy({ context }, proposed.presentation)
  demand(agrees(proposed.userId, shown.userId) && agrees(proposed.profileKey, shown.profileKey))
  const [userId, profileKey] = [ownBytes(shown.userId), ownBytes(shown.profileKey)]
  return memberWith({ userId, profileKey, role: proposed.role, joinedAtVersion })
}

/** Whether somebody who is no member may let themselves in, and by what. */
function ownWayIn(group: Group, standing: Standing, context: EngineContext): 'open' | 'link' | undefined {
  if (standing.isBanned) return undefined
  const access = accessOf(group)
  if (access.members === Access.ANY) return 'open'
  const byLink = access.addFromInviteLink === Access.ANY && knowsInviteLink(group, context.inviteLinkPassword)
  return byLink ? 'link' : undefined
}

export const addMembers: Step = (change, { addMembers: actions }) => {
  if (actions.length === 0) return {}
  const { group, standing, draft, version, context } = change
  const ownWay = standing.member ? undefined : ownWayIn(group, standing, context)
  allow(standing.member ? mayAddMembers(group, standing) : ownWay !== undefined && actions.length === 1)
  allow(standing.isAdministrator || actions.every(({ added }) => added?.role !== Role.ADMINISTRATOR))
  // The server says how somebody came in.
  demand(actions.every(({ joinFromInviteLink }) => !joinFromInviteLink))
  demand(actions.length <= context.limits.maxGroupSize)
  const added = actions.map((action) => provenMember(context, action.added, version))
  allow(standing.member !== undefined || added.every(({ userId }) => isAuthor(context.author, userId)))
  for (const member of added) {
    draft.members.add(member)
    draft.invited.delete(member.userId)
    draft.requesting.delete(member.userId)
  }
  return { addMembers: added.map((member) => ({ added: member, joinFromInviteLink: ownWay === 'link' })) }
}

/** Whether only the author is meant: what anybody may do to themselves. */
export const isOneself = ({ context }: Change, userIds: readonly Uint8Array[]): boolean =>
  userIds.length === 1 && userIds.every((userId) => isAuthor(context.author, userId))

type DeleteActions = Actions['deleteMembers']
export const deletedIds = (actions: DeleteActions) => actions.map(({ deletedUserId }) => deletedUserId)
export const deletions = (actions: DeleteActions): DeleteActions =>
  actions.map(({ deletedUserId }) => ({ deletedUserId }))

export const deleteMembers: Step = (change, { deleteMembers: actions }) => {
  if (actions.length === 0) return {}
  const ids = deletedIds(actions)
  allow(change.standing.isAdministrator || isOneself(change, ids))
  for (const id of ids) change.draft.members.take(id)
  return { deleteMembers: deletions(actions) }
}

export const modifyRoles: Step = ({ standing, draft }, { modifyMemberRoles: actions }) => {
  if (actions.length === 0) return {}
  allow(standing.isAdministrator)
  demand(!hasDuplicates(actions.map(({ userId }) => userId)))
  for (const { userId, role } of actions) {
    const member = draft.members.find(userId)
    demand(member !== undefined)
    draft.members.replace(withRole(member, role))
  }
  return { modifyMemberRoles: actions.map(({ userId, role }) => ({ userId, role })) }
}

/** A decoded message has its zeros in the prototype, so a member is copied by field. */
export const withRole = (member: Member, role: number): Member =>
  memberWith({
    userId: member.userId,
    role,
    profileKey: member.profileKey,
    joinedAtVersion: member.joinedAtVersion,
    labelEmoji: member.labelEmoji,
    labelString: member.labelString,
  })

type Promotion = Actions['modifyMemberProfileKeys'][number]

/** What authors prove of themselves. The server says whom and what: the author brings a presentation alone. */
export function ownPresentations(change: Change, actions: readonly Promotion[]): Promotion[] {
  demand(actions.every(({ userId, profileKey }) => userId.length === 0 && profileKey.length === 0))
  demand(actions.length === 1)
  return actions.map(({ presentation }) => {
    const shown = shownBy(change, presentation)
    allow(isAuthor(change.context.author, shown.userId))
    return { presentation: NO_BYTES, userId: ownBytes(shown.userId), profileKey: ownBytes(shown.profileKey) }
  })
}

export const modifyProfileKeys: Step = (change, { modifyMemberProfileKeys: actions }) => {
  if (actions.length === 0) return {}
  allow(change.standing.member !== undefined)
  const proven = ownPresentations(change, actions)
  for (const { userId, profileKey } of proven) {
    const member = change.draft.members.find(userId)
    allow(member !== undefined)
    const { role, joinedAtVersion, labelEmoji, labelString } = member
    change.draft.members.replace(
      memberWith({ userId, role, profileKey, joinedAtVersion, labelEmoji, labelString }),
    )
  }
  return { modifyMemberProfileKeys: proven }
}
