// What the operator publishes to clients.
import { createHash } from 'node:crypto'

export class Configuration {
  readonly values: Readonly<Record<string, string>>
  readonly etag: string

  constructor(values: Readonly<Record<string, string>>) {
    this.values = values
    this.etag = createHash('sha256').update(JSON.stringify(values)).digest('hex').slice(0, 32)
  }

  /** Whether a client that holds this ETag is up to date (RFC 9110 §13.1.2). */
  matches(ifNoneMatch: string | undefined): boolean {
    const tags = (ifNoneMatch ?? '').split(',').map((tag) => tag.trim())
    return tags.some((tag) => tag === '*' || tag.replace(/^W\//, '').replaceAll('"', '') === this.etag)
  }
}
