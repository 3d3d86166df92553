// What an author is in a group as it stands, and what follows from it.

import { sameSecret } from '../../kit/constant-time.ts'
import { Access, type AccessControl, type Group, type Member, Role } from './messages.ts'
import { sameBytes } from './user-id.ts'

/** The ciphertexts of the credential that was presented. */
export type Author = { readonly userId: Uint8Array; readonly pniUserId: Uint8Array | undefined }

export type Standing = {
  readonly member: Member | undefined
  readonly isAdministrator: boolean
  /** Waits in the group for a profile key: invited by ACI or by PNI. */
  readonly isInvited: boolean
  /** Waits in the group for an administrator. */
  readonly isRequesting: boolean
  readonly isBanned: boolean
}

export const isAuthor = (author: Author, userId: Uint8Array): boolean =>
  sameBytes(author.userId, userId) || (author.pniUserId !== undefined && sameBytes(author.pniUserId, userId))

export function standingOf(group: Group, author: Author): Standing {
  const member = group.members.find(({ userId }) => isAuthor(author, userId))
  return {
    member,
    isAdministrator: member?.role === Role.ADMINISTRATOR,
    isInvited: group.membersPendingProfileKey.some(
      (pending) => pending.member !== null && isAuthor(author, pending.member.userId),
    ),
    isRequesting: group.membersPendingAdminApproval.some(({ userId }) => isAuthor(author, userId)),
    isBanned: group.membersBanned.some(({ userId }) => isAuthor(author, userId)),
  }
}

const NO_ACCESS: AccessControl = { attributes: 0, members: 0, addFromInviteLink: 0, memberLabel: 0 }

export const accessOf = (group: Group): AccessControl => group.accessControl ?? NO_ACCESS

/** Whether a member has what an access level asks. */
function satisfies({ member, isAdministrator }: Standing, required: number): boolean {
  if (isAdministrator) return true
  return member !== undefined && (required === Access.MEMBER || required === Access.ANY)
}

export const mayModifyAttributes = (group: Group, standing: Standing): boolean =>
  satisfies(standing, accessOf(group).attributes)

/** Adds members, invites, and takes back a ban. */
export const mayAddMembers = (group: Group, standing: Standing): boolean =>
  satisfies(standing, accessOf(group).members)

/** Groups of before labels name no access level for them: members may. */
export function mayLabelOneself(group: Group, standing: Standing): boolean {
  const required = accessOf(group).memberLabel
  return satisfies(standing, required === Access.UNKNOWN ? Access.MEMBER : required)
}

export const mayStartCall = (group: Group, { member, isAdministrator }: Standing): boolean =>
  member !== undefined && (!group.announcementsOnly || isAdministrator)

/** No password is the right one for a group without a password. */
export const knowsInviteLink = (group: Group, password: Uint8Array | undefined): boolean =>
  password !== undefined && password.length > 0 && sameSecret(password, group.inviteLinkPassword)
