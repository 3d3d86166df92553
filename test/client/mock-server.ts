// The parts of @signalapp/mock-server that stand in for a phone, and the libsignal that it brings: 0.100, whose objects no
// other version takes. Only bytes may go from one to the other.
import { createRequire } from 'node:module'

type Bytes = Uint8Array<ArrayBuffer>
type Serializable = { serialize(): Bytes }

type MockCodec<Message> = { decode(bytes: Bytes): Message; encode(message: object): Bytes }

export type MockMember = { readonly role: number; readonly userId: Bytes }
export type MockGroupState = {
  readonly publicKey: Bytes
  readonly version: number
  readonly title: Bytes
  readonly disappearingMessagesTimer: Bytes
  readonly members: readonly MockMember[]
  readonly membersPendingProfileKey: readonly { readonly member: MockMember | null }[]
  readonly terminated: boolean
}
export type MockChange = { readonly actions: Bytes; readonly serverSignature: Bytes }
export type MockActions = Readonly<Record<string, unknown>> & {
  readonly version: number
  readonly sourceUserId: Bytes
  readonly groupId: Bytes
}

export type MockBlob = { readonly title?: string; readonly disappearingMessagesDuration?: number }

export type MockGroupSecrets = Serializable & { getPublicParams(): Serializable }

/** What one person knows of a group. */
export interface MockGroup {
  readonly secretParams: MockGroupSecrets
  readonly publicParams: Serializable
  readonly id: string
  readonly title: string
  readonly revision: number
  readonly state: MockGroupState
  encryptServiceId(serviceId: string): Bytes
  decryptServiceId(ciphertext: Bytes): string
  encryptBlob(blob: { content: object }): Bytes
  getMemberByServiceId(serviceId: string): MockMember | undefined
  getPendingMemberByServiceId(serviceId: string): object | undefined
}

export type MockDevice = { readonly aci: string; readonly pni: string | undefined }

type ToGroup = { readonly sendUpdateTo: readonly never[] }
type Invitation = ToGroup & { readonly serviceIdKind: 'ACI' | 'PNI' }

/** A phone that does its own cryptography, and leaves every exchange with a server to its `MockConfig`. */
export interface MockPrimary {
  readonly device: MockDevice
  readonly profileKey: Serializable
  createGroup(options: { title: string; members: readonly MockPrimary[] }): Promise<MockGroup>
  waitForGroupUpdate(group: MockGroup): Promise<MockGroup>
  inviteToGroup(group: MockGroup, invitee: MockDevice, options: Invitation): Promise<MockGroup>
  acceptPniInvite(group: MockGroup, options: ToGroup): Promise<MockGroup>
  modifyGroupDisappearingMessageTimer(group: MockGroup, s: number, options: ToGroup): Promise<MockGroup>
  getProfileKeyPresentation(group: MockGroupSecrets): Promise<Serializable>
}

/** What it reads of the server's group: the state, after a change too. */
export type MockServerGroup = { state: MockGroupState }
export type MockModification = {
  readonly group: MockServerGroup
  readonly actions: object
  /** Of the author. */
  readonly aciCiphertext: Bytes
  readonly pniCiphertext: Bytes
}
export type MockModified =
  | { readonly conflict: false; readonly signedChange: MockChange }
  | { readonly conflict: true; readonly signedChange: undefined }

/** Of its twenty callbacks those that groups need. */
export type MockConfig = {
  readonly profileName: string
  readonly contacts: object
  readonly serverPublicParams: object
  getSenderCertificate(): Promise<undefined>
  issueExpiringProfileKeyCredential(device: MockDevice, request: Serializable): Promise<Bytes>
  getGroup(publicParams: Bytes): Promise<MockServerGroup>
  createGroup(group: object): Promise<MockServerGroup>
  modifyGroup(modification: MockModification): Promise<MockModified>
  waitForGroupUpdate(): Promise<void>
}

type MockServer = {
  readonly Device: new (options: object) => MockDevice
  readonly PrimaryDevice: new (device: MockDevice, config: MockConfig) => MockPrimary
  readonly EMPTY_GROUP_ACTIONS: object
  readonly Proto: {
    readonly Group: MockCodec<MockGroupState>
    readonly GroupAttributeBlob: MockCodec<{ readonly content?: MockBlob }>
    readonly GroupResponse: MockCodec<{ readonly group: MockGroupState | null }>
    readonly GroupChange: { readonly Actions: MockCodec<MockActions> }
    readonly GroupChangeResponse: MockCodec<{ readonly groupChange: MockChange | null }>
  }
}

const require = createRequire(import.meta.url)
const requireOfMock = createRequire(require.resolve('@signalapp/mock-server'))

export const mock: MockServer = require('@signalapp/mock-server')
/** Its own libsignal; typed as ours, but neither takes an object of the other. */
export const mockSignal: typeof import('@signalapp/libsignal-client') = requireOfMock(
  '@signalapp/libsignal-client',
)
export const mockZk: typeof import('@signalapp/libsignal-client/dist/zkgroup/index.js') = requireOfMock(
  '@signalapp/libsignal-client/zkgroup',
)
