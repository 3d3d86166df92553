// Where we may be sent by an address that somebody else chose: to the public internet, and to what the operator allows.
// What a name means is looked up once and then connected to, so that no second answer can lead elsewhere (S1).
import { lookup as lookUp } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'

type Network = readonly [ipaddr.IPv4 | ipaddr.IPv6, number]

/** `code` of the error of a look-up that leads nowhere we may go. */
export const OUT_OF_REACH = 'EOUTOFREACH'

export class Reach {
  readonly #hosts: ReadonlySet<string>
  readonly #networks: readonly Network[]

  /** `allowed`: names, and networks as `192.168.7.0/24`, besides what is public. */
  constructor(allowed: readonly string[]) {
    const networks = allowed.filter((one) => ipaddr.isValidCIDR(one))
    this.#networks = networks.map((one) => ipaddr.parseCIDR(one))
    this.#hosts = new Set(allowed.filter((one) => !networks.includes(one)).map((one) => one.toLowerCase()))
  }

  /** Whether a URL may be asked as it stands; what its name means is seen by `lookup`. */
  admits({ hostname }: URL): boolean {
    const host = hostname.replaceAll(/^\[|\]$/g, '')
    if (this.#hosts.has(host)) return true
    return isIP(host) === 0 ? !isLocalName(host) : this.#admitsAddress(host)
  }

  /** For the connection: fails with `OUT_OF_REACH` if any address of the name is out of reach. */
  readonly lookup: LookupFunction = (hostname, options, done) => {
    lookUp(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return done(error, [])
      const isKnown = this.#hosts.has(hostname.toLowerCase())
      if (!isKnown && !addresses.every(({ address }) => this.#admitsAddress(address)))
        return done(Object.assign(new Error('out of reach'), { code: OUT_OF_REACH }), [])
      if (options.all) return done(null, addresses)
      const [first] = addresses
      done(null, first!.address, first!.family)
    })
  }

  #admitsAddress(text: string): boolean {
    const address = ipaddr.process(text.split('%')[0]!)
    return (
      isGlobal(address) ||
      this.#networks.some(([base, bits]) => base.kind() === address.kind() && address.match(base, bits))
    )
  }
}

/** Of IPv6, only what is given out as global unicast (RFC 4291 §2.4): 2000::/3. */
const isGlobal = (address: ipaddr.IPv4 | ipaddr.IPv6): boolean =>
  address.range() === 'unicast' && (address.kind() === 'ipv4' || address.toByteArray()[0]! >> 5 === 1)

/** RFC 6761, RFC 6762, RFC 8375: names that never mean anybody on the internet; and those without a dot. */
const isLocalName = (host: string): boolean =>
  !host.replace(/\.$/, '').includes('.') ||
  /\.(localhost|local|internal|home\.arpa|test|invalid)\.?$/.test(host)
