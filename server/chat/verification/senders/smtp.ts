// The sender `smtp`: codes go by mail, to a gateway that makes SMS of it or to a mailbox of the operator's.
import type { Transporter } from 'nodemailer'
import { type Config, ConfigError } from '../../../kit/config.ts'
import { readSecret, readText } from '../../../kit/config-secret.ts'
import type { CodeRequest, CodeSender, SendOutcome } from './sender.ts'
import { smsText } from './sms-text.ts'

const TIMEOUT_MS = 10_000

type Options = Pick<Config['registration'], 'serviceName' | 'androidAppHash'> & {
  readonly from: string
  readonly to: string
}

export class SmtpSender implements CodeSender {
  readonly name = 'smtp'
  readonly transports = ['sms'] as const
  readonly #transporter: Pick<Transporter, 'sendMail'>
  readonly #options: Options

  constructor(transporter: Pick<Transporter, 'sendMail'>, options: Options) {
    this.#transporter = transporter
    this.#options = options
  }

  /** Throws a `ConfigError` if the configuration is not complete. */
  static async open({ smtp, registration }: Config): Promise<SmtpSender> {
    const { host, port, security, user, from, to, caFile } = smtp
    for (const [key, value] of Object.entries({ host, from, to }))
      if (value === undefined) throw new ConfigError(`"smtp.${key}" is needed with the sender smtp.`)
    const pass = readSecret('smtp.password', smtp.password, smtp.passwordFile)
    if ((user === undefined) !== (pass === undefined))
      throw new ConfigError('"smtp.user" and "smtp.password" are given together or not at all.')
    const ca = caFile === undefined ? undefined : readText('smtp.caFile', caFile)
    const { createTransport } = await import('nodemailer')
    const transporter = createTransport({
      host: host!,
      port: port ?? (security === 'tls' ? 465 : 587),
      secure: security === 'tls',
      requireTLS: security === 'starttls',
      ignoreTLS: security === 'none',
      ...(user !== undefined && { auth: { user, pass: pass! } }),
      tls: { minVersion: 'TLSv1.2', ...(ca !== undefined && { ca }) },
      connectionTimeout: TIMEOUT_MS,
      greetingTimeout: TIMEOUT_MS,
      socketTimeout: TIMEOUT_MS,
      dnsTimeout: TIMEOUT_MS,
      // Its log would contain every mail.
      logger: false,
      debug: false,
      disableFileAccess: true,
      disableUrlAccess: true,
    })
    return new SmtpSender(transporter, { ...registration, from: from!, to: to! })
  }

  async send(request: CodeRequest): Promise<SendOutcome> {
    const { from, to, serviceName } = this.#options
    const text = smsText(request, this.#options)
    const address = to.replaceAll('{number}', request.to.slice(1)).replaceAll('{e164}', request.to)
    try {
      await this.#transporter.sendMail({
        from,
        to: address,
        subject: serviceName,
        // In a mailbox of everybody's codes it has to be said whose this is.
        text: address === to ? `${request.to}\n${text}` : text,
        headers: { 'Auto-Submitted': 'auto-generated' },
      })
      return { kind: 'sent' }
    } catch (error) {
      return outcomeOf(error)
    }
  }
}

/** What nodemailer tells of a failure besides words: the reply (RFC 5321), the command, names for it. */
type MailFailure = {
  readonly responseCode?: number
  readonly command?: string
  readonly code?: string
  /** The host's name for a fault of the connection. */
  readonly originalCode?: string
  readonly syscall?: string
  readonly timeoutType?: string
}

const LOST = ['ESOCKET', 'ETIMEDOUT', 'ECONNECTION']
const LOST_ON_THE_WAY = ['ECONNRESET', 'EPIPE', 'ETIMEDOUT', undefined]

/** The connection was lost at a moment that nodemailer does not tell: perhaps when the mail had gone. */
const mayHaveArrived = ({ responseCode, code, originalCode, syscall, timeoutType }: MailFailure) =>
  responseCode === undefined &&
  LOST.includes(code ?? '') &&
  LOST_ON_THE_WAY.includes(originalCode) &&
  syscall !== 'connect' &&
  timeoutType !== 'CONNECT_TIMEOUT' &&
  timeoutType !== 'GREETING_TIMEOUT'

function outcomeOf(error: unknown): SendOutcome {
  const failure = (error ?? {}) as MailFailure
  const { responseCode, command, originalCode, code = 'ERROR' } = failure
  const detail = responseCode ?? originalCode ?? code
  if (mayHaveArrived(failure)) return { kind: 'unknown', detail }
  if (command === 'RCPT TO' && responseCode !== undefined && responseCode >= 500)
    return { kind: 'refused', reason: 'providerRejected', permanentFailure: true, detail }
  return { kind: 'refused', reason: 'providerUnavailable', permanentFailure: false, detail }
}
