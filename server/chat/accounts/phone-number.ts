// Which numbers we take, and in what form (signal-api §0.2).
import { type PhoneNumber as ParsedNumber, parsePhoneNumberFromString } from 'libphonenumber-js/max'
import type { E164 } from '../../../wire/types.ts'
import { canonicalForm } from './number-forms.ts'

export type PhoneNumber =
  | { readonly kind: 'valid'; readonly e164: E164 }
  | { readonly kind: 'impossible' }
  | { readonly kind: 'not-normalized'; readonly normalized: E164 }
  | { readonly kind: 'obsolete' }

/** Benin put `01` before its eight-digit numbers; the old form is the same subscriber's. */
const OLD_BENIN = /^\+229\d{8}$/

/** Judges a number as a client wrote it. */
export function readPhoneNumber(text: string): PhoneNumber {
  if (OLD_BENIN.test(text)) return { kind: 'obsolete' }
  const parsed = parsePhoneNumberFromString(text)
  if (!parsed?.isPossible()) return { kind: 'impossible' }
  const normalized = normalizedOf(parsed)
  return normalized === text ? { kind: 'valid', e164: normalized } : { kind: 'not-normalized', normalized }
}

/** Read again without the country's code: some write it twice. No country has the others. */
function normalizedOf(parsed: ParsedNumber): E164 {
  const { nationalNumber, countryCallingCode: defaultCallingCode } = parsed
  const again = parsed.isNonGeographic()
    ? parsed
    : parsePhoneNumberFromString(nationalNumber, { defaultCallingCode })
  return (again ?? parsed).number as string as E164
}

/** A number as its account will have it: as it was written, or as it is known if it is not written so any more. */
export const acceptedForm = (text: string): E164 =>
  readPhoneNumber(text).kind === 'valid' ? (text as E164) : canonicalForm(text as E164)
