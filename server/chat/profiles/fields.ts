// The sizes of fields that come without a schema. Each reader refuses what breaks the contract (CONSTRAINT_VIOLATED).
import { type Aci, decodeHex, isPni, type ServiceId } from '../../../wire/types.ts'
import { Refusal } from '../../kit/refusal.ts'

export function violated(field: string, message: string): never {
  throw new Refusal('invalid', { field, message })
}

export function sized(field: string, bytes: Uint8Array, ...sizes: readonly number[]): Uint8Array {
  return sizes.includes(bytes.length) ? bytes : violated(field, 'must have the right size')
}

/** Protobuf's empty bytes are an absent value. */
export function sizedOrAbsent(field: string, bytes: Uint8Array, size: number): Uint8Array | undefined {
  return sized(field, bytes, 0, size).length === 0 ? undefined : bytes
}

export function between(field: string, value: number, min: number, max: number): number {
  return value >= min && value <= max ? value : violated(field, `must be from ${min} to ${max}`)
}

export function readAci(field: string, id: ServiceId): Aci {
  return isPni(id) ? violated(field, 'must be an ACI') : id
}

export function readHex(field: string, text: string, size: number): Uint8Array {
  return sized(field, decodeHex(text) ?? violated(field, 'must be hexadecimal'), size)
}
