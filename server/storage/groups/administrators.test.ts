import assert from 'node:assert/strict'
import { test } from 'node:test'
import { applied } from '../../../test/groups/apply.ts'
import { type Person, presentationOf } from '../../../test/groups/people.ts'
import { changed, digestOf, newMember, PASSWORD } from '../../../test/groups/sample-group.ts'
import { OTHER, VILLAGERS, village } from '../../../test/groups/village.ts'
import type { GroupChange_ActionsInit as ActionsInit, Group } from '../../../wire/gen/groups.js'
import { Access, Role } from './messages.ts'

const { administrator, member, requesting, outsider, invited } = VILLAGERS

const keep = (...those: readonly Person[]) =>
  village().members.filter(({ userId }) => those.some(({ aci }) => Buffer.compare(aci, userId) === 0))
const among = (...those: readonly Person[]): Group =>
  village({ addFromInviteLink: Access.ANY }, { members: keep(...those) })

const leaves = ({ aci }: Person) => [{ deletedUserId: aci }]
const withLink = { inviteLinkPassword: PASSWORD }

/** Who is administrator after a change, and whose roles its signed actions name; a client comes to the same. */
function after(group: Group, who: Person, actions: ActionsInit) {
  const outcome = changed(group, who, actions, withLink)
  assert.equal(digestOf(applied(group, outcome.actions)), digestOf(outcome.group))
  return {
    administrators: outcome.group.members
      .filter(({ role }) => role === Role.ADMINISTRATOR)
      .map(({ userId }) => userId),
    signed: outcome.actions.modifyMemberRoles.map(({ userId, role }) => [userId, role]),
    epoch: outcome.changeEpoch,
  }
}

test('while there is another administrator, nobody becomes one', () => {
  const left = after(village(), administrator, { deleteMembers: leaves(administrator) })
  assert.deepEqual(left.administrators, [OTHER.administrator.aci])
  assert.deepEqual(left.signed, [])
})

test('when the last administrator leaves, everybody who stays becomes one by the signed change', () => {
  const group = among(administrator, member, OTHER.member)
  const left = after(group, administrator, { deleteMembers: leaves(administrator) })
  assert.deepEqual(left.administrators, [member.aci, OTHER.member.aci])
  assert.deepEqual(left.signed, [
    [member.aci, Role.ADMINISTRATOR],
    [OTHER.member.aci, Role.ADMINISTRATOR],
  ])
  assert.equal(left.epoch, 0)
})

test('who comes in by the same change, or is given a role by it, is spared', () => {
  const group = among(administrator, member, OTHER.member)
  const left = after(group, administrator, {
    deleteMembers: leaves(administrator),
    addMembers: [{ added: newMember(OTHER.stranger) }],
    modifyMemberRoles: [{ userId: member.aci, role: Role.DEFAULT }],
    promoteMembersPendingAdminApproval: [{ userId: requesting.aci, role: Role.DEFAULT }],
  })
  assert.deepEqual(left.administrators, [OTHER.member.aci])
  assert.deepEqual(left.signed, [
    [member.aci, Role.DEFAULT],
    [OTHER.member.aci, Role.ADMINISTRATOR],
  ])
})

test('if nobody else is left, they all become administrators after all', () => {
  const group = among(administrator, member)
  const left = after(group, administrator, {
    deleteMembers: leaves(administrator),
    modifyMemberRoles: [{ userId: member.aci, role: Role.DEFAULT }],
    promoteMembersPendingAdminApproval: [{ userId: requesting.aci, role: Role.DEFAULT }],
  })
  assert.deepEqual(left.administrators, [member.aci, requesting.aci])
  assert.deepEqual(left.signed, [
    [member.aci, Role.DEFAULT],
    [member.aci, Role.ADMINISTRATOR],
    [requesting.aci, Role.ADMINISTRATOR],
  ])
})

test('the last administrator cannot step down alone', () => {
  const alone = after(among(administrator), administrator, {
    modifyMemberRoles: [{ userId: administrator.aci, role: Role.DEFAULT }],
  })
  assert.deepEqual(alone.administrators, [administrator.aci])
})

test('an empty group has no administrator, and who comes into it is one', () => {
  const { group } = changed(among(administrator), administrator, { deleteMembers: leaves(administrator) })
  assert.equal(group.members.length, 0)
  const byLink = after(group, outsider, { addMembers: [{ added: newMember(outsider) }] })
  assert.deepEqual(byLink.administrators, [outsider.aci])
  const accepts = { promoteMembersPendingProfileKey: [{ presentation: presentationOf(invited) }] }
  assert.deepEqual(after(group, invited, accepts).administrators, [invited.aci])
})

test('a group that ends keeps an administrator too', () => {
  const ends = after(among(administrator, member), administrator, {
    terminateGroup: {},
    deleteMembers: leaves(administrator),
  })
  assert.deepEqual(ends.administrators, [member.aci])
  assert.equal(ends.epoch, 7)
})
