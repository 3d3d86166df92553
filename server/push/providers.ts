import { createSecureContext, rootCertificates } from 'node:tls'
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
  { web, fcm, apns }: Config['push'],
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
  if (apns) providers.push(await openApns(apns, clock))
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

type ApnsConfig = NonNullable<Config['push']['apns']>

const APNS = {
  production: 'https://api.push.apple.com',
  sandbox: 'https://api.sandbox.push.apple.com',
}

async function openApns(config: ApnsConfig, clock: Clock): Promise<Provider> {
  const { topic, environment, url = APNS[environment], caFile } = config
  const { Apns } = await import('./apns/apns.ts')
  const ca = authorities('push.apns.caFile', caFile)
  return new Apns({ identity: await apnsIdentity(config), topic, url, clock, ca })
}

async function apnsIdentity({ keyFile, keyId, teamId, certificateFile }: ApnsConfig) {
  const key = readText('push.apns.keyFile', keyFile)
  if (certificateFile !== undefined) {
    const cert = readText('push.apns.certificateFile', certificateFile)
    if (!fits(cert, key))
      throw new ConfigError(
        `"push.apns.certificateFile": ${certificateFile} is no certificate (PEM) for the key in ${keyFile}.`,
      )
    return { cert, key }
  }
  const { ProviderKey } = await import('./apns/provider-key.ts')
  const providerKey = await ProviderKey.read(key, keyId!, teamId!)
  if (!providerKey)
    throw new ConfigError(`"push.apns.keyFile": ${keyFile} is not a key (.p8) of Apple's developer portal.`)
  return { providerKey }
}

function fits(cert: string, key: string): boolean {
  try {
    createSecureContext({ cert, key })
    return true
  } catch {
    return false
  }
}

function authorities(key: string, file: string | undefined): string | undefined {
  return file === undefined ? undefined : [...rootCertificates, readText(key, file)].join('\n')
}
