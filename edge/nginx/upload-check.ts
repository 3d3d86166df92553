// Whether a signed plain upload may come in: run by nginx before it reads the body (docs/protocol/files-plain.md). In what
// njs 0.7.9 knows of the language: no classes, destructuring, for-of, spread, optional chaining or default values.
import crypto from 'crypto'
import fs from 'fs'

type Key = { readonly key: string; readonly signsUntilS: number | null }

const PREFIX = 'heliograph-plain-upload-1'
const LIFETIME_S = 7 * 86400
/** How far the clock of whoever signed may be ahead. */
const SKEW_S = 300
/** As it was sent: nothing is decoded. `e` and `l` have one way to be written. (A `$` would let a line end follow here.) */
const TARGET =
  /^(?:\/cdn[023](?=\/))*\/plain\/([A-Za-z0-9_-]{8,64})\?e=(0|[1-9][0-9]{0,11})&l=([1-9][0-9]{0,14})&s=([A-Za-z0-9_-]{43})(?![\s\S])/

/** In a time that does not depend on where they differ. */
function isSame(one: string, other: string): boolean {
  if (one.length !== other.length) return false
  let difference = 0
  for (let at = 0; at < one.length; at++) difference |= one.charCodeAt(at) ^ other.charCodeAt(at)
  return difference === 0
}

/** Of all keys: how long it takes does not tell which one signed. */
function signerOf(keys: readonly Key[], text: string, signature: string): Key | undefined {
  let signer: Key | undefined
  for (let at = 0; at < keys.length; at++) {
    const key = keys[at] as Key
    const hmac = crypto.createHmac('sha256', Buffer.from(key.key, 'hex')).update(text)
    if (isSame(signature, hmac.digest('base64url'))) signer = key
  }
  return signer
}

function isGood(signer: Key, expiresAtS: number): boolean {
  const nowS = Math.floor(Date.now() / 1000)
  const signedByS = signer.signsUntilS === null ? nowS : Math.min(nowS, signer.signsUntilS)
  return expiresAtS > nowS && expiresAtS - signedByS <= LIFETIME_S + SKEW_S
}

function exists(path: string): boolean {
  try {
    fs.accessSync(path)
    return true
  } catch (_error) {
    return false
  }
}

function check(r: NginxHTTPRequest): string {
  const target = TARGET.exec(r.variables.request_uri as string)
  if (target === null || r.variables.request_method !== 'PUT') return '403'
  const name = target[1] as string
  const text = [PREFIX, 'PUT', name, target[2], target[3]].join('\n')
  const file = fs.readFileSync(r.variables.heliograph_upload_keys as string, 'utf8') as string
  const signer = signerOf(JSON.parse(file).keys, text, target[4] as string)
  if (signer === undefined || !isGood(signer, Number(target[2]))) return '403'
  const bytes = r.variables.http_content_length
  if (r.variables.http_content_range !== undefined || !(Number(bytes) > 0)) return '400'
  if (Number(bytes) > Number(target[3])) return '413'
  const shard = name.slice(0, 2)
  return exists(`${r.variables.heliograph_attachments}/${shard}/${name}`) ? '409' : 'take'
}

/** For `js_set`: `take`, or the status of the refusal. Whatever goes wrong is 503: nothing comes in unchecked. */
function verdict(r: NginxHTTPRequest): string {
  try {
    return check(r)
  } catch (_error) {
    return '503'
  }
}

/** For `js_access` of njs 0.9.9 and later: goes on, or answers. With a text, nginx would ask for the body first. */
function access(r: NginxHTTPRequest): void {
  const status = verdict(r)
  if (status !== 'take') r.return(Number(status))
}

export default { verdict, access }
