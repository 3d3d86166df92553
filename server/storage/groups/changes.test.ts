// What a change must be like, what the server makes of it, and by whom and how new it is said to be.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { applied } from '../../../test/groups/apply.ts'
import { people, person, presentationOf, profileKeyOf } from '../../../test/groups/people.ts'
import {
  bytes,
  change,
  changed,
  digestOf,
  GROUP_ID,
  LIMITS,
  NOW_MS,
  newInvitation,
  newMember,
  PASSWORD,
  statusOf,
} from '../../../test/groups/sample-group.ts'
import { OTHER, VILLAGERS, village } from '../../../test/groups/village.ts'
import type { GroupChange_ActionsInit as ActionsInit, Group } from '../../../wire/gen/groups.js'
import { Access, Role } from './messages.ts'

const { outsider, banned, invited, invitedByPni, requesting, member, administrator } = VILLAGERS
const { stranger } = OTHER
const withLink = { inviteLinkPassword: PASSWORD }
const openVillage = () => village({ addFromInviteLink: Access.ANY })
const closedVillage = () => village({ addFromInviteLink: Access.ADMINISTRATOR })

const idOf = ({ aci: userId }: { aci: Uint8Array }) => ({ userId })
const deletion = ({ aci: deletedUserId }: { aci: Uint8Array }) => ({ deletedUserId })
const memberIn = (group: Group, { aci }: { aci: Uint8Array }) =>
  group.members.find(({ userId }) => Buffer.compare(userId, aci) === 0)

const BAD: Readonly<Record<string, ActionsInit>> = {
  'the version that is': { version: 5, modifyTitle: { title: bytes('x') } },
  'a version too far': { version: 7, modifyTitle: { title: bytes('x') } },
  'a group id': { groupId: GROUP_ID, modifyTitle: { title: bytes('x') } },
  'a member without a presentation': { addMembers: [{ added: { role: Role.DEFAULT } }] },
  'an addition of nobody': { addMembers: [{}] },
  'how a member came in': { addMembers: [{ added: newMember(stranger), joinFromInviteLink: true }] },
  'another id than the shown one': {
    addMembers: [{ added: { ...newMember(stranger), userId: outsider.aci } }],
  },
  'another profile key than the shown one': {
    addMembers: [{ added: { ...newMember(stranger), profileKey: profileKeyOf(1, 1) } }],
  },
  'a new member with a label': {
    addMembers: [{ added: { ...newMember(stranger), labelString: bytes('x') } }],
  },
  'a new member without a role': { addMembers: [{ added: newMember(stranger, Role.UNKNOWN) }] },
  'a new member with a role that nobody knows': { addMembers: [{ added: newMember(stranger, 3) }] },
  'a new member twice': { addMembers: [{ added: newMember(stranger) }, { added: newMember(stranger) }] },
  'somebody who is banned': { addMembers: [{ added: newMember(banned) }] },
  'more members than may be': { addMembers: people(14, 40).map((one) => ({ added: newMember(one) })) },
  'the removal of somebody who is no member': { deleteMembers: [deletion(stranger)] },
  'a removal twice': { deleteMembers: [deletion(member), deletion(member)] },
  'a role for somebody who is no member': { modifyMemberRoles: [{ ...idOf(invited), role: Role.DEFAULT }] },
  'no role': { modifyMemberRoles: [{ ...idOf(member), role: Role.UNKNOWN }] },
  'a role that nobody knows': { modifyMemberRoles: [{ ...idOf(member), role: 3 }] },
  'two roles': {
    modifyMemberRoles: [
      { ...idOf(member), role: Role.ADMINISTRATOR },
      { ...idOf(member), role: Role.DEFAULT },
    ],
  },
  'whose profile key is new': {
    modifyMemberProfileKeys: [{ presentation: presentationOf(administrator, 2), ...idOf(administrator) }],
  },
  'which profile key is new': {
    modifyMemberProfileKeys: [
      { presentation: presentationOf(administrator, 2), profileKey: profileKeyOf(administrator.number, 2) },
    ],
  },
  'two new profile keys': {
    modifyMemberProfileKeys: [
      { presentation: presentationOf(administrator, 2) },
      { presentation: presentationOf(administrator, 3) },
    ],
  },
  'a profile key that is not shown': { modifyMemberProfileKeys: [{ presentation: bytes('nothing') }] },
  'a profile key without a presentation': { modifyMemberProfileKeys: [{}] },
  'an invitation of nobody': { addMembersPendingProfileKey: [{}] },
  'an invitation of a member': { addMembersPendingProfileKey: [{ added: newInvitation(member.aci) }] },
  'an invitation of somebody invited': {
    addMembersPendingProfileKey: [{ added: newInvitation(invited.aci) }],
  },
  'an invitation of somebody who asks': {
    addMembersPendingProfileKey: [{ added: newInvitation(requesting.aci) }],
  },
  'an invitation of somebody banned': { addMembersPendingProfileKey: [{ added: newInvitation(banned.aci) }] },
  'two invitations of one': {
    addMembersPendingProfileKey: [
      { added: newInvitation(stranger.aci) },
      { added: newInvitation(stranger.aci) },
    ],
  },
  'an invitation of no ciphertext': {
    addMembersPendingProfileKey: [{ added: newInvitation(new Uint8Array(66)) }],
  },
  'an invitation with a profile key': {
    addMembersPendingProfileKey: [
      { added: { member: { ...idOf(stranger), role: 1, profileKey: bytes('k') } } },
    ],
  },
  'an invitation with a presentation': {
    addMembersPendingProfileKey: [
      { added: { member: { ...idOf(stranger), role: 1, presentation: presentationOf(stranger) } } },
    ],
  },
  'an invitation without a role': {
    addMembersPendingProfileKey: [{ added: newInvitation(stranger.aci, 0) }],
  },
  'an invitation taken back from somebody who has none': {
    deleteMembersPendingProfileKey: [deletion(member)],
  },
  'no title': { modifyTitle: {} },
  'too long a title': { modifyTitle: { title: new Uint8Array(LIMITS.maxTitleBytes + 1) } },
  'too long a description': {
    modifyDescription: { description: new Uint8Array(LIMITS.maxDescriptionBytes + 1) },
  },
  'too long a timer': { modifyDisappearingMessageTimer: { timer: new Uint8Array(257) } },
  'an avatar of another group': {
    modifyAvatar: { avatar: `groups/${Buffer.alloc(32).toString('base64url')}/AAAAAAAAAAAAAAAAAAAAAA` },
  },
  'attributes for anybody': { modifyAttributesAccess: { attributesAccess: Access.ANY } },
  'attributes for nobody knows whom': { modifyAttributesAccess: {} },
  'members by anybody': { modifyMemberAccess: { membersAccess: Access.ANY } },
  'members by nobody knows whom': { modifyMemberAccess: {} },
  'a link for members': { modifyAddFromInviteLinkAccess: { addFromInviteLinkAccess: Access.MEMBER } },
  'a link for nobody knows whom': { modifyAddFromInviteLinkAccess: {} },
  'labels by anybody': { modifyMemberLabelAccess: { memberLabelAccess: Access.ANY } },
  'labels by nobody knows whom': { modifyMemberLabelAccess: {} },
  'a request turned down that nobody made': { deleteMembersPendingAdminApproval: [deletion(stranger)] },
  'a request granted that nobody made': {
    promoteMembersPendingAdminApproval: [{ ...idOf(stranger), role: Role.DEFAULT }],
  },
  'a request granted twice': {
    promoteMembersPendingAdminApproval: [
      { ...idOf(requesting), role: Role.DEFAULT },
      { ...idOf(requesting), role: Role.DEFAULT },
    ],
  },
  'a request granted without a role': { promoteMembersPendingAdminApproval: [idOf(requesting)] },
  'a short password': { modifyInviteLinkPassword: { inviteLinkPassword: PASSWORD.subarray(1) } },
  'a ban of nobody': { addMembersBanned: [{}] },
  'a ban of no ciphertext': { addMembersBanned: [{ added: { userId: bytes('x') } }] },
  'a ban of somebody banned': { addMembersBanned: [{ added: idOf(banned) }] },
  'a ban of somebody who stays a member': { addMembersBanned: [{ added: idOf(member) }] },
  'a ban of somebody who stays invited': { addMembersBanned: [{ added: idOf(invited) }] },
  'two bans of one': { addMembersBanned: [{ added: idOf(stranger) }, { added: idOf(stranger) }] },
  'a ban given and taken back': {
    addMembersBanned: [{ added: idOf(banned) }],
    deleteMembersBanned: [deletion(banned)],
  },
  'a ban taken back that nobody gave': { deleteMembersBanned: [deletion(stranger)] },
  'more bans than may be': { addMembersBanned: people(20, 40).map((one) => ({ added: idOf(one) })) },
  'a label for somebody who is no member': {
    modifyMemberLabels: [{ ...idOf(invited), labelString: bytes('x') }],
  },
  'an emoji alone': { modifyMemberLabels: [{ ...idOf(member), labelEmoji: bytes('x') }] },
  'too long a label': { modifyMemberLabels: [{ ...idOf(member), labelString: new Uint8Array(513) }] },
  'two labels': {
    modifyMemberLabels: [
      { ...idOf(member), labelString: bytes('x') },
      { ...idOf(member), labelString: bytes('y') },
    ],
  },
}

test('C2: a change that makes no sense is refused even from an administrator, and leaves the group (400)', () => {
  const group = village()
  const before = digestOf(group)
  for (const [what, actions] of Object.entries(BAD)) {
    assert.equal(statusOf(change(group, administrator, actions)), 400, what)
    assert.equal(digestOf(group), before, what)
  }
})

test('one bad action among good ones refuses them all', () => {
  const group = village()
  for (const [what, actions] of Object.entries(BAD)) {
    const together = { modifyAnnouncementsOnly: { announcementsOnly: true }, ...actions }
    assert.equal(statusOf(change(group, administrator, together)), 400, what)
  }
})

test('a link without its password cannot be opened, and a password cannot go while the link is open', () => {
  const without = village({}, { inviteLinkPassword: null })
  const open = { modifyAddFromInviteLinkAccess: { addFromInviteLinkAccess: Access.ANY } }
  const forget = { modifyInviteLinkPassword: { inviteLinkPassword: null } }
  assert.equal(statusOf(change(without, administrator, open)), 400)
  assert.equal(statusOf(change(openVillage(), administrator, forget)), 400)
  assert.equal(statusOf(change(village(), administrator, forget)), 200)
  const both = { ...open, modifyInviteLinkPassword: { inviteLinkPassword: PASSWORD } }
  assert.equal(statusOf(change(without, administrator, both)), 200)
})

test('an empty password opens no group without a password', () => {
  const group = village({ addFromInviteLink: Access.ANY }, { inviteLinkPassword: null })
  const comesIn = { addMembers: [{ added: newMember(outsider) }] }
  for (const inviteLinkPassword of [undefined, new Uint8Array(0)])
    assert.equal(statusOf(change(group, outsider, comesIn, { inviteLinkPassword })), 403)
})

test('who is added has what was shown, and the server says how and when they came', () => {
  const claimed = { ...newMember(outsider), joinedAtVersion: 1, userId: outsider.aci }
  const byLink = changed(openVillage(), outsider, { addMembers: [{ added: claimed }] }, withLink)
  const byMember = changed(village(), member, { addMembers: [{ added: newMember(outsider) }] })
  for (const [{ actions, group }, joinFromInviteLink] of [
    [byLink, true],
    [byMember, false],
  ] as const) {
    assert.equal(actions.addMembers.length, 1)
    const { added, joinFromInviteLink: told } = actions.addMembers[0]!
    assert.equal(told, joinFromInviteLink)
    assert.deepEqual([added?.userId, added?.profileKey], [outsider.aci, outsider.profileKey])
    assert.deepEqual([added?.presentation.length, added?.joinedAtVersion], [0, 6])
    assert.equal(memberIn(group, outsider)?.joinedAtVersion, 6)
  }
})

test('somebody who was invited or asked waits no more once added', () => {
  const { group } = changed(village(), member, {
    addMembers: [{ added: newMember(invited) }, { added: newMember(requesting) }],
  })
  assert.equal(group.members.length, 6)
  assert.deepEqual([group.membersPendingProfileKey.length, group.membersPendingAdminApproval.length], [2, 1])
})

test('who is banned by either id comes in by no link, and asks for nothing', () => {
  const { author } = banned
  const byPni = { ...banned, author: { ...author, userId: stranger.aci, pniUserId: banned.aci } }
  for (const who of [banned, byPni]) {
    const comesIn = { addMembers: [{ added: newMember(who === banned ? banned : stranger) }] }
    assert.equal(statusOf(change(openVillage(), who, comesIn, withLink)), 403)
    const asks = { addMembersPendingAdminApproval: [{ added: { presentation: presentationOf(stranger) } }] }
    assert.equal(statusOf(change(closedVillage(), who, asks, withLink)), 403)
  }
})

test('a ban may be taken back and its user added in one change', () => {
  const actions = { deleteMembersBanned: [deletion(banned)], addMembers: [{ added: newMember(banned) }] }
  const { group } = changed(village(), member, actions)
  assert.equal(group.membersBanned.length, 0)
  assert.ok(memberIn(group, banned))
})

test('who is removed and banned in one change is banned since now', () => {
  const actions = {
    deleteMembers: [deletion(member)],
    addMembersBanned: [{ added: { ...idOf(member), timestamp: 1 } }],
  }
  const { group, actions: signed } = changed(village(), administrator, actions)
  assert.equal(memberIn(group, member), undefined)
  assert.deepEqual(
    group.membersBanned.map(({ timestamp }) => timestamp),
    [NOW_MS - 3, NOW_MS],
  )
  assert.equal(signed.addMembersBanned[0]?.added?.timestamp, NOW_MS)
})

test('an invitation names who invited and when, whatever the client says, and keeps its role', () => {
  const claimed = {
    ...newInvitation(stranger.aci, Role.ADMINISTRATOR),
    addedByUserId: member.aci,
    timestamp: 1,
  }
  const actions = { addMembersPendingProfileKey: [{ added: claimed }] }
  const { group, actions: signed } = changed(village(), administrator, actions)
  const { added } = signed.addMembersPendingProfileKey[0]!
  assert.deepEqual([added?.addedByUserId, added?.timestamp], [administrator.aci, NOW_MS])
  assert.equal(added?.member?.joinedAtVersion, 6)
  assert.equal(group.membersPendingProfileKey.length, 4)
  const accepts = { promoteMembersPendingProfileKey: [{ presentation: presentationOf(stranger) }] }
  const joined = memberIn(changed(group, stranger, accepts).group, stranger)
  assert.deepEqual([joined?.role, joined?.joinedAtVersion], [Role.ADMINISTRATOR, 7])
})

test('who accepts says nothing but a presentation (400), and a member has nothing to accept (403)', () => {
  const presentation = presentationOf(invited)
  const say = (more: object) => ({ promoteMembersPendingProfileKey: [{ presentation, ...more }] })
  assert.equal(statusOf(change(village(), invited, say({ userId: invited.aci }))), 400)
  assert.equal(statusOf(change(village(), invited, say({ profileKey: invited.profileKey }))), 400)
  assert.equal(statusOf(change(village(), invited, say({ presentation: bytes('no') }))), 400)
  assert.equal(statusOf(change(village(), invited, say({}))), 200)
  const byMember = { promoteMembersPendingProfileKey: [{ presentation: presentationOf(member) }] }
  assert.equal(statusOf(change(village(), member, byMember)), 403)
})

test('an invitation by PNI becomes a membership by ACI', () => {
  const presentation = presentationOf(invitedByPni)
  const say = (more: object) => ({ promoteMembersPendingPniAciProfileKey: [{ presentation, ...more }] })
  for (const more of [{ userId: invitedByPni.aci }, { profileKey: bytes('k') }, { pni: invitedByPni.pni }])
    assert.equal(statusOf(change(village(), invitedByPni, say(more))), 400)
  const { group, actions, changeEpoch } = changed(village(), invitedByPni, say({}))
  const { userId, pni, profileKey, presentation: kept } = actions.promoteMembersPendingPniAciProfileKey[0]!
  assert.deepEqual([userId, pni, profileKey], [invitedByPni.aci, invitedByPni.pni, invitedByPni.profileKey])
  assert.equal(kept.length, 0)
  assert.deepEqual(actions.sourceUserId, invitedByPni.pni)
  assert.equal(changeEpoch, 5)
  assert.ok(memberIn(group, invitedByPni))
  assert.equal(group.membersPendingProfileKey.length, 2)
  const nameless = { ...invitedByPni, author: { userId: invitedByPni.aci, pniUserId: undefined } }
  assert.equal(statusOf(change(village(), nameless, say({}))), 403)
})

test('who is invited by both ids accepts by PNI, and waits by neither', () => {
  const invite = { addMembersPendingProfileKey: [{ added: newInvitation(invitedByPni.aci) }] }
  const { group } = changed(village(), administrator, invite)
  const presentation = presentationOf(invitedByPni)
  const after = changed(group, invitedByPni, { promoteMembersPendingPniAciProfileKey: [{ presentation }] })
  assert.equal(after.group.membersPendingProfileKey.length, 2)
})

test('a request is the own one, dated by the server, and who grants it gives the role', () => {
  const asks = (more: object) => ({
    addMembersPendingAdminApproval: [{ added: { presentation: presentationOf(outsider), ...more } }],
  })
  for (const more of [{ userId: outsider.aci }, { profileKey: bytes('k') }, { timestamp: NOW_MS }])
    assert.equal(statusOf(change(closedVillage(), outsider, asks(more), withLink)), 400)
  const { group, actions } = changed(closedVillage(), outsider, asks({}), withLink)
  const { added } = actions.addMembersPendingAdminApproval[0]!
  assert.deepEqual([added?.userId, added?.profileKey], [outsider.aci, outsider.profileKey])
  assert.deepEqual([added?.timestamp, added?.presentation.length], [NOW_MS, 0])
  const grants = { promoteMembersPendingAdminApproval: [{ ...idOf(outsider), role: Role.ADMINISTRATOR }] }
  const granted = memberIn(changed(group, administrator, grants).group, outsider)
  assert.deepEqual([granted?.role, granted?.profileKey], [Role.ADMINISTRATOR, outsider.profileKey])
})

test('two requests at once are refused, and one too many', () => {
  const two = {
    addMembersPendingAdminApproval: [outsider, outsider].map((one) => ({
      added: { presentation: presentationOf(one) },
    })),
  }
  assert.equal(statusOf(change(closedVillage(), outsider, two, withLink)), 400)
  const one = { addMembersPendingAdminApproval: two.addMembersPendingAdminApproval.slice(1) }
  const full = { limits: { ...LIMITS, maxGroupSize: 2 }, ...withLink }
  const small = village(
    { addFromInviteLink: Access.ADMINISTRATOR },
    { members: village().members.slice(2, 3), membersPendingProfileKey: [] },
  )
  assert.equal(statusOf(change(small, outsider, one, full)), 400)
  assert.equal(statusOf(change(small, outsider, one, withLink)), 200)
})

test('a member does not leave and ask to come in by one change', () => {
  const actions = {
    deleteMembers: [deletion(member)],
    addMembersPendingAdminApproval: [{ added: { presentation: presentationOf(member) } }],
  }
  assert.equal(statusOf(change(closedVillage(), member, actions, withLink)), 400)
})

test('a level that says nothing lets administrators alone', () => {
  const group = village({ attributes: Access.UNKNOWN, members: Access.UNKNOWN })
  const title = { modifyTitle: { title: bytes('x') } }
  const adds = { addMembers: [{ added: newMember(stranger) }] }
  for (const actions of [title, adds]) {
    assert.equal(statusOf(change(group, member, actions)), 403)
    assert.equal(statusOf(change(group, administrator, actions)), 200)
  }
})

test('a label stays through a new role and a new profile key, and goes when it is emptied', () => {
  const label = { labelString: bytes('boss'), labelEmoji: bytes('!') }
  const labelled = changed(village(), member, { modifyMemberLabels: [{ ...idOf(member), ...label }] })
  assert.equal(labelled.changeEpoch, 6)
  const role = { modifyMemberRoles: [{ ...idOf(member), role: Role.ADMINISTRATOR }] }
  const key = { modifyMemberProfileKeys: [{ presentation: presentationOf(member, 2) }] }
  const { group } = changed(changed(labelled.group, administrator, role).group, member, key)
  const { labelString, labelEmoji, role: now, profileKey, joinedAtVersion } = memberIn(group, member)!
  assert.deepEqual([labelString, labelEmoji], [label.labelString, label.labelEmoji])
  assert.deepEqual(
    [now, profileKey, joinedAtVersion],
    [Role.ADMINISTRATOR, profileKeyOf(member.number, 2), 2],
  )
  const empty = { modifyMemberLabels: [idOf(member)] }
  assert.equal(memberIn(changed(group, member, empty).group, member)?.labelString.length, 0)
})

test('rights are those of before the change: who steps down may still do so much in it', () => {
  const actions = {
    modifyMemberRoles: [{ ...idOf(administrator), role: Role.DEFAULT }],
    modifyMemberAccess: { membersAccess: Access.ADMINISTRATOR },
    modifyAnnouncementsOnly: { announcementsOnly: true },
  }
  const { group } = changed(village(), administrator, actions)
  assert.equal(memberIn(group, administrator)?.role, Role.DEFAULT)
  assert.equal(group.accessControl?.members, Access.ADMINISTRATOR)
  const opens = {
    modifyAddFromInviteLinkAccess: { addFromInviteLinkAccess: Access.ANY },
    addMembers: [{ added: newMember(outsider) }],
  }
  assert.equal(statusOf(change(village(), outsider, opens, withLink)), 403)
})

test('the source is the ACI if the group knew it, else the PNI, else what came in; an outsider has none', () => {
  const byBoth = changed(village(), administrator, {
    addMembersPendingProfileKey: [{ added: newInvitation(member.pni) }],
  })
  const title = { modifyTitle: { title: bytes('x') } }
  const sourceOf = ({ actions }: { actions: { sourceUserId: Uint8Array } }) => actions.sourceUserId
  assert.deepEqual(sourceOf(changed(byBoth.group, member, title)), member.aci)
  const declines = { deleteMembersPendingProfileKey: [{ deletedUserId: invitedByPni.pni }] }
  assert.deepEqual(sourceOf(changed(village(), invitedByPni, declines)), invitedByPni.pni)
  const comesIn = { addMembers: [{ added: newMember(outsider) }] }
  assert.deepEqual(sourceOf(changed(openVillage(), outsider, comesIn, withLink)), outsider.aci)
  const pretends = { sourceUserId: administrator.aci, ...title }
  assert.deepEqual(sourceOf(changed(village(), member, pretends)), member.aci)
})

test("the signed actions name the group and the version, and hold nobody's presentation", () => {
  const title = { modifyTitle: { title: bytes('x') } }
  const { actions, group } = changed(village(), member, title)
  assert.deepEqual([actions.groupId, actions.version, group.version], [GROUP_ID, 6, 6])
  const key = { modifyMemberProfileKeys: [{ presentation: presentationOf(member, 2) }] }
  const { userId, profileKey, presentation } = changed(village(), member, key).actions
    .modifyMemberProfileKeys[0]!
  assert.deepEqual([userId, profileKey], [member.aci, profileKeyOf(member.number, 2)])
  assert.equal(presentation.length, 0)
})

test('the change epoch is that of the newest action', () => {
  const title = { modifyTitle: { title: bytes('x') } }
  const EPOCHS: readonly (readonly [number, ActionsInit])[] = [
    [0, title],
    [0, { addMembers: [{ added: newMember(stranger) }] }],
    [0, { modifyMemberAccess: { membersAccess: Access.MEMBER } }],
    [1, { modifyAddFromInviteLinkAccess: { addFromInviteLinkAccess: Access.ANY } }],
    [1, { modifyInviteLinkPassword: { inviteLinkPassword: PASSWORD } }],
    [1, { deleteMembersPendingAdminApproval: [deletion(requesting)] }],
    [1, { promoteMembersPendingAdminApproval: [{ ...idOf(requesting), role: Role.DEFAULT }] }],
    [2, { modifyDescription: { description: bytes('x') } }],
    [3, { modifyAnnouncementsOnly: { announcementsOnly: true } }],
    [4, { addMembersBanned: [{ added: idOf(stranger) }] }],
    [4, { deleteMembersBanned: [deletion(banned)] }],
    [6, { modifyMemberLabels: [{ ...idOf(member), labelString: bytes('x') }] }],
    [6, { modifyMemberLabelAccess: { memberLabelAccess: Access.MEMBER } }],
    [7, { terminateGroup: {} }],
  ]
  for (const [epoch, actions] of EPOCHS) {
    assert.equal(changed(village(), administrator, actions).changeEpoch, epoch)
    assert.equal(changed(village(), administrator, { ...title, ...actions }).changeEpoch, epoch)
  }
  const asks = { addMembersPendingAdminApproval: [{ added: { presentation: presentationOf(outsider) } }] }
  assert.equal(changed(closedVillage(), outsider, asks, withLink).changeEpoch, 1)
})

test('a change of everything at once is what a client makes of it', () => {
  const actions = {
    deleteMembersBanned: [deletion(banned)],
    addMembersBanned: [{ added: idOf(OTHER.invited) }],
    addMembers: [{ added: newMember(stranger) }],
    deleteMembers: [deletion(OTHER.member)],
    modifyMemberRoles: [{ ...idOf(member), role: Role.ADMINISTRATOR }],
    modifyMemberLabels: [{ ...idOf(stranger), labelString: bytes('new') }],
    modifyMemberProfileKeys: [{ presentation: presentationOf(administrator, 4) }],
    addMembersPendingProfileKey: [{ added: newInvitation(person(80).aci) }],
    deleteMembersPendingProfileKey: [deletion(OTHER.invited)],
    modifyTitle: { title: bytes('all') },
    modifyDescription: { description: bytes('all') },
    modifyDisappearingMessageTimer: { timer: bytes('all') },
    promoteMembersPendingAdminApproval: [{ ...idOf(requesting), role: Role.DEFAULT }],
    deleteMembersPendingAdminApproval: [deletion(OTHER.requesting)],
    modifyMemberLabelAccess: { memberLabelAccess: Access.ADMINISTRATOR },
    modifyAvatar: { avatar: '' },
  }
  const before = village()
  const { group, actions: signed, changeEpoch } = changed(before, administrator, actions)
  assert.equal(digestOf(applied(before, signed)), digestOf(group))
  assert.equal(changeEpoch, 6)
  assert.equal(group.members.length, 5)
})
