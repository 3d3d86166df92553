// Where the buckets are kept: in this process here, elsewhere behind the same interface.
import type { Clock } from './clock.ts'
import type { LimiterName } from './limiters.ts'

/** A limiter as a store needs it. */
export type LimitRule = {
  readonly name: LimiterName
  readonly bucket: number
  readonly msPerPermit: number
}

/** Buckets by rule and key; a bucket that was never seen is full. A method that throws or rejects means "store down". */
export interface LimitStore {
  /** Takes all permits or none. Answers 0 when they were taken, else the milliseconds until they can be. */
  take(rule: LimitRule, key: string, permits: number): number | Promise<number>
  /** Answers as `take` would and takes nothing. */
  check(rule: LimitRule, key: string, permits: number): number | Promise<number>
  restore(rule: LimitRule, key: string, permits: number): void | Promise<void>
  clear(rule: LimitRule, key: string): void | Promise<void>
}

/** `permits` were left at `atMs`, by the steady clock: one that jumps neither grants nor delays. All buckets form one ring, through `next`, which the sweep goes round. */
type Bucket = {
  permits: number
  atMs: number
  readonly rule: LimitRule
  readonly key: string
  next: Bucket | undefined
}
type Buckets = Map<string, Bucket>

const SWEEP_EVERY_MS = 10_000
const SWEEP_VISITS = 5000
/** Two visits for each new bucket: a lap over n buckets ends before n/2 more have come. */
const VISITS_PER_NEW = 2

/**
 * Buckets in this process. A bucket that has refilled is forgotten, soon after, at constant cost per call; beyond
 * `maxBuckets` a new one pushes out an old one.
 */
export class MemoryLimitStore implements LimitStore {
  readonly #clock: Clock
  readonly #maxBuckets: number
  readonly #tables = new Map<LimiterName, Buckets>()
  /** The sweep stands here and visits the next one. */
  #cursor: Bucket | undefined
  #size = 0

  constructor(clock: Clock, maxBuckets = 1_000_000) {
    this.#clock = clock
    this.#maxBuckets = maxBuckets
    clock.every(SWEEP_EVERY_MS, () => this.#visit(Math.min(SWEEP_VISITS, this.#size), clock.steadyMs()))
  }

  /** How many buckets are held. */
  get size(): number {
    return this.#size
  }

  take(rule: LimitRule, key: string, permits: number): number {
    const nowMs = this.#clock.steadyMs()
    const bucket = this.#buckets(rule).get(key)
    if (bucket === undefined) return this.#open(rule, key, permits, nowMs)
    const left = available(rule, bucket, nowMs)
    if (left < permits) return waitMs(rule, bucket, permits, nowMs)
    bucket.permits = left - permits
    bucket.atMs = nowMs
    return 0
  }

  check(rule: LimitRule, key: string, permits: number): number {
    const nowMs = this.#clock.steadyMs()
    const bucket = this.#buckets(rule).get(key)
    if (bucket === undefined) return Math.max(0, permits - rule.bucket) * rule.msPerPermit
    return available(rule, bucket, nowMs) < permits ? waitMs(rule, bucket, permits, nowMs) : 0
  }

  restore(rule: LimitRule, key: string, permits: number): void {
    const bucket = this.#buckets(rule).get(key)
    if (bucket !== undefined) bucket.permits = Math.min(rule.bucket, bucket.permits + permits)
  }

  clear(rule: LimitRule, key: string): void {
    const bucket = this.#buckets(rule).get(key)
    if (bucket !== undefined) bucket.permits = rule.bucket
  }

  #open(rule: LimitRule, key: string, permits: number, nowMs: number): number {
    if (permits > rule.bucket) return (permits - rule.bucket) * rule.msPerPermit
    if (permits === 0) return 0
    this.#visit(VISITS_PER_NEW, nowMs)
    while (this.#size >= this.#maxBuckets) this.#visit(1, Number.POSITIVE_INFINITY)
    const bucket = { permits: rule.bucket - permits, atMs: nowMs, rule, key, next: undefined }
    this.#buckets(rule).set(key, bucket)
    this.#join(bucket)
    return 0
  }

  #buckets(rule: LimitRule): Buckets {
    const found = this.#tables.get(rule.name)
    if (found !== undefined) return found
    const buckets: Buckets = new Map()
    this.#tables.set(rule.name, buckets)
    return buckets
  }

  /** Puts a bucket behind the cursor, where the sweep comes last. */
  #join(bucket: Bucket): void {
    bucket.next = this.#cursor?.next ?? bucket
    if (this.#cursor !== undefined) this.#cursor.next = bucket
    this.#cursor = bucket
    this.#size++
  }

  /** Goes on round the ring and drops the buckets that are full at `nowMs`. */
  #visit(count: number, nowMs: number): void {
    for (let i = 0; i < count && this.#cursor !== undefined; i++) {
      const bucket = this.#cursor.next!
      if (available(bucket.rule, bucket, nowMs) < bucket.rule.bucket) this.#cursor = bucket
      else this.#drop(bucket, this.#cursor)
    }
  }

  #drop(bucket: Bucket, previous: Bucket): void {
    this.#buckets(bucket.rule).delete(bucket.key)
    previous.next = bucket.next
    if (previous === bucket) this.#cursor = undefined
    this.#size--
  }
}

/** Whole permits, as Signal counts them: min(size, floor(stored + elapsed · rate)). */
function available(rule: LimitRule, bucket: Bucket, nowMs: number): number {
  return Math.min(rule.bucket, Math.floor(bucket.permits + (nowMs - bucket.atMs) / rule.msPerPermit))
}

function waitMs(rule: LimitRule, bucket: Bucket, permits: number, nowMs: number): number {
  return Math.max(1, (permits - bucket.permits) * rule.msPerPermit - (nowMs - bucket.atMs))
}
