// The three ways in for a message: plain HTTPS, a socket and gRPC, each with the caller's proof in its own form.
import { Messages, MessagesAnonymous, SendMessageType } from '../../wire/gen/messages.js'
import { type ServiceId, serviceIdToBytes, uuidOf, uuidToBytes } from '../../wire/types.ts'
import { GrpcClient } from '../client/grpc.ts'
import { authorizationOf, Https } from '../client/https.ts'
import { HTTP_VERSIONS, type HttpVersion } from '../client/net.ts'
import { RawSocket } from '../client/raw-socket.ts'
import type { Registered } from '../client/register.ts'
import type { Constellation } from '../constellation.ts'

/** Who sends: a device by name, or nobody with a proof. */
export type From =
  | { readonly device: Registered }
  | { readonly key: Uint8Array }
  | { readonly token: Uint8Array }
  | { readonly nothing: true }
export type Copy = { readonly deviceId: number; readonly registrationId: number; readonly bytes: number }
export type Letter = { readonly to: ServiceId; readonly copies: readonly Copy[]; readonly online?: boolean }

/** A status of REST, and a body if there was one; gRPC's answers are told as the statuses that they stand for. */
export type Outcome = { readonly status: number; readonly json?: unknown }
export type SendDoor = { readonly name: string; send(from: From, letter: Letter): Promise<Outcome> }

/** Such a socket displaces none and is displaced by none. */
const FOR_REQUESTS = { 'x-signal-disable-messages': 'true' }

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')

const bodyOf = ({ copies, online = false }: Letter, type: number) => ({
  messages: copies.map(({ deviceId, registrationId, bytes }) => ({
    type,
    destinationDeviceId: deviceId,
    destinationRegistrationId: registrationId,
    content: base64(Buffer.alloc(bytes, 7)),
  })),
  online,
  urgent: false,
  timestamp: 1_750_000_000_000,
})

const headersOf = (from: From): Record<string, string> => {
  if ('device' in from) return authorizationOf(from.device)
  if ('key' in from) return { 'unidentified-access-key': base64(from.key) }
  return 'token' in from ? { 'group-send-token': base64(from.token) } : {}
}

function httpsDoor(https: Https, name: string): SendDoor {
  return {
    name,
    async send(from, letter) {
      const json = bodyOf(letter, 'device' in from ? 1 : 6)
      return https.call('PUT', `/v1/messages/${letter.to}`, { headers: headersOf(from), json })
    },
  }
}

function socketDoor(server: Constellation, httpVersion: HttpVersion, stranger: RawSocket): SendDoor {
  const sockets = new Map<string, Promise<RawSocket>>()
  const socketOf = (from: From): Promise<RawSocket> => {
    if (!('device' in from)) return Promise.resolve(stranger)
    const { authorization } = authorizationOf(from.device)
    const socket =
      sockets.get(authorization) ??
      RawSocket.open(server.ready, httpVersion, {
        headers: { ...authorizationOf(from.device), ...FOR_REQUESTS },
      })
    sockets.set(authorization, socket)
    return socket
  }
  return {
    name: `a socket on HTTP/${httpVersion}`,
    async send(from, letter) {
      const socket = await socketOf(from)
      const proof = 'device' in from ? {} : headersOf(from)
      const lines = Object.entries({ 'content-type': 'application/json', ...proof }).map(
        ([key, value]) => `${key}:${value}`,
      )
      const body = Buffer.from(JSON.stringify(bodyOf(letter, 'device' in from ? 1 : 6)))
      const answer = await socket.ask('PUT', `/v1/messages/${letter.to}`, lines, body)
      const text = Buffer.from(answer.body).toString()
      return { status: answer.status, ...(text !== '' && { json: JSON.parse(text) as unknown }) }
    },
  }
}

const STATUS_OF_RESPONSE: Readonly<Record<string, number>> = {
  success: 200,
  failedUnidentifiedAuthorization: 401,
  destinationNotFound: 404,
  mismatchedDevices: 409,
  challengeRequired: 428,
}
const STATUS_OF_REASON: Readonly<Record<string, number>> = {
  CONSTRAINT_VIOLATED: 422,
  BAD_AUTHENTICATION: 400,
  INVALID_CREDENTIALS: 401,
  RESOURCE_EXHAUSTED: 429,
}

function grpcDoor(grpc: GrpcClient): SendDoor {
  return {
    name: 'gRPC',
    async send(from, { to, copies, online = false }) {
      const type = 'device' in from ? SendMessageType.DOUBLE_RATCHET : SendMessageType.UNIDENTIFIED_SENDER
      const messages = Object.fromEntries(
        copies.map(({ deviceId, registrationId, bytes }) => [
          deviceId,
          { registrationId, payload: Buffer.alloc(bytes, 7), type },
        ]),
      )
      const identityType = serviceIdToBytes(to).length === 16 ? 1 : 2
      const common = {
        destination: { identityType, uuid: uuidToBytes(uuidOf(to)) },
        ephemeral: online,
        messages: { timestamp: 1_750_000_000_000, messages },
      }
      const proof =
        'key' in from
          ? { unidentifiedAccessKey: from.key }
          : 'token' in from
            ? { groupSendToken: from.token }
            : {}
      const answer =
        'device' in from
          ? await grpc.call(Messages.rpcs.sendMessage, common, authorizationOf(from.device))
          : await grpc.call(MessagesAnonymous.rpcs.sendSingleRecipientMessage, { ...common, ...proof })
      const { reply } = answer
      if (!reply) return { status: STATUS_OF_REASON[answer.reason ?? ''] ?? answer.code }
      const wrong = reply.mismatchedDevices
      const lists = wrong && {
        missing: [...wrong.missingDevices],
        extra: [...wrong.extraDevices],
        stale: [...wrong.staleDevices],
      }
      return { status: STATUS_OF_RESPONSE[reply.response ?? ''] ?? 0, ...(lists && { json: lists }) }
    },
  }
}

/** Every door of a server; `close` first. */
export async function openSendDoors(
  server: Constellation,
): Promise<{ readonly doors: readonly SendDoor[]; close(): Promise<void> }> {
  const grpc = GrpcClient.open(server.ready)
  const opened = await Promise.all(
    HTTP_VERSIONS.map(async (version) => {
      const https = Https.open(server.ready, version)
      const socket = await RawSocket.open(server.ready, version)
      return { version, https, socket }
    }),
  )
  const doors = opened.flatMap(({ version, https, socket }) => [
    httpsDoor(https, `HTTPS ${version}`),
    socketDoor(server, version, socket),
  ])
  return {
    doors: [...doors, grpcDoor(grpc)],
    async close() {
      for (const { https, socket } of opened) {
        await socket.close()
        await https[Symbol.asyncDispose]()
      }
      await grpc[Symbol.asyncDispose]()
    },
  }
}

/** A copy for a device as it registered. */
export const copyFor = ({ deviceId, keys }: Registered, bytes = 8): Copy => ({
  deviceId,
  registrationId: keys.aci.registrationId,
  bytes,
})
