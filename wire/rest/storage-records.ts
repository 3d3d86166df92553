// An account's encrypted records (docs/protocol/storage.md). Credentials are those of GET /v1/storage/auth.
import { z } from 'zod'
import { ReadOperation, StorageItems, StorageManifest, WriteOperation } from '../gen/storage.js'
import { MAX_RECORDS_BODY_BYTES } from '../limits.ts'
import { nothing, protobuf, route } from '../route.ts'

/** `-1` is what clients send that know of none. */
const knownVersion = z.codec(z.string().regex(/^(-1|\d{1,15})$/), z.int(), {
  decode: (text) => Number(text),
  encode: (value) => String(value),
})

export const storageRecordsRoutes = {
  manifest: route({
    method: 'GET',
    path: '/v1/storage/manifest',
    auth: 'basic',
    summary: 'Gives the manifest of the records',
    replies: { 200: protobuf(StorageManifest), 404: nothing },
  }),
  newerManifest: route({
    method: 'GET',
    path: '/v1/storage/manifest/version/:knownVersion',
    auth: 'basic',
    summary: 'Gives the manifest if it is of another version; 204 if it is of that one, or there is none',
    params: { knownVersion },
    replies: { 200: protobuf(StorageManifest), 204: nothing },
  }),
  write: route({
    method: 'PUT',
    path: '/v1/storage',
    auth: 'basic',
    summary:
      'Writes the next manifest and its records, all at once; 409 with the current manifest to who is late',
    body: protobuf(WriteOperation),
    maxBodyBytes: MAX_RECORDS_BODY_BYTES,
    replies: { 200: nothing, 400: nothing, 409: protobuf(StorageManifest) },
  }),
  read: route({
    method: 'PUT',
    path: '/v1/storage/read',
    auth: 'basic',
    summary: 'Gives those of the named records that there are',
    body: protobuf(ReadOperation),
    replies: { 200: protobuf(StorageItems), 400: nothing },
  }),
  clear: route({
    method: 'DELETE',
    path: '/v1/storage',
    auth: 'basic',
    summary: 'Removes the manifest and every record',
    replies: { 200: nothing },
  }),
}
