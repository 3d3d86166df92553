// A sender that does what a test tells it to, one thing after the other.
import type {
  CheckOutcome,
  CodeRequest,
  CodeSender,
  DeliveryReport,
  PostedReport,
  SendOutcome,
  Transport,
} from '../server/chat/verification/senders/sender.ts'
import { TRANSPORTS } from '../server/chat/verification/senders/sender.ts'

export class ScriptedSender implements CodeSender {
  readonly name: string
  readonly transports: readonly Transport[] = TRANSPORTS
  readonly requests: CodeRequest[] = []
  readonly checked: (readonly [check: string, code: string])[] = []
  /** Outcomes in turn; the last one stays. A function may wait, or throw. */
  outcomes: (SendOutcome | (() => Promise<SendOutcome>))[] = [{ kind: 'sent' }]
  /** What the check of each code is. */
  judge: (code: string) => Promise<CheckOutcome> = async () => 'over'

  constructor(name: string) {
    this.name = name
  }

  async send(request: CodeRequest): Promise<SendOutcome> {
    this.requests.push(request)
    const outcome = this.outcomes.length > 1 ? this.outcomes.shift()! : this.outcomes[0]!
    return typeof outcome === 'function' ? outcome() : outcome
  }

  check(check: string, code: string): Promise<CheckOutcome> {
    this.checked.push([check, code])
    return this.judge(code)
  }

  /** Its reports are signed by their state. */
  read({ signature, fields }: PostedReport): DeliveryReport | undefined {
    const { state = '', transport = 'sms' } = fields
    if (signature !== state) return undefined
    return { state: state as DeliveryReport['state'], transport: transport as Transport, detail: 30_005 }
  }

  get last(): CodeRequest {
    const last = this.requests.at(-1)
    if (!last) throw new Error('nothing was sent')
    return last
  }
}
