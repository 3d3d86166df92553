// Which devices have to be woken, and when. What is due is kept with the messages that it is due for, so that it
// outlives the process; a device that reads is never woken.
import type { DeviceId } from '../../../wire/types.ts'
import type { Clock, Timer } from '../../kit/clock.ts'
import { DAY_MS } from '../../kit/days.ts'
import type { Housekeeping } from '../../kit/housekeeping.ts'
import type { Push, PushAddress, Pushed, PushGateway } from '../../kit/push-gateway.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Statement } from '../../kit/sql/sql.ts'
import { type Account, addressOf, type Device, deviceOf } from '../accounts/account.ts'
import { type Accounts, replaceDevice } from '../accounts/accounts.ts'
import type { ChatEvents } from '../events.ts'
import type { Queues, Waker } from '../messages/queues.ts'
import { type Queue, queueOf } from '../messages/store.ts'
import type { TakenWakeUp, WakeUp, WakeUpStore } from './store.ts'

/** Messages that come while a device has been woken and is not there yet are the same burst. */
export const URGENT_EVERY_MS = 60_000
/** signal-api §5.4. */
export const BACKGROUND_EVERY_MS = 20 * 60_000
const SPACING = { urgentMs: URGENT_EVERY_MS, backgroundMs: BACKGROUND_EVERY_MS }
/** After each push, how long until the next one if the device does not come: once more, then reminders. */
const AGAIN_AFTER_MS = [URGENT_EVERY_MS, 3 * DAY_MS, 7 * DAY_MS, 14 * DAY_MS]
/** Longer than a push can take: then whoever took it is dead. */
const TAKEN_FOR_MS = 60_000
/** After pushes that did not get through, the last again and again. */
const RETRY_AFTER_MS = [1_000, 5_000, 30_000, 120_000, 600_000]
const MAX_UNDER_WAY = 256
const CLOSE_WITHIN_MS = 3_000
const LOOK_AT_LEAST_EVERY_MS = 60_000
const FORGET_EVERY_MS = 3_600_000

export type WakeUpsOptions = {
  readonly store: WakeUpStore
  readonly accounts: Accounts
  readonly queues: Queues
  readonly gateway: PushGateway
  readonly clock: Clock
  readonly housekeeping: Housekeeping
  readonly events: ChatEvents
  readonly onBug: (error: unknown, where: string) => void
}

type DeviceLife = Pick<WakeUp, 'aci' | 'deviceId' | 'deviceCreatedAtMs'>
/** A device that can be woken. */
type Sleeper = { readonly device: Device; readonly to: PushAddress; readonly queue: Queue }

const nameOf = ({ aci, deviceId, deviceCreatedAtMs }: DeviceLife): string =>
  `${aci}.${deviceId}.${deviceCreatedAtMs}`

export class WakeUps implements Waker {
  readonly #options: WakeUpsOptions
  readonly #underWay = new Set<Promise<void>>()
  /** Devices with a push under way, and the version that it is for. */
  readonly #held = new Map<string, number>()
  #timer: Timer | undefined
  /** Looks for what is due; another look follows if somebody asked for it meanwhile. */
  #looking: Promise<void> | undefined
  #lookAgain = false
  #closed = false
  /** Nothing may be written any more. */
  #gaveUp = false

  constructor(options: WakeUpsOptions) {
    this.#options = options
    const { store, clock, housekeeping } = options
    housekeeping.every(FORGET_EVERY_MS, 'wakeups.forget', () =>
      store.forget(clock.nowMs() - BACKGROUND_EVERY_MS),
    )
    this.#look()
  }

  due(queue: Queue, urgent: boolean): Statement {
    const { store, clock } = this.#options
    return urgent
      ? store.urgent(queue, clock.nowMs(), SPACING)
      : store.background(queue, clock.nowMs(), SPACING)
  }

  noted(): void {
    this.#look()
  }

  reading(queue: Queue): void {
    if (!this.#mayBeDue(queue)) return
    this.#track(this.#options.store.write(this.#options.store.reading(queue)))
  }

  left(queue: Queue): void {
    this.#track(this.#left(queue))
  }

  deleted({ aci }: Account): Statement[] {
    return [this.#options.store.clear(aci)]
  }

  replaced({ aci }: Account): Statement[] {
    return [this.#options.store.clear(aci)]
  }

  unlinked({ aci }: Account, deviceId: DeviceId): Statement[] {
    return [this.#options.store.clearDevice(aci, deviceId)]
  }

  /**
   * Resolves when no push is under way any more, or nobody waits for those that are: they go out again some time after
   * the next start. What is due stays so.
   */
  async close(): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = this.#options.clock.after(CLOSE_WITHIN_MS, resolve)
    await Promise.race([this.idle(), promise])
    timer.cancel()
    this.#gaveUp = true
  }

  /** Resolves when everything that is due now was tried. */
  async idle(): Promise<void> {
    while (this.#looking || this.#underWay.size > 0) await Promise.all([this.#looking, ...this.#underWay])
  }

  /** Most devices fetch by themselves, and each of them that connects was looked up just before. */
  #mayBeDue({ aci, deviceId }: Queue): boolean {
    const account = this.#options.accounts.peek(aci)
    const device = account && deviceOf(account, deviceId)
    return !device || addressOf(device) !== undefined
  }

  /** A device also leaves because its account is deleted: of that nothing may be kept. */
  async #left(queue: Queue): Promise<void> {
    const { store, clock, accounts } = this.#options
    if (!(await this.#sleeper(queue))) return
    await store.write(store.left(queue, clock.nowMs() + URGENT_EVERY_MS))
    if (!(await accounts.find(queue.aci))) await store.write(store.clear(queue.aci))
  }

  /** The device, if it is the one that was meant and can be woken. */
  async #sleeper({ aci, deviceId, deviceCreatedAtMs }: DeviceLife): Promise<Sleeper | undefined> {
    const account = await this.#options.accounts.find(aci)
    const device = account && deviceOf(account, deviceId)
    const to = device?.createdAtMs === deviceCreatedAtMs ? addressOf(device) : undefined
    return account && device && to && { device, to, queue: queueOf(account, device) }
  }

  #look(): void {
    if (this.#closed) return
    this.#lookAgain = true
    this.#looking ??= this.#lookUntilDone().finally(() => {
      this.#looking = undefined
    })
  }

  async #lookUntilDone(): Promise<void> {
    const { store, clock, onBug } = this.#options
    this.#timer?.cancel()
    try {
      while (this.#lookAgain && !this.#closed) {
        this.#lookAgain = false
        await this.#begin()
      }
      const nextMs = (await store.nextDueMs()) ?? Number.POSITIVE_INFINITY
      const isFull = this.#underWay.size >= MAX_UNDER_WAY
      const inMs = isFull ? LOOK_AT_LEAST_EVERY_MS : Math.max(1, nextMs - clock.nowMs())
      this.#lookIn(Math.min(LOOK_AT_LEAST_EVERY_MS, inMs))
    } catch (error) {
      onBug(error, 'wakeups.look')
      this.#lookIn(LOOK_AT_LEAST_EVERY_MS)
    }
  }

  #lookIn(ms: number): void {
    if (this.#closed) return
    this.#timer?.cancel()
    this.#timer = this.#options.clock.after(ms, () => this.#look())
  }

  /** Begins with what is due, as much as can be under way at a time. */
  async #begin(): Promise<void> {
    const { store, clock } = this.#options
    const free = MAX_UNDER_WAY - this.#underWay.size
    if (free <= 0) return
    const due = await store.due(clock.nowMs(), free)
    const nowMs = clock.nowMs()
    const untilMs = nowMs + TAKEN_FOR_MS
    const [held, others] = [due.filter((one) => this.#holds(one)), due.filter((one) => !this.#holds(one))]
    await store.hold(held, untilMs)
    for (const taken of await store.take(others, nowMs, untilMs)) this.#track(this.#inHand(taken))
    if (due.length === free) this.#lookAgain = this.#underWay.size < MAX_UNDER_WAY
  }

  /** Somebody may ask for longer than a push is taken for: we know that we are not dead. */
  #holds(wakeUp: WakeUp): boolean {
    return this.#held.get(nameOf(wakeUp)) === wakeUp.version
  }

  async #inHand(wakeUp: TakenWakeUp): Promise<void> {
    this.#held.set(nameOf(wakeUp), wakeUp.version)
    await this.#wake(wakeUp).finally(() => {
      if (this.#holds(wakeUp)) this.#held.delete(nameOf(wakeUp))
    })
  }

  #track(work: Promise<void>): void {
    const tracked = work
      .catch((error) => this.#options.onBug(error, 'wakeups'))
      .finally(() => {
        this.#underWay.delete(tracked)
        this.#look()
      })
    this.#underWay.add(tracked)
  }

  async #wake(wakeUp: TakenWakeUp): Promise<void> {
    const { store, gateway, queues } = this.#options
    const sleeper = await this.#sleeper(wakeUp)
    if (!sleeper) return store.remove(wakeUp)
    const { queue, device, to } = sleeper
    if (wakeUp.stage > 0 && (await this.#isOver(wakeUp, queue))) return
    if (queues.isRead(queue)) return void (await store.drop(wakeUp))
    const push: Push = { to, notice: { kind: 'message', urgent: wakeUp.urgent } }
    const pushed = await gateway.push(push)
    if (!this.#gaveUp) await this.#done(wakeUp, device, pushed)
  }

  /** Nothing waits any more; a message that comes at that very moment is seen. */
  async #isOver(wakeUp: TakenWakeUp, queue: Queue): Promise<boolean> {
    const { store, queues } = this.#options
    if ((await queues.page(queue, 0, 1)).length > 0) return false
    return store.drop(wakeUp, queues.emptiness(queue))
  }

  async #done(wakeUp: TakenWakeUp, device: Device, pushed: Pushed): Promise<void> {
    const { store, clock, events } = this.#options
    const nowMs = clock.nowMs()
    events.pushed(wakeUp.urgent ? 'urgent' : 'background', pushed.kind)
    if (pushed.kind === 'sent') {
      const againMs = wakeUp.urgent ? AGAIN_AFTER_MS[wakeUp.stage] : undefined
      await store.sent(wakeUp, againMs === undefined ? undefined : nowMs + againMs)
    } else if (pushed.kind === 'later') {
      const { afterMs, untried = false } = pushed
      const retryMs = untried ? 0 : RETRY_AFTER_MS[Math.min(wakeUp.attempts, RETRY_AFTER_MS.length) - 1]!
      await store.postpone(wakeUp, nowMs + Math.max(retryMs, afterMs), untried)
    } else if (pushed.kind === 'unregistered') {
      const hasOther = await this.#forgetToken(wakeUp, device, pushed.sinceMs)
      await (hasOther ? store.postpone(wakeUp, nowMs, false) : store.drop(wakeUp))
    } else await store.drop(wakeUp)
  }

  /** Unless it was given once more after the provider's word. True if the device has another one meanwhile. */
  async #forgetToken({ aci }: WakeUp, gone: Device, sinceMs = Number.POSITIVE_INFINITY): Promise<boolean> {
    let hasOther = false
    const forgotten = this.#options.accounts.update(aci, (account) => {
      const device = deviceOf(account, gone.id)
      hasOther = false
      if (device?.createdAtMs !== gone.createdAtMs) return undefined
      const isSame =
        device.apnToken === gone.apnToken &&
        device.fcmToken === gone.fcmToken &&
        device.webPush?.endpoint === gone.webPush?.endpoint
      hasOther = !isSame && addressOf(device) !== undefined
      if (!isSame || (device.pushSetAtMs ?? 0) > sinceMs) return undefined
      const silent = { ...device, apnToken: undefined, fcmToken: undefined, webPush: undefined }
      return { ...account, devices: replaceDevice(account, silent) }
    })
    // An account that is gone has no token any more.
    await forgotten.catch((error) => {
      if (!(error instanceof Refusal)) throw error
    })
    return hasOther
  }
}
