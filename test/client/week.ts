// A client's view of a week of credentials: what it receives of them, and what it shows.
import { randomBytes } from 'node:crypto'
import type * as LS from '@signalapp/libsignal-client'
import {
  type AuthCredentialWithPni,
  AuthCredentialWithPniResponse,
  CallLinkAuthCredentialResponse,
  CallLinkSecretParams,
  ClientZkAuthOperations,
  GenericServerPublicParams,
  type GenericServerSecretParams,
  GroupSecretParams,
  ServerPublicParams,
  type ServerSecretParams,
  ServerZkAuthOperations,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import type { PublicKeys } from '../../server/kit/secrets.ts'

export const DAY_SECONDS = 86_400
type Bytes = Uint8Array<ArrayBuffer>
export type Dated = { readonly credential: Bytes; readonly redemptionTime: number }
export type Holder = { readonly aci: LS.Aci; readonly pni: LS.Pni }

export const bytesOf = (base64: string): Bytes => new Uint8Array(Buffer.from(base64, 'base64'))
export const startOfDay = (seconds = Date.now() / 1000): number =>
  Math.floor(seconds / DAY_SECONDS) * DAY_SECONDS

export const publicParamsOf = ({ serverPublicParams, genericServerPublicParams }: PublicKeys) => ({
  server: new ServerPublicParams(bytesOf(serverPublicParams)),
  calling: new GenericServerPublicParams(bytesOf(genericServerPublicParams)),
})
export type PublicParams = ReturnType<typeof publicParamsOf>
export type SecretParams = {
  readonly serverSecretParams: ServerSecretParams
  readonly genericServerSecretParams: GenericServerSecretParams
}

/** Throws if it is not the credential of this holder, of its day, by this server. */
export const receiveGroup = (
  dated: Dated,
  { aci, pni }: Holder,
  { server }: PublicParams,
): AuthCredentialWithPni =>
  new ClientZkAuthOperations(server).receiveAuthCredentialWithPniAsServiceId(
    aci,
    pni,
    dated.redemptionTime,
    new AuthCredentialWithPniResponse(dated.credential),
  )

/** Shows a credential for a group to the server; throws if that does not take it at this moment. */
export function showGroup(
  credential: AuthCredentialWithPni,
  { server }: PublicParams,
  { serverSecretParams }: SecretParams,
  atSeconds: number,
): void {
  const group = GroupSecretParams.generate()
  const shown = new ClientZkAuthOperations(server).createAuthCredentialWithPniPresentation(group, credential)
  const operations = new ServerZkAuthOperations(serverSecretParams)
  operations.verifyAuthCredentialPresentation(group.getPublicParams(), shown, new Date(atSeconds * 1000))
}

/** The same for a call link. */
export function showCallLink(
  { credential, redemptionTime }: Dated,
  { aci }: Holder,
  { calling }: PublicParams,
  { genericServerSecretParams }: SecretParams,
  atSeconds: number,
): void {
  const link = CallLinkSecretParams.deriveFromRootKey(new Uint8Array(randomBytes(16)))
  new CallLinkAuthCredentialResponse(credential)
    .receive(aci, redemptionTime, calling)
    .present(aci, redemptionTime, calling, link)
    .verify(genericServerSecretParams, link.getPublicParams(), new Date(atSeconds * 1000))
}
