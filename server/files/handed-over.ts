// Plain uploads whose bytes nginx took (docs/edge/nginx.md): the address is checked again, and the file entered for good.
import { basename } from 'node:path'
import type { Clock } from '../kit/clock.ts'
import { plainKeysOf, verifyPlainAddress } from '../kit/plain-addresses.ts'
import type { StreamReply } from '../kit/streaming.ts'
import type { UploadKeyRing } from '../kit/upload-keys.ts'
import type { DiskStore } from './disk/disk-store.ts'
import type { FileEvents } from './events.ts'
import { bare, type FileRequest } from './exchange.ts'

export type HandedOverOptions = {
  readonly store: DiskStore
  readonly keys: UploadKeyRing
  readonly clock: Clock
  readonly events: FileEvents
}

/** The header in which nginx names the file, and the one that says how long ago the request began, in seconds. */
export const BODY_FILE = 'heliograph-body-file'
export const SECONDS_AGO = 'heliograph-seconds'

const PATH = /^\/plain\/([^/]+)$/
/** As nginx names temporary files. */
const FILE_NAME = /^\d{10,20}$/
const SECONDS = /^\d{1,9}(?:\.\d{1,3})?$/

export class HandedOver {
  readonly #options: HandedOverOptions

  constructor(options: HandedOverOptions) {
    this.#options = options
  }

  /** For requests that come through the socket which nginx alone can reach. */
  async answer({ method, path, query, headers }: FileRequest): Promise<StreamReply> {
    const { store, keys, clock, events } = this.#options
    const name = PATH.exec(path)?.[1]
    const file = basename(headers[BODY_FILE] ?? '')
    const seconds = headers[SECONDS_AGO] ?? ''
    if (name === undefined || !FILE_NAME.test(file) || !SECONDS.test(seconds)) return bare(400)
    // An upload may last longer than its address: what counts is when it began, as at the other door.
    const then = { nowMs: () => clock.nowMs() - Number(seconds) * 1000 }
    const secrets = plainKeysOf(keys.verifying(then.nowMs()))
    const maxBytes = verifyPlainAddress(secrets, then, { method, name, query })
    if (maxBytes === undefined || method !== 'PUT') return bare(403)
    const { etag, length } = await store.enter(`attachments/${name}`, file, maxBytes)
    events.uploaded(length)
    return bare(201, { ETag: etag })
  }
}
