// Letters and digits as strokes, in a box 4 wide and 6 high; none of them is easily taken for another.

export type Point = readonly [x: number, y: number]
export type Stroke = readonly Point[]

const GLYPHS: Readonly<Record<string, string>> = {
  A: '0,6 2,0 4,6|0.8,4 3.2,4',
  C: '4,1 3,0.2 1.6,0 0.4,1.2 0,3 0.4,4.8 1.6,6 3,5.8 4,5',
  E: '4,0 0,0 0,6 4,6|0,3 3,3',
  F: '4,0 0,0 0,6|0,3 3,3',
  H: '0,0 0,6|4,0 4,6|0,3 4,3',
  J: '1,0 4,0|3,0 3,4.6 2.3,5.8 1.1,6 0.2,5 0,4.2',
  K: '0,0 0,6|4,0 0,3.4|1.2,2.6 4,6',
  L: '0,0 0,6 4,6',
  M: '0,6 0.4,0 2,4 3.6,0 4,6',
  N: '0,6 0,0 4,6 4,0',
  P: '0,6 0,0 2.6,0 3.8,0.8 3.8,2.4 2.6,3.2 0,3.2',
  R: '0,6 0,0 2.6,0 3.8,0.8 3.8,2.2 2.6,3 0,3|1.8,3 4,6',
  T: '0,0 4,0|2,0 2,6',
  U: '0,0 0,4 0.6,5.6 2,6 3.4,5.6 4,4 4,0',
  W: '0,0 1,6 2,2 3,6 4,0',
  X: '0,0 4,6|4,0 0,6',
  Y: '0,0 2,3 4,0|2,3 2,6',
  3: '0.2,0.6 1.2,0 2.8,0 3.8,1 3.6,2.3 2,2.9 3.6,3.5 4,4.8 3,5.9 1.2,6 0,5.3',
  4: '3,6 3,0 0,4 4,4',
  6: '3.6,0.4 2,0.4 0.6,2 0,4 0.6,5.6 2,6 3.4,5.6 4,4.4 3.4,3.2 2,2.8 0.6,3.4 0,4.2',
  7: '0,0 4,0 1.4,6|0.8,3 3.2,3',
  9: '0.4,5.6 2,5.6 3.4,4 4,2 3.4,0.4 2,0 0.6,0.4 0,1.6 0.6,2.8 2,3.2 3.4,2.6 4,1.8',
}

/** What a picture's text is made of. */
export const PICTURE_ALPHABET = Object.keys(GLYPHS).sort().join('')

const pointOf = (text: string): Point => text.split(',').map(Number) as unknown as Point

export const strokesOf = (letter: string): Stroke[] =>
  GLYPHS[letter]!.split('|').map((stroke) => stroke.split(' ').map(pointOf))
