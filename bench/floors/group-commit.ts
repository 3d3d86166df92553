// A queue of envelopes in SQLCipher behind one writer thread; what comes in within two milliseconds shares a commit.
import { Worker } from 'node:worker_threads'

const WINDOW_MS = 2
export const RECIPIENT_BYTES = 16

export type Row = { readonly id: number; readonly envelope: Uint8Array }

/** `records`: length u32le, recipient, envelope, one after another; their ids count up from `firstId`. */
export type Batch = {
  readonly kind: 'write'
  readonly firstId: number
  readonly records: Uint8Array<ArrayBuffer>
  readonly deletes: Float64Array<ArrayBuffer>
}
export type Read = {
  readonly kind: 'read'
  readonly recipient: Uint8Array<ArrayBuffer>
  readonly afterId: number
  readonly limit: number
}
export type Reply = { readonly kind: 'written' } | { readonly kind: 'rows'; readonly rows: readonly Row[] }

type Insert = { recipient: Buffer; envelope: Buffer; committed: (id: number) => void }

export class GroupCommit {
  private readonly writer: Worker
  private nextId = 1
  private inserts: Insert[] = []
  private deletes: number[] = []
  private writing: { firstId: number; inserts: Insert[] } | undefined
  private timer: NodeJS.Timeout | undefined
  private readonly reads: ((rows: readonly Row[]) => void)[] = []

  constructor(path: string) {
    this.writer = new Worker(new URL('./group-commit-writer.ts', import.meta.url), { workerData: { path } })
    this.writer.on('message', (reply: Reply) => {
      if (reply.kind === 'written') this.written()
      else this.reads.shift()!(reply.rows)
    })
  }

  /** `committed` is called after the fsync. */
  insert(recipient: Buffer, envelope: Buffer, committed: (id: number) => void): void {
    this.inserts.push({ recipient, envelope, committed })
    this.schedule()
  }

  delete(id: number): void {
    this.deletes.push(id)
    this.schedule()
  }

  read(recipient: Buffer, afterId: number, limit: number): Promise<readonly Row[]> {
    const request: Read = { kind: 'read', recipient: new Uint8Array(recipient), afterId, limit }
    this.writer.postMessage(request)
    return new Promise((resolve) => this.reads.push(resolve))
  }

  private schedule(): void {
    if (this.timer || this.writing) return
    this.timer = setTimeout(() => this.flush(), WINDOW_MS)
  }

  private flush(): void {
    this.timer = undefined
    const { inserts } = this
    const records = pack(inserts)
    const deletes = Float64Array.from(this.deletes)
    this.writing = { firstId: this.nextId, inserts }
    this.nextId += inserts.length
    this.inserts = []
    this.deletes = []
    const batch: Batch = { kind: 'write', firstId: this.writing.firstId, records, deletes }
    this.writer.postMessage(batch, [records.buffer, deletes.buffer])
  }

  private written(): void {
    const { firstId, inserts } = this.writing!
    this.writing = undefined
    if (this.inserts.length + this.deletes.length > 0) this.schedule()
    for (let index = 0; index < inserts.length; index++) inserts[index]!.committed(firstId + index)
  }
}

/** One buffer to hand over, for the cost of one copy. */
function pack(inserts: readonly Insert[]): Uint8Array<ArrayBuffer> {
  let size = 0
  for (const { envelope } of inserts) size += 4 + RECIPIENT_BYTES + envelope.length
  const records = new Uint8Array(size)
  const view = new DataView(records.buffer)
  let at = 0
  for (const { recipient, envelope } of inserts) {
    view.setUint32(at, envelope.length, true)
    records.set(recipient, at + 4)
    records.set(envelope, at + 4 + RECIPIENT_BYTES)
    at += 4 + RECIPIENT_BYTES + envelope.length
  }
  return records
}
