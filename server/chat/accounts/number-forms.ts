// Some numbers are written in several ways and ring the same telephone: one of them stands for all (signal-api §0.2).
import type { E164 } from '../../../wire/types.ts'

type Form = { readonly other: RegExp; readonly canonical: string }

const FORMS: readonly Form[] = [
  // Benin put 01 before its eight digits on 2024-11-30.
  { other: /^\+229(\d{8})$/, canonical: '+22901$1' },
  // Mexico wanted a 1 before mobile numbers until 2019.
  { other: /^\+521(\d{10})$/, canonical: '+52$1' },
  // Argentina wants a 9 before mobile numbers from abroad only.
  { other: /^\+54([1-8]\d{9})$/, canonical: '+549$1' },
]

/** The form by which a number is known: the same for every way to write it. */
export function canonicalForm(e164: E164): E164 {
  for (const { other, canonical } of FORMS)
    if (other.test(e164)) return e164.replace(other, canonical) as E164
  return e164
}
