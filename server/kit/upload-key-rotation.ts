// The upload keys of a running process follow its file of secrets, whoever changes it: this process, another that
// shares the folder, or a command while none runs.
import { z } from 'zod'
import type { Clock, Timer } from './clock.ts'
import { type ControlCall, ControlError, controlCall } from './control.ts'
import { PrivateFolder, SecretsError } from './private-folder.ts'
import { changeUploadKeys, SECRETS_FILE, type Secrets } from './secrets.ts'
import {
  forgotten,
  HANDOVER_MS,
  LOOK_EVERY_MS,
  newUploadKeys,
  rotated,
  type UploadKeyRing,
} from './upload-keys.ts'

export type RotateOptions = {
  /** The old keys are known to somebody: what they signed is worth nothing any more, and the new ones sign at once. */
  readonly forgetOld?: boolean
}

export type Rotated = {
  readonly keys: UploadKeyRing
  /** From then on the new keys sign. */
  readonly signsFromMs: number
}

/** New keys, on disk when this returns. Throws `SecretsError`. */
export async function rotateUploadKeys(
  folder: string,
  nowMs: number,
  { forgetOld = false }: RotateOptions = {},
): Promise<Rotated> {
  const keys = await changeUploadKeys(folder, (old) => (forgetOld ? newUploadKeys() : rotated(old, nowMs)))
  return { keys, signsFromMs: forgetOld ? nowMs : nowMs + HANDOVER_MS }
}

export type UploadKeyRotationOptions = {
  /** Of the secrets. */
  readonly folder: string
  readonly secrets: Pick<Secrets, 'uploads'>
  readonly clock: Clock
  /** Waited for: who else has to know the keys knows them before they sign. */
  readonly onChanged?: () => Promise<void>
  readonly onBug: (error: unknown, where: string) => void
}

export class UploadKeyRotation {
  readonly #options: UploadKeyRotationOptions
  readonly #timer: Timer
  #seen: string | undefined
  #isLooking = false
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: UploadKeyRotationOptions) {
    this.#options = options
    this.#timer = options.clock.every(LOOK_EVERY_MS, () => {
      if (this.#isLooking) return
      this.#isLooking = true
      this.look()
        .catch((error) => options.onBug(error, 'upload keys'))
        .finally(() => {
          this.#isLooking = false
        })
    })
  }

  /** Gives when the new keys begin to sign. Throws `SecretsError`; then the old ones are in force. */
  rotate(options: RotateOptions = {}): Promise<number> {
    const { folder, secrets, clock } = this.#options
    return this.#next(async () => {
      const { keys, signsFromMs } = await rotateUploadKeys(folder, clock.nowMs(), options)
      secrets.uploads.become(keys)
      await this.#options.onChanged?.()
      return signsFromMs
    })
  }

  /** For `heliograph secrets rotate uploads`. */
  get call(): ControlCall {
    return controlCall(
      'secrets rotate uploads',
      z.strictObject({ forgetOld: z.boolean() }),
      async (options) => {
        const signsFromMs = await this.rotate(options).catch((error) => {
          throw error instanceof SecretsError ? new ControlError(error.message) : error
        })
        return { signsFromMs }
      },
    )
  }

  /** Takes what is in the file, if it is another than at the last look, and removes from it what has ended. */
  look(): Promise<void> {
    return this.#next(() => this.#look())
  }

  async close(): Promise<void> {
    this.#timer.cancel()
    await this.#turn
  }

  #next<T>(action: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(action)
    this.#turn = mine.catch(() => {})
    return mine
  }

  async #look(): Promise<void> {
    const { folder, secrets, clock } = this.#options
    const version = await (await PrivateFolder.open(folder)).versionOf(SECRETS_FILE)
    const isChanged = version !== undefined && version !== this.#seen
    if (!isChanged && !secrets.uploads.hasEnded(clock.nowMs())) return
    secrets.uploads.become(await changeUploadKeys(folder, (keys) => forgotten(keys, clock.nowMs())))
    await this.#options.onChanged?.()
    this.#seen = version
  }
}
