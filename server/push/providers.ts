import { rootCertificates } from 'node:tls'
import type { Clock } from '../kit/clock.ts'
import { type Config, ConfigError } from '../kit/config.ts'
import { readText } from '../kit/config-secret.ts'
import { Reach } from '../kit/reach.ts'
import type { Secrets } from '../kit/secrets.ts'
import type { Provider } from './provider.ts'

export type ProvidersOptions = {
  readonly clock: Clock
  readonly secrets: Pick<Secrets, 'vapid'>
}

/** Those that are configured. Throws `ConfigError` where one can't be used. */
export async function openProviders(
  { web, fcm }: Config['push'],
  { clock, secrets }: ProvidersOptions,
): Promise<Provider[]> {
  const providers: Provider[] = []
  if (web.enabled === 'on') {
    const { WebPush } = await import('./web/web-push.ts')
    const { contact, allowed, caFile } = web
    const ca = authorities('push.web.caFile', caFile)
    providers.push(new WebPush({ keys: secrets.vapid, contact, reach: new Reach(allowed), clock, ca }))
  }
  if (fcm) providers.push(await openFcm(fcm, clock))
  return providers
}

type FcmConfig = NonNullable<Config['push']['fcm']>

async function openFcm(config: FcmConfig, clock: Clock): Promise<Provider> {
  const { serviceAccountFile, projectId, url, caFile } = config
  const [{ Fcm }, { ServiceAccount }] = await Promise.all([
    import('./fcm/fcm.ts'),
    import('./fcm/service-account.ts'),
  ])
  const account = await ServiceAccount.read(readText('push.fcm.serviceAccountFile', serviceAccountFile))
  if (!account)
    throw new ConfigError(
      `"push.fcm.serviceAccountFile": ${serviceAccountFile} is not the key of a service account (JSON) as the Firebase console gives it.`,
    )
  const ca = authorities('push.fcm.caFile', caFile)
  return new Fcm({ account, projectId: projectId ?? account.projectId, url, clock, ca })
}

function authorities(key: string, file: string | undefined): string | undefined {
  return file === undefined ? undefined : [...rootCertificates, readText(key, file)].join('\n')
}
