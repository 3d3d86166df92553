// Every action by everybody under every access setting: who may, and what a refusal says.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { applied } from '../../../test/groups/apply.ts'
import { type Person, presentationOf } from '../../../test/groups/people.ts'
import {
  bytes,
  change,
  changed,
  digestOf,
  GROUP_ID,
  newInvitation,
  newMember,
  PASSWORD,
  statusOf,
} from '../../../test/groups/sample-group.ts'
import { OTHER, STANDINGS, type Standing, VILLAGERS, village } from '../../../test/groups/village.ts'
import type { GroupChange_ActionsInit as ActionsInit, Group } from '../../../wire/gen/groups.js'
import { Access, Role } from './messages.ts'

type Setting = {
  readonly attributes: number
  readonly members: number
  readonly addFromInviteLink: number
  readonly memberLabel: number
  readonly password: 'none' | 'wrong' | 'right'
}

const SETTINGS: readonly Setting[] = [Access.MEMBER, Access.ADMINISTRATOR].flatMap((attributes) =>
  [Access.MEMBER, Access.ADMINISTRATOR].flatMap((members) =>
    [Access.UNSATISFIABLE, Access.ANY, Access.ADMINISTRATOR].flatMap((addFromInviteLink) =>
      [Access.UNKNOWN, Access.MEMBER, Access.ADMINISTRATOR].flatMap((memberLabel) =>
        (['none', 'wrong', 'right'] as const).map((password) => ({
          attributes,
          members,
          addFromInviteLink,
          memberLabel,
          password,
        })),
      ),
    ),
  ),
)

type Status = 200 | 400 | 403
/** The status for somebody of a standing, under a setting. */
type Law = (standing: Standing, setting: Setting) => Status

const administratorsOnly: Law = (standing) => (standing === 'administrator' ? 200 : 403)
const nobody: Law = () => 403

const ifMembersMay =
  (level: 'attributes' | 'members'): Law =>
  (standing, setting) => {
    if (standing === 'administrator') return 200
    return standing === 'member' && setting[level] === Access.MEMBER ? 200 : 403
  }

const byLink = (level: number, { addFromInviteLink, password }: Setting) =>
  addFromInviteLink === level && password === 'right'

/** By themselves, whatever they are; who has nothing of that kind has nothing to give up. */
const oneself =
  (...those: Standing[]): Law =>
  (standing) =>
    those.includes(standing) ? 200 : 400

const comesIn: Law = (standing, setting) => {
  if (standing === 'administrator') return 400
  if (standing === 'member') return setting.members === Access.MEMBER ? 400 : 403
  return standing !== 'banned' && byLink(Access.ANY, setting) ? 200 : 403
}

const asksToComeIn: Law = (standing, setting) => {
  if (standing === 'banned' || !byLink(Access.ADMINISTRATOR, setting)) return 403
  return standing === 'outsider' || standing === 'invitedByPni' ? 200 : 400
}

const asksForSomebodyElse: Law = (standing, setting) =>
  standing === 'banned' || !byLink(Access.ADMINISTRATOR, setting) ? 403 : 400

const labelsOneself: Law = (standing, { memberLabel }) => {
  if (standing === 'administrator') return 200
  return standing === 'member' && memberLabel !== Access.ADMINISTRATOR ? 200 : 403
}

const members: Law = (standing) => (standing === 'member' || standing === 'administrator' ? 200 : 403)
const only =
  (one: Standing): Law =>
  (standing) =>
    standing === one ? 200 : 403

type Case = {
  readonly law: Law
  /** Who may do it has it already. */
  readonly idle?: true
  actions(who: Person, standing: Standing): ActionsInit
}

const own = ({ aci, pni }: Person, standing: Standing) => (standing === 'invitedByPni' ? pni : aci)
const AVATAR = `groups/${Buffer.from(GROUP_ID).toString('base64url')}/${Buffer.alloc(16).toString('base64url')}`
const LABEL = { labelString: bytes('label'), labelEmoji: bytes('e') }

const CASES: Readonly<Record<string, Case>> = {
  'adds somebody': {
    law: ifMembersMay('members'),
    actions: () => ({ addMembers: [{ added: newMember(OTHER.stranger) }] }),
  },
  'adds somebody as administrator': {
    law: administratorsOnly,
    actions: () => ({ addMembers: [{ added: newMember(OTHER.stranger, Role.ADMINISTRATOR) }] }),
  },
  'adds somebody who was invited': {
    law: ifMembersMay('members'),
    actions: () => ({ addMembers: [{ added: newMember(OTHER.invited) }] }),
  },
  'comes in': { law: comesIn, actions: (who) => ({ addMembers: [{ added: newMember(who) }] }) },
  'comes in with somebody else': {
    law: (standing, setting) =>
      standing === 'administrator' ? 400 : comesIn(standing, setting) === 400 ? 400 : 403,
    actions: (who) => ({ addMembers: [{ added: newMember(who) }, { added: newMember(OTHER.stranger) }] }),
  },
  'comes in as administrator': {
    law: (standing) => (standing === 'administrator' ? 400 : 403),
    actions: (who) => ({ addMembers: [{ added: newMember(who, Role.ADMINISTRATOR) }] }),
  },
  'removes a member': {
    law: administratorsOnly,
    actions: () => ({ deleteMembers: [{ deletedUserId: OTHER.member.aci }] }),
  },
  'removes an administrator': {
    law: administratorsOnly,
    actions: () => ({ deleteMembers: [{ deletedUserId: OTHER.administrator.aci }] }),
  },
  leaves: {
    law: oneself('member', 'administrator'),
    actions: ({ aci }) => ({ deleteMembers: [{ deletedUserId: aci }] }),
  },
  'leaves with somebody else': {
    law: administratorsOnly,
    actions: ({ aci }) => ({
      deleteMembers: [{ deletedUserId: aci }, { deletedUserId: OTHER.member.aci }],
    }),
  },
  'gives a role': {
    law: administratorsOnly,
    actions: () => ({ modifyMemberRoles: [{ userId: OTHER.member.aci, role: Role.ADMINISTRATOR }] }),
  },
  'takes a role': {
    law: administratorsOnly,
    actions: () => ({ modifyMemberRoles: [{ userId: OTHER.administrator.aci, role: Role.DEFAULT }] }),
  },
  'becomes administrator': {
    law: administratorsOnly,
    idle: true,
    actions: ({ aci }) => ({ modifyMemberRoles: [{ userId: aci, role: Role.ADMINISTRATOR }] }),
  },
  'shows a new profile key': {
    law: members,
    actions: (who) => ({ modifyMemberProfileKeys: [{ presentation: presentationOf(who, 2) }] }),
  },
  "shows somebody else's profile key": {
    law: nobody,
    actions: () => ({ modifyMemberProfileKeys: [{ presentation: presentationOf(OTHER.member, 2) }] }),
  },
  invites: {
    law: ifMembersMay('members'),
    actions: () => ({ addMembersPendingProfileKey: [{ added: newInvitation(OTHER.stranger.pni) }] }),
  },
  'invites an administrator': {
    law: administratorsOnly,
    actions: () => ({
      addMembersPendingProfileKey: [{ added: newInvitation(OTHER.stranger.aci, Role.ADMINISTRATOR) }],
    }),
  },
  'takes an invitation back': {
    law: administratorsOnly,
    actions: () => ({ deleteMembersPendingProfileKey: [{ deletedUserId: OTHER.invited.aci }] }),
  },
  'declines an invitation': {
    law: oneself('invited', 'invitedByPni'),
    actions: (who, standing) => ({ deleteMembersPendingProfileKey: [{ deletedUserId: own(who, standing) }] }),
  },
  'accepts an invitation': {
    law: only('invited'),
    actions: (who) => ({ promoteMembersPendingProfileKey: [{ presentation: presentationOf(who) }] }),
  },
  "accepts somebody else's invitation": {
    law: nobody,
    actions: () => ({ promoteMembersPendingProfileKey: [{ presentation: presentationOf(OTHER.invited) }] }),
  },
  'accepts an invitation by PNI': {
    law: only('invitedByPni'),
    actions: (who) => ({ promoteMembersPendingPniAciProfileKey: [{ presentation: presentationOf(who) }] }),
  },
  'accepts an invitation by PNI for somebody else': {
    law: nobody,
    actions: () => ({
      promoteMembersPendingPniAciProfileKey: [{ presentation: presentationOf(OTHER.stranger) }],
    }),
  },
  'changes the title': {
    law: ifMembersMay('attributes'),
    actions: () => ({ modifyTitle: { title: bytes('other') } }),
  },
  'changes the description': {
    law: ifMembersMay('attributes'),
    actions: () => ({ modifyDescription: { description: bytes('other') } }),
  },
  'changes the avatar': {
    law: ifMembersMay('attributes'),
    actions: () => ({ modifyAvatar: { avatar: AVATAR } }),
  },
  'changes the timer': {
    law: ifMembersMay('attributes'),
    actions: () => ({ modifyDisappearingMessageTimer: { timer: bytes('week') } }),
  },
  'changes who may change attributes': {
    law: administratorsOnly,
    actions: () => ({ modifyAttributesAccess: { attributesAccess: Access.ADMINISTRATOR } }),
  },
  'changes who may add members': {
    law: administratorsOnly,
    actions: () => ({ modifyMemberAccess: { membersAccess: Access.MEMBER } }),
  },
  'changes who may come by the link': {
    law: administratorsOnly,
    actions: () => ({ modifyAddFromInviteLinkAccess: { addFromInviteLinkAccess: Access.ANY } }),
  },
  'changes who may label': {
    law: administratorsOnly,
    actions: () => ({ modifyMemberLabelAccess: { memberLabelAccess: Access.ADMINISTRATOR } }),
  },
  'asks to come in': {
    law: asksToComeIn,
    actions: (who) => ({
      addMembersPendingAdminApproval: [{ added: { presentation: presentationOf(who) } }],
    }),
  },
  'asks for somebody else to come in': {
    law: asksForSomebodyElse,
    actions: () => ({
      addMembersPendingAdminApproval: [{ added: { presentation: presentationOf(OTHER.stranger) } }],
    }),
  },
  'turns a request down': {
    law: administratorsOnly,
    actions: () => ({ deleteMembersPendingAdminApproval: [{ deletedUserId: OTHER.requesting.aci }] }),
  },
  'takes a request back': {
    law: oneself('requesting'),
    actions: ({ aci }) => ({ deleteMembersPendingAdminApproval: [{ deletedUserId: aci }] }),
  },
  'lets somebody in': {
    law: administratorsOnly,
    actions: () => ({
      promoteMembersPendingAdminApproval: [{ userId: OTHER.requesting.aci, role: Role.DEFAULT }],
    }),
  },
  'lets themselves in': {
    law: (standing) => (standing === 'administrator' ? 400 : 403),
    actions: ({ aci }) => ({ promoteMembersPendingAdminApproval: [{ userId: aci, role: Role.DEFAULT }] }),
  },
  'changes the password of the link': {
    law: administratorsOnly,
    actions: () => ({ modifyInviteLinkPassword: { inviteLinkPassword: new Uint8Array(16).fill(6) } }),
  },
  'lets administrators alone speak': {
    law: administratorsOnly,
    actions: () => ({ modifyAnnouncementsOnly: { announcementsOnly: true } }),
  },
  bans: {
    law: administratorsOnly,
    actions: () => ({ addMembersBanned: [{ added: { userId: OTHER.stranger.aci } }] }),
  },
  'takes a ban back': {
    law: ifMembersMay('members'),
    actions: () => ({ deleteMembersBanned: [{ deletedUserId: VILLAGERS.banned.aci }] }),
  },
  'labels themselves': {
    law: labelsOneself,
    actions: ({ aci }) => ({ modifyMemberLabels: [{ userId: aci, ...LABEL }] }),
  },
  'labels somebody else': {
    law: administratorsOnly,
    actions: () => ({ modifyMemberLabels: [{ userId: OTHER.member.aci, ...LABEL }] }),
  },
  'ends the group': { law: administratorsOnly, actions: () => ({ terminateGroup: {} }) },
  'changes nothing': { law: () => 400, actions: () => ({}) },
}

const PASSWORDS = { none: undefined, wrong: new Uint8Array(16), right: PASSWORD }

function villageUnder({ attributes, members, addFromInviteLink, memberLabel }: Setting): Group {
  return village({ attributes, members, addFromInviteLink, memberLabel })
}

for (const [what, { law, actions, idle }] of Object.entries(CASES))
  test(`C2: whoever ${what}: by right, and otherwise not at all`, () => {
    const effects = new Set<boolean>()
    for (const setting of SETTINGS) {
      const group = villageUnder(setting)
      const before = digestOf(group)
      for (const standing of STANDINGS) {
        const who = VILLAGERS[standing]
        const inviteLinkPassword = PASSWORDS[setting.password]
        const outcome = change(group, who, actions(who, standing), { inviteLinkPassword })
        assert.equal(
          statusOf(outcome),
          law(standing, setting),
          `${standing} under ${JSON.stringify(setting)}`,
        )
        assert.equal(digestOf(group), before, `${standing} left the group as it was`)
        if (outcome.kind !== 'changed') continue
        assert.equal(digestOf(applied(group, outcome.actions)), digestOf(outcome.group), standing)
        effects.add(digestOf({ ...outcome.group, version: group.version }) !== before)
      }
    }
    // Whatever is taken does something, unless it is never taken.
    assert.ok(effects.has(true) || effects.size === 0 || idle === true)
  })

test('every action of the format is in the table', () => {
  const { member } = VILLAGERS
  const inTable = new Set(
    Object.values(CASES).flatMap(({ actions }) => Object.keys(actions(member, 'member'))),
  )
  const { actions } = changed(village(), member, { modifyTitle: { title: bytes('x') } })
  const all = new Set<string>()
  for (const name in actions) all.add(name)
  const server = ['sourceUserId', 'groupId', 'version', '$type', '$unknowns']
  const missing = [...all].filter((name) => !inTable.has(name) && !server.includes(name))
  assert.deepEqual(missing, [])
  assert.equal(inTable.size, 25)
})

test('C2: a terminated group takes no more changes, from nobody', () => {
  const group = village({ addFromInviteLink: Access.ANY }, { terminated: true })
  for (const { actions } of Object.values(CASES))
    for (const standing of STANDINGS) {
      const who = VILLAGERS[standing]
      const outcome = change(group, who, actions(who, standing), { inviteLinkPassword: PASSWORD })
      assert.equal(statusOf(outcome), 403)
    }
})
