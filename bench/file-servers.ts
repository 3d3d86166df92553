// The servers that take and give files in the bench, each on the first core, with or without TLS.
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { objectPath } from '../server/files/object-key.ts'
import { selfSigned } from './floors/certificate.ts'
import type { FilesJob, Transfer } from './job.ts'
import { freePort, startOurs, startProgram, startServer } from './processes.ts'

export const FILE_SUBJECTS = ['tus', 'tus-fsync', 'nginx', 'ours', 'ours-nginx'] as const
export type FileSubject = (typeof FILE_SUBJECTS)[number]

export type FileServer = Pick<FilesJob, 'server' | 'origin' | 'caPem'> & {
  readonly upload: Transfer
  /** Puts a file where it is served from; gives the path to GET. */
  lay(bytes: number): string
  stop(): Promise<void>
}

export const hasNginx = (): boolean => existsSync(NGINX)
const NGINX = '/usr/sbin/nginx'
const ROOT = join(import.meta.dirname, '..')

export async function startFileServer(
  subject: FileSubject,
  directory: string,
  isPlain: boolean,
): Promise<FileServer> {
  mkdirSync(directory, { recursive: true })
  if (subject === 'nginx') return startNginx(directory, isPlain)
  if (subject === 'ours-nginx') return startOursAtNginx(directory, isPlain)
  if (subject === 'ours') return startOwn(directory, isPlain)
  const flags = [...(isPlain ? ['--plain'] : []), ...(subject === 'tus-fsync' ? ['--fsync'] : [])]
  const started = await startServer([join(ROOT, 'bench/floors/tus.ts'), ...flags], directory, TRAITS)
  return {
    ...placeOf(started, isPlain),
    upload: { kind: 'tus', path: '/files' },
    lay: layIn(join(directory, 'data', 'files'), 'laid'),
  }
}

const TRAITS = { name: 'files', frames: 'signal', receipts: false } as const

async function startOwn(directory: string, isPlain: boolean): Promise<FileServer> {
  const door = join(ROOT, 'bench/plain-door.ts')
  const started = isPlain ? await startServer([door], directory, TRAITS) : await startOurs(directory)
  const data = join(directory, 'data')
  const upload = { kind: 'tus', path: '/upload/attachments', data } as const
  const lay = layIn(join(data, 'files', 'objects'), 'attachments/laid-by-the-bench')
  return { ...placeOf(started, isPlain), upload, lay }
}

const layIn = (folder: string, key: string) => (bytes: number) => {
  const path = join(folder, key.includes('/') ? objectPath(key) : key)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, randomBytes(bytes))
  return `/${key}`
}

function placeOf({ target, stop }: Awaited<ReturnType<typeof startServer>>, isPlain: boolean) {
  const { core, port, caPem } = target
  const origin = `${isPlain ? 'http' : 'https'}://localhost:${port}`
  return { server: { pids: [target.pid], core }, origin, caPem: isPlain ? undefined : caPem, stop }
}

/** As plain as it comes: files from a folder by sendfile, and into it by WebDAV's PUT, whoever asks. */
async function startNginx(directory: string, isPlain: boolean): Promise<FileServer> {
  const port = await freePort()
  const folder = join(directory, 'files')
  mkdirSync(folder)
  const { key, cert } = selfSigned('localhost')
  const [keyFile, caPem] = [join(directory, 'key.pem'), join(directory, 'certificate.pem')]
  writeFileSync(keyFile, key, { mode: 0o600 })
  writeFileSync(caPem, cert)
  const tls = `ssl_certificate ${caPem}; ssl_certificate_key ${keyFile}; ssl_protocols TLSv1.3;`
  const own = process.getuid?.() === 0 ? 'user root;' : ''
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const conf = join(directory, 'nginx.conf')
  writeFileSync(
    conf,
    `${own} daemon off; worker_processes auto; pid ${directory}/pid; error_log stderr warn;
events { worker_connections 256; }
http {
  access_log off; sendfile on; tcp_nopush on; default_type application/octet-stream;
  keepalive_requests 1000000; client_max_body_size 0; client_body_buffer_size 128k;
  ${temporary.map((name) => `${name}_temp_path ${directory}/temp-${name};`).join(' ')}
  server {
    listen 127.0.0.1:${port}${isPlain ? '' : ' ssl'};
    ${isPlain ? '' : tls}
    root ${folder};
    location / { dav_methods PUT; }
  }
}
`,
  )
  const { pid, core, stop } = await startProgram([NGINX, '-p', directory, '-c', conf], directory, port)
  const server = { pids: [pid], core }
  const origin = `${isPlain ? 'http' : 'https'}://localhost:${port}`
  const upload = { kind: 'put', path: '' } as const
  return { server, origin, caPem: isPlain ? undefined : caPem, upload, lay: layIn(folder, 'laid'), stop }
}

/** The site as `heliograph edge nginx` writes it, and the server behind it; what both cost counts. Plain: the same without its TLS. */
async function startOursAtNginx(directory: string, isPlain: boolean): Promise<FileServer> {
  const port = await freePort()
  const ours = await startOurs(directory, [], { edge: { nginx: { host: '127.0.0.1', port } } })
  const [site, data] = [join(directory, 'nginx'), join(directory, 'data')]
  const where = ['--config', join(directory, 'bench.yaml'), '--data', data, '--out', site]
  execFileSync(process.execPath, [join(ROOT, 'server/heliograph.js'), 'edge', 'nginx', ...where])
  if (isPlain) {
    const http = join(site, 'heliograph.conf')
    writeFileSync(http, readFileSync(http, 'utf8').replace(/^( *listen \S+) ssl.*;$/m, '$1;'))
  }
  const command = [NGINX, '-c', join(site, 'nginx.conf'), '-g', 'daemon off;', '-e', 'stderr']
  const nginx = await startProgram(command, site, port)
  return {
    server: { pids: [ours.target.pid, nginx.pid], core: nginx.core },
    origin: `${isPlain ? 'http' : 'https'}://localhost:${port}`,
    caPem: isPlain ? undefined : ours.target.caPem,
    upload: { kind: 'put', path: '/plain', data },
    lay: layIn(join(data, 'files', 'objects'), 'attachments/laid-by-the-bench'),
    async stop() {
      await nginx.stop()
      await ours.stop()
    },
  }
}
