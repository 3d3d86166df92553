// A number becomes an account, by libsignal's own registration service.
import { randomBytes } from 'node:crypto'
import * as LS from '@signalapp/libsignal-client'
import type { SignalServer } from '../constellation.ts'
import { type IdentityKeys, makeIdentityKeys } from './identity-keys.ts'
import { type HttpVersion, openNet } from './net.ts'

/** What a primary device remembers of its registration. */
export type Registered = {
  readonly number: string
  readonly aci: LS.Aci
  readonly pni: LS.Pni
  readonly deviceId: number
  readonly password: string
  readonly accessKey: Uint8Array<ArrayBuffer>
  readonly keys: { readonly aci: IdentityKeys; readonly pni: IdentityKeys }
  readonly reregistration: boolean
}

export type RegisterOptions = {
  readonly number?: string
  readonly httpVersion?: HttpVersion
  readonly capabilities?: readonly string[]
  readonly unrestrictedUnidentifiedAccess?: boolean
}

let numbersGiven = 0
/** A number that nobody in this process has had before. */
export const newNumber = (): string => `+1202${String(5_550_000 + numbersGiven++)}`

/** Opens a session for a number, and proves it by the code from the outbox. */
export async function verifiedSession(
  server: SignalServer,
  number: string,
  httpVersion: HttpVersion,
): Promise<LS.Net.RegistrationService> {
  const service = await openNet(server.ready, httpVersion).createRegistrationSession({ e164: number })
  await service.requestVerification({ transport: 'sms', client: 'heliograph-test', languages: ['en'] })
  if (!(await service.verifySession(await server.codeFor(number)))) throw new Error('the code was refused')
  return service
}

/** Proves a number and registers it. */
export async function register(server: SignalServer, options: RegisterOptions = {}): Promise<Registered> {
  const { number = newNumber(), httpVersion = 2 } = options
  return registerProven(await verifiedSession(server, number, httpVersion), number, options)
}

export async function registerProven(
  service: LS.Net.RegistrationService,
  number: string,
  options: Omit<RegisterOptions, 'number' | 'httpVersion'> = {},
): Promise<Registered> {
  const keys = { aci: makeIdentityKeys(), pni: makeIdentityKeys() }
  const password = randomBytes(18).toString('base64')
  const accessKey = new Uint8Array(randomBytes(16))
  const response = await service.registerAccount({
    accountPassword: password,
    skipDeviceTransfer: true,
    accountAttributes: new LS.Net.AccountAttributes({
      recoveryPassword: new Uint8Array(randomBytes(32)),
      aciRegistrationId: keys.aci.registrationId,
      pniRegistrationId: keys.pni.registrationId,
      registrationLock: null,
      unidentifiedAccessKey: accessKey,
      unrestrictedUnidentifiedAccess: options.unrestrictedUnidentifiedAccess ?? false,
      capabilities: new Set(options.capabilities ?? ['spqr', 'storage', 'attachmentBackfill']),
      discoverableByPhoneNumber: true,
    }),
    aciPublicKey: keys.aci.pair.publicKey,
    pniPublicKey: keys.pni.pair.publicKey,
    aciSignedPreKey: keys.aci.signedPreKey,
    pniSignedPreKey: keys.pni.signedPreKey,
    aciPqLastResortPreKey: keys.aci.lastResortPreKey,
    pniPqLastResortPreKey: keys.pni.lastResortPreKey,
  })
  const { aci, pni, reregistration } = response
  if (!pni) throw new Error('an account with a number has a PNI')
  return { number, aci, pni, deviceId: 1, password, accessKey, keys, reregistration }
}
