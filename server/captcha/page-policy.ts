// What browsers may do with our pages: nothing that we did not send, and no frame but where it was asked for.
import { type Foreign, sourcesOf } from './foreign.ts'

type Headers = Readonly<Record<string, string>>

const COMMON: Headers = {
  'Cache-Control': 'no-store',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
}

function policy(directives: Readonly<Record<string, readonly string[]>>): string {
  return Object.entries(directives)
    .map(([name, sources]) => [name, ...sources].join(' '))
    .join('; ')
}

const SELF = ["'self'"]
const OWN = {
  'default-src': ["'none'"],
  'script-src': SELF,
  'worker-src': SELF,
  'style-src': SELF,
  'img-src': SELF,
  'media-src': SELF,
  'connect-src': SELF,
  'form-action': SELF,
  'base-uri': ["'none'"],
}

/** `framedBy`: the origin whose page the widget stands on; the pages for Signal clients stand on none. */
export function pageHeaders(framedBy: string | undefined, foreign?: Foreign): Headers {
  const theirs = foreign ? sourcesOf(foreign) : []
  const allowed = foreign && {
    'script-src': [...SELF, ...theirs],
    'style-src': [...SELF, ...theirs],
    'connect-src': [...SELF, ...theirs],
    'frame-src': theirs,
  }
  const ancestors = { 'frame-ancestors': [framedBy ?? "'none'"] }
  return { ...COMMON, 'Content-Security-Policy': policy({ ...OWN, ...allowed, ...ancestors }) }
}

/** Of scripts and styles. A worker has the policy of its own script: it compiles WebAssembly. */
export const ASSET_HEADERS: Headers = {
  'Cache-Control': 'public, max-age=31536000, immutable',
  'Content-Security-Policy': "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'",
  'X-Content-Type-Options': 'nosniff',
}

/** Of the script that other sites load by an address that stays. */
export const API_HEADERS: Headers = {
  ...ASSET_HEADERS,
  'Cache-Control': 'public, max-age=3600',
  'Access-Control-Allow-Origin': '*',
  'Cross-Origin-Resource-Policy': 'cross-origin',
}

/** Of pictures and sounds. */
export const RIDDLE_HEADERS: Headers = {
  ...COMMON,
  'Content-Security-Policy': "default-src 'none'; sandbox",
}
