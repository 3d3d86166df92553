// One request of a fuzzer: made from a route's example with something spoilt, sent through a door, judged by the contract.
import type { WireReply } from '../../wire/client.ts'
import { generalStatuses, type NamedRoute } from '../../wire/routes.ts'
import type { Door } from './doors.ts'
import type { Example } from './examples.ts'

export type Probe = {
  readonly named: NamedRoute
  readonly example: Example
  readonly headers: Readonly<Record<string, string>>
  /** Instead of the example's body. */
  readonly bytes?: Uint8Array | undefined
  /** The target was spoilt: it may be that of no route, or of another. */
  readonly strayed?: boolean
}

/** Text as it may stand in a request line: HTTP takes less than a websocket frame does. */
const inTarget = (text: string, door: Door) =>
  door.anyText ? text : encodeURIComponent(text.toWellFormed()).replaceAll('%25', '%')
const inHeader = (text: string, door: Door) =>
  door.anyText ? text : text.replace(/[^\t\x20-\x7e]/g, '?').trim()

function targetOf({ named, example }: Probe, door: Door): string {
  const path = named.route.path.replace(/:(\w+)/g, (_, name: string) =>
    inTarget(example.params[name] ?? '', door),
  )
  const query = Object.entries(example.query).map(([name, value]) => `${name}=${inTarget(value, door)}`)
  return query.length > 0 ? `${path}?${query.join('&')}` : path
}

/** A body that is bytes travels as it is, any other as JSON. */
const bytesOf = (body: unknown): Uint8Array =>
  body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body) ?? '')

export async function send(probe: Probe, door: Door): Promise<WireReply> {
  const { named, example } = probe
  const { contentType } = named.route.body
  const headers = {
    ...(contentType !== undefined && { 'content-type': contentType }),
    ...example.headers,
    ...probe.headers,
  }
  const sent = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, inHeader(value, door)]),
  )
  return door.call(named.route.method, targetOf(probe, door), sent, probe.bytes ?? bytesOf(example.body))
}

/** What is wrong with an answer, if anything. */
export function complaint({ named, strayed }: Probe, reply: WireReply, door: Door): string | undefined {
  const { route, name } = named
  const where = `${named.capability}.${name} through ${door.name}: ${reply.status}`
  const stray = strayed ? [400, 401, 404, 405, 414, 422, 431] : []
  const allowed = [...Object.keys(route.replies).map(Number), ...generalStatuses(route), ...stray]
  // A socket has its caller: who is unknown is 401 on a device's route, who is known is 400 where nobody may be.
  if (door.kind !== 'https') allowed.push(401, 400)
  if (!allowed.includes(reply.status)) return `${where} is not among ${allowed.join()}`
  if (!/^\d{13}$/.test(reply.headers['x-signal-timestamp'] ?? '')) return `${where} has no timestamp`
  if (reply.headers['x-evil'] !== undefined) return `${where} carries a header of the client's`
  if (reply.headers['content-type'] === 'application/json' && reply.body.length > 0) {
    JSON.parse(Buffer.from(reply.body).toString())
  }
  return undefined
}
