// Backups (docs/protocol/backups.md): what an account commits to, and what whoever holds the credentials does, unnamed.
import { z } from 'zod'
import { json, nothing, route } from '../route.ts'
import { base64, decimal, decodeBase64, text } from '../types.ts'
import { UploadForm, uploadLength } from './attachments.ts'

const exactly = (size: number) => ({ min: size, max: size })
const mediaId = base64('url', exactly(15))
const layerKey = base64('unpadded', exactly(32))
const seconds = decimal(z.int().min(0)).optional()
const MAX_ITEMS = 1000

/** What cannot be read is empty, and proves nothing: 401, as for a wrong one. */
const proof = z.codec(z.string().optional(), z.custom<Uint8Array | undefined>(), {
  decode: (header) => (header === undefined ? undefined : (decodeBase64(header) ?? new Uint8Array(0))),
  encode: (bytes) => bytes && Buffer.from(bytes).toString('base64'),
})
/** A presentation of a credential, and its signature by the backup's key. */
const headers = { 'x-signal-zk-auth': proof, 'x-signal-zk-auth-signature': proof }
const refusals = { 400: nothing, 401: nothing, 403: nothing }

const Credentials = z.array(z.object({ credential: base64('padded'), redemptionTime: z.int() }))

const CopyMedia = z.object({
  sourceAttachment: z.object({
    cdn: z.int().min(1).max(3),
    key: z.string().regex(/^[\w-]{1,64}$/),
  }),
  objectLength: z.int().min(0),
  mediaId,
  hmacKey: layerKey,
  encryptionKey: layerKey,
})

export const backupsRoutes = {
  setBackupId: route({
    method: 'PUT',
    path: '/v1/archives/backupid',
    auth: 'device',
    summary: 'Commits to blinded ids of backups',
    limiters: ['setBackupId', 'setPaidMediaBackupId'],
    body: json(
      z.object({
        messagesBackupAuthCredentialRequest: base64('padded').nullish(),
        mediaBackupAuthCredentialRequest: base64('padded').nullish(),
      }),
    ),
    replies: { 204: nothing, 400: nothing, 403: nothing },
  }),
  limits: route({
    method: 'GET',
    path: '/v1/archives/backupid/limits',
    auth: 'device',
    summary: 'Tells whether the ids could be changed now',
    replies: { 200: json(z.object({ hasPermitsRemaining: z.boolean(), retryAfterSeconds: z.int() })) },
  }),
  redeemReceipt: route({
    method: 'POST',
    path: '/v1/archives/redeem-receipt',
    auth: 'device',
    summary: 'Redeems a receipt for the level that keeps media',
    body: json(z.object({ receiptCredentialPresentation: base64('padded') })),
    replies: { 204: nothing, 400: nothing, 409: nothing },
  }),
  credentials: route({
    method: 'GET',
    path: '/v1/archives/auth',
    auth: 'device',
    summary: 'A credential of each kind for every day of a range',
    query: { redemptionStartSeconds: seconds, redemptionEndSeconds: seconds },
    replies: {
      200: json(z.object({ credentials: z.object({ messages: Credentials, media: Credentials }) })),
      400: nothing,
      404: nothing,
    },
  }),
  setPublicKey: route({
    method: 'PUT',
    path: '/v1/archives/keys',
    auth: 'anonymous',
    summary: 'Sets the key that signs for a backup, once and for ever',
    headers,
    body: json(z.object({ backupIdPublicKey: base64('padded') })),
    replies: { 204: nothing, ...refusals },
  }),
  readAuth: route({
    method: 'GET',
    path: '/v1/archives/auth/read',
    auth: 'anonymous',
    summary: 'Headers for downloads from the backup',
    headers,
    query: { cdn: decimal(z.int()).optional() },
    replies: { 200: json(z.object({ headers: z.record(z.string(), z.string()) })), ...refusals },
  }),
  svrbAuth: route({
    method: 'GET',
    path: '/v1/archives/auth/svrb',
    auth: 'anonymous',
    summary: 'Credentials for the service that keeps keys of backups',
    headers,
    replies: { 200: json(z.object({ username: z.string(), password: z.string() })), ...refusals },
  }),
  info: route({
    method: 'GET',
    path: '/v1/archives',
    auth: 'anonymous',
    summary: 'Where the backup is, and how much it holds',
    headers,
    replies: {
      200: json(
        z.object({
          cdn: z.int(),
          backupDir: z.string(),
          mediaDir: z.string(),
          backupName: z.string(),
          usedSpace: z.int(),
        }),
      ),
      ...refusals,
    },
  }),
  refresh: route({
    method: 'POST',
    path: '/v1/archives',
    auth: 'anonymous',
    summary: 'Keeps the backup from expiring',
    headers,
    replies: { 204: nothing, ...refusals },
  }),
  deleteAll: route({
    method: 'DELETE',
    path: '/v1/archives',
    auth: 'anonymous',
    summary: 'Deletes the whole backup',
    headers,
    replies: { 204: nothing, ...refusals },
  }),
  messagesForm: route({
    method: 'GET',
    path: '/v1/archives/upload/form',
    auth: 'anonymous',
    summary: 'A form for the backup of messages',
    headers,
    query: { uploadLength },
    replies: { 200: json(UploadForm), 413: nothing, ...refusals },
  }),
  mediaForm: route({
    method: 'GET',
    path: '/v1/archives/media/upload/form',
    auth: 'anonymous',
    summary: 'A form for an attachment that is to be copied into the backup',
    limiters: ['backupAttachmentCreate'],
    headers,
    query: { uploadLength },
    replies: { 200: json(UploadForm), 413: nothing, ...refusals },
  }),
  copyMedia: route({
    method: 'PUT',
    path: '/v1/archives/media',
    auth: 'anonymous',
    summary: 'Copies an attachment into the backup',
    headers,
    body: json(CopyMedia),
    replies: { 200: json(z.object({ cdn: z.int() })), 410: nothing, 413: nothing, ...refusals },
  }),
  copyMediaBatch: route({
    method: 'PUT',
    path: '/v1/archives/media/batch',
    auth: 'anonymous',
    summary: 'Copies attachments into the backup, and says of each what came of it',
    headers,
    body: json(z.object({ items: z.array(CopyMedia).min(1).max(MAX_ITEMS) })),
    replies: {
      207: json(
        z.object({
          responses: z.array(
            z.object({
              status: z.int(),
              failureReason: z.string().optional(),
              cdn: z.int().optional(),
              mediaId,
            }),
          ),
        }),
      ),
      ...refusals,
    },
  }),
  listMedia: route({
    method: 'GET',
    path: '/v1/archives/media',
    auth: 'anonymous',
    summary: 'A page of the media in the backup',
    headers,
    query: { cursor: text(1000).optional(), limit: decimal(z.int()).optional() },
    replies: {
      200: json(
        z.object({
          storedMediaObjects: z.array(z.object({ cdn: z.int(), mediaId, objectLength: z.int() })),
          backupDir: z.string(),
          mediaDir: z.string(),
          cursor: z.string().optional(),
        }),
      ),
      ...refusals,
    },
  }),
  deleteMedia: route({
    method: 'POST',
    path: '/v1/archives/media/delete',
    auth: 'anonymous',
    summary: 'Deletes media from the backup',
    headers,
    body: json(
      z.object({
        mediaToDelete: z
          .array(z.object({ cdn: z.int(), mediaId }))
          .min(1)
          .max(MAX_ITEMS),
      }),
    ),
    replies: { 204: nothing, ...refusals },
  }),
}
