import type { Clock } from '../kit/clock.ts'
import type { ProviderHealth, Push, Pushed, PushGateway } from '../kit/push-gateway.ts'
import { Breaker } from './breaker.ts'
import type { PushEvents } from './events.ts'
import type { Provider } from './provider.ts'

type Guarded = {
  readonly provider: Provider
  readonly breaker: Breaker
  state: ProviderHealth['state']
  reason: string | undefined
}

/** Hands each push to the provider of its address, unless that rests. */
export class Gateway implements PushGateway {
  readonly #guarded: ReadonlyMap<string, Guarded>
  readonly #events: PushEvents

  constructor(options: {
    readonly providers: readonly Provider[]
    readonly clock: Clock
    readonly events: PushEvents
  }) {
    const { providers, clock, events } = options
    this.#events = events
    this.#guarded = new Map(
      providers.map((provider) => [
        provider.service,
        { provider, breaker: new Breaker(clock), state: 'unknown', reason: undefined },
      ]),
    )
  }

  async push({ to, notice }: Push): Promise<Pushed> {
    const guarded = this.#guarded.get(to.service)
    if (!guarded) return { kind: 'unserved' }
    const afterMs = guarded.breaker.admit()
    if (afterMs > 0) return { kind: 'later', afterMs, untried: true }
    const tried = await guarded.provider.push(to, notice)
    const { broken = false, ...pushed } = tried
    if (broken) guarded.breaker.failed()
    else guarded.breaker.worked()
    this.#note(guarded, broken, tried.reason)
    this.#events.pushed(to.service, tried.kind)
    return pushed
  }

  async health(): Promise<readonly ProviderHealth[]> {
    return [...this.#guarded.values()].map(({ provider, state, reason }) => ({
      provider: provider.service,
      state,
      reason,
    }))
  }

  async close(): Promise<void> {
    await Promise.all([...this.#guarded.values()].map(({ provider }) => provider.close()))
  }

  #note(guarded: Guarded, broken: boolean, reason: string | undefined): void {
    const state = broken ? 'down' : 'up'
    if (guarded.state !== state) this.#events.turned(guarded.provider.service, state, reason)
    guarded.state = state
    guarded.reason = reason
  }
}
