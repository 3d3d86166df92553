import { STATUS_CODES } from 'node:http'

/** RFC 9110's phrases, and those of the statuses that Signal added. */
export const REASON_PHRASES: Readonly<Record<number, string>> = {
  ...STATUS_CODES,
  440: 'Sender Failure',
  441: 'One-Time Password Required',
  498: 'Use Websocket',
  499: 'Upgrade Required',
  508: 'Permanently Rejected',
} as Record<number, string>
