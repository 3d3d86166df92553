import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as der from './der.ts'

const cases: [what: string, bytes: Buffer, hex: string][] = [
  ['an empty sequence', der.sequence(), '3000'],
  ['zero', der.integer(Buffer.of(0)), '020100'],
  ['127', der.integer(Buffer.of(127)), '02017f'],
  ['128, which needs a leading zero to stay positive', der.integer(Buffer.of(128)), '02020080'],
  ['256 without the zeros in front', der.integer(Buffer.of(0, 0, 1, 0)), '02020100'],
  ['a small object identifier', der.oid('2.5.29.15'), '0603551d0f'],
  ['an object identifier with long arcs', der.oid('1.2.840.113549'), '06062a864886f70d'],
  ['true', der.boolean(true), '0101ff'],
  ['bits', der.bitString(Buffer.of(0x06), 1), '03020106'],
  ['a time through 2049', der.time(Date.UTC(2049, 11, 31, 23, 59, 59)), '170d3439313233313233353935395a'],
  ['a time from 2050', der.time(Date.UTC(2050, 0, 1)), '180f32303530303130313030303030305a'],
  ['an explicit tag', der.explicit(3, der.boolean(false)), 'a303010100'],
  ['an implicit tag', der.implicit(2, Buffer.from('a')), '820161'],
]

for (const [what, bytes, hex] of cases) {
  test(`${what} is ${hex}`, () => assert.equal(bytes.toString('hex'), hex))
}

test('a length takes one octet below 128, two below 256, then three', () => {
  const head = (length: number) => der.octetString(Buffer.alloc(length)).subarray(0, -length).toString('hex')
  assert.equal(head(127), '047f')
  assert.equal(head(128), '048180')
  assert.equal(head(255), '0481ff')
  assert.equal(head(256), '04820100')
  assert.equal(head(65_535), '0482ffff')
  assert.throws(() => head(65_536), RangeError)
})
