// The sender `twilio`: a message, or a call in which a voice says the digits.
import { type Config, ConfigError } from '../../../kit/config.ts'
import type {
  CodeRequest,
  CodeSender,
  DeliveryReport,
  PostedReport,
  SendOutcome,
  Transport,
} from './sender.ts'
import { smsText } from './sms-text.ts'
import { type OpenedTwilio, openTwilio } from './twilio-client.ts'
import { outcomeOf } from './twilio-errors.ts'
import { callReport, messageReport } from './twilio-reports.ts'
import { twimlFor } from './twiml.ts'

/** A message that could not be handed over before its code is over is not handed over. */
const VALIDITY_S = 600
const REPORTS = '/v1/heliograph/verification/deliveries/'

type Names = Pick<Config['registration'], 'serviceName' | 'androidAppHash'>

export class TwilioSender implements CodeSender {
  readonly name = 'twilio'
  readonly transports: readonly Transport[]
  readonly #twilio: OpenedTwilio
  readonly #config: Config['twilio']
  readonly #names: Names

  constructor(twilio: OpenedTwilio, config: Config['twilio'], names: Names) {
    this.transports = config.voiceFrom === undefined ? ['sms'] : ['sms', 'voice']
    this.#twilio = twilio
    this.#config = config
    this.#names = names
  }

  /** Throws a `ConfigError` if the configuration is not complete. */
  static async open({ twilio, registration }: Config): Promise<TwilioSender> {
    if ((twilio.messagingServiceSid === undefined) === (twilio.from === undefined))
      throw new ConfigError(
        'Either "twilio.messagingServiceSid" or "twilio.from" is needed with the sender twilio.',
      )
    return new TwilioSender(await openTwilio(twilio), twilio, registration)
  }

  async send(request: CodeRequest): Promise<SendOutcome> {
    try {
      await (request.transport === 'sms' ? this.#write(request) : this.#call(request))
      return { kind: 'sent' }
    } catch (error) {
      return outcomeOf(error)
    }
  }

  read({ delivery, signature, fields }: PostedReport): DeliveryReport | undefined {
    const url = this.#reportUrl(delivery)
    if (url === undefined || !this.#twilio.isTwilios(signature, url, fields)) return undefined
    return messageReport(fields) ?? callReport(fields)
  }

  #write(request: CodeRequest): Promise<unknown> {
    const { messagingServiceSid, from } = this.#config
    return this.#twilio.client.messages.create({
      to: request.to,
      body: smsText(request, this.#names),
      validityPeriod: VALIDITY_S,
      ...(messagingServiceSid === undefined ? { from: from! } : { messagingServiceSid }),
      ...this.#callback(request),
    })
  }

  #call(request: CodeRequest): Promise<unknown> {
    return this.#twilio.client.calls.create({
      to: request.to,
      from: this.#config.voiceFrom!,
      twiml: twimlFor(request, this.#names.serviceName, this.#twilio.newCall()),
      ...this.#callback(request),
    })
  }

  #callback({ delivery }: CodeRequest): { statusCallback?: string } {
    const statusCallback = this.#reportUrl(delivery)
    return statusCallback === undefined ? {} : { statusCallback }
  }

  #reportUrl(delivery: string): string | undefined {
    const { callbackUrl } = this.#config
    return callbackUrl && `${callbackUrl.replace(/\/+$/, '')}${REPORTS}${encodeURIComponent(delivery)}`
  }
}
