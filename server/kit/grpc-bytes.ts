import { Refusal } from './refusal.ts'

/** The bytes of a field; refuses (CONSTRAINT_VIOLATED) if they are fewer or more than they may be. */
export function sizedBytes(
  field: string,
  bytes: Uint8Array,
  size: { readonly min: number; readonly max?: number },
): Uint8Array {
  if (bytes.length >= size.min && bytes.length <= (size.max ?? Number.POSITIVE_INFINITY)) return bytes
  throw new Refusal('invalid', { field, message: 'must have the right size' })
}

export const exactBytes = (field: string, bytes: Uint8Array, size: number): Uint8Array =>
  sizedBytes(field, bytes, { min: size, max: size })
