// A group is stored, judged, signed and told as the message that it is, so its rules read the contract's own shapes: by here.
export {
  type AccessControl,
  AccessControl_AccessRequired as Access,
  Group,
  GroupChange,
  GroupChange_Actions as Actions,
  type GroupJoinInfo,
  type Member,
  Member_Role as Role,
  type MemberBanned,
  type MemberPendingAdminApproval,
  type MemberPendingProfileKey,
} from '../../../wire/gen/groups.js'
