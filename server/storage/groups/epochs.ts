// Which generation of clients knows an action: to an older one the state is told instead of the change.
import type { Actions } from './messages.ts'

type ActionName = Exclude<keyof Actions, 'sourceUserId' | 'groupId' | 'version'>

const EPOCHS: Readonly<Record<ActionName, number>> = {
  addMembers: 0,
  deleteMembers: 0,
  modifyMemberRoles: 0,
  modifyMemberProfileKeys: 0,
  addMembersPendingProfileKey: 0,
  deleteMembersPendingProfileKey: 0,
  promoteMembersPendingProfileKey: 0,
  modifyTitle: 0,
  modifyAvatar: 0,
  modifyDisappearingMessageTimer: 0,
  modifyAttributesAccess: 0,
  modifyMemberAccess: 0,
  modifyAddFromInviteLinkAccess: 1,
  addMembersPendingAdminApproval: 1,
  deleteMembersPendingAdminApproval: 1,
  promoteMembersPendingAdminApproval: 1,
  modifyInviteLinkPassword: 1,
  modifyDescription: 2,
  modifyAnnouncementsOnly: 3,
  addMembersBanned: 4,
  deleteMembersBanned: 4,
  promoteMembersPendingPniAciProfileKey: 5,
  modifyMemberLabels: 6,
  modifyMemberLabelAccess: 6,
  terminateGroup: 7,
}

const ACTION_NAMES = Object.keys(EPOCHS) as ActionName[]

function isUsed(action: Actions[ActionName]): boolean {
  return Array.isArray(action) ? action.length > 0 : action !== null
}

const usedIn = (actions: Actions): ActionName[] => ACTION_NAMES.filter((name) => isUsed(actions[name]))

export const changesNothing = (actions: Actions): boolean => usedIn(actions).length === 0

export const changeEpochOf = (actions: Actions): number =>
  Math.max(0, ...usedIn(actions).map((name) => EPOCHS[name]))
