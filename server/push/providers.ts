import type { Clock } from '../kit/clock.ts'
import type { Config } from '../kit/config.ts'
import type { Random } from '../kit/random.ts'
import type { Provider } from './provider.ts'

export type ProvidersOptions = { readonly clock: Clock; readonly random: Random }

/** Those that are configured. Throws `ConfigError` where one can't be used. */
export async function openProviders(_: Config['push'], _options: ProvidersOptions): Promise<Provider[]> {
  return []
}
