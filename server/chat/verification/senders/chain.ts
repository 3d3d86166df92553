// The senders in the operator's order: where one fails the next one tries; what may have been sent is not sent again.
import type { Clock } from '../../../kit/clock.ts'
import type {
  CheckOutcome,
  CodeRequest,
  CodeSender,
  DeliveryReport,
  FailureDetail,
  PostedReport,
  SendOutcome,
  Transport,
} from './sender.ts'

/** A provider that says nothing for so long is given up. */
export const SENDER_DEADLINE_MS = 15_000

/** What operators count; nothing of it is about anybody. */
export type SenderEvents = {
  senderSent(sender: string, transport: Transport): void
  senderFailed(sender: string, transport: Transport, why: string, detail: FailureDetail): void
  delivered(sender: string, transport: Transport): void
  undelivered(sender: string, transport: Transport, detail: FailureDetail): void
  reportForged(sender: string): void
}

/** What became of a code, over all senders; `sender` is the one whose outcome it is. */
export type Dispatch = { readonly sender: string } & (SendOutcome | { readonly kind: 'closed' })

export type SenderChainOptions = {
  readonly senders: readonly CodeSender[]
  readonly clock: Clock
  readonly events: SenderEvents
}

export class SenderChain {
  readonly #senders: readonly CodeSender[]
  readonly #clock: Clock
  readonly #events: SenderEvents
  readonly #closing = Promise.withResolvers<'closed'>()

  constructor({ senders, clock, events }: SenderChainOptions) {
    this.#senders = senders
    this.#clock = clock
    this.#events = events
  }

  /** Whether anybody can send that way at all. */
  knows(transport: Transport): boolean {
    return this.#senders.some(({ transports }) => transports.includes(transport))
  }

  /** Tries each sender once, beginning after `failed`, whose own turn is the last. */
  async send(request: CodeRequest, failed: string): Promise<Dispatch> {
    const failures: Dispatch[] = []
    for (const sender of this.#inOrder(request.transport, failed)) {
      const outcome = await this.#settle(() => sender.send(request), NO_ANSWER, FAILED)
      if (outcome === 'closed') return { kind: 'closed', sender: sender.name }
      this.#count(sender.name, request.transport, outcome)
      const dispatch = { ...outcome, sender: sender.name }
      if (outcome.kind === 'sent' || outcome.kind === 'unknown') return dispatch
      failures.push(dispatch)
    }
    return mostHopeful(failures)
  }

  /** Asks the sender that made a code whether this is it. */
  async check(name: string, check: string, code: string): Promise<CheckOutcome> {
    const sender = this.#named(name)
    if (!sender?.check) return 'over'
    const outcome = await this.#settle(
      () => sender.check!(check, code),
      UNCHECKED,
      () => UNCHECKED,
    )
    return outcome === 'closed' ? UNCHECKED : outcome
  }

  /** A provider's news; nothing if there is no such provider, or if it did not write them. */
  read(name: string, posted: PostedReport): DeliveryReport | undefined {
    const sender = this.#named(name)
    if (!sender?.read) return undefined
    const report = sender.read(posted)
    if (!report) this.#events.reportForged(name)
    else if (report.state === 'delivered') this.#events.delivered(name, report.transport)
    else if (report.state === 'failed')
      this.#events.undelivered(name, report.transport, safeDetail(report.detail))
    return report
  }

  /** Whoever waits for a provider waits no longer. */
  close(): void {
    this.#closing.resolve('closed')
  }

  #named(name: string): CodeSender | undefined {
    return this.#senders.find((sender) => sender.name === name)
  }

  #inOrder(transport: Transport, failed: string): CodeSender[] {
    const start = this.#senders.findIndex(({ name }) => name === failed) + 1
    const ordered = [...this.#senders.slice(start), ...this.#senders.slice(0, start)]
    return ordered.filter(({ transports }) => transports.includes(transport))
  }

  /** What the provider says, or what is true when it does not until the deadline. */
  async #settle<T, L>(
    ask: () => Promise<T>,
    late: L,
    failed: (error: unknown) => L,
  ): Promise<T | L | 'closed'> {
    const silence = Promise.withResolvers<L>()
    const timer = this.#clock.after(SENDER_DEADLINE_MS, () => silence.resolve(late))
    const asked = (async () => ask())().catch(failed)
    return Promise.race([asked, silence.promise, this.#closing.promise]).finally(() => timer.cancel())
  }

  #count(sender: string, transport: Transport, outcome: SendOutcome): void {
    if (outcome.kind === 'sent') this.#events.senderSent(sender, transport)
    else {
      const why = outcome.kind === 'refused' ? outcome.reason : outcome.kind
      this.#events.senderFailed(sender, transport, why, safeDetail(outcome.detail))
    }
  }
}

const UNCHECKED: CheckOutcome = 'unavailable'
const NO_ANSWER: SendOutcome = { kind: 'unknown', detail: 'TIMEOUT' }

const FAILED = (error: unknown): SendOutcome => {
  const { code } = (error ?? {}) as { code?: FailureDetail }
  return { kind: 'refused', reason: 'providerUnavailable', permanentFailure: false, detail: code ?? 'ERROR' }
}

/** Neither a phone number nor a code has this form, whatever a provider puts into its errors. */
const SAFE_DETAIL = /^(\d{3,5}|[A-Z][A-Z_]{1,47}(_\d{1,3})?)$/
const safeDetail = (detail: FailureDetail | undefined): FailureDetail =>
  SAFE_DETAIL.test(String(detail)) ? detail! : 'OTHER'

/** Of several failures, the one that promises most to a client that tries again. */
function mostHopeful(failures: readonly Dispatch[]): Dispatch {
  const [best] = failures.toSorted((one, other) => hope(other) - hope(one))
  return best ?? { kind: 'not-allowed', sender: '' }
}

function hope(dispatch: Dispatch): number {
  if (dispatch.kind === 'rate-limited') return 4
  if (dispatch.kind !== 'refused') return 0
  if (!dispatch.permanentFailure) return dispatch.reason === 'providerUnavailable' ? 3 : 2
  return 1
}
