// Made once, by hand: `node server/captcha/make-voices.ts` has espeak-ng say the digits and ffmpeg cut them. Both are Debian packages.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SOUND_RATE, VOICE_NAMES, voiceFile } from './sound.ts'

const DIGITS = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine']
/** Variants of espeak-ng's English, with how fast and how high they speak. */
const SPEAKERS: Readonly<Record<string, readonly string[]>> = {
  ada: ['-v', 'en-us+f3', '-s', '135', '-p', '55'],
  boris: ['-v', 'en-gb+m3', '-s', '130', '-p', '40'],
  cleo: ['-v', 'en-gb-scotland+f2', '-s', '130', '-p', '62'],
}
/** Silence before and after goes. */
const FILTER =
  'silenceremove=start_periods=1:start_threshold=-42dB,areverse,silenceremove=start_periods=1:start_threshold=-42dB,areverse,lowpass=f=3600'

const LOUDNESS = 0.22

function say(word: string, speaker: readonly string[], folder: string): Buffer {
  const spoken = join(folder, 'spoken.wav')
  execFileSync('espeak-ng', [...speaker, '-a', '150', '-w', spoken, word])
  const format = ['-ac', '1', '-ar', String(SOUND_RATE), '-f', 's16le', '-']
  return evened(execFileSync('ffmpeg', ['-v', 'error', '-i', spoken, '-af', FILTER, ...format]))
}

/** Every word as loud as the others, in bytes around 128. */
function evened(bytes: Buffer): Buffer {
  const samples = Array.from({ length: bytes.length / 2 }, (_, i) => bytes.readInt16LE(2 * i) / 32_768)
  const loudness = Math.sqrt(samples.reduce((sum, sample) => sum + sample ** 2, 0) / samples.length)
  return Buffer.from(
    samples.map(
      (sample) => 128 + Math.round(127 * Math.max(-1, Math.min(1, (sample * LOUDNESS) / loudness))),
    ),
  )
}

const folder = mkdtempSync(join(tmpdir(), 'helio-voices-'))
for (const name of VOICE_NAMES) {
  const words = DIGITS.map((word) => say(word, SPEAKERS[name]!, folder))
  const lengths = Buffer.alloc(2 * words.length)
  for (const [digit, { length }] of words.entries()) lengths.writeUInt16BE(length, 2 * digit)
  writeFileSync(voiceFile(name), Buffer.concat([lengths, ...words]))
}
rmSync(folder, { recursive: true })
