// The sender `twilio-verify`: Twilio's Verify makes the code, writes the text, and compares what is entered.
import { type Config, ConfigError } from '../../../kit/config.ts'
import { NoAnswer } from '../../../kit/outgoing.ts'
import { languageOf } from './language.ts'
import {
  type CheckOutcome,
  type CodeRequest,
  type CodeSender,
  type SendOutcome,
  TRANSPORTS,
} from './sender.ts'
import { type OpenedTwilio, openTwilio } from './twilio-client.ts'
import { outcomeOf } from './twilio-errors.ts'

/** Verify's languages (https://www.twilio.com/docs/verify/supported-languages); without one of them it goes by the country. */
const LOCALES =
  'af ar ca cs da de el en en-gb es et fi fr he hi hr hu id it ja kn ko lt mr ms nb nl pl pt pt-br ro ru sk sv te th tl tr uk vi zh zh-cn zh-hk'.split(
    ' ',
  )
/** Verify takes a code of four to ten characters. */
const POSSIBLE = /^\d{4,10}$/
/** No verification is pending (any more); too many were tried. */
const OVER = new Set([20404, 60202])

type Options = Pick<Config['twilio'], 'verifyCustomCodes' | 'voiceFrom'> & {
  readonly serviceSid: string
  readonly androidAppHash?: string | undefined
}

export class TwilioVerifySender implements CodeSender {
  readonly name = 'twilio-verify'
  readonly transports = TRANSPORTS
  readonly #twilio: OpenedTwilio
  readonly #options: Options

  constructor(twilio: OpenedTwilio, options: Options) {
    this.#twilio = twilio
    this.#options = options
  }

  /** Throws a `ConfigError` if the configuration is not complete. */
  static async open({ twilio, registration }: Config): Promise<TwilioVerifySender> {
    const { verifyServiceSid: serviceSid } = twilio
    if (serviceSid === undefined)
      throw new ConfigError('"twilio.verifyServiceSid" is needed with the sender twilio-verify.')
    return new TwilioVerifySender(await openTwilio(twilio), { ...twilio, ...registration, serviceSid })
  }

  async send(request: CodeRequest): Promise<SendOutcome> {
    const { verifyCustomCodes, androidAppHash } = this.#options
    const locale = languageOf(request.languages, LOCALES)
    try {
      const { sid } = await this.#service().verifications.create({
        to: request.to,
        channel: request.transport === 'sms' ? 'sms' : 'call',
        ...(locale !== undefined && { locale }),
        ...(verifyCustomCodes && { customCode: request.code }),
        ...(request.client === 'android' && androidAppHash !== undefined && { appHash: androidAppHash }),
      })
      return verifyCustomCodes ? { kind: 'sent' } : { kind: 'sent', check: sid }
    } catch (error) {
      return outcomeOf(error)
    }
  }

  async check(verificationSid: string, code: string): Promise<CheckOutcome> {
    if (!POSSIBLE.test(code)) return 'wrong'
    try {
      const { status } = await this.#service().verificationChecks.create({ verificationSid, code })
      return status === 'approved' ? 'right' : 'wrong'
    } catch (error) {
      if (error instanceof NoAnswer) return 'unavailable'
      return OVER.has(Number((error as { code?: unknown }).code)) ? 'over' : 'unavailable'
    }
  }

  #service() {
    return this.#twilio.client.verify.v2.services(this.#options.serviceSid)
  }
}
