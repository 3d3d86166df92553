// A group with somebody in every standing.
import {
  AccessControl_AccessRequired as Access,
  type AccessControlInit,
  type Group,
  type GroupInit,
  Member_Role as Role,
} from '../../wire/gen/groups.js'
import { type Person, person } from './people.ts'
import { bytes, decodedGroup, NOW_MS, PASSWORD, PUBLIC_KEY } from './sample-group.ts'

const memberOf = ({ aci, profileKey }: Person, role: number, joinedAtVersion = 0) => ({
  userId: aci,
  profileKey,
  role,
  joinedAtVersion,
})

/** Each stands in the group as the name says. */
export const VILLAGERS = {
  outsider: person(1),
  banned: person(2),
  invited: person(3),
  invitedByPni: person(4),
  requesting: person(5),
  member: person(6),
  administrator: person(7),
} as const

export type Standing = keyof typeof VILLAGERS
export const STANDINGS = Object.keys(VILLAGERS) as Standing[]

/** Whom others do something to: nobody of them acts. */
export const OTHER = {
  member: person(11),
  invited: person(12),
  requesting: person(13),
  administrator: person(14),
  stranger: person(15),
} as const

const invitation = (userId: Uint8Array) => ({
  member: { userId, role: Role.DEFAULT, joinedAtVersion: 3 },
  addedByUserId: OTHER.administrator.aci,
  timestamp: NOW_MS - 1,
})

const request = ({ aci, profileKey }: Person) => ({ userId: aci, profileKey, timestamp: NOW_MS - 2 })

export const village = (access: AccessControlInit = {}, more: GroupInit = {}): Group =>
  decodedGroup({
    publicKey: PUBLIC_KEY,
    title: bytes('village'),
    accessControl: {
      attributes: Access.MEMBER,
      members: Access.MEMBER,
      addFromInviteLink: Access.UNSATISFIABLE,
      ...access,
    },
    version: 5,
    inviteLinkPassword: PASSWORD,
    members: [
      memberOf(VILLAGERS.member, Role.DEFAULT, 2),
      memberOf(OTHER.member, Role.DEFAULT),
      memberOf(VILLAGERS.administrator, Role.ADMINISTRATOR, 1),
      memberOf(OTHER.administrator, Role.ADMINISTRATOR),
    ],
    membersPendingProfileKey: [
      invitation(VILLAGERS.invited.aci),
      invitation(VILLAGERS.invitedByPni.pni),
      invitation(OTHER.invited.aci),
    ],
    membersPendingAdminApproval: [request(VILLAGERS.requesting), request(OTHER.requesting)],
    membersBanned: [{ userId: VILLAGERS.banned.aci, timestamp: NOW_MS - 3 }],
    ...more,
  })
