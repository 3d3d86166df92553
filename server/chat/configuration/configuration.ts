// What the operator publishes to clients.
import { createHash } from 'node:crypto'
import type { Aci } from '../../../wire/types.ts'
import { parseUserAgent } from '../../kit/client-version.ts'
import { isFor, type Setting, valueFor } from './rollout.ts'

export type Published = {
  readonly values: Readonly<Record<string, string>>
  /** 32 bytes; the same for the same values. */
  readonly tag: Buffer
}

export class Configuration {
  readonly #settings: readonly (readonly [name: string, setting: Setting])[]

  constructor(settings: Readonly<Record<string, Setting>>) {
    this.#settings = Object.entries(settings).sort(([one], [other]) => (one < other ? -1 : 1))
  }

  for(aci: Aci, userAgent: string | undefined): Published {
    const platform = parseUserAgent(userAgent)?.platform
    const entries = this.#settings
      .filter(([name, setting]) => isFor(name, setting, platform))
      .map(([name, setting]) => [name, valueFor(name, setting, aci)] as const)
    const tag = createHash('sha256').update(JSON.stringify(entries)).digest()
    return { values: Object.fromEntries(entries), tag }
  }
}

/** As it stands in an ETag. */
export const etagOf = ({ tag }: Published): string => tag.toString('hex', 0, 16)

/** Whether a client that holds this ETag is up to date (RFC 9110 §13.1.2). */
export function matches(etag: string, ifNoneMatch: string | undefined): boolean {
  const tags = (ifNoneMatch ?? '').split(',').map((tag) => tag.trim())
  return tags.some((tag) => tag === '*' || tag.replace(/^W\//, '').replaceAll('"', '') === etag)
}
