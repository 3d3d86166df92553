// Thousands of random histories of a group, each of their changes judged by what it did.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { breachesOf } from '../../../test/groups/judge.ts'
import { type Person, presentationOf } from '../../../test/groups/people.ts'
import { actorOf, CAST, type Plan, plans, proposalOf } from '../../../test/groups/proposals.ts'
import {
  change,
  changed,
  createdGroup,
  decodedActions,
  decodedGroup,
  digestOf,
  LIMITS,
  newGroup,
  newInvitation,
  PASSWORD,
} from '../../../test/groups/sample-group.ts'
import type { GroupChange_ActionsInit as ActionsInit, Group } from '../../../wire/gen/groups.js'
import { Access } from './messages.ts'

const HISTORIES = 3000
const limits = { ...LIMITS, maxGroupSize: 7 }

const [ada, boris, clara] = [CAST[0]!, CAST[1]!, CAST[2]!]
const [invited, invitedByPni, asking, banned] = [CAST[3]!, CAST[4]!, CAST[5]!, CAST[6]!]

/** Somebody of every standing, behind an open link or one that administrators guard. */
function beginning(addFromInviteLink: number): Group {
  const first = createdGroup(
    ada,
    newGroup([ada, boris, clara], {
      inviteLinkPassword: PASSWORD,
      accessControl: {
        attributes: Access.MEMBER,
        members: Access.MEMBER,
        addFromInviteLink: Access.ADMINISTRATOR,
      },
      membersPendingProfileKey: [newInvitation(invited.aci), newInvitation(invitedByPni.pni)],
    }),
  )
  const asks = { addMembersPendingAdminApproval: [{ added: { presentation: presentationOf(asking) } }] }
  const second = changed(first, asking, asks, { inviteLinkPassword: PASSWORD }).group
  return changed(second, ada, {
    addMembersBanned: [{ added: { userId: banned.aci } }],
    modifyAddFromInviteLinkAccess: { addFromInviteLinkAccess: addFromInviteLink },
  }).group
}

const BEGINNINGS = [Access.ANY, Access.ADMINISTRATOR].map(beginning)

/** How often an action was taken, or a change refused with a status. */
type Tally = Map<string, number>

function count(tally: Tally, what: string): void {
  tally.set(what, (tally.get(what) ?? 0) + 1)
}

function passwordOf(group: Group, { password }: Plan): Uint8Array | undefined {
  if (password === 0) return undefined
  return password === 1 ? new Uint8Array(16).fill(255) : group.inviteLinkPassword
}

/** The group after one change, taken or refused; throws if the change did what it must not. */
function live(group: Group, plan: Plan, tally: Tally): Group {
  const who: Person = actorOf(group, plan)
  const inviteLinkPassword = passwordOf(group, plan)
  const proposed: ActionsInit = proposalOf(group, who, plan)
  const was = digestOf(group)
  const outcome = change(group, who, proposed, { inviteLinkPassword, limits })
  assert.equal(digestOf(group), was, 'the group that was is what it was')
  if (outcome.kind === 'refused') {
    count(tally, String(outcome.status))
    return group
  }
  const [after, actions] = [decodedGroup(outcome.group), decodedActions(outcome.actions)]
  const knowsLink = plan.password > 1 && group.inviteLinkPassword.length > 0
  const deed = { before: group, after, actions, changeEpoch: outcome.changeEpoch, who, knowsLink }
  assert.deepEqual(breachesOf(deed), [])
  for (const name of Object.keys(proposed)) count(tally, name)
  return after
}

test('no history leads where nobody has a right to go', () => {
  const tally: Tally = new Map()
  const lives = fc.array(plans, { minLength: 5, maxLength: 20 })
  const history = fc.property(fc.constantFrom(...BEGINNINGS), lives, (group, life) => {
    life.reduce((so, plan) => live(so, plan, tally), group)
  })
  fc.assert(history, { numRuns: HISTORIES })
  const rare = [...tally].filter(([, times]) => times < 20)
  assert.deepEqual(rare, [], 'everything happens often enough to be judged')
  assert.equal(tally.size, 25 + 2)
})
