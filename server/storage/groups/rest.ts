import { Group, Member } from '../../../wire/gen/groups.js'
import { groupsRoutes } from '../../../wire/rest/groups.ts'
import { type Bound, implement } from '../../../wire/route.ts'
import type { GroupAvatars } from './group-avatars.ts'
import type { GroupLog, GroupLogPage, LogRange } from './group-log.ts'
import type { GroupTokens } from './group-tokens.ts'
import type { Groups, GroupWithEndorsements } from './groups.ts'
import type { JoinInfo, Joining } from './joining.ts'

export type GroupParts = {
  readonly groups: Groups
  readonly log: GroupLog
  readonly joining: Joining
  readonly avatars: GroupAvatars
  readonly tokens: GroupTokens
}

export const groupsRest = ({ groups, log, joining, avatars, tokens }: GroupParts): Bound[] =>
  implement(groupsRoutes, {
    async get({ caller }) {
      return { status: 200, body: responseOf(await groups.get(caller)) }
    },
    async create({ caller, body }) {
      const created = await groups.create(caller, body)
      return created.kind === 'created' ? { status: 200, body: responseOf(created) } : { status: 409 }
    },
    async change({ caller, body, query }) {
      const done = await groups.change(caller, body, query.inviteLinkPassword)
      return done.kind === 'changed'
        ? {
            status: 200,
            body: { groupChange: done.change, groupSendEndorsementsResponse: done.endorsements ?? NONE },
          }
        : { status: 409, body: done.group ?? NO_GROUP }
    },
    async joinedAtVersion({ caller }) {
      return { status: 200, body: { ...NO_MEMBER, joinedAtVersion: await groups.joinedAtVersion(caller) } }
    },
    async logs({ caller, params, query, headers }) {
      const page = await log.page(caller, {
        fromVersion: params.fromVersion,
        limit: query.limit,
        maxSupportedChangeEpoch: query.maxSupportedChangeEpoch,
        includeFirstState: query.includeFirstState,
        includeLastState: query.includeLastState,
        cachedEndorsementsExpireSeconds: headers['cached-send-endorsements'],
      })
      const body = changesOf(page)
      return page.partOf
        ? { status: 206, headers: { 'Content-Range': rangeOf(page.partOf) }, body }
        : { status: 200, body }
    },
    async joinInfo({ caller, params }) {
      return joinReply(await joining.info(caller, params.inviteLinkPassword))
    },
    async joinInfoOfRequester({ caller }) {
      return joinReply(await joining.info(caller, undefined))
    },
    async avatarForm({ caller }) {
      return { status: 200, body: await avatars.form(caller) }
    },
    async token({ caller }) {
      return { status: 200, body: { token: await tokens.issue(caller) } }
    },
  })

const NONE = new Uint8Array(0)
/** To who may not see the group that it is at another version. */
const NO_GROUP: Group = Group.decode(NONE)
const NO_MEMBER: Member = Member.decode(NONE)

const responseOf = ({ group, endorsements = NONE }: GroupWithEndorsements) => ({
  group,
  groupSendEndorsementsResponse: endorsements,
})

const changesOf = ({ entries, endorsements = NONE }: GroupLogPage) => ({
  groupChanges: entries.map(({ change = NONE, state = NONE }) => ({
    groupChange: change,
    groupState: state,
  })),
  groupSendEndorsementsResponse: endorsements,
})

const rangeOf = ({ from, to, latest }: LogRange): string => `versions ${from}-${to}/${latest}`

/** The one refusal that tells why, for clients to say so. */
const BANNED = { 'X-Signal-Forbidden-Reason': 'banned' }

const joinReply = (joined: JoinInfo) =>
  joined.kind === 'told'
    ? ({ status: 200, body: joined.info } as const)
    : ({ status: 403, headers: BANNED } as const)
