import { CallQuality } from '../../../wire/gen/call_quality.js'
import { Calling as CallingService } from '../../../wire/gen/calling.js'
import { type GrpcMethod, implementService } from '../../kit/grpc-service.ts'
import type { Calling, Relay } from './calling.ts'

export const callingGrpc = (calling: Calling): GrpcMethod[] => [
  ...implementService(CallingService, {
    async getCallingRelays(_, { device }) {
      return { relays: (await calling.relays(device)).map(relayMessage) }
    },
  }),
  ...implementService(CallQuality, {
    async submitCallQualitySurvey(request, { remoteAddress }) {
      await calling.survey(request, remoteAddress)
      return {}
    },
  }),
]

const relayMessage = ({ username, password, ttl, urls, urlsWithIps, hostname }: Relay) => ({
  username,
  password,
  credentialTtlSeconds: ttl,
  hostnameUrls: { urls },
  ipUrls: urlsWithIps.length > 0 ? { urls: urlsWithIps, hostname } : undefined,
})
