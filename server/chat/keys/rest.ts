import { keysRoutes } from '../../../wire/rest/keys.ts'
import { type Bound, implement } from '../../../wire/route.ts'
import type { DeviceBundle, Keys } from './keys.ts'

export const keysRest = (keys: Keys): Bound[] =>
  implement(keysRoutes, {
    async count({ caller, query }) {
      const { ec, kem } = await keys.count(caller, query.identity ?? 'aci')
      return { status: 200, body: { count: ec, pqCount: kem } }
    },
    async store({ caller, query, body }) {
      await keys.store(caller, query.identity ?? 'aci', {
        ec: body.preKeys ?? undefined,
        kem: body.pqPreKeys ?? undefined,
        signedEc: body.signedPreKey ?? undefined,
        lastResortKem: body.pqLastResortPreKey ?? undefined,
      })
      return { status: 200 }
    },
    async check({ caller, body }) {
      const same = await keys.check(caller, body.identityType === 'ACI' ? 'aci' : 'pni', body.digest)
      return { status: same ? 200 : 409 }
    },
    async take({ caller, params }) {
      const taken = await keys.take(
        caller,
        params.serviceId,
        params.device === '*' ? undefined : params.device,
      )
      if (taken.kind !== 'taken') return { status: taken.kind === 'refused' ? 401 : 404 }
      return { status: 200, body: { identityKey: taken.identityKey, devices: taken.devices.map(deviceBody) } }
    },
  })

const deviceBody = (device: DeviceBundle) => ({
  deviceId: device.deviceId,
  registrationId: device.registrationId,
  signedPreKey: device.signedEc,
  ...(device.ec && { preKey: device.ec }),
  pqPreKey: device.kem,
})
