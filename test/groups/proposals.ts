// What people might ask of a group, sensible or not, from a few numbers.
import fc from 'fast-check'
import {
  type GroupChange_ActionsInit as ActionsInit,
  type Group,
  Member_Role as Role,
} from '../../wire/gen/groups.js'
import { type Person, people, presentationOf } from './people.ts'
import { bytes, GROUP_ID } from './sample-group.ts'

export const CAST = people(8)

/** Somebody does some things, to these, in this variety. */
export type Plan = {
  readonly actor: number
  readonly password: number
  readonly doings: readonly { readonly kind: number; readonly target: number; readonly variety: number }[]
}

type Asked = {
  readonly group: Group
  readonly who: Person
  readonly target: number
  readonly variety: number
}

const AVATAR = `groups/${Buffer.from(GROUP_ID).toString('base64url')}/${Buffer.alloc(16).toString('base64url')}`

const anybody = ({ target }: Asked): Person => CAST[target % CAST.length]!
/** Mostly the one who acts. */
const self = (asked: Asked): Person => (asked.variety % 8 === 0 ? anybody(asked) : asked.who)
const role = ({ variety }: Asked): number => [1, 1, 1, 2, 2, 0][variety % 6]!
const anyId = (asked: Asked) => (asked.variety % 2 === 0 ? anybody(asked).aci : anybody(asked).pni)

/** Mostly somebody who is in the list. */
function oneOf(asked: Asked, ids: readonly Uint8Array[]): Uint8Array {
  return asked.variety % 8 === 0 ? anyId(asked) : (ids[asked.target % ids.length] ?? anyId(asked))
}

const members = ({ group }: Asked) => group.members.map(({ userId }) => userId)
const invited = ({ group }: Asked) => group.membersPendingProfileKey.map(({ member }) => member!.userId)
const requesting = ({ group }: Asked) => group.membersPendingAdminApproval.map(({ userId }) => userId)
const banned = ({ group }: Asked) => group.membersBanned.map(({ userId }) => userId)
const level = ({ target }: Asked) => target % 5

/** Now and then something that only the server may say. */
const forged = <T>({ variety }: Asked, fields: T): T | Record<string, never> =>
  variety % 16 === 5 ? fields : {}

const KINDS: readonly ((asked: Asked) => ActionsInit)[] = [
  (asked) => {
    const [who, one] = [asked.variety % 3 === 0 ? anybody(asked) : self(asked), role(asked)]
    const added = { role: one, presentation: presentationOf(who), ...forged(asked, { userId: anyId(asked) }) }
    return { addMembers: [{ added, ...forged(asked, { joinFromInviteLink: true }) }] }
  },
  (asked) => ({
    addMembers: [{ added: { role: role(asked), presentation: presentationOf(anybody(asked)) } }],
  }),
  (asked) => ({ deleteMembers: [{ deletedUserId: oneOf(asked, members(asked)) }] }),
  (asked) => ({ deleteMembers: [{ deletedUserId: self(asked).aci }] }),
  (asked) => ({ modifyMemberRoles: [{ userId: oneOf(asked, members(asked)), role: role(asked) }] }),
  (asked) => ({
    modifyMemberLabels: [{ userId: oneOf(asked, members(asked)), labelString: bytes(`${asked.variety}`) }],
  }),
  (asked) => ({ modifyMemberLabels: [{ userId: self(asked).aci, labelString: bytes(`${asked.variety}`) }] }),
  (asked) => ({
    modifyMemberProfileKeys: [
      {
        presentation: presentationOf(self(asked), 1 + (asked.variety % 3)),
        ...forged(asked, { profileKey: bytes('forged') }),
      },
    ],
  }),
  (asked) => ({
    addMembersPendingProfileKey: [
      {
        added: {
          member: { userId: anyId(asked), role: role(asked) },
          ...forged(asked, { addedByUserId: anyId(asked), timestamp: 1 }),
        },
      },
    ],
  }),
  (asked) => ({ deleteMembersPendingProfileKey: [{ deletedUserId: oneOf(asked, invited(asked)) }] }),
  (asked) => ({ promoteMembersPendingProfileKey: [{ presentation: presentationOf(self(asked)) }] }),
  (asked) => ({ promoteMembersPendingPniAciProfileKey: [{ presentation: presentationOf(self(asked)) }] }),
  (asked) => ({
    addMembersPendingAdminApproval: [
      { added: { presentation: presentationOf(self(asked)), ...forged(asked, { timestamp: 1 }) } },
    ],
  }),
  (asked) => ({ deleteMembersPendingAdminApproval: [{ deletedUserId: oneOf(asked, requesting(asked)) }] }),
  (asked) => ({
    promoteMembersPendingAdminApproval: [{ userId: oneOf(asked, requesting(asked)), role: role(asked) }],
  }),
  (asked) => ({
    addMembersBanned: [{ added: { userId: anyId(asked), ...forged(asked, { timestamp: 1 }) } }],
  }),
  (asked) => {
    const userId = oneOf(asked, members(asked))
    return { deleteMembers: [{ deletedUserId: userId }], addMembersBanned: [{ added: { userId } }] }
  },
  (asked) => ({ deleteMembersBanned: [{ deletedUserId: oneOf(asked, banned(asked)) }] }),
  ({ variety }) => ({ modifyTitle: { title: bytes(`${variety}`.repeat(variety % 60)) } }),
  ({ variety }) => ({ modifyDescription: { description: bytes(`${variety}`) } }),
  ({ variety }) => ({ modifyAvatar: { avatar: ['', AVATAR, 'elsewhere'][variety % 3]! } }),
  ({ variety }) => ({ modifyDisappearingMessageTimer: { timer: bytes(`${variety}`) } }),
  (asked) => ({ modifyAttributesAccess: { attributesAccess: level(asked) } }),
  (asked) => ({ modifyMemberAccess: { membersAccess: level(asked) } }),
  (asked) => ({
    modifyAddFromInviteLinkAccess: { addFromInviteLinkAccess: level(asked) },
    ...(asked.variety % 2 === 0 && { modifyInviteLinkPassword: { inviteLinkPassword: passwordOf(asked) } }),
  }),
  (asked) => ({ modifyMemberLabelAccess: { memberLabelAccess: level(asked) } }),
  (asked) => ({ modifyInviteLinkPassword: { inviteLinkPassword: passwordOf(asked) } }),
  ({ variety }) => ({ modifyAnnouncementsOnly: { announcementsOnly: variety % 2 === 0 } }),
  ({ variety }) => (variety % 4 === 0 ? { terminateGroup: {} } : {}),
]

const passwordOf = ({ variety }: Asked) => new Uint8Array([16, 16, 16, 0, 15][variety % 5]!).fill(variety)

const doing = fc.record({ kind: fc.nat(KINDS.length - 1), target: fc.nat(1000), variety: fc.nat(239) })

/** Mostly one thing at a time, which is taken more often. */
export const plans: fc.Arbitrary<Plan> = fc.record({
  actor: fc.nat(23),
  password: fc.nat(3),
  doings: fc.oneof(
    { arbitrary: fc.tuple(doing), weight: 3 },
    { arbitrary: fc.array(doing, { minLength: 2, maxLength: 3 }), weight: 1 },
  ),
})

const isAmong = (ids: readonly Uint8Array[], { aci, pni }: Person): boolean =>
  ids.some((id) => Buffer.compare(id, aci) === 0 || Buffer.compare(id, pni) === 0)

/** A third of the time an administrator, a third of it somebody who waits, if there is one. */
export function actorOf(group: Group, { actor }: Plan): Person {
  const administrators = group.members.filter(({ role }) => role === Role.ADMINISTRATOR)
  const waiting = [
    ...group.membersPendingProfileKey.map(({ member }) => member!),
    ...group.membersPendingAdminApproval,
  ]
  const preferred = [[], administrators, waiting][Math.floor(actor / CAST.length)]!
  const among = CAST.filter((one) =>
    isAmong(
      preferred.map(({ userId }) => userId),
      one,
    ),
  )
  return among[actor % among.length] ?? CAST[actor % CAST.length]!
}

/** All doings in one proposal: what names several people gathers, what is one is the last one's. */
export function proposalOf(group: Group, who: Person, { doings }: Plan): ActionsInit {
  const all = doings.map(({ kind, target, variety }) => KINDS[kind]!({ group, who, target, variety }))
  const merged: Record<string, unknown> = {}
  for (const [name, value] of all.flatMap((one) => Object.entries(one)))
    merged[name] = Array.isArray(value) ? [...((merged[name] as unknown[]) ?? []), ...value] : value
  return merged as ActionsInit
}
