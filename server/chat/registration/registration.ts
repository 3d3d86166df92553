// Registration: a proven number becomes an account, or gets its account back (signal-api §2.2).

import type { Registration as Request } from '../../../wire/rest/registration.ts'
import type { Credentials } from '../../../wire/route.ts'
import {
  type Aci,
  type E164,
  type IdentityType,
  type Pni,
  PRIMARY_DEVICE,
  parseAci,
} from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import { startOfDay } from '../../kit/days.ts'
import type { Limits } from '../../kit/limits.ts'
import type { Random } from '../../kit/random.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Statement } from '../../kit/sql/sql.ts'
import { type Account, type Device, hasCapability } from '../accounts/account.ts'
import { type Accounts, accessOf, allDevicesOf, lockOf } from '../accounts/accounts.ts'
import { attributesOf } from '../accounts/attributes.ts'
import { sealCreation } from '../accounts/creation-seal.ts'
import { hashPassword } from '../accounts/device-password.ts'
import { canonicalForm } from '../accounts/number-forms.ts'
import { acceptedForm } from '../accounts/phone-number.ts'
import type { Admission } from '../admission/admission.ts'
import type { ChatEvents } from '../events.ts'
import type { Keys } from '../keys/keys.ts'
import { checkSignedEc, checkSignedKem, readIdentityKey } from '../keys/signatures.ts'
import type { RepeatedUseKeys } from '../keys/store.ts'
import type { Evidence, NumberProof, Proof } from '../recovery/number-proof.ts'
import type { Recovery } from '../recovery/recovery.ts'
import type { Locked, RegistrationLock } from '../registration-lock/registration-lock.ts'
import type { Checked, Totp } from '../totp/totp.ts'

const MAX_RETRIES = 10

/** One identity of a new device, checked. */
type Identity = { readonly identityKey: Uint8Array; readonly keys: RepeatedUseKeys }

export type Registered =
  | { readonly kind: 'registered'; readonly account: Account; readonly previous: Account | undefined }
  | Refused

type Refused =
  | Locked
  | { readonly kind: Exclude<Proof['kind'], 'proven'> }
  | { readonly kind: 'transfer-possible' | 'totp-needed' | 'capability-missing' | 'closed' | 'not-offered' }

export type RegistrationOptions = {
  readonly accounts: Accounts
  readonly keys: Keys
  readonly numberProof: NumberProof
  readonly recovery: Recovery
  readonly lock: RegistrationLock
  readonly totp: Totp
  readonly limits: Limits
  readonly clock: Clock
  readonly random: Random
  /** Capabilities without which a client is too old. */
  readonly requiredCapabilities: readonly string[]
  readonly admission: Admission
  readonly events: ChatEvents
}

/** A registration whose form and keys are right. */
type Applicant = {
  readonly e164: E164
  readonly password: string
  readonly request: Request
  readonly agent: string | undefined
  readonly identities: Readonly<Record<IdentityType, Identity>>
}
/** Whose place the new account takes: an account's that is there, or the identity of one that is gone. */
type Place = {
  readonly pni: Pni
  readonly previous: Account | undefined
  readonly formerAci: Aci | undefined
}

export class Registration {
  readonly #options: RegistrationOptions

  constructor(options: RegistrationOptions) {
    this.#options = options
  }

  /** `credentials`: the number, and the password that the new device will use. */
  async register(credentials: Credentials, request: Request, agent: string | undefined): Promise<Registered> {
    checkForm(request, credentials)
    const identities = checkIdentities(request)
    const offered: ReadonlySet<string> = request.accountAttributes.capabilities ?? new Set()
    if (!this.#options.requiredCapabilities.every((name) => offered.has(name)))
      return { kind: 'capability-missing' }
    // An ACI for a number recovers an account that may have none: there are no such accounts.
    if (parseAci(credentials.username)) return { kind: 'not-offered' }
    const e164 = acceptedForm(credentials.username)
    await this.#options.limits.take('registration', canonicalForm(e164))
    return this.#admit({ e164, password: credentials.password, request, agent, identities })
  }

  /** Decides on what is there, and decides anew if it was written meanwhile. */
  async #admit(applicant: Applicant): Promise<Registered> {
    const { accounts, numberProof, events } = this.#options
    for (let attempt = 0; attempt < MAX_RETRIES; attempt++) {
      const proof = await numberProof.prove(applicant.e164, evidenceOf(applicant.request))
      if (proof.kind !== 'proven') return proof
      const pni = await accounts.pniOf(applicant.e164)
      const previous = await accounts.find(pni)
      const passed = await this.#check(applicant, previous, proof)
      if (passed.kind !== 'passed') return passed
      const formerAci = previous || proof.by === 'invite' ? undefined : await accounts.formerAci(pni)
      const account = this.#account(applicant, { pni, previous, formerAci })
      const conditions = [...proof.statements, ...passed.statements]
      if (await this.#put(applicant, account, { pni, previous, formerAci }, conditions)) {
        events.registered(previous !== undefined)
        return { kind: 'registered', account, previous }
      }
    }
    throw new Refusal('unavailable')
  }

  /** What an account that is there already asks of whoever wants to take it over. */
  async #check(
    { request }: Applicant,
    previous: Account | undefined,
    proof: Extract<Proof, { kind: 'proven' }>,
  ): Promise<Refused | Extract<Checked, { kind: 'passed' }>> {
    const { admission, lock, totp } = this.#options
    const invited = proof.by === 'invite'
    if (!previous) return (await admission.mayJoin(invited)) ? NOTHING_ASKED : { kind: 'closed' }
    // The session was proven while nobody had the number.
    if (invited) return { kind: 'unverified' }
    if (transferPossible(previous, request)) return { kind: 'transfer-possible' }
    const token = request.accountAttributes.registrationLock ?? undefined
    const locked = await lock.check(previous, token, proof.by)
    if (locked) return locked
    const checked = await totp.check(previous.aci, request.totp ?? undefined)
    return checked.kind === 'passed' ? checked : { kind: 'totp-needed' }
  }

  async #put(
    { identities, request }: Applicant,
    account: Account,
    { pni, previous, formerAci }: Place,
    conditions: readonly Statement[],
  ): Promise<boolean> {
    const { accounts, keys, recovery } = this.#options
    const { recoveryPassword } = attributesOf(request.accountAttributes, undefined)
    const done = await accounts.put(account, [
      ...conditions,
      ...(formerAci ? [accounts.reclaimingFormer(pni, formerAci)] : []),
      ...(previous ? accounts.replacing(previous) : []),
      ...keys.forNewDevice(account.aci, PRIMARY_DEVICE, {
        aci: identities.aci.keys,
        pni: identities.pni.keys,
      }),
      ...(recoveryPassword ? [recovery.setting(pni, recoveryPassword)] : []),
    ])
    if (done && previous) accounts.sendAway(account.aci, allDevicesOf(previous))
    return done
  }

  #account(applicant: Applicant, { pni, previous, formerAci }: Place): Account {
    const { random, clock } = this.#options
    const { e164, request, agent, identities } = applicant
    const attributes = attributesOf(request.accountAttributes, agent)
    const nowMs = clock.nowMs()
    const life = {
      id: PRIMARY_DEVICE,
      createdAtMs: Math.max(nowMs, newest(previous) + 1),
      registrationId: request.accountAttributes.registrationId,
    }
    const device: Device = {
      ...life,
      ...hashPassword(applicant.password, random),
      pniRegistrationId: request.accountAttributes.pniRegistrationId!,
      name: attributes.name,
      capabilities: attributes.capabilities,
      fetchesMessages: attributes.fetchesMessages,
      apnToken: request.apnToken?.apnRegistrationId,
      fcmToken: request.gcmToken?.gcmRegistrationId,
      webPush: undefined,
      pushSetAtMs: nowMs,
      userAgent: agent,
      lastSeenMs: startOfDay(nowMs),
      createdAtCiphertext: sealCreation(identities.aci.identityKey, life),
    }
    return {
      aci: previous?.aci ?? formerAci ?? (random.uuid() as Aci),
      pni,
      e164,
      aciIdentityKey: identities.aci.identityKey,
      pniIdentityKey: identities.pni.identityKey,
      ...accessOf(attributes),
      createdAtMs: previous?.createdAtMs ?? nowMs,
      // Whoever registered anew confirms the name again: only who knows it can.
      usernameHash: undefined,
      usernameLinkHandle: previous?.usernameLinkHandle,
      registrationLock: lockOf(attributes, random),
      version: (previous?.version ?? 0) + 1,
      devices: [device],
    }
  }
}

const NOTHING_ASKED = { kind: 'passed', statements: [] } as const

/** A new device's queue must not be taken for that of a device before it. */
const newest = (account: Account | undefined): number =>
  Math.max(0, ...(account?.devices ?? []).map((device) => device.createdAtMs))

const evidenceOf = ({ sessionId, recoveryPassword }: Request): Evidence => ({
  sessionId: sessionId ?? undefined,
  recoveryPassword: recoveryPassword ?? undefined,
})

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
