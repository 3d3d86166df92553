import { changeNumberRoutes } from '../../../wire/rest/change-number.ts'
import { type Bound, implement, type ReplyOf } from '../../../wire/route.ts'
import type { DeviceId } from '../../../wire/types.ts'
import { type EntitlementOf, identityBody } from '../accounts/identity-body.ts'
import { lockedBody } from '../registration-lock/rest.ts'
import type { Changed, ChangeNumber } from './change-number.ts'

export const changeNumberRest = (changeNumber: ChangeNumber, entitlementOf: EntitlementOf): Bound[] =>
  implement(changeNumberRoutes, {
    async change({ caller, body }) {
      const changed = await changeNumber.change(caller, {
        sessionId: body.sessionId ?? undefined,
        recoveryPassword: body.recoveryPassword ?? undefined,
        number: body.number,
        registrationLock: body.reglock ?? undefined,
        pniIdentityKey: body.pniIdentityKey,
        copies: body.deviceMessages.map((message) => ({
          type: message.type,
          deviceId: message.destinationDeviceId,
          registrationId: message.destinationRegistrationId,
          content: message.content,
        })),
        signedPreKeys: byDevice(body.devicePniSignedPrekeys),
        lastResortKeys: byDevice(body.devicePniPqLastResortPrekeys),
        registrationIds: byDevice(body.pniRegistrationIds),
      })
      return reply(changed, entitlementOf)
    },
  })

const REFUSED = {
  'foreign-session': 400,
  unverified: 401,
  'recovery-refused': 403,
  'too-large': 413,
} as const

async function reply(
  changed: Changed,
  entitlementOf: EntitlementOf,
): Promise<ReplyOf<typeof changeNumberRoutes.change>> {
  if (changed.kind === 'changed')
    return { status: 200, body: await identityBody(changed.account, entitlementOf) }
  if (changed.kind === 'locked') return { status: 423, body: lockedBody(changed) }
  if (changed.kind !== 'mismatched') return { status: REFUSED[changed.kind] }
  if (changed.stale.length > 0) return { status: 410, body: { staleDevices: [...changed.stale] } }
  return { status: 409, body: { missingDevices: [...changed.missing], extraDevices: [...changed.extra] } }
}

const byDevice = <T>(named: Readonly<Record<string, T>>): Map<DeviceId, T> =>
  new Map(Object.entries(named).map(([id, value]) => [Number(id), value]))
