// What operators count of the chat server: one function an event, nothing about anybody in any of them.
import type { Counters } from '../kit/counters.ts'
import type { Log } from '../kit/log.ts'

export type ChatEvents = ReturnType<typeof chatEvents>

export const chatEvents = (counters: Counters, log: Log) => ({
  registered(reregistration: boolean): void {
    counters.add(reregistration ? 'accounts.reregistered' : 'accounts.registered')
    log.info('registered', { reregistration })
  },
  codeSent(transport: 'sms' | 'voice', delivered: boolean): void {
    counters.add(`codes.${transport}.${delivered ? 'sent' : 'failed'}`)
    if (!delivered) log.warn('code not sent', { transport })
  },
  senderSent(sender: string, transport: 'sms' | 'voice'): void {
    counters.add(`senders.${sender}.${transport}.sent`)
  },
  /** `detail` is a provider's number for what was wrong, or the name of it. */
  senderFailed(sender: string, transport: 'sms' | 'voice', why: string, detail: string | number): void {
    counters.add(`senders.${sender}.${transport}.${why}`)
    log.warn('sender failed', { sender, transport, why, detail })
  },
  delivered(sender: string, transport: 'sms' | 'voice'): void {
    counters.add(`senders.${sender}.${transport}.delivered`)
  },
  undelivered(sender: string, transport: 'sms' | 'voice', detail: string | number): void {
    counters.add(`senders.${sender}.${transport}.undelivered`)
    log.warn('code undelivered', { sender, transport, detail })
  },
  /** A report that is not the provider's. */
  reportForged(sender: string): void {
    counters.add(`senders.${sender}.forged`)
  },
  /** `place`: a country or a prefix, of which nobody's number can be told. */
  codeRefused(why: string, transport: 'sms' | 'voice', place?: string): void {
    counters.add(`codes.${transport}.refused.${why}`)
    if (place !== undefined) log.debug('code refused', { why, transport, place })
  },
  budgetsOff(): void {
    log.warn('codes cost money and have no budget: registration.budgets is off')
  },
  /** Codes to it are not entered. */
  prefixClosed(prefix: string, transport: 'sms' | 'voice'): void {
    counters.add(`codes.${transport}.prefixes-closed`)
    log.warn('prefix closed: its codes are not entered', { prefix, transport })
  },
  prefixOpened(prefix: string, transport: 'sms' | 'voice'): void {
    counters.add(`codes.${transport}.prefixes-opened`)
    log.info('prefix open again', { prefix, transport })
  },
  codeEntered(right: boolean): void {
    counters.add(right ? 'codes.right' : 'codes.wrong')
  },
  /** Six digits that may have been an invite's. */
  inviteTried(right: boolean): void {
    counters.add(`invites.${right ? 'right' : 'wrong'}`)
  },
  /** The right to an account without a number. */
  receiptIssued(): void {
    counters.add('invites.receipts')
  },
  inviteMade(): void {
    counters.add('invites.made')
    log.info('invite made')
  },
  inviteRevoked(): void {
    counters.add('invites.revoked')
    log.info('invite revoked')
  },
  /** From now on nobody new is let in, or, without a cause, again. */
  registrationHeld(by: 'operator' | 'disk' | 'memory' | undefined): void {
    counters.add(by ? `registration.held.${by}` : 'registration.released')
    log.warn(by ? 'registration held' : 'registration released', by ? { by } : {})
  },
  registrationLockHeld(): void {
    counters.add('accounts.registration-lock-held')
  },
  sent(copies: number, ephemeral: boolean): void {
    counters.add(ephemeral ? 'messages.ephemeral' : 'messages.stored', copies)
  },
  challenged(): void {
    counters.add('challenges.demanded')
  },
  /** What a device was told besides its messages. */
  told(what: string, outcome: string): void {
    counters.add(`push.told.${what}.${outcome}`)
  },
  pushed(urgency: 'urgent' | 'background', outcome: string): void {
    counters.add(`pushes.${urgency}.${outcome}`)
  },
  /** The service that sends or judges challenges did not do so. */
  challengeFailed(kind: 'captcha' | 'push'): void {
    counters.add(`challenges.${kind}.failed`)
    log.warn('challenge failed', { kind })
  },
  challengeAnswered(kind: 'captcha' | 'push', right: boolean): void {
    counters.add(`challenges.${kind}.${right ? 'right' : 'wrong'}`)
  },
  /** A message was reported; so many reported its sender within the last week. */
  reported(reporters: number): void {
    counters.add('reports.counted')
    log.info('account reported', { reporters })
  },
  /** There was no such message, or it did not name its sender. */
  reportedInVain(): void {
    counters.add('reports.unproven')
  },
  notSent(why: 'mismatched' | 'refused' | 'not-found'): void {
    counters.add(`messages.${why}`)
  },
  deviceLinked(): void {
    counters.add('devices.linked')
    log.info('device linked')
  },
  deviceUnlinked(): void {
    counters.add('devices.unlinked')
    log.info('device unlinked')
  },
  socketOpened(kind: 'authenticated' | 'anonymous' | 'provisioning'): void {
    counters.add(`sockets.${kind}`)
  },
  /** Of what was answered, nothing is known here. */
  callSurveyed(): void {
    counters.add('calls.surveyed')
  },
  clientRefused(): void {
    counters.add('clients.refused')
  },
  /** Many misses are somebody who tries numbers. */
  discovered(found: number, missed: number): void {
    counters.add('discovery.found', found)
    counters.add('discovery.missed', missed)
  },
  socketRefused(): void {
    counters.add('sockets.refused')
  },
})
