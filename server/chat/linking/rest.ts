import { linkingRoutes } from '../../../wire/rest/linking.ts'
import { type Bound, implement } from '../../../wire/route.ts'
import { deviceBody } from '../devices/device-body.ts'
import type { Linking } from './linking.ts'
import type { Transfers } from './transfers.ts'

const REFUSED = { refused: 403, downgrade: 409 } as const
const TIMEOUT_S = 30

export const linkingRest = (linking: Linking, transfers: Transfers): Bound[] =>
  implement(linkingRoutes, {
    async token({ caller }) {
      const made = await linking.token(caller)
      return made.kind === 'token'
        ? { status: 200, body: { verificationCode: made.token, tokenIdentifier: made.id } }
        : { status: 411, body: made }
    },
    async link({ caller, body }) {
      const linkage = await linking.link(body.verificationCode, newDevice(caller.password, body))
      switch (linkage.kind) {
        case 'linked': {
          const { account, device } = linkage
          return { status: 200, body: { uuid: account.aci, pni: account.pni ?? null, deviceId: device.id } }
        }
        case 'full':
          return { status: 411, body: linkage }
        default:
          return { status: REFUSED[linkage.kind] }
      }
    },
    async waitForLinked({ caller, params, query, asker }) {
      const { tokenIdentifier } = params
      const device = await linking.waitForLinked(caller, tokenIdentifier, query.timeout ?? TIMEOUT_S, asker)
      return device ? { status: 200, body: deviceBody(device) } : { status: 204 }
    },
    async putArchive({ caller, body }) {
      const { destinationDeviceId: deviceId, destinationDeviceRegistrationId: registrationId } = body
      await transfers.putArchive(caller, { deviceId, registrationId }, body.transferArchive)
      return { status: 204 }
    },
    async waitForArchive({ caller, query, asker }) {
      const archive = await transfers.waitForArchive(caller, query.timeout ?? TIMEOUT_S, asker)
      return archive ? { status: 200, body: archive } : { status: 204 }
    },
    async putRestoreRequest({ params, body, remoteAddress }) {
      const { method, deviceTransferBootstrap } = body
      const request = { method, bootstrap: deviceTransferBootstrap ?? undefined }
      await transfers.putRestoreRequest(params.token, request, remoteAddress)
      return { status: 204 }
    },
    async waitForRestoreRequest({ params, query, remoteAddress, asker }) {
      const timeout = query.timeout ?? TIMEOUT_S
      const found = await transfers.waitForRestoreRequest(params.token, timeout, remoteAddress, asker)
      return found
        ? { status: 200, body: { method: found.method, deviceTransferBootstrap: found.bootstrap ?? null } }
        : { status: 204 }
    },
  })

type LinkBody = ReturnType<typeof linkingRoutes.link.body.decode>

const newDevice = (password: string, body: LinkBody) => {
  const { accountAttributes: attributes } = body
  return {
    password,
    name: attributes.name ?? undefined,
    registrationId: attributes.registrationId,
    pniRegistrationId: attributes.pniRegistrationId ?? undefined,
    capabilities: attributes.capabilities ?? undefined,
    fetchesMessages: attributes.fetchesMessages ?? false,
    apnToken: body.apnToken?.apnRegistrationId,
    fcmToken: body.gcmToken?.gcmRegistrationId,
    keys: {
      aci: { ec: body.aciSignedPreKey, kem: body.aciPqLastResortPreKey },
      pni: { ec: body.pniSignedPreKey ?? undefined, kem: body.pniPqLastResortPreKey ?? undefined },
    },
  }
}
