// A group of a thousand: no change of it holds up the others for long.
import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import { test } from 'node:test'
import { people, presentationOf } from '../../../test/groups/people.ts'
import {
  bytes,
  changed,
  contextOf,
  create,
  createdGroup,
  decodedActions,
  decodedGroup,
  LIMITS,
  newGroup,
  newInvitation,
  newMember,
  PASSWORD,
} from '../../../test/groups/sample-group.ts'
import type { GroupChange_ActionsInit as ActionsInit } from '../../../wire/gen/groups.js'
import { changeGroup } from './engine.ts'
import { Access, Role } from './messages.ts'

const THOUSAND = people(1000)
const [ada, boris] = [THOUSAND[0]!, THOUSAND[1]!]
const limits = { ...LIMITS, maxGroupSize: 1001 }

/** Far above what it takes (about a millisecond), far below what looking everybody up for everybody would. */
const MAX_MEDIAN_MS = 25

function medianMs(run: () => void): number {
  const took = Array.from({ length: 21 }, () => {
    const since = performance.now()
    run()
    return performance.now() - since
  })
  return took.sort((a, b) => a - b)[10]!
}

function thousand() {
  const outcome = create(ada, newGroup(THOUSAND), { limits })
  assert.equal(outcome.kind, 'created')
  return decodedGroup(outcome.group)
}

const DELETE = { deletedUserId: boris.aci }

const CHANGES: Readonly<Record<string, ActionsInit>> = {
  'a new title': { modifyTitle: { title: bytes('new') } },
  'a new role': { modifyMemberRoles: [{ userId: boris.aci, role: Role.ADMINISTRATOR }] },
  'a removal and a ban': { deleteMembers: [DELETE], addMembersBanned: [{ added: { userId: boris.aci } }] },
  'the last administrator leaving': { deleteMembers: [{ deletedUserId: ada.aci }] },
  'five hundred roles': {
    modifyMemberRoles: THOUSAND.slice(500).map(({ aci: userId }) => ({ userId, role: Role.ADMINISTRATOR })),
  },
  'five hundred leaving': { deleteMembers: THOUSAND.slice(500).map(({ aci }) => ({ deletedUserId: aci })) },
}

test('a change in a group of a thousand takes a few milliseconds at most', (t) => {
  const group = thousand()
  for (const [what, actions] of Object.entries(CHANGES)) {
    const proposed = decodedActions({ version: 1, ...actions })
    const context = contextOf(ada, { limits })
    assert.equal(changeGroup(group, proposed, context).kind, 'changed', what)
    const took = medianMs(() => changeGroup(group, proposed, context))
    t.diagnostic(`${what}: ${took.toFixed(2)} ms`)
    assert.ok(took < MAX_MEDIAN_MS, `${what}: ${took} ms`)
  }
})

test('presentations are looked at only for who may bring them, and only so many', () => {
  const open = createdGroup(
    ada,
    newGroup([ada, boris], {
      inviteLinkPassword: PASSWORD,
      accessControl: {
        attributes: Access.MEMBER,
        members: Access.ADMINISTRATOR,
        addFromInviteLink: Access.ANY,
      },
    }),
  )
  const [outsider, ...others] = people(LIMITS.maxGroupSize + 1, 2000)
  const joining = (...those: readonly (typeof ada)[]) => ({
    addMembers: those.map((one) => ({ added: newMember(one) })),
  })
  let looked = 0
  const show = () => {
    looked += 1
    return undefined
  }
  const lookedFor = (who: typeof ada, actions: ActionsInit, group = open) => {
    looked = 0
    const proposed = decodedActions({ version: group.version + 1, ...actions })
    changeGroup(group, proposed, contextOf(who, { show, inviteLinkPassword: PASSWORD }))
    return looked
  }
  assert.equal(lookedFor(outsider!, joining(outsider!)), 1)
  assert.equal(lookedFor(outsider!, joining(outsider!, others[0]!)), 0)
  assert.equal(lookedFor(boris, joining(outsider!)), 0)
  assert.equal(lookedFor(ada, joining(outsider!)), 1)
  assert.equal(lookedFor(ada, joining(outsider!, ...others)), 0)
  assert.equal(lookedFor(ada, { addMembers: [{ added: newMember(outsider!, Role.UNKNOWN) }] }), 0)
  const shown = [{ presentation: presentationOf(outsider!) }]
  assert.equal(lookedFor(outsider!, { modifyMemberProfileKeys: shown }), 0)
  assert.equal(lookedFor(outsider!, { promoteMembersPendingProfileKey: shown }), 0)
  assert.equal(lookedFor(outsider!, { promoteMembersPendingPniAciProfileKey: shown }), 0)
  const requests = (times: number) => ({
    addMembersPendingAdminApproval: Array.from({ length: times }, () => ({ added: shown[0]! })),
  })
  assert.equal(lookedFor(outsider!, requests(1)), 0)
  const guarded = { modifyAddFromInviteLinkAccess: { addFromInviteLinkAccess: Access.ADMINISTRATOR } }
  const behindGuard = changed(open, ada, guarded).group
  for (const [times, expected] of [
    [1, 1],
    [2, 0],
  ] as const)
    assert.equal(lookedFor(outsider!, requests(times), behindGuard), expected)
})

test('a thousand may be invited and no more', () => {
  const group = createdGroup(ada, newGroup([ada]))
  const invite = (count: number) => ({
    addMembersPendingProfileKey: people(count, 3000).map(({ aci }) => ({ added: newInvitation(aci) })),
  })
  assert.equal(changed(group, ada, invite(1000), { limits }).group.membersPendingProfileKey.length, 1000)
  assert.throws(() => changed(group, ada, invite(1001), { limits }), /refused: 400/)
})
