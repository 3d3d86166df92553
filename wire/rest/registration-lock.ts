// The registration lock: a hash that the client makes of its PIN (docs/protocol/registration.md).
import { z } from 'zod'
import { json, nothing, route } from '../route.ts'
import { text } from '../types.ts'

export const registrationLockRoutes = {
  set: route({
    method: 'PUT',
    path: '/v1/accounts/registration_lock',
    auth: 'device',
    summary: 'Locks the account against being registered by whoever has its number',
    body: json(z.object({ registrationLock: text(64).min(64) })),
    replies: { 204: nothing },
  }),
  clear: route({
    method: 'DELETE',
    path: '/v1/accounts/registration_lock',
    auth: 'device',
    summary: 'Takes the registration lock away',
    replies: { 204: nothing },
  }),
}
