// Protobuf bodies of which nothing is skipped: what is stored and signed as it came must be known in every field.
import runtime from './protobuf.ts'
import { type Body, Malformed, protobuf } from './route.ts'
import type { Codec } from './service.ts'

/** Fields that the contract does not know stay in the message, for `hasUnknownFields` to find. */
export const wholeProtobuf = <Message>(codec: Codec<Message, never>): Body<Message> => ({
  ...protobuf(codec),
  decode(bytes) {
    const reader = runtime.Reader.create(bytes)
    reader.discardUnknown = false
    try {
      // Generated code reads on where a reader stands.
      return codec.decode(reader as never)
    } catch {
      throw new Malformed(['body: must be such a message'])
    }
  },
})

/** Whether a message has a field, at any depth, that its contract does not know, or knows as another type. */
export function hasUnknownFields(message: unknown): boolean {
  if (Array.isArray(message)) return message.some(hasUnknownFields)
  if (message === null || typeof message !== 'object' || message instanceof Uint8Array) return false
  return Object.hasOwn(message, '$unknowns') || Object.values(message).some(hasUnknownFields)
}
