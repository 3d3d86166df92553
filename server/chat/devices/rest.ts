import { devicesRoutes } from '../../../wire/rest/devices.ts'
import { type Bound, implement } from '../../../wire/route.ts'
import type { Accounts } from '../accounts/accounts.ts'

export const devicesRest = (accounts: Accounts): Bound[] =>
  implement(devicesRoutes, {
    async list({ caller }) {
      const { account } = await accounts.of(caller)
      const devices = account.devices.map((device) => ({
        id: device.id,
        name: device.name ?? null,
        lastSeen: device.lastSeenMs,
        registrationId: device.registrationId,
        createdAtCiphertext: device.createdAtCiphertext ?? null,
      }))
      return { status: 200, body: { devices } }
    },
    async setCapabilities({ caller, body }) {
      await accounts.setCapabilities(caller, body)
      return { status: 204 }
    },
  })
