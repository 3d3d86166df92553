// What a device shows to others: certificates, zero-knowledge credentials, credentials for other services.

import type { Aci, DeviceAddress, Pni } from '../../../wire/types.ts'
import { parseE164 } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import { startOfDaySeconds } from '../../kit/days.ts'
import type { ExternalCredentials, ExternalServices } from '../../kit/external-credentials.ts'
import type { Limits } from '../../kit/limits.ts'
import { Refusal } from '../../kit/refusal.ts'
import { type Account, hasNumber } from '../accounts/account.ts'
import type { Accounts } from '../accounts/accounts.ts'
import type { Dated, Issuer } from './issuer.ts'
import { redemptionDays } from './redemption-days.ts'
import type { SenderCertificates } from './sender-certificates.ts'
import { checkSvrTokens, type SvrVerdict } from './svr-check.ts'

/** The services that a device may ask credentials for; `svrb` has its own way. */
export type DeviceService = 'storage' | 'directory' | 'svr2'

export type GroupCredentials = {
  readonly groupAuth: readonly Dated[]
  readonly callLinkAuth: readonly Dated[]
  /** Only of an account with a number. */
  readonly pni: Pni | undefined
}

export type CredentialsOptions = {
  readonly accounts: Accounts
  readonly issuer: Issuer
  readonly certificates: SenderCertificates
  readonly services: ExternalServices
  readonly limits: Limits
  readonly clock: Clock
}

const MAX_TOKENS = 10

export class Credentials {
  readonly #options: CredentialsOptions
  /** Who asks again for what is being issued gets the same: nobody fills the queue alone. */
  readonly #issuing = new Map<string, Promise<GroupCredentials>>()

  constructor(options: CredentialsOptions) {
    this.#options = options
  }

  async senderCertificate(address: DeviceAddress, includeE164: boolean): Promise<Uint8Array> {
    const { account } = await this.#options.accounts.of(address)
    return this.#options.certificates.issue(account, address.deviceId, includeE164)
  }

  /** Both kinds; the one with a number where there is a number. */
  async senderCertificates(address: DeviceAddress) {
    const { account } = await this.#options.accounts.of(address)
    const issue = (includeE164: boolean) =>
      this.#options.certificates.issue(account, address.deviceId, includeE164)
    return {
      certificateWithoutE164: issue(false),
      certificateWithE164: hasNumber(account) ? issue(true) : undefined,
    }
  }

  /** One of each kind for every day of the range, both ends included; refuses (400) a range that is not allowed. */
  async group(address: DeviceAddress, startSeconds: number, endSeconds: number): Promise<GroupCredentials> {
    const { accounts, issuer, clock } = this.#options
    const days = redemptionDays(clock.nowMs(), startSeconds, endSeconds)
    const { account } = await accounts.of(address)
    const { aci, pni, authCredentialSalt } = account
    const second = pni ?? Buffer.from(authCredentialSalt!).toString('hex')
    const key = `${aci} ${second} ${startSeconds} ${endSeconds}`
    const issuing = this.#issuing.get(key) ?? issueGroup(issuer, account, days)
    this.#issuing.set(key, issuing)
    return issuing.finally(() => this.#issuing.delete(key))
  }

  /** For today. Refuses (400) what is no such request. */
  async createCallLink({ aci }: DeviceAddress, request: Uint8Array): Promise<Dated> {
    const { limits, issuer, clock } = this.#options
    await limits.take('createCallLink', aci)
    const redemptionSeconds = startOfDaySeconds(clock.nowMs())
    const credential = await issuer.createCallLink(request, aci, redemptionSeconds)
    if (!credential) throw new Refusal('bad-request')
    return { credential, redemptionSeconds }
  }

  external({ aci }: { readonly aci: Aci }, service: DeviceService): ExternalCredentials {
    return this.#options.services[service].issue(aci)
  }

  /** The same by gRPC, where Signal limits it. */
  async limitedExternal(address: DeviceAddress, service: DeviceService): Promise<ExternalCredentials> {
    await this.#options.limits.take('externalServiceCredentials', address.aci)
    return this.external(address, service)
  }

  /** A verdict on each of 1 to 10 tokens `<username>:<password>`, seen from the account that has the number. */
  async checkSvr(
    number: string,
    tokens: readonly string[],
    remoteAddress: string,
  ): Promise<ReadonlyMap<string, SvrVerdict>> {
    const { limits, accounts, services } = this.#options
    await limits.take('backupAuthCheck', remoteAddress)
    const e164 = parseE164(number)
    if (!e164) throw new Refusal('invalid', { field: 'number', message: 'must be a phone number' })
    if (tokens.length === 0 || tokens.length > MAX_TOKENS)
      throw new Refusal('invalid', { field: 'tokens', message: `must be 1 to ${MAX_TOKENS}` })
    const account = await accounts.findByNumber(e164)
    return checkSvrTokens(services.svr2, tokens, account && services.svr2.usernameOf(account.aci))
  }
}

async function issueGroup(
  issuer: Issuer,
  { aci, pni, authCredentialSalt }: Account,
  days: readonly number[],
): Promise<GroupCredentials> {
  const [groupAuth, callLinkAuth] = await Promise.all([
    pni ? issuer.groupAuth(aci, pni, days) : issuer.groupAuthWithoutPni(aci, authCredentialSalt!, days),
    issuer.callLinkAuth(aci, days),
  ])
  return { groupAuth, callLinkAuth, pni }
}
