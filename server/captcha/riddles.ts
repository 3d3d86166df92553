// The picture or the sound of a challenge, the same each time it is asked for.
import type { Limits } from '../kit/limits.ts'
import { WorkerPool } from '../kit/worker-pool.ts'
import type { Challenges } from './challenges.ts'
import type { RenderingFunctions } from './rendering.ts'

export type RiddlesOptions = {
  readonly secret: Uint8Array
  readonly challenges: Challenges
  readonly limits: Limits
  readonly onBug: (error: unknown, where: string) => void
}

/** Beyond these, who wants one is told to come back. */
const MAX_WAITING = 64

export class Riddles {
  readonly #challenges: Challenges
  readonly #limits: Limits
  readonly #pool: WorkerPool<RenderingFunctions>

  constructor({ secret, challenges, limits, onBug }: RiddlesOptions) {
    this.#challenges = challenges
    this.#limits = limits
    this.#pool = new WorkerPool({
      module: new URL('./rendering.ts', import.meta.url),
      data: secret,
      size: 1,
      maxWaiting: MAX_WAITING,
      onDeath: (cause) => onBug(cause, 'captcha.rendering'),
    })
  }

  /** A PNG or a WAV; nothing for what is no challenge, or over. Refuses (503) when too many want one. */
  async render(kind: 'picture' | 'sound', challenge: string, address: string): Promise<Buffer | undefined> {
    await this.#limits.take('captchaRender', address)
    const found = this.#challenges.riddleOf(kind, challenge)
    return found && Buffer.from(await this.#pool.call(kind, found.answer, found.id))
  }

  close(): Promise<void> {
    return this.#pool.close()
  }
}
