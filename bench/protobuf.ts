// Protobuf by hand, for the floors and the generator: nothing here checks what it need not check.

export const VARINT = 0
export const FIXED64 = 1
export const BYTES = 2
export const FIXED32 = 5

/** The bytes that a whole number below 2^53 takes as a varint. */
export function varintSize(value: number): number {
  let size = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++
  return size
}

export function putVarint(to: Uint8Array, at: number, value: number): number {
  let rest = value
  let next = at
  while (rest >= 0x80000000) {
    to[next++] = (rest % 0x80) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  while (rest >= 0x80) {
    to[next++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  to[next++] = rest
  return next
}

/** The key of a field below 16, which is one byte. */
export const key = (field: number, wireType: number): number => (field << 3) | wireType

export function putNumber(to: Uint8Array, at: number, field: number, value: number): number {
  to[at] = key(field, VARINT)
  return putVarint(to, at + 1, value)
}

/** Writes the key and the length of a field below 16 whose bytes follow. */
export function putLength(to: Uint8Array, at: number, field: number, length: number): number {
  to[at] = key(field, BYTES)
  return putVarint(to, at + 1, length)
}

export function numberField(field: number, value: number): Buffer {
  return Buffer.concat([varint(field << 3), varint(value)])
}

export function bytesField(field: number, bytes: Uint8Array | string): Buffer {
  const body = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
  return Buffer.concat([varint((field << 3) | BYTES), varint(body.length), body])
}

function varint(value: number): Buffer {
  const bytes = Buffer.alloc(varintSize(value))
  putVarint(bytes, 0, value)
  return bytes
}

/** Walks over the fields of a message: `next()`, then `field`, and `number` or `start` and `end` of the bytes. */
export class Fields {
  buffer: Uint8Array
  at: number
  limit: number
  field = 0
  number = 0
  /** Where the field's value begins; for bytes, after their length. */
  start = 0
  end = 0

  constructor(buffer: Uint8Array, at = 0, limit = buffer.length) {
    this.buffer = buffer
    this.at = at
    this.limit = limit
  }

  over(buffer: Uint8Array, at: number, limit: number): this {
    this.buffer = buffer
    this.at = at
    this.limit = limit
    return this
  }

  next(): boolean {
    if (this.at >= this.limit) return false
    const tag = this.varint()
    this.field = tag >>> 3
    this.start = this.at
    this.skip(tag & 7)
    this.end = this.at
    if (this.end > this.limit) throw new Error('a field runs over the end of its message')
    return true
  }

  private skip(wireType: number): void {
    if (wireType === VARINT) {
      this.number = this.varint()
    } else if (wireType === BYTES) {
      const length = this.varint()
      this.start = this.at
      this.at += length
    } else if (wireType === FIXED64 || wireType === FIXED32) {
      this.at += wireType === FIXED64 ? 8 : 4
    } else {
      throw new Error(`wire type ${wireType}`)
    }
  }

  private varint(): number {
    const { buffer } = this
    let byte = buffer[this.at++]!
    if (byte < 0x80) return byte
    let value = byte & 0x7f
    let scale = 0x80
    do {
      byte = buffer[this.at++]!
      value += (byte & 0x7f) * scale
      scale *= 0x80
    } while (byte >= 0x80)
    return value
  }
}
