// Which of several credentials for secure value recovery are worth keeping.
import { DAY_MS } from '../../kit/days.ts'
import type { ExternalServiceCredentials } from '../../kit/external-credentials.ts'

export type SvrVerdict = 'match' | 'no-match' | 'invalid'

/** As long as an account may be idle. */
const MAX_AGE_MS = 120 * DAY_MS

type Judged = { readonly token: string; readonly username: string; readonly issuedAtMs: number }

/**
 * A verdict on each token `<username>:<password>`: `invalid` if it is not ours, too old, or older than another of the
 * same user; else whether it is of the account whose username is `own`.
 */
export function checkSvrTokens(
  credentials: ExternalServiceCredentials,
  tokens: readonly string[],
  own: string | undefined,
): Map<string, SvrVerdict> {
  const verdicts = new Map<string, SvrVerdict>(tokens.map((token) => [token, 'invalid']))
  const newest = new Map<string, Judged>()
  for (const token of verdicts.keys()) {
    const judged = judge(credentials, token)
    const known = judged && newest.get(judged.username)
    if (judged && !(known && known.issuedAtMs >= judged.issuedAtMs)) newest.set(judged.username, judged)
  }
  for (const { token, username } of newest.values())
    verdicts.set(token, username === own ? 'match' : 'no-match')
  return verdicts
}

function judge(credentials: ExternalServiceCredentials, token: string): Judged | undefined {
  const colon = token.indexOf(':')
  const [username, password] = [token.slice(0, Math.max(0, colon)), token.slice(colon + 1)]
  const issuedAtMs = credentials.issuedAtMs({ username, password })
  if (issuedAtMs === undefined || !credentials.verify({ username, password }, MAX_AGE_MS)) return undefined
  return { token, username, issuedAtMs }
}
