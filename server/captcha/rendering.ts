// Inside a thread of the pool: pictures are drawn and sounds are mixed, some milliseconds each.
import { drawPicture } from './picture.ts'
import { RandomStream } from './random-stream.ts'
import { sayDigits } from './sound.ts'

export type RenderingFunctions = {
  /** A PNG of the letters; always the same for one challenge. */
  picture(text: string, id: string): Uint8Array
  /** A WAV of the digits; always the same for one challenge. */
  sound(text: string, id: string): Uint8Array
}

export const open = (secret: Uint8Array): RenderingFunctions => ({
  picture: (text, id) => drawPicture(text, new RandomStream(secret, id)),
  sound: (text, id) => sayDigits(text, new RandomStream(secret, id)),
})
