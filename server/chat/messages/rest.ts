import { messagesRoutes } from '../../../wire/rest/messages.ts'
import { type Bound, implement, type ReplyOf } from '../../../wire/route.ts'
import type { GroupMessages, GroupSent } from './group-messages.ts'
import type { Messages, Sent } from './messages.ts'

export const messagesRest = (messages: Messages, groups: GroupMessages): Bound[] =>
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
    async sendToMany({ caller, query, body, remoteAddress }) {
      const send = query.story ? groups.sendStory : groups.send
      const sending = {
        payload: body,
        ephemeral: query.online,
        urgent: query.urgent,
        timestampMs: query.ts,
      }
      return replyOfMany(await send.call(groups, caller, sending, remoteAddress))
    },
  })

/** Over REST a sender first learns of stale devices, and of missing and extra ones when none is stale. */
function reply(sent: Sent): ReplyOf<typeof messagesRoutes.send> {
  if (sent.kind === 'sent') return { status: 200, body: { needsSync: sent.needsSync } }
  if (sent.kind === 'challenged')
    return { status: 428, body: { token: sent.token, options: [...sent.options] } }
  if (sent.kind !== 'mismatched') return { status: sent.kind === 'refused' ? 401 : 404 }
  if (sent.stale.length > 0) return { status: 410, body: { staleDevices: [...sent.stale] } }
  return { status: 409, body: { missingDevices: [...sent.missing], extraDevices: [...sent.extra] } }
}

/** A sender to many first learns of missing and extra devices, and of stale ones when there are no others. */
function replyOfMany(sent: GroupSent): ReplyOf<typeof messagesRoutes.sendToMany> {
  if (sent.kind === 'sent') return { status: 200, body: { uuids404: [...sent.unresolved] } }
  if (sent.kind !== 'mismatched') return { status: sent.kind === 'refused' ? 401 : 404 }
  const wrong = sent.recipients.filter(({ missing, extra }) => missing.length + extra.length > 0)
  if (wrong.length > 0) {
    const body = wrong.map(({ id, missing, extra }) => ({
      uuid: id,
      devices: { missingDevices: [...missing], extraDevices: [...extra] },
    }))
    return { status: 409, body }
  }
  const body = sent.recipients.map(({ id, stale }) => ({ uuid: id, devices: { staleDevices: [...stale] } }))
  return { status: 410, body }
}
