// Judges a change by what it did: from the group before and after it and its author, never from what was asked.
import {
  AccessControl_AccessRequired as Access,
  type GroupChange_Actions as Actions,
  type Group,
  type Member,
  Member_Role as Role,
} from '../../wire/gen/groups.js'
import { applied } from './apply.ts'
import { type Person, person, profileKeyOf } from './people.ts'
import { digestOf, GROUP_ID, LIMITS, NOW_MS } from './sample-group.ts'

export type Deed = {
  readonly before: Group
  readonly after: Group
  readonly actions: Actions
  readonly changeEpoch: number
  readonly who: Person
  /** Whether the right password of the link came with it. */
  readonly knowsLink: boolean
}

const hex = (id: Uint8Array): string => Buffer.from(id).toString('hex')
const byId = <T>(list: readonly T[], idOf: (one: T) => Uint8Array) =>
  new Map(list.map((one) => [hex(idOf(one)), one]))

/** The group's lists, by user. */
function listsOf(group: Group) {
  return {
    members: byId(group.members, ({ userId }) => userId),
    invited: byId(group.membersPendingProfileKey, ({ member }) => member!.userId),
    requesting: byId(group.membersPendingAdminApproval, ({ userId }) => userId),
    banned: byId(group.membersBanned, ({ userId }) => userId),
  }
}

const isAdministrator = (member: Member | undefined) => member?.role === Role.ADMINISTRATOR
const keysNotIn = <T>(from: Map<string, T>, other: Map<string, T>) =>
  [...from].filter(([key]) => !other.has(key))

/** What the author was, and what the group allowed, before. */
function rightsOf({ before, who, knowsLink }: Deed) {
  const lists = listsOf(before)
  const me = lists.members.get(hex(who.aci))
  const level = before.accessControl!
  const ifMembersMay = (required: number) =>
    isAdministrator(me) || (me !== undefined && required === Access.MEMBER)
  return {
    me,
    administrator: isAdministrator(me),
    attributes: ifMembersMay(level.attributes),
    members: ifMembersMay(level.members),
    labels: isAdministrator(me) || (me !== undefined && level.memberLabel !== Access.ADMINISTRATOR),
    banned: lists.banned.has(hex(who.aci)) || lists.banned.has(hex(who.pni)),
    link: (required: number) => knowsLink && level.addFromInviteLink === required,
  }
}

type Breach = string | false

/** Somebody may leave and accept an invitation in one change, and is new then. */
const stayed = (then: Member | undefined, now: Member) => then?.joinedAtVersion === now.joinedAtVersion

function judgeNewMembers(deed: Deed): Breach[] {
  const [before, after, rights] = [listsOf(deed.before), listsOf(deed.after), rightsOf(deed)]
  const nobodyRules = ![...before.members.values()].some(
    (member) => isAdministrator(member) && after.members.has(hex(member.userId)),
  )
  const came = [...after.members].filter(([key, now]) => !stayed(before.members.get(key), now))
  return came.flatMap(([key, member]) => {
    const isMe = key === hex(deed.who.aci)
    const invitations = isMe
      ? [deed.who.aci, deed.who.pni].flatMap((id) => before.invited.get(hex(id)) ?? [])
      : []
    const byLink = isMe && !rights.banned && rights.link(Access.ANY)
    const byApproval = rights.administrator && before.requesting.has(key)
    const byInvitation = invitations.length > 0
    const warranted = rights.members || byLink || byApproval || byInvitation
    const invitedToRule = invitations.some((one) => isAdministrator(one.member!))
    const roleWarranted = rights.administrator || nobodyRules || invitedToRule
    const number = new DataView(member.userId.buffer, member.userId.byteOffset).getUint16(1)
    return [
      !warranted && 'a member came in by no right',
      isAdministrator(member) && !roleWarranted && 'an administrator came in by no right',
      member.joinedAtVersion !== deed.after.version && 'a member joined at another version',
      hex(member.userId) !== hex(person(number).aci) && 'a member is no ACI',
      member.profileKey.length === 0 && 'a member without a profile key',
      member.presentation.length > 0 && 'a presentation is kept',
    ]
  })
}

function judgeStayers(deed: Deed): Breach[] {
  const [before, after, rights] = [listsOf(deed.before), listsOf(deed.after), rightsOf(deed)]
  const nobodyRules = ![...before.members.values()].some(
    (member) =>
      isAdministrator(member) &&
      isAdministrator(after.members.get(hex(member.userId))) &&
      member !== rights.me,
  )
  return [...after.members].flatMap(([key, now]) => {
    const then = before.members.get(key)
    if (!then || !stayed(then, now)) return []
    const isMe = key === hex(deed.who.aci)
    const relabelled =
      hex(then.labelEmoji) !== hex(now.labelEmoji) || hex(then.labelString) !== hex(now.labelString)
    const newKey = hex(then.profileKey) !== hex(now.profileKey)
    return [
      then.role !== now.role && !rights.administrator && !nobodyRules && 'a role changed by no right',
      newKey && !isMe && "somebody else's profile key changed",
      newKey &&
        ![1, 2, 3].some(
          (generation) => hex(profileKeyOf(deed.who.number, generation)) === hex(now.profileKey),
        ) &&
        'a profile key that was not shown',
      relabelled && !rights.administrator && !(isMe && rights.labels) && 'a label changed by no right',
    ]
  })
}

function judgeLeavers(deed: Deed): Breach[] {
  const [before, after, { administrator }] = [listsOf(deed.before), listsOf(deed.after), rightsOf(deed)]
  const own = [hex(deed.who.aci), hex(deed.who.pni)]
  const gone = [
    ...keysNotIn(before.members, after.members),
    ...keysNotIn(before.invited, after.invited).filter(([key]) => !after.members.has(key)),
    ...keysNotIn(before.requesting, after.requesting).filter(([key]) => !after.members.has(key)),
  ]
  return gone.map(([key]) => !administrator && !own.includes(key) && 'somebody was taken out by no right')
}

function judgeWaiting(deed: Deed): Breach[] {
  const [before, after, rights] = [listsOf(deed.before), listsOf(deed.after), rightsOf(deed)]
  const invitations = keysNotIn(after.invited, before.invited).flatMap(
    ([, { member, addedByUserId, timestamp }]) => [
      !rights.members && 'an invitation by no right',
      isAdministrator(member!) && !rights.administrator && 'an administrator was invited by no right',
      hex(addedByUserId) !== hex(deed.who.aci) && 'an invitation by somebody else',
      timestamp !== NOW_MS && 'an invitation at another time',
    ],
  )
  const requests = keysNotIn(after.requesting, before.requesting).flatMap(
    ([key, { timestamp, presentation }]) => [
      (rights.banned || !rights.link(Access.ADMINISTRATOR)) && 'a request by no right',
      key !== hex(deed.who.aci) && 'a request for somebody else',
      timestamp !== NOW_MS && 'a request at another time',
      presentation.length > 0 && 'a presentation is kept',
    ],
  )
  const bans = keysNotIn(after.banned, before.banned).flatMap(([, { timestamp }]) => [
    !rights.administrator && 'a ban by no right',
    timestamp !== NOW_MS && 'a ban at another time',
  ])
  const pardons = keysNotIn(before.banned, after.banned).map(
    () => !rights.members && 'a ban ended by no right',
  )
  return [...invitations, ...requests, ...bans, ...pardons]
}

function judgeAttributes(deed: Deed): Breach[] {
  const { before, after } = deed
  const rights = rightsOf(deed)
  const differ = (pick: (group: Group) => unknown) => String(pick(before)) !== String(pick(after))
  const attributes = differ(({ title, description, avatarUrl, disappearingMessagesTimer }) =>
    [title, description, disappearingMessagesTimer].map(hex).concat(avatarUrl),
  )
  const ruling = differ(({ accessControl: access, inviteLinkPassword, announcementsOnly, terminated }) => [
    [access!.attributes, access!.members, access!.addFromInviteLink, access!.memberLabel],
    hex(inviteLinkPassword),
    announcementsOnly,
    terminated,
  ])
  return [
    attributes && !rights.attributes && 'an attribute changed by no right',
    ruling && !rights.administrator && 'who may do what changed by no right',
    differ(({ publicKey }) => hex(publicKey)) && 'the group has another key',
    before.terminated && 'a terminated group changed',
    after.version !== before.version + 1 && 'the version did not rise by one',
  ]
}

function judgeState({ after }: Deed): Breach[] {
  const { members, membersPendingProfileKey, membersPendingAdminApproval, membersBanned } = after
  const invited = membersPendingProfileKey.map(({ member }) => member!)
  const everybody = [...members, ...invited, ...membersPendingAdminApproval, ...membersBanned]
  const open = [Access.ANY, Access.ADMINISTRATOR].includes(after.accessControl!.addFromInviteLink as 1 | 3)
  return [
    new Set(everybody.map(({ userId }) => hex(userId))).size !== everybody.length &&
      'somebody is there twice',
    members.length > 0 && !members.some(isAdministrator) && 'nobody is administrator',
    members.length + invited.length > LIMITS.maxGroupSize && 'too many people',
    membersBanned.length > LIMITS.maxGroupSize && 'too many bans',
    membersPendingAdminApproval.length > LIMITS.maxGroupSize && 'too many requests',
    after.title.length === 0 && 'no title',
    open && after.inviteLinkPassword.length !== 16 && 'a link without a password',
    [...members, ...invited].some(({ role }) => role !== 1 && role !== 2) && 'a role that nobody knows',
  ]
}

/** The names of the actions, by the epoch that they came with; the others are of the first. */
const LATER: readonly (readonly (keyof Actions)[])[] = [
  [],
  [
    'modifyAddFromInviteLinkAccess',
    'addMembersPendingAdminApproval',
    'deleteMembersPendingAdminApproval',
    'promoteMembersPendingAdminApproval',
    'modifyInviteLinkPassword',
  ],
  ['modifyDescription'],
  ['modifyAnnouncementsOnly'],
  ['addMembersBanned', 'deleteMembersBanned'],
  ['promoteMembersPendingPniAciProfileKey'],
  ['modifyMemberLabels', 'modifyMemberLabelAccess'],
  ['terminateGroup'],
]

const isUsed = (action: unknown) => (Array.isArray(action) ? action.length > 0 : action !== null)

function judgeSigned({ before, after, actions, changeEpoch, who }: Deed): Breach[] {
  const epoch = LATER.findLastIndex((names) => names.some((name) => isUsed(actions[name])))
  const shown = [
    ...actions.addMembers.map(({ added }) => added!.presentation),
    ...actions.modifyMemberProfileKeys.map(({ presentation }) => presentation),
    ...actions.promoteMembersPendingProfileKey.map(({ presentation }) => presentation),
    ...actions.promoteMembersPendingPniAciProfileKey.map(({ presentation }) => presentation),
    ...actions.addMembersPendingAdminApproval.map(({ added }) => added!.presentation),
  ]
  return [
    digestOf(applied(before, actions)) !== digestOf(after) && 'a client comes to another group',
    ![who.aci, who.pni].some((id) => hex(id) === hex(actions.sourceUserId)) && 'somebody else did it',
    hex(actions.groupId) !== hex(GROUP_ID) && 'it is of another group',
    actions.version !== after.version && 'it is of another version',
    changeEpoch !== Math.max(0, epoch) && 'it is of another epoch',
    shown.some(({ length }) => length > 0) && 'a presentation is signed',
  ]
}

/** The sentences of what must not have been; none if all is well. */
export const breachesOf = (deed: Deed): string[] =>
  [judgeNewMembers, judgeStayers, judgeLeavers, judgeWaiting, judgeAttributes, judgeState, judgeSigned]
    .flatMap((judge) => judge(deed))
    .filter((breach) => breach !== false)
