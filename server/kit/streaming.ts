// Bodies that are too long to be held: a handler is asked before the router, and reads and answers as bytes come and go.
import type { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Clock } from './clock.ts'
import { passed } from './passing-bytes.ts'
import type { Headers } from './router.ts'

export type StreamRequest = {
  readonly method: string
  /** Path and query, as on the request line. */
  readonly target: string
  readonly headers: Headers
  /** Throws `ClientGone` if the client goes away, or sends nothing for too long. May be left unread. */
  readonly body: AsyncIterable<Uint8Array>
}

export type StreamReply = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Never read for `HEAD`. Destroyed if the client goes away, or takes nothing for too long. */
  readonly body?: Readable | undefined
}

/** Nothing for a request that is the router's. The promise never rejects. */
export type StreamHandler = (request: StreamRequest) => Promise<StreamReply> | undefined

/** A body that ended before its end: nobody is there to be answered, and nothing is wrong with us. */
export class ClientGone extends Error {}

type Source = Readable & { readonly aborted?: boolean; readonly rstCode?: number | undefined }

/** What a client sends, for as long as something comes every `stallMs`. Leaves the source open, so that it can be answered. */
export async function* incoming(source: Source, clock: Clock, stallMs: number): AsyncGenerator<Uint8Array> {
  const chunks = source.iterator({ destroyOnReturn: false })
  for (;;) {
    const stalled = clock.after(stallMs, () => source.destroy(new ClientGone()))
    const next = await chunks
      .next()
      .catch(gone)
      .finally(() => stalled.cancel())
    if (next.done) break
    const chunk = next.value as Uint8Array
    yield chunk
    passed(chunk.length)
  }
  // Node ends a stream of HTTP/2 that was reset like one that is whole.
  if (source.aborted || source.rstCode || ('rstCode' in source && source.closed)) gone()
}

function gone(): never {
  throw new ClientGone()
}

/** Sends a body, for as long as the client takes something every `stallMs`. Rejects if it does not come to its end. */
export async function outgoing(body: Readable, sink: Writable, clock: Clock, stallMs: number): Promise<void> {
  let moved = true
  // Its failure is thrown below; leaving it before its end is one too.
  body.on('error', () => {})
  const watch = clock.every(stallMs, () => {
    if (!moved) sink.destroy()
    moved = false
  })
  async function* watched(): AsyncGenerator<Uint8Array> {
    for await (const chunk of body) {
      moved = true
      yield chunk as Uint8Array
      passed((chunk as Uint8Array).length)
    }
  }
  await pipeline(watched, sink).finally(() => {
    watch.cancel()
    body.destroy()
  })
}
