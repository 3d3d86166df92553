// Push-Server: wakes devices. It knows addresses and that there is something, never whose, from whom or what.
import type { Bound } from '../../wire/route.ts'
import type { Clock } from '../kit/clock.ts'
import type { Config } from '../kit/config.ts'
import type { PushGateway } from '../kit/push-gateway.ts'
import type { Random } from '../kit/random.ts'
import type { Secrets } from '../kit/secrets.ts'
import type { PushEvents } from './events.ts'
import { Gateway } from './gateway.ts'
import { openProviders } from './providers.ts'
import { pushRest } from './rest.ts'

export type PushOptions = {
  readonly config: Pick<Config, 'push'>
  readonly secrets: Pick<Secrets, 'pushSecret' | 'vapid'>
  readonly clock: Clock
  readonly random: Random
  readonly events: PushEvents
}

export type PushServer = {
  /** Nothing if no provider is configured: then devices are not woken. */
  readonly gateway: PushGateway | undefined
  readonly rest: readonly Bound[]
  close(): Promise<void>
}

/** Throws `ConfigError` where a provider's keys can't be used. */
export async function openPush(options: PushOptions): Promise<PushServer> {
  const { config, secrets, clock, events } = options
  const providers = await openProviders(config.push, options)
  const gateway = new Gateway({ providers, clock, events })
  return {
    gateway: providers.length > 0 ? gateway : undefined,
    rest: pushRest(gateway, secrets.pushSecret.toString('base64url'), events),
    close: () => gateway.close(),
  }
}
