// The Debian packages of servers that the suite runs for real.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'

/** `binary` is a program of the PATH, or a path. */
type DebianPackage = { readonly name: string; readonly binary: string; readonly package: string }

const PACKAGES: readonly DebianPackage[] = [
  { name: 'PostgreSQL', binary: 'initdb', package: 'postgresql' },
  { name: 'OpenStack Swift', binary: 'swift-account-server', package: 'swift-account' },
  { name: 'OpenStack Swift', binary: 'swift-container-server', package: 'swift-container' },
  { name: 'OpenStack Swift', binary: 'swift-object-server', package: 'swift-object' },
  { name: 'OpenStack Swift', binary: 'swift-proxy-server', package: 'swift-proxy' },
  { name: 'Chromium', binary: 'chromium', package: 'chromium' },
  { name: 'nginx', binary: 'nginx', package: 'nginx' },
  {
    name: 'nginx’s njs',
    binary: '/usr/lib/nginx/modules/ngx_http_js_module.so',
    package: 'libnginx-mod-http-js',
  },
  { name: 'njs', binary: 'njs', package: 'njs' },
]

/** Debian keeps PostgreSQL's programs out of the PATH, a folder for each version. */
const POSTGRES_ROOT = '/usr/lib/postgresql'

function folders(): string[] {
  const versions = existsSync(POSTGRES_ROOT) ? readdirSync(POSTGRES_ROOT) : []
  const postgres = versions.map((version) => join(POSTGRES_ROOT, version, 'bin'))
  return [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', ...postgres]
}

const isInstalled = ({ binary }: DebianPackage) =>
  isAbsolute(binary) ? existsSync(binary) : folders().some((folder) => existsSync(join(folder, binary)))

const apt = (...args: string[]) =>
  spawnSync('apt-get', ['-qq', '-o', 'Dpkg::Use-Pty=0', ...args], {
    stdio: 'ignore',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  }).status === 0

function install(names: string[]): boolean {
  const now = () => apt('install', '--yes', '--no-install-recommends', ...names)
  return now() || (apt('update') && now())
}

/** Installs what is missing where it may: as root, with apt-get. What is missing afterwards is named, and its tests skip. */
export function bringPackages(say: (line: string) => void): void {
  const missing = PACKAGES.filter((one) => !isInstalled(one))
  if (missing.length === 0) return
  const names = missing.map((one) => one.package)
  if (process.getuid?.() === 0 && apt('--version')) {
    say(`installing ${names.join(', ')} with apt-get: the suite runs real servers`)
    install(names)
  }
  for (const one of missing)
    if (!isInstalled(one))
      say(`${one.name} is not here (apt-get install ${one.package}): its tests are skipped`)
}
