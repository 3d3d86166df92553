import { messagesRoutes } from '../../../wire/rest/messages.ts'
import { type Bound, implement, type ReplyOf } from '../../../wire/route.ts'
import type { Messages, Sent } from './messages.ts'

export const messagesRest = (messages: Messages): Bound[] =>
  implement(messagesRoutes, {
    async send({ caller, params, query, body }) {
      const send = query.story ? messages.sendStory : messages.send
      const sent = await send.call(messages, caller, {
        destination: params.destination,
        copies: body.messages.map((message) => ({
          type: message.type,
          deviceId: message.destinationDeviceId,
          registrationId: message.destinationRegistrationId,
          content: message.content,
        })),
        ephemeral: body.online ?? false,
        urgent: body.urgent ?? true,
        timestampMs: body.timestamp ?? 0,
      })
      return reply(sent)
    },
  })

/** Over REST a sender first learns of stale devices, and of missing and extra ones when none is stale. */
function reply(sent: Sent): ReplyOf<typeof messagesRoutes.send> {
  if (sent.kind === 'sent') return { status: 200, body: { needsSync: sent.needsSync } }
  if (sent.kind !== 'mismatched') return { status: sent.kind === 'refused' ? 401 : 404 }
  if (sent.stale.length > 0) return { status: 410, body: { staleDevices: [...sent.stale] } }
  return { status: 409, body: { missingDevices: [...sent.missing], extraDevices: [...sent.extra] } }
}
