// The picture or the sound of a challenge, the same each time it is asked for.
import type { Limits } from '../kit/limits.ts'
import type { Challenges } from './challenges.ts'
import { drawPicture } from './picture.ts'
import { RandomStream } from './random-stream.ts'
import { sayDigits } from './sound.ts'

export class Riddles {
  readonly #secret: Uint8Array
  readonly #challenges: Challenges
  readonly #limits: Limits

  constructor(secret: Uint8Array, challenges: Challenges, limits: Limits) {
    this.#secret = secret
    this.#challenges = challenges
    this.#limits = limits
  }

  /** A PNG or a WAV, made in some milliseconds; nothing for what is no challenge, or over. */
  async render(kind: 'picture' | 'sound', challenge: string, address: string): Promise<Buffer | undefined> {
    await this.#limits.take('captchaRender', address)
    const found = this.#challenges.riddleOf(kind, challenge)
    if (!found) return undefined
    const random = new RandomStream(this.#secret, found.id)
    return kind === 'picture' ? drawPicture(found.answer, random) : sayDigits(found.answer, random)
  }
}
