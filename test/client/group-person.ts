// Somebody who uses groups: a profile that others can prove to know, and a week of credentials to show, from the chat server.
import {
  type AuthCredentialPresentation,
  type AuthCredentialWithPni,
  ClientZkAuthOperations,
  type ExpiringProfileKeyCredential,
  type GroupSecretParams,
  ServerPublicParams,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import type { Ready } from '../../server/up.ts'
import { authorizationOf, type Https } from './https.ts'
import { fullProfile, ProfileKeys, profileBody } from './profile-keys.ts'
import type { Registered } from './register.ts'
import { expectStatus } from './rest.ts'
import { bytesOf, DAY_SECONDS, publicParamsOf, receiveGroup, startOfDay } from './week.ts'

export class GroupPerson {
  readonly account: Registered
  readonly profile: ProfileKeys
  readonly params: ServerPublicParams
  readonly #ready: Ready
  readonly #https: Https
  readonly #days = new Map<number, AuthCredentialWithPni>()
  #profileCredential: ExpiringProfileKeyCredential | undefined

  private constructor(ready: Ready, https: Https, account: Registered) {
    this.account = account
    this.profile = new ProfileKeys(account.aci)
    this.params = new ServerPublicParams(bytesOf(ready.keys.serverPublicParams))
    this.#ready = ready
    this.#https = https
  }

  /** Publishes a profile and fetches credentials for today and tomorrow. */
  static async open(ready: Ready, https: Https, account: Registered): Promise<GroupPerson> {
    const person = new GroupPerson(ready, https, account)
    await person.#publish()
    await person.#fetchCredentials()
    person.#profileCredential = await person.#fetchProfileCredential()
    return person
  }

  async #publish(): Promise<void> {
    const headers = authorizationOf(this.account)
    const json = profileBody(this.profile, fullProfile())
    expectStatus(200, await this.#https.call('PUT', '/v1/profile', { headers, json }))
  }

  async #fetchCredentials(): Promise<void> {
    const today = startOfDay()
    const range = `redemptionStartSeconds=${today}&redemptionEndSeconds=${today + DAY_SECONDS}`
    const headers = authorizationOf(this.account)
    const reply = await this.#https.call('GET', `/v1/certificate/auth/group?${range}`, { headers })
    expectStatus(200, reply)
    for (const { credential, redemptionTime } of reply.json.credentials) {
      const dated = { credential: bytesOf(credential), redemptionTime }
      this.#days.set(redemptionTime, receiveGroup(dated, this.account, publicParamsOf(this.#ready.keys)))
    }
  }

  /** Has another credential of a day to show. */
  keep(day: number, credential: AuthCredentialWithPni): void {
    this.#days.set(day, credential)
  }

  /** As others get it who know this person's profile key. */
  get profileCredential(): ExpiringProfileKeyCredential {
    return this.#profileCredential!
  }

  /** Throws if the server's answer does not hold. */
  async #fetchProfileCredential(): Promise<ExpiringProfileKeyCredential> {
    const request = this.profile.request(this.#ready)
    const path = `/v1/profile/${this.account.aci.getServiceIdString()}/${this.profile.version}/${request.hex}`
    const headers = authorizationOf(this.account)
    const reply = await this.#https.call('GET', `${path}?credentialType=expiringProfileKey`, { headers })
    expectStatus(200, reply)
    return request.receive(bytesOf(reply.json.credential))
  }

  /** Another one each time, so that nobody can tell that they are of the same person. */
  show(group: GroupSecretParams, day = startOfDay()): AuthCredentialPresentation {
    const operations = new ClientZkAuthOperations(this.params)
    return operations.createAuthCredentialWithPniPresentation(group, this.#days.get(day)!)
  }
}
