// TupleHash256 (NIST SP 800-185 §5): a hash over several fields, in which no byte can move from one to its neighbour.
import { webcrypto } from 'node:crypto'

const FUNCTION_NAME = Buffer.from('TupleHash')

/**
 * `size` bytes of hash over the elements, for a purpose that `customization` names.
 * Nothing where Node's WebCrypto has no cSHAKE256 (before 24.7).
 */
export async function tupleHash256(
  elements: readonly Uint8Array[],
  customization: string,
  size: number,
): Promise<Uint8Array | undefined> {
  const input = Buffer.concat([
    ...elements.flatMap((one) => [leftEncode(one.length * 8), one]),
    rightEncode(size * 8),
  ])
  const algorithm = {
    name: 'cSHAKE256',
    outputLength: size * 8,
    functionName: FUNCTION_NAME,
    customization: Buffer.from(customization),
  }
  try {
    return new Uint8Array(await webcrypto.subtle.digest(algorithm, input))
  } catch (error) {
    if ((error as Error).name === 'NotSupportedError') return undefined
    throw error
  }
}

/** §2.3.1: the number of bytes, then the bytes, the most significant first. */
const leftEncode = (value: number): Buffer => {
  const bytes = bigEndian(value)
  return Buffer.concat([Buffer.of(bytes.length), bytes])
}

/** §2.3.1: the bytes, then their number. */
const rightEncode = (value: number): Buffer => {
  const bytes = bigEndian(value)
  return Buffer.concat([bytes, Buffer.of(bytes.length)])
}

function bigEndian(value: number): Buffer {
  const hex = value.toString(16)
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex')
}
