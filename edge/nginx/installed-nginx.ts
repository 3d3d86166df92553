// The nginx that is installed, and what it and its JavaScript module can do: found by asking it, not by guessing.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

export type InstalledNginx = {
  readonly binary: string
  readonly version: string
  /** Of the library that it runs with. */
  readonly openssl: string
  /** To be loaded; nothing if it is compiled in. */
  readonly jsModule: string | undefined
  /** njs 0.9.9 and later: the check runs in the phase that is meant for it. */
  readonly hasJsAccess: boolean
}

/** One sentence for the operator. */
export class NginxError extends Error {
  override readonly name = 'NginxError'
}

const ANSWER_WITHIN_MS = 10_000

const run = (binary: string, args: readonly string[]) =>
  spawnSync(binary, args, { encoding: 'utf8', timeout: ANSWER_WITHIN_MS })

/** Debian keeps it where only root's PATH leads. */
export const findNginx = (): string =>
  ['/usr/sbin/nginx', '/usr/local/sbin/nginx'].find((path) => existsSync(path)) ?? 'nginx'

/** Throws `NginxError`. */
export function installedNginx(binary = findNginx()): InstalledNginx {
  const { stderr, error } = run(binary, ['-V'])
  const version = /nginx version: nginx\/([\d.]+)/.exec(stderr ?? '')?.[1]
  if (error || version === undefined)
    throw new NginxError(`${binary} is no nginx that runs here: install it, or name it with --nginx.`)
  const openssl =
    /running with OpenSSL ([\d.]+)/.exec(stderr)?.[1] ?? /OpenSSL ([\d.]+)/.exec(stderr)?.[1] ?? '0'
  const jsModule = jsModuleOf(binary, stderr)
  return { binary, version, openssl, jsModule, hasJsAccess: hasJsAccess(binary, jsModule) }
}

function jsModuleOf(binary: string, about: string): string | undefined {
  if (/--add-module=\S*njs/.test(about)) return undefined
  const [prefix, modules] = ['prefix', 'modules-path'].map(
    (name) => new RegExp(`--${name}=(\\S+)`).exec(about)?.[1],
  )
  const folder = resolve(prefix ?? '/usr/local/nginx', modules ?? 'modules')
  const path = join(folder, 'ngx_http_js_module.so')
  if (existsSync(path)) return path
  throw new NginxError(
    `${binary} has no JavaScript module (${path}): install libnginx-mod-http-js, or name another nginx with --nginx.`,
  )
}

/** njs has no way to say its version to a configuration; a directive that it does not know says enough. */
function hasJsAccess(binary: string, jsModule: string | undefined): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'helio-nginx-'))
  try {
    writeFileSync(join(folder, 'probe.js'), 'export default { access: function (r) {} }\n')
    writeFileSync(join(folder, 'probe.conf'), probe(folder, jsModule))
    const { status, stderr } = run(binary, [
      '-t',
      '-p',
      folder,
      '-c',
      join(folder, 'probe.conf'),
      '-e',
      'stderr',
    ])
    if (status === 0) return true
    if (stderr.includes('unknown directive "js_access"')) return false
    throw new NginxError(`${binary} cannot try its JavaScript module: ${stderr.trim().split('\n')[0]}`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const probe = (folder: string, jsModule: string | undefined): string => `
${jsModule === undefined ? '' : `load_module ${jsModule};`}
pid ${folder}/pid;
events {}
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/temp;`).join(' ')}
  js_import probe from ${folder}/probe.js;
  server { listen unix:${folder}/socket; location / { js_access probe.access; } }
}
`

const numbers = (version: string): number[] => version.split('.').map(Number)

export function isAtLeast(version: string, least: string): boolean {
  const [is, wanted] = [numbers(version), numbers(least)]
  const at = wanted.findIndex((number, index) => number !== (is[index] ?? 0))
  return at < 0 || (is[at] ?? 0) > wanted[at]!
}
