// Sending (docs/protocol/messages.md). Receiving is the websocket's: wire/websocket.ts.
import { z } from 'zod'
import { json, nothing, route } from '../route.ts'
import { base64, deviceId, flag, registrationId, serviceId, timestampMs } from '../types.ts'

/** A client sends envelope types by number; 5, the server's own delivery receipt, is not for clients. */
export const SENDABLE_TYPES = [0, 1, 3, 6, 8] as const
/** Bytes of one message's content after decoding. */
export const MAX_CONTENT_BYTES = 96 * 1024

const IncomingMessage = z.object({
  type: z.literal(SENDABLE_TYPES),
  destinationDeviceId: deviceId,
  destinationRegistrationId: registrationId,
  content: base64('unpadded', { min: 1 }),
})
export type IncomingMessage = z.output<typeof IncomingMessage>

const distinctDevices = (messages: readonly IncomingMessage[]) =>
  new Set(messages.map((message) => message.destinationDeviceId)).size === messages.length

export const IncomingMessageList = z.object({
  messages: z.array(IncomingMessage).min(1).refine(distinctDevices, 'must address distinct devices'),
  online: z.boolean().nullish(),
  urgent: z.boolean().nullish(),
  timestamp: timestampMs.nullish(),
})
export type IncomingMessageList = z.output<typeof IncomingMessageList>

const deviceIds = z.array(deviceId)

export const messagesRoutes = {
  send: route({
    method: 'PUT',
    path: '/v1/messages/:destination',
    auth: 'device-or-unidentified',
    summary: 'Sends one message to every device of an account',
    limiters: ['messages', 'stories', 'inboundMessageBytes'],
    params: { destination: serviceId },
    query: { story: flag },
    body: json(IncomingMessageList),
    replies: {
      200: json(z.object({ needsSync: z.boolean() })),
      401: nothing,
      404: nothing,
      409: json(z.object({ missingDevices: deviceIds, extraDevices: deviceIds })),
      410: json(z.object({ staleDevices: deviceIds })),
      428: json(z.object({ token: z.string(), options: z.array(z.enum(['captcha', 'pushChallenge'])) })),
    },
  }),
}
