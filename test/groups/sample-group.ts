// Groups and changes of them for tests, decoded from bytes as a request is.
import { createHash } from 'node:crypto'
import { changeGroup, createGroup, type EngineContext } from '../../server/storage/groups/engine.ts'
import {
  AccessControl_AccessRequired as Access,
  GroupChange_Actions as Actions,
  type GroupChange_ActionsInit as ActionsInit,
  Group,
  type GroupInit,
  Member_Role as Role,
} from '../../wire/gen/groups.js'
import { type Person, presentationOf, show } from './people.ts'

export const GROUP_ID = new Uint8Array(32).fill(9)
export const PUBLIC_KEY = new Uint8Array(97).fill(7)
export const PASSWORD = new Uint8Array(16).fill(5)
export const NOW_MS = 1_700_000_000_123
export const LIMITS = { maxGroupSize: 20, maxTitleBytes: 100, maxDescriptionBytes: 200 }

export const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text)

export const contextOf = (author: Person, more: Partial<EngineContext> = {}): EngineContext => ({
  author: author.author,
  groupId: GROUP_ID,
  nowMs: NOW_MS,
  inviteLinkPassword: undefined,
  limits: LIMITS,
  show,
  ...more,
})

export const decodedGroup = (group: GroupInit): Group =>
  Group.decode(new Uint8Array(Group.encode(group).finish()))
export const decodedActions = (actions: ActionsInit): Actions =>
  Actions.decode(new Uint8Array(Actions.encode(actions).finish()))

/** Tells whether two groups are stored as the same bytes. */
export const digestOf = (group: GroupInit): string =>
  createHash('sha256').update(Group.encode(group).finish()).digest('hex')

export const newMember = (who: Person, role: number = Role.DEFAULT) => ({
  role,
  presentation: presentationOf(who),
})

export const newInvitation = (userId: Uint8Array, role: number = Role.DEFAULT) => ({
  member: { userId, role },
})

/** As a client proposes it: the first is the administrator who makes it. */
export const newGroup = ([creator, ...others]: readonly Person[], more: GroupInit = {}): GroupInit => ({
  publicKey: PUBLIC_KEY,
  title: bytes('a title'),
  accessControl: {
    attributes: Access.MEMBER,
    members: Access.MEMBER,
    addFromInviteLink: Access.UNSATISFIABLE,
  },
  members: [newMember(creator!, Role.ADMINISTRATOR), ...others.map((one) => newMember(one))],
  ...more,
})

export const create = (author: Person, proposed: GroupInit, more: Partial<EngineContext> = {}) =>
  createGroup(decodedGroup(proposed), PUBLIC_KEY, contextOf(author, more))

/** The group that is made; throws if it is refused. */
export function createdGroup(author: Person, proposed: GroupInit): Group {
  const outcome = create(author, proposed)
  if (outcome.kind === 'refused') throw new Error(`refused: ${outcome.status}`)
  return decodedGroup(outcome.group)
}

export const change = (
  group: Group,
  author: Person,
  actions: ActionsInit,
  more: Partial<EngineContext> = {},
) => changeGroup(group, decodedActions({ version: group.version + 1, ...actions }), contextOf(author, more))

/** What came of a change that has to be taken; throws if it is refused. */
export function changed(
  group: Group,
  author: Person,
  actions: ActionsInit,
  more: Partial<EngineContext> = {},
) {
  const outcome = change(group, author, actions, more)
  if (outcome.kind === 'refused') throw new Error(`refused: ${outcome.status}`)
  return { ...outcome, group: decodedGroup(outcome.group), actions: decodedActions(outcome.actions) }
}

export function statusOf(outcome: { kind: string } | { kind: 'refused'; status: number }): number {
  return 'status' in outcome ? outcome.status : 200
}
