// People as a group's server sees them: ciphertexts of their ids, and presentations that prove a profile key.

import type { Author, EngineContext } from '../../server/storage/groups/engine.ts'
import { USER_ID_BYTES } from '../../server/storage/groups/user-id.ts'

type Bytes = Uint8Array<ArrayBuffer>

/** 65 bytes, the first of them zero as in a real ciphertext. */
function idFor(number: number, kind: number): Bytes {
  const id = new Uint8Array(USER_ID_BYTES)
  new DataView(id.buffer).setUint16(1, number)
  return id.fill(kind, 3)
}

export type Person = {
  readonly number: number
  readonly aci: Bytes
  readonly pni: Bytes
  readonly profileKey: Bytes
  /** By ACI and PNI, as today's credentials are. */
  readonly author: Author
}

export function person(number: number): Person {
  const [aci, pni] = [idFor(number, 0xa), idFor(number, 0xb)]
  return { number, aci, pni, profileKey: profileKeyOf(number, 1), author: { userId: aci, pniUserId: pni } }
}

export const people = (count: number, first = 1): Person[] =>
  Array.from({ length: count }, (_, index) => person(first + index))

export function profileKeyOf(number: number, generation: number): Bytes {
  const key = new Uint8Array(65).fill(generation)
  new DataView(key.buffer).setUint16(1, number)
  return key
}

/** What stands for a zkgroup presentation here: whom, and which of their profile keys. */
export const presentationOf = ({ number }: Person, generation = 1): Bytes =>
  new TextEncoder().encode(`shows ${number} ${generation}`)

/** Believes what `presentationOf` made, and nothing else. */
export const show: EngineContext['show'] = (presentation) => {
  const [, number, generation] = /^shows (\d+) (\d+)$/.exec(Buffer.from(presentation).toString()) ?? []
  if (number === undefined || generation === undefined) return undefined
  return { userId: person(Number(number)).aci, profileKey: profileKeyOf(Number(number), Number(generation)) }
}
