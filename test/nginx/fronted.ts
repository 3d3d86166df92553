// A file store with a real nginx in front of it, in a folder of its own: two doors to one store.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { findNginx, installedNginx, NginxError } from '../../edge/nginx/installed-nginx.ts'
import { SITE_FILES } from '../../edge/nginx/site.ts'
import { writeSite } from '../../edge/nginx/write-site.ts'
import { UploadForms } from '../../server/chat/attachments/upload-forms.ts'
import { systemClock } from '../../server/kit/clock.ts'
import { configSchema } from '../../server/kit/config-schema.ts'
import { silentLog } from '../../server/kit/log.ts'
import { plainAddress, plainKey } from '../../server/kit/plain-addresses.ts'
import { systemRandom } from '../../server/kit/random.ts'
import { openSecrets, type Secrets } from '../../server/kit/secrets.ts'
import { UploadSignatures } from '../../server/kit/upload-signatures.ts'
import { type Platform, up } from '../../server/up.ts'
import type { Form } from '../client/tus.ts'
import { Outbox } from '../outbox.ts'
import { until, within } from '../within.ts'
import { type Answer, type Asked, Client } from './client.ts'

export const DOORS = ['node', 'nginx'] as const
export type DoorName = (typeof DOORS)[number]

export type Signing = { readonly maxBytes?: number; readonly seconds?: number; readonly key?: Uint8Array }

/** `HELIOGRAPH_NGINX=/path/to/nginx npm test -- nginx` tries another than the installed one. */
export const NGINX = process.env['HELIOGRAPH_NGINX'] ?? findNginx()

/** Whether nginx and its JavaScript module are there; if not, the test is skipped, or fails where none may be. */
export function hasNginx(t: TestContext): boolean {
  try {
    installedNginx(NGINX)
    return true
  } catch (error) {
    if (!(error instanceof NginxError) || process.env['CI'] === 'true') throw error
    t.skip('nginx or libnginx-mod-http-js is not installed')
    return false
  }
}

export type FrontedOptions = {
  /** Of what is written for nginx. */
  readonly change?: (httpConf: string) => string
  readonly config?: Readonly<Record<string, unknown>>
  /** What starts nginx: the program and its arguments come after it. */
  readonly before?: (filesFolder: string) => readonly string[]
}

export class Fronted {
  readonly folder: string
  readonly platform: Platform
  readonly secrets: Secrets
  readonly ports: Readonly<Record<DoorName, number>>
  readonly #options: FrontedOptions
  readonly #clients: Readonly<Record<DoorName, Client>>
  #nginx: ChildProcess | undefined

  private constructor(
    folder: string,
    platform: Platform,
    secrets: Secrets,
    ports: Fronted['ports'],
    options: FrontedOptions,
  ) {
    const ca = readFileSync(platform.ready.tls.caPem)
    this.folder = folder
    this.platform = platform
    this.secrets = secrets
    this.ports = ports
    this.#options = options
    this.#clients = { node: new Client(ports.node, ca), nginx: new Client(ports.nginx, ca) }
  }

  /** Lives as long as the test. */
  static async open(t: TestContext, options: FrontedOptions = {}): Promise<Fronted> {
    const folder = await mkdtemp(join(tmpdir(), 'helio-nginx-'))
    t.after(() => rm(folder, { recursive: true, force: true }))
    const ports = { node: await freePort(), nginx: await freePort() }
    const data = join(folder, 'data')
    const { listen, files, ...more } = options.config ?? {}
    const parsed = configSchema.parse({
      roles: ['files'],
      ...more,
      data,
      listen: { ...(listen as object), host: '127.0.0.1', port: ports.node },
      files: { ...(files as object), urls: cdnsAt(ports.nginx) },
      edge: { nginx: { host: '127.0.0.1', port: ports.nginx } },
    })
    const config = { ...parsed, secrets: join(data, 'secrets') }
    const bugs: unknown[] = []
    const log = { ...silentLog, error: (...about: unknown[]) => void bugs.push(about) }
    const platform = await up(config, { log, onFatal: (error) => bugs.push(error) })
    await writeSite({ config, folder: join(folder, 'nginx'), binary: NGINX })
    const conf = join(folder, 'nginx', SITE_FILES.http)
    if (options.change) await writeFile(conf, options.change(await readFile(conf, 'utf8')))
    const fronted = new Fronted(folder, platform, await openSecrets(config.secrets), ports, options)
    t.after(async () => {
      await fronted.#close()
      if (bugs.length > 0) throw new Error(`the server met bugs: ${JSON.stringify(bugs)}`)
    })
    await fronted.startNginx()
    return fronted
  }

  get data(): string {
    return join(this.folder, 'data')
  }
  get files(): string {
    return join(this.data, 'files')
  }

  ask(door: DoorName, asked: Asked): Promise<Answer> {
    return this.#clients[door].ask(asked)
  }

  /** For clients of the suite that find their way by the ready file: everything at nginx. */
  get ready() {
    const url = `https://localhost:${this.ports.nginx}`
    const urls = { ...this.platform.ready.urls, ...cdnsAt(this.ports.nginx), chat: url, storage: url }
    return { ...this.platform.ready, urls }
  }

  codeFor(number: string): Promise<string> {
    return new Outbox(this.platform.ready.outbox).codeFor(number)
  }

  /** Of CDN 3, as the chat server gives it out. */
  form(maxBytes: number): Form {
    const forms = new UploadForms({
      signatures: new UploadSignatures(this.secrets.uploads, systemClock),
      urls: () => this.ready.urls,
      random: systemRandom,
    })
    const { key, headers, signedUploadLocation } = forms.attachment(maxBytes, 3)
    return { key, headers, location: signedUploadLocation }
  }

  get plainKey(): Buffer {
    return plainKey(this.secrets.uploads.signing(Date.now()).bearerKey)
  }

  sign(name: string, { maxBytes = 1000, seconds = 600, key = this.plainKey }: Signing = {}): string {
    return plainAddress(key, { name, maxBytes, expiresAtS: Math.floor(Date.now() / 1000) + seconds })
  }

  /** What lies below `objects`, and what is on its way, by path from the folder of files. */
  async stored(part = 'objects'): Promise<string[]> {
    const entries = await readdir(join(this.files, part), { recursive: true, withFileTypes: true })
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(this.files.length + 1))
  }

  /** Of nginx: its master, and whoever works for it. */
  get pids(): number[] {
    const pid = this.#nginx?.pid
    if (pid === undefined) return []
    return pidsOf(pid)
  }

  async startNginx(): Promise<void> {
    const conf = join(this.folder, 'nginx', 'nginx.conf')
    const command = [NGINX, '-c', conf, '-g', 'daemon off;', '-e', 'stderr']
    const before = this.#options.before?.(this.files) ?? ['setpriv', '--pdeathsig=TERM']
    const [program, ...args] = [...before, ...command]
    const child = spawn(program!, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    this.#nginx = child
    const ended = once(child, 'exit').then(() => Promise.reject(new Error(`nginx ended: ${said}`)))
    ended.catch(() => {})
    await Promise.race([
      ended,
      until(
        'nginx to listen',
        async () => (await isListening(this.ports.nginx)) && this.pids.length > availableParallelism(),
      ),
    ])
  }

  /** At once, with everything that works for it. */
  async killNginx(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#nginx
    if (!child) return
    this.#nginx = undefined
    const ended = once(child, 'exit')
    for (const pid of signal === 'SIGKILL' ? pidsOf(child.pid!) : [child.pid!]) process.kill(pid, signal)
    await within(ended, 'nginx to end')
  }

  async #close(): Promise<void> {
    for (const client of Object.values(this.#clients)) client.close()
    await this.killNginx('SIGTERM')
    await this.platform.close()
  }
}

const cdnsAt = (port: number) => {
  const url = `https://localhost:${port}`
  return { cdn0: `${url}/cdn0`, cdn2: `${url}/cdn2`, cdn3: `${url}/cdn3` }
}

const pidsOf = (pid: number): number[] => [
  pid,
  ...readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number),
]

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  const { promise, resolve } = Promise.withResolvers<boolean>()
  socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
  return promise.finally(() => socket.destroy())
}
