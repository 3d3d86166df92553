// What the configuration says about the captcha, with its secrets read. Throws `ConfigError` where it contradicts itself.
import { type Config, ConfigError } from '../kit/config.ts'
import { readSecret } from '../kit/config-secret.ts'
import { FOREIGN, type Foreign, type ForeignProvider } from './foreign.ts'
import type { RemoteVerifierOptions } from './remote-verifier.ts'
import { ownSite, type Site, Sites } from './sites.ts'

type CaptchaConfig = Pick<Config, 'captcha' | 'registration' | 'roles'>

export type CaptchaSettings = {
  readonly sites: Sites
  readonly foreign: Foreign | undefined
  /** Who judges solutions, if not this process. */
  readonly remote: Omit<RemoteVerifierOptions, 'ca'> | undefined
}

export function captchaSettings(config: CaptchaConfig, captchaSecret: Uint8Array): CaptchaSettings {
  const own = ownSite(captchaSecret)
  const sites = new Sites(own, config.captcha.sites.map(siteOf))
  const { provider } = config.captcha
  if (provider !== 'own') return { sites, ...foreignSettings(config, provider) }
  refuseForeignKeys(config)
  const isHere = config.roles.includes('captcha')
  const { verifyUrl: url } = config.captcha
  if (isHere && url !== undefined)
    throw new ConfigError(
      '"captcha.verifyUrl" with provider own is for a process without the role captcha: this one has it.',
    )
  if (!isHere && url === undefined && config.registration.captcha === 'on' && config.roles.includes('chat'))
    throw new ConfigError(
      '"registration.captcha: on" needs the role captcha in this process, or "captcha.verifyUrl" of the process that has it.',
    )
  const remote = url === undefined ? undefined : { provider, url, siteKey: own.key, secret: own.secret }
  return { sites, foreign: undefined, remote }
}

function foreignSettings({ captcha }: CaptchaConfig, provider: ForeignProvider) {
  const secret = readSecret('captcha.secret', captcha.secret, captcha.secretFile)
  const { siteKey } = captcha
  if (siteKey === undefined || secret === undefined)
    throw new ConfigError(`"captcha.provider: ${provider}" needs "captcha.siteKey" and "captcha.secretFile".`)
  if (siteKey.includes('.')) throw new ConfigError('"captcha.siteKey" must not have a dot.')
  const about = FOREIGN[provider]
  return {
    foreign: { provider, siteKey, scriptUrl: captcha.scriptUrl ?? about.script },
    remote: { provider, siteKey, secret, url: captcha.verifyUrl ?? about.verify },
  }
}

function refuseForeignKeys({ captcha }: CaptchaConfig): void {
  const given = (['siteKey', 'secret', 'secretFile', 'scriptUrl'] as const).find(
    (key) => captcha[key] !== undefined,
  )
  if (given)
    throw new ConfigError(
      `"captcha.${given}" is for the providers hcaptcha and turnstile: the provider is own.`,
    )
}

type SiteConfig = CaptchaConfig['captcha']['sites'][number]
const siteOf = ({ key, secret, secretFile, hostnames }: SiteConfig): Site => ({
  key,
  secret: readSecret('captcha.sites.secret', secret, secretFile)!,
  hostnames,
})
