// An account's devices (docs/protocol/devices.md).
import { z } from 'zod'
import { json, nothing, route } from '../route.ts'
import { base64, capabilities, deviceId, registrationId } from '../types.ts'

export const devicesRoutes = {
  list: route({
    method: 'GET',
    path: '/v1/devices',
    auth: 'device',
    summary: "Lists the account's devices",
    replies: {
      200: json(
        z.object({
          devices: z.array(
            z.object({
              id: deviceId,
              name: base64('padded').nullable(),
              lastSeen: z.int(),
              registrationId,
              createdAtCiphertext: base64('unpadded').nullable(),
            }),
          ),
        }),
      ),
    },
  }),
  setCapabilities: route({
    method: 'PUT',
    path: '/v1/devices/capabilities',
    auth: 'device',
    summary: "Replaces the calling device's capabilities",
    body: json(capabilities),
    replies: { 204: nothing },
  }),
}
