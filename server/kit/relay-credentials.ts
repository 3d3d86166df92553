// Credentials that a TURN server takes without knowing any user (draft-uberti-behave-turn-rest-00): coturn's `use-auth-secret`.
import { createHmac } from 'node:crypto'

export type RelayCredentials = { readonly username: string; readonly password: string }

/** What coturn's `static-auth-secret` has to be: text, for it is a line of a file. It must stay secret. */
export const relaySecretText = (secret: Buffer): string => secret.toString('hex')

/** Valid until `expiresSeconds` since 1970. `id` tells users apart, for quotas; it should mean nothing. */
export function relayCredentials(secret: Buffer, expiresSeconds: number, id: string): RelayCredentials {
  const username = `${expiresSeconds}:${id}`
  const password = createHmac('sha1', relaySecretText(secret)).update(username).digest('base64')
  return { username, password }
}
