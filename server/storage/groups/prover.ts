// Looks at what members of groups show, and gives what only the server can, without holding up the event loop.
import type { Credentials } from '../../../wire/route.ts'
import { decodeHex } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Secrets } from '../../kit/secrets.ts'
import { WorkerPool } from '../../kit/worker-pool.ts'
import { EndorsementMemory, endorsementExpirationMs } from './endorsements.ts'
import type { ProvenAuthor, ProvenProfileKey, Proving } from './proving.ts'

type Bytes = Uint8Array<ArrayBuffer>

/** Who asks about which group. The group's id alone is not proof of its key. */
export type GroupCaller = ProvenAuthor & { readonly publicKey: Bytes }

type ProverOptions = {
  readonly secrets: Pick<Secrets, 'serverSecretParams'>
  readonly clock: Clock
  readonly onBug: (error: unknown, where: string) => void
}

/** So many are looked at in one turn of a thread (about 2 ms each): others get theirs in between. */
const PRESENTATIONS_A_TURN = 16

/** A copy of its own: cloning a view to a thread would clone all of the buffer that it looks into. */
const own = (bytes: Uint8Array): Bytes => new Uint8Array(bytes)
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')

/** Throws `Refusal('unavailable')` if too many wait for a thread. */
export class Prover {
  readonly #pool: WorkerPool<Proving>
  readonly #clock: Clock
  readonly #endorsements = new EndorsementMemory()

  constructor({ secrets, clock, onBug }: ProverOptions) {
    const module = new URL('./proving.ts', import.meta.url)
    const data = secrets.serverSecretParams.serialize()
    this.#pool = new WorkerPool({ module, data, onDeath: (cause) => onBug(cause, 'groups: proving') })
    this.#clock = clock
  }

  /**
   * The group's public parameters and a presentation of a daily credential for them, both in hexadecimal. Refuses (401)
   * what does not hold from a day before the credential's day to two days after its beginning.
   */
  async author({ username, password }: Credentials): Promise<GroupCaller> {
    const publicKey = decodeHex(username)
    const presentation = decodeHex(password)
    const proven =
      publicKey &&
      presentation &&
      (await this.#pool.call('author', own(publicKey), own(presentation), this.#clock.nowMs()))
    if (!proven) throw new Refusal('invalid-credentials')
    return { ...proven, publicKey: own(publicKey) }
  }

  /** What each of these proves for the group of that key; nothing for those that do not hold. */
  async profileKeys(
    publicKey: Bytes,
    presentations: readonly Uint8Array[],
  ): Promise<(presentation: Uint8Array) => ProvenProfileKey | undefined> {
    const nowMs = this.#clock.nowMs()
    const turns: Bytes[][] = []
    for (let at = 0; at < presentations.length; at += PRESENTATIONS_A_TURN)
      turns.push(presentations.slice(at, at + PRESENTATIONS_A_TURN).map(own))
    const proven = await Promise.all(
      turns.map((turn) => this.#pool.call('profileKeys', publicKey, turn, nowMs)),
    )
    const found = new Map(proven.flat().map((one, index) => [textOf(presentations[index]!), one]))
    return (presentation) => found.get(textOf(presentation))
  }

  /** Endorsements of these members for one another, serialized; the same for each of them. */
  endorse(members: readonly Uint8Array[]): Promise<Bytes> {
    const expiresAtMs = endorsementExpirationMs(this.#clock.nowMs())
    return this.#endorsements.of(members, expiresAtMs, () =>
      this.#pool.call('endorse', members.map(own), expiresAtMs),
    )
  }

  /** The server's signature, which members check with its public parameters. */
  sign(bytes: Uint8Array): Promise<Bytes> {
    return this.#pool.call('sign', own(bytes))
  }

  close(): Promise<void> {
    return this.#pool.close()
  }
}
