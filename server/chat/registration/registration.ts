// Registration: a proven number becomes an account, or gets its account back (signal-api §2.2).

import type { Registration as Request } from '../../../wire/rest/registration.ts'
import type { Credentials } from '../../../wire/route.ts'
import { type Aci, type E164, type IdentityType, type Pni, PRIMARY_DEVICE } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import type { Limits } from '../../kit/limits.ts'
import type { Random } from '../../kit/random.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Statement } from '../../kit/sql/sql.ts'
import { type Account, type Device, hasCapability } from '../accounts/account.ts'
import { type Accounts, accessOf, allDevicesOf, startOfDay } from '../accounts/accounts.ts'
import { attributesOf } from '../accounts/attributes.ts'
import { hashPassword } from '../accounts/device-password.ts'
import type { ChatEvents } from '../events.ts'
import type { Keys } from '../keys/keys.ts'
import { checkSignedEc, checkSignedKem, readIdentityKey } from '../keys/signatures.ts'
import type { RepeatedUseKeys } from '../keys/store.ts'
import type { Verification } from '../verification/verification.ts'

const MAX_RETRIES = 10

/** One identity of a new device, checked. */
type Identity = { readonly identityKey: Uint8Array; readonly keys: RepeatedUseKeys }

export type Registered =
  | { readonly kind: 'registered'; readonly account: Account; readonly previous: Account | undefined }
  | {
      readonly kind: 'unverified' | 'recovery-refused' | 'transfer-possible' | 'capability-missing' | 'closed'
    }

export type RegistrationOptions = {
  readonly accounts: Accounts
  readonly keys: Keys
  readonly verification: Verification
  readonly limits: Limits
  readonly clock: Clock
  readonly random: Random
  /** Capabilities without which a client is too old. */
  readonly requiredCapabilities: readonly string[]
  /** Only numbers that have an account may register, again. */
  readonly closed: boolean
  readonly events: ChatEvents
}

export class Registration {
  readonly #options: RegistrationOptions

  constructor(options: RegistrationOptions) {
    this.#options = options
  }

  /** `credentials`: the number, and the password that the new device will use. */
  async register(credentials: Credentials, request: Request, agent: string | undefined): Promise<Registered> {
    const { limits, verification, accounts } = this.#options
    checkForm(request, credentials)
    const identities = checkIdentities(request)
    const offered: ReadonlySet<string> = request.accountAttributes.capabilities ?? new Set()
    if (!this.#options.requiredCapabilities.every((name) => offered.has(name)))
      return { kind: 'capability-missing' }
    const e164 = credentials.username as E164
    await limits.take('registration', e164)
    if (request.sessionId == null) return { kind: 'recovery-refused' }
    const proof = await verification.proof(request.sessionId, e164)
    if (!proof) return { kind: 'unverified' }
    const pni = await accounts.pniOf(e164)
    for (let attempt = 0; attempt < MAX_RETRIES; attempt++) {
      const previous = await accounts.find(pni)
      if (!previous && this.#options.closed) return { kind: 'closed' }
      if (previous && transferPossible(previous, request)) return { kind: 'transfer-possible' }
      const account = this.#account({
        e164,
        pni,
        previous,
        request,
        agent,
        identities,
        password: credentials.password,
      })
      if (await this.#put(account, previous, identities, proof)) {
        this.#options.events.registered(previous !== undefined)
        return { kind: 'registered', account, previous }
      }
      if (!(await verification.proof(request.sessionId, e164))) return { kind: 'unverified' }
    }
    throw new Refusal('unavailable')
  }

  async #put(
    account: Account,
    previous: Account | undefined,
    identities: Readonly<Record<IdentityType, Identity>>,
    proof: Statement,
  ): Promise<boolean> {
    const { accounts, keys } = this.#options
    const fresh = { aci: identities.aci.keys, pni: identities.pni.keys }
    const done = await accounts.put(account, [
      proof,
      ...(previous ? accounts.replacing(previous) : []),
      ...keys.forNewDevice(account.aci, PRIMARY_DEVICE, fresh),
    ])
    if (done && previous) accounts.sendAway(account.aci, allDevicesOf(previous))
    return done
  }

  #account(from: {
    e164: E164
    pni: Pni
    previous: Account | undefined
    request: Request
    agent: string | undefined
    identities: Readonly<Record<IdentityType, Identity>>
    password: string
  }): Account {
    const { random, clock } = this.#options
    const attributes = attributesOf(from.request.accountAttributes, from.agent)
    const nowMs = clock.nowMs()
    const device: Device = {
      id: PRIMARY_DEVICE,
      createdAtMs: Math.max(nowMs, newest(from.previous) + 1),
      ...hashPassword(from.password, random),
      registrationId: from.request.accountAttributes.registrationId,
      pniRegistrationId: from.request.accountAttributes.pniRegistrationId!,
      name: attributes.name,
      capabilities: attributes.capabilities,
      fetchesMessages: attributes.fetchesMessages,
      apnToken: from.request.apnToken?.apnRegistrationId,
      fcmToken: from.request.gcmToken?.gcmRegistrationId,
      userAgent: from.agent,
      lastSeenMs: startOfDay(nowMs),
      createdAtCiphertext: undefined,
    }
    return {
      aci: from.previous?.aci ?? (random.uuid() as Aci),
      pni: from.pni,
      e164: from.e164,
      aciIdentityKey: from.identities.aci.identityKey,
      pniIdentityKey: from.identities.pni.identityKey,
      ...accessOf(attributes),
      createdAtMs: from.previous?.createdAtMs ?? nowMs,
      // Whoever registered anew confirms the name again: only who knows it can.
      usernameHash: undefined,
      usernameLinkHandle: from.previous?.usernameLinkHandle,
      registrationLock: undefined,
      version: (from.previous?.version ?? 0) + 1,
      devices: [device],
    }
  }
}

/** A new device's queue must not be taken for that of a device before it. */
const newest = (account: Account | undefined): number =>
  Math.max(0, ...(account?.devices ?? []).map((device) => device.createdAtMs))

const transferPossible = (previous: Account, request: Request): boolean =>
  request.skipDeviceTransfer !== true && hasCapability(previous, 'transfer', 'primary')

function invalid(field: string, message: string): never {
  throw new Refusal('invalid', { field, message })
}

/** What holds between the fields of a registration (422). */
function checkForm(request: Request, credentials: Credentials): void {
  if ((request.sessionId == null) === (request.recoveryPassword == null)) {
    invalid('sessionId', 'exactly one of sessionId and recoveryPassword is needed')
  }
  const { accountAttributes: attributes } = request
  const channels = [attributes.fetchesMessages === true, request.apnToken != null, request.gcmToken != null]
  if (channels.filter(Boolean).length !== 1)
    invalid('fetchesMessages', 'exactly one delivery channel is needed')
  if (attributes.pniRegistrationId == null) invalid('pniRegistrationId', 'is needed')
  const keyBytes = attributes.unidentifiedAccessKey?.length ?? 0
  if (attributes.unrestrictedUnidentifiedAccess !== true && keyBytes !== 16)
    invalid('unidentifiedAccessKey', 'is needed')
  if (credentials.password.length === 0) throw new Refusal('invalid-credentials')
}

/** Every key is one, and is signed by its identity (422); every field of both identities is there. */
function checkIdentities(request: Request): Readonly<Record<IdentityType, Identity>> {
  const { pniIdentityKey, pniSignedPreKey, pniPqLastResortPreKey } = request
  if (pniIdentityKey == null || pniSignedPreKey == null || pniPqLastResortPreKey == null) {
    invalid('pniIdentityKey', 'the keys of the phone number identity are needed')
  }
  return {
    aci: checkIdentity('aci', request.aciIdentityKey, {
      ec: request.aciSignedPreKey,
      kem: request.aciPqLastResortPreKey,
    }),
    pni: checkIdentity('pni', pniIdentityKey, { ec: pniSignedPreKey, kem: pniPqLastResortPreKey }),
  }
}

function checkIdentity(identity: IdentityType, identityKey: Uint8Array, keys: RepeatedUseKeys): Identity {
  const key = readIdentityKey(`${identity}IdentityKey`, identityKey)
  checkSignedEc(`${identity}SignedPreKey`, key, keys.ec)
  checkSignedKem(`${identity}PqLastResortPreKey`, key, keys.kem)
  return { identityKey, keys }
}
