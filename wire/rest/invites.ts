// The page of an invite's link: ours, no client calls it (docs/protocol/invites.md).
import { form, octets, route } from '../route.ts'
import { text } from '../types.ts'

const page = octets('text/html; charset=utf-8')
const params = { code: text(64).min(1) }

export const invitesRoutes = {
  page: route({
    method: 'GET',
    path: '/invite/:code',
    auth: 'none',
    summary: 'The page of an invite: where the server is, and a form for a phone number',
    limiters: ['invitePage'],
    params,
    replies: { 200: page, 404: page },
  }),
  takeDigits: route({
    method: 'POST',
    path: '/invite/:code',
    auth: 'none',
    summary: 'Six digits for a phone number, which its client takes as its code',
    limiters: ['invitePage', 'inviteCode'],
    params,
    body: form,
    maxBodyBytes: 1024,
    replies: { 200: page, 403: page, 404: page },
  }),
}
