// Everything an nginx in front of a Heliograph needs, in a folder of its own.
import { execFileSync } from 'node:child_process'
import { chmod, mkdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { certificateHosts } from '../../server/kit/certificate-hosts.ts'
import { openCertificates } from '../../server/kit/certificates.ts'
import { systemClock } from '../../server/kit/clock.ts'
import { type Config, ConfigError } from '../../server/kit/config.ts'
import {
  edgeKeyFile,
  filesFolder,
  handOverSocket,
  MAX_SOCKET_PATH_BYTES,
  mustLieOnDisk,
  writeEdgeKeys,
} from '../../server/kit/edge-files.ts'
import { writeAtomically } from '../../server/kit/private-folder.ts'
import { openSecrets } from '../../server/kit/secrets.ts'
import { type InstalledNginx, installedNginx } from './installed-nginx.ts'
import { uploadCheckScript } from './script.ts'
import { httpConf, nginxConf, SITE_FILES, type Site } from './site.ts'

export type WriteSiteOptions = {
  readonly config: Config
  readonly folder: string
  /** The installed one if not given. */
  readonly binary?: string | undefined
}

const READABLE_MODE = 0o644

/** Makes keys and certificates if the server has none yet. Throws `ConfigError`, `NginxError` or `SecretsError`. */
export async function writeSite({ config, folder: out, binary }: WriteSiteOptions) {
  const folder = resolve(out)
  const nginx = installedNginx(binary)
  const site = await siteOf(config, nginx, folder)
  const texts = [
    [SITE_FILES.main, nginxConf(site)],
    [SITE_FILES.http, httpConf(site)],
    [SITE_FILES.script, uploadCheckScript()],
  ] as const
  for (const part of [folder, join(folder, 'temporary'), join(filesFolder(config), 'incoming')])
    await mkdir(part, { recursive: true, mode: 0o700 })
  await chmod(folder, 0o700)
  for (const [name, text] of texts) await writeAtomically(folder, name, text, READABLE_MODE)
  return { site, summary: summary(site, nginx) }
}

async function siteOf(config: Config, nginx: InstalledNginx, folder: string): Promise<Site> {
  const { listen, edge, data } = config
  const front = edge.nginx
  if (!front) throw new ConfigError('The configuration has no edge.nginx: say what nginx listens on.')
  if (listen.port === 0)
    throw new ConfigError('"listen.port" must be a fixed one: nginx has to find the server.')
  mustLieOnDisk(config)
  const socket = handOverSocket(config)
  if (Buffer.byteLength(socket) > MAX_SOCKET_PATH_BYTES)
    throw new ConfigError(
      `${socket} is too long for the address of a socket: set "files.folder" to a shorter path.`,
    )
  const secrets = await openSecrets(config.secrets)
  await writeEdgeKeys(config.secrets, secrets.uploads, systemClock.nowMs())
  const own = await openCertificates({
    secretsFolder: config.secrets,
    dataFolder: data,
    hosts: certificateHosts(config),
    nowMs: systemClock.nowMs(),
  })
  return {
    nginx,
    ...{ host: front.host, port: front.port, names: front.names, folder, socket },
    certificate: resolve(front.certificate ?? join(data, 'tls', 'tls.pem')),
    certificateKey: resolve(front.certificateKey ?? join(config.secrets, 'tls.key.pem')),
    upstream: upstreamOf(listen.host, listen.port),
    authority: own.caPemFile,
    filesFolder: resolve(filesFolder(config)),
    keyFile: edgeKeyFile(config),
    maxPerAddress: listen.maxConnectionsPerAddress,
    user: await ownerOf(data),
  }
}

function upstreamOf(host: string, port: number): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return reachable.includes(':') ? `[${reachable}]:${port}` : `${reachable}:${port}`
}

/** Only root may name another user, and has to. */
async function ownerOf(folder: string): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const { uid } = await stat(folder)
  return execFileSync('id', ['-un', String(uid)], { encoding: 'utf8' }).trim()
}

const summary = ({ folder, host, port }: Site, { binary, version, hasJsAccess }: InstalledNginx): string => `\
${folder} is written, for ${binary} ${version} (${hasJsAccess ? 'js_access' : 'js_set'}).
  try it     ${binary} -t -c ${join(folder, SITE_FILES.main)}
  start it   ${binary} -c ${join(folder, SITE_FILES.main)}    (as Heliograph's user; it listens on ${host}:${port})
  in another nginx: include ${join(folder, SITE_FILES.http)}; in its http`
