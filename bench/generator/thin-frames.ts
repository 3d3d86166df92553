// The frames of the thinnest floor, from the client's side (bench/floors/thin.ts has their layout).
import type { Account } from '../job.ts'
import { readMark, writeMark } from './mark.ts'
import type { Incoming } from './signal-frames.ts'
import { frame } from './websocket.ts'

const SEND = 1
const ACCEPTED = 2
const DELIVER = 3
const RECEIVED = 4
const SEND_HEAD_BYTES = 9
const DELIVER_HEAD_BYTES = 5

export class ThinTemplate {
  private readonly payload: Buffer

  constructor(recipient: Account, content: Buffer) {
    this.payload = Buffer.concat([Buffer.alloc(SEND_HEAD_BYTES), content])
    this.payload[0] = SEND
    this.payload.writeUInt32BE(Number.parseInt(recipient.aci.slice(-8), 16), 5)
  }

  fill(sender: number, sequence: number): Buffer {
    this.payload.writeUInt32BE(sequence, 1)
    writeMark(this.payload, SEND_HEAD_BYTES, sender, sequence)
    return frame(this.payload)
  }
}

export function readThinFrame(payload: Buffer, incoming: Incoming): Buffer | undefined {
  if (payload[0] === ACCEPTED) incoming.accepted(payload.readUInt32BE(1), 200)
  if (payload[0] !== DELIVER) return undefined
  const { sender, sequence } = readMark(payload, DELIVER_HEAD_BYTES)
  incoming.message(sender, sequence)
  const answer = Buffer.from(payload.subarray(0, DELIVER_HEAD_BYTES))
  answer[0] = RECEIVED
  return frame(answer)
}
