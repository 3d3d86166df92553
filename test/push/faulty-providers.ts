// Google and Apple on a bad day, for many phones at once, and what they know of it afterwards.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { z } from 'zod'
import { systemClock } from '../../server/kit/clock.ts'
import type { push } from '../../server/kit/config-push.ts'
import { SeededRandom } from '../../server/kit/random.ts'
import { Apple } from './apple.ts'
import { Google } from './google.ts'
import type { Fault, ProviderStandIn } from './provider-stand-in.ts'

/** Of a million requests, how many meet which fault. */
const FAULTS: readonly (readonly [number, Fault])[] = [
  [10_000, { status: 429, headers: { 'retry-after': '1' } }],
  [10_000, { status: 503, headers: { 'retry-after': '1' } }],
  [5_000, 'reset'],
  [2_000, 'lost'],
  [3_000, 'refused'],
  [200, 'leaving'],
  [50, 'broken'],
]

export type PushConfig = z.input<typeof push>
export type Tally = {
  /** How often each token was pushed to. */
  readonly taken: Readonly<Record<string, number>>
  /** For each token, how many pushes were taken whose answer may not have arrived. */
  readonly uncertain: Readonly<Record<string, number>>
  /** What pushes looked like, without their tokens. */
  readonly looks: readonly string[]
  readonly complaints: readonly string[]
  readonly requests: number
  readonly connections: number
}

export const fcmToken = (index: number) => `phone-${index}`
export const apnToken = (index: number) => index.toString(16).padStart(64, '0')

export class FaultyProviders {
  readonly #google: Google
  readonly #apple: Apple

  private constructor(google: Google, apple: Apple) {
    this.#google = google
    this.#apple = apple
  }

  /** Of `count` phones, every second one is an iPhone. */
  static async open(count: number, seed: string): Promise<FaultyProviders> {
    const google = await Google.open(systemClock, { maxStreams: 100 })
    const apple = await Apple.open(systemClock, { maxStreams: 1000, untilTrusted: 1 })
    for (let index = 0; index < count; index += 2) {
      google.devices.set(fcmToken(index), 'registered')
      apple.devices.set(apnToken(index + 1), 'registered')
    }
    google.faultOf = faultsBy(`${seed} google`)
    apple.faultOf = faultsBy(`${seed} apple`)
    return new FaultyProviders(google, apple)
  }

  /** How they are reached. */
  get config(): PushConfig {
    const [google, apple] = [this.#google, this.#apple]
    const { keyFile, keyId, teamId, topic } = apple
    return {
      web: { enabled: 'off' },
      fcm: { serviceAccountFile: google.accountFile, url: google.origin, caFile: caFileOf(google) },
      apns: { keyFile, keyId, teamId, topic, url: apple.origin, caFile: caFileOf(apple) },
    }
  }

  tally(): Tally {
    const [google, apple] = [this.#google, this.#apple]
    const pushes = [...google.pushes, ...apple.pushes]
    return {
      taken: counted(pushes.map(({ token }) => token)),
      uncertain: counted([...google.uncertain, ...apple.uncertain]),
      looks: [...new Set(pushes.map(({ token, bytes }) => bytes.replace(token, '…')))].sort(),
      complaints: [...google.complaints, ...apple.complaints],
      requests: google.requests + apple.requests,
      connections: google.connections + apple.connections,
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#google.close(), this.#apple.close()])
  }
}

function faultsBy(seed: string): () => Fault | undefined {
  const random = new SeededRandom(seed)
  return () => {
    let left = random.bytes(4).readUInt32BE() % 1_000_000
    for (const [share, fault] of FAULTS) {
      if (left < share) return fault
      left -= share
    }
    return undefined
  }
}

function caFileOf({ files }: ProviderStandIn): string {
  const file = join(files.folder, 'ca.pem')
  writeFileSync(file, files.caPem)
  return file
}

function counted(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}
