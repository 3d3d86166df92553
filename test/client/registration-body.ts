// The body of `POST /v1/registration` in JSON, to be spoilt field by field.
import { randomBytes } from 'node:crypto'
import { base64, makeIdentityKeys, signedJson } from './identity-keys.ts'

export function registrationBody(
  sessionId: string,
  keys = { aci: makeIdentityKeys(), pni: makeIdentityKeys() },
) {
  return {
    sessionId,
    accountAttributes: {
      fetchesMessages: true,
      registrationId: keys.aci.registrationId,
      pniRegistrationId: keys.pni.registrationId,
      recoveryPassword: base64(randomBytes(32)),
      unidentifiedAccessKey: [...randomBytes(16)],
      unrestrictedUnidentifiedAccess: false,
      capabilities: { spqr: true },
      discoverableByPhoneNumber: true,
    },
    skipDeviceTransfer: true,
    aciIdentityKey: base64(keys.aci.pair.publicKey.serialize()),
    pniIdentityKey: base64(keys.pni.pair.publicKey.serialize()),
    aciSignedPreKey: signedJson(keys.aci.signedPreKey),
    pniSignedPreKey: signedJson(keys.pni.signedPreKey),
    aciPqLastResortPreKey: signedJson(keys.aci.lastResortPreKey),
    pniPqLastResortPreKey: signedJson(keys.pni.lastResortPreKey),
  }
}
export type RegistrationBody = ReturnType<typeof registrationBody>
