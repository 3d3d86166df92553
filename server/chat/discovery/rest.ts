import { discoveryRoutes } from '../../../wire/rest/discovery.ts'
import { type Bound, implement } from '../../../wire/route.ts'
import type { Discovery } from './discovery.ts'

export const discoveryRest = (discovery: Discovery): Bound[] =>
  implement(discoveryRoutes, {
    async policy() {
      return { status: 200, body: discovery.policy }
    },
    async find({ caller, body }) {
      const found = await discovery.find(caller, body.numbers, body.accessKeys ?? [])
      if (found.kind === 'off') return { status: 404 }
      const entries = found.entries.map(({ number, pni, aci }) => ({
        number,
        pni: pni ?? null,
        aci: aci ?? null,
      }))
      return { status: 200, body: { entries } }
    },
  })
