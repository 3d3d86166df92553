// The ways into a file store, over a folder of their own and a clock wound by hand.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DiskStore } from '../../server/files/disk/disk-store.ts'
import { fileEvents } from '../../server/files/events.ts'
import { bare, type FileRequest, statusOf } from '../../server/files/exchange.ts'
import { FileRefusal } from '../../server/files/file-store.ts'
import { ManualClock } from '../../server/kit/clock.ts'
import { Counters } from '../../server/kit/counters.ts'
import { PostPolicy } from '../../server/kit/post-policy.ts'
import type { StreamReply } from '../../server/kit/streaming.ts'
import { UploadKeyRing } from '../../server/kit/upload-keys.ts'
import { UploadSignatures } from '../../server/kit/upload-signatures.ts'

export const UPLOAD_KEYS = {
  bearerKey: Buffer.alloc(32, 7),
  accessKeyId: 'HELIOEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
}

/** `await using`: the folder goes with it. */
export async function openFilesRules() {
  const folder = await mkdtemp(join(tmpdir(), 'helio-files-'))
  const clock = new ManualClock()
  const store = await DiskStore.open({ folder, clock })
  const counters = new Counters()
  const keys = UploadKeyRing.of(UPLOAD_KEYS)
  return {
    ...{ folder, clock, store, keys, counters, events: fileEvents(counters) },
    signatures: new UploadSignatures(keys, clock),
    policy: new PostPolicy(keys, clock),
    async textOf(key: string): Promise<string | undefined> {
      if (!(await store.stat(key))) return undefined
      return Buffer.concat(await Array.fromAsync(store.read(key))).toString('latin1')
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
}

async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000)
}

export type Sent = {
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array | string | AsyncIterable<Uint8Array>
}

/** `address` is a path with its query. */
export function fileRequest(
  method: string,
  address: string,
  { headers = {}, body = '' }: Sent = {},
): FileRequest {
  const [path = '', query = ''] = address.split('?')
  if (typeof body === 'object' && Symbol.asyncIterator in body) return { method, path, query, headers, body }
  const bytes = Buffer.from(body as string)
  const length = { 'content-length': String(bytes.length) }
  return { method, path, query, headers: { ...length, ...headers }, body: inPieces(bytes) }
}

/** What a client breaks off in the middle. */
export async function* brokenOff(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
  throw new Error('the client went away')
}

/** As the composition does it (server/files/files.ts). */
function refused(error: unknown): StreamReply {
  if (error instanceof FileRefusal) return bare(statusOf(error))
  throw error
}

/** Read to its end. */
export async function answered(reply: Promise<StreamReply> | undefined) {
  const { status = 404, headers = {}, body } = (await reply?.catch(refused)) ?? {}
  return { status, headers, text: body ? Buffer.concat(await Array.fromAsync(body)).toString() : '' }
}
