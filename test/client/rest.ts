// Requests inside a chat socket that libsignal has no typed call for.
import type * as LS from '@signalapp/libsignal-client'

type Chat = Pick<LS.Net.ChatConnection, 'fetch'>

export type Reply = {
  readonly status: number
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** The body as JSON; nothing if there is no body. */
  readonly json: unknown
}

export async function fetchJson(
  chat: Chat,
  verb: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Reply> {
  const json = body === undefined ? {} : { 'content-type': 'application/json' }
  const response = await chat.fetch({
    verb,
    path,
    headers: Object.entries({ ...json, ...headers }),
    timeoutMillis: 15_000,
    ...(body !== undefined && { body: new Uint8Array(Buffer.from(JSON.stringify(body))) }),
  })
  const bytes = Buffer.from(response.body ?? [])
  const lower = response.headers.map(([name, value]) => [name.toLowerCase(), value.trim()] as const)
  const headersByName = Object.fromEntries(lower)
  const isJson = bytes.length > 0 && headersByName['content-type'] === 'application/json'
  return {
    status: response.status,
    headers: headersByName,
    body: bytes,
    json: isJson ? JSON.parse(bytes.toString('utf8')) : undefined,
  }
}

export function expectStatus(status: number, reply: Reply): void {
  if (reply.status !== status) throw new Error(`expected ${status}, got ${reply.status}: ${reply.body}`)
}
