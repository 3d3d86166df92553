import { DeviceCapability } from '../../../wire/gen/common.js'
import { Devices as DevicesService, type SetPushTokenRequest } from '../../../wire/gen/device.js'
import { type Capability, MAX_DEVICE_ID } from '../../../wire/types.ts'
import { type GrpcMethod, implementService } from '../../kit/grpc-service.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Device } from '../accounts/account.ts'
import type { Devices, PushService, Removed, Renamed } from './devices.ts'

export const devicesGrpc = (devices: Devices): GrpcMethod[] =>
  implementService(DevicesService, {
    async getDevices(_, { device }) {
      return { devices: (await devices.list(device)).map(linkedDevice) }
    },
    async removeDevice({ id }, { device }) {
      return REMOVED[await devices.remove(device, readDeviceId(id))]()
    },
    async setDeviceName({ id, name }, { device }) {
      return RENAMED[await devices.rename(device, readDeviceId(id), name)]()
    },
    async setPushToken(request, { device }) {
      await devices.setToken(device, ...readToken(request))
      return {}
    },
    async clearPushToken(_, { device }) {
      await devices.clearTokens(device)
      return {}
    },
    async setCapabilities({ capabilities }, { device }) {
      await devices.setCapabilities(device, new Set(capabilities.map(readCapability)))
      return {}
    },
  })

const notOwn = (): never => {
  throw new Refusal('credentials-forbidden')
}
type Empty = Readonly<Record<string, never>>
const REMOVED: Readonly<Record<Removed, () => Empty>> = {
  removed: () => ({}),
  'not-own': notOwn,
  primary: () => invalid('id', 'must be a linked device'),
}
const RENAMED: Readonly<Record<Renamed, () => { success: Empty } | { targetDeviceNotFound: Empty }>> = {
  renamed: () => ({ success: {} }),
  'not-found': () => ({ targetDeviceNotFound: {} }),
  'not-own': notOwn,
}

const CAPABILITY_OF: Readonly<Partial<Record<number, Capability>>> = {
  [DeviceCapability.DEVICE_CAPABILITY_STORAGE]: 'storage',
  [DeviceCapability.DEVICE_CAPABILITY_TRANSFER]: 'transfer',
  [DeviceCapability.DEVICE_CAPABILITY_ATTACHMENT_BACKFILL]: 'attachmentBackfill',
  [DeviceCapability.DEVICE_CAPABILITY_SPARSE_POST_QUANTUM_RATCHET]: 'spqr',
  [DeviceCapability.DEVICE_CAPABILITY_PROFILES_V2]: 'profiles_v2',
  [DeviceCapability.DEVICE_CAPABILITY_USERNAME_CHANGE_SYNC_MESSAGE]: 'usernameChangeSyncMessage',
  [DeviceCapability.DEVICE_CAPABILITY_OPTIONAL_PHONE_NUMBER]: 'optionalPhoneNumber',
}

const linkedDevice = (device: Device) => ({
  id: device.id,
  name: device.name,
  lastSeen: device.lastSeenMs,
  registrationId: device.registrationId,
  createdAtCiphertext: device.createdAtCiphertext,
})

function invalid(field: string, message: string): never {
  throw new Refusal('invalid', { field, message })
}

const readDeviceId = (id: number): number =>
  id >= 1 && id <= MAX_DEVICE_ID ? id : invalid('id', 'must be a device id')

const readCapability = (number: number): Capability =>
  CAPABILITY_OF[number] ?? invalid('capabilities', 'must be known')

function readToken({ apnsTokenRequest, fcmTokenRequest }: SetPushTokenRequest): [PushService, string] {
  if (apnsTokenRequest) return ['apn', apnsTokenRequest.apnsToken]
  return fcmTokenRequest ? ['fcm', fcmTokenRequest.fcmToken] : invalid('token_request', 'must be present')
}
