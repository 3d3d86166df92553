// Sending (docs/protocol/messages.md). Receiving is the websocket's: wire/websocket.ts.
import { z } from 'zod'
import { MAX_MULTI_RECIPIENT_BYTES } from '../limits.ts'
import { json, nothing, octets, route } from '../route.ts'
import {
  base64,
  decodeBase64,
  deviceId,
  flag,
  MAX_DEVICE_ID,
  MAX_REGISTRATION_ID,
  MAX_TIMESTAMP_MS,
  registrationId,
  serviceId,
  timestampMs,
} from '../types.ts'

/** A client sends envelope types by number; 5, the server's own delivery receipt, is not for clients. */
export const SENDABLE_TYPES = [0, 1, 3, 6, 8] as const

export const IncomingMessage = z.object({
  type: z.literal(SENDABLE_TYPES),
  destinationDeviceId: deviceId,
  destinationRegistrationId: registrationId,
  content: base64('unpadded', { min: 1 }),
})
export type IncomingMessage = z.output<typeof IncomingMessage>

export const distinctDevices = (messages: readonly IncomingMessage[]) =>
  new Set(messages.map((message) => message.destinationDeviceId)).size === messages.length

export const IncomingMessageList = z.object({
  messages: z.array(IncomingMessage).min(1).refine(distinctDevices, 'must address distinct devices'),
  online: z.boolean().nullish(),
  urgent: z.boolean().nullish(),
  timestamp: timestampMs.nullish(),
})
export type IncomingMessageList = z.output<typeof IncomingMessageList>

/** Reads the list that almost every send has: one message, every field of its plain form. */
function readPlainList(value: unknown): IncomingMessageList | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { messages, online, urgent, timestamp } = value as Record<string, unknown>
  if (!Array.isArray(messages) || messages.length !== 1 || !isBoolean(online) || !isBoolean(urgent))
    return undefined
  const message = readPlainMessage(messages[0])
  if (!message || !isWhole(timestamp, 0, MAX_TIMESTAMP_MS)) return undefined
  return { messages: [message], online, urgent, timestamp }
}

function readPlainMessage(value: unknown): IncomingMessage | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { type, destinationDeviceId, destinationRegistrationId, content } = value as Record<string, unknown>
  if (type !== 1 && type !== 3 && type !== 6 && type !== 8) return undefined
  if (!isWhole(destinationDeviceId, 1, MAX_DEVICE_ID)) return undefined
  if (!isWhole(destinationRegistrationId, 1, MAX_REGISTRATION_ID) || typeof content !== 'string')
    return undefined
  const bytes = decodeBase64(content)
  return bytes && bytes.length > 0
    ? { type, destinationDeviceId, destinationRegistrationId, content: bytes }
    : undefined
}

const isBoolean = (value: unknown): value is boolean => typeof value === 'boolean'
const isWhole = (value: unknown, min: number, max: number): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max

const NEEDS_SYNC = Buffer.from('{"needsSync":true}')
const NEEDS_NO_SYNC = Buffer.from('{"needsSync":false}')

const deviceIds = z.array(deviceId)

/** What is wrong with the devices of one of many recipients. */
const accountWith = <T extends z.ZodType>(devices: T) => json(z.array(z.object({ uuid: serviceId, devices })))
/** Milliseconds; what is no number is none, and the rules refuse what is no time (400). */
const time = z.codec(z.string().optional(), z.custom<number>(), {
  decode: (text = '0') => (/^\d+$/.test(text) ? Number(text) : Number.NaN),
  encode: String,
})
/** A query flag that is true unless it says `false`. */
const yes = z.codec(z.enum(['true', 'false']).optional(), z.boolean(), {
  decode: (text) => text !== 'false',
  encode: (value) => (value ? 'true' : 'false'),
})

export const messagesRoutes = {
  send: route({
    method: 'PUT',
    path: '/v1/messages/:destination',
    auth: 'device-or-unidentified',
    summary: 'Sends one message to every device of an account',
    limiters: ['messages', 'stories', 'inboundMessageBytes'],
    params: { destination: serviceId },
    query: { story: flag },
    body: json(IncomingMessageList, { decode: readPlainList }),
    replies: {
      200: json(z.object({ needsSync: z.boolean() }), {
        encode: ({ needsSync }) => (needsSync ? NEEDS_SYNC : NEEDS_NO_SYNC),
      }),
      401: nothing,
      404: nothing,
      409: json(z.object({ missingDevices: deviceIds, extraDevices: deviceIds })),
      410: json(z.object({ staleDevices: deviceIds })),
      428: json(z.object({ token: z.string(), options: z.array(z.enum(['captcha', 'pushChallenge'])) })),
    },
  }),
  sendToMany: route({
    method: 'PUT',
    path: '/v1/messages/multi_recipient',
    auth: 'unidentified',
    summary: 'Sends one sealed message to every device of many accounts, or to none',
    limiters: ['stories', 'checkAccountExistence'],
    query: { ts: time, online: flag, urgent: yes, story: flag },
    body: octets('application/vnd.signal-messenger.mrm'),
    maxBodyBytes: MAX_MULTI_RECIPIENT_BYTES,
    replies: {
      200: json(z.object({ uuids404: z.array(serviceId) })),
      400: nothing,
      401: nothing,
      404: nothing,
      409: accountWith(z.object({ missingDevices: deviceIds, extraDevices: deviceIds })),
      410: accountWith(z.object({ staleDevices: deviceIds })),
    },
  }),
}
