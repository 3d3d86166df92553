// Clients that the operator does not serve any more: they are told to update (signal-api §5.8, `remoteDeprecation`).
import {
  type Client,
  compareVersions,
  PLATFORMS,
  type Platform,
  parseUserAgent,
  parseVersion,
  type Version,
} from '../../kit/client-version.ts'
import type { ChatEvents } from '../events.ts'

export type DeprecationRules = {
  /** The oldest version of each platform that is served. */
  readonly minimumVersions: Readonly<Partial<Record<Platform, string | undefined>>>
  readonly blockedVersions: Readonly<Partial<Record<Platform, readonly string[] | undefined>>>
  readonly unrecognizedUserAgents: 'allowed' | 'refused'
}

/** User agents whose verdict is remembered: there are few that are not invented. */
const MAX_REMEMBERED = 1_000

type Rule = { readonly minimum: Version | undefined; readonly blocked: readonly Version[] }

const versionOf = (text: string): Version => {
  const version = parseVersion(text)
  if (!version) throw new TypeError(`${text} is no version`)
  return version
}

export class Deprecation {
  readonly #rules: ReadonlyMap<Platform, Rule>
  readonly #refusesStrangers: boolean
  readonly #events: ChatEvents
  readonly #verdicts = new Map<string | undefined, boolean>()

  private constructor(rules: DeprecationRules, events: ChatEvents) {
    this.#events = events
    this.#refusesStrangers = rules.unrecognizedUserAgents === 'refused'
    this.#rules = new Map(
      PLATFORMS.map((platform) => {
        const minimum = rules.minimumVersions[platform]
        const blocked = (rules.blockedVersions[platform] ?? []).map(versionOf)
        return [platform, { minimum: minimum === undefined ? undefined : versionOf(minimum), blocked }]
      }),
    )
  }

  /** Nothing if every client is served, so that nobody has to ask. */
  static of(rules: DeprecationRules, events: ChatEvents): Deprecation | undefined {
    const some =
      rules.unrecognizedUserAgents === 'refused' ||
      PLATFORMS.some(
        (platform) =>
          rules.minimumVersions[platform] !== undefined || rules.blockedVersions[platform]?.length,
      )
    return some ? new Deprecation(rules, events) : undefined
  }

  readonly refuses = (userAgent: string | undefined): boolean => {
    const known = this.#verdicts.get(userAgent)
    const refused = known ?? this.#refuses(parseUserAgent(userAgent))
    if (known === undefined) this.#remember(userAgent, refused)
    if (refused) this.#events.clientRefused()
    return refused
  }

  #refuses(client: Client | undefined): boolean {
    if (!client) return this.#refusesStrangers
    const { minimum, blocked } = this.#rules.get(client.platform)!
    if (minimum && compareVersions(client.version, minimum) < 0) return true
    return blocked.some((version) => compareVersions(client.version, version) === 0)
  }

  #remember(userAgent: string | undefined, refused: boolean): void {
    if (this.#verdicts.size >= MAX_REMEMBERED) this.#verdicts.clear()
    this.#verdicts.set(userAgent, refused)
  }
}
