import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CountryCode } from 'libphonenumber-js'
import examples from 'libphonenumber-js/examples.mobile.json'
import { getCountries, getCountryCallingCode } from 'libphonenumber-js/max'
import type { E164 } from '../../../wire/types.ts'
import { canonicalForm } from './number-forms.ts'
import { acceptedForm, readPhoneNumber } from './phone-number.ts'

const exampleOf = (country: CountryCode) => `+${getCountryCallingCode(country)}${examples[country]}`

test('a mobile number of every country is taken as libphonenumber writes it', () => {
  const countries = getCountries().filter((country) => country in examples)
  assert.ok(countries.length > 230)
  for (const country of countries) {
    const number = exampleOf(country)
    assert.deepEqual([country, readPhoneNumber(number)], [country, { kind: 'valid', e164: number }])
  }
})

// As Signal's own server judges them.
const JUDGED: readonly (readonly [string, string])[] = [
  ['+12025550123', 'valid'],
  ['+390612345678', 'valid'],
  ['+80012345678', 'valid'],
  ['+883510012345678', 'valid'],
  ['+2290190011234', 'valid'],
  ['+22990011234', 'obsolete'],
  ['+541123456789', 'valid'],
  ['+5491123456789', 'valid'],
  ['+525512345678', 'valid'],
  // Mexico's 1 is gone.
  ['+5215512345678', 'impossible'],
  ['+4407911123456', '+447911123456'],
  ['+44 7911 123456', '+447911123456'],
  ['+44-7911-123456', '+447911123456'],
  ['+112025550123', '+12025550123'],
  // The country's code, twice.
  ['+3939312345678', '+39312345678'],
  ['+44447911123456', 'impossible'],
  ['12025550123', 'impossible'],
  ['0012025550123', 'impossible'],
  ['+1', 'impossible'],
  ['+', 'impossible'],
  ['', 'impossible'],
  ['+99912345678', 'impossible'],
  ['+12025550123;ext=7', '+12025550123'],
  ['not a number', 'impossible'],
  ['__no_number__', 'impossible'],
]

test('numbers are judged as Signal judges them', () => {
  const told = JUDGED.map(([number]) => {
    const read = readPhoneNumber(number)
    return [number, read.kind === 'not-normalized' ? read.normalized : read.kind]
  })
  assert.deepEqual(told, JUDGED)
})

const CLASSES: readonly (readonly [E164, ...E164[]])[] = [
  ['+2290190011234', '+22990011234'],
  ['+525512345678', '+5215512345678'],
  ['+5491123456789', '+541123456789'],
  ['+5493512345678', '+543512345678'],
] as never

test('R1: every form of a number has one canonical form, which is a number that is taken', () => {
  for (const [canonical, ...others] of CLASSES) {
    for (const form of [canonical, ...others]) assert.equal(canonicalForm(form), canonical)
    assert.equal(readPhoneNumber(canonical).kind, 'valid')
    for (const form of others) {
      const known = readPhoneNumber(form).kind === 'valid' ? form : canonical
      assert.equal(acceptedForm(form), known)
    }
  }
})

test('R1: numbers of other people and other countries are never taken for one another', () => {
  const alike = [
    // Ten digits of Benin that do not begin with 01 are no older form.
    ['+2291234567890', '+22934567890'],
    ['+5491123456789', '+5591123456789'],
    ['+5255123456780', '+525512345678'],
    ['+12025550123', '+112025550123'],
    ['+390612345678', '+39612345678'],
  ]
  for (const [one, other] of alike) assert.notEqual(canonicalForm(one as E164), canonicalForm(other as E164))
  const all = getCountries()
    .filter((country) => country in examples)
    .map(exampleOf)
  assert.equal(new Set(all.map((number) => canonicalForm(number as E164))).size, new Set(all).size)
  for (const number of all)
    assert.equal(canonicalForm(canonicalForm(number as E164)), canonicalForm(number as E164))
})
