/**
 * Whether a decoded message has a field, at any depth, that its contract does not know. What is stored and signed is
 * the message itself: nothing may travel in it that no rule looked at.
 */
export function hasUnknownFields(message: unknown): boolean {
  if (Array.isArray(message)) return message.some(hasUnknownFields)
  if (message === null || typeof message !== 'object' || message instanceof Uint8Array) return false
  return Object.hasOwn(message, '$unknowns') || Object.values(message).some(hasUnknownFields)
}
