import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32, inflateSync } from 'node:zlib'
import { PICTURE_ALPHABET } from './glyphs.ts'
import { drawPicture, PICTURE_HEIGHT, PICTURE_WIDTH } from './picture.ts'
import { RandomStream } from './random-stream.ts'
import { SOUND_RATE, sayDigits } from './sound.ts'

const SECRET = Buffer.alloc(32, 3)
const stream = (id: string, secret = SECRET) => new RandomStream(secret, id)

/** The shades of a PNG, whose checksums have to be right. */
function shadesOf(png: Buffer): Uint8Array {
  assert.equal(png.subarray(0, 8).toString('hex'), '89504e470d0a1a0a')
  let data = Buffer.alloc(0)
  for (let at = 8; at < png.length; ) {
    const length = png.readUInt32BE(at)
    const body = png.subarray(at + 4, at + 8 + length)
    assert.equal(png.readUInt32BE(at + 8 + length), crc32(body))
    if (body.subarray(0, 4).toString() === 'IDAT') data = Buffer.concat([data, body.subarray(4)])
    at += 12 + length
  }
  const rows = inflateSync(data)
  assert.equal(rows.length, (PICTURE_WIDTH + 1) * PICTURE_HEIGHT)
  const shades = Array.from({ length: PICTURE_HEIGHT }, (_, y) =>
    rows.subarray(y * (PICTURE_WIDTH + 1) + 1, (y + 1) * (PICTURE_WIDTH + 1)),
  )
  return Buffer.concat(shades)
}

test('the picture of a challenge is the same each time, so that its noise is not seen through', () => {
  const one = drawPicture('ACE346', stream('one'))
  assert.deepEqual(drawPicture('ACE346', stream('one')), one)
  assert.notDeepEqual(drawPicture('ACE346', stream('two')), one)
  assert.notDeepEqual(drawPicture('ACE346', stream('one', Buffer.alloc(32, 4))), one)
})

test('a picture is points and nothing else, small, with ink where letters are', () => {
  for (const letter of PICTURE_ALPHABET) {
    const text = letter.repeat(6)
    const png = drawPicture(text, stream(letter))
    assert.ok(png.length < 12_000, `${png.length} bytes`)
    const shades = shadesOf(png)
    const ink = (shades as Buffer).filter((shade) => shade < 100).length / shades.length
    assert.ok(ink > 0.02 && ink < 0.25, `${letter}: ${ink}`)
    assert.ok(!png.includes(text))
  }
})

test('letters are drawn differently each time', () => {
  const shades = shadesOf(drawPicture('AAAAAA', stream('x')))
  const column = (from: number) =>
    Array.from({ length: PICTURE_HEIGHT }, (_, y) =>
      shades.subarray(y * PICTURE_WIDTH + from, y * PICTURE_WIDTH + from + 40).join(),
    ).join()
  assert.equal(new Set([22, 69, 116, 163, 210, 257].map(column)).size, 6)
})

test('a sound is a WAV of some seconds, the same each time', () => {
  const wav = sayDigits('493027', stream('one'))
  assert.equal(wav.subarray(0, 4).toString() + wav.subarray(8, 12).toString(), 'RIFFWAVE')
  assert.equal(wav.readUInt32LE(40), wav.length - 44)
  assert.equal(wav.readUInt32LE(24), SOUND_RATE)
  const seconds = (wav.length - 44) / SOUND_RATE
  assert.ok(seconds > 4 && seconds < 12, `${seconds} s`)
  assert.deepEqual(sayDigits('493027', stream('one')), wav)
  assert.notDeepEqual(sayDigits('493027', stream('two')), wav)
  assert.notDeepEqual(sayDigits('493028', stream('one')), wav)
})

test('digits are louder than the murmur below them', () => {
  const quiet = sayDigits('', stream('a')).subarray(44)
  const loud = sayDigits('8888', stream('a')).subarray(44)
  const power = (bytes: Buffer) => bytes.reduce((sum, byte) => sum + (byte - 128) ** 2, 0) / bytes.length
  assert.ok(power(loud) > 2.5 * power(quiet), `${power(loud)} ${power(quiet)}`)
})
