// Groups as the server sees them, in ciphertexts: state, proposed actions and their author make a new state or a refusal.

import * as access from './access.ts'
import { ensureAdministrator } from './administrators.ts'
import * as attributes from './attributes.ts'
import * as bans from './bans.ts'
import type { Change, EngineContext, Step } from './change.ts'
import { Draft } from './draft.ts'
import { changeEpochOf, changesNothing } from './epochs.ts'
import { demandFinalState } from './final-state.ts'
import * as invitations from './invitations.ts'
import * as labels from './labels.ts'
import * as members from './members.ts'
import { Access, type Actions, type Group, Role } from './messages.ts'
import { allow, demand, type Refused, refusable } from './refused.ts'
import * as requests from './requests.ts'
import { sourceOf } from './source.ts'
import { accessOf, isAuthor, standingOf } from './standing.ts'
import { NO_BYTES, ownBytes, sameBytes } from './user-id.ts'

export type { EngineContext, Shown } from './change.ts'
export type { Refused } from './refused.ts'
export type { Author } from './standing.ts'

export type Created = { readonly kind: 'created'; readonly group: Group; readonly firstLog: Actions }
export type Changed = {
  readonly kind: 'changed'
  readonly group: Group
  /** To be signed as they are. */
  readonly actions: Actions
  readonly changeEpoch: number
}

const NO_ACTIONS: Actions = {
  sourceUserId: NO_BYTES,
  groupId: NO_BYTES,
  version: 0,
  addMembers: [],
  deleteMembers: [],
  modifyMemberRoles: [],
  modifyMemberLabels: [],
  modifyMemberProfileKeys: [],
  addMembersPendingProfileKey: [],
  deleteMembersPendingProfileKey: [],
  promoteMembersPendingProfileKey: [],
  modifyTitle: null,
  modifyAvatar: null,
  modifyDisappearingMessageTimer: null,
  modifyAttributesAccess: null,
  modifyMemberAccess: null,
  modifyAddFromInviteLinkAccess: null,
  modifyMemberLabelAccess: null,
  addMembersPendingAdminApproval: [],
  deleteMembersPendingAdminApproval: [],
  promoteMembersPendingAdminApproval: [],
  modifyInviteLinkPassword: null,
  modifyDescription: null,
  modifyAnnouncementsOnly: null,
  addMembersBanned: [],
  deleteMembersBanned: [],
  promoteMembersPendingPniAciProfileKey: [],
  terminateGroup: null,
}

/** In Signal's order: a later action sees what the earlier ones did. */
const STEPS: readonly Step[] = [
  bans.deleteBanned,
  bans.addBanned,
  members.addMembers,
  members.deleteMembers,
  members.modifyRoles,
  labels.modifyLabels,
  members.modifyProfileKeys,
  invitations.addInvited,
  invitations.deleteInvited,
  invitations.promoteInvited,
  attributes.modifyTitle,
  attributes.modifyAvatar,
  attributes.modifyTimer,
  access.modifyAttributesAccess,
  access.modifyMembersAccess,
  access.modifyLinkAccess,
  requests.addRequesting,
  requests.deleteRequesting,
  requests.promoteRequesting,
  access.modifyLinkPassword,
  attributes.modifyDescription,
  attributes.modifyAnnouncementsOnly,
  invitations.promoteInvitedByPni,
  access.modifyLabelAccess,
  attributes.terminate,
]

/**
 * The group after a change, and the change as it is signed: what the server knows better is filled in, and
 * administrators are made if none is left. The caller has seen to it that the version is the next one.
 */
export function changeGroup(group: Group, proposed: Actions, context: EngineContext): Changed | Refused {
  return refusable(() => {
    allow(!group.terminated)
    demand(proposed.version === group.version + 1 && proposed.groupId.length === 0)
    demand(!changesNothing(proposed))
    const { version } = proposed
    const standing = standingOf(group, context.author)
    const draft = new Draft(group)
    const change: Change = { group, standing, draft, version, context }
    const applied = STEPS.reduce<Actions>((so, step) => Object.assign(so, step(change, proposed)), {
      ...NO_ACTIONS,
    })
    const modifyMemberRoles = ensureAdministrator(change, applied.modifyMemberRoles)
    const after = draft.toGroup(version)
    const source = sourceOf(context.author, group, after)
    allow(source !== undefined)
    demandFinalState(after, context.limits)
    const groupId = ownBytes(context.groupId)
    const actions = { ...applied, modifyMemberRoles, sourceUserId: source, groupId, version }
    return { kind: 'changed', group: after, actions, changeEpoch: changeEpochOf(actions) }
  })
}

/** What a new group must not bring: what only a change can lead to. */
function demandNew(proposed: Group, context: EngineContext): void {
  demand(proposed.version === 0 && !proposed.terminated)
  demand(proposed.publicKey.length > 0 && proposed.title.length > 0)
  demand(accessOf(proposed).attributes !== Access.UNKNOWN && accessOf(proposed).members !== Access.UNKNOWN)
  demand(attributes.isAvatarOf(context.groupId, proposed.avatarUrl))
  demand(proposed.membersPendingAdminApproval.length === 0 && proposed.membersBanned.length === 0)
  demand(proposed.members.length + proposed.membersPendingProfileKey.length <= context.limits.maxGroupSize)
}

/** A new group by one of its administrators, and the beginning of its log, which nobody signs. */
export function createGroup(
  proposed: Group,
  groupPublicKey: Uint8Array,
  context: EngineContext,
): Created | Refused {
  return refusable(() => {
    demandNew(proposed, context)
    allow(sameBytes(proposed.publicKey, groupPublicKey))
    const all = proposed.members.map((member) => members.provenMember(context, member, 0))
    const creator = all.find(({ userId }) => isAuthor(context.author, userId))
    demand(creator !== undefined && creator.role === Role.ADMINISTRATOR)
    const sourceUserId = creator.userId
    const invited = proposed.membersPendingProfileKey.map((one) =>
      invitations.invitationBy(sourceUserId, context.nowMs, 0, one),
    )
    // Lists by user would hide a duplicate: the final state is judged by the lists themselves.
    const group = { ...new Draft(proposed).toGroup(0), members: all, membersPendingProfileKey: invited }
    demandFinalState(group, context.limits)
    return { kind: 'created', group, firstLog: { ...NO_ACTIONS, sourceUserId } }
  })
}
