// A new device joins an account, and gets its past (docs/protocol/linking.md).
import { z } from 'zod'
import { json, nothing, route } from '../route.ts'
import {
  aci,
  barePni,
  base64,
  capabilities,
  decodeBase64,
  deviceId,
  encodeBase64,
  MAX_REGISTRATION_ID,
  registrationId,
  text,
} from '../types.ts'
import { ApnToken, DeviceInfo, GcmToken } from './devices.ts'
import { EcSignedPreKey, KemSignedPreKey } from './keys.ts'

const Link = z.object({
  verificationCode: z.string().min(1),
  accountAttributes: z.object({
    fetchesMessages: z.boolean().nullish(),
    registrationId,
    pniRegistrationId: registrationId.nullish(),
    name: base64('unpadded', { max: 225 }).nullish(),
    capabilities: capabilities.nullish(),
  }),
  aciSignedPreKey: EcSignedPreKey,
  pniSignedPreKey: EcSignedPreKey.nullish(),
  aciPqLastResortPreKey: KemSignedPreKey,
  pniPqLastResortPreKey: KemSignedPreKey.nullish(),
  apnToken: ApnToken.nullish(),
  gcmToken: GcmToken.nullish(),
})

/** Seconds. What is no number becomes none: it is 400, as what is not from 1 to 3600. */
const seconds = z.codec(z.string(), z.custom<number>(), {
  decode: (value) => (/^\d{1,9}$/.test(value) ? Number(value) : 0),
  encode: (value) => String(value),
})
const waiting = { timeout: seconds.optional() }

/** What is not base64 at all becomes no bytes: a wrong identifier is 400, not 422. */
const tokenIdentifier = z.codec(z.string(), z.custom<Uint8Array>(), {
  decode: (value) => decodeBase64(value) ?? new Uint8Array(0),
  encode: (bytes) => encodeBase64(bytes, 'url'),
})

const Full = z.object({ current: z.int(), max: z.int() })

const Archive = z.union([
  z.object({ cdn: z.int().min(0).max(0x7fffffff), key: text(64).regex(/^[A-Za-z0-9_=-]+$/) }),
  z.object({ error: z.enum(['RELINK_REQUESTED', 'CONTINUE_WITHOUT_UPLOAD']) }),
])

const RestoreRequest = z.object({
  method: z.enum(['REMOTE_BACKUP', 'LOCAL_BACKUP', 'DEVICE_TRANSFER', 'DECLINE']),
  deviceTransferBootstrap: base64('unpadded', { max: 4096 }).nullish(),
})

export const linkingRoutes = {
  token: route({
    method: 'GET',
    path: '/v1/devices/provisioning/code',
    auth: 'device',
    summary: 'A token that lets one new device onto the account, for ten minutes',
    limiters: ['allocateDevice'],
    replies: { 200: json(z.object({ verificationCode: z.string(), tokenIdentifier })), 411: json(Full) },
  }),
  link: route({
    method: 'PUT',
    path: '/v1/devices/link',
    auth: 'basic',
    summary: 'A new device joins the account whose token it has',
    limiters: ['verifyDevice'],
    body: json(Link),
    replies: {
      200: json(z.object({ uuid: aci, pni: barePni.nullable(), deviceId })),
      403: nothing,
      409: nothing,
      411: json(Full),
    },
  }),
  waitForLinked: route({
    method: 'GET',
    path: '/v1/devices/wait_for_linked_device/:tokenIdentifier',
    auth: 'device',
    summary: 'Waits until a token was used, and the primary device has fetched what came before',
    limiters: ['waitForLinkedDevice'],
    params: { tokenIdentifier },
    query: waiting,
    replies: { 200: json(DeviceInfo), 204: nothing, 400: nothing },
  }),
  putArchive: route({
    method: 'PUT',
    path: '/v1/devices/transfer_archive',
    auth: 'device',
    summary: 'Tells a new device where its archive is, or that there is none',
    limiters: ['uploadTransferArchive'],
    body: json(
      z.object({
        destinationDeviceId: deviceId,
        destinationDeviceRegistrationId: z.int().min(0).max(MAX_REGISTRATION_ID),
        transferArchive: Archive,
      }),
    ),
    replies: { 204: nothing },
  }),
  waitForArchive: route({
    method: 'GET',
    path: '/v1/devices/transfer_archive',
    auth: 'device',
    summary: 'Waits for the archive that is made for the calling device',
    limiters: ['waitForTransferArchive'],
    query: waiting,
    replies: { 200: json(Archive), 204: nothing, 400: nothing },
  }),
  putRestoreRequest: route({
    method: 'PUT',
    path: '/v1/devices/restore_account/:token',
    auth: 'none',
    summary: "Tells the old device how the new one wants the account's data",
    limiters: ['recordDeviceTransferRequest'],
    params: { token: z.string() },
    body: json(RestoreRequest),
    replies: { 204: nothing, 400: nothing },
  }),
  waitForRestoreRequest: route({
    method: 'GET',
    path: '/v1/devices/restore_account/:token',
    auth: 'none',
    summary: "Waits for the new device's choice",
    limiters: ['waitForDeviceTransferRequest'],
    params: { token: z.string() },
    query: waiting,
    replies: { 200: json(RestoreRequest), 204: nothing, 400: nothing },
  }),
}
