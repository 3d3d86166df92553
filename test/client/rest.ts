// Requests inside a chat socket that libsignal has no typed call for, and answers as tests read them.
import type * as LS from '@signalapp/libsignal-client'

type Chat = Pick<LS.Net.ChatConnection, 'fetch'>

export type Reply = {
  readonly status: number
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** The body as JSON; nothing if it is not declared to be that. */
  // biome-ignore lint/suspicious/noExplicitAny: whatever a test expects of it
  readonly json: any
}

export function toReply(
  status: number,
  headers: readonly (readonly [string, string])[],
  body: Uint8Array,
): Reply {
  const bytes = Buffer.from(body)
  const byName = Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value.trim()]))
  const isJson = bytes.length > 0 && byName['content-type'] === 'application/json'
  return {
    status,
    headers: byName,
    body: bytes,
    json: isJson ? JSON.parse(bytes.toString('utf8')) : undefined,
  }
}

export async function fetchJson(
  chat: Chat,
  verb: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Reply> {
  const type = body === undefined ? {} : { 'content-type': 'application/json' }
  const response = await chat.fetch({
    verb,
    path,
    headers: Object.entries({ ...type, ...headers }),
    timeoutMillis: 15_000,
    ...(body !== undefined && { body: new Uint8Array(Buffer.from(JSON.stringify(body))) }),
  })
  return toReply(response.status, response.headers, response.body ?? new Uint8Array())
}

export function expectStatus(status: number, reply: Reply): void {
  if (reply.status !== status) throw new Error(`expected ${status}, got ${reply.status}: ${reply.body}`)
}
