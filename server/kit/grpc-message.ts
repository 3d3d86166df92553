// The framing of a unary call: five bytes of prefix and one message.
import type { ServerHttp2Stream } from 'node:http2'
import protobuf from '../../wire/protobuf.ts'
import type { AnyCodec } from '../../wire/service.ts'
import type { Clock } from './clock.ts'
import { GrpcCode, GrpcFailure } from './grpc-status.ts'
import { Refusal } from './refusal.ts'

/** 1 byte: 1 if compressed, else 0. 4 bytes: the length of the message, big-endian. */
export const PREFIX_BYTES = 5
/** How long a request may take to arrive. */
export const RECEIVE_TIMEOUT_MS = 30_000

/** A failure of the protocol itself, beneath any rule. */
export class ProtocolFailure extends GrpcFailure {
  constructor(code: GrpcCode, message: string) {
    super({ code, message })
  }
}

export const broken = (message: string) => new ProtocolFailure(GrpcCode.internal, message)

/** What is wrong with the prefix that stands at `at`, if anything. */
export function checkPrefix(bytes: Buffer, at: number, maxBytes: number): ProtocolFailure | undefined {
  if (bytes[at] !== 0) return new ProtocolFailure(GrpcCode.unimplemented, 'compression is not supported')
  if (bytes.readUInt32BE(at + 1) <= maxBytes) return undefined
  return new ProtocolFailure(GrpcCode.resourceExhausted, 'message too large')
}

/** Gathers a request. However small the pieces, it holds no more than twice what came. */
class Collector {
  readonly #maxBytes: number
  #held: Buffer = Buffer.alloc(0)
  #received = 0
  #expected: number | undefined

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Takes a piece; says what is wrong with the bytes so far, if anything. */
  add(piece: Buffer): ProtocolFailure | undefined {
    if (this.#received === 0) this.#held = piece
    else this.#append(piece)
    this.#received += piece.length
    return this.#received < PREFIX_BYTES ? undefined : this.#check()
  }

  /** The message, if it is all there. */
  message(): Buffer | undefined {
    return this.#received === this.#expected ? this.#held.subarray(PREFIX_BYTES, this.#expected) : undefined
  }

  #append(piece: Buffer): void {
    const size = this.#received + piece.length
    if (size > this.#held.length) {
      const larger = Buffer.allocUnsafeSlow(2 * size)
      larger.set(this.#held.subarray(0, this.#received))
      this.#held = larger
    }
    this.#held.set(piece, this.#received)
  }

  #check(): ProtocolFailure | undefined {
    const failure = checkPrefix(this.#held, 0, this.#maxBytes)
    if (failure) return failure
    this.#expected ??= PREFIX_BYTES + this.#held.readUInt32BE(1)
    return this.#received > this.#expected ? broken('more than one message') : undefined
  }
}

/**
 * The one message of a request.
 * Throws as soon as it is known to be compressed, too long, late or not alone, and if the client goes away.
 */
export function readMessage(stream: ServerHttp2Stream, maxBytes: number, clock: Clock): Promise<Buffer> {
  const collector = new Collector(maxBytes)
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const stop = (failure: Error) => {
    timer.cancel()
    stream.off('data', take).off('end', finish)
    reject(failure)
  }
  const take = (chunk: Buffer) => {
    const failure = collector.add(chunk)
    if (failure) stop(failure)
  }
  const finish = () => {
    timer.cancel()
    const message = collector.message()
    if (message) resolve(message)
    else reject(broken('not one whole message'))
  }
  const timer = clock.after(RECEIVE_TIMEOUT_MS, () => stop(new Refusal('timeout')))
  stream.on('data', take).on('end', finish)
  const gone = () => stop(broken('the client went away'))
  stream.on('aborted', gone)
  if (stream.aborted || stream.destroyed) gone()
  return promise
}

/** A message with its prefix, ready to be written. */
export function frame(codec: AnyCodec, message: unknown): Uint8Array {
  const bytes = codec.encode(message, protobuf.Writer.create().bool(false).fixed32(0)).finish(true)
  const length = bytes.length - PREFIX_BYTES
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(1, length)
  return bytes
}
