// What libsignal's registration wants besides a proof of the number.
import { randomBytes } from 'node:crypto'
import * as LS from '@signalapp/libsignal-client'
import { makeIdentityKeys } from './identity-keys.ts'

type Attributes = ConstructorParameters<typeof LS.Net.AccountAttributes>[0]

export function applicant(attributes: Partial<Attributes> = {}) {
  const keys = { aci: makeIdentityKeys(), pni: makeIdentityKeys() }
  return {
    accountPassword: randomBytes(18).toString('base64'),
    skipDeviceTransfer: true,
    accountAttributes: new LS.Net.AccountAttributes({
      recoveryPassword: new Uint8Array(32),
      aciRegistrationId: keys.aci.registrationId,
      pniRegistrationId: keys.pni.registrationId,
      registrationLock: null,
      unidentifiedAccessKey: new Uint8Array(16),
      unrestrictedUnidentifiedAccess: false,
      capabilities: new Set(['spqr']),
      discoverableByPhoneNumber: true,
      ...attributes,
    }),
    aciPublicKey: keys.aci.pair.publicKey,
    pniPublicKey: keys.pni.pair.publicKey,
    aciSignedPreKey: keys.aci.signedPreKey,
    pniSignedPreKey: keys.pni.signedPreKey,
    aciPqLastResortPreKey: keys.aci.lastResortPreKey,
    pniPqLastResortPreKey: keys.pni.lastResortPreKey,
  }
}
