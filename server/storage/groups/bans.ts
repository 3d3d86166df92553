// Who may not come back by themselves.
import type { Step } from './change.ts'
import { deletedIds, deletions } from './members.ts'
import { allow, demand } from './refused.ts'
import { mayAddMembers } from './standing.ts'
import { keyOf, USER_ID_BYTES } from './user-id.ts'

export const deleteBanned: Step = ({ group, standing, draft }, { deleteMembersBanned: actions }) => {
  if (actions.length === 0) return {}
  allow(standing.member !== undefined && mayAddMembers(group, standing))
  for (const id of deletedIds(actions)) draft.banned.take(id)
  return { deleteMembersBanned: deletions(actions) }
}

export const addBanned: Step = ({ standing, draft, context }, proposed) => {
  const actions = proposed.addMembersBanned
  if (actions.length === 0) return {}
  allow(standing.isAdministrator)
  const unbanned = new Set(deletedIds(proposed.deleteMembersBanned).map(keyOf))
  const bans = actions.map(({ added }) => {
    demand(added !== null && added.userId.length === USER_ID_BYTES)
    demand(!unbanned.has(keyOf(added.userId)))
    return { userId: added.userId, timestamp: context.nowMs }
  })
  for (const ban of bans) draft.banned.add(ban)
  return { addMembersBanned: bans.map((added) => ({ added })) }
}
