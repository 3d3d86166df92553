// Where a code would go, as far as money is concerned: the country, the prefix, and what the number's range is for.
import { parsePhoneNumberFromString } from 'libphonenumber-js/max'
import type { E164 } from '../../../../wire/types.ts'
import type { NumberType } from '../../../kit/config-codes.ts'
import { canonicalForm } from '../../accounts/number-forms.ts'

export type Destination = {
  /** `DE`; `+883` where no country has the calling code, or nobody knows which of several it is. */
  readonly country: string
  /** `+49` */
  readonly callingCode: string
  /** `+49151`: the calling code and some digits more. */
  readonly prefix: string
  readonly type: NumberType
}

/** Of a number that is possible. */
export function destinationOf(e164: E164, prefixDigits: number): Destination {
  const canonical = canonicalForm(e164)
  const number = parsePhoneNumberFromString(canonical)
  if (!number) throw new RangeError('not a phone number')
  const callingCode = `+${number.countryCallingCode}`
  return {
    country: number.country ?? callingCode,
    callingCode,
    prefix: canonical.slice(0, callingCode.length + prefixDigits),
    type: (number.getType()?.toLowerCase().replaceAll('_', '-') ?? 'unknown') as NumberType,
  }
}
