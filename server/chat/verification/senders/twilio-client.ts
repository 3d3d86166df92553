// Twilio's own package over our requests: one try, a deadline, nothing kept and nothing printed (docs/decisions/twilio.md).
import type { Twilio, twiml } from 'twilio'
import type { Config } from '../../../kit/config.ts'
import { ConfigError } from '../../../kit/config.ts'
import { readSecret } from '../../../kit/config-secret.ts'
import { ask, retryAfterSeconds } from '../../../kit/outgoing.ts'

const TIMEOUT_MS = 10_000

/** Twilio has too much to do, or we ask too often. */
export class TwilioBusy extends Error {
  override readonly name = 'TwilioBusy'
  readonly code: number
  readonly retryAfterSeconds: number | undefined

  constructor(code: number, seconds: number | undefined) {
    super('busy')
    this.code = code
    this.retryAfterSeconds = seconds
  }
}

export type TwilioConfig = Config['twilio']
export type OpenedTwilio = {
  readonly client: Twilio
  /** What a call says, empty. */
  readonly newCall: () => twiml.VoiceResponse
  /** Whether a callback is Twilio's: its own validator. Nothing is without the auth token. */
  readonly isTwilios: (signature: string, url: string, fields: Readonly<Record<string, string>>) => boolean
}

/** Throws a `ConfigError` if something is missing that every use of Twilio needs. */
export async function openTwilio(config: TwilioConfig): Promise<OpenedTwilio> {
  const { accountSid, apiKeySid, region, edge } = config
  if (accountSid === undefined) throw new ConfigError('"twilio.accountSid" is needed to send by Twilio.')
  const authToken = readSecret('twilio.authToken', config.authToken, config.authTokenFile)
  const apiKeySecret = readSecret('twilio.apiKeySecret', config.apiKeySecret, config.apiKeySecretFile)
  if (apiKeySid !== undefined && apiKeySecret === undefined)
    throw new ConfigError('"twilio.apiKeySecret" is needed with "twilio.apiKeySid".')
  const password = apiKeySecret ?? authToken
  if (password === undefined)
    throw new ConfigError('"twilio.authToken" or an API key is needed to send by Twilio.')
  if (config.callbackUrl !== undefined && authToken === undefined)
    throw new ConfigError('"twilio.authToken" is needed with "twilio.callbackUrl": Twilio signs with it.')
  const { default: twilio } = await import('twilio')
  const httpClient = new TwilioHttp(config) as unknown as ConstructorParameters<
    typeof twilio.Twilio
  >[2] extends { httpClient?: infer H } | undefined
    ? H
    : never
  const options = { accountSid, httpClient, ...(region && { region }), ...(edge && { edge }) }
  const client = new twilio.Twilio(apiKeySid ?? accountSid, password, options)
  return {
    client,
    newCall: () => new twilio.twiml.VoiceResponse(),
    isTwilios: (signature, url, fields) =>
      authToken !== undefined && twilio.validateRequest(authToken, signature, url, fields),
  }
}

/** What the package wants of whatever carries its requests. */
type PackageRequest = {
  readonly method: string
  readonly uri: string
  readonly username?: string
  readonly password?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly data?: Readonly<Record<string, unknown>>
}

class TwilioHttp {
  readonly #apiUrl: string | undefined
  readonly #verifyUrl: string | undefined

  constructor({ apiUrl, verifyUrl }: TwilioConfig) {
    this.#apiUrl = apiUrl
    this.#verifyUrl = verifyUrl
  }

  async request({ uri, username, password, headers, data }: PackageRequest) {
    const {
      status,
      headers: answered,
      body,
    } = await ask({
      method: 'POST',
      url: this.#place(uri),
      headers: {
        ...headers,
        Authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
      },
      body: formOf(data ?? {}),
      timeoutMs: TIMEOUT_MS,
    })
    if (status === 429)
      throw new TwilioBusy(errorCodeOf(body) ?? 429, retryAfterSeconds(answered['retry-after']))
    return { statusCode: status, body: jsonOrNothing(body), headers: answered }
  }

  #place(uri: string): string {
    const { hostname, pathname, search } = new URL(uri)
    const base = hostname.startsWith('verify.') ? this.#verifyUrl : this.#apiUrl
    return base === undefined ? uri : `${base}${pathname}${search}`
  }
}

function formOf(data: Readonly<Record<string, unknown>>): string {
  const form = new URLSearchParams()
  for (const [name, value] of Object.entries(data))
    for (const one of Array.isArray(value) ? value : [value])
      if (one !== undefined) form.append(name, String(one))
  return form.toString()
}

/** What is no JSON is of somebody between us and Twilio: it says nothing to us. */
function jsonOrNothing(body: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

function errorCodeOf(body: string): number | undefined {
  const { code } = jsonOrNothing(body)
  return typeof code === 'number' ? code : undefined
}
