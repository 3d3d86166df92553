// The guids of messages that name their sender. Such a guid proves by itself, for a week, that its sender wrote to its
// recipient: so nothing has to be kept of a message for the case that somebody reports it.

import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import type { Aci } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import { sameSecret } from '../../kit/constant-time.ts'
import { dayOf } from '../../kit/days.ts'
import type { Random } from '../../kit/random.ts'

/** For so many days after its own a guid proves something. */
const VALID_DAYS = 7
// guid = 2: day since 1970, big-endian · 8: random · 6: the start of HMAC-SHA256 of the day and both accounts
const DAY_BYTES = 2
const RANDOM_BYTES = 8
const PROOF_BYTES = 6
const GUID_BYTES = DAY_BYTES + RANDOM_BYTES + PROOF_BYTES
/** Pairs of today whose proof is not computed again. */
const MAX_KNOWN = 50_000

export class MessageGuids {
  readonly #key: KeyObject
  readonly #clock: Clock
  readonly #random: Random
  #day = 0
  /** By sender and recipient. */
  readonly #known = new Map<Aci, Map<Aci, Buffer>>()
  #knownPairs = 0

  constructor(secret: Uint8Array, clock: Clock, random: Random) {
    this.#key = createSecretKey(secret)
    this.#clock = clock
    this.#random = random
  }

  make(sender: Aci, recipient: Aci): Buffer {
    const day = this.#today()
    const guid = Buffer.allocUnsafe(GUID_BYTES)
    guid.writeUInt16BE(day)
    guid.set(this.#random.bytes(RANDOM_BYTES), DAY_BYTES)
    guid.set(this.#proofOfToday(day, sender, recipient), DAY_BYTES + RANDOM_BYTES)
    return guid
  }

  /** Whether the guid is that of a message between the two, of today or one of the seven days before. */
  proves(guid: Uint8Array, sender: Aci, recipient: Aci): boolean {
    if (guid.length !== GUID_BYTES) return false
    const bytes = Buffer.from(guid)
    const day = bytes.readUInt16BE()
    const age = this.#today() - day
    const proof = this.#proof(day, sender, recipient)
    return sameSecret(proof, bytes.subarray(DAY_BYTES + RANDOM_BYTES)) && age >= 0 && age <= VALID_DAYS
  }

  /** A keyed hash of who reports whom. */
  reporterOf(reporter: Aci, reported: Aci): Buffer {
    return createHmac('sha256', this.#key).update(`report ${reported} ${reporter}`).digest()
  }

  #today(): number {
    return dayOf(this.#clock.nowMs())
  }

  #proofOfToday(day: number, sender: Aci, recipient: Aci): Buffer {
    if (day !== this.#day || this.#knownPairs >= MAX_KNOWN) this.#forget(day)
    const known = this.#known.get(sender)?.get(recipient)
    if (known) return known
    const proof = this.#proof(day, sender, recipient)
    const bySender = this.#known.get(sender) ?? new Map<Aci, Buffer>()
    this.#known.set(sender, bySender.set(recipient, proof))
    this.#knownPairs++
    return proof
  }

  #forget(day: number): void {
    this.#known.clear()
    this.#knownPairs = 0
    this.#day = day
  }

  #proof(day: number, sender: Aci, recipient: Aci): Buffer {
    const mac = createHmac('sha256', this.#key).update(`message ${day} ${sender} ${recipient}`).digest()
    return mac.subarray(0, PROOF_BYTES)
  }
}
