// A client's address as the key of a limiter: what one subscriber can change at will must not make a new key.
import { isIP } from 'node:net'

/** What garbage becomes; all of it shares one bucket. */
const UNKNOWN = 'unknown'

/**
 * IPv4 as it is, IPv4 inside IPv6 (RFC 4291 §2.5.5.2, RFC 6052 §2.1) as IPv4, any other IPv6 cut to its /64
 * in the form of RFC 5952: `2001:db8:0:7::/64`. What is no address is `unknown`.
 */
export function limiterAddress(address: string): string {
  const family = isIP(address)
  if (family === 4) return address
  if (family === 0) return UNKNOWN
  const groups = ipv6Groups(address.split('%')[0]!)
  return embeddedIpv4(groups) ?? `${networkText(groups.slice(0, 4))}::/64`
}

/** What a door knows of who asks. */
export type Asked = {
  readonly socket: { readonly remoteAddress?: string | undefined } | undefined
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
}

/** Whose request it is, as the key of a limiter, behind every door. No header is believed: anybody can write one. */
export const callerAddress = ({ socket }: Asked): string => limiterAddress(socket?.remoteAddress ?? '')

/** Whether a limiter's address is this host's own. */
export const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::/64'

/** Whether only this host can reach what listens on an address or name. */
export const isLoopbackHost = (host: string): boolean =>
  host === 'localhost' ||
  limiterAddress(host).startsWith('127.') ||
  (isIP(host) === 6 && /^[0:]*:0*1$/.test(host))

/** The 4 or 16 bytes of a valid address. */
export const addressBytes = (address: string): Buffer =>
  isIP(address) === 4
    ? Buffer.from(address.split('.').map(Number))
    : Buffer.from(ipv6Groups(address).flatMap((group) => [group >> 8, group & 0xff]))

/** The eight 16-bit groups of a valid IPv6 address. */
function ipv6Groups(address: string): number[] {
  const [head, tail] = address.split('::') as [string, string | undefined]
  const before = groupsOf(head)
  if (tail === undefined) return before
  const after = groupsOf(tail)
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after]
}

const groupsOf = (text: string): number[] => (text === '' ? [] : text.split(':').flatMap(groupOrIpv4))

function groupOrIpv4(text: string): number[] {
  if (!text.includes('.')) return [Number.parseInt(text, 16)]
  const [a, b, c, d] = text.split('.').map(Number) as [number, number, number, number]
  return [(a << 8) | b, (c << 8) | d]
}

const IPV4_PREFIXES = ['0,0,0,0,0,65535', `${0x64},${0xff9b},0,0,0,0`]

function embeddedIpv4(groups: number[]): string | undefined {
  if (!IPV4_PREFIXES.includes(groups.slice(0, 6).join())) return undefined
  return groups
    .slice(6)
    .flatMap((group) => [group >> 8, group & 0xff])
    .join('.')
}

/** Without the zeros at its end, which `::` stands for: with the host part they are the longest run. */
function networkText(groups: number[]): string {
  const end = groups.findLastIndex((group) => group !== 0) + 1
  return groups
    .slice(0, end)
    .map((group) => group.toString(16))
    .join(':')
}
