// A websocket client (RFC 6455) that costs next to nothing: frames are masked once, when their template is made.
import type { Duplex } from 'node:stream'

const FIN_BINARY = 0x82
const FIN_PONG = 0x8a
const OPCODE_CLOSE = 0x8
const OPCODE_PING = 0x9
const OPCODE_PONG = 0xa
const MASKED = 0x80
const MASK = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d)
const EMPTY = Buffer.alloc(0)

/** The byte that stands at `index` of the payload once it is masked. */
export const masked = (byte: number, index: number): number => byte ^ MASK[index & 3]!

/** Where the payload begins in a frame made by `frame()`. */
export const payloadStart = (length: number): number => (length < 126 ? 6 : length < 0x10000 ? 8 : 14)

/** A whole frame, masked and ready for the wire. */
export function frame(payload: Uint8Array, opcode = FIN_BINARY): Buffer {
  const start = payloadStart(payload.length)
  const bytes = Buffer.allocUnsafe(start + payload.length)
  bytes[0] = opcode
  if (start === 6) bytes[1] = MASKED | payload.length
  else if (start === 8) {
    bytes[1] = MASKED | 126
    bytes.writeUInt16BE(payload.length, 2)
  } else {
    bytes[1] = MASKED | 127
    bytes.writeBigUInt64BE(BigInt(payload.length), 2)
  }
  bytes.set(MASK, start - 4)
  for (let index = 0; index < payload.length; index++) bytes[start + index] = masked(payload[index]!, index)
  return bytes
}

export class WebSocketClient {
  readonly stream: Duplex
  onClose: (reason: string) => void = () => {}
  private onMessage: (payload: Buffer) => void = () => {}
  private rest: Buffer

  /** `head` is what came with the answer to the upgrade. The stream is paused, and stays so until `listen`. */
  constructor(stream: Duplex, head: Buffer = EMPTY) {
    this.stream = stream
    this.rest = head
    stream.on('error', (error) => this.onClose(error.message))
    stream.on('close', () => this.onClose('the connection closed'))
  }

  listen(onMessage: (payload: Buffer) => void): void {
    this.onMessage = onMessage
    this.stream.on('data', (chunk: Buffer) => this.read(chunk))
    this.stream.resume()
    this.read(EMPTY)
  }

  /** Sends what `frame()` made. */
  send(bytes: Buffer): void {
    this.stream.write(bytes)
  }

  private read(chunk: Buffer): void {
    const data = this.rest.length > 0 ? Buffer.concat([this.rest, chunk]) : chunk
    let at = 0
    while (data.length - at >= 2) {
      const short = data[at + 1]!
      const start = at + (short < 126 ? 2 : short === 126 ? 4 : 10)
      if (data.length < start) break
      const length =
        short < 126 ? short : short === 126 ? data.readUInt16BE(at + 2) : Number(data.readBigUInt64BE(at + 2))
      if (data.length < start + length) break
      this.accept(data[at]!, data.subarray(start, start + length))
      at = start + length
    }
    this.rest = at === data.length ? EMPTY : data.subarray(at)
  }

  private accept(first: number, payload: Buffer): void {
    const opcode = first & 0xf
    if (first === FIN_BINARY) this.onMessage(payload)
    else if (opcode === OPCODE_PING) this.send(frame(payload, FIN_PONG))
    else if (opcode === OPCODE_CLOSE)
      this.onClose(`closed with ${payload.length < 2 ? 1005 : payload.readUInt16BE(0)}`)
    else if (opcode !== OPCODE_PONG) this.onClose(`a frame that begins with ${first}`)
  }
}
