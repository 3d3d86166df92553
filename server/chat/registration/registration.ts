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
import { type Account, type Device, hasCapability, hasNumber } from '../accounts/account.ts'
import { type Accounts, accessOf, allDevicesOf, lockOf } from '../accounts/accounts.ts'
import { attributesOf } from '../accounts/attributes.ts'
import { sealCreation } from '../accounts/creation-seal.ts'
import { hashPassword } from '../accounts/device-password.ts'
import { canonicalForm } from '../accounts/number-forms.ts'
import { acceptedForm } from '../accounts/phone-number.ts'
import type { Admission } from '../admission/admission.ts'
import type { ChatEvents } from '../events.ts'
import type { LoginReceipts } from '../invites/login-receipts.ts'
import type { Keys } from '../keys/keys.ts'
import { checkSignedEc, checkSignedKem, readIdentityKey } from '../keys/signatures.ts'
import type { RepeatedUseKeys } from '../keys/store.ts'
import type { Evidence, NumberProof, Proof, ProvenBy } from '../recovery/number-proof.ts'
import type { Recovery } from '../recovery/recovery.ts'
import type { Locked, RegistrationLock } from '../registration-lock/registration-lock.ts'
import type { Checked, Totp } from '../totp/totp.ts'

const MAX_RETRIES = 10
const AUTH_CREDENTIAL_SALT_BYTES = 16

/** One identity of a new device, checked. */
type Identity = { readonly identityKey: Uint8Array; readonly keys: RepeatedUseKeys }
type Identities = { readonly aci: Identity; readonly pni: Identity | undefined }

export type Registered =
  | { readonly kind: 'registered'; readonly account: Account; readonly previous: Account | undefined }
  | Refused

type Refused =
  | Locked
  | { readonly kind: Exclude<Proof['kind'], 'proven'> }
  | { readonly kind: 'transfer-possible' | 'totp-needed' | 'capability-missing' | 'closed' }

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
  readonly loginReceipts: LoginReceipts
  readonly events: ChatEvents
}

/** A registration whose form and keys are right. */
type Applicant = {
  readonly password: string
  readonly request: Request
  readonly agent: string | undefined
  readonly identities: Identities
}
/** The number of an account, with its identity. */
type Numbering = { readonly e164: E164; readonly pni: Pni; readonly identity: Identity }
/** Whose place the new account takes: an account's that is there, or the identity of one that is gone. */
type Place = {
  readonly numbering: Numbering | undefined
  readonly previous: Account | undefined
  readonly formerAci: Aci | undefined
}
/** What was decided: the place, and what must still hold when it is taken. */
type Decided =
  | { readonly kind: 'decided'; readonly place: Place; readonly conditions: readonly Statement[] }
  | Refused

export class Registration {
  readonly #options: RegistrationOptions

  constructor(options: RegistrationOptions) {
    this.#options = options
  }

  /**
   * `credentials`: the number, or the ACI of an account that is recovered, or nothing in particular for an account without a
   * number; and the password that the new device will use.
   */
  async register(credentials: Credentials, request: Request, agent: string | undefined): Promise<Registered> {
    checkForm(request, credentials)
    const identities = checkIdentities(request)
    const offered: ReadonlySet<string> = request.accountAttributes.capabilities ?? new Set()
    if (!this.#options.requiredCapabilities.every((name) => offered.has(name)))
      return { kind: 'capability-missing' }
    const applicant = { password: credentials.password, request, agent, identities }
    if (request.receiptCredentialPresentation != null) return this.#join(applicant)
    const aci = parseAci(credentials.username)
    return aci ? this.#recover(applicant, aci) : this.#enrol(applicant, credentials.username)
  }

  /** By a number that is proven. */
  async #enrol(applicant: Applicant, username: string): Promise<Registered> {
    const identity = mustHavePni(applicant)
    const e164 = acceptedForm(username)
    await this.#options.limits.take('registration', canonicalForm(e164))
    return this.#settle(applicant, () => this.#decideByNumber(applicant, e164, identity))
  }

  /** By a receipt: an account without a number. Refuses (401) a receipt that is not good. */
  #join(applicant: Applicant): Promise<Registered> {
    const { admission, loginReceipts } = this.#options
    mustBeRecoverable(applicant, 'invalid')
    const presentation = applicant.request.receiptCredentialPresentation!
    return this.#settle(applicant, async () => {
      if (!(await admission.mayJoin(true))) return { kind: 'closed' }
      const conditions = [await loginReceipts.redemption(presentation)]
      return { kind: 'decided', place: NOWHERE, conditions }
    })
  }

  /** By its recovery password: an account that is named by its ACI. */
  async #recover(applicant: Applicant, aci: Aci): Promise<Registered> {
    const identity = mustHavePni(applicant, 'bad-request')
    mustBeRecoverable(applicant, 'bad-request')
    const password = applicant.request.recoveryPassword ?? undefined
    if (!password || password.length === 0)
      throw new Refusal('bad-request', { field: 'recoveryPassword', message: 'is needed' })
    await this.#options.limits.take('registration', aci)
    return this.#settle(applicant, () => this.#decideByPassword(applicant, aci, password, identity))
  }

  /** Decides on what is there, and decides anew if it was written meanwhile. */
  async #settle(applicant: Applicant, decide: () => Promise<Decided>): Promise<Registered> {
    for (let attempt = 0; attempt < MAX_RETRIES; attempt++) {
      const decided = await decide()
      if (decided.kind !== 'decided') return decided
      const { place, conditions } = decided
      const account = this.#account(applicant, place)
      if (await this.#put(applicant, account, place, conditions)) {
        this.#options.events.registered(place.previous !== undefined)
        return { kind: 'registered', account, previous: place.previous }
      }
    }
    throw new Refusal('unavailable')
  }

  async #decideByNumber(applicant: Applicant, e164: E164, identity: Identity): Promise<Decided> {
    const { accounts, numberProof } = this.#options
    const proof = await numberProof.prove(e164, evidenceOf(applicant.request))
    if (proof.kind !== 'proven') return proof
    const pni = await accounts.pniOf(e164)
    const previous = await accounts.find(pni)
    const passed = await this.#check(applicant, previous, proof.by)
    if (passed.kind !== 'passed') return passed
    const formerAci = previous || proof.by === 'invite' ? undefined : await accounts.formerAci(pni)
    const place = { numbering: { e164, pni, identity }, previous, formerAci }
    return { kind: 'decided', place, conditions: [...proof.statements, ...passed.statements] }
  }

  async #decideByPassword(
    applicant: Applicant,
    aci: Aci,
    password: Uint8Array,
    identity: Identity,
  ): Promise<Decided> {
    const { accounts, recovery } = this.#options
    const previous = await accounts.find(aci)
    const proof = previous && (await recovery.proofOf(previous, password))
    if (!previous || !proof) return { kind: 'recovery-refused' }
    const passed = await this.#check(applicant, previous, 'recovery-password')
    if (passed.kind !== 'passed') return passed
    // Keys for a number that the account does not have are brought all the same, and left alone.
    const numbering = hasNumber(previous) ? { e164: previous.e164, pni: previous.pni, identity } : undefined
    const place = { numbering, previous, formerAci: undefined }
    return { kind: 'decided', place, conditions: [proof, ...passed.statements] }
  }

  /** What an account that is there already asks of whoever wants to take it over. */
  async #check(
    { request }: Applicant,
    previous: Account | undefined,
    provenBy: ProvenBy,
  ): Promise<Refused | Extract<Checked, { kind: 'passed' }>> {
    const { admission, lock, totp } = this.#options
    const invited = provenBy === 'invite'
    if (!previous) return (await admission.mayJoin(invited)) ? NOTHING_ASKED : { kind: 'closed' }
    // The session was proven while nobody had the number.
    if (invited) return { kind: 'unverified' }
    if (transferPossible(previous, request)) return { kind: 'transfer-possible' }
    const token = request.accountAttributes.registrationLock ?? undefined
    const locked = hasNumber(previous) ? await lock.check(previous, token, provenBy) : undefined
    if (locked) return locked
    const checked = await totp.check(previous.aci, request.totp ?? undefined)
    return checked.kind === 'passed' ? checked : { kind: 'totp-needed' }
  }

  async #put(
    { identities, request }: Applicant,
    account: Account,
    { numbering, previous, formerAci }: Place,
    conditions: readonly Statement[],
  ): Promise<boolean> {
    const { accounts, keys, recovery } = this.#options
    const { recoveryPassword } = attributesOf(request.accountAttributes, undefined)
    const done = await accounts.put(account, [
      ...conditions,
      ...(formerAci && numbering ? [accounts.reclaimingFormer(numbering.pni, formerAci)] : []),
      ...(previous ? accounts.replacing(previous) : []),
      ...keys.forNewDevice(account.aci, PRIMARY_DEVICE, {
        aci: identities.aci.keys,
        pni: numbering?.identity.keys,
      }),
      ...(recoveryPassword ? [recovery.setting(account, recoveryPassword)] : []),
    ])
    if (done && previous) accounts.sendAway(account.aci, allDevicesOf(previous))
    return done
  }

  #account(applicant: Applicant, { numbering, previous, formerAci }: Place): Account {
    const { random, clock } = this.#options
    const { request, agent, identities } = applicant
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
      pniRegistrationId: numbering && request.accountAttributes.pniRegistrationId!,
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
    const access = accessOf(attributes)
    return {
      aci: previous?.aci ?? formerAci ?? (random.uuid() as Aci),
      pni: numbering?.pni,
      e164: numbering?.e164,
      aciIdentityKey: identities.aci.identityKey,
      pniIdentityKey: numbering?.identity.identityKey,
      authCredentialSalt: numbering ? undefined : random.bytes(AUTH_CREDENTIAL_SALT_BYTES),
      ...access,
      discoverableByPhoneNumber: numbering !== undefined && access.discoverableByPhoneNumber,
      createdAtMs: previous?.createdAtMs ?? nowMs,
      // Whoever registered anew confirms the name again: only who knows it can.
      usernameHash: undefined,
      usernameLinkHandle: previous?.usernameLinkHandle,
      registrationLock: numbering && lockOf(attributes, random),
      version: (previous?.version ?? 0) + 1,
      devices: [device],
    }
  }
}

const NOWHERE: Place = { numbering: undefined, previous: undefined, formerAci: undefined }
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
  const proofs = [request.sessionId, request.recoveryPassword, request.receiptCredentialPresentation]
  if (proofs.filter((proof) => proof != null).length !== 1)
    invalid('sessionId', 'exactly one of sessionId, recoveryPassword and a receipt is needed')
  const { accountAttributes: attributes } = request
  const channels = [attributes.fetchesMessages === true, request.apnToken != null, request.gcmToken != null]
  if (channels.filter(Boolean).length !== 1)
    invalid('fetchesMessages', 'exactly one delivery channel is needed')
  const keyBytes = attributes.unidentifiedAccessKey?.length ?? 0
  if (attributes.unrestrictedUnidentifiedAccess !== true && keyBytes !== 16)
    invalid('unidentifiedAccessKey', 'is needed')
  if (credentials.password.length === 0) throw new Refusal('invalid-credentials')
}

/** Every key is one, and is signed by its identity (422); of a number's identity all is there, or nothing. */
function checkIdentities(request: Request): Identities {
  const aci = checkIdentity('aci', request.aciIdentityKey, {
    ec: request.aciSignedPreKey,
    kem: request.aciPqLastResortPreKey,
  })
  const { pniIdentityKey, pniSignedPreKey: ec, pniPqLastResortPreKey: kem } = request
  if (pniIdentityKey == null && ec == null && kem == null) return { aci, pni: undefined }
  if (pniIdentityKey == null || ec == null || kem == null) return missing()
  if (request.accountAttributes.pniRegistrationId == null) invalid('pniRegistrationId', 'is needed')
  return { aci, pni: checkIdentity('pni', pniIdentityKey, { ec, kem }) }
}

function missing(kind: 'invalid' | 'bad-request' = 'invalid'): never {
  const message = 'the keys of the phone number identity are needed'
  throw new Refusal(kind, { field: 'pniIdentityKey', message })
}

const mustHavePni = ({ identities }: Applicant, kind: 'invalid' | 'bad-request' = 'invalid'): Identity =>
  identities.pni ?? missing(kind)

/** Nothing but its recovery password gets an account without a number back. */
function mustBeRecoverable({ request }: Applicant, kind: 'invalid' | 'bad-request'): void {
  if ((request.accountAttributes.recoveryPassword?.length ?? 0) > 0) return
  throw new Refusal(kind, { field: 'accountAttributes.recoveryPassword', message: 'is needed' })
}

function checkIdentity(identity: IdentityType, identityKey: Uint8Array, keys: RepeatedUseKeys): Identity {
  const key = readIdentityKey(`${identity}IdentityKey`, identityKey)
  checkSignedEc(`${identity}SignedPreKey`, key, keys.ec)
  checkSignedKem(`${identity}PqLastResortPreKey`, key, keys.kem)
  return { identityKey, keys }
}
