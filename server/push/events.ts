import type { Counters } from '../kit/counters.ts'
import type { Log } from '../kit/log.ts'
import type { PushAddress, Pushed } from '../kit/push-gateway.ts'

/** What operators count of the push gateway: nothing about devices. */
export const pushEvents = (counters: Counters, log: Log) => ({
  pushed(service: PushAddress['service'], outcome: Pushed['kind']): void {
    counters.add(`push.${service}.${outcome}`)
  },
  /** A provider went down or came back. */
  turned(service: PushAddress['service'], state: 'up' | 'down', reason = 'unknown'): void {
    if (state === 'down') log.warn('push provider is down', { provider: service, reason })
    else log.info('push provider is up', { provider: service })
  },
  /** Somebody without the secret called the internal door. */
  intruded(): void {
    counters.add('push.intruded')
  },
})
export type PushEvents = ReturnType<typeof pushEvents>
