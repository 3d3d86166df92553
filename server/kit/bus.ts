// What need not survive: wake-ups, presence, displacement. In one process it is memory.

export type BusEvent = {
  readonly type: string
  /** Reaches listeners in this process only; what another process needs it reads from storage. */
  readonly local?: unknown
  /** Goes with the event to every process: a few hundred kilobytes at most. */
  readonly body?: Uint8Array
}

export type Subscription = { cancel(): void }

export interface Bus {
  /** Tells every listener of a channel, in the order of the calls; returns how many there are. */
  publish(channel: string, event: BusEvent): number
  subscribe(channel: string, listener: (event: BusEvent) => void): Subscription
  /** Whether somebody listens to a channel. */
  isHeard(channel: string): boolean
}

type Listener = (event: BusEvent) => void

export class MemoryBus implements Bus {
  readonly #channels = new Map<string, Listener[]>()

  publish(channel: string, event: BusEvent): number {
    const listeners = this.#channels.get(channel)
    if (!listeners) return 0
    for (const listener of listeners) listener(event)
    return listeners.length
  }

  subscribe(channel: string, listener: Listener): Subscription {
    this.#channels.set(channel, [...(this.#channels.get(channel) ?? []), listener])
    return { cancel: () => this.#remove(channel, listener) }
  }

  isHeard(channel: string): boolean {
    return this.#channels.has(channel)
  }

  #remove(channel: string, listener: Listener): void {
    const left = (this.#channels.get(channel) ?? []).filter((other) => other !== listener)
    if (left.length > 0) this.#channels.set(channel, left)
    else this.#channels.delete(channel)
  }
}
