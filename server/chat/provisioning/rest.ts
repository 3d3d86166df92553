import { provisioningRoutes } from '../../../wire/rest/provisioning.ts'
import { type Bound, implement } from '../../../wire/route.ts'
import type { Provisioning } from './provisioning.ts'

export const provisioningRest = (provisioning: Provisioning): Bound[] =>
  implement(provisioningRoutes, {
    async send({ caller, params, body }) {
      const delivered = await provisioning.send(caller.aci, params.address, body.body)
      return { status: delivered ? 204 : 404 }
    },
    async keepalive() {
      return { status: 200 }
    },
  })
