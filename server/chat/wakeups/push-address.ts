import type { PushAddress } from '../../kit/push-gateway.ts'
import type { Device } from '../accounts/account.ts'

/** Where a device can be woken; nothing if it fetches by itself. */
export function addressOf({ apnToken, fcmToken, webPush }: Device): PushAddress | undefined {
  if (apnToken !== undefined) return { service: 'apn', token: apnToken }
  if (fcmToken !== undefined) return { service: 'fcm', token: fcmToken }
  return webPush && { service: 'web', subscription: webPush }
}
