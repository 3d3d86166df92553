import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ServiceId as LibsignalServiceId } from '@signalapp/libsignal-client'
import fc from 'fast-check'
import {
  type Base64Flavour,
  base64,
  CAPABILITIES,
  capabilities,
  decimal,
  decodeBase64,
  deviceId,
  encodeBase64,
  flag,
  keyId,
  MAX_TIMESTAMP_MS,
  parseAci,
  parseServiceId,
  registrationId,
  serviceId,
  serviceIdFromBytes,
  serviceIdToBytes,
  timestampMs,
  uuidFromBytes,
  uuidToBytes,
} from './types.ts'

const bytes = fc.uint8Array({ maxLength: 100 })
const standard = (value: Uint8Array) => Buffer.from(value).toString('base64')
const urlSafe = (text: string) => text.replaceAll('+', '-').replaceAll('/', '_')
const unpadded = (text: string) => text.replaceAll('=', '')
/** Every way in which a client may write bytes. */
const FLAVOURS: readonly ((value: Uint8Array) => string)[] = [
  standard,
  (value) => unpadded(standard(value)),
  (value) => urlSafe(standard(value)),
  (value) => urlSafe(unpadded(standard(value))),
]
const WRITTEN: Readonly<Record<Base64Flavour, (value: Uint8Array) => string>> = {
  padded: FLAVOURS[0]!,
  unpadded: FLAVOURS[1]!,
  url: FLAVOURS[3]!,
}

for (const flavour of ['padded', 'unpadded', 'url'] as const)
  test(`bytes are read in every flavour of base64, and written ${flavour} where that is the field's`, () => {
    const codec = base64(flavour)
    fc.assert(
      fc.property(bytes, (value) => {
        for (const write of FLAVOURS)
          assert.deepEqual(Buffer.from(codec.decode(write(value))), Buffer.from(value))
        assert.equal(codec.encode(value), WRITTEN[flavour](value))
        assert.equal(encodeBase64(value, flavour), WRITTEN[flavour](value))
      }),
    )
  })

test('bytes that are a part of a larger buffer are written alone', () => {
  const part = new Uint8Array(Buffer.from('before-and-after').buffer, 0, 0)
  const middle = Buffer.from('xxabcxx').subarray(2, 5)
  assert.equal(encodeBase64(part, 'padded'), '')
  assert.equal(encodeBase64(middle, 'padded'), 'YWJj')
})

/** RFC 4648 §4 and §5, with the padding whole or left out. */
function isBase64(text: string): boolean {
  const [, digits, padding] = /^([^=]*)(=*)$/.exec(text) ?? []
  if (digits === undefined || !/^[\w+/-]*$/.test(digits) || digits.length % 4 === 1) return false
  return padding === '' || padding!.length === (4 - (digits.length % 4)) % 4
}

test('what is no base64 is not read as something else', () => {
  const unit = fc.constantFrom(...'AQb9+/-_=', '=', ' ', '\n', '*', 'é', '\0')
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 12 }), (text) => {
      const read = decodeBase64(text)
      assert.equal(read !== undefined, isBase64(text), JSON.stringify(text))
      if (read) assert.equal(urlSafe(unpadded(standard(read))).length, unpadded(text).length)
    }),
    { numRuns: 20_000 },
  )
})

test('the size of bytes is bounded after decoding', () => {
  const some = (size: number) => Buffer.alloc(size).toString('base64')
  const bounded = base64('padded', { min: 2, max: 4 })
  const chosen = base64('padded', { oneOf: [0, 16] })
  for (let size = 0; size <= 20; size++) {
    assert.equal(bounded.safeDecode(some(size)).success, size >= 2 && size <= 4)
    assert.equal(chosen.safeDecode(some(size)).success, size === 0 || size === 16)
  }
  for (const value of [1, null, undefined, {}, ['AAAA']])
    assert.equal(bounded.safeDecode(value as never).success, false)
})

const uuids = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(uuidFromBytes)

test('a service id is what libsignal takes it for, as text and in both binary forms', () => {
  fc.assert(
    fc.property(uuids, fc.boolean(), (uuid, isPni) => {
      const text = isPni ? `PNI:${uuid}` : uuid
      const id = parseServiceId(text)!
      const foreign = LibsignalServiceId.parseFromServiceIdString(text)
      assert.equal(id, foreign.getServiceIdString())
      assert.deepEqual(serviceIdToBytes(id), Buffer.from(foreign.getServiceIdBinary()))
      assert.equal(serviceIdFromBytes(foreign.getServiceIdBinary()), id)
      assert.equal(serviceIdFromBytes(foreign.getServiceIdFixedWidthBinary()), id)
      assert.equal(serviceId.encode(serviceId.decode(text)), text)
      assert.equal(uuidFromBytes(uuidToBytes(uuid)), uuid)
    }),
  )
})

test('the letters of a UUID are folded, and those of its prefix are not', () => {
  const uuid = '9d0652a3-dcc3-4d11-975f-74d61598733f'
  assert.equal(parseAci(uuid.toUpperCase()), uuid)
  assert.equal(parseServiceId(`PNI:${uuid.toUpperCase()}`), `PNI:${uuid}`)
  const not = [
    '',
    'PNI:',
    `pni:${uuid}`,
    `PNI:PNI:${uuid}`,
    `ACI:${uuid}`,
    `${uuid}0`,
    ` ${uuid}`,
    `${uuid}\n`,
  ]
  for (const text of [...not, uuid.replaceAll('-', ''), uuid.replace('9', 'g'), `{${uuid}}`])
    assert.equal(parseServiceId(text), undefined, text)
  assert.equal(parseAci(`PNI:${uuid}`), undefined)
})

test('bytes that are no service id are none', () => {
  for (const size of [0, 1, 15, 18]) assert.equal(serviceIdFromBytes(Buffer.alloc(size)), undefined)
  assert.equal(serviceIdFromBytes(Buffer.alloc(17, 2)), undefined)
})

test('numbers keep to their bounds, and are whole', () => {
  for (const [schema, min, max] of [
    [deviceId, 1, 127],
    [registrationId, 1, 0x3fff],
    [keyId, 0, 0x7fffffff],
    [timestampMs, 0, MAX_TIMESTAMP_MS],
  ] as const) {
    for (const value of [min, max]) assert.equal(schema.parse(value), value)
    for (const value of [min - 1, max + 1, min + 0.5, Number.NaN, String(min), null])
      assert.equal(schema.safeParse(value).success, false)
  }
})

test('a number in a path or a query is decimal', () => {
  const codec = decimal(deviceId)
  assert.deepEqual([codec.decode('7'), codec.decode('007'), codec.encode(7)], [7, 7, '7'])
  for (const text of ['', '0', '128', '1e1', '0x1', ' 1', '1.0', '+1', '-1', '１'])
    assert.equal(codec.safeDecode(text).success, false, text)
})

test('a flag is true or false, and absent it is false', () => {
  assert.deepEqual([flag.decode('true'), flag.decode('false'), flag.decode(undefined)], [true, false, false])
  for (const text of ['', '1', 'TRUE', 'yes']) assert.equal(flag.safeDecode(text as never).success, false)
})

test('capabilities are the names that we know and that are true', () => {
  const wire = fc.dictionary(
    fc.oneof(fc.constantFrom(...CAPABILITIES), fc.constantFrom('__proto__', 'toString'), fc.string()),
    fc.constantFrom(true, false, null),
  )
  fc.assert(
    fc.property(wire, (flags) => {
      const known = CAPABILITIES.filter((name) => Object.hasOwn(flags, name) && flags[name] === true)
      const read = capabilities.decode({ ...flags })
      assert.deepEqual([...read].sort(), [...known].sort())
      assert.deepEqual(capabilities.encode(read), Object.fromEntries([...read].map((name) => [name, true])))
    }),
  )
})
