// Values that no client should send, to be put where a client sends something else.

/** JSON keeps `__proto__` as a name of its own only when it is parsed. */
const parsed = (text: string): unknown => JSON.parse(text)
const nested = (depth: number, open: string, middle: string, close: string) =>
  open.repeat(depth) + middle + close.repeat(depth)

const NUMBERS = [
  0,
  1,
  -1,
  0.5,
  127,
  128,
  2 ** 14,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  2 ** 53 + 2,
  8.64e15 + 1,
  -(2 ** 63),
  1e308,
]

export const HOSTILE_TEXTS: readonly string[] = [
  '',
  ' ',
  '0',
  '-1',
  '1e9',
  '1'.repeat(400),
  'true',
  'null',
  '*',
  'aci',
  'PNI:',
  'PNI:PNI:00000000-0000-4000-8000-000000000000',
  '00000000-0000-4000-8000-000000000000',
  'PNI:00000000-0000-4000-8000-000000000000',
  '00000000000040008000000000000000',
  '\r\nX-Evil: 1\r\n\r\n',
  'a\0b',
  "' OR 1=1 --",
  '"; DROP TABLE accounts; --',
  '../../../../etc/passwd',
  '..%2f..%2f%00',
  '%252e%252e%252f',
  '%',
  '%zz',
  '%ff%fe',
  '?a=b#c',
  '//evil.example/',
  '$' + '{7*7}',
  '<script>alert(1)</script>',
  '\ud800',
  'a\udc00\ud800b',
  '𝕳𝖊𝖑𝖎𝖔',
  '\u202e\ufeff\u0000\uffff',
  'İ'.repeat(50),
  '__proto__',
  'constructor',
  'hasOwnProperty',
  'toString',
  '=',
  '====',
  'AAAA====',
  'A'.repeat(44),
  'QQ',
  '_-_-',
  '+15005550006',
  '+0',
  '\u0661\u0662\u0663',
  'x'.repeat(100_000),
]

/** `undefined` stands for a field that is not there. */
export const HOSTILE_VALUES: readonly unknown[] = [
  undefined,
  null,
  true,
  false,
  ...NUMBERS,
  ...HOSTILE_TEXTS,
  [],
  [[]],
  [null],
  [1, 'a', {}],
  new Array(5000).fill(0),
  {},
  { length: 3 },
  { toString: 1, valueOf: 2 },
  parsed('{"__proto__":{"polluted":true}}'),
  parsed('{"constructor":{"prototype":{"polluted":true}}}'),
  parsed(nested(2000, '[', '', ']')),
  parsed(nested(2000, '{"a":', '1', '}')),
]

const bytes = (text: string) => Buffer.from(text, 'utf8')

/** Bodies that are hostile as a whole; `valid` is what the route would take. */
export const hostileBodies = (valid: unknown): Readonly<Record<string, Buffer>> => {
  const text = JSON.stringify(valid ?? {})
  const inside = text.slice(1, -1)
  return {
    nothing: Buffer.alloc(0),
    'half of it': bytes(text.slice(0, Math.ceil(text.length / 2))),
    'more than it': bytes(`${text}${text}`),
    'a byte order mark': Buffer.concat([Buffer.of(0xef, 0xbb, 0xbf), bytes(text)]),
    'UTF-16': Buffer.from(text, 'utf16le'),
    'not UTF-8': Buffer.concat([bytes('{"a":"'), Buffer.of(0xc0, 0x80, 0xff), bytes('"}')]),
    'arrays half a million deep': bytes('['.repeat(500_000)),
    'arrays a quarter of a million deep, closed': bytes(nested(250_000, '[', '', ']')),
    'objects eighty thousand deep': bytes(nested(80_000, '{"a":', '1', '}')),
    'the same name twice': bytes(`{${inside === '' ? '' : `${inside},`}${inside}}`),
    'forty thousand names': bytes(`{${Array.from({ length: 40_000 }, (_, i) => `"k${i}":0`).join()}}`),
    __proto__polluted: bytes(`{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":1}}}`),
    'a prototype of its own': bytes(`{"__proto__":${text}}`),
    'not a number': bytes('{"timestamp":NaN}'),
    infinity: bytes('[Infinity,-Infinity,1e999]'),
    'a number of a hundred thousand digits': bytes('1'.repeat(100_000)),
    'lone surrogates': bytes('{"\\ud800":"\\udc00"}'),
    null: bytes('null'),
    'a text': bytes('"text"'),
    'a number': bytes('0'),
    'an array': bytes('[]'),
    'random bytes': Buffer.from(Array.from({ length: 512 }, (_, i) => (i * 7919) % 256)),
    'something compressed': Buffer.from('H4sIAAAAAAAAA6tWUlKyUqquBQDCl0O6CgAAAA==', 'base64'),
  }
}

export const CONTENT_TYPES: readonly (string | undefined)[] = [
  undefined,
  '',
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'application/x-protobuf',
  'application/json; charset=utf-16',
  'application/json\t;;;=',
  'APPLICATION/JSON',
]
