// Where clients put presentations of profile keys.
import type { Actions, Group } from './messages.ts'

type Shows = { readonly presentation: Uint8Array } | null

const presented = (all: readonly Shows[]): Uint8Array[] =>
  all.flatMap((one) => (one && one.presentation.length > 0 ? [one.presentation] : []))

export const presentationsOfGroup = ({ members }: Group): Uint8Array[] => presented(members)

export const presentationsOfChange = (actions: Actions): Uint8Array[] =>
  presented([
    ...actions.addMembers.map(({ added }) => added),
    ...actions.modifyMemberProfileKeys,
    ...actions.promoteMembersPendingProfileKey,
    ...actions.addMembersPendingAdminApproval.map(({ added }) => added),
    ...actions.promoteMembersPendingPniAciProfileKey,
  ])
