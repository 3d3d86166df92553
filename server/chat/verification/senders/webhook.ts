// The sender `webhook`: posts each code, signed, to a gateway of the operator's (docs/protocol/code-webhook.md).
import { createHmac } from 'node:crypto'
import type { Clock } from '../../../kit/clock.ts'
import { type Config, ConfigError } from '../../../kit/config.ts'
import { readSecret, readText } from '../../../kit/config-secret.ts'
import { ask, type NoAnswer, type OutgoingAnswer, retryAfterSeconds } from '../../../kit/outgoing.ts'
import { type CodeRequest, type CodeSender, type SendOutcome, TRANSPORTS, type Transport } from './sender.ts'
import { smsText } from './sms-text.ts'
import { ownLanguage, spokenFor } from './wording.ts'

const TIMEOUT_MS = 10_000
const MIN_SECRET_LENGTH = 16

type Options = Pick<Config['registration'], 'serviceName' | 'androidAppHash'> & {
  readonly url: string
  readonly secret: string
  readonly voice: boolean
  readonly ca: string | undefined
  readonly clock: Clock
}

export class WebhookSender implements CodeSender {
  readonly name = 'webhook'
  readonly transports: readonly Transport[]
  readonly #options: Options

  constructor(options: Options) {
    this.transports = options.voice ? TRANSPORTS : ['sms']
    this.#options = options
  }

  /** Throws a `ConfigError` if the configuration is not complete. */
  static async open({ webhook, registration }: Config, clock: Clock): Promise<WebhookSender> {
    const { url, voice, caFile } = webhook
    if (url === undefined) throw new ConfigError('"webhook.url" is needed with the sender webhook.')
    const secret = readSecret('webhook.secret', webhook.secret, webhook.secretFile)
    if (secret === undefined) throw new ConfigError('"webhook.secret" is needed with the sender webhook.')
    if (secret.length < MIN_SECRET_LENGTH)
      throw new ConfigError(`"webhook.secret" must have at least ${MIN_SECRET_LENGTH} characters.`)
    const ca = caFile === undefined ? undefined : readText('webhook.caFile', caFile)
    return new WebhookSender({ ...registration, url, secret, voice, ca, clock })
  }

  async send(request: CodeRequest): Promise<SendOutcome> {
    const { url, ca } = this.#options
    const body = JSON.stringify(this.#message(request))
    const headers = { 'Content-Type': 'application/json', ...this.#signature(body) }
    try {
      return outcomeOf(await ask({ method: 'POST', url, headers, body, timeoutMs: TIMEOUT_MS, ca }))
    } catch (error) {
      const { code, mayHaveArrived } = error as NoAnswer
      return mayHaveArrived ? { kind: 'unknown', detail: code } : unavailable(code)
    }
  }

  #message(request: CodeRequest) {
    const { to, transport, code, languages, delivery } = request
    const language = ownLanguage(languages)
    const text =
      transport === 'sms' ? smsText(request, this.#options) : spokenFor(language, this.#options.serviceName)
    return { delivery, number: to, transport, code, language, text }
  }

  /** HMAC-SHA256 over the time, a full stop and the body. */
  #signature(body: string): Record<string, string> {
    const timestamp = String(Math.floor(this.#options.clock.nowMs() / 1000))
    const mac = createHmac('sha256', this.#options.secret).update(`${timestamp}.${body}`).digest('hex')
    return { 'Heliograph-Timestamp': timestamp, 'Heliograph-Signature': `v1=${mac}` }
  }
}

const unavailable = (detail: string | number): SendOutcome => ({
  kind: 'refused',
  reason: 'providerUnavailable',
  permanentFailure: false,
  detail,
})

function outcomeOf({ status, headers }: OutgoingAnswer): SendOutcome {
  if (status >= 200 && status < 300) return { kind: 'sent' }
  switch (status) {
    case 400:
      return { kind: 'refused', reason: 'illegalArgument', permanentFailure: true, detail: status }
    case 403:
      return { kind: 'refused', reason: 'providerRejected', permanentFailure: true, detail: status }
    case 422:
      return { kind: 'not-allowed', detail: status }
    case 429:
      return {
        kind: 'rate-limited',
        retryAfterSeconds: retryAfterSeconds(headers['retry-after']),
        detail: status,
      }
    case 502:
    case 504:
      return { kind: 'unknown', detail: status }
    default:
      return unavailable(status)
  }
}
