import {
  AuthCheckResult,
  CredentialsAnonymous,
  Credentials as CredentialsService,
  ExternalServiceType,
} from '../../../wire/gen/credentials.js'
import { uuidOf, uuidToBytes } from '../../../wire/types.ts'
import { type GrpcMethod, implementService } from '../../kit/grpc-service.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Credentials, DeviceService } from './credentials.ts'
import type { Dated } from './issuer.ts'
import type { SvrVerdict } from './svr-check.ts'

const SERVICES: Readonly<Record<number, DeviceService>> = {
  [ExternalServiceType.EXTERNAL_SERVICE_TYPE_DIRECTORY]: 'directory',
  [ExternalServiceType.EXTERNAL_SERVICE_TYPE_STORAGE]: 'storage',
  [ExternalServiceType.EXTERNAL_SERVICE_TYPE_SVR]: 'svr2',
}
const VERDICTS: Readonly<Record<SvrVerdict, number>> = {
  match: AuthCheckResult.AUTH_CHECK_RESULT_MATCH,
  'no-match': AuthCheckResult.AUTH_CHECK_RESULT_NO_MATCH,
  invalid: AuthCheckResult.AUTH_CHECK_RESULT_INVALID,
}

export const credentialsGrpc = (credentials: Credentials): GrpcMethod[] => [
  ...implementService(CredentialsService, {
    getExternalServiceCredentials: async ({ externalService }, { device }) =>
      credentials.limitedExternal(device, serviceOf(externalService)),
    async getDeliveryCertificate(_, { device }) {
      return credentials.senderCertificates(device)
    },
    async getGroupCredentials({ redemptionStartSeconds, redemptionEndSeconds }, { device }) {
      const issued = await credentials.group(device, redemptionStartSeconds, redemptionEndSeconds)
      return {
        groupCredentials: issued.groupAuth.map(dated),
        callLinkAuthCredentials: issued.callLinkAuth.map(dated),
        pni: issued.pni && uuidToBytes(uuidOf(issued.pni)),
      }
    },
    async getCreateCallLinkCredentials({ credentialRequest }, { device }) {
      return dated(await credentials.createCallLink(device, credentialRequest))
    },
  }),
  ...implementService(CredentialsAnonymous, {
    async checkSvrCredentials({ number, passwords }, { remoteAddress }) {
      const verdicts = await credentials.checkSvr(number, passwords, remoteAddress)
      return {
        matches: Object.fromEntries(Array.from(verdicts, ([token, verdict]) => [token, VERDICTS[verdict]])),
      }
    },
  }),
]

const dated = ({ credential, redemptionSeconds }: Dated) => ({
  credential,
  redemptionTimeSeconds: redemptionSeconds,
})

function serviceOf(externalService: number): DeviceService {
  const service = SERVICES[externalService]
  if (service) return service
  throw new Refusal('invalid', { field: 'external_service', message: 'must be a service that there is' })
}
