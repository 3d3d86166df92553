// An account's own view of itself (docs/protocol/accounts.md).
import { json, nothing, route } from '../route.ts'
import { serviceId, text } from '../types.ts'
import { AccountAttributes, AccountIdentity } from './registration.ts'

export const accountsRoutes = {
  whoami: route({
    method: 'GET',
    path: '/v1/accounts/whoami',
    auth: 'device',
    summary: 'The identities of the calling account',
    replies: { 200: json(AccountIdentity) },
  }),
  setAttributes: route({
    method: 'PUT',
    path: '/v1/accounts/attributes',
    auth: 'device',
    summary: "Replaces the device's flags and the account's access settings",
    headers: { 'x-signal-agent': text(16).optional() },
    // The registration ids are fixed at registration: clients send them again, and they are not looked at.
    body: json(AccountAttributes.partial({ registrationId: true })),
    replies: { 204: nothing },
  }),
  exists: route({
    method: 'HEAD',
    path: '/v1/accounts/account/:serviceId',
    auth: 'anonymous',
    summary: 'Tells whether an account exists',
    limiters: ['checkAccountExistence'],
    params: { serviceId },
    replies: { 200: nothing, 404: nothing },
  }),
}
