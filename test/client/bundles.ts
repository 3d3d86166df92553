// Pre-keys over the wire: uploaded by their owner, fetched by who wants to start a conversation.
import * as LS from '@signalapp/libsignal-client'
import { ecJson, type IdentityKeys, type OneTimeKeys, signedJson } from './identity-keys.ts'
import type { AuthChat, UnauthChat } from './net.ts'
import { expectStatus, fetchJson } from './rest.ts'

type Identity = 'aci' | 'pni'
const KIND = { aci: LS.ServiceIdKind.Aci, pni: LS.ServiceIdKind.Pni } as const

/** `PUT /v2/keys`: everything in one request. */
export async function uploadByRest(
  auth: AuthChat,
  identity: Identity,
  keys: IdentityKeys,
  oneTime: OneTimeKeys,
): Promise<void> {
  const body = {
    signedPreKey: signedJson(keys.signedPreKey),
    pqLastResortPreKey: signedJson(keys.lastResortPreKey),
    preKeys: oneTime.ec.map(ecJson),
    pqPreKeys: oneTime.kyber.map(signedJson),
  }
  expectStatus(200, await fetchJson(auth, 'PUT', `/v2/keys?identity=${identity}`, body))
}

/** The four RPCs of the gRPC service; needs HTTP/2. */
export async function uploadByGrpc(
  auth: AuthChat,
  identity: Identity,
  keys: IdentityKeys,
  oneTime: OneTimeKeys,
): Promise<void> {
  const kind = KIND[identity]
  const published = <K>(key: { id(): number; publicKey(): K; signature(): Uint8Array<ArrayBuffer> }) => ({
    keyId: key.id(),
    publicKey: key.publicKey(),
    signature: key.signature(),
  })
  const ec = oneTime.ec.map((key) => ({ keyId: key.id(), publicKey: key.publicKey() }))
  await auth.setSignedEcPreKey({ identity: kind, preKey: published(keys.signedPreKey) })
  await auth.setLastResortKemPreKey({ identity: kind, preKey: published(keys.lastResortPreKey) })
  await auth.setOneTimeEcPreKeys({ identity: kind, preKeys: ec })
  await auth.setOneTimeKemPreKeys({ identity: kind, preKeys: oneTime.kyber.map(published) })
}

type SignedJson = { readonly keyId: number; readonly publicKey: string; readonly signature: string }
export type BundleJson = {
  readonly identityKey: string
  readonly devices: readonly {
    readonly deviceId: number
    readonly registrationId: number
    readonly signedPreKey: SignedJson
    readonly preKey?: { readonly keyId: number; readonly publicKey: string }
    readonly pqPreKey: SignedJson
  }[]
}

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64'))
const ecKey = (text: string) => LS.PublicKey.deserialize(bytes(text))

export const bundlesOf = ({ identityKey, devices }: BundleJson): LS.PreKeyBundle[] =>
  devices.map(({ deviceId, registrationId, signedPreKey, preKey, pqPreKey }) =>
    LS.PreKeyBundle.new(
      registrationId,
      deviceId,
      preKey?.keyId ?? null,
      preKey ? ecKey(preKey.publicKey) : null,
      signedPreKey.keyId,
      ecKey(signedPreKey.publicKey),
      bytes(signedPreKey.signature),
      ecKey(identityKey),
      pqPreKey.keyId,
      LS.KEMPublicKey.deserialize(bytes(pqPreKey.publicKey)),
      bytes(pqPreKey.signature),
    ),
  )

export async function fetchIdentified(
  auth: AuthChat,
  target: LS.ServiceId,
  device: number | '*',
): Promise<LS.PreKeyBundle[]> {
  const reply = await fetchJson(auth, 'GET', `/v2/keys/${target.getServiceIdString()}/${device}`)
  expectStatus(200, reply)
  return bundlesOf(reply.json as BundleJson)
}

export async function fetchUnidentified(
  unauth: UnauthChat,
  target: LS.ServiceId,
  device: number | '*',
  accessKey: Uint8Array<ArrayBuffer>,
): Promise<LS.PreKeyBundle[]> {
  const { preKeyBundles } = await unauth.getPreKeys({
    target,
    device: device === '*' ? 'all' : { deviceId: device },
    auth: { accessKey },
  })
  return preKeyBundles
}
