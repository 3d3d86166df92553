// Who asks people to solve captchas: this server's own pages, and the sites that the operator named.
import { hkdfSync } from 'node:crypto'
import { uuidFromBytes } from '../../wire/types.ts'
import { sameSecret } from '../kit/constant-time.ts'

export type Site = {
  /** In addresses and pages; no secret, and without a dot. */
  readonly key: string
  /** Shows that who asks about a token is the site. */
  readonly secret: string
  /** On which a widget may stand; the server's own pages are on none. */
  readonly hostnames: readonly string[]
}

/** The site of the pages for Signal clients: the same for every process that has the same secret. */
export function ownSite(captchaSecret: Uint8Array): Site {
  const derived = (purpose: string, size: number) =>
    Buffer.from(hkdfSync('sha256', captchaSecret, new Uint8Array(0), purpose, size))
  return {
    key: uuidFromBytes(derived('captcha site key', 16)),
    secret: derived('captcha site secret', 32).toString('base64url'),
    hostnames: [],
  }
}

export class Sites {
  readonly own: Site
  readonly #named: ReadonlyMap<string, Site>

  constructor(own: Site, named: readonly Site[]) {
    this.own = own
    this.#named = new Map(named.map((site) => [site.key, site]))
  }

  /** A site on whose pages a widget may stand. */
  named(key: string): Site | undefined {
    return this.#named.get(key)
  }

  /** Every secret is looked at, whichever fits. */
  bySecret(secret: string): Site | undefined {
    let found: Site | undefined
    for (const site of [this.own, ...this.#named.values()]) if (sameSecret(site.secret, secret)) found = site
    return found
  }
}

/** The origin of a page as browsers write it, if the site may stand there; ports and schemes are the site's own affair. */
export function allowedOrigin(site: Site, text: string): URL | undefined {
  const origin = URL.parse(text)
  if (!origin || origin.origin !== text || !/^https?:$/.test(origin.protocol)) return undefined
  return site.hostnames.includes(origin.hostname) ? origin : undefined
}
