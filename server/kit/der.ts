// The few forms of DER (X.690) that a certificate is made of. They are only written here, never read.

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const

/** X.690 §8.1.3: one octet below 128, else the count of the octets that follow and the length in them. */
function lengthOctets(length: number): Buffer {
  if (length < 0x80) return Buffer.of(length)
  return length < 0x100 ? Buffer.of(0x81, length) : Buffer.of(0x82, length >> 8, length & 0xff)
}

function tagged(tag: number, ...parts: Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  if (content.length > 0xffff) throw new RangeError('DER: longer than 65535 octets')
  return Buffer.concat([Buffer.of(tag), lengthOctets(content.length), content])
}

/** X.690 §8.19: seven bits an octet, most significant first, the high bit on all but the last. */
function base128(value: number): number[] {
  const octets = [value & 0x7f]
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) octets.unshift((rest & 0x7f) | 0x80)
  return octets
}

export const sequence = (...items: Uint8Array[]) => tagged(TAG.sequence, ...items)
export const set = (...items: Uint8Array[]) => tagged(TAG.set, ...items)
export const boolean = (value: boolean) => tagged(TAG.boolean, Buffer.of(value ? 0xff : 0))
export const octetString = (bytes: Uint8Array) => tagged(TAG.octetString, bytes)
export const utf8String = (text: string) => tagged(TAG.utf8String, Buffer.from(text))

export const bitString = (bytes: Uint8Array, unusedBits = 0) =>
  tagged(TAG.bitString, Buffer.of(unusedBits), bytes)

/** An unsigned number, most significant octet first. */
export function integer(bytes: Uint8Array): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0)
  const digits = first < 0 ? Buffer.of(0) : bytes.subarray(first)
  return tagged(TAG.integer, Buffer.of(...(digits[0]! & 0x80 ? [0] : [])), digits)
}

/** `1.2.840.10045.4.3.2` */
export function oid(dotted: string): Buffer {
  const [first, second, ...rest] = dotted.split('.').map(Number) as [number, number, ...number[]]
  return tagged(TAG.oid, Buffer.from([first * 40 + second, ...rest].flatMap(base128)))
}

/** RFC 5280 §4.1.2.5: whole seconds, in UTCTime through 2049 and in GeneralizedTime from 2050. */
export function time(ms: number): Buffer {
  const text = `${new Date(ms).toISOString().slice(0, 19).replaceAll(/\D/g, '')}Z`
  const isUtcTime = new Date(ms).getUTCFullYear() < 2050
  return tagged(isUtcTime ? TAG.utcTime : TAG.generalizedTime, Buffer.from(isUtcTime ? text.slice(2) : text))
}

/** `[n]` around whole values. */
export const explicit = (n: number, ...items: Uint8Array[]) => tagged(0xa0 | n, ...items)
/** `[n]` in place of the tag of a primitive value. */
export const implicit = (n: number, content: Uint8Array) => tagged(0x80 | n, content)
