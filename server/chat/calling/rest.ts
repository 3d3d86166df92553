import { callingRoutes } from '../../../wire/rest/calling.ts'
import { type Bound, implement } from '../../../wire/route.ts'
import type { Calling, Relay } from './calling.ts'

export const callingRest = (calling: Calling): Bound[] =>
  implement(callingRoutes, {
    async relays({ caller }) {
      return { status: 200, body: { relays: (await calling.relays(caller)).map(relayBody) } }
    },
    async survey({ body, remoteAddress }) {
      await calling.survey(body, remoteAddress)
      return { status: 204 }
    },
  })

/** Both lists are always there: iOS reads no relay without them. */
const relayBody = ({ urls, urlsWithIps, hostname, ...credentials }: Relay) => ({
  ...credentials,
  urls: [...urls],
  urlsWithIps: [...urlsWithIps],
  hostname: hostname ?? null,
})
