// The senders that the configuration names, in its order. What a sender needs is loaded only if it is named.
import type { Clock } from '../../../kit/clock.ts'
import type { Config } from '../../../kit/config.ts'
import { OutboxSender } from './outbox.ts'
import type { CodeSender } from './sender.ts'

export type SenderSurroundings = {
  /** The file of the sender `console`. */
  readonly outbox: string
  readonly clock: Clock
}

type Open = (config: Config, surroundings: SenderSurroundings) => Promise<CodeSender>

const OPEN: Readonly<Record<Config['registration']['senders'][number], Open>> = {
  console: async (_, { outbox, clock }) => new OutboxSender(outbox, clock),
  twilio: async (config) => (await import('./twilio.ts')).TwilioSender.open(config),
  'twilio-verify': async (config) => (await import('./twilio-verify.ts')).TwilioVerifySender.open(config),
  webhook: async (config, { clock }) => (await import('./webhook.ts')).WebhookSender.open(config, clock),
  smtp: async (config) => (await import('./smtp.ts')).SmtpSender.open(config),
}

/** Throws a `ConfigError` where the configuration of a sender is not complete. */
export const openSenders = (config: Config, surroundings: SenderSurroundings): Promise<CodeSender[]> =>
  Promise.all(config.registration.senders.map((name) => OPEN[name](config, surroundings)))
