// An account's own view of itself (docs/protocol/accounts.md).
import { z } from 'zod'
import { json, nothing, route } from '../route.ts'
import { serviceId, text } from '../types.ts'
import { AccountAttributes, AccountIdentity } from './registration.ts'

/** Moments are told to the second. */
export const DataReport = z.object({
  reportId: z.string(),
  reportTimestamp: z.string(),
  data: z.object({
    account: z.object({
      phoneNumber: z.string().nullable(),
      badges: z.array(z.never()),
      allowSealedSenderFromAnyone: z.boolean(),
      findAccountByPhoneNumber: z.boolean(),
    }),
    devices: z.array(
      z.object({
        id: z.int(),
        lastSeen: z.string(),
        created: z.string(),
        userAgent: z.string().nullable(),
      }),
    ),
  }),
  text: z.string(),
})

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
  setDiscoverability: route({
    method: 'PUT',
    path: '/v2/accounts/phone_number_discoverability',
    auth: 'device',
    summary: 'Whether others find the account by its phone number',
    body: json(z.object({ discoverableByPhoneNumber: z.boolean() })),
    replies: { 204: nothing },
  }),
  dataReport: route({
    method: 'GET',
    path: '/v2/accounts/data_report',
    auth: 'device',
    summary: 'A report of the account and its devices',
    replies: { 200: json(DataReport) },
  }),
  delete: route({
    method: 'DELETE',
    path: '/v1/accounts/me',
    auth: 'device',
    summary: 'Deletes the account, and everything that is kept of it',
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
