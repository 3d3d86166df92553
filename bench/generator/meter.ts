// What a phase counts, and how long things took.
import type { Percentiles } from '../job.ts'

export class Samples {
  private values = new Float64Array(1 << 16)
  private count = 0

  add(value: number): void {
    if (this.count === this.values.length) {
      const grown = new Float64Array(2 * this.count)
      grown.set(this.values)
      this.values = grown
    }
    this.values[this.count++] = value
  }

  percentiles(): Percentiles {
    const sorted = this.values.slice(0, this.count).sort()
    const at = (share: number) =>
      sorted[Math.min(this.count - 1, Math.floor(this.count * share))] ?? Number.NaN
    return { p50: at(0.5), p99: at(0.99), p999: at(0.999) }
  }
}

export class Meter {
  readonly ackMs = new Samples()
  readonly endToEndMs = new Samples()
  /** Sent, and not yet at the end of what the phase waits for. */
  underWay = 0
  accepted = 0
  received = 0
  receipts = 0
  duplicates = 0
  refused = 0
  complaint: string | undefined
  /** When something was last counted, by performance.now(). */
  lastAtMs = 0

  complain(what: string): void {
    this.complaint ??= what
  }
}
