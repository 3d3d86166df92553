// A group with members has an administrator: if the last one goes, those who stay become administrators, in the same change.

import type { Change } from './change.ts'
import { withRole } from './members.ts'
import { type Actions, type Member, Role } from './messages.ts'
import { keyOf } from './user-id.ts'

type RoleActions = Actions['modifyMemberRoles']

/**
 * The role actions with those that were needed. Spared at first are members whom this very change let in
 * or gave a role; if nobody else is left, they are all that there is.
 */
export function ensureAdministrator({ draft, version }: Change, roles: RoleActions): RoleActions {
  const members = draft.members.all
  if (members.length === 0 || members.some(({ role }) => role === Role.ADMINISTRATOR)) return roles
  const edited = new Set(roles.map(({ userId }) => keyOf(userId)))
  const older = members.filter(
    ({ joinedAtVersion, userId }) => joinedAtVersion !== version && !edited.has(keyOf(userId)),
  )
  const promoted: readonly Member[] = older.length > 0 ? older : members
  for (const member of promoted) draft.members.replace(withRole(member, Role.ADMINISTRATOR))
  return [...roles, ...promoted.map(({ userId }) => ({ userId, role: Role.ADMINISTRATOR }))]
}
