// Keeps a few messages of one lane under way for as long as the server lives.
import { basic } from '../../bench/generator/connect.ts'
import type { Account } from '../../bench/job.ts'
import { Messages, MessagesAnonymous, SendMessageType } from '../../wire/gen/messages.js'
import { uuidToBytes } from '../../wire/types.ts'
import type { Lane } from './lane.ts'
import type { Ledger } from './ledger.ts'
import type { Line } from './line.ts'
import { contentOf, timestampOf } from './mark.ts'

/** Messages of a lane that wait for their answer. */
const WINDOW = 4
/** Messages of a lane in one life, so that queues stay short where nobody fetches them. */
const MOST_PER_LIFE = 400
const IDENTITY_TYPE_ACI = 1
const TYPES = { identified: 1, sealed: 6 } as const

export class Sender {
  readonly #lane: Lane
  readonly #ledger: Ledger
  readonly #line: Line
  readonly #from: Account
  readonly #to: Account
  readonly #onAnswer: () => void
  #left = MOST_PER_LIFE
  #stopped = false

  /** `line` is the sender's own for identified messages, and one without a name for sealed ones. */
  constructor(lane: Lane, ledger: Ledger, line: Line, from: Account, to: Account, onAnswer: () => void) {
    this.#lane = lane
    this.#ledger = ledger
    this.#line = line
    this.#from = from
    this.#to = to
    this.#onAnswer = onAnswer
  }

  start(most: number): void {
    this.#left = Math.min(most, MOST_PER_LIFE)
    for (let count = 0; count < WINDOW; count++) this.#next()
  }

  stop(): void {
    this.#stopped = true
  }

  #next(): void {
    if (this.#stopped || this.#left-- <= 0 || !this.#line.isOpen) return
    const sequence = this.#ledger.sent(this.#lane)
    const answered = (status: number) => this.#answered(sequence, status)
    if (this.#lane.traits.way === 'grpc') this.#call(sequence, answered)
    else this.#put(sequence, answered)
  }

  #answered(sequence: number, status: number): void {
    if (status === 200) this.#ledger.accepted(this.#lane, sequence)
    else this.#ledger.refused(this.#lane, sequence, status)
    this.#onAnswer()
    this.#next()
  }

  #put(sequence: number, answered: (status: number) => void): void {
    const { index: lane, traits } = this.#lane
    const message = {
      type: traits.sealed ? TYPES.sealed : TYPES.identified,
      destinationDeviceId: 1,
      destinationRegistrationId: this.#to.registrationId,
      content: contentOf({ lane, sequence }).toString('base64'),
    }
    const headers = traits.sealed ? [`unidentified-access-key:${this.#to.accessKey}`] : []
    const body = {
      messages: [message],
      online: false,
      urgent: true,
      timestamp: timestampOf({ lane, sequence }),
    }
    this.#line.put(`/v1/messages/${this.#to.aci}`, headers, body, answered)
  }

  #call(sequence: number, answered: (status: number) => void): void {
    const { index: lane, traits } = this.#lane
    const { UNIDENTIFIED_SENDER, DOUBLE_RATCHET } = SendMessageType
    const message = {
      registrationId: this.#to.registrationId,
      payload: contentOf({ lane, sequence }),
      type: traits.sealed ? UNIDENTIFIED_SENDER : DOUBLE_RATCHET,
    }
    const request = {
      destination: { identityType: IDENTITY_TYPE_ACI, uuid: uuidToBytes(this.#to.aci) },
      urgent: true,
      messages: { timestamp: timestampOf({ lane, sequence }), messages: { 1: message } },
    }
    const isSuccess = ({ response }: { response: string | undefined }) => response === 'success'
    if (traits.sealed) {
      const unidentifiedAccessKey = Buffer.from(this.#to.accessKey, 'base64')
      const rpc = MessagesAnonymous.rpcs.sendSingleRecipientMessage
      this.#line.call(rpc, { ...request, unidentifiedAccessKey }, {}, isSuccess, answered)
    } else {
      const headers = { authorization: basic(this.#from) }
      this.#line.call(Messages.rpcs.sendMessage, request, headers, isSuccess, answered)
    }
  }
}
