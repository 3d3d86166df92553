// Pre-keys: what a sender needs to open a session with a device that is away (docs/protocol/keys.md).
import { z } from 'zod'
import { EC_PUBLIC_KEY_BYTES, KEM_PUBLIC_KEY_BYTES, MAX_ONE_TIME_KEYS, SIGNATURE_BYTES } from '../limits.ts'
import { json, nothing, route } from '../route.ts'
import { base64, deviceId, keyId, registrationId, serviceId } from '../types.ts'

const exactly = (size: number) => ({ min: size, max: size })

export const ecPublicKey = base64('padded', exactly(EC_PUBLIC_KEY_BYTES))
const kemPublicKey = base64('padded', exactly(KEM_PUBLIC_KEY_BYTES))
const signature = base64('unpadded', exactly(SIGNATURE_BYTES))

export const EcPreKey = z.object({ keyId, publicKey: ecPublicKey })
export const EcSignedPreKey = z.object({ keyId, publicKey: ecPublicKey, signature })
export const KemSignedPreKey = z.object({ keyId, publicKey: kemPublicKey, signature })

const identity = { identity: z.enum(['aci', 'pni']).optional() }

const DevicePreKeys = z.object({
  deviceId,
  registrationId,
  signedPreKey: EcSignedPreKey,
  preKey: EcPreKey.optional(),
  pqPreKey: KemSignedPreKey,
})

export const keysRoutes = {
  count: route({
    method: 'GET',
    path: '/v2/keys',
    auth: 'device',
    summary: 'Counts the one-time pre-keys that are left',
    query: identity,
    replies: { 200: json(z.object({ count: z.int(), pqCount: z.int() })) },
  }),
  store: route({
    method: 'PUT',
    path: '/v2/keys',
    auth: 'device',
    summary: 'Replaces pre-keys; an absent or empty list leaves what is there',
    query: identity,
    body: json(
      z.object({
        preKeys: z.array(EcPreKey).max(MAX_ONE_TIME_KEYS).nullish(),
        signedPreKey: EcSignedPreKey.nullish(),
        pqPreKeys: z.array(KemSignedPreKey).max(MAX_ONE_TIME_KEYS).nullish(),
        pqLastResortPreKey: KemSignedPreKey.nullish(),
      }),
    ),
    replies: { 200: nothing },
  }),
  check: route({
    method: 'POST',
    path: '/v2/keys/check',
    auth: 'device',
    summary: 'Compares a digest of the repeated-use keys',
    body: json(z.object({ identityType: z.enum(['ACI', 'PNI']), digest: base64('unpadded', exactly(32)) })),
    replies: { 200: nothing, 409: nothing },
  }),
  take: route({
    method: 'GET',
    path: '/v2/keys/:serviceId/:device',
    auth: 'device-or-unidentified',
    summary: 'Takes a bundle for one device, or for all with `*`',
    limiters: ['prekeys'],
    params: {
      serviceId,
      device: z.codec(z.string().regex(/^(\*|[1-9]\d{0,2})$/), z.union([z.literal('*'), deviceId]), {
        decode: (text) => (text === '*' ? text : Number(text)),
        encode: (value) => String(value),
      }),
    },
    replies: {
      200: json(z.object({ identityKey: ecPublicKey, devices: z.array(DevicePreKeys) })),
      401: nothing,
      404: nothing,
    },
  }),
}
