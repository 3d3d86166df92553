// Who has a phone number, asked by somebody who knows it (docs/protocol/discovery.md).
import type { Aci, DeviceAddress, E164, Pni } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import { sameSecret } from '../../kit/constant-time.ts'
import type { Limits } from '../../kit/limits.ts'
import type { Random } from '../../kit/random.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Accounts } from '../accounts/accounts.ts'
import { canonicalForm } from '../accounts/number-forms.ts'
import type { Listing } from '../accounts/store.ts'
import type { ChatEvents } from '../events.ts'
import { AskedNumbers } from './asked-numbers.ts'

export type DiscoveryPolicy = {
  /** `single`: one number at a time, as somebody types it. `batch`: whole address books. */
  readonly mode: 'off' | 'single' | 'batch'
  /** Numbers in one batch. */
  readonly maxNumbers: number
}

/** Whom the caller knows already: the key shows it, and earns the ACI. */
export type KnownKey = { readonly aci: Aci; readonly accessKey: Uint8Array }
/** `pni` is absent where nobody has the number or wants to be found by it: the two look the same. */
export type Found = { readonly number: E164; readonly pni: Pni | undefined; readonly aci: Aci | undefined }
export type Discovered =
  | { readonly kind: 'answered'; readonly entries: readonly Found[] }
  | { readonly kind: 'off' }

export type DiscoveryOptions = {
  readonly accounts: Accounts
  readonly limits: Limits
  readonly clock: Clock
  readonly random: Random
  readonly policy: DiscoveryPolicy
  readonly events: ChatEvents
}

export class Discovery {
  readonly #options: DiscoveryOptions
  readonly #asked: AskedNumbers

  constructor(options: DiscoveryOptions) {
    this.#options = options
    this.#asked = new AskedNumbers(options.clock, options.random)
  }

  /** What this server allows; 0 numbers where it allows nothing. */
  get policy(): DiscoveryPolicy {
    const { mode, maxNumbers } = this.#options.policy
    return { mode, maxNumbers: { off: 0, single: 1, batch: maxNumbers }[mode] }
  }

  /**
   * One entry for each number, in their order. Numbers that the account did not ask for within a day are counted: refuses
   * (429) when they are too many, and then answers for none. Refuses (422) more numbers than the policy allows.
   */
  async find(
    caller: DeviceAddress,
    numbers: readonly E164[],
    known: readonly KnownKey[],
  ): Promise<Discovered> {
    const { mode, maxNumbers } = this.policy
    if (mode === 'off') return { kind: 'off' }
    if (numbers.length > maxNumbers)
      throw new Refusal('invalid', { field: 'numbers', message: `must be ${maxNumbers} at most` })
    const forms = [...new Set(numbers.map(canonicalForm))]
    await this.#count(mode, caller.aci, forms)
    const listed = new Map((await this.#options.accounts.listed(forms)).map((one) => [one.e164, one]))
    const keys = new Map(known.map(({ aci, accessKey }) => [aci, accessKey]))
    const entries = numbers.map((number) => entryOf(number, listed.get(canonicalForm(number)), keys))
    this.#options.events.discovered(listed.size, forms.length - listed.size)
    return { kind: 'answered', entries }
  }

  async #count(mode: 'single' | 'batch', aci: Aci, forms: readonly E164[]): Promise<void> {
    const fresh = forms.filter((form) => !this.#asked.has(aci, form))
    const limiter = mode === 'single' ? 'discovery' : 'discoveryBatch'
    await this.#options.limits.take(limiter, aci, fresh.length)
    for (const form of fresh) this.#asked.add(aci, form)
  }
}

function entryOf(number: E164, listing: Listing | undefined, keys: ReadonlyMap<Aci, Uint8Array>): Found {
  const shown = listing && keys.get(listing.aci)
  const own = listing?.unidentifiedAccessKey
  const isKnown = shown && own && sameSecret(shown, own)
  return { number, pni: listing?.pni, aci: isKnown ? listing.aci : undefined }
}
