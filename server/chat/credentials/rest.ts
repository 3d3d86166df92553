import { credentialsRoutes } from '../../../wire/rest/credentials.ts'
import { type Bound, type CallOf, implement } from '../../../wire/route.ts'
import type { Credentials } from './credentials.ts'
import type { Dated } from './issuer.ts'

export const credentialsRest = (credentials: Credentials): Bound[] => {
  const svrAuth = async ({ caller }: CallOf<typeof credentialsRoutes.svrAuth>) =>
    ({ status: 200, body: credentials.external(caller, 'svr2') }) as const
  const svrCheck = async ({ body, remoteAddress }: CallOf<typeof credentialsRoutes.svrCheck>) => {
    const verdicts = await credentials.checkSvr(
      body.number,
      body.tokens ?? body.passwords ?? [],
      remoteAddress,
    )
    return { status: 200, body: { matches: Object.fromEntries(verdicts) } } as const
  }
  return implement(credentialsRoutes, {
    async deliveryCertificate({ caller, query }) {
      return {
        status: 200,
        body: { certificate: await credentials.senderCertificate(caller, query.includeE164) },
      }
    },
    async groupCredentials({ caller, query }) {
      const { redemptionStartSeconds, redemptionEndSeconds } = query
      const { groupAuth, callLinkAuth, pni } = await credentials.group(
        caller,
        redemptionStartSeconds,
        redemptionEndSeconds,
      )
      const body = {
        credentials: groupAuth.map(datedBody),
        callLinkAuthCredentials: callLinkAuth.map(datedBody),
        pni: pni ?? null,
      }
      return { status: 200, body }
    },
    async createCallLink({ caller, body }) {
      const dated = await credentials.createCallLink(caller, body.createCallLinkCredentialRequest)
      return { status: 200, body: datedBody(dated) }
    },
    async storageAuth({ caller }) {
      return { status: 200, body: credentials.external(caller, 'storage') }
    },
    async directoryAuth({ caller }) {
      return { status: 200, body: credentials.external(caller, 'directory') }
    },
    svrAuth,
    svrAuthOldPath: svrAuth,
    svrCheck,
    svrCheckOldPath: svrCheck,
  })
}

const datedBody = ({ credential, redemptionSeconds }: Dated) => ({
  credential,
  redemptionTime: redemptionSeconds,
})
