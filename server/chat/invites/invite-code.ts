// What stands in an invite's link: 32 letters and digits, a name of the invite and a secret of 120 bits.
import { createHash } from 'node:crypto'
import type { E164 } from '../../../wire/types.ts'
import type { Random } from '../../kit/random.ts'

/** Crockford's base 32: what looks alike is one letter. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
const ID_LETTERS = 8
const LETTERS = 32
const GROUP = 8

export type InviteCode = {
  /** Names the invite; no secret. */
  readonly id: string
  /** All of it, as it is hashed. */
  readonly text: string
}

export function newInviteCode(random: Random): InviteCode {
  const text = Array.from(random.bytes(LETTERS), (byte) => ALPHABET[byte % ALPHABET.length]).join('')
  return { id: text.slice(0, ID_LETTERS), text }
}

/** As a person may type it; nothing if it is none. */
export function readInviteCode(typed: string): InviteCode | undefined {
  const text = typed.toLowerCase().replaceAll(/[\s-]/g, '').replaceAll('o', '0').replaceAll(/[il]/g, '1')
  const whole = text.length === LETTERS && [...text].every((letter) => ALPHABET.includes(letter))
  return whole ? { id: text.slice(0, ID_LETTERS), text } : undefined
}

/** In groups, as it is shown. */
export const groupedCode = ({ text }: InviteCode): string =>
  text.replaceAll(new RegExp(`.{${GROUP}}(?=.)`, 'g'), '$&-')

export const inviteHash = ({ text }: InviteCode): Buffer => createHash('sha256').update(text).digest()

/** Of the six digits; they are few, and are guarded by how few tries they have. */
export const digitsDigest = (inviteId: string, e164: E164, digits: string): Buffer =>
  createHash('sha256').update(`${inviteId}:${e164}:${digits}`).digest()
