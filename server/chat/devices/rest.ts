import { devicesRoutes } from '../../../wire/rest/devices.ts'
import { type Bound, implement } from '../../../wire/route.ts'
import { deviceBody } from './device-body.ts'
import type { Devices } from './devices.ts'

const REMOVED = { removed: 204, 'not-own': 401, primary: 403 } as const
const SUBSCRIBED = { subscribed: 204, 'not-https': 400, 'not-offered': 404 } as const
const RENAMED = { renamed: 204, 'not-own': 403, 'not-found': 404 } as const

export const devicesRest = (devices: Devices): Bound[] =>
  implement(devicesRoutes, {
    async list({ caller }) {
      return { status: 200, body: { devices: (await devices.list(caller)).map(deviceBody) } }
    },
    async remove({ caller, params }) {
      return { status: REMOVED[await devices.remove(caller, params.deviceId)] }
    },
    async rename({ caller, query, body }) {
      return { status: RENAMED[await devices.rename(caller, query.deviceId, body.deviceName)] }
    },
    async setCapabilities({ caller, body }) {
      await devices.setCapabilities(caller, body)
      return { status: 204 }
    },
    async setFcmToken({ caller, body }) {
      await devices.setToken(caller, 'fcm', body.gcmRegistrationId)
      return { status: 204 }
    },
    async clearFcmToken({ caller }) {
      await devices.clearToken(caller, 'fcm')
      return { status: 204 }
    },
    async setApnToken({ caller, body }) {
      await devices.setToken(caller, 'apn', body.apnRegistrationId)
      return { status: 204 }
    },
    async webPushKey() {
      const applicationServerKey = devices.webPushKey
      return applicationServerKey ? { status: 200, body: { applicationServerKey } } : { status: 404 }
    },
    async setWebPush({ caller, body }) {
      return { status: SUBSCRIBED[await devices.setWebPush(caller, body)] }
    },
    async clearWebPush({ caller }) {
      await devices.clearWebPush(caller)
      return { status: 204 }
    },
    async clearApnToken({ caller }) {
      await devices.clearToken(caller, 'apn')
      return { status: 204 }
    },
  })
