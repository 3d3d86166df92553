// A phone of @signalapp/mock-server with an account here: its groups are those of our storage service.
import assert from 'node:assert/strict'
import { ProfileKey } from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import type { Ready } from '../../server/up.ts'
import { authorizationOf, basic, type Https } from './https.ts'
import type { MockRules, Opinion } from './mock-rules.ts'
import {
  type MockChange,
  type MockConfig,
  type MockGroup,
  type MockGroupSecrets,
  type MockGroupState,
  type MockModification,
  type MockModified,
  type MockPrimary,
  type MockServerGroup,
  mock,
  mockSignal,
  mockZk,
} from './mock-server.ts'
import { fullProfile, ProfileKeys, profileBody } from './profile-keys.ts'
import type { Registered } from './register.ts'
import { expectStatus } from './rest.ts'
import { bytesOf, startOfDay } from './week.ts'

type Bytes = Uint8Array<ArrayBuffer>
type GroupSecrets = InstanceType<typeof mockZk.GroupSecretParams>
type Credential = InstanceType<typeof mockZk.AuthCredentialWithPni>

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const SILENT = { sendUpdateTo: [] as never[] }

export type MockSurroundings = {
  readonly ready: Ready
  readonly chat: Https
  readonly storage: Https
  readonly rules: MockRules
}

export class MockPerson {
  readonly account: Registered
  readonly primary: MockPrimary
  /** Every change that our server signed for this person, and what mock-server's would have; oldest first. */
  readonly signed: { readonly actions: Opinion['actions']; readonly theirs: Opinion }[] = []
  readonly #rules: MockRules
  readonly #chat: Https
  readonly #storage: Https
  readonly #params: InstanceType<typeof mockZk.ServerPublicParams>
  readonly #profile: ProfileKeys
  /** By their public keys. */
  readonly #groups = new Map<string, GroupSecrets>()
  #credential: Credential | undefined

  private constructor({ ready, chat, storage, rules }: MockSurroundings, account: Registered) {
    this.account = account
    this.#chat = chat
    this.#storage = storage
    this.#rules = rules
    this.#params = new mockZk.ServerPublicParams(bytesOf(ready.keys.serverPublicParams))
    this.primary = this.#primary()
    this.#profile = new ProfileKeys(account.aci, new ProfileKey(this.primary.profileKey.serialize()))
  }

  /** Publishes the phone's profile key and fetches a credential for today. */
  static async open(surroundings: MockSurroundings, account: Registered): Promise<MockPerson> {
    const person = new MockPerson(surroundings, account)
    const { chat } = surroundings
    const headers = authorizationOf(account)
    const json = profileBody(person.#profile, fullProfile())
    expectStatus(200, await chat.call('PUT', '/v1/profile', { headers, json }))
    person.#credential = await person.#fetchCredential()
    return person
  }

  create(title: string, others: readonly MockPerson[] = []): Promise<MockGroup> {
    return this.primary.createGroup({ title, members: [this, ...others].map(({ primary }) => primary) })
  }
  /** The group as it is on the server. */
  refresh(group: MockGroup): Promise<MockGroup> {
    this.#learn(group.secretParams)
    return this.primary.waitForGroupUpdate(group)
  }
  setTimer(group: MockGroup, seconds: number): Promise<MockGroup> {
    return this.primary.modifyGroupDisappearingMessageTimer(group, seconds, SILENT)
  }
  invite(group: MockGroup, { primary }: MockPerson, serviceIdKind: 'ACI' | 'PNI'): Promise<MockGroup> {
    return this.primary.inviteToGroup(group, primary.device, { ...SILENT, serviceIdKind })
  }
  acceptByPni(group: MockGroup): Promise<MockGroup> {
    return this.primary.acceptPniInvite(group, SILENT)
  }
  async acceptByProfileKey(group: MockGroup): Promise<MockGroup> {
    const shown = await this.primary.getProfileKeyPresentation(group.secretParams)
    const promoted = { presentation: shown.serialize(), userId: null, profileKey: null }
    return this.change(group, { promoteMembersPendingProfileKey: [promoted] })
  }

  /** What mock-server's group takes as an action, but its phone has no method for. */
  async change(group: MockGroup, actions: object): Promise<MockGroup> {
    const next = { ...mock.EMPTY_GROUP_ACTIONS, ...actions, version: group.revision + 1 }
    const onServer = await this.#getGroup(group.publicParams.serialize())
    const author = {
      aciCiphertext: group.encryptServiceId(this.account.aci.getServiceIdString()),
      pniCiphertext: group.encryptServiceId(this.account.pni.getServiceIdString()),
    }
    const { conflict } = await this.#modifyGroup({ group: onServer, actions: next, ...author })
    assert.ok(!conflict, 'Group update conflict!')
    return this.refresh(group)
  }

  #primary(): MockPrimary {
    const { aci, pni, number, deviceId, keys } = this.account
    const device = new mock.Device({
      aci: aci.getServiceIdString(),
      pni: pni.getServiceIdString(),
      number,
      deviceId,
      registrationId: keys.aci.registrationId,
      pniRegistrationId: keys.pni.registrationId,
      isProvisioned: true,
      authCredentialSalt: Buffer.alloc(16),
    })
    const primary = new mock.PrimaryDevice(device, this.#config())
    // The callbacks name a group by its public key only; to act in it takes its secret, which the phone has here.
    const present = primary.getProfileKeyPresentation.bind(primary)
    primary.getProfileKeyPresentation = (group) => {
      this.#learn(group)
      return present(group)
    }
    return primary
  }

  #config(): MockConfig {
    return {
      profileName: 'a phone of mock-server',
      contacts: {},
      serverPublicParams: this.#params,
      getSenderCertificate: async () => undefined,
      issueExpiringProfileKeyCredential: (_, request) => this.#fetchProfileCredential(request.serialize()),
      getGroup: (publicParams) => this.#getGroup(publicParams),
      createGroup: (group) => this.#createGroup(group as MockGroupState),
      modifyGroup: (modification) => this.#modifyGroup(modification),
      waitForGroupUpdate: async () => {},
    }
  }

  #learn(group: MockGroupSecrets): void {
    this.#groups.set(hex(group.getPublicParams().serialize()), group as GroupSecrets)
  }

  async #fetchCredential(): Promise<Credential> {
    const today = startOfDay()
    const headers = authorizationOf(this.account)
    const range = `redemptionStartSeconds=${today}&redemptionEndSeconds=${today}`
    const reply = await this.#chat.call('GET', `/v1/certificate/auth/group?${range}`, { headers })
    expectStatus(200, reply)
    const [{ credential, redemptionTime }] = reply.json.credentials
    return new mockZk.ClientZkAuthOperations(this.#params).receiveAuthCredentialWithPniAsServiceId(
      mockSignal.Aci.parseFromServiceIdString(this.account.aci.getServiceIdString()),
      mockSignal.Pni.parseFromServiceIdString(this.account.pni.getServiceIdString()),
      redemptionTime,
      new mockZk.AuthCredentialWithPniResponse(bytesOf(credential)),
    )
  }

  async #fetchProfileCredential(request: Bytes): Promise<Bytes> {
    const headers = authorizationOf(this.account)
    const path = `/v1/profile/${this.account.aci.getServiceIdString()}/${this.#profile.version}/${hex(request)}`
    const reply = await this.#chat.call('GET', `${path}?credentialType=expiringProfileKey`, { headers })
    expectStatus(200, reply)
    return bytesOf(reply.json.credential)
  }

  #ask(method: string, publicKey: Uint8Array, body?: Bytes) {
    const secrets = this.#groups.get(hex(publicKey))
    assert.ok(secrets, 'the secret of this group is not known')
    const operations = new mockZk.ClientZkAuthOperations(this.#params)
    const shown = operations.createAuthCredentialWithPniPresentation(secrets, this.#credential!)
    const headers = {
      authorization: basic(hex(publicKey), hex(shown.serialize())),
      ...(body && { 'content-type': 'application/x-protobuf' }),
    }
    return this.#storage.call(method, '/v2/groups', { headers, ...(body && { body }) })
  }

  async #getGroup(publicKey: Bytes): Promise<MockServerGroup> {
    const reply = await this.#ask('GET', publicKey)
    expectStatus(200, reply)
    const { group } = mock.Proto.GroupResponse.decode(new Uint8Array(reply.body))
    assert.ok(group)
    return { state: group }
  }

  async #createGroup(group: MockGroupState): Promise<MockServerGroup> {
    expectStatus(200, await this.#ask('PUT', group.publicKey, mock.Proto.Group.encode(group)))
    this.#rules.create(group)
    return this.#getGroup(group.publicKey)
  }

  async #modifyGroup(modification: MockModification): Promise<MockModified> {
    const { group, actions } = modification
    const { publicKey } = group.state
    const reply = await this.#ask('PATCH', publicKey, mock.Proto.GroupChange.Actions.encode(actions))
    if (reply.status === 409) return { conflict: true, signedChange: undefined }
    expectStatus(200, reply)
    const { groupChange } = mock.Proto.GroupChangeResponse.decode(new Uint8Array(reply.body))
    assert.ok(groupChange)
    this.#keep(groupChange, modification)
    group.state = (await this.#getGroup(publicKey)).state
    return { conflict: false, signedChange: groupChange }
  }

  /** Throws if the server did not sign it. */
  #keep({ actions, serverSignature }: MockChange, modification: MockModification): void {
    this.#params.verifySignature(actions, new mockZk.NotarySignature(serverSignature))
    const theirs = this.#rules.modify(modification)
    this.signed.push({ actions: mock.Proto.GroupChange.Actions.decode(actions), theirs })
  }
}
