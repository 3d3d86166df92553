// What a client makes of a signed change: the group after it, from the group before it and the change alone.
import type {
  GroupChange_Actions as Actions,
  Group,
  GroupInit,
  MemberBannedInit,
  MemberInit,
  MemberPendingAdminApprovalInit,
  MemberPendingProfileKeyInit,
} from '../../wire/gen/groups.js'

type Id = Uint8Array | null | undefined

const same = (a: Id, b: Id): boolean => Buffer.compare(a ?? new Uint8Array(), b ?? new Uint8Array()) === 0

type State = {
  members: MemberInit[]
  invited: MemberPendingProfileKeyInit[]
  requesting: MemberPendingAdminApprovalInit[]
  banned: MemberBannedInit[]
}

const without = <T>(list: T[], idOf: (entry: T) => Id, id: Id): T[] =>
  list.filter((entry) => !same(idOf(entry), id))

const invitedId = (invited: MemberPendingProfileKeyInit) => invited.member?.userId

/** The entry of an id; throws if there is none: a client cannot apply such a change. */
function entryOf<T>(list: T[], idOf: (entry: T) => Id, id: Id): T {
  const entry = list.find((one) => same(idOf(one), id))
  if (!entry) throw new Error('a change of somebody who is not there')
  return entry
}

function edit(state: State, id: Id, more: MemberInit): void {
  const before = entryOf(state.members, ({ userId }) => userId, id)
  const { userId, role, profileKey, joinedAtVersion, labelEmoji, labelString } = before
  const after = { userId, role, profileKey, joinedAtVersion, labelEmoji, labelString, ...more }
  state.members = state.members.map((one) => (one === before ? after : one))
}

function applyBans(state: State, actions: Actions): void {
  for (const { deletedUserId } of actions.deleteMembersBanned)
    state.banned = without(state.banned, ({ userId }) => userId, deletedUserId)
  for (const { added } of actions.addMembersBanned) state.banned.push(added!)
}

function applyMembers(state: State, actions: Actions): void {
  for (const { added } of actions.addMembers) {
    state.members.push(added!)
    state.invited = without(state.invited, invitedId, added!.userId)
    state.requesting = without(state.requesting, ({ userId }) => userId, added!.userId)
  }
  for (const { deletedUserId } of actions.deleteMembers)
    state.members = without(state.members, ({ userId }) => userId, deletedUserId)
}

function applyInvitations(state: State, actions: Actions, joinedAtVersion: number): void {
  for (const { added } of actions.addMembersPendingProfileKey) state.invited.push(added!)
  for (const { deletedUserId } of actions.deleteMembersPendingProfileKey)
    state.invited = without(state.invited, invitedId, deletedUserId)
  for (const { userId, profileKey } of actions.promoteMembersPendingProfileKey) {
    const { member } = entryOf(state.invited, invitedId, userId)
    state.invited = without(state.invited, invitedId, userId)
    state.members.push({ userId, profileKey, role: member?.role, joinedAtVersion })
  }
}

function applyRequests(state: State, actions: Actions, joinedAtVersion: number): void {
  for (const { added } of actions.addMembersPendingAdminApproval) state.requesting.push(added!)
  for (const { deletedUserId } of actions.deleteMembersPendingAdminApproval)
    state.requesting = without(state.requesting, ({ userId }) => userId, deletedUserId)
  for (const { userId, role } of actions.promoteMembersPendingAdminApproval) {
    const { profileKey } = entryOf(state.requesting, (one) => one.userId, userId)
    state.requesting = without(state.requesting, (one) => one.userId, userId)
    state.members.push({ userId, profileKey, role, joinedAtVersion })
  }
}

function applyPniPromotions(state: State, actions: Actions, joinedAtVersion: number): void {
  for (const { pni, userId, profileKey } of actions.promoteMembersPendingPniAciProfileKey) {
    const { member } = entryOf(state.invited, invitedId, pni)
    state.invited = without(without(state.invited, invitedId, pni), invitedId, userId)
    state.members.push({ userId, profileKey, role: member?.role, joinedAtVersion })
  }
}

function applyEdits(state: State, actions: Actions): void {
  for (const { userId, role } of actions.modifyMemberRoles) edit(state, userId, { role })
  for (const { userId, labelEmoji, labelString } of actions.modifyMemberLabels)
    edit(state, userId, { labelEmoji, labelString })
  for (const { userId, profileKey } of actions.modifyMemberProfileKeys) edit(state, userId, { profileKey })
}

const accessAfter = (before: Group['accessControl'], actions: Actions) => ({
  attributes: actions.modifyAttributesAccess?.attributesAccess ?? before?.attributes,
  members: actions.modifyMemberAccess?.membersAccess ?? before?.members,
  addFromInviteLink:
    actions.modifyAddFromInviteLinkAccess?.addFromInviteLinkAccess ?? before?.addFromInviteLink,
  memberLabel: actions.modifyMemberLabelAccess?.memberLabelAccess ?? before?.memberLabel,
})

const attributesAfter = (before: Group, actions: Actions): GroupInit => ({
  publicKey: before.publicKey,
  title: actions.modifyTitle?.title ?? before.title,
  description: actions.modifyDescription?.description ?? before.description,
  avatarUrl: actions.modifyAvatar?.avatar ?? before.avatarUrl,
  disappearingMessagesTimer:
    actions.modifyDisappearingMessageTimer?.timer ?? before.disappearingMessagesTimer,
  accessControl: accessAfter(before.accessControl, actions),
  inviteLinkPassword: actions.modifyInviteLinkPassword?.inviteLinkPassword ?? before.inviteLinkPassword,
  announcementsOnly: actions.modifyAnnouncementsOnly?.announcementsOnly ?? before.announcementsOnly,
  terminated: actions.terminateGroup !== null || before.terminated,
})

/** Roles last: who is made an administrator may have come in by the same change. */
export function applied(before: Group, actions: Actions): GroupInit {
  const state: State = {
    members: [...before.members],
    invited: [...before.membersPendingProfileKey],
    requesting: [...before.membersPendingAdminApproval],
    banned: [...before.membersBanned],
  }
  applyBans(state, actions)
  applyMembers(state, actions)
  applyInvitations(state, actions, actions.version)
  applyRequests(state, actions, actions.version)
  applyPniPromotions(state, actions, actions.version)
  applyEdits(state, actions)
  return {
    ...attributesAfter(before, actions),
    version: actions.version,
    members: state.members,
    membersPendingProfileKey: state.invited,
    membersPendingAdminApproval: state.requesting,
    membersBanned: state.banned,
  }
}
