// The first six bytes of each payload say whose message it is: sender u24be, sequence u24be. The rest is random.

const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')

/** Six bytes in base64, to be found in a body and written over. */
export const FRESH_MARK = '////////'
export const MAX_SEQUENCE = 0xffffff

export function writeMark(to: Uint8Array, at: number, sender: number, sequence: number): void {
  to[at] = sender >>> 16
  to[at + 1] = sender >>> 8
  to[at + 2] = sender
  to[at + 3] = sequence >>> 16
  to[at + 4] = sequence >>> 8
  to[at + 5] = sequence
}

export function markAsBase64(
  sender: number,
  sequence: number,
  put: (offset: number, byte: number) => void,
): void {
  for (let digit = 0; digit < 4; digit++) {
    const shift = 18 - 6 * digit
    put(digit, ALPHABET[(sender >>> shift) & 63]!)
    put(4 + digit, ALPHABET[(sequence >>> shift) & 63]!)
  }
}

export function readMark(from: Buffer, at: number): { sender: number; sequence: number } {
  return { sender: from.readUIntBE(at, 3), sequence: from.readUIntBE(at + 3, 3) }
}
