// An account's devices (docs/protocol/devices.md).
import { z } from 'zod'
import { json, nothing, route } from '../route.ts'
import { base64, capabilities, decimal, deviceId, MAX_DEVICE_ID, registrationId, text } from '../types.ts'

export const DeviceInfo = z.object({
  id: deviceId,
  name: base64('padded').nullable(),
  lastSeen: z.int(),
  registrationId,
  createdAtCiphertext: base64('unpadded').nullable(),
})

export const ApnToken = z.object({ apnRegistrationId: text(4096).min(1) })
export const GcmToken = z.object({ gcmRegistrationId: text(4096).min(1) })

/** A push subscription (RFC 8030) with its keys (RFC 8291), as browsers and UnifiedPush give it. */
export const WebSubscription = z.object({
  endpoint: text(2048).min(1),
  keys: z.object({ p256dh: base64('url', { oneOf: [65] }), auth: base64('url', { oneOf: [16] }) }).optional(),
})

export const devicesRoutes = {
  list: route({
    method: 'GET',
    path: '/v1/devices',
    auth: 'device',
    summary: "Lists the account's devices",
    replies: { 200: json(z.object({ devices: z.array(DeviceInfo) })) },
  }),
  remove: route({
    method: 'DELETE',
    path: '/v1/devices/:deviceId',
    auth: 'device',
    summary: 'Removes a linked device with all that is its own',
    params: { deviceId: decimal(z.int().min(0).max(MAX_DEVICE_ID)) },
    replies: { 204: nothing, 401: nothing, 403: nothing },
  }),
  rename: route({
    method: 'PUT',
    path: '/v1/accounts/name',
    auth: 'device',
    summary: "Replaces a device's encrypted name; the caller's own unless told",
    query: { deviceId: decimal(deviceId).optional() },
    body: json(z.object({ deviceName: base64('unpadded', { min: 1, max: 225 }) })),
    replies: { 204: nothing, 403: nothing, 404: nothing },
  }),
  setCapabilities: route({
    method: 'PUT',
    path: '/v1/devices/capabilities',
    auth: 'device',
    summary: "Replaces the calling device's capabilities",
    body: json(capabilities),
    replies: { 204: nothing },
  }),
  setFcmToken: route({
    method: 'PUT',
    path: '/v1/accounts/gcm',
    auth: 'device',
    summary: 'The calling device is woken through FCM from now on',
    body: json(GcmToken),
    replies: { 204: nothing },
  }),
  clearFcmToken: route({
    method: 'DELETE',
    path: '/v1/accounts/gcm',
    auth: 'device',
    summary: 'The calling device is no longer woken through FCM',
    replies: { 204: nothing },
  }),
  setApnToken: route({
    method: 'PUT',
    path: '/v1/accounts/apn',
    auth: 'device',
    summary: 'The calling device is woken through APNs from now on',
    body: json(ApnToken),
    replies: { 204: nothing },
  }),
  clearApnToken: route({
    method: 'DELETE',
    path: '/v1/accounts/apn',
    auth: 'device',
    summary: 'The calling device is no longer woken through APNs',
    replies: { 204: nothing },
  }),
  webPushKey: route({
    method: 'GET',
    path: '/v1/heliograph/push/web',
    auth: 'device',
    summary: "Tells the key by which this server's pushes are known (RFC 8292); 404 if it sends none",
    replies: { 200: json(z.object({ applicationServerKey: text(100) })), 404: nothing },
  }),
  setWebPush: route({
    method: 'PUT',
    path: '/v1/heliograph/push/web',
    auth: 'device',
    summary: 'The calling device is woken through Web Push or UnifiedPush from now on',
    body: json(WebSubscription),
    replies: { 204: nothing, 400: nothing, 404: nothing },
  }),
  clearWebPush: route({
    method: 'DELETE',
    path: '/v1/heliograph/push/web',
    auth: 'device',
    summary: 'The calling device fetches by itself from now on',
    replies: { 204: nothing },
  }),
}
