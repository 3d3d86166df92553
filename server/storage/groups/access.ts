// Who may do what from now on: administrators decide.

import type { Step } from './change.ts'
import { Access } from './messages.ts'
import { allow, demand } from './refused.ts'

const OF_MEMBERS: readonly number[] = [Access.MEMBER, Access.ADMINISTRATOR]
const OF_THE_LINK: readonly number[] = [Access.ANY, Access.ADMINISTRATOR, Access.UNSATISFIABLE]

export const modifyAttributesAccess: Step = ({ standing, draft }, { modifyAttributesAccess: action }) => {
  if (action === null) return {}
  allow(standing.isAdministrator)
  demand(OF_MEMBERS.includes(action.attributesAccess))
  draft.setAccess({ attributes: action.attributesAccess })
  return { modifyAttributesAccess: { attributesAccess: action.attributesAccess } }
}

export const modifyMembersAccess: Step = ({ standing, draft }, { modifyMemberAccess: action }) => {
  if (action === null) return {}
  allow(standing.isAdministrator)
  demand(OF_MEMBERS.includes(action.membersAccess))
  draft.setAccess({ members: action.membersAccess })
  return { modifyMemberAccess: { membersAccess: action.membersAccess } }
}

export const modifyLinkAccess: Step = ({ standing, draft }, { modifyAddFromInviteLinkAccess: action }) => {
  if (action === null) return {}
  allow(standing.isAdministrator)
  demand(OF_THE_LINK.includes(action.addFromInviteLinkAccess))
  draft.setAccess({ addFromInviteLink: action.addFromInviteLinkAccess })
  return { modifyAddFromInviteLinkAccess: { addFromInviteLinkAccess: action.addFromInviteLinkAccess } }
}

export const modifyLabelAccess: Step = ({ standing, draft }, { modifyMemberLabelAccess: action }) => {
  if (action === null) return {}
  allow(standing.isAdministrator)
  demand(OF_MEMBERS.includes(action.memberLabelAccess))
  draft.setAccess({ memberLabel: action.memberLabelAccess })
  return { modifyMemberLabelAccess: { memberLabelAccess: action.memberLabelAccess } }
}

export const modifyLinkPassword: Step = ({ standing, draft }, { modifyInviteLinkPassword: action }) => {
  if (action === null) return {}
  allow(standing.isAdministrator)
  draft.inviteLinkPassword = action.inviteLinkPassword
  return { modifyInviteLinkPassword: { inviteLinkPassword: action.inviteLinkPassword } }
}
