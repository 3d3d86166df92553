import { readFileSync } from 'node:fs'
import { rootCertificates } from 'node:tls'
import type { Clock } from '../kit/clock.ts'
import { type Config, ConfigError } from '../kit/config.ts'
import { Reach } from '../kit/reach.ts'
import type { Secrets } from '../kit/secrets.ts'
import type { Provider } from './provider.ts'

export type ProvidersOptions = {
  readonly clock: Clock
  readonly secrets: Pick<Secrets, 'vapid'>
}

/** Those that are configured. Throws `ConfigError` where one can't be used. */
export async function openProviders(
  { web }: Config['push'],
  { clock, secrets }: ProvidersOptions,
): Promise<Provider[]> {
  const providers: Provider[] = []
  if (web.enabled === 'on') {
    const { WebPush } = await import('./web/web-push.ts')
    const { contact, allowed, caFile } = web
    const ca = caFile === undefined ? undefined : authorities('push.web.caFile', caFile)
    providers.push(new WebPush({ keys: secrets.vapid, contact, reach: new Reach(allowed), clock, ca }))
  }
  return providers
}

function authorities(key: string, file: string): string {
  try {
    return [...rootCertificates, readFileSync(file, 'utf8')].join('\n')
  } catch (error) {
    throw new ConfigError(`"${key}" cannot be read (${(error as NodeJS.ErrnoException).code}).`)
  }
}
