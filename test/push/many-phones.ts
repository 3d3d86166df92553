// Many phones that do not read, on a real queue (chat/wakeups), behind the real gateway and its providers.
import type { TestContext } from 'node:test'
import { type Account, deviceOf } from '../../server/chat/accounts/account.ts'
import { queueOf } from '../../server/chat/messages/store.ts'
import { systemClock } from '../../server/kit/clock.ts'
import { push as pushConfig } from '../../server/kit/config-push.ts'
import { Counters } from '../../server/kit/counters.ts'
import { silentLog } from '../../server/kit/log.ts'
import type { Push, Pushed, PushGateway } from '../../server/kit/push-gateway.ts'
import { newVapidKeys } from '../../server/kit/vapid-keys.ts'
import { pushEvents } from '../../server/push/events.ts'
import { Gateway } from '../../server/push/gateway.ts'
import { openProviders } from '../../server/push/providers.ts'
import { openRules, type Rules } from '../chat-rules.ts'
import { sampleAccount, sampleDevice } from '../sample-account.ts'
import { apnToken, fcmToken, type PushConfig, type Tally } from './faulty-providers.ts'

const TOGETHER = 500

/** The gateway is there when its storage is: before that nothing is due. */
class LaterGateway implements PushGateway {
  gateway: Gateway | undefined

  push(push: Push): Promise<Pushed> {
    return this.gateway!.push(push)
  }

  health() {
    return this.gateway!.health()
  }
}

export class ManyPhones {
  readonly counters = new Counters()
  readonly #rules: Rules
  readonly #accounts: readonly Account[]

  private constructor(rules: Rules, accounts: readonly Account[]) {
    this.#rules = rules
    this.#accounts = accounts
  }

  static async open(t: TestContext, config: PushConfig, count: number): Promise<ManyPhones> {
    const later = new LaterGateway()
    t.after(() => later.gateway?.close())
    const rules = await openRules(t, { push: later })
    const accounts = Array.from({ length: count }, (_, index) =>
      sampleAccount({ devices: [sampleDevice({ fetchesMessages: false, ...tokenOf(index) })] }),
    )
    await inParts(accounts, (account) => rules.accounts.put(account, []))
    const phones = new ManyPhones(rules, accounts)
    // Providers are asked in real time; the queue's waits pass as fast as it has nothing to do.
    const providers = await openProviders(pushConfig.parse(config), {
      clock: systemClock,
      secrets: { vapid: newVapidKeys() },
    })
    const events = pushEvents(phones.counters, silentLog)
    later.gateway = new Gateway({ providers, clock: rules.clock, events })
    return phones
  }

  /** Something has come for all of them: for half of each sort it can wait. */
  async write(): Promise<void> {
    const { wakeUps, sql } = this.#rules
    await inParts(this.#accounts, (account, index) => {
      const queue = queueOf(account, deviceOf(account, 1)!)
      return sql.write([wakeUps!.due(queue, index % 4 < 2)])
    })
  }

  /** Lets time pass until everybody was woken. */
  async wake(): Promise<void> {
    const { wakeUps, sql, clock } = this.#rules
    wakeUps!.noted()
    for (;;) {
      await wakeUps!.idle()
      const [row] = await sql.read(
        'SELECT COUNT(*) AS waiting, MIN(due_at_ms) AS due FROM wake_ups WHERE stage = 0 AND due_at_ms IS NOT NULL',
      )
      if (row!['waiting'] === 0) return
      clock.advance(Math.max(1, (row!['due'] as number) - clock.nowMs()))
    }
  }

  /** Phones that were not woken, or oftener than once and for each answer that was lost. Nothing waits for a second push. */
  wrong({ taken, uncertain }: Tally): string[] {
    return this.#accounts.flatMap((_, index) => {
      const token = index % 2 === 0 ? fcmToken(index) : apnToken(index)
      const pushed = taken[token] ?? 0
      const isRight = pushed >= 1 && pushed <= 1 + (uncertain[token] ?? 0)
      return isRight ? [] : [`phone ${index}: ${pushed} pushes`]
    })
  }
}

const tokenOf = (index: number) =>
  index % 2 === 0 ? { fcmToken: fcmToken(index) } : { apnToken: apnToken(index) }

async function inParts<Item>(items: readonly Item[], work: (item: Item, index: number) => Promise<unknown>) {
  for (let start = 0; start < items.length; start += TOGETHER)
    await Promise.all(items.slice(start, start + TOGETHER).map((item, index) => work(item, start + index)))
}
