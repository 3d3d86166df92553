import assert from 'node:assert/strict'
import { test } from 'node:test'
import { people, person, presentationOf, profileKeyOf } from '../../../test/groups/people.ts'
import {
  bytes,
  create,
  createdGroup,
  GROUP_ID,
  LIMITS,
  NOW_MS,
  newGroup,
  newInvitation,
  newMember,
  PASSWORD,
  PUBLIC_KEY,
  statusOf,
} from '../../../test/groups/sample-group.ts'
import type { GroupInit } from '../../../wire/gen/groups.js'
import { Access, Role } from './messages.ts'

const [ada, boris, clara] = [person(1), person(2), person(3)]

test('a new group has the ids and profile keys that were shown, and its first log names the creator', () => {
  const outcome = create(
    ada,
    newGroup([ada, boris], { membersPendingProfileKey: [newInvitation(clara.pni)] }),
  )
  assert.equal(outcome.kind, 'created')
  const { group, firstLog } = outcome
  assert.deepEqual(
    group.members.map(({ userId, profileKey, role, presentation, joinedAtVersion }) => ({
      userId,
      profileKey,
      role,
      shown: presentation.length,
      joinedAtVersion,
    })),
    [
      { userId: ada.aci, profileKey: ada.profileKey, role: Role.ADMINISTRATOR, shown: 0, joinedAtVersion: 0 },
      { userId: boris.aci, profileKey: boris.profileKey, role: Role.DEFAULT, shown: 0, joinedAtVersion: 0 },
    ],
  )
  assert.deepEqual(group.membersPendingProfileKey[0]?.addedByUserId, ada.aci)
  assert.equal(group.membersPendingProfileKey[0]?.timestamp, NOW_MS)
  const invited = group.membersPendingProfileKey[0]?.member
  assert.deepEqual([invited?.userId, invited?.joinedAtVersion], [clara.pni, 0])
  assert.deepEqual(
    [firstLog.version, firstLog.sourceUserId, firstLog.groupId.length, firstLog.addMembers.length],
    [0, ada.aci, 0, 0],
  )
})

test('what the server says better is not taken from the creator', () => {
  const invitation = { ...newInvitation(clara.aci), addedByUserId: boris.aci, timestamp: 1 }
  const members = [{ ...newMember(ada, Role.ADMINISTRATOR), joinedAtVersion: 7, userId: ada.aci }]
  const group = createdGroup(ada, newGroup([ada], { members, membersPendingProfileKey: [invitation] }))
  assert.equal(group.members[0]?.joinedAtVersion, 0)
  assert.deepEqual(group.membersPendingProfileKey[0]?.addedByUserId, ada.aci)
  assert.equal(group.membersPendingProfileKey[0]?.timestamp, NOW_MS)
})

const avatar = (folder: Uint8Array, name = Buffer.alloc(16, 3).toString('base64url')) =>
  `groups/${Buffer.from(folder).toString('base64url')}/${name}`
const access = (levels: NonNullable<GroupInit['accessControl']>) => ({
  accessControl: { ...newGroup([ada]).accessControl, ...levels },
})
const withMember = (more: object) => ({
  members: [newMember(ada, Role.ADMINISTRATOR), { ...newMember(boris), ...more }],
})
const invited = (more: object) => ({ membersPendingProfileKey: [{ member: { ...more } }] })
const INVITED = { userId: clara.aci, role: Role.DEFAULT }

const TAKEN: Readonly<Record<string, GroupInit>> = {
  'an avatar of its own': { avatarUrl: avatar(GROUP_ID) },
  'a title as long as may be': { title: new Uint8Array(LIMITS.maxTitleBytes) },
  'a description as long as may be': { description: new Uint8Array(LIMITS.maxDescriptionBytes) },
  'a link, and its password': {
    ...access({ addFromInviteLink: Access.ANY }),
    inviteLinkPassword: PASSWORD,
  },
  'a level for labels': access({ memberLabel: Access.ADMINISTRATOR }),
  'as many people as may be': {
    members: people(LIMITS.maxGroupSize - 1).map((one) => newMember(one, Role.ADMINISTRATOR)),
    membersPendingProfileKey: [newInvitation(person(99).aci)],
  },
}

const REFUSED: Readonly<Record<string, GroupInit>> = {
  'a version': { version: 1 },
  'no public key': { publicKey: null },
  'no title': { title: null },
  'too long a title': { title: new Uint8Array(LIMITS.maxTitleBytes + 1) },
  'too long a description': { description: new Uint8Array(LIMITS.maxDescriptionBytes + 1) },
  'too long a timer': { disappearingMessagesTimer: new Uint8Array(257) },
  'no access levels': { accessControl: null },
  'no level for attributes': access({ attributes: Access.UNKNOWN }),
  'no level for members': access({ members: Access.UNKNOWN }),
  'attributes for anybody': access({ attributes: Access.ANY }),
  'members by anybody': access({ members: Access.ANY }),
  'attributes for nobody': access({ attributes: Access.UNSATISFIABLE }),
  'labels by anybody': access({ memberLabel: Access.ANY }),
  'a level that nobody knows': access({ attributes: 9 }),
  'a link by members': { ...access({ addFromInviteLink: Access.MEMBER }), inviteLinkPassword: PASSWORD },
  'a link without a password': access({ addFromInviteLink: Access.ANY }),
  'a short password': { inviteLinkPassword: PASSWORD.subarray(1) },
  'an avatar of another group': { avatarUrl: avatar(new Uint8Array(32)) },
  'an avatar with a folder in its name': { avatarUrl: `${avatar(GROUP_ID)}/x` },
  'an avatar with a short name': { avatarUrl: avatar(GROUP_ID, 'AAAA') },
  'an avatar anywhere else': { avatarUrl: 'https://example.org/a.png' },
  'nobody in it': { members: [] },
  'a creator who is no member': { members: [newMember(boris, Role.ADMINISTRATOR)] },
  'a creator who is no administrator': { members: [newMember(ada), newMember(boris, Role.ADMINISTRATOR)] },
  'a member without a role': withMember({ role: Role.UNKNOWN }),
  'a member with a role that nobody knows': withMember({ role: 3 }),
  'a member without a presentation': withMember({ presentation: null }),
  'a presentation that does not hold': withMember({ presentation: bytes('shows nothing') }),
  'another id than the shown one': withMember({ userId: clara.aci }),
  'another profile key than the shown one': withMember({ profileKey: profileKeyOf(boris.number, 2) }),
  'a label': withMember({ labelString: bytes('boss') }),
  'somebody twice': { members: [newMember(ada, Role.ADMINISTRATOR), newMember(boris), newMember(boris)] },
  'the creator twice': { members: [newMember(ada, Role.ADMINISTRATOR), newMember(ada)] },
  'a member who is invited as well': { membersPendingProfileKey: [newInvitation(ada.aci)] },
  'somebody invited twice': {
    membersPendingProfileKey: [newInvitation(clara.aci), newInvitation(clara.aci)],
  },
  'an invitation of nobody': { membersPendingProfileKey: [{ timestamp: 1 }] },
  'an invitation without an id': invited({ ...INVITED, userId: null }),
  'an invitation of no ciphertext': invited({ ...INVITED, userId: clara.aci.subarray(1) }),
  'an invitation without a role': invited({ ...INVITED, role: Role.UNKNOWN }),
  'an invitation with a presentation': invited({ ...INVITED, presentation: presentationOf(clara) }),
  'an invitation with a profile key': invited({ ...INVITED, profileKey: clara.profileKey }),
  'an invitation with a label': invited({ ...INVITED, labelEmoji: bytes('x'), labelString: bytes('x') }),
  'somebody who waits for approval': { membersPendingAdminApproval: [{ userId: clara.aci }] },
  'somebody who is banned': { membersBanned: [{ userId: clara.aci }] },
  'its end': { terminated: true },
  'too many people': {
    members: people(LIMITS.maxGroupSize).map((one) => newMember(one, Role.ADMINISTRATOR)),
    membersPendingProfileKey: [newInvitation(person(99).aci)],
  },
}

test('a group may be created with all that a client brings', () => {
  for (const [what, more] of Object.entries(TAKEN))
    assert.equal(statusOf(create(ada, newGroup([ada, boris], more))), 200, what)
})

test('a group that must not be is not created (400)', () => {
  for (const [what, more] of Object.entries(REFUSED))
    assert.equal(statusOf(create(ada, newGroup([ada, boris], more))), 400, what)
})

test("a group is created under its creator's own key only (403)", () => {
  const publicKey = Uint8Array.from(PUBLIC_KEY).fill(8, 96)
  assert.equal(statusOf(create(ada, newGroup([ada], { publicKey }))), 403)
})

test('a group that is too big is refused before anybody has looked at a presentation', () => {
  let looked = 0
  const show = () => {
    looked += 1
    return undefined
  }
  const members = people(LIMITS.maxGroupSize + 1).map((one) => newMember(one, Role.ADMINISTRATOR))
  assert.equal(statusOf(create(ada, newGroup([ada], { members }), { show })), 400)
  assert.equal(looked, 0)
})
