// Digits that are said, over voices that say something else backwards: for who hears and does not see.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RandomStream } from './random-stream.ts'

/** Samples a second, each of 8 bits: as a telephone. */
export const SOUND_RATE = 8000
export const VOICE_NAMES = ['ada', 'boris', 'cleo'] as const
type VoiceName = (typeof VOICE_NAMES)[number]
/** Ten lengths of two bytes, then the samples of the ten digits. */
export const voiceFile = (name: VoiceName): string => join(import.meta.dirname, 'voices', `${name}.u8`)

type Samples = Float32Array
type Voice = readonly Samples[]

const MIDDLE = 128
const DIGITS = 10
const SECONDS_BEFORE = 0.6

const voices = new Map<VoiceName, Voice>()

function voiceOf(name: VoiceName): Voice {
  const known = voices.get(name)
  if (known) return known
  const file = readFileSync(voiceFile(name))
  let at = 2 * DIGITS
  const voice = Array.from({ length: DIGITS }, (_, digit) => {
    const bytes = file.subarray(at, at + file.readUInt16BE(2 * digit))
    at += bytes.length
    return Float32Array.from(bytes, (byte) => (byte - MIDDLE) / MIDDLE)
  })
  voices.set(name, voice)
  return voice
}

/** A WAV of some seconds; the same for the same digits and stream. */
export function sayDigits(digits: string, random: RandomStream): Buffer {
  const words = [...digits].map((digit) =>
    respeeded(anyVoice(random)[Number(digit)]!, random.between(0.88, 1.12)),
  )
  const gaps = words.map(() => Math.round(random.between(0.45, 0.85) * SOUND_RATE))
  const length = sum(words.map((word) => word.length)) + sum(gaps) + 2 * SECONDS_BEFORE * SOUND_RATE
  const mixed = new Float32Array(length)
  murmur(mixed, random)
  let at = SECONDS_BEFORE * SOUND_RATE
  for (const [i, word] of words.entries()) {
    add(mixed, word, at, random.between(0.75, 0.95))
    at += word.length + gaps[i]!
  }
  return wav(mixed)
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0)
const anyVoice = (random: RandomStream) => voiceOf(VOICE_NAMES[random.below(VOICE_NAMES.length)]!)

/** Faster is higher too. */
function respeeded(samples: Samples, speed: number): Samples {
  return Float32Array.from({ length: Math.floor((samples.length - 1) / speed) }, (_, i) => {
    const at = i * speed
    const low = Math.floor(at)
    return samples[low]! + (samples[low + 1]! - samples[low]!) * (at - low)
  })
}

function add(to: Samples, samples: Samples, from: number, gain: number): void {
  for (let i = 0; i < samples.length && from + i < to.length; i++) to[from + i]! += samples[i]! * gain
}

/** Words backwards, everywhere and low, and some noise. */
function murmur(to: Samples, random: RandomStream): void {
  for (let at = 0; at < to.length; at += Math.round(random.between(0.2, 0.5) * SOUND_RATE)) {
    const word = respeeded(anyVoice(random)[random.below(DIGITS)]!, random.between(0.7, 1.3)).toReversed()
    add(to, word, at, random.between(0.1, 0.2))
  }
  for (let i = 0; i < to.length; i++) to[i]! += (random.next() - 0.5) * 0.04
}

const HEADER_BYTES = 44

/** RIFF WAVE, PCM: one channel of unsigned bytes. */
function wav(samples: Samples): Buffer {
  const file = Buffer.alloc(HEADER_BYTES + samples.length)
  file.write('RIFF', 0, 'latin1')
  file.writeUInt32LE(file.length - 8, 4)
  file.write('WAVEfmt ', 8, 'latin1')
  file.writeUInt32LE(16, 16)
  file.writeUInt16LE(1, 20)
  file.writeUInt16LE(1, 22)
  file.writeUInt32LE(SOUND_RATE, 24)
  file.writeUInt32LE(SOUND_RATE, 28)
  file.writeUInt16LE(1, 32)
  file.writeUInt16LE(8, 34)
  file.write('data', 36, 'latin1')
  file.writeUInt32LE(samples.length, 40)
  for (const [i, sample] of samples.entries())
    file[HEADER_BYTES + i] = Math.max(0, Math.min(255, Math.round(MIDDLE + sample * 110)))
  return file
}
