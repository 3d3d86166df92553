// What carries a code to a telephone: the interface of every sender.
import type { E164 } from '../../../../wire/types.ts'

export const TRANSPORTS = ['sms', 'voice'] as const
export type Transport = (typeof TRANSPORTS)[number]

/** `android` can read the code out of an SMS by itself, by Google's services; `android-plain` has none of these. */
export type ClientKind = 'ios' | 'android' | 'android-plain' | 'unknown'

export type CodeRequest = {
  readonly to: E164
  readonly transport: Transport
  /** Must never be logged, nor stand in an error. */
  readonly code: string
  /** Language tags (BCP 47), the preferred first. */
  readonly languages: readonly string[]
  readonly client: ClientKind
  /** By what the provider may later name this delivery to us; it tells nothing about the session. */
  readonly delivery: string
}

/** How the API tells why no code came (signal-api §2.1, SenderFailure). */
export type SenderFailure = {
  readonly reason: 'providerUnavailable' | 'providerRejected' | 'illegalArgument'
  /** The same request will fail again. */
  readonly permanentFailure: boolean
}

export type SendOutcome =
  /** `check`: the sender made the code, and by this finds it again when it is entered. */
  | { readonly kind: 'sent'; readonly check?: string | undefined }
  /** This number can't be reached this way; perhaps by another transport. */
  | { readonly kind: 'not-allowed'; readonly detail?: FailureDetail }
  | {
      readonly kind: 'rate-limited'
      readonly retryAfterSeconds?: number | undefined
      readonly detail?: FailureDetail
    }
  | ({ readonly kind: 'refused'; readonly detail?: FailureDetail } & SenderFailure)
  /** No answer came, so the code may be on its way: nobody else sends it now. */
  | { readonly kind: 'unknown'; readonly detail?: FailureDetail }

/** A provider's number for an error or the name of one: three to five digits, or capitals. Never its words. */
export type FailureDetail = string | number

/** `over`: the provider has no code to compare with any more. */
export type CheckOutcome = 'right' | 'wrong' | 'over' | 'unavailable'

/** A provider's news of a delivery. */
export type DeliveryReport = {
  readonly transport: Transport
  readonly state: 'pending' | 'delivered' | 'failed'
  readonly detail?: FailureDetail
}
/** What a provider posted to us, as it came. */
export type PostedReport = {
  readonly delivery: string
  readonly signature: string
  readonly fields: Readonly<Record<string, string>>
}

export interface CodeSender {
  /** As in the configuration. */
  readonly name: string
  readonly transports: readonly Transport[]
  /** Asks the provider once: a request that may have arrived is not repeated. A rejection counts as a failure. */
  send(request: CodeRequest): Promise<SendOutcome>
  /** Of a sender that makes the codes itself. */
  check?(check: string, code: string): Promise<CheckOutcome>
  /** Reads a report; nothing if it is not the provider's. */
  read?(report: PostedReport): DeliveryReport | undefined
}
