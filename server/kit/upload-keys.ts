// The keys that sign what lets a client upload. They can be exchanged while the server runs: what the old ones signed
// stays good until it ends by itself, and nothing that was signed later is believed (docs/protocol/attachments.md).
import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { z } from 'zod'

/** One set: `bearerKey` signs tokens and addresses, the access key S3 forms. Must stay secret. */
export type UploadKeys = {
  readonly bearerKey: Uint8Array
  readonly accessKeyId: string
  readonly secretAccessKey: string
}
/** Until `signsUntilMs` it signs; what it signed by then is believed. */
export type SigningKeys = UploadKeys & { readonly signsUntilMs: number }

const KEY_BYTES = 32
/** By then every process that shares the secrets knows the new keys: it looks every `LOOK_EVERY_MS`. */
export const HANDOVER_MS = 15_000
export const LOOK_EVERY_MS = 5_000
/** Nothing that is signed is good for longer: a week, and what another host's clock may be ahead. */
export const LONGEST_LIFETIME_MS = 7 * 86_400_000 + 300_000

const keys = {
  bearerKey: z
    .base64()
    .transform((text) => Buffer.from(text, 'base64'))
    .refine((bytes) => bytes.length === KEY_BYTES),
  accessKeyId: z.string().min(1),
  secretAccessKey: z.string().min(1),
}
const previous = z.strictObject({ ...keys, signsUntilMs: z.int() })
/** As the file of secrets has them. */
export const uploadKeysSchema = z.strictObject({ ...keys, previous: z.array(previous).default([]) })
export type WrittenUploadKeys = z.input<typeof uploadKeysSchema>
type StoredUploadKeys = UploadKeys & { readonly previous: readonly SigningKeys[] }

export const newUploadKeys = (): WrittenUploadKeys => ({
  bearerKey: randomBytes(KEY_BYTES).toString('base64'),
  accessKeyId: `HELIO${randomBytes(8).toString('hex').toUpperCase()}`,
  secretAccessKey: randomBytes(KEY_BYTES).toString('base64'),
  previous: [],
})

/** New keys, which sign after the handover; those before them are kept for what they signed. */
export function rotated({ previous = [], ...current }: WrittenUploadKeys, nowMs: number): WrittenUploadKeys {
  const ended = { ...current, signsUntilMs: nowMs + HANDOVER_MS }
  return { ...newUploadKeys(), previous: [ended, ...withoutEnded(previous, nowMs)] }
}

const withoutEnded = <T extends { readonly signsUntilMs: number }>(sets: readonly T[], nowMs: number): T[] =>
  sets.filter(({ signsUntilMs }) => nowMs - signsUntilMs < LONGEST_LIFETIME_MS)

/** The same without what cannot have signed anything that is still good; undefined if there is no such. */
export function forgotten(written: WrittenUploadKeys, nowMs: number): WrittenUploadKeys | undefined {
  const { previous = [] } = written
  const kept = withoutEnded(previous, nowMs)
  return kept.length < previous.length ? { ...written, previous: kept } : undefined
}

/** The keys in force, the newest first. It prints and serializes as nothing. */
export class UploadKeyRing {
  #sets: readonly [SigningKeys, ...SigningKeys[]]

  constructor({ previous, ...current }: StoredUploadKeys) {
    this.#sets = [{ ...current, signsUntilMs: Number.POSITIVE_INFINITY }, ...previous]
  }

  /** Keys that nothing came before. */
  static of(keys: UploadKeys): UploadKeyRing {
    return new UploadKeyRing({ ...keys, previous: [] })
  }

  /** What signs at this moment: the oldest whose time is not over. */
  signing(nowMs: number): UploadKeys {
    return this.#sets.findLast(({ signsUntilMs }) => nowMs < signsUntilMs) ?? this.#sets[0]
  }

  /** All whose signatures may still be good. */
  verifying(nowMs: number): readonly SigningKeys[] {
    return withoutEnded(this.#sets, nowMs)
  }

  /** Whether some of them cannot have signed anything that is still good. */
  hasEnded(nowMs: number): boolean {
    return this.verifying(nowMs).length < this.#sets.length
  }

  /** Everybody who has this ring uses those of the other from now on. */
  become(other: UploadKeyRing): void {
    this.#sets = other.#sets
  }

  toJSON(): string {
    return '[upload keys]'
  }

  [inspect.custom](): string {
    return '[upload keys]'
  }
}
