// Unwanted messages (docs/protocol/messages.md).
import { nothing, route } from '../route.ts'
import { aciOrNumber, uuid } from '../types.ts'

export const reportsRoutes = {
  report: route({
    method: 'POST',
    path: '/v1/messages/report/:source/:guid',
    auth: 'device',
    summary: 'Reports a message that its recipient did not want; its body, a token, is not looked at',
    params: { source: aciOrNumber, guid: uuid },
    replies: { 202: nothing },
  }),
}
