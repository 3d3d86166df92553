// Usernames by their hashes, and links to them (docs/protocol/usernames.md).
import { z } from 'zod'
import { MAX_USERNAME_CIPHERTEXT_BYTES, MAX_USERNAME_HASHES, USERNAME_HASH_BYTES } from '../limits.ts'
import { json, nothing, route } from '../route.ts'
import { aci, base64, uuid } from '../types.ts'

const usernameHash = base64('url', { min: USERNAME_HASH_BYTES, max: USERNAME_HASH_BYTES })
const ciphertext = base64('url', { min: 1, max: MAX_USERNAME_CIPHERTEXT_BYTES })

export const usernamesRoutes = {
  reserve: route({
    method: 'PUT',
    path: '/v1/accounts/username_hash/reserve',
    auth: 'device',
    summary: 'Keeps the first free name of a list for five minutes',
    limiters: ['usernameReserve'],
    body: json(z.object({ usernameHashes: z.array(usernameHash).min(1).max(MAX_USERNAME_HASHES) })),
    replies: { 200: json(z.object({ usernameHash })), 409: nothing },
  }),
  confirm: route({
    method: 'PUT',
    path: '/v1/accounts/username_hash/confirm',
    auth: 'device',
    summary: "Makes a reserved name the account's",
    limiters: ['usernameSet'],
    body: json(
      z.object({
        usernameHash,
        zkProof: base64('url', { min: 1 }),
        encryptedUsername: ciphertext.nullish(),
      }),
    ),
    replies: {
      200: json(z.object({ usernameHash, usernameLinkHandle: uuid.nullable() })),
      409: nothing,
      410: nothing,
    },
  }),
  delete: route({
    method: 'DELETE',
    path: '/v1/accounts/username_hash',
    auth: 'device',
    summary: 'Gives up the name and its link',
    replies: { 204: nothing },
  }),
  lookup: route({
    method: 'GET',
    path: '/v1/accounts/username_hash/:usernameHash',
    auth: 'anonymous',
    summary: 'Whose name it is',
    limiters: ['usernameLookup'],
    params: { usernameHash },
    replies: { 200: json(z.object({ uuid: aci })), 404: nothing },
  }),
  setLink: route({
    method: 'PUT',
    path: '/v1/accounts/username_link',
    auth: 'device',
    summary: "Puts a ciphertext behind the name's link",
    limiters: ['usernameLinkOperation'],
    body: json(z.object({ usernameLinkEncryptedValue: ciphertext, keepLinkHandle: z.boolean().nullish() })),
    replies: { 200: json(z.object({ usernameLinkHandle: uuid })), 409: nothing },
  }),
  deleteLink: route({
    method: 'DELETE',
    path: '/v1/accounts/username_link',
    auth: 'device',
    summary: 'Ends the link',
    limiters: ['usernameLinkOperation'],
    replies: { 204: nothing },
  }),
  lookupLink: route({
    method: 'GET',
    path: '/v1/accounts/username_link/:handle',
    auth: 'anonymous',
    summary: 'The ciphertext behind a link',
    limiters: ['usernameLinkLookupPerIp'],
    params: { handle: uuid },
    replies: {
      200: json(z.object({ usernameLinkEncryptedValue: ciphertext, keepLinkHandle: z.boolean() })),
      404: nothing,
    },
  }),
}
