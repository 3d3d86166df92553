// Text as a picture that people read: points only, since whoever has the strokes has the letters.
import { type Point, type Stroke, strokesOf } from './glyphs.ts'
import { greyPng } from './png.ts'
import type { RandomStream } from './random-stream.ts'

export const PICTURE_WIDTH = 320
export const PICTURE_HEIGHT = 110

const PAPER = 246
const INK = 38
const LETTER_STEP = 47
const LEFT = 22
const TOP = 28
const UNIT = 9

type Wave = { readonly height: number; readonly length: number; readonly phase: number }

/** A PNG; the same for the same text and stream. */
export function drawPicture(text: string, random: RandomStream): Buffer {
  const canvas = new Canvas(PICTURE_WIDTH, PICTURE_HEIGHT)
  const waves = [waveOf(random, 5, 120), waveOf(random, 3, 70)] as const
  for (const [index, letter] of [...text].entries())
    for (const stroke of placed(strokesOf(letter), index, random))
      canvas.draw(bent(stroke, waves), random.between(4.2, 5.6))
  for (let i = 0; i < 2; i++) canvas.draw(bent(acrossAll(random), waves), random.between(1.8, 2.8))
  for (let i = 0; i < 8; i++) canvas.draw(bent(scratch(random), waves), random.between(1.5, 3.5))
  canvas.erase(bent(acrossAll(random), waves), random.between(1.2, 2))
  canvas.speckle(random, 600)
  return greyPng(PICTURE_WIDTH, canvas.shades)
}

const waveOf = (random: RandomStream, height: number, length: number): Wave => ({
  height: random.between(0.6, 1) * height,
  length: random.between(0.8, 1.3) * length,
  phase: random.between(0, 2 * Math.PI),
})

const shift = ({ height, length, phase }: Wave, at: number) =>
  height * Math.sin((2 * Math.PI * at) / length + phase)

/** A letter at its place: turned, leant, larger or smaller. */
function placed(strokes: readonly Stroke[], index: number, random: RandomStream): Stroke[] {
  const [turn, lean] = [random.between(-0.3, 0.3), random.between(-0.25, 0.25)]
  const [wide, high] = [random.between(0.75, 1.05) * UNIT, random.between(0.85, 1.15) * UNIT]
  const x0 = LEFT + index * LETTER_STEP + random.between(-4, 4)
  const y0 = TOP + random.between(-8, 8)
  const place = ([x, y]: Point): Point => {
    const [u, v] = [(x - 2) * wide + lean * (3 - y) * high, (y - 3) * high]
    return [
      x0 + 2 * UNIT + u * Math.cos(turn) - v * Math.sin(turn),
      y0 + 3 * UNIT + u * Math.sin(turn) + v * Math.cos(turn),
    ]
  }
  return strokes.map((stroke) => stroke.map(place))
}

/** A line through all letters. */
function acrossAll(random: RandomStream): Stroke {
  const wave = waveOf(random, 18, 240)
  const [from, to] = [random.between(25, 85), random.between(25, 85)]
  return Array.from({ length: 33 }, (_, i): Point => {
    const x = (i / 32) * PICTURE_WIDTH
    return [x, from + ((to - from) * i) / 32 + shift(wave, x)]
  })
}

function scratch(random: RandomStream): Stroke {
  const [x, y] = [random.between(0, PICTURE_WIDTH), random.between(8, PICTURE_HEIGHT - 8)]
  return [
    [x, y],
    [x + random.between(-16, 16), y + random.between(-12, 12)],
  ]
}

/** As many short pieces, each of them moved by the waves. */
function bent(stroke: Stroke, [down, aside]: readonly [Wave, Wave]): Stroke {
  const pieces = stroke.slice(1).flatMap((to, i) => {
    const from = stroke[i]!
    const steps = Math.max(1, Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1]) / 3))
    return Array.from({ length: steps }, (_, step): Point => {
      const part = (step + 1) / steps
      return [from[0] + (to[0] - from[0]) * part, from[1] + (to[1] - from[1]) * part]
    })
  })
  return [stroke[0]!, ...pieces].map(([x, y]): Point => [x + shift(aside, y), y + shift(down, x)])
}

class Canvas {
  readonly shades: Uint8Array
  readonly #width: number
  readonly #height: number

  constructor(width: number, height: number) {
    this.#width = width
    this.#height = height
    this.shades = new Uint8Array(width * height).fill(PAPER)
  }

  draw(stroke: Stroke, thickness: number): void {
    this.#along(stroke, thickness, INK)
  }

  erase(stroke: Stroke, thickness: number): void {
    this.#along(stroke, thickness, PAPER)
  }

  speckle(random: RandomStream, count: number): void {
    for (let i = 0; i < count; i++)
      this.shades[random.below(this.shades.length)] = Math.round(random.between(INK, PAPER))
  }

  #along(stroke: Stroke, thickness: number, shade: number): void {
    for (let i = 1; i < stroke.length; i++) this.#segment(stroke[i - 1]!, stroke[i]!, thickness / 2, shade)
  }

  /** Every point near a segment, the more of the shade the nearer. */
  #segment(a: Point, b: Point, radius: number, shade: number): void {
    const reach = radius + 1
    const [left, right] = [Math.min(a[0], b[0]) - reach, Math.max(a[0], b[0]) + reach]
    const [top, bottom] = [Math.min(a[1], b[1]) - reach, Math.max(a[1], b[1]) + reach]
    for (let y = Math.max(0, Math.floor(top)); y <= Math.min(this.#height - 1, bottom); y++)
      for (let x = Math.max(0, Math.floor(left)); x <= Math.min(this.#width - 1, right); x++) {
        const cover = Math.min(1, Math.max(0, radius + 0.5 - distance([x, y], a, b)))
        if (cover > 0) this.#mix(y * this.#width + x, shade, cover)
      }
  }

  #mix(at: number, shade: number, cover: number): void {
    const was = this.shades[at]!
    this.shades[at] = Math.round(was + (shade - was) * cover)
  }
}

function distance([x, y]: Point, [ax, ay]: Point, [bx, by]: Point): number {
  const [dx, dy] = [bx - ax, by - ay]
  const length = dx * dx + dy * dy
  const part = length === 0 ? 0 : Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / length))
  return Math.hypot(x - ax - part * dx, y - ay - part * dy)
}
