// Somebody with a backup, as an app holds it: a secret for each kind, credentials of the day, a key that signs.
import { randomBytes } from 'node:crypto'
import * as LS from '@signalapp/libsignal-client'
import {
  type BackupAuthCredential,
  BackupAuthCredentialRequestContext,
  BackupAuthCredentialResponse,
  GenericServerPublicParams,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import type { Ready } from '../../server/up.ts'
import { authorizationOf, Https } from './https.ts'
import type { Registered } from './register.ts'
import { expectStatus } from './rest.ts'

export type BackupKind = 'messages' | 'media'
/** What the server issued for one day. */
export type IssuedCredential = { readonly credential: Uint8Array; readonly redemptionSeconds: number }

const random = (size: number) => new Uint8Array(randomBytes(size))

/** One backup: its id is made of the secret and the account, and nobody but this side knows it. */
export class OwnBackup {
  readonly signingKey = LS.PrivateKey.generate()
  readonly #context: BackupAuthCredentialRequestContext

  constructor(aci: string, secret = random(32)) {
    this.#context = BackupAuthCredentialRequestContext.create(secret, aci)
  }

  /** The blinded id that the account commits to. */
  get request(): Uint8Array<ArrayBuffer> {
    return this.#context.getRequest().serialize()
  }

  get publicKey(): Uint8Array<ArrayBuffer> {
    return this.signingKey.getPublicKey().serialize()
  }

  /** Throws if the server did not issue it for this id and day. */
  receive(issued: IssuedCredential, serverKeys: GenericServerPublicParams): BackupAuthCredential {
    const response = new BackupAuthCredentialResponse(new Uint8Array(issued.credential))
    return this.#context.receive(response, issued.redemptionSeconds, serverKeys)
  }

  /** Shows a credential, signed by this backup's key or another. */
  present(
    credential: BackupAuthCredential,
    serverKeys: GenericServerPublicParams,
    signingKey = this.signingKey,
  ): { readonly presentation: Uint8Array<ArrayBuffer>; readonly signature: Uint8Array<ArrayBuffer> } {
    const presentation = credential.present(serverKeys).serialize()
    return { presentation, signature: signingKey.sign(presentation) }
  }
}

export const zkHeaders = (signed: ReturnType<OwnBackup['present']>) => ({
  'x-signal-zk-auth': Buffer.from(signed.presentation).toString('base64'),
  'x-signal-zk-auth-signature': Buffer.from(signed.signature).toString('base64'),
})

const DAY_SECONDS = 86_400
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')

/** Sets up backups for an account, and shows today's credential for its media. */
export async function shownBackup(
  ready: Ready,
  account: Registered,
): Promise<ReturnType<OwnBackup['present']>> {
  await using https = Https.open(ready, 2)
  const own = new OwnBackup(account.aci.getServiceIdString())
  const headers = authorizationOf(account)
  const request = text(own.request)
  const json = { messagesBackupAuthCredentialRequest: request, mediaBackupAuthCredentialRequest: request }
  expectStatus(204, await https.call('PUT', '/v1/archives/backupid', { headers, json }))
  const day = Math.floor(Date.now() / 1000 / DAY_SECONDS) * DAY_SECONDS
  const path = `/v1/archives/auth?redemptionStartSeconds=${day}&redemptionEndSeconds=${day}`
  const [issued] = (await https.call('GET', path, { headers })).json.credentials.media
  const keys = new GenericServerPublicParams(
    new Uint8Array(Buffer.from(ready.keys.backupServerPublicParams, 'base64')),
  )
  const credential = Buffer.from(issued.credential, 'base64')
  const signed = own.present(own.receive({ credential, redemptionSeconds: day }, keys), keys)
  const key = { backupIdPublicKey: text(own.publicKey) }
  expectStatus(204, await https.call('PUT', '/v1/archives/keys', { headers: zkHeaders(signed), json: key }))
  return signed
}
