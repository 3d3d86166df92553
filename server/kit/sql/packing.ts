// Values as bytes, so that a batch of statements crosses to a worker thread as one transferred buffer.
import type { SqlValue } from './sql.ts'

// value = tag, then: null nothing · int i64 · real f64 · text u32 length, UTF-8 · bytes u32 length, raw (all little-endian)
const NULL = 0
const INT = 1
const REAL = 2
const TEXT = 3
const BYTES = 4

const TWO_POW_32 = 0x1_0000_0000

export class Packer {
  #bytes: Buffer
  #view: DataView
  at = 0

  constructor(initialBytes: number) {
    this.#bytes = Buffer.allocUnsafeSlow(initialBytes)
    this.#view = new DataView(this.#bytes.buffer)
  }

  /** Hands the buffer over; the packer is of no use afterwards. */
  finish(): ArrayBuffer {
    return this.#bytes.buffer as ArrayBuffer
  }

  byte(value: number): void {
    this.#room(1)
    this.#view.setUint8(this.at++, value)
  }

  count(value: number): void {
    this.#room(4)
    this.#view.setUint32(this.at, value, true)
    this.at += 4
  }

  /** Overwrites the count that was packed at `at`. */
  patch(at: number, value: number): void {
    this.#view.setUint32(at, value, true)
  }

  text(value: string): void {
    this.#room(4 + value.length * 3)
    const length = this.#bytes.write(value, this.at + 4)
    this.#view.setUint32(this.at, length, true)
    this.at += 4 + length
  }

  value(value: SqlValue): void {
    if (typeof value === 'string') {
      this.byte(TEXT)
      this.text(value)
    } else if (typeof value === 'number') this.#number(value)
    else if (value === null) this.byte(NULL)
    else this.#blob(value)
  }

  #number(value: number): void {
    this.#room(9)
    if (Number.isSafeInteger(value)) {
      this.#view.setUint8(this.at, INT)
      this.#view.setUint32(this.at + 1, value, true)
      this.#view.setInt32(this.at + 5, Math.floor(value / TWO_POW_32), true)
    } else {
      this.#view.setUint8(this.at, REAL)
      this.#view.setFloat64(this.at + 1, value, true)
    }
    this.at += 9
  }

  #blob(value: Uint8Array): void {
    this.#room(5 + value.length)
    this.#view.setUint8(this.at, BYTES)
    this.#view.setUint32(this.at + 1, value.length, true)
    this.#bytes.set(value, this.at + 5)
    this.at += 5 + value.length
  }

  #room(bytes: number): void {
    if (this.at + bytes <= this.#bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.at + bytes))
    larger.set(this.#bytes.subarray(0, this.at))
    this.#bytes = larger
    this.#view = new DataView(larger.buffer)
  }
}

export class Unpacker {
  readonly #bytes: Buffer
  readonly #view: DataView
  #at = 0

  constructor(packed: ArrayBuffer) {
    this.#bytes = Buffer.from(packed)
    this.#view = new DataView(packed)
  }

  byte(): number {
    return this.#view.getUint8(this.#at++)
  }

  count(): number {
    const value = this.#view.getUint32(this.#at, true)
    this.#at += 4
    return value
  }

  text(): string {
    const end = this.#at + 4 + this.#view.getUint32(this.#at, true)
    const value = this.#bytes.toString('utf8', this.#at + 4, end)
    this.#at = end
    return value
  }

  /** Bytes come out as a view of the packed buffer, integers as numbers. */
  value(): SqlValue {
    const tag = this.byte()
    if (tag === INT) return this.#integer()
    if (tag === BYTES) return this.#blob()
    if (tag === TEXT) return this.text()
    return tag === REAL ? this.#real() : null
  }

  /** The same with integers as bigints, which SQLite binds as integers (numbers it would bind as reals). */
  binding(): SqlValue | bigint {
    if (this.#view.getUint8(this.#at) !== INT) return this.value()
    this.#at += 9
    return this.#view.getBigInt64(this.#at - 8, true)
  }

  #integer(): number {
    const low = this.#view.getUint32(this.#at, true)
    const high = this.#view.getInt32(this.#at + 4, true)
    this.#at += 8
    return high * TWO_POW_32 + low
  }

  #real(): number {
    this.#at += 8
    return this.#view.getFloat64(this.#at - 8, true)
  }

  #blob(): Buffer {
    const start = this.#at + 4
    this.#at = start + this.#view.getUint32(this.#at, true)
    return this.#bytes.subarray(start, this.#at)
  }
}
