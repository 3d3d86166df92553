import assert from 'node:assert/strict'
import { test } from 'node:test'
import { preferredLanguages } from './accept-language.ts'

test('languages come in the order of their weight, equals in the order in which they stand', () => {
  assert.deepEqual(preferredLanguages('de-CH, de;q=0.9, en;q=0.8, fr ;q=0.85'), ['de-CH', 'de', 'fr', 'en'])
  assert.deepEqual(preferredLanguages('zh-Hant-TW,ar'), ['zh-Hant-TW', 'ar'])
})

test('what is no language, or is not wanted, is left out', () => {
  for (const header of [undefined, '', '*', ',,;', 'a', '12', 'en;q=0', 'de;q=x', 'x'.repeat(5000), '<Say>'])
    assert.deepEqual(preferredLanguages(header), [], header)
  assert.deepEqual(preferredLanguages('*, en_US, da'), ['da'])
})

test('of a long list the beginning is read', () => {
  assert.equal(preferredLanguages(Array(10_000).fill('en').join(',')).length, 16)
})
