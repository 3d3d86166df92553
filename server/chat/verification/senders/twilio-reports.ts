// What Twilio tells about a message (https://www.twilio.com/docs/messaging/api/message-resource#message-status-values) and
// about a call (https://www.twilio.com/docs/voice/api/call-resource#call-status-values).
import type { DeliveryReport, Transport } from './sender.ts'

type Fields = Readonly<Record<string, string>>
type States = Readonly<Record<string, DeliveryReport['state']>>

const MESSAGE: States = {
  delivered: 'delivered',
  read: 'delivered',
  undelivered: 'failed',
  failed: 'failed',
  canceled: 'failed',
}
const CALL: States = {
  completed: 'delivered',
  busy: 'failed',
  failed: 'failed',
  'no-answer': 'failed',
  canceled: 'failed',
}

/** A status that is not the last one is `pending`. */
function reportOf(transport: Transport, states: States, status: string, errorCode = ''): DeliveryReport {
  const state = Object.hasOwn(states, status) ? states[status]! : 'pending'
  const detail = /^\d{3,5}$/.test(errorCode) ? Number(errorCode) : status.toUpperCase().replaceAll('-', '_')
  return { transport, state, detail }
}

/** Nothing if the fields are not a message's. */
export const messageReport = ({ MessageStatus, ErrorCode }: Fields): DeliveryReport | undefined =>
  MessageStatus === undefined ? undefined : reportOf('sms', MESSAGE, MessageStatus, ErrorCode)

/** Nothing if the fields are not a call's. */
export const callReport = ({ CallStatus, ErrorCode }: Fields): DeliveryReport | undefined =>
  CallStatus === undefined ? undefined : reportOf('voice', CALL, CallStatus, ErrorCode)
