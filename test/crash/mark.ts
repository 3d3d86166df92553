// What tests write into a message: its lane and its number, then bytes that follow from them.

export type Mark = { readonly lane: number; readonly sequence: number }

const HEAD_BYTES = 8
const BODY_BYTES = 192
const PER_LANE = 2 ** 24
/** Client timestamps say which message they belong to; this much is added to make them look like times. */
const EPOCH_MS = 1_700_000_000_000

export function contentOf({ lane, sequence }: Mark): Buffer {
  const content = Buffer.alloc(HEAD_BYTES + BODY_BYTES, (lane * 31 + sequence) & 0xff)
  content.writeUInt32BE(lane, 0)
  content.writeUInt32BE(sequence, 4)
  return content
}

export function readMark(content: Uint8Array): Mark {
  if (content.length < HEAD_BYTES) return { lane: -1, sequence: -1 }
  const view = new DataView(content.buffer, content.byteOffset, HEAD_BYTES)
  return { lane: view.getUint32(0), sequence: view.getUint32(4) }
}

/** Whether these are the very bytes that were sent. */
export const isIntact = (content: Uint8Array, sequence: number): boolean =>
  contentOf({ lane: readMark(content).lane, sequence }).equals(content)

export const timestampOf = ({ lane, sequence }: Mark): number => EPOCH_MS + lane * PER_LANE + sequence

export function markOf(timestampMs: number): Mark {
  const offset = timestampMs - EPOCH_MS
  return { lane: Math.floor(offset / PER_LANE), sequence: offset % PER_LANE }
}
