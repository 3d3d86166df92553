// One person's view of one group, by libsignal's zkgroup.
import assert from 'node:assert/strict'
import * as LS from '@signalapp/libsignal-client'
import {
  ClientZkGroupCipher,
  ClientZkProfileOperations,
  GroupSecretParams,
  GroupSendEndorsement,
  GroupSendEndorsementsResponse,
  type GroupSendFullToken,
  NotarySignature,
  UuidCiphertext,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import { type ArgumentsOf, callRoute, type Transport } from '../../wire/client.ts'
import {
  AccessControl_AccessRequired as Access,
  GroupChange_Actions as Actions,
  Group,
  GroupAttributeBlob,
  type GroupAttributeBlobInit,
  type GroupChange,
  type GroupChange_ActionsInit,
  GroupChanges,
  type GroupInit,
  type MemberInit,
  Member_Role as Role,
  StoredGroupChanges,
} from '../../wire/gen/groups.js'
import { groupsRoutes } from '../../wire/rest/groups.ts'
import type { ReplyOf, Route } from '../../wire/route.ts'
import type { GroupPerson } from './group-person.ts'
import { basic, type Https } from './https.ts'

type Bytes = Uint8Array<ArrayBuffer>
type LogQuery = ArgumentsOf<(typeof groupsRoutes)['logs']>['query']

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

export const NO_ACCESS_BY_LINK = {
  attributes: Access.MEMBER,
  members: Access.MEMBER,
  addFromInviteLink: Access.UNSATISFIABLE,
}

/** As the server gets it. */
export const groupOf = (init: GroupInit): Group => Group.decode(Group.encode(init).finish())
export const actionsOf = (init: GroupChange_ActionsInit): Actions =>
  Actions.decode(Actions.encode(init).finish())

export class GroupClient {
  readonly person: GroupPerson
  readonly secrets: GroupSecretParams
  readonly cipher: ClientZkGroupCipher
  readonly #https: Https

  constructor(person: GroupPerson, https: Https, secrets = GroupSecretParams.generate()) {
    this.person = person
    this.secrets = secrets
    this.cipher = new ClientZkGroupCipher(secrets)
    this.#https = https
  }

  /** The same group as somebody else sees it who was given its key. */
  as(person: GroupPerson, https = this.#https): GroupClient {
    return new GroupClient(person, https, this.secrets)
  }

  get publicKey(): Bytes {
    return this.secrets.getPublicParams().serialize()
  }
  get groupId(): Bytes {
    return this.secrets.getPublicParams().getGroupIdentifier().serialize()
  }

  get authorization(): string {
    return this.authorizationOf()
  }
  /** By the credential of a day; today's unless told. */
  authorizationOf(day?: number): string {
    return basic(hex(this.publicKey), hex(this.person.show(this.secrets, day).serialize()))
  }

  idOf({ account }: GroupPerson): Bytes {
    return this.cipher.encryptServiceId(account.aci).serialize()
  }
  pniOf({ account }: GroupPerson): Bytes {
    return this.cipher.encryptServiceId(account.pni).serialize()
  }
  /** Whose id it is. */
  whose(userId: Uint8Array): string {
    return this.cipher.decryptServiceId(new UuidCiphertext(new Uint8Array(userId))).getServiceIdString()
  }

  blob(content: GroupAttributeBlobInit): Bytes {
    return this.cipher.encryptBlob(new Uint8Array(GroupAttributeBlob.encode(content).finish()))
  }
  titleOf({ title }: Pick<Group, 'title'>): string | null {
    return GroupAttributeBlob.decode(this.cipher.decryptBlob(new Uint8Array(title))).title
  }

  /** That this client knows the person's profile key. */
  presentation(person: GroupPerson): Bytes {
    const operations = new ClientZkProfileOperations(this.person.params)
    const { profileCredential } = person
    return operations
      .createExpiringProfileKeyCredentialPresentation(this.secrets, profileCredential)
      .serialize()
  }
  member(person: GroupPerson, role: number = Role.DEFAULT): MemberInit {
    return { role, presentation: this.presentation(person) }
  }
  invited(userId: Uint8Array, role: number = Role.DEFAULT) {
    return { added: { member: { userId, role } } }
  }

  /** What a client sends to create a group with itself as administrator. */
  proposal(title: string, others: readonly GroupPerson[] = []): GroupInit {
    const members = [this.member(this.person, Role.ADMINISTRATOR)]
    for (const other of others) members.push(this.member(other))
    return {
      publicKey: this.publicKey,
      title: this.blob({ title }),
      accessControl: NO_ACCESS_BY_LINK,
      version: 0,
      members,
    }
  }

  create(title: string, others: readonly GroupPerson[] = []) {
    const body = groupOf(this.proposal(title, others))
    return this.ask(groupsRoutes.create, { body })
  }
  get() {
    return this.ask(groupsRoutes.get, {})
  }
  change(actions: GroupChange_ActionsInit, inviteLinkPassword?: Uint8Array) {
    const query = inviteLinkPassword ? { inviteLinkPassword } : {}
    return this.ask(groupsRoutes.change, { body: actionsOf(actions), query })
  }
  joinedAtVersion() {
    return this.ask(groupsRoutes.joinedAtVersion, {})
  }
  /** `cached`: when its endorsements expire, in seconds; `null` leaves the header out. */
  async logs(fromVersion: number, query: Partial<LogQuery> = {}, cached: number | null = 0) {
    const reply = await this.ask(groupsRoutes.logs, {
      params: { fromVersion },
      query: { includeFirstState: false, includeLastState: false, maxSupportedChangeEpoch: 7, ...query },
      headers: cached === null ? {} : { 'cached-send-endorsements': cached },
    })
    const { status } = reply
    if (status !== 200 && status !== 206) return reply
    // As clients read it.
    const body = GroupChanges.decode(StoredGroupChanges.encode(reply.body).finish())
    return { ...reply, status, body }
  }
  joinInfo(inviteLinkPassword: Uint8Array) {
    return this.ask(groupsRoutes.joinInfo, { params: { inviteLinkPassword } })
  }
  joinInfoOfRequester() {
    return this.ask(groupsRoutes.joinInfoOfRequester, {})
  }
  avatarForm() {
    return this.ask(groupsRoutes.avatarForm, {})
  }
  token() {
    return this.ask(groupsRoutes.token, {})
  }

  /** The group as it is; fails if the server does not show it. */
  async state(): Promise<Group> {
    const reply = await this.get()
    assert.ok(reply.status === 200 && reply.body.group)
    return reply.body.group
  }

  /** Makes the next version, and looks at the server's signature for it. */
  async changeNow(actions: GroupChange_ActionsInit, inviteLinkPassword?: Uint8Array) {
    const { version } = actions.version ? { version: actions.version - 1 } : await this.state()
    const reply = await this.change({ ...actions, version: version + 1 }, inviteLinkPassword)
    assert.ok(reply.status === 200, `status ${reply.status}`)
    assert.ok(reply.body.groupChange)
    const signed = this.verified(reply.body.groupChange)
    assert.equal(signed.version, version + 1)
    const { groupChange, groupSendEndorsementsResponse } = reply.body
    return { groupChange, groupSendEndorsementsResponse, signed }
  }

  /** What the server signed; throws if it did not, or for another group. */
  verified({ actions, serverSignature }: GroupChange): Actions {
    const signature = new NotarySignature(new Uint8Array(serverSignature))
    this.person.params.verifySignature(new Uint8Array(actions), signature)
    const signed = Actions.decode(actions)
    assert.deepEqual(Buffer.from(signed.groupId), Buffer.from(this.groupId))
    return signed
  }

  /** What endorsements of a group's members are good for; throws if libsignal does not take them. */
  endorsed(response: Uint8Array, { members }: Pick<Group, 'members'>) {
    const received = new GroupSendEndorsementsResponse(new Uint8Array(response))
    const ids = members.map(({ userId }) => LS.ServiceId.parseFromServiceIdString(this.whose(userId)))
    const { params, account } = this.person
    const { endorsements } = received.receiveWithServiceIds(ids, account.aci, this.secrets, params)
    const expiration = received.getExpiration()
    return {
      expiration,
      /** For these members. */
      tokenFor: (recipients: readonly LS.ServiceId[]): GroupSendFullToken => {
        const wanted = recipients.map((id) => id.getServiceIdString())
        const chosen = endorsements.filter((_, at) => wanted.includes(ids[at]!.getServiceIdString()))
        assert.equal(chosen.length, wanted.length)
        return GroupSendEndorsement.combine(chosen).toFullToken(this.secrets, expiration)
      },
    }
  }

  /** Throws `UnexpectedStatus` for what the route does not declare: 401, 413, 422. */
  ask<R extends Route>(route: R, given: ArgumentsOf<R>): Promise<ReplyOf<R>> {
    const transport: Transport = (method, target, headers, body) =>
      this.#https.call(method, target, { headers, body })
    const extra = { authorization: this.authorization, ...given.extra }
    return callRoute(transport, route, { ...given, extra } as ArgumentsOf<R>)
  }
}
