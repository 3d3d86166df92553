// The shapes that generated protobuf code has: codecs of messages, and descriptions of gRPC services.
import type { Writer } from 'protobufjs/minimal.js'

/**
 * `Message` is what decoding gives, with every field set; `Init` is what encoding takes.
 * Decoded bytes are views of the input. Integers of 64 bits are exact below 2^53.
 */
export type Codec<Message, Init> = {
  /** Appends to `writer`, or to a new one; `.finish()` gives the bytes. */
  encode(message: Init, writer?: Writer): Writer
  /** Throws if the bytes are not such a message. Unknown fields are skipped. */
  decode(bytes: Uint8Array): Message
}

export type ServiceAuth = 'device' | 'anonymous'

// biome-ignore lint/suspicious/noExplicitAny: a codec of whatever message
export type AnyCodec = Codec<any, any>

/** Who sends more than one message: nobody, the server alone, or both sides. */
export type StreamKind = false | 'replies' | 'both'

export type Rpc<
  Request extends AnyCodec = AnyCodec,
  Response extends AnyCodec = AnyCodec,
  Stream extends StreamKind = StreamKind,
> = {
  /** `/<package>.<Service>/<Rpc>` */
  readonly path: string
  readonly stream: Stream
  readonly request: Request
  readonly response: Response
  /** The longest request that is read, where it is not the door's own limit. */
  readonly maxRequestBytes?: number
  /** A client of this stream may say nothing for as long as it likes. */
  readonly longLived?: boolean
}

export type Service = {
  readonly name: string
  readonly auth: ServiceAuth
  readonly rpcs: Readonly<Record<string, Rpc>>
}

export type MessageOf<C extends AnyCodec> = C extends Codec<infer Message, infer _> ? Message : never
export type InitOf<C extends AnyCodec> = C extends Codec<infer _, infer Init> ? Init : never
