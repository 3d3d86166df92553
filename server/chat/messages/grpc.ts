import {
  ChallengeRequired_ChallengeType,
  type GetMessagesRequest,
  GetMessagesStreamClosed,
  type IndividualRecipientMessageBundle,
  MessagesAnonymous,
  Messages as MessagesService,
  type MultiRecipientMessage,
  SendMessageType,
} from '../../../wire/gen/messages.js'
import { MAX_DEVICE_ID, MAX_REGISTRATION_ID, MAX_TIMESTAMP_MS, type ServiceId } from '../../../wire/types.ts'
import { type GrpcMethod, implementService } from '../../kit/grpc-service.ts'
import { GrpcCode, GrpcFailure, type StatusDetail } from '../../kit/grpc-status.ts'
import { Refusal } from '../../kit/refusal.ts'
import { readServiceIdentifier, toServiceIdentifier } from '../accounts/service-identifier.ts'
import type { Challenge } from '../challenges/challenges.ts'
import { unidentified } from '../keys/grpc.ts'
import { GUID_BYTES } from './envelope.ts'
import type { GroupMessages, GroupSending, GroupSent } from './group-messages.ts'
import type { Copy, Messages, Sending, Sent } from './messages.ts'
import type { Mismatch } from './mismatch.ts'
import type { Farewell } from './reader.ts'
import type { Readers } from './readers.ts'
import { StreamReader } from './stream-reader.ts'

/** gRPC's numbers of message types, and the envelope's. */
const IDENTIFIED_TYPES: Readonly<Record<number, number>> = {
  [SendMessageType.DOUBLE_RATCHET]: 1,
  [SendMessageType.PREKEY_MESSAGE]: 3,
  [SendMessageType.PLAINTEXT_CONTENT]: 8,
}
const SEALED_TYPES: Readonly<Record<number, number>> = { [SendMessageType.UNIDENTIFIED_SENDER]: 6 }

export const messagesGrpc = (messages: Messages, groups: GroupMessages, readers: Readers): GrpcMethod[] => [
  ...implementService(MessagesService, {
    async sendMessage(request, { device }) {
      const destination = readServiceIdentifier('destination', request.destination)
      const sending = { destination, ...common(request, IDENTIFIED_TYPES), ephemeral: request.ephemeral }
      return identifiedReply(await messages.sendIdentified(device, sending), destination)
    },
    async sendSyncMessage(request, { device }) {
      const sending = { ...common(request, IDENTIFIED_TYPES), ephemeral: false }
      return identifiedReply(await messages.sendSync(device, sending), device.aci)
    },
    async getMessages(requests, replies, { device }) {
      const { dropStories } = optionsOf((await requests.next()).value)
      const reader = new StreamReader(replies, (why) => FAREWELLS[why]())
      await readers.open(device, reader, !dropStories)
      for await (const request of requests) reader.acknowledge(guidOf(request))
    },
  }),
  ...implementService(MessagesAnonymous, {
    async sendSingleRecipientMessage(request) {
      const destination = readServiceIdentifier('destination', request.destination)
      const sending = { destination, ...common(request, SEALED_TYPES), ephemeral: request.ephemeral }
      return sealedReply(await messages.sendSealed(unidentified(request), sending), destination)
    },
    async sendStory(request) {
      const destination = readServiceIdentifier('destination', request.destination)
      const sending = { destination, ...common(request, SEALED_TYPES), ephemeral: false }
      return sealedReply(await messages.sendStory({ kind: 'none' }, sending), destination)
    },
    async sendMultiRecipientMessage(request, { remoteAddress }) {
      const access = { kind: 'group-send-token', token: request.groupSendToken } as const
      const sending = { ...groupSending(request), ephemeral: request.ephemeral }
      return groupReply(await groups.send(access, sending, remoteAddress))
    },
    async sendMultiRecipientStory(request) {
      const sending = { ...groupSending(request), ephemeral: false }
      return groupReply(await groups.sendStory({ kind: 'none' }, sending))
    },
  }),
]

const FAREWELLS: Readonly<Record<Farewell, () => Error>> = {
  displaced: () => new GrpcFailure({ code: GrpcCode.aborted, reason: 'STREAM_CLOSED', own: CONFLICTING }),
  reauthenticate: () => new Refusal('invalid-credentials', { message: 'reauthentication required' }),
  failed: () => new Refusal('unavailable'),
}

const CONFLICTING: StatusDetail = {
  name: 'org.signal.chat.messages.GetMessagesStreamClosed',
  bytes: GetMessagesStreamClosed.encode({ conflictingStream: {} }).finish(),
}

const optionsOf = (request: GetMessagesRequest | undefined) =>
  request?.options ?? violated('request', 'must begin with options')

function guidOf({ serverGuidAck }: GetMessagesRequest): Uint8Array {
  if (!serverGuidAck) violated('request', 'must be an acknowledgement')
  return serverGuidAck.length === GUID_BYTES ? serverGuidAck : violated('server_guid_ack', 'must be a guid')
}

type Common = { readonly urgent: boolean; readonly messages: IndividualRecipientMessageBundle | null }

function violated(field: string, message: string): never {
  throw new Refusal('invalid', { field, message })
}

function common(
  request: Common,
  types: Readonly<Record<number, number>>,
): Omit<Sending, 'destination' | 'ephemeral'> {
  const timestampMs = request.messages?.timestamp ?? 0
  if (timestampMs > MAX_TIMESTAMP_MS) violated('messages.timestamp', 'must be a time')
  const copies = copiesOf(request.messages, types)
  if (copies.length === 0) violated('messages.messages', 'must not be empty')
  return { copies, urgent: request.urgent, timestampMs }
}

/** Copies for the caller's own devices, if there are any. */
export const ownCopies = (bundle: IndividualRecipientMessageBundle | null): Copy[] =>
  copiesOf(bundle, IDENTIFIED_TYPES)

const copiesOf = (
  bundle: IndividualRecipientMessageBundle | null,
  types: Readonly<Record<number, number>>,
): Copy[] =>
  Object.entries(bundle?.messages ?? {}).map(([id, message]): Copy => {
    const deviceId = Number(id)
    if (deviceId < 1 || deviceId > MAX_DEVICE_ID) violated('messages.messages', 'must be keyed by device id')
    const { registrationId, payload } = message
    if (registrationId < 1 || registrationId > MAX_REGISTRATION_ID)
      violated('registration_id', 'must be a registration id')
    if (payload.length === 0) violated('payload', 'must not be empty')
    return {
      type: types[message.type] ?? violated('type', 'is not for this call'),
      deviceId,
      registrationId,
      content: payload,
    }
  })

type Group = { readonly urgent: boolean; readonly message: MultiRecipientMessage | null }

const groupSending = ({ urgent, message }: Group): Omit<GroupSending, 'ephemeral'> => ({
  payload: message?.payload ?? violated('message', 'must not be empty'),
  timestampMs: message?.timestamp ?? 0,
  urgent,
})

export const mismatchedDevices = (mismatched: Mismatch, destination: ServiceId) => ({
  serviceIdentifier: toServiceIdentifier(destination),
  missingDevices: mismatched.missing,
  extraDevices: mismatched.extra,
  staleDevices: mismatched.stale,
})

const mismatch = (sent: Extract<Sent, { kind: 'mismatched' }>, destination: ServiceId) => ({
  mismatchedDevices: mismatchedDevices(sent, destination),
})

function groupReply(sent: GroupSent) {
  if (sent.kind === 'sent')
    return { success: { unresolvedRecipients: sent.unresolved.map(toServiceIdentifier) } }
  if (sent.kind !== 'mismatched') return { failedUnidentifiedAuthorization: {} }
  return {
    mismatchedDevices: { mismatchedDevices: sent.recipients.map((one) => mismatchedDevices(one, one.id)) },
  }
}

const OPTIONS = {
  captcha: ChallengeRequired_ChallengeType.CAPTCHA,
  pushChallenge: ChallengeRequired_ChallengeType.PUSH_CHALLENGE,
} as const

const challengeOf = ({ token, options }: Challenge) => ({
  token,
  challengeOptions: options.map((option) => OPTIONS[option]),
})

function identifiedReply(sent: Sent, destination: ServiceId) {
  if (sent.kind === 'sent') return { success: {} }
  if (sent.kind === 'challenged') return { challengeRequired: challengeOf(sent) }
  return sent.kind === 'mismatched' ? mismatch(sent, destination) : { destinationNotFound: {} }
}

function sealedReply(sent: Sent, destination: ServiceId) {
  if (sent.kind === 'sent') return { success: {} }
  if (sent.kind === 'mismatched') return mismatch(sent, destination)
  return sent.kind === 'refused' ? { failedUnidentifiedAuthorization: {} } : { destinationNotFound: {} }
}
