// How much more work who comes from a busy place has: counts that fade, of a range of addresses and of all together.
import type { Clock } from '../kit/clock.ts'

export type PressureOptions = {
  readonly clock: Clock
  /** Puzzles from one range (IPv4 /24, IPv6 /48) in about a quarter of an hour before the next take twice the work. */
  readonly calmPerRange: number
  /** The same of all ranges together. */
  readonly calmInAll: number
}

type Count = { value: number; atMs: number }

const HALF_LIFE_MS = 600_000
const MAX_DOUBLINGS = 4
const MAX_RANGES = 50_000
const FAILURE_WEIGHT = 3

/** In memory, never written or logged. */
export class Pressure {
  readonly #options: PressureOptions
  readonly #ranges = new Map<string, Count>()
  readonly #all: Count = { value: 0, atMs: 0 }

  constructor(options: PressureOptions) {
    this.#options = options
  }

  /** Somebody at this address wanted a challenge. */
  asked(address: string): void {
    this.#add(address, 1)
  }

  /** Somebody there answered wrongly, or again. */
  failed(address: string): void {
    this.#add(address, FAILURE_WEIGHT)
  }

  /** 1, 2, 4, 8 or 16. */
  factor(address: string): number {
    const { calmPerRange, calmInAll } = this.#options
    const here = this.#ranges.get(rangeOf(address))
    const doublings = Math.max(
      here ? doublingsOf(this.#faded(here), calmPerRange) : 0,
      doublingsOf(this.#faded(this.#all), calmInAll),
    )
    return 2 ** Math.min(MAX_DOUBLINGS, doublings)
  }

  #add(address: string, weight: number): void {
    const range = rangeOf(address)
    const count = this.#ranges.get(range) ?? { value: 0, atMs: 0 }
    // The one that was not seen for longest goes first.
    this.#ranges.delete(range)
    this.#ranges.set(range, count)
    if (this.#ranges.size > MAX_RANGES) this.#ranges.delete(this.#ranges.keys().next().value!)
    for (const one of [count, this.#all]) {
      one.value = this.#faded(one) + weight
      one.atMs = this.#options.clock.steadyMs()
    }
  }

  #faded({ value, atMs }: Count): number {
    return value * 0.5 ** ((this.#options.clock.steadyMs() - atMs) / HALF_LIFE_MS)
  }
}

const doublingsOf = (value: number, calm: number) => Math.max(0, Math.floor(Math.log2(value / calm) + 1))

/** Of an address as limiters know it: IPv4, or an IPv6 /64. */
export function rangeOf(address: string): string {
  const [network] = address.split('::')
  if (address.includes(':')) return `${[...network!.split(':'), '', '', ''].slice(0, 3).join(':')}/48`
  return address.includes('.') ? `${address.slice(0, address.lastIndexOf('.'))}/24` : address
}
